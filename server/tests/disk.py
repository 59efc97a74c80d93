"""What was flushed to disk: the calls of `os.fsync` are noted and made."""

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
