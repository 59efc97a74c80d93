"""Pictures on disk: the allowed import folders, uploads, and the thumbnail cache."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import secrets
import threading
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Literal

from PIL.Image import Image, Resampling

from tsir.errors import Forbidden, InvalidInput, NotFound
from tsir.settings import Settings

log = logging.getLogger(__name__)

ThumbnailSize = Literal["small", "large"]

SIDES: dict[ThumbnailSize, int] = {"small": 256, "large": 768}
"""Long side of the thumbnails, pixels: a tile of the result grid at twice the density, and a view that fills a laptop's window."""

FORMATS: dict[ThumbnailSize, str] = {"small": "WEBP", "large": "JPEG"}
"""A page of results loads a hundred small ones: the format with the fewest bytes. The large one as JPEG is made in an eighth of the time
of a WebP (0.8 instead of 6.4 ms) for a third more bytes; as WebP it was most of an import's work beside encoding."""

SAVING: dict[ThumbnailSize, dict[str, int]] = {"small": {"quality": 70, "method": 0}, "large": {"quality": 80}}
"""Pillow's options. WebP: a third of the time of the defaults (80, 4), for smaller files."""

EVICT_TO = 0.9
"""A full cache is emptied to this share of its bound, so that eviction is rare."""

SUFFIXES = {"JPEG": ".jpg", "TIFF": ".tif", "HEIF": ".heic"}
"""File name endings of formats whose ending is not their name."""


class Files:
    """Safe to use from many threads and processes on the same folders."""

    SIZES: tuple[ThumbnailSize, ...] = ("small", "large")

    def __init__(self, settings: Settings) -> None:
        self.roots = settings.roots
        self.uploads = settings.uploads
        self.thumbnails = settings.data_dir.expanduser().resolve() / "thumbnails"
        self._bound = settings.thumbnail_bytes
        self._used: int | None = None
        """Bytes of the cache, counted at the first write, then kept up; other processes' files count at the next count."""
        self._lock = threading.Lock()

    # Import folders

    def resolve_import_folder(self, path: str | Path) -> Path:
        """The folder with symlinks resolved.

        Raises Forbidden when it is not below one of IMAGE_ROOTS (existing or not: what lies elsewhere is nobody's business), NotFound when
        it does not exist, InvalidInput when it is no folder.
        """
        text = str(path)
        if not text.strip() or "\0" in text:
            raise InvalidInput("Name a folder to import.")
        try:
            folder = Path(text).resolve()
        except (OSError, RuntimeError) as error:  # a loop of symlinks, a name that is too long
            raise InvalidInput(f"{text!r} cannot be resolved: {error}") from error
        if not any(folder.is_relative_to(root) for root in self.roots):
            allowed = ", ".join(str(root) for root in self.roots)
            raise Forbidden(
                f"{text!r} is not in a folder that may be imported. "
                + (f"Allowed: {allowed}." if allowed else "None is allowed.")
                + " The setting IMAGE_ROOTS lists the allowed folders, separated like PATH."
            )
        if not folder.exists():
            raise NotFound(f"The folder {text!r} does not exist.")
        if not folder.is_dir():
            raise InvalidInput(f"{text!r} is not a folder.")
        return folder

    # Uploads

    def save_upload(self, data: bytes, format: str) -> Path:
        """Keep a picture under a generated name; it is on disk when this returns."""
        name = secrets.token_hex(16)
        path = self.uploads / name[:2] / (name + _suffix(format))
        write_atomic(path, data, durable=True)
        return path

    def is_upload(self, path: str) -> bool:
        return Path(path).is_relative_to(self.uploads)

    def delete_upload(self, path: str) -> None:
        """Delete an uploaded file; paths elsewhere are left alone."""
        target = Path(path)
        if ".." not in target.parts and self.is_upload(path):
            target.unlink(missing_ok=True)

    def upload_paths(self, before: float) -> Iterator[str]:
        """Uploaded files from before that time (seconds since 1970)."""
        return (str(path) for path in self.uploads.glob("*/*") if path.is_file() and _older(path, before))

    # Thumbnails

    def thumbnail(self, content_hash: str, size: ThumbnailSize) -> Path | None:
        """The thumbnail's file, or None when it was never made or has been evicted: write it again then."""
        path = self._thumbnail_path(content_hash, size)
        try:
            return path if path.stat().st_size else None
        except OSError:
            return None

    def write_thumbnails(self, content_hash: str, image: Image) -> None:
        """Make both sizes from an oriented RGB picture, unless they exist. Pictures are never enlarged."""
        missing = [size for size in SIDES if self.thumbnail(content_hash, size) is None]
        if not missing:
            return
        wanted = max(SIDES[size] for size in missing)
        if image.mode != "RGB":
            image = image.convert("RGB")
        current = _shrink(image, wanted)
        written = 0
        for size in sorted(missing, key=lambda size: -SIDES[size]):
            current = _shrink(current, SIDES[size])
            buffer = io.BytesIO()
            current.save(buffer, FORMATS[size], **SAVING[size])
            write_atomic(self._thumbnail_path(content_hash, size), buffer.getbuffer())
            written += buffer.tell()
        self._account(written)

    def delete_thumbnails(self, content_hash: str) -> None:
        freed = 0
        for size, format in product(SIDES, FORMATS.values()):  # of either format: earlier versions made large ones as WebP, too
            path = self._thumbnail_path(content_hash, size).with_suffix(_suffix(format))
            with contextlib.suppress(FileNotFoundError):
                freed += path.stat().st_size
                path.unlink()
        self._account(-freed)

    def thumbnail_hashes(self, before: float) -> Iterator[str]:
        """Content hashes that have a thumbnail of any size from before that time (seconds since 1970); one may come twice."""
        return (path.stem for path in self.thumbnails.glob("*/*/*") if path.suffix != ".tmp" and _older(path, before))

    def _thumbnail_path(self, content_hash: str, size: ThumbnailSize) -> Path:
        if not re.fullmatch("[0-9a-f]{8,128}", content_hash):
            raise ValueError(f"not a content hash: {content_hash!r}")
        return self.thumbnails / size / content_hash[:2] / (content_hash + _suffix(FORMATS[size]))

    def _account(self, written: int) -> None:
        """Count the bytes of the cache, and evict the oldest files when it is over its bound."""
        with self._lock:
            if self._used is not None and self._used + written <= self._bound:
                self._used += written
                return
            found = []
            for path in self.thumbnails.glob("*/*/*"):
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


def _suffix(format: str) -> str:
    """File name ending of a format that Pillow names."""
    return SUFFIXES.get(format.upper(), "." + re.sub("[^a-z0-9]", "", format.lower())[:8])


def _older(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except OSError:  # deleted meanwhile
        return False


def _shrink(image: Image, side: int) -> Image:
    """The picture with its long side at most `side` pixels; itself when it is small enough."""
    if max(image.size) <= side:
        return image
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # By whole numbers with the mean of the pixels first, the rest bilinear: half the time of all bicubic, and no eye tells them apart.
    return image.resize(size, Resampling.BILINEAR, reducing_gap=1.0)


def write_atomic(path: Path, data: bytes | memoryview, *, durable: bool = False) -> None:
    """Write a file so that it exists whole or not at all; `durable`: also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        # The parent too: its entry for a new shard folder must not be lost either.
        for folder in (path.parent, path.parent.parent):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
