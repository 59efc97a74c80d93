"""What a job imports besides folders: uploaded files and zips, and URLs. All become files first, then items like any other.

Files that a job makes get names that follow from the job, so that doing the job again after a crash finds them instead of making others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tsir.errors import InvalidImage, TsirError
from tsir.importing import archives
from tsir.importing.addresses import IPAddress
from tsir.importing.scan import Batch, Item, item, printable
from tsir.jobs.line import Line, in_order
from tsir.jobs.model import JobFailure
from tsir.jobs.progress import Passed
from tsir.media.durable import TEMPORARY
from tsir.media.files import Files, regular, said
from tsir.media.formats import READABLE, sniff
from tsir.paging import chunks

BATCH = 50
FETCHES = 4
"""URLs fetched at one time: polite to the one server that they often share."""


def files(
    entries: Sequence[tuple[str, str]], store: Files, key: str, max_bytes: int, line: Line, passed: Passed | None = None
) -> Iterator[Batch]:
    """Files given as (path, the name their owner knows), zips among them unpacked into the uploads. Waits for a disk that is full.

    `passed` counts the files of other kinds in zips.
    """
    return chunks(_files(entries, store, key, max_bytes, line, passed), BATCH)


def _files(
    entries: Sequence[tuple[str, str]], store: Files, key: str, max_bytes: int, line: Line, passed: Passed | None
) -> Iterator[Item | JobFailure]:
    for noted, name in entries:
        path = store.uploads.here(noted)
        if archives.is_archive(Path(path)):
            yield from _unpacked(Path(path), name, store, key, max_bytes, line, passed)
        else:
            yield _stat(Path(path), name)


def _unpacked(
    path: Path, name: str, store: Files, key: str, max_bytes: int, line: Line, passed: Passed | None
) -> Iterator[Item | JobFailure]:
    try:
        for position, (member, data) in enumerate(archives.pictures(path, max_bytes=max_bytes, passed=passed)):
            label = f"{name}/{member}"
            if isinstance(data, TsirError):
                yield JobFailure(label, str(data))
            else:
                yield _kept(data, label, store, f"{key}:{path}:{position}", line)
    except TsirError as error:
        yield JobFailure(name, str(error))


def urls(
    addresses: Sequence[str], store: Files, key: str, max_bytes: int, line: Line, *, allowed: Callable[[IPAddress], bool]
) -> Iterator[Batch]:
    """Pictures behind URLs, fetched a few at a time into the uploads, in order. Waits for a disk that is full."""
    from tsir.importing.urls import fetch

    def get(entry: tuple[int, str]) -> Item | JobFailure:
        position, url = entry
        token = f"{key}:{position}:{url}"
        bare = _path(store, token, "")
        for kept in bare.parent.glob(f"{bare.name}.*"):
            if kept.suffix != TEMPORARY:
                return _stat(kept, url)
        try:
            return _kept(fetch(url, max_bytes=max_bytes, allowed=allowed, stopped=lambda: line.stopped), url, store, token, line)
        except TsirError as error:
            return JobFailure(url, str(error))

    pool = ThreadPoolExecutor(FETCHES, thread_name_prefix="fetch")
    try:
        for found in in_order(pool, get, enumerate(addresses), 2 * FETCHES):
            yield [found]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _path(store: Files, token: str, suffix: str) -> Path:
    name = hashlib.sha256(token.encode(errors="replace")).hexdigest()[:32]
    return store.uploads.place(name, suffix)


def _kept(data: bytes, name: str, store: Files, token: str, line: Line) -> Item | JobFailure:
    """Write a picture among the uploads, unless an earlier attempt did."""
    kind = sniff(data)
    if kind is None:
        return JobFailure(
            name, str(InvalidImage(f"This is not a picture: the content is not {READABLE}." if data else "The file is empty."))
        )
    path = _path(store, token, kind.suffixes[0])
    if not path.exists():
        line.patiently(store.uploads.write, path, data)
    return _stat(path, name)


def _stat(path: Path, name: str) -> Item | JobFailure:
    try:
        return item(str(path), regular(path), name)
    except (OSError, ValueError) as error:
        return JobFailure(printable(name), f"The file cannot be read: {said(error) if isinstance(error, OSError) else error}.")
