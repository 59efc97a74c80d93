"""A backup of the library while the server runs, for the terminal of the user who runs it."""

from __future__ import annotations

from pathlib import Path

from fastapi import Request

from tsir.api.deps import LibraryDep, RunDep, StateDep
from tsir.api.imports import is_owner
from tsir.api.routes import group
from tsir.api.schemas import Backup
from tsir.errors import Forbidden
from tsir.services import backup as service
from tsir.services.views import BackupOut

router = group("system", "/api/v1/backups")


@router.post("")
async def write_backup(asked: Backup, request: Request, state: StateDep, library: LibraryDep, run: RunDep) -> BackupOut:
    """Write the library to a file of the server's machine; answers when it is whole. Only for `tsir backup` of the same user."""
    if not is_owner(request, state):
        raise Forbidden("Only the user who runs the server may name a file to write: run `tsir backup` there.")
    held = await run(service.backup, library, asked.file, uploads=asked.uploads, pictures=asked.pictures)
    return BackupOut.of(Path(asked.file), held)
