"""Weights on disk: where they come from, and whether they are whole.

A download goes to `NAME.part` and gets its name when it is complete and verified, so a broken one never looks like weights. The authors
publish no checksum: the SHA-256 of the first complete download is recorded beside the file and checked from then on.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

from tsir.errors import Conflict, EncoderUnavailable, NotFound
from tsir.settings import Settings

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

Progress = Callable[[int, "int | None"], None]
"""Called with the bytes so far and the bytes in total (None: the server does not say)."""

TRIES = 5
"""Connections in a row that may bring nothing; one that brings something starts the count anew."""
PAUSE_S = 1.0
"""Before the second try; doubles with each further one."""
BLOCK = 2**20


@dataclass(frozen=True)
class Official:
    """Weights as their authors publish them."""

    url: str
    bytes: int | None = None
    sha256: str | None = None


OFFICIAL = {
    # Named in the README of the authors' repository, github.com/janesjanes/tsbir, without size or checksum.
    "task-former": Official("https://patsorn.me/projects/tsbir/data/tsbir_model_final.pt"),
}


@dataclass(frozen=True)
class Record:
    """What is remembered of a verified download, in `FILE.json` beside it."""

    url: str
    bytes: int
    sha256: str
    downloaded_at: str


@dataclass(frozen=True)
class WeightsInfo:
    """State of the weights of one encoder, as `tsir weights list` shows it."""

    name: str
    state: Literal["built in", "present", "partial", "missing", "broken"]
    path: str | None
    source: str
    bytes: int | None = None
    """On disk."""
    sha256: str | None = None
    """As recorded at the first complete download; of the file itself after `verify_weights`."""
    message: str | None = None
    """What is wrong, and what to do."""


def models_folder(settings: Settings) -> Path:
    """DATA_DIR/models: downloads and converted graphs."""
    return settings.data_dir.expanduser().resolve() / "models"


def is_url(weights: str) -> bool:
    """Whether a WEIGHTS setting is an address rather than a path."""
    return weights.lower().startswith(("http://", "https://"))


def list_weights(settings: Settings) -> list[WeightsInfo]:
    """The encoders with weights of their own, without reading whole files."""
    return [WeightsInfo("lite", "built in", None, "comes with the program"), *(_state(name, settings) for name in OFFICIAL)]


def get_weights(name: str, settings: Settings, on_progress: Progress | None = None) -> WeightsInfo:
    """Download the weights of an encoder, going on where an earlier try stopped; nothing to do when they are there.

    With WEIGHTS an address it is used as a mirror; with WEIGHTS a path that file is verified. Raises EncoderUnavailable with the reason,
    Conflict when another process is downloading the same file, NotFound for an encoder without published weights.
    """
    path, url = _place(name, settings)
    try:
        return verify_weights(name, settings)
    except EncoderUnavailable:
        if url is None:
            raise
    official = OFFICIAL[name] if url == OFFICIAL[name].url else Official(url)
    record = _record(path)
    if record and record.url == url and official.sha256 is None:
        official = Official(url, record.bytes, record.sha256)  # the same weights again, not whatever is there now
    download(official, path, on_progress)
    return _state(name, settings)


def verify_weights(name: str, settings: Settings) -> WeightsInfo:
    """Read the whole file and compare it with what is known of it. Raises EncoderUnavailable when it is missing or broken."""
    path = weights_file(name, settings)
    info = _state(name, settings)
    return WeightsInfo(name, "present", str(path), info.source, path.stat().st_size, info.sha256 or _sha256(path))


def weights_file(name: str, settings: Settings) -> Path:
    """The verified local file of an encoder's weights. Raises EncoderUnavailable saying how to get it, or what is broken."""
    path, url = _place(name, settings)
    if not path.is_file():
        raise EncoderUnavailable(
            f"The weights of {name!r} are not here yet. Run `tsir weights get {name}`, which downloads {url}, "
            "or set WEIGHTS to a local copy or a mirror."
            if url
            else f"WEIGHTS names the file {path}, which does not exist."
        )
    remedy = f" Run `tsir weights get {name}` to fetch them anew." if url else ""
    if problem := _problem(path):
        raise EncoderUnavailable(f"The weights {path} are broken: {problem}.{remedy}")
    record = _record(path)
    if record and url and _sha256(path) != record.sha256:
        raise EncoderUnavailable(f"The weights {path} are no longer those that were downloaded: the SHA-256 differs.{remedy}")
    return path


def _place(name: str, settings: Settings) -> tuple[Path, str | None]:
    """Where the weights lie or will lie, and where they come from; None: a file of the user's own."""
    if name not in OFFICIAL:
        raise NotFound(f"There are no published weights for {name!r}. Known: {', '.join(OFFICIAL)}.")
    weights = settings.weights or ""
    # `tsir weights get NAME` may run while MODEL is still lite, whose WEIGHTS is a folder.
    if settings.model not in (name, "lite") or (settings.model == "lite" and Path(weights).expanduser().is_dir()):
        weights = ""
    if weights and not is_url(weights):
        return Path(weights).expanduser(), None
    url = weights or OFFICIAL[name].url
    file = unquote(urlsplit(url).path).rsplit("/", 1)[-1]
    return models_folder(settings) / (f"{name}.pt" if file[:1] in ("", ".") else file), url


def _state(name: str, settings: Settings) -> WeightsInfo:
    path, url = _place(name, settings)
    source, get = url or "WEIGHTS", f"`tsir weights get {name}`"
    if path.is_file():
        record, problem = _record(path), _problem(path)
        state: Literal["broken", "present"] = "broken" if problem else "present"
        return WeightsInfo(name, state, str(path), source, path.stat().st_size, record.sha256 if record else None, problem)
    part = _beside(path, ".part")
    if url and part.is_file():
        return WeightsInfo(name, "partial", str(part), source, part.stat().st_size, None, f"{get} goes on with the download.")
    how = f"{get} downloads them." if url else "The file that WEIGHTS names does not exist."
    return WeightsInfo(name, "missing", str(path), source, message=how)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _record(path: Path) -> Record | None:
    try:
        return Record(**json.loads(_beside(path, ".json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _problem(path: Path) -> str | None:
    """Why a file cannot be weights, judged by its structure; None when it may be. Catches pages, truncation and wrong lengths."""
    size, record = path.stat().st_size, _record(path)
    if record and size != record.bytes:
        return f"it has {size:,} bytes instead of {record.bytes:,}"
    with path.open("rb") as file:
        head = file.read(9)
        if head[8:9] == b"{":
            return _safetensors_problem(file, int.from_bytes(head[:8], "little"), size)
    if head[:4] != b"PK\x03\x04":
        return "it is a web page" if _is_page(head) else "it is neither a torch checkpoint nor safetensors"
    try:
        with zipfile.ZipFile(path) as archive:  # the table of contents is at the end: a truncated file has none
            whole = any(name.endswith("data.pkl") for name in archive.namelist())
            return None if whole else "it is a zip file, but not a torch checkpoint"
    except (zipfile.BadZipFile, OSError, ValueError):
        return "it is incomplete"


def _safetensors_problem(file: IO[bytes], length: int, size: int) -> str | None:
    """The header, JSON of `length` bytes, tells where the last tensor ends."""
    if length > size - 8:
        return "it is incomplete"
    file.seek(8)
    try:
        header: dict[str, Any] = json.loads(file.read(length))
        end = max((tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"), default=0)
    except (ValueError, KeyError, TypeError, IndexError):
        return "its header is not that of safetensors"
    return None if 8 + length + end == size else "it is incomplete"


def _is_page(head: bytes) -> bool:
    return head.lstrip()[:1] == b"<"


def download(official: Official, target: Path, on_progress: Progress | None = None) -> Record:
    """Fetch a file over HTTP(S) into `target`, resuming `target.part`, through the proxy of the environment. Returns the new record.

    Raises EncoderUnavailable when the server refuses, is cut off again and again, or what came is not the weights; Conflict when another
    process is at it.
    """
    part = _beside(target, ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(f"Another process is downloading {target.name} right now.") from None
            _Download(official.url, file, part, on_progress or (lambda done, total: None)).run()
            os.fsync(file.fileno())
            record = _verified(official, part)
            _beside(target, ".json").write_text(json.dumps(asdict(record), indent=1) + "\n")
            part.replace(target)
            _beside(part, ".version").unlink(missing_ok=True)
    except OSError as error:
        raise EncoderUnavailable(f"The weights cannot be written to {target.parent}: {error.strerror or error}.") from error
    return record


def _verified(official: Official, part: Path) -> Record:
    """What the complete part is, or the reason why it is not the weights; then it is removed, for no byte of it can be trusted."""
    size, sha256, problem = part.stat().st_size, _sha256(part), _problem(part)
    if official.bytes not in (None, size):
        problem = f"it has {size:,} bytes instead of {official.bytes:,}"
    elif official.sha256 not in (None, sha256):
        problem = f"its SHA-256 is {sha256} instead of {official.sha256}"
    if problem:
        part.unlink()
        _beside(part, ".version").unlink(missing_ok=True)
        raise EncoderUnavailable(
            f"What {official.url} sent is not the weights: {problem}. It was removed; try again, or set WEIGHTS to a mirror."
        )
    return Record(official.url, size, sha256, datetime.now(timezone.utc).isoformat(timespec="seconds"))


@dataclass
class _Download:
    """One download, over as many connections as it takes."""

    url: str
    file: IO[bytes]
    part: Path
    on_progress: Progress
    total: int | None = None

    def run(self) -> None:
        import httpx  # half a second, which a start that downloads nothing does not have

        idle = 0
        with httpx.Client(follow_redirects=True, timeout=httpx.Timeout(60, connect=20)) as client:
            while True:
                before = self.have
                try:
                    self.connection(client)
                    if self.total is None or self.have >= self.total:
                        return
                    reason = "the connection was closed early"
                except httpx.TooManyRedirects:
                    raise EncoderUnavailable(f"{self.url} redirects in circles.") from None
                except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
                    raise EncoderUnavailable(f"{self.url} is no address that can be downloaded: {error}.") from error
                except httpx.TransportError as error:
                    reason = str(error) or type(error).__name__
                idle = 0 if self.have > before else idle + 1
                if idle >= TRIES:
                    got = f"{self.have:,} bytes" + (f" of {self.total:,}" if self.total else "")
                    raise EncoderUnavailable(
                        f"The download of {self.url} broke off after {got} ({reason}). "
                        "What came is kept: the same command goes on from there."
                    )
                log.info("%s: %s; going on at byte %d", self.url, reason, self.have)
                time.sleep(PAUSE_S * 2 ** max(0, idle - 1))

    @property
    def have(self) -> int:
        """Bytes so far."""
        self.file.flush()
        return self.file.seek(0, os.SEEK_END)

    @property
    def version(self) -> Path:
        """Holds the ETag or date of the version that a part belongs to: without it a part cannot be continued safely."""
        return _beside(self.part, ".version")

    def connection(self, client: httpx.Client) -> None:
        """Ask for what is missing and receive what comes. A TransportError counts as a connection that broke."""
        from httpx import RemoteProtocolError

        have, version = self.have, self.version.read_text() if self.version.exists() else ""
        headers = {"Accept-Encoding": "identity"}  # lengths and ranges are those of the file itself
        if have and version:
            headers |= {"Range": f"bytes={have}-", "If-Range": version}
        with client.stream("GET", self.url, headers=headers) as response:
            status = response.status_code
            if self.url.startswith("https:") and response.url.scheme != "https":
                raise EncoderUnavailable(f"{self.url} redirects to an address without encryption, {response.url}.")
            span, _, total = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
            if status == 416 and total == str(have):
                self.total = have
                return
            if status == 416 or (status == 206 and not span.startswith(f"{have}-")):
                self.start_over()  # the part belongs to another file; ask for all of it
                raise RemoteProtocolError("the server's file is another than before")
            if status not in (200, 206):
                message = f"{response.url} answered {status} {response.reason_phrase}"
                if status in (408, 425, 429) or status >= 500:
                    raise RemoteProtocolError(message)  # may pass
                raise EncoderUnavailable(f"{message}: the weights are not there. Set WEIGHTS to a mirror or a local copy.")
            if status == 200:
                self.start_over()
                total = response.headers.get("Content-Length", "")
            self.total = int(total) if total.isdigit() else None
            # Only a strong ETag promises the same bytes; a date is the next best.
            tag = response.headers.get("ETag", "")
            self.version.write_text(tag if tag.startswith('"') else response.headers.get("Last-Modified", ""))
            self.receive(response)

    def start_over(self) -> None:
        self.file.truncate(0)
        self.version.unlink(missing_ok=True)

    def receive(self, response: httpx.Response) -> None:
        done = self.have
        free = shutil.disk_usage(self.part.parent).free
        if self.total is not None and self.total - done > free:
            missing = (self.total - done) / 2**20
            raise EncoderUnavailable(f"The disk of {self.part.parent} has {free / 2**20:,.0f} MB left, but {missing:,.0f} MB are to come.")
        self.on_progress(done, self.total)
        for block in response.iter_bytes():  # as they come: what has arrived when the connection breaks is kept
            if done == 0 and (_is_page(block) or response.headers.get("Content-Type", "").startswith("text/html")):
                raise EncoderUnavailable(
                    f"{response.url} sent a web page instead of weights: is the address right, or does a proxy want a login?"
                )
            self.file.write(block)
            done += len(block)
            self.on_progress(done, self.total)
