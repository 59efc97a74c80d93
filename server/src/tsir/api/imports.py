"""Start an import: a folder of the server, addresses, or uploaded pictures and zips."""

from __future__ import annotations

import hmac
from typing import Any, TypeVar

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from tsir.api.deps import CollectionName, RunnerDep, StateDep
from tsir.api.routes import group
from tsir.api.schemas import FolderImport, UrlImport
from tsir.api.state import State
from tsir.errors import InvalidInput
from tsir.jobs.model import Job
from tsir.jobs.runner import JobRunner
from tsir.services import imports
from tsir.services.views import OWNER_HEADER, JobDetail

router = group("imports", "/api/v1/collections/{name}/imports")

MAX_FILES = 10_000
"""Files of one request. More come as a zip, or in several requests."""

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
async def start_import(name: CollectionName, request: Request, response: Response, state: StateDep, runner: RunnerDep) -> JobDetail:
    """Import a folder of the server, addresses, or uploaded pictures and zips. What was accepted survives a restart."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    await state.run(imports.check_target, state.library, state.settings, state.encoder.info, name)
    if kind == "multipart/form-data":
        job = await _uploads(request, state, runner, name)
    elif kind == "application/json":
        job = await _json(request, state, runner, name)
    else:
        raise HTTPException(415, "Send a folder or addresses as application/json, or pictures as multipart/form-data.")
    response.headers["Location"] = f"/api/v1/jobs/{job.id}"
    return JobDetail.new(job)


async def _json(request: Request, state: State, runner: JobRunner, name: str) -> Job:
    try:
        body = await request.json()
    except (ValueError, RecursionError):
        raise InvalidInput('The body is not JSON; it must look like {"path": "a folder"} or {"urls": ["https://..."]}.') from None
    if isinstance(body, dict) and "urls" in body:
        return await state.run(imports.submit_urls, runner, name, _validated(UrlImport, body).urls)
    asked = _validated(FolderImport, body)
    resolve = imports.own_folder if is_owner(request, state) else state.library.files.resolve_import_folder
    return await state.run(lambda: imports.submit_folder(runner, name, resolve(asked.path), exclude=asked.exclude, again=asked.again))


def is_owner(request: Request, state: State) -> bool:
    """Whether the request comes from the command line of the user who runs the server; only they can read the token."""
    given = request.headers.get(OWNER_HEADER, "")
    return state.owner_token is not None and hmac.compare_digest(given.encode(), state.owner_token.encode())


def _validated(model: type[M], body: object) -> M:
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise RequestValidationError([{**item, "loc": ("body", *item["loc"])} for item in error.errors()]) from None


async def _uploads(request: Request, state: State, runner: JobRunner, name: str) -> Job:
    async with request.form(max_files=MAX_FILES, max_fields=MAX_FILES) as form:
        sent = [
            (value.filename, value.file)
            for key, value in form.multi_items()
            if key == "files" and isinstance(value, UploadFile) and value.filename
        ]
        return await state.run(imports.submit_uploads, runner, state.library, name, sent)
