"""What is asked of the disk: what was flushed (the calls of `os.fsync` are noted and made), and how much room it says it has."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


class Synced(set[tuple[int, int]]):
    """(device, inode) of the files and folders that were flushed."""

    def holds(self, *paths: Path) -> bool:
        """Whether every one of these was."""
        return all((path.stat().st_dev, path.stat().st_ino) in self for path in paths)


def watch(monkeypatch: pytest.MonkeyPatch) -> Synced:
    synced = Synced()
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        fsync(descriptor)
        stat = os.fstat(descriptor)
        synced.add((stat.st_dev, stat.st_ino))

    monkeypatch.setattr(os, "fsync", noted)
    return synced


class Filled:
    """What the system says of the room on every disk; `free` (bytes) can be set, None: what is true."""

    free: int | None = None


def fill(monkeypatch: pytest.MonkeyPatch) -> Filled:
    filled = Filled()
    statvfs = os.statvfs

    def said(path: str | os.PathLike[str]) -> os.statvfs_result:
        found = statvfs(path)
        if filled.free is None:
            return found
        return os.statvfs_result([*found[:4], filled.free // found.f_frsize, *found[5:]])

    monkeypatch.setattr(os, "statvfs", said)
    return filled
