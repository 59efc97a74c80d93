"""Near-duplicates of a collection: which of its pictures are one."""

from __future__ import annotations

import numpy as np

from tsir.errors import Conflict
from tsir.library.library import Library
from tsir.records import Image
from tsir.searching.duplicates import groups
from tsir.services.search import look
from tsir.settings import Settings

PAGE = 2_000
"""Pictures read at once, with their vectors."""


def find(library: Library, settings: Settings, name: str) -> list[list[Image]]:
    """Groups of two or more pictures of a collection that are one, the best of each first; pictures whose files are missing are left out.

    Takes a few milliseconds a picture, most of them for its thumbnail. Raises NotFound for an unknown collection, and Conflict when it is
    encoded anew meanwhile.
    """
    collection = library.collection(name)
    images: list[Image] = []
    vectors = [np.empty((0, collection.encoder.dim), dtype=np.float16)]  # half the memory, and precise enough for this
    cursor: str | None = None
    while True:
        page, cursor = collection.images(cursor, PAGE)
        found = collection.vectors([image.id for image in page])
        known = [image for image in page if image.id in found]
        images += known
        if known:
            vectors.append(np.stack([found[image.id] for image in known]).astype(np.float16))
        if cursor is None:
            break
    if collection.again().encoder != collection.encoder:
        raise Conflict(f"{name!r} was encoded anew meanwhile: ask again.")
    return groups(images, np.concatenate(vectors), lambda image: look(library, image, settings))
