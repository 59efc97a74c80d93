"""What happens to a job from claim to end: progress, cancel, stop, kill, and stores that are away or say no."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.jobs.toys import COUNT, KINDS, Counter, CountSpec, count, until
from tests.library.conftest import ENCODER
from tsir.errors import Conflict, NotFound, StoreRefused, StoreUnavailable
from tsir.jobs.kinds import Again, Kinds, Work
from tsir.jobs.model import JobFailure
from tsir.jobs.runner import JobRunner
from tsir.jobs.store import Jobs
from tsir.library.library import Library
from tsir.settings import Settings

NAME = "photos"

MakeRunner = Callable[..., JobRunner]


@pytest.fixture
def counter() -> Counter:
    return Counter()


@pytest.fixture
def make_runner(library: Library, jobs: Jobs, counter: Counter) -> Iterator[MakeRunner]:
    """Runners on one library: several of them are several workers."""
    library.create(NAME, ENCODER)
    made: list[JobRunner] = []

    def make(kinds: Kinds[Counter] = KINDS) -> JobRunner:
        made.append(JobRunner(Jobs(library.stores.catalog.database), kinds, counter))
        return made[-1]

    yield make
    counter.turn()
    for runner in made:
        runner.stop(30)


@pytest.fixture
def runner(make_runner: MakeRunner) -> JobRunner:
    runner = make_runner()
    runner.start()
    return runner


def test_job_counts_to_its_end_and_says_so(runner: JobRunner, jobs: Jobs, counter: Counter) -> None:
    job = runner.submit(NAME, COUNT, CountSpec(upto=3))
    counter.turn(2)
    until(lambda: jobs.get(job.id).done == 2)
    assert (jobs.get(job.id).state, jobs.get(job.id).total, jobs.get(job.id).worker) == ("running", 3, runner.worker)
    counter.turn()
    ended = runner.wait(job.id, 60)
    assert (ended.state, ended.done, ended.message, ended.worker) == ("done", 3, "Counted to 3.", None)
    until(lambda: counter.said == ["done"])


def test_handed_back_job_goes_on_where_it_was(make_runner: MakeRunner, jobs: Jobs, counter: Counter) -> None:
    first = make_runner()
    first.start()
    job = first.submit(NAME, COUNT, CountSpec(upto=5))
    counter.turn(2)
    until(lambda: jobs.get(job.id).done == 2)
    first.stop(30)
    assert jobs.get(job.id).state == "queued"
    assert counter.said == [], "its end is yet to come"
    assert counter.closed
    counter.turn()
    assert make_runner().run_now(job).done == 5


def test_cancelled_job_stops_at_once_though_its_gate_is_closed(runner: JobRunner, jobs: Jobs, counter: Counter) -> None:
    job = runner.submit(NAME, COUNT, CountSpec(upto=5))
    counter.turn(2)
    until(lambda: jobs.get(job.id).done == 2)
    runner.cancel(job.id)
    ended = runner.wait(job.id, 60)
    assert (ended.state, ended.done, ended.cancelling) == ("cancelled", 2, False)
    until(lambda: counter.said == ["cancelled"])
    assert runner.cancel(job.id).state == "cancelled"


def test_a_job_that_is_over_cannot_be_cancelled(runner: JobRunner, counter: Counter) -> None:
    counter.turn()
    job = runner.wait(runner.submit(NAME, COUNT, CountSpec(upto=1)).id, 60)
    with pytest.raises(Conflict):
        runner.cancel(job.id)
    with pytest.raises(NotFound):
        runner.cancel(job.id + 1)


def test_cancelled_job_stays_cancelled_when_its_runner_is_stopped_at_once(make_runner: MakeRunner, jobs: Jobs, counter: Counter) -> None:
    first = make_runner()
    first.start()
    job = first.submit(NAME, COUNT, CountSpec(upto=5))
    counter.turn(2)
    until(lambda: jobs.get(job.id).done == 2)
    jobs.cancel(job.id)  # from elsewhere: the runner does not know yet
    first.stop(30)
    assert jobs.get(job.id).state == "cancelled"
    assert counter.said == ["cancelled"]
    counter.turn()
    second = make_runner()
    second.start()
    assert second.run_now(second.submit(NAME, COUNT, CountSpec(upto=1))).state == "done"
    assert (jobs.get(job.id).state, jobs.get(job.id).done) == ("cancelled", 2)


def test_cancel_and_stop_together_cancel(make_runner: MakeRunner, jobs: Jobs, counter: Counter) -> None:
    first = make_runner()
    first.start()
    job = first.submit(NAME, COUNT, CountSpec(upto=5))
    until(lambda: jobs.get(job.id).total == 5)
    first.cancel(job.id)
    first.stop(30)
    assert jobs.get(job.id).state == "cancelled"


def start_child(settings: Settings, folder: Path) -> subprocess.Popen[str]:
    """Another process that has counted to two, and waits."""
    values = settings.model_dump(mode="json", exclude_none=True)
    if settings.database_url is not None:
        values["database_url"] = settings.database_url.get_secret_value()
    path = folder / "settings.json"
    path.write_text(json.dumps(values))
    command = [sys.executable, "-m", "tests.jobs.toys", str(path), NAME]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def ask(process: subprocess.Popen[str], what: str) -> int:
    """Returns the number of its job once it has done that."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{what}\n")
    process.stdin.flush()
    return int(process.stdout.readline())


@pytest.mark.parametrize("cancelled", [True, False])
def test_job_of_a_killed_process_goes_on_unless_it_was_cancelled(settings: Settings, tmp_path: Path, cancelled: bool) -> None:
    with Library.open(settings) as library:
        library.create(NAME, ENCODER)
    process = start_child(settings, tmp_path)
    with process:
        id = ask(process, "cancel" if cancelled else "nothing")
        process.send_signal(signal.SIGKILL)
    counter = Counter()
    counter.turn()
    with Library.open(settings) as library:
        jobs = Jobs(library.stores.catalog.database)
        if library.stores.exclusive:
            jobs.requeue_orphans()  # as whoever opens a library that no other process can have
        runner = JobRunner(jobs, KINDS, counter)
        ended = runner.run_now(jobs.get(id)) if not cancelled else runner.run_now(runner.submit(NAME, COUNT, CountSpec(upto=1)))
        runner.stop(30)
        assert ended.state == "done"
        assert (jobs.get(id).state, jobs.get(id).done) == (("cancelled", 2) if cancelled else ("done", 5))


def test_store_that_is_away_is_waited_for(runner: JobRunner, jobs: Jobs, counter: Counter) -> None:
    def away() -> None:
        raise StoreUnavailable("Milvus does not answer.")

    counter.before = away
    job = runner.submit(NAME, COUNT, CountSpec(upto=3))
    counter.turn()
    until(lambda: jobs.get(job.id).message == "Milvus does not answer.")
    assert jobs.get(job.id).state == "running"
    counter.before = lambda: None
    ended = runner.wait(job.id, 60)
    assert (ended.state, ended.message) == ("done", "Counted to 3.")


def test_store_that_refuses_fails_the_job_with_its_sentence(runner: JobRunner, counter: Counter) -> None:
    def refuse() -> None:
        raise StoreRefused("Milvus refuses what it was asked: it knows no field 'colour'.")

    counter.before = refuse
    counter.turn()
    ended = runner.wait(runner.submit(NAME, COUNT, CountSpec(upto=3)).id, 60)
    assert (ended.state, ended.message) == ("failed", "Milvus refuses what it was asked: it knows no field 'colour'.")
    until(lambda: counter.said == ["failed"])


class Refusing(Jobs):
    """A catalog that takes no list of failures."""

    def report(self, id: int, **values: object) -> bool:  # type: ignore[override]
        if values.get("failures"):
            raise StoreRefused("The catalog refuses what it was asked: the disk is read-only.")
        return super().report(id, **values)  # type: ignore[arg-type]


def test_progress_that_the_catalog_refuses_fails_the_job(library: Library, counter: Counter) -> None:
    library.create(NAME, ENCODER)
    runner = JobRunner(Refusing(library.stores.catalog.database), KINDS, counter)
    runner.start()
    job = runner.submit(NAME, COUNT, CountSpec(upto=3, trouble="Broken."))
    ended = runner.wait(job.id, 60)
    runner.stop(30)
    counter.turn()
    assert (ended.state, ended.message) == ("failed", "The catalog refuses what it was asked: the disk is read-only.")


def test_failures_are_told(runner: JobRunner, jobs: Jobs, counter: Counter) -> None:
    counter.turn()
    ended = runner.wait(runner.submit(NAME, COUNT, CountSpec(upto=1, trouble="Broken.")).id, 60)
    assert (ended.state, ended.failed, ended.total) == ("done", 1, 2)
    assert jobs.failures(ended.id) == [JobFailure("step 0", "Broken.")]


def test_job_of_an_unknown_kind_fails_with_a_sentence(runner: JobRunner, jobs: Jobs) -> None:
    newer = runner.wait(jobs.create(NAME, "dream", {"of": "sheep"}).id, 60)
    assert newer.state == "failed"
    assert "'dream'" in (newer.message or "") and "newer" in (newer.message or "")
    other = runner.wait(jobs.create(NAME, "count", {"upto": 3, "by": 2}).id, 60)
    assert other.state == "failed"
    assert "by" in (other.message or "")


def test_unexpected_error_fails_the_job(make_runner: MakeRunner) -> None:
    def stumble(work: Work[CountSpec], counter: Counter) -> None:
        raise RuntimeError("out of graphics memory")

    kind = replace(COUNT, run=stumble)
    runner = make_runner(Kinds((kind,)))
    ended = runner.run_now(runner.submit(NAME, kind, CountSpec(upto=1)))
    assert ended.state == "failed"
    assert "out of graphics memory" in (ended.message or "")


def test_job_that_asks_for_it_is_taken_up_again(make_runner: MakeRunner, counter: Counter) -> None:
    tries: list[int] = []

    def again(work: Work[CountSpec], counter: Counter) -> str | None:
        tries.append(work.job.id)
        if len(tries) == 1:
            raise Again
        return count(work, counter)

    counter.turn()
    kind = replace(COUNT, run=again)
    runner = make_runner(Kinds((kind,)))
    job = runner.run_now(runner.submit(NAME, kind, CountSpec(upto=2)))
    assert (job.state, tries) == ("done", [job.id] * 2)


def test_the_same_work_is_queued_once_where_asked(runner: JobRunner, counter: Counter) -> None:
    first = runner.submit(NAME, COUNT, CountSpec(upto=2), once=True)
    assert runner.submit(NAME, COUNT, CountSpec(upto=2), once=True).id == first.id
    assert runner.submit(NAME, COUNT, CountSpec(upto=3), once=True).id != first.id
    assert runner.submit(NAME, COUNT, CountSpec(upto=2)).id != first.id
    counter.turn()
    runner.wait(first.id, 60)
    assert runner.submit(NAME, COUNT, CountSpec(upto=2), once=True).id != first.id


def test_job_for_this_process_is_not_left_to_others(make_runner: MakeRunner, counter: Counter) -> None:
    mine, other = make_runner(), make_runner()
    other.start()
    job = mine.submit(NAME, COUNT, CountSpec(upto=2), here=True)
    assert job.worker == mine.worker
    counter.turn()
    assert mine.run_now(job).done == 2


def test_dropped_collections_job_is_cancelled_though_another_has_the_name(
    library: Library, runner: JobRunner, jobs: Jobs, counter: Counter
) -> None:
    job = runner.submit(NAME, COUNT, CountSpec(upto=2))
    until(lambda: jobs.get(job.id).total == 2)
    library.drop(NAME, also=jobs.cancel_all(NAME))
    library.create(NAME, ENCODER)
    assert runner.wait(job.id, 60).state == "cancelled"


def test_work_that_nobody_does_cannot_be_asked_for(runner: JobRunner) -> None:
    with pytest.raises(NotFound, match="photos"):
        runner.submit("nothing", COUNT, CountSpec(upto=1))
    with pytest.raises(ValueError, match="other"):
        runner.submit(NAME, replace(COUNT, name="other"), CountSpec(upto=1))
