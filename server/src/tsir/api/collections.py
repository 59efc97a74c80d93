"""Collections: list, create, describe, drop, re-encode."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Response

from tsir.api.deps import CollectionName, JobsDep, LibraryDep, RunDep, RunnerDep, StateDep
from tsir.api.schemas import Forget, Reencode
from tsir.api.state import State
from tsir.records import CollectionSummary
from tsir.services import collections as service
from tsir.services.imports import submit_reencode
from tsir.services.views import CollectionList, CollectionOut, Forgotten, JobDetail

router = APIRouter(prefix="/api/v1/collections", tags=["collections"])


@router.get("")
async def list_collections(state: StateDep, library: LibraryDep, run: RunDep) -> CollectionList:
    """All collections, by name."""
    return CollectionList(collections=[describe(state, collection) for collection in await run(library.collections)])


@router.put("/{name}", responses={201: {"model": CollectionOut, "description": "Created."}})
async def create_collection(name: CollectionName, state: StateDep, library: LibraryDep, run: RunDep, response: Response) -> CollectionOut:
    """Create a collection for the running encoder; an existing one of that encoder stays as it is."""
    collection, made = await run(library.create, name, state.encoder.info)
    response.status_code = 201 if made else 200
    return describe(state, await run(collection.describe))


@router.get("/{name}")
async def read_collection(name: CollectionName, state: StateDep, library: LibraryDep, run: RunDep) -> CollectionOut:
    """One collection with its counts."""
    return describe(state, await run(lambda: library.collection(name).describe()))


@router.delete("/{name}", status_code=204)
async def drop_collection(name: CollectionName, library: LibraryDep, jobs: JobsDep, run: RunDep) -> None:
    """Delete a collection with its vectors; the files of import folders stay."""
    await run(service.drop, library, jobs, name)


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
