"""Collections: list, create, describe, drop, re-encode."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Response

from tsir.api.deps import CollectionName, LibraryDep, RunDep, RunnerDep, StateDep
from tsir.api.schemas import CollectionList, CollectionOut, JobDetail, Reencode
from tsir.errors import TsirError
from tsir.records import Collection
from tsir.services.opening import State

router = APIRouter(prefix="/api/v1/collections", tags=["collections"])


@router.get("")
async def list_collections(state: StateDep, library: LibraryDep, run: RunDep) -> CollectionList:
    """All collections, by name."""
    return CollectionList(collections=[describe(state, collection) for collection in await run(library.collections)])


@router.put("/{name}", responses={201: {"model": CollectionOut, "description": "Created."}})
async def create_collection(name: CollectionName, state: StateDep, library: LibraryDep, run: RunDep, response: Response) -> CollectionOut:
    """Create a collection for the running encoder; an existing one of that encoder stays as it is."""
    existed = any(collection.name == name for collection in await run(library.collections))
    collection = await run(library.create_collection, name, state.encoder.info)
    response.status_code = 200 if existed else 201
    return describe(state, collection)


@router.get("/{name}")
async def read_collection(name: CollectionName, state: StateDep, library: LibraryDep, run: RunDep) -> CollectionOut:
    """One collection with its counts."""
    return describe(state, await run(library.collection, name))


@router.delete("/{name}", status_code=204)
async def drop_collection(name: CollectionName, library: LibraryDep, run: RunDep) -> None:
    """Delete a collection with its vectors; the files of import folders stay."""
    await run(library.drop_collection, name)


@router.post("/{name}/reencode", status_code=202)
async def reencode_collection(
    name: CollectionName, state: StateDep, runner: RunnerDep, run: RunDep, body: Annotated[Reencode | None, Body()] = None
) -> JobDetail:
    """Encode a collection again with another model; the old vectors are served until the new ones are complete."""
    encoder = (body.encoder if body else None) or state.settings.model
    job = await run(runner.submit_reencode, name, encoder)
    return JobDetail.with_failures(job, [], [])


def describe(state: State, collection: Collection) -> CollectionOut:
    """A collection as the API shows it."""
    return CollectionOut.of(collection, usable=usable(state, collection))


def usable(state: State, collection: Collection) -> bool:
    """Whether a search of the collection would find an encoder for it."""
    if collection.state == "reencoding":
        return True
    try:
        state.encoders.of(collection)
    except TsirError:
        return False
    return True
