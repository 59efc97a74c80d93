"""Folders -> the picture files in them, in batches, without opening a file."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tsir.importing.ignoring import IGNORE_FILE, OWN_MARKS, SYSTEM_FILES, Level, Rules, enter, is_helper
from tsir.jobs.model import JobFailure
from tsir.media.formats import is_picture_name
from tsir.paging import chunks
from tsir.records import FileStat

BATCH = 500
"""Files per batch: one catalog query each."""

LONGEST_ENDING = 12
"""Characters of a file name after its last dot that are taken for its kind."""

KINDS_NAMED = 8
"""Kinds of files that were passed over, named in one sentence."""


@dataclass(frozen=True, slots=True)
class Item:
    """A file to import and the name that its owner knows it by."""

    file: FileStat
    name: str


Batch: TypeAlias = Sequence[Item | JobFailure]
"""Files to import, and files that are known to be unusable before they are opened."""


def scan(
    folder: Path, roots: Sequence[Path] = (), rules: Rules | None = None, passed: Counter[str] | None = None, top: Path | None = None
) -> Iterator[Batch]:
    """All picture files below a folder, by name within each folder, as batches.

    Hidden files and folders are left out, and what the rules leave out. Links are followed where they stay inside the folder or one of
    `roots`; what they lead to is seen after the rest, and no folder is visited twice. `passed` counts the files of other kinds, by their
    endings. `top` is the folder that is imported, if this is only a part of it.
    """
    return chunks(
        _walk(folder, (folder.resolve(), *roots), rules or Rules(), Counter() if passed is None else passed, top or folder), BATCH
    )


def count(folder: Path, roots: Sequence[Path], stopped: Callable[[], bool], rules: Rules | None = None) -> int | None:
    """How many files `scan` will give; None when stopped before the end."""
    total = 0
    for batch in scan(folder, roots, rules):
        total += len(batch)
        if stopped():
            return None
    return total


def passed_over(passed: Counter[str]) -> str | None:
    """What a scan counted of other kinds, in a sentence; None when that is nothing."""
    total = passed.total()
    if not total:
        return None
    kinds = [f"{kind} {number:,}" for kind, number in sorted(passed.items(), key=lambda entry: (-entry[1], entry[0]))]
    if len(kinds) > KINDS_NAMED:
        kinds[KINDS_NAMED:] = ["..."]
    return f"{total:,} file{'s' * (total != 1)} of {'kinds' if total != 1 else 'a kind'} that cannot be read ({', '.join(kinds)})."


def _walk(folder: Path, roots: Sequence[Path], rules: Rules, passed: Counter[str], top: Path) -> Iterator[Item | JobFailure]:
    own: list[tuple[str, Level]] = [(str(folder), rules.level(top, folder))]  # a stack: depth first
    links: deque[tuple[str, Level]] = deque()
    visited = rules.identities(folder.resolve())
    while own or links:
        path, level = own.pop() if own else links.popleft()
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
        hidden = {entry.name for entry in sorted_entries if entry.name.startswith(".")}
        if ".lock" in hidden and {entry.name for entry in sorted_entries} >= OWN_MARKS and path != str(folder):
            continue
        if IGNORE_FILE in hidden:
            level, wrong = enter(level, path)
            if wrong is not None:
                yield wrong
        folders: list[tuple[str, Level]] = []
        parent = path.rpartition("/")[2]
        for entry in sorted_entries:
            if entry.name in hidden:
                continue
            try:
                linked = entry.is_symlink()
                if entry.is_dir():
                    if is_helper(entry.name, parent) or (linked and not _inside(entry.path, roots)):
                        continue
                    if not level.ignores(entry.path, folder=True):
                        (links if linked else folders).append((entry.path, level))
                elif level.ignores(entry.path, folder=False):
                    continue
                elif not is_picture_name(entry.name):
                    if entry.is_file() and entry.name.lower() not in SYSTEM_FILES:
                        passed[_kind(entry.name)] += 1
                elif entry.is_file() or linked:
                    if linked and not _inside(entry.path, roots):
                        yield JobFailure(printable(entry.path), "The link leads out of the folders that may be imported.")
                    else:
                        yield item(entry.path, entry.stat())
            except OSError as error:  # gone meanwhile, or a link to nowhere
                yield JobFailure(printable(entry.path), f"The file cannot be read: {error.strerror or error}.")
        own.extend(reversed(folders))


def _kind(name: str) -> str:
    ending = printable(os.path.splitext(name)[1].lower())  # noqa: PTH122
    return ending if 1 < len(ending) <= LONGEST_ENDING and ending.isprintable() else "without an ending"


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
