"""What the library hands out: plain frozen records, free of SQL and Milvus.

All times are aware and in UTC; paths are absolute strings; hashes are hex sha256.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
"""float32 [n, dim] (or [dim] where one vector is meant), rows of unit length."""

CollectionState = Literal["ready", "reencoding", "dropping"]


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """Which model made a collection's vectors. Vectors of different fingerprints must not meet."""

    name: str
    fingerprint: str
    dim: int


@dataclass(frozen=True, slots=True)
class CollectionSummary:
    """A named set of pictures, all encoded by one model."""

    id: int
    name: str
    encoder: EncoderInfo
    count: int
    """Ready images: those that a search can find."""
    pending: int
    """Images that were begun and not finished; importing them again mends them."""
    missing: int
    """Ready images whose files are not there now: hidden until they are back."""
    excluded: int
    """Images that were taken out and lie in folders: imports leave them out."""
    state: CollectionState
    created_at: datetime


@dataclass(frozen=True, slots=True)
class FileStat:
    """A file as a scan sees it, without opening it."""

    path: str
    """Absolute, as given to the import, valid Unicode."""
    bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class ImageMetadata:
    """What a picture says about itself: the same facts from the decoder to the answer of a search."""

    width: int
    """Pixels, as shown (after EXIF orientation)."""
    height: int
    format: str
    """A name of `tsir.media.formats`: "JPEG", "PNG", "WEBP", ..."""
    taken_at: datetime | None = None
    """Capture time by the camera's clock: with its offset from UTC if the camera noted that, else without a zone."""
    camera: str | None = None
    latitude: float | None = None
    """Degrees, north positive."""
    longitude: float | None = None
    """Degrees, east positive."""

    @property
    def clock(self) -> datetime | None:
        """What the camera's clock showed: people look for the evening that it was there and then."""
        return self.taken_at.replace(tzinfo=None) if self.taken_at else None

    @property
    def located(self) -> bool:
        return self.latitude is not None and self.longitude is not None


@dataclass(frozen=True, slots=True)
class NewImage:
    """A decoded picture on its way into the catalog."""

    file: FileStat
    content_hash: str
    """Hex sha256 of the file's bytes."""
    metadata: ImageMetadata


@dataclass(frozen=True, slots=True)
class Image:
    """A picture of the library. The same content in several places is one image with several paths."""

    id: int
    collection: str
    paths: tuple[str, ...]
    """Every place it lies, the oldest first; where it lay, when it is `missing`. Never empty."""
    content_hash: str
    bytes: int
    """Size of the file."""
    metadata: ImageMetadata
    created_at: datetime
    missing: bool = False
    """Whether none of its files is there now."""

    @property
    def path(self) -> str:
        """The oldest place."""
        return self.paths[0]


@dataclass(frozen=True, slots=True)
class Hit:
    """A picture that a search found."""

    image: Image
    score: float
    """Cosine of query and picture, -1 to 1."""
    vector: Vectors = field(compare=False, repr=False)
    """float32 [dim], unit length, as stored."""


BegunStatus = Literal["new", "known", "excluded"]


@dataclass(frozen=True, slots=True)
class Count:
    """How many pictures have a value."""

    value: str | None
    """None: nothing is known."""
    count: int


@dataclass(frozen=True, slots=True)
class Facets:
    """How many pictures there are of each sort, the most frequent first."""

    total: int
    years: tuple[Count, ...]
    """When they were taken, the newest first."""
    folders: tuple[Count, ...]
    """Where they lie, absolute; without what lies in folders below. Copies count in each."""
    cameras: tuple[Count, ...]
    formats: tuple[Count, ...]


@dataclass(frozen=True, slots=True)
class Begun:
    """What `Collection.begin` made of one picture."""

    id: int
    status: BegunStatus
    """known: the content is stored and ready, only the path was noted, no vector is needed. new: encode it and call `finish`. excluded:
    somebody took it out of the collection; only the path was noted."""


@dataclass(frozen=True, slots=True)
class Removed:
    """What was taken out of a collection."""

    images: int
    only_copies: int
    """Images that lay among the uploads and nowhere else: their files are in the trash."""
    trash: str | None
    """The entry of the trash by which all of it can be restored; None when there was nothing to remove."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What came back from the trash."""

    collection: str
    images: int
    waiting: tuple[int, ...]
    """Images of these that need to be encoded again."""
    lost: int
    """Images whose file is not there any more."""


@dataclass(frozen=True, slots=True)
class Relocated:
    """What was moved with a folder."""

    places: int
    images: int
    missing: int
    """Places below the new folder where no file is."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What became of the places in a folder."""

    paths: int
    """Places that are gone since the last look."""
    images: int
    """Images that lost the last one: missing from now on, or, where places were to be forgotten, deleted."""
    found: int = 0
    """Images that were missing and are back."""
    suspicions: tuple[str, ...] = ()
    """Sentences on what looks like a missing drive rather than like deleted files."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What `check` compared and found. Counts are of all collections together."""

    images: int
    """Ready rows."""
    vectors: int
    problems: tuple[str, ...]
    """One sentence per kind of difference and collection; empty when all is well."""
    repaired: bool
    """Whether the problems were mended in this run."""
    notes: tuple[str, ...] = ()
    """What is worth knowing and no fault, such as files that left their folder since the last import."""

    @property
    def clean(self) -> bool:
        return not self.problems
