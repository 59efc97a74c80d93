"""Weights on disk: where they come from, whether they are whole, and conversion. Needs torch only to convert.

A download goes to `NAME.part` and gets its name when it is complete and verified, so a broken one never looks like weights. The authors
publish no checksum: the SHA-256 of the first complete download is recorded beside the file and checked from then on.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import unquote, urlsplit

import httpx

from tsir.errors import Conflict, EncoderUnavailable, InvalidInput, NotFound
from tsir.settings import Settings

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
    bytes: int | None
    """On disk."""
    sha256: str | None
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
    lite = WeightsInfo("lite", "built in", None, "comes with the program", None, None)
    return [lite, *(_state(name, settings) for name in OFFICIAL)]


def get_weights(name: str, settings: Settings, on_progress: Progress | None = None) -> WeightsInfo:
    """Download the weights of an encoder, going on where an earlier try stopped; nothing to do when they are there.

    With WEIGHTS an address it is used as a mirror; with WEIGHTS a path that file is verified. Raises EncoderUnavailable with the reason,
    Conflict when another process is downloading the same file, NotFound for an encoder without published weights.
    """
    place = _place(name, settings)
    try:
        return verify_weights(name, settings)
    except EncoderUnavailable:
        if place.url is None:
            raise
    official = OFFICIAL[name] if place.url == OFFICIAL[name].url else Official(place.url)
    record = _record(place.path)
    if record and record.url == official.url and official.sha256 is None:
        official = Official(record.url, record.bytes, record.sha256)  # the same weights again, not whatever is there now
    download(official, place.path, on_progress)
    return _state(name, settings)


def verify_weights(name: str, settings: Settings) -> WeightsInfo:
    """Read the whole file and compare it with what is known of it. Raises EncoderUnavailable when it is missing or broken."""
    path = weights_file(name, settings)
    info = _state(name, settings)
    return WeightsInfo(name, "present", str(path), info.source, path.stat().st_size, info.sha256 or _sha256(path))


def weights_file(name: str, settings: Settings) -> Path:
    """The verified local file of an encoder's weights. Raises EncoderUnavailable saying how to get it, or what is broken."""
    place = _place(name, settings)
    if not place.path.is_file():
        if place.url is None:
            raise EncoderUnavailable(f"WEIGHTS names the file {place.path}, which does not exist.")
        raise EncoderUnavailable(
            f"The weights of {name!r} are not here yet. Run `tsir weights get {name}`, which downloads {place.url}, "
            "or set WEIGHTS to a local copy or a mirror."
        )
    if problem := _problem(place.path):
        raise EncoderUnavailable(f"The weights {place.path} are broken: {problem}.{_remedy(name, place)}")
    record = _record(place.path)
    if record and place.url is not None and _sha256(place.path) != record.sha256:
        raise EncoderUnavailable(
            f"The weights {place.path} are no longer those that were downloaded: the SHA-256 differs.{_remedy(name, place)}"
        )
    return place.path


def convert_weights(source: Path, target: Path, precision: Literal["fp16", "fp32"] = "fp16") -> int:
    """Write the tensors that encoding uses as safetensors. Returns the bytes written.

    Raises InvalidInput for an unknown precision or a target that is the source, EncoderUnavailable for a source that is not TASK-former's.
    """
    if precision not in ("fp16", "fp32"):
        raise InvalidInput(f"The precision {precision!r} is unknown: use fp16 or fp32.")
    if target.exists() and source.exists() and target.samefile(source):
        raise InvalidInput("The converted weights need a file of their own: choose another name.")
    from tsir.encoders.registry import need_extra

    need_extra("torch", "Converting weights")
    import torch
    from safetensors.torch import save_file

    from tsir.encoders.task_former.checkpoint import read_state, used_state

    _, state = used_state(read_state(source), source)
    dtype = torch.float16 if precision == "fp16" else torch.float32
    part = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.to(dtype).contiguous().clone() for name, tensor in state.items()}, part, {"format": "pt"})
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise EncoderUnavailable(f"The weights cannot be written to {target}: {error.strerror or error}.") from error
    return target.stat().st_size


@dataclass(frozen=True)
class _Place:
    path: Path
    url: str | None
    """None for a local file of the user's own."""


def _place(name: str, settings: Settings) -> _Place:
    if name not in OFFICIAL:
        raise NotFound(f"There are no published weights for {name!r}. Known: {', '.join(OFFICIAL)}.")
    weights = _meant_for(name, settings)
    if weights and not is_url(weights):
        return _Place(Path(weights).expanduser(), None)
    url = weights or OFFICIAL[name].url
    file = unquote(urlsplit(url).path).rsplit("/", 1)[-1] or f"{name}.pt"
    if file.startswith("."):
        file = f"{name}.pt"
    return _Place(models_folder(settings) / file, url)


def _meant_for(name: str, settings: Settings) -> str | None:
    """WEIGHTS, if it is about this encoder: `tsir weights get NAME` may run while MODEL is still lite, whose WEIGHTS is a folder."""
    weights = settings.weights
    if weights and settings.model == "lite" and name != "lite":
        return None if Path(weights).expanduser().is_dir() else weights
    return weights if settings.model == name else None


def _state(name: str, settings: Settings) -> WeightsInfo:
    place = _place(name, settings)
    part = _part(place.path)
    source = place.url or "WEIGHTS"
    if place.path.is_file():
        record = _record(place.path)
        problem = _problem(place.path)
        size = place.path.stat().st_size
        sha256 = record.sha256 if record else None
        return WeightsInfo(name, "broken" if problem else "present", str(place.path), source, size, sha256, problem)
    if place.url and part.is_file():
        go_on = f"`tsir weights get {name}` goes on with the download."
        return WeightsInfo(name, "partial", str(part), source, part.stat().st_size, None, go_on)
    how = f"`tsir weights get {name}` downloads them." if place.url else "The file that WEIGHTS names does not exist."
    return WeightsInfo(name, "missing", str(place.path), source, None, None, how)


def _remedy(name: str, place: _Place) -> str:
    return f" Run `tsir weights get {name}` to fetch them anew." if place.url else ""


def _record_file(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _record(path: Path) -> Record | None:
    try:
        return Record(**json.loads(_record_file(path).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _problem(path: Path) -> str | None:
    """Why a file cannot be weights, judged by its structure; None when it may be. Catches pages, truncation and wrong lengths."""
    size = path.stat().st_size
    record = _record(path)
    if record and size != record.bytes:
        return f"it has {size:,} bytes instead of {record.bytes:,}"
    with path.open("rb") as file:
        head = file.read(9)
        if head[8:9] == b"{":
            return _safetensors_problem(file, int.from_bytes(head[:8], "little"), size)
    if head[:4] != b"PK\x03\x04":
        return "it is neither a torch checkpoint nor safetensors" if not _is_page(head) else "it is a web page"
    try:
        with zipfile.ZipFile(path) as archive:  # the table of contents is at the end: a truncated file has none
            if not any(name.endswith("data.pkl") for name in archive.namelist()):
                return "it is a zip file, but not a torch checkpoint"
    except (zipfile.BadZipFile, OSError, ValueError):
        return "it is incomplete"
    return None


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
    part = _part(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab+") as file, _alone(file, target):
            _Download(official.url, file, part, on_progress).run()
            file.flush()
            os.fsync(file.fileno())
            record = _verified(official, part)
            _record_file(target).write_text(json.dumps(asdict(record), indent=1) + "\n")
            part.replace(target)
            _validator_file(part).unlink(missing_ok=True)
    except OSError as error:
        raise EncoderUnavailable(f"The weights cannot be written to {target.parent}: {error.strerror or error}.") from error
    return record


@contextlib.contextmanager
def _alone(file: IO[bytes], target: Path) -> Iterator[None]:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Conflict(f"Another process is downloading {target.name} right now.") from None
    yield


def _verified(official: Official, part: Path) -> Record:
    """What the complete part is, or the reason why it is not the weights; then it is removed, for no byte of it can be trusted."""
    size, sha256 = part.stat().st_size, _sha256(part)
    problem = _problem(part)
    if official.bytes is not None and size != official.bytes:
        problem = f"it has {size:,} bytes instead of {official.bytes:,}"
    elif official.sha256 is not None and sha256 != official.sha256:
        problem = f"its SHA-256 is {sha256} instead of {official.sha256}"
    if problem:
        part.unlink()
        _validator_file(part).unlink(missing_ok=True)
        raise EncoderUnavailable(
            f"What {official.url} sent is not the weights: {problem}. It was removed; try again, or set WEIGHTS to a mirror."
        )
    return Record(official.url, size, sha256, datetime.now(timezone.utc).isoformat(timespec="seconds"))


def _validator_file(part: Path) -> Path:
    """Holds the ETag or date of the version that a part belongs to: without it a part cannot be continued safely."""
    return part.with_name(part.name + ".version")


class _Download:
    """One download, over as many connections as it takes."""

    def __init__(self, url: str, file: IO[bytes], part: Path, on_progress: Progress | None) -> None:
        self._url = url
        self._file = file
        self._part = part
        self._on_progress = on_progress
        self._total: int | None = None

    def run(self) -> None:
        idle = 0
        with httpx.Client(follow_redirects=True, timeout=httpx.Timeout(60, connect=20)) as client:
            while True:
                before = self._have()
                try:
                    self._connection(client)
                    if self._total is None or self._have() >= self._total:
                        return
                    reason = "the connection was closed early"
                except httpx.TooManyRedirects:
                    raise EncoderUnavailable(f"{self._url} redirects in circles.") from None
                except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
                    raise EncoderUnavailable(f"{self._url} is no address that can be downloaded: {error}.") from error
                except httpx.TransportError as error:
                    reason = str(error) or type(error).__name__
                idle = 0 if self._have() > before else idle + 1
                if idle >= TRIES:
                    got = f"{self._have():,} bytes" + (f" of {self._total:,}" if self._total else "")
                    raise EncoderUnavailable(
                        f"The download of {self._url} broke off after {got} ({reason}). "
                        "What came is kept: the same command goes on from there."
                    )
                log.info("%s: %s; going on at byte %d", self._url, reason, self._have())
                time.sleep(PAUSE_S * 2 ** max(0, idle - 1))

    def _have(self) -> int:
        self._file.flush()
        return self._file.seek(0, os.SEEK_END)

    def _connection(self, client: httpx.Client) -> None:
        have = self._have()
        version = self._version()
        headers = {"Accept-Encoding": "identity"}  # lengths and ranges are those of the file itself
        if have and version:
            headers |= {"Range": f"bytes={have}-", "If-Range": version}
        with client.stream("GET", self._url, headers=headers) as response:
            if self._url.startswith("https:") and response.url.scheme != "https":
                raise EncoderUnavailable(f"{self._url} redirects to an address without encryption, {response.url}.")
            if response.status_code == 416 and have and response.headers.get("Content-Range", "").endswith(f"/{have}"):
                self._total = have
                return
            if response.status_code == 416 or (response.status_code == 206 and not self._continues(response, have)):
                self._start_over()  # the part belongs to another file; ask for all of it
                raise httpx.RemoteProtocolError("the server's file is another than before")
            if response.status_code not in (200, 206):
                self._refused(response)
            if response.status_code == 200:
                self._start_over()
                length = response.headers.get("Content-Length", "")
                self._total = int(length) if length.isdigit() else None
            self._remember(response)
            self._check_space()
            self._receive(response)

    def _refused(self, response: httpx.Response) -> None:
        message = f"{response.url} answered {response.status_code} {response.reason_phrase}"
        if response.status_code in (408, 425, 429) or response.status_code >= 500:
            raise httpx.RemoteProtocolError(message)  # may pass: counts as a broken connection
        raise EncoderUnavailable(f"{message}: the weights are not there. Set WEIGHTS to a mirror or a local copy.")

    def _continues(self, response: httpx.Response, have: int) -> bool:
        """Whether a 206 goes on at byte `have`; notes the total."""
        unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
        span, _, total = rest.partition("/")
        self._total = int(total) if total.isdigit() else None
        return unit == "bytes" and bool(span.startswith(f"{have}-"))

    def _receive(self, response: httpx.Response) -> None:
        done = self._have()
        self._report(done)
        for block in response.iter_bytes():  # as they come: what has arrived when the connection breaks is kept
            if done == 0 and (_is_page(block) or response.headers.get("Content-Type", "").startswith("text/html")):
                raise EncoderUnavailable(
                    f"{response.url} sent a web page instead of weights: is the address right, or does a proxy want a login?"
                )
            self._file.write(block)
            done += len(block)
            self._report(done)

    def _report(self, done: int) -> None:
        if self._on_progress:
            self._on_progress(done, self._total)

    def _start_over(self) -> None:
        self._file.truncate(0)
        _validator_file(self._part).unlink(missing_ok=True)

    def _version(self) -> str | None:
        try:
            return _validator_file(self._part).read_text() or None
        except OSError:
            return None

    def _remember(self, response: httpx.Response) -> None:
        """Only a strong ETag promises the same bytes; a date is the next best."""
        tag = response.headers.get("ETag", "")
        _validator_file(self._part).write_text(tag if tag.startswith('"') else response.headers.get("Last-Modified", ""))

    def _check_space(self) -> None:
        if self._total is None:
            return
        needed, free = self._total - self._have(), shutil.disk_usage(self._part.parent).free
        if needed > free:
            raise EncoderUnavailable(
                f"The disk of {self._part.parent} has {free / 2**20:,.0f} MB left, but {needed / 2**20:,.0f} MB are to come."
            )
