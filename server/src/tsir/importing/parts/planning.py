"""Which worker makes what: a few parts are under way at any time, however long the listing is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from tsir.importing.parts.listing import Part
from tsir.jobs.line import Stopped
from tsir.jobs.model import JobFailure

log = logging.getLogger(__name__)


class WorkerLost(Exception):
    """A worker died over a part, and the pool's own attempts to do it again failed, too."""


class Pool(Protocol):
    """Workers, wherever they are."""

    capacity: int
    """Parts that are under way at most: so many that no worker waits for the next."""

    def start(self, part: Part) -> None:
        """Give a part to a worker that is free, or will be."""
        ...

    def wait(self, timeout_s: float) -> list[tuple[Part, Exception | None]]:
        """Parts that came to an end meanwhile: WorkerLost, or what a worker raised, or None for one that lies on the shelf now."""
        ...

    def close(self) -> None:
        """Let the workers go."""
        ...


def plan(parts: Iterable[Part], pool: Pool, stopped: Callable[[], bool] = lambda: False) -> Iterator[Part | JobFailure]:
    """Have all parts made; gives each when it lies on the shelf. Whether one lay there before, its worker sees.

    A part that workers died over is cut smaller until the file is found that they die of: that one fails, the others are made. Raises
    Stopped, and what a worker raised.
    """
    source = iter(parts)
    again: list[Part] = []
    under_way = 0
    more = True
    while more or again or under_way:
        while under_way < pool.capacity and (again or more):
            part = again.pop() if again else next(source, None)
            if part is None:
                more = False
            else:
                pool.start(part)
                under_way += 1
            if stopped():
                raise Stopped
        if not under_way:
            continue
        for part, error in pool.wait(0.5):
            under_way -= 1
            if error is None:
                yield part
            elif not isinstance(error, WorkerLost):
                raise error
            else:
                log.warning("Workers died over a part: it is cut smaller.")
                for smaller in part.smaller():
                    if isinstance(smaller, JobFailure):
                        yield smaller
                    else:
                        again.append(smaller)
        if stopped():
            raise Stopped
