"""Ports for the servers that tests start."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import socket

# Below those that a system gives to outgoing connections: otherwise a client that tries to reach a stopped server could take the server's
# port, or even connect to itself. Each process has five hundred of its own, so that none takes what another was just told.
FIRST, LAST, EACH = 20_000, 32_000, 500


def _own() -> tuple[range, int]:
    """Ports for this process, and the file that keeps them as long as it runs."""
    for first in range(FIRST, LAST, EACH):
        with contextlib.suppress(OSError):
            lock = os.open(f"/tmp/tsir-ports-{first}", os.O_CREAT | os.O_RDWR)  # wherever TMPDIR is
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return range(first, first + EACH), lock
            except OSError:
                os.close(lock)
    raise RuntimeError("Too many processes want ports of their own.")


_ports, _lock = _own()
_untold = random.SystemRandom().sample(_ports, EACH)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on now; none is told twice."""
    found: list[int] = []
    while len(found) < count:
        if not _untold:
            raise RuntimeError(f"There are no {count} free ports on 127.0.0.1.")
        port = _untold.pop()
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found


def free_port() -> int:
    return free_ports(1)[0]
