"""Copies of the SQLite catalog, one a day: taken while it is in use, put back when it is lost. A server's database has its own tools."""

from __future__ import annotations

import os
import shlex
import sqlite3
import time
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from tsir.errors import CatalogDamaged, InvalidInput, StoreUnavailable
from tsir.room import Room
from tsir.settings import Settings

MAGIC = b"SQLite format 3\0"
"""How such a file begins."""
BESIDE = ("", "-wal", "-shm")
"""The files of one database."""


class Copies:
    """The copies of one catalog, `catalog-DATE.db`. Of a catalog that is no file there are none."""

    def __init__(self, settings: Settings) -> None:
        url = sa.make_url(settings.catalog_url)
        embedded = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
        self.catalog = Path(str(url.database)) if embedded else None
        self.folder = settings.data_dir.expanduser().resolve() / "backups"
        self._kept = settings.catalog_backups
        self._room = Room("DATA_DIR", self.folder)

    def take(self) -> Path | None:
        """Copy the catalog as today's, unless nothing changed since, or it knows fewer pictures than the copy; delete the oldest ones.

        Returns the copy when one was taken. Raises CatalogDamaged when the catalog is, and keeps the copies then; StoreUnavailable when it
        cannot be read now; DiskFull; and OSError.
        """
        if not self._kept or self.catalog is None or not self.catalog.exists():
            return None
        target = self.folder / f"catalog-{datetime.now().date().isoformat()}.db"
        if target.exists() and not self._changed(target):
            return None
        known = pictures(self.catalog)
        if not known or (target.exists() and known < pictures(target)):
            return None
        self._room.need(self.catalog.stat().st_size)
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(target.name + ".tmp")
        temporary.unlink(missing_ok=True)
        begun = time.time()
        try:
            copy(self.catalog, temporary)
            os.utime(temporary, (begun, begun))  # what is written after that is not in it for certain
            temporary.replace(target)
        except sqlite3.OperationalError as error:
            if "full" in str(error):
                raise self._room.error(self.catalog.stat().st_size) from error
            raise self._unreadable(error) from error
        except sqlite3.Error as error:
            raise self.lost(f"is damaged: {error}") from error
        finally:
            temporary.unlink(missing_ok=True)
        for old in self.all()[: -self._kept]:
            old.unlink(missing_ok=True)
        return target

    def _changed(self, target: Path) -> bool:
        assert self.catalog is not None
        taken = target.stat().st_mtime_ns
        return any(path.stat().st_mtime_ns > taken for path in _files(self.catalog)[:2] if path.exists())

    def all(self) -> list[Path]:
        """The oldest first."""
        return sorted(self.folder.glob("catalog-*.db"))

    def lost(self, what: str) -> CatalogDamaged:
        """The error for a catalog that cannot be used: `what` says why."""
        for newest in reversed(self.all()):
            if known := pictures(newest):
                when = datetime.fromtimestamp(newest.stat().st_mtime).isoformat(" ", "minutes")
                return CatalogDamaged(
                    f"The catalog {self.catalog} {what}. Its automatic backup of {when} knows {known:,} pictures: stop the server and run "
                    f"`tsir restore {shlex.quote(str(newest))}`."
                )
        return CatalogDamaged(
            f"The catalog {self.catalog} {what}, and there is no automatic backup of it. Move it away, then bring an archive back with "
            "`tsir restore`, or import your folders again: the pictures themselves are untouched."
        )

    def expect(self) -> None:
        """Raise CatalogDamaged when the catalog is gone or empty although there is a copy of one that knew pictures."""
        if self.catalog is None or (self.catalog.exists() and self.catalog.stat().st_size):
            return
        if any(pictures(path) for path in self.all()):
            gone = "is empty" if self.catalog.exists() else "is gone"
            error = self.lost(gone)
            raise CatalogDamaged(f"{error} If you mean to begin anew, move {self.folder} away, or choose another DATA_DIR.")

    def damage(self) -> str | None:
        """What is wrong with the catalog's file; None when it is sound, or is none. Reads all of it.

        Raises StoreUnavailable when it cannot be read now, which says nothing of what is in it.
        """
        if self.catalog is None or not self.catalog.exists():
            return None
        try:
            with closing(_open(self.catalog)) as connection:
                (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.OperationalError as error:  # a right that lacks, a lock, a disk that fails
            raise self._unreadable(error) from error
        except sqlite3.Error as error:
            return str(error)
        return None if answer == "ok" else str(answer).split("\n")[-1]

    def _unreadable(self, error: sqlite3.Error) -> StoreUnavailable:
        return StoreUnavailable(f"The catalog {self.catalog} cannot be read: {error}. May this user read and write it, and its folder?")

    def put_back(self, file: Path) -> Path | None:
        """Put a copy in the catalog's place; returns where the catalog of before lies now. Nobody may have it open.

        Raises InvalidInput for a file that is no sound catalog, or a library whose catalog is no file, and OSError.
        """
        if self.catalog is None:
            raise InvalidInput("This is a copy of a SQLite catalog, but this library's is on a server: restore it with the server's tools.")
        try:
            with closing(_open(file)) as connection:
                (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
                for table in ("collections", "images", "locations"):
                    connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()
        except sqlite3.Error as error:
            raise InvalidInput(f"{str(file)!r} is damaged or no catalog of tsir: {error}.") from error
        if answer != "ok":
            raise InvalidInput(f"{str(file)!r} is damaged: {answer}.")
        self.catalog.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.catalog.with_name(f"{self.catalog.name}.tmp")
        temporary.unlink(missing_ok=True)
        copy(file, temporary)
        before = self.folder / f"replaced-{datetime.now():%Y%m%d-%H%M%S}.db"
        self.folder.mkdir(parents=True, exist_ok=True)
        there = [path for path in _files(self.catalog) if path.exists()]
        for path in reversed(there):  # its log first: it must not meet the other
            path.replace(before.with_name(before.name + path.name.removeprefix(self.catalog.name)))
        temporary.replace(self.catalog)
        return before if there else None


def _files(catalog: Path) -> list[Path]:
    return [catalog.with_name(catalog.name + end) for end in BESIDE]


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=30)


def pictures(path: Path) -> int:
    """How many pictures a catalog knows; 0 when it cannot be read."""
    with suppress(sqlite3.Error), closing(_open(path)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM images").fetchone()
        return int(count)
    return 0


def copy(source: Path, target: Path) -> None:
    """Copy a database that may be in use into one new file, and see that it is sound. Raises sqlite3.Error and OSError."""
    with closing(_open(source)) as old, closing(sqlite3.connect(target)) as new:
        old.backup(new)
        new.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it
        (answer,) = new.execute("PRAGMA quick_check(1)").fetchone()
        if answer != "ok":
            raise sqlite3.DatabaseError(str(answer).split("\n")[-1])
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
