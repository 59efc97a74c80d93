"""Commands on a library: load, check, re-encode. They ask the server that holds DATA_DIR, or open the library themselves."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from pathlib import Path

from tsir.commands import remote
from tsir.commands.desk import desk
from tsir.commands.terminal import SHOWN_FAILURES, following, print_json, report, say, show
from tsir.errors import Conflict, InvalidInput, NotFound, TsirError
from tsir.importing.ignoring import Rules
from tsir.importing.mend import encode_unfinished, lost
from tsir.importing.scan import passed_over
from tsir.jobs.model import Job, JobFailure
from tsir.jobs.progress import Progress
from tsir.media.files import is_address
from tsir.services.check import check_library
from tsir.services.imports import own_folder, submit_folder, submit_reencode, submit_shared
from tsir.services.jobs import detail
from tsir.services.opening import STOP_S, Service, opened
from tsir.services.views import JobDetail, JobOut
from tsir.settings import Settings


def load(
    settings: Settings, source: str, collection: str, *, exclude: Sequence[str] = (), again: bool = False, watch: bool, as_json: bool
) -> bool:
    """Import a folder; with `watch`, then whatever changes in it; with `again`, also what was taken out before.

    Returns whether it ended well.
    """
    folder = own_folder(source)
    server = remote.find(settings)
    if server is not None:
        return _load_by_server(server, folder, collection, exclude, again, watch, as_json)
    with opened(settings) as service:
        service.library.create(collection, service.encoders.main.info)
        _mend(service, collection)
        if watch:
            _watch(service, collection, folder, exclude)
            return True
        submit = functools.partial(submit_folder, service.runner, collection, folder, exclude=exclude, again=again, here=True)
        return _run(service, submit, f"Importing {folder.name}", as_json)


def load_on(
    settings: Settings,
    source: str,
    collection: str,
    cluster: str,
    *,
    parts: str | None,
    workers: int | None,
    cores: int,
    exclude: Sequence[str] = (),
    as_json: bool,
) -> bool:
    """Import a folder or a list of paths, or what lies at an address, by the workers of a Ray cluster. Returns whether it ended well."""
    if not is_address(source):
        source = str(Path(source).expanduser().resolve())
        if not Path(source).exists():
            raise NotFound(f"There is no folder and no list {source!r}.")
    if (server := remote.find(settings)) is not None:
        raise Conflict(
            f"The server at {server.url} holds {settings.data_dir}: stop it, or keep the library in Milvus and MySQL, which both may use."
        )
    with opened(settings) as service:
        service.library.create(collection, service.encoders.main.info)
        _mend(service, collection)
        submit = functools.partial(
            submit_shared,
            service.runner,
            collection,
            source,
            cluster,
            parts or str(settings.data_dir.resolve() / "parts"),
            workers=workers,
            cores=cores,
            exclude=exclude,
        )
        return _run(service, submit, f"Importing {Path(source).name} on {cluster}", as_json)


def _mend(service: Service, name: str) -> None:
    """Say when vectors are lost, and encode their pictures again."""
    collection = service.library.collection(name)
    if not (owed := collection.owe()):
        return
    say(lost(owed, name))
    done, failures = encode_unfinished(service.library, service.encoders.of, service.settings)
    say(f"{done:,} pictures were encoded again.")
    for failure in failures[:SHOWN_FAILURES]:
        say(f"  cannot encode {failure.path}: {failure.reason}")


def _load_by_server(
    server: remote.Server, folder: Path, collection: str, exclude: Sequence[str], again: bool, watch: bool, as_json: bool
) -> bool:
    say(f"The server at {server.url} imports it.")

    def once(again: bool = False) -> JobDetail:
        with following(f"Importing {folder.name}", silent=as_json) as tell:
            return server.follow(server.import_folder(collection, folder, exclude, again=again), tell)

    job = once(again)
    report(job, as_json=as_json)
    if watch:
        from tsir.importing.watch import changes

        say(f"Watching {folder}; Ctrl-C stops.")
        with suppress(KeyboardInterrupt):
            for changed in islice(changes(folder, threading.Event()), 1, None):
                if changed != []:
                    try:
                        report(once(), as_json=as_json)
                    except TsirError as error:  # the folder is away, or the server: both may come back
                        say(str(error))
        return True
    return ended_well(job)


def _watch(service: Service, collection: str, folder: Path, exclude: Sequence[str]) -> None:
    from tsir.importing.watch import watch

    def hear(progress: Progress, failures: list[JobFailure]) -> None:
        show(f"{progress.done:,} imported, {progress.skipped:,} skipped (unchanged), {progress.failed:,} could not be read")
        if over := passed_over(progress.passed):
            show(over)
        for failure in failures:
            show(f"  skipping {failure.path}: {failure.reason}")

    Rules.of(service.settings, exclude)  # what is no pattern is told first
    say(f"Watching {folder}; Ctrl-C stops.")
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        arguments = (service.library, service.encoders.main, service.settings, collection, folder, stop)
        watching = pool.submit(watch, *arguments, exclude=exclude, on_import=hear)
        try:
            watching.result()
        except KeyboardInterrupt:
            say("Stopping.")
        finally:
            stop.set()


def reencode(settings: Settings, collection: str, encoder: str, *, as_json: bool) -> bool:
    """Encode a collection anew with another encoder. Returns whether it ended well."""
    what = f"Encoding {collection} with {encoder}"
    server = remote.find(settings)
    if server is not None:
        say(f"The server at {server.url} does it; the old vectors are served until it is done.")
        with following(what, silent=as_json) as tell:
            job = server.follow(server.reencode(collection, encoder), tell)
        report(job, as_json=as_json)
        return ended_well(job)
    with opened(settings) as service:
        return _run(service, lambda: submit_reencode(service.runner, collection, encoder), what, as_json)


def _run(service: Service, submit: Callable[[], Job], what: str, as_json: bool) -> bool:
    """Run one job in this process."""
    try:
        with following(what, silent=as_json) as tell:
            job = service.runner.run_now(submit(), on_progress=lambda job: tell(JobOut.of(job)))
    except KeyboardInterrupt:
        say("Stopping; the next `tsir up`, `serve` or `load` goes on from here.")
        raise
    finally:
        service.runner.stop(STOP_S)
    report(JobDetail.of_detail(detail(service.library, service.jobs, job)), as_json=as_json)
    return ended_well(job)


def ended_well(job: Job | JobDetail) -> bool:
    """Whether a job is done, and not with nothing but failures."""
    return job.state == "done" and not (job.failed and not job.done and not job.skipped)


def forget(settings: Settings, folder: Path, collection: str, *, as_json: bool) -> None:
    """Take the missing pictures of a folder out of a collection."""
    try:
        folder = folder.expanduser().resolve()  # it need not be there
    except (OSError, RuntimeError) as error:
        raise InvalidInput(f"{str(folder)!r} cannot be resolved: {error}") from error
    with desk(settings) as asked:
        done = asked.forget(collection, folder)
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    said = "1 missing picture was taken out." if done.pictures == 1 else f"{done.pictures:,} missing pictures were taken out."
    show(said + (f" {done.found:,} {'is' if done.found == 1 else 'are'} back and stay{'s' * (done.found == 1)}." if done.found else ""))


def check(settings: Settings, *, repair: bool, as_json: bool) -> bool:
    """Compare what is stored, and print what differs. Returns whether all is well (now)."""
    with opened(settings) as service:
        checked = check_library(service, repair=repair)
    found = checked.report
    if as_json:
        print_json(
            {
                "images": found.images,
                "vectors": found.vectors,
                "problems": list(found.problems),
                "notes": list(found.notes),
                "repaired": found.repaired,
                "encoded": checked.encoded,
                "unreadable": [{"path": failure.path, "reason": failure.reason} for failure in checked.unreadable],
            }
        )
    else:
        show(f"{found.images:,} pictures, {found.vectors:,} vectors.")
        for line in (*found.problems, *found.notes):
            show(f"  {line}")
        if checked.encoded:
            show(f"  {checked.encoded:,} unfinished pictures were encoded.")
        for failure in checked.unreadable:
            show(f"  cannot encode {failure.path}: {failure.reason}")
        ending = "All is well." if found.clean else "Mended." if found.repaired else "Mend it with `tsir check --repair`."
        show(ending)
    return found.clean or found.repaired
