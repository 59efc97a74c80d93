"""Jobs: claimed once, cancelled, taken over, and never forgotten."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.library.conftest import ENCODER
from tsir.errors import Conflict, NotFound
from tsir.jobs.model import TRANSITIONS, Event, Job, JobFailure, Phase
from tsir.jobs.store import Jobs
from tsir.jobs.workers import worker_name
from tsir.library.library import Library
from tsir.settings import Settings
from tsir.storage.sql.schema import jobs as table

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only the minute without a sign of life tells")


@pytest.fixture
def job(library: Library, jobs: Jobs) -> Job:
    library.create("photos", ENCODER)
    return jobs.create("photos", "import", {"path": "/photos/中文", "n": [1, None]})


@pytest.fixture
def age(library: Library) -> Callable[[int], None]:
    """Let two minutes pass without a sign of life of a job."""
    database = library.stores.catalog.database

    def age(id: int) -> None:
        database.write(
            lambda connection: connection.execute(
                table.update().where(table.c.id == id).values(heartbeat=database.now(connection) - timedelta(minutes=2))
            )
        )

    return age


def test_job_runs_from_queue_to_done(jobs: Jobs, job: Job) -> None:
    assert (job.state, job.spec, job.total, job.eta_s, job.over) == ("queued", {"path": "/photos/中文", "n": [1, None]}, None, None, False)
    claimed = jobs.claim("me")
    assert claimed is not None
    assert (claimed.id, claimed.state, claimed.worker) == (job.id, "running", "me")
    assert jobs.claim("you") is None
    assert jobs.report(job.id, worker="me", total=100, done=20, skipped=5, rate=7.5)
    running = jobs.get(job.id)
    assert (running.done, running.skipped, running.failed, running.eta_s) == (20, 5, 0, pytest.approx(10))
    jobs.finish(job.id, "done", "All well.", worker="me")
    over = jobs.get(job.id)
    assert (over.state, over.message, over.over, over.eta_s, over.worker) == ("done", "All well.", True, None, None)
    assert over.created_at <= over.started_at <= over.finished_at  # type: ignore[operator]
    assert not jobs.report(job.id, done=21)


def test_jobs_are_claimed_in_order_each_by_one_worker(jobs: Jobs, job: Job) -> None:
    ids = [job.id] + [jobs.create("photos", "import", {}).id for _ in range(19)]
    barrier = threading.Barrier(8)

    def work(worker: int) -> list[int]:
        barrier.wait()
        mine = []
        while claimed := jobs.claim(f"worker {worker}"):
            mine.append(claimed.id)
        return mine

    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(work, range(8)))
    assert sorted(id for mine in claims for id in mine) == ids
    assert all(mine == sorted(mine) for mine in claims)


def test_dead_workers_job_is_taken_over(jobs: Jobs, job: Job, age: Callable[[int], None]) -> None:
    jobs.claim("dead")
    jobs.report(job.id, worker="dead", done=10)
    age(job.id)
    taken = jobs.claim("heir")
    assert taken is not None
    assert (taken.id, taken.worker, taken.done) == (job.id, "heir", 10)
    assert not jobs.report(job.id, worker="dead", done=11)
    jobs.finish(job.id, "fail", worker="dead")
    assert jobs.get(job.id).state == "running"


@pytest.fixture
def worker() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process, and its name as a worker."""
    code = "import sys; from tsir.jobs.workers import worker_name; print(worker_name(), flush=True); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    with process.stdin, process.stdout:
        yield process, process.stdout.readline().strip()
        process.kill()
        process.wait()


@LINUX
def test_job_of_a_process_that_died_here_is_taken_over_at_once(jobs: Jobs, job: Job, worker: tuple[subprocess.Popen[str], str]) -> None:
    process, name = worker
    jobs.claim(name)
    assert jobs.claim("heir") is None
    process.send_signal(signal.SIGSTOP)
    assert jobs.claim("heir") is None, "frozen is not dead"
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, but its parent has not asked how it ended
    taken = jobs.claim("heir")
    assert taken is not None
    assert (taken.id, taken.worker) == (job.id, "heir")
    assert not jobs.report(job.id, worker=name, done=1)


@LINUX
def test_cancelled_job_of_a_process_that_died_here_is_over_at_once(jobs: Jobs, job: Job, worker: tuple[subprocess.Popen[str], str]) -> None:
    process, name = worker
    jobs.claim(name)
    jobs.cancel(job.id)
    process.kill()
    process.wait()
    assert jobs.claim("heir") is None
    assert jobs.get(job.id).state == "cancelled"


@LINUX
def test_another_process_with_the_number_of_a_dead_one_is_not_taken_for_it(jobs: Jobs, job: Job) -> None:
    host, system, pid, start, token = worker_name().split(":")
    jobs.claim(":".join((host, system, pid, str(int(start) - 1), token)))
    taken = jobs.claim("heir")
    assert taken is not None and taken.id == job.id


@pytest.mark.parametrize("part", ["host", "boot", "namespace", "unknown"])
def test_a_worker_elsewhere_is_not_judged_by_processes_here(
    jobs: Jobs, job: Job, age: Callable[[int], None], worker: tuple[subprocess.Popen[str], str], part: str
) -> None:
    process, name = worker
    process.kill()
    process.wait()
    host, system, pid, start, token = name.split(":")
    boot, _, namespace = system.partition("/")
    elsewhere = {
        "host": (f"{host}2", system, pid, start, token),
        "boot": (host, f"{boot}2/{namespace}", pid, start, token),
        "namespace": (host, f"{boot}/{namespace}2", pid, start, token),
        "unknown": (host, "", pid, "", token),
    }
    jobs.claim(":".join(elsewhere[part]))
    assert jobs.claim("heir") is None
    age(job.id)
    assert jobs.claim("heir") is not None


def test_job_whose_claim_got_lost_on_its_way_is_given_again(jobs: Jobs, job: Job) -> None:
    jobs.claim("me")  # the database did it, but its answer never came
    assert jobs.claim("you", busy=()) is None
    again = jobs.claim("me", busy=())
    assert again is not None and again.id == job.id


def test_job_that_is_worked_on_is_not_given_to_the_same_worker_again(jobs: Jobs, job: Job, age: Callable[[int], None]) -> None:
    jobs.claim("me")
    assert jobs.claim("me", busy=[job.id]) is None
    age(job.id)  # the database was away
    assert jobs.claim("me", busy=[job.id]) is None


def test_queued_job_is_cancelled_at_once(jobs: Jobs, job: Job) -> None:
    assert jobs.cancel(job.id).state == "cancelled"
    assert jobs.claim("me") is None
    assert jobs.cancel(job.id).state == "cancelled"


def test_running_job_is_cancelled_at_its_next_sign_of_life(jobs: Jobs, job: Job) -> None:
    jobs.claim("me")
    cancelled = jobs.cancel(job.id)
    assert (cancelled.state, cancelled.cancelling) == ("running", True)
    assert not jobs.report(job.id, worker="me", done=1)
    jobs.finish(job.id, "stop", worker="me")
    assert jobs.get(job.id).cancelling is False


def test_cancelled_job_of_a_dead_worker_is_not_run_again(jobs: Jobs, job: Job, age: Callable[[int], None]) -> None:
    jobs.claim("dead")
    jobs.cancel(job.id)
    age(job.id)
    assert jobs.claim("heir") is None
    assert jobs.get(job.id).state == "cancelled"


def test_a_job_that_is_over_cannot_be_cancelled(jobs: Jobs, job: Job) -> None:
    jobs.claim("me")
    jobs.finish(job.id, "done")
    with pytest.raises(Conflict, match="over"):
        jobs.cancel(job.id)


def test_failures_are_listed_once_per_path_in_order(jobs: Jobs, job: Job) -> None:
    jobs.claim("me")
    odd = "/photos/\udcff.jpg"
    jobs.report(job.id, failed=2, failures=[JobFailure("/b.jpg", "Truncated."), JobFailure("/a.jpg", "Empty.")])
    jobs.report(job.id, failed=3, failures=[JobFailure(odd, "Bad name."), JobFailure("/a.jpg", "Still empty.")])
    failures = jobs.failures(job.id)
    assert [(failure.path, failure.reason) for failure in failures] == [
        ("/b.jpg", "Truncated."),
        ("/photos/?.jpg", "Bad name."),
        ("/a.jpg", "Still empty."),
    ]
    assert jobs.failures(job.id, limit=1, offset=1) == failures[1:2]


def test_many_failures_at_once(jobs: Jobs, job: Job) -> None:
    jobs.claim("me")
    jobs.report(job.id, failures=[JobFailure(f"/{n}.jpg", "x" * 3000) for n in range(2000)])
    assert len(jobs.failures(job.id, limit=5000)) == 2000


def test_jobs_are_listed_newest_first(library: Library, jobs: Jobs, job: Job) -> None:
    library.create("others", ENCODER)
    other = jobs.create("others", "reencode", {})
    assert [entry.id for entry in jobs.list()] == [other.id, job.id]
    assert [entry.id for entry in jobs.list(collection="photos")] == [job.id]
    assert len(jobs.list(limit=1)) == 1


def test_unknown_jobs_are_not_found(library: Library, jobs: Jobs) -> None:
    for id in (1, -1, 2**70):
        with pytest.raises(NotFound):
            jobs.get(id)
        with pytest.raises(NotFound):
            jobs.report(id, done=1)
        with pytest.raises(NotFound):
            jobs.cancel(id)
        with pytest.raises(NotFound):
            jobs.finish(id, "done")
        with pytest.raises(NotFound):
            jobs.failures(id)
    with pytest.raises(NotFound):
        jobs.create("none", "import", {})


def test_handed_back_job_is_claimed_again(jobs: Jobs, job: Job) -> None:
    jobs.claim("me")
    jobs.finish(job.id, "hand back", worker="me")
    again = jobs.claim("you")
    assert again is not None
    assert again.id == job.id


# On services other processes may still be at work: there a dead worker's job is taken over when somebody looks for work.
@pytest.mark.parametrize("settings", ["embedded"], indirect=True)
def test_interrupted_jobs_go_on_after_a_restart(library: Library, jobs: Jobs, job: Job, settings: Settings) -> None:
    cancelled = jobs.create("photos", "import", {})
    jobs.claim("me")
    jobs.claim("me")
    jobs.cancel(cancelled.id)
    library.close()
    with Library.open(settings) as reopened:
        again = Jobs(reopened.stores.catalog.database)
        assert again.requeue_orphans() == 1
        assert [entry.state for entry in again.list()] == ["cancelled", "queued"]


@pytest.mark.parametrize("event", ["hand back", "lose"])
def test_cancelled_job_does_not_come_back_however_its_worker_ends(jobs: Jobs, job: Job, event: Event) -> None:
    jobs.claim("me")
    jobs.cancel(job.id)
    jobs.finish(job.id, event, worker="me")
    assert jobs.get(job.id).state == "cancelled"
    assert jobs.claim("you") is None


def at(jobs: Jobs, phase: Phase) -> Job:
    """A job in a phase, brought there by what leads to it."""
    job = jobs.create("photos", "import", {})
    steps: dict[Phase, tuple[Event, ...]] = {"cancelling": ("claim", "cancel"), "queued": (), "running": ("claim",)}
    for step in steps.get(phase, ("claim", {"done": "done", "failed": "fail", "cancelled": "stop"}.get(phase, "claim"))):
        if step == "claim":
            jobs.claim("me")
        elif step == "cancel":
            jobs.cancel(job.id)
        else:
            jobs.finish(job.id, step)  # type: ignore[arg-type]
    return jobs.get(job.id)


@pytest.mark.parametrize("phase", ["queued", "running", "cancelling", "done", "failed", "cancelled"])
@pytest.mark.parametrize("event", ["done", "fail", "stop", "hand back", "lose"])
def test_an_event_does_what_the_table_says_and_nothing_to_other_phases(library: Library, jobs: Jobs, phase: Phase, event: Event) -> None:
    library.create("photos", ENCODER)
    before = at(jobs, phase)
    after = jobs.finish(before.id, event)
    expected = TRANSITIONS[event].get(phase, phase)
    assert ("cancelling" if after.cancelling else after.state) == expected
    assert after.over == (after.finished_at is not None)
    assert after.state == "running" or after.worker is None


def test_progress_of_a_collection_that_was_dropped_is_still_recorded(library: Library, jobs: Jobs, job: Job) -> None:
    jobs.claim("me")
    library.drop("photos", also=jobs.cancel_all("photos"))
    assert not jobs.report(job.id, worker="me", done=1)  # its worker is to stop
    jobs.finish(job.id, "fail", "There is no collection 'photos'.")
    ended = jobs.get(job.id)
    assert (ended.collection, ended.done, ended.state) == ("photos", 1, "failed")
