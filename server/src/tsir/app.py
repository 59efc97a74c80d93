"""The HTTP application: opens what serving needs, mounts the routers, closes it all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from tsir.api import backups, collections, duplicates, folders, images, img, imports, jobs, search, sessions, system, trash
from tsir.api.door import Door
from tsir.api.entrance import Entrance
from tsir.api.guard import Guard, gui_origins
from tsir.api.metrics import Measure, Metrics
from tsir.api.problems import REFERENCE_PATHS, add_handlers
from tsir.api.schemas import Problem
from tsir.api.state import State
from tsir.encoders.base import Encoder
from tsir.encoders.loaded import Encoders
from tsir.jobs.runner import JobRunner
from tsir.library.library import Library
from tsir.services.opening import Service
from tsir.settings import Settings
from tsir.storage import filters

log = logging.getLogger(__name__)

DESCRIPTION = """Find pictures by drawing and typing.

Errors are `application/problem+json` (RFC 9457); on `/img/*`, `/progress` and `/data` they are `{"status": false, "msg": sentence}`.
When the server has API keys, send one as `Authorization: Bearer KEY` or `X-API-Key: KEY`. A key listed as `read:KEY` may look and search;
what changes anything answers it with 403. A browser signs in once (`POST /api/v1/session`) and then sends a cookie, with pictures,
thumbnails and job events, too. Those also take the key as `?key=KEY`, which is discouraged: addresses stand in logs.
`/health/live` and `/health/ready` need no key.

Every answer carries an `X-Request-Id`: the one that was sent, or a new one. The server's log names it.
"""

REFERENCE_PROBLEM: dict[str, Any] = {
    "description": "What was wrong, and what would be right.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {"status": {"type": "boolean", "const": False}, "msg": {"type": "string"}},
                "required": ["status", "msg"],
            }
        }
    },
}


def create_app(
    settings: Settings,
    *,
    encoder: Encoder | None = None,
    encoders: Encoders | None = None,
    library: Library | None = None,
    runner: JobRunner | None = None,
    owner_token: str | None = None,
) -> FastAPI:
    """The application of these settings. Encoder (or all of them), library and runner are made from them unless given; a given library
    is not closed.

    `owner_token` is a key that also allows to import folders outside IMAGE_ROOTS: the command line of the same user has it.
    The port answers at once; stores and encoder are opened in the background (`/health/ready`).
    """

    metrics = Metrics()
    door = Door(settings, owner_token)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        state = State(Service(settings, encoders or Encoders(settings, encoder), library=library, runner=runner), metrics, owner_token)
        app.state.tsir = state
        opening = asyncio.create_task(state.open())
        try:
            yield
        finally:
            opening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await opening
            await state.close()

    app = FastAPI(
        title="tsir",
        version=version("tsir"),
        description=DESCRIPTION,
        lifespan=lifespan,
        # The usual pages load scripts from elsewhere, with the rights of this origin.
        docs_url=None,
        redoc_url=None,
    )
    for module in (system, sessions, collections, folders, imports, images, duplicates, trash, search, jobs, backups, img):
        app.router.routes += module.router.routes  # `include_router` would build each a second time, when it is first asked for
    add_handlers(app)
    # The last one added is the first to see a request: answers of the guard, too, are measured and carry CORS headers.
    app.add_middleware(Guard, settings=settings, door=door)
    app.add_middleware(Measure, metrics=metrics)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=gui_origins(settings),
        allow_methods=["*"],
        allow_headers=["*"],
        # The cookie comes along only from origins that were named; the browser sends it only from the same site anyway.
        allow_credentials=bool(settings.cors_origins.strip()),
        expose_headers=["Retry-After", "Location", "X-Request-Id"],
    )
    app.add_middleware(Entrance, root_path=settings.root_path)
    _document(app, door)
    return app


def _document(app: FastAPI, door: Door) -> None:
    """Add to the schema what FastAPI cannot know: the shape of errors, and the keys."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = generate()
            components = schema.setdefault("components", {})
            schemas = components.setdefault("schemas", {})
            schemas["Problem"] = Problem.model_json_schema()
            schemas["Filter"] = filters.json_schema()  # a form's text or a plain object, of which FastAPI knows no more
            schemas["SearchRequest"]["properties"]["filter"] = {"anyOf": [{"$ref": "#/components/schemas/Filter"}, {"type": "null"}]}
            for name, form in schemas.items():
                if name.startswith("Body_"):
                    for field in form["properties"].values():
                        _present(field)
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
            components["securitySchemes"] = {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": door.cookie, "description": "Of `POST /api/v1/session`."},
            }
            schema["security"] = [{}, {"bearer": []}, {"header": []}, {"cookie": []}]
            for address, path in schema["paths"].items():
                for operation in path.values():
                    for parameter in operation.get("parameters", ()):
                        _present(parameter["schema"])
                    operation["responses"].pop("422", None)  # FastAPI's own shape; ours is "default"
                    if address.startswith(REFERENCE_PATHS):
                        operation["responses"]["default"] = REFERENCE_PROBLEM
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _present(field: dict[str, Any]) -> None:
    """A parameter, or a field of a form, is there or it is not; nothing that is written there means null."""
    kinds = [kind for kind in field.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) == 1:
        del field["anyOf"]
        field.update(kinds[0])
