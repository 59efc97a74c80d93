"""Talks to the server that holds DATA_DIR: an embedded library belongs to one process, so other commands ask that one."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tsir.commands.terminal import Tell
from tsir.errors import StoreUnavailable, TsirError
from tsir.services.views import (
    OWNER_HEADER,
    BackupOut,
    Came,
    CollectionList,
    Copies,
    DuplicateList,
    Emptied,
    Forgotten,
    ImageList,
    ImageOut,
    JobDetail,
    JobOut,
    RelocatedOut,
    RemovedOut,
    TrashList,
)
from tsir.settings import Settings

if TYPE_CHECKING:
    import httpx  # a server, which only announces itself, does not need it

TRASH = "/api/v1/trash"
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
    path = settings.server_note
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"url": url, "pid": os.getpid(), "token": token})
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
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
        note = json.loads(settings.server_note.read_text())
        server = Server(str(note["url"]), str(note["token"]))
        os.kill(int(note["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return server if server.alive() else None


class Server:
    """A running server, with the rights of the user who started it. Raises TsirError with the server's own sentences."""

    def __init__(self, url: str, token: str) -> None:
        import httpx

        self.url = url
        self.token = token
        headers = {OWNER_HEADER: token, "X-API-Key": token}
        # Proxies are for the world outside; this server is on this machine.
        self._http = httpx.Client(base_url=url, headers=headers, timeout=httpx.Timeout(60.0, connect=3.0), trust_env=False)

    def alive(self) -> bool:
        """Whether it answers at all."""
        import httpx

        try:
            return self._http.get("/health/live").is_success
        except httpx.HTTPError:
            return False

    def import_folder(self, collection: str, folder: Path, exclude: Sequence[str] = (), *, again: bool = False) -> JobDetail:
        """Start the import of a folder."""
        self._call("PUT", _at(collection))
        body = {"path": str(folder), "exclude": [*exclude], "again": again}
        return JobDetail.model_validate(self._call("POST", f"{_at(collection)}/imports", json=body))

    def reencode(self, collection: str, encoder: str) -> JobDetail:
        """Start the re-encoding of a collection."""
        return JobDetail.model_validate(self._call("POST", f"{_at(collection)}/reencode", json={"encoder": encoder}))

    def forget(self, collection: str, folder: Path) -> Forgotten:
        """Take the missing pictures of a folder out."""
        return Forgotten.model_validate(self._call("POST", f"{_at(collection)}/forget", json={"folder": str(folder)}))

    def collections(self) -> CollectionList:
        """All of them."""
        return CollectionList.model_validate(self._call("GET", "/api/v1/collections"))

    def rename(self, collection: str, to: str) -> None:
        """Give a collection another name."""
        self._call("PATCH", _at(collection), json={"name": to})

    def drop(self, collection: str) -> RemovedOut:
        """Delete a collection."""
        return RemovedOut.model_validate(self._call("DELETE", _at(collection)))

    def relocate(self, old: Path, new: Path) -> RelocatedOut:
        """Tell of a folder that was moved."""
        return RelocatedOut.model_validate(self._call("POST", "/api/v1/folders/relocate", json={"from": str(old), "to": str(new)}))

    def remove(self, collection: str, ids: Sequence[int], paths: Sequence[str]) -> RemovedOut:
        """Take pictures out of a collection."""
        body = {"ids": [*ids], "paths": [*paths]}
        return RemovedOut.model_validate(self._call("POST", f"{_at(collection)}/images/remove", json=body))

    def only_copies(self, collection: str) -> Copies:
        """How many pictures of a collection lie nowhere else."""
        return Copies.model_validate(self._call("POST", f"{_at(collection)}/only-copies", json={}))

    def excluded(self, collection: str) -> Iterator[ImageOut]:
        """The pictures that were taken out and lie in folders."""
        cursor = ""
        while True:
            page = ImageList.model_validate(self._call("GET", f"{_at(collection)}/excluded?limit=1000{cursor}"))
            yield from page.images
            if page.next is None:
                return
            cursor = f"&cursor={quote(page.next, safe='')}"

    def duplicates(self, collection: str) -> DuplicateList:
        """The groups of pictures that are one; takes as long as it takes."""
        return DuplicateList.model_validate(self._call("GET", f"{_at(collection)}/duplicates", timeout=None))

    def trash(self) -> TrashList:
        """What lies in the trash."""
        return TrashList.model_validate(self._call("GET", TRASH))

    def restore(self, id: str) -> Came:
        """Bring an entry of the trash back."""
        return Came.model_validate(self._call("POST", f"{TRASH}/{quote(id, safe='')}/restore"))

    def delete_thrown(self, id: str) -> None:
        """Delete an entry of the trash for good."""
        self._call("DELETE", f"{TRASH}/{quote(id, safe='')}")

    def empty_trash(self) -> Emptied:
        """Delete everything in the trash for good."""
        return Emptied.model_validate(self._call("DELETE", TRASH))

    def backup(self, file: Path, *, uploads: bool, pictures: bool) -> BackupOut:
        """Write an archive; takes as long as it takes."""
        body = {"file": str(file), "uploads": uploads, "pictures": pictures}
        return BackupOut.model_validate(self._call("POST", "/api/v1/backups", json=body, timeout=None))

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
        import httpx

        try:
            return self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise StoreUnavailable(f"The server at {self.url} does not answer: {error}. What it was asked to do goes on.") from error


def _at(collection: str) -> str:
    return f"/api/v1/collections/{quote(collection, safe='')}"


def _error(answer: httpx.Response) -> TsirError:
    try:
        detail = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"The server answered with status {answer.status_code}."
    return TsirError(detail)
