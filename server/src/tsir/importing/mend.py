"""Pictures whose import was cut off, or whose vector was lost, get one."""

from __future__ import annotations

from collections.abc import Callable

from tsir.encoders.base import Encoder
from tsir.errors import EncoderMismatch
from tsir.importing.reading import least_sides, photo_for, read_again
from tsir.library.library import Library
from tsir.records import Collection, JobFailure
from tsir.settings import Settings


def encode_unfinished(library: Library, encoder_of: Callable[[Collection], Encoder], settings: Settings) -> tuple[int, list[JobFailure]]:
    """Encode the pending pictures of all collections from their files.

    Returns how many became ready, and those whose file is gone, changed or unreadable, or whose collection is of
    another encoder. Raises what the stores raise.
    """
    mended, failures = 0, []
    for collection in library.collections():
        after = 0
        while images := library.unfinished(collection.name, settings.batch_size, after):
            after = images[-1].id
            try:
                encoder = encoder_of(collection)
            except EncoderMismatch as error:
                failures.append(JobFailure(collection.name, str(error)))
                break
            least = least_sides(encoder)
            ids, batch = [], []
            for image in images:
                picture = read_again(image, settings, least)
                if isinstance(picture, JobFailure):
                    failures.append(picture)
                else:
                    ids.append(image.id)
                    batch.append(photo_for(encoder, picture))
            if batch:
                library.finish(collection.name, ids, encoder.images(batch), encoder=encoder.info)
                mended += len(ids)
    return mended, failures
