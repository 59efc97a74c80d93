"""Pictures whose import was cut off, or whose vector was lost, get one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from PIL.Image import Image as Pixels

from tsir.encoders.base import Encoder
from tsir.errors import EncoderMismatch
from tsir.importing.reading import least_sides, photo_for, read_again
from tsir.importing.workshop import Workshop
from tsir.jobs.model import JobFailure
from tsir.library.collection import Collection
from tsir.library.library import Library
from tsir.records import Image
from tsir.settings import Settings


def encode_unfinished(library: Library, encoder_of: Callable[[Collection], Encoder], settings: Settings) -> tuple[int, list[JobFailure]]:
    """Encode the pending pictures of all collections from their files.

    Returns how many became ready, and those whose file is gone, changed or unreadable, or whose collection is of
    another encoder. Raises what the stores raise.
    """
    mended, failures = 0, []
    with closing(Workshop(library, settings)) as workshop:
        for collection in library.handles():
            count, failed = _encode(workshop, collection, encoder_of)
            mended += count
            failures += failed
    return mended, failures


def _encode(workshop: Workshop, collection: Collection, encoder_of: Callable[[Collection], Encoder]) -> tuple[int, list[JobFailure]]:
    settings = workshop.settings
    images = collection.unfinished(settings.batch_size)
    if not images:
        return 0, []
    try:
        encoder = encoder_of(collection)
    except EncoderMismatch as error:
        return 0, [JobFailure(collection.name, str(error))]
    least = least_sides(encoder)

    def decode(image: Image) -> tuple[int, Pixels | JobFailure]:
        picture = read_again(image, settings, least)
        return image.id, picture if isinstance(picture, JobFailure) else photo_for(encoder, picture)

    mended, failures = 0, []
    while images:
        batch: list[tuple[int, Pixels]] = []
        for id, result in workshop.decoded(images, decode):
            if isinstance(result, JobFailure):
                failures.append(result)
            else:
                batch.append((id, result))
        if batch:
            collection.finish([id for id, _ in batch], workshop.encoded(encoder, [pixels for _, pixels in batch]), encoder.info)
            mended += len(batch)
        images = collection.unfinished(settings.batch_size, images[-1].id)
    return mended, failures
