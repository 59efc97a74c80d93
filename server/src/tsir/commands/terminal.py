"""How commands speak: a progress bar on a terminal, plain lines in a pipe, JSON for programs."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tsir.services import jobs
from tsir.services.views import JobDetail, JobOut

PLAIN_LINE_S = 5.0
"""Pause between two lines of progress in a pipe."""
SHOWN_FAILURES = 20

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves the cursor, colours, names the window, or turns the direction of writing."""

Tell = Callable[[JobOut], None]
Count = Callable[[int, int | None], None]


def plain(text: str) -> str:
    """A line that a terminal only shows, and never obeys: control characters, as names of files may have them, are written out."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


def show(text: str) -> None:
    """A line of results for people; what is no plain text in it is written out."""
    typer.echo(plain(text))


def say(text: str = "") -> None:
    """A line for people, on standard error: standard output is for results."""
    typer.echo("\n".join(map(plain, text.split("\n"))), err=True)


def print_json(value: Any) -> None:
    """A result for programs."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


@contextmanager
def counting(what: str, *, silent: bool = False) -> Iterator[Count]:
    """Progress of plain counts; call the result with (done, total)."""
    console = Console(stderr=True)
    if silent or not console.is_terminal:
        yield _plain(what, silent)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _plain(what: str, silent: bool) -> Count:
    last = time.monotonic()

    def tell(done: int, total: int | None) -> None:
        nonlocal last
        if not silent and time.monotonic() - last >= PLAIN_LINE_S:
            last = time.monotonic()
            say(f"{what}: {done:,}" + (f" of {total:,}" if total else ""))

    return tell


@contextmanager
def following(what: str, *, silent: bool = False) -> Iterator[Tell]:
    """Progress of a job; call the result with its state whenever that is known."""
    with counting(what, silent=silent) as count:
        yield lambda job: count(job.done + job.skipped + job.failed, job.total)


def summary(job: JobOut) -> str:
    """How a job ended, in one line."""
    text = jobs.summary(job.kind, job.done, job.skipped, job.failed)
    return {"done": text, "cancelled": f"Cancelled: {text}", "failed": f"Failed: {job.message}"}.get(job.state, f"{job.state}: {text}")


def report(job: JobDetail, *, as_json: bool = False) -> None:
    """Print how a job ended, and what it could not read."""
    if as_json:
        print_json(job.model_dump(mode="json"))
        return
    show(summary(job))
    if job.message and job.state == "done":
        show(job.message)
    for failure in job.failures[:SHOWN_FAILURES]:
        show(f"  skipping {failure.path}: {failure.reason}")
    if job.failed > SHOWN_FAILURES:
        show(f"  ... and {job.failed - SHOWN_FAILURES:,} more: GET /api/v1/jobs/{job.id}/failures lists them all.")
