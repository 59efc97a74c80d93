"""What a scan leaves out: the program's own folders, those that systems and programs keep for themselves, and what people exclude."""

from __future__ import annotations

import fnmatch
import functools
import os
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tsir.errors import InvalidInput
from tsir.jobs.model import JobFailure
from tsir.media.files import regular, said
from tsir.settings import Settings

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".tsirignore"
"""Patterns for the folder that it lies in and those below, as .gitignore has them."""

MAX_IGNORE_BYTES = 2**20

HELPERS = (
    # NAS and systems: thumbnails, snapshots, waste bins, what a check of the disk found
    "@eadir", "@__thumb", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "$recycle.bin", "recycler", ".trash*", "lost+found",
    "found.[0-9][0-9][0-9]", "system volume information", "__macosx",
    # Photo programs: previews and catalogs of pictures that lie elsewhere
    "*.lrdata", "*.lrcat-data", "*.cocatalog", "capture one", "cacheclip", "_gsdata_",
)  # fmt: skip
"""Folders that cameras, NAS, systems and programs make for themselves, lower case, as shell patterns."""

PACKAGES = {".photoslibrary": ("originals", "masters"), ".photolibrary": ("originals", "masters"), ".aplibrary": ("masters",)}
"""Folders that hold a photo program's whole library, by their ending, and which folders in them hold people's pictures."""

OWN_MARKS = frozenset({".lock", "catalog.db"})
"""What lies together in a DATA_DIR, be it of another library."""

SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini", "license.txt"})
"""Files that nobody misses among the pictures, lower case; the last lies beside the sample pictures."""

_HELPERS = re.compile("|".join(fnmatch.translate(pattern) for pattern in HELPERS))


@functools.lru_cache(4096)
def is_helper(name: str, parent: str = "") -> bool:
    """Whether a folder of that name, in a folder of the other, is nobody's place for pictures."""
    lower = name.lower()
    if _HELPERS.match(lower):
        return True
    inside = PACKAGES.get(os.path.splitext(parent.lower())[1])  # noqa: PTH122 - strings throughout
    return inside is not None and lower not in inside


@dataclass(frozen=True, slots=True)
class Level:
    """The patterns that count in one folder: each with the folder that it starts from, the nearest last."""

    specs: tuple[tuple[str, GitIgnoreSpec], ...] = ()

    def ignores(self, path: str, *, folder: bool) -> bool:
        """Whether a file or folder directly in this one is excluded: the nearest pattern that says anything decides."""
        for base, spec in reversed(self.specs):
            relative = path[len(base) :].lstrip("/") + ("/" if folder else "")
            verdict = spec.check_file(relative).include
            if verdict is not None:
                return verdict
        return False


class Rules:
    """What the imports of a library leave out. Without arguments only the helper folders and hidden files."""

    def __init__(self, own: Sequence[Path] = (), private: Sequence[Path] = (), exclude: Sequence[str] = ()) -> None:
        """`own`: folders of the program, resolved; `private`: those of them in which nothing may be imported, even if asked for.

        Raises InvalidInput for a pattern that is none.
        """
        self._own = tuple(own)
        self._private = tuple(private)
        self._exclude = parse(exclude) if exclude else None

    @classmethod
    def of(cls, settings: Settings, exclude: Sequence[str] = ()) -> Rules:
        """Those of the settings, and more patterns."""
        data = settings.data_dir.expanduser().resolve()
        own = (data, settings.uploads)
        private = (settings.uploads, *(data / name for name in ("thumbnails", "trash", "vectors.db")))
        return cls(own, private, (*settings.exclusions, *exclude))

    def check(self, root: Path) -> None:
        """Raise InvalidInput for a folder that is the program's own: it would import its own thumbnails. The sample gallery is not."""
        folder = root.resolve()
        # Also under another name, such as that of a mount.
        own = folder in self._own or bool(_identities([folder]) & _identities(self._own))
        within = any(folder.is_relative_to(one) for one in self._private)
        if own or within or _identities([folder, *folder.parents]) & _identities(self._private):
            raise InvalidInput(
                f"{str(root)!r} is where tsir keeps its own files (DATA_DIR): it is not imported. Name a folder of pictures."
            )

    def identities(self, root: Path) -> set[tuple[int, int]]:
        """(device, inode) of the own folders that exist, which are not to be entered from `root`."""
        return _identities([folder for folder in self._own if folder != root])

    def level(self, top: Path, folder: Path) -> Level:
        """The patterns that count in a folder at or below `top`, the folder that is imported."""
        level = Level(((str(top), self._exclude),) if self._exclude is not None else ())
        for above in reversed([folder, *folder.parents]):
            if above.is_relative_to(top) and above != folder:
                level, _ = enter(level, str(above))
        return level

    def allows(self, top: Path, path: Path) -> bool:
        """Whether a file or folder below `top` is neither hidden, nor excluded, nor in a folder that is left out."""
        try:
            parts = path.relative_to(top).parts
        except ValueError:
            return False
        if any(path.is_relative_to(own) for own in self._own if not top.is_relative_to(own)):
            return False
        level, here, own = self.level(top, top), top, self.identities(top)
        for position, part in enumerate(parts):
            level, _ = enter(level, str(here))
            below = here / part
            folder = position < len(parts) - 1 or os.path.isdir(below)  # noqa: PTH112 - False also where it is out of reach
            if part.startswith(".") or (folder and is_helper(part, here.name)) or level.ignores(str(below), folder=folder):
                return False
            if folder and (_identities([below]) & own or all((below / mark).exists() for mark in OWN_MARKS)):
                return False
            here = below
        return True


def _identities(folders: Iterable[Path]) -> set[tuple[int, int]]:
    """(device, inode) of those that exist."""
    found = set()
    for folder in folders:
        with suppress(OSError):
            stat = folder.stat()
            found.add((stat.st_dev, stat.st_ino))
    return found


def enter(level: Level, folder: str) -> tuple[Level, JobFailure | None]:
    """The patterns that count in a folder below the level's, and what was wrong with the file that adds some."""
    path = f"{folder}/{IGNORE_FILE}"
    try:
        regular(path)
        with open(path, "rb") as file:  # noqa: PTH123 - strings throughout
            data = file.read(MAX_IGNORE_BYTES)
    except FileNotFoundError:
        return level, None
    except OSError as error:
        return level, JobFailure(path, f"The patterns cannot be read: {said(error)}.")
    encoding = "utf-16" if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
    lines = data.decode(encoding, "replace").splitlines()
    try:
        return Level((*level.specs, (folder, parse(lines)))), None
    except InvalidInput as error:
        # What the other lines leave out must not come in because of that one.
        return Level((*level.specs, (folder, parse([line for line in lines if _is_pattern(line)])))), JobFailure(path, str(error))


def parse(lines: Sequence[str]) -> GitIgnoreSpec:
    """Patterns as .gitignore has them. Raises InvalidInput naming the first that is none."""
    from pathspec import GitIgnoreSpec  # most imports need none

    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError:
        wrong = next(line for line in lines if not _is_pattern(line))
        raise InvalidInput(f"{wrong!r} is no pattern as .gitignore has them, such as *.tmp or /drafts/.") from None


def _is_pattern(line: str) -> bool:
    from pathspec import GitIgnoreSpec

    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True
