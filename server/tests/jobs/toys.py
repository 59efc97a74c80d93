"""A kind of job that counts, a step for each turn of a gate: what the runner does with jobs, without pictures.

Run: python -m tests.jobs.toys SETTINGS COLLECTION. It answers each line on its input; "cancel" cancels the job before that.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tsir.jobs.kinds import Kind, Kinds, Spec, Work
from tsir.jobs.model import JobFailure, JobState
from tsir.jobs.runner import JobRunner
from tsir.jobs.store import Jobs
from tsir.library.library import Library
from tsir.settings import Settings


class CountSpec(Spec):
    upto: int
    trouble: str | None = None
    """Sentence of a failure that the first step finds."""


class Counter:
    """What counting works with."""

    def __init__(self) -> None:
        self.gate = threading.Semaphore(0)
        self.said: list[JobState] = []
        self.closed = False
        self.before: Callable[[], None] = lambda: None
        """Called patiently at each step, as a store is."""

    def turn(self, times: int = 10_000) -> None:
        self.gate.release(times)

    def close(self) -> None:
        self.closed = True


def count(work: Work[CountSpec], counter: Counter) -> str | None:
    work.confirm()
    work.progress.total = work.spec.upto
    work.progress.add(skipped=work.progress.resumed)
    work.at_end(counter.said.append)
    if work.spec.trouble:
        work.progress.add(failures=[JobFailure("step 0", work.spec.trouble)])

    def steps() -> Iterator[int]:
        for step in range(work.job.done, work.spec.upto):
            assert counter.gate.acquire(timeout=60)
            yield step

    for _ in work.line.ahead(steps(), 1, "count"):
        work.line.patiently(lambda: counter.before())
        work.progress.add(done=1)
    return f"Counted to {work.spec.upto}."


COUNT: Kind[CountSpec, Counter] = Kind("count", CountSpec, count, title=lambda spec: f"up to {spec.upto}")
KINDS: Kinds[Counter] = Kinds((COUNT,))


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread or process will do."""
    pause = threading.Event()
    for _ in range(1200):
        if condition():
            return
        pause.wait(0.05)
    pytest.fail("It never happened.")


def main(settings: str, collection: str) -> None:
    with Library.open(Settings.model_validate_json(Path(settings).read_text())) as library:
        jobs, counter = Jobs(library.stores.catalog.database), Counter()
        runner = JobRunner(jobs, KINDS, counter)
        runner.start()
        counter.turn(2)
        job = runner.submit(collection, COUNT, CountSpec(upto=5))
        until(lambda: jobs.get(job.id).done == 2)
        for line in sys.stdin:
            if line.strip() == "cancel":
                jobs.cancel(job.id)  # the runner is not told: it would learn of it at its next report
            sys.stdout.write(f"{job.id}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
