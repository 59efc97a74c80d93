"""The catalog's database: transactions and errors, whichever database it is."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, make_url

from tsir.errors import InvalidInput, NotFound, StoreRefused, StoreUnavailable
from tsir.room import data_room
from tsir.settings import Settings
from tsir.storage.sql.copies import Copies
from tsir.storage.sql.dialects import dialect_of, examples
from tsir.storage.sql.values import UploadPaths

T = TypeVar("T")

ATTEMPTS = 8
"""Tries of a transaction that lost against another one (a deadlock, the same picture inserted by both)."""


class Database:
    """Runs transactions. Thread-safe.

    Raises StoreUnavailable when the database does not answer now, StoreRefused when it says no to what it was asked, and never an
    exception of SQLAlchemy.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises InvalidInput for an address that is none, or of a database that cannot hold the catalog."""
        try:
            url = make_url(settings.catalog_url)
        except sa.exc.ArgumentError as error:
            raise InvalidInput(f"DATABASE_URL is no URL; it can be {examples()}.") from error
        self.dialect = dialect_of(url)
        self.engine = self.dialect.connect()
        self.paths = UploadPaths(settings.uploads)
        """How paths are kept."""
        self.copies = Copies(settings)
        self._room = data_room(settings)
        self._closed = False

    @property
    def embedded(self) -> bool:
        """Whether one process at a time may open it."""
        return self.dialect.embedded

    @property
    def where(self) -> str:
        """The database, for a sentence."""
        return self.dialect.where

    def close(self) -> None:
        """Finish the transaction that is being written, and disconnect. Idempotent."""
        with self.dialect.writer:
            self._closed = True
        self.engine.dispose()

    def ping(self) -> None:
        """Raise StoreUnavailable unless the database answers."""
        self.read(lambda connection: connection.execute(sa.text("SELECT 1")).scalar())

    def read(self, do: Callable[[Connection], T]) -> T:
        """Run `do` in a transaction that only reads."""
        with self.errors(), self.engine.connect() as connection:
            return do(connection)

    def write(self, do: Callable[[Connection], T]) -> T:
        """Run `do` in a transaction and commit it. It runs again when it loses against another transaction, so it must only write here."""
        with self.errors():
            for attempt in range(ATTEMPTS):
                try:
                    with self.dialect.writer:
                        self._check_open()
                        with self.dialect.begin(self.engine) as connection:
                            return do(connection)
                except sa.exc.IntegrityError:
                    # Another process inserted the same between our look and our insert: look again.
                    if attempt == ATTEMPTS - 1:
                        raise
                except sa.exc.OperationalError as error:
                    if attempt == ATTEMPTS - 1 or not self.dialect.lost(error):
                        raise
                time.sleep(random.uniform(0.005, 0.05) * (attempt + 1))
        raise AssertionError("unreachable")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turns the database's errors into ours."""
        self._check_open()
        try:
            yield
        except UnicodeEncodeError as error:
            shown = error.object.encode(errors="backslashreplace").decode()
            raise InvalidInput(f"{shown[:300]!r} is not valid Unicode (UTF-8).") from error
        except OverflowError as error:  # SQLite's answer to a key of more than 64 bits
            raise NotFound("There is nothing with so large a number.") from error
        except OSError as error:
            raise self._unavailable(error) from error
        except (sa.exc.SQLAlchemyError, RuntimeError) as error:  # pymysql raises RuntimeError when it cannot log in
            self._check_open()  # closed by another thread meanwhile
            if isinstance(error, sa.exc.SQLAlchemyError) and self.dialect.away(error):
                raise self._unavailable(error) from error
            if isinstance(error, sa.exc.SQLAlchemyError) and self.dialect.damaged(error):
                raise self.copies.lost(f"is damaged: {_reason(error)}") from error
            raise StoreRefused(f"{self.where} refuses what it was asked: {_reason(error)}") from error
        except (ValueError, TypeError, LookupError) as error:  # what a spoiled row does to those who read it
            if damage := self.copies.damage():
                raise self.copies.lost(f"is damaged: {damage}") from error
            raise

    def now(self, connection: Connection) -> datetime:
        """Naive UTC by the clock that all processes share."""
        return self.dialect.now(connection)

    def _check_open(self) -> None:
        if self._closed:  # another process may have opened it by now
            raise StoreUnavailable("The library is closed.")

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        if self.embedded and ("disk is full" in _reason(error) or self._room.short()):
            return self._room.error()
        return StoreUnavailable(f"{self.where} does not answer as it should: {_reason(error)}")


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).split("\n")[0][:300]
