"""One portable file that holds a library: it moves one from the embedded stores to servers and back, and is a backup.

A ZIP (any tool opens it): `manifest.json` (collections, their encoders and counts), and for each collection chunks of up to CHUNK images,
`collections/N/K.jsonl` (a row of the catalog per line) and `collections/N/K.npy` (their vectors, float32 [n, dim]); uploaded pictures
unless they are left out, and on request all others, `pictures/HASH`. Uploads are named relative to the uploads folder, other files by
their path. `collections/N/excluded.jsonl` has the rows of pictures that were taken out and lie in folders, `trash/NAME` the files of the
trash, unless uploads are left out.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import secrets
import shutil
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tsir import __version__
from tsir.errors import Conflict, DiskFull, InvalidInput, TsirError
from tsir.library.collection import Collection
from tsir.library.library import NAME, Library
from tsir.library.stores import RESTORING
from tsir.media.durable import TEMPORARY, clear, whole, write_atomic
from tsir.media.files import UPLOAD
from tsir.records import EncoderInfo, FileStat, Image, ImageMetadata, NewImage, Vectors
from tsir.storage.milvus.client import NoSuchVectors
from tsir.storage.sql.collections import Ref
from tsir.storage.sql.values import clock, offset, taken

FORMAT = 1
CHUNK = 1_000
ABANDONED_S = 3600  # that nobody writes on an archive that is not whole
EXCLUDED, TRASH = "excluded.jsonl", "trash/"
TRASHED = re.compile(r"[^./\0][^/\0]*")
"""Names of files in the trash."""
_DAMAGE = (OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, ValueError, TypeError, AttributeError, RuntimeError)
"""What reading a file that is not what it should be raises."""


@dataclass
class Archived:
    """What an archive holds, or what of it was restored."""

    collections: list[str]
    """Names, sorted."""
    images: int = 0
    """Rows, each with its vector."""
    uploads: int = 0
    """Uploaded files that are among the rows' places."""
    left_out: int = 0
    """Of these, how many the archive does not hold."""
    absent: int = 0
    """Uploaded files that were lost before: rows name them, but they were not there."""
    pending: int = 0
    """Pictures without a vector: not in the archive."""
    files: int = 0
    """Pictures that the archive holds as files."""
    excluded: int = 0
    """Pictures that were taken out and lie in folders: rows without vectors."""
    trash: int = 0
    """Files of the trash, entries and notes among them."""


def backup(library: Library, path: Path, *, uploads: bool = True, pictures: bool = False) -> Archived:
    """Write everything (catalog rows, vectors, encoder, uploaded pictures; others on request) to one portable archive file.

    Works while pictures come and go: those that become ready meanwhile may be missing from it. A file at `path` is replaced only by an
    archive that holds all that the catalog has. Raises Conflict when vectors or uploaded files are lost, InvalidInput when the file cannot
    be written, and DiskFull.
    """
    try:
        clear(path, time.time() - ABANDONED_S)
        with whole(path) as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                held = _Writer(library, archive, uploads, pictures).write()
            file.seek(0)
            _verify(file, held, path)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull(f"The disk of {str(path.parent)!r} is full: the archive does not fit. Nothing was written.") from error
        raise InvalidInput(f"The archive {str(path)!r} cannot be written: {error.strerror or error}.") from error
    return held


class _Writer:
    """Writes one archive, and counts."""

    def __init__(self, library: Library, archive: zipfile.ZipFile, uploads: bool, pictures: bool) -> None:
        self._library = library
        self._archive = archive
        self._uploads = uploads
        self._pictures = pictures
        self._saved: set[str] = set()
        """Content hashes of the pictures that the archive holds."""
        self._held = Archived([])

    def write(self) -> Archived:
        entries = []
        for number, ref in enumerate(self._library.stores.catalog.collections.refs("ready")):
            entries.append(self._collection(ref, f"collections/{number}"))
            self._held.pending += self._library.stores.catalog.collections.count(ref.id, state="pending")
        if self._uploads:
            self._trash()
        self._held.collections = sorted(entry["name"] for entry in entries)
        manifest = {
            "format": FORMAT,
            "tsir": __version__,
            "created_at": datetime.now(timezone.utc).isoformat(),
            "pictures": self._pictures,
            "uploads": self._held.uploads,
            "left_out": self._held.left_out,
            "collections": entries,
        }
        self._archive.writestr("manifest.json", json.dumps(manifest, indent=2))
        return self._held

    def _collection(self, ref: Ref, name: str) -> dict[str, Any]:
        images = self._library.stores.catalog.images
        count = chunk = after = lost = absent = 0
        while page := images.page(ref, CHUNK, after=after):
            after = page[-1].id
            vectors = self._vectors(ref, page)
            kept = [image for image in page if image.id in vectors]
            # A row that was deleted while its vector was read is no loss.
            lost += len(images.ready(ref, [image.id for image in page if image.id not in vectors]))
            absent += self._chunk(ref, f"{name}/{chunk:06}", kept, vectors)
            count += len(kept)
            chunk += 1
        if lost:
            raise Conflict(
                f"{lost:,} of {count + lost:,} pictures of {ref.name!r} have no vector, so that the archive would lack them: nothing was "
                "written. Run `tsir check --repair`, which encodes them again, and then make the backup."
            )
        if absent:
            raise Conflict(
                f"{absent:,} uploaded pictures of {ref.name!r} are not in {self._library.files.uploads.folder}, so that the archive would "
                "lack them: nothing was written. Is a drive missing? If they are lost, `tsir check --repair` notes it; "
                "--no-uploads leaves all uploads out."
            )
        self._held.images += count
        encoder = {"name": ref.encoder.name, "fingerprint": ref.encoder.fingerprint, "dim": ref.encoder.dim}
        excluded = self._excluded(ref, f"{name}/{EXCLUDED}")
        return {"name": ref.name, "encoder": encoder, "images": count, "chunks": chunk, "excluded": excluded}

    def _excluded(self, ref: Ref, name: str) -> int:
        lines: list[str] = []
        after = 0
        while page := self._library.stores.catalog.images.page(ref, CHUNK, after=after, state="excluded"):
            after = page[-1].id
            lines += map(json.dumps, self._rows(page))
        if lines:
            self._archive.writestr(name, "\n".join(lines))
        self._held.excluded += len(lines)
        return len(lines)

    def _trash(self) -> None:
        for path in sorted(self._library.files.trash.paths()):
            if not TRASHED.fullmatch(path.name) or path.suffix == TEMPORARY:
                continue
            with suppress(FileNotFoundError):  # emptied meanwhile
                self._archive.write(path, f"{TRASH}{path.name}")
                self._held.trash += 1

    def _rows(self, images: list[Image]) -> list[dict[str, Any]]:
        """What the catalog knows of images, as JSON has it."""
        places = self._library.stores.catalog.locations.file_stats([image.id for image in images])
        return [
            {
                "content_hash": image.content_hash,
                **asdict(image.metadata),
                "taken_at": shown.isoformat() if (shown := clock(image.metadata.taken_at)) else None,
                "taken_offset": offset(image.metadata.taken_at),
                "created_at": image.created_at.isoformat(),
                "places": [_place(self._library, file) for file in places.get(image.id, [])],
            }
            for image in images
        ]

    def _vectors(self, ref: Ref, images: list[Image]) -> dict[int, Vectors]:
        stores = self._library.stores
        ids = [image.id for image in images]
        while True:
            try:
                return stores.vectors.get(stores.vectors_name(ref), ids, "Strong")
            except NoSuchVectors:  # noqa: PERF203 - once at most, unless it is encoded anew again and again
                now = stores.catalog.collections.again(ref)
                if now.generation == ref.generation:
                    return {}
                raise Conflict(f"{ref.name!r} was encoded anew meanwhile: nothing was written. Make the backup again.") from None

    def _chunk(self, ref: Ref, name: str, images: list[Image], vectors: dict[int, Vectors]) -> int:
        """Rows and vectors of images, and their files; returns how many uploads that should be there are not."""
        lines, absent = [], 0
        for image, row in zip(images, self._rows(images), strict=True):
            lines.append(json.dumps(row))
            absent += self._files(ref, image, sum("upload" in place for place in row["places"]))
        self._archive.writestr(f"{name}.jsonl", "\n".join(lines))
        buffer = io.BytesIO()
        rows = np.stack([vectors[image.id] for image in images]) if images else np.zeros((0, ref.encoder.dim), dtype=np.float32)
        np.save(buffer, rows, allow_pickle=False)
        self._archive.writestr(f"{name}.npy", buffer.getvalue(), compress_type=zipfile.ZIP_STORED)  # floats do not compress
        return absent

    def _files(self, ref: Ref, image: Image, uploads: int) -> int:
        """The picture itself, if it is to be in; returns 1 when it is an upload that should be there and is not."""
        if not uploads and not self._pictures:
            return 0
        self._held.uploads += uploads
        written = (self._uploads or not uploads) and self._picture(image)
        if not uploads or written:
            return 0
        self._held.left_out += uploads
        if not self._uploads:
            return 0
        if image.missing:  # that is known already
            self._held.absent += uploads
            return 0
        return len(self._library.stores.catalog.browsing.matching(ref, [image.id], None, "false"))  # unless it was deleted meanwhile

    def _picture(self, image: Image) -> bool:
        """Whether the archive holds the picture, now or before."""
        if image.content_hash in self._saved:
            return True
        for path in image.paths:
            try:
                data = Path(path).read_bytes()
            except OSError:
                continue
            if hashlib.sha256(data).hexdigest() == image.content_hash:  # changed files are left for the next import
                self._archive.writestr(f"pictures/{image.content_hash}", data, compress_type=zipfile.ZIP_STORED)
                self._saved.add(image.content_hash)
                self._held.files += 1
                return True
        return False


def _verify(file: BinaryIO, held: Archived, path: Path) -> None:
    """Read the archive again before it takes its name. Raises InvalidInput when it does not hold what was counted."""
    with _reading(path), zipfile.ZipFile(file) as archive:
        entries = _manifest(archive)
        rows = vectors = excluded = 0
        for number, entry in enumerate(entries):
            excluded += len(_excluded(archive, number))
            for chunk in range(entry.chunks):
                lines, floats = _chunk(archive, f"collections/{number}/{chunk:06}", entry.encoder)
                rows, vectors = rows + len(lines), vectors + len(floats)
        files, trash = (sum(name.startswith(start) for name in archive.namelist()) for start in ("pictures/", TRASH))
        if (rows, vectors, files) != (held.images, held.images, held.files):
            raise ValueError(f"{rows} rows, {vectors} vectors and {files} pictures instead of {held.images} and {held.files}")
        if (excluded, trash) != (held.excluded, held.trash):
            raise ValueError(f"{excluded} excluded pictures and {trash} files of the trash instead of {held.excluded} and {held.trash}")


def _place(library: Library, file: FileStat) -> dict[str, Any]:
    if library.files.uploads.holds(file.path):
        return {
            "upload": Path(file.path).relative_to(library.files.uploads.folder).as_posix(),
            "bytes": file.bytes,
            "mtime_ns": file.mtime_ns,
        }
    return {"path": file.path, "bytes": file.bytes, "mtime_ns": file.mtime_ns}


def restore(library: Library, path: Path) -> Archived:
    """Add the collections of an archive, all or none; returns what was restored.

    Uploaded pictures that neither the archive nor the uploads folder holds are missing until their files are back. Raises Conflict when a
    name is taken, InvalidInput for an archive that is damaged or holds less than it says.
    """
    with _reading(path), zipfile.ZipFile(path) as archive:
        library.files.uploads.begin()
        entries = _manifest(archive)
        existing = {collection.name for collection in library.handles()}
        for entry in entries:
            if entry.name in existing:
                raise Conflict(f"There is a collection {entry.name!r} already. Drop it, or restore into another library.")
        pictures = {name.removeprefix("pictures/") for name in archive.namelist() if name.startswith("pictures/")}
        held = Archived(sorted(entry.name for entry in entries), files=len(pictures))
        names: dict[int, str] = {}
        try:
            for number, entry in enumerate(entries):
                # Hidden under a name that nobody can guess until everything is there.
                ref, _ = library.stores.catalog.collections.create(
                    f"{RESTORING}{secrets.token_hex(16)}", entry.encoder, library.stores.index_for(0), "restoring"
                )
                names[ref.id] = entry.name
                library.stores.make_room(ref, fresh=True)
                for chunk in range(entry.chunks):
                    held.uploads += _read_chunk(library, archive, ref, f"collections/{number}/{chunk:06}", pictures)
                _expect(library, ref, entry)
                held.images += entry.images
                held.excluded += _read_excluded(library, ref, _excluded(archive, number))
            held.trash = _read_trash(library, archive)
            library.stores.catalog.collections.reveal(names)
        except BaseException:
            for id in names:
                library.stores.catalog.collections.abandon(id)
            library.finish_deletions()
            raise
    for collection in library.handles():
        if collection.id in names:
            _miss_uploads(library, collection, held)
    return held


def _expect(library: Library, ref: Ref, entry: _Entry) -> None:
    """Raise unless a collection has all rows and vectors that the archive said it holds."""
    rows, vectors = library.stores.catalog.collections.count(ref.id), library.stores.vectors.count(library.stores.vectors_name(ref))
    if (rows, vectors) != (entry.images, entry.images):
        raise ValueError(f"{entry.name!r} should have {entry.images:,} pictures, but {rows:,} rows and {vectors:,} vectors were found")


def _miss_uploads(library: Library, collection: Collection, held: Archived) -> None:
    """How many of a restored collection's uploads have no file; they are missing from now on."""

    def upload(path: str) -> bool:
        if library.files.uploads.holds(path):
            held.left_out += 1
            return True
        return False

    collection.look(library.files.uploads.folder, within=upload)


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


@dataclass(frozen=True)
class _Entry:
    """A collection of an archive."""

    name: str
    encoder: EncoderInfo
    images: int
    chunks: int


def _manifest(archive: zipfile.ZipFile) -> list[_Entry]:
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
        entries.append(_Entry(name, encoder, int(entry["images"]), int(entry["chunks"])))
    return entries


def _chunk(archive: zipfile.ZipFile, name: str, encoder: EncoderInfo) -> tuple[list[dict[str, Any]], Vectors]:
    """Rows and their vectors. Raises ValueError when the one does not fit the other."""
    rows = [json.loads(line) for line in archive.read(f"{name}.jsonl").decode().splitlines() if line]
    vectors: Vectors = np.load(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)
    if vectors.shape != (len(rows), encoder.dim) or vectors.dtype != np.float32:
        raise ValueError(f"{name}.npy has vectors {vectors.dtype} {list(vectors.shape)} for {len(rows)} rows")
    return rows, vectors


def _excluded(archive: zipfile.ZipFile, number: int) -> list[dict[str, Any]]:
    """Rows of a collection's pictures that were taken out; older archives have none."""
    name = f"collections/{number}/{EXCLUDED}"
    if name not in archive.NameToInfo:
        return []
    return [json.loads(line) for line in archive.read(name).decode().splitlines() if line]


def _read_excluded(library: Library, ref: Ref, rows: list[dict[str, Any]]) -> int:
    """Restore pictures that imports leave out; returns how many."""
    items, created = [], {}
    for row in rows:
        files = [FileStat(place["path"], int(place["bytes"]), int(place["mtime_ns"])) for place in row["places"] if "path" in place]
        items += [NewImage(file, _hash(row), _metadata(row)) for file in files]
        created[row["content_hash"]] = datetime.fromisoformat(row["created_at"])
    collection = library.handle(ref)
    ids = {begun.id for begun in collection.begin(items, created)}
    collection.leave_out(sorted(ids))
    return len(ids)


def _read_trash(library: Library, archive: zipfile.ZipFile) -> int:
    """Put files back into the trash, where they stay for as long as if they were thrown away now; returns how many came."""
    folder = library.files.trash.folder
    came = 0
    for name in archive.namelist():
        path = folder / name.removeprefix(TRASH)
        if not name.startswith(TRASH) or path.exists():
            continue
        if not TRASHED.fullmatch(path.name) or path.parent != folder:
            raise ValueError(f"{name!r} is no name of a file of the trash")
        folder.mkdir(parents=True, exist_ok=True)
        with archive.open(name) as source, whole(path) as target:
            shutil.copyfileobj(source, target, 2**20)
        came += 1
    return came


def _hash(row: dict[str, Any]) -> str:
    content_hash = row["content_hash"]
    if not re.fullmatch("[0-9a-f]{64}", content_hash):
        raise ValueError(f"{content_hash!r} is no content hash")
    return str(content_hash)


def _metadata(row: dict[str, Any]) -> ImageMetadata:
    return ImageMetadata(
        width=int(row["width"]),
        height=int(row["height"]),
        format=str(row["format"]),
        taken_at=_taken_at(row),
        camera=row["camera"],
        latitude=row["latitude"],
        longitude=row["longitude"],
    )


def _read_chunk(library: Library, archive: zipfile.ZipFile, ref: Ref, name: str, pictures: set[str]) -> int:
    """Restore rows and vectors; returns how many of their places are uploads."""
    rows, vectors = _chunk(archive, name, ref.encoder)
    items: list[NewImage] = []
    first: list[int] = []
    """Index of the first item of each row."""
    created: dict[str, datetime] = {}
    for row in rows:
        first.append(len(items))
        content_hash, metadata = _hash(row), _metadata(row)
        created[content_hash] = datetime.fromisoformat(row["created_at"])
        items += [NewImage(file, content_hash, metadata) for file in _files(library, archive, row, pictures)]
    collection = library.handle(ref)
    begun = collection.begin(items, created)
    collection.finish([begun[index].id for index in first], vectors)
    return sum(library.files.uploads.holds(item.file.path) for item in items)


def _taken_at(row: dict[str, Any]) -> datetime | None:
    # Older archives have no offset, and call a camera's time UTC, of which nobody knew the zone.
    when = datetime.fromisoformat(row["taken_at"]) if row["taken_at"] else None
    return taken(clock(when), row.get("taken_offset"))


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
                os.utime(path, ns=(int(place["mtime_ns"]),) * 2)
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
