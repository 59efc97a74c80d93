"""Files -> rows and vectors: scan, decode, note, encode and write overlap, queues between them are bounded.

Each picture is read and decoded once: hash, size, EXIF, thumbnails and the encoder's pixels come from the same decode.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from PIL.Image import Image

from tsir.encoders.base import Encoder, Vectors
from tsir.errors import InvalidImage, TooLarge
from tsir.importing.reading import least_sides, open_within, photo_for
from tsir.importing.scan import Batch, Item
from tsir.jobs.line import Line
from tsir.library.library import Library
from tsir.media.decode import Unreadable
from tsir.records import Collection, JobFailure, NewImage
from tsir.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

AHEAD_BATCHES = 2
"""Encoder batches that may wait before and after the encoder: enough to never let it starve, few enough to bound memory."""

RATE_MEMORY_S = 8.0
"""Time constant of the smoothed rate: about ten seconds of the past count."""


class Workshop:
    """The threads that all imports of a process share: decoders, and one for the encoder, which has threads of its own.

    Work is served in the order it comes in, and an import hands in one encoder batch at a time: so several imports take turns.
    """

    def __init__(self, settings: Settings) -> None:
        self.decoders = ThreadPoolExecutor(settings.num_workers, thread_name_prefix="decode")
        self.encoder = ThreadPoolExecutor(1, thread_name_prefix="encode")

    def close(self) -> None:
        """Refuse new work; what runs is not waited for."""
        for pool in (self.decoders, self.encoder):
            pool.shutdown(wait=False, cancel_futures=True)


class Progress:
    """Counts of one import, kept by its stages and read by whoever reports them."""

    def __init__(self, resumed: int = 0) -> None:
        self.total: int | None = None
        self.done = 0
        self.skipped = 0
        self.failed = 0
        self.resumed = resumed
        """Pictures that an earlier, interrupted run of the same job imported: they count as done, not as skipped."""
        self._new_failures: list[JobFailure] = []
        self._lock = threading.Lock()
        self._clock = time.monotonic()
        self._age = self._rate = 0.0
        self._counted = 0

    def add(self, done: int = 0, skipped: int = 0, failures: Sequence[JobFailure] = ()) -> None:
        with self._lock:
            resumed = min(skipped, self.resumed)
            self.resumed -= resumed
            self.done += done + resumed
            self.skipped += skipped - resumed
            self.failed += len(failures)
            self._new_failures.extend(failures)

    def counts(self) -> tuple[int | None, int, int, int]:
        """Total, done, skipped and failed at one moment. The total, if it is known, is never below their sum: a folder may grow while it
        is read, and a picture that is renamed while it is encoded is encoded again."""
        with self._lock:
            seen = self.done + self.skipped + self.failed
            return None if self.total is None else max(self.total, seen), self.done, self.skipped, self.failed

    def take_failures(self) -> list[JobFailure]:
        """Failures since the last call."""
        with self._lock:
            taken, self._new_failures = self._new_failures, []
        return taken

    def give_back(self, failures: list[JobFailure]) -> None:
        """They could not be stored: keep them for the next call."""
        with self._lock:
            self._new_failures = failures + self._new_failures

    def rate(self) -> float:
        """Pictures per second, smoothed; skipped files do not count."""
        with self._lock:
            now, worked = time.monotonic(), self.done + self.failed
            step = max(now - self._clock, 1e-6)
            keep = math.exp(-step / RATE_MEMORY_S)
            self._age += step
            self._rate = self._rate * keep + (1 - keep) * (worked - self._counted) / step
            self._clock, self._counted = now, worked
            return self._rate / (1 - math.exp(-self._age / RATE_MEMORY_S))  # the average began at zero


@dataclass(frozen=True, slots=True)
class _Decoded:
    new: NewImage
    pixels: Image


class Import:
    """One import of files into one collection."""

    def __init__(
        self,
        library: Library,
        encoder: Encoder,
        settings: Settings,
        workshop: Workshop,
        collection: Collection,
        progress: Progress,
        line: Line,
    ) -> None:
        self._library = library
        self._encoder = encoder
        self._settings = settings
        self._workshop = workshop
        self._collection, self._id = collection.name, collection.id
        self._progress = progress
        self._line = line
        self._least = least_sides(encoder)
        self._in_flight: set[int] = set()
        """Images between their row and their vector: the same content again needs no second encoding."""
        self.refused: list[str] = []
        """Uploaded files that are no pictures; to be deleted when their failures are safely noted."""

    def run(self, batches: Iterable[Batch]) -> None:
        """Import until the source ends. Raises Stopped, what the encoder raises, and errors of the library other than StoreUnavailable."""
        info = self._encoder.info
        fresh = self._line.ahead(self._fresh(batches), 2 * self._settings.batch_size, "import-scan")
        begun = self._line.ahead(self._begun(fresh), AHEAD_BATCHES * self._settings.batch_size, "import-note")
        for ids, vectors in self._line.ahead(self._encoded(begun), AHEAD_BATCHES, "import-encode"):
            # While it was encoded, the collection may have moved to another encoder: its vectors must not meet these.
            self._line.patiently(self._library.finish, self._collection, ids, vectors, info)
            self._in_flight.difference_update(ids)
            self._progress.add(done=len(ids))

    def _fresh(self, batches: Iterable[Batch]) -> Iterator[Item]:
        """Leave out what is in the library unchanged."""
        for batch in batches:
            items = [entry for entry in batch if isinstance(entry, Item)]
            known = self._line.patiently(self._library.unchanged, self._collection, [item.file for item in items])
            fresh = [item for item in items if item.file.path not in known]
            self._progress.add(skipped=len(items) - len(fresh), failures=[entry for entry in batch if isinstance(entry, JobFailure)])
            yield from fresh

    def _decoded(self, items: Iterable[Item]) -> Iterator[_Decoded]:
        """Decode on all workers, in order."""
        window = self._settings.num_workers + self._settings.batch_size
        running: deque[Future[_Decoded | JobFailure]] = deque()
        try:
            for item in items:
                running.append(self._workshop.decoders.submit(self._decode, item))
                if len(running) >= window:
                    yield from self._sorted_out(running.popleft())
            while running:
                yield from self._sorted_out(running.popleft())
        finally:
            for future in running:
                future.cancel()

    def _sorted_out(self, future: Future[_Decoded | JobFailure]) -> Iterator[_Decoded]:
        result = future.result()
        if isinstance(result, JobFailure):
            self._progress.add(failures=[result])
        else:
            yield result

    def _decode(self, item: Item) -> _Decoded | JobFailure:
        path = Path(item.file.path)
        try:
            picture = open_within(path, self._settings, self._least)
            try:
                self._library.files.thumbnails.write(picture.content_hash, picture.image)
            except OSError as error:  # a full disk: they are made again when they are asked for
                log.warning("No thumbnails of %s: %s", item.name, error)
            return _Decoded(NewImage(item.file, picture.content_hash, picture.metadata), photo_for(self._encoder, picture))
        except (InvalidImage, TooLarge) as error:
            if self._library.files.uploads.holds(item.file.path) and not isinstance(error, Unreadable):
                self.refused.append(item.file.path)
            return JobFailure(item.name, str(error))

    def _begun(self, items: Iterable[Item]) -> Iterator[tuple[int, Image]]:
        """Note the pictures in the catalog; what needs a vector goes on."""
        for chunk in chunks(self._decoded(items), self._settings.batch_size):
            # Taken before the catalog is asked: what it calls new may have got its vector, and left the set, by the time of the answer.
            before = set(self._in_flight)
            begun = self._line.patiently(self._library.begin, self._collection, [entry.new for entry in chunk], self._id)
            fresh: dict[int, Image] = {}
            for entry, row in zip(chunk, begun, strict=True):
                if row.status == "known" or row.id in before or row.id in fresh:
                    self._progress.add(done=1)
                else:
                    fresh[row.id] = entry.pixels
            self._in_flight.update(fresh)
            yield from fresh.items()

    def _encoded(self, begun: Iterable[tuple[int, Image]]) -> Iterator[tuple[list[int], Vectors]]:
        for chunk in chunks(begun, self._settings.batch_size):
            pixels = [image for _, image in chunk]
            yield [id for id, _ in chunk], self._workshop.encoder.submit(self._encoder.images, pixels).result()


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items; the last may be shorter."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
