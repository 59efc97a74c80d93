"""One portable file that holds a library: it moves one from the embedded stores to servers and back, and is a backup.

A ZIP (any tool opens it): `manifest.json` (collections and their encoders), and for each collection chunks of up to CHUNK images,
`collections/N/K.jsonl` (a row of the catalog per line) and `collections/N/K.npy` (their vectors, float32 [n, dim]); on request the
pictures themselves, `pictures/HASH`. Uploads are named relative to the uploads folder, other files by their path.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import secrets
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from tsir import __version__
from tsir.errors import Conflict, InvalidInput, TsirError
from tsir.library.library import NAME, Library
from tsir.library.stores import RESTORING
from tsir.media.durable import whole, write_atomic
from tsir.media.files import UPLOAD
from tsir.records import EncoderInfo, FileStat, Image, ImageMetadata, NewImage, Vectors
from tsir.storage.sql.collections import Ref

FORMAT = 1
CHUNK = 1_000
_DAMAGE = (OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, ValueError, TypeError, AttributeError, RuntimeError)
"""What reading a file that is not what it should be raises."""


def backup(library: Library, path: Path, pictures: bool = False) -> None:
    """Write everything (catalog rows, vectors, encoder; pictures on request) to one portable archive file.

    Images that become ready while it runs may be missing from it. Raises InvalidInput when the file cannot be written.
    """
    try:
        with whole(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            entries = []
            saved: set[str] = set()
            for number, ref in enumerate(library.stores.catalog.collections.refs("ready")):
                count = chunk = after = 0
                while images := library.stores.catalog.images.page(ref, CHUNK, after=after):
                    after = images[-1].id
                    count += _write_chunk(library, archive, ref, f"collections/{number}/{chunk:06}", images)
                    chunk += 1
                    if pictures:
                        for image in images:
                            _write_picture(archive, image, saved)
                encoder = {"name": ref.encoder.name, "fingerprint": ref.encoder.fingerprint, "dim": ref.encoder.dim}
                entries.append({"name": ref.name, "encoder": encoder, "images": count, "chunks": chunk})
            manifest = {
                "format": FORMAT,
                "tsir": __version__,
                "created_at": datetime.now(timezone.utc).isoformat(),
                "pictures": pictures,
                "collections": entries,
            }
            archive.writestr("manifest.json", json.dumps(manifest, indent=2))
    except OSError as error:
        raise InvalidInput(f"The archive {str(path)!r} cannot be written: {error.strerror or error}.") from error


def _write_chunk(library: Library, archive: zipfile.ZipFile, ref: Ref, name: str, images: list[Image]) -> int:
    """Rows and vectors of images that have one; returns how many that are."""
    vectors = library.stores.vectors.get(library.stores.vectors_name(ref), [image.id for image in images], "Strong")
    kept = [image for image in images if image.id in vectors]
    places = library.stores.catalog.locations.file_stats([image.id for image in kept])
    lines = []
    for image in kept:
        row = {
            "content_hash": image.content_hash,
            **asdict(image.metadata),
            "taken_at": image.metadata.taken_at.isoformat() if image.metadata.taken_at else None,
            "created_at": image.created_at.isoformat(),
            "places": [_place(library, file) for file in places.get(image.id, [])],
        }
        lines.append(json.dumps(row))
    archive.writestr(f"{name}.jsonl", "\n".join(lines))
    buffer = io.BytesIO()
    rows = np.stack([vectors[image.id] for image in kept]) if kept else np.zeros((0, ref.encoder.dim), dtype=np.float32)
    np.save(buffer, rows, allow_pickle=False)
    archive.writestr(f"{name}.npy", buffer.getvalue(), compress_type=zipfile.ZIP_STORED)  # floats do not compress
    return len(kept)


def _place(library: Library, file: FileStat) -> dict[str, Any]:
    if library.files.uploads.holds(file.path):
        return {
            "upload": Path(file.path).relative_to(library.files.uploads.folder).as_posix(),
            "bytes": file.bytes,
            "mtime_ns": file.mtime_ns,
        }
    return {"path": file.path, "bytes": file.bytes, "mtime_ns": file.mtime_ns}


def _write_picture(archive: zipfile.ZipFile, image: Image, saved: set[str]) -> None:
    if image.content_hash in saved:
        return
    for path in image.paths:
        try:
            data = Path(path).read_bytes()
        except OSError:
            continue
        if hashlib.sha256(data).hexdigest() == image.content_hash:  # changed files are left for the next import
            archive.writestr(f"pictures/{image.content_hash}", data, compress_type=zipfile.ZIP_STORED)
            saved.add(image.content_hash)
            return


def restore(library: Library, path: Path) -> list[str]:
    """Add the collections of an archive, all or none; returns their names.

    Raises Conflict when a name is taken, InvalidInput for a damaged archive.
    """
    with _reading(path), zipfile.ZipFile(path) as archive:
        entries = _manifest(archive)
        existing = {collection.name for collection in library.handles()}
        for name, _, _ in entries:
            if name in existing:
                raise Conflict(f"There is a collection {name!r} already. Drop it, or restore into another library.")
        pictures = {name.removeprefix("pictures/") for name in archive.namelist() if name.startswith("pictures/")}
        names: dict[int, str] = {}
        try:
            for number, (name, encoder, chunks) in enumerate(entries):
                # Hidden under a name that nobody can guess until everything is there.
                ref, _ = library.stores.catalog.collections.create(
                    f"{RESTORING}{secrets.token_hex(16)}", encoder, library.stores.index_for(0), "restoring"
                )
                names[ref.id] = name
                library.stores.make_room(ref)
                for chunk in range(chunks):
                    _read_chunk(library, archive, ref, f"collections/{number}/{chunk:06}", pictures)
            library.stores.catalog.collections.reveal(names)
        except BaseException:
            for id in names:
                library.stores.catalog.collections.abandon(id)
            library.finish_deletions()
            raise
    return sorted(names.values())


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What a damaged or foreign file does to the reader, said in a sentence."""
    try:
        yield
    except TsirError:
        raise
    except FileNotFoundError as error:
        raise InvalidInput(f"There is no file {str(path)!r}.") from error
    except _DAMAGE as error:
        raise InvalidInput(f"{str(path)!r} is damaged or no archive of tsir backup: {error}") from error


def _manifest(archive: zipfile.ZipFile) -> list[tuple[str, EncoderInfo, int]]:
    """(name, encoder, number of chunks) of each collection."""
    manifest = json.loads(archive.read("manifest.json"))
    if manifest["format"] != FORMAT:
        raise InvalidInput(
            f"The archive was written by another version of tsir ({manifest['tsir']}, format {manifest['format']}). Update tsir."
        )
    entries = []
    for entry in manifest["collections"]:
        name = str(entry["name"])
        if not NAME.fullmatch(name):
            raise InvalidInput(f"The archive names a collection {name!r}.")
        encoder = EncoderInfo(str(entry["encoder"]["name"]), str(entry["encoder"]["fingerprint"]), int(entry["encoder"]["dim"]))
        entries.append((name, encoder, int(entry["chunks"])))
    return entries


def _read_chunk(library: Library, archive: zipfile.ZipFile, ref: Ref, name: str, pictures: set[str]) -> None:
    rows = [json.loads(line) for line in archive.read(f"{name}.jsonl").decode().splitlines() if line]
    vectors: Vectors = np.load(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)
    if vectors.shape != (len(rows), ref.encoder.dim) or vectors.dtype != np.float32:
        raise ValueError(f"{name}.npy has vectors {vectors.dtype} {list(vectors.shape)} for {len(rows)} rows")
    items: list[NewImage] = []
    first: list[int] = []
    """Index of the first item of each row."""
    created: dict[str, datetime] = {}
    for row in rows:
        first.append(len(items))
        content_hash = row["content_hash"]
        if not re.fullmatch("[0-9a-f]{64}", content_hash):
            raise ValueError(f"{content_hash!r} is no content hash")
        created[content_hash] = datetime.fromisoformat(row["created_at"])
        metadata = ImageMetadata(
            width=int(row["width"]),
            height=int(row["height"]),
            format=str(row["format"]),
            taken_at=datetime.fromisoformat(row["taken_at"]) if row["taken_at"] else None,
            camera=row["camera"],
            latitude=row["latitude"],
            longitude=row["longitude"],
        )
        items += [NewImage(file, content_hash, metadata) for file in _files(library, archive, row, pictures)]
    collection = library.handle(ref)
    begun = collection.begin(items, created)
    collection.finish([begun[index].id for index in first], vectors)


def _files(library: Library, archive: zipfile.ZipFile, row: dict[str, Any], pictures: set[str]) -> list[FileStat]:
    """Where the picture lies from now on. One that the archive carries is put among the uploads unless it lies in its old place."""
    found = []
    carried = row["content_hash"] in pictures
    for place in row["places"]:
        upload = place.get("upload")
        if upload is None:
            path = Path(place["path"])
            if carried and not _same_size(path, place["bytes"]):
                continue
        elif UPLOAD.fullmatch(upload):  # what else an archive calls an upload is not written to
            path = library.files.uploads.folder / upload
            if carried and not _same_size(path, place["bytes"]):
                write_atomic(path, _picture(archive, row["content_hash"]), durable=True)
        else:
            raise ValueError(f"{upload!r} is no name of an upload")
        found.append(FileStat(str(path), int(place["bytes"]), int(place["mtime_ns"])))
    if not found:
        if not carried:
            raise ValueError(f"the picture {row['content_hash']} lies nowhere")
        path = library.files.uploads.save(_picture(archive, row["content_hash"]), str(row["format"]))
        stat = path.stat()
        found.append(FileStat(str(path), stat.st_size, stat.st_mtime_ns))
    return found


def _same_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _picture(archive: zipfile.ZipFile, content_hash: str) -> bytes:
    data = archive.read(f"pictures/{content_hash}")
    if hashlib.sha256(data).hexdigest() != content_hash:
        raise ValueError(f"the picture {content_hash} is damaged")
    return data
