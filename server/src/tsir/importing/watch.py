"""`tsir load --watch`: a folder that keeps changing stays in step with its collection."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import watchfiles

from tsir.encoders.base import Encoder
from tsir.errors import InvalidInput, NotFound
from tsir.importing.ignoring import Rules
from tsir.importing.job import told
from tsir.importing.pipeline import Import
from tsir.importing.scan import BATCH, Batch, Item, item, scan
from tsir.importing.workshop import Workshop
from tsir.jobs.line import Line, Stopped
from tsir.jobs.model import JobFailure
from tsir.jobs.progress import Progress
from tsir.library.library import Library
from tsir.media.formats import is_picture_name
from tsir.paging import chunks
from tsir.settings import Settings

log = logging.getLogger(__name__)

DEBOUNCE_MS = 1000
"""Changes are gathered until nothing moved this long (at most ten times as long), so that a copy in progress is one import."""
LOOK_MS = 500
"""How often a quiet watch looks whether it should stop."""


def watch(
    library: Library,
    encoder: Encoder,
    settings: Settings,
    collection: str,
    folder: Path,
    stop: threading.Event,
    *,
    exclude: Sequence[str] = (),
    on_import: Callable[[Progress, list[JobFailure]], None] = lambda progress, failures: None,
) -> None:
    """Import a folder, then whatever changes in it, until `stop` is set.

    `on_import` hears of every import that did something: new and changed files, failures, and pictures that vanished. Waits while a store
    is away. Raises InvalidInput for a folder that cannot be watched, what the encoder raises, and errors of the library other than
    StoreUnavailable.
    """
    rules = Rules.of(settings, exclude)
    rules.check(folder)
    workshop = Workshop(library, settings)
    with Line() as line:
        threading.Thread(target=_stop_with, args=(stop, line), name="watch-stop", daemon=True).start()
        try:
            # The first, empty answer says that the watch is on: only what changes from here on is reported, so import everything then.
            started = False
            for changes in watchfiles.watch(
                folder,
                watch_filter=None,
                debounce=10 * DEBOUNCE_MS,
                step=DEBOUNCE_MS,
                rust_timeout=LOOK_MS,
                yield_on_timeout=True,
                stop_event=stop,
                raise_interrupt=False,
            ):
                paths = [Path(path) for _, path in changes]
                if not started:
                    batches: Iterable[Batch] = scan(folder, settings.roots, rules)
                    sweep: Path | None = folder
                    started = True
                elif paths := [path for path in paths if _wanted(path, folder, rules)]:
                    batches = _changed(paths, folder, rules)
                    sweep = _common(folder, [path for path in paths if not path.exists()])
                else:
                    continue
                progress = Progress()
                current = line.patiently(library.collection, collection)
                Import(workshop, current, encoder, progress, line).run(batches)
                if sweep is not None:
                    try:
                        swept = line.patiently(current.sweep, sweep)
                        if swept.paths and (message := told(swept, str(sweep))):
                            log.warning("%s", message)
                    except NotFound as error:
                        log.warning("%s", error)
                if progress.done or progress.failed:
                    on_import(progress, progress.take_failures())
        except Stopped:
            pass
        except OSError as error:  # no such folder; more folders than the system can watch
            raise InvalidInput(f"{str(folder)!r} cannot be watched: {error.strerror or error}.") from error
        finally:
            workshop.close()


def _stop_with(stop: threading.Event, line: Line) -> None:
    stop.wait()
    line.stop()


def _wanted(path: Path, folder: Path, rules: Rules) -> bool:
    """Not left out by the rules; pictures, and anything that is or was perhaps a folder."""
    if not rules.allows(folder, path):
        return False
    return is_picture_name(path.name) or not path.exists() or path.is_dir()


def _changed(paths: list[Path], folder: Path, rules: Rules) -> Iterator[Batch]:
    """Files, and everything in folders that were moved in at once."""
    files: list[Item | JobFailure] = []
    for path in sorted(paths):
        try:
            if path.is_dir():
                yield from scan(path, rules=rules, top=folder)
            elif is_picture_name(path.name) and path.is_file():
                files.append(item(str(path), path.stat()))
        except OSError:  # noqa: PERF203 - gone again
            continue
    yield from chunks(files, BATCH)


def _common(folder: Path, gone: list[Path]) -> Path | None:
    """The deepest folder that still exists and held all that is gone."""
    if not gone:
        return None
    common = gone[0].parent
    for path in gone:
        while not path.is_relative_to(common):
            common = common.parent
    while not common.is_dir() and common != folder:
        common = common.parent
    return common
