"""The kind of job that imports by the workers of a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tsir.errors import InvalidInput
from tsir.importing.ignoring import Rules
from tsir.importing.job import count_beside, cut_off, settle_folder
from tsir.importing.mend import encode, lost
from tsir.importing.parts.listing import cut, segments
from tsir.importing.parts.on_ray import RayPool
from tsir.importing.parts.planning import plan
from tsir.importing.parts.shelf import Shelf
from tsir.importing.parts.taking import take
from tsir.importing.scan import BATCH, Batch, Item, passed_over, scan
from tsir.importing.workshop import Tools
from tsir.jobs.kinds import Kind, Spec, Work
from tsir.jobs.model import JobFailure
from tsir.media import buckets
from tsir.media.files import is_address
from tsir.media.formats import obtainable
from tsir.paging import chunks
from tsir.records import FileStat

LISTS = (".txt", ".lst", ".list")
"""Endings of text files with a path a line."""

AHEAD = 4
"""Made parts that may wait to be taken."""


class SharedSpec(Spec):
    """What to import, and who does it."""

    source: str
    """A folder, or a text file with a path a line; either may be an address for fsspec. All workers see it under the same name."""
    cluster: str
    """Address of the Ray cluster; "local" for one that is started for this."""
    parts: str
    """Where made parts lie until they are in the library: a folder, or an address for fsspec, that all workers can write."""
    workers: int | None = None
    cores: int = 1
    """Of each worker."""
    exclude: tuple[str, ...] = ()


def at(address: str) -> Iterator[Batch]:
    """The pictures below an address, in batches. Raises InvalidInput when it cannot be listed."""
    try:
        yield from chunks((Item(file, file.path) for file in buckets.pictures(address)), BATCH)
    except InvalidInput:
        raise
    except Exception as error:  # each file system has errors of its own
        raise InvalidInput(f"{address!r} cannot be listed: {buckets.reason(error)}.") from error


def _run(work: Work[SharedSpec], tools: Tools) -> str | None:
    spec, line, progress = work.spec, work.line, work.progress
    collection = line.patiently(tools.library.collection, work.job.collection)
    work.confirm()
    info = collection.encoder
    collection.expect(tools.encoders.named(tools.settings.model).info)  # what the workers load
    source, shelf = Path(spec.source), Shelf(spec.parts)
    away = is_address(spec.source)
    listed = source.suffix.lower() in LISTS and (away or source.is_file())
    if not listed and not away and not source.is_dir():
        raise InvalidInput(f"There is no folder {spec.source!r}, nor a list of paths (a text file that ends in {', '.join(LISTS)}).")
    rules = Rules.of(tools.settings, spec.exclude)
    found = at(spec.source) if away else scan(source, tools.settings.roots, rules, progress.passed)

    def fresh() -> Iterator[FileStat]:
        """What of the folder is not in the library unchanged."""
        for batch in found:
            files = [entry.file for entry in batch if isinstance(entry, Item)]
            known = line.patiently(collection.unchanged, files, again=False)
            progress.add(skipped=len(known), failures=[entry for entry in batch if isinstance(entry, JobFailure)])
            yield from (file for file in files if file.path not in known)

    if not listed and not away:
        rules.check(source)
        count_beside(work, source, tools.settings.roots, rules)
    pool = RayPool(spec.cluster, tools.settings, spec.parts, spec.workers, spec.cores)
    try:
        for part in line.ahead(plan(segments(spec.source) if listed else cut(fresh()), pool, lambda: line.stopped), AHEAD, "parts"):
            if isinstance(part, JobFailure):
                progress.add(failures=[part])
                continue
            take(shelf.get(part.key, info), info, collection, tools.library.files.thumbnails, progress, line)
            shelf.drop(part.key)
    finally:
        pool.close()
    if listed or away:
        said = [passed_over(progress.passed), obtainable(progress.passed.kinds)]
    else:
        said = [settle_folder(work, collection, spec.source, again=False)]
    if owed := line.patiently(collection.owe):
        said.append(lost(owed, collection.name))
        encode(tools.workshop, collection, tools.encoder_of(collection), progress, line)
    return " ".join(filter(None, (*said, cut_off(progress.cut)))) or None


SHARED = Kind(
    "shared",
    SharedSpec,
    _run,
    title=lambda spec: f"{spec.source} ({spec.cluster})",
    summary="{done:,} imported, {skipped:,} skipped (unchanged), {failed:,} could not be read",
)
