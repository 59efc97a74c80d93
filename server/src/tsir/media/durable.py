"""The one way in which files are written: whole or not at all and, where it is asked for, also after a power cut."""

from __future__ import annotations

import glob
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

TEMPORARY = ".tmp"
"""How the name of a file ends while it is written. One that is old was left by a process that was killed."""


@contextmanager
def whole(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A file to write and read; it becomes `path` when the block ends, and when the block raises nothing is left of it.

    `durable`: after the block it is on disk, its name and that of its folder, too, so that no power cut can take it. Raises OSError.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}{TEMPORARY}")
    try:
        with temporary.open("x+b") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        _sync(path.parent)
        with suppress(PermissionError):  # its entry for a new folder; the parent of a folder of the user's own may be closed to us
            _sync(path.parent.parent)


def write_atomic(path: Path, data: bytes | memoryview, *, durable: bool = False) -> None:
    """Write a file at once, like `whole`, into a folder that is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path, durable=durable) as file:
        file.write(data)


def clear(path: Path, before: float) -> None:
    """Delete what killed processes had written of a file (of `whole`), and nobody went on with since that time. Raises OSError."""
    for left in path.parent.glob(f"{glob.escape(path.name)}.{'[0-9a-f]' * 8}{TEMPORARY}"):
        if older(left, before):
            left.unlink(missing_ok=True)


def older(path: Path, before: float) -> bool:
    """Whether a file was last written before that time (seconds since 1970); False when it is gone."""
    try:
        return path.stat().st_mtime < before
    except OSError:  # deleted meanwhile
        return False


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
