"""Files that a disk spoiled: what they were made from is there, so they are made again; what was not is told."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.library.conftest import ENCODER, axis, new_image
from tsir.errors import CatalogDamaged, Conflict, InvalidInput, StoreUnavailable, VectorsDamaged
from tsir.library.check import check
from tsir.library.library import Library
from tsir.settings import Settings
from tsir.storage.milvus import lite
from tsir.storage.sql.copies import Copies

Spoil = Callable[[Path], object]
"""What happens to the folder of a collection's vectors."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", image_roots=str(tmp_path), _env_file=None)  # type: ignore[call-arg]


@pytest.fixture
def filled(settings: Settings, tmp_path: Path) -> Path:
    """Three pictures, their vectors in files; returns the folder of those."""
    with Library.open(settings) as library:
        collection, _ = library.create("photos", ENCODER)
        begun = collection.begin([new_image(tmp_path / f"{n}.jpg") for n in range(3)])
        collection.finish([entry.id for entry in begun], np.stack([axis(1), axis(1, 0.1), axis(1, 0.2)]))
    (folder,) = (settings.data_dir / "vectors.db" / "collections").iterdir()
    return folder


def rows(folder: Path) -> Path:
    (path,) = folder.rglob("*.parquet")
    return path


def only_the_older(folder: Path, content: bytes) -> None:
    """Of the two manifests, as a kill between renaming one and writing the next leaves them."""
    (folder / "manifest.json").unlink()
    (folder / "manifest.json.prev").write_bytes(content)


def replaced(path: Path) -> None:
    shutil.rmtree(path)
    path.write_bytes(b"x")


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda folder: os.truncate(rows(folder), 100), id="truncated"),
        pytest.param(lambda folder: rows(folder).write_bytes(os.urandom(5000)), id="garbage"),
        pytest.param(lambda folder: rows(folder).write_bytes(b""), id="empty"),
        pytest.param(lambda folder: (folder / "manifest.json").write_bytes(os.urandom(300)), id="manifest"),
        pytest.param(lambda folder: only_the_older(folder, b"\x94" * 300), id="older manifest"),
        pytest.param(lambda folder: only_the_older(folder, b'{"current_seq": "none"}'), id="older manifest of another kind"),
        pytest.param(lambda folder: (folder / "schema.json").write_bytes(b"{"), id="schema"),
        pytest.param(lambda folder: replaced(folder.parent), id="folder"),
    ],
)
def test_vectors_that_cannot_be_read_are_told_and_made_again(settings: Settings, filled: Path, spoil: Spoil, tmp_path: Path) -> None:
    spoil(filled)
    with Library.open(settings) as library:
        library.create("photos", ENCODER)
        collection = library.collection("photos")
        with pytest.raises(VectorsDamaged, match=r"tsir check --repair"):
            collection.search(axis(1), 3)
        report = check(library)
        assert [problem for problem in report.problems if "is damaged" in problem], report
        (tmp_path / "2.jpg").rename(tmp_path / "away")
        with pytest.raises(VectorsDamaged, match="files of 1 pictures of 'photos' are not there now"):
            collection.owe()
        (tmp_path / "away").rename(tmp_path / "2.jpg")
        assert collection.owe() == 3
        owed = collection.unfinished(10)
        collection.finish([image.id for image in owed], np.stack([axis(1)] * 3))
        assert check(library).clean
        assert len(collection.search(axis(1), 3)) == 3


@pytest.mark.parametrize("closed", ["*.parquet", "schema.json", "."])
def test_vectors_that_this_user_may_not_read_are_not_called_damaged(settings: Settings, filled: Path, closed: str) -> None:
    path = next(filled.rglob(closed)) if closed != "." else filled.parent
    path.chmod(0)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)
        with pytest.raises(StoreUnavailable, match="Permission denied"):
            lite.damage(settings.vectors_uri)
    finally:
        os.seteuid(user)
        path.chmod(0o700)
    assert lite.damage(settings.vectors_uri) is None


@pytest.mark.parametrize("gone", ["schema.json", "manifest.json", "*.parquet"])
def test_pieces_that_are_missing_are_made_again_by_a_repair(settings: Settings, filled: Path, gone: str) -> None:
    for path in filled.rglob(gone):
        path.unlink()
    with Library.open(settings) as library:
        assert not check(library).clean
        check(library, repair=True)
        collection = library.collection("photos")
        owed = collection.unfinished(10)
        collection.finish([image.id for image in owed], np.stack([axis(1)] * len(owed)))
        assert (len(owed), check(library).clean) == (3, True)


def copies(settings: Settings) -> list[Path]:
    return sorted((settings.data_dir / "backups").glob("catalog-*.db"))


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.write_bytes(os.urandom(path.stat().st_size)), id="garbage"),
        pytest.param(lambda path: os.truncate(path, 20_000), id="truncated"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:4096] + os.urandom(path.stat().st_size - 4096)), id="pages"),
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.unlink(), id="gone"),
    ],
)
def test_a_spoiled_catalog_is_told_and_its_backup_put_back(settings: Settings, filled: Path, spoil: Spoil) -> None:
    spoil(settings.data_dir / "catalog.db")
    (newest,) = copies(settings)
    for _ in range(2):  # and the backup outlives that
        with pytest.raises(CatalogDamaged, match=rf"knows 3 pictures: .*tsir restore {newest}"), Library.open(settings) as library:
            check(library)
    before = Library.restore_catalog(settings, newest)
    assert before is None or before.is_relative_to(settings.data_dir)
    with Library.open(settings) as library:
        assert check(library).clean
        assert len(library.collection("photos").search(axis(1), 3)) == 3
        with pytest.raises(Conflict, match="in use by another process"):
            Library.restore_catalog(settings, newest)
    with pytest.raises(InvalidInput, match="damaged or no catalog"):
        Library.restore_catalog(settings, filled / "schema.json")


def test_a_catalog_that_cannot_be_read_now_is_not_called_damaged(settings: Settings, filled: Path) -> None:
    if not settings.catalog_url.startswith("sqlite"):
        return
    log = settings.data_dir / "catalog.db-wal"
    log.unlink(missing_ok=True)
    log.mkdir()
    with pytest.raises(StoreUnavailable, match="cannot be read"):
        Copies(settings).damage()
    log.rmdir()
    assert Copies(settings).damage() is None


def test_the_catalog_is_copied_every_day_and_old_copies_go(settings: Settings, filled: Path, tmp_path: Path) -> None:
    settings = settings.model_copy(update={"catalog_backups": 2})
    (today,) = copies(settings)
    for day in ("2020-01-01", "2020-01-02"):
        shutil.copy(today, today.with_name(f"catalog-{day}.db"))
    with Library.open(settings) as library:
        collection = library.collection("photos")
        collection.begin([new_image(tmp_path / "new.jpg")])
        library.keep()
        assert copies(settings) == [today.with_name("catalog-2020-01-02.db"), today]
        written = today.read_bytes()
        collection.delete([image.id for image in collection.images()[0]])
        library.keep()  # it knows fewer pictures: the copy of today stays
        assert today.read_bytes() == written
    collection_of_then = Library.restore_catalog(settings, today)
    assert collection_of_then is not None
    with Library.open(settings) as library:
        assert "3 images of photos have no vector." in check(library).problems
