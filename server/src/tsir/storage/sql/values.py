"""Values as every database stores them."""

from __future__ import annotations

import hashlib
import math
import unicodedata
from datetime import datetime, timedelta, timezone
from pathlib import Path

import sqlalchemy as sa

from tsir.errors import InvalidInput

CHUNK = 500
"""Rows per statement: SQLite allows 32,766 variables, an image has 14."""

MAX_PATH_BYTES = 16_384
"""4,096 characters, four bytes each: the longest path Linux opens."""


MAX_NAME = 255
"""Characters of a name by which is sorted. Linux allows so many bytes."""


class UploadPaths:
    """Paths as the catalog has them: uploads relative to their folder, so that it can be moved; others absolute, as they are."""

    PREFIX = "uploads:"
    """No absolute path begins so."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Of the uploads, resolved."""
        self._start = f"{folder}/"

    def stored(self, path: str) -> str:
        """A path on its way into the catalog."""
        return self.PREFIX + path[len(self._start) :] if path.startswith(self._start) else path

    def real(self, stored: str) -> str:
        """A path of the catalog, absolute."""
        return self._start + stored[len(self.PREFIX) :] if stored.startswith(self.PREFIX) else stored


def is_upload(path: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether a stored path is one of an upload."""
    start = UploadPaths.PREFIX
    return sa.and_(path >= start, path < start[:-1] + chr(ord(start[-1]) + 1))


def utc(when: datetime | None) -> datetime | None:
    """Naive UTC, as stored; a naive time is taken as UTC already. Years before 1000 are no date (MySQL has none)."""
    if when is None or when.year < 1000:
        return None
    return when.astimezone(timezone.utc).replace(tzinfo=None) if when.tzinfo else when


def clock(when: datetime | None) -> datetime | None:
    """A capture time as stored: what the camera's clock showed. Years before 1000 are no date (MySQL has none)."""
    return None if when is None or when.year < 1000 else when.replace(tzinfo=None)


def offset(when: datetime | None) -> int | None:
    """Minutes that the camera's clock is ahead of UTC; None: nobody knows."""
    ahead = when.utcoffset() if when is not None else None
    return None if ahead is None else round(ahead.total_seconds() / 60)


def taken(shown: datetime | None, minutes: int | None) -> datetime | None:
    """A capture time from what `clock` and `offset` gave: without a zone where none is known."""
    if shown is None or minutes is None:
        return shown
    return shown.replace(tzinfo=timezone(timedelta(minutes=minutes)))


def aware(when: datetime | None) -> datetime | None:
    return when.replace(tzinfo=timezone.utc) if when is not None else None


def path_hash(path: str) -> str:
    """Raises InvalidInput for a path that is not valid Unicode (Linux allows such names; JSON and MySQL do not) or too long."""
    try:
        data = path.encode()
    except UnicodeEncodeError as error:
        shown = path.encode(errors="replace").decode()
        raise InvalidInput(f"The name {shown!r} is not valid Unicode. Rename the file.") from error
    if len(data) > MAX_PATH_BYTES:
        raise InvalidInput(f"The path {path[:80]!r}... is longer than {MAX_PATH_BYTES} bytes.")
    return hashlib.sha256(data).hexdigest()


def loose_hash(path: str) -> str:
    """Like path_hash for what is no valid path: a URL, a name that cannot be encoded, an archive's member."""
    return hashlib.sha256(path.encode(errors="surrogatepass")).hexdigest()


def storable(value: str | None, length: int) -> str | None:
    """A string that every database stores: valid Unicode, no NUL, not too long."""
    if value is None:
        return None
    return value.encode(errors="replace").decode().replace("\0", "").strip()[:length] or None


def sortable(name: str) -> str:
    """A file's name (or a pattern of one) as it is compared and sorted: upper and lower case are the same, and so are an accent that is a
    character of its own (as macOS writes names) and one that is not."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())[:MAX_NAME]


def finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
