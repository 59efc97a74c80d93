"""Talks to the server that holds DATA_DIR: an embedded library belongs to one process, so other commands ask that one."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tsir.commands.terminal import Tell
from tsir.errors import StoreUnavailable, TsirError
from tsir.services.views import OWNER_HEADER, Forgotten, JobDetail, JobOut, SearchResult
from tsir.settings import Settings

NOTE = "server.json"
"""In DATA_DIR while a server runs: its address and a token that only its user can read."""
POLL_S = 0.3
PATIENCE_S = 60.0
"""How long a server may take to start, or stay away during a job."""


def base_url(host: str, port: int) -> str:
    """The address at which a server that listens on `host` is reached from this machine."""
    if host in ("0.0.0.0", ""):
        host = "127.0.0.1"
    elif host == "::":
        host = "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def announced(settings: Settings, url: str, token: str) -> Iterator[None]:
    """Tell other commands of this user where the server is, while the block runs."""
    path = settings.data_dir.expanduser().resolve() / NOTE
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"url": url, "pid": os.getpid(), "token": token})
    temporary = path.with_name(f".{NOTE}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)
    try:
        yield
    finally:
        with suppress(OSError):
            if path.read_text() == text:  # not that of a server which took over meanwhile
                path.unlink()


def find(settings: Settings) -> Server | None:
    """The running server that holds DATA_DIR, or None."""
    try:
        note = json.loads((settings.data_dir.expanduser().resolve() / NOTE).read_text())
        server = Server(str(note["url"]), str(note["token"]))
        os.kill(int(note["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return server if server.alive() else None


class Server:
    """A running server, with the rights of the user who started it. Raises TsirError with the server's own sentences."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        headers = {OWNER_HEADER: token, "X-API-Key": token}
        # Proxies are for the world outside; this server is on this machine.
        self._http = httpx.Client(base_url=url, headers=headers, timeout=httpx.Timeout(60.0, connect=3.0), trust_env=False)

    def alive(self) -> bool:
        """Whether it answers at all."""
        try:
            return self._http.get("/health/live").is_success
        except httpx.HTTPError:
            return False

    def import_folder(self, collection: str, folder: Path, exclude: Sequence[str] = ()) -> JobDetail:
        """Start the import of a folder."""
        self._call("PUT", f"/api/v1/collections/{quote(collection, safe='')}")
        return JobDetail.model_validate(
            self._call(
                "POST", f"/api/v1/collections/{quote(collection, safe='')}/imports", json={"path": str(folder), "exclude": [*exclude]}
            )
        )

    def reencode(self, collection: str, encoder: str) -> JobDetail:
        """Start the re-encoding of a collection."""
        return JobDetail.model_validate(
            self._call("POST", f"/api/v1/collections/{quote(collection, safe='')}/reencode", json={"encoder": encoder})
        )

    def forget(self, collection: str, folder: Path) -> Forgotten:
        """Take the missing pictures of a folder out."""
        path = f"/api/v1/collections/{quote(collection, safe='')}/forget"
        return Forgotten.model_validate(self._call("POST", path, json={"folder": str(folder)}))

    def search(self, collection: str, fields: dict[str, str], files: dict[str, bytes]) -> SearchResult:
        """Run a search."""
        form: list[tuple[str, Any]] = [(name, (None, value)) for name, value in fields.items()]
        form += [(name, (name, data)) for name, data in files.items()]
        return SearchResult.model_validate(self._call("POST", f"/api/v1/collections/{quote(collection, safe='')}/search", files=form))

    def follow(self, job: JobOut, tell: Tell) -> JobDetail:
        """Wait until a job is over."""
        while True:
            state = JobDetail.model_validate(self._call("GET", f"/api/v1/jobs/{job.id}"))
            tell(state)
            if state.state in ("done", "failed", "cancelled"):
                return state
            time.sleep(POLL_S)

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        """One request; a server that is starting, or whose stores are away, is asked again for a while."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self._send(method, path, **arguments)
            if answer.is_success:
                return answer.json() if answer.content else None
            if answer.status_code != 503 or time.monotonic() > deadline:
                raise _error(answer)
            time.sleep(1)

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise StoreUnavailable(f"The server at {self.url} does not answer: {error}. What it was asked to do goes on.") from error


def _error(answer: httpx.Response) -> TsirError:
    try:
        detail = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"The server answered with status {answer.status_code}."
    return TsirError(detail)
