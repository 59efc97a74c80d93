"""Who may come in: keys with what they allow, and the sessions of browsers, which hold a cookie instead of a key."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from dataclasses import dataclass

from starlette.requests import cookie_parser

from tsir.errors import Unauthorized
from tsir.settings import ApiKey, Settings

SESSION_S = 30 * 24 * 3600
"""How long a sign-in lasts. Sessions are in memory only: a restart ends them all."""
MOST_SESSIONS = 10_000
"""The oldest gives way to a new one beyond."""

NO_KEY = "This server needs an API key: send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`."
WRONG_KEY = "The API key is not one of this server's."


@dataclass(frozen=True)
class Session:
    """A browser that showed a key."""

    writes: bool
    expires: float
    """Seconds since the epoch."""


class Door:
    """The keys of one server, and who signed in. Neither keys nor tokens are kept, only their hashes. Thread-safe."""

    def __init__(self, settings: Settings, owner_token: str | None = None) -> None:
        """`owner_token` is a key, too, where keys are needed: it may do everything."""
        self._keys = [ApiKey.parse(key) for key in settings.keys]
        if self._keys and owner_token:
            self._keys.append(ApiKey(_digest(owner_token), writes=True))
        self._sessions: dict[bytes, Session] = {}
        self._lock = threading.Lock()
        # A browser sends cookies to every port of a host: two servers on one must not overwrite each other's.
        place = f"{settings.data_dir.expanduser().resolve()}|{settings.port}|{settings.mysql_db}"
        self.cookie = f"tsir_session_{hashlib.sha256(place.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"

    @property
    def locked(self) -> bool:
        """Whether a key is needed at all."""
        return bool(self._keys)

    def key(self, given: str) -> ApiKey:
        """The key that was given. Raises Unauthorized when it is none of ours, or when there is none."""
        digest = _digest(given)
        # All keys are compared, each in constant time, so that the time tells nothing. A key that is listed twice may do what either may.
        matches = [key for key in self._keys if hmac.compare_digest(digest, key.digest)]
        if not matches:
            raise Unauthorized(WRONG_KEY if given else NO_KEY)
        return max(matches, key=lambda key: key.writes)

    def sign_in(self, given: str) -> tuple[str, Session]:
        """A token for the cookie of a browser that gave a key. Raises as `key`."""
        key = self.key(given)
        token, session = secrets.token_urlsafe(32), Session(key.writes, time.time() + SESSION_S)
        with self._lock:
            while len(self._sessions) >= MOST_SESSIONS:
                self._sessions.pop(next(iter(self._sessions)))
            self._sessions[_digest(token)] = session
        return token, session

    def session(self, token: str) -> Session:
        """Who signed in with this token. Raises Unauthorized when that is over."""
        with self._lock:
            session = self._sessions.get(_digest(token))
            if session is not None and session.expires <= time.time():
                del self._sessions[_digest(token)]
                session = None
        if session is None:
            raise Unauthorized("The sign-in has ended, by time or by a restart of the server: give the API key again.")
        return session

    def sign_out(self, token: str) -> None:
        """Forget a sign-in; nothing happens when there is none."""
        with self._lock:
            self._sessions.pop(_digest(token), None)

    def token(self, cookies: str) -> str:
        """The token in a Cookie header, or nothing."""
        return cookie_parser(cookies).get(self.cookie, "")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
