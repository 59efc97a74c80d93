"""Jobs: claimed once, cancelled, taken over, and never forgotten."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.library.conftest import ENCODER
from tsir.errors import Conflict, NotFound
from tsir.jobs.workers import worker_name
from tsir.library.library import Library
from tsir.records import Job, JobFailure
from tsir.settings import Settings
from tsir.storage.sql import catalog

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only the minute without a sign of life tells")


@pytest.fixture
def job(library: Library) -> Job:
    library.create_collection("photos", ENCODER)
    return library.create_job("photos", "import", {"path": "/photos/中文", "n": [1, None]})


def age(library: Library, id: int) -> None:
    """Let two minutes pass without a sign of life."""
    library.catalog.write(
        lambda connection: connection.execute(
            catalog.jobs.update().where(catalog.jobs.c.id == id).values(heartbeat=library.catalog._now(connection) - timedelta(minutes=2))
        )
    )


def test_job_runs_from_queue_to_done(library: Library, job: Job) -> None:
    assert (job.state, job.spec, job.total, job.eta_s, job.over) == ("queued", {"path": "/photos/中文", "n": [1, None]}, None, None, False)
    claimed = library.claim_job("me")
    assert claimed is not None
    assert (claimed.id, claimed.state, claimed.worker) == (job.id, "running", "me")
    assert library.claim_job("you") is None
    assert library.update_job(job.id, worker="me", total=100, done=20, skipped=5, rate=7.5)
    running = library.job(job.id)
    assert (running.done, running.skipped, running.failed, running.eta_s) == (20, 5, 0, pytest.approx(10))
    library.finish_job(job.id, "done", "All well.", worker="me")
    over = library.job(job.id)
    assert (over.state, over.message, over.over, over.eta_s, over.worker) == ("done", "All well.", True, None, None)
    assert over.created_at <= over.started_at <= over.finished_at  # type: ignore[operator]
    assert not library.update_job(job.id, done=21)


def test_jobs_are_claimed_in_order_each_by_one_worker(library: Library, job: Job) -> None:
    ids = [job.id] + [library.create_job("photos", "import", {}).id for _ in range(19)]
    barrier = threading.Barrier(8)

    def work(worker: int) -> list[int]:
        barrier.wait()
        mine = []
        while claimed := library.claim_job(f"worker {worker}"):
            mine.append(claimed.id)
        return mine

    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(work, range(8)))
    assert sorted(id for mine in claims for id in mine) == ids
    assert all(mine == sorted(mine) for mine in claims)


def test_dead_workers_job_is_taken_over(library: Library, job: Job) -> None:
    library.claim_job("dead")
    library.update_job(job.id, worker="dead", done=10)
    age(library, job.id)
    taken = library.claim_job("heir")
    assert taken is not None
    assert (taken.id, taken.worker, taken.done) == (job.id, "heir", 10)
    assert not library.update_job(job.id, worker="dead", done=11)
    library.finish_job(job.id, "failed", worker="dead")
    assert library.job(job.id).state == "running"


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
def test_job_of_a_process_that_died_here_is_taken_over_at_once(
    library: Library, job: Job, worker: tuple[subprocess.Popen[str], str]
) -> None:
    process, name = worker
    library.claim_job(name)
    assert library.claim_job("heir") is None
    process.send_signal(signal.SIGSTOP)
    assert library.claim_job("heir") is None, "frozen is not dead"
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, but its parent has not asked how it ended
    taken = library.claim_job("heir")
    assert taken is not None
    assert (taken.id, taken.worker) == (job.id, "heir")
    assert not library.update_job(job.id, worker=name, done=1)


@LINUX
def test_cancelled_job_of_a_process_that_died_here_is_over_at_once(
    library: Library, job: Job, worker: tuple[subprocess.Popen[str], str]
) -> None:
    process, name = worker
    library.claim_job(name)
    library.cancel_job(job.id)
    process.kill()
    process.wait()
    assert library.claim_job("heir") is None
    assert library.job(job.id).state == "cancelled"


@LINUX
def test_another_process_with_the_number_of_a_dead_one_is_not_taken_for_it(library: Library, job: Job) -> None:
    host, system, pid, start, token = worker_name().split(":")
    library.claim_job(":".join((host, system, pid, str(int(start) - 1), token)))
    taken = library.claim_job("heir")
    assert taken is not None and taken.id == job.id


@pytest.mark.parametrize("part", ["host", "boot", "namespace", "unknown"])
def test_a_worker_elsewhere_is_not_judged_by_processes_here(
    library: Library, job: Job, worker: tuple[subprocess.Popen[str], str], part: str
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
    library.claim_job(":".join(elsewhere[part]))
    assert library.claim_job("heir") is None
    age(library, job.id)
    assert library.claim_job("heir") is not None


def test_job_whose_claim_got_lost_on_its_way_is_given_again(library: Library, job: Job) -> None:
    library.claim_job("me")  # the database did it, but its answer never came
    assert library.claim_job("you", busy=()) is None
    again = library.claim_job("me", busy=())
    assert again is not None and again.id == job.id


def test_job_that_is_worked_on_is_not_given_to_the_same_worker_again(library: Library, job: Job) -> None:
    library.claim_job("me")
    assert library.claim_job("me", busy=[job.id]) is None
    age(library, job.id)  # the database was away
    assert library.claim_job("me", busy=[job.id]) is None


def test_queued_job_is_cancelled_at_once(library: Library, job: Job) -> None:
    assert library.cancel_job(job.id).state == "cancelled"
    assert library.claim_job("me") is None
    assert library.cancel_job(job.id).state == "cancelled"


def test_running_job_is_cancelled_at_its_next_sign_of_life(library: Library, job: Job) -> None:
    library.claim_job("me")
    cancelled = library.cancel_job(job.id)
    assert (cancelled.state, cancelled.cancelling) == ("running", True)
    assert not library.update_job(job.id, worker="me", done=1)
    library.finish_job(job.id, "cancelled", worker="me")
    assert library.job(job.id).cancelling is False


def test_cancelled_job_of_a_dead_worker_is_not_run_again(library: Library, job: Job) -> None:
    library.claim_job("dead")
    library.cancel_job(job.id)
    age(library, job.id)
    assert library.claim_job("heir") is None
    assert library.job(job.id).state == "cancelled"


def test_a_job_that_is_over_cannot_be_cancelled(library: Library, job: Job) -> None:
    library.claim_job("me")
    library.finish_job(job.id, "done")
    with pytest.raises(Conflict, match="over"):
        library.cancel_job(job.id)


def test_failures_are_listed_once_per_path_in_order(library: Library, job: Job) -> None:
    library.claim_job("me")
    odd = "/photos/\udcff.jpg"
    library.update_job(job.id, failed=2, failures=[JobFailure("/b.jpg", "Truncated."), JobFailure("/a.jpg", "Empty.")])
    library.update_job(job.id, failed=3, failures=[JobFailure(odd, "Bad name."), JobFailure("/a.jpg", "Still empty.")])
    failures = library.job_failures(job.id)
    assert [(failure.path, failure.reason) for failure in failures] == [
        ("/b.jpg", "Truncated."),
        ("/photos/?.jpg", "Bad name."),
        ("/a.jpg", "Still empty."),
    ]
    assert library.job_failures(job.id, limit=1, offset=1) == failures[1:2]


def test_many_failures_at_once(library: Library, job: Job) -> None:
    library.claim_job("me")
    library.update_job(job.id, failures=[JobFailure(f"/{n}.jpg", "x" * 3000) for n in range(2000)])
    assert len(library.job_failures(job.id, limit=5000)) == 2000


def test_jobs_are_listed_newest_first(library: Library, job: Job) -> None:
    library.create_collection("others", ENCODER)
    other = library.create_job("others", "reencode", {})
    assert [entry.id for entry in library.list_jobs()] == [other.id, job.id]
    assert [entry.id for entry in library.list_jobs(collection="photos")] == [job.id]
    assert len(library.list_jobs(limit=1)) == 1


def test_unknown_jobs_are_not_found(library: Library) -> None:
    for id in (1, -1, 2**70):
        with pytest.raises(NotFound):
            library.job(id)
        with pytest.raises(NotFound):
            library.update_job(id, done=1)
        with pytest.raises(NotFound):
            library.cancel_job(id)
        with pytest.raises(NotFound):
            library.finish_job(id, "done")
        with pytest.raises(NotFound):
            library.job_failures(id)
    with pytest.raises(NotFound):
        library.create_job("none", "import", {})


def test_handed_back_job_is_claimed_again(library: Library, job: Job) -> None:
    library.claim_job("me")
    library.finish_job(job.id, "queued", worker="me")
    again = library.claim_job("you")
    assert again is not None
    assert again.id == job.id


# On services other processes may still be at work: there a dead worker's job is taken over when somebody looks for work.
@pytest.mark.parametrize("settings", ["embedded"], indirect=True)
def test_interrupted_jobs_go_on_after_a_restart(library: Library, job: Job, settings: Settings) -> None:
    cancelled = library.create_job("photos", "import", {})
    library.claim_job("me")
    library.claim_job("me")
    library.cancel_job(cancelled.id)
    library.close()
    with Library.open(settings) as reopened:
        assert [entry.state for entry in reopened.list_jobs()] == ["cancelled", "queued"]


def test_progress_of_a_collection_that_was_dropped_is_still_recorded(library: Library, job: Job) -> None:
    library.claim_job("me")
    library.drop_collection("photos")
    assert not library.update_job(job.id, worker="me", done=1)  # its worker is to stop
    library.finish_job(job.id, "failed", "There is no collection 'photos'.")
    ended = library.job(job.id)
    assert (ended.collection, ended.done, ended.state) == ("photos", 1, "failed")
