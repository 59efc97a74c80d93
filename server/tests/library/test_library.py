"""What users rely on: what was stored is found, in order, once, and only while it is there."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from tests.library.conftest import ENCODER, EVERY_PAIR, axis, new_image, search
from tsir.errors import Conflict, EncoderMismatch, InvalidInput, NotFound
from tsir.jobs.store import Jobs
from tsir.library.check import check
from tsir.library.library import Library
from tsir.library.steps import Step
from tsir.records import Begun, EncoderInfo, FileStat, ImageMetadata
from tsir.settings import Settings
from tsir.storage.filters import Filter

Add = Callable[..., list[Begun]]


def names(library: Library, vector: np.ndarray, limit: int = 10, **options: object) -> list[str]:
    return [Path(hit.image.path).name for hit in search(library, "photos", vector, limit, **options)]  # type: ignore[arg-type]


# Collections


def test_collection_is_listed_with_its_counts(library: Library, add: Add) -> None:
    add({"a.jpg": axis(1), "b.jpg": axis(0, 1)})
    library.create("empty", ENCODER)
    empty, photos = library.collections()
    assert (empty.name, empty.count, photos.name, photos.count, photos.pending) == ("empty", 0, "photos", 2, 0)
    assert photos.encoder == ENCODER
    assert photos.created_at.tzinfo is not None
    assert library.collection("photos").count() == 2


def test_creating_a_collection_again_returns_it(library: Library) -> None:
    assert library.create("photos", ENCODER)[0].id == library.create("photos", ENCODER)[0].id


def test_creating_a_collection_with_another_encoder_names_both(library: Library) -> None:
    library.create("photos", ENCODER)
    with pytest.raises(EncoderMismatch, match=r"fake .*other"):
        library.create("photos", EncoderInfo("other", "beef", 8))
    library.collection("photos").expect(ENCODER)
    with pytest.raises(EncoderMismatch):
        library.collection("photos").expect(EncoderInfo("other", "beef", 8))


def test_bad_collection_names_are_refused(library: Library) -> None:
    for name in ("", "1st", "a b", "a/b", "x" * 65, "Fotos\n", "照片", "-dropping-1"):
        with pytest.raises(InvalidInput):
            library.create(name, ENCODER)


def test_names_differ_by_case(library: Library) -> None:
    assert library.create("photos", ENCODER)[0].id != library.create("Photos", ENCODER)[0].id


def test_unknown_collection_error_names_the_existing(library: Library) -> None:
    library.create("photos", ENCODER)
    with pytest.raises(NotFound, match="photos"):
        library.collection("fotos").count()
    with pytest.raises(NotFound):
        library.collection("fotos").search(axis(1), 10)


def test_dropped_collection_can_be_created_anew_with_another_encoder(library: Library, add: Add, photos_folder: Path) -> None:
    add({"a.jpg": axis(1)})
    library.drop("photos")
    with pytest.raises(NotFound):
        library.collection("photos")
    other = EncoderInfo("other", "beef", 4)
    library.create("photos", other)
    assert library.collection("photos").count() == 0
    begun = library.collection("photos").begin([new_image(photos_folder / "a.jpg")])
    library.collection("photos").finish([begun[0].id], np.eye(4, dtype=np.float32)[:1])
    assert len(search(library, "photos", np.eye(4, dtype=np.float32)[0], 5)) == 1
    assert (photos_folder / "a.jpg").exists()


# Search


@EVERY_PAIR
def test_best_hits_come_first_with_cosine_scores(library: Library, add: Add) -> None:
    add({"far.jpg": axis(0, 1), "near.jpg": axis(1, 0.1), "exact.jpg": axis(1), "opposite.jpg": axis(-1)})
    hits = search(library, "photos", axis(1), 10)
    assert [Path(hit.image.path).name for hit in hits] == ["exact.jpg", "near.jpg", "far.jpg", "opposite.jpg"]
    assert [hit.score for hit in hits] == pytest.approx([1, axis(1, 0.1)[0], 0, -1], abs=1e-6)
    np.testing.assert_allclose(hits[1].vector, axis(1, 0.1), atol=1e-7)


def test_pages_follow_each_other_without_gap_or_overlap(library: Library, add: Add) -> None:
    add({f"{n:02}.jpg": axis(1, n / 10) for n in range(25)})
    pages = [names(library, axis(1), 10, offset=offset) for offset in (0, 10, 20, 30)]
    assert [len(page) for page in pages] == [10, 10, 5, 0]
    assert [name for page in pages for name in page] == [f"{n:02}.jpg" for n in range(25)]


def test_equal_scores_are_ordered_by_id_on_every_page(library: Library, add: Add) -> None:
    add({f"{n:02}.jpg": axis(1) for n in range(30)})
    pages = names(library, axis(1), 8), names(library, axis(1), 8, offset=8)
    assert pages == ([f"{n:02}.jpg" for n in range(8)], [f"{n:02}.jpg" for n in range(8, 16)])


def test_a_pending_image_is_not_found_and_shifts_no_score(library: Library, add: Add, photos_folder: Path) -> None:
    library.create("photos", ENCODER)
    begun = library.collection("photos").begin([new_image(photos_folder / "pending.jpg")])
    add({"a.jpg": axis(1, 1), "b.jpg": axis(0, 1)})
    # The vector is there, the row is not ready: what a crash leaves.
    ref = library.stores.catalog.collections.ref("photos")
    add({"c.jpg": axis(1)})
    library.stores.catalog.images.unready([library.find_path(str(photos_folder / "c.jpg")).id])  # type: ignore[union-attr]
    hits = search(library, "photos", axis(1), 2)
    assert [(Path(hit.image.path).name, round(hit.score, 3)) for hit in hits] == [("a.jpg", 0.707), ("b.jpg", 0.0)]
    assert library.collection("photos").describe().pending == 2
    assert library.collection("photos").vectors([begun[0].id]) == {}
    assert ref.name == "photos"


def test_rows_that_are_not_ready_are_made_up_for(library: Library, add: Add) -> None:
    begun = add({f"{n:03}.jpg": axis(1, n / 100) for n in range(100)})
    library.stores.catalog.images.unready([entry.id for entry in begun[:60]])
    assert names(library, axis(1), 10) == [f"{n:03}.jpg" for n in range(60, 70)]


def test_impossible_pages_are_refused(library: Library) -> None:
    library.create("photos", ENCODER)
    for limit, offset in ((0, 0), (10, -1), (10, 16_384), (20_000, 0)):
        with pytest.raises(InvalidInput):
            library.collection("photos").search(axis(1), limit, offset)


def test_query_of_another_dimension_or_without_direction_is_refused(library: Library) -> None:
    library.create("photos", ENCODER)
    with pytest.raises(EncoderMismatch, match="8"):
        library.collection("photos").search(np.ones(5, dtype=np.float32), 10)
    with pytest.raises(InvalidInput):
        library.collection("photos").search(np.zeros(8, dtype=np.float32), 10)
    with pytest.raises(InvalidInput):
        library.collection("photos").search(np.full(8, np.nan, dtype=np.float32), 10)


def test_empty_collection_finds_nothing(library: Library) -> None:
    library.create("photos", ENCODER)
    assert library.collection("photos").search(axis(1), 10) == []


@EVERY_PAIR
def test_a_write_just_made_is_found_by_a_fresh_search(library: Library, add: Add) -> None:
    for n in range(5):
        add({f"{n}.jpg": axis(1, n)})
        assert f"{n}.jpg" in names(library, axis(1, n))


# Filters


@EVERY_PAIR
def test_filters_are_applied_during_the_search(library: Library, add: Add, photos_folder: Path) -> None:
    summer, winter = datetime(2020, 7, 1, tzinfo=timezone.utc), datetime(2020, 12, 1, tzinfo=timezone.utc)
    add({"summer/wide.jpg": axis(1)}, width=4000, height=3000, taken_at=summer, location=(48.1, 11.5))
    add({"winter/tall.png": axis(1, 0.1)}, width=3000, height=4000, format="PNG", taken_at=winter)
    add({"winter/square_100%.jpg": axis(1, 0.2)}, width=500, height=500)

    def found(**conditions: object) -> list[str]:
        return names(library, axis(1), filter=Filter(**conditions))  # type: ignore[arg-type]

    assert found() == ["wide.jpg", "tall.png", "square_100%.jpg"]
    assert found(taken_after=datetime(2020, 8, 1, tzinfo=timezone.utc)) == ["tall.png"]
    assert found(taken_after=summer) == ["wide.jpg", "tall.png"]
    assert found(taken_before=winter) == ["wide.jpg"]
    assert found(taken_after=summer, taken_before=summer + timedelta(seconds=1)) == ["wide.jpg"]
    assert found(min_width=3500) == ["wide.jpg"]
    assert found(min_height=3500) == ["tall.png"]
    assert found(orientation="landscape") == ["wide.jpg"]
    assert found(orientation="portrait") == ["tall.png"]
    assert found(orientation="square") == ["square_100%.jpg"]
    assert found(formats=("png",)) == ["tall.png"]
    assert found(formats=("JPEG", "GIF")) == ["wide.jpg", "square_100%.jpg"]
    assert found(has_location=True) == ["wide.jpg"]
    assert found(has_location=False, min_width=1000) == ["tall.png"]
    assert found(folder=str(photos_folder / "winter")) == ["tall.png", "square_100%.jpg"]
    assert found(folder=str(photos_folder / "winter") + "/") == ["tall.png", "square_100%.jpg"]
    assert found(folder=str(photos_folder)) == ["wide.jpg", "tall.png", "square_100%.jpg"]
    assert found(folder=str(photos_folder / "wint")) == []
    assert found(folder="/") == ["wide.jpg", "tall.png", "square_100%.jpg"]
    assert found(folder=str(photos_folder / "winter"), formats=("PNG",), orientation="landscape") == []


def test_filters_that_cannot_hold_are_refused(library: Library) -> None:
    library.create("photos", ENCODER)
    for filter in (
        Filter(formats=('JPEG"] or id > 0 or format in ["',)),
        Filter(orientation="sideways"),  # type: ignore[arg-type]
        Filter(folder="relative"),
        Filter(folder="/\udcff"),
        Filter(min_width=-5),
    ):
        with pytest.raises(InvalidInput):
            library.collection("photos").search(axis(1), 10, filter=filter)


def test_folder_filter_knows_every_place_of_a_picture(library: Library, add: Add, photos_folder: Path) -> None:
    add({"a/first.jpg": axis(1)})
    assert (
        library.collection("photos").begin([new_image(photos_folder / "b/copy.jpg", str(photos_folder / "a/first.jpg"))])[0].status
        == "known"
    )
    for folder in "ab":
        assert names(library, axis(1), filter=Filter(folder=str(photos_folder / folder))) == ["first.jpg"]
    (photos_folder / "a/first.jpg").unlink()
    library.collection("photos").sweep(photos_folder)
    assert names(library, axis(1), filter=Filter(folder=str(photos_folder / "a"))) == []
    assert names(library, axis(1), filter=Filter(folder=str(photos_folder / "b"))) == ["copy.jpg"]


# Importing


def test_unchanged_knows_size_and_mtime_of_ready_files(library: Library, add: Add, photos_folder: Path) -> None:
    add({"a.jpg": axis(1), "b.jpg": axis(0, 1)})
    library.collection("photos").begin([new_image(photos_folder / "pending.jpg")])
    a, b, pending = (new_image(photos_folder / f"{name}.jpg").file for name in ("a", "b", "pending"))
    touched = replace(b, mtime_ns=2)
    stranger = FileStat(str(photos_folder / "c.jpg"), 5, 5)
    assert library.collection("photos").unchanged([a, touched, pending, stranger]) == {a.path}
    assert library.collection("photos").unchanged([]) == set()


def test_same_content_in_two_places_is_one_image_with_both_paths(library: Library, add: Add, photos_folder: Path) -> None:
    add({"a.jpg": axis(1)})
    copy = new_image(photos_folder / "copy.jpg", str(photos_folder / "a.jpg"))
    (begun,) = library.collection("photos").begin([copy])
    assert begun.status == "known"
    (hit,) = search(library, "photos", axis(1), 10)
    assert [Path(path).name for path in hit.image.paths] == ["a.jpg", "copy.jpg"]
    assert library.collection("photos").unchanged([copy.file]) == {copy.file.path}


def test_same_content_twice_in_a_batch_is_one_image(library: Library, photos_folder: Path) -> None:
    library.create("photos", ENCODER)
    first, second = library.collection("photos").begin([new_image(photos_folder / f"{n}.jpg", "same") for n in range(2)])
    assert (first.id, first.status, second.status) == (second.id, "new", "new")
    library.collection("photos").finish([first.id, second.id], np.stack([axis(1), axis(1)]))
    assert len(search(library, "photos", axis(1), 10)) == 1
    assert len(library.collection("photos").image(first.id).paths) == 2


def test_renamed_file_keeps_its_vector(library: Library, add: Add, photos_folder: Path) -> None:
    (before,) = add({"old.jpg": axis(1)})
    (photos_folder / "old.jpg").rename(photos_folder / "new.jpg")
    (after,) = library.collection("photos").begin([new_image(photos_folder / "new.jpg", str(photos_folder / "old.jpg"), write=False)])
    swept = library.collection("photos").sweep(photos_folder)
    assert (after.id, after.status, swept.paths, swept.images) == (before.id, "known", 1, 0)
    assert names(library, axis(1)) == ["new.jpg"]


def test_a_place_that_was_noted_just_before_a_crash_is_in_the_folder_filter_after_a_start(
    library: Library, add: Add, photos_folder: Path
) -> None:
    (before,) = add({"a.jpg": axis(1)})
    copy = new_image(photos_folder / "other" / "copy.jpg", str(photos_folder / "a.jpg"), write=False)
    library.stores.catalog.locations.begin(library.collection("photos").ref, [copy], {})  # and no word of it to Milvus
    elsewhere = Filter(folder=str(photos_folder / "other"))
    if not library.stores.vectors.embedded:  # there the catalog is asked
        assert search(library, "photos", axis(1), 10, filter=elsewhere) == []
    library.close()
    with Library.open(library.settings) as again:
        deadline = time.monotonic() + 30
        while not check(again).clean and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [hit.image.id for hit in search(again, "photos", axis(1), 10, filter=elsewhere)] == [before.id]
        assert check(again).clean


@EVERY_PAIR
def test_changed_file_becomes_a_new_image(library: Library, add: Add, photos_folder: Path) -> None:
    (before,) = add({"a.jpg": axis(1)})
    (after,) = library.collection("photos").begin([new_image(photos_folder / "a.jpg", "new content")])
    assert (after.status, after.id == before.id) == ("new", False)
    library.collection("photos").finish([after.id], axis(0, 1)[None])
    (hit,) = search(library, "photos", axis(0, 1), 10)
    assert (hit.image.id, hit.score) == (after.id, pytest.approx(1))
    assert check(library).clean


def test_changed_copy_leaves_the_other_place(library: Library, add: Add, photos_folder: Path) -> None:
    (before,) = add({"a.jpg": axis(1)})
    library.collection("photos").begin([new_image(photos_folder / "b.jpg", str(photos_folder / "a.jpg"))])
    (after,) = library.collection("photos").begin([new_image(photos_folder / "a.jpg", "new content")])
    library.collection("photos").finish([after.id], axis(0, 1)[None])
    assert names(library, axis(1)) == ["b.jpg", "a.jpg"]
    assert library.collection("photos").image(before.id).paths == (str(photos_folder / "b.jpg"),)


def test_swapped_files_keep_their_vectors(library: Library, add: Add, photos_folder: Path) -> None:
    a, b = add({"a.jpg": axis(1), "b.jpg": axis(0, 1)})
    swapped = library.collection("photos").begin(
        [
            new_image(photos_folder / "a.jpg", str(photos_folder / "b.jpg"), mtime_ns=2),
            new_image(photos_folder / "b.jpg", str(photos_folder / "a.jpg"), mtime_ns=2),
        ]
    )
    assert [(entry.id, entry.status) for entry in swapped] == [(b.id, "known"), (a.id, "known")]
    assert names(library, axis(1)) == ["b.jpg", "a.jpg"]


def test_vanished_files_are_swept_and_others_stay(library: Library, add: Add, photos_folder: Path) -> None:
    add({"a/1.jpg": axis(1), "a/2.jpg": axis(0, 1), "a/sub/3.jpg": axis(0, 0, 1), "ab/4.jpg": axis(0, 0, 0, 1)})
    (photos_folder / "a/1.jpg").unlink()
    (photos_folder / "a/sub/3.jpg").unlink()
    (photos_folder / "ab/4.jpg").unlink()
    swept = library.collection("photos").sweep(str(photos_folder / "a"))
    assert (swept.paths, swept.images) == (2, 2)
    assert sorted(names(library, axis(1))) == ["2.jpg", "4.jpg"]
    assert library.collection("photos").sweep(str(photos_folder / "a")).paths == 0


def test_a_missing_drive_deletes_nothing(library: Library, add: Add, photos_folder: Path) -> None:
    add({"drive/1.jpg": axis(1)})
    (photos_folder / "drive").rename(photos_folder / "unplugged")
    with pytest.raises(NotFound, match="mounted"):
        library.collection("photos").sweep(photos_folder / "drive")
    assert library.collection("photos").count() == 1


def test_a_drive_that_left_its_empty_folder_behind_deletes_nothing(library: Library, add: Add, photos_folder: Path) -> None:
    add({f"drive/{n}.jpg": axis(1, n) for n in range(30)})
    (photos_folder / "drive").rename(photos_folder / "unplugged")
    (photos_folder / "drive").mkdir()
    assert "drive missing" in library.collection("photos").sweep(photos_folder / "drive").suspicions[0]
    summary = library.collection("photos").describe()
    assert (summary.count, summary.missing) == (0, 30)
    shutil.rmtree(photos_folder / "drive")
    (photos_folder / "unplugged").rename(photos_folder / "drive")
    files = [FileStat(str(path), path.stat().st_size, 1) for path in (photos_folder / "drive").iterdir()]
    assert len(library.collection("photos").unchanged(files)) == library.collection("photos").count() == 30


def test_vectors_of_another_encoder_are_refused(library: Library, photos_folder: Path) -> None:
    library.create("photos", ENCODER)
    (begun,) = library.collection("photos").begin([new_image(photos_folder / "a.jpg")])
    with pytest.raises(EncoderMismatch):
        library.collection("photos").finish([begun.id], axis(1)[None], EncoderInfo("other", "beef", 8))
    library.collection("photos").finish([begun.id], axis(1)[None], ENCODER)
    assert library.collection("photos").count() == 1


ODD = [
    "中文 照片.jpg",
    "😀🎨.png",
    'it\'s "quoted".jpg',
    "100%_a\\b.jpg",
    "new\nline.jpg",
    " space .jpg",
    "Ä.jpg",
    "A\u0308.jpg",
    "x.JPG",
    "X.jpg",
]


def test_odd_names_are_stored_and_found_exactly(library: Library, add: Add, photos_folder: Path) -> None:
    add({name: axis(1, n) for n, name in enumerate(ODD)})
    for n, name in enumerate(ODD):
        image = library.find_path(str(photos_folder / name))
        assert image is not None
        assert image.path == str(photos_folder / name)
        assert names(library, axis(1, n))[0] == name
    files = [new_image(photos_folder / name).file for name in ODD]
    assert len(library.collection("photos").unchanged(files)) == len(ODD)


def test_long_paths_are_stored(library: Library, photos_folder: Path) -> None:
    library.create("photos", ENCODER)
    paths = [Path("/" + "/".join(["长" * 80] * 50) + f"/{n}.jpg") for n in range(3)]
    begun = library.collection("photos").begin([new_image(path, write=False) for path in paths])
    library.collection("photos").finish([entry.id for entry in begun], np.stack([axis(1)] * 3))
    assert library.find_path(str(paths[1])).id == begun[1].id  # type: ignore[union-attr]
    assert len(names(library, axis(1), filter=Filter(folder=str(paths[0].parents[20])))) == 3


def test_names_that_are_no_unicode_are_refused_with_a_sentence(library: Library) -> None:
    library.create("photos", ENCODER)
    path = os.fsdecode(b"/photos/caf\xe9.jpg")
    with pytest.raises(InvalidInput, match="Rename"):
        library.collection("photos").begin([replace(new_image(Path("/x"), write=False), file=FileStat(path, 1, 1))])
    assert library.collection("photos").unchanged([FileStat(path, 1, 1)]) == set()
    assert library.find_path(path) is None


def test_facts_of_a_picture_come_back(library: Library, add: Add) -> None:
    taken = datetime(2021, 5, 4, 3, 2, 1, 123456, tzinfo=timezone(timedelta(hours=2)))
    (begun,) = add({"a.jpg": axis(1)}, width=10, height=20, taken_at=taken, location=(-33.9, 151.2))
    image = library.collection("photos").image(begun.id)
    assert image.metadata == ImageMetadata(10, 20, "JPEG", taken, "Camera", -33.9, 151.2)
    assert str(image.metadata.taken_at) == str(taken), "the offset is kept"
    assert image.created_at.tzinfo is not None
    assert abs(datetime.now(timezone.utc) - image.created_at) < timedelta(minutes=5)


def test_a_cameras_time_is_kept_as_its_clock_showed_it(library: Library, add: Add) -> None:
    naive = datetime(2021, 5, 1, 23, 30)
    (a,) = add({"naive.jpg": axis(1)}, taken_at=naive)
    (b,) = add({"tokyo.jpg": axis(1, 0.1)}, taken_at=naive.replace(tzinfo=timezone(timedelta(hours=9))))
    photos = library.collection("photos")
    assert [photos.image(one.id).metadata.taken_at for one in (a, b)] == [naive, naive.replace(tzinfo=timezone(timedelta(hours=9)))]
    assert [getattr(photos.image(one.id).metadata.taken_at, "tzinfo", 0) is None for one in (a, b)] == [True, False]
    day = Filter(taken_after=datetime(2021, 5, 1), taken_before=datetime(2021, 5, 2))
    assert names(library, axis(1), filter=day) == ["naive.jpg", "tokyo.jpg"]
    assert names(library, axis(1), filter=Filter(taken_after=datetime(2021, 5, 2))) == []
    assert len(photos.images(filter=day)[0]) == 2


def test_nonsense_in_exif_does_not_stop_an_import(library: Library, photos_folder: Path) -> None:
    library.create("photos", ENCODER)
    item = new_image(photos_folder / "a.jpg", taken_at=datetime(1, 1, 1), location=(float("nan"), float("inf")))
    (begun,) = library.collection("photos").begin([replace(item, metadata=replace(item.metadata, camera="x" * 500 + "\0\udcff"))])
    library.collection("photos").finish([begun.id], axis(1)[None])
    facts = library.collection("photos").image(begun.id).metadata
    assert (facts.taken_at, facts.latitude, facts.longitude, len(facts.camera or "")) == (None, None, None, 255)


def test_vectors_of_wrong_shape_or_value_are_refused(library: Library, photos_folder: Path) -> None:
    library.create("photos", ENCODER)
    (begun,) = library.collection("photos").begin([new_image(photos_folder / "a.jpg")])
    with pytest.raises(EncoderMismatch):
        library.collection("photos").finish([begun.id], np.ones((1, 7), dtype=np.float32))
    with pytest.raises(EncoderMismatch):
        library.collection("photos").finish([begun.id], np.ones((2, 8), dtype=np.float32))
    with pytest.raises(InvalidInput):
        library.collection("photos").finish([begun.id], np.full((1, 8), np.nan, dtype=np.float32))


def test_finishing_twice_changes_nothing(library: Library, add: Add) -> None:
    (begun,) = add({"a.jpg": axis(1)})
    library.collection("photos").finish([begun.id], axis(1)[None])
    assert library.collection("photos").count() == 1
    assert len(search(library, "photos", axis(1), 10)) == 1


def test_finishing_an_image_of_another_collection_does_nothing(library: Library, add: Add) -> None:
    (begun,) = add({"a.jpg": axis(1)})
    library.create("others", ENCODER)
    library.collection("others").finish([begun.id], axis(1)[None])
    assert search(library, "others", axis(1), 10) == []


def test_large_batches_are_written_and_found(library: Library, photos_folder: Path) -> None:
    library.create("photos", ENCODER)
    items = [new_image(photos_folder / f"{n}.jpg", write=False) for n in range(3000)]
    begun = library.collection("photos").begin(items)
    library.collection("photos").finish([entry.id for entry in begun], np.stack([axis(1, n / 1000) for n in range(3000)]))
    assert library.collection("photos").count() == 3000
    assert len(library.collection("photos").unchanged([item.file for item in items])) == 3000
    hits = search(library, "photos", axis(1), 2500)
    assert [hit.image.id for hit in hits] == [entry.id for entry in begun[:2500]]
    page = search(library, "photos", axis(1), 10, offset=2500)
    assert [hit.image.id for hit in page] == [entry.id for entry in begun[2500:2510]]


# Reading


def test_listing_is_newest_first_and_stable_while_pictures_are_added(library: Library, add: Add) -> None:
    add({f"{n}.jpg": axis(1, n) for n in range(7)})
    first, cursor = library.collection("photos").images(limit=3)
    add({"later.jpg": axis(1)})
    second, cursor = library.collection("photos").images(cursor, 3)
    third, end = library.collection("photos").images(cursor, 3)
    assert [Path(image.path).stem for image in first + second + third] == ["6", "5", "4", "3", "2", "1", "0"]
    assert end is None


def test_bad_cursors_are_refused(library: Library) -> None:
    library.create("photos", ENCODER)
    for cursor in ("nonsense", "////", "é", "bm9uZQ", "LTE", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5"):
        with pytest.raises(NotFound, match="cursor"):
            library.collection("photos").images(cursor)


def test_unknown_images_are_not_found(library: Library, add: Add) -> None:
    add({"a.jpg": axis(1)})
    for id in (0, -1, 10**9, 2**70):
        with pytest.raises(NotFound):
            library.collection("photos").image(id)
    assert library.collection("photos").vectors([0, 2**70]) == {}
    assert library.collection("photos").delete([0, -1, 2**70]) == 0


def test_only_ready_images_are_found_by_path(library: Library, add: Add, photos_folder: Path) -> None:
    add({"a.jpg": axis(1)})
    library.collection("photos").begin([new_image(photos_folder / "pending.jpg")])
    assert library.find_path(str(photos_folder / "a.jpg")) is not None
    for path in (f"{photos_folder}/pending.jpg", f"{photos_folder}/A.jpg", f"{photos_folder}/./a.jpg", "/etc/passwd", ""):
        assert library.find_path(path) is None
    library.drop("photos")
    assert library.find_path(str(photos_folder / "a.jpg")) is None


def test_vectors_come_back_as_stored(library: Library, add: Add) -> None:
    begun = add({f"{n}.jpg": axis(1, n) for n in range(5)})
    vectors = library.collection("photos").vectors([entry.id for entry in begun])
    for n, entry in enumerate(begun):
        np.testing.assert_array_equal(vectors[entry.id], axis(1, n))
        assert vectors[entry.id].dtype == np.float32


# Deleting


@EVERY_PAIR
def test_deleted_image_is_gone_and_its_id_is_never_used_again(library: Library, add: Add, photos_folder: Path) -> None:
    a, b = add({"a.jpg": axis(1), "b.jpg": axis(1, 0.1)})
    assert library.collection("photos").delete([b.id, b.id, 10**9]) == 1
    assert names(library, axis(1)) == ["a.jpg"]
    assert (photos_folder / "b.jpg").exists()
    (again,) = add({"b.jpg": axis(1, 0.1)})
    assert again.id > b.id > a.id
    assert names(library, axis(1)) == ["a.jpg", "b.jpg"]


def test_a_picture_that_two_take_out_at_once_counts_once_and_stays_out(settings: Settings, photos_folder: Path) -> None:
    counts: list[int] = []

    def again(step: Step) -> None:
        if step is Step.VECTORS_DELETED and not counts:
            counts.append(-1)
            counts.append(library.collection("photos").delete(ids))

    with Library.open(settings, again) as library:
        library.create("photos", ENCODER)
        ids = [entry.id for entry in library.collection("photos").begin([new_image(photos_folder / "a.jpg")])]
        library.collection("photos").finish(ids, axis(1)[None])
        assert library.collection("photos").remove(ids).images == 1
        assert counts == [-1, 0]
        assert library.collection("photos").describe().excluded == 1


def test_deleting_an_upload_deletes_its_file_and_thumbnails(library: Library) -> None:
    from PIL import Image

    library.create("photos", ENCODER)
    kept, gone = (library.files.uploads.save(data, "JPEG") for data in (b"kept", b"gone"))
    items = [new_image(path, content, write=False) for path, content in ((kept, "kept"), (gone, "gone"))]
    for item in items:
        library.files.thumbnails.write(item.content_hash, Image.new("RGB", (900, 600)))
    begun = library.collection("photos").begin(items)
    library.collection("photos").finish([entry.id for entry in begun], np.stack([axis(1), axis(0, 1)]))
    library.create("second", ENCODER)
    other = library.collection("second").begin(items[:1])
    library.collection("second").finish([other[0].id], axis(1)[None])

    library.collection("photos").delete([entry.id for entry in begun])
    assert (kept.exists(), gone.exists()) == (True, False)
    assert library.files.thumbnails.find(items[0].content_hash, "small") is not None
    assert library.files.thumbnails.find(items[1].content_hash, "small") is None
    library.drop("second")
    assert not kept.exists()


# Re-encoding


def test_old_vectors_are_served_until_the_swap(library: Library, add: Add, photos_folder: Path) -> None:
    begun = add({f"{n}.jpg": axis(1, n) for n in range(5)})
    other = EncoderInfo("other", "beef", 4)
    moving, again = library.reencoding("photos"), library.reencoding("photos")
    moving.begin(other)
    again.begin(other)
    assert again.generation == moving.generation
    assert library.collection("photos").describe().state == "reencoding"
    batch = moving.batch(3)
    moving.finish([image.id for image in batch], np.eye(4, dtype=np.float32)[:3])
    assert names(library, axis(1))[0] == "0.jpg"
    add({"during.jpg": axis(0, 0, 1)})
    rest = moving.batch(10)
    assert [image.id for image in rest][:2] == [entry.id for entry in begun[3:]]
    assert Path(rest[2].path).name == "during.jpg"
    moving.finish([image.id for image in rest[:2]], np.eye(4, dtype=np.float32)[2:])

    assert moving.swap() == 1  # "during.jpg"
    assert moving.swap() == 1
    collection = library.collection("photos").describe()
    assert (collection.encoder, collection.state, collection.count, collection.pending) == (other, "ready", 5, 1)
    hits = search(library, "photos", np.eye(4, dtype=np.float32)[1], 10)
    assert (len(hits), hits[0].image.id) == (5, begun[1].id)
    assert [Path(image.path).name for image in library.collection("photos").unfinished(10)] == ["during.jpg"]
    assert check(library).clean
    with pytest.raises(Conflict):
        library.reencoding("photos").begin(other)


def test_reencoding_can_be_given_up_or_changed(library: Library, add: Add) -> None:
    add({"a.jpg": axis(1)})
    first = library.reencoding("photos")
    first.begin(EncoderInfo("other", "beef", 4))
    second = library.reencoding("photos")
    second.begin(EncoderInfo("third", "cafe", 5))
    assert second.generation > first.generation
    with pytest.raises(Conflict):
        first.finish([1], np.eye(4, dtype=np.float32)[:1])
    library.reencoding("photos").abort()
    library.reencoding("photos").abort()
    with pytest.raises(Conflict):
        second.swap()
    assert names(library, axis(1)) == ["a.jpg"]
    assert check(library).clean


@EVERY_PAIR
def test_deleted_and_moved_images_are_right_after_the_swap(library: Library, add: Add, photos_folder: Path) -> None:
    a, b, c = add({"a/a.jpg": axis(1), "a/b.jpg": axis(0, 1), "a/c.jpg": axis(0, 0, 1)})
    moving = library.reencoding("photos")
    moving.begin(EncoderInfo("other", "beef", 8))
    moving.finish([a.id, b.id, c.id], np.stack([axis(1), axis(0, 1), axis(0, 0, 1)]))
    library.collection("photos").delete([a.id])
    library.collection("photos").begin([new_image(photos_folder / "b/b.jpg", str(photos_folder / "a/b.jpg"))])
    for image in moving.batch(10):
        moving.finish([image.id], axis(0, 1)[None])
    assert moving.swap() == 0
    assert names(library, axis(0, 1), filter=Filter(folder=str(photos_folder / "b"))) == ["b.jpg"]
    assert sorted(names(library, axis(0, 1))) == ["b.jpg", "c.jpg"]
    assert check(library).clean


def test_collection_made_while_the_library_is_checked_keeps_its_vectors(
    library: Library, add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    add({"a.jpg": axis(1)})
    listed = library.stores.vectors.names

    def names_later(prefix: str) -> list[str]:
        monkeypatch.undo()
        add({"b.jpg": axis(1)}, name="late")
        return listed(prefix)

    monkeypatch.setattr(library.stores.vectors, "names", names_later)
    assert check(library, repair=True).problems == ()
    assert len(search(library, "late", axis(1), 10)) == 1
    assert check(library).clean


def test_dropping_a_collection_cancels_its_jobs(library: Library, add: Add) -> None:
    add({"a.jpg": axis(1)})
    jobs = Jobs(library.stores.catalog.database)
    running, queued = (jobs.create("photos", "import", {}) for _ in range(2))
    assert jobs.claim("me") is not None
    library.drop("photos", also=jobs.cancel_all("photos"))
    assert jobs.get(queued.id).state == "cancelled"
    assert jobs.get(running.id).cancelling


def test_uploads_beside_an_empty_catalog_are_never_deleted(library: Library) -> None:
    upload = library.files.uploads.save(b"x", "JPEG")
    old = time.time() - 48 * 3600
    os.utime(upload, (old, old))
    report = check(library, repair=True)
    assert upload.exists()
    assert any("never deleted" in note for note in report.notes)
