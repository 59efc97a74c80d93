"""What a client asks of a server, step by step, without saying how a request is sent: `client.py` does, with and without async.

Each function is a generator: it yields a `Call` and is sent its answer, or a `Pause`, and returns the result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, BinaryIO, TypeAlias, TypeVar
from urllib.parse import quote

import httpx

from tsir import errors
from tsir.errors import Conflict, InvalidInput, NotFound, StoreUnavailable, TsirError
from tsir.programs.asked import Asked, Sent, Taken, files_of
from tsir.searching.language import QueryError
from tsir.services.views import (
    Came,
    CollectionList,
    CollectionOut,
    DuplicateList,
    FailureOut,
    ImageList,
    ImageOut,
    JobDetail,
    RemovedOut,
    SearchResult,
)
from tsir.storage.kinds import is_unicode

T = TypeVar("T")

POLL_S = 0.3
"""Between two looks at a job."""
LONGEST_WAIT_S = 30.0
"""Of one pause that a server asks for."""
BATCH_BYTES, BATCH_FILES = 128 * 2**20, 500
"""Of one upload: what has to be sent again when the server is away for a moment."""

Tell = Callable[[str, int, int | None], None]
"""Is told of progress: "sent" in bytes, or "imported" in pictures; how much is done, and of how much."""


@dataclass(frozen=True)
class Call:
    """A request. Its answer is JSON, or bytes."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    json: Any = None
    form: Sequence[tuple[str, Any]] = ()
    files: Sequence[Sent] = ()
    sent: Callable[[int], None] = lambda done: None
    """Is told how many bytes of the files are sent."""
    lasting: bool = False
    """Whether the answer may take any time."""

    def arguments(self, stack: ExitStack) -> dict[str, Any]:
        """httpx' arguments; `stack` closes the files. For every attempt anew: files are read from their beginning."""
        counter = _Counter(self.sent)
        files = [*self.form, *(("files", (sent.name, _Counted(stack.enter_context(sent.open()), counter))) for sent in self.files)]
        found: dict[str, Any] = {"params": self.query or None, "json": self.json, "files": files or None}
        if self.lasting:
            found["timeout"] = None
        return found


@dataclass(frozen=True)
class Pause:
    """Nothing to do for a while."""

    seconds: float


Steps: TypeAlias = Generator["Call | Pause", Any, T]


class _Counter:
    def __init__(self, tell: Callable[[int], None]) -> None:
        self.done = 0
        self.tell = tell


class _Counted:
    """A file that says how much of it was read."""

    def __init__(self, file: BinaryIO, counter: _Counter) -> None:
        self._file = file
        self._counter = counter

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._counter.done += len(data)
        self._counter.tell(self._counter.done)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def fileno(self) -> int:
        return self._file.fileno()


class Patience:
    """How long to go on asking a server that says it is away for a moment."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def pause(self, answer: httpx.Response) -> float | None:
        """Seconds until the next attempt; None: this is the answer. A 503 that says when to come back promises that nothing was done."""
        announced = answer.headers.get("Retry-After", "")
        if answer.status_code != 503 or not announced.isdecimal():
            return None
        wait = min(max(float(announced), 0.2), LONGEST_WAIT_S)
        return wait if time.monotonic() + wait <= self._until else None


def result(answer: httpx.Response) -> Any:
    """What an answer says. Raises the error of `tsir.errors` that the server named, with its sentence."""
    if answer.is_success:
        if answer.content and answer.headers.get("content-type", "").startswith("application/json"):
            return answer.json()
        return answer.content
    try:
        said = answer.json()
        code, sentence = str(said["code"]), str(said["detail"])
    except (ValueError, KeyError, TypeError):
        said, code = {}, ""
        sentence = f"The server answered with status {answer.status_code}: is this a tsir server, and the address right?"
    error = _KINDS.get(code, NotFound if answer.status_code == 404 else TsirError)(sentence)
    announced = answer.headers.get("Retry-After", "")
    error.retry_after = int(announced) if announced.isdecimal() else None
    error.status = answer.status_code
    error.members = {name: said[name] for name in error.members if name in said}
    raise error


_KINDS: dict[str, type[TsirError]] = {
    kind.code: kind for kind in (*vars(errors).values(), QueryError) if isinstance(kind, type) and issubclass(kind, TsirError)
}


def closed() -> StoreUnavailable:
    """The error for a client that was closed."""
    return StoreUnavailable("The client is closed: make another one.")


def unsayable(error: Exception) -> InvalidInput:
    """The error for what is asked and fits in no address."""
    return InvalidInput(f"What is asked does not fit in an address: {error}. Ask for less at once.")


def unreachable(url: str, error: Exception) -> StoreUnavailable:
    """The error for a server that does not answer at all."""
    said = str(error).rstrip(".") or type(error).__name__
    return StoreUnavailable(f"The server at {url} does not answer: {said}. Is it running, and the address right?")


# The steps


def default_collection() -> Steps[str]:
    """The name of the collection that is meant where none is named."""
    return str((yield Call("GET", "/api/v1/system"))["default_collection"])


def collections() -> Steps[list[CollectionOut]]:
    return CollectionList.model_validate((yield Call("GET", "/api/v1/collections"))).collections


def search(collection: str, asked: Asked) -> Steps[SearchResult]:
    form: list[tuple[str, Any]] = [(name, (None, value)) for name, values in asked.fields.items() for value in values]
    form += [(name, (None, str(value))) for name, value in asked.others.items()]
    form += [(name, (name, data)) for name, data in asked.pictures.items()]
    # An empty form would be no form at all; the server says what is missing.
    answer = yield Call("POST", f"{_of(collection)}/search", form=form or [("text", (None, ""))])
    return SearchResult.model_validate(answer)


def image(collection: str, id: int) -> Steps[ImageOut]:
    return ImageOut.model_validate((yield Call("GET", f"{_of(collection)}/images/{id}")))


def images(collection: str, limit: int, cursor: str | None, sort: str, filter: str) -> Steps[ImageList]:
    query = {"limit": str(limit), "sort": sort, **({"cursor": cursor} if cursor else {}), **({"filter": filter} if filter else {})}
    return ImageList.model_validate((yield Call("GET", f"{_of(collection)}/images", query=query)))


def thumbnail(collection: str, id: int, size: str) -> Steps[bytes]:
    data: bytes = yield Call("GET", f"{_of(collection)}/images/{id}/thumbnail", query={"size": size})
    return data


def thumbnails(images: Sequence[ImageOut]) -> Steps[list[bytes | None]]:
    found: list[bytes | None] = []
    for one in images:
        try:
            found.append((yield from thumbnail(one.collection, one.id, "small")))
        except TsirError:  # gone meanwhile  # noqa: PERF203
            found.append(None)
    return found


def duplicates(collection: str) -> Steps[list[list[ImageOut]]]:
    found = DuplicateList.model_validate((yield Call("GET", f"{_of(collection)}/duplicates", lasting=True)))
    return [group.images for group in found.groups]


def remove(collection: str, ids: Sequence[int]) -> Steps[RemovedOut]:
    return RemovedOut.model_validate((yield Call("POST", f"{_of(collection)}/images/remove", json={"ids": list(ids)})))


def restore(entry: str) -> Steps[Came]:
    came = Came.model_validate((yield Call("POST", f"/api/v1/trash/{quote(entry, safe='')}/restore")))
    if came.job is not None:
        added((yield from _over([JobDetail.model_validate((yield Call("GET", f"/api/v1/jobs/{came.job.id}")))], lambda *now: None, None)))
    return came


@dataclass(frozen=True)
class Added:
    """What became of pictures that were added."""

    imported: int
    unchanged: int
    """Skipped: the library had them as they are."""
    failures: tuple[FailureOut, ...]
    """Files that could not be used, each with the reason; of many the first."""
    failed: int
    """How many could not be used."""


def add(collection: str, asked: Taken, tell: Tell) -> Steps[Added]:
    """Upload pictures, and wait until they can be found."""
    yield Call("PUT", _of(collection))
    limits = (yield Call("GET", "/api/v1/system"))["limits"]
    sending, failures = list(asked.files), []
    for folder in asked.folders:
        files, unusable = files_of(folder)
        sending += files
        failures += unusable
    most = min(limits["max_request_bytes"] * 9 // 10, BATCH_BYTES)
    large = [sent for sent in sending if sent.bytes > max(limits["max_upload_bytes"], most)]
    failures += [FailureOut(path=sent.name, reason=f"The file has {sent.bytes:,} bytes, which the server does not take.") for sent in large]
    sending = [sent for sent in sending if sent not in large]
    every = sum(sent.bytes for sent in sending)
    jobs: list[JobDetail] = []
    gone = 0
    for batch in _batches(sending, most):
        call = Call("POST", f"{_of(collection)}/imports", files=batch, sent=lambda done, gone=gone: tell("sent", gone + done, every))  # type: ignore[misc]
        jobs.append(JobDetail.model_validate((yield call)))
        gone += sum(sent.bytes for sent in batch)
    return added((yield from _over(jobs, tell, len(sending))), failures)


def added(jobs: Sequence[JobDetail], failures: Sequence[FailureOut] = ()) -> Added:
    """How imports ended. Raises Conflict when one was cancelled, InvalidInput with the sentence of one that failed."""
    for job in jobs:
        if job.state == "cancelled":
            raise Conflict("The import was cancelled; what it had imported stays.")
        if job.state == "failed":
            raise InvalidInput(job.message or "The import failed.")
    return Added(
        imported=sum(job.done for job in jobs),
        unchanged=sum(job.skipped for job in jobs),
        failures=(*failures, *(failure for job in jobs for failure in job.failures)),
        failed=len(failures) + sum(job.failed for job in jobs),
    )


def import_folder(collection: str, path: str, tell: Tell) -> Steps[Added]:
    """Import a folder of the server, and wait until that is done."""
    yield Call("PUT", _of(collection))
    job = JobDetail.model_validate((yield Call("POST", f"{_of(collection)}/imports", json={"path": path})))
    return added((yield from _over([job], tell, None)))


def _over(jobs: Sequence[JobDetail], tell: Tell, total: int | None) -> Steps[list[JobDetail]]:
    over: list[JobDetail] = []
    passed = 0
    for job in jobs:
        seen = job
        while True:
            seen = JobDetail.model_validate((yield Call("GET", f"/api/v1/jobs/{job.id}")))
            tell("imported", passed + seen.done + seen.skipped + seen.failed, seen.total if total is None else total)
            if seen.state in ("done", "failed", "cancelled"):
                break
            yield Pause(POLL_S)
        passed += seen.done + seen.skipped + seen.failed
        over.append(seen)
    return over


def _batches(files: Sequence[Sent], most: int) -> list[list[Sent]]:
    batches: list[list[Sent]] = []
    room = 0
    for sent in files:
        if not batches or sent.bytes > room or len(batches[-1]) == BATCH_FILES:
            batches.append([])
            room = most
        batches[-1].append(sent)
        room -= sent.bytes
    return batches


def _of(collection: str) -> str:
    if not isinstance(collection, str) or not is_unicode(collection) or "/" in collection or not collection.strip("."):
        raise NotFound(f"There is no collection {collection!r}; a name has letters, digits, _ and -.")
    return f"/api/v1/collections/{quote(collection, safe='')}"
