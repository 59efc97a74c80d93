"""Jobs in SQL: several processes share them, each job has one worker at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta, timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from tsir.errors import Conflict, NotFound
from tsir.jobs import workers
from tsir.jobs.model import OVER, TRANSITIONS, Event, Job, JobFailure, Phase
from tsir.paging import chunks
from tsir.storage.sql.collections import Collections
from tsir.storage.sql.engine import Database
from tsir.storage.sql.schema import job_failures, jobs
from tsir.storage.sql.values import CHUNK, aware, loose_hash, storable

HEARTBEAT_TIMEOUT = timedelta(seconds=60)
"""A worker elsewhere that gave no sign of life for so long is taken for dead; of one on the same system that is known at once."""


class Jobs:
    """The jobs of a catalog. Thread-safe. Every method may raise StoreUnavailable; what takes a job's number raises NotFound."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, collection: str, kind: str, spec: Mapping[str, Any], *, worker: str | None = None) -> Job:
        """Queue work on a collection; `spec` holds JSON values. With `worker` it is claimed by that worker from the start.

        Raises NotFound when there is no such collection.
        """
        text = json.dumps(dict(spec), ensure_ascii=True)

        def do(connection: Connection) -> Job:
            ref = Collections(self._database).ref(collection, connection)
            now = self._database.now(connection)
            values = {"collection": ref.name, "kind": kind, "spec": text, "state": "queued", "cancelling": False}
            counts = {"done": 0, "skipped": 0, "failed": 0, "rate": 0.0}
            claim = {"state": "running", "worker": worker[:255], "heartbeat": now, "started_at": now} if worker else {}
            result = connection.execute(jobs.insert().values(**{**values, **counts, **claim}, created_at=now))
            key = result.inserted_primary_key
            assert key is not None
            return _get(connection, key[0])

        return self._database.write(do)

    def get(self, id: int) -> Job:
        """One job."""
        return self._database.read(lambda connection: _get(connection, id))

    def list(self, limit: int = 50, collection: str | None = None) -> list[Job]:
        """The newest first."""
        query = sa.select(jobs).order_by(jobs.c.id.desc()).limit(limit)
        if collection is not None:
            query = query.where(jobs.c.collection == collection)
        return self._database.read(lambda connection: [_job(row) for row in connection.execute(query)])

    def claim(self, worker: str, busy: Iterable[int] | None = None) -> Job | None:
        """Take the oldest queued job, or one whose worker is dead: its process on this system is gone, or it gave no sign of life for a
        minute. Of many callers exactly one gets a job.

        `busy` are the jobs that the worker is at. Others under its name it got from a call whose answer was lost: it gets them again.
        """
        others = sa.true() if busy is None else jobs.c.id.not_in([*busy])
        unknown = sa.false() if busy is None else jobs.c.worker == worker

        def do(connection: Connection) -> Job | None:
            now = self._database.now(connection)
            running = jobs.c.state == "running"
            at_work = connection.execute(sa.select(jobs.c.worker).where(running, jobs.c.worker.is_not(None)).distinct()).scalars()
            died = [name for name in at_work if workers.died(name)]
            left = sa.or_(jobs.c.heartbeat < now - HEARTBEAT_TIMEOUT, jobs.c.worker.in_(died), unknown)
            self._apply(connection, "lose", sa.and_(left, others))
            queued = jobs.c.state == "queued"
            for id in connection.execute(sa.select(jobs.c.id).where(queued).order_by(jobs.c.id).limit(16)).scalars().all():
                started = sa.func.coalesce(jobs.c.started_at, now)
                # Decides among all who saw the same row: the update of those who come later matches nothing.
                if self._apply(
                    connection, "claim", jobs.c.id == id, worker=worker[:255], heartbeat=now, started_at=started, rate=0.0, message=None
                ):
                    return _get(connection, id)
            return None

        return self._database.write(do)

    def report(
        self,
        id: int,
        *,
        worker: str | None = None,
        total: int | None = None,
        done: int | None = None,
        skipped: int | None = None,
        failed: int | None = None,
        rate: float | None = None,
        message: str | None = None,
        failures: Sequence[JobFailure] = (),
    ) -> bool:
        """Record progress (absolute numbers; None: unchanged) and a sign of life; a path's failure is listed once, with its last reason.

        `message` says what the job waits for, "" that it does not wait any more.
        False tells the worker to stop: cancel was asked, the job is over, or another worker took it over.
        """
        counts = {"total": total, "done": done, "skipped": skipped, "failed": failed, "rate": rate}
        values: dict[str, Any] = {key: value for key, value in counts.items() if value is not None}
        if message is not None:
            values["message"] = storable(message, 4000)
        reasons = {loose_hash(failure.path): failure for failure in failures}  # the last reason given for a path counts

        def do(connection: Connection) -> bool:
            mine = sa.and_(jobs.c.id == id, jobs.c.state == "running", _of(worker))
            if connection.execute(jobs.update().where(mine).values(**values, heartbeat=self._database.now(connection))).rowcount != 1:
                _get(connection, id)  # NotFound
                return False
            _note(connection, id, reasons)
            return not connection.execute(sa.select(jobs.c.cancelling).where(jobs.c.id == id)).scalar_one()

        return self._database.write(do)

    def finish(self, id: int, event: Event, message: str | None = None, *, worker: str | None = None) -> Job:
        """End a job by one of its worker's events ("done", "fail", "stop", "hand back"); returns it as it is then.

        Nothing happens when it is over, or runs under another worker.
        """

        def do(connection: Connection) -> Job:
            self._apply(connection, event, sa.and_(jobs.c.id == id, _of(worker)), message=storable(message, 4000))
            return _get(connection, id)

        return self._database.write(do)

    def cancel(self, id: int) -> Job:
        """Cancel a queued job at once, a running one at its worker's next sign of life. Raises Conflict when it is over."""

        def do(connection: Connection) -> Job:
            self._apply(connection, "cancel", jobs.c.id == id)
            job = _get(connection, id)
            if job.state in ("done", "failed"):
                raise Conflict(f"Job {id} is over already ({job.state}).")
            return job

        return self._database.write(do)

    def cancel_all(self, collection: str) -> Callable[[Connection], None]:
        """What cancels all jobs of a collection, to be run in the transaction that drops it: its name is free from then on."""

        def do(connection: Connection) -> None:
            self._apply(connection, "cancel", jobs.c.collection == collection)

        return do

    def rename_all(self, collection: str, to: str) -> Callable[[Connection], None]:
        """What lets all jobs of a collection follow it to another name, to be run in the transaction that renames it."""

        def do(connection: Connection) -> None:
            connection.execute(jobs.update().where(jobs.c.collection == collection).values(collection=to))

        return do

    def failures(self, id: int, limit: int = 100, offset: int = 0) -> Sequence[JobFailure]:
        """In the order they were found."""

        def do(connection: Connection) -> Sequence[JobFailure]:
            _get(connection, id)
            query = sa.select(job_failures).where(job_failures.c.job_id == id).order_by(job_failures.c.id).limit(limit).offset(offset)
            return [JobFailure(row.path, row.reason) for row in connection.execute(query)]

        return self._database.read(do)

    def open_count(self) -> int:
        """How many jobs are not over."""
        query = sa.select(sa.func.count()).select_from(jobs).where(jobs.c.state.not_in(OVER))
        return self._database.read(lambda connection: connection.execute(query).scalar_one())

    def requeue_orphans(self) -> int:
        """Queue the running jobs again, and return how many: only for the one process that may open the library."""
        return self._database.write(lambda connection: self._apply(connection, "lose", sa.true()).get("queued", 0))

    def _apply(self, connection: Connection, event: Event, where: sa.ColumnElement[bool], **values: Any) -> dict[Phase, int]:
        """Let an event happen to the jobs that match; returns how many came into which phases."""
        now = self._database.now(connection)
        moved: dict[Phase, int] = {}
        for before, after in TRANSITIONS[event].items():  # in this order no statement finds what an earlier one has moved
            state, cancelling = ("running", True) if before == "cancelling" else (before, False)
            fields: dict[str, Any] = {"state": "running" if after == "cancelling" else after, "cancelling": after == "cancelling"}
            if after == "queued":
                fields |= {"worker": None, "rate": 0.0, "finished_at": None}
            elif after in OVER:
                fields |= {"worker": None, "finished_at": now}
            statement = jobs.update().where(where, jobs.c.state == state, jobs.c.cancelling == cancelling)
            count = connection.execute(statement.values(**fields, **values)).rowcount
            if count:
                moved[after] = moved.get(after, 0) + count
        return moved


def _of(worker: str | None) -> sa.ColumnElement[bool]:
    return jobs.c.worker == worker if worker is not None else sa.true()


def _note(connection: Connection, id: int, reasons: Mapping[str, JobFailure]) -> None:
    """List failures by the hash of their path, each path once."""
    for part in chunks(sorted(reasons), CHUNK):
        connection.execute(job_failures.delete().where(job_failures.c.job_id == id, job_failures.c.path_hash.in_(part)))
    for part in chunks(reasons, CHUNK):
        rows = [
            {
                "job_id": id,
                "path": storable(reasons[hashed].path, 4096) or "",
                "path_hash": hashed,
                "reason": storable(reasons[hashed].reason, 2000) or "",
            }
            for hashed in part
        ]
        connection.execute(job_failures.insert(), rows)


def _get(connection: Connection, id: int) -> Job:
    row = connection.execute(sa.select(jobs).where(jobs.c.id == id)).first()
    if row is None:
        raise NotFound(f"There is no job {id}.")
    return _job(row)


def _job(row: Row[Any]) -> Job:
    left = None if row.total is None else max(0, row.total - row.done - row.skipped - row.failed)
    eta = left / row.rate if row.state == "running" and left is not None and row.rate > 0 else None
    return Job(
        id=row.id,
        collection=row.collection,
        kind=row.kind,
        spec=json.loads(row.spec),
        state=row.state,
        cancelling=row.cancelling,
        total=row.total,
        done=row.done,
        skipped=row.skipped,
        failed=row.failed,
        rate=row.rate,
        eta_s=eta,
        message=row.message,
        worker=row.worker,
        created_at=row.created_at.replace(tzinfo=timezone.utc),
        started_at=aware(row.started_at),
        finished_at=aware(row.finished_at),
    )
