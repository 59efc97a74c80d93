"""A job, its states, and the one table of how it gets from one to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, get_args

JobState = Literal["queued", "running", "done", "failed", "cancelled"]
STATES: tuple[JobState, ...] = get_args(JobState)
OVER: tuple[JobState, ...] = ("done", "failed", "cancelled")
"""States that a job never leaves."""

Phase = Literal["queued", "running", "cancelling", "done", "failed", "cancelled"]
"""A state, with "cancelling" for a running job that was asked to stop and has not yet."""

Event = Literal["claim", "cancel", "done", "fail", "stop", "hand back", "lose"]
"""What happens to a job: a worker takes it; a person cancels it; its worker ends it well, ends it with a reason, stops it because it was
asked to, or hands it back because the process ends; its worker is found dead."""

TRANSITIONS: Mapping[Event, Mapping[Phase, Phase]] = {
    "claim": {"queued": "running"},
    "cancel": {"queued": "cancelled", "running": "cancelling"},
    "done": {"queued": "done", "running": "done", "cancelling": "done"},
    "fail": {"queued": "failed", "running": "failed", "cancelling": "failed"},
    "stop": {"queued": "cancelled", "running": "cancelled", "cancelling": "cancelled"},
    # A job that was cancelled does not come back, however its worker ended.
    "hand back": {"queued": "queued", "running": "queued", "cancelling": "cancelled"},
    "lose": {"running": "queued", "cancelling": "cancelled"},
}
"""Event -> phase before -> phase after. An event that has no entry for a job's phase does not concern it."""


@dataclass(frozen=True, slots=True)
class Job:
    """Long work that survives restarts, with its progress."""

    id: int
    collection: str
    kind: str
    """A name of the registry of kinds."""
    spec: Mapping[str, Any]
    """What to do, as JSON values: what the kind's own model reads."""
    state: JobState
    cancelling: bool
    """Cancel was asked, the worker has not stopped yet."""
    total: int | None
    done: int
    skipped: int
    failed: int
    rate: float
    """Pictures per second."""
    eta_s: float | None
    """Seconds that remain at this rate; None when unknown or over."""
    message: str | None
    """Why it failed, or what is worth knowing about how it ended."""
    worker: str | None
    """Who runs it; pass it on to `Jobs.report` and `Jobs.finish`."""
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def over(self) -> bool:
        """Whether it will never change again."""
        return self.state in OVER


@dataclass(frozen=True, slots=True)
class JobFailure:
    """A file that a job could not use, and a sentence that says why."""

    path: str
    reason: str
