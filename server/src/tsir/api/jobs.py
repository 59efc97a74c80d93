"""Jobs: what is being imported or re-encoded, live."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Query
from sse_starlette import EventSourceResponse, ServerSentEvent

from tsir.api.deps import Id, JobsDep, LibraryDep, RunDep, RunnerDep, StateDep
from tsir.api.routes import group
from tsir.api.schemas import Text
from tsir.api.state import State
from tsir.jobs.model import Job
from tsir.jobs.store import Jobs
from tsir.library.library import Library
from tsir.services import jobs as service
from tsir.services.views import FailureList, FailureOut, JobDetail, JobList, JobOut

router = group("jobs", "/api/v1/jobs")

HEARTBEAT_S = 15
"""Pause after which an idle stream sends a comment, so that proxies keep it open."""


@router.get("")
async def list_jobs(
    jobs: JobsDep,
    runner: RunnerDep,
    run: RunDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    collection: Annotated[Text | None, Query(max_length=200)] = None,
) -> JobList:
    """Jobs, newest first."""
    return JobList(jobs=[JobOut.of(runner.seen(job)) for job in await run(jobs.list, limit, collection)])


@router.get("/{id}")
async def read_job(id: Id, library: LibraryDep, jobs: JobsDep, runner: RunnerDep, run: RunDep) -> JobDetail:
    """One job with its first failures."""
    return await run(lambda: detail(library, jobs, runner.seen(jobs.get(id))))


@router.get("/{id}/failures")
async def list_failures(
    id: Id,
    jobs: JobsDep,
    run: RunDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> FailureList:
    """All files that the job could not use, in the order they were found."""
    failures = await run(jobs.failures, id, limit, offset)
    return FailureList(failures=[FailureOut(path=failure.path, reason=failure.reason) for failure in failures])


@router.delete("/{id}")
async def cancel_job(id: Id, runner: RunnerDep, library: LibraryDep, jobs: JobsDep, run: RunDep) -> JobDetail:
    """Stop a job; what it has imported stays."""
    return await run(lambda: detail(library, jobs, runner.cancel(id)))


@router.get(
    "/{id}/events",
    response_class=EventSourceResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Messages whose data is a JobDetail as JSON."}},
)
async def watch_job(id: Id, state: StateDep, jobs: JobsDep, run: RunDep) -> EventSourceResponse:
    """The job as server-sent events: its state at once, then after every change, until it is over. `?key=` is accepted, too;
    a header or a cookie stands in no log.
    """
    return EventSourceResponse(_events(state, await run(jobs.get, id)), ping=HEARTBEAT_S)


async def _events(state: State, job: Job) -> AsyncIterator[ServerSentEvent]:
    sent: str | None = None
    async for seen in service.follow(state.run, state.jobs, job, state.stopping):
        text = (await state.run(detail, state.library, state.jobs, state.runner.seen(seen))).model_dump_json()
        if text != sent:
            yield ServerSentEvent(data=text)
            sent = text


def detail(library: Library, jobs: Jobs, job: Job) -> JobDetail:
    """A job with its first failures and the pictures of an upload, as the API shows it. Blocking."""
    return JobDetail.of_detail(service.detail(library, jobs, job))
