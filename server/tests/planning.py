"""What an import by a thousand workers costs whoever plans it: no pictures, a listing that is made while it is read.

    python -m tests.planning 1_000_000_000             a text file with a path a line, which the workers read
    python -m tests.planning 100_000_000 --folder      a folder, whose names the planner itself sees

Workers are simulated: each part is counted, in an order of chance, and some workers die. At the end every name must have been in one
part. Prints the names planned, the planner's seconds of processor time and its memory at each step of ten.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import typer
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from tsir.importing.parts.listing import Files, Part, cut, segments
from tsir.importing.parts.on_ray import AHEAD
from tsir.importing.parts.planning import WorkerLost, plan
from tsir.jobs.model import JobFailure
from tsir.records import FileStat

WORKERS = 1_000
DEADLY = 50_000
"""One part in so many kills its worker."""
READ = 2_000
"""One part in so many is read; of the others the names are counted."""


def name(number: int) -> str:
    return f"/volumes/photos/{number // 1_000_000:04}/{number // 1_000 % 1_000:03}/IMG_{number:010}.jpg"


LINE = len(name(0)) + 1


class Names(AbstractFileSystem):  # type: ignore[misc]
    """`names://1000`: a listing of so many names."""

    protocol = "names"

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "type": "file", "size": int(self._strip_protocol(path)) * LINE}

    def _open(self, path: str, mode: str = "rb", block_size: int = 2**16, **_: Any) -> AbstractBufferedFile:
        return _Listing(self, path, mode, block_size)


class _Listing(AbstractBufferedFile):  # type: ignore[misc]
    def _fetch_range(self, start: int, end: int) -> bytes:
        first = start // LINE
        lines = "".join(f"{name(number)}\n" for number in range(first, -(-end // LINE)))
        return lines.encode()[start - first * LINE : end - first * LINE]


class Claims:
    """Workers that take parts and count what is in them."""

    capacity = WORKERS * AHEAD

    def __init__(self) -> None:
        self.names = self.parts = self.read = self.deaths = self.most = 0
        self._waiting: list[Part] = []
        self._chance = random.Random(0)

    def start(self, part: Part) -> None:
        part.key  # noqa: B018 - as a pool sends it
        self._waiting.append(part)
        self.most = max(self.most, len(self._waiting))

    def wait(self, timeout_s: float) -> list[tuple[Part, Exception | None]]:
        waiting = self._waiting
        place = self._chance.randrange(len(waiting))
        waiting[place], waiting[-1] = waiting[-1], waiting[place]
        part = waiting.pop()
        if self.deaths < self.parts // DEADLY:
            self.deaths += 1
            return [(part, WorkerLost("killed"))]
        self.parts += 1
        self.names += self._count(part)
        return [(part, None)]

    def _count(self, part: Part) -> int:
        if isinstance(part, Files):
            return len(part.files)
        counted = -(-part.end // LINE) - -(-part.start // LINE)
        if self.parts % READ == 0:
            self.read += 1
            assert [entry.path for entry in part.read()] == [name(number) for number in range(-(-part.start // LINE), -(-part.end // LINE))]
        return counted

    def close(self) -> None: ...


def memory() -> float:
    """What this process holds, MB."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def listed(count: int) -> Iterator[FileStat]:
    for number in range(count):
        yield FileStat(name(number), 200_000, number)


def run(count: int, folder: bool) -> None:
    parts: Iterable[Part] = cut(listed(count)) if folder else segments(f"names://{count}")
    workers, step = Claims(), 10_000
    broken = 0
    typer.echo(f"{'names':>14}  {'CPU s':>8}  {'parts':>10}  memory, MB")
    for ended in plan(parts, workers):
        broken += isinstance(ended, JobFailure)
        if (seen := workers.names + broken) >= step or seen == count:
            typer.echo(f"{seen:>14,}  {time.process_time():>8.1f}  {workers.parts:>10,}  {memory():.1f}")
            while step <= seen:
                step *= 10
    assert workers.names + broken == count, f"{workers.names + broken:,} names of {count:,}"
    typer.echo(f"Every name was in one part; {workers.most:,} parts were under way at most.")
    typer.echo(f"{workers.deaths} workers died; {workers.read:,} parts were read, of the others the names were counted.")


if __name__ == "__main__":
    fsspec.register_implementation("names", Names)
    run(int(sys.argv[1]), "--folder" in sys.argv[2:])
