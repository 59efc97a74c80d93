"""What a library's parts share: both stores, the files, and the steps in which all of them change together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from tsir.errors import EncoderMismatch, InvalidInput, StoreUnavailable
from tsir.library.steps import After, Step
from tsir.media.files import Files
from tsir.paging import chunks
from tsir.records import Vectors
from tsir.room import data_room
from tsir.settings import Settings
from tsir.storage.milvus.client import NoSuchVectors, VectorStore
from tsir.storage.milvus.schema import Schema
from tsir.storage.sql.catalog import Catalog
from tsir.storage.sql.collections import Ref
from tsir.storage.sql.images import Facts

RESTORING = "-restoring-"
"""How the hidden names of collections begin until everything of them is restored."""

FLAT_LIMIT = 10_000
"""Images up to which an exact search is as quick as an index, on a Milvus server; more get HNSW."""

ERASE_BATCH = 1_000
"""Images deleted at once: one call to Milvus, a short transaction."""


class Stores:
    """Catalog, vectors and files of one library. Safe to use from many threads."""

    def __init__(self, settings: Settings, after: After, schema: Schema) -> None:
        self.settings = settings
        self.after = after
        self.catalog = Catalog(settings)
        self.files = Files(settings, self.catalog.locations.knows_uploads)
        self.room = data_room(settings)
        self.vectors = VectorStore(settings, schema)

    def close(self) -> None:
        """Disconnect. Idempotent."""
        self.vectors.close()
        self.catalog.close()

    @property
    def exclusive(self) -> bool:
        """Whether one process at a time may open the library."""
        return self.catalog.database.embedded or self.vectors.embedded

    def need_room(self, size: int = 0) -> None:
        """Raise DiskFull unless rows and vectors of so many bytes fit on the disk of the embedded stores: nothing is begun then."""
        if self.exclusive:
            self.room.need(size)

    def vectors_prefix(self) -> str:
        """How the names of this library's collections in Milvus begin: several libraries may share a server."""
        return f"tsir_{self.catalog.tag}_"

    def vectors_name(self, ref: Ref, generation: int | None = None) -> str:
        """The collection in Milvus that holds the served (or another) generation of vectors."""
        return f"{self.vectors_prefix()}{ref.id}_{generation or ref.generation}"

    def index_for(self, count: int) -> str:
        """The index of a collection of that many images."""
        if self.settings.vector_index != "auto":
            return self.settings.vector_index
        # Milvus Lite spends its time outside the index: with HNSW it needs twice the memory and is no quicker.
        return "FLAT" if count <= FLAT_LIMIT or self.vectors.embedded else "HNSW"

    def make_room(
        self, ref: Ref, generation: int | None = None, *, dim: int | None = None, index: str | None = None, fresh: bool = False
    ) -> None:
        """Create the collection in Milvus of a generation (default: the served one) unless it is there. `fresh`: its row is new."""
        if fresh and self.exclusive:  # one that is there is of a catalog that was lost, and an older one was put back since
            self.vectors.drop(self.vectors_name(ref, generation))
        self.vectors.ensure(self.vectors_name(ref, generation), dim or ref.encoder.dim, index or ref.index)
        self.after(Step.ROOM_MADE)

    def facts(self, ref: Ref, ids: Sequence[int]) -> dict[int, Facts]:
        """What Milvus keeps of these images beside their vectors; those that are gone are left out."""
        found = self.catalog.images.facts(ref.id, ids)
        self.after(Step.FACTS_READ)
        return found

    def upsert(self, ref: Ref, generation: int | None, rows: Mapping[int, Vectors], facts: Mapping[int, Facts]) -> None:
        """Write the vectors of images, with their facts."""
        name, ids, vectors = self.vectors_name(ref, generation), list(facts), np.stack([rows[id] for id in facts])
        try:
            self.vectors.upsert(name, ids, vectors, list(facts.values()))
        except NoSuchVectors:
            # A crash came between the catalog's row and Milvus' collection, or Milvus lost it, unless the collection was dropped.
            now = self.catalog.collections.again(ref)
            if generation is None and now.generation != ref.generation:
                raise EncoderMismatch(f"The vectors of {ref.name!r} were replaced meanwhile. Import again.") from None
            self.make_room(ref, generation, dim=vectors.shape[1])
            self.vectors.upsert(name, ids, vectors, list(facts.values()))
        self.after(Step.VECTORS_WRITTEN)

    def drop_vectors(self, name: str) -> None:
        """Drop a collection of Milvus by its name there; nothing happens when there is none."""
        self.vectors.drop(name)
        self.after(Step.VECTORS_DROPPED)

    def erase(self, ref: Ref, ids: Sequence[int]) -> None:
        """Delete images that are marked: vectors, rows, thumbnails; uploads that are theirs alone go to the trash. Idempotent."""
        for part in chunks(ids, ERASE_BATCH):
            for generation in (ref.generation, ref.next_generation):
                if generation is not None:
                    with suppress(NoSuchVectors):
                        self.vectors.delete(self.vectors_name(ref, generation), part)
            self.after(Step.VECTORS_DELETED)
            self._erase_rows(part)

    def finish_drop(self, ref: Ref) -> None:
        """Delete what a collection marked for dropping consists of. Idempotent."""
        for existing in self.vectors.names(f"{self.vectors_prefix()}{ref.id}_"):
            self.drop_vectors(existing)
        while ids := self.catalog.images.deleting(ref.id, ERASE_BATCH, everything=True):
            # Uploads of a library whose restoring failed were there before: they are needed for the next try.
            self._erase_rows(ids, everything=True, uploads=not ref.name.startswith(RESTORING))
        self.catalog.collections.delete(ref.id)
        self.after(Step.COLLECTION_DELETED)

    def _erase_rows(self, ids: Sequence[int], *, everything: bool = False, uploads: bool = True) -> None:
        paths, hashes = self.catalog.locations.leftovers(ids)
        self.after(Step.LEFTOVERS_FOUND)
        for path in paths if uploads else ():
            if self.files.uploads.holds(path):
                try:
                    self.files.trash.take(Path(path))
                except OSError as error:
                    raise StoreUnavailable(f"{path!r} cannot be moved to the trash: {error.strerror or error}.") from error
        for content_hash in hashes:
            self.files.thumbnails.delete(content_hash)
        self.catalog.images.delete(ids, everything)
        self.after(Step.ROWS_DELETED)


def unit_rows(ids: Sequence[int], vectors: Vectors, dim: int) -> dict[int, Vectors]:
    """Unit vectors by image id; of an id that comes twice the last. Raises EncoderMismatch for another shape than [ids, dim]."""
    rows = np.asarray(vectors, dtype=np.float32)
    if rows.shape != (len(ids), dim):
        raise EncoderMismatch(f"Expected vectors [{len(ids)}, {dim}], got {list(rows.shape)}.")
    if not np.isfinite(rows).all():
        raise InvalidInput("The encoder returned values that are no numbers.")
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    if (abs(norm - 1) > 1e-5).any():  # encoders return unit rows; those are stored bit for bit
        rows = np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 0)
    return dict(zip(ids, rows, strict=True))
