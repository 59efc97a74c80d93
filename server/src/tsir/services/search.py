"""A search, from what a person gave to what was found."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Generic, TypeVar

import numpy as np
from PIL.Image import Image
from PIL.Image import new as new_image

from tsir.encoders import plain
from tsir.encoders.base import Encoder
from tsir.encoders.loaded import Encoders
from tsir.errors import EncoderMismatch, NotFound, TsirError
from tsir.importing.reading import least_sides, open_at, open_within, pixels_for, read_again
from tsir.jobs.model import JobFailure
from tsir.library.library import Library
from tsir.media.decode import open_sketch
from tsir.media.formats import sniff
from tsir.media.likeness import Small, small
from tsir.records import Image as StoredImage
from tsir.records import Vectors
from tsir.searching import parts
from tsir.searching.language import Line, parse
from tsir.searching.query import Box, Parts, Query, Texts, check_text
from tsir.searching.search import Found, Gallery, about, begin_words, search_many
from tsir.services.pictures import thumbnail
from tsir.settings import Settings
from tsir.stopwatch import Stopwatch
from tsir.storage.filters import Filter, said

K = TypeVar("K")
V = TypeVar("V")

NOT_YET = new_image("RGB", (1, 1))
"""Stands for a picture until it is decoded: an example for the encoder that is known by then, a drawing while the words are encoded."""


EVERYWHERE = "all"
"""Instead of the names of collections: all of them."""


def listed(names: str | None) -> tuple[str, ...]:
    """Collections that are searched as well, from their names with commas between them."""
    found = tuple(name.strip() for name in (names or "").split(",") if name.strip())
    return (EVERYWHERE,) if EVERYWHERE in found else found


@dataclass(frozen=True)
class Question(Parts[bytes]):
    """What is asked of a collection, as it came. See `Query` for what the parts mean.

    `query` is a line in the language of `searching.language`: what it says comes to what the other fields say. `collections` are searched
    as well, which all must be of one encoder; ("all",): all there are.
    """

    query: str | None = None
    collections: Sequence[str] = ()


def find(library: Library, encoders: Encoders, settings: Settings, question: Question, watch: Stopwatch | None = None) -> Found:
    """Answer a question with the encoder of its collection, whose row is read once.

    Raises InvalidInput, InvalidImage and TooLarge for what cannot be used, NotFound for an unknown collection or `like`, EncoderMismatch
    when no encoder at hand made the collection's vectors, unless `like` alone asks, or when several collections have vectors of several
    encoders.
    """
    return find_many(library, encoders, settings, [question], watch)[0]


def find_many(
    library: Library, encoders: Encoders, settings: Settings, questions: Sequence[Question], watch: Stopwatch | None = None
) -> list[Found]:
    """Answer questions together, which must be to the same collections: they are encoded and searched as one. Of several, an error names
    the one that it is about."""
    watch = watch or Stopwatch()
    asked = []
    for number, question in enumerate(questions):
        with about(number, len(questions)):
            asked.append(_query(question, settings))
    gallery = _gallery(library, encoders, settings, questions[0], needed=any(query.encoded for query in asked))
    words = begin_words(gallery, asked)
    for number, question in enumerate(questions):
        if question.sketch is not None or question.image is not None:
            with about(number, len(questions)):
                sketch, image = _sketch(question.sketch, settings), _example(question.image, gallery.encoder, settings)
                asked[number] = replace(asked[number], sketch=sketch, image=image)
    watch.lap("decode")
    return search_many(gallery, asked, watch, words)


def _query(question: Question, settings: Settings) -> Query:
    line = parse(question.query) if question.query and question.query.strip() else Line()
    given = {one.name: getattr(question, one.name) for one in fields(Parts)}
    given |= {
        "collection": ",".join(dict.fromkeys([question.collection, *question.collections])),
        "text": _both(question.text, [line.text] if line.text else []),
        "not_text": _both(question.not_text, line.not_text),
        "sketch": NOT_YET if question.sketch is not None else None,
        "image": NOT_YET if question.image is not None else None,
        "filter": narrowed(question.filter, line.filter),
    }
    query = Query(**given)
    for part in ("text", "not_text"):
        for words in query.words(part):
            check_text(part, words.text, settings.max_text)
    return query


def _both(given: Texts, more: Sequence[str]) -> Texts:
    if not more:
        return given
    listed = [given] if isinstance(given, str) else list(given or ())
    return [*listed, *more]


def narrowed(filter: Filter | None, line: Filter) -> Filter | None:
    """A filter with the conditions of a line, which count where both say something of the same field."""
    more = said(line)
    return replace(filter or Filter(), **more) if more else filter


def _gallery(library: Library, encoders: Encoders, settings: Settings, question: Question, *, needed: bool) -> Gallery:
    first = library.collection(question.collection)
    if EVERYWHERE in question.collections:
        others = [other for other in library.handles() if other.id != first.id]
    else:
        others = [library.collection(name) for name in dict.fromkeys(question.collections) if name != question.collection]
    for other in others:
        if other.encoder.fingerprint != first.encoder.fingerprint:
            raise EncoderMismatch(
                f"The collections {first.name!r} ({first.encoder.name}) and {other.name!r} ({other.encoder.name}) have vectors of "
                "different encoders, which cannot be compared: search them one by one, or re-encode one of them."
            )
    try:
        encoder = encoders.of(first)
    except EncoderMismatch:
        if needed:  # while a collection waits to be re-encoded, it can still say what looks alike
            raise
        encoder = encoders.main
    return Gallery(
        [first, *others],
        encoder,
        lambda asked: parts_of(encoder, settings, library, asked),
        lambda image: look(library, image, settings),
    )


def parts_of(encoder: Encoder, settings: Settings, library: Library, asked: Sequence[tuple[StoredImage, Box]]) -> Vectors:
    """Vectors [n, dim] of parts of stored images; those that were asked for lately are remembered. Raises NotFound for a file that is
    gone."""
    keys = [(encoder.fingerprint, image.content_hash, box) for image, box in asked]
    known = {key: vector for key in keys if (vector := PARTS.get(key)) is not None}
    new = {key: item for key, item in zip(keys, asked, strict=True) if key not in known}
    if new:
        pieces = [plain.prepared(encoder, piece) for item in new.values() for piece in cut_out(encoder, settings, library, *item)]
        vectors = parts.mean(plain.photo_vectors(encoder, pieces).reshape(len(new), len(parts.LOOKS), -1))
        for key, vector in zip(new, vectors, strict=True):
            PARTS.put(key, vector)
            known[key] = vector
    return np.stack([known[key] for key in keys])


def cut_out(encoder: Encoder, settings: Settings, library: Library, image: StoredImage, box: Box) -> list[Image]:
    """The pieces by which a part of a stored image is known, large enough for the encoder where the original is; else of its thumbnail.
    Raises NotFound without either."""
    least = least_sides(encoder)
    needed = round(encoder.photo_size / min(box[2] - box[0], box[3] - box[1]))
    read = read_again(image, lambda path: open_at(path, settings, (needed, needed) if least else None))
    if isinstance(read, JobFailure):
        try:
            whole = open_sketch(
                thumbnail(library, image, "large", settings), max_bytes=settings.max_upload_bytes, max_pixels=settings.max_pixels
            )
        except TsirError:
            raise NotFound(f"Image {image.id} cannot be cut: {read.reason}") from None
    else:
        whole = pixels_for(encoder, read)
    return [whole.crop(piece) for piece in parts.looks(box, whole.size)]


def look(library: Library, image: StoredImage, settings: Settings) -> Small | None:
    """The small copy by which near-duplicates are proved; None where there is no picture any more."""
    copy = COPIES.get(image.content_hash)
    if copy is None:
        try:
            path = thumbnail(library, image, "small", settings)
            copy = small(open_sketch(path, max_bytes=settings.max_upload_bytes, max_pixels=settings.max_pixels))
        except TsirError:
            return None
        COPIES.put(image.content_hash, copy)
    return copy


class _Memory(Generic[K, V]):
    """The last things that were asked for. Thread-safe."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: K, value: V) -> None:
        with self._lock:
            self._held[key] = value
            while len(self._held) > self._size:
                self._held.popitem(last=False)


PARTS: _Memory[tuple[str, str, Box], Vectors] = _Memory(2_000)
"""Vectors of parts, a few kilobytes each, by encoder, content and box."""
COPIES: _Memory[str, Small] = _Memory(2_000)
"""Small copies, twelve kilobytes each, by content."""


def _sketch(data: bytes | None, settings: Settings) -> Image | None:
    if data is None:
        return None
    kind = sniff(data)
    if not kind or kind.name != "PNG":  # what pages draw is a PNG, and a millisecond counts; others have harmful decoders
        return open_within(data, settings, None).image
    return open_sketch(data, max_bytes=settings.max_upload_bytes, max_pixels=settings.max_pixels)


def _example(data: bytes | None, encoder: Encoder, settings: Settings) -> Image | None:
    """Decoded as imports do for the encoder that made the vectors, so that a picture finds itself with a score of one."""
    return None if data is None else pixels_for(encoder, open_within(data, settings, least_sides(encoder)))
