"""What pictures can be filtered by: one table, the class `Filter`.

Each of its fields is one condition, with all that is known of it: how it is read and what a wrong value is told, the column of Milvus
that it asks and what that holds of a picture, its expression, and the words for people. From it derive Milvus' schema and rows
(`milvus.schema`), the expression of a search, how the JSON of a request is read, its model in OpenAPI, and what the API tells a client.

A new condition is one more field here; if it asks a new column, that is `since` the next version, and collections of the version before
are copied into the new form when a library is opened.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from typing import Any, Literal

import sqlalchemy as sa

from tsir.errors import Conflict, InvalidInput
from tsir.storage.columns import (
    AREA,
    FOLDERS,
    FORMAT,
    HEIGHT,
    IMPORTED,
    LOCATED,
    NO_DATE,
    SHAPE,
    SHAPES,
    TAKEN,
    WEIGHT,
    WIDTH,
    folder_hash,
    milliseconds,
)
from tsir.storage.columns import Column as Column
from tsir.storage.columns import Facts as Facts
from tsir.storage.conditions import CONDITION, Condition, Rows, condition
from tsir.storage.kinds import (
    BOX,
    BYTES,
    FLAG,
    FOLDER,
    FORMATS,
    IDS,
    MEGAPIXELS,
    MISSING,
    NEAR,
    PIXELS,
    TEXT,
    TIME,
    Unusable,
    choice,
)

EARLIEST = datetime(1000, 1, 1, tzinfo=timezone.utc)
"""The catalog knows no time before: MySQL has none."""

Orientation = Literal["landscape", "portrait", "square"]
Missing = Literal["false", "true", "any"]
"""Of pictures whose files are not there now: none, only these, or all alike."""


def _moment(when: datetime) -> datetime:
    """A time as the catalog has it, naive UTC."""
    return max(when, EARLIEST).replace(tzinfo=None)


def _inside(text: str) -> str:
    """The pattern of what a person typed: with a wildcard it is one of the whole, without one of a part."""
    return text if "*" in text or "?" in text else f"*{text}*"


def _boxed(rows: Rows, box: tuple[float, float, float, float]) -> sa.ColumnElement[bool]:
    south, west, north, east = box
    latitude, longitude = rows.images.latitude, rows.images.longitude
    sides = (longitude >= west, longitude <= east)
    return sa.and_(latitude >= south, latitude <= north, sa.or_(*sides) if west > east else sa.and_(*sides))


def _area(megapixels: float) -> float:
    return round(megapixels * 1e6, 3)


@dataclass(frozen=True)
class Filter:
    """Conditions on pictures, all of which must hold; None (and an empty list of formats or ids) asks nothing.

    Milvus applies during the search those that it can; for the others the catalog says which pictures are meant.
    """

    taken_after: datetime | None = condition(
        TAKEN,
        TIME,
        "Taken from",
        "Not before this time by the camera's own clock (inclusive). Pictures without a date never match a date condition.",
        lambda when: f"taken >= {max(milliseconds(when), NO_DATE + 1)}",
        lambda rows, when: rows.images.taken_at >= _moment(when),
    )
    taken_before: datetime | None = condition(
        TAKEN,
        TIME,
        "Taken before",
        "Before this time by the camera's own clock (exclusive).",
        lambda when: f"taken < {milliseconds(when)} and taken > {NO_DATE}",
        lambda rows, when: rows.images.taken_at < _moment(when),
    )
    min_width: int | None = condition(
        WIDTH,
        PIXELS,
        "Width at least",
        "At least so many pixels wide.",
        lambda pixels: f"width >= {pixels}",
        lambda rows, pixels: rows.images.width >= pixels,
    )
    min_height: int | None = condition(
        HEIGHT,
        PIXELS,
        "Height at least",
        "At least so many pixels high.",
        lambda pixels: f"height >= {pixels}",
        lambda rows, pixels: rows.images.height >= pixels,
    )
    orientation: Orientation | None = condition(
        SHAPE,
        choice({"landscape": "Wide", "portrait": "Tall", "square": "Square"}),
        "Shape",
        "Wider than high, higher than wide, or square.",
        lambda name: f"shape == {SHAPES[name]}",
        lambda rows, name: {
            "landscape": rows.images.width > rows.images.height,
            "portrait": rows.images.width < rows.images.height,
            "square": rows.images.width == rows.images.height,
        }[name],
    )
    formats: tuple[str, ...] = condition(
        FORMAT,
        FORMATS,
        "Type",
        "Of any of these formats, in upper or lower case; empty: of all.",
        lambda names: "format in [" + ", ".join(f'"{name}"' for name in sorted(set(names))) + "]",
        lambda rows, names: rows.images.format.in_(sorted(set(names))),
        default=(),
    )
    has_location: bool | None = condition(
        LOCATED,
        FLAG,
        "Has a location",
        "Whether the picture says where it was taken.",
        lambda known: f"located == {'true' if known else 'false'}",
        lambda rows, known: sa.and_(rows.images.latitude.is_not(None), rows.images.longitude.is_not(None)) == known,
    )
    folder: str | None = condition(
        FOLDERS,
        FOLDER,
        "In the folder",
        "Absolute; pictures that lie in it or in a folder below it.",
        lambda path: f"array_contains(folders, {folder_hash(path)})",
        lambda rows, path: rows.below(path),
        embedded=lambda path: f'folders like "%|{folder_hash(path):016x}%"',
    )
    name: str | None = condition(
        None,
        TEXT,
        "File name",
        "Part of the file's name, or with * (anything) or ? (a character) a pattern of the whole name; upper and lower case are the same.",
        None,
        lambda rows, text: rows.named(_inside(text)),
    )
    path: str | None = condition(
        None,
        TEXT,
        "Path",
        "A pattern of the whole path, such as /photos/*/best/*.jpg: * is anything, also across folders, ? one character; without these "
        "a part of the path. Upper and lower case differ.",
        None,
        lambda rows, text: rows.at(_inside(text)),
    )
    camera: str | None = condition(
        None,
        TEXT,
        "Camera",
        "Part of the camera's name, or with * or ? a pattern of the whole name; upper and lower case are the same.",
        None,
        lambda rows, text: rows.shot_with(_inside(text)),
    )
    imported_after: datetime | None = condition(
        IMPORTED,
        TIME,
        "Imported from",
        "Came into the collection not before this time (inclusive); UTC unless it names a zone.",
        lambda when: f"imported >= {milliseconds(when)}",
        lambda rows, when: rows.images.created_at >= _moment(when),
    )
    imported_before: datetime | None = condition(
        IMPORTED,
        TIME,
        "Imported before",
        "Came into the collection before this time (exclusive); UTC unless it names a zone.",
        lambda when: f"imported < {milliseconds(when)}",
        lambda rows, when: rows.images.created_at < _moment(when),
    )
    near: tuple[float, float, float] | None = condition(
        None,
        NEAR,
        "Taken near",
        "A point and how far from it, in kilometres (10 when not given): latitude,longitude,km.",
        None,
        lambda rows, place: rows.within(*place),
    )
    box: tuple[float, float, float, float] | None = condition(
        None,
        BOX,
        "Taken within",
        "Between these degrees: south,west,north,east; west may be greater than east, across the date line.",
        None,
        _boxed,
    )
    max_width: int | None = condition(
        WIDTH,
        PIXELS,
        "Width at most",
        "At most so many pixels wide.",
        lambda pixels: f"width <= {pixels}",
        lambda rows, pixels: rows.images.width <= pixels,
    )
    max_height: int | None = condition(
        HEIGHT,
        PIXELS,
        "Height at most",
        "At most so many pixels high.",
        lambda pixels: f"height <= {pixels}",
        lambda rows, pixels: rows.images.height <= pixels,
    )
    min_megapixels: float | None = condition(
        AREA,
        MEGAPIXELS,
        "Megapixels at least",
        "At least so many million pixels.",
        lambda megapixels: f"area >= {math.ceil(_area(megapixels))}",
        lambda rows, megapixels: rows.images.width * rows.images.height >= math.ceil(_area(megapixels)),
    )
    max_megapixels: float | None = condition(
        AREA,
        MEGAPIXELS,
        "Megapixels at most",
        "At most so many million pixels.",
        lambda megapixels: f"area <= {math.floor(_area(megapixels))}",
        lambda rows, megapixels: rows.images.width * rows.images.height <= math.floor(_area(megapixels)),
    )
    min_bytes: int | None = condition(
        WEIGHT,
        BYTES,
        "Bytes at least",
        "The file has at least so many bytes.",
        lambda size: f"bytes >= {size}",
        lambda rows, size: rows.images.bytes >= size,
    )
    max_bytes: int | None = condition(
        WEIGHT,
        BYTES,
        "Bytes at most",
        "The file has at most so many bytes.",
        lambda size: f"bytes <= {size}",
        lambda rows, size: rows.images.bytes <= size,
    )
    ids: tuple[int, ...] | None = condition(
        None,
        IDS,
        "These pictures",
        "Only pictures with one of these ids; an empty list: none.",
        lambda ids: f"id in {sorted(set(ids))}",
        lambda rows, ids: rows.images.id.in_(sorted(set(ids))),
    )
    missing: Missing | bool | None = condition(
        None,
        MISSING,
        "Missing pictures",
        "Pictures whose files are not there now, on a drive that is away perhaps: hidden (false, also when nothing is said), shown like "
        'all others ("any"), or alone (true).',
        None,
    )


# What derives from the table. `table` is Filter or a class that has more conditions than it.


def conditions(table: type[Filter] = Filter) -> Mapping[str, Condition]:
    """All conditions by name."""
    return {item.name: item.metadata[CONDITION] for item in fields(table)}


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

    `version` is that of the collection's schema; None: the newest. What Milvus cannot say is left out: see `beyond`. Raises InvalidInput
    for values that cannot hold, and Conflict when the collection is too old for a condition of which the catalog knows nothing either.
    """
    return " and ".join(
        (asked.embedded or asked.expression if embedded else asked.expression)(value)
        for name, asked, value in _asked(filter)
        if asked.expression is not None and not _young(name, asked, version)
    )


def by_catalog(filter: Filter | None) -> bool:
    """Whether the catalog can evaluate all of it."""
    return all(asked.rows is not None or asked.expression is None for _, asked, _ in _asked(filter))


def beyond(filter: Filter | None, version: int | None = None, *, whole: bool = False) -> Filter | None:
    """The conditions that Milvus cannot evaluate in a collection of this version, and the catalog can; None when there is none.

    `whole`: all that the catalog can.
    """
    left = {
        name: value
        for name, asked, value in _asked(filter)
        if asked.rows is not None and (whole or asked.expression is None or _young(name, asked, version))
    }
    return type(filter)(**left) if filter is not None and left else None


def rows(filter: Filter | None, of: Rows) -> list[sa.ColumnElement[bool]]:
    """The filter in SQL, without `missing`; all of these must hold. Raises InvalidInput for values that cannot hold."""
    return [asked.rows(of, value) for _, asked, value in _asked(filter) if asked.rows is not None]


def said(filter: Filter) -> dict[str, Any]:
    """The conditions that ask something, by name: no formats at all are all formats, no ids are none."""
    return {name: value for name, value in vars(filter).items() if value is not None and not (value == () and name == "formats")}


def key(filter: Filter | None) -> str:
    """The same text for filters that ask the same, another for others."""
    return repr([(name, value) for name, _, value in _asked(filter)])


def _asked(filter: Filter | None) -> Iterator[tuple[str, Condition, Any]]:
    """The conditions that ask something, with their names and checked values."""
    if filter is None:
        return
    given = said(filter)
    for name, asked in conditions(type(filter)).items():
        if name in given:
            yield name, asked, _checked(name, asked, given[name])


def _young(name: str, asked: Condition, version: int | None) -> bool:
    """Whether the condition needs a newer collection than one of this version, so that the catalog is asked. Raises Conflict."""
    if version is None or asked.column is None or asked.column.since <= version:
        return False
    if asked.rows is None:
        raise Conflict(
            f"This collection is being prepared for {name}: its vectors are copied into a newer form, and nothing needs to be encoded. "
            f"Ask again in a few minutes, or without {name}.",
            retry_after=60,
        )
    return True


def missing(filter: Filter | None) -> Missing:
    """What a search wants of missing pictures. Raises InvalidInput for a value that cannot hold."""
    if filter is None or filter.missing is None:
        return "false"
    asked: Missing = _checked("missing", conditions()["missing"], filter.missing)
    return asked


def _checked(name: str, condition: Condition, value: object) -> Any:
    try:
        return condition.kind.read(value)
    except Unusable as error:
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
