"""The thumbnail cache: two sizes of each picture, by its content; bounded, and made again when it is asked for."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL.Image import Image, Resampling

from tsir.errors import StoreUnavailable
from tsir.media.durable import TEMPORARY, older, write_atomic
from tsir.media.formats import suffix
from tsir.room import CACHE_RESERVE, RESERVE, Room

log = logging.getLogger(__name__)

ThumbnailSize = Literal["small", "large"]


@dataclass(frozen=True)
class Size:
    """How the thumbnails of one size are made."""

    side: int
    """Longest long side, pixels."""
    format: str
    quality: int
    """Pillow's."""
    former: tuple[str, ...] = ()
    """Formats of earlier versions, which are as good."""


SIZES: dict[ThumbnailSize, Size] = {
    # A tile of the result grid at twice the density. A WebP of quality 70 takes six times as long (2.4 instead of 0.4 ms) and is a sixth
    # smaller (7.5 instead of 8.9 KB).
    "small": Size(256, "JPEG", 75, former=("WEBP",)),
    # A view that fills a laptop's window. A WebP takes eight times as long and is a quarter smaller.
    "large": Size(768, "JPEG", 80),
}

EVICT_TO = 0.9
"""A full cache is emptied to this share of its bound, so that eviction is rare."""


class Thumbnails:
    """Safe to use from many threads and processes on the same folder."""

    def __init__(self, folder: Path, bound: int, room: Room | None = None) -> None:
        self.folder = folder
        self._room = room or Room("DATA_DIR", folder)
        self._bound = bound
        """Bytes."""
        self._used: int | None = None
        """Bytes of the cache, counted at the first write, then kept up; other processes' files count at the next count."""
        self._lock = threading.Lock()

    def find(self, content_hash: str, size: ThumbnailSize) -> Path | None:
        """The thumbnail's file, or None when it was never made or has been evicted: write it again then."""
        for path in self._paths(content_hash, size):
            with contextlib.suppress(OSError):
                if path.stat().st_size:
                    return path
        return None

    def read(self, content_hash: str, size: ThumbnailSize) -> bytes | None:
        """The thumbnail's bytes, or None as `find` has it."""
        for path in self._paths(content_hash, size):
            with contextlib.suppress(OSError):
                if data := path.read_bytes():
                    return data
        return None

    def write(self, content_hash: str, image: Image) -> None:
        """Make both sizes from an oriented RGB picture, unless they exist. Pictures are never enlarged.

        Raises DiskFull when the disk has little room: the last of it is for rows and vectors; and StoreUnavailable when it takes none.
        """
        missing = [size for size in SIZES if self.find(content_hash, size) is None]
        if missing:
            self._need_room()  # before they are made
            self.put(content_hash, dict(rendered(image, missing)))

    def put(self, content_hash: str, files: Mapping[ThumbnailSize, bytes]) -> None:
        """Keep thumbnails that were made elsewhere, by size, unless they exist. Raises as `write` does."""
        fresh = {size: data for size, data in files.items() if self.find(content_hash, size) is None}
        if fresh:
            self._need_room()
        written = 0
        try:
            for size, data in fresh.items():
                with self._room.needed():
                    write_atomic(self._path(content_hash, size), data)
                written += len(data)
            self._account(written)
        except OSError as error:
            raise StoreUnavailable(f"Thumbnails cannot be written to {self.folder}: {error.strerror or error}.") from error

    def delete(self, content_hash: str) -> None:
        freed = 0
        for size in SIZES:
            newest = self._path(content_hash, size)
            for path in (newest, newest.with_suffix(suffix("WEBP"))):  # earlier versions made both as WebP
                with contextlib.suppress(OSError):  # it is a cache
                    freed += path.stat().st_size
                    path.unlink()
        self._account(-freed)

    def hashes(self, before: float) -> Iterator[str]:
        """Content hashes that have a thumbnail of any size from before that time (seconds since 1970); one may come twice."""
        return (path.stem for path in self.folder.glob("*/*/*") if path.suffix != TEMPORARY and older(path, before))

    def _need_room(self) -> None:
        if not self._room.spare():
            raise self._room.error(CACHE_RESERVE - RESERVE)

    def _path(self, content_hash: str, size: ThumbnailSize) -> Path:
        if not re.fullmatch("[0-9a-f]{8,128}", content_hash):
            raise ValueError(f"not a content hash: {content_hash!r}")
        return self.folder / size / content_hash[:2] / (content_hash + suffix(SIZES[size].format))

    def _paths(self, content_hash: str, size: ThumbnailSize) -> Iterator[Path]:
        """Where the thumbnail may be, the newest form first."""
        newest = self._path(content_hash, size)
        yield newest
        for format in SIZES[size].former:
            yield newest.with_suffix(suffix(format))

    def _account(self, written: int) -> None:
        """Count the bytes of the cache, and evict the oldest files when it is over its bound."""
        with self._lock:
            if self._used is not None and self._used + written <= self._bound:
                self._used += written
                return
            found = []
            for path in self.folder.glob("*/*/*"):
                with contextlib.suppress(FileNotFoundError):
                    stat = path.stat()
                    found.append((stat.st_mtime_ns, stat.st_size, path))
            self._used = sum(size for _, size, _ in found)
            if self._used <= self._bound:
                return
            for _, size, path in sorted(found, key=lambda entry: entry[0]):
                if self._used <= self._bound * EVICT_TO:
                    break
                path.unlink(missing_ok=True)
                self._used -= size
            log.info("Thumbnail cache was full (THUMBNAIL_BYTES=%d): the oldest were deleted.", self._bound)


def rendered(image: Image, sizes: Sequence[ThumbnailSize] = tuple(SIZES)) -> Iterator[tuple[ThumbnailSize, bytes]]:
    """An oriented RGB picture -> its thumbnails as files, the larger first."""
    current = image if image.mode == "RGB" else image.convert("RGB")
    for size in sorted(sizes, key=lambda size: -SIZES[size].side):
        how = SIZES[size]
        current = _shrink(current, how.side)
        buffer = io.BytesIO()
        current.save(buffer, how.format, quality=how.quality)
        yield size, buffer.getvalue()


def _shrink(image: Image, side: int) -> Image:
    """The picture with its long side at most `side` pixels; itself when it is small enough."""
    if max(image.size) <= side:
        return image
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # By whole numbers with the mean of the pixels first, the rest bilinear: half the time of all bicubic, and no eye tells them apart.
    return image.resize(size, Resampling.BILINEAR, reducing_gap=1.0)
