"""The kind of job that imports: a folder, files that were sent, or addresses."""

from __future__ import annotations

import logging
import shlex
import threading
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import ConfigDict, RootModel

from tsir.errors import EncoderMismatch, InvalidInput
from tsir.importing import archives, sources
from tsir.importing.ignoring import Rules
from tsir.importing.mend import encode, lost
from tsir.importing.pipeline import Import
from tsir.importing.scan import Batch, count, passed_over, scan
from tsir.importing.workshop import Tools
from tsir.jobs.kinds import Again, Kind, Spec, Work
from tsir.jobs.model import JobState
from tsir.library.collection import Collection
from tsir.records import Swept

log = logging.getLogger(__name__)


class Source(Spec):
    """What an import takes its pictures from."""

    @abstractmethod
    def title(self) -> str:
        """It, in a few words."""

    @abstractmethod
    def batches(self, work: ImportWork, tools: Tools) -> Iterator[Batch]:
        """The files in it, a batch at a time; sets the total as soon as that is known."""

    def paths(self) -> Sequence[str]:
        """Files that were sent along with the job."""
        return ()

    def settle(self, work: ImportWork, collection: Collection) -> str | None:
        """What is left to do when all files were imported; returns what is worth knowing about it."""
        return None


class FolderSource(Source):
    """A folder of this server; pictures that vanished from it are missing at the end."""

    folder: str
    exclude: tuple[str, ...] = ()
    """Patterns of what is left out, besides those of the settings."""

    def title(self) -> str:
        return self.folder

    def batches(self, work: ImportWork, tools: Tools) -> Iterator[Batch]:
        folder, roots, line = Path(self.folder), tools.settings.roots, work.line
        if not folder.is_dir():
            raise InvalidInput(f"The folder {self.folder!r} is not there (any more).")
        rules = Rules.of(tools.settings, self.exclude)
        rules.check(folder)

        def count_all() -> None:
            total = count(folder, roots, lambda: line.stopped, rules)
            if total is not None and not line.stopped:
                work.progress.total = total

        threading.Thread(target=count_all, name=f"job-{work.job.id}-count").start()
        return scan(folder, roots, rules, work.progress.passed)

    def settle(self, work: ImportWork, collection: Collection) -> str | None:
        swept = work.line.patiently(collection.sweep, self.folder)
        return " ".join(filter(None, (passed_over(work.progress.passed), told(swept, self.folder)))) or None


class UploadSource(Source):
    """Files that were sent, pictures and zips of pictures: they belong to the job.

    What turns out to be no picture, and zips when they are unpacked, are deleted at its end.
    """

    files: tuple[tuple[str, str], ...]
    """Path of each, and what its owner calls it: that is how it is listed among the failures."""

    def title(self) -> str:
        return f"{len(self.files)} file" + ("s" if len(self.files) != 1 else "")

    def batches(self, work: ImportWork, tools: Tools) -> Iterator[Batch]:
        if not self.archives():
            work.progress.total = len(self.files)
        return sources.files(self.files, tools.library.files, _key(work), tools.settings.max_upload_bytes)

    def paths(self) -> Sequence[str]:
        return [path for path, _ in self.files]

    def archives(self) -> list[str]:
        """Paths of the zips."""
        return [path for path in self.paths() if path.endswith(archives.SUFFIX)]


class UrlSource(Source):
    """Pictures from the web."""

    urls: tuple[str, ...]

    def title(self) -> str:
        return f"{len(self.urls)} address" + ("es" if len(self.urls) != 1 else "")

    def batches(self, work: ImportWork, tools: Tools) -> Iterator[Batch]:
        work.progress.total = len(self.urls)
        files, limit, line = tools.library.files, tools.settings.max_upload_bytes, work.line
        return sources.urls(self.urls, files, _key(work), limit, allowed=tools.allowed, stopped=lambda: line.stopped)


def told(swept: Swept, folder: str) -> str | None:
    """What became of a folder's files, in sentences; None when there is nothing to tell."""
    said = [*swept.suspicions]
    if swept.paths:
        said.append(f"{swept.paths:,} files are no longer in the folder; {swept.images:,} pictures are missing now: hidden, not deleted.")
    if said:
        said.append(f"What is missing comes back with its files; what you deleted, `tsir forget {shlex.quote(folder)}` takes out.")
    return " ".join(said) or None


class ImportSpec(RootModel[FolderSource | UploadSource | UrlSource]):
    """What to import."""

    model_config = ConfigDict(strict=True, frozen=True)


ImportWork = Work[ImportSpec]


def _run(work: ImportWork, tools: Tools) -> str | None:
    source, library = work.spec.root, tools.library
    collection = work.line.patiently(library.collection, work.job.collection)
    work.confirm()
    encoder = work.line.patiently(tools.encoder_of, collection)
    task = Import(tools.workshop, collection, encoder, work.progress, work.line)

    def discard(state: JobState) -> None:
        zips = source.archives() if isinstance(source, UploadSource) else []
        for path in {"done": [*task.refused, *zips], "cancelled": zips}.get(state, []):
            with suppress(OSError):
                library.files.uploads.delete(path)

    work.at_end(discard)
    try:
        task.run(source.batches(work, tools))
    except EncoderMismatch as error:  # the collection moved to another encoder meanwhile
        raise Again from error
    message = source.settle(work, collection)
    work.line.patiently(library.forget_old, collection)
    if owed := work.line.patiently(collection.owe):
        message = " ".join(filter(None, (message, lost(owed, collection.name))))
        encode(tools.workshop, collection, encoder, work.progress, work.line)
    if advice := work.line.patiently(library.advice):
        log.warning(advice)
    return message


def _key(work: ImportWork) -> str:
    """What the names of files that the job makes follow from: the same when it is done again."""
    return f"job:{work.job.id}:{work.job.created_at.isoformat()}"


IMPORT = Kind(
    "import",
    ImportSpec,
    _run,
    title=lambda spec: spec.root.title(),
    uploads=lambda spec: spec.root.paths(),
    summary="{done:,} imported, {skipped:,} skipped (unchanged), {failed:,} could not be read",
)
