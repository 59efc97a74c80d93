"""kill -9 at any step: doing it again mends everything."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.library import crashing
from tests.library.conftest import axis, search
from tsir.library.check import check
from tsir.library.library import Library
from tsir.library.restoring import restore
from tsir.library.steps import Step
from tsir.records import Image as StoredImage
from tsir.settings import Settings
from tsir.storage.filters import Filter


def found(library: Library, folder: Path) -> list[str]:
    hits = search(library, "photos", axis(1), 50)
    return sorted(Path(hit.image.path).name for hit in hits if hit.image.path.startswith(str(folder)))


def complete(library: Library) -> None:
    """Rows and vectors are one to one, nothing is pending or half deleted."""
    report = check(library)
    assert report.problems == ()
    assert report.images == report.vectors
    assert all(collection.pending == 0 for collection in library.collections())


ALL = sorted(f"{n}.jpg" for n in range(crashing.PICTURES))


@pytest.mark.parametrize(
    "step", [Step.COLLECTION_NOTED, Step.ROOM_MADE, Step.IMAGES_NOTED, Step.FACTS_READ, Step.VECTORS_WRITTEN, Step.IMAGES_READY]
)
def test_import_killed_at_any_step_is_completed_by_the_next(settings: Settings, photos_folder: Path, step: Step) -> None:
    assert crashing.run_until(settings, "load", step) == -signal.SIGKILL
    with Library.open(settings) as library:
        crashing.load(library, photos_folder)
        assert found(library, photos_folder) == ALL
        complete(library)


@pytest.mark.parametrize(
    "step", [Step.IMAGES_NOTED, Step.VECTORS_DELETED, Step.LEFTOVERS_FOUND, Step.ROWS_DELETED, Step.VECTORS_READ, Step.VECTORS_WRITTEN]
)
def test_changes_killed_at_any_step_are_completed_by_the_next_import(settings: Settings, photos_folder: Path, step: Step) -> None:
    with Library.open(settings) as library:
        crashing.load(library, photos_folder)
    assert crashing.run_until(settings, "change", step) == -signal.SIGKILL
    with Library.open(settings) as library:
        crashing.change(library, photos_folder)
        check(library, repair=True)
        assert found(library, photos_folder) == ALL
        copies = search(library, "photos", axis(1), 50, filter=Filter(folder=str(photos_folder / "copies")))
        assert [len(hit.image.paths) for hit in copies] == [2]
        complete(library)


@pytest.mark.parametrize("action", ["sweep", "delete"])
@pytest.mark.parametrize("step", [Step.VECTORS_DELETED, Step.LEFTOVERS_FOUND, Step.ROWS_DELETED])
def test_deletions_killed_at_any_step_are_completed_by_opening(settings: Settings, photos_folder: Path, action: str, step: Step) -> None:
    with Library.open(settings) as library:
        crashing.load(library, photos_folder)
    assert crashing.run_until(settings, action, step) == -signal.SIGKILL
    with Library.open(settings) as library:
        assert len(found(library, photos_folder)) == crashing.PICTURES - 4
        complete(library)


def test_a_removal_that_is_killed_is_completed_by_opening_and_can_be_undone(settings: Settings, photos_folder: Path) -> None:
    with Library.open(settings) as library:
        crashing.load(library, photos_folder)
    assert crashing.run_until(settings, "remove", Step.VECTORS_DELETED) == -signal.SIGKILL
    with Library.open(settings) as library:
        assert len(found(library, photos_folder)) == crashing.PICTURES - 4
        assert library.collection("photos").describe().excluded == 4
        complete(library)
        crashing.load(library, photos_folder)
        assert len(found(library, photos_folder)) == crashing.PICTURES - 4
        [entry] = library.files.trash.entries()
        assert restore(library, entry.id).waiting == ()
        assert found(library, photos_folder) == ALL
        complete(library)


@pytest.mark.parametrize("step", [Step.COLLECTION_HIDDEN, Step.VECTORS_DROPPED, Step.ROWS_DELETED, Step.COLLECTION_DELETED])
def test_drop_killed_at_any_step_is_completed_by_opening(settings: Settings, photos_folder: Path, step: Step) -> None:
    with Library.open(settings) as library:
        crashing.load(library, photos_folder)
    assert crashing.run_until(settings, "drop", step) == -signal.SIGKILL
    with Library.open(settings) as library:
        assert library.collections() == []
        assert library.stores.vectors.names(library.stores.vectors_prefix()) == []
        assert library.stores.catalog.collections.refs() == []
        crashing.load(library, photos_folder)
        complete(library)


@pytest.mark.parametrize(
    "step",
    [Step.GENERATION_OPENED, Step.ROOM_MADE, Step.VECTORS_WRITTEN, Step.GENERATION_NOTED, Step.GENERATION_SWAPPED, Step.VECTORS_DROPPED],
)
def test_reencoding_killed_at_any_step_is_completed_by_the_next(settings: Settings, photos_folder: Path, step: Step) -> None:
    with Library.open(settings) as library:
        crashing.load(library, photos_folder)
    assert crashing.run_until(settings, "reencode", step) == -signal.SIGKILL
    with Library.open(settings) as library:
        assert found(library, photos_folder) == ALL
        crashing.reencode(library, photos_folder)
        check(library, repair=True)
        assert library.collection("photos").encoder == crashing.OTHER
        best = search(library, "photos", axis(0, 0, 1, 7), 1)[0]
        assert (Path(best.image.path).name, best.score) == ("7.jpg", pytest.approx(1))
        complete(library)


def test_check_repairs_what_was_lost_in_milvus(settings: Settings, photos_folder: Path) -> None:
    with Library.open(settings) as library:
        crashing.load(library, photos_folder)
        ref = library.stores.catalog.collections.ref("photos")
        name = library.stores.vectors_name(ref)
        ids = [image.id for image in library.collection("photos").images()[0]]
        library.stores.vectors.delete(name, ids[:3])
        strangers = [max(ids) + 1000 * n for n in range(1, 4)]
        facts = library.stores.facts(ref, ids[3:6])
        library.stores.upsert(ref, None, dict.fromkeys(strangers, axis(1)), dict(zip(strangers, facts.values(), strict=True)))
        library.stores.vectors.ensure(f"{library.stores.vectors_prefix()}999_1", 8, "FLAT")

        report = check(library)
        assert not report.repaired
        assert sorted(report.problems) == [
            "1 collections in Milvus have no row.",
            "3 images of photos have no vector.",
            "3 vectors of photos have no row.",
        ]
        assert not check(library, repair=True).clean
        assert len(library.collection("photos").unfinished(10)) == 3
        crashing.load(library, photos_folder)
        assert found(library, photos_folder) == ALL
        complete(library)
        library.stores.vectors.drop(name)
        assert library.collection("photos").search(axis(1), 10) == []
        check(library, repair=True)
        crashing.load(library, photos_folder)
        assert found(library, photos_folder) == ALL
        complete(library)


def test_check_finds_lost_files_and_strays(settings: Settings, photos_folder: Path, tmp_path: Path) -> None:
    with Library.open(settings) as library:
        crashing.load(library, photos_folder)
        (photos_folder / "0.jpg").unlink()
        library.files.thumbnails.write("ab" * 32, Image.new("RGB", (10, 10)))
        stray = library.files.uploads.save(b"x", "JPEG")
        assert check(library).problems == ("1 files of photos have left their folder.",)
        old = time.time() - 48 * 3600
        for path in [stray, *library.files.thumbnails.folder.glob("*/*/*")]:
            os.utime(path, (old, old))
        assert set(check(library).problems) == {
            "1 files of photos have left their folder.",
            "1 thumbnails belong to no image.",
            "1 uploaded files belong to no image.",
        }
        made: list[int] = []

        def make(image: StoredImage) -> bool:
            made.append(image.id)
            return True

        report = check(library, repair=True, thumbnail=make)
        assert report.repaired
        assert len(made) == crashing.PICTURES - 1
        assert not stray.exists()
        assert check(library).clean
        assert library.collection("photos").count() == crashing.PICTURES - 1

        photos_folder.rename(tmp_path / "unplugged")
        report = check(library, repair=True)
        assert report.clean
        assert any("drive" in note for note in report.notes)
        assert library.collection("photos").count() == crashing.PICTURES - 1
