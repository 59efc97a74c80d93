"""Pictures whose import was cut off, or whose vector was lost, get one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

from PIL.Image import Image as Pixels

from tsir.encoders.base import Encoder
from tsir.errors import EncoderMismatch
from tsir.importing.reading import open_photo, photo_to_keep, read_again
from tsir.importing.workshop import Tools, Workshop
from tsir.jobs.kinds import Kind, Spec, Work
from tsir.jobs.line import Line
from tsir.jobs.model import JobFailure
from tsir.jobs.progress import Progress
from tsir.library.collection import Collection
from tsir.library.library import Library
from tsir.records import Image
from tsir.settings import Settings

T = TypeVar("T")


def encode_unfinished(library: Library, encoder_of: Callable[[Collection], Encoder], settings: Settings) -> tuple[int, list[JobFailure]]:
    """Encode the pending pictures of all collections from their files.

    Returns how many became ready, and those whose file is gone, changed or unreadable, or whose collection is of
    another encoder. Raises what the stores raise.
    """
    progress = Progress()
    with closing(Workshop(library, settings)) as workshop:
        for collection in library.handles():
            if not collection.unfinished(1):
                continue
            try:
                encoder = encoder_of(collection)
            except EncoderMismatch as error:
                progress.add(failures=[JobFailure(collection.name, str(error))])
                continue
            encode(workshop, collection, encoder, progress)
    return progress.done, progress.take_failures()


def encode(workshop: Workshop, collection: Collection, encoder: Encoder, progress: Progress, line: Line | None = None) -> None:
    """Encode the pending pictures of one collection; with a `line`, wait for stores that are away, and stop when it is asked to."""
    settings = workshop.settings

    def decode(image: Image) -> tuple[int, Pixels | JobFailure]:
        picture = read_again(image, lambda path: open_photo(path, encoder, settings))
        return image.id, picture if isinstance(picture, JobFailure) else photo_to_keep(encoder, picture)

    after = 0
    while images := _call(line, lambda after=after: collection.unfinished(settings.batch_size, after)):  # type: ignore[misc]
        after = images[-1].id
        batch: list[tuple[int, Pixels]] = []
        for id, result in workshop.decoded(images, decode):
            if isinstance(result, JobFailure):
                progress.add(failures=[result])
            else:
                batch.append((id, result))
        if batch:
            ids, vectors = [id for id, _ in batch], workshop.encoded(encoder, [pixels for _, pixels in batch])
            _call(line, lambda ids=ids, vectors=vectors: collection.finish(ids, vectors, encoder.info))  # type: ignore[misc]
            progress.add(done=len(batch))


def _call(line: Line | None, call: Callable[[], T]) -> T:
    return call() if line is None else line.patiently(call)


def lost(count: int, name: str) -> str:
    """What to tell of vectors that turned out to be missing."""
    return f"The vectors of {count:,} picture{'s' * (count != 1)} of {name!r} are missing: they are encoded again from their files."


class MendSpec(Spec):
    """Nothing but the collection needs to be known."""


def _run(work: Work[MendSpec], tools: Tools) -> str | None:
    collection = work.line.patiently(tools.library.collection, work.job.collection)
    work.confirm()
    encoder = work.line.patiently(tools.encoder_of, collection)
    work.line.patiently(collection.owe)
    work.progress.total = work.line.patiently(collection.describe).pending
    encode(tools.workshop, collection, encoder, work.progress, work.line)
    return None


MEND = Kind(
    "mend", MendSpec, _run, title=lambda spec: "lost vectors", summary="{done:,} pictures encoded again, {failed:,} could not be read"
)
