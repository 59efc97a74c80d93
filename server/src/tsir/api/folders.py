"""Folders of the server: those that may be imported, and one that was moved."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request

from tsir.api.deps import RunDep, StateDep
from tsir.api.guard import caller_of
from tsir.api.imports import is_owner
from tsir.api.routes import group
from tsir.api.schemas import Relocate, Text
from tsir.errors import Forbidden
from tsir.services import imports
from tsir.services.views import FolderList, RelocatedOut

router = group("folders", "/api/v1/folders")


@router.get("")
async def list_folders(
    request: Request,
    state: StateDep,
    run: RunDep,
    path: Annotated[Text | None, Query(max_length=4096, description="A folder below one of IMAGE_ROOTS; none: those themselves.")] = None,
) -> FolderList:
    """The folders of the server that may be imported, a level at a time, with what lies in each. For keys that may import."""
    if not caller_of(request.scope).writes:
        raise Forbidden("This key may look and search: the server's folders are for keys that may import.")
    return FolderList.of(*await run(imports.folders, state.library, state.settings, path or None))


@router.post("/relocate")
async def relocate_folder(body: Relocate, request: Request, state: StateDep, run: RunDep) -> RelocatedOut:
    """A folder was moved: its pictures are known at their new places at once, in all collections. No file is read or touched."""
    resolve = imports.own_folder if is_owner(request, state) else state.library.files.resolve_import_folder
    return RelocatedOut.of(await run(lambda: imports.relocate(state.library, body.old, resolve(body.new))))
