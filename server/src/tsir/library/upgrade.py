"""Vectors of an older schema into the newest one: a new generation, as re-encoding makes one, but copied from the one that serves."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from tsir.library.collection import Collection
from tsir.library.reencoding import Reencoding
from tsir.library.steps import Step
from tsir.library.stores import Stores
from tsir.storage.milvus.copying import copy
from tsir.storage.sql.collections import Ref
from tsir.storage.sql.images import Facts

log = logging.getLogger(__name__)

PAGE = 1_000
"""Pictures copied at once."""


class _Ledger:
    """The catalog's notes on a generation that is being made."""

    def __init__(self, stores: Stores, ref: Ref, generation: int) -> None:
        self._stores = stores
        self._ref = ref
        self._generation = generation

    def lacking(self, after: int) -> Mapping[int, Facts]:
        if self._stores.catalog.collections.again(self._ref).generation == self._generation:  # swapped by another process
            return {}
        page = self._stores.catalog.images.page(self._ref, PAGE, after=after, lacking=self._generation)
        return self._stores.catalog.images.facts(self._ref.id, [image.id for image in page])

    def copied(self, written: Mapping[int, Facts]) -> Sequence[int]:
        self._stores.after(Step.VECTORS_WRITTEN)
        gone = self._stores.catalog.generations.settle(self._ref, self._generation, written)
        self._stores.after(Step.GENERATION_NOTED)
        return gone


def upgrade(stores: Stores, collection: Collection) -> int | None:
    """Copy a collection's vectors into the newest schema, then serve these; returns how many, None when they have it already.

    Nothing is encoded. What was cut off goes on where it stopped; imports and searches go on meanwhile, and so may the same upgrade in
    another process. A collection that is being re-encoded is left alone: call again when that is over. Raises Conflict when vectors are of
    a newer schema than this program knows, or when re-encoding began meanwhile, and NoSuchVectors when Milvus has lost them.
    """
    ref = stores.catalog.collections.again(collection.ref)
    source = stores.vectors_name(ref)
    unfinished = ref.next_generation is not None
    if ref.state_shown == "reencoding" or (stores.vectors.version(source) == stores.vectors.schema.version and not unfinished):
        return None
    ref, _ = stores.catalog.generations.begin(ref, ref.encoder, copy=True)
    stores.after(Step.GENERATION_OPENED)
    generation = ref.next_generation
    assert generation is not None
    log.info("The vectors of %r get a newer schema: copying them.", ref.name)
    index = stores.index_for(stores.catalog.collections.count(ref.id))
    stores.make_room(ref, generation, index=index)
    count = idle = 0
    while True:
        copied = copy(stores.vectors, source, stores.vectors_name(ref, generation), _Ledger(stores, ref, generation))
        count += copied
        idle = 0 if copied else idle + 1
        # Pictures imported meanwhile are copied first. What is lacking after two idle passes has no vector at all, and becomes pending.
        before, _, done = stores.catalog.generations.swap(ref, generation, index, whole=idle < 2)
        if done or before.generation == generation:
            break
    stores.after(Step.GENERATION_SWAPPED)
    Reencoding(stores, collection).finish_swap()
    log.info("The vectors of %r have the newest schema.", ref.name)
    return count
