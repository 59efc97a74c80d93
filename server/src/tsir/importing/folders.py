"""The folders that may be imported, as somebody looks through them: a level at a time, with what lies in each."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tsir.errors import NotFound
from tsir.importing.ignoring import Rules, is_helper
from tsir.importing.scan import inside, printable
from tsir.media.files import said
from tsir.media.formats import is_picture_name

MOST = 500
"""Folders of a level that are listed."""

LOOK = 20_000
"""Entries that are looked at for one answer. On a slow disk, or where there are more, some folders go uncounted."""


@dataclass(frozen=True)
class Folder:
    """A folder that may be imported. `pictures` and `folders` lie directly in it; None: not counted."""

    name: str
    path: str
    pictures: int | None
    folders: int | None


@dataclass(frozen=True)
class Listing:
    """What lies in a folder: `folders` by name, the first of them where there are `more`."""

    folders: tuple[Folder, ...]
    more: bool


class Looking:
    """One look at a level. What imports leave out is neither listed nor counted: hidden and helper folders, links that lead elsewhere."""

    def __init__(self, roots: Sequence[Path], rules: Rules) -> None:
        self._roots = roots
        self._rules = rules
        self._left = LOOK

    def at(self, folder: Path) -> Listing:
        """Raises NotFound when the folder cannot be read."""
        try:
            below, _ = self._entries(folder)
        except OSError as error:
            raise NotFound(f"The folder {printable(str(folder))!r} cannot be read: {said(error)}.") from None
        below.sort(key=lambda path: path.name.casefold())
        return Listing(tuple(self.counted(path, path.name) for path in below[:MOST]), len(below) > MOST)

    def counted(self, folder: Path, name: str) -> Folder:
        """A folder with its counts."""
        try:
            below, pictures = self._entries(folder)
        except OSError:
            return Folder(name, str(folder), None, None)
        return Folder(name, str(folder), pictures, None if pictures is None else len(below))

    def _entries(self, folder: Path) -> tuple[list[Path], int | None]:
        """The folders directly in one, and the number of pictures; None where there are too many entries to look at all."""
        own = self._rules.identities(folder)
        below: list[Path] = []
        pictures = 0
        with os.scandir(folder) as entries:
            for entry in itertools.islice(entries, self._left):
                self._left -= 1
                if entry.name.startswith(".") or printable(entry.name) != entry.name:
                    continue
                try:
                    if not entry.is_dir():
                        pictures += is_picture_name(entry.name) and entry.is_file()
                    elif not (is_helper(entry.name, folder.name) or (entry.is_symlink() and not inside(entry.path, self._roots))):
                        stat = os.stat(entry.path)  # noqa: PTH116 - strings throughout
                        if (stat.st_dev, stat.st_ino) not in own:
                            below.append(Path(entry.path))
                except OSError:  # gone meanwhile, or out of reach
                    continue
        return below, pictures if self._left > 0 else None
