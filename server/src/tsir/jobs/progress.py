"""How far a job is: counted by its stages, read by whoever reports it."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Sequence

from tsir.jobs.model import JobFailure

RATE_MEMORY_S = 8.0
"""Time constant of the smoothed rate: about ten seconds of the past count."""


class Passed:
    """What an import passed over, and why that was no failure."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        """Files of kinds that cannot be read, by their endings."""
        self.links: list[str] = []
        """Linked folders that lead out of those that may be imported: the first few."""
        self.linked = 0
        """How many these are."""

    def __bool__(self) -> bool:
        return bool(self.kinds or self.linked)


class Progress:
    """Counts of one import, kept by its stages and read by whoever reports them."""

    def __init__(self, resumed: int = 0) -> None:
        self.total: int | None = None
        self.done = 0
        self.skipped = 0
        self.failed = 0
        self.resumed = resumed
        """Pictures that an earlier, interrupted run of the same job imported: they count as done, not as skipped."""
        self.passed = Passed()
        self.cut = 0
        """Pictures that were read though their files end too early."""
        self._new_failures: list[JobFailure] = []
        self._lock = threading.Lock()
        self._clock = time.monotonic()
        self._age = self._rate = 0.0
        self._counted = 0

    def add(self, done: int = 0, skipped: int = 0, failures: Sequence[JobFailure] = (), cut: int = 0) -> None:
        with self._lock:
            self.cut += cut
            resumed = min(skipped, self.resumed)
            self.resumed -= resumed
            self.done += done + resumed
            self.skipped += skipped - resumed
            self.failed += len(failures)
            self._new_failures.extend(failures)

    def counts(self) -> tuple[int | None, int, int, int]:
        """Total, done, skipped and failed at one moment. The total, if it is known, is never below their sum: a folder may grow while it
        is read, and a picture that is renamed while it is encoded is encoded again."""
        with self._lock:
            seen = self.done + self.skipped + self.failed
            return None if self.total is None else max(self.total, seen), self.done, self.skipped, self.failed

    def take_failures(self) -> list[JobFailure]:
        """Failures since the last call."""
        with self._lock:
            taken, self._new_failures = self._new_failures, []
        return taken

    def give_back(self, failures: list[JobFailure]) -> None:
        """They could not be stored: keep them for the next call."""
        with self._lock:
            self._new_failures = failures + self._new_failures

    def rate(self) -> float:
        """Pictures per second, smoothed; skipped files do not count."""
        with self._lock:
            now, worked = time.monotonic(), self.done + self.failed
            step = max(now - self._clock, 1e-6)
            keep = math.exp(-step / RATE_MEMORY_S)
            self._age += step
            self._rate = self._rate * keep + (1 - keep) * (worked - self._counted) / step
            self._clock, self._counted = now, worked
            return self._rate / (1 - math.exp(-self._age / RATE_MEMORY_S))  # the average began at zero
