"""Files and bytes -> a picture as an encoder takes it: decoded within the limits, at the size that is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as PILImage
from PIL.Image import Image

from tsir.encoders import plain
from tsir.encoders.base import Encoder, Vectors
from tsir.errors import InvalidImage, TooLarge
from tsir.jobs.model import JobFailure
from tsir.media.apart import WHOLE, Product, open_apart
from tsir.media.buckets import fetch
from tsir.media.decode import Picture, Unreadable
from tsir.media.files import is_address, regular, said
from tsir.media.thumbnails import SIZES, ThumbnailSize
from tsir.records import Image as StoredImage
from tsir.settings import Settings

SMALLEST = 16
"""Pixels of a short side below which nothing can be recognised: such pictures were among the first ten of a hundred photos in eight of ten
nonsensical searches; from twice as many pixels on they are where they belong."""
_NOTHING = "tsir: nothing to be recognised"


def least_sides(encoder: Encoder) -> tuple[int, int] | None:
    """Shortest short and long side to which a photo may be reduced while decoding; None: not at all.

    The short side serves the encoder, the long one the large thumbnail, too.
    """
    return (encoder.photo_size, max(encoder.photo_size, SIZES["large"].side)) if encoder.scaled_decode else None


def open_within(path: Path | bytes, settings: Settings, least: tuple[int, int] | None, product: Product = WHOLE) -> Picture:
    """Decode a file within the limits of the settings; `least`, as `least_sides` gives it. Raises InvalidImage and TooLarge."""
    short, long = least or (None, None)
    if isinstance(path, Path):
        try:
            regular(path)
        except OSError as error:
            raise Unreadable(f"The file cannot be read: {said(error)}.") from None
    limits = {"max_bytes": settings.max_upload_bytes, "max_pixels": settings.max_pixels}
    return open_apart(path, **limits, min_side=short, min_long_side=long, product=product)


def open_at(path: str, settings: Settings, least: tuple[int, int] | None, product: Product = WHOLE) -> Picture:
    """Like `open_within`, of a file or of what lies at an address for fsspec."""
    return open_within(fetch(path, settings.max_upload_bytes) if is_address(path) else Path(path), settings, least, product)


def open_photo(path: str, encoder: Encoder, settings: Settings, thumbnails: Sequence[ThumbnailSize] = ()) -> Picture:
    """Like `open_at`, for an encoder: where possible the photo is prepared where it is decoded; `photo_to_keep` takes it from there."""
    product = Product(encoder.photo_geometry, not encoder.scaled_decode, tuple(thumbnails))
    return open_at(path, settings, least_sides(encoder), product)


def read_again(image: StoredImage, read: Callable[[str], Picture]) -> Picture | JobFailure:
    """Read a stored picture from the first of its paths that still holds it: the same content may lie elsewhere, too."""
    reason = "The file is gone."
    for path in image.paths:
        try:
            picture = read(path)
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
    """The photo, ready for the encoder, and for `plain.photo_vectors`."""
    return plain.prepared(encoder, pixels_for(encoder, picture))


def photo_to_keep(encoder: Encoder, picture: Picture) -> Image:
    """The photo, ready for `vectors_of`: in the place of one that is too small to show anything a marked blank."""
    if min(picture.metadata.width, picture.metadata.height) >= SMALLEST:
        return photo_for(encoder, picture)
    blank = encoder.prepare_photo(PILImage.new("RGB", (encoder.photo_size,) * 2, "white")).copy()
    blank.info[_NOTHING] = True
    return blank


def vectors_of(encoder: Encoder, photos: Sequence[Image]) -> Vectors:
    """Photos as `photo_to_keep` gives them -> float32 [n, dim] unit rows.

    A blank is near to whatever means nothing; what shows nothing gets the opposite, so that it comes last instead of first.
    """
    signs = np.array([[-1 if _NOTHING in photo.info else 1] for photo in photos], np.float32)
    return plain.photo_vectors(encoder, photos) * signs
