"""Files -> rows and vectors: scan, decode, note, encode and write overlap, queues between them are bounded.

Each picture is read and decoded once: hash, size, EXIF, thumbnails and the encoder's pixels come from the same decode.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from PIL.Image import Image

from tsir.encoders.base import Encoder, Vectors
from tsir.errors import DiskFull, InvalidImage, StoreUnavailable, TooLarge
from tsir.importing.reading import open_photo, photo_to_keep
from tsir.importing.scan import Batch, Item
from tsir.importing.workshop import Workshop
from tsir.jobs.line import Line
from tsir.jobs.model import JobFailure
from tsir.jobs.progress import Progress
from tsir.library.collection import Collection
from tsir.media.decode import Unreadable
from tsir.media.thumbnails import SIZES
from tsir.paging import chunks
from tsir.records import NewImage

log = logging.getLogger(__name__)

AHEAD_BATCHES = 2
"""Encoder batches that may wait before and after the encoder: enough to never let it starve, few enough to bound memory."""


@dataclass(frozen=True, slots=True)
class _Decoded:
    new: NewImage
    pixels: Image


class Import:
    """One import of files into one collection."""

    def __init__(
        self, workshop: Workshop, collection: Collection, encoder: Encoder, progress: Progress, line: Line, *, again: bool = False
    ) -> None:
        """`again`: also what somebody took out of the collection before."""
        self._workshop = workshop
        self._collection = collection
        self._encoder = encoder
        self._progress = progress
        self._line = line
        self._settings = workshop.settings
        self._files = workshop.library.files
        self._again = again
        self._in_flight: set[int] = set()
        """Images between their row and their vector: the same content again needs no second encoding."""
        self.bare = 0
        """About how many pictures got no thumbnails, for want of room."""
        self.refused: list[str] = []
        """Uploaded files that are no pictures; to be deleted when their failures are safely noted."""

    def run(self, batches: Iterable[Batch]) -> None:
        """Import until the source ends. Raises Stopped, what the encoder raises, and errors of the library other than StoreUnavailable."""
        encoder, size = self._encoder.info, self._settings.batch_size
        fresh = self._line.ahead(self._fresh(batches), 2 * size, "import-scan")
        begun = self._line.ahead(self._begun(fresh), AHEAD_BATCHES * size, "import-note")
        for ids, vectors in self._line.ahead(self._encoded(begun), AHEAD_BATCHES, "import-encode"):
            # While it was encoded, the collection may have moved to another encoder: its vectors must not meet these.
            self._line.patiently(self._collection.finish, ids, vectors, encoder)
            self._in_flight.difference_update(ids)
            self._progress.add(done=len(ids))

    def _fresh(self, batches: Iterable[Batch]) -> Iterator[Item]:
        """Leave out what is in the library unchanged."""
        for batch in batches:
            items = [entry for entry in batch if isinstance(entry, Item)]
            known = self._line.patiently(self._collection.unchanged, [item.file for item in items], again=self._again)
            fresh = [item for item in items if item.file.path not in known]
            self._progress.add(skipped=len(items) - len(fresh), failures=[entry for entry in batch if isinstance(entry, JobFailure)])
            yield from fresh

    def _decoded(self, items: Iterable[Item]) -> Iterator[_Decoded]:
        """What can be decoded; the rest is noted as failed."""
        for result in self._workshop.decoded(items, self._decode):
            if isinstance(result, JobFailure):
                self._progress.add(failures=[result])
            else:
                yield result

    def _decode(self, item: Item) -> _Decoded | JobFailure:
        try:
            picture = open_photo(item.file.path, self._encoder, self._settings, tuple(SIZES))
            try:
                self._files.thumbnails.put(picture.content_hash, picture.thumbnails)
            except DiskFull:  # they are made again when they are asked for
                self.bare += 1
            except StoreUnavailable as error:
                log.warning("No thumbnails of %s: %s", item.name, error)
            if picture.missing:
                self._progress.add(cut=1)
            return _Decoded(NewImage(item.file, picture.content_hash, picture.metadata), photo_to_keep(self._encoder, picture))
        except (InvalidImage, TooLarge) as error:
            if self._files.uploads.holds(item.file.path) and not isinstance(error, Unreadable):
                self.refused.append(item.file.path)
            return JobFailure(item.name, str(error))

    def _begun(self, items: Iterable[Item]) -> Iterator[tuple[int, Image]]:
        """Note the pictures in the catalog; what needs a vector goes on."""
        for chunk in chunks(self._decoded(items), self._settings.batch_size):
            # Taken before the catalog is asked: what it calls new may have got its vector, and left the set, by the time of the answer.
            before = set(self._in_flight)
            begun = self._line.patiently(self._collection.begin, [entry.new for entry in chunk], again=self._again)
            fresh: dict[int, Image] = {}
            for entry, row in zip(chunk, begun, strict=True):
                if row.status == "excluded":
                    self._progress.add(skipped=1)
                elif row.status == "known" or row.id in before or row.id in fresh:
                    self._progress.add(done=1)
                else:
                    fresh[row.id] = entry.pixels
            self._in_flight.update(fresh)
            yield from fresh.items()

    def _encoded(self, begun: Iterable[tuple[int, Image]]) -> Iterator[tuple[list[int], Vectors]]:
        for chunk in chunks(begun, self._settings.batch_size):
            yield [id for id, _ in chunk], self._workshop.encoded(self._encoder, [image for _, image in chunk])
