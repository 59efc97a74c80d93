"""The browser GUI: the built files and the API under one origin, so that the browser needs to know only one address."""

from __future__ import annotations

from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

API_PATHS = ("/api", "/img", "/data", "/progress", "/health", "/metrics", "/openapi.json")
"""First parts of the addresses that belong to the API; everything else is the GUI's."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


ENCODINGS = {"br": ".br", "gzip": ".gz"}
"""What the build wrote beside a file, the smallest first."""


def accepted(header: str) -> list[str]:
    """The names of ENCODINGS that a client's Accept-Encoding allows, the smallest first."""
    allowed: dict[str, bool] = {}
    for part in header.lower().split(","):
        name, _, quality = part.partition(";")
        value = quality.replace(" ", "").removeprefix("q=")
        allowed[name.strip()] = not value or value.strip("0.") != ""
    return [name for name in ENCODINGS if allowed.get(name, allowed.get("*", False))]


class Gui:
    """Serves the built client, and passes the API's addresses on to the app. Addresses of neither show the client's page."""

    def __init__(self, api: ASGIApp, dist: Path) -> None:
        self.api = api
        self.files = StaticFiles(directory=dist)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or any(scope["path"] == path or scope["path"].startswith(f"{path}/") for path in API_PATHS):
            await self.api(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(HEADERS)
                headers.add_vary_header("Accept-Encoding")
                hashed = scope["path"].startswith("/assets/") and message["status"] == 200
                headers["Cache-Control"] = "public, max-age=31536000, immutable" if hashed else "no-cache"
            await send(message)

        await (await self._answer(scope))(scope, receive, with_headers)

    async def _answer(self, scope: Scope) -> Response:
        path = scope["path"].lstrip("/")
        if path == "env-config.js":
            return Response('window._env_ = { API_URL: "" };\n', media_type="text/javascript")
        try:
            return await self._file(path or "index.html", scope)
        except HTTPException as error:
            if error.status_code == 404 and "." not in path.rpartition("/")[2]:
                return await self._file("index.html", scope)
            return PlainTextResponse("There is no such page.", error.status_code)

    async def _file(self, path: str, scope: Scope) -> Response:
        """A file of the build, as small as the client takes it. Raises HTTPException where there is none."""
        if path.endswith(tuple(ENCODINGS.values())):
            raise HTTPException(404)
        for name in accepted(Headers(scope=scope).get("accept-encoding", "")):
            try:
                response = await self.files.get_response(path + ENCODINGS[name], scope)
            except HTTPException:
                continue
            response.headers["Content-Encoding"] = name
            return response
        return await self.files.get_response(path, scope)
