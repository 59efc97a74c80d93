"""Folders -> the picture files in them, in batches, without opening a file."""

from __future__ import annotations

import os
import posixpath
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tsir.importing.ignoring import IGNORE_FILE, OWN_MARKS, SYSTEM_FILES, Level, Rules, enter, is_helper
from tsir.jobs.model import JobFailure
from tsir.jobs.progress import Passed
from tsir.media.files import regular, said
from tsir.media.formats import is_picture_name
from tsir.paging import chunks
from tsir.patience import answered
from tsir.records import FileStat

BATCH = 500
"""Files per batch: one catalog query each."""

LONGEST_ENDING = 12
"""Characters of a file name after its last dot that are taken for its kind."""

LINKS_NAMED = 3
"""Linked folders that were passed over, named in one sentence."""

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
    folder: Path, roots: Sequence[Path] = (), rules: Rules | None = None, passed: Passed | None = None, top: Path | None = None
) -> Iterator[Batch]:
    """All picture files below a folder, by name within each folder, as batches.

    Hidden files and folders are left out, and what the rules leave out. Links are followed where they stay inside the folder or one of
    `roots`; what they lead to is seen after the rest, and no folder is visited twice. `passed` counts what is passed over: files
    of other kinds, and linked folders that lead elsewhere. `top` is the folder that is imported, if this is only a part of it.
    """
    return chunks(_walk(folder, (folder.resolve(), *roots), rules or Rules(), Passed() if passed is None else passed, top or folder), BATCH)


def count(folder: Path, roots: Sequence[Path], stopped: Callable[[], bool], rules: Rules | None = None) -> int | None:
    """How many files `scan` will give; None when stopped before the end."""
    total = 0
    for batch in scan(folder, roots, rules):
        total += len(batch)
        if stopped():
            return None
    return total


def passed_over(passed: Passed) -> str | None:
    """What a scan passed over, in sentences; None when that is nothing."""
    found = []
    if total := passed.kinds.total():
        kinds = [f"{kind} {number:,}" for kind, number in sorted(passed.kinds.items(), key=lambda entry: (-entry[1], entry[0]))]
        if len(kinds) > KINDS_NAMED:
            kinds[KINDS_NAMED:] = ["..."]
        found.append(
            f"{total:,} file{'s' * (total != 1)} of {'kinds' if total != 1 else 'a kind'} that cannot be read ({', '.join(kinds)})."
        )
    if count := passed.linked:
        links = [repr(printable(link)) for link in passed.links] + ["..."] * (count > len(passed.links))
        what = "1 linked folder leads" if count == 1 else f"{count:,} linked folders lead"
        was = "was" if count == 1 else "were"
        found.append(f"{what} out of the folders that may be imported and {was} passed over ({', '.join(links)}): IMAGE_ROOTS allows more.")
    return " ".join(found) or None


def _walk(folder: Path, roots: Sequence[Path], rules: Rules, passed: Passed, top: Path) -> Iterator[Item | JobFailure]:
    own: list[tuple[str, Level]] = [(str(folder), rules.level(top, folder))]  # a stack: depth first
    links: deque[tuple[str, Level]] = deque()
    visited = rules.identities(folder.resolve())
    while own or links:
        path, level = own.pop() if own else links.popleft()
        try:
            stat = answered(path, lambda path=path: os.stat(path))  # type: ignore[misc]  # noqa: PTH116 - strings throughout: they are many
            if (stat.st_dev, stat.st_ino) in visited:
                continue
            visited.add((stat.st_dev, stat.st_ino))
            sorted_entries = answered(path, lambda path=path: _listed(path))  # type: ignore[misc]
        except OSError as error:
            yield JobFailure(printable(path), f"The folder cannot be read: {said(error)}.")
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
                if answered(path, entry.is_dir, link=linked):
                    if is_helper(entry.name, parent) or level.ignores(entry.path, folder=True):
                        continue
                    if linked and not inside(entry.path, roots):
                        passed.linked += 1
                        passed.links += [entry.path] * (len(passed.links) < LINKS_NAMED)
                    else:
                        (links if linked else folders).append((entry.path, level))
                elif level.ignores(entry.path, folder=False):
                    continue
                elif not is_picture_name(entry.name):
                    if entry.is_file() and entry.name.lower() not in SYSTEM_FILES:
                        count_kind(entry.name, passed)
                elif linked and not answered(path, lambda: os.path.exists(entry.path), link=True):  # noqa: B023, PTH110
                    yield JobFailure(printable(entry.path), "The link leads to nothing.")
                elif linked and not inside(entry.path, roots):
                    yield JobFailure(printable(entry.path), "The link leads out of the folders that may be imported.")
                else:
                    yield item(entry.path, regular(entry.path))
            except OSError as error:  # gone meanwhile, a pipe or the like, a failing disk
                yield JobFailure(printable(entry.path), f"The file cannot be read: {said(error)}.")
        own.extend(reversed(folders))


def _listed(path: str) -> list[os.DirEntry[str]]:
    with os.scandir(path) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def count_kind(name: str, passed: Passed) -> None:
    """Note a file that is passed over because of its kind."""
    passed.kinds[_kind(name)] += 1


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


def inside(path: str, roots: Sequence[Path]) -> bool:
    """Whether what a path leads to exists and lies below one of the roots."""
    try:
        target = answered(posixpath.dirname(path), lambda: Path(path).resolve(strict=True), link=True)
    except (OSError, RuntimeError):
        return False
    return any(target.is_relative_to(root) for root in roots)
