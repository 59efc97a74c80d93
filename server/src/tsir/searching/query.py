"""What was asked: the parts of a query, checked once, with a sentence for everything that cannot be used."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, TypeVar

from PIL.Image import Image

from tsir.errors import InvalidInput, NotFound
from tsir.library.nearest import MAX_WINDOW
from tsir.media.formats import KNOWN, named
from tsir.paging import decode_cursor, encode_cursor
from tsir.storage.filters import Filter, key, parse, said, shown
from tsir.storage.kinds import MAX_ID, is_unicode

PARTS = ("text", "not_text", "sketch", "image", "like", "not_like")
"""Names of the query parts, as used for weights and shares."""
UNWANTED = ("not_text", "not_like")
MAX_ITEMS = 32
"""Texts, or pictures, of one part."""
MAX_LIMIT = 1000
MAX_WEIGHT = 100.0
"""A hundred times another part is already "only this"; larger numbers lose the other part to float32."""


Box = tuple[float, float, float, float]
"""A part of a picture: left, top, right and bottom in shares of its width and height, 0 to 1."""
Collapse = Literal["duplicates", "bursts"]
Sort = Literal["relevance", "taken", "imported"]
COLLAPSES: tuple[Collapse, ...] = ("duplicates", "bursts")
SORTS: tuple[Sort, ...] = ("relevance", "taken", "imported")


@dataclass(frozen=True, slots=True)
class Words:
    """A text, and how much it counts beside the others of its part."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Example:
    """A picture of the collection, or a part of it, and how much it counts beside the others of its part."""

    id: int
    box: Box | None = None
    weight: float = 1.0


Texts = str | Sequence[str | Words] | None
Examples = int | Sequence[int | Example] | None


P = TypeVar("P")


@dataclass(frozen=True)
class Parts(Generic[P]):
    """The parts of a search, its pictures in one form or another: see `Query`."""

    collection: str
    text: Texts = None
    not_text: Texts = None
    sketch: P | None = None
    image: P | None = None
    like: Examples = None
    not_like: Examples = None
    weights: Mapping[str, float] = field(default_factory=dict)
    filter: Filter | None = None
    limit: int = 20
    cursor: str | None = None
    min_score: float | None = None
    min_relevance: float | None = None
    collapse: Collapse | None = None
    sort: Sort = "relevance"


@dataclass(frozen=True)
class Query(Parts[Image]):
    """One search: what is wanted, how much each part counts, where and how many.

    `text`, `sketch`, `image` (a picture given as an example) and `like` (images of the collection, or parts of them) say what is
    wanted, `not_text` and `not_like` what is not; of texts and images there may be several. A weight below zero turns a part into "not
    this"; what is not wanted always pushes away, whatever its sign. Parts without a weight get the encoder's own. `cursor` is the `next`
    of the page before, for the very same query.

    `collapse` makes one hit of near-duplicates, or of pictures that were taken one after the other. It, and a `sort` that is not by
    relevance, look at the best hits alone (see `searching.pooling`). Raises InvalidInput when something cannot be used as it is.
    """

    def __post_init__(self) -> None:
        for part in ("text", "not_text"):
            object.__setattr__(self, part, _words(getattr(self, part)))
            _check_items(part, self.words(part))
        for part in ("like", "not_like"):
            if not self.examples(part):
                object.__setattr__(self, part, None)
            _check_items(part, self.examples(part))
        if self.collapse is not None and self.collapse not in COLLAPSES:
            raise InvalidInput(f"collapse is {shown(self.collapse)}; it must be {' or '.join(COLLAPSES)}.")
        if self.sort not in SORTS:
            raise InvalidInput(f"sort is {shown(self.sort)}; it must be {', '.join(SORTS[:-1])} or {SORTS[-1]}.")
        check_weights(self.weights)
        if not _within(self.limit, 1, MAX_LIMIT, int):
            raise InvalidInput(f"limit is {shown(self.limit)}; it must be a whole number between 1 and {MAX_LIMIT}.")
        if not isinstance(self.cursor, str | None):
            raise InvalidInput(f"cursor is {shown(self.cursor)}; it must be the `next` of the page before.")
        if self.min_score is not None and not _within(self.min_score, -1, 1):
            raise InvalidInput(f"min_score is {shown(self.min_score)}; it must be between -1 and 1, as scores are cosines.")
        if self.min_relevance is not None and not _within(self.min_relevance, 0, 1):
            raise InvalidInput(f"min_relevance is {shown(self.min_relevance)}; it must be between 0 and 1.")
        if not any(part not in UNWANTED and self.weights.get(part, 1.0) > 0 for part in self.given()):
            alone = " Conditions alone are for a list of pictures: see images." if self.filter is not None and said(self.filter) else ""
            raise InvalidInput(
                "The query asks for nothing: give text, a sketch, an image or like, with a weight above zero. not_text alone finds nothing,"
                f" and neither does not_like.{alone}"
            )

    def given(self) -> tuple[str, ...]:
        """Names of the parts that this query has, in the order of PARTS."""
        return tuple(part for part in PARTS if getattr(self, part) is not None)

    def words(self, part: str) -> tuple[Words, ...]:
        """The texts of "text" or "not_text"."""
        given: Texts = getattr(self, part)
        listed = [given] if isinstance(given, str) else given or ()
        return tuple(Words(one) if isinstance(one, str) else one for one in listed)

    def examples(self, part: str) -> tuple[Example, ...]:
        """The images of "like" or "not_like"."""
        given: Examples = getattr(self, part)
        listed = [given] if isinstance(given, int) else given or ()
        return tuple(Example(one) if isinstance(one, int) else one for one in listed)

    @property
    def encoded(self) -> bool:
        """Whether an encoder is needed: what looks like whole images of the collection their own vectors say, whoever made them."""
        return any(part not in ("like", "not_like") or any(one.box for one in self.examples(part)) for part in self.given())

    @property
    def named(self) -> set[int]:
        """Ids of the images that stand in the query itself: they are no hits."""
        return {one.id for part in ("like", "not_like") for one in self.examples(part)}


def _within(given: object, least: float, most: float, kind: type[int] | type[float] = float) -> bool:
    return isinstance(given, (int, kind)) and not isinstance(given, bool) and least <= given <= most


def _words(given: Texts) -> Texts:
    """Blank text is no text."""
    if given is None or isinstance(given, str):
        return given.strip() or None if given else None
    listed = [Words(one) if isinstance(one, str) else one for one in given]
    kept = tuple(replace(one, text=one.text.strip()) for one in listed if one.text.strip())
    return kept[0].text if len(kept) == 1 and kept[0].weight == 1 else kept or None


def _check_items(part: str, items: Sequence[Words] | Sequence[Example]) -> None:
    if len(items) > MAX_ITEMS:
        raise InvalidInput(f"{part} has {len(items)} parts; at most {MAX_ITEMS} are allowed.")
    for item in items:
        if not abs(item.weight) <= MAX_WEIGHT or math.isnan(item.weight):
            raise InvalidInput(
                f"A weight in {part} is {shown(item.weight)}; it must be a number between -{MAX_WEIGHT:g} and {MAX_WEIGHT:g}."
            )
        if isinstance(item, Example) and item.box is not None:
            check_box(part, item.box)
    if items and not any(item.weight for item in items):
        raise InvalidInput(f"All weights in {part} are zero: leave it out instead.")


def check_box(part: str, box: Sequence[float]) -> Box:
    """A part of a picture. Raises InvalidInput for one that is empty or lies outside."""
    if len(box) == 4 and all(0 <= side <= 1 for side in box) and box[2] - box[0] >= LEAST_BOX and box[3] - box[1] >= LEAST_BOX:
        left, top, right, bottom = map(float, box)
        return left, top, right, bottom
    raise InvalidInput(
        f"A box in {part} is {shown(list(box))}; it must be left, top, right and bottom in shares of the picture, such as "
        f"[0.1, 0.2, 0.5, 0.6], and at least {LEAST_BOX:g} wide and high."
    )


LEAST_BOX = 0.01


def read_examples(part: str, given: Sequence[str]) -> tuple[Example, ...]:
    """Images as a form or an address has them: `ID`, or `ID@left,top,right,bottom` for a part of one; several with spaces between them."""
    found = []
    for text in " ".join(given).split():
        match = re.fullmatch(r"([0-9]{1,19})(?:@([0-9.,e-]+))?", text)
        try:
            if not match or not 1 <= int(match[1]) <= MAX_ID:
                raise ValueError
            found.append(Example(int(match[1]), check_box(part, [float(side) for side in match[2].split(",")]) if match[2] else None))
        except ValueError:
            raise InvalidInput(
                f"{part} is {shown(text)}; it must be the id of a picture, or such as 7@0.1,0.2,0.5,0.6 for a part of it (left, top, "
                "right, bottom)."
            ) from None
    return tuple(found)


def check_text(name: str, text: str | None, longest: int) -> None:
    """Refuse a text of more than `longest` characters, and what is no text."""
    if text is not None and len(text) > longest:
        raise InvalidInput(f"{name} has {len(text)} characters; at most {longest} are allowed.")
    if text is not None and ("\0" in text or not is_unicode(text)):
        raise InvalidInput(f"{name}: must be valid Unicode without NUL characters.")


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
    return read_filter(_json_object("filter", text, '{"min_width": 800, "orientation": "landscape"}'))


def read_filter(values: Mapping[str, object]) -> Filter:
    """A filter from its fields as JSON has them; formats by any of their names. Raises InvalidInput."""
    found = parse(values)
    asked = {name: named(name) for name in found.formats}
    if unknown := [name for name, format in asked.items() if format is None]:
        raise InvalidInput(f"filter: there is no format {shown(unknown[0])}; known are {', '.join(format.name for format in KNOWN)}.")
    held = [name for format in asked.values() if format for name in (format.name, format.opener)]  # as catalogs have them, old ones, too
    return replace(found, formats=tuple(dict.fromkeys(held)))


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
    least = (query.min_score, query.min_relevance)
    asked = (query.words("text"), query.words("not_text"), query.examples("like"), query.examples("not_like"))
    parts = (query.collection, asked, sorted(query.weights.items()), key(query.filter), least, query.collapse, query.sort)
    hasher.update(repr((fingerprint, parts)).encode("utf-8", "surrogatepass"))
    for name, picture in sorted(pictures.items()):
        hasher.update(f"{name}:{picture.mode}:{picture.size}".encode())
        hasher.update(picture.tobytes())
    return hasher.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Mark:
    """The last hit of a page. The next one begins after it, wherever it would stand by now: others may have come or gone since."""

    rank: int
    """How many there were up to it."""
    place: tuple[float, int]
    """What the order is by, falling: see `pooling.place`."""


def make_cursor(mark: Mark, query_digest: str) -> str:
    """An opaque cursor for the page that begins after a hit."""
    value, id = mark.place
    return encode_cursor(f"{mark.rank}:{query_digest}:{value!r}:{id}")


def read_cursor(cursor: str | None, query_digest: str, limit: int) -> Mark | None:
    """Where the page of a cursor begins; None: with the best hit. Raises NotFound when it is broken or of another query, InvalidInput
    beyond what can be paged through."""
    mark = _mark(cursor, query_digest) if cursor else None
    if (mark.rank if mark else 0) + limit > MAX_WINDOW:
        raise InvalidInput(f"One can page through {MAX_WINDOW} hits; ask for less, or narrow the search with a filter.")
    return mark


def _mark(cursor: str, query_digest: str) -> Mark:
    found = decode_cursor(cursor, r"(\d{1,5}):([^:]+):(-?\d{1,12}(?:\.\d{1,20})?(?:e-?\d{1,3})?):(-?\d{1,16})")
    if found[2] != query_digest:
        raise NotFound("cursor belongs to another query; use it with the very same query, or none for the first page.")
    return Mark(int(found[1]), (float(found[3]), int(found[4])))
