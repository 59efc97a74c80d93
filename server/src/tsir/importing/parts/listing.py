"""What is to be imported, cut into parts. The planner holds a few parts at a time, never the listing."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from tsir.errors import InvalidInput
from tsir.importing.scan import item, printable
from tsir.jobs.model import JobFailure
from tsir.media import buckets
from tsir.media.files import is_address
from tsir.records import FileStat

FILES = 256
"""Files in a part, on average: some seconds of a worker's time, and all that is lost when it dies."""

MOST = 4
"""Times the average, a part at most."""

SEGMENT = 24_576
"""Bytes of a listing in a part: about as many lines of a usual length."""

MAX_LINE = 8_192
"""Bytes of the longest line of a listing."""


@dataclass(frozen=True, slots=True)
class Files:
    """A part of a folder: files that were listed, in their order."""

    files: tuple[FileStat, ...]

    @property
    def key(self) -> str:
        """Follows from the names, sizes and times of the files: 32 hex digits."""
        digest = hashlib.sha256()
        for file in self.files:
            digest.update(f"{file.path}\0{file.bytes}\0{file.mtime_ns}\0".encode(errors="surrogatepass"))
        return digest.hexdigest()[:32]

    def read(self) -> Iterator[FileStat | JobFailure]:
        yield from self.files

    def smaller(self) -> tuple[Files | JobFailure, ...]:
        """It in two, for workers died over it; a single file is what they died of."""
        middle = len(self.files) // 2
        if not middle:
            return (JobFailure(self.files[0].path, "The process that read it died."),)
        return Files(self.files[:middle]), Files(self.files[middle:])


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a listing: the lines that begin in these bytes of a text file. Whoever makes the part reads them."""

    listing: str
    start: int
    end: int
    stamp: str
    """Size and time of the listing when it was cut: another listing has other parts."""

    @property
    def key(self) -> str:
        """Follows from the listing, its stamp and the bytes: 32 hex digits."""
        return hashlib.sha256(f"{self.listing}\0{self.stamp}\0{self.start}\0{self.end}".encode()).hexdigest()[:32]

    def read(self) -> Iterator[FileStat | JobFailure]:
        """The files that the lines name. Raises InvalidInput when the listing is not there, or a line has no end."""
        for line in self._lines():
            if not (path := os.fsdecode(line.rstrip(b"\r\n"))):
                continue
            if not is_address(path) and not os.path.isabs(path):  # noqa: PTH117 - strings throughout: they are many
                yield JobFailure(printable(path), "A listing names files by their whole paths or addresses.")
                continue
            try:
                yield _named(path)
            except Exception as error:  # an address has errors of its own
                yield JobFailure(printable(path), f"The file cannot be read: {buckets.reason(error)}.")

    def _lines(self) -> Iterator[bytes]:
        try:
            with _opened(self.listing) as file:
                file.seek(max(0, self.start - 1))
                if self.start and file.read(1) != b"\n":
                    file.readline(MAX_LINE)  # its beginning lies in the part before
                while file.tell() < self.end and (line := file.readline(MAX_LINE)):
                    if len(line) == MAX_LINE and not line.endswith(b"\n"):
                        raise InvalidInput(f"{self.listing!r} is not a list of paths: a line is longer than {MAX_LINE} bytes.")
                    yield line
        except OSError as error:
            raise InvalidInput(f"The list {self.listing!r} cannot be read: {error.strerror or error}.") from error

    def smaller(self) -> tuple[Files | JobFailure, ...]:
        """What the lines name, each file in a part of its own, for workers died over it."""
        return tuple(Files((found,)) if isinstance(found, FileStat) else found for found in self.read())


Part = Files | Segment
"""What one worker makes at a time."""


def cut(files: Iterable[FileStat], size: int = FILES) -> Iterator[Files]:
    """Files -> parts of `size` on average.

    Where a part ends, the names alone decide: a file that comes or goes changes its own part and no other, so that all the rest is known
    to be made already.
    """
    held: list[FileStat] = []
    for file in files:
        held.append(file)
        if zlib.crc32(file.path.encode(errors="surrogatepass")) % size == 0 or len(held) == MOST * size:
            yield Files(tuple(held))
            held = []
    if held:
        yield Files(tuple(held))


def segments(listing: str, size: int = SEGMENT) -> Iterator[Segment]:
    """A text file with a path a line, a path or an address for fsspec -> parts, without reading it. Raises InvalidInput when it is not
    there."""
    length, stamp = _stamp(listing)
    for start in range(0, length, size):
        yield Segment(listing, start, min(start + size, length), stamp)


def _named(path: str) -> FileStat | JobFailure:
    if is_address(path):
        return buckets.stat(path)
    found = item(path, os.stat(path))  # noqa: PTH116
    return found if isinstance(found, JobFailure) else found.file


def _stamp(listing: str) -> tuple[int, str]:
    """Bytes of a listing, and what is another when it changes."""
    try:
        if is_address(listing):
            facts = buckets.stat(listing)
            return facts.bytes, f"{facts.bytes}:{facts.mtime_ns}"
        stat = os.stat(listing)  # noqa: PTH116
    except OSError as error:
        raise InvalidInput(f"The list {listing!r} cannot be read: {buckets.reason(error)}.") from error
    return stat.st_size, f"{stat.st_size}:{stat.st_mtime_ns}"


def _opened(listing: str) -> BinaryIO:
    return buckets.opened(listing) if is_address(listing) else open(listing, "rb")  # noqa: PTH123
