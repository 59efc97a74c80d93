"""Files and bytes -> a picture as an encoder takes it: decoded within the limits, at the size that is needed."""

from __future__ import annotations

from pathlib import Path

from PIL.Image import Image

from tsir.encoders.base import Encoder
from tsir.errors import InvalidImage, TooLarge
from tsir.jobs.model import JobFailure
from tsir.media.decode import Picture, open_picture
from tsir.media.thumbnails import SIZES
from tsir.records import Image as StoredImage
from tsir.settings import Settings


def least_sides(encoder: Encoder) -> tuple[int, int] | None:
    """Shortest short and long side to which a photo may be reduced while decoding; None: not at all.

    The short side serves the encoder, the long one the large thumbnail, too.
    """
    return (encoder.photo_size, max(encoder.photo_size, SIZES["large"].side)) if encoder.scaled_decode else None


def open_within(path: Path | bytes, settings: Settings, least: tuple[int, int] | None) -> Picture:
    """Decode a file within the limits of the settings; `least`, as `least_sides` gives it. Raises InvalidImage and TooLarge."""
    short, long = least or (None, None)
    return open_picture(path, max_bytes=settings.max_upload_bytes, max_pixels=settings.max_pixels, min_side=short, min_long_side=long)


def read_again(image: StoredImage, settings: Settings, least: tuple[int, int] | None) -> Picture | JobFailure:
    """Decode a stored picture from the first of its paths that still holds it: the same content may lie elsewhere, too."""
    reason = "The file is gone."
    for path in image.paths:
        try:
            picture = open_within(Path(path), settings, least)
        except (InvalidImage, TooLarge) as error:
            reason = str(error)
            continue
        if picture.content_hash == image.content_hash:
            return picture
        reason = "The file holds another picture now: import its folder again."
    return JobFailure(image.path, reason)


def pixels_for(encoder: Encoder, picture: Picture) -> Image:
    """The decoded photo as the encoder wants to see it: as the file has it for one that reproduces others' vectors."""
    return picture.image if encoder.scaled_decode else picture.as_stored


def photo_for(encoder: Encoder, picture: Picture) -> Image:
    """The photo, ready for the encoder."""
    return encoder.prepare_photo(pixels_for(encoder, picture))
