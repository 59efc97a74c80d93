"""A part of a listing -> pictures, vectors and thumbnails. Runs anywhere; needs the files and an encoder, no library."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
from PIL.Image import Image

from tsir.encoders.base import Encoder, Vectors
from tsir.errors import InvalidImage, TooLarge
from tsir.importing.parts.listing import Part
from tsir.importing.parts.shelf import Made, Shelf
from tsir.importing.reading import open_photo, photo_to_keep, vectors_of
from tsir.jobs.line import Line, in_order
from tsir.jobs.model import JobFailure
from tsir.media.thumbnails import SIZES, ThumbnailSize
from tsir.paging import chunks
from tsir.records import FileStat, NewImage
from tsir.settings import Settings

Thumbs = dict[ThumbnailSize, bytes]
Decoded = tuple[NewImage, Image, Thumbs, bool]
"""A picture, its pixels for the encoder, its thumbnails, and whether its file is cut off."""


class Maker:
    """One worker. The encoder is loaded with the first part."""

    def __init__(self, settings: Settings, shelf: str, threads: int = 1, first_core: int | None = None) -> None:
        """`threads`: decoders at one time. `first_core`: work on that many cores from this one on, as the first of several workers of a
        machine would on the first; None: on all of them."""
        self._settings = settings
        self._shelf = Shelf(shelf)
        self._threads = threads
        self._encoder: Encoder | None = None
        if first_core is not None and hasattr(os, "sched_setaffinity"):
            cores = sorted(os.sched_getaffinity(0))
            with suppress(OSError):  # an encoder that counts cores then counts these
                os.sched_setaffinity(0, {cores[(first_core + each) % len(cores)] for each in range(threads)})

    def make(self, part: Part) -> str:
        """Make a part, unless it lies on the shelf; returns its key. Raises what the encoder raises, and StoreUnavailable."""
        if not self._shelf.has(part.key):
            encoder = self._loaded()
            self._shelf.put(part.key, make(part, encoder, self._settings, self._threads), encoder.info)
        return part.key

    def _loaded(self) -> Encoder:
        if self._encoder is None:
            from tsir.encoders.registry import load_encoder

            self._encoder = load_encoder(self._settings)
        return self._encoder


def make(part: Part, encoder: Encoder, settings: Settings, threads: int = 1) -> Made:
    """Read, decode and encode the files of a part; the encoder works while the next batch is decoded. What is no picture is a failure."""
    images: list[NewImage] = []
    thumbnails: list[Thumbs] = []
    vectors: list[Vectors] = []
    failures: list[JobFailure] = []
    cut = 0

    def decode(found: FileStat | JobFailure) -> Decoded | JobFailure:
        if isinstance(found, JobFailure):
            return found
        try:
            picture = open_photo(found.path, encoder, settings, tuple(SIZES))
            new = NewImage(found, picture.content_hash, picture.metadata)
            return new, photo_to_keep(encoder, picture), dict(picture.thumbnails), bool(picture.missing)
        except (InvalidImage, TooLarge) as error:
            return JobFailure(found.path, str(error))

    def decoded() -> Iterator[Decoded]:
        with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
            for result in in_order(pool, decode, part.read(), settings.batch_size + threads):
                if isinstance(result, JobFailure):
                    failures.append(result)
                else:
                    yield result

    with Line() as line:
        for batch in chunks(line.ahead(decoded(), settings.batch_size, "part-decode"), settings.batch_size):
            vectors.append(vectors_of(encoder, [pixels for _, pixels, _, _ in batch]))
            images += [new for new, _, _, _ in batch]
            thumbnails += [own for _, _, own, _ in batch]
            cut += sum(short for _, _, _, short in batch)
    return Made(images, np.concatenate([np.empty((0, encoder.dim), np.float32), *vectors]), thumbnails, failures, cut)
