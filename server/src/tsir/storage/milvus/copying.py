"""Vectors from one collection into another, with their pictures' facts as they are now: how an old schema becomes the newest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np

from tsir.storage.filters import Facts
from tsir.storage.milvus.client import VectorStore

F = TypeVar("F", bound=Facts)


class Ledger(Protocol[F]):
    """What the catalog knows of a copy. It outlives a crash: a copy that was cut off goes on where it stopped."""

    def lacking(self, after: int) -> Mapping[int, F]:
        """Pictures that are not noted as copied, some hundreds, by ids above `after`, rising; empty at the end."""
        ...

    def copied(self, written: Mapping[int, F]) -> Sequence[int]:
        """Note pictures as copied with these facts, but for those whose facts changed meanwhile; returns ids that are deleted by now."""
        ...


def copy(store: VectorStore, source: str, target: str, ledger: Ledger[F]) -> int:
    """Copy what is lacking in `target`, in one pass; returns how many pictures that were, 0 when nothing is left to copy.

    Pictures without a vector in `source` are left out. `source` serves meanwhile, and gets what is imported meanwhile: call until 0 comes
    back. Idempotent. Raises NoSuchVectors when one of the two is gone.
    """
    count = after = 0
    while facts := ledger.lacking(after):
        after = max(facts)
        vectors = store.settled(source, list(facts))
        if not vectors:
            continue
        written = {id: facts[id] for id in vectors}
        store.upsert(target, list(vectors), np.stack(list(vectors.values())), list(written.values()))
        if gone := ledger.copied(written):
            store.delete(target, gone)
        count += len(written) - len(gone)
    return count
