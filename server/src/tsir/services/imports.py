"""Start an import (a folder, addresses, or pictures and zips that were sent) or a re-encoding; what was accepted survives a restart.

Every function blocks.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from tsir.errors import InvalidInput, NotFound, StoreUnavailable
from tsir.importing import archives
from tsir.importing.folders import Listing, Looking
from tsir.importing.ignoring import Rules, parse
from tsir.importing.job import IMPORT, FolderSource, ImportSpec, UploadSource, UrlSource
from tsir.importing.parts.job import SHARED, SharedSpec
from tsir.importing.reencode import REENCODE, ReencodeSpec
from tsir.importing.scan import printable
from tsir.jobs.model import Job
from tsir.jobs.runner import JobRunner
from tsir.library import relocating
from tsir.library.collection import Collection
from tsir.library.library import Library
from tsir.media.apart import open_apart
from tsir.media.files import Files, folder_trouble, said
from tsir.media.formats import HEAD, sniff
from tsir.patience import answered
from tsir.records import EncoderInfo, Relocated
from tsir.settings import Settings

MAX_LABEL = 1000
"""Characters kept of the name that a file was sent under: its end tells more."""


def check_target(library: Library, settings: Settings, encoder: EncoderInfo, name: str) -> Collection:
    """The collection to import into. Refuses an unknown one, and one of another encoder, before anything is sent.

    The default collection is made when it is not there. One that is being re-encoded takes pictures of either encoder.
    """
    try:
        collection = library.collection(name)
    except NotFound:
        if name != settings.default_table:
            raise
        collection, _ = library.create(name, encoder)
    if collection.state != "reencoding":
        collection.expect(encoder)
    return collection


def own_folder(path: str | Path) -> Path:
    """A folder that the user names who runs the program. Raises NotFound when there is none."""
    if not os.fspath(path):  # which Path takes for the folder one is in
        raise NotFound("There is no folder ''.")
    try:
        folder = Path(path).expanduser()
        folder = answered(folder, folder.resolve)
    except (OSError, RuntimeError) as error:  # a name that is too long, a loop of links, a home that nobody has
        raise NotFound(f"There is no folder {str(path)!r}: {said(error) if isinstance(error, OSError) else error}.") from None
    if trouble := folder_trouble(folder):
        raise NotFound(f"There is no folder {str(path)!r}: it {trouble}.")
    return folder


def folders(library: Library, settings: Settings, path: str | None) -> tuple[str | None, str | None, Listing]:
    """The folders below one that may be imported, or those of IMAGE_ROOTS: its path, that of the folder above it if that may be imported,
    and what lies in it. Raises as `Files.resolve_import_folder`, and NotFound.
    """
    roots = library.files.roots
    looking = Looking(roots, Rules.of(settings))
    if path is None:
        return None, None, Listing(tuple(looking.counted(root, str(root)) for root in roots), more=False)
    folder = library.files.resolve_import_folder(path)
    if printable(str(folder)) != str(folder):
        raise InvalidInput("The folder's name is not valid Unicode (UTF-8): rename it.")
    above = str(folder.parent) if any(folder.parent.is_relative_to(root) for root in roots) else None
    return str(folder), above, looking.at(folder)


def relocate(library: Library, old: str, new: Path) -> Relocated:
    """All collections know what lay below the folder `old` below `new`. Raises InvalidInput, and NotFound when nothing lay there."""
    if not old.startswith("/"):
        raise InvalidInput(f"The folder {old!r} is not absolute.")
    target = str(new)
    if printable(target) != target or printable(old) != old:
        raise InvalidInput("The folder's name is not valid Unicode (UTF-8): rename it.")
    source = posixpath.normpath(old)
    if source == target:
        raise InvalidInput(f"{old!r} is where it was: name two folders.")
    return relocating.relocate(library, source, target)


def submit_folder(
    runner: JobRunner, name: str, folder: Path, *, exclude: Sequence[str] = (), again: bool = False, here: bool = False
) -> Job:
    """Import a folder of this server; pictures that vanished from it are missing at the end.

    Returns the job that is at it already, if there is one. Whether the folder may be imported is for the caller to check
    (`own_folder`, `Files.resolve_import_folder`). `exclude`: patterns of what is left out, besides those of the settings. `again`: also
    pictures that somebody took out of the collection before. With `here` this
    process starts at once: for folders that other workers may not see.
    """
    if printable(str(folder)) != str(folder):
        raise InvalidInput("The folder's name is not valid Unicode (UTF-8): rename it.")
    if wrong := [pattern for pattern in exclude if printable(pattern) != pattern]:
        raise InvalidInput(f"The pattern {wrong[0]!r} is not valid Unicode (UTF-8).")
    if exclude:
        parse(exclude)  # what is no pattern is told before the job is queued
    return runner.submit(
        name, IMPORT, ImportSpec(FolderSource(folder=str(folder), exclude=tuple(exclude), again=again)), here=here, once=True
    )


def submit_shared(
    runner: JobRunner,
    name: str,
    source: Path | str,
    cluster: str,
    parts: str,
    *,
    workers: int | None = None,
    cores: int = 1,
    exclude: Sequence[str] = (),
) -> Job:
    """Import a folder, or a text file with a path a line, by the workers of a Ray cluster ("local": one that is started for it). The source
    may be an address for fsspec (s3://...); patterns of what is left out are then not looked at.

    `parts`: where what they make lies until it is in the library; a part that lies there is not made again. This process starts at once.
    """
    if exclude:
        parse(exclude)
    spec = SharedSpec(source=str(source), cluster=cluster, parts=parts, workers=workers, cores=cores, exclude=tuple(exclude))
    return runner.submit(name, SHARED, spec, here=True, once=True)


def submit_urls(runner: JobRunner, name: str, urls: Sequence[str]) -> Job:
    """Fetch pictures from the web and import them."""
    addresses = tuple(dict.fromkeys(url.strip() for url in urls if url.strip()))
    if not addresses:
        raise InvalidInput("Nothing to import: give at least one URL.")
    return runner.submit(name, IMPORT, ImportSpec(UrlSource(urls=addresses)))


def submit_uploads(runner: JobRunner, library: Library, name: str, uploads: Iterable[tuple[str, BinaryIO]]) -> Job:
    """Keep files on disk that were sent (the name that the sender gave, its bytes), then queue their import; all or nothing.

    They may be pictures, zips of pictures, or anything: the import says what it cannot read. Raises StoreUnavailable (DiskFull) when the
    disk does not take them.
    """
    kept: list[tuple[Path, str]] = []
    try:
        for label, file in uploads:
            kept.append((_keep(file, library.files), label))
        if not kept:
            raise InvalidInput("Nothing to import: send pictures or zips as `files`.")
        return submit_kept(runner, name, kept)
    except BaseException as error:
        for path, _ in kept:
            with suppress(OSError):
                library.files.uploads.delete(str(path))
        if isinstance(error, OSError):  # a full disk is told by DiskFull
            raise _refused(error) from error
        raise


def submit_picture(runner: JobRunner, library: Library, settings: Settings, name: str, data: bytes, label: str) -> Job:
    """Import one picture; what is none is refused at once. Raises InvalidImage and TooLarge, and StoreUnavailable as `submit_uploads`."""
    picture = open_apart(data, max_bytes=settings.max_upload_bytes, max_pixels=settings.max_pixels, min_side=1)
    try:
        kept = library.files.uploads.save(data, picture.metadata.format)
    except OSError as error:  # a full disk is told by DiskFull
        raise _refused(error) from error
    return submit_kept(runner, name, [(kept, label)])


def _refused(error: OSError) -> StoreUnavailable:
    return StoreUnavailable(f"The upload cannot be stored: {error.strerror or error}. Nothing was imported.")


def submit_kept(runner: JobRunner, name: str, kept: Sequence[tuple[Path, str]]) -> Job:
    """Import files among the uploads, with what their owner calls each: they belong to the job from now on."""
    files = tuple((str(path), _label(label)) for path, label in kept)
    return runner.submit(name, IMPORT, ImportSpec(UploadSource(files=files)))


def submit_reencode(runner: JobRunner, name: str, encoder: str) -> Job:
    """Encode a collection anew with the encoder of that name; the old vectors serve until all new ones are there.

    Returns the job that is at it already, if there is one.
    """
    return runner.submit(name, REENCODE, ReencodeSpec(encoder=encoder), once=True)


def _keep(file: BinaryIO, files: Files) -> Path:
    """Write an upload to disk under a generated name, durably."""
    file.seek(0)
    head = file.read(HEAD)
    file.seek(0)
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return archives.save_archive(file, files)
    kind = sniff(head)
    return files.uploads.save(file, kind.name if kind else "unknown")


def _label(name: str) -> str:
    """The name that the sender gave, as text that every store takes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return ascii(name)[-MAX_LABEL:]
    return (ascii(name) if "\0" in name else name)[-MAX_LABEL:]
