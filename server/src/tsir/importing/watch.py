"""`tsir load --watch`: a folder that keeps changing stays in step with its collection."""

from __future__ import annotations

import logging
import os
import posixpath
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from stat import S_ISDIR, S_ISREG

import watchfiles

from tsir.encoders.base import Encoder
from tsir.errors import InvalidInput, NotFound
from tsir.importing.ignoring import IGNORE_FILE, SYSTEM_FILES, Rules
from tsir.importing.job import told
from tsir.importing.pipeline import Import
from tsir.importing.scan import BATCH, Batch, Item, count_kind, item, printable, scan
from tsir.importing.workshop import Workshop
from tsir.jobs.line import Line, Stopped
from tsir.jobs.model import JobFailure
from tsir.jobs.progress import Passed, Progress
from tsir.library.collection import Collection
from tsir.library.library import Library
from tsir.media.files import folder_trouble, regular, said
from tsir.media.formats import is_picture_name
from tsir.paging import chunks
from tsir.settings import Settings

log = logging.getLogger(__name__)

DEBOUNCE_MS = 1000
"""Changes are gathered until nothing moved this long (at most ten times as long), so that a copy in progress is one import."""
LOOK_MS = 500
"""How often a quiet watch looks whether it should stop, and what is mounted below its folder."""
MOUNTS = Path("/proc/self/mountinfo")
"""Where Linux says what is mounted. Elsewhere a drive below the folder that comes or goes is noticed by the next import alone."""


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

    `on_import` hears of every import that did something or passed something over. Waits while a store is away, or the folder.
    Raises InvalidInput for a folder that cannot be watched, what the encoder raises, and errors of the library other than
    StoreUnavailable.
    """
    rules = Rules.of(settings, exclude)
    rules.check(folder)
    if trouble := folder_trouble(folder):
        raise InvalidInput(f"{str(folder)!r} cannot be watched: it {trouble}.")
    workshop = Workshop(library, settings)
    with Line() as line:
        threading.Thread(target=_stop_with, args=(stop, line), name="watch-stop", daemon=True).start()
        try:
            for changed in changes(folder, stop):
                progress = Progress()
                if changed is not None and any(path.name == IGNORE_FILE for path in changed):
                    changed = None  # what was left out may be wanted now
                wanted = None if changed is None else [path for path in changed if _wanted(path, folder, rules)]
                if wanted is None:
                    batches: Iterable[Batch] = scan(folder, settings.roots, rules, progress.passed)
                elif wanted:
                    batches = _changed(wanted, folder, settings.roots, rules, progress.passed)
                else:
                    continue
                current = line.patiently(library.collection, collection)
                Import(workshop, current, encoder, progress, line).run(batches)
                try:
                    _sweep(line, current, folder, wanted)
                except NotFound as error:
                    log.warning("%s", error)
                if progress.done or progress.failed or progress.passed:
                    on_import(progress, progress.take_failures())
        except Stopped:
            pass
        finally:
            workshop.close()


def changes(folder: Path, stop: threading.Event) -> Iterator[list[Path] | None]:
    """Paths in which something changed, until `stop` is set; None where anything may have: at first, when the folder, which may be a
    mount point, was away and is there again, or another one lies in its place, and when a drive below it came or went.

    Raises InvalidInput for a folder that cannot be watched, such as one with more folders in it than the system can watch.
    """
    told = False
    while not stop.is_set():
        armed = _identity(folder)
        if armed is None:
            if not told:
                log.warning(
                    "%r, which is watched, is not there: its pictures stay as they are, and it is watched again when it is back.",
                    str(folder),
                )
            told = True
            stop.wait(LOOK_MS / 1000)
            continue
        started = told = False
        try:
            # The first, empty answer says that the watch is on: only what changes from here on is reported, so everything is looked at.
            for reported in watchfiles.watch(
                folder,
                watch_filter=None,
                debounce=10 * DEBOUNCE_MS,
                step=DEBOUNCE_MS,
                rust_timeout=LOOK_MS,
                yield_on_timeout=True,
                stop_event=stop,
                raise_interrupt=False,
            ):
                if _identity(folder) != armed:
                    break
                if not started:
                    started = True
                    yield None
                elif reported:
                    yield [Path(path) for _, path in reported]
        except OSError as error:
            if _identity(folder) == armed:
                raise InvalidInput(f"{str(folder)!r} cannot be watched: {said(error)}.") from error
            stop.wait(LOOK_MS / 1000)


def _identity(folder: Path) -> tuple[int, int, list[str]] | None:
    """Which folder lies there, and what is mounted below it; None where none does, or none that can be reached."""
    try:
        stat = folder.stat()
    except OSError:
        return None
    return (stat.st_dev, stat.st_ino, _mounted(folder)) if S_ISDIR(stat.st_mode) else None


def _mounted(folder: Path) -> list[str]:
    """The mounts below a folder, which nothing reports."""
    try:
        mounts = MOUNTS.read_bytes().decode(errors="surrogateescape").split("\n")
    except OSError:
        return []
    below = re.sub(r"[ \t\n\\]", lambda found: f"\\{ord(found[0]):03o}", f"{folder}/".replace("//", "/"))
    return [mount for mount in mounts if mount and mount.split(" ", 5)[4].startswith(below)]


def _sweep(line: Line, collection: Collection, folder: Path, changed: list[Path] | None) -> None:
    """Note what is gone: of what was reported, and of the whole folder where that is not known. Raises NotFound when the folder is gone."""
    if changed is None:
        swept, where = line.patiently(collection.sweep, folder), folder
    else:
        gone = [path for path in changed if not os.path.lexists(path)]
        if not gone:
            return
        where, reported = _common(folder, gone), {str(path) for path in gone}
        swept = line.patiently(collection.look, where, only=lambda path: _among(path, reported))
    if swept.paths and (message := told(swept, str(where))):
        log.warning("%s", message)


def _among(path: str, reported: set[str]) -> bool:
    """Whether a path, or a folder above it, was reported."""
    while path not in reported:
        above = posixpath.dirname(path)
        if above == path:
            return False
        path = above
    return True


def _stop_with(stop: threading.Event, line: Line) -> None:
    stop.wait()
    line.stop()


def _wanted(path: Path, folder: Path, rules: Rules) -> bool:
    """Neither hidden nor left out by the rules."""
    return rules.allows(folder, path)


def _changed(paths: list[Path], folder: Path, roots: Sequence[Path], rules: Rules, passed: Passed) -> Iterator[Batch]:
    """Files, and everything in folders that were moved in at once."""
    files: list[Item | JobFailure] = []
    for path in sorted(paths):
        try:
            stat = path.stat()
            if S_ISDIR(stat.st_mode):
                yield from scan(path, roots, rules, passed, top=folder)
            elif not is_picture_name(path.name):
                if S_ISREG(stat.st_mode) and path.name.lower() not in SYSTEM_FILES:
                    count_kind(path.name, passed)
            else:
                files.append(item(str(path), regular(path)))
        except (FileNotFoundError, NotADirectoryError):  # noqa: PERF203 - gone again
            continue
        except OSError as error:
            files.append(JobFailure(printable(str(path)), f"The file cannot be read: {said(error)}."))
    yield from chunks(files, BATCH)


def _common(folder: Path, gone: list[Path]) -> Path:
    """The deepest folder that still exists and held all that is gone."""
    common = gone[0].parent
    for path in gone:
        while not path.is_relative_to(common):
            common = common.parent
    while folder_trouble(common) and common != folder:
        common = common.parent
    return common
