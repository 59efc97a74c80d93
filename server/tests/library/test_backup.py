"""A library moves from the embedded stores to servers and back in one file."""

from __future__ import annotations

import json
import random
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from tests.library.conftest import ENCODER, axis, new_image, search
from tsir.errors import Conflict, InvalidInput
from tsir.library.backup import backup, restore
from tsir.library.check import check
from tsir.library.library import Library
from tsir.records import Begun, EncoderInfo, Hit
from tsir.settings import Settings
from tsir.storage.filters import Filter

Add = Callable[..., list[Begun]]


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Library]:
    """A second library, embedded."""
    with Library.open(Settings(data_dir=tmp_path / "other", _env_file=None)) as library:  # type: ignore[call-arg]
        yield library


def shown(hits: list[Hit]) -> list[tuple[object, ...]]:
    """Everything of the hits but their ids, which a restored library gives anew."""
    return [
        (hit.score, hit.image.paths, hit.image.content_hash, hit.image.metadata, hit.image.created_at, hit.vector.tobytes()) for hit in hits
    ]


def test_library_moves_there_and_back_with_identical_results(library: Library, other: Library, photos_folder: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(random.randrange(10**6))
    rows = rng.standard_normal((600, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    taken = datetime(2020, 1, 1, tzinfo=timezone.utc)
    library.create("photos", ENCODER)
    library.create("empty", EncoderInfo("other", "beef", 3))
    items = [
        # the first 25 of each 200 are the same pictures
        new_image(
            photos_folder / f"{n % 3}/{n}.jpg", f"{n % 200}" if n % 200 < 25 else None, taken_at=taken if n % 2 else None, write=False
        )
        for n in range(600)
    ]
    for start in range(0, 600, 200):
        begun = library.collection("photos").begin(items[start : start + 200])
        library.collection("photos").finish([entry.id for entry in begun], rows[start : start + 200])
    queries = [(row, filter) for row in rows[:5] for filter in (None, Filter(taken_after=taken, folder=str(photos_folder / "1")))]
    wanted = [shown(search(library, "photos", row, 20, 5, filter)) for row, filter in queries]
    listed = [image.paths for image in library.collection("photos").images(limit=1000)[0]]
    assert {tuple(places) for places in listed if len(places) > 1} == {
        tuple(items[n + start].file.path for start in (0, 200, 400)) for n in range(25)
    }

    backup(library, tmp_path / "there.zip")
    assert restore(other, tmp_path / "there.zip") == ["empty", "photos"]
    assert [shown(search(other, "photos", row, 20, 5, filter)) for row, filter in queries] == wanted
    assert [image.paths for image in other.collection("photos").images(limit=1000)[0]] == listed
    assert other.collection("empty").encoder == EncoderInfo("other", "beef", 3)
    assert check(other).notes[:1] == check(library).notes[:1]

    library.drop("photos")
    library.drop("empty")
    backup(other, tmp_path / "back.zip")
    restore(library, tmp_path / "back.zip")
    assert [shown(search(library, "photos", row, 20, 5, filter)) for row, filter in queries] == wanted
    assert library.collection("photos").describe().count == 550
    assert library.collection("photos").describe().pending == 0


def test_uploads_move_along_with_their_pictures(library: Library, other: Library, photos_folder: Path, tmp_path: Path) -> None:
    library.create("photos", ENCODER)
    upload = library.files.uploads.save(b"upload", "PNG")
    gone = new_image(photos_folder / "gone.jpg", "gone")
    items = [new_image(upload, "upload", write=False), new_image(photos_folder / "stays.jpg", "stays"), gone]
    begun = library.collection("photos").begin(items)
    library.collection("photos").finish([entry.id for entry in begun], np.stack([axis(1), axis(1, 0.1), axis(1, 0.2)]))
    backup(library, tmp_path / "all.zip", pictures=True)
    (photos_folder / "gone.jpg").unlink()
    restore(other, tmp_path / "all.zip")
    restored = [Path(hit.image.path) for hit in search(other, "photos", axis(1), 10)]
    assert [path.read_bytes() for path in restored] == [b"upload", b"stays", b"gone"]
    assert [other.files.uploads.holds(str(path)) for path in restored] == [True, False, True]
    assert check(other).clean


def test_uploads_outlive_a_failed_restore(library: Library, add: Add, other: Library, tmp_path: Path) -> None:
    add({"z.jpg": axis(1)}, name="zebras")
    upload = library.files.uploads.save(b"upload", "PNG")
    library.create("photos", ENCODER)
    begun = library.collection("photos").begin([new_image(upload, "upload", write=False)])
    library.collection("photos").finish([begun[0].id], axis(1)[None])
    backup(library, tmp_path / "good.zip")
    with zipfile.ZipFile(tmp_path / "good.zip") as source, zipfile.ZipFile(tmp_path / "bad.zip", "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name)[: -4 if name == "collections/1/000000.npy" else None])
    there = other.files.uploads.folder / upload.relative_to(library.files.uploads.folder)
    there.parent.mkdir(parents=True, exist_ok=True)
    there.write_bytes(b"upload")
    with pytest.raises(InvalidInput):
        restore(other, tmp_path / "bad.zip")
    assert there.read_bytes() == b"upload"
    assert other.stores.catalog.collections.refs() == []


def test_existing_collections_are_never_touched(library: Library, add: Add, tmp_path: Path) -> None:
    add({"a.jpg": axis(1)})
    library.create("another", ENCODER)
    backup(library, tmp_path / "x.zip")
    library.drop("another")
    with pytest.raises(Conflict, match="photos"):
        restore(library, tmp_path / "x.zip")
    assert [collection.name for collection in library.collections()] == ["photos"]
    assert check(library).clean


@pytest.mark.parametrize("damage", ["missing", "foreign", "truncated", "manifest", "vectors", "rows", "newer", "escape"])
def test_damaged_archives_are_refused_and_leave_nothing(library: Library, add: Add, other: Library, tmp_path: Path, damage: str) -> None:
    add({"a.jpg": axis(1)})
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    backup(library, good)
    if damage == "foreign":
        bad.write_bytes(b"no archive")
    elif damage == "truncated":
        bad.write_bytes(good.read_bytes()[:-100])
    elif damage != "missing":
        with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
            for name in source.namelist():
                data = source.read(name)
                if damage == "manifest" and name == "manifest.json":
                    continue
                if damage == "vectors" and name.endswith(".npy"):
                    data = data[:-4]
                if damage == "rows" and name.endswith(".jsonl"):
                    data = b"[1, 2]"
                if damage == "newer" and name == "manifest.json":
                    data = json.dumps(json.loads(data) | {"format": 2}).encode()
                if damage == "escape" and name.endswith(".jsonl"):
                    data = json.dumps(json.loads(data) | {"places": [{"upload": "../../x.jpg", "bytes": 1, "mtime_ns": 1}]}).encode()
                target.writestr(name, data)
    with pytest.raises(InvalidInput):
        restore(other, bad)
    assert other.stores.catalog.collections.refs() == []
    assert other.stores.vectors.names(other.stores.vectors_prefix()) == []


def test_an_archive_that_cannot_be_written_is_an_error_with_a_sentence(library: Library, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be written"):
        backup(library, tmp_path / "none" / "x.zip")
