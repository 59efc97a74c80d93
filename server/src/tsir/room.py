"""Room on the disks that are written to: asked for before anything is begun, so that nothing is left half written."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tsir.errors import DiskFull
from tsir.settings import Settings

RESERVE = 8 * 2**20
"""Bytes that stay free for what is under way: a batch of rows and vectors, the catalog's log, the state of a job."""
CACHE_RESERVE, CACHE_SHARE, CACHE_RESERVE_MOST = RESERVE * 3 // 2, 50, 256 * 2**20
"""What a cache leaves to rows and vectors: one part in so many of the disk, at least and at most so many bytes."""

FULL = (errno.ENOSPC, errno.EDQUOT)


class Room:
    """Room on the disk of a folder that a setting names. Safe to use from many threads."""

    def __init__(self, name: str, folder: Path) -> None:
        """`name`: what people call the folder, "DATA_DIR". It need not exist yet."""
        self.name = name
        self.folder = folder

    def need(self, size: int = 0) -> None:
        """Raise DiskFull unless so many bytes fit, and the reserve besides."""
        free, _ = self._look()
        if free is not None and free < RESERVE + size:
            raise self.error(size)

    def spare(self) -> bool:
        """Whether a cache may be written."""
        free, total = self._look()
        return free is None or free >= min(max(CACHE_RESERVE, total // CACHE_SHARE), CACHE_RESERVE_MOST)

    def short(self) -> bool:
        """Whether the disk has no more room than the reserve: what fails now, fails for that."""
        free, _ = self._look()
        return free is not None and free < RESERVE

    @contextmanager
    def needed(self, size: int = 0) -> Iterator[None]:
        """Like `need`; a disk that turns out to be full inside of the block is told in the same way."""
        self.need(size)
        try:
            yield
        except OSError as error:
            if error.errno in FULL:
                raise self.error(size) from error
            raise

    def error(self, size: int = 0) -> DiskFull:
        """The sentence for a disk on which so many bytes do not fit."""
        free, _ = self._look()
        left = f" {(free or 0) // 2**20:,} MB are free at {self.folder}." if free is not None else ""
        return DiskFull(f"The disk of {self.name} is full: {-(-(RESERVE + size) // 2**20):,} MB are needed.{left}")

    def _look(self) -> tuple[int | None, int]:
        """Bytes free, and of the whole disk; (None, 0) where that cannot be known."""
        there = self.folder
        while True:
            try:
                found = os.statvfs(there)
                break
            except FileNotFoundError:
                if there == there.parent:
                    return None, 0
                there = there.parent
            except OSError:
                return None, 0
        if found.f_files and not found.f_favail:  # it may have bytes, but no file can be added
            return 0, found.f_blocks * found.f_frsize
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def data_room(settings: Settings) -> Room:
    """Of DATA_DIR: catalog, vectors, thumbnails."""
    return Room("DATA_DIR", settings.data_dir.expanduser().resolve())


def uploads_room(settings: Settings) -> Room:
    """Of the uploaded files."""
    return Room("UPLOAD_PATH" if settings.upload_path else "DATA_DIR", settings.uploads)
