"""Questions to a file system that may never answer: where a network drive's server is gone, `stat` waits for ever.

They are put by threads of their own, which are left behind when no answer comes; disks of this machine are asked directly.
"""

from __future__ import annotations

import errno
import os
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

ANSWER_S = 30.0
"""How long an answer may take: a disk that sleeps needs ten."""
AGAIN_S = 60.0
"""After so long a folder that did not answer is asked again; until then it is known not to."""
MOUNTS = Path("/proc/self/mountinfo")
LOCAL = {"apfs", "bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfsplus", "iso9660", "jfs", "ntfs3", "overlay", "ramfs"} | {
    "reiserfs", "squashfs", "tmpfs", "udf", "vfat", "xfs", "zfs",
}  # fmt: skip
"""File systems of disks of this machine."""
KNOWN = 10_000
"""Folders of which is remembered for a minute that they lie on such a disk."""

T = TypeVar("T")

_lock = threading.Lock()
_idle: list[_Asker] = []
_silent: dict[str, float] = {}
"""Until when a folder is known not to answer."""
_local: dict[str, float] = {}
"""Until when a folder is known to lie on a disk of this machine."""
_here = threading.local()
os.register_at_fork(after_in_child=_idle.clear)  # their threads are not in it


class Silent(OSError):
    """The file system below a folder does not answer."""

    def __init__(self, folder: str) -> None:
        super().__init__(errno.ETIMEDOUT, f"{folder!r} has not answered for {ANSWER_S:.0f} s")


class _Asker:
    """A thread that may be lost."""

    def __init__(self) -> None:
        self._questions: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="asker", daemon=True).start()

    def _work(self) -> None:
        _here.asking = True
        while True:
            self._questions.get()()
            with _lock:
                _idle.append(self)

    def ask(self, question: Callable[[], T], patience_s: float) -> T:
        """Raises what the question does, and TimeoutError."""
        answer: list[Any] = []
        done = threading.Event()

        def put() -> None:
            try:
                answer[:] = [question(), None]
            except BaseException as error:
                answer[:] = [None, error]
            done.set()

        self._questions.put(put)
        if not done.wait(patience_s):
            raise TimeoutError
        result, error = answer
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]


def answered(folder: str | Path, question: Callable[[], T], *, link: str | Path | bool = False) -> T:
    """The answer to a question about what lies in a folder, or about the folder itself.

    `link`: whether it is about something that leads elsewhere, or a path of which that is not known. Raises Silent when there is no
    answer, and what the question raises.
    """
    if getattr(_here, "asking", False):
        return question()
    text = os.path.abspath(folder)  # noqa: PTH100 - asks nobody
    now = time.monotonic()
    if _local.get(text, 0.0) > now and not (link if isinstance(link, bool) else os.path.islink(link)):  # noqa: PTH114
        return question()
    for silent, until in list(_silent.items()):
        if until > now and (text == silent or text.startswith(silent + "/")):
            raise Silent(silent)

    def ask() -> T:
        found = question()
        if _is_local(os.path.realpath(text)):
            if len(_local) >= KNOWN:
                _local.clear()
            _local[text] = time.monotonic() + AGAIN_S
        return found

    with _lock:
        asker = _idle.pop() if _idle else None
    try:
        return (asker or _Asker()).ask(ask, ANSWER_S)
    except TimeoutError:
        mount, _ = _mount(text)
        silent = text if mount == "/" else mount
        _silent[silent] = time.monotonic() + AGAIN_S
        raise Silent(silent) from None


def _is_local(real: str) -> bool:
    return _mount(real)[1] in LOCAL


def _mount(path: str) -> tuple[str, str]:
    """Where the file system of a path is mounted, and its kind, as far as the system tells."""
    best, kind = "/", ""
    try:
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return best, kind
    for line in lines:
        before, _, after = line.partition(" - ")
        place = before.split(" ")[4].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        if len(place) >= len(best) and (path == place or path.startswith(place.rstrip("/") + "/")):
            best, kind = place, after.split(" ")[0]
    return best, kind
