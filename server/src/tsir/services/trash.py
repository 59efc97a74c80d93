"""The trash: what lies in it, bringing it back, emptying it."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tsir.errors import InvalidInput, StoreUnavailable
from tsir.importing.archives import is_archive
from tsir.importing.mend import MEND, MendSpec
from tsir.jobs.model import Job
from tsir.jobs.runner import JobRunner
from tsir.library import restoring
from tsir.library.library import Library
from tsir.media.files import UPLOAD
from tsir.media.formats import HEAD, sniff
from tsir.media.trash import ENTRY
from tsir.services.imports import submit_kept


@dataclass(frozen=True, slots=True)
class Thrown:
    """What was thrown away together."""

    id: str
    why: str
    """removed: pictures of a collection; dropped: a collection; stray: a file of which a check found no picture."""
    collection: str | None
    names: tuple[str, ...]
    """Of its files, the first three."""
    pictures: int
    only_copies: int
    at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Returned:
    """What came back."""

    collection: str
    pictures: int
    lost: int
    """Pictures whose files are not there any more."""
    job: Job | None
    """What encodes those whose vectors were not kept."""


@contextmanager
def _reached(what: str) -> Iterator[None]:
    """Say in a sentence what the disk of the trash, or of the uploads, refuses."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"{what}: {error.strerror or error}. Try it again.") from error


def size(library: Library) -> int:
    """Bytes that the trash takes. Raises StoreUnavailable when it cannot be read."""
    with _reached("The trash cannot be read"):
        return library.files.trash.bytes()


def listed(library: Library) -> list[Thrown]:
    """All there is, the newest first. Raises StoreUnavailable when it cannot be read."""
    with _reached("The trash cannot be read"):
        return _listed(library)


def _listed(library: Library) -> list[Thrown]:
    trash = library.files.trash
    found = [Thrown(one.name, "stray", None, (one.name,), 1, 1, one.at, one.until) for one in trash.strays()]
    for entry in trash.entries():
        facts = entry.facts
        counts = facts["pictures"], facts["only_copies"]
        found.append(Thrown(entry.id, facts["why"], facts["collection"], tuple(facts["names"]), *counts, entry.at, entry.until))
    return sorted(found, key=lambda one: one.at, reverse=True)


def restore(library: Library, runner: JobRunner, collection: str, id: str) -> Returned:
    """Bring an entry back; strays are imported into `collection`. Raises NotFound, and StoreUnavailable when files cannot be moved."""
    if not ENTRY.fullmatch(id):
        return _restore_stray(library, runner, collection, id)
    with _reached(f"{id!r} cannot be brought back"):
        found = restoring.restore(library, id)
    job = runner.submit(found.collection, MEND, MendSpec(), once=True) if found.waiting else None
    return Returned(found.collection, found.images, found.lost, job)


def _restore_stray(library: Library, runner: JobRunner, collection: str, name: str) -> Returned:
    trash, uploads = library.files.trash, library.files.uploads
    with _reached(f"{name!r} cannot be brought back"):
        path = trash.stray(name)
        with path.open("rb") as file:
            head = file.read(HEAD)
        if sniff(head) is None and not is_archive(path):
            raise InvalidInput(f"{name!r} is no picture: it cannot be imported. It lies in {str(trash.folder)!r}.")
        target = uploads.folder / name[:2] / name
        if not UPLOAD.fullmatch(f"{name[:2]}/{name}") or target.exists():
            target = uploads.place(secrets.token_hex(16), Path(name).suffix.lower())
        uploads.expect()
        trash.give_back(target, name)
        job = submit_kept(runner, collection, [(target, name)])
        trash.forget_stray(name)
    return Returned(collection, 1, 0, job)


def delete(library: Library, id: str) -> None:
    """Delete an entry and its files for good. Raises NotFound."""
    trash = library.files.trash
    with _reached(f"{id!r} cannot be deleted"):
        if ENTRY.fullmatch(id):
            trash.entry(id)
            trash.delete(id, restoring.files(trash.rows(id)))
        else:
            trash.forget_stray(id)


def empty(library: Library) -> int:
    """Delete all there is for good; returns how many files that were."""
    with _reached("The trash cannot be emptied"):
        return library.files.trash.empty()
