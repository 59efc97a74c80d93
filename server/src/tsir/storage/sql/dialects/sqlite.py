"""SQLite: a file of DATA_DIR, for one process."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine

from tsir.errors import InvalidInput
from tsir.storage.sql.dialects.base import EARTH_KM, POOL, Dialect

AWAY = ("is locked", "is busy", "disk i/o error", "disk is full", "unable to open database file")
"""What SQLite says of a trouble that passes: other connections, a disk that is full or away."""


DAMAGED = ("malformed", "not a database", "could not decode to utf-8", "file is encrypted", "unsupported file format")
"""What SQLite says of a file that is not what it should be."""


class SQLite(Dialect):
    """See the module."""

    drivers = ("sqlite", "sqlite+pysqlite")
    example = "sqlite:///FILE"
    embedded = True

    def __init__(self, url: URL) -> None:
        super().__init__(url)
        # One writer: threads queue here instead of polling its lock.
        self.writer = threading.Lock()

    @property
    def where(self) -> str:
        return f"SQLite at {self.url.database}"

    def connect(self) -> Engine:
        if self.url.database and self.url.database != ":memory:":
            folder = Path(self.url.database).parent
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InvalidInput(f"The catalog's folder {str(folder)!r} cannot be made: {error.strerror or error}.") from error
        engine = sa.create_engine(self.url, connect_args={"timeout": 30}, **POOL)
        sa.event.listen(engine, "connect", _tune)
        sa.event.listen(engine, "begin", _begin)
        return engine

    @contextmanager
    def begin(self, engine: Engine) -> Iterator[Connection]:
        with engine.connect().execution_options(tsir_write=True) as connection, connection.begin():
            yield connection

    def now(self, connection: Connection) -> datetime:
        return datetime.now(timezone.utc).replace(tzinfo=None)

    def damaged(self, error: sa.exc.SQLAlchemyError) -> bool:
        text = str(getattr(error, "orig", "") or error).lower()
        return any(words in text for words in DAMAGED)

    def numbers(self, connection: Connection, query: sa.Select[Any]) -> list[int]:
        # As one text: row by row, the interpreter's lock is given away and waited for each time.
        listed: str | None = connection.execute(sa.select(sa.func.group_concat(query.subquery().c[0]))).scalar()
        numbers: list[int] = json.loads(f"[{listed or ''}]")
        return numbers

    def like(self, column: sa.ColumnElement[Any], pattern: str, *, lowered: bool = False) -> sa.ColumnElement[bool]:
        # LIKE takes some upper case letters for lower ones here, GLOB none; it knows "[" as well.
        escaped = pattern.replace("[", "[[]")
        return sa.func.lower(column).op("GLOB")(sa.func.lower(escaped)) if lowered else column.op("GLOB")(escaped)

    def joined(self, start: str, rest: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
        return sa.literal(start).op("||")(rest)

    def folder(self, path: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
        # What is at its end and is no slash, then the slash: a path has no two in a row.
        return sa.func.rtrim(sa.func.rtrim(path, sa.func.replace(path, "/", "")), "/")

    def kilometres(
        self, latitude: sa.ColumnElement[float], longitude: sa.ColumnElement[float], to_latitude: float, to_longitude: float
    ) -> sa.ColumnElement[float]:
        return sa.func.tsir_kilometres(latitude, longitude, to_latitude, to_longitude)

    def away(self, error: sa.exc.SQLAlchemyError) -> bool:
        text = str(getattr(error, "orig", "")).lower()
        return super().away(error) or any(words in text for words in AWAY)


def _tune(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, see _begin
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")  # readers go on while one writes
    cursor.execute("PRAGMA synchronous=FULL")  # what was committed survives a power cut
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
    connection.create_function("tsir_kilometres", 4, _kilometres, deterministic=True)  # not every SQLite knows a sine


def _kilometres(latitude: float | None, longitude: float | None, to_latitude: float, to_longitude: float) -> float | None:
    if latitude is None or longitude is None:
        return None
    north, east = math.radians(latitude - to_latitude) / 2, math.radians(longitude - to_longitude) / 2
    across = math.cos(math.radians(latitude)) * math.cos(math.radians(to_latitude))
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, math.sin(north) ** 2 + across * math.sin(east) ** 2)))


def _begin(connection: Connection) -> None:
    # A transaction that will write takes the lock at once: upgrading a read lock later can fail.
    write = connection.get_execution_options().get("tsir_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
