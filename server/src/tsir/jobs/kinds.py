"""The kinds of jobs: what each is told, what it does, what people call it. A kind is made where its work is; here is only their table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tsir.errors import InvalidInput
from tsir.jobs.line import Line, Stopped
from tsir.jobs.model import Job, JobState
from tsir.jobs.progress import Progress

MAX_NAME = 16
"""Characters of a kind's name: what the catalog has room for."""


class Spec(BaseModel):
    """What one job is to do. Stored as JSON, and read by later versions: a field that is new needs a default."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Tools(Protocol):
    """What the jobs of a process work with. The runner only hands it on, and closes it at its end."""

    def close(self) -> None: ...


S = TypeVar("S", bound=BaseModel)
T = TypeVar("T", bound=Tools)


class Again(Exception):
    """The job must be taken up anew, from its beginning."""


class Work(Generic[S]):
    """One run of a job, as its kind sees it."""

    def __init__(self, job: Job, spec: S, line: Line, progress: Progress, wanted: Callable[[], bool]) -> None:
        self.job = job
        self.spec = spec
        self.line = line
        """Its stages stop when the job shall stop."""
        self.progress = progress
        self.endings: list[Callable[[JobState], None]] = []
        self._wanted = wanted

    def confirm(self) -> None:
        """Ask the catalog once more whether the job is wanted. Raises Stopped when it is not; waits for a store that is away.

        To be called when the collection that the job names was looked up: when that was dropped and another got its name, the job was
        cancelled in the same moment.
        """
        if not self.line.patiently(self._wanted):
            raise Stopped

    def at_end(self, do: Callable[[JobState], None]) -> None:
        """Do this when the job's end is safely noted, with the state that it ended in; not when it is handed back or taken over."""
        self.endings.append(do)


def _none(spec: BaseModel) -> Sequence[str]:
    return ()


@dataclass(frozen=True)
class Kind(Generic[S, T]):
    """One kind of job."""

    name: str
    """As stored, at most 16 characters. Never given to another kind."""
    spec: type[S]
    run: Callable[[Work[S], T], str | None]
    """Does it; returns what is worth knowing about how it went, or None. May raise Stopped, Again, and TsirError for a job that fails with
    its sentence. What was done by an earlier run that was cut off is not done again."""
    title: Callable[[S], str]
    """What it works on, for people."""
    uploads: Callable[[S], Sequence[str]] = _none
    """Paths of the files that were sent along, in their order."""


class Kinds(Generic[T]):
    """The table of kinds."""

    def __init__(self, kinds: Iterable[Kind[Any, T]]) -> None:
        """Raises ValueError for a kind that could be queued and not done."""
        self._kinds: dict[str, Kind[Any, T]] = {}
        for kind in kinds:
            if not callable(kind.run):
                raise ValueError(f"Nothing does jobs of the kind {kind.name!r}.")
            if not 0 < len(kind.name) <= MAX_NAME or kind.name in self._kinds:
                raise ValueError(f"{kind.name!r} cannot name a kind of job: it is taken, empty, or longer than {MAX_NAME} characters.")
            self._kinds[kind.name] = kind

    def __contains__(self, kind: Kind[Any, T]) -> bool:
        return self._kinds.get(kind.name) is kind

    def names(self) -> list[str]:
        """Of all kinds."""
        return list(self._kinds)

    def read(self, job: Job) -> tuple[Kind[Any, T], Any]:
        """The kind of a job, and what it is to do. Raises InvalidInput for a job that this version does not know."""
        kind = self._kinds.get(job.kind)
        if kind is None:
            raise InvalidInput(f"This version knows no jobs of the kind {job.kind!r}: a newer one queued it. Start it again with that one.")
        try:
            return kind, kind.spec.model_validate_json(json.dumps(dict(job.spec)))
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"])) or "its whole"
            raise InvalidInput(
                f"What this job of the kind {job.kind!r} is to do cannot be read ({where}): another version queued it. "
                "Start it again, with that version or with this."
            ) from None

    def title(self, job: Job) -> str:
        """What a job works on, for people; of a job that this version does not know, its kind."""
        try:
            kind, spec = self.read(job)
        except InvalidInput:
            return job.kind
        return kind.title(spec)

    def uploads(self, job: Job) -> Sequence[str]:
        """Paths of the files that were sent along with a job."""
        try:
            kind, spec = self.read(job)
        except InvalidInput:
            return ()
        return kind.uploads(spec)
