"""The language of the one line in which people ask: words, what is not wanted, and conditions.

    a dog in the snow -people after:2023 folder:holidays camera:"Pixel 8" size:>4mp near:47.4,8.5

A word of the form KEY:VALUE with a key of the table below is a condition, a word that begins with "-" and a letter (or a quote) is not
wanted, and everything else is what is wanted, letter by letter: colons, hyphens and quotes of plain sentences mean nothing. What stands
in quotes is never a condition; a backslash before a word takes its meaning away. A number or a date is compared by ">=", "<=", ">" and "<",
of which the last two leave itself out, or stands at an end of a range, which has both of its ends.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from tsir.errors import InvalidInput
from tsir.searching.query import read_filter
from tsir.storage.filters import Filter, said
from tsir.storage.kinds import DATE, begin

LONGEST = 4_000
"""Characters of a line."""

_WORD = re.compile(r'\\*-?"[^"]*"\S*|\\*-?[A-Za-z]+:"(?:[^"]|"")*"(?!\S)|\S+')
_CONDITION = re.compile(r"(-?)([A-Za-z]+):(.+)", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"]|"")*)"', re.DOTALL)
_DATED = re.compile(r"(>=|<=|>|<)(.+)")
_COMPARED = re.compile(r"(>=|<=|>|<)?([0-9.]+(?:e[+-]?[0-9]+)?)([a-z]*)", re.IGNORECASE)


IN_QUOTES = "Put it in quotes to look for these words."


class QueryError(InvalidInput):
    """A word of the line that cannot be read; the sentence says what would be right."""

    title = "Unreadable query"
    code = "unreadable_query"

    def __init__(self, message: str, position: int = 0, length: int = 0) -> None:
        super().__init__(message)
        self.members = {"position": position, "length": length}


@dataclass(frozen=True)
class Line:
    """What a line asks."""

    text: str = ""
    not_text: tuple[str, ...] = ()
    filter: Filter = field(default_factory=Filter)


# Reading


def parse(line: str) -> Line:
    """Read a line. Raises QueryError, which names the place of the word, and InvalidInput for a line that is too long."""
    if len(line) > LONGEST:
        raise InvalidInput(f"query has {len(line)} characters; at most {LONGEST} are allowed.")
    plain: list[str] = []
    unwanted: list[str] = []
    values: dict[str, Any] = {}
    end = 0
    cut = True
    for found in _words(line):
        word, gap = found[0], line[end : found.start()]
        end = found.end()
        if asked := _condition(word):
            _put(values, *asked, found.start(), len(word))
        elif unwanted_words := _unwanted(word):
            unwanted.append(unwanted_words)
        else:
            plain.append((" " if cut else gap) + (word[1:] if _escaped(word) else word))
            cut = False
            continue
        cut = True
    return Line("".join(plain).strip(), tuple(unwanted), read_filter(values))


def _words(line: str) -> Iterator[re.Match[str]]:
    return _WORD.finditer(line)


def _condition(word: str) -> tuple[str, str, str] | None:
    """("-" or "", key, value) of a condition."""
    found = _CONDITION.fullmatch(word)
    if not found or found[2].lower() not in KEYS:
        return None
    return found[1], found[2].lower(), found[3]


def _unwanted(word: str) -> str | None:
    if not word.startswith("-") or not (word[1:2].isalpha() or word[1:2] == '"'):
        return None
    quoted = _QUOTED.fullmatch(word, 1)
    words = quoted[1].replace('""', '"') if quoted else word[1:]
    return words.strip() or None


def _escaped(word: str) -> bool:
    """A backslash stands before what would have a meaning, or before such a backslash."""
    bare = word.lstrip("\\")
    return bare != word and bool(_condition(bare) or _unwanted(bare))


def _put(values: dict[str, Any], sign: str, key: str, text: str, position: int, length: int) -> None:
    if sign:
        raise QueryError(
            f'A condition cannot be turned round with "-": put it in quotes to look for the words -{key}:{text}.', position, length
        )
    quoted = _QUOTED.fullmatch(text)
    value = quoted[1].replace('""', '"') if quoted else text
    try:
        if text.startswith('"') and not quoted:
            raise ValueError
        found = KEYS[key].read(value)
        read_filter(found)
    except InvalidInput as error:
        raise QueryError(f"{key}:{text} cannot be read: {error} {IN_QUOTES}", position, length) from None
    except (ValueError, OverflowError):
        raise QueryError(f"{key}:{text} cannot be read; it must look like {KEYS[key].example}. {IN_QUOTES}", position, length) from None
    for name in found:
        if name in values:
            raise QueryError(f"{key}:{text} says once more what was said before: leave one of them out.", position, length)
    values |= found


@dataclass(frozen=True)
class _Key:
    read: Callable[[str], dict[str, Any]]
    """The fields of a filter. Raises ValueError."""
    example: str


def _end(text: str) -> datetime:
    """The begin of what follows a year, a month, a day or a moment. Raises ValueError."""
    start, found = begin(text), DATE.fullmatch(text)
    if found is None or found[3]:
        return start + (timedelta(days=1) if found else timedelta(milliseconds=1))
    months = start.year * 12 + start.month - 1 + (1 if found[2] else 12)
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=timezone.utc)


def _when(name: str) -> Callable[[str], dict[str, Any]]:
    def read(text: str) -> dict[str, Any]:
        if found := _DATED.fullmatch(text):
            side = "after" if found[1].startswith(">") else "before"
            return {f"{name}_{side}": (_end if found[1] in (">", "<=") else begin)(found[2])}
        first, dots, last = text.partition("..")
        last = last if dots else first
        return ({f"{name}_after": begin(first)} if first else {}) | ({f"{name}_before": _end(last)} if last else {}) or _refuse()

    return read


_UNITS = {"b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9}


def _compared(read: Callable[[float, str], tuple[str, Any, float]]) -> Callable[[str], dict[str, Any]]:
    """Numbers, in whole pixels or bytes in the end: what is more than one of them is the next one or more."""

    def one(text: str, sign: str) -> tuple[str, Any]:
        found = _COMPARED.fullmatch(text)
        if not found:
            raise ValueError
        name, value, whole = read(float(found[2]), found[3].lower())
        sign, count = found[1] or sign, round(value * whole, 3)
        if len(sign) == 1:
            value = type(value)((math.floor(count) + 1 if sign == ">" else math.ceil(count) - 1) / whole)
        return f"{'min' if sign.startswith('>') else 'max'}_{name}", value

    def all(text: str) -> dict[str, Any]:
        first, _, last = text.partition("..")
        return dict(one(limit, sign) for limit, sign in ((first, ">="), (last, "<=")) if limit) or _refuse()

    return all


def _size(number: float, unit: str) -> tuple[str, Any, float]:
    if unit == "mp":
        return "megapixels", number, 1e6
    return "bytes", round(number * _UNITS[unit]) if unit in _UNITS else _refuse(), 1


def _side(name: str) -> Callable[[float, str], tuple[str, Any, float]]:
    return lambda number, unit: (name, int(number) if unit in ("", "px") and number == int(number) else _refuse(), 1)


def _refuse() -> Any:
    raise ValueError


def _of(words: Mapping[str, Any]) -> Callable[[str], Any]:
    return lambda text: words[text.lower()] if text.lower() in words else _refuse()


_yes = _of({"yes": True, "true": True, "no": False, "false": False})


def _ids(text: str) -> tuple[int, ...]:
    return () if text == "none" else tuple(int(part) for part in text.split(","))


def _folder(text: str) -> dict[str, Any]:
    """A folder's whole path, or one of any place by its name."""
    return {"folder": text} if text.startswith("/") else {"path": f"*/{text.strip('/')}/*"}


def _near(text: str) -> str:
    return text.lower().removesuffix("km")


_NAMED = _Key(lambda text: {"name": text}, "name:IMG_*")
_FORMAT = _Key(lambda text: {"formats": text.split(",")}, "format:jpeg,png")
_SHAPE = _Key(lambda text: {"orientation": text.lower()}, "shape:portrait, shape:landscape or shape:square")

KEYS: Mapping[str, _Key] = {
    "after": _Key(lambda text: {"taken_after": begin(text)}, "after:2023, after:2023-05 or after:2023-05-17"),
    "before": _Key(lambda text: {"taken_before": begin(text)}, "before:2023, before:2023-05 or before:2023-05-17"),
    "taken": _Key(_when("taken"), "taken:2023, taken:2023-05, taken:<=2022 or taken:2021..2023"),
    "imported": _Key(_when("imported"), "imported:2024-05, imported:>2024 or imported:2021..2023"),
    "folder": _Key(_folder, 'folder:holidays or folder:"/photos/my holidays"'),
    "path": _Key(lambda text: {"path": text}, "path:*/holidays/*.jpg"),
    "name": _NAMED,
    "file": _NAMED,
    "camera": _Key(lambda text: {"camera": text}, 'camera:canon or camera:"Pixel 8"'),
    "near": _Key(lambda text: {"near": _near(text)}, "near:47.4,8.5 or near:47.4,8.5,25km"),
    "box": _Key(lambda text: {"box": text}, "box:47,8,48,9"),
    "size": _Key(_compared(_size), "size:>4mp, size:<500kb or size:2mp..8mp"),
    "width": _Key(_compared(_side("width")), "width:>800 or width:800..1200"),
    "height": _Key(_compared(_side("height")), "height:>800 or height:800..1200"),
    "format": _FORMAT,
    "type": _FORMAT,
    "shape": _SHAPE,
    "orientation": _SHAPE,
    "located": _Key(lambda text: {"has_location": _yes(text)}, "located:yes or located:no"),
    "missing": _Key(
        lambda text: {"missing": _of({"yes": "true", "true": "true", "no": "false", "false": "false", "any": "any"})(text)},
        "missing:yes, missing:no or missing:any",
    ),
    "id": _Key(lambda text: {"ids": _ids(text)}, "id:7,12"),
}
"""Keys of conditions."""


# Writing


def format(line: Line) -> str:
    """A line that reads as the same: the conditions, what is not wanted, the words."""
    parts = [WRITERS[name](value) for name, value in said(line.filter).items()]
    parts += [f"-{_quoted(words)}" for words in line.not_text]
    return " ".join([*parts, _plain(line.text)]).strip()


def _plain(text: str) -> str:
    """The text, with a backslash before each word that would have a meaning."""
    written, end = [], 0
    for found in _words(text):
        word = found[0]
        special = bool(_condition(word) or _unwanted(word)) or _escaped(word)
        written.append(text[end : found.start()] + ("\\" if special else "") + word)
        end = found.end()
    return "".join(written)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _moment(when: datetime) -> str:
    return when.isoformat().replace("+00:00", "Z")


def _numbers(value: Any) -> str:
    return value if isinstance(value, str) else ",".join(repr(number) for number in value)


WRITERS: Mapping[str, Callable[[Any], str]] = {
    "taken_after": lambda when: f"after:{_moment(when)}",
    "taken_before": lambda when: f"before:{_moment(when)}",
    "min_width": lambda pixels: f"width:>={pixels}",
    "min_height": lambda pixels: f"height:>={pixels}",
    "max_width": lambda pixels: f"width:<={pixels}",
    "max_height": lambda pixels: f"height:<={pixels}",
    "orientation": lambda name: f"shape:{name}",
    "formats": lambda names: f"format:{','.join(names)}",
    "has_location": lambda known: f"located:{'yes' if known else 'no'}",
    "folder": lambda path: f"folder:{_quoted(path)}",
    "name": lambda text: f"name:{_quoted(text)}",
    "path": lambda text: f"path:{_quoted(text)}",
    "camera": lambda text: f"camera:{_quoted(text)}",
    "imported_after": lambda when: f"imported:>={_moment(when)}",
    "imported_before": lambda when: f"imported:<{_moment(when)}",
    "near": lambda place: f"near:{_numbers(place)}",
    "box": lambda box: f"box:{_numbers(box)}",
    "min_megapixels": lambda number: f"size:>={number!r}mp",
    "max_megapixels": lambda number: f"size:<={number!r}mp",
    "min_bytes": lambda size: f"size:>={size}b",
    "max_bytes": lambda size: f"size:<={size}b",
    "ids": lambda ids: f"id:{','.join(map(str, ids)) or 'none'}",
    "missing": lambda shown: f"missing:{ {'true': 'yes', 'false': 'no', 'any': 'any'}[str(shown).lower()] }",
}
"""How each field of a filter is written: a field more is a line more."""
