"""SQLite: a file of DATA_DIR, for one process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine

from tsir.storage.sql.dialects.base import POOL, Dialect

AWAY = ("is locked", "is busy", "disk i/o error", "disk is full", "unable to open database file")
"""What SQLite says of a trouble that passes: other connections, a disk that is full or away."""


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
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
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


def _begin(connection: Connection) -> None:
    # A transaction that will write takes the lock at once: upgrading a read lock later can fail.
    write = connection.get_execution_options().get("tsir_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
