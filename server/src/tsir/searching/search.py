"""What was found: encode the parts of a query, fuse them, search once, and say what share each part had in every score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL.Image import Image as Picture

from tsir.encoders.base import Encoder, Vectors
from tsir.errors import NotFound
from tsir.library.collection import MAX_WINDOW, Collection
from tsir.records import Hit, Image
from tsir.searching.fusion import alone, fuse, shares, weight
from tsir.searching.query import Query, digest, make_cursor, read_cursor
from tsir.stopwatch import Stopwatch


@dataclass(frozen=True)
class FoundHit:
    """An image and why it was found."""

    image: Image
    score: float
    """Cosine of query and image, -1 to 1."""
    parts: dict[str, float]
    """Share of each part of the query in the score; they add up to it."""


@dataclass(frozen=True)
class Found:
    """One page of hits, scores falling."""

    hits: list[FoundHit]
    next: str | None
    """Cursor of the next page; None when this is the last."""


@dataclass(frozen=True)
class _Part:
    name: str
    vector: Vectors
    weight: float


def search(collection: Collection, encoder: Encoder, query: Query, watch: Stopwatch | None = None) -> Found:
    """One page of the images that answer a query, best first. `watch` counts the laps "encode", "search", "rows" and "answer".

    Raises NotFound for an unknown `like`, EncoderMismatch when the collection was built with another encoder, and InvalidInput for a
    cursor of another query or weights that cancel the parts out.
    """
    watch = watch or Stopwatch()
    collection.expect(encoder.info)
    pictures = _prepare(encoder, query)
    query_digest = digest(query, pictures, encoder.fingerprint)
    offset = read_cursor(query.cursor, query_digest, query.limit)
    parts = _encode(collection, encoder, query, pictures)
    vector = fuse([(part.vector, part.weight) for part in parts])
    watch.lap("encode")
    # Two more than asked for: one may be `like` itself, one tells whether there is a next page.
    ranked = collection.search(vector, min(query.limit + 2, MAX_WINDOW - offset), offset, query.filter, watch)
    chosen, following = _page(ranked, query, offset)
    hits = _explained(chosen, parts)
    watch.lap("answer")
    return Found(hits, None if following is None else make_cursor(following, query_digest))


def _prepare(encoder: Encoder, query: Query) -> dict[str, Picture]:
    """The pictures of the query in the encoder's input geometry."""
    pictures: dict[str, Picture] = {}
    if query.sketch is not None:
        pictures["sketch"] = encoder.prepare_sketch(query.sketch)
    if query.image is not None:
        pictures["image"] = encoder.prepare_photo(query.image)
    return pictures


def _encode(collection: Collection, encoder: Encoder, query: Query, pictures: Mapping[str, Picture]) -> list[_Part]:
    """One unit vector for each part whose weight is not zero."""
    weights = {name: weight(encoder, name, query.weights) for name in query.given()}
    weights = {name: value for name, value in weights.items() if value != 0}
    vectors: dict[str, Vectors] = {}
    words = {name: text for name, text in (("text", query.text), ("not_text", query.not_text)) if text and name in weights}
    if words:
        vectors.update(zip(words, encoder.texts(list(words.values())), strict=True))
    if "sketch" in weights:
        vectors["sketch"] = encoder.sketches([pictures["sketch"]])[0]
    if "image" in weights:
        vectors["image"] = encoder.images([pictures["image"]])[0]
    if "like" in weights and query.like is not None:
        vectors["like"] = _stored(collection, query.like)
    if (only := [name for name in vectors if name != "not_text"]) in (["text"], ["sketch"]):
        vectors[only[0]] = alone(encoder, only[0], vectors[only[0]])
    return [_Part(name, vectors[name], value) for name, value in weights.items()]


def _stored(collection: Collection, id: int) -> Vectors:
    image = collection.image(id)
    vector = collection.vectors([image.id]).get(image.id)
    if vector is None:
        raise NotFound(f"Image {id} has no vector yet; try again when its import is done.")
    return vector


def _page(ranked: list[Hit], query: Query, offset: int) -> tuple[list[Hit], int | None]:
    """The hits of this page, and the rank at which the next one starts (None: this is the last)."""
    page: list[Hit] = []
    for rank, hit in enumerate(ranked, offset):
        if query.min_score is not None and hit.score < query.min_score:
            return page, None
        if hit.image.id == query.like:
            continue
        if len(page) == query.limit:
            return page, rank if rank + query.limit <= MAX_WINDOW else None
        page.append(hit)
    return page, None


def _explained(hits: list[Hit], parts: list[_Part]) -> list[FoundHit]:
    if not hits:
        return []
    rows = shares([(part.vector, part.weight) for part in parts], np.stack([hit.vector for hit in hits]))
    return [
        FoundHit(hit.image, float(hit.score), {part.name: float(share) for part, share in zip(parts, row, strict=True)})
        for hit, row in zip(hits, rows, strict=True)
    ]
