"""Folders -> the picture files in them, in batches, without opening a file."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tsir.jobs.model import JobFailure
from tsir.media.formats import is_picture_name
from tsir.paging import chunks
from tsir.records import FileStat

BATCH = 500
"""Files per batch: one catalog query each."""

IGNORED_FOLDERS = frozenset({"@eadir", "__macosx", "#recycle", "$recycle.bin", "lost+found", "system volume information"})
"""Folders that cameras, NAS and systems make for themselves, lower case."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file to import and the name that its owner knows it by."""

    file: FileStat
    name: str


Batch: TypeAlias = Sequence[Item | JobFailure]
"""Files to import, and files that are known to be unusable before they are opened."""


def scan(folder: Path, roots: Sequence[Path] = ()) -> Iterator[Batch]:
    """All picture files below a folder, by name within each folder, as batches.

    Hidden files and folders are left out. Links are followed where they stay inside the folder or one of `roots`; what they lead to is
    seen after the rest, and no folder is visited twice.
    """
    return chunks(_walk(folder, (folder.resolve(), *roots)), BATCH)


def count(folder: Path, roots: Sequence[Path], stopped: Callable[[], bool]) -> int | None:
    """How many files `scan` will give; None when stopped before the end."""
    total = 0
    for batch in scan(folder, roots):
        total += len(batch)
        if stopped():
            return None
    return total


def _walk(folder: Path, roots: Sequence[Path]) -> Iterator[Item | JobFailure]:
    own: list[str] = [str(folder)]  # a stack: depth first
    links: deque[str] = deque()
    visited: set[tuple[int, int]] = set()
    while own or links:
        path = own.pop() if own else links.popleft()
        try:
            stat = os.stat(path)  # noqa: PTH116 - strings throughout: they are many
            if (stat.st_dev, stat.st_ino) in visited:
                continue
            visited.add((stat.st_dev, stat.st_ino))
            with os.scandir(path) as entries:
                sorted_entries = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield JobFailure(printable(path), f"The folder cannot be read: {error.strerror or error}.")
            continue
        folders: list[str] = []
        for entry in sorted_entries:
            if entry.name.startswith("."):
                continue
            try:
                linked = entry.is_symlink()
                if entry.is_dir():
                    if entry.name.lower() in IGNORED_FOLDERS or (linked and not _inside(entry.path, roots)):
                        continue
                    (links if linked else folders).append(entry.path)
                elif is_picture_name(entry.name) and (entry.is_file() or linked):
                    if linked and not _inside(entry.path, roots):
                        yield JobFailure(printable(entry.path), "The link leads out of the folders that may be imported.")
                    else:
                        yield item(entry.path, entry.stat())
            except OSError as error:  # gone meanwhile, or a link to nowhere
                yield JobFailure(printable(entry.path), f"The file cannot be read: {error.strerror or error}.")
        own.extend(reversed(folders))


def item(path: str, stat: os.stat_result, name: str | None = None) -> Item | JobFailure:
    """A file with what is known of it; a name that is not valid Unicode cannot be stored, nor asked for over HTTP."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return JobFailure(printable(path), "The file's name is not valid Unicode (UTF-8): rename it.")
    # Some file systems hold years beyond 2262, which 64 bits of nanoseconds do not.
    return Item(FileStat(path, stat.st_size, min(stat.st_mtime_ns, 2**63 - 1)), name or path)


def printable(path: str) -> str:
    """A path as valid Unicode, with replacement characters where it is none."""
    return os.fsencode(path).decode(errors="replace")


def _inside(path: str, roots: Sequence[Path]) -> bool:
    try:
        target = Path(path).resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    return any(target.is_relative_to(root) for root in roots)
