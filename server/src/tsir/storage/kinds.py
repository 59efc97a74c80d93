"""The types of values in a filter: how each is read, and how it is described to people and programs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

KindName = Literal["time", "pixels", "bytes", "megapixels", "choice", "formats", "flag", "folder", "text", "near", "box", "ids"]

MAX_PIXELS = 1_000_000
"""The longest side that can be asked for."""
MAX_MEGAPIXELS = 1_000_000
MAX_BYTES = 2**53
MAX_FORMATS = 20
MAX_IDS = 10_000
MAX_ID = 2**53 - 1
"""The largest number of a picture: JSON's readers and schemas keep no larger ones whole."""
MAX_PATTERN = 300
"""Characters of a name or a pattern."""
NEAR_KM = 10.0
"""How far "near" is when nothing is said."""
HALFWAY_KM = 20_040.0
"""To the other side of the earth."""

_LATITUDE = r"-?(90(\.0{1,17})?|[1-8]?[0-9](\.[0-9]{1,17})?)"
_LONGITUDE = r"-?(180(\.0{1,17})?|(1[0-7][0-9]|[1-9]?[0-9])(\.[0-9]{1,17})?)"
_KM = r"(([1-9][0-9]{0,3}|1[0-9]{4}|200[0-3][0-9])(\.[0-9]{1,17})?|0\.[0-9]{0,16}[1-9])"


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A type of value."""

    name: KindName
    """What a client draws for it."""
    expected: str
    """Ends the sentence "it must be ..."."""
    read: Callable[[Any], Any]
    """The value of JSON or of Python, checked, as Python has it. Raises ValueError."""
    schema: Mapping[str, Any]
    """Its JSON Schema."""
    choices: Mapping[str, str] = field(default_factory=dict)
    """Values to choose from, with the words for each; empty: any."""


class Unusable(ValueError):
    """A wrong value of which there is more to say than what is expected."""


DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2}))?)?")
"""A year, a month or a day."""


def begin(text: str) -> datetime:
    """When a year (2023), a month, a day, or a moment begins, UTC unless it names a zone. Raises ValueError."""
    if found := DATE.fullmatch(text):
        return datetime(int(found[1]), int(found[2] or 1), int(found[3] or 1), tzinfo=timezone.utc)
    # Python 3.10 knows no "Z".
    return _moment(datetime.fromisoformat(text[:-1] + "+00:00" if text[-1:] in ("Z", "z") else text))


def _moment(when: datetime) -> datetime:
    when = (when if when.tzinfo else when.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    return when.replace(microsecond=when.microsecond // 1000 * 1000)  # Milvus has milliseconds: the same is asked everywhere


def _time(value: Any) -> datetime:
    if isinstance(value, str):
        return begin(value)
    if not isinstance(value, datetime):
        raise ValueError
    return _moment(value)


def _whole(most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise ValueError
        return value

    return read


def _megapixels(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= MAX_MEGAPIXELS:
        raise ValueError
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _formats(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or len(value) > MAX_FORMATS:
        raise ValueError
    if not all(isinstance(name, str) and re.fullmatch("[A-Za-z0-9]{1,19}", name) for name in value):
        raise ValueError
    return tuple(name.upper() for name in value)


def _ids(value: Any) -> tuple[int, ...]:
    if not isinstance(value, (list, tuple)) or len(value) > MAX_IDS:
        raise ValueError
    if not all(isinstance(id, int) and not isinstance(id, bool) and 1 <= id <= MAX_ID for id in value):
        raise ValueError
    return tuple(value)


def _printable(value: Any, most: int) -> str:
    """Text that every store and file system takes."""
    if not isinstance(value, str) or not 0 < len(value) <= most or "\0" in value:
        raise ValueError
    if not is_unicode(value):
        raise Unusable(f"{value!r} is not valid Unicode.")
    return value


def is_unicode(text: str) -> bool:
    """Whether it has no half of a pair of UTF-16, which UTF-8 cannot say."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _text(value: Any) -> str:
    return _printable(value, MAX_PATTERN)


ABSOLUTE = "^(/|[a-z][a-z0-9+.-]*://)"
"""How a folder begins: with a slash, or as an address does (s3://...)."""


def _folder(value: Any) -> str:
    try:
        folder = _printable(value, 4096)
    except Unusable:
        raise Unusable(f"The folder {value!r} is not valid Unicode.") from None
    if not re.match(ABSOLUTE, folder):
        raise Unusable(f"The folder {value!r} is not absolute.")
    return folder


def _numbers(value: Any) -> list[float]:
    """Of a list, or of a text in which commas stand between them."""
    if isinstance(value, str):
        value = [float(part) for part in value.split(",")]
    if not isinstance(value, (list, tuple)):
        raise ValueError
    if not all(isinstance(number, (int, float)) and not isinstance(number, bool) and math.isfinite(number) for number in value):
        raise ValueError
    return [float(number) for number in value]


def _near(value: Any) -> tuple[float, float, float]:
    latitude, longitude, *far = _numbers(value)
    km = far[0] if far else NEAR_KM
    if len(far) > 1 or abs(latitude) > 90 or abs(longitude) > 180 or not 0 < km <= HALFWAY_KM:
        raise ValueError
    return latitude, longitude, km


def _box(value: Any) -> tuple[float, float, float, float]:
    south, west, north, east = _numbers(value)
    if abs(south) > 90 or abs(north) > 90 or abs(west) > 180 or abs(east) > 180:
        raise ValueError
    return min(south, north), west, max(south, north), east


def choice(choices: Mapping[str, str]) -> Kind:
    """One of some words; `choices` has the wording of each for people."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError
        return value

    *most, last = (f'"{name}"' for name in choices)
    return Kind("choice", f"{', '.join(most)} or {last}", read, {"type": "string", "enum": list(choices)}, choices)


def _missing(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str) or value not in MISSING_WORDS:
        raise ValueError
    return value


MISSING_WORDS = {"false": "Hidden", "any": "Shown, too", "true": "Only these"}
MISSING = Kind(
    "choice",
    'true, false or "any"',
    _missing,
    {"anyOf": [{"type": "boolean"}, {"type": "string", "enum": list(MISSING_WORDS)}]},
    MISSING_WORDS,
)
TIME = Kind(
    "time",
    "a time such as 2024, 2024-06, 2024-06-01 or 2024-06-01T12:00:00Z",
    _time,
    {"type": "string", "examples": ["2024-06-01T12:00:00Z"]},
)
PIXELS = Kind(
    "pixels",
    f"a number of pixels between 0 and {MAX_PIXELS}",
    _whole(MAX_PIXELS),
    {"type": "integer", "minimum": 0, "maximum": MAX_PIXELS},
)
BYTES = Kind(
    "bytes", f"a number of bytes between 0 and {MAX_BYTES}", _whole(MAX_BYTES), {"type": "integer", "minimum": 0, "maximum": MAX_BYTES}
)
MEGAPIXELS = Kind(
    "megapixels",
    f"a number of megapixels between 0 and {MAX_MEGAPIXELS}",
    _megapixels,
    {"type": "number", "minimum": 0, "maximum": MAX_MEGAPIXELS},
)
FLAG = Kind("flag", "true or false", _flag, {"type": "boolean"})
FORMATS = Kind(
    "formats",
    'a list of names such as ["JPEG", "PNG"]',
    _formats,
    {"type": "array", "items": {"type": "string", "pattern": "^[A-Za-z0-9]{1,19}$"}, "maxItems": MAX_FORMATS},
)
IDS = Kind(
    "ids",
    f"a list of at most {MAX_IDS} ids of pictures such as [7, 12]",
    _ids,
    {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": MAX_ID}, "maxItems": MAX_IDS},
)
TEXT = Kind("text", f"a text of 1 to {MAX_PATTERN} characters", _text, {"type": "string", "minLength": 1, "maxLength": MAX_PATTERN})
FOLDER = Kind(
    "folder",
    "the path of a folder, such as /photos/holidays",
    _folder,
    {"type": "string", "minLength": 1, "maxLength": 4096, "pattern": ABSOLUTE},
)
NEAR = Kind(
    "near",
    'latitude, longitude and, when wanted, kilometres, as "47.4,8.5,10"',
    _near,
    {"type": "string", "pattern": f"^{_LATITUDE}, ?{_LONGITUDE}(, ?{_KM})?$", "examples": ["47.4,8.5,10"]},
)
BOX = Kind(
    "box",
    'south, west, north and east in degrees, as "47,8,48,9"',
    _box,
    {"type": "string", "pattern": f"^{_LATITUDE}, ?{_LONGITUDE}, ?{_LATITUDE}, ?{_LONGITUDE}$", "examples": ["47,8,48,9"]},
)
