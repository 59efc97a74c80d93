"""Ports for the servers that tests start."""

from __future__ import annotations

import contextlib
import os
import random
import socket

# Below those that a system gives to outgoing connections: otherwise a client that tries to reach a stopped server could take the server's
# port, or even connect to itself. Each worker of pytest-xdist has a thousand of its own, so that none takes what another was just told.
_FIRST = 20_000 + 1_000 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12)
_untold = random.SystemRandom().sample(range(_FIRST, _FIRST + 1_000), 1_000)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on now; none is told twice."""
    found: list[int] = []
    while len(found) < count:
        if not _untold:
            raise RuntimeError(f"There are no {count} free ports on 127.0.0.1")
        port = _untold.pop()
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            found.append(port)
    return found


def free_port() -> int:
    return free_ports(1)[0]
