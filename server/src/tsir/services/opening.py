"""What a running app holds: stores, encoders, import runner; opened in the background so that the port answers at once."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread
from PIL import Image

from tsir.api.metrics import Metrics
from tsir.encoders.base import Encoder
from tsir.encoders.loaded import Encoders
from tsir.errors import EncoderMismatch, StoreUnavailable, TsirError
from tsir.jobs.runner import JobRunner
from tsir.library.library import Library
from tsir.settings import Settings

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 16
"""Blocking calls at once: most wait for a store or the encoder's batch; more would only queue there."""
RETRY_S = 5.0
"""Longest pause between attempts to open stores that do not answer yet."""
STOP_S = 10.0
"""How long running imports get to finish their batch; what is cut off is done again at the next start."""


class Offload:
    """The one way by which a blocking call leaves the event loop."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(THREADS)

    async def __call__(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call in a thread; at most `THREADS` run at once, the others wait for their turn."""
        return await anyio.to_thread.run_sync(functools.partial(call, *args, **kwargs), limiter=self._limiter)


class State:
    """Everything that requests use."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        encoder: Encoder | None,
        library: Library | None,
        runner: JobRunner | None,
        owner_token: str | None,
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self.owner_token = owner_token
        self.encoders = Encoders(settings, encoder)
        self.run = Offload()
        self.stopping = asyncio.Event()
        self.ready = asyncio.Event()
        self.failure: TsirError | None = None
        """Why it cannot start, once that is certain; trying again would not help."""
        self.ended = asyncio.Event()
        """Set when opening succeeded or failed for good."""
        self._library = library
        self._own_library = library is None
        self._runner = runner
        self._waiting_for = f"The server is starting: its stores are being opened, and the encoder {settings.model!r} is being loaded."
        self._closed = threading.Event()

    @property
    def library(self) -> Library:
        self._check_ready()
        assert self._library is not None
        return self._library

    @property
    def runner(self) -> JobRunner:
        self._check_ready()
        assert self._runner is not None
        return self._runner

    @property
    def encoder(self) -> Encoder:
        self._check_ready()
        return self.encoders.main

    def _check_ready(self) -> None:
        if self.failure is not None:
            raise StoreUnavailable(f"The server could not start: {self.failure}", retry_after=60)
        if not self.ready.is_set():
            raise StoreUnavailable(self._waiting_for, retry_after=2)

    async def open(self) -> None:
        """Open everything; stores that do not answer are tried again until they do. Raises nothing: see `failure`."""
        try:
            await self._open()
            self.ready.set()
            self.ended.set()
            await anyio.to_thread.run_sync(self._warm, abandon_on_cancel=True)
        except TsirError as error:
            self.failure = error
            log.error("%s", error)
        except Exception as error:
            self.failure = TsirError(f"The server met an unexpected error when it started: {type(error).__name__}: {error}")
            log.exception("Starting failed.")
        finally:
            self.ended.set()

    async def _open(self) -> None:
        pause = 0.5
        while not await self._opened():
            log.warning("%s Trying again in %.1f s.", self._waiting_for, pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, RETRY_S)

    async def _opened(self) -> bool:
        """One attempt; False when a store did not answer."""
        try:
            # Together: reading weights and opening stores hardly need the same thing.
            results = await asyncio.gather(
                anyio.to_thread.run_sync(self._open_stores),
                anyio.to_thread.run_sync(self._load_encoder, abandon_on_cancel=True),
                return_exceptions=True,
            )
            for error in filter(None, results):
                raise error
            await anyio.to_thread.run_sync(self._open_rest)
        except StoreUnavailable as error:
            self._waiting_for = f"The server is starting: {error}"
            return False
        return True

    def _open_stores(self) -> None:
        if self._library is None:
            self._library = Library.open(self.settings)

    def _load_encoder(self) -> None:
        self.encoders.main  # noqa: B018

    def _warm(self) -> None:
        """The first query of each kind costs more than later ones; it need not be a person's."""
        try:
            encoder = self.encoders.main
            encoder.texts(["a photo"])
            encoder.sketches([Image.new("RGB", (64, 64), "white")])
        except Exception as error:  # closed meanwhile, perhaps; what is really wrong, the next query says
            log.info("Warming up failed: %s", error)

    def _open_rest(self) -> None:
        assert self._library is not None
        encoder = self.encoders.main
        try:
            self._library.create_collection(self.settings.default_table, encoder.info)
        except EncoderMismatch as error:
            log.warning("%s", error)
        if self._runner is None:
            self._runner = JobRunner(self._library, self.encoders.named, self.settings)
        if not self._closed.is_set():
            self._runner.start()

    def ensure_collection(self, name: str | None) -> str:
        """The name of a collection, created with the running encoder when there is none of that name. Blocking."""
        name = name or self.settings.default_table
        if all(collection.name != name for collection in self.library.collections()):
            self.library.create_collection(name, self.encoder.info)
        return name

    async def close(self) -> None:
        """Stop imports, then release encoders and stores."""
        self.stopping.set()
        self._closed.set()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._close)

    def _close(self) -> None:
        with contextlib.suppress(TsirError):
            if self._runner is not None:
                self._runner.stop(STOP_S)
        self.encoders.close()
        if self._library is not None and self._own_library:
            self._library.close()
