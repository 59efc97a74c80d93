"""Commands on a library: load, search, check, re-encode. They ask the server that holds DATA_DIR, or open the library themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from tsir.api.images import thumbnail
from tsir.api.jobs import detail
from tsir.api.schemas import JobDetail, JobOut, SearchResult
from tsir.commands import remote
from tsir.commands.terminal import following, print_json, report, say
from tsir.encoders.loaded import Encoders, load_batched
from tsir.errors import InvalidInput, NotFound
from tsir.importing.mend import encode_unfinished
from tsir.importing.pipeline import Progress
from tsir.importing.reading import least_sides, open_within, pixels_for
from tsir.jobs.runner import JobRunner
from tsir.library.library import Library
from tsir.media.decode import open_sketch
from tsir.media.thumbnails import SIZES
from tsir.records import Image, Job, JobFailure
from tsir.searching.query import Query, check_text
from tsir.searching.search import search
from tsir.settings import Settings

Submit = Callable[[JobRunner], Job]

STOP_S = 30.0
"""How long a job gets to finish its batch after Ctrl-C; what is cut off is done again."""


@contextmanager
def opened(settings: Settings) -> Iterator[tuple[Library, Encoders]]:
    """The library and its encoders, for this process alone."""
    encoders = Encoders(settings, load=load_batched)
    with Library.open(settings) as library:
        try:
            yield library, encoders
        finally:
            encoders.close()


def load(settings: Settings, folder: Path, collection: str, *, watch: bool, as_json: bool) -> bool:
    """Import a folder; with `watch`, then whatever changes in it. Returns whether it ended well."""
    folder = folder.expanduser().resolve()
    if not folder.is_dir():
        raise NotFound(f"There is no folder {str(folder)!r}.")
    server = remote.find(settings)
    if server is not None:
        return _load_by_server(server, folder, collection, watch, as_json)
    with opened(settings) as (library, encoders):
        library.create_collection(collection, encoders.main.info)
        if watch:
            _watch(library, encoders, settings, collection, folder)
            return True
        what = f"Importing {folder.name}"
        return _run(library, encoders, settings, lambda runner: runner.submit_folder(collection, folder, here=True), what, as_json)


def _load_by_server(server: remote.Server, folder: Path, collection: str, watch: bool, as_json: bool) -> bool:
    say(f"The server at {server.url} imports it.")

    def once() -> JobDetail:
        with following(f"Importing {folder.name}", silent=as_json) as tell:
            return server.follow(server.import_folder(collection, folder), tell)

    job = once()
    report(job, as_json=as_json)
    if watch:
        import watchfiles

        say(f"Watching {folder}; Ctrl-C stops.")
        for _ in watchfiles.watch(folder, debounce=10_000, step=1_000, raise_interrupt=False):
            report(once(), as_json=as_json)
    return job.state == "done"


def _watch(library: Library, encoders: Encoders, settings: Settings, collection: str, folder: Path) -> None:
    from tsir.importing.watch import watch

    def tell(progress: Progress, failures: list[JobFailure]) -> None:
        typer.echo(f"{progress.done:,} imported, {progress.skipped:,} skipped (unchanged), {progress.failed:,} could not be read")
        for failure in failures:
            typer.echo(f"  skipping {failure.path}: {failure.reason}")

    say(f"Watching {folder}; Ctrl-C stops.")
    stop = threading.Event()
    worker = threading.Thread(target=watch, args=(library, encoders.main, settings, collection, folder, stop), kwargs={"on_import": tell})
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
    with opened(settings) as (library, encoders):
        return _run(library, encoders, settings, lambda runner: runner.submit_reencode(collection, encoder), what, as_json)


def _run(library: Library, encoders: Encoders, settings: Settings, submit: Submit, what: str, as_json: bool) -> bool:
    """Run one job in this process."""
    runner = JobRunner(library, encoders.named, settings)
    try:
        with following(what, silent=as_json) as tell:
            job = runner.run_now(submit(runner), on_progress=lambda job: tell(JobOut.of(job)))
    except KeyboardInterrupt:
        say("Stopping; the next `tsir up`, `serve` or `load` goes on from here.")
        raise
    finally:
        runner.stop(STOP_S)
    report(detail(library, job), as_json=as_json)
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
        typer.echo(f"{hit.score:7.4f}  {hit.path}")
    if not result.hits:
        say(f"Nothing found: the collection {collection!r} is empty.")


def _find_here(
    settings: Settings, collection: str, words: dict[str, str], data: dict[str, bytes], like: int | None, limit: int
) -> SearchResult:
    for name, value in words.items():
        check_text(name, value, settings.max_text)
    with opened(settings) as (library, encoders):
        limits = {"max_bytes": settings.max_upload_bytes, "max_pixels": settings.max_pixels}
        sketch = open_sketch(data["sketch"], **limits) if "sketch" in data else None
        image = None
        if "image" in data:
            image = pixels_for(encoders.main, open_within(data["image"], settings, least_sides(encoders.main)))
        text, not_text = words.get("text"), words.get("not_text")
        query = Query(collection, text=text, not_text=not_text, sketch=sketch, image=image, like=like, limit=limit)
        return SearchResult.of(search(library, encoders.of(library.collection(collection)), query))


def _read(path: Path, settings: Settings) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(settings.max_upload_bytes + 1)
    except OSError as error:
        raise InvalidInput(f"{str(path)!r} cannot be read: {error.strerror or error}.") from error


def check(settings: Settings, *, repair: bool, as_json: bool) -> bool:
    """Compare what is stored, and print what differs. Returns whether all is well (now)."""
    with opened(settings) as (library, encoders):

        def make_thumbnails(image: Image) -> bool:
            try:
                for size in SIZES:
                    thumbnail(library, image, size, settings)
            except NotFound:  # an unplugged disk, a full cache
                return False
            return True

        found = library.check(repair, make_thumbnails)
        mended, unreadable = encode_unfinished(library, encoders.of, settings) if repair else (0, [])
    if as_json:
        print_json(
            {
                "images": found.images,
                "vectors": found.vectors,
                "problems": list(found.problems),
                "notes": list(found.notes),
                "repaired": found.repaired,
                "encoded": mended,
                "unreadable": [{"path": failure.path, "reason": failure.reason} for failure in unreadable],
            }
        )
    else:
        typer.echo(f"{found.images:,} pictures, {found.vectors:,} vectors.")
        for line in (*found.problems, *found.notes):
            typer.echo(f"  {line}")
        if mended:
            typer.echo(f"  {mended:,} unfinished pictures were encoded.")
        for failure in unreadable:
            typer.echo(f"  cannot encode {failure.path}: {failure.reason}")
        ending = "All is well." if found.clean else "Mended." if found.repaired else "Mend it with `tsir check --repair`."
        typer.echo(ending)
    return found.clean or found.repaired
