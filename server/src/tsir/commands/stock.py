"""Commands on a library: load, search, check, re-encode. They ask the server that holds DATA_DIR, or open the library themselves."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from tsir.commands import remote
from tsir.commands.terminal import SHOWN_FAILURES, following, print_json, report, say, show
from tsir.errors import InvalidInput, NotFound
from tsir.importing.mend import encode_unfinished, lost
from tsir.jobs.model import Job, JobFailure
from tsir.jobs.progress import Progress
from tsir.services.check import check_library
from tsir.services.collections import forget as forget_missing
from tsir.services.imports import own_folder, submit_folder, submit_reencode
from tsir.services.jobs import detail
from tsir.services.opening import STOP_S, Service, opened
from tsir.services.search import Question
from tsir.services.search import find as search
from tsir.services.views import Forgotten, JobDetail, JobOut, SearchResult
from tsir.settings import Settings
from tsir.stopwatch import Stopwatch


def load(settings: Settings, folder: Path, collection: str, *, exclude: Sequence[str] = (), watch: bool, as_json: bool) -> bool:
    """Import a folder; with `watch`, then whatever changes in it. Returns whether it ended well."""
    folder = own_folder(folder)
    server = remote.find(settings)
    if server is not None:
        return _load_by_server(server, folder, collection, exclude, watch, as_json)
    with opened(settings) as service:
        service.library.create(collection, service.encoders.main.info)
        _mend(service, collection)
        if watch:
            _watch(service, collection, folder, exclude)
            return True
        submit = functools.partial(submit_folder, service.runner, collection, folder, exclude=exclude, here=True)
        return _run(service, submit, f"Importing {folder.name}", as_json)


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


def _load_by_server(server: remote.Server, folder: Path, collection: str, exclude: Sequence[str], watch: bool, as_json: bool) -> bool:
    say(f"The server at {server.url} imports it.")

    def once() -> JobDetail:
        with following(f"Importing {folder.name}", silent=as_json) as tell:
            return server.follow(server.import_folder(collection, folder, exclude), tell)

    job = once()
    report(job, as_json=as_json)
    if watch:
        import watchfiles

        say(f"Watching {folder}; Ctrl-C stops.")
        for _ in watchfiles.watch(folder, debounce=10_000, step=1_000, raise_interrupt=False):
            report(once(), as_json=as_json)
    return job.state == "done"


def _watch(service: Service, collection: str, folder: Path, exclude: Sequence[str]) -> None:
    from tsir.importing.watch import watch

    def hear(progress: Progress, failures: list[JobFailure]) -> None:
        show(f"{progress.done:,} imported, {progress.skipped:,} skipped (unchanged), {progress.failed:,} could not be read")
        for failure in failures:
            show(f"  skipping {failure.path}: {failure.reason}")

    say(f"Watching {folder}; Ctrl-C stops.")
    stop = threading.Event()
    worker = threading.Thread(
        target=watch,
        args=(service.library, service.encoders.main, service.settings, collection, folder, stop),
        kwargs={"exclude": exclude, "on_import": hear},
    )
    worker.start()
    try:
        while worker.is_alive():
            worker.join(0.5)
    except KeyboardInterrupt:
        say("Stopping.")
    finally:
        stop.set()
        worker.join()


def reencode(settings: Settings, collection: str, encoder: str, *, as_json: bool) -> bool:
    """Encode a collection anew with another encoder. Returns whether it ended well."""
    what = f"Encoding {collection} with {encoder}"
    server = remote.find(settings)
    if server is not None:
        say(f"The server at {server.url} does it; the old vectors are served until it is done.")
        with following(what, silent=as_json) as tell:
            job = server.follow(server.reencode(collection, encoder), tell)
        report(job, as_json=as_json)
        return job.state == "done"
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
    return job.state == "done"


def find(
    settings: Settings, collection: str, words: dict[str, str], pictures: dict[str, Path], like: int | None, limit: int, *, as_json: bool
) -> None:
    """Search, and print the hits. `words` may have text and not_text, `pictures` sketch and image."""
    data = {name: _read(path, settings) for name, path in pictures.items()}
    server = remote.find(settings)
    if server is not None:
        fields = {**words, "limit": str(limit), **({"like": str(like)} if like is not None else {})}
        result = server.search(collection, fields, data)
    else:
        result = _find_here(settings, collection, words, data, like, limit)
    if as_json:
        print_json(result.model_dump(mode="json"))
        return
    for hit in result.hits:
        show(f"{hit.score:7.4f}  {hit.path}")
    if not result.hits:
        say(f"Nothing found: the collection {collection!r} is empty.")


def _find_here(
    settings: Settings, collection: str, words: dict[str, str], data: dict[str, bytes], like: int | None, limit: int
) -> SearchResult:
    question = Question(
        collection,
        text=words.get("text"),
        not_text=words.get("not_text"),
        sketch=data.get("sketch"),
        image=data.get("image"),
        like=like,
        limit=limit,
    )
    with opened(settings) as service:
        with suppress(NotFound):  # the search says it, and first what is wrong with the question
            _mend(service, collection)
        watch = Stopwatch()
        return SearchResult.of(search(service.library, service.encoders, settings, question, watch), watch)


def _read(path: Path, settings: Settings) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(settings.max_upload_bytes + 1)
    except OSError as error:
        raise InvalidInput(f"{str(path)!r} cannot be read: {error.strerror or error}.") from error


def forget(settings: Settings, folder: Path, collection: str, *, as_json: bool) -> None:
    """Take the missing pictures of a folder out of a collection."""
    try:
        folder = folder.expanduser().resolve()  # it need not be there
    except (OSError, RuntimeError) as error:
        raise InvalidInput(f"{str(folder)!r} cannot be resolved: {error}") from error
    server = remote.find(settings)
    if server is not None:
        done = server.forget(collection, folder)
    else:
        with opened(settings) as service:
            swept = forget_missing(service.library, collection, str(folder))
        done = Forgotten(pictures=swept.images, found=swept.found)
    if as_json:
        print_json(done.model_dump(mode="json"))
        return
    show(f"{done.pictures:,} missing pictures were taken out." + (f" {done.found:,} are back and stay." if done.found else ""))


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
