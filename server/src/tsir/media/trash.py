"""What the library no longer needs and nobody else has: files lie here for a month before they are gone, each with a note beside it."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from tsir.media.durable import older, whole, write_atomic

KEPT_DAYS = 30
"""Days that a file stays."""

NOTE = ".note.txt"
"""How the name of a note ends, after the name of its file."""


class Trash:
    """A folder of thrown away files. Safe to use from many threads and processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, path: Path, why: str) -> Path:
        """Move a file here, and say in a note where it came from; returns where it lies now. Raises OSError, and moves nothing then."""
        self.folder.mkdir(parents=True, exist_ok=True)
        target = self.folder / path.name
        if target.exists():
            target = target.with_name(f"{path.stem}.{secrets.token_hex(4)}{path.suffix}")
        when = datetime.now(timezone.utc).isoformat(timespec="seconds")
        note = f"from: {path}\nwhen: {when}\nwhy: {why}\nkept: {KEPT_DAYS} days from then\n"
        write_atomic(target.with_name(target.name + NOTE), note.encode(errors="replace"), durable=True)
        try:
            path.replace(target)
        except OSError:  # another file system
            with path.open("rb") as source, whole(target) as copy:
                shutil.copyfileobj(source, copy, 2**20)
            path.unlink()
        return target

    def purge(self) -> int:
        """Delete what lay here long enough; returns how many files that were."""
        before = time.time() - KEPT_DAYS * 86_400
        count = 0
        for note in self._notes():
            if older(note, before):
                path = note.with_name(note.name.removesuffix(NOTE))
                with suppress(FileNotFoundError):
                    path.unlink()
                    count += 1
                note.unlink(missing_ok=True)
        return count

    def _notes(self) -> Iterator[Path]:
        return self.folder.glob(f"*{NOTE}")
