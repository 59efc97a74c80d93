"""A library on this computer, from a program or a notebook: no server is needed, and none may hold it."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, get_args

from tsir.encoders.base import Encoder
from tsir.encoders.loaded import Encoders
from tsir.errors import Conflict, InvalidInput, NotFound, StoreUnavailable
from tsir.importing.mend import encode_unfinished, lost
from tsir.jobs.model import Job
from tsir.media.thumbnails import ThumbnailSize
from tsir.programs.asked import Asked, Like, Source, filter_of, id_of, taken
from tsir.programs.calls import Added, Tell, added
from tsir.programs.client import one_collection, telling
from tsir.programs.hits import Hits
from tsir.programs.searching import Searching
from tsir.records import Image
from tsir.searching.query import parse_filter, parse_weights, read_examples
from tsir.services import collections as collection_service
from tsir.services import duplicates, trash
from tsir.services import pictures as picture_service
from tsir.services.imports import own_folder, submit_folder, submit_uploads
from tsir.services.jobs import detail
from tsir.services.opening import Service
from tsir.services.search import Question, find, listed
from tsir.services.views import Came, CollectionOut, ImageList, ImageOut, JobDetail, RemovedOut, SearchResult
from tsir.settings import Settings, configured
from tsir.stopwatch import Stopwatch
from tsir.storage.filters import shown
from tsir.storage.sql.browsing import Sort

log = logging.getLogger(__name__)

PATIENCE_S = 10.0
"""How long work that goes on gets to finish its batch when the library is closed."""


def open(path: str | Path | None = None, *, encoder: Encoder | None = None, **settings: Any) -> Library:
    """The library in a folder, made when there is none: `tsir.open("photos-library")`.

    `path` is what the terminal calls DATA_DIR (default: that setting, or ./data); other settings may be given by their names in lower case
    (model="lite"), and come from the environment and `.env` otherwise. `encoder` is one of your own instead of MODEL's. Opened twice in one
    process, it is one and the same library.
    Raises Conflict when another process holds it, a server perhaps: `tsir.Client` asks that; InvalidInput for settings that cannot be used.
    """
    if path is not None:
        settings["data_dir"] = Path(path).expanduser()
    return Library(configured(**settings), encoder)


class Library(Searching[Hits]):
    """A library of pictures. Safe to use from many threads; a context manager, or `close` it.

    Every method may raise StoreUnavailable (a store does not answer) and the errors that it names; all are `tsir.errors.TsirError`, and
    `str(error)` is a sentence. Where no collection is named, DEFAULT_TABLE is meant, "tsir".
    """

    def __init__(self, settings: Settings, encoder: Encoder | None = None) -> None:
        """Use `tsir.open`."""
        self.settings = settings
        self._shared = _Shared.of(settings, encoder)
        self._end = weakref.finalize(self, self._shared.release)
        self._sound: set[str] = set()

    def __repr__(self) -> str:
        return f"tsir.open({str(self.settings.data_dir)!r})"

    @property
    def _service(self) -> Service:
        if not self._end.alive:
            raise StoreUnavailable("The library is closed: open it again.")
        return self._shared.service

    def _mend(self, name: str) -> None:
        """Make vectors of a collection again that are lost; that is looked at once."""
        service = self._service
        if name not in self._sound and (owed := service.library.collection(name).owe()):
            log.warning("%s", lost(owed, name))
            encode_unfinished(service.library, service.encoders.of, service.settings)
        self._sound.add(name)

    def _name(self, collection: str | None) -> str:
        return self.settings.default_table if collection is None else collection

    @property
    def collections(self) -> list[CollectionOut]:
        """All collections with their counts, by name."""
        service = self._service
        return [CollectionOut.of(one, collection_service.usable(service.encoders, one)) for one in service.library.collections()]

    def add(self, source: Source, *, collection: str | None = None, progress: bool | Tell = True) -> Added:
        """Import pictures and wait until they can be found; the collection is made when there is none.

        `source` is a folder, whose pictures stay where they are (unchanged ones cost next to nothing, and those that are gone are missing
        from now on), a picture (see `tsir.Picture`) or a zip of pictures by its path, of which the library keeps a copy, or a list of
        these. `progress`: shown, silent (False), or a function that is called with ("imported", pictures, all pictures). Interrupted, it
        leaves what was imported, and goes on when it is called again. Raises NotFound for a path where nothing is.
        """
        given = taken(source)
        service, name = self._service, self._name(collection)
        service.library.create(name, service.encoders.main.info)
        self._mend(name)
        jobs = [self._run(submit_folder(service.runner, name, own_folder(folder), here=True), progress) for folder in given.folders]
        if given.files:
            with ExitStack() as stack:
                named = [(sent.name, stack.enter_context(sent.open())) for sent in given.files]
                job = submit_uploads(service.runner, service.library, name, named)
            jobs.append(self._run(job, progress))
        return added(jobs)

    def _run(self, job: Job, progress: bool | Tell) -> JobDetail:
        service = self._service
        try:
            with telling(progress) as tell:
                over = service.runner.run_now(job, lambda seen: tell("imported", seen.done + seen.skipped + seen.failed, seen.total))
        except BaseException:  # a notebook's user stops the cell, not the library
            with suppress(Conflict):
                service.runner.cancel(job.id)
            raise
        return JobDetail.of_detail(detail(service.library, service.jobs, over))

    def _found(self, collection: str | None, asked: Asked) -> Hits:
        service, name = self._service, self._name(collection)
        with suppress(NotFound):  # the search says it, and first what is wrong with the question
            self._mend(name)
        watch = Stopwatch()
        fields, pictures = asked.fields, asked.pictures
        question = Question(
            name,
            query="".join(fields.get("query", ())),
            text=fields.get("text"),
            not_text=fields.get("not_text"),
            sketch=pictures.get("sketch"),
            image=pictures.get("image"),
            like=read_examples("like", fields.get("like", ())),
            not_like=read_examples("not_like", fields.get("not_like", ())),
            weights=parse_weights("".join(fields.get("weights", ()))),
            filter=parse_filter("".join(fields.get("filter", ()))),
            collections=listed("".join(fields.get("collections", ()))),
            **{"limit": self.settings.top_k, **asked.others},
        )
        return Hits(SearchResult.of(find(service.library, service.encoders, service.settings, question, watch), watch), self._thumbnails)

    def images(
        self, *, limit: int = 100, cursor: str | None = None, sort: Sort = "imported", collection: str | None = None, **conditions: Any
    ) -> ImageList:
        """A page of pictures, and in `next` the cursor of the next page. Raises NotFound, InvalidInput.

        `sort` is "imported" or "taken", the newest first, or "name"; `conditions` are those of `search`.
        """
        if sort not in get_args(Sort):
            raise InvalidInput(f"sort is {shown(sort)}; it must be one of {', '.join(get_args(Sort))}.")
        if not isinstance(limit, int) or not isinstance(cursor, str | None):
            raise InvalidInput(f"limit is {shown(limit)} and cursor {shown(cursor)}; they must be a whole number and a text.")
        filter = parse_filter(filter_of(conditions))
        images, following = self._service.library.collection(self._name(collection)).images(cursor, limit, filter, sort)
        return ImageList(images=[ImageOut.of(image) for image in images], next=following)

    def image(self, id: int, *, collection: str | None = None) -> ImageOut:
        """One picture. Raises NotFound."""
        return ImageOut.of(self._record(id, collection))

    def _record(self, picture: Like, collection: str | None) -> Image:
        name = picture.collection if isinstance(picture, ImageOut) else self._name(collection)
        return self._service.library.collection(name).image(id_of(picture))

    def thumbnail(self, picture: Like, *, size: ThumbnailSize = "small", collection: str | None = None) -> bytes:
        """The file of a thumbnail: JPEG of at most 256 pixels ("small") or 768 ("large"). Raises NotFound."""
        if size not in ("small", "large"):
            raise InvalidInput(f'size is {size!r}; it must be "small" or "large".')
        return picture_service.thumbnail(self._service.library, self._record(picture, collection), size, self.settings).read_bytes()

    def _thumbnails(self, images: Sequence[ImageOut]) -> list[bytes | None]:
        found: list[bytes | None] = []
        for image in images:
            data = None
            with suppress(Exception):  # gone meanwhile, or the library is closed: the hits are still there
                data = self.thumbnail(image)
            found.append(data)
        return found

    def duplicates(self, *, collection: str | None = None) -> list[list[ImageOut]]:
        """Groups of two or more pictures that are one (resized, recompressed, cropped a little, mirrored), the best of each first.

        Of many pictures that takes minutes. Raises NotFound.
        """
        found = duplicates.find(self._service.library, self.settings, self._name(collection))
        return [[ImageOut.of(image) for image in group] for group in found]

    def remove(self, *pictures: Like, collection: str | None = None) -> RemovedOut:
        """Take pictures out of a collection: uploaded files go to the trash, files in folders stay, and imports leave them out from now on.

        `restore` of the result's `trash` brings all of it back. Ids that the collection has not are passed over; NotFound without it.
        """
        name = self._name(one_collection(pictures, collection))
        ids = [id_of(picture) for picture in pictures]
        return RemovedOut.of(picture_service.remove(self._service.library, name, ids))

    def restore(self, entry: str) -> Came:
        """Bring back what was removed: `trash` of what `remove` gave. Raises NotFound."""
        service = self._service
        came = trash.restore(service.library, service.runner, self.settings.default_table, entry)
        if came.job is not None:
            self._run(came.job, False)
        return Came.of(came.collection, came.pictures, came.job, came.lost)

    def close(self) -> None:
        """Give the library free for other processes. Idempotent; work that goes on gets ten seconds to finish its batch."""
        self._end()

    def __enter__(self) -> Library:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class _Shared:
    """What is open of one folder in this process, for all who opened it: a notebook's cell may be run again."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._users = 0

    @classmethod
    def of(cls, settings: Settings, encoder: Encoder | None) -> _Shared:
        """The open whole of these settings; everyone who got it has to `release` it."""
        folder = settings.data_dir.expanduser().resolve()
        with _LOCK:
            shared = _OPEN.get(folder)
            if shared is None:
                shared = _OPEN[folder] = cls(_opened(settings, encoder))
            elif shared.service.settings != settings:
                raise Conflict(f"The library in {str(folder)!r} is open in this process, with other settings: close it first.")
            shared._users += 1
            return shared

    def release(self) -> None:
        """The last one closes it."""
        with _LOCK:
            self._users -= 1
            if self._users:
                return
            for folder in [folder for folder, shared in _OPEN.items() if shared is self]:
                del _OPEN[folder]
            self.service.close(PATIENCE_S)


_OPEN: dict[Path, _Shared] = {}
_LOCK = threading.RLock()


def _opened(settings: Settings, encoder: Encoder | None) -> Service:
    service = Service(settings, Encoders(settings, encoder))
    try:
        service.open_stores()
    except BaseException as error:
        service.close(0)
        if isinstance(error, Conflict) and (url := settings.announced_url()):
            raise Conflict(f'{error} A server at {url} holds it: tsir.Client("{url}") asks that one.') from None
        raise
    return service
