"""What every request passes first: host, origin, key and size checks; and what every answer gets: security headers, never a traceback."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import secrets
import socket
import time
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tsir.api.door import Door, Session
from tsir.api.problems import defect, tsir_problem
from tsir.errors import Forbidden, StoreUnavailable, TooLarge, TsirError
from tsir.logs import request_id
from tsir.settings import Settings, is_loopback

access = logging.getLogger("tsir.access")

OPEN_PATHS = ("/health/live", "/health/ready")
"""Answered without a key: probes have none."""

KEY_IN_ADDRESS = re.compile(r"/data|/api/v1/collections/[^/]+/images/\d+/(file|thumbnail)|/api/v1/jobs/\d+/events")
"""Where `?key=` is accepted: <img> and EventSource cannot send headers. For programs; browsers have a cookie, which stands in no log."""

SESSION_PATH = "/api/v1/session"
"""Where a browser signs in, which needs no key before, and out, which needs none any more."""

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
READING_POSTS = re.compile(r"/img/(search|count)|/api/v1/collections/[^/]+/(search|search/batch|only-copies)")
"""Questions that are too large for an address."""

REQUEST_ID = re.compile("[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,99}")
"""What is taken over as a request's id from a proxy."""

PRIVATE_DOMAINS = (".localhost", ".local", ".lan", ".internal", ".home.arpa")
"""Ends of names that nobody can register."""
MAX_PLAIN_BODY = 16 * 2**20
"""Bytes of a body that is no form: JSON is held in memory. Ten thousand addresses fit."""
FORM_OVERHEAD = 2**20
"""Bytes that a form's texts and boundaries may take beside its pictures."""

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}


def gui_origins(settings: Settings) -> list[str]:
    """Origins that may call the API from a browser."""
    own = [f"http://{host}:{settings.client_port}" for host in ("127.0.0.1", "localhost")]
    return own + [origin.strip().rstrip("/") for origin in settings.cors_origins.split(",") if origin.strip()]


def started_at(scope: Scope) -> float:
    """When a request came in, as `time.perf_counter` told."""
    started: float = scope["tsir.started"]
    return started


@dataclass(frozen=True)
class Caller:
    """Who asks: what they may do, and how that is known."""

    writes: bool
    by: Literal["key", "cookie", "nothing"]
    session: Session | None = None


def caller_of(scope: Scope) -> Caller:
    """Who sent a request that passed the guard."""
    caller: Caller = scope["tsir.caller"]
    return caller


def door_of(scope: Scope) -> Door:
    """Who decides that."""
    door: Door = scope["tsir.door"]
    return door


def given_key(scope: Scope) -> str:
    """The key in the headers of a request, or nothing."""
    headers = Headers(scope=scope)
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    return headers.get("x-api-key") or (bearer.strip() if scheme.lower() == "bearer" else "")


def is_https(scope: Scope) -> bool:
    """Whether the browser's connection is encrypted, as far as a proxy tells."""
    return scope["scheme"] == "https" or Headers(scope=scope).get("x-forwarded-proto", "").lower() == "https"


class Guard:
    """Middleware; see the module."""

    def __init__(self, app: ASGIApp, settings: Settings, door: Door | None = None) -> None:
        self.app = app
        self.settings = settings
        self.door = door or Door(settings)
        self.origins = gui_origins(settings)
        self.loopback = is_loopback(settings.host)
        self.local = self.loopback and not self.door.locked
        # Another site's <img> may show pictures only when its origin was allowed.
        resource_policy = "cross-origin" if settings.cors_origins.strip() else "same-site"
        self.headers = {**SECURITY_HEADERS, "Cross-Origin-Resource-Policy": resource_policy}
        named = {_hostname(urlsplit(origin).netloc) for origin in self.origins}
        self.hosts = {"127.0.0.1", "localhost", "::1", "testserver", settings.host, *named}
        self.own_name = socket.gethostname().lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = scope["tsir.started"] = time.perf_counter()
        scope["tsir.door"] = self.door
        given = Headers(scope=scope).get("x-request-id", "")
        id = given if REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        outside = request_id.set(id)
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = id
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._check(scope)
            await self.app(scope, self._limited(scope, receive), answer)
        except TsirError as error:
            await tsir_problem(scope, error)(scope, receive, answer)
        except asyncio.CancelledError:
            if status:
                raise
            # Only a server that stops calls off what it was asked; the web server would answer 500 for it.
            await tsir_problem(scope, StoreUnavailable("The server is stopping; ask again when it is back."))(scope, receive, answer)
        except Exception:
            response = defect(scope)
            if status:  # too late for another answer: break the connection off, so that half an answer does not look whole
                raise
            await response(scope, receive, answer)
        finally:
            # The path alone: an address may carry a key, and what was searched for is nobody's business.
            ms = round((time.perf_counter() - started) * 1000)
            fields = {"method": scope["method"], "path": scope["path"], "status": status, "ms": ms}
            access.info("%s %s %s %.0f ms", *fields.values(), extra={"fields": fields})
            request_id.reset(outside)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        method, path = scope["method"], scope["path"]
        if not self.door.locked:
            self._check_host(headers.get("host"))
        scope["tsir.caller"] = caller = self._caller(scope, headers)
        # Where no key is in the request, a browser may have sent it for a page of somebody else.
        if method not in SAFE_METHODS and (caller.by != "key" or path == SESSION_PATH):
            self._check_origin(headers.get("origin"), headers.get("host", ""))
        if not (caller.writes or method in SAFE_METHODS or path == SESSION_PATH or (method == "POST" and READING_POSTS.fullmatch(path))):
            raise Forbidden("This key may look and search, but change nothing: that needs a key of API_KEYS without `read:`.")

    def _caller(self, scope: Scope, headers: Headers) -> Caller:
        """Who asks. Raises Unauthorized where a key is needed."""
        method, path = scope["method"], scope["path"]
        if not self.door.locked:
            return Caller(True, "nothing")
        if path in OPEN_PATHS or method == "OPTIONS" or (path == SESSION_PATH and method not in SAFE_METHODS):
            return Caller(False, "nothing")
        given = given_key(scope)
        if not given and (token := self.door.token(headers.get("cookie", ""))):
            session = self.door.session(token)
            return Caller(session.writes, "cookie", session)
        if not given and method in ("GET", "HEAD") and KEY_IN_ADDRESS.fullmatch(path):
            given = parse_qs(scope["query_string"].decode("latin-1")).get("key", [""])[0]
        return Caller(self.door.key(given).writes, "key")

    def _check_host(self, host: str | None) -> None:
        """A foreign page can make its own name point at this machine (DNS rebinding), but it cannot change the Host header."""
        if host is None or _hostname(host) in self.hosts:
            return
        if self.loopback:
            raise Forbidden(
                f"This server listens for this machine only and does not know the host name {host[:100]!r}. "
                "Use 127.0.0.1 or localhost, or set HOST to the name and API_KEYS to a key."
            )
        if not self._is_private(_hostname(host)):
            raise Forbidden(
                f"This server needs no key and does not know the host name {host[:100]!r}, under which a foreign page could speak to it. "
                "Use its address, add https://NAME to CORS_ORIGINS, or set API_KEYS."
            )

    def _is_private(self, name: str) -> bool:
        """Whether a foreigner cannot own this name of ours: an address, our own name, or one that only a private network knows."""
        try:
            ipaddress.ip_address(name)
            return True
        except ValueError:
            return "." not in name or name == self.own_name or name.endswith(PRIVATE_DOMAINS)

    def _check_origin(self, origin: str | None, host: str) -> None:
        """A foreign page can post forms to this machine (CSRF), but it cannot change the Origin header."""
        if origin is None or origin.rstrip("/") in self.origins:
            return
        netloc = urlsplit(origin).netloc if origin.startswith(("http://", "https://")) else ""
        # Behind a proxy or a published port the port of Host may differ from the browser's; on loopback another port is another program.
        same = netloc == host if self.loopback else _hostname(netloc) == _hostname(host)
        if not netloc or not same:
            raise Forbidden(
                f"A page of {origin[:100]!r} may not change anything here. If it is yours, add it to CORS_ORIGINS, or use an API key."
            )

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        """`receive` that refuses a body beyond its limit while it streams in, whatever Content-Length says."""
        headers = Headers(scope=scope)
        limit = self._limit(scope["path"], headers.get("content-type", ""))
        too_large = TooLarge(f"The request is larger than {limit} bytes, the limit here. {_advice(scope['path'])}")
        declared = headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
            raise too_large
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                # FastAPI turns other exceptions of a body into its own 400.
                raise HTTPException(too_large.status, str(too_large))
            return message

        return counted

    def _limit(self, path: str, content_type: str) -> int:
        if not content_type.lower().startswith("multipart/"):
            return MAX_PLAIN_BODY
        if path.endswith("/imports"):
            return self.settings.max_request_bytes
        # A search may bring a sketch and an image.
        return min(self.settings.max_request_bytes, 2 * self.settings.max_upload_bytes + FORM_OVERHEAD)


def _advice(path: str) -> str:
    return "Send fewer files at once, or set MAX_REQUEST_BYTES." if path.endswith("/imports") else "A smaller picture finds the same."


def _hostname(netloc: str) -> str:
    """ "localhost:3000" -> "localhost", "[::1]:3000" -> "::1"."""
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""
