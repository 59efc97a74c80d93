"""What all imports of a process share: the library, the encoders, and threads that decode and encode."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

from PIL.Image import Image

from tsir.encoders.base import Encoder, Vectors
from tsir.importing.addresses import IPAddress, is_public
from tsir.importing.reading import vectors_of
from tsir.jobs.line import in_order
from tsir.library.collection import Collection
from tsir.library.library import Library
from tsir.settings import Settings

A = TypeVar("A")
B = TypeVar("B")


class Workshop:
    """A library and the threads that work for it: decoders, and one for the encoder, which has threads of its own.

    Work is served in the order it comes in, and an import hands in one encoder batch at a time: so several imports take turns.
    """

    def __init__(self, library: Library, settings: Settings) -> None:
        self.library = library
        self.settings = settings
        self._decoders = ThreadPoolExecutor(settings.num_workers, thread_name_prefix="decode")
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="encode")

    def decoded(self, items: Iterable[A], decode: Callable[[A], B]) -> Iterator[B]:
        """Decode on all workers, in order, so far ahead that the next batch is ready when the encoder has done with one."""
        return in_order(self._decoders, decode, items, self.settings.num_workers + self.settings.batch_size)

    def encoded(self, encoder: Encoder, batch: Sequence[Image]) -> Vectors:
        """Photos -> float32 [n, dim] unit rows, when it is this batch's turn."""
        return self._encoder.submit(vectors_of, encoder, batch).result()

    def close(self) -> None:
        """Refuse new work; what runs is not waited for."""
        for pool in (self._decoders, self._encoder):
            pool.shutdown(wait=False, cancel_futures=True)


class Encoders(Protocol):
    """Where encoders come from."""

    def named(self, name: str) -> Encoder:
        """The encoder of a name, as `Encoder.name` and MODEL call it. May raise EncoderUnavailable."""
        ...


@dataclass(frozen=True)
class Tools:
    """What jobs on pictures work with."""

    workshop: Workshop
    encoders: Encoders
    allowed: Callable[[IPAddress], bool] = is_public
    """Which addresses pictures may be fetched from: others than the public ones are for tests."""

    @property
    def library(self) -> Library:
        return self.workshop.library

    @property
    def settings(self) -> Settings:
        return self.workshop.settings

    def encoder_of(self, collection: Collection) -> Encoder:
        """The encoder to import with: the configured one, or while the collection moves to that, the one that it moves from.

        Raises EncoderMismatch when the collection is of another.
        """
        encoder = self.encoders.named(self.settings.model)
        if collection.state == "reencoding" and encoder.fingerprint != collection.encoder.fingerprint:
            encoder = self.encoders.named(collection.encoder.name)
        collection.expect(encoder.info)
        return encoder

    def close(self) -> None:
        """Let the threads end."""
        self.workshop.close()
