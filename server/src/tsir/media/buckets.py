"""Pictures and lists that lie where fsspec reads (s3://..., gs://..., memory://...), instead of in a folder. Needs the extra `ray`."""

from __future__ import annotations

import io
import posixpath
from collections.abc import Iterator
from datetime import datetime
from typing import Any, BinaryIO

from tsir.errors import InvalidInput, TooLarge
from tsir.media.decode import Unreadable
from tsir.media.formats import is_picture_name
from tsir.records import FileStat

BLOCK = 32_768
"""Bytes that are read at a time of a file that is read in pieces."""
CHANGED = ("mtime", "LastModified", "last_modified", "updated", "created")
"""How file systems call the time of the last change."""


def system(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it. Raises InvalidInput where there is none."""
    try:
        import fsspec

        found, path = fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise InvalidInput(f"{address!r} cannot be reached: {error}.") from error
    return found, path


def stat(address: str) -> FileStat:
    """Size and time of a file. Raises OSError and InvalidInput."""
    found, path = system(address)
    return _facts(address, found.info(path))


def fetch(address: str, max_bytes: int) -> bytes:
    """The bytes of a file. Raises Unreadable, and TooLarge for more than `max_bytes`."""
    try:
        found, path = system(address)
        if (size := int(found.info(path)["size"])) > max_bytes:
            raise TooLarge(f"The file has {size:,} bytes; at most {max_bytes:,} are allowed.")
        data: bytes = found.cat_file(path)
    except TooLarge:
        raise
    except Exception as error:  # each file system has errors of its own
        raise Unreadable(f"The file cannot be read: {reason(error)}.") from error
    return data


def opened(address: str) -> BinaryIO:
    """A file, to be read in pieces. Raises OSError and InvalidInput."""
    found, path = system(address)
    return io.BufferedReader(found.open(path, "rb", block_size=BLOCK))  # fsspec's own has lines of any length only


def pictures(address: str) -> Iterator[FileStat]:
    """All picture files below an address, folder by folder, by name; hidden ones are left out. Raises OSError and InvalidInput."""
    found, path = system(address)
    waiting = [path]
    while waiting:
        entries = sorted(found.ls(waiting.pop(), detail=True), key=lambda entry: entry["name"])
        names = [(entry, posixpath.basename(entry["name"].rstrip("/"))) for entry in entries]
        for entry, name in names:
            if entry["type"] == "file" and not name.startswith(".") and is_picture_name(name):
                yield _facts(found.unstrip_protocol(entry["name"]), entry)
        waiting += [entry["name"] for entry, name in reversed(names) if entry["type"] == "directory" and not name.startswith(".")]


def reason(error: Exception) -> str:
    """What was wrong, for the end of a sentence."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return text.splitlines()[0].rstrip(".")


def _facts(address: str, info: dict[str, Any]) -> FileStat:
    changed = next((info[name] for name in CHANGED if info.get(name) is not None), 0)
    if isinstance(changed, str):
        changed = datetime.fromisoformat(changed.replace("Z", "+00:00"))
    seconds = changed.timestamp() if isinstance(changed, datetime) else float(changed)
    return FileStat(address, int(info["size"]), int(seconds * 1e9))
