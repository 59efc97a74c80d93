"""Absent is not deleted: pictures whose files are away are hidden, keep all that is known of them, and come back with their files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from tests.library.conftest import ENCODER, EVERY_PAIR, axis, new_image, search
from tsir.errors import Conflict, InvalidInput, NotFound
from tsir.library.check import check
from tsir.library.library import Library
from tsir.library.relocating import relocate
from tsir.records import Begun, FileStat
from tsir.settings import Settings
from tsir.storage.filters import Filter, parse
from tsir.storage.sql.engine import Database
from tsir.storage.sql.values import path_hash

Add = Callable[..., list[Begun]]


def names(library: Library, **conditions: object) -> list[str]:
    return sorted(Path(hit.image.path).name for hit in search(library, "photos", axis(1), 50, filter=Filter(**conditions)))  # type: ignore[arg-type]


def real(path: Path) -> FileStat:
    return FileStat(str(path), path.stat().st_size, path.stat().st_mtime_ns)


def scanned(library: Library, folder: Path) -> set[str]:
    """What a folder's import asks first; the pictures in these tests are noted with the mtime 1."""
    files = list(folder.rglob("*.jpg"))
    return library.collection("photos").unchanged([FileStat(str(path), path.stat().st_size, 1) for path in files])


@EVERY_PAIR
def test_pictures_of_a_drive_that_is_away_are_hidden_and_come_back_without_encoding(
    library: Library, add: Add, photos_folder: Path, tmp_path: Path
) -> None:
    begun = add({f"nas/{n:02}.jpg": axis(1, n) for n in range(25)} | {f"sub/{n}.jpg": axis(0, 1, n) for n in range(4)})
    photos = library.collection("photos")
    shutil.move(photos_folder / "nas", tmp_path / "away")
    (photos_folder / "nas").mkdir()

    swept = photos.sweep(photos_folder)
    assert (swept.paths, swept.images) == (25, 25)
    assert swept.suspicions == (f"25 pictures below '{photos_folder}/nas' are not there: is a drive missing?",)
    summary = photos.describe()
    assert (summary.count, summary.missing, photos.count(), len(photos.images()[0])) == (4, 25, 4, 4)
    assert len(photos.vectors([entry.id for entry in begun])) == 29
    assert check(library).clean

    shutil.rmtree(photos_folder / "nas")
    shutil.move(tmp_path / "away", photos_folder / "nas")
    assert len(scanned(library, photos_folder)) == 29, "nothing is decoded or encoded again"
    assert (photos.count(), photos.describe().missing) == (29, 0)
    assert photos.sweep(photos_folder).suspicions == ()
    assert check(library).clean


@EVERY_PAIR
def test_a_filter_shows_missing_pictures(library: Library, add: Add, photos_folder: Path) -> None:
    add({"a/away.jpg": axis(1), "b/here.jpg": axis(1, 0.1)})
    (photos_folder / "a/away.jpg").unlink()
    photos = library.collection("photos")
    photos.sweep(photos_folder)
    assert names(library) == names(library, missing=False) == names(library, missing="false") == ["here.jpg"]
    assert names(library, missing="true") == names(library, missing=True) == ["away.jpg"]
    assert names(library, missing="any") == ["away.jpg", "here.jpg"]
    assert names(library, missing="true", folder=str(photos_folder / "a")) == ["away.jpg"]
    assert names(library, missing="true", folder=str(photos_folder / "b")) == []
    assert [image.missing for image in photos.images(filter=Filter(missing="any"))[0]] == [False, True]
    assert [Path(image.path).name for image in photos.images(filter=Filter(missing="true"))[0]] == ["away.jpg"]


def test_the_filters_words_are_read_as_json_has_them() -> None:
    assert [parse({"missing": value}).missing for value in (True, False, "any")] == ["true", "false", "any"]
    with pytest.raises(InvalidInput, match=r"missing is 3; it must be true, false"):
        parse({"missing": 3})


def test_the_only_missing_picture_is_found_behind_many_better_ones(library: Library, add: Add, photos_folder: Path) -> None:
    add({f"{n:03}.jpg": axis(1, n / 1000) for n in range(60)} | {"away.jpg": axis(-1)})
    (photos_folder / "away.jpg").unlink()
    library.collection("photos").sweep(photos_folder)
    assert [Path(hit.image.path).name for hit in search(library, "photos", axis(1), 1, filter=Filter(missing="true"))] == ["away.jpg"]


@pytest.mark.parametrize("left", ["nothing", "a marker"])
def test_an_empty_root_with_few_pictures_keeps_them(library: Library, add: Add, photos_folder: Path, left: str) -> None:
    add({f"{n}.jpg": axis(1, n) for n in range(3)})
    for path in photos_folder.glob("*.jpg"):
        path.unlink()
    if left == "a marker":
        (photos_folder / "NOT_MOUNTED").touch()
    swept = library.collection("photos").sweep(photos_folder)
    assert swept.suspicions == (f"3 pictures below '{photos_folder}' are not there: is a drive missing?",)
    assert library.collection("photos").describe().missing == 3


def test_more_than_a_tenth_and_a_handful_at_once_is_named(library: Library, add: Add, photos_folder: Path) -> None:
    add({f"{n:02}.jpg": axis(1, n) for n in range(40)})
    photos = library.collection("photos")
    for n in range(5):
        (photos_folder / f"{n:02}.jpg").unlink()
    assert photos.sweep(photos_folder).suspicions == (), "five are a handful"
    for n in range(5, 12):
        (photos_folder / f"{n:02}.jpg").unlink()
    (sentence,) = photos.sweep(photos_folder).suspicions
    assert sentence.startswith("12 pictures below") and "drive" in sentence


def test_a_deleted_subfolder_of_a_few_pictures_raises_no_alarm(library: Library, add: Add, photos_folder: Path) -> None:
    add({"trip/1.jpg": axis(1), "other/2.jpg": axis(0, 1)})
    shutil.rmtree(photos_folder / "trip")
    swept = library.collection("photos").sweep(photos_folder)
    assert (swept.images, swept.suspicions) == (1, ())


@EVERY_PAIR
def test_repair_keeps_rows_and_vectors_of_absent_files(library: Library, add: Add, photos_folder: Path, tmp_path: Path) -> None:
    begun = add({f"nas/{n:02}.jpg": axis(1, n) for n in range(25)})
    shutil.move(photos_folder / "nas", tmp_path / "away")
    (photos_folder / "nas").mkdir()
    asked = f"25 pictures below '{photos_folder}/nas' are not there: is a drive missing?"
    assert asked in check(library).notes
    for _ in range(2):
        assert asked in check(library, repair=True).notes
    photos = library.collection("photos")
    assert photos.describe().missing == len(photos.vectors([entry.id for entry in begun])) == 25
    assert check(library).clean
    shutil.rmtree(photos_folder / "nas")
    shutil.move(tmp_path / "away", photos_folder / "nas")
    for path in (photos_folder / "nas").iterdir():
        photos.begin([new_image(path, write=False)])
    assert photos.count() == 25


def test_a_check_finds_files_that_are_back(library: Library, photos_folder: Path, tmp_path: Path) -> None:
    path = photos_folder / "a.jpg"
    item = new_image(path)
    library.create("photos", ENCODER)
    photos = library.collection("photos")
    (begun,) = photos.begin([type(item)(real(path), item.content_hash, item.metadata)])
    photos.finish([begun.id], axis(1)[None])
    path.rename(tmp_path / "a.jpg")
    photos.sweep(photos_folder)
    assert photos.count() == 0
    (tmp_path / "a.jpg").rename(path)
    assert any("back" in note for note in check(library).notes)
    assert photos.count() == 1


@EVERY_PAIR
def test_a_picture_that_lies_elsewhere_too_stays_and_shows_where_it_is(library: Library, add: Add, photos_folder: Path) -> None:
    (begun,) = add({"usb/a.jpg": axis(1)})
    photos = library.collection("photos")
    photos.begin([new_image(photos_folder / "disk/copy.jpg", str(photos_folder / "usb/a.jpg"))])
    (photos_folder / "usb/a.jpg").unlink()
    swept = photos.sweep(photos_folder / "usb")
    assert (swept.paths, swept.images) == (1, 0)
    assert photos.image(begun.id).paths == (str(photos_folder / "disk/copy.jpg"),)
    assert names(library, folder=str(photos_folder / "usb")) == []
    (photos_folder / "usb/a.jpg").write_bytes(str(photos_folder / "usb/a.jpg").encode())
    assert len(scanned(library, photos_folder)) == 2
    assert len(photos.image(begun.id).paths) == 2
    assert names(library, folder=str(photos_folder / "usb")) == ["a.jpg"]
    assert check(library).clean


@EVERY_PAIR
def test_missing_pictures_are_forgotten_when_it_is_asked_for(library: Library, add: Add, photos_folder: Path) -> None:
    begun = add({"a/1.jpg": axis(1), "b/2.jpg": axis(0, 1), "b/3.jpg": axis(0, 0, 1)})
    photos = library.collection("photos")
    for name in ("a/1.jpg", "b/2.jpg"):
        (photos_folder / name).unlink()
    photos.sweep(photos_folder)
    assert photos.forget_missing(photos_folder / "b").images == 1
    assert sorted(photos.vectors([entry.id for entry in begun])) == [begun[0].id, begun[2].id]
    (photos_folder / "a/1.jpg").write_bytes(b"another picture, perhaps")
    assert photos.forget_missing().images == 0, "there is a file again: nothing is forgotten"
    (photos_folder / "a/1.jpg").unlink()
    assert photos.forget_missing(before=datetime.now(timezone.utc) - timedelta(days=1)).images == 0
    assert photos.forget_missing(before=datetime.now(timezone.utc) + timedelta(days=1)).images == 1
    assert (photos.count(), photos.describe().missing) == (1, 0)
    assert check(library).clean


def test_another_picture_at_the_place_of_a_missing_one_is_new(library: Library, add: Add, photos_folder: Path) -> None:
    (before,) = add({"a.jpg": axis(1)})
    (photos_folder / "a.jpg").unlink()
    photos = library.collection("photos")
    photos.sweep(photos_folder)
    (after,) = photos.begin([new_image(photos_folder / "a.jpg", "other")])
    photos.finish([after.id], axis(0, 1)[None])
    assert (after.id == before.id, photos.count(), photos.describe().missing) == (False, 1, 0)


@EVERY_PAIR
def test_a_catalog_of_the_version_before_is_brought_along(settings: Settings, photos_folder: Path) -> None:
    with Library.open(settings) as library:
        library.create("photos", ENCODER)
        upload = library.files.uploads.save(b"sent", "JPEG")
        items = [new_image(photos_folder / "a.jpg"), new_image(upload, "sent", write=False)]
        begun = library.collection("photos").begin(items)
        library.collection("photos").finish([entry.id for entry in begun], np.stack([axis(1), axis(0, 1)]))
    database = Database(settings)

    def back(connection: sa.Connection) -> None:
        update = "UPDATE locations SET path = :path, path_hash = :hashed WHERE path LIKE 'uploads:%'"
        connection.execute(sa.text(update), {"path": str(upload), "hashed": path_hash(str(upload))})
        connection.execute(sa.text("DROP INDEX ix_images_missing" + ("" if database.embedded else " ON images")))
        for table, column in (("images", "missing"), ("locations", "missing_since")):
            connection.execute(sa.text(f"ALTER TABLE {table} DROP COLUMN {column}"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))

    database.write(back)
    database.close()
    for _ in range(2):  # the second time from half-way: the columns are there, the number is not
        with Library.open(settings) as library:
            assert library.collection("photos").count() == 2
            assert library.find_path(str(upload)) is not None
            with library.stores.catalog.database.engine.connect() as connection:
                stored = connection.execute(sa.text("SELECT path FROM locations ORDER BY id")).scalars().all()
            assert stored == [str(photos_folder / "a.jpg"), f"uploads:{upload.parent.name}/{upload.name}"]
            library.stores.catalog.database.write(
                lambda connection: connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
            )
    with Library.open(settings):
        pass


@EVERY_PAIR
def test_images_whose_vectors_are_lost_become_pending(library: Library, add: Add) -> None:
    begun = add({f"{n}.jpg": axis(1, n) for n in range(6)})
    photos, vectors = library.collection("photos"), library.stores.vectors
    assert photos.owe() == 0
    vectors.delete(library.stores.vectors_name(photos.ref), [entry.id for entry in begun[:2]])
    assert (photos.owe(), photos.owe()) == (2, 0)
    assert [image.id for image in photos.unfinished(10)] == [entry.id for entry in begun[:2]]
    vectors.drop(library.stores.vectors_name(photos.ref))
    assert (photos.owe(), photos.owe()) == (4, 0)
    photos.finish([entry.id for entry in begun], np.stack([axis(1, n) for n in range(6)]))
    assert check(library).clean


def test_pictures_are_forgotten_after_as_many_days_as_the_setting_says(library: Library, add: Add, photos_folder: Path) -> None:
    add({"a.jpg": axis(1), "b.jpg": axis(0, 1)})
    (photos_folder / "a.jpg").unlink()
    photos = library.collection("photos")
    photos.sweep(photos_folder)
    library.forget_old(photos)
    library.settings = library.settings.model_copy(update={"forget_after_days": 30})
    library.forget_old(photos)
    assert photos.describe().missing == 1
    long_ago = sa.text("UPDATE locations SET missing_since = '2020-01-01 00:00:00' WHERE missing_since IS NOT NULL")
    library.stores.catalog.database.write(lambda connection: connection.execute(long_ago))
    library.forget_old(photos)
    assert (photos.describe().missing, photos.count(), photos.empty()) == (0, 1, False)


def test_a_folder_that_moved_is_known_where_it_is_and_not_where_it_was(library: Library, add: Add, photos_folder: Path) -> None:
    begun = add({f"old/{n}.jpg": axis(1, n) for n in range(12)} | {"kept/k.jpg": axis(0, 1)})
    photos = library.collection("photos")
    (photos_folder / "old").rename(photos_folder / "new")
    moved = [new_image(photos_folder / f"new/{n}.jpg", str(photos_folder / f"old/{n}.jpg"), write=False) for n in range(12)]
    assert {entry.status for entry in photos.begin(moved)} == {"known"}
    photos.sweep(photos_folder / "new")
    for entry in begun[:12]:
        assert Path(photos.image(entry.id).path).parent.name == "new"
    assert names(library, folder=str(photos_folder / "old")) == []
    assert len(names(library, folder=str(photos_folder / "new"))) == 12
    assert (photos.count(), photos.describe().missing) == (13, 0)
    assert check(library).clean


@EVERY_PAIR
def test_a_folder_is_relocated_in_every_collection_at_once(library: Library, add: Add, photos_folder: Path) -> None:
    begun = add({f"old/{n}.jpg": axis(1, n) for n in range(6)} | {"older/x.jpg": axis(0, 1)})
    add({"old/sub/deep.jpg": axis(1)}, "second")
    (photos_folder / "old").rename(photos_folder / "new")
    photos = library.collection("photos")
    photos.sweep(photos_folder)
    assert photos.describe().missing == 6
    (photos_folder / "new/5.jpg").unlink()
    # One was imported from its new place before, another was replaced there by other content.
    photos.begin([new_image(photos_folder / "new/0.jpg", str(photos_folder / "old/0.jpg"), write=False)])
    other = photos.begin([new_image(photos_folder / "new/1.jpg", "other")])
    photos.finish([other[0].id], axis(0, 0, 1)[None])

    for path in photos_folder.rglob("*.jpg"):
        os.utime(path, ns=(1, 1))
    done = relocate(library, str(photos_folder / "old"), str(photos_folder / "new"))
    assert (done.images, done.places, done.missing) == (6, 6, 1)
    paths = {entry.id: photos.image(entry.id).paths for entry in begun}
    assert paths[begun[0].id] == (str(photos_folder / "new/0.jpg"),)
    assert paths[begun[1].id] == (str(photos_folder / "old/1.jpg"),), "its new place has other content"
    assert paths[begun[2].id] == (str(photos_folder / "new/2.jpg"),)
    assert paths[begun[6].id] == (str(photos_folder / "older/x.jpg"),)
    assert len(names(library, folder=str(photos_folder / "new"))) == 5
    assert photos.describe().missing == 2
    assert library.find_path(str(photos_folder / "new/sub/deep.jpg")) is not None
    assert check(library).clean
    with pytest.raises(NotFound, match="No picture"):
        relocate(library, "/nowhere", str(photos_folder / "new"))


@EVERY_PAIR
def test_what_was_not_moved_stays_where_it_is(library: Library, add: Add, photos_folder: Path) -> None:
    begun = add({f"old/{n}.jpg": axis(1, n) for n in range(4)})
    for path in photos_folder.rglob("*.jpg"):
        os.utime(path, ns=(1, 1))
    old, new = photos_folder / "old", photos_folder / "old" / "new"
    new.mkdir()
    with pytest.raises(Conflict, match="still there"):
        relocate(library, str(old), str(new))
    (old / "0.jpg").rename(new / "0.jpg")
    done = relocate(library, str(old), str(new))
    assert (done.images, done.places, done.missing) == (1, 1, 0)
    photos = library.collection("photos")
    assert [photos.image(entry.id).path for entry in begun] == [str(new / "0.jpg"), *(str(old / f"{n}.jpg") for n in (1, 2, 3))]
    assert photos.describe().missing == 0


def test_one_deleted_file_is_no_missing_drive(library: Library, add: Add, photos_folder: Path) -> None:
    add({f"{n}.jpg": axis(1, n) for n in range(4)})
    gone = photos_folder / "0.jpg"
    gone.unlink()
    swept = library.collection("photos").look(photos_folder, only=lambda path: path == str(gone))
    assert (swept.images, swept.suspicions) == (1, ())
