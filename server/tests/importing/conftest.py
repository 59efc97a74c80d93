"""A library of its own for every test, and what imports need."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from PIL import Image

from tests.fakes import FakeEncoder
from tsir.encoders.base import Encoder, Vectors
from tsir.jobs.model import Job
from tsir.jobs.runner import JobRunner
from tsir.jobs.store import Jobs
from tsir.library.check import check
from tsir.library.collection import Collection
from tsir.library.library import Library
from tsir.services.imports import submit_folder
from tsir.services.jobs import make_runner as runner_of
from tsir.settings import Settings

NAME = "album"


class WatchedEncoder(FakeEncoder):
    """Counts the pictures it encoded, remembers the batches, and waits at a gate before each."""

    def __init__(self, name: str = "fake", dim: int = 8) -> None:
        super().__init__(name, dim)
        self.batches: list[int] = []
        self.gate = threading.Semaphore(10_000)

    @property
    def encoded(self) -> int:
        return sum(self.batches)

    def close_gate(self) -> None:
        self.gate = threading.Semaphore(0)

    def open_gate(self, batches: int = 10_000) -> None:
        self.gate.release(batches)

    def images(self, batch: Sequence[Image.Image]) -> Vectors:
        assert self.gate.acquire(timeout=60)
        self.batches.append(len(batch))
        return super().images(batch)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"batch_size": 4, "num_workers": 2, "model": "fake"})


@pytest.fixture
def encoder() -> WatchedEncoder:
    return WatchedEncoder()


@pytest.fixture
def library(settings: Settings, encoder: WatchedEncoder) -> Iterator[Library]:
    with Library.open(settings) as opened:
        opened.create(NAME, encoder.info)
        yield opened


@pytest.fixture
def collection(library: Library) -> Collection:
    return library.collection(NAME)


@pytest.fixture
def jobs(library: Library) -> Jobs:
    return Jobs(library.stores.catalog.database)


class Only:
    """One encoder, whatever name is asked for."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def named(self, name: str) -> Encoder:
        return self.encoder


class MakeRunner(Protocol):
    def __call__(self, library: Library | None = None, *, encoder: Encoder | None = None, **options: Any) -> JobRunner: ...


@pytest.fixture
def make_runner(request: pytest.FixtureRequest, settings: Settings, encoder: WatchedEncoder) -> Iterator[MakeRunner]:
    """Runners of the test's library, or another, with the watched encoder, or another: all are stopped at the end."""
    made: list[JobRunner] = []
    encoders: list[Encoder] = [encoder]
    default = request.getfixturevalue

    def make(library: Library | None = None, *, encoder: Encoder | None = None, **options: Any) -> JobRunner:
        encoders.append(encoder or encoders[0])
        made.append(runner_of(library or default("library"), Only(encoders[-1]), settings, **options))
        return made[-1]

    yield make
    for waiting in encoders:
        if isinstance(waiting, WatchedEncoder):
            waiting.open_gate()
    for runner in made:
        runner.stop(30)


@pytest.fixture
def runner(library: Library, make_runner: MakeRunner) -> JobRunner:
    runner = make_runner()
    runner.start()
    return runner


@pytest.fixture
def album(settings: Settings) -> Path:
    """An empty folder that may be imported."""
    return settings.roots[0]


def noise(seed: int, size: int = 32) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (size, size, 3), dtype=np.uint8))


def fill(folder: Path, count: int, start: int = 0) -> list[Path]:
    """Different small pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:04}.png" for number in range(start, start + count)]
    for number, path in enumerate(paths, start):
        noise(number).save(path)
    return paths


def load(runner: JobRunner, folder: Path) -> Job:
    """Import a folder and wait for the end."""
    job = runner.wait(submit_folder(runner, NAME, folder).id, timeout=60)
    assert job.over
    return job


def assert_whole(library: Library, expected: int) -> None:
    """One ready row, one vector and both thumbnails per picture, and nothing else."""
    collection = library.collection(NAME)
    images, cursor = collection.images(None, 1000)
    assert cursor is None
    assert collection.count() == len(images) == len({image.content_hash for image in images}) == expected
    assert len(collection.vectors([image.id for image in images])) == expected
    for image in images:
        assert library.files.thumbnails.find(image.content_hash, "small")
        assert library.files.thumbnails.find(image.content_hash, "large")
    assert check(library).clean


def paths_of(library: Library) -> set[str]:
    """The paths of all ready pictures."""
    found: set[str] = set()
    cursor = None
    while True:
        images, cursor = library.collection(NAME).images(cursor, 100)
        found.update(path for image in images for path in image.paths)
        if cursor is None:
            return found


class _Pictures(BaseHTTPRequestHandler):
    """/N is picture N, /text is no picture, the rest is not there."""

    def do_GET(self) -> None:
        name = self.path[1:]
        if name != "text" and len(name) > 2:
            self.send_error(404)
            return
        file = io.BytesIO(b"hello")
        if name.isdigit():
            noise(int(name)).save(file, "PNG")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(file.getvalue())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def picture_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Pictures)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()
