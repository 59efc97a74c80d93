"""Long work on a collection: who runs it in this process, and how it goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tsir.errors import Conflict, InvalidInput, StoreUnavailable
from tsir.importing.addresses import IPAddress, is_public
from tsir.importing.job import IMPORT
from tsir.importing.mend import MEND
from tsir.importing.parts.job import SHARED
from tsir.importing.reencode import REENCODE
from tsir.importing.workshop import Encoders, Tools, Workshop
from tsir.jobs.kinds import Kinds
from tsir.jobs.model import Job, JobFailure
from tsir.jobs.runner import JobRunner
from tsir.jobs.store import Jobs
from tsir.library.library import Library
from tsir.records import Image
from tsir.settings import Settings

KINDS: Kinds[Tools] = Kinds((IMPORT, REENCODE, MEND, SHARED))
"""Every kind of job there is."""

POLL_S = 0.25
"""Pause between looks at a job: progress bars move smoothly, and the catalog hardly notices."""
SHOWN = 100
"""Failures and picture ids that come with a job."""


@dataclass(frozen=True, slots=True)
class JobReport:
    """A job with what people want to see of it."""

    job: Job
    title: str
    """What it works on, in a few words."""
    failures: Sequence[JobFailure] = ()
    """The first hundred."""
    image_ids: Sequence[int] = ()
    """Pictures of an upload once it is over (the first hundred)."""


def make_runner(library: Library, encoders: Encoders, settings: Settings, allowed: Callable[[IPAddress], bool] = is_public) -> JobRunner:
    """What runs the jobs of a library in this process; `start` it.

    `encoders` gives the encoder of a name; `allowed` decides which addresses pictures may be fetched from.
    """
    return JobRunner(Jobs(library.stores.catalog.database), KINDS, Tools(Workshop(library, settings), encoders, allowed))


def title(job: Job) -> str:
    """What a job works on, in a few words."""
    return KINDS.title(job)


def summary(kind: str, done: int, skipped: int, failed: int) -> str:
    """How a job of that kind went, in a few words."""
    return KINDS.summary(kind, done, skipped, failed)


def detail(library: Library, jobs: Jobs, job: Job) -> JobReport:
    """A job with its first failures and the pictures of an upload."""
    failures = jobs.failures(job.id, SHOWN) if job.failed else ()
    return JobReport(job, title(job), failures, uploaded_ids(library, job))


def uploaded_ids(library: Library, job: Job) -> list[int]:
    """Ids of the pictures that an upload brought, once it is over; of one that lies in several places once."""
    if not job.over:
        return []
    found = [library.find_path(library.files.uploads.here(path)) for path in KINDS.uploads(job)[:SHOWN]]
    return list(dict.fromkeys(image.id for image in found if image is not None))


def imported(library: Library, jobs: Jobs, job: Job) -> Image:
    """The picture of an upload of one. Raises InvalidInput with the reason when the job could not use it."""
    found = next(filter(None, map(library.find_path, KINDS.uploads(job))), None)
    if found is None:
        failures = jobs.failures(job.id, 1)
        raise InvalidInput(failures[0].reason if failures else "The picture could not be imported.")
    return found


def check_done(job: Job) -> Job:
    """The job, when it ended well. Raises Conflict for one that was cancelled, InvalidInput with the message of one that failed."""
    if job.state == "cancelled":
        raise Conflict("The import was cancelled; what it had imported stays.")
    if job.state == "failed":
        raise InvalidInput(job.message or "The import failed.")
    return job


def look(jobs: Jobs, job: Job) -> Job:
    """The job as it is now; as it was while the catalog does not answer."""
    try:
        return jobs.get(job.id)
    except StoreUnavailable:
        return job


async def follow(run: Callable[..., Awaitable[Any]], jobs: Jobs, job: Job, stopping: asyncio.Event) -> AsyncIterator[Job]:
    """The job at once, then every moment until it is over, or `stopping` is set. `run` takes a blocking call off the event loop."""
    while True:
        yield job
        if job.over or stopping.is_set():
            return
        await asyncio.sleep(POLL_S)
        job = await run(look, jobs, job)


async def finished(run: Callable[..., Awaitable[Any]], jobs: Jobs, job: Job, stopping: asyncio.Event) -> Job:
    """Wait until a job is over. Raises StoreUnavailable when the server stops first; the job then goes on at its next start."""
    async for seen in follow(run, jobs, job, stopping):
        job = seen
    if not job.over:
        raise StoreUnavailable("The server is stopping; the import goes on when it is started again.")
    return job
