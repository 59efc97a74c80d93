"""What Milvus keeps beside the vectors, so that it can filter while it searches."""

from __future__ import annotations

import functools
import hashlib
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import PurePosixPath
from typing import Protocol

from tsir.records import ImageMetadata

NO_DATE = -(2**62)
"""Stands for "unknown" in the column `taken`, milliseconds since 1970 (UTC): older than any picture."""

MAX_FOLDERS = 1_000
"""Folder hashes per picture, that is about a hundred copies of it; more are not found by the folder filter."""

MAX_FORMAT = 32
"""Characters of a format's name in Milvus."""


class Facts(Protocol):
    """What is known of a picture and can be kept beside its vector."""

    @property
    def metadata(self) -> ImageMetadata: ...

    @property
    def bytes(self) -> int:
        """Size of the file."""
        ...

    @property
    def created_at(self) -> datetime:
        """When it was imported."""
        ...

    @property
    def paths(self) -> tuple[str, ...]:
        """Every place where it lies, absolute."""
        ...


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
    """Whole milliseconds since 1970 (UTC); a naive time is UTC."""
    if when is None:
        return NO_DATE
    if when.tzinfo is None:
        when = when.replace(tzinfo=timezone.utc)
    return (when - _EPOCH) // timedelta(milliseconds=1)


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def folder_hash(folder: str) -> int:
    """63 bits of the folder's path: Milvus compares numbers faster than long strings, and nothing needs escaping in an expression."""
    path = str(PurePosixPath(folder))  # an address' two slashes become one, as they do in the folders above a file
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

TAKEN = Column("taken", Form("INT64", lambda facts: milliseconds(facts.metadata.clock)))
WIDTH = Column("width", Form("INT64", lambda facts: facts.metadata.width))
HEIGHT = Column("height", Form("INT64", lambda facts: facts.metadata.height))
SHAPE = Column("shape", Form("INT64", _shape))
FORMAT = Column("format", Form("VARCHAR", lambda facts: facts.metadata.format[:MAX_FORMAT], {"max_length": MAX_FORMAT}))
LOCATED = Column("located", Form("BOOL", lambda facts: facts.metadata.located))
WEIGHT = Column("bytes", Form("INT64", lambda facts: facts.bytes), since=2)
AREA = Column("area", Form("INT64", lambda facts: facts.metadata.width * facts.metadata.height), since=2)
IMPORTED = Column("imported", Form("INT64", lambda facts: milliseconds(facts.created_at)), since=2)
FOLDERS = Column(
    "folders",
    Form("ARRAY", lambda facts: folder_hashes(facts.paths), {"element_type": "INT64", "max_capacity": MAX_FOLDERS}),
    # Milvus Lite evaluates array_contains in Python over whole rows (80 us each), LIKE on a string in native code.
    embedded=Form("VARCHAR", lambda facts: "".join(f"|{value:016x}" for value in folder_hashes(facts.paths)), {"max_length": 65_535}),
)
