"""Imports and re-encodings as jobs: they live in the catalog, survive restarts and outages, and several run side by side."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tsir.encoders.base import Encoder
from tsir.errors import EncoderMismatch, InvalidInput, StoreUnavailable, TsirError
from tsir.importing import archives, sources
from tsir.importing.pipeline import Import, Progress, Workshop
from tsir.importing.reencode import reencode
from tsir.importing.scan import Batch, count, printable, scan
from tsir.importing.urls import IPAddress, is_public
from tsir.jobs.line import FIRST_WAIT_S, LONGEST_WAIT_S, Line, Stopped
from tsir.jobs.workers import worker_name
from tsir.library.library import Library
from tsir.records import Collection, Job, JobKind, JobState
from tsir.settings import Settings

log = logging.getLogger(__name__)

MAX_RUNNING = 8
"""Jobs of one process at a time. They share decoders and encoder, so more would only hold memory."""
POLL_S = 2.0
"""How often an idle worker looks for jobs that others queued or lost."""
REPORT_S = 0.3
"""Between two reports of progress."""
HEARTBEAT_S = 0.9
"""Between two signs of life when nothing moved; also how soon a cancel from elsewhere is seen."""


class _Again(Exception):
    """The job must be taken up anew, from its beginning."""


@dataclass
class _Running:
    job: Job
    line: Line = field(default_factory=Line)
    thread: threading.Thread | None = None


class JobRunner:
    """Runs the jobs of a library in this process. Safe to use from many threads.

    `encoders` gives the encoder of a name, as `Encoder.name` and MODEL call it; it may raise EncoderUnavailable. `allowed` decides which
    addresses pictures may be fetched from (other than the public ones: for tests).
    """

    def __init__(
        self,
        library: Library,
        encoders: Callable[[str], Encoder],
        settings: Settings,
        *,
        allowed: Callable[[IPAddress], bool] = is_public,
    ) -> None:
        self.worker = worker_name()
        self._library = library
        self._encoders = encoders
        self._settings = settings
        self._allowed = allowed
        self._workshop = Workshop(settings)
        self._running: dict[int, _Running] = {}
        self._lock = threading.Lock()
        self._claiming = threading.Lock()
        """Held until a job that is this worker's in the catalog is also among the running ones."""
        self._wake = threading.Event()
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._dispatcher: threading.Thread | None = None

    # Asking for work

    def submit_folder(self, name: str, path: Path, *, here: bool = False) -> Job:
        """Import a folder of this server; pictures that vanished from it are forgotten at the end.

        Returns the job that is at it already, if there is one. Whether the folder may be imported is for the caller to check
        (`Files.resolve_import_folder`). With `here` this process starts at once: for folders that other workers may not see.
        """
        folder = str(path)
        if printable(folder) != folder:
            raise InvalidInput("The folder's name is not valid Unicode (UTF-8): rename it.")
        for job in self._library.list_jobs(100, name):
            if job.spec.get("folder") == folder and not job.over and not job.cancelling:
                return job
        return self._submit(name, {"folder": folder}, here=here)

    def submit_files(self, name: str, paths: Sequence[Path], names: Sequence[str] | None = None) -> Job:
        """Import files: pictures and zips of pictures. `names` is what their owner calls them, for the list of failures.

        Uploaded files (`Files.save_upload`, `archives.save_archive`) belong to the job from now on: what turns out to be no picture, and
        zips when they are unpacked, are deleted.
        """
        if not paths:
            raise InvalidInput("Nothing to import: give at least one file.")
        names = [printable(name) for name in names] if names is not None else [printable(str(path)) for path in paths]
        return self._submit(name, {"files": [[str(path), label] for path, label in zip(paths, names, strict=True)]})

    def submit_urls(self, name: str, urls: Sequence[str]) -> Job:
        """Fetch pictures from the web and import them."""
        addresses = list(dict.fromkeys(url.strip() for url in urls if url.strip()))
        if not addresses:
            raise InvalidInput("Nothing to import: give at least one URL.")
        return self._submit(name, {"urls": addresses})

    def submit_reencode(self, name: str, encoder: str) -> Job:
        """Encode a collection anew with the encoder of that name; the old vectors serve until all new ones are there."""
        for job in self._library.list_jobs(100, name):
            if job.kind == "reencode" and job.spec.get("encoder") == encoder and not job.over and not job.cancelling:
                return job
        return self._submit(name, {"encoder": encoder}, reencode=True)

    def _submit(self, name: str, spec: dict[str, object], *, reencode: bool = False, here: bool = False) -> Job:
        kind: JobKind = "reencode" if reencode else "import"
        if here:
            with self._claiming:
                job = self._library.create_job(name, kind, spec, worker=self.worker)
                self._launch(job)
        else:
            job = self._library.create_job(name, kind, spec)
        self._wake.set()
        return job

    def cancel(self, id: int) -> Job:
        """Cancel a job; one that runs in this process stops at once. Raises NotFound, and Conflict when it is over."""
        job = self._library.cancel_job(id)
        with self._lock:
            running = self._running.get(id)
        if running is not None:
            running.line.stop()
        return job

    def wait(self, id: int, timeout: float | None = None, on_progress: Callable[[Job], None] | None = None) -> Job:
        """Wait until a job is over, or `timeout` seconds; returns it as it is then."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            job = self._library.job(id)
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
                self._dispatcher = threading.Thread(target=self._dispatch, name="jobs")
                self._dispatcher.start()

    def stop(self, timeout: float = 10.0) -> None:
        """Hand running jobs back to the queue, where the next start finds them, and end all threads. For good."""
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
        self._workshop.close()

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
            job = self._library.claim_job(self.worker, busy)
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
        reporter = threading.Thread(target=self._report, args=(job, line, progress, over), name=f"job-{job.id}-report")
        reporter.start()
        refused: list[str] = []
        message: str | None = None
        try:
            with line:
                message = self._do(job, line, progress, refused)
            state: JobState = "done"
            if advice := self._library.advice():
                log.warning(advice)
        except Stopped:
            state = "queued" if self._stopping.is_set() else "cancelled"
        except _Again:
            state = "queued"
        except TsirError as error:
            state, message = "failed", str(error)
        except Exception as error:
            log.exception("Job %d failed.", job.id)
            state, message = "failed", f"The job stopped at an unexpected error: {type(error).__name__}: {error}"
        over.set()
        reporter.join()
        try:
            self._finish(job, progress, state, message, refused)
        finally:
            with self._lock:
                if self._running.get(job.id) is entry:  # handed back, it may be taken up again already
                    del self._running[job.id]
            self._wake.set()
            with self._changed:
                self._changed.notify_all()

    def _report(self, job: Job, line: Line, progress: Progress, over: threading.Event) -> None:
        """Tell the catalog how far the job is, until it is over; learn from it whether to stop."""
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
            except TsirError as error:  # the job is gone, with its collection
                log.info("Job %d: %s", job.id, error)
                line.stop()

    def _tell(self, job: Job, progress: Progress, message: str | None = None) -> bool:
        failures = progress.take_failures()
        total, done, skipped, failed = progress.counts()
        try:
            go_on = self._library.update_job(
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

    def _finish(self, job: Job, progress: Progress, state: JobState, message: str | None, refused: Sequence[str]) -> None:
        """Write the last counts and the end; waits for the stores unless the process has to end."""
        wait = FIRST_WAIT_S
        while True:
            try:
                if state == "done":
                    progress.total = progress.done + progress.skipped + progress.failed
                self._tell(job, progress)
                self._library.finish_job(job.id, state, message, worker=self.worker)
                if self._library.job(job.id).state != state:
                    return  # another worker took it over: it is theirs to end
                break
            except StoreUnavailable:
                if self._stopping.wait(wait):
                    return
                wait = min(wait * 2, LONGEST_WAIT_S)
            except TsirError as error:  # its collection was dropped meanwhile, and the job with it
                log.info("Job %d: %s", job.id, error)
                return
        zips = [path for path, _ in job.spec.get("files", ()) if path.endswith(archives.SUFFIX)]
        for path in {"done": [*refused, *zips], "cancelled": zips}.get(state, []):
            with suppress(OSError):
                self._library.files.uploads.delete(path)

    def _do(self, job: Job, line: Line, progress: Progress, refused: list[str]) -> str | None:
        """The work itself; returns what is worth knowing about how it went."""
        collection = line.patiently(self._library.collection, job.collection)
        if not line.patiently(self._tell, job, progress):  # cancelled: perhaps it was another collection of this name that was asked for
            raise Stopped
        if job.kind == "reencode":
            encoder = self._encoders(str(job.spec["encoder"]))
            return reencode(self._library, encoder, self._settings, self._workshop, job.collection, progress, line)
        encoder = line.patiently(self._encoder_of, collection)
        work = Import(self._library, encoder, self._settings, self._workshop, collection, progress, line)
        work.refused = refused
        try:
            work.run(self._source(job, line, progress))
        except EncoderMismatch as error:  # the collection moved to another encoder meanwhile
            raise _Again from error
        if folder := job.spec.get("folder"):
            swept = line.patiently(self._library.mark_missing, job.collection, folder)
            if swept.paths:
                return f"{swept.paths} files are no longer in the folder; {swept.images} pictures were removed from the collection."
        return None

    def _encoder_of(self, collection: Collection) -> Encoder:
        """The encoder to import with: the configured one, or while the collection moves to that, the one that it moves from."""
        encoder = self._encoders(self._settings.model)
        if collection.state == "reencoding" and encoder.fingerprint != collection.encoder.fingerprint:
            encoder = self._encoders(collection.encoder.name)
        self._library.check_encoder(collection.name, encoder.info)
        return encoder

    def _source(self, job: Job, line: Line, progress: Progress) -> Iterator[Batch]:
        spec, limit, store, key = (
            job.spec,
            self._settings.max_upload_bytes,
            self._library.files,
            f"job:{job.id}:{job.created_at.isoformat()}",
        )
        if folder := spec.get("folder"):
            path = Path(folder)
            roots = self._settings.roots
            if not path.is_dir():
                raise InvalidInput(f"The folder {folder!r} is not there (any more).")
            threading.Thread(target=self._count, args=(path, line, progress), name=f"job-{job.id}-count").start()
            return scan(path, roots)
        if "urls" in spec:
            progress.total = len(spec["urls"])
            return sources.urls(spec["urls"], store, key, limit, allowed=self._allowed, stopped=lambda: line.stopped)
        if not any(path.endswith(archives.SUFFIX) for path, _ in spec["files"]):
            progress.total = len(spec["files"])
        return sources.files([(path, name) for path, name in spec["files"]], store, key, limit)

    def _count(self, folder: Path, line: Line, progress: Progress) -> None:
        total = count(folder, self._settings.roots, lambda: line.stopped)
        if total is not None and not line.stopped:
            progress.total = total
