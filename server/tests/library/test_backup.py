"""A library moves from the embedded stores to servers and back in one file."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import random
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from tests.library.conftest import ENCODER, axis, new_image, search
from tsir.errors import Conflict, InvalidInput
from tsir.library import restoring
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
    assert restore(other, tmp_path / "there.zip").collections == ["empty", "photos"]
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


def add_upload(library: Library, data: bytes, vector: np.ndarray) -> Path:
    """A picture that was sent, in the collection "photos"."""
    library.create("photos", ENCODER)
    path = library.files.uploads.save(data, "PNG")
    collection = library.collection("photos")
    begun = collection.begin([dataclasses.replace(new_image(path, write=False), content_hash=hashlib.sha256(data).hexdigest())])
    collection.finish([begun[0].id], vector[None])
    return path


@pytest.mark.parametrize("settings", ["embedded"], indirect=True)
def test_uploads_are_in_it_unless_they_are_left_out(library: Library, other: Library, tmp_path: Path) -> None:
    add_upload(library, b"one", axis(1))
    add_upload(library, b"two", axis(2))
    held = backup(library, tmp_path / "all.zip")
    assert (held.images, held.uploads, held.files, held.left_out) == (2, 2, 2, 0)
    without = backup(library, tmp_path / "bare.zip", uploads=False)
    assert (without.images, without.uploads, without.files, without.left_out) == (2, 2, 0, 2)
    there = restore(other, tmp_path / "bare.zip")
    assert (there.images, there.uploads, there.left_out) == (2, 2, 2)
    assert (other.collection("photos").describe().count, other.collection("photos").describe().missing) == (0, 2)
    other.files.uploads.save(b"three", "PNG")
    other.drop("photos")
    there = restore(other, tmp_path / "all.zip")
    assert (there.images, there.uploads, there.left_out) == (2, 2, 0)
    restored = [Path(hit.image.path) for hit in search(other, "photos", axis(1), 10)]
    assert [path.read_bytes() for path in restored] == [b"one", b"two"]
    assert all(path.is_relative_to(other.files.uploads.folder) for path in restored)
    assert check(other).clean


def test_what_a_killed_backup_left_is_cleared_by_a_later_one(library: Library, add: Add, tmp_path: Path) -> None:
    add({"a.jpg": axis(1)})
    left = tmp_path / "x.zip.0123abcd.tmp"
    others = [tmp_path / f"{name}.tmp" for name in ("x.zip.4567abcd", "x.zip.mine", "y.zip.0123abcd")]
    for path in (left, *others):
        path.write_bytes(b"PK")
    for path in (left, *others[1:]):
        os.utime(path, (1, 1))
    backup(library, tmp_path / "x.zip")
    assert not left.exists()
    assert all(path.exists() for path in others), "one that is being written, and what is no archive's"


def test_less_than_the_catalog_has_never_takes_the_place_of_an_archive(library: Library, add: Add, tmp_path: Path) -> None:
    begun = add({"a.jpg": axis(1), "b.jpg": axis(2)})
    sent = add_upload(library, b"sent", axis(3))
    backup(library, tmp_path / "x.zip")
    good = (tmp_path / "x.zip").read_bytes()
    sent.rename(tmp_path / "away")
    with pytest.raises(Conflict, match=r"1 uploaded pictures of 'photos' are not in .*nothing was written"):
        backup(library, tmp_path / "x.zip")
    (tmp_path / "away").rename(sent)
    ref = library.collection("photos").ref
    library.stores.vectors.delete(library.stores.vectors_name(ref), [begun[0].id])
    with pytest.raises(Conflict, match=r"1 of 3 pictures of 'photos' have no vector.*nothing was written"):
        backup(library, tmp_path / "x.zip")
    library.stores.vectors.drop(library.stores.vectors_name(ref))
    with pytest.raises(Conflict, match="3 of 3 pictures"):
        backup(library, tmp_path / "x.zip")
    assert [path.name for path in tmp_path.glob("x.zip*")] == ["x.zip"]
    assert (tmp_path / "x.zip").read_bytes() == good


@pytest.mark.parametrize("settings", ["embedded"], indirect=True)
def test_an_archive_that_holds_less_than_it_says_is_refused(library: Library, add: Add, other: Library, tmp_path: Path) -> None:
    add({"a.jpg": axis(1), "b.jpg": axis(2)})
    backup(library, tmp_path / "good.zip")
    with zipfile.ZipFile(tmp_path / "good.zip") as source, zipfile.ZipFile(tmp_path / "less.zip", "w") as target:
        rows = source.read("collections/0/000000.jsonl").splitlines()
        vectors = np.load(io.BytesIO(source.read("collections/0/000000.npy")))
        np.save(buffer := io.BytesIO(), vectors[:1])
        target.writestr("collections/0/000000.jsonl", rows[0])
        target.writestr("collections/0/000000.npy", buffer.getvalue())
        target.writestr("manifest.json", source.read("manifest.json"))
    with pytest.raises(InvalidInput, match="'photos' should have 2 pictures, but 1 rows and 1 vectors"):
        restore(other, tmp_path / "less.zip")
    assert other.stores.catalog.collections.refs() == []


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


def test_what_was_taken_out_stays_out_and_the_trash_moves_along(
    library: Library, other: Library, photos_folder: Path, tmp_path: Path
) -> None:
    path = add_upload(library, b"upload", axis(1))
    collection = library.collection("photos")
    begun = collection.begin([new_image(photos_folder / "out.jpg", "out"), new_image(photos_folder / "in.jpg", "in")])
    collection.finish([entry.id for entry in begun], np.stack([axis(2), axis(3)]))
    upload = next(iter(collection.at([str(path)]).values()))
    entry = collection.remove([upload, begun[0].id]).trash
    assert entry is not None
    held = backup(library, tmp_path / "all.zip")
    assert (held.images, held.excluded, held.trash) == (1, 1, 2)
    came = restore(other, tmp_path / "all.zip")
    assert (came.images, came.excluded, came.trash) == (1, 1, 2)
    assert (other.collection("photos").describe().count, other.collection("photos").describe().excluded) == (1, 1)
    known = new_image(photos_folder / "out.jpg", "out", write=False)
    assert other.collection("photos").unchanged([known.file]) == {known.file.path}
    assert check(other).clean
    back = restoring.restore(other, entry)
    assert (back.images, back.lost) == (2, 0)
    assert other.files.uploads.folder.joinpath(path.parent.name, path.name).read_bytes() == b"upload"
    assert other.collection("photos").describe().count == 3
    assert backup(library, tmp_path / "less.zip", uploads=False).trash == 0
