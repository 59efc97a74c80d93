"""What is put right in a request before anything looks at it: the path under which a proxy shows us, and a Range that means nothing.

Both come to the API's port and, wrapped once more, to the GUI's; passing twice changes nothing.
"""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit, urlunsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tsir.settings import PREFIX, is_loopback

LONGEST_PREFIX = 200
RANGE = re.compile(r"bytes=[ \t,]*(?:(\d{1,18})-(\d{0,18})|-\d{1,18})[ \t,]*", re.ASCII | re.IGNORECASE)


def prefix_of(scope: Scope) -> str:
    """The path under which the browser sees this request's server, such as "/photos"; mostly nothing."""
    prefix: str = scope.get("tsir.prefix", "")
    return prefix


class Entrance:
    """Middleware; see the module."""

    def __init__(self, app: ASGIApp, root_path: str = "") -> None:
        """`root_path`: ROOT_PATH. Without it, a proxy on this machine may say it in X-Forwarded-Prefix."""
        self.app = app
        self.root_path = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope = _with_heeded_range(scope)
        prefix = scope.get("tsir.prefix") or self.root_path or _forwarded(scope)
        if not prefix:
            await self.app(scope, receive, send)
            return
        scope = {**scope, "tsir.prefix": prefix}
        path = scope["path"]
        if path == prefix or path.startswith(f"{prefix}/"):  # a proxy that leaves the address as it is
            path = path[len(prefix) :] or "/"
            scope |= {"path": path, "raw_path": quote(path).encode()}

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if location := headers.get("location"):
                    headers["location"] = _below(prefix, location, dict(scope["headers"]).get(b"host", b"").decode("latin-1"))
            await send(message)

        await self.app(scope, receive, answer)


def _forwarded(scope: Scope) -> str:
    client = scope.get("client")
    given = [value for name, value in scope["headers"] if name == b"x-forwarded-prefix"]
    if len(given) != 1 or client is None or not is_loopback(client[0]):
        return ""
    prefix = given[0].decode("latin-1").strip().rstrip("/")
    return prefix if len(prefix) <= LONGEST_PREFIX and PREFIX.fullmatch(prefix) else ""


def _below(prefix: str, location: str, host: str) -> str:
    """A Location of ours as the browser must follow it."""
    parts = urlsplit(location)
    if parts.netloc not in ("", host) or parts.path == prefix or parts.path.startswith(f"{prefix}/"):
        return location
    return urlunsplit(("", "", prefix + parts.path, parts.query, parts.fragment))


def _with_heeded_range(scope: Scope) -> Scope:
    """Without a Range that is no Range: RFC 9110 (14.2) has the server ignore units that it does not know, and lets it ignore what is
    malformed, or several at once, of which Starlette refuses all when one lies beyond the end of a file. That alone is answered by 416.
    """
    given = [value for name, value in scope["headers"] if name == b"range"]
    if not given or (len(given) == 1 and _is_range(given[0].decode("latin-1"))):
        return scope
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"range"]}


def _is_range(value: str) -> bool:
    match = RANGE.fullmatch(value)
    return match is not None and not (match[2] and int(match[2]) < int(match[1]))
