"""What was found: encode the parts of a query, fuse them, search once, and say what share each part had in every score, and how relevant it
is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from PIL.Image import Image as Picture

from tsir.encoders import plain
from tsir.encoders.base import Encoder, Vectors
from tsir.encoders.relevance import Curve
from tsir.errors import InvalidInput, NotFound, TsirError
from tsir.library.collection import Collection
from tsir.library.nearest import MAX_WINDOW
from tsir.records import Hit, Image
from tsir.searching.fusion import UNWANTED, alone, balanced, fuse, several, shares, together, weight
from tsir.searching.pooling import Entry, Look, below, gathered, place, pool, pooled
from tsir.searching.query import Box, Mark, Query, digest, make_cursor, read_cursor
from tsir.stopwatch import Stopwatch
from tsir.storage import filters
from tsir.storage.filters import Filter

Hint = Literal["nothing_likely", "language"]
"""What a person should know of an answer as a whole: no hit in it is likely to be meant; the encoder does not know the words' language."""

BACK = 64
"""Hits before a page that are found once more: so many may have been removed since the page before it without a second search."""


@dataclass(frozen=True)
class FoundHit:
    """An image and why it was found."""

    image: Image
    score: float
    """Cosine of query and image, -1 to 1."""
    parts: dict[str, float]
    """Share of each part of the query in the score; they add up to it."""
    relevance: float | None = None
    """How likely it is one that was asked for, 0 to 1; falls with the score. None where the encoder is not calibrated for such queries."""
    members: tuple[Image, ...] = ()
    """The images that were collapsed into this one, the best hits first."""


@dataclass(frozen=True)
class Found:
    """One page of hits, scores falling."""

    hits: list[FoundHit]
    next: str | None
    """Cursor of the next page; None when this is the last."""
    cut: float | None = None
    """Hits of a lower relevance are less likely answers; None where hits have none."""
    hint: Hint | None = None
    """Of the first page."""


@dataclass(frozen=True)
class _Part:
    name: str
    vector: Vectors
    weight: float


Parts = Callable[[Sequence[tuple[Image, Box]]], Vectors]
"""Vectors [n, dim] of parts of images."""


class Gallery:
    """What is searched: one collection, or several of one encoder. `parts` encodes parts of images, `look` gives small copies."""

    def __init__(self, collections: Sequence[Collection], encoder: Encoder, parts: Parts | None = None, look: Look | None = None) -> None:
        self.collections = collections
        self.encoder = encoder
        self.parts = parts
        self.look = look

    def nearest(self, vectors: Vectors, limit: int, offset: int, filter: Filter | None, watch: Stopwatch) -> list[list[Hit]]:
        """Of each of the vectors [n, dim], the hits of all collections together."""
        if len(self.collections) == 1:
            return self.collections[0].search_many(vectors, limit, offset, filter, watch)
        each = [collection.search_many(vectors, offset + limit, 0, filter, watch) for collection in self.collections]
        ranked = [sorted(itertools.chain(*hits), key=lambda hit: (-hit.score, hit.image.id)) for hits in zip(*each, strict=True)]
        return [hits[offset : offset + limit] for hits in ranked]

    def stored(self, ids: Sequence[int]) -> dict[int, Vectors]:
        """Vectors of those of the images that have one."""
        found: dict[int, Vectors] = {}
        for collection in self.collections:
            found |= collection.vectors([id for id in ids if id not in found])
        return found

    def image(self, id: int) -> Image:
        """An image of one of the collections. Raises NotFound."""
        for collection in self.collections[:-1]:
            with suppress(NotFound):
                return collection.image(id)
        return self.collections[-1].image(id)


def search(collection: Collection | Gallery, encoder: Encoder, query: Query, watch: Stopwatch | None = None) -> Found:
    """One page of the images that answer a query, best first. `watch` counts the laps "encode", "search", "rows" and "answer".

    Raises NotFound for an unknown `like` and for a cursor of another query, EncoderMismatch when the collection was built with another
    encoder (`like` alone needs none), and InvalidInput for weights that cancel the parts out, or a least relevance where the encoder cannot
    tell.
    """
    gallery = collection if isinstance(collection, Gallery) else Gallery([collection], encoder)
    return search_many(gallery, [query], watch or Stopwatch())[0]


@dataclass(frozen=True)
class _Asked:
    """A query on its way."""

    query: Query
    digest: str
    after: Mark | None
    parts: list[_Part]
    vector: Vectors
    curve: Curve | None

    @property
    def window(self) -> tuple[int, int]:
        """How many hits are needed, and from which on."""
        if pooled(self.query):
            return pool(self.query), 0
        rank = self.after.rank if self.after else 0
        start = max(0, rank - BACK)
        # More than asked for: some may stand in the query itself, one tells whether there is a next page.
        return min(rank + self.query.limit + 1 + len(self.query.named), MAX_WINDOW) - start, start

    def begin(self, entries: Sequence[Entry]) -> int:
        """Where among entries in the order of the answer this page begins."""
        if self.after is None:
            return 0
        _, id = last = self.after.place
        same = (number for number, entry in enumerate(entries, 1) if entry.hit.image.id == abs(id))  # its score may differ in the last bit
        later = (number for number, entry in enumerate(entries) if place(entry, self.query.sort) < last)
        return next(same, None) or next(later, len(entries))


@contextmanager
def about(number: int, count: int) -> Iterator[None]:
    """What is done for one of several queries: an error says which it is about."""
    try:
        yield
    except TsirError as error:
        if count > 1:
            error.args = (f"queries[{number}]: {error}",)
        raise


def search_many(gallery: Gallery, queries: Sequence[Query], watch: Stopwatch, words: Said | None = None) -> list[Found]:
    """A page for each of the queries: all are encoded together, and those of the same filter searched together.

    `words`: theirs, where `begin_words` has begun with them.
    """
    encoder = gallery.encoder
    _expect(gallery, queries)
    pictures = [_prepare(encoder, query) for query in queries]
    digests = [digest(query, prepared, encoder.fingerprint) for query, prepared in zip(queries, pictures, strict=True)]
    marks = []
    for number, (query, of) in enumerate(zip(queries, digests, strict=True)):
        with about(number, len(queries)):
            marks.append(read_cursor(query.cursor, of, query.limit))
    parts = _encode(gallery, queries, pictures, words)
    asked = []
    for number, (query, of, after, of_query) in enumerate(zip(queries, digests, marks, parts, strict=True)):
        with about(number, len(queries)):
            vector = fuse([(part.vector, part.weight) for part in of_query])
            asked.append(_Asked(query, of, after, of_query, vector, _curve(encoder, gallery.collections[0], query, of_query)))
    watch.lap("encode")
    together: dict[object, list[int]] = {}
    for number, one in enumerate(asked):
        together.setdefault((filters.key(one.query.filter), one.window), []).append(number)
    found: dict[int, Found] = {}
    for numbers in together.values():
        first = asked[numbers[0]]
        vectors = np.stack([asked[number].vector for number in numbers])
        ranked = gallery.nearest(vectors, *first.window, first.query.filter, watch)
        for number, hits in zip(numbers, ranked, strict=True):
            found[number] = _answer(gallery, asked[number], hits, watch)
    watch.lap("answer")
    return [found[number] for number in range(len(asked))]


def _expect(gallery: Gallery, queries: Sequence[Query]) -> None:
    """Raise EncoderMismatch where the queries need an encoder and the gallery's is another than made its vectors."""
    if any(query.encoded for query in queries):
        for collection in gallery.collections:
            collection.expect(gallery.encoder.info)


def _answer(gallery: Gallery, asked: _Asked, ranked: list[Hit], watch: Stopwatch) -> Found:
    query, curve = asked.query, asked.curve
    hint = _hint(gallery.encoder, query, ranked, curve) if asked.after is None else None
    count, start = asked.window
    if pooled(query):
        entries, more = gathered([hit for hit in ranked if hit.image.id not in query.named], query, curve, gallery.look), False
    else:
        if start and not asked.begin([Entry(hit) for hit in ranked]):  # more than these have gone
            count, start = count + start, 0
            (ranked,) = gallery.nearest(asked.vector[np.newaxis], count, start, query.filter, watch)
        entries, more = [Entry(hit) for hit in ranked], len(ranked) == count
    page, last = _page(asked, entries, start, more)
    following = None if last is None or last.rank + query.limit > MAX_WINDOW else make_cursor(last, asked.digest)
    return Found(_explained(page, asked.parts, curve), following, curve.cut if curve else None, hint)


def _prepare(encoder: Encoder, query: Query) -> dict[str, Picture]:
    """The pictures of the query in the encoder's input geometry."""
    pictures: dict[str, Picture] = {}
    if query.sketch is not None:
        pictures["sketch"] = encoder.prepare_sketch(query.sketch)
    if query.image is not None:
        pictures["image"] = plain.prepared(encoder, query.image)
    return pictures


_BESIDE = ThreadPoolExecutor(16, thread_name_prefix="beside")
"""Kept: a search would wait until a thread of its own has begun."""


class _Lot:
    """Things of many queries that are encoded at once: put in first, taken out afterwards."""

    def __init__(self) -> None:
        self.things: dict[Any, Any] = {}
        self.vectors: dict[Any, Vectors] = {}

    def put(self, key: Any, thing: Any) -> None:
        self.things.setdefault(key, thing)

    def encode(self, encode: Callable[[list[Any]], Vectors]) -> None:
        if self.things:
            self.vectors = dict(zip(self.things, encode(list(self.things.values())), strict=True))


Said = Future[_Lot]
"""The words of queries, while they are encoded."""


def begin_words(gallery: Gallery, queries: Sequence[Query]) -> Said:
    """Begin to encode the words of queries, for `search_many`: their pictures can be decoded meanwhile. Raises EncoderMismatch."""
    _expect(gallery, queries)
    return _BESIDE.submit(_said, gallery.encoder, queries)


def _said(encoder: Encoder, queries: Sequence[Query]) -> _Lot:
    texts = _Lot()
    for query in queries:
        for name in _weights(encoder, query):
            for words in query.words(name) if name in ("text", "not_text") else ():
                texts.put(words.text, words.text)
    texts.encode(encoder.texts)
    return texts


def _weights(encoder: Encoder, query: Query) -> dict[str, float]:
    """Of the parts that count at all."""
    counts = {name: weight(encoder, name, query.weights) for name in query.given()}
    return {name: value for name, value in counts.items() if value != 0}


def _encode(gallery: Gallery, queries: Sequence[Query], pictures: Sequence[Mapping[str, Picture]], words: Said | None) -> list[list[_Part]]:
    """Of each query one vector for each part whose weight is not zero."""
    encoder = gallery.encoder
    sketches, images, whole, boxed = _Lot(), _Lot(), _Lot(), _Lot()
    weights = [_weights(encoder, query) for query in queries]
    for number, (query, prepared) in enumerate(zip(queries, pictures, strict=True)):
        for name in weights[number]:
            if name in ("text", "not_text"):
                continue
            if name in ("like", "not_like"):
                for one in query.examples(name):
                    if one.box is None:
                        whole.put(one.id, number)
                    else:
                        with about(number, len(queries)):
                            boxed.put((one.id, one.box), (gallery.image(one.id), one.box))
            else:
                (sketches if name == "sketch" else images).put(number, prepared[name])
    words = words or begin_words(gallery, queries)
    photos = _BESIDE.submit(images.encode, lambda batch: plain.photo_vectors(encoder, batch)) if images.things else None
    sketches.encode(encoder.sketches)
    if photos is not None:
        photos.result()
    texts = words.result()
    whole.vectors = dict(gallery.stored(list(whole.things))) if whole.things else {}
    for id, number in whole.things.items():
        if id not in whole.vectors:
            with about(number, len(queries)):
                gallery.image(id)
                raise NotFound(f"Image {id} has no vector yet; try again when its import is done.")
    if boxed.things:
        if gallery.parts is None:
            raise InvalidInput("A part of a picture cannot be searched by here: nothing reads the picture.")
        boxed.encode(gallery.parts)
    parts = []
    for number, query in enumerate(queries):
        found: dict[str, tuple[Vectors, float]] = {}
        for name in weights[number]:
            if name in ("text", "not_text"):
                found[name] = several([(texts.vectors[words.text], words.weight) for words in query.words(name)])
            elif name in ("like", "not_like"):
                of = [(whole.vectors[one.id] if one.box is None else boxed.vectors[one.id, one.box], one) for one in query.examples(name)]
                found[name] = several([(vector, one.weight) for vector, one in of])
            else:
                found[name] = ((sketches if name == "sketch" else images).vectors[number], 1.0)
        parts.append(_together(encoder, query, found, weights[number]))
    return parts


def _together(encoder: Encoder, query: Query, found: Mapping[str, tuple[Vectors, float]], weights: Mapping[str, float]) -> list[_Part]:
    """The parts of one query, as they are beside each other."""
    vectors = {name: vector for name, (vector, _) in found.items()}
    counts = {name: -abs(weights[name] * times) if name in UNWANTED else weights[name] * times for name, (_, times) in found.items()}
    counts = balanced(counts, query.weights)
    if {"text", "sketch"} <= vectors.keys():
        text = ", ".join(words.text for words in query.words("text"))
        vectors["sketch"] = together(encoder, vectors["sketch"][np.newaxis], [text], counts)[0]
    if (only := [name for name in vectors if name not in UNWANTED]) in (["text"], ["sketch"]):
        vectors[only[0]] = alone(encoder, only[0], vectors[only[0]])
    return [_Part(name, vectors[name], counts[name]) for name in vectors]


def _curve(encoder: Encoder, collection: Collection, query: Query, parts: list[_Part]) -> Curve | None:
    """What a score means for these parts. Raises InvalidInput where nobody knows and the query asks for a least relevance."""
    known = encoder.calibration if encoder.fingerprint == collection.encoder.fingerprint else None
    curve = known.curve([(part.name, part.vector, part.weight) for part in parts]) if known is not None else None
    if curve is None and query.min_relevance is not None:
        given = " and ".join(part.name for part in parts)
        raise InvalidInput(
            f"The encoder {encoder.name!r} cannot tell how relevant pictures are to a query of {given}: "
            "use min_score instead of min_relevance."
        )
    return curve


def _hint(encoder: Encoder, query: Query, ranked: list[Hit], curve: Curve | None) -> Hint | None:
    """Of the first page, whose hits begin with the best one there is."""
    best = next((hit for hit in ranked if hit.image.id not in query.named), None)
    if best is None or (curve is not None and curve.relevance(best.score) >= curve.cut):
        return None
    if any(not encoder.knows(words.text) for words in query.words("text")):
        return "language"
    return "nothing_likely" if curve is not None else None


def _page(asked: _Asked, entries: Sequence[Entry], start: int, more: bool) -> tuple[list[Entry], Mark | None]:
    """The entries of this page, and after which one the next begins (None: this is the last). `start` of all come before `entries`, and
    there may be `more` behind them."""
    page: list[Entry] = []
    query, last = asked.query, asked.after
    begin = asked.begin(entries)
    for rank, entry in enumerate(entries[begin:], start + begin):
        if below(query, asked.curve, entry.hit.score):
            return page, None
        if entry.hit.image.id in query.named:
            continue
        if len(page) == query.limit:
            return page, last
        page.append(entry)
        last = Mark(rank + 1, place(entry, query.sort))
    return page, replace(last, rank=start + len(entries)) if more and last else None


def _explained(entries: list[Entry], parts: list[_Part], curve: Curve | None) -> list[FoundHit]:
    if not entries:
        return []
    rows = shares([(part.vector, part.weight) for part in parts], np.stack([entry.hit.vector for entry in entries]))
    return [
        FoundHit(
            entry.hit.image,
            float(entry.hit.score),
            {part.name: float(share) for part, share in zip(parts, row, strict=True)},
            curve.relevance(entry.hit.score) if curve is not None else None,
            entry.members,
        )
        for entry, row in zip(entries, rows, strict=True)
    ]
