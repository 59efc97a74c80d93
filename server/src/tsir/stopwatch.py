"""Where the time of one request goes."""

from __future__ import annotations

import time


class Stopwatch:
    """Counts the time from one lap to the next to a name. For one request, in one thread at a time."""

    def __init__(self, started: float | None = None) -> None:
        """`started`: when the work began, as `time.perf_counter` told; now, when not given."""
        self._last = time.perf_counter() if started is None else started
        self._seconds: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """What passed since the last lap was `name`."""
        now = time.perf_counter()
        self._seconds[name] = self._seconds.get(name, 0.0) + now - self._last
        self._last = now

    def milliseconds(self) -> dict[str, float]:
        """By name, in the order of their first lap."""
        return {name: round(seconds * 1000, 3) for name, seconds in self._seconds.items()}
