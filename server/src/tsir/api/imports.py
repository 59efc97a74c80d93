"""Start an import: a folder of the server, addresses, or uploaded pictures and zips."""

from __future__ import annotations

import contextlib
import hmac
from pathlib import Path
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from tsir.api.deps import CollectionName, LibraryDep, RunDep, RunnerDep, StateDep
from tsir.api.schemas import FolderImport, JobDetail, UrlImport, clean
from tsir.errors import InvalidInput, NotFound, StoreUnavailable
from tsir.importing import archives
from tsir.jobs.runner import JobRunner
from tsir.media.files import Files
from tsir.media.formats import HEAD, sniff
from tsir.records import Job
from tsir.services.opening import State

router = APIRouter(prefix="/api/v1/collections/{name}/imports", tags=["imports"])

MAX_FILES = 10_000
"""Files of one request. More come as a zip, or in several requests."""
OWNER_HEADER = "X-Tsir-Owner"
"""Carries the token of the user who runs the server."""

M = TypeVar("M", bound=BaseModel)

REQUEST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"anyOf": [FolderImport.model_json_schema(), UrlImport.model_json_schema()]}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "description": f"Pictures, and zips of pictures; at most {MAX_FILES}.",
                        }
                    },
                }
            },
        },
    }
}
"""Which of the two the body is, its Content-Type says; FastAPI has no way to declare that."""


@router.post("", status_code=202, openapi_extra=REQUEST_BODY)
async def start_import(
    name: CollectionName, request: Request, response: Response, state: StateDep, library: LibraryDep, runner: RunnerDep, run: RunDep
) -> JobDetail:
    """Import a folder of the server, addresses, or uploaded pictures and zips. What was accepted survives a restart."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    await run(check_target, state, name)
    if kind == "multipart/form-data":
        job = await _uploads(request, state, runner, name)
    elif kind == "application/json":
        job = await _json(request, state, runner, name)
    else:
        raise HTTPException(415, "Send a folder or addresses as application/json, or pictures as multipart/form-data.")
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return JobDetail.with_failures(job, [], [])


def check_target(state: State, name: str) -> None:
    """Refuse an unknown collection, and one of another encoder, before anything is sent. Blocking.

    The default collection is made when it is not there.
    """
    if name == state.settings.default_table:
        state.ensure_collection(name)
    if state.library.collection(name).state != "reencoding":
        state.library.check_encoder(name, state.encoder.info)


async def _json(request: Request, state: State, runner: JobRunner, name: str) -> Job:
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        raise InvalidInput('The body is not JSON; it must look like {"path": "a folder"} or {"urls": ["https://..."]}.') from None
    if isinstance(body, dict) and "urls" in body:
        return await state.run(runner.submit_urls, name, _validated(UrlImport, body).urls)
    path = _validated(FolderImport, body).path
    resolve = own_folder if is_owner(request, state) else state.library.files.resolve_import_folder
    return await state.run(runner.submit_folder, name, await state.run(resolve, path))


def is_owner(request: Request, state: State) -> bool:
    """Whether the request comes from the command line of the user who runs the server; only they can read the token."""
    given = request.headers.get(OWNER_HEADER, "")
    return state.owner_token is not None and hmac.compare_digest(given.encode(), state.owner_token.encode())


def own_folder(path: str) -> Path:
    """A folder that its owner names. Raises NotFound when there is none. Blocking."""
    folder = Path(path).resolve()
    if not folder.is_dir():
        raise NotFound(f"There is no folder {path!r}.")
    return folder


def _validated(model: type[M], body: object) -> M:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in error.errors()]) from None


async def _uploads(request: Request, state: State, runner: JobRunner, name: str) -> Job:
    try:
        async with request.form(max_files=MAX_FILES, max_fields=MAX_FILES) as form:
            return await state.run(_submit, form, state.library.files, runner, name)
    except OSError as error:
        raise StoreUnavailable(f"The upload cannot be stored: {error.strerror or error}. Nothing was imported.") from error


def _submit(form: FormData, files: Files, runner: JobRunner, name: str) -> Job:
    """Keep the files of a form on disk, then queue their import; all or nothing. Blocking."""
    uploads = [value for key, value in form.multi_items() if key == "files" and isinstance(value, UploadFile) and value.filename]
    if not uploads:
        raise InvalidInput("Nothing to import: send pictures or zips as `files`.")
    kept: list[Path] = []
    try:
        kept.extend(keep(upload, files) for upload in uploads)
        return runner.submit_files(name, kept, [_label(upload) for upload in uploads])
    except BaseException:
        for path in kept:
            with contextlib.suppress(OSError):
                files.uploads.delete(str(path))
        raise


def keep(upload: UploadFile, files: Files) -> Path:
    """Write an upload to disk under a generated name, whatever it is: the import says what it cannot read. Blocking."""
    source = upload.file
    source.seek(0)
    head = source.read(HEAD)
    source.seek(0)
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        return archives.save_archive(source, files)
    kind = sniff(head)
    return files.uploads.save(source, kind.name if kind else "unknown")


def _label(upload: UploadFile) -> str:
    """The name that the sender gave, as text that every store takes."""
    try:
        return clean(upload.filename or "")[-1000:]
    except ValueError:
        return ascii(upload.filename)[-1000:]
