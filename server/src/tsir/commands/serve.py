"""Runs the API, and with it the GUI: two ports, one app, one process."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import Awaitable, Iterator
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

import tsir
from tsir.api.gui import Gui
from tsir.api.jobs import detail
from tsir.api.state import State
from tsir.app import create_app
from tsir.commands import remote
from tsir.commands.terminal import SHOWN_FAILURES, following, say, summary
from tsir.encoders.loaded import Encoders
from tsir.errors import Conflict, InvalidInput, NotFound, StoreUnavailable, TsirError
from tsir.jobs.model import Job
from tsir.services.collections import ensured
from tsir.services.imports import submit_folder
from tsir.services.opening import refuse_open
from tsir.services.views import JobOut
from tsir.settings import Settings, is_loopback

log = logging.getLogger(__name__)

DRAIN_S = 2
"""How long open requests get to finish when the server stops."""
LAST_S = 9.0
"""After which a server that was told to stop is gone, whatever still runs. Docker and systemd kill after ten; the next start mends what
any kill leaves.
"""
GALLERY = "sample-gallery"


def client_dist(given: Path | None) -> Path:
    """The folder of the built GUI. Raises NotFound with the way to get it."""
    package = Path(tsir.__file__).resolve().parent
    places = [given] if given else [package.parents[2] / "client" / "dist", package / "gui"]  # of a checkout, of a wheel
    for dist in places:
        if (dist / "index.html").is_file():
            return dist
    raise NotFound(
        f"The GUI is not built: {places[0]} has no index.html. Run `make client` once (and then `pip install ./server` again, where the "
        "program was installed by that), or start the API alone with `tsir serve`."
    )


def serve(settings: Settings, encoders: Encoders, *, dist: Path | None = None, images: Path | None = None, samples: bool = False) -> None:
    """Serve until Ctrl-C: the API, and with `dist` the GUI, too.

    `images` is imported into the default collection at once; with `samples`, an empty one gets the sample gallery.
    Raises a TsirError when it cannot start: open to others without being meant to, port taken, library in use, encoder not available.
    """
    token = secrets.token_urlsafe(32)
    app = create_app(settings, encoders=encoders, owner_token=token)
    with contextlib.ExitStack() as stack:
        api_socket = stack.enter_context(listen(settings.host, settings.port, "the API", "--port or PORT"))
        refuse_open(settings)
        servers = [_Server(app, api_socket)]
        url = _url(settings, api_socket)
        if dist is not None:
            gui_socket = stack.enter_context(listen(settings.host, settings.client_port, "the GUI", "--client-port or CLIENT_PORT"))
            servers.append(_Server(Gui(app, dist, settings.root_path), gui_socket, lifespan="off"))
            shown = _url(settings, gui_socket)
        else:
            shown = url
        site = _Site(settings, app, servers, shown, url, reach(settings, servers), token, images, samples)
        try:
            asyncio.run(site.run())
        finally:
            site.last_moment.cancel()


def reach(settings: Settings, servers: list[_Server]) -> list[str]:
    """What to say about who reaches the server; nothing when this machine alone does."""
    if is_loopback(settings.host):
        return []
    places = [f"{_bracketed(address)}:{port}" for address, port, *_ in (server.bound.getsockname() for server in servers)]
    every = " (every address of this machine)" if settings.host in ("0.0.0.0", "::") else ""
    said = [f"Listening on {' and '.join(places)}{every}."]
    if not settings.keys and not settings.local:
        said.append("WARNING: no key is asked for (ALLOW_OPEN). Everyone who reaches it can see, change and delete everything.")
    return said


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def listen(host: str, port: int, what: str, setting: str) -> socket.socket:
    """A bound socket. Raises Conflict or InvalidInput with a sentence when the address cannot be had."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        # Naming TCP is what makes asyncio set TCP_NODELAY on accepted connections: without it, each answer on a kept-alive one waits 40 ms.
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(address)
            bound.listen(socket.SOMAXCONN)
        except BaseException:
            bound.close()
            raise
        return bound
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Conflict(
                f"Port {port} is in use by another program (or another tsir); {what} needs one. Choose another with {setting}."
            ) from error
        if error.errno == errno.EACCES:
            raise InvalidInput(f"Port {port} needs more rights than this user has; choose one above 1023 with {setting}.") from error
        raise InvalidInput(f"This machine cannot listen on {host!r}: {error.strerror or error}. Set HOST to an address it has.") from error


def _url(settings: Settings, bound: socket.socket) -> str:
    return remote.base_url(settings.host, bound.getsockname()[1])


def _leave() -> None:
    log.warning("Not everything was closed in time; the next start mends what is left.")
    os._exit(0)


class _Server(uvicorn.Server):
    """A uvicorn server on a socket of ours; signals are handled for all servers of the process together."""

    def __init__(self, app: ASGIApp, bound: socket.socket, lifespan: str = "on") -> None:
        config = uvicorn.Config(
            app,
            lifespan="off" if lifespan == "off" else "on",
            log_config=None,
            access_log=False,
            server_header=False,
            # Whom a proxy speaks for decides nothing here; who it is does.
            proxy_headers=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=DRAIN_S,
        )
        super().__init__(config)
        self.bound = bound
        self.up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    def run_here(self) -> Awaitable[None]:
        return self.serve(sockets=[self.bound])

    def stop(self, force: bool) -> None:
        self.should_exit = True
        self.force_exit = self.force_exit or force


class _Site:
    """One run, from start to stop."""

    def __init__(
        self,
        settings: Settings,
        app: FastAPI,
        servers: list[_Server],
        shown: str,
        url: str,
        reach: list[str],
        token: str,
        images: Path | None,
        samples: bool,
    ) -> None:
        self.settings = settings
        self.app = app
        self.servers = servers
        self.shown = shown
        self.url = url
        self.reach = reach
        self.token = token
        self.images = images
        self.samples = samples
        self.stopping = False
        self.last_moment = threading.Timer(LAST_S, _leave)
        self.last_moment.daemon = True

    async def run(self) -> None:
        loop = asyncio.get_running_loop()

        def on_signal(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self.stop)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, on_signal)
        tasks = [asyncio.ensure_future(server.run_here()) for server in self.servers]
        welcome = asyncio.create_task(self._welcome())
        welcome.add_done_callback(self._stop_on_failure)
        try:
            await tasks[-1]  # the GUI's ends before the app that it uses
            self.stop()
            await asyncio.gather(*tasks)
        finally:
            welcome.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await welcome

    def stop(self) -> None:
        """Let open requests finish; a second time: do not."""
        state: State | None = getattr(self.app.state, "tsir", None)
        if state is not None:
            state.stop()
        for server in self.servers:
            server.stop(force=self.stopping)
        if not self.stopping and self.servers[0].started:
            log.debug("Stopping.")
        if not self.stopping:
            self.last_moment.start()
        self.stopping = True

    def _stop_on_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.stop()

    async def _welcome(self) -> None:
        """Wait until everything is open, say so, and start the first import."""
        await self.servers[0].up.wait()
        state: State = self.app.state.tsir
        await state.ended.wait()
        if state.failure is not None:
            raise state.failure
        with remote.announced(self.settings, self.url, self.token):
            await self._greet(state)
            try:
                await self._first_import(state)
            except TsirError as error:
                self._say(str(error))
            await state.stopping.wait()

    async def _greet(self, state: State) -> None:
        collections = await state.run(state.library.collections)
        count = sum(collection.count for collection in collections)
        self._say(f"\n  tsir is ready: {self.shown}")
        if self.shown != self.url:
            self._say(f"  The API alone: {self.url}")
        for line in self.reach:
            self._say(f"  {line}", logging.WARNING if line.startswith("WARNING") else logging.INFO)
        self._say(f"  Encoder {state.encoder.name}, {count:,} pictures. Ctrl-C stops.\n")

    def _say(self, text: str, level: int = logging.INFO) -> None:
        """To people, or where programs read what the server says, to the log."""
        if self.settings.log_format == "json":
            log.log(level, "%s", text.strip())
        else:
            say(text)

    async def _first_import(self, state: State) -> None:
        name = self.settings.default_table
        gallery = self.settings.data_dir.expanduser().resolve() / GALLERY
        if self.images is not None:
            await state.run(leave_samples, state, name, gallery)
            await self._import(state, name, self.images)
        elif self.samples and await state.run(empty, state):
            from tsir.importing.samples import write_gallery

            self._say("  The library is empty: loading the sample pictures (emoji of OpenMoji, CC BY-SA 4.0).")
            await state.run(write_gallery, gallery)
            await self._import(state, name, gallery)

    async def _import(self, state: State, name: str, folder: Path) -> None:
        await state.run(ensured, state.library, state.encoders, name)
        job = await state.run(submit_folder, state.runner, name, folder)
        with following(f"  Importing {folder.name}", silent=self.settings.log_format == "json") as tell:
            while not job.over:
                tell(JobOut.of(job))
                await asyncio.sleep(0.2)
                job = await self._look(state, job)
        ended = await state.run(detail, state.library, state.jobs, job)
        self._say(f"  {folder.name}: {summary(ended)}.")
        for failure in ended.failures[:SHOWN_FAILURES]:
            self._say(f"    skipping {failure.path}: {failure.reason}")

    async def _look(self, state: State, job: Job) -> Job:
        if state.stopping.is_set():
            raise StoreUnavailable("  Stopping; the import goes on at the next start.")
        try:
            return await state.run(state.jobs.get, job.id)
        except StoreUnavailable:
            return job


def empty(state: State) -> bool:
    """Whether the library has no picture at all. Blocking."""
    return all(collection.empty() for collection in state.library.handles())


def leave_samples(state: State, name: str, gallery: Path) -> None:
    """The sample pictures make room for a person's own. Blocking."""
    from tsir.importing.samples import gallery as samples

    if not gallery.is_dir() or name not in [collection.name for collection in state.library.handles()]:
        return
    for sample in samples():
        (gallery / f"{sample}.png").unlink(missing_ok=True)
    collection = state.library.collection(name)
    collection.sweep(gallery)
    if gone := collection.forget_missing(gallery).images:
        say(f"  {gone:,} sample pictures made room for yours.")
