"""Uploads are only copies: no check, no move of the data folder and no old catalog may cost one."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from tests.library.conftest import ENCODER, axis, new_image
from tsir.errors import StoreUnavailable
from tsir.library.check import check
from tsir.library.library import Library
from tsir.library.restoring import restore
from tsir.media.trash import KEPT_DAYS, NOTE
from tsir.settings import Settings


def send(library: Library, *contents: str) -> list[Path]:
    """Uploaded pictures, imported."""
    library.create("photos", ENCODER)
    paths = [library.files.uploads.save(content.encode(), "JPEG") for content in contents]
    items = [new_image(path, content, write=False) for path, content in zip(paths, contents, strict=True)]
    begun = library.collection("photos").begin(items)
    library.collection("photos").finish([entry.id for entry in begun], np.stack([axis(1, n) for n in range(len(items))]))
    return paths


def age(*paths: Path, days: float = 2) -> None:
    old = time.time() - days * 86_400
    for path in paths:
        os.utime(path, (old, old))


def contents(folder: Path) -> set[str]:
    return {path.read_text() for path in folder.rglob("*") if path.is_file() and not path.name.endswith(NOTE)}


def test_a_moved_data_folder_keeps_its_uploads(settings: Settings, tmp_path: Path) -> None:
    if not settings.vectors_embedded:
        return
    with Library.open(settings) as library:
        age(*send(library, "a", "b"))
    shutil.move(settings.data_dir, tmp_path / "elsewhere")
    with Library.open(settings.model_copy(update={"data_dir": tmp_path / "elsewhere"})) as library:
        assert check(library, repair=True).clean
        assert library.collection("photos").count() == 2
        assert contents(library.files.uploads.folder) == {"a", "b"}
        for image in library.collection("photos").images()[0]:
            assert Path(image.path).is_file()


def test_a_check_moves_uploads_that_the_catalog_does_not_name_to_the_trash(library: Library) -> None:
    send(library, "known")
    strays = [library.files.uploads.save(content, "JPEG") for content in (b"one", b"two")]
    unfinished = strays[0].with_name("x.0123abcd.tmp")
    unfinished.write_bytes(b"thr")
    age(*strays, unfinished)
    assert check(library).problems == ("3 uploaded files belong to no image.",)
    report = check(library, repair=True)
    assert any(str(library.files.trash.folder) in note for note in report.notes)
    assert contents(library.files.trash.folder) == {"one", "two"}
    assert contents(library.files.uploads.folder) == {"known"}
    notes = {path.name: path.read_text() for path in library.files.trash.folder.glob(f"*{NOTE}")}
    assert all(f"from: {path}\n" in notes[path.name + NOTE] for path in strays)
    assert check(library, repair=True).clean


def test_the_trash_is_emptied_of_what_lay_there_for_a_month(library: Library) -> None:
    send(library, "known")
    for content, days in (("old", KEPT_DAYS + 1), ("young", KEPT_DAYS - 1)):
        path = library.files.uploads.save(content.encode(), "JPEG")
        kept = library.files.trash.put(path, "a test")
        age(kept.with_name(kept.name + NOTE), days=days)
    assert any("gone" in note for note in check(library, repair=True).notes)
    assert contents(library.files.trash.folder) == {"young"}
    assert len(list(library.files.trash.folder.iterdir())) == 2


@pytest.mark.parametrize("settings", ["embedded", pytest.param("lite+mariadb", marks=pytest.mark.services)], indirect=True)
def test_what_is_taken_out_comes_back_with_its_number_its_file_and_its_vector(library: Library, photos_folder: Path) -> None:
    paths = send(library, "a", "b", "c")
    photos = library.collection("photos")
    (folder,) = photos.begin([new_image(photos_folder / "d.jpg", "d")])
    photos.finish([folder.id], axis(0, 1)[None])
    before = {image.id: image for image in photos.images()[0]}
    vectors = photos.vectors(list(before))
    assert photos.only_copies() == (4, 3)
    removed = photos.remove([*before, 999])
    assert (removed.images, removed.only_copies, photos.describe().excluded) == (4, 3, 1)
    assert contents(library.files.uploads.folder) == set()
    assert check(library).clean
    assert removed.trash is not None
    restored = restore(library, removed.trash)
    assert (restored.images, restored.waiting, restored.lost) == (4, (), 0)
    assert {image.id: image for image in photos.images()[0]} == before
    assert all((photos.vectors([id])[id] == vector).all() for id, vector in vectors.items())
    assert all(path.is_file() for path in paths)
    assert check(library).clean

    dropped = library.drop("photos")
    assert (dropped.images, dropped.only_copies) == (4, 3)
    assert dropped.trash is not None
    (library.files.trash.folder / paths[0].name).unlink()
    restored = restore(library, dropped.trash)
    assert (restored.collection, restored.images, restored.lost) == ("photos", 2, 1)
    assert library.collection("photos").count() == 2


def test_uploads_whose_disk_was_away_are_all_there_when_it_is_back(library: Library, tmp_path: Path) -> None:
    paths = send(library, "a", "b", "c")
    age(*paths)
    uploads = library.files.uploads.folder
    shutil.move(uploads, tmp_path / "away")
    assert f"3 uploaded files of photos are not in {uploads}: is a drive missing?" in check(library, repair=True).problems
    assert library.collection("photos").describe().missing == 3
    shutil.move(tmp_path / "away", library.files.uploads.folder)
    for _ in range(2):
        check(library, repair=True)
    assert contents(library.files.uploads.folder) == {"a", "b", "c"}
    assert not library.files.trash.folder.exists()


def test_nothing_is_written_where_the_disk_of_the_uploads_belongs(library: Library, tmp_path: Path) -> None:
    send(library, "a", "b")
    uploads = library.files.uploads.folder
    shutil.move(uploads, tmp_path / "away")
    uploads.mkdir()
    removed = library.collection("photos").remove([library.collection("photos").images()[0][0].id])
    assert removed.trash is not None
    with pytest.raises(StoreUnavailable, match="is a drive missing"):
        library.files.uploads.save(b"c", "JPEG")
    with pytest.raises(StoreUnavailable, match="is a drive missing"):
        restore(library, removed.trash)
    assert not list(uploads.iterdir())
    uploads.rmdir()
    shutil.move(tmp_path / "away", uploads)
    library.files.uploads.save(b"c", "JPEG")
    assert restore(library, removed.trash).lost == 0
    assert contents(uploads) == {"a", "b", "c"}
    shutil.rmtree(uploads)
    check(library, repair=True)
    with pytest.raises(StoreUnavailable, match=f"is a drive missing.*`tsir forget {uploads}`"):
        library.files.uploads.save(b"d", "JPEG")
    library.collection("photos").forget_missing(uploads)
    assert library.files.uploads.save(b"d", "JPEG").is_file(), "what is known to be lost is waited for no longer"


def test_an_upload_is_adopted_by_the_picture_that_lost_its_file(library: Library) -> None:
    (lost,) = send(library, "a")
    lost.unlink()
    check(library, repair=True)
    again = library.files.uploads.save(b"a", "JPEG")
    age(again)
    assert any("whole again" in note for note in check(library, repair=True).notes)
    (image,) = library.collection("photos").images()[0]
    assert image.path == str(again)
    assert check(library).clean


def test_the_path_of_an_upload_is_known_wherever_the_folder_was(library: Library) -> None:
    path = library.files.uploads.save(b"a", "JPEG")
    before = f"/somewhere/else/uploads/{path.parent.name}/{path.name}"
    assert library.files.uploads.here(before) == library.files.uploads.here(str(path)) == str(path)
    assert library.files.uploads.here("/photos/a.jpg") == "/photos/a.jpg"


def test_lost_uploads_are_forgotten_by_their_folder(library: Library) -> None:
    paths = send(library, "a", "b", "c")
    for path in paths[:2]:
        path.unlink()
    photos, uploads = library.collection("photos"), library.files.uploads.folder
    photos.sweep(uploads)
    assert photos.describe().missing == 2
    assert photos.forget_missing(uploads / "elsewhere").images == 0
    assert photos.forget_missing(paths[0].parent).images in (1, 2), "they may share one"
    photos.forget_missing(uploads.parent)
    assert (photos.describe().missing, photos.count()) == (0, 1)
