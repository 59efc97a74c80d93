"""The kind of job that encodes a collection's pictures anew by another model, while the old vectors serve."""

from __future__ import annotations

from collections.abc import Iterator

from PIL.Image import Image as Pixels

from tsir.encoders.base import Encoder, Vectors
from tsir.errors import Conflict
from tsir.importing.pipeline import AHEAD_BATCHES
from tsir.importing.reading import open_photo, photo_to_keep, read_again
from tsir.importing.workshop import Tools, Workshop
from tsir.jobs.kinds import Kind, Spec, Work
from tsir.jobs.line import Line
from tsir.jobs.model import JobFailure
from tsir.jobs.progress import Progress
from tsir.library.collection import Collection
from tsir.library.reencoding import Reencoding
from tsir.paging import chunks
from tsir.records import Image

PAGE = 500
"""Images read from the catalog at a time."""


class ReencodeSpec(Spec):
    """Which model a collection moves to."""

    encoder: str
    """Its name."""


def _run(work: Work[ReencodeSpec], tools: Tools) -> str | None:
    reencoding = work.line.patiently(tools.library.reencoding, work.job.collection)
    collection = work.line.patiently(tools.library.collection, work.job.collection)
    work.confirm()
    encoder = tools.encoders.named(work.spec.encoder)
    return reencode(tools.workshop, collection, reencoding, encoder, work.progress, work.line)


REENCODE = Kind("reencode", ReencodeSpec, _run, title=lambda spec: spec.encoder, summary="{done:,} pictures encoded anew")


def reencode(
    workshop: Workshop, collection: Collection, reencoding: Reencoding, encoder: Encoder, progress: Progress, line: Line
) -> str | None:
    """Encode all pictures, then serve the new vectors. Returns a sentence about pictures whose files are gone, if there are any.

    What was done by an interrupted run is not done again, be it all of it: there is nothing to do in a collection that is of this encoder
    already but to tidy up what a run that was cut off at its end left. Raises Stopped, and what the encoder raises.
    """
    settings = workshop.settings
    try:
        line.patiently(reencoding.begin, encoder.info)
    except Conflict as already:
        progress.total = line.patiently(collection.count)
        progress.add(skipped=progress.total)
        return _served(line.patiently(reencoding.finish_swap)) or (None if progress.done else str(already))
    progress.total = line.patiently(collection.count)
    progress.add(skipped=progress.resumed)
    unreadable: set[int] = set()

    def stored() -> Iterator[Image]:
        after = 0
        while images := line.patiently(reencoding.batch, PAGE, after):
            after = max(image.id for image in images)
            yield from (image for image in images if image.id not in unreadable)

    def decode(image: Image) -> tuple[int, Pixels | JobFailure]:
        picture = read_again(image, lambda path: open_photo(path, encoder, settings))
        return image.id, picture if isinstance(picture, JobFailure) else photo_to_keep(encoder, picture)

    def decoded() -> Iterator[tuple[int, Pixels]]:
        for id, result in workshop.decoded(stored(), decode):
            if isinstance(result, JobFailure):
                unreadable.add(id)
                progress.add(failures=[result])
            else:
                yield id, result

    def encoded() -> Iterator[tuple[list[int], Vectors]]:
        pixels = line.ahead(decoded(), AHEAD_BATCHES * settings.batch_size, "reencode-decode")
        for chunk in chunks(pixels, settings.batch_size):
            yield [id for id, _ in chunk], workshop.encoded(encoder, [image for _, image in chunk])

    def once() -> int:
        count = 0
        for ids, vectors in line.ahead(encoded(), AHEAD_BATCHES, "reencode-encode"):
            line.patiently(reencoding.finish, ids, vectors)
            progress.add(done=len(ids))
            count += len(ids)
        return count

    while once():  # again for those that were imported, renamed or copied while it ran
        pass
    return _served(line.patiently(reencoding.swap))


def _served(left: int) -> str | None:
    return f"{left} pictures could not be read and are not found until they are imported again." if left else None
