"""What the file system says of the places where pictures lie."""

from __future__ import annotations

import posixpath
from collections import Counter
from pathlib import Path
from typing import Literal

from tsir.media.files import folder_trouble, said
from tsir.patience import answered
from tsir.records import FileStat

HANDFUL = 5
"""Pictures that may go at once without anybody asking for a drive."""
SHARE = 10
"""One in so many, and more than a handful, is much at once."""
NAMED = 5
"""Folders named in one answer."""


State = Literal["same", "other", "gone", "unknown"]


def vanished(path: str) -> bool:
    """Whether the file is gone, and not just out of reach (permissions, a network drive that hangs)."""
    return look_at(FileStat(path, 0, 0)) == "gone"


def look_at(file: FileStat) -> State:
    """What lies at the place of a file: it, with the same size and time; something else; nothing; or what cannot be known now."""
    return look_closely(file)[0]


def look_closely(file: FileStat) -> tuple[State, str | None]:
    """The same, and why it cannot be known."""
    try:
        stat = answered(posixpath.dirname(file.path), Path(file.path).stat, link=file.path)
    except (FileNotFoundError, NotADirectoryError):
        return "gone", None
    except OSError as error:
        return "unknown", said(error)
    same = (stat.st_size, min(stat.st_mtime_ns, 2**63 - 1)) == (file.bytes, file.mtime_ns)
    return "same" if same else "other", None


class Absence:
    """Tells a drive that is not there from files that somebody deleted, by what else lay in their folders."""

    def __init__(self, root: str | Path | None) -> None:
        self._root = "/" if root is None else str(root).rstrip("/") or "/"
        self._all: Counter[str] = Counter()
        self._gone: Counter[str] = Counter()
        self._new: Counter[str] = Counter()
        self._unreached: dict[str, Counter[str]] = {}
        """Folders of the places that cannot be reached, by the reason."""

    def count(self, path: str, *, gone: bool, known: bool) -> None:
        """One place; `known`: it was missing before."""
        folder = posixpath.dirname(path)
        self._all[folder] += 1
        if gone:
            self._gone[folder] += 1
            self._new[folder] += not known

    def unreached(self, path: str, reason: str) -> None:
        """One place of which nothing can be known now."""
        self._unreached.setdefault(reason, Counter())[posixpath.dirname(path)] += 1

    def suspicions(self) -> tuple[str, ...]:
        """A sentence for each folder that looks like one whose drive is away, at most five; and why others are out of reach."""
        out_of_reach = [
            f"{_pictures(folders.total())} below {posixpath.commonpath(folders)!r} cannot be reached: {reason}."
            for reason, folders in self._unreached.items()
        ]
        return (*out_of_reach[:NAMED], *self._absent())

    def _absent(self) -> tuple[str, ...]:
        if not self._gone:
            return ()
        every, gone, new = (_upwards(counter, self._root) for counter in (self._all, self._gone, self._new))
        empty = {folder for folder, count in gone.items() if count == every[folder]}
        tops = [self._deepest(folder, every) for folder in sorted(empty) if posixpath.dirname(folder) not in empty or folder == self._root]
        # A folder without one of its pictures that is still there is a mount point perhaps; one that is gone was deleted, if it held few.
        named = [folder for folder in tops if folder_trouble(folder) is None or _many(gone[folder], every[self._root])]
        if not named and _many(new[self._root], every[self._root]):
            named = [self._root]
        said = [f"{_pictures(gone[folder])} below {folder!r} {_are(gone[folder])} not there: is a drive missing?" for folder in named]
        if len(said) > NAMED:
            said[NAMED:] = [f"The same is true of {len(said) - NAMED} more folders."]
        return tuple(said)

    def _deepest(self, folder: str, every: Counter[str]) -> str:
        """The folder below this one that holds all of its pictures."""
        while True:
            below = [other for other in every if posixpath.dirname(other) == folder != other]
            if self._all[folder] or len(below) != 1:
                return folder
            folder = below[0]


def _many(count: int, of: int) -> bool:
    return count > HANDFUL and count * SHARE > of


def _pictures(count: int) -> str:
    return f"{count:,} picture" + ("s" if count != 1 else "")


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _upwards(counts: Counter[str], root: str) -> Counter[str]:
    """Counts of folders with all that lies below them."""
    total: Counter[str] = Counter()
    for folder, count in counts.items():
        here = folder
        while True:
            total[here] += count
            above = posixpath.dirname(here)
            if here in (root, above):
                break
            here = above
    return total
