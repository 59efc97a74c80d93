"""Jobs: what is being imported or re-encoded, live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query
from sse_starlette import EventSourceResponse, ServerSentEvent

from tsir.api.deps import Id, LibraryDep, RunDep, RunnerDep, StateDep
from tsir.api.schemas import Text
from tsir.errors import StoreUnavailable
from tsir.library.library import Library
from tsir.records import Job
from tsir.services.opening import State
from tsir.services.views import FailureList, FailureOut, JobDetail, JobList, JobOut

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])

POLL_S = 0.25
"""Pause between looks at a job: progress bars move smoothly, and the catalog hardly notices."""
SHOWN = 100
"""Failures and picture ids that come with a job."""
HEARTBEAT_S = 15
"""Pause after which an idle stream sends a comment, so that proxies keep it open."""


@router.get("")
async def list_jobs(
    library: LibraryDep,
    run: RunDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    collection: Annotated[Text | None, Query(max_length=200)] = None,
) -> JobList:
    """Jobs, newest first."""
    return JobList(jobs=[JobOut.of(job) for job in await run(library.list_jobs, limit, collection)])


@router.get("/{id}")
async def read_job(id: Id, library: LibraryDep, run: RunDep) -> JobDetail:
    """One job with its first failures."""
    return await run(detail, library, await run(library.job, id))


@router.get("/{id}/failures")
async def list_failures(
    id: Id,
    library: LibraryDep,
    run: RunDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> FailureList:
    """All files that the job could not use, in the order they were found."""
    await run(library.job, id)
    failures = await run(library.job_failures, id, limit, offset)
    return FailureList(failures=[FailureOut(path=failure.path, reason=failure.reason) for failure in failures])


@router.delete("/{id}")
async def cancel_job(id: Id, runner: RunnerDep, library: LibraryDep, run: RunDep) -> JobDetail:
    """Stop a job; what it has imported stays."""
    return await run(detail, library, await run(runner.cancel, id))


@router.get(
    "/{id}/events",
    response_class=EventSourceResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Messages whose data is a JobDetail as JSON."}},
)
async def watch_job(id: Id, state: StateDep, library: LibraryDep, run: RunDep) -> EventSourceResponse:
    """The job as server-sent events: its state at once, then after every change, until it is over. `?key=` is accepted, too."""
    job = await run(library.job, id)
    return EventSourceResponse(_events(state, job), ping=HEARTBEAT_S)


async def _events(state: State, job: Job) -> AsyncIterator[ServerSentEvent]:
    sent: str | None = None
    while True:
        text = (await state.run(detail, state.library, job)).model_dump_json()
        if text != sent:
            yield ServerSentEvent(data=text)
            sent = text
        if job.over or state.stopping.is_set():
            return
        job = await _next(state, job)


async def _next(state: State, job: Job) -> Job:
    """The job a moment later; as it was while the catalog does not answer."""
    await asyncio.sleep(POLL_S)
    try:
        return await state.run(state.library.job, job.id)
    except StoreUnavailable:
        return job


async def finished(state: State, job: Job) -> Job:
    """Wait until a job is over. Raises StoreUnavailable when the server stops first; the job then goes on at its next start."""
    while not job.over:
        if state.stopping.is_set():
            raise StoreUnavailable("The server is stopping; the import goes on when it is started again.")
        job = await _next(state, job)
    return job


def detail(library: Library, job: Job) -> JobDetail:
    """A job with its first failures and the pictures of an upload. Blocking."""
    failures = library.job_failures(job.id, SHOWN) if job.failed else []
    return JobDetail.with_failures(job, failures, uploaded_ids(library, job))


def uploaded_ids(library: Library, job: Job) -> list[int]:
    """Ids of the pictures that an upload brought, once it is done. Blocking."""
    files = job.spec.get("files", ())
    if not job.over:
        return []
    found = [library.find_path(path) for path, _ in files[:SHOWN]]
    return list(dict.fromkeys(image.id for image in found if image is not None))
