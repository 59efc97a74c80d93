"""What a running app holds. The whole is opened in the background, so that the port answers at once."""

from __future__ import annotations

import asyncio
import functools
import logging
import threading
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import anyio
import anyio.to_thread

from tsir.api.metrics import Metrics
from tsir.encoders.base import Encoder
from tsir.encoders.loaded import Encoders
from tsir.errors import StoreUnavailable, TsirError
from tsir.jobs.runner import JobRunner
from tsir.jobs.store import Jobs
from tsir.library.library import Library
from tsir.services.opening import Service
from tsir.settings import Settings

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 16
"""Blocking calls at once: most wait for a store or the encoder's batch; more would only queue there."""
RETRY_S = 5.0
"""Longest pause between attempts to open stores that do not answer yet."""
STOP_S = 6.0
"""How long running imports get to finish their batch; what is cut off is done again at the next start. With the time that open requests
get, and that for closing the stores, less than the ten seconds after which Docker and systemd kill."""


class Offload:
    """The one way by which a blocking call leaves the event loop."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(THREADS)

    async def __call__(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call in a thread; at most `THREADS` run at once, the others wait for their turn."""
        return await anyio.to_thread.run_sync(functools.partial(call, *args, **kwargs), limiter=self._limiter)


class State:
    """Everything that requests use. Stores, jobs and encoder raise StoreUnavailable until they are open."""

    def __init__(self, service: Service, metrics: Metrics, owner_token: str | None) -> None:
        self.settings: Settings = service.settings
        self.metrics = metrics
        self.owner_token = owner_token
        self.run = Offload()
        self.stopping = asyncio.Event()
        self.ready = asyncio.Event()
        self.failure: TsirError | None = None
        """Why it cannot start, once that is certain; trying again would not help."""
        self.ended = asyncio.Event()
        """Set when opening succeeded or failed for good."""
        self._service = service
        self._waiting_for = f"The server is starting: its stores are being opened, and the encoder {self.settings.model!r} is being loaded."
        self._closed = threading.Event()
        self._stop_by = 0.0

    @property
    def service(self) -> Service:
        """The opened whole."""
        if self.failure is not None:
            raise StoreUnavailable(f"The server could not start: {self.failure}", retry_after=60)
        if not self.ready.is_set():
            raise StoreUnavailable(self._waiting_for, retry_after=2)
        return self._service

    @property
    def library(self) -> Library:
        return self.service.library

    @property
    def jobs(self) -> Jobs:
        return self.service.jobs

    @property
    def runner(self) -> JobRunner:
        return self.service.runner

    @property
    def encoders(self) -> Encoders:
        return self.service.encoders

    @property
    def encoder(self) -> Encoder:
        """The one that MODEL names."""
        return self.service.encoders.main

    async def open(self) -> None:
        """Open everything; stores that do not answer are tried again until they do. Raises nothing: see `failure`."""
        try:
            await self._open()
            self.ready.set()
            self.ended.set()
            await anyio.to_thread.run_sync(self._service.mend_all, abandon_on_cancel=True)
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
                anyio.to_thread.run_sync(functools.partial(self._service.open_stores, ahead=True)),
                anyio.to_thread.run_sync(self._service.load_encoder, abandon_on_cancel=True),
                return_exceptions=True,
            )
            for result in results:
                if isinstance(result, BaseException):
                    raise result
            await anyio.to_thread.run_sync(self._start)
        except StoreUnavailable as error:
            self._waiting_for = f"The server is starting: {error}"
            return False
        return True

    def _start(self) -> None:
        self._service.make_default_collection()
        if not self._closed.is_set():
            self._service.runner.start()

    def stop(self) -> None:
        """Begin to stop: imports finish their batch while open requests are answered. Returns at once; idempotent."""
        if not self.stopping.is_set():
            self.stopping.set()
            self._closed.set()
            self._stop_by = time.monotonic() + STOP_S
            threading.Thread(target=self._service.stop_jobs, args=(STOP_S,), name="stop-jobs", daemon=True).start()

    async def close(self) -> None:
        """Stop imports, then release encoders and stores."""
        self.stop()
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._service.close, max(0.0, self._stop_by - time.monotonic()))
