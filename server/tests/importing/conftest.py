"""A library of its own for every test, and what imports need."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.fakes import FakeEncoder
from tsir.encoders.base import Vectors
from tsir.jobs.runner import JobRunner
from tsir.library.library import Library
from tsir.records import Job
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
        opened.create_collection(NAME, encoder.info)
        yield opened


@pytest.fixture
def make_runner(settings: Settings, library: Library, encoder: WatchedEncoder) -> Iterator[Callable[..., JobRunner]]:
    made: list[JobRunner] = []

    def make(**options: object) -> JobRunner:
        made.append(JobRunner(library, lambda name: encoder, settings, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    encoder.open_gate()
    for runner in made:
        runner.stop(30)


@pytest.fixture
def runner(make_runner: Callable[..., JobRunner]) -> JobRunner:
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
    job = runner.wait(runner.submit_folder(NAME, folder).id, timeout=60)
    assert job.over
    return job


def paths_of(library: Library) -> set[str]:
    """The paths of all ready pictures."""
    found: set[str] = set()
    cursor = None
    while True:
        images, cursor = library.images(NAME, cursor, 100)
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
