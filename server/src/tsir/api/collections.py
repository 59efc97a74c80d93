"""Collections: list, create, describe, rename, drop, re-encode; pictures of a collection as a whole."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body, Query, Response

from tsir.api.deps import CollectionName, Cursor, JobsDep, LibraryDep, NewName, RunDep, RunnerDep, StateDep
from tsir.api.routes import group
from tsir.api.schemas import Add, Forget, Reencode, Rename, Some
from tsir.api.state import State
from tsir.records import CollectionSummary
from tsir.services import collections as service
from tsir.services import pictures
from tsir.services.imports import submit_reencode
from tsir.services.views import Came, CollectionList, CollectionOut, Copies, Forgotten, ImageList, ImageOut, JobDetail, RemovedOut

router = group("collections", "/api/v1/collections")


@router.get("")
async def list_collections(state: StateDep, library: LibraryDep, run: RunDep) -> CollectionList:
    """All collections, by name."""
    return CollectionList(collections=[describe(state, collection) for collection in await run(library.collections)])


@router.put("/{name}", responses={201: {"model": CollectionOut, "description": "Created."}})
async def create_collection(name: NewName, state: StateDep, library: LibraryDep, run: RunDep, response: Response) -> CollectionOut:
    """Create a collection for the running encoder; an existing one of that encoder stays as it is."""
    collection, made = await run(library.create, name, state.encoder.info)
    response.status_code = 201 if made else 200
    return describe(state, await run(collection.describe))


@router.get("/{name}")
async def read_collection(name: CollectionName, state: StateDep, library: LibraryDep, run: RunDep) -> CollectionOut:
    """One collection with its counts."""
    return describe(state, await run(lambda: library.collection(name).describe()))


@router.patch("/{name}")
async def rename_collection(
    name: CollectionName, body: Rename, state: StateDep, library: LibraryDep, jobs: JobsDep, run: RunDep
) -> CollectionOut:
    """Give a collection another name; its pictures, vectors and jobs stay. The default one's name is what DEFAULT_TABLE says."""
    collection = await run(service.rename, library, jobs, name, body.name)
    return describe(state, await run(collection.describe))


@router.delete("/{name}")
async def drop_collection(name: CollectionName, library: LibraryDep, jobs: JobsDep, run: RunDep) -> RemovedOut:
    """Delete a collection with its vectors; the files of import folders stay, uploaded files go to the trash."""
    return RemovedOut.of(await run(service.drop, library, jobs, name))


@router.post("/{name}/only-copies")
async def count_only_copies(name: CollectionName, library: LibraryDep, run: RunDep, body: Annotated[Some | None, Body()] = None) -> Copies:
    """How many of these pictures (or of all) were uploaded and lie nowhere else: what to say before they are taken out."""
    pictures, only = await run(lambda: library.collection(name).only_copies(body.ids if body else None))
    return Copies(pictures=pictures, only_copies=only)


@router.get("/{name}/excluded")
async def list_excluded(
    name: CollectionName, library: LibraryDep, run: RunDep, cursor: Cursor = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> ImageList:
    """A page of the pictures that were taken out and lie in folders, newest first: imports leave them out."""
    images, following = await run(lambda: library.collection(name).excluded(cursor, limit))
    return ImageList(images=[ImageOut.of(image) for image in images], next=following)


@router.post("/{name}/include")
async def include_images(
    name: CollectionName, library: LibraryDep, runner: RunnerDep, run: RunDep, body: Annotated[Some | None, Body()] = None
) -> Came:
    """Bring back pictures (or all) that were taken out and lie in folders. Within TRASH_DAYS the trash does it at once."""
    count, job = await run(pictures.include, library, runner, name, body.ids if body else None)
    return Came.of(name, count, job)


@router.post("/{name}/add")
async def add_images(name: CollectionName, body: Add, library: LibraryDep, runner: RunnerDep, run: RunDep) -> Came:
    """Add pictures of another collection: the same files, and with the same encoder the same vectors. Those it has stay as they are."""
    count, job = await run(pictures.add, library, runner, body.source, name, body.ids)
    return Came.of(name, count, job)


@router.post("/{name}/reencode", status_code=202)
async def reencode_collection(
    name: CollectionName, state: StateDep, runner: RunnerDep, run: RunDep, body: Annotated[Reencode | None, Body()] = None
) -> JobDetail:
    """Encode a collection again with another model; the old vectors are served until the new ones are complete."""
    encoder = (body.encoder if body else None) or state.settings.model
    return JobDetail.new(await run(submit_reencode, runner, name, encoder))


@router.post("/{name}/forget")
async def forget_missing(
    name: CollectionName, library: LibraryDep, run: RunDep, body: Annotated[Forget | None, Body()] = None
) -> Forgotten:
    """Take pictures out whose files are missing, below a folder or all; those whose files are back stay. No file is touched."""
    swept = await run(service.forget, library, name, body.folder if body else None)
    return Forgotten(pictures=swept.images, found=swept.found)


def describe(state: State, collection: CollectionSummary) -> CollectionOut:
    """A collection as the API shows it."""
    return CollectionOut.of(collection, usable=service.usable(state.encoders, collection))
