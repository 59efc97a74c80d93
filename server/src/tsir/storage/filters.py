"""What pictures can be filtered by: one table, the class `Filter`.

Each of its fields is one condition, with all that is known of it: how it is read and what a wrong value is told, the column of Milvus
that it asks and what that holds of a picture, its expression, and the words for people. From it derive Milvus' schema and rows
(`milvus.schema`), the expression of a search, how the JSON of a request is read, its model in OpenAPI, and what the API tells a client.

A new condition is one more field here; if it asks a new column, that is `since` the next version, and collections of the version before
are copied into the new form when a library is opened.
"""

from __future__ import annotations

import functools
import hashlib
import json
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from pathlib import PurePosixPath
from typing import Any, Literal, Protocol

from tsir.errors import Conflict, InvalidInput
from tsir.records import ImageMetadata

NO_DATE = -(2**62)
"""Stands for "unknown" in the column `taken`, milliseconds since 1970 (UTC): older than any picture."""

MAX_FOLDERS = 1_000
"""Folder hashes per picture, that is about a hundred copies of it; more are not found by the folder filter."""

MAX_PIXELS = 1_000_000
"""The longest side that can be asked for."""

MAX_FORMATS = 20
MAX_FORMAT = 32
"""Characters of a format's name in Milvus."""

Orientation = Literal["landscape", "portrait", "square"]
Missing = Literal["false", "true", "any"]
"""Of pictures whose files are not there now: none, only these, or all alike."""
KindName = Literal["time", "pixels", "choice", "formats", "flag", "folder"]


class Facts(Protocol):
    """What is known of a picture and can be kept beside its vector."""

    @property
    def metadata(self) -> ImageMetadata: ...

    @property
    def paths(self) -> tuple[str, ...]:
        """Every place where it lies, absolute."""
        ...


# Columns


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """How Milvus holds a column: the name of its type (of pymilvus' DataType), its parameters, and its value for a picture."""

    type: str
    value: Callable[[Facts], object]
    params: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """What Milvus keeps beside the vectors under one name. Its form never changes: another form is another name."""

    name: str
    form: Form
    embedded: Form | None = None
    """Its form in Milvus Lite, where that is another."""
    since: int = 1
    """The schema's version that brought it."""

    def of(self, embedded: bool) -> Form:
        return self.embedded or self.form if embedded else self.form


def milliseconds(when: datetime | None) -> int:
    """Milliseconds since 1970 (UTC); a naive time is UTC."""
    if when is None:
        return NO_DATE
    if when.tzinfo is None:
        when = when.replace(tzinfo=timezone.utc)
    return round(when.timestamp() * 1000)


def folder_hash(folder: str) -> int:
    """63 bits of the folder's path: Milvus compares numbers faster than long strings, and nothing needs escaping in an expression."""
    path = folder.rstrip("/") or "/"
    return int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], "big") >> 1


def folder_hashes(paths: Sequence[str]) -> list[int]:
    """Hashes of all folders above the given files, ascending."""
    above = {value for folder in {posixpath.dirname(path) for path in paths} for value in _chain(folder)}
    return sorted(above)[:MAX_FOLDERS]


@functools.lru_cache(4096)
def _chain(folder: str) -> tuple[int, ...]:
    """Hashes of a folder and of all above it."""
    path = PurePosixPath(folder)
    return tuple(folder_hash(str(part)) for part in (path, *path.parents))


def _shape(facts: Facts) -> int:
    width, height = facts.metadata.width, facts.metadata.height
    return (width > height) - (width < height)


SHAPES = {"landscape": 1, "square": 0, "portrait": -1}

TAKEN = Column("taken", Form("INT64", lambda facts: milliseconds(facts.metadata.taken_at)))
WIDTH = Column("width", Form("INT64", lambda facts: facts.metadata.width))
HEIGHT = Column("height", Form("INT64", lambda facts: facts.metadata.height))
SHAPE = Column("shape", Form("INT64", _shape))
FORMAT = Column("format", Form("VARCHAR", lambda facts: facts.metadata.format[:MAX_FORMAT], {"max_length": MAX_FORMAT}))
LOCATED = Column("located", Form("BOOL", lambda facts: facts.metadata.located))
FOLDERS = Column(
    "folders",
    Form("ARRAY", lambda facts: folder_hashes(facts.paths), {"element_type": "INT64", "max_capacity": MAX_FOLDERS}),
    # Milvus Lite evaluates array_contains in Python over whole rows (80 us each), LIKE on a string in native code.
    embedded=Form("VARCHAR", lambda facts: "".join(f"|{value:016x}" for value in folder_hashes(facts.paths)), {"max_length": 65_535}),
)


# Values


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A type of value: how it is read, and how it is described to people and programs."""

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


class _Unusable(ValueError):
    """A wrong value of which there is more to say than what is expected."""


def _time(value: Any) -> datetime:
    if isinstance(value, str):
        # Python 3.10 knows no "Z".
        value = datetime.fromisoformat(value[:-1] + "+00:00" if value[-1:] in ("Z", "z") else value)
    if not isinstance(value, datetime):
        raise ValueError
    return (value if value.tzinfo else value.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)


def _pixels(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_PIXELS:
        raise ValueError
    return value


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


def _folder(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 4096 or "\0" in value:
        raise ValueError
    if any("\ud800" <= char <= "\udfff" for char in value):
        raise _Unusable(f"The folder {value!r} is not valid Unicode.")
    if not value.startswith("/"):
        raise _Unusable(f"The folder {value!r} is not absolute.")
    return value


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
TIME = Kind("time", "a time such as 2024-06-01 or 2024-06-01T12:00:00Z", _time, {"type": "string", "examples": ["2024-06-01T12:00:00Z"]})
PIXELS = Kind("pixels", f"a number of pixels between 0 and {MAX_PIXELS}", _pixels, {"type": "integer", "minimum": 0, "maximum": MAX_PIXELS})
FLAG = Kind("flag", "true or false", _flag, {"type": "boolean"})
FORMATS = Kind(
    "formats",
    'a list of names such as ["JPEG", "PNG"]',
    _formats,
    {"type": "array", "items": {"type": "string"}, "maxItems": MAX_FORMATS},
)
FOLDER = Kind("folder", "the path of a folder", _folder, {"type": "string", "minLength": 1, "maxLength": 4096})


# Conditions


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """All about one field of `Filter`, but for its name."""

    column: Column | None
    """None: the catalog's rows decide, not Milvus."""
    kind: Kind
    label: str
    """A few words for people."""
    help: str
    """A sentence for the API's documentation."""
    expression: Callable[[Any], str]
    """A checked value -> Milvus' language. User strings are hashed or checked, never pasted."""
    embedded: Callable[[Any], str] | None = None
    """The same for Milvus Lite, where that is another."""


def condition(
    column: Column | None,
    kind: Kind,
    label: str,
    help: str,
    expression: Callable[[Any], str],
    *,
    embedded: Callable[[Any], str] | None = None,
    default: object = None,
) -> Any:
    """A field of `Filter`: see `Condition`. `default` asks nothing."""
    return field(default=default, metadata={_CONDITION: Condition(column, kind, label, help, expression, embedded)})


_CONDITION = "condition"


@dataclass(frozen=True)
class Filter:
    """Conditions on pictures, all of which must hold; None (and no formats) asks nothing. Milvus applies them during the search."""

    taken_after: datetime | None = condition(
        TAKEN,
        TIME,
        "Taken from",
        "Not before this time (inclusive); UTC unless it names a zone. Pictures without a date never match a date condition.",
        lambda when: f"taken >= {milliseconds(when)}",
    )
    taken_before: datetime | None = condition(
        TAKEN,
        TIME,
        "Taken before",
        "Before this time (exclusive); UTC unless it names a zone.",
        lambda when: f"taken < {milliseconds(when)} and taken > {NO_DATE}",
    )
    min_width: int | None = condition(WIDTH, PIXELS, "Width at least", "At least so many pixels wide.", lambda pixels: f"width >= {pixels}")
    min_height: int | None = condition(
        HEIGHT, PIXELS, "Height at least", "At least so many pixels high.", lambda pixels: f"height >= {pixels}"
    )
    orientation: Orientation | None = condition(
        SHAPE,
        choice({"landscape": "Wide", "portrait": "Tall", "square": "Square"}),
        "Shape",
        "Wider than high, higher than wide, or square.",
        lambda name: f"shape == {SHAPES[name]}",
    )
    formats: tuple[str, ...] = condition(
        FORMAT,
        FORMATS,
        "Type",
        "Of any of these formats, in upper or lower case; empty: of all.",
        lambda names: "format in [" + ", ".join(f'"{name}"' for name in sorted(set(names))) + "]",
        default=(),
    )
    has_location: bool | None = condition(
        LOCATED,
        FLAG,
        "Has a location",
        "Whether the picture says where it was taken.",
        lambda known: f"located == {'true' if known else 'false'}",
    )
    folder: str | None = condition(
        FOLDERS,
        FOLDER,
        "In the folder",
        "Absolute; pictures that lie in it or in a folder below it.",
        lambda path: f"array_contains(folders, {folder_hash(path)})",
        embedded=lambda path: f'folders like "%|{folder_hash(path):016x}%"',
    )
    missing: Missing | bool | None = condition(
        None,
        MISSING,
        "Missing pictures",
        "Pictures whose files are not there now, on a drive that is away perhaps: hidden (false, also when nothing is said), shown like "
        'all others ("any"), or alone (true).',
        lambda _: "",
    )


# What derives from the table. `table` is Filter or a class that has more conditions than it.


def conditions(table: type[Filter] = Filter) -> Mapping[str, Condition]:
    """All conditions by name."""
    return {item.name: item.metadata[_CONDITION] for item in fields(table)}


def columns(table: type[Filter] = Filter) -> tuple[Column, ...]:
    """The columns that the conditions ask."""
    return tuple(dict.fromkeys(condition.column for condition in conditions(table).values() if condition.column is not None))


def parse(values: Mapping[str, object], table: type[Filter] = Filter) -> Filter:
    """A filter from a JSON object; null is no condition. Raises InvalidInput for unknown names and wrong values."""
    known = conditions(table)
    if unknown := sorted(set(values) - set(known)):
        raise InvalidInput(f"filter has an unknown key {unknown[0]!r}; known are {', '.join(known)}.")
    return table(**{name: _checked(name, known[name], value) for name, value in values.items() if value is not None})


def expression(filter: Filter | None, embedded: bool, version: int | None = None) -> str:
    """The filter in Milvus' language; empty when it lets everything through.

    `version` is that of the collection's schema; None: the newest. Raises InvalidInput for values that cannot hold, and Conflict when the
    collection is too old for a condition.
    """
    return " and ".join(_expressions(filter, embedded, version)) if filter is not None else ""


def _expressions(filter: Filter, embedded: bool, version: int | None) -> Iterator[str]:
    for name, asked in conditions(type(filter)).items():
        value = getattr(filter, name)
        if value is None or value == ():
            continue
        value = _checked(name, asked, value)
        if asked.column is None:
            continue
        if version is not None and asked.column.since > version:
            raise Conflict(
                f"This collection is being prepared for {name}: its vectors are copied into a newer form, and nothing needs to be encoded. "
                f"Ask again in a few minutes, or without {name}.",
                retry_after=60,
            )
        yield (asked.embedded or asked.expression if embedded else asked.expression)(value)


def missing(filter: Filter | None) -> Missing:
    """What a search wants of missing pictures. Raises InvalidInput for a value that cannot hold."""
    if filter is None or filter.missing is None:
        return "false"
    asked: Missing = _checked("missing", conditions()["missing"], filter.missing)
    return asked


def _checked(name: str, condition: Condition, value: object) -> Any:
    try:
        return condition.kind.read(value)
    except _Unusable as error:
        raise InvalidInput(str(error)) from None
    except (ValueError, OverflowError):
        raise InvalidInput(f"filter: {name} is {shown(value)}; it must be {condition.kind.expected}.") from None


def shown(value: object) -> str:
    """A value as its writer wrote it, cut to the length of a sentence."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def json_schema(table: type[Filter] = Filter) -> dict[str, Any]:
    """The JSON Schema of a filter in a request."""
    properties = {
        name: {"title": condition.label, "description": condition.help, **condition.kind.schema}
        for name, condition in conditions(table).items()
    }
    return {
        "title": "Filter",
        "type": "object",
        "description": "Conditions on pictures, all of which must hold.",
        "properties": properties,
        "additionalProperties": False,
    }
