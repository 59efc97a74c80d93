"""What is known of one condition on pictures, and what the catalog can be asked for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import sqlalchemy as sa

from tsir.storage.columns import Column
from tsir.storage.kinds import Kind


class Rows(Protocol):
    """What the catalog can be asked of its pictures, each as a condition in SQL. Names and paths are matched with patterns in which `*`
    stands for any characters, none among them, and `?` for one; nothing else in them means anything."""

    @property
    def images(self) -> Any:
        """The columns of pictures, by name."""
        ...

    def below(self, folder: str) -> sa.ColumnElement[bool]:
        """A file lies in the folder or below it."""
        ...

    def at(self, pattern: str) -> sa.ColumnElement[bool]:
        """The whole path of a file is like the pattern."""
        ...

    def named(self, pattern: str) -> sa.ColumnElement[bool]:
        """The name of a file is like the pattern, in upper or lower case."""
        ...

    def shot_with(self, pattern: str) -> sa.ColumnElement[bool]:
        """The camera's name is like the pattern, in upper or lower case."""
        ...

    def within(self, latitude: float, longitude: float, km: float) -> sa.ColumnElement[bool]:
        """Taken at most so far from the point, along the ground."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """All about one field of `Filter`, but for its name."""

    column: Column | None
    """What Milvus is asked; None: its row ids, or nothing, and then the catalog decides alone."""
    kind: Kind
    label: str
    """A few words for people."""
    help: str
    """A sentence for the API's documentation."""
    expression: Callable[[Any], str] | None
    """A checked value -> Milvus' language. User strings are hashed or checked, never pasted. None: Milvus cannot say."""
    rows: Callable[[Rows, Any], sa.ColumnElement[bool]] | None
    """The same for the catalog, where values are parameters. None: `missing`, of which the catalog knows by itself."""
    embedded: Callable[[Any], str] | None = None
    """The expression for Milvus Lite, where that is another."""


def condition(
    column: Column | None,
    kind: Kind,
    label: str,
    help: str,
    expression: Callable[[Any], str] | None,
    rows: Callable[[Rows, Any], sa.ColumnElement[bool]] | None = None,
    *,
    embedded: Callable[[Any], str] | None = None,
    default: object = None,
) -> Any:
    """A field of `Filter`: see `Condition`. `default` asks nothing."""
    return field(default=default, metadata={CONDITION: Condition(column, kind, label, help, expression, rows, embedded)})


CONDITION = "condition"
"""Where a field of the table keeps it."""
