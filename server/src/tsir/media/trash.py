"""What the library no longer needs and nobody else has: files lie here for a month before they are gone.

Beside the files lie entries, `WHEN-RANDOM.json`: what was taken out together, its rows as JSON, one on a line, after a line about the
whole. A file that no row ever named has a note beside it instead.
"""

from __future__ import annotations

import errno
import json
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from tsir.errors import NotFound
from tsir.media.durable import TEMPORARY, older, whole, write_atomic

KEPT_DAYS = 30
"""Days that a file stays, unless TRASH_DAYS says otherwise."""

NOTE = ".note.txt"
"""How the name of a note ends, after the name of its file."""

ENTRY = re.compile(r"\d{8}T\d{6}-[0-9a-f]{8}")
"""Names of entries: when they were made (UTC), and some random digits."""

SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class Thrown:
    """An entry: what was thrown away together."""

    id: str
    facts: Mapping[str, Any]
    """What its first line says."""
    at: datetime
    until: datetime
    """When it will be gone."""


@dataclass(frozen=True, slots=True)
class Stray:
    """A file that no row named."""

    name: str
    note: str
    at: datetime
    until: datetime


class Trash:
    """A folder of thrown away files. Safe to use from many threads and processes. Every method may raise OSError."""

    def __init__(self, folder: Path, days: int = KEPT_DAYS) -> None:
        self.folder = folder
        self.days = days

    def put(self, path: Path, why: str) -> Path:
        """Move a file here that no row names, and say in a note where it came from; returns where it lies now."""
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / path.name
        if target.exists():
            target = target.with_name(f"{path.stem}.{secrets.token_hex(4)}{path.suffix}")
        when = datetime.now(timezone.utc).isoformat(timespec="seconds")
        note = f"from: {path}\nwhen: {when}\nwhy: {why}\nkept: {self.days} days from then\n"
        write_atomic(target.with_name(target.name + NOTE), note.encode(errors="replace"), durable=True)
        _move(path, target)
        return target

    def note(self, facts: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> str:
        """Write an entry, before its files are taken; returns its id. It is on disk when this returns."""
        id = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        self.folder.mkdir(parents=True, exist_ok=True)
        with whole(self._entry(id)) as file:
            for line in chain([facts], rows):
                file.write(json.dumps(line).encode() + b"\n")
        return id

    def take(self, path: Path) -> None:
        """Move the file of an entry here. Nothing happens when it is not there (any more)."""
        with suppress(FileNotFoundError):
            self.folder.mkdir(parents=True, exist_ok=True)
            _move(path, self.folder / path.name)

    def paths(self, ending: str = "") -> list[Path]:
        """The files whose names end so."""
        try:
            return [path for path in self.folder.iterdir() if path.name.endswith(ending)]
        except FileNotFoundError:
            return []

    def strays(self) -> list[Stray]:
        """Files with a note, the newest first."""
        found = []
        for note in self.paths(NOTE):
            with suppress(FileNotFoundError):
                at = datetime.fromtimestamp(note.stat().st_mtime, timezone.utc)
                text = note.read_text(errors="replace")
                found.append(Stray(note.name.removesuffix(NOTE), text, at, at + timedelta(days=self.days)))
        return sorted(found, key=lambda stray: stray.at, reverse=True)

    def stray(self, name: str) -> Path:
        """The file of that name that has a note. Raises NotFound."""
        if name not in {stray.name for stray in self.strays()}:
            raise _nothing(name)
        return self.folder / name

    def forget_stray(self, name: str) -> None:
        """Delete a file that has a note, if it is there, and its note."""
        for path in (self.stray(name), self.folder / (name + NOTE)):
            path.unlink(missing_ok=True)

    def give_back(self, path: Path, name: str | None = None) -> bool:
        """Move a file (the one of that name, or of the path's) back to where it was taken from; whether it is there now."""
        kept = self.folder / (name or path.name)
        if not path.exists() and kept.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            _move(kept, path)
        return path.is_file()

    def entries(self) -> list[Thrown]:
        """All entries, the newest first."""
        found = (path.name.removesuffix(SUFFIX) for path in self.paths(SUFFIX))
        entries = []
        for id in sorted(filter(ENTRY.fullmatch, found), reverse=True):
            with suppress(NotFound):
                entries.append(self.entry(id))
        return entries

    def entry(self, id: str) -> Thrown:
        """Raises NotFound for one that is not there, or cannot be read."""
        with self._opened(id) as lines:
            at = datetime.strptime(id.partition("-")[0], "%Y%m%dT%H%M%S").replace(tzinfo=timezone.utc)
            return Thrown(id, json.loads(next(lines)), at, at + timedelta(days=self.days))

    def rows(self, id: str) -> Iterator[Mapping[str, Any]]:
        """What was thrown away, as it was given to `note`. Raises NotFound."""
        with self._opened(id) as lines:
            next(lines)
            for line in lines:
                yield json.loads(line)

    def forget(self, id: str) -> None:
        """Take an entry away whose files were given back."""
        self._entry(id).unlink(missing_ok=True)

    def delete(self, id: str, names: Iterable[str]) -> None:
        """Delete an entry, and its files by their names, for good; what another entry names, too, stays."""
        self.forget(id)
        others = [path.read_bytes() for path in self.paths(SUFFIX)]
        for name in names:
            if not any(name.encode() in other for other in others):
                (self.folder / name).unlink(missing_ok=True)

    def empty(self) -> int:
        """Delete all there is; returns how many files that were, entries and notes not counted."""
        return self._purge(time.time() + 1, everything=True)

    def bytes(self) -> int:
        """What all of it takes on disk."""
        total = 0
        for path in self.paths():
            with suppress(FileNotFoundError):
                total += path.stat().st_size
        return total

    def purge(self) -> int:
        """Delete what lay here long enough; returns how many files that were, entries and notes not counted."""
        return self._purge(time.time() - self.days * 86_400)

    def _purge(self, before: float, *, everything: bool = False) -> int:
        count = 0
        for note in self.paths(NOTE):
            if older(note, before):
                with suppress(FileNotFoundError):
                    note.with_name(note.name.removesuffix(NOTE)).unlink()
                    count += 1
                note.unlink(missing_ok=True)
        for path in self.paths():
            if path.name.endswith(NOTE) or path.with_name(path.name + NOTE).exists():
                continue
            entry = path.name.endswith(SUFFIX)
            with suppress(FileNotFoundError):
                stat = path.stat()
                # A file keeps its own time when it is moved; the time of the change is that of the move.
                if everything or (stat.st_mtime if entry else stat.st_ctime) < before:
                    path.unlink()
                    count += not entry and not path.name.endswith(TEMPORARY)
        return count

    def _entry(self, id: str) -> Path:
        if not ENTRY.fullmatch(id):
            raise _nothing(id)
        return self.folder / (id + SUFFIX)

    @contextmanager
    def _opened(self, id: str) -> Iterator[TextIO]:
        try:
            with self._entry(id).open(encoding="utf-8") as lines:
                yield lines
        except FileNotFoundError:
            raise _nothing(id) from None
        except (ValueError, StopIteration, KeyError, TypeError):
            raise NotFound(f"The entry {id!r} of the trash is damaged; its files still lie in {str(self.folder)!r}.") from None


def _nothing(id: str) -> NotFound:
    return NotFound(f"There is nothing {id!r} in the trash: it was restored already, or lay there for too long.")


def _move(path: Path, target: Path) -> None:
    try:
        path.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with path.open("rb") as source, whole(target) as copy:
            shutil.copyfileobj(source, copy, 2**20)
        path.unlink()
