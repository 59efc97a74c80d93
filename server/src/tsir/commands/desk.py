"""Who answers a command: the server that holds DATA_DIR, or this process, which opens the library then. Both are asked the same way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tsir.commands import remote
from tsir.commands.terminal import Tell
from tsir.services import collections, duplicates, imports, jobs, pictures, trash
from tsir.services.opening import Service, opened
from tsir.services.views import (
    Came,
    CollectionList,
    CollectionOut,
    Copies,
    DuplicateList,
    Emptied,
    Forgotten,
    ImageOut,
    JobDetail,
    JobOut,
    RelocatedOut,
    RemovedOut,
    TrashEntry,
    TrashList,
)
from tsir.settings import Settings

PAGE = 1000


class Desk(Protocol):
    """What can be asked. Everything raises TsirError with a sentence."""

    def collections(self) -> CollectionList: ...
    def rename(self, collection: str, to: str) -> None: ...
    def drop(self, collection: str) -> RemovedOut: ...
    def forget(self, collection: str, folder: Path) -> Forgotten: ...
    def relocate(self, old: Path, new: Path) -> RelocatedOut: ...
    def remove(self, collection: str, ids: Sequence[int], paths: Sequence[str]) -> RemovedOut: ...
    def only_copies(self, collection: str) -> Copies: ...
    def excluded(self, collection: str) -> Iterator[ImageOut]: ...
    def duplicates(self, collection: str) -> DuplicateList: ...
    def trash(self) -> TrashList: ...
    def restore(self, id: str) -> Came: ...
    def delete_thrown(self, id: str) -> None: ...
    def empty_trash(self) -> Emptied: ...
    def follow(self, job: JobOut, tell: Tell) -> JobDetail: ...


class Here:
    """The library, opened by this process."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._library = service.library

    def collections(self) -> CollectionList:
        model = self._service.settings.model
        found = [CollectionOut.of(one, usable=one.encoder.name == model) for one in self._library.collections()]
        return CollectionList(collections=found)

    def rename(self, collection: str, to: str) -> None:
        collections.rename(self._library, self._service.jobs, collection, to)

    def drop(self, collection: str) -> RemovedOut:
        return RemovedOut.of(collections.drop(self._library, self._service.jobs, collection))

    def forget(self, collection: str, folder: Path) -> Forgotten:
        swept = collections.forget(self._library, collection, str(folder))
        return Forgotten(pictures=swept.images, found=swept.found)

    def relocate(self, old: Path, new: Path) -> RelocatedOut:
        return RelocatedOut.of(imports.relocate(self._library, str(old), new))

    def remove(self, collection: str, ids: Sequence[int], paths: Sequence[str]) -> RemovedOut:
        return RemovedOut.of(pictures.remove(self._library, collection, ids, paths))

    def only_copies(self, collection: str) -> Copies:
        known, only = self._library.collection(collection).only_copies()
        return Copies(pictures=known, only_copies=only)

    def excluded(self, collection: str) -> Iterator[ImageOut]:
        cursor: str | None = None
        while True:
            page, cursor = self._library.collection(collection).excluded(cursor, PAGE)
            yield from map(ImageOut.of, page)
            if cursor is None:
                return

    def duplicates(self, collection: str) -> DuplicateList:
        return DuplicateList.of(duplicates.find(self._library, self._service.settings, collection))

    def trash(self) -> TrashList:
        kept = self._library.files.trash
        return TrashList(
            entries=[TrashEntry.of(one) for one in trash.listed(self._library)], bytes=trash.size(self._library), days=kept.days
        )

    def restore(self, id: str) -> Came:
        came = trash.restore(self._library, self._service.runner, self._service.settings.default_table, id)
        return Came.of(came.collection, came.pictures, came.job, came.lost)

    def delete_thrown(self, id: str) -> None:
        trash.delete(self._library, id)

    def empty_trash(self) -> Emptied:
        return Emptied(files=trash.empty(self._library))

    def follow(self, job: JobOut, tell: Tell) -> JobDetail:
        service = self._service
        ended = service.runner.run_now(service.jobs.get(job.id), on_progress=lambda now: tell(JobOut.of(now)))
        return JobDetail.of_detail(jobs.detail(self._library, service.jobs, ended))


@contextmanager
def desk(settings: Settings) -> Iterator[Desk]:
    """The server, if one runs, or the library."""
    server = remote.find(settings)
    if server is not None:
        yield server
        return
    with opened(settings) as service:
        yield Here(service)
