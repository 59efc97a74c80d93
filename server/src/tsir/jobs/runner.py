"""Runs jobs in this process: they live in the catalog, survive restarts and outages, and several run side by side."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tsir.errors import NotFound, StoreUnavailable, TsirError
from tsir.jobs.kinds import Again, Kind, Kinds, S, T, Work
from tsir.jobs.line import FIRST_WAIT_S, LONGEST_WAIT_S, Line, Stopped
from tsir.jobs.model import Event, Job, JobState
from tsir.jobs.progress import Progress
from tsir.jobs.store import Jobs
from tsir.jobs.workers import worker_name

log = logging.getLogger(__name__)

MAX_RUNNING = 8
"""Jobs of one process at a time. They share decoders and encoder, so more would only hold memory."""
POLL_S = 2.0
"""How often an idle worker looks for jobs that others queued or lost."""
REPORT_S = 0.3
"""Between two reports of progress."""
HEARTBEAT_S = 0.9
"""Between two signs of life when nothing moved; also how soon a cancel from elsewhere is seen."""


@dataclass
class _Running:
    job: Job
    line: Line = field(default_factory=Line)
    thread: threading.Thread | None = None
    refused: TsirError | None = None
    """Why the catalog does not take the job's progress."""


class JobRunner:
    """Claims jobs, runs them, and tells the catalog how they go. Safe to use from many threads."""

    def __init__(self, jobs: Jobs, kinds: Kinds[T], tools: T) -> None:
        """`tools` is what the kinds work with; it is closed by `stop`."""
        self.worker = worker_name()
        self.jobs = jobs
        self.kinds: Kinds[Any] = kinds
        self._tools: Any = tools
        self._running: dict[int, _Running] = {}
        self._lock = threading.Lock()
        self._claiming = threading.Lock()
        """Held until a job that is this worker's in the catalog is also among the running ones."""
        self._wake = threading.Event()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._dispatcher: threading.Thread | None = None

    # Asking for work

    def submit(self, collection: str, kind: Kind[S, Any], spec: S, *, here: bool = False, once: bool = False) -> Job:
        """Queue work on a collection. Raises NotFound when there is no such collection.

        With `here` this process starts at once: for what other workers may not see. With `once` returns the job that is at the very same
        work already, if there is one.
        """
        if kind not in self.kinds:
            raise ValueError(f"Jobs of the kind {kind.name!r} are not run here.")
        stored = spec.model_dump(mode="json", exclude_defaults=True)  # the same work whichever version queued it
        for job in self.jobs.list(100, collection) if once else ():
            if (job.kind, dict(job.spec)) == (kind.name, stored) and not job.over and not job.cancelling:
                return job
        if here:
            with self._claiming:
                job = self.jobs.create(collection, kind.name, stored, worker=self.worker)
                self._launch(job)
        else:
            job = self.jobs.create(collection, kind.name, stored)
        self._wake.set()
        return job

    def seen(self, job: Job) -> Job:
        """The job with what it waits for, if it runs here and waits: a catalog on a full disk cannot note that."""
        with self._lock:
            running = self._running.get(job.id)
        if running is None or not running.line.waiting_for or job.state != "running":
            return job
        return replace(job, message=running.line.waiting_for)

    def cancel(self, id: int) -> Job:
        """Cancel a job; one that runs in this process stops at once. Raises NotFound, and Conflict when it is over."""
        job = self.jobs.cancel(id)
        with self._lock:
            running = self._running.get(id)
        if running is not None:
            running.line.stop()
        return job

    def wait(self, id: int, timeout: float | None = None, on_progress: Callable[[Job], None] | None = None) -> Job:
        """Wait until a job is over, or `timeout` seconds; returns it as it is then."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            job = self.seen(self.jobs.get(id))
            if on_progress is not None:
                on_progress(job)
            left = REPORT_S if deadline is None else min(REPORT_S, deadline - time.monotonic())
            if job.over or left <= 0:
                return job
            with self._changed:
                self._changed.wait(left)

    def run_now(self, job: Job, on_progress: Callable[[Job], None] | None = None) -> Job:
        """Wait for a job; start to take jobs, unless this process works on it already. For the command line."""
        with self._lock:
            mine = job.id in self._running
        if not mine:  # another process may be at it, but if it died, the job falls to us
            self.start()
        return self.wait(job.id, on_progress=on_progress)

    # Working

    def start(self) -> None:
        """Begin to take jobs, also those that an earlier process left. Idempotent."""
        with self._lock:
            if self._dispatcher is None and not self._stopping.is_set():
                # A program that ends without `stop` is not held up by what only waits for more to do.
                self._dispatcher = threading.Thread(target=self._dispatch, name="jobs", daemon=True)
                self._dispatcher.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Hand running jobs back to the queue, where the next start finds them, and end all threads. For good.

        Those that were cancelled before do not come back, also when they did not notice in time.
        """
        self._stopping.set()
        self._wake.set()
        with self._lock:
            running = list(self._running.values())
        for entry in running:
            entry.line.stop()
        deadline = time.monotonic() + timeout
        for thread in (self._dispatcher, *(entry.thread for entry in running)):
            if thread is not None and thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        self._tools.close()

    def _dispatch(self) -> None:
        wait = POLL_S
        while not self._stopping.is_set():
            self._wake.clear()
            job = None
            with self._lock:
                full = len(self._running) >= MAX_RUNNING
            if not full:
                try:
                    job = self._claim()
                    wait = POLL_S
                except StoreUnavailable:
                    wait = min(wait * 1.5, LONGEST_WAIT_S)
                except Exception:
                    log.exception("Looking for jobs failed.")
                    wait = LONGEST_WAIT_S
            if job is None:
                self._wake.wait(wait)

    def _claim(self) -> Job | None:
        with self._claiming:
            with self._lock:
                busy = list(self._running)
            job = self.jobs.claim(self.worker, busy)
            if job is not None:
                self._launch(job)
        return job

    def _launch(self, job: Job) -> None:
        entry = _Running(job)
        entry.thread = threading.Thread(target=self._work, args=(entry,), name=f"job-{job.id}")
        with self._lock:
            self._running[job.id] = entry
        entry.thread.start()
        if self._stopping.is_set():
            entry.line.stop()

    def _work(self, entry: _Running) -> None:
        """One job from claim to end, in its thread."""
        job, line = entry.job, entry.line
        progress = Progress(resumed=job.done)
        over = threading.Event()
        reporter = threading.Thread(target=self._report, args=(entry, progress, over), name=f"job-{job.id}-report")
        reporter.start()
        endings: Sequence[Callable[[JobState], None]] = ()
        event: Event = "done"
        message: str | None = None
        try:
            with line:
                kind, spec = self.kinds.read(job)
                work: Work[Any] = Work(job, spec, line, progress, lambda: self._tell(job, progress))
                endings = work.endings
                message = kind.run(work, self._tools)
        except Stopped:
            if entry.refused is not None:
                event, message = "fail", str(entry.refused)
            else:
                event = "hand back" if self._stopping.is_set() else "stop"
        except Again:
            event = "hand back"
        except TsirError as error:
            event, message = "fail", str(error)
        except Exception as error:
            log.exception("Job %d failed.", job.id)
            event, message = "fail", f"The job stopped at an unexpected error: {type(error).__name__}: {error}"
        over.set()
        reporter.join()
        try:
            ended = self._finish(job, progress, event, message)
            if ended is not None and ended.over:
                for ending in endings:
                    ending(ended.state)
        finally:
            with self._lock:
                if self._running.get(job.id) is entry:  # handed back, it may be taken up again already
                    del self._running[job.id]
            self._wake.set()
            with self._changed:
                self._changed.notify_all()

    def _report(self, entry: _Running, progress: Progress, over: threading.Event) -> None:
        """Tell the catalog how far the job is, until it is over; learn from it whether to stop."""
        job, line = entry.job, entry.line
        last: tuple[object, ...] = ()
        told, waited = 0.0, None
        while not over.wait(REPORT_S):
            now = (progress.total, progress.done, progress.skipped, progress.failed, line.waiting_for)
            if now == last and time.monotonic() - told < HEARTBEAT_S:
                continue
            try:
                message = None if line.waiting_for is None and waited is None else line.waiting_for or ""
                if not self._tell(job, progress, message):
                    line.stop()
                waited = message or None
                last, told = now, time.monotonic()
            except StoreUnavailable:
                pass  # the stages wait for it, too
            except TsirError as error:
                log.warning("Job %d: %s", job.id, error)
                entry.refused = error
                line.stop()

    def _tell(self, job: Job, progress: Progress, message: str | None = None) -> bool:
        failures = progress.take_failures()
        total, done, skipped, failed = progress.counts()
        try:
            go_on = self.jobs.report(
                job.id,
                worker=self.worker,
                total=total,
                done=done,
                skipped=skipped,
                failed=failed,
                rate=progress.rate(),
                message=message,
                failures=failures,
            )
        except BaseException:
            progress.give_back(failures)
            raise
        with self._changed:
            self._changed.notify_all()
        return go_on

    def _finish(self, job: Job, progress: Progress, event: Event, message: str | None) -> Job | None:
        """Write the last counts and the end; waits for the stores unless the process has to end. Returns the job if that was written."""
        if event == "done":
            progress.total = progress.done + progress.skipped + progress.failed
        wait = FIRST_WAIT_S
        counts = True
        while True:
            try:
                if counts:
                    self._tell(job, progress)
                return self.jobs.finish(job.id, event, message, worker=self.worker)
            except StoreUnavailable:  # noqa: PERF203
                if self._stopping.wait(wait):
                    return None
                wait = min(wait * 2, LONGEST_WAIT_S)
            except NotFound as error:
                log.warning("Job %d: %s", job.id, error)
                return None
            except TsirError as error:
                log.warning("Job %d: %s", job.id, error)
                if not counts:
                    return None
                counts, event, message = False, "fail", str(error)  # at least that should be known
