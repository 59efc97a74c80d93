"""A search, from what a person gave to what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from PIL.Image import Image
from PIL.Image import new as new_image

from tsir.encoders.base import Encoder
from tsir.encoders.loaded import Encoders
from tsir.importing.reading import least_sides, open_within, pixels_for
from tsir.library.library import Library
from tsir.media.decode import open_sketch
from tsir.searching.query import Query, check_text
from tsir.searching.search import Found, search
from tsir.settings import Settings
from tsir.stopwatch import Stopwatch
from tsir.storage.filters import Filter

NOT_YET = new_image("RGB", (1, 1))
"""Stands for an example picture until it is known for which encoder to decode it."""


@dataclass(frozen=True)
class Question:
    """What is asked of a collection, as it came: pictures are bytes. See `Query` for what the parts mean."""

    collection: str
    text: str | None = None
    not_text: str | None = None
    sketch: bytes | None = None
    image: bytes | None = None
    like: int | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    filter: Filter | None = None
    limit: int = 20
    cursor: str | None = None
    min_score: float | None = None


def find(library: Library, encoders: Encoders, settings: Settings, question: Question, watch: Stopwatch | None = None) -> Found:
    """Answer a question with the encoder of its collection, whose row is read once.

    Raises InvalidInput, InvalidImage and TooLarge for what cannot be used, NotFound for an unknown collection or `like`, EncoderMismatch
    when no encoder at hand made the collection's vectors.
    """
    watch = watch or Stopwatch()
    check_text("text", question.text, settings.max_text)
    check_text("not_text", question.not_text, settings.max_text)
    query = Query(
        collection=question.collection,
        text=question.text,
        not_text=question.not_text,
        sketch=_sketch(question.sketch, settings),
        image=NOT_YET if question.image is not None else None,
        like=question.like,
        weights=question.weights,
        filter=question.filter,
        limit=question.limit,
        cursor=question.cursor,
        min_score=question.min_score,
    )
    collection = library.collection(question.collection)
    encoder = encoders.of(collection)
    if question.image is not None:
        query = replace(query, image=_example(question.image, encoder, settings))
    watch.lap("decode")
    return search(collection, encoder, query, watch)


def _sketch(data: bytes | None, settings: Settings) -> Image | None:
    if data is None:
        return None
    return open_sketch(data, max_bytes=settings.max_upload_bytes, max_pixels=settings.max_pixels)


def _example(data: bytes, encoder: Encoder, settings: Settings) -> Image:
    """Decoded as imports do for the encoder that made the vectors, so that a picture finds itself with a score of one."""
    return pixels_for(encoder, open_within(data, settings, least_sides(encoder)))
