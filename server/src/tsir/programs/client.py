"""A server's library from a program: `Client`, and `AsyncClient` with the same methods to be awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from tsir.errors import InvalidInput, TsirError
from tsir.media.thumbnails import ThumbnailSize
from tsir.programs import calls
from tsir.programs.asked import Asked, Like, Source, filter_of, id_of, taken
from tsir.programs.calls import Added, Call, Patience, Pause, Steps, Tell
from tsir.programs.hits import Hits
from tsir.programs.progress import counting
from tsir.programs.searching import Searching
from tsir.services.views import Came, CollectionOut, ImageList, ImageOut, RemovedOut
from tsir.settings import is_loopback
from tsir.storage.sql.browsing import Sort

T = TypeVar("T")

URL = "http://127.0.0.1:5000"
PATIENCE_S = 60.0
TIMEOUT_S = 60.0


class _Speaker:
    """What both clients know: where the server is, and how it is spoken to."""

    def __init__(self, url: str = URL, key: str | None = None, *, patience: float = PATIENCE_S, timeout: float = TIMEOUT_S) -> None:
        """`url` is that of the server or of its page, `key` one of its API_KEYS. A server that announces when it will be there again is
        asked for up to `patience` seconds; `timeout` is how many seconds it may be silent. Raises InvalidInput for what is no address."""
        self.url = url.rstrip("/")
        self.patience = patience
        self._default: str | None = None
        if key and not (key.isascii() and key.isprintable()):
            raise InvalidInput("A key has letters, digits and signs of ASCII alone.")
        try:
            httpx.URL(self.url)
        except httpx.InvalidURL as error:
            raise InvalidInput(f"{url!r} is no address of a server: {error}.") from error
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._options: dict[str, Any] = {"base_url": self.url, "headers": headers, "timeout": httpx.Timeout(timeout)}
        with suppress(ValueError):  # what is no address, the first request says
            self._options["trust_env"] = not is_loopback(urlsplit(self.url).hostname or "")  # proxies are for the world outside

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def _spoken(self, steps: Steps[T]) -> Steps[T]:
        """The same steps, to be sent httpx' responses: what these say, or raise, comes to the steps, and a server that is away for a moment
        is asked again."""
        said: Any = None
        error: TsirError | None = None
        while True:
            try:
                step = steps.send(said) if error is None else steps.throw(error)
            except StopIteration as end:
                value: T = end.value
                return value
            said = error = None
            if isinstance(step, Pause):
                yield step
                continue
            patience = Patience(self.patience)
            while (pause := patience.pause(answer := (yield step))) is not None:
                yield Pause(pause)
            try:
                said = calls.result(answer)
            except TsirError as refused:
                error = refused

    @contextmanager
    def _asking(self, http: httpx.Client | httpx.AsyncClient, call: Call) -> Iterator[dict[str, Any]]:
        """httpx' arguments for one attempt, whose errors become ours."""
        if http.is_closed:
            raise calls.closed()
        with ExitStack() as stack:
            try:
                yield call.arguments(stack)
            except httpx.InvalidURL as error:
                raise calls.unsayable(error) from error
            except httpx.HTTPError as error:
                raise calls.unreachable(self.url, error) from error

    def _drive(self, http: httpx.Client, steps: Steps[T]) -> T:
        spoken = self._spoken(steps)
        answer: Any = None
        try:
            while True:
                step = spoken.send(answer)
                answer = None
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                else:
                    with self._asking(http, step) as arguments:
                        answer = http.request(step.method, step.path, **arguments)
        except StopIteration as end:
            value: T = end.value
            return value

    def _collection(self, given: str | None) -> Steps[str]:
        if given is not None:
            return given
        if self._default is None:
            self._default = yield from calls.default_collection()
        return self._default

    def _thumbnails(self, images: Sequence[ImageOut]) -> list[bytes | None]:
        """For notebooks, which ask for them at a time when nothing can be awaited."""
        with httpx.Client(**self._options) as http:
            return self._drive(http, calls.thumbnails(images))

    # The steps of the methods of both

    def _search(self, collection: str | None, parts: Asked) -> Steps[Hits]:
        name = yield from self._collection(collection)
        return Hits((yield from calls.search(name, parts)), self._thumbnails)

    def _add(self, collection: str | None, source: Source, tell: Tell) -> Steps[Added]:
        given = taken(source)
        name = yield from self._collection(collection)
        return (yield from calls.add(name, given, tell))

    def _import_folder(self, collection: str | None, path: str, tell: Tell) -> Steps[Added]:
        name = yield from self._collection(collection)
        return (yield from calls.import_folder(name, path, tell))

    def _images(self, collection: str | None, limit: int, cursor: str | None, sort: Sort, filter: str) -> Steps[ImageList]:
        name = yield from self._collection(collection)
        return (yield from calls.images(name, limit, cursor, sort, filter))

    def _image(self, collection: str | None, id: int) -> Steps[ImageOut]:
        name = yield from self._collection(collection)
        return (yield from calls.image(name, id_of(id)))

    def _thumbnail(self, picture: Like, size: ThumbnailSize, collection: str | None) -> Steps[bytes]:
        name = yield from self._collection(_own(picture, collection))
        return (yield from calls.thumbnail(name, id_of(picture), size))

    def _remove(self, pictures: Sequence[Like], collection: str | None) -> Steps[RemovedOut]:
        name = yield from self._collection(one_collection(pictures, collection))
        return (yield from calls.remove(name, [id_of(picture) for picture in pictures]))

    def _duplicates(self, collection: str | None) -> Steps[list[list[ImageOut]]]:
        name = yield from self._collection(collection)
        return (yield from calls.duplicates(name))


def one_collection(pictures: Sequence[Like], collection: str | None) -> str | None:
    """The collection of some pictures. Raises InvalidInput when they are of several."""
    names = {_own(picture, collection) for picture in pictures}
    if len(names) > 1:
        raise InvalidInput("The pictures are of several collections: take them out of one after the other.")
    return next(iter(names), collection)


def _own(picture: Like, collection: str | None) -> str | None:
    """The collection of a picture that knows it."""
    return picture.collection if isinstance(picture, ImageOut) else collection


@contextmanager
def telling(progress: bool | Tell) -> Iterator[Tell]:
    """Progress as it was asked for: shown (True), not at all, or told to a function."""
    if not isinstance(progress, bool):
        yield progress
        return
    with ExitStack() as stack:
        bars: dict[str, Callable[[int, int | None], None]] = {}

        def tell(what: str, done: int, total: int | None) -> None:
            if what not in bars:
                stack.close()  # one bar at a time
                label = {"sent": "Sending", "imported": "Importing"}.get(what, what)
                bars[what] = stack.enter_context(counting(label, silent=not progress, bytes=what == "sent"))
            bars[what](done, total)

        yield tell


class Client(_Speaker, Searching[Hits]):
    """A server's library. Safe to use from many threads; a context manager, or `close` it.

    Every method may raise StoreUnavailable (the server, or a store of it, does not answer; `retry_after` says when it may), Unauthorized
    (a key is needed, or another one), Forbidden (the key may only read), and the errors it names; all are `tsir.errors.TsirError`, and
    `str(error)` is a sentence. Where no collection is named, the server's default one is meant.
    """

    def __init__(self, url: str = URL, key: str | None = None, *, patience: float = PATIENCE_S, timeout: float = TIMEOUT_S) -> None:
        super().__init__(url, key, patience=patience, timeout=timeout)
        self._http = httpx.Client(**self._options)

    def _do(self, steps: Steps[T]) -> T:
        return self._drive(self._http, steps)

    @property
    def collections(self) -> list[CollectionOut]:
        """All collections with their counts, by name."""
        return self._do(calls.collections())

    def add(self, source: Source, *, collection: str | None = None, progress: bool | Tell = True) -> Added:
        """Upload pictures and wait until they can be found; the collection is made when there is none.

        `source` is a folder of this computer, a picture (see `tsir.Picture`) or a zip of pictures by its path, or a list of these. The
        server keeps copies; content that it knows already is kept once. `progress`: shown, silent (False), or a function that is called
        with ("sent", bytes, all bytes) and ("imported", pictures, all pictures). Raises NotFound for a path where nothing is.
        """
        with telling(progress) as tell:
            return self._do(self._add(collection, source, tell))

    def import_folder(self, path: str, *, collection: str | None = None, progress: bool | Tell = True) -> Added:
        """Import a folder of the server, which stays where it is; raises Forbidden when it is not below one of the server's IMAGE_ROOTS."""
        with telling(progress) as tell:
            return self._do(self._import_folder(collection, path, tell))

    def _found(self, collection: str | None, asked: Asked) -> Hits:
        return self._do(self._search(collection, asked))

    def images(
        self, *, limit: int = 100, cursor: str | None = None, sort: Sort = "imported", collection: str | None = None, **conditions: Any
    ) -> ImageList:
        """A page of pictures, and in `next` the cursor of the next page. Raises NotFound, InvalidInput.

        `sort` is "imported" or "taken", the newest first, or "name"; `conditions` are those of `search`.
        """
        return self._do(self._images(collection, limit, cursor, sort, filter_of(conditions)))

    def image(self, id: int, *, collection: str | None = None) -> ImageOut:
        """One picture. Raises NotFound."""
        return self._do(self._image(collection, id))

    def thumbnail(self, picture: Like, *, size: ThumbnailSize = "small", collection: str | None = None) -> bytes:
        """The file of a thumbnail: JPEG of at most 256 pixels ("small") or 768 ("large"). Raises NotFound."""
        return self._do(self._thumbnail(picture, size, collection))

    def duplicates(self, *, collection: str | None = None) -> list[list[ImageOut]]:
        """Groups of two or more pictures that are one (resized, recompressed, cropped a little, mirrored), the best of each first.

        Of many pictures that takes minutes. Raises NotFound.
        """
        return self._do(self._duplicates(collection))

    def remove(self, *pictures: Like, collection: str | None = None) -> RemovedOut:
        """Take pictures out of a collection: uploaded files go to the trash, files in folders stay, and imports leave them out from now on.

        `restore` of the result's `trash` brings all of it back. Ids that the collection has not are passed over; NotFound without it.
        """
        return self._do(self._remove(pictures, collection))

    def restore(self, entry: str) -> Came:
        """Bring back what was removed: `trash` of what `remove` gave. Raises NotFound."""
        return self._do(calls.restore(entry))

    def close(self) -> None:
        """End the connections. Idempotent."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class AsyncClient(_Speaker, Searching[Coroutine[Any, Any, Hits]]):
    """`Client`, to be awaited: the same methods with the same arguments, results and errors. `await client.collections`, too.

    A context manager (`async with`), or `aclose` it.
    """

    def __init__(self, url: str = URL, key: str | None = None, *, patience: float = PATIENCE_S, timeout: float = TIMEOUT_S) -> None:
        super().__init__(url, key, patience=patience, timeout=timeout)
        self._http = httpx.AsyncClient(**self._options)

    async def _do(self, steps: Steps[T]) -> T:
        spoken = self._spoken(steps)
        answer: Any = None
        try:
            while True:
                step = spoken.send(answer)
                answer = None
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                else:
                    with self._asking(self._http, step) as arguments:
                        answer = await self._http.request(step.method, step.path, **arguments)
        except StopIteration as end:
            value: T = end.value
            return value

    @property
    def collections(self) -> Coroutine[Any, Any, list[CollectionOut]]:
        """All collections with their counts, by name."""
        return self._do(calls.collections())

    async def add(self, source: Source, *, collection: str | None = None, progress: bool | Tell = True) -> Added:
        """As `Client.add`."""
        with telling(progress) as tell:
            return await self._do(self._add(collection, source, tell))

    async def import_folder(self, path: str, *, collection: str | None = None, progress: bool | Tell = True) -> Added:
        """As `Client.import_folder`."""
        with telling(progress) as tell:
            return await self._do(self._import_folder(collection, path, tell))

    def _found(self, collection: str | None, asked: Asked) -> Coroutine[Any, Any, Hits]:
        return self._do(self._search(collection, asked))

    async def images(
        self, *, limit: int = 100, cursor: str | None = None, sort: Sort = "imported", collection: str | None = None, **conditions: Any
    ) -> ImageList:
        """As `Client.images`."""
        return await self._do(self._images(collection, limit, cursor, sort, filter_of(conditions)))

    async def image(self, id: int, *, collection: str | None = None) -> ImageOut:
        """As `Client.image`."""
        return await self._do(self._image(collection, id))

    async def thumbnail(self, picture: Like, *, size: ThumbnailSize = "small", collection: str | None = None) -> bytes:
        """As `Client.thumbnail`."""
        return await self._do(self._thumbnail(picture, size, collection))

    async def duplicates(self, *, collection: str | None = None) -> list[list[ImageOut]]:
        """As `Client.duplicates`."""
        return await self._do(self._duplicates(collection))

    async def remove(self, *pictures: Like, collection: str | None = None) -> RemovedOut:
        """As `Client.remove`."""
        return await self._do(self._remove(pictures, collection))

    async def restore(self, entry: str) -> Came:
        """As `Client.restore`."""
        return await self._do(calls.restore(entry))

    async def aclose(self) -> None:
        """End the connections. Idempotent."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()
