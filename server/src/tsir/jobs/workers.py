"""Who works on a job, and whether that process is still there: what another one on the same system can know without waiting."""

from __future__ import annotations

import functools
import os
import secrets
import socket
from pathlib import Path

PROC = Path("/proc")


def worker_name() -> str:
    """A new name for a worker in this process, at most 130 ASCII letters: `host:system:pid:start:random`.

    The last part tells workers of one process apart. Where the system cannot be told (anything but Linux), the parts `system` and `start`
    are empty, and `died` never knows.
    """
    system, pid = _system(), os.getpid()
    return f"{_host()}:{system}:{pid}:{_started(pid) if system else ''}:{secrets.token_hex(4)}"


def died(name: str) -> bool:
    """Whether it is certain that the process of this worker is no more. False for workers elsewhere: only they know."""
    try:
        host, system, pid, started, _ = name.split(":")
        return bool(system and started) and (host, system) == (_host(), _system()) and not _lives(int(pid), started)
    except ValueError:  # a name of another form
        return False


def _host() -> str:
    """Copies of a running virtual machine have everything in common, but hopefully not this."""
    return socket.gethostname().encode("ascii", "replace").decode().replace(":", "?")[:40]


@functools.cache
def _system() -> str:
    """What makes process ids unique: this start of the kernel, and the namespace of the ids (a container has its own); "" if unknown.

    A namespace's number is used again when it is gone, but so are all its processes then, and the time of start tells them apart.
    """
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        space = (PROC / "self/ns/pid").stat().st_ino
        # Where /proc is that of another namespace, it numbers other processes than the system calls do.
        mine = (PROC / "self").readlink() == Path(str(os.getpid())) and _started(os.getpid())
        return f"{boot}/{space}" if mine else ""
    except OSError:
        return ""


def _lives(pid: int, started: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it belongs to another user, whose processes may be hidden in /proc
        pass
    found = _started(pid)
    return found is None or found == started


def _started(pid: int) -> str | None:
    """When a process started, in the kernel's ticks since boot; "" for one that has ended, None if that cannot be known."""
    try:
        # The second field, the command in brackets, may hold anything. The third is the state, the 22nd the start: proc_pid_stat(5).
        fields = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        return "" if fields[0] in (b"Z", b"X") else fields[19].decode()
    except (OSError, IndexError):
        return None
