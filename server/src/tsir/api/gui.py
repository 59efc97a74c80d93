"""The browser GUI: the built files and the API under one origin, so that the browser needs to know only one address."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tsir.api.entrance import Entrance, prefix_of

API_PATHS = ("/api", "/img", "/data", "/progress", "/health", "/metrics", "/openapi.json")
"""First parts of the addresses that belong to the API; everything else is the GUI's."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'",
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

    def __init__(self, api: ASGIApp, dist: Path, root_path: str = "") -> None:
        """`root_path`: ROOT_PATH."""
        self.api = api
        self.dist = dist
        self.files = StaticFiles(directory=dist)
        self._entered = Entrance(self._serve, root_path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._entered(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
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
            return Response(f"window._env_ = {{ API_URL: {json.dumps(prefix_of(scope))} }};\n", media_type="text/javascript")
        if path in ("", "index.html"):
            return await self._page(scope)
        try:
            return await self._file(path, scope)
        except HTTPException as error:
            if error.status_code == 404 and "." not in path.rpartition("/")[2]:
                return await self._page(scope)
            return PlainTextResponse("There is no such page.", error.status_code)

    async def _page(self, scope: Scope) -> Response:
        """The client's page. Its parts are named relative to <base>: it is shown for deeper addresses, and below a proxy's path, too."""
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("This page can only be looked at.", 405, {"Allow": "GET, HEAD"})
        text = await run_in_threadpool((self.dist / "index.html").read_text, encoding="utf-8")
        text = re.sub("<head>", f'<head><base href="{prefix_of(scope)}/">', text, count=1)
        etag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
        if etag.encode() in dict(scope["headers"]).get(b"if-none-match", b""):
            return Response(status_code=304, headers={"ETag": etag})
        headers, body = {"ETag": etag}, text.encode()
        if "gzip" in accepted(Headers(scope=scope).get("accept-encoding", "")):
            headers["Content-Encoding"], body = "gzip", gzip.compress(body, mtime=0)
        return HTMLResponse(body, headers=headers)

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
