"""A new generation of vectors beside the served one: made by another encoder, then served in its place."""

from __future__ import annotations

from collections.abc import Sequence

from tsir.errors import Conflict
from tsir.library.collection import Collection
from tsir.library.steps import Step
from tsir.library.stores import Stores, unit_rows
from tsir.records import EncoderInfo, Image, Vectors


class Reencoding:
    """One collection on its way to another encoder. Every method may raise StoreUnavailable, and NotFound once it was dropped."""

    def __init__(self, stores: Stores, collection: Collection) -> None:
        """Use `Library.reencoding`."""
        self._stores = stores
        self._ref = collection.ref
        self.generation = 0
        """Number of the generation that is being made; set by `begin`."""

    def begin(self, encoder: EncoderInfo) -> None:
        """Open a new generation of vectors beside the served one.

        Calling it again with the same encoder resumes; with another one the unfinished generation is thrown away. Raises Conflict when the
        collection is already of this encoder.
        """
        stores = self._stores
        ref, thrown = stores.catalog.generations.begin(self._ref, encoder)
        stores.after(Step.GENERATION_OPENED)
        if thrown is not None:
            stores.drop_vectors(stores.vectors_name(ref, thrown))
        assert ref.next_generation is not None
        self.generation = ref.next_generation
        index = stores.index_for(stores.catalog.collections.count(ref.id))
        stores.make_room(ref, self.generation, dim=encoder.dim, index=index)

    def batch(self, limit: int, after: int = 0) -> list[Image]:
        """Ready images that have no vector in the generation yet, ids rising from above `after`; empty when all are done."""
        ref = self._stores.catalog.collections.again(self._ref)
        return self._stores.catalog.images.page(ref, limit, after=after, lacking=self.generation)

    def finish(self, ids: Sequence[int], vectors: Vectors) -> None:
        """Store vectors [n, dim] in the new generation. Idempotent. Raises Conflict when the generation was given up."""
        stores = self._stores
        ref = stores.catalog.collections.again(self._ref)
        if ref.generation == self.generation:  # swapped by another process
            return
        if ref.next_generation != self.generation or ref.next_encoder is None:
            raise Conflict(f"Re-encoding of {ref.name!r} was given up meanwhile.")
        rows = unit_rows(ids, vectors, ref.next_encoder.dim)
        facts = stores.facts(ref, list(rows))
        if not facts:
            return
        stores.upsert(ref, self.generation, rows, facts)
        gone = stores.catalog.generations.settle(ref, self.generation, facts)
        stores.after(Step.GENERATION_NOTED)
        if gone:
            stores.vectors.delete(stores.vectors_name(ref, self.generation), gone)

    def swap(self) -> int:
        """Serve the new generation from now on and drop the old one. Idempotent.

        Returns the number of images that have no vector in it (their files could not be read): these become pending.
        """
        return self._swap(self.generation)

    def finish_swap(self) -> int:
        """`swap` once more to the generation that is served already: drops what an interrupted one left, returns the same number."""
        return self._swap(self._stores.catalog.collections.again(self._ref).generation)

    def abort(self) -> None:
        """Throw an unfinished generation away; nothing happens when there is none."""
        thrown = self._stores.catalog.generations.abort(self._ref)
        if thrown is not None:
            self._stores.drop_vectors(self._stores.vectors_name(self._ref, thrown))

    def _swap(self, generation: int) -> int:
        stores = self._stores
        index = stores.index_for(stores.catalog.collections.count(self._ref.id))
        before, pending, done = stores.catalog.generations.swap(self._ref, generation, index)
        stores.after(Step.GENERATION_SWAPPED)
        # Also when it was done before: Milvus may have been away then. Its list first: a generation is in the catalog before it is there.
        present = stores.vectors.names(f"{stores.vectors_prefix()}{before.id}_")
        ref = stores.catalog.collections.again(self._ref)
        for existing in present:
            if existing not in {stores.vectors_name(ref), stores.vectors_name(ref, ref.next_generation)}:
                stores.drop_vectors(existing)
        stores.make_room(ref)
        return pending if done else stores.catalog.collections.count(ref.id, state="pending")
