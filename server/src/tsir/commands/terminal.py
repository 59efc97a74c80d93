"""How commands speak: a progress bar on a terminal, plain lines in a pipe, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer

from tsir.programs.progress import counting, plain
from tsir.services import jobs
from tsir.services.views import JobDetail, JobOut

SHOWN_FAILURES = 20

Tell = Callable[[JobOut], None]


def show(text: str) -> None:
    """A line of results for people; what is no plain text in it is written out."""
    typer.echo(plain(text))


def say(text: str = "") -> None:
    """A line for people, on standard error: standard output is for results."""
    typer.echo("\n".join(map(plain, text.split("\n"))), err=True)


def print_json(value: Any) -> None:
    """A result for programs."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    try:
        text.encode()
    except UnicodeEncodeError:  # a path that is no valid Unicode
        text = json.dumps(value, indent=2)
    typer.echo(text)


@contextmanager
def following(what: str, *, silent: bool = False) -> Iterator[Tell]:
    """Progress of a job, and what it waits for; call the result with its state whenever that is known."""
    waits: str | None = None
    with counting(what, silent=silent) as count:

        def tell(job: JobOut) -> None:
            nonlocal waits
            message = job.message if job.state == "running" else None
            if message and not waits and not silent:
                say(f"{message} It waits, and goes on by itself.")
            waits = message
            count(job.done + job.skipped + job.failed, job.total)

        yield tell


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
