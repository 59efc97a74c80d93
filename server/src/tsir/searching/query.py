"""What was asked: the parts of a query, checked once, with a sentence for everything that cannot be used."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from PIL.Image import Image

from tsir.errors import InvalidInput
from tsir.library.collection import MAX_WINDOW
from tsir.media.formats import held_as
from tsir.paging import decode_cursor, encode_cursor
from tsir.storage.filters import Filter, parse, shown

PARTS = ("text", "not_text", "sketch", "image", "like")
"""Names of the query parts, as used for weights and shares."""
MAX_LIMIT = 1000
MAX_WEIGHT = 100.0
"""A hundred times another part is already "only this"; larger numbers lose the other part to float32."""


@dataclass(frozen=True)
class Query:
    """One search: what is wanted, how much each part counts, where and how many.

    `text`, `sketch`, `image` (a picture given as an example) and `like` (an image of the collection) say what is wanted, `not_text`
    what is not. A weight below zero turns a part into "not this"; `not_text` always pushes away, whatever its sign. Parts without a
    weight get the encoder's own. `cursor` is the `next` of the page before, for the very same query.
    Raises InvalidInput when something cannot be used as it is.
    """

    collection: str
    text: str | None = None
    not_text: str | None = None
    sketch: Image | None = None
    image: Image | None = None
    like: int | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    filter: Filter | None = None
    limit: int = 20
    cursor: str | None = None
    min_score: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", _words(self.text))
        object.__setattr__(self, "not_text", _words(self.not_text))
        check_weights(self.weights)
        if not 1 <= self.limit <= MAX_LIMIT:
            raise InvalidInput(f"limit is {self.limit}; it must be between 1 and {MAX_LIMIT}.")
        if self.min_score is not None and not -1 <= self.min_score <= 1:
            raise InvalidInput(f"min_score is {self.min_score}; it must be between -1 and 1, as scores are cosines.")
        if not any(part != "not_text" and self.weights.get(part, 1.0) > 0 for part in self.given()):
            raise InvalidInput(
                "The query asks for nothing: give text, a sketch, an image or like, with a weight above zero. not_text alone finds nothing."
            )

    def given(self) -> tuple[str, ...]:
        """Names of the parts that this query has, in the order of PARTS."""
        return tuple(part for part in PARTS if getattr(self, part) is not None)


def _words(text: str | None) -> str | None:
    """Blank text is no text."""
    return text.strip() or None if text else None


def check_text(name: str, text: str | None, longest: int) -> None:
    """Refuse a text of more than `longest` characters."""
    if text is not None and len(text) > longest:
        raise InvalidInput(f"{name} has {len(text)} characters; at most {longest} are allowed.")


def check_weights(weights: Mapping[str, object]) -> dict[str, float]:
    """Weights by part name, as floats. Raises InvalidInput for unknown names and for what is no finite number."""
    checked: dict[str, float] = {}
    for name, value in weights.items():
        if name not in PARTS:
            raise InvalidInput(f"weights has an unknown name {name!r}; known are {', '.join(PARTS)}.")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= MAX_WEIGHT or math.isnan(value):
            raise InvalidInput(f"The weight of {name} is {shown(value)}; it must be a number between -{MAX_WEIGHT:g} and {MAX_WEIGHT:g}.")
        checked[name] = float(value)
    return checked


def parse_weights(text: str | None) -> dict[str, float]:
    """Weights from JSON, `{"text": 1, "sketch": 0.5}`. Empty text is no weights."""
    return check_weights(_json_object("weights", text, '{"text": 1, "sketch": 0.5}')) if text and text.strip() else {}


def parse_filter(text: str | None) -> Filter | None:
    """A filter from JSON, `{"min_width": 800, "formats": ["JPEG"]}`. Empty text is no filter. Times without a zone are UTC."""
    if not text or not text.strip():
        return None
    values = _json_object("filter", text, '{"min_width": 800, "orientation": "landscape"}')
    found = parse(values)
    return replace(found, formats=tuple(dict.fromkeys(name for asked in found.formats for name in held_as(asked))))


def _json_object(name: str, text: str, example: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidInput(f"{name} is not JSON; it must look like {example}.") from None
    if not isinstance(value, dict):
        raise InvalidInput(f"{name} is {shown(value)}; it must be a JSON object such as {example}.")
    return value


def digest(query: Query, pictures: Mapping[str, Image], fingerprint: str) -> str:
    """Hash of everything that decides the order of the hits; a cursor belongs to it. `pictures`: the prepared sketch and image."""
    hasher = hashlib.sha256()
    filter_text = repr(query.filter)
    parts = (query.collection, query.text, query.not_text, query.like, sorted(query.weights.items()), filter_text, query.min_score)
    hasher.update(repr((fingerprint, parts)).encode("utf-8", "surrogatepass"))
    for name, picture in sorted(pictures.items()):
        hasher.update(f"{name}:{picture.mode}:{picture.size}".encode())
        hasher.update(picture.tobytes())
    return hasher.hexdigest()[:16]


def make_cursor(offset: int, query_digest: str) -> str:
    """An opaque cursor for the page that starts at `offset`."""
    return encode_cursor(f"{offset}:{query_digest}")


def read_cursor(cursor: str | None, query_digest: str, limit: int) -> int:
    """The offset of a cursor. Raises InvalidInput when it is broken, of another query, or beyond what can be paged through."""
    offset = _offset(cursor, query_digest) if cursor else 0
    if offset + limit > MAX_WINDOW:
        raise InvalidInput(f"One can page through {MAX_WINDOW} hits; ask for less, or narrow the search with a filter.")
    return offset


def _offset(cursor: str, query_digest: str) -> int:
    found = decode_cursor(cursor, r"(\d{1,5}):([^:]+)")
    if found[2] != query_digest:
        raise InvalidInput("cursor belongs to another query; use it with the very same query, or none for the first page.")
    return int(found[1])
