"""What a database must be able to do, and how most do it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine

POOL: dict[str, Any] = {"pool_size": 10, "max_overflow": 40, "pool_timeout": 30}
"""Connections: more than requests that run at once, so that a search never waits for an import's."""


EARTH_KM = 6371.0
"""Radius."""


class Dialect:
    """One kind of database. Holds what all connections to one database share."""

    drivers: ClassVar[tuple[str, ...]]
    """What addresses of this kind begin with, as SQLAlchemy names drivers."""
    example: ClassVar[str]
    """What such an address looks like, for people."""
    embedded: ClassVar[bool] = False
    """True where one process at a time may open the database."""
    writer: AbstractContextManager[Any] = nullcontext()
    """Held while a transaction writes, where a database has one writer."""

    def __init__(self, url: URL) -> None:
        self.url = url

    @property
    def where(self) -> str:
        """The database, for a sentence; no password."""
        raise NotImplementedError

    def connect(self) -> Engine:
        """An engine on the database; no connection is made yet."""
        raise NotImplementedError

    def create_database(self, engine: Engine) -> None:
        """Create the database on its server unless it is there."""

    def begin(self, engine: Engine) -> AbstractContextManager[Connection]:
        """A transaction that writes; committed at the end of the context."""
        return engine.begin()

    @contextmanager
    def alone(self, engine: Engine) -> Iterator[Connection]:
        """A transaction during which nobody else changes the schema."""
        with self.begin(engine) as connection:
            yield connection

    def now(self, connection: Connection) -> datetime:
        """Naive UTC by the clock that all processes share."""
        raise NotImplementedError

    def lost(self, error: sa.exc.OperationalError) -> bool:
        """Whether a transaction lost against another one, so that it should be run again."""
        return False

    def damaged(self, error: sa.exc.SQLAlchemyError) -> bool:
        """Whether the database's file is not what it should be."""
        return False

    def numbers(self, connection: Connection, query: sa.Select[Any]) -> list[int]:
        """What a query of one column of whole numbers finds, in its order."""
        return list(connection.execute(query).scalars())

    def like(self, column: sa.ColumnElement[Any], pattern: str, *, lowered: bool = False) -> sa.ColumnElement[bool]:
        """The column is like the pattern, in which `*` is any characters and `?` one. `lowered`: upper and lower case are the same, as
        far as the database knows them."""
        escaped = re.sub("[!%_]", r"!\g<0>", pattern).replace("*", "%").replace("?", "_")
        return sa.func.lower(column).like(sa.func.lower(escaped), escape="!") if lowered else column.like(escaped, escape="!")

    def joined(self, start: str, rest: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
        """A text before one of the database's."""
        return sa.func.concat(start, rest)

    def folder(self, path: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
        """What comes before the last slash of a path."""
        raise NotImplementedError

    def kilometres(
        self, latitude: sa.ColumnElement[float], longitude: sa.ColumnElement[float], to_latitude: float, to_longitude: float
    ) -> sa.ColumnElement[float]:
        """From one point on the earth to another, along the ground; all in degrees."""
        raise NotImplementedError

    def away(self, error: sa.exc.SQLAlchemyError) -> bool:
        """Whether the database does not answer now and may later (restarting, overloaded, its disk full): waiting makes sense."""
        return isinstance(error, sa.exc.TimeoutError) or (isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated)
