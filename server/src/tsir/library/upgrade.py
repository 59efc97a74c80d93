"""Vectors of an older schema into the newest one: a new generation, as re-encoding makes one, but copied from the one that serves."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tsir.storage.milvus.copying import copy
from tsir.storage.sql.catalog import Catalog, Facts, Ref

if TYPE_CHECKING:
    from tsir.library.library import Library

log = logging.getLogger(__name__)

PAGE = 1_000
"""Pictures copied at once."""


class _Ledger:
    """The catalog's notes on a generation that is being made."""

    def __init__(self, catalog: Catalog, ref: Ref, generation: int) -> None:
        self._catalog = catalog
        self._ref = ref
        self._generation = generation

    def lacking(self, after: int) -> Mapping[int, Facts]:
        page = self._catalog.images(self._ref, PAGE, after=after, lacking=self._generation)
        return self._catalog.facts(self._ref.id, [image.id for image in page])

    def copied(self, written: Mapping[int, Facts]) -> Sequence[int]:
        return self._catalog.settle_reencode(self._ref.name, self._generation, written)


def upgrade(library: Library, name: str) -> int | None:
    """Copy a collection's vectors into the newest schema, then serve these; returns how many, None when they have it already.

    Nothing is encoded. What was cut off goes on where it stopped; imports and searches go on meanwhile. A collection that is being
    re-encoded is left alone: call again when that is over. Raises Conflict when vectors are of a newer schema than this program knows, or
    when re-encoding began meanwhile, and NoSuchVectors when Milvus has lost them.
    """
    store, catalog = library.store, library.catalog
    ref = catalog.ref(name)
    source = library.vectors_name(ref)
    copying = ref.next_encoder == ref.encoder
    if (ref.next_generation is not None and not copying) or (store.version(source) == store.schema.version and not copying):
        return None
    ref, _ = catalog.begin_reencode(name, ref.encoder, copy=True)
    generation = ref.next_generation
    assert generation is not None
    log.info("The vectors of %r get a newer schema: copying them.", name)
    index = library.index_for(catalog.count(ref.id))
    target = library.vectors_name(ref, generation)
    store.ensure(target, ref.encoder.dim, index)
    count = idle = 0
    while True:
        copied = copy(store, source, target, _Ledger(catalog, ref, generation))
        count += copied
        idle = 0 if copied else idle + 1
        # Pictures imported meanwhile are copied first. What is lacking after two idle passes has no vector at all, and becomes pending.
        before, _, done = catalog.swap(name, generation, index, whole=idle < 2)
        if done or before.generation == generation:
            break
    library.finish_swap(name)
    log.info("The vectors of %r have the newest schema.", name)
    return count
