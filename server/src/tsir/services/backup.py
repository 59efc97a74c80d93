"""A library as one file, and back."""

from __future__ import annotations

from pathlib import Path

from tsir.library import backup as archive
from tsir.library.library import Library
from tsir.settings import Settings


def backup(settings: Settings, file: Path, *, pictures: bool) -> None:
    """Write the library to one portable file. Raises InvalidInput when that cannot be written."""
    with Library.open(settings) as library:
        archive.backup(library, file, pictures)


def restore(settings: Settings, file: Path) -> list[str]:
    """Add the collections of an archive to the library, all or none; returns their names."""
    with Library.open(settings) as library:
        return archive.restore(library, file)
