"""What every request passes first: host, origin, key and size checks; and what every answer gets: security headers, never a traceback."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import re
import time
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tsir.api.problems import defect, tsir_problem
from tsir.errors import Forbidden, TooLarge, TsirError, Unauthorized
from tsir.settings import Settings

access = logging.getLogger("tsir.access")

OPEN_PATHS = ("/health/live", "/health/ready")
"""Answered without a key: probes have none."""

KEY_IN_ADDRESS = re.compile(r"/data|/api/v1/collections/[^/]+/images/\d+/(file|thumbnail)|/api/v1/jobs/\d+/events")
"""Where `?key=` is accepted: <img> and EventSource cannot send headers."""

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
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


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reachable from this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def gui_origins(settings: Settings) -> list[str]:
    """Origins that may call the API from a browser."""
    own = [f"http://{host}:{settings.client_port}" for host in ("127.0.0.1", "localhost")]
    return own + [origin.strip().rstrip("/") for origin in settings.cors_origins.split(",") if origin.strip()]


def started_at(scope: Scope) -> float:
    """When a request came in, as `time.perf_counter` told."""
    started: float = scope["tsir.started"]
    return started


class Guard:
    """Middleware; see the module."""

    def __init__(self, app: ASGIApp, settings: Settings, owner_token: str | None = None) -> None:
        self.app = app
        self.settings = settings
        keys = (*settings.keys, owner_token) if settings.keys and owner_token else settings.keys
        self.keys = [hashlib.sha256(key.encode()).digest() for key in keys]
        self.origins = gui_origins(settings)
        self.local = is_loopback(settings.host) and not settings.keys
        # Another site's <img> may show pictures only when its origin was allowed.
        resource_policy = "cross-origin" if settings.cors_origins.strip() else "same-site"
        self.headers = {**SECURITY_HEADERS, "Cross-Origin-Resource-Policy": resource_policy}
        self.hosts = {"127.0.0.1", "localhost", "::1", "testserver", settings.host}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = scope["tsir.started"] = time.perf_counter()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._check(scope)
            await self.app(scope, self._limited(scope, receive), answer)
        except TsirError as error:
            await tsir_problem(scope, error)(scope, receive, answer)
        except Exception:
            response = defect(scope)
            if status:  # too late for another answer: break the connection off, so that half an answer does not look whole
                raise
            await response(scope, receive, answer)
        finally:
            # The path alone: an address may carry a key, and what was searched for is nobody's business.
            access.info("%s %s %s %.0f ms", scope["method"], scope["path"], status, (time.perf_counter() - started) * 1000)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if self.local:
            self._check_host(headers.get("host"))
        if not self.keys and scope["method"] not in SAFE_METHODS:
            self._check_origin(headers.get("origin"), headers.get("host", ""))
        if self.keys and scope["path"] not in OPEN_PATHS and scope["method"] != "OPTIONS":
            self._check_key(scope, headers)

    def _check_host(self, host: str | None) -> None:
        """A foreign page can make its own name point at this machine (DNS rebinding), but it cannot change the Host header."""
        if host is not None and _hostname(host) not in self.hosts:
            raise Forbidden(
                f"This server listens for this machine only and does not know the host name {host[:100]!r}. "
                "Use 127.0.0.1 or localhost, or set HOST to the name and API_KEYS to a key."
            )

    def _check_origin(self, origin: str | None, host: str) -> None:
        """A foreign page can post forms to this machine (CSRF), but it cannot change the Origin header."""
        if origin is None or origin.rstrip("/") in self.origins:
            return
        netloc = urlsplit(origin).netloc if origin.startswith(("http://", "https://")) else ""
        # Behind a proxy or a published port the port of Host may differ from the browser's; on loopback another port is another program.
        same = netloc == host if self.local else _hostname(netloc) == _hostname(host)
        if not netloc or not same:
            raise Forbidden(
                f"A page of {origin[:100]!r} may not change anything here. If it is yours, add it to CORS_ORIGINS, or use an API key."
            )

    def _check_key(self, scope: Scope, headers: Headers) -> None:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = headers.get("x-api-key") or (bearer.strip() if scheme.lower() == "bearer" else "")
        if not given and scope["method"] in ("GET", "HEAD") and KEY_IN_ADDRESS.fullmatch(scope["path"]):
            given = parse_qs(scope["query_string"].decode("latin-1")).get("key", [""])[0]
        digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).digest()
        # All keys are compared, each in constant time, so that the time tells nothing.
        matches = [hmac.compare_digest(digest, key) for key in self.keys]
        if not any(matches):
            raise Unauthorized(
                "This server needs an API key: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`."
                if not given
                else "The API key is not one of this server's."
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
