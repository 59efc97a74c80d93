"""The kind of job that imports: a folder, files that were sent, or addresses."""

from __future__ import annotations

import logging
import shlex
import threading
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, RootModel

from tsir.errors import EncoderMismatch, InvalidInput, VectorsDamaged
from tsir.importing import archives, sources
from tsir.importing.ignoring import Rules
from tsir.importing.mend import encode, lost
from tsir.importing.pipeline import Import
from tsir.importing.scan import Batch, count, passed_over, scan
from tsir.importing.workshop import Tools
from tsir.jobs.kinds import Again, Kind, Spec, Work
from tsir.jobs.model import JobState
from tsir.library.collection import Collection
from tsir.media.files import folder_trouble
from tsir.media.formats import obtainable
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

    def brings_back(self) -> bool:
        """Whether it brings pictures that somebody took out: who sends one wants to have it."""
        return True

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
    again: bool = False
    """Also what somebody took out before."""

    def title(self) -> str:
        return self.folder

    def batches(self, work: ImportWork, tools: Tools) -> Iterator[Batch]:
        folder, roots = Path(self.folder), tools.settings.roots
        if trouble := folder_trouble(folder):
            raise InvalidInput(f"The folder {self.folder!r} {trouble}.")
        rules = Rules.of(tools.settings, self.exclude)
        rules.check(folder)

        count_beside(work, folder, roots, rules)
        return scan(folder, roots, rules, work.progress.passed)

    def brings_back(self) -> bool:
        return self.again

    def settle(self, work: ImportWork, collection: Collection) -> str | None:
        return settle_folder(work, collection, self.folder, again=self.again)


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
        limit, passed = tools.settings.max_upload_bytes, work.progress.passed
        return sources.files(self.files, tools.library.files, _key(work), limit, work.line, passed)

    def settle(self, work: ImportWork, collection: Collection) -> str | None:
        passed = work.progress.passed
        return " ".join(filter(None, (passed_over(passed), obtainable(passed.kinds)))) or None

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
        files, limit = tools.library.files, tools.settings.max_upload_bytes
        return sources.urls(self.urls, files, _key(work), limit, work.line, allowed=tools.allowed)


def settle_folder(work: Work[Any], collection: Collection, folder: str, *, again: bool) -> str | None:
    """The end of a folder's import: what vanished from it is missing; returns what is worth knowing about all of it, in sentences."""
    swept = work.line.patiently(collection.sweep, folder)
    passed, out = work.progress.passed, 0 if again else work.line.patiently(collection.excluded_below, folder)
    said = (passed_over(passed), obtainable(passed.kinds), _left_out(out, folder), told(swept, folder))
    return " ".join(filter(None, said)) or None


def _left_out(count: int, folder: str) -> str | None:
    """What to tell of pictures that were taken out of the collection and lie in a folder."""
    if not count:
        return None
    pictures = "1 picture that was" if count == 1 else f"{count:,} pictures that were"
    return f"{pictures} taken out before: left out. `tsir load {shlex.quote(folder)} --again` brings them back."


def cut_off(count: int) -> str | None:
    """What to tell of files that end too early."""
    if not count:
        return None
    return f"{count:,} {'file was' if count == 1 else 'files were'} cut off and read as far as {'it goes' if count == 1 else 'they go'}."


def count_beside(work: Work[Any], folder: Path, roots: Sequence[Path], rules: Rules) -> None:
    """Find the total of a folder's import in a thread of its own."""
    line = work.line

    def count_all() -> None:
        total = count(folder, roots, lambda: line.stopped, rules)
        if total is not None and not line.stopped:
            work.progress.total = total

    threading.Thread(target=count_all, name=f"job-{work.job.id}-count").start()


def told(swept: Swept, folder: str) -> str | None:
    """What became of a folder's files, in sentences; None when there is nothing to tell."""
    said = [*swept.suspicions]
    if swept.paths:
        files = "1 file is" if swept.paths == 1 else f"{swept.paths:,} files are"
        pictures = "1 picture is" if swept.images == 1 else f"{swept.images:,} pictures are"
        said.append(f"{files} no longer in the folder; {pictures} missing now: hidden, not deleted.")
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
    task = Import(tools.workshop, collection, encoder, work.progress, work.line, again=source.brings_back())

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
    except VectorsDamaged as error:  # told when it wrote the first ones: made again, then all of what it was to import
        if not work.line.patiently(collection.owe) and collection.count():
            raise  # nothing was thrown away
        encode(tools.workshop, collection, encoder, work.progress, work.line)
        raise Again from error
    message = source.settle(work, collection)
    message = " ".join(filter(None, (message, cut_off(work.progress.cut)))) or None
    work.line.patiently(library.forget_old, collection)
    if owed := work.line.patiently(collection.owe):
        message = " ".join(filter(None, (message, lost(owed, collection.name))))
        encode(tools.workshop, collection, encoder, work.progress, work.line)
    if task.bare:
        bare = f"{task.bare:,} pictures have no thumbnails yet, for the disk of DATA_DIR has little room: they are made when asked for."
        message = " ".join(filter(None, (message, bare)))
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
