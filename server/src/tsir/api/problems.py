"""Errors as answers: `application/problem+json` (RFC 9457), and `{"status": false, "msg": ...}` on the reference's routes."""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import Scope

from tsir.api.schemas import CLEAN, ONE, PART, SEVERAL
from tsir.errors import InvalidInput, TooLarge, TsirError
from tsir.logs import request_id
from tsir.storage.filters import conditions

log = logging.getLogger(__name__)

REFERENCE_PATHS = ("/img/", "/progress", "/data")
"""Routes of the reference implementation; its clients read `status` and `msg`."""

SENTENCES = {
    404: "There is nothing at this address; the addresses are listed in /openapi.json.",
    405: "This address does not know that method.",
}

CODES = {
    400: "unreadable_body",
    404: "no_such_address",
    405: "method_not_allowed",
    413: TooLarge.code,
    415: "unsupported_media_type",
    422: InvalidInput.code,
    500: "internal_error",
}
"""Codes of what the framework itself refuses; errors of ours bring their own. Another status is called by its HTTP name."""

EXPECTED = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("list_type", "tuple_type"), "a list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "an object"),
    "string_type": "a text",
}
"""What the framework says of values of a wrong type, by its name for the mistake, in plain words."""


def problem(
    scope: Scope,
    status: int,
    code: str,
    title: str,
    detail: str,
    headers: dict[str, str] | None = None,
    members: dict[str, int] | None = None,
) -> Response:
    """One error as a response, in the shape that the address calls for."""
    path = scope.get("path", "/")
    if path.startswith(REFERENCE_PATHS):
        body: dict[str, Any] = {"status": False, "msg": detail}
        media_type = "application/json"
    else:
        body = {
            "type": "about:blank",
            "title": title,
            "status": status,
            "code": code,
            "detail": detail,
            "instance": path,
            **(members or {}),
        }
        media_type = "application/problem+json"
    # ASCII, because a sentence may quote text that is no valid Unicode.
    return Response(json.dumps(body), status, headers, media_type)


def tsir_problem(scope: Scope, error: TsirError) -> Response:
    """An error of ours as a response."""
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return problem(scope, error.status, error.code, error.title, str(error), headers, error.members)


def defect(scope: Scope) -> Response:
    """The answer to an exception that nobody expected; call it while handling one. The log has the details under the same id."""
    id = request_id.get() or secrets.token_hex(8)
    log.exception("Defect %s: %s %s", id, scope.get("method"), scope.get("path"))
    detail = f"Something went wrong that should not have. The server's log tells more under {id}; please report it."
    return problem(scope, 500, CODES[500], "Internal error", detail)


def add_handlers(app: FastAPI) -> None:
    """Make the app answer every kind of error with a sentence."""

    @app.exception_handler(TsirError)
    async def on_tsir_error(request: Request, error: TsirError) -> Response:
        return tsir_problem(request.scope, error)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        return problem(request.scope, 422, CODES[422], "Invalid input", _sentence(error.errors()))

    @app.exception_handler(ClientDisconnect)
    async def on_leaving(request: Request, error: ClientDisconnect) -> Response:
        return problem(request.scope, 400, CODES[400], "Bad request", "The client went away before it had sent the whole body.")

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> Response:
        title = HTTPStatus(error.status_code).phrase
        detail = str(error.detail) if error.detail and error.detail != title else SENTENCES.get(error.status_code, title)
        if error.status_code == 400:  # raised by the parsers of forms and JSON only
            detail = f"The body cannot be read, it is no well-formed form or JSON document of the type that Content-Type names: {detail}"
        headers = dict(error.headers or {})
        if error.status_code == 405 and (allowed := _allowed(request)):
            headers["Allow"] = ", ".join(allowed)
        code = CODES.get(error.status_code, HTTPStatus(error.status_code).name.lower())
        return problem(request.scope, error.status_code, code, title, detail, headers)


def _allowed(request: Request) -> list[str]:
    """All methods of the address, by what the API says of itself: the framework names those of one of its routes."""
    known = {path: methods for path, methods in request.app.openapi()["paths"].items() if compile_path(path)[0].match(request.url.path)}
    # Of addresses of which one is a case of the other, such as images/facets and images/{id}, the plainer is meant.
    return sorted(method.upper() for method in known[min(known, key=lambda path: path.count("{"))]) if known else []


def _sentence(errors: Sequence[Any]) -> str:
    """Name each field and what is wrong with it."""
    return " ".join(dict.fromkeys(_one(error) for error in errors[:5]))


def _one(error: dict[str, Any]) -> str:
    # ("query", "limit"), ("body", "urls", 0), ("body",); the key of an object is followed by "[key]"
    place, *names = [part for part in error.get("loc", ()) if part not in (ONE, PART, SEVERAL, "[key]")] or ["request"]
    kind = error.get("type")
    if kind == "json_invalid":
        return "The body is not JSON."
    if kind == "missing" and names and isinstance(names[-1], int):
        return f"{_dotted(names[:-1])} is too short: its value {names[-1] + 1} is missing."
    field = _dotted(names) or f"The {place}"
    if kind == "missing":
        return f"{field} is missing." if names else f"{field} is missing; send the fields that this address takes."
    if kind == "extra_forbidden":
        where = " Conditions stand in filter." if place == "body" and names[-1] in conditions() else ""
        return f"{field} is not known here.{where}"
    if kind == "string_unicode" or error.get("ctx", {}).get("pattern") == CLEAN:
        return f"{field}: must be valid Unicode without NUL characters."
    if place == "query" and names and (condition := conditions().get(str(names[0]))):
        if len(names) > 1:
            return f"{names[0]}: must be {condition.kind.expected}; in an address, each by itself: {names[0]}=...&{names[0]}=..."
        return f"{field}: must be {condition.kind.expected}."
    if kind in EXPECTED:
        return f"{field}: must be {EXPECTED[kind]}."
    if "UploadFile" in str(error.get("msg")):
        return f"{field}: must be a file; curl sends one as -F {field}=@FILE."
    message = str(error.get("msg", "cannot be used")).removeprefix("Value error, ").replace("Input should", "must", 1)
    message = message.replace(" after validation", "")
    return f"{field}: {message[:1].lower()}{message[1:]}."


def _dotted(names: Sequence[object]) -> str:
    return ".".join(map(str, names))
