"""A collection's pictures, encoded anew by another model while the old vectors serve."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future

from PIL.Image import Image as Pixels

from tsir.encoders.base import Encoder, Vectors
from tsir.errors import Conflict
from tsir.importing.pipeline import AHEAD_BATCHES, Progress, Workshop, chunks
from tsir.importing.reading import least_sides, photo_for, read_again
from tsir.jobs.line import Line
from tsir.library.library import Library
from tsir.records import Image, JobFailure
from tsir.settings import Settings

PAGE = 500
"""Images read from the catalog at a time."""


def reencode(
    library: Library, encoder: Encoder, settings: Settings, workshop: Workshop, collection: str, progress: Progress, line: Line
) -> str | None:
    """Encode all pictures, then serve the new vectors. Returns a sentence about pictures whose files are gone, if there are any.

    What was done by an interrupted run is not done again, be it all of it: there is nothing to do in a collection that is of this encoder
    already but to tidy up what a run that was cut off at its end left. Raises Stopped, and what the encoder raises.
    """
    target = encoder.info
    try:
        generation = line.patiently(library.begin_reencode, collection, target)
    except Conflict as already:
        progress.total = line.patiently(library.count, collection)
        progress.add(skipped=progress.total)
        return _served(line.patiently(library.finish_swap, collection)) or (None if progress.done else str(already))
    least = least_sides(encoder)
    progress.total = line.patiently(library.count, collection)
    progress.add(skipped=progress.resumed)
    unreadable: set[int] = set()

    def stored() -> Iterator[Image]:
        after = 0
        while images := line.patiently(library.reencode_batch, collection, generation, PAGE, after):
            after = max(image.id for image in images)
            yield from (image for image in images if image.id not in unreadable)

    def decode(image: Image) -> tuple[int, Pixels | JobFailure]:
        picture = read_again(image, settings, least)
        return image.id, picture if isinstance(picture, JobFailure) else photo_for(encoder, picture)

    def decoded() -> Iterator[tuple[int, Pixels]]:
        running: deque[Future[tuple[int, Pixels | JobFailure]]] = deque()
        window = settings.num_workers + settings.batch_size

        def next_result() -> Iterator[tuple[int, Pixels]]:
            id, result = running.popleft().result()
            if isinstance(result, JobFailure):
                unreadable.add(id)
                progress.add(failures=[result])
            else:
                yield id, result

        for image in stored():
            running.append(workshop.decoders.submit(decode, image))
            if len(running) >= window:
                yield from next_result()
        while running:
            yield from next_result()

    def encoded() -> Iterator[tuple[list[int], Vectors]]:
        pixels = line.ahead(decoded(), AHEAD_BATCHES * settings.batch_size, "reencode-decode")
        for chunk in chunks(pixels, settings.batch_size):
            batch = [image for _, image in chunk]
            yield [id for id, _ in chunk], workshop.encoder.submit(encoder.images, batch).result()

    def once() -> int:
        count = 0
        for ids, vectors in line.ahead(encoded(), AHEAD_BATCHES, "reencode-encode"):
            line.patiently(library.finish_reencode, collection, generation, ids, vectors)
            progress.add(done=len(ids))
            count += len(ids)
        return count

    while once():  # again for those that were imported, renamed or copied while it ran
        pass
    return _served(line.patiently(library.swap, collection, generation))


def _served(left: int) -> str | None:
    return f"{left} pictures could not be read and are not found until they are imported again." if left else None
