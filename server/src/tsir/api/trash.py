"""The trash: what was taken out, and how it comes back."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from tsir.api.deps import LibraryDep, RunDep, StateDep
from tsir.api.routes import group
from tsir.api.schemas import Text
from tsir.services import collections, trash
from tsir.services.views import Came, Emptied, TrashEntry, TrashList

router = group("trash", "/api/v1/trash")

EntryId = Annotated[Text, Path(max_length=200, description="Id of an entry.")]


@router.get("")
async def list_trash(library: LibraryDep, run: RunDep) -> TrashList:
    """What was taken out and can come back, the newest first."""
    entries = [TrashEntry.of(thrown) for thrown in await run(trash.listed, library)]
    return TrashList(entries=entries, bytes=await run(trash.size, library), days=library.files.trash.days)


@router.post("/{id}/restore")
async def restore_trash(id: EntryId, state: StateDep, run: RunDep) -> Came:
    """Bring an entry back: to its collection, under its old numbers, with its files and dates."""

    def restore() -> trash.Returned:
        default = collections.ensured(state.library, state.encoders, state.settings.default_table).name
        return trash.restore(state.library, state.runner, default, id)

    returned = await run(restore)
    return Came.of(returned.collection, returned.pictures, returned.job, returned.lost)


@router.delete("/{id}", status_code=204)
async def delete_trash(id: EntryId, library: LibraryDep, run: RunDep) -> None:
    """Delete an entry and its files for good."""
    await run(trash.delete, library, id)


@router.delete("")
async def empty_trash(library: LibraryDep, run: RunDep) -> Emptied:
    """Delete everything in the trash for good."""
    return Emptied(files=await run(trash.empty, library))
