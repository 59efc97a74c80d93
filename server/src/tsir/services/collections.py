"""Collections: make, describe, drop, and what to advise about them."""

from __future__ import annotations

from collections.abc import Sequence

from tsir.encoders.loaded import Encoders
from tsir.errors import InvalidInput, NotFound, TsirError
from tsir.jobs.store import Jobs
from tsir.library.collection import Collection
from tsir.library.library import Library
from tsir.records import CollectionSummary, Removed, Swept


def ensured(library: Library, encoders: Encoders, name: str) -> Collection:
    """The collection of that name, created for the running encoder when there is none."""
    try:
        return library.collection(name)
    except NotFound:
        return library.create(name, encoders.main.info)[0]


def drop(library: Library, jobs: Jobs, name: str) -> Removed:
    """Delete a collection with its vectors, and cancel its jobs; the files of import folders stay, uploads go to the trash."""
    return library.drop(name, also=jobs.cancel_all(name))


def rename(library: Library, jobs: Jobs, name: str, to: str) -> Collection:
    """Call a collection, and with it its jobs, by another name. Raises InvalidInput, and Conflict when that is taken."""
    return library.rename(name, to, also=jobs.rename_all(name, to))


def forget(library: Library, name: str, folder: str | None) -> Swept:
    """Take the missing pictures of a folder out of a collection (None: all that are missing); files that are back are found instead."""
    if folder is not None and not folder.startswith("/"):
        raise InvalidInput(f"The folder {folder!r} is not absolute.")
    return library.collection(name).forget_missing(folder)


def usable(encoders: Encoders, collection: CollectionSummary) -> bool:
    """Whether a search of the collection would find an encoder for it."""
    if collection.state == "reencoding":
        return True
    try:
        encoders.of(collection)
    except TsirError:
        return False
    return True


def advice(library: Library, encoders: Encoders, collections: Sequence[CollectionSummary], working: set[str]) -> list[str]:
    """What a person may want to do about collections. `working`: names of those with a job that is not over."""
    found = [sentence for sentence in [library.advice(collections)] if sentence]
    for collection in collections:
        try:
            if collection.state != "reencoding":
                encoders.of(collection)
        except TsirError as error:
            found.append(str(error))
        if collection.missing:
            found.append(
                f"{collection.missing:,} pictures of {collection.name!r} are missing: their files are not there now. Is a drive away? "
                "They are hidden until they are back; what you deleted, `tsir forget FOLDER` takes out."
            )
        if collection.pending and collection.name not in working:
            found.append(f"{collection.pending} pictures of {collection.name!r} wait for their vectors: import their folder again.")
    return found
