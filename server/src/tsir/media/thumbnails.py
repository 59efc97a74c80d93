"""The thumbnail cache: two sizes of each picture, by its content; bounded, and made again when it is asked for."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL.Image import Image, Resampling

from tsir.media.durable import TEMPORARY, older, write_atomic
from tsir.media.formats import suffix

log = logging.getLogger(__name__)

ThumbnailSize = Literal["small", "large"]


@dataclass(frozen=True)
class Size:
    """How the thumbnails of one size are made."""

    side: int
    """Longest long side, pixels."""
    format: str
    options: dict[str, int]
    """Pillow's, for saving."""


SIZES: dict[ThumbnailSize, Size] = {
    # A tile of the result grid at twice the density. A page of results loads a hundred: the format with the fewest bytes, in a third of
    # the time of Pillow's defaults (80, 4), for smaller files.
    "small": Size(256, "WEBP", {"quality": 70, "method": 0}),
    # A view that fills a laptop's window. JPEG is made in an eighth of the time of a WebP (0.8 instead of 6.4 ms) for a third more bytes;
    # as WebP it was most of an import's work beside encoding.
    "large": Size(768, "JPEG", {"quality": 80}),
}

EVICT_TO = 0.9
"""A full cache is emptied to this share of its bound, so that eviction is rare."""


class Thumbnails:
    """Safe to use from many threads and processes on the same folder."""

    def __init__(self, folder: Path, bound: int) -> None:
        self.folder = folder
        self._bound = bound
        """Bytes."""
        self._used: int | None = None
        """Bytes of the cache, counted at the first write, then kept up; other processes' files count at the next count."""
        self._lock = threading.Lock()

    def find(self, content_hash: str, size: ThumbnailSize) -> Path | None:
        """The thumbnail's file, or None when it was never made or has been evicted: write it again then."""
        path = self._path(content_hash, size)
        try:
            return path if path.stat().st_size else None
        except OSError:
            return None

    def write(self, content_hash: str, image: Image) -> None:
        """Make both sizes from an oriented RGB picture, unless they exist. Pictures are never enlarged."""
        missing = [size for size in SIZES if self.find(content_hash, size) is None]
        if not missing:
            return
        current = image if image.mode == "RGB" else image.convert("RGB")
        written = 0
        for size in sorted(missing, key=lambda size: -SIZES[size].side):
            how = SIZES[size]
            current = _shrink(current, how.side)
            buffer = io.BytesIO()
            current.save(buffer, how.format, **how.options)
            write_atomic(self._path(content_hash, size), buffer.getbuffer())
            written += buffer.tell()
        self._account(written)

    def delete(self, content_hash: str) -> None:
        freed = 0
        for size in SIZES:
            for format in {how.format for how in SIZES.values()}:  # of any of them: earlier versions made large ones as WebP, too
                path = self._path(content_hash, size).with_suffix(suffix(format))
                with contextlib.suppress(FileNotFoundError):
                    freed += path.stat().st_size
                    path.unlink()
        self._account(-freed)

    def hashes(self, before: float) -> Iterator[str]:
        """Content hashes that have a thumbnail of any size from before that time (seconds since 1970); one may come twice."""
        return (path.stem for path in self.folder.glob("*/*/*") if path.suffix != TEMPORARY and older(path, before))

    def _path(self, content_hash: str, size: ThumbnailSize) -> Path:
        if not re.fullmatch("[0-9a-f]{8,128}", content_hash):
            raise ValueError(f"not a content hash: {content_hash!r}")
        return self.folder / size / content_hash[:2] / (content_hash + suffix(SIZES[size].format))

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


def _shrink(image: Image, side: int) -> Image:
    """The picture with its long side at most `side` pixels; itself when it is small enough."""
    if max(image.size) <= side:
        return image
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # By whole numbers with the mean of the pixels first, the rest bilinear: half the time of all bicubic, and no eye tells them apart.
    return image.resize(size, Resampling.BILINEAR, reducing_gap=1.0)
