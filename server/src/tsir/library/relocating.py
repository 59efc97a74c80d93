"""A folder of the library was moved: its pictures are known at their new places at once, without reading them."""

from __future__ import annotations

from tsir.errors import Conflict, NotFound
from tsir.library.library import Library
from tsir.records import Relocated


def relocate(library: Library, old: str, new: str) -> Relocated:
    """All collections know what lay below the folder `old` below `new` from now on; both absolute. No file is touched.

    Files that are not there are missing, as always; those that are still at their old place alone stay. Raises NotFound when nothing lay
    below `old`, and Conflict when all of it is still there. Idempotent up to that.
    """
    places = images = missing = 0
    for collection in library.handles():
        moved, of = collection.relocate(old, new)
        if moved:
            collection.look(new)
            places, images = places + moved, images + of
            missing += collection.missing_below(new)
    if not places and any(collection.knows_below(old) for collection in library.handles()):
        raise Conflict(f"The files below {old!r} are still there, and none of them is below {new!r}: nothing was changed.")
    if not places:
        raise NotFound(f"No picture of the library lies below {old!r}.")
    return Relocated(places, images, missing)
