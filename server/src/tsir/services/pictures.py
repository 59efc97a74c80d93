"""Single pictures: their files and thumbnails."""

from __future__ import annotations

import shlex
from pathlib import Path

from PIL.Image import Image as Pixels

from tsir.errors import NotFound
from tsir.importing.reading import read_again
from tsir.jobs.model import JobFailure
from tsir.library.library import Library
from tsir.media.thumbnails import SIZES, ThumbnailSize
from tsir.records import Image
from tsir.settings import Settings


def original(image: Image) -> Path:
    """The first place where a catalogued picture still lies. Raises NotFound when it is gone."""
    for place in image.paths:
        path = Path(place)
        if path.is_file():
            return path
    raise NotFound(
        f"The file of image {image.id} is no longer at {image.path!r}: is a drive missing? If it was deleted, "
        f"`tsir forget {shlex.quote(str(Path(image.path).parent))}` takes it out."
    )


def thumbnail(library: Library, image: Image, size: ThumbnailSize, settings: Settings) -> Path:
    """The thumbnail's file, made now when it is missing. Raises NotFound when the original is gone or broken."""
    path = library.files.thumbnails.find(image.content_hash, size)
    if path is None:
        library.files.thumbnails.write(image.content_hash, _decoded(image, settings))
        path = library.files.thumbnails.find(image.content_hash, size)
    if path is None:
        raise NotFound(f"There is no thumbnail of image {image.id}: the cache is too small (THUMBNAIL_BYTES).")
    return path


def make_thumbnails(library: Library, image: Image, settings: Settings) -> bool:
    """Make the thumbnails that an image lacks; False when its file cannot be had now, or the cache is full."""
    try:
        for size in SIZES:
            thumbnail(library, image, size, settings)
    except NotFound:
        return False
    return True


def _decoded(image: Image, settings: Settings) -> Pixels:
    """The picture, large enough for thumbnails. Raises NotFound."""
    original(image)
    picture = read_again(image, settings, (SIZES["small"].side, SIZES["large"].side))
    if isinstance(picture, JobFailure):
        raise NotFound(f"There is no thumbnail of image {image.id}: {picture.reason}")
    return picture.image
