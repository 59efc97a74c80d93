"""A library as one file, and back."""

from __future__ import annotations

from pathlib import Path

from tsir.errors import InvalidInput
from tsir.library import backup as archive
from tsir.library.backup import Archived
from tsir.library.library import Library
from tsir.storage.sql.copies import MAGIC


def backup(library: Library, file: str | Path, *, uploads: bool, pictures: bool) -> Archived:
    """Write the library to one portable file; it may be in use meanwhile. Raises as `tsir.library.backup.backup`."""
    path = Path(file)
    if "\0" in str(file) or not path.is_absolute():
        raise InvalidInput(f"The archive's name {str(file)!r} is no absolute path.")
    if path.is_dir():
        raise InvalidInput(f"{str(path)!r} is a folder: name a file, such as {str(path / 'library.zip')!r}.")
    return archive.backup(library, path, uploads=uploads, pictures=pictures)


def restore(library: Library, file: Path) -> Archived:
    """Add the collections of an archive to the library, all or none; returns what was restored."""
    return archive.restore(library, file)


def is_catalog(file: Path) -> bool:
    """Whether a file is a copy of a SQLite catalog."""
    try:
        with file.open("rb") as opened:
            return opened.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def written(held: Archived) -> list[str]:
    """What an archive holds, in sentences for people."""
    said = [f"{_many(held.images, 'picture')} with {'its vector' if held.images == 1 else 'their vectors'}, {_many(held.files, 'file')}."]
    if out := held.left_out - held.absent:
        said.append(f"{_many(out, 'uploaded picture')} left out (--no-uploads): nobody else has {_them(out)}.")
    if held.absent:
        said.append(f"{_many(held.absent, 'uploaded picture')} had lost {'its file' if held.absent == 1 else 'their files'} before.")
    said += _besides(held)
    if held.pending:
        said.append(f"{_many(held.pending, 'picture')} still without a vector {'is' if held.pending == 1 else 'are'} not in it.")
    return said


def restored(held: Archived) -> list[str]:
    """What was restored, in sentences for people."""
    said = [f"{_many(held.images, 'picture')}, {_many(held.uploads, 'upload')} among them."]
    if held.left_out:
        said.append(
            f"{_many(held.left_out, 'uploaded picture')} {'is' if held.left_out == 1 else 'are'} not in the archive: missing until "
            "the uploads folder has them again."
        )
    return said + _besides(held)


def _besides(held: Archived) -> list[str]:
    said = []
    if held.excluded:
        said.append(f"{_many(held.excluded, 'picture')} that {'was' if held.excluded == 1 else 'were'} taken out: imports leave them out.")
    if held.trash:
        said.append(f"{_many(held.trash, 'file')} of the trash.")
    return said


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _them(count: int) -> str:
    return "it" if count == 1 else "them"
