"""Single pictures: their files and thumbnails."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL.Image import Image as Pixels

from tsir.errors import NotFound, StoreUnavailable
from tsir.importing.mend import MEND, MendSpec
from tsir.importing.reading import open_at, read_again
from tsir.jobs.model import Job, JobFailure
from tsir.jobs.runner import JobRunner
from tsir.library.library import Library
from tsir.library.sharing import share
from tsir.media.buckets import fetch
from tsir.media.decode import Unreadable
from tsir.media.files import is_address, regular, said
from tsir.media.thumbnails import SIZES, ThumbnailSize
from tsir.records import Image, Removed
from tsir.settings import Settings


def original(image: Image) -> Path | bytes:
    """The first file where a catalogued picture lies and can be read, or what is in it where it lies at an address. Raises NotFound when
    there is none now."""
    reason = None
    for place in image.paths:
        try:
            if is_address(place):
                return fetch(place, sys.maxsize)
            regular(place)
            with Path(place).open("rb"):
                return Path(place)
        except (FileNotFoundError, NotADirectoryError):  # noqa: PERF203 - few
            continue
        except Unreadable as error:
            reason = reason or f"Image {image.id} lies at {place!r}. {error}"
        except OSError as error:
            reason = reason or f"The file of image {image.id} cannot be read at {place!r}: {said(error)}."
    raise NotFound(
        reason
        or f"The file of image {image.id} is no longer at {image.path!r}: is a drive missing? If it was deleted, "
        f"`tsir forget {shlex.quote(str(Path(image.path).parent))}` takes it out."
    )


def remove(library: Library, name: str, ids: Sequence[int], paths: Sequence[str] = ()) -> Removed:
    """Take pictures out of a collection, by their ids or the paths at which they lie. Raises NotFound naming the first that is none."""
    collection = library.collection(name)
    found = collection.at(paths)
    if unknown := [path for path in paths if path not in found]:
        raise NotFound(f"No picture of {name!r} lies at {unknown[0]!r}.")
    return collection.remove([*ids, *found.values()])


def include(library: Library, runner: JobRunner, name: str, ids: Sequence[int] | None) -> tuple[int, Job | None]:
    """Bring pictures back (None: all) that were taken out and lie in folders; returns how many, and the job that encodes them."""
    back = library.collection(name).include(ids)
    return len(back), runner.submit(name, MEND, MendSpec(), once=True) if back else None


def add(library: Library, runner: JobRunner, source: str, target: str, ids: Sequence[int]) -> tuple[int, Job | None]:
    """Add pictures of one collection to another; returns how many, and what encodes those whose vectors are of another encoder."""
    count, waiting = share(library.collection(source), library.collection(target), ids)
    return count, runner.submit(target, MEND, MendSpec(), once=True) if waiting else None


def thumbnail(library: Library, image: Image, size: ThumbnailSize, settings: Settings) -> Path:
    """The thumbnail's file, made now when it is missing. Raises NotFound when the original is gone or broken, and as `Thumbnails.write`."""
    path = library.files.thumbnails.find(image.content_hash, size)
    if path is None:
        library.files.thumbnails.write(image.content_hash, _decoded(image, settings))
        path = library.files.thumbnails.find(image.content_hash, size)
    if path is None:
        raise NotFound(f"There is no thumbnail of image {image.id}: the cache is too small (THUMBNAIL_BYTES).")
    return path


def make_thumbnails(library: Library, image: Image, settings: Settings) -> bool:
    """Make the thumbnails that an image lacks; False when its file cannot be had now, or the cache takes no more."""
    try:
        for size in SIZES:
            thumbnail(library, image, size, settings)
    except (NotFound, StoreUnavailable):
        return False
    return True


def _decoded(image: Image, settings: Settings) -> Pixels:
    """The picture, large enough for thumbnails. Raises NotFound."""
    picture = read_again(image, lambda path: open_at(path, settings, (SIZES["small"].side, SIZES["large"].side)))
    if isinstance(picture, JobFailure):
        original(image)  # may know better why
        raise NotFound(f"There is no thumbnail of image {image.id}: {picture.reason}")
    return picture.image
