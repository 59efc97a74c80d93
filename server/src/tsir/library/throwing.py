"""Entries of the trash: what is known of pictures that are taken out, written down before anything of them goes."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tsir.errors import StoreRefused, StoreUnavailable
from tsir.library.stores import Stores
from tsir.paging import chunks
from tsir.records import FileStat, Image, ImageMetadata, Vectors
from tsir.storage.milvus.client import NoSuchVectors
from tsir.storage.sql.collections import Ref
from tsir.storage.sql.values import CHUNK

NAMED = 3
"""Files that the first line of an entry names."""

Why = Literal["removed", "dropped"]


def note(stores: Stores, ref: Ref, why: Why, ids: Sequence[int] | None = None) -> tuple[str | None, int, int]:
    """Write an entry with these images (None: all of the collection that have an upload); their files stay where they are.

    Returns its id (None when there are no such images), how many images the collection has of those asked for, and how many of these are
    only copies. Raises StoreUnavailable when it cannot be written.
    """
    images, only = stores.catalog.images.only_copies(ref, ids)
    pages = _pages(stores, ref, ids)
    first = next(pages, [])
    if not first:
        return None, images, only
    facts = {
        "why": why,
        "library": stores.catalog.tag,
        "collection": ref.name,
        "collection_id": ref.id,
        "encoder": asdict(ref.encoder),
        "pictures": images if ids is not None else only,
        "only_copies": only,
        "names": [Path(image.path).name for image in first[:NAMED]],
    }

    def rows() -> Iterator[Mapping[str, Any]]:
        yield from _rows(stores, ref, first)
        for page in pages:
            yield from _rows(stores, ref, page)

    try:
        return stores.files.trash.note(facts, rows()), images, only
    except OSError as error:
        raise StoreUnavailable(
            f"Nothing was taken out: the trash in {str(stores.files.trash.folder)!r} cannot be written: {error.strerror or error}. "
            "If its disk is full, `tsir trash empty` makes room."
        ) from error


def _pages(stores: Stores, ref: Ref, ids: Sequence[int] | None) -> Iterator[list[Image]]:
    states, page = ("pending", "ready"), stores.catalog.images.page
    if ids is not None:
        for part in chunks(sorted({id for id in ids if abs(id) < 2**63}), CHUNK):
            if found := page(ref, CHUNK, after=0, state=states, ids=part):
                yield found
        return
    after = 0
    while found := page(ref, CHUNK, after=after, state=states, uploaded=True):
        after = found[-1].id
        yield found


def _rows(stores: Stores, ref: Ref, images: Sequence[Image]) -> Iterator[Mapping[str, Any]]:
    ids = [image.id for image in images]
    vectors: dict[int, Vectors] = {}
    with suppress(NoSuchVectors, StoreUnavailable, StoreRefused):  # without them they are encoded again when they come back
        vectors = stores.vectors.get(stores.vectors_name(ref), ids, "Strong")
    places = stores.catalog.locations.file_stats(ids)
    for image in images:
        vector = vectors.get(image.id)
        yield {
            "id": image.id,
            "content_hash": image.content_hash,
            **asdict(image.metadata),
            "taken_at": image.metadata.taken_at.isoformat() if image.metadata.taken_at else None,
            "created_at": image.created_at.isoformat(),
            "places": [_place(stores, file) for file in places.get(image.id, ())],
            "vector": base64.b64encode(vector.astype("<f4").tobytes()).decode() if vector is not None else None,
        }


def _place(stores: Stores, file: FileStat) -> Mapping[str, Any]:
    """A file; uploads by their place below the uploads' folder, which may be moved."""
    uploads = stores.files.uploads
    if uploads.holds(file.path):
        return {"upload": Path(file.path).relative_to(uploads.folder).as_posix(), "bytes": file.bytes, "mtime_ns": file.mtime_ns}
    return {"path": file.path, "bytes": file.bytes, "mtime_ns": file.mtime_ns}


def metadata(row: Mapping[str, Any]) -> ImageMetadata:
    """The facts of an image of an entry."""
    facts = {name: row[name] for name in ImageMetadata.__dataclass_fields__ if name in row}
    return ImageMetadata(**{**facts, "taken_at": datetime.fromisoformat(row["taken_at"]) if row["taken_at"] else None})


def vector(row: Mapping[str, Any], dim: int) -> Vectors | None:
    """The vector of an image of an entry, if it has one of that many dimensions."""
    found = np.frombuffer(base64.b64decode(row["vector"] or ""), dtype="<f4").astype(np.float32)
    return found if found.shape == (dim,) else None
