"""The nearest pictures to some vectors: what Milvus finds, less what the catalog does not let through."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tsir.errors import EncoderMismatch, InvalidInput
from tsir.library.stores import Stores
from tsir.records import Hit, Image, Vectors
from tsir.stopwatch import Stopwatch
from tsir.storage import filters
from tsir.storage.filters import Filter
from tsir.storage.milvus.client import MAX_RESULTS, VECTOR_BYTES_PER_REPLY, NoSuchVectors
from tsir.storage.milvus.resident import Found
from tsir.storage.sql.collections import Ref

SPARE_HITS = 16
"""Fetched beyond what was asked for: rows that are not ready drop out, and equal scores are ordered by id also at the end of a page."""

MAX_WINDOW = MAX_RESULTS - SPARE_HITS
"""Bound on offset + limit of a search: what Milvus can return, less the spare hits."""

SAME_SCORE = 1e-6
"""Scores of the same vector differ by less between back ends."""

MANY_EQUAL = 1_000
"""So many pictures with equal scores across the end of a page are not sorted out."""

NAMED_IDS = 16_384
"""Pictures that Milvus is told by their ids at once, where a filter is one that it cannot evaluate."""


@dataclass(frozen=True, slots=True)
class _Among:
    """What of a filter Milvus is not asked."""

    left: Filter | None
    """The conditions of which the catalog alone knows."""
    ids: list[int] | None
    """All pictures that these let through; None: all that there are, or more than are named at once."""
    sieved: bool
    """There are more than are named at once: the catalog picks them out of what Milvus finds."""
    asked: Filter | None = None
    """What Milvus is asked."""


class Nearest:
    """One question, of one or many vectors with the same filter, to one collection."""

    def __init__(
        self,
        stores: Stores,
        ref: Ref,
        again: Callable[[], Ref],
        filter: Filter | None,
        watch: Stopwatch,
        *,
        named: int = NAMED_IDS,
        most: int = MAX_RESULTS,
    ) -> None:
        """`again` reads the collection's row anew. `named`: ids that Milvus is told at once; `most`: what it is asked for at most."""
        self._named = named
        self._most = most
        self._stores = stores
        self._ref = ref
        self._again = again
        self._filter = filter
        filters.key(filter)  # a wrong value is told whether Milvus is there or not
        self._missing = filters.missing(filter)
        self._watch = watch
        self._among: _Among | None = None

    def hits(self, queries: Vectors, limit: int, offset: int) -> list[list[Hit]]:
        """Of each of the vectors [n, dim], of unit length: see `Collection.search`."""
        answers: dict[int, list[Hit]] = {}
        todo = list(range(len(queries)))
        k = offset + limit + SPARE_HITS
        while todo:
            with_vectors = len(todo) * k * queries.shape[1] * 4 <= VECTOR_BYTES_PER_REPLY
            found = self._found(queries[todo], k, with_vectors)
            self._watch.lap("search")
            left = self._among.left if self._among else None
            ids = list(dict.fromkeys(hit.id for hits in found for hit in hits))
            images = self._stores.catalog.browsing.matching(self._ref, ids, left, self._missing)
            self._watch.lap("rows")
            done = [number for number, hits in enumerate(found) if self._complete(hits, images, k, limit, offset)]
            pages = self._vectors([found[number] for number in done], images, limit, offset, with_vectors)
            start = offset if with_vectors else 0
            for number, vectors in zip(done, pages, strict=True):
                answers[todo[number]] = _exact(queries[todo[number]], vectors, images)[start : start + limit]
            self._watch.lap("search")
            todo = [query for query in todo if query not in answers]
            k = min(self._most, (8 if self._among and self._among.sieved else 2) * k)
        return [answers[query] for query in range(len(queries))]

    def _found(self, queries: Vectors, k: int, with_vectors: bool) -> list[list[Found]]:
        while True:
            try:
                among = self._among = self._among or self._look()
                if among.ids == []:
                    return [[] for _ in queries]
                found = self._ask(queries, k, with_vectors, among.ids)
                if k == self._most and among.sieved:
                    return self._in_turn(queries, k, with_vectors, found)
                return found
            except NoSuchVectors:  # noqa: PERF203 - twice at most
                served, self._ref = self._ref, self._again()
                if self._ref.generation == served.generation:  # not re-encoded since we looked
                    return [[] for _ in queries]
                self._among = None
                check_dim(self._ref, queries)

    def _look(self) -> _Among:
        """Ask the catalog which pictures are meant, as far as Milvus cannot say."""
        name = self._stores.vectors_name(self._ref)
        # Any number of ids can be named to what is in memory, and the catalog is quicker than Milvus Lite.
        in_memory = filters.by_catalog(self._filter) and self._stores.vectors.in_memory(name)
        left = filters.beyond(self._filter, self._stores.vectors.version(name), whole=in_memory)
        asked, named = (None, None) if in_memory else (self._filter, self._named)
        if left is None and self._missing != "true":
            return _Among(None, None, False, asked)
        ids = self._stores.catalog.browsing.ids(self._ref, left, self._missing, None if named is None else named + 1)
        self._watch.lap("rows")
        return _Among(left, None, True, asked) if named is not None and len(ids) > named else _Among(left, ids, False, asked)

    def _ask(self, queries: Vectors, k: int, with_vectors: bool, among: Sequence[int] | None) -> list[list[Found]]:
        name, asked = self._stores.vectors_name(self._ref), self._among.asked if self._among else self._filter
        return self._stores.vectors.search(name, queries, k, self._ref.index, asked, "Bounded", with_vectors, among)

    def _in_turn(self, queries: Vectors, k: int, with_vectors: bool, found: list[list[Found]]) -> list[list[Found]]:
        """The pictures that the catalog lets through are far from the question: all of them are named to Milvus, some after some."""
        best: list[list[Found]] = [[] for _ in found]
        left = self._among.left if self._among else None
        after = 0
        while ids := self._stores.catalog.browsing.ids(self._ref, left, self._missing, self._named, after):
            after = ids[-1]
            for query, hits in enumerate(self._ask(queries, k, with_vectors, ids)):
                best[query] = sorted([*best[query], *hits], key=lambda hit: (-hit.score, hit.id))[:k]
        return best

    def _complete(self, found: Sequence[Found], images: Mapping[int, Image], k: int, limit: int, offset: int) -> bool:
        """Whether the page is there. Which of several equal scores belong on it, their ids decide: all of them must be here."""
        if len(found) < k or k == self._most:
            return True
        ready = [hit.score for hit in found if hit.id in images]
        return len(ready) > offset + limit and (ready[offset + limit - 1] - ready[-1] > SAME_SCORE or k >= offset + limit + MANY_EQUAL)

    def _vectors(
        self, found: Sequence[Sequence[Found]], images: Mapping[int, Image], limit: int, offset: int, with_vectors: bool
    ) -> list[dict[int, Vectors]]:
        """By id, of what was found and let through; where it came without vectors, of the page alone, all pages in one call."""
        if with_vectors:
            return [{hit.id: hit.vector for hit in hits if hit.vector is not None and hit.id in images} for hits in found]
        pages = [[hit.id for hit in hits if hit.id in images][offset : offset + limit] for hits in found]
        ids = sorted({id for page in pages for id in page})
        stored = self._stores.vectors.get(self._stores.vectors_name(self._ref), ids, "Bounded") if ids else {}
        return [{id: stored[id] for id in page if id in stored} for page in pages]


def check_dim(ref: Ref, queries: Vectors) -> None:
    """Raise EncoderMismatch unless vectors [n, dim] are as long as those of the collection."""
    if queries.shape[-1] != ref.encoder.dim:
        raise EncoderMismatch(
            f"{ref.name!r} has vectors of {ref.encoder.dim} dimensions ({ref.encoder.name}), the query {queries.shape[-1]}."
        )


def unit_queries(ref: Ref, vectors: Vectors) -> Vectors:
    """Vectors [n, dim] of unit length. Raises InvalidInput for one that points nowhere."""
    queries = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
    check_dim(ref, queries)
    norms = np.linalg.norm(queries, axis=1, keepdims=True)
    if not np.isfinite(norms).all() or not norms.all():
        raise InvalidInput("The query's vector is zero or not finite: it points nowhere.")
    return np.asarray(queries / norms, dtype=np.float32)


def _exact(query: Vectors, vectors: Mapping[int, Vectors], images: Mapping[int, Image]) -> list[Hit]:
    """Hits with exact scores, falling, equal ones by id: the same from every back end and index."""
    ids = [id for id in vectors if id in images]
    if not ids:
        return []
    scores = np.stack([vectors[id] for id in ids]).astype(np.float64) @ query.astype(np.float64)
    rounded = np.clip(scores.astype(np.float32), -1, 1).tolist()
    hits = [Hit(images[id], score, vectors[id]) for id, score in zip(ids, rounded, strict=True)]
    return sorted(hits, key=lambda hit: (-hit.score, hit.image.id))
