"""What lies in the trash comes back: rows under their old numbers, files to their old places, vectors without encoding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from tsir.errors import EncoderMismatch, StoreUnavailable
from tsir.library import throwing
from tsir.library.collection import Collection
from tsir.library.library import Library
from tsir.media.files import UPLOAD
from tsir.paging import chunks
from tsir.records import EncoderInfo, FileStat, NewImage, Restored, Vectors
from tsir.storage.sql.values import CHUNK


def restore(library: Library, id: str) -> Restored:
    """Bring back what was taken out together; the entry is gone then. Idempotent: what a crash interrupted, another call completes.

    It returns to its collection, whatever that is called now; one that was dropped is made again. Raises NotFound when there is no such
    entry, StoreUnavailable when files cannot be moved.
    """
    trash = library.files.trash
    facts = trash.entry(id).facts
    library.files.uploads.expect()
    collection = _home(library, facts)
    encoder = EncoderInfo(**facts["encoder"])
    same = facts["library"] == library.stores.catalog.tag
    images = lost = 0
    waiting: list[int] = []
    try:
        for part in chunks(trash.rows(id), CHUNK):
            came, late, gone = _restore(library, collection, encoder, part, same=same)
            images, lost = images + came, lost + gone
            waiting += late
    except OSError as error:
        raise StoreUnavailable(f"Not everything could be brought back: {error.strerror or error}. Try it again.") from error
    trash.forget(id)
    return Restored(collection.name, images, tuple(waiting), lost)


def files(rows: Iterable[Mapping[str, Any]]) -> set[str]:
    """Names in the trash of the files of an entry."""
    return {Path(place["upload"]).name for row in rows for place in row["places"] if "upload" in place}


def _home(library: Library, facts: Mapping[str, Any]) -> Collection:
    catalog = library.stores.catalog
    if facts["library"] == catalog.tag:
        ref = catalog.database.read(lambda connection: catalog.collections.by_id(facts["collection_id"], connection))
        if ref is not None:
            return library.handle(ref)
    try:
        return library.create(facts["collection"], EncoderInfo(**facts["encoder"]))[0]
    except EncoderMismatch:  # one of that name was made meanwhile: its encoder will encode them
        return library.collection(facts["collection"])


def _restore(
    library: Library, collection: Collection, encoder: EncoderInfo, rows: list[Mapping[str, Any]], *, same: bool
) -> tuple[int, list[int], int]:
    """How many images came back, which of them need to be encoded, and how many have no file any more."""
    included = set(collection.include([row["id"] for row in rows])) if same else set()
    items: list[NewImage] = []
    owners: list[Mapping[str, Any]] = []
    pending: dict[int, Mapping[str, Any]] = {}
    lost = 0
    for row in rows:
        facts = throwing.metadata(row)
        places = _places(library, row, folders=row["id"] not in included)
        items += [NewImage(file, row["content_hash"], facts) for file in places]
        owners += [row] * len(places)
        if row["id"] in included:
            pending[row["id"]] = row
        elif not places:
            lost += 1
    created = {row["content_hash"]: datetime.fromisoformat(row["created_at"]) for row in rows}
    ids = {row["content_hash"]: row["id"] for row in rows} if same else {}
    for begun, row in zip(collection.begin(items, created, ids), owners, strict=True):
        if begun.status == "new":
            pending[begun.id] = row
    vectors: dict[int, Vectors] = {}
    for id, row in pending.items():
        vector = throwing.vector(row, encoder.dim)
        if vector is not None:
            vectors[id] = vector
    if vectors:
        try:
            collection.finish(list(vectors), np.stack(list(vectors.values())), encoder)
        except EncoderMismatch:
            vectors = {}
    return len(rows) - lost, [id for id in pending if id not in vectors], lost


def _places(library: Library, row: Mapping[str, Any], *, folders: bool) -> list[FileStat]:
    """Where an image lies from now on: uploads whose files are there again, and the places in folders, there or not."""
    found = []
    for place in row["places"]:
        if "upload" not in place:
            path = Path(place["path"]) if folders else None
        elif UPLOAD.fullmatch(place["upload"]):
            path = library.files.uploads.folder / place["upload"]
            path = path if library.files.trash.give_back(path) else None
        else:  # nobody but an attacker writes that
            path = None
        if path is not None:
            found.append(FileStat(str(path), place["bytes"], place["mtime_ns"]))
    return found
