"""Gathers concurrent calls into batches, and keeps queries fast while an import runs."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
from PIL.Image import Image

from tsir.encoders.base import Encoder, Vectors
from tsir.errors import EncoderUnavailable

SMALL = 4
"""A call of up to this many items is a query and is gathered; a longer one is an import's batch."""
SLICE_S = 0.25
"""Aim for the time of one slice of an import's batch: a query waits at most about this long for the processor."""
PATIENCE_S = 2.0
"""Longest wait of a slice for queries to finish, so that an endless stream of queries cannot stop an import."""

REMEMBERED = 1024
"""Texts whose vectors are kept: who draws to a text asks again with every stroke."""

_Call = tuple[Sequence[Any], "Future[Vectors]"]
"""The items of one caller, and where its rows go."""


class Batched(Encoder):
    """An Encoder around an encoder, for use from many threads at once.

    Small calls (queries) that arrive while one is encoded become one call per modality; each caller gets its own rows back, in its own
    order. When a gathered call fails, its members are tried one by one, so a bad item fails only the caller that brought it. The vectors of
    the last texts are kept. Large batches (imports) run in the caller's thread, in slices of a length that takes about `SLICE_S`; between
    slices they let waiting queries go first.
    """

    def __init__(self, encoder: Encoder, *, max_batch: int = 32) -> None:
        self.encoder = encoder
        self.info = encoder.info
        self.photo_size = encoder.photo_size
        self.scaled_decode = encoder.scaled_decode
        self.photo_geometry = encoder.photo_geometry
        self.device = encoder.device
        self.default_weights = encoder.default_weights
        self.plain_share = encoder.plain_share
        self.neutral = encoder.neutral
        self.calibration = encoder.calibration
        self._gate = _Gate()
        self._images = _Lane("images", encoder.images, self._gate, max_batch)
        self._sketches = _Lane("sketches", encoder.sketches, self._gate, max_batch)
        self._texts = _Lane("texts", encoder.texts, self._gate, max_batch)
        self._remembered: OrderedDict[str, Vectors] = OrderedDict()
        self._remembering = threading.Lock()

    def prepare_photo(self, image: Image) -> Image:
        return self.encoder.prepare_photo(image)

    def prepare_sketch(self, image: Image) -> Image:
        return self.encoder.prepare_sketch(image)

    def images(self, batch: Sequence[Image]) -> Vectors:
        return self._run(self._images, batch)

    def sketches(self, batch: Sequence[Image]) -> Vectors:
        return self._run(self._sketches, batch)

    def texts(self, batch: Sequence[str]) -> Vectors:
        if not batch:
            return self._run(self._texts, batch)
        self._texts.check_open()
        with self._remembering:
            known = {text: self._remembered[text] for text in batch if text in self._remembered}
            for text in known:
                self._remembered.move_to_end(text)
        fresh = list(dict.fromkeys(text for text in batch if text not in known))
        known |= zip(fresh, self._run(self._texts, fresh), strict=True)
        with self._remembering:
            self._remembered |= {text: known[text] for text in fresh}
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        return np.stack([known[text] for text in batch])

    def beside(self, sketches: Vectors, texts: Sequence[str], words: float = 1.0) -> Vectors:
        return self.encoder.beside(sketches, texts, words)

    def knows(self, text: str) -> bool:
        return self.encoder.knows(text)

    @property
    def queries(self) -> int:
        """How many calls wait or run that are not an import's."""
        return self._gate.queries

    def _run(self, lane: _Lane, batch: Sequence[Any]) -> Vectors:
        if not batch:
            return np.zeros((0, self.dim), dtype=np.float32)
        return lane.gathered(batch) if len(batch) <= SMALL else lane.sliced(batch)

    def close(self) -> None:
        """Answer what is waiting, stop the threads, then close the encoder. Later calls raise EncoderUnavailable."""
        for lane in (self._images, self._sketches, self._texts):
            lane.close()
        self.encoder.close()


class _Gate:
    """Counts queries that wait or run; imports wait here until there are none."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self.queries = 0

    def enter(self) -> None:
        with self._free:
            self.queries += 1

    def leave(self) -> None:
        with self._free:
            self.queries -= 1
            if self.queries == 0:
                self._free.notify_all()

    def wait(self) -> None:
        with self._free:
            self._free.wait_for(lambda: self.queries == 0, timeout=PATIENCE_S)


class _Lane:
    """The calls of one modality: a queue, a condition and one thread, which starts with the first call."""

    def __init__(self, name: str, encode: Callable[[Sequence[Any]], Vectors], gate: _Gate, max_batch: int) -> None:
        self._name = name
        self._encode = encode
        self._gate = gate
        self._max_batch = max_batch
        self._waiting: list[_Call] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._slice = SMALL
        """Items per slice of a large batch; a power of two, so that a graph sees few different shapes."""

    def gathered(self, batch: Sequence[Any]) -> Vectors:
        answer: Future[Vectors] = Future()
        self._gate.enter()
        try:
            with self._changed:
                self.check_open()
                self._waiting.append((batch, answer))
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name=f"encode-{self._name}", daemon=True)
                    self._thread.start()
                self._changed.notify_all()
            return answer.result()
        finally:
            self._gate.leave()

    def sliced(self, batch: Sequence[Any]) -> Vectors:
        rows: list[Vectors] = []
        start = 0
        while start < len(batch):
            self.check_open()
            self._gate.wait()
            part = batch[start : start + self._slice]
            before = time.perf_counter()
            rows.append(self._encode(part))
            self._adapt(len(part), time.perf_counter() - before)
            start += len(part)
        return np.concatenate(rows)

    def _adapt(self, items: int, seconds: float) -> None:
        """Double or halve the slice; one step at a time, because a first call also pays for warming up."""
        if items == self._slice and seconds < SLICE_S / 2:
            self._slice *= 2
        elif seconds > SLICE_S * 2 and self._slice > SMALL:
            self._slice //= 2

    def check_open(self) -> None:
        if self._closed:
            raise EncoderUnavailable("The server is shutting down.")

    def _work(self) -> None:
        while calls := self._take():
            if len(calls) == 1 or not self._together(calls):
                for call in calls:
                    self._alone(*call)

    def _together(self, calls: list[_Call]) -> bool:
        """One encoder call for all; False when it failed, because one of them is bad and the others must not suffer."""
        try:
            rows = self._encode([item for batch, _ in calls for item in batch])
        except Exception:
            return False
        start = 0
        for batch, answer in calls:
            answer.set_result(rows[start : start + len(batch)].copy())
            start += len(batch)
        return True

    def _alone(self, batch: Sequence[Any], answer: Future[Vectors]) -> None:
        try:
            answer.set_result(self._encode(batch))
        except BaseException as error:
            answer.set_exception(error)

    def _take(self) -> list[_Call]:
        """The next calls to run together: up to `max_batch` items. Empty when closed and nothing waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            calls: list[_Call] = []
            items = 0
            while self._waiting and (not calls or items + len(self._waiting[0][0]) <= self._max_batch):
                items += len(self._waiting[0][0])
                calls.append(self._waiting.pop(0))
            return calls

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
