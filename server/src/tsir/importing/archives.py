"""Pictures out of zips. Nothing in a zip is trusted: neither names, nor sizes, nor that it ends."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from tsir.errors import InvalidInput, TooLarge, TsirError
from tsir.importing.ignoring import SYSTEM_FILES, is_helper
from tsir.importing.scan import count_kind
from tsir.jobs.progress import Passed
from tsir.media.files import Files
from tsir.media.formats import is_picture_name

SUFFIX = ".zip"
MAX_MEMBERS = 100_000
MAX_DIRECTORY_BYTES = 256 * MAX_MEMBERS
"""The table of contents is read as a whole: bounds its memory before its entries are counted."""
MAX_TOTAL_BYTES = 16 * 2**30
"""All pictures of one zip, unfolded."""
MAX_RATIO, RATIO_FROM_BYTES = 200, 4 * 2**20
"""A member larger than this may not unfold to more than this many times its packed size: pictures are packed already."""


def save_archive(file: BinaryIO, files: Files) -> Path:
    """Keep an uploaded zip on disk, beside the uploaded pictures, until its job is over. It is safe there when this returns."""
    return files.uploads.save(file, SUFFIX)


def is_archive(path: Path) -> bool:
    """By content: the first bytes of a zip with members, or of an empty one."""
    try:
        with path.open("rb") as file:
            return file.read(4) in (b"PK\3\4", b"PK\5\6")
    except OSError:
        return False


def pictures(path: Path, *, max_bytes: int, passed: Passed | None = None) -> Iterator[tuple[str, bytes | TsirError]]:
    """(name in the zip, bytes) of every picture file in it, or instead of the bytes the reason why they cannot be had.

    `passed` counts the files of other kinds. Raises InvalidInput for a file that is no zip or is broken, TooLarge when it holds more than
    the limits allow.
    """
    try:
        with path.open("rb") as file:
            end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
            if end and end[zipfile._ECD_SIZE] > MAX_DIRECTORY_BYTES:  # type: ignore[attr-defined]
                raise TooLarge(f"The zip has too many members: at most {MAX_MEMBERS:,} are allowed.")
        with zipfile.ZipFile(path) as archive:
            yield from _members(archive, max_bytes, Passed() if passed is None else passed)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, UnicodeError) as error:
        raise InvalidInput(f"The zip is broken and cannot be opened: {error}.") from None
    except OSError as error:
        raise InvalidInput(f"The zip cannot be read: {error.strerror or error}.") from None


def _members(archive: zipfile.ZipFile, max_bytes: int, passed: Passed) -> Iterator[tuple[str, bytes | TsirError]]:
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise TooLarge(f"The zip has {len(members):,} members; at most {MAX_MEMBERS:,} are allowed.")
    total = 0
    for member in members:
        name = _name(member)
        parts = PurePosixPath(name.replace("\\", "/")).parts
        if member.is_dir() or any((part.startswith(".") and part != "..") or is_helper(part) for part in parts):
            continue
        if name.lower().endswith(SUFFIX):
            yield name, InvalidInput("A zip inside a zip is not opened: unpack it first.")
        elif not is_picture_name(name):
            if parts and parts[-1].lower() not in SYSTEM_FILES:
                count_kind(parts[-1], passed)
        elif (mode := stat.S_IFMT(member.external_attr >> 16)) and mode != stat.S_IFREG:
            yield name, InvalidInput("This is a link or the like inside the zip, not a file: zip what it leads to.")
        else:
            data = _content(archive, member, max_bytes)
            total += len(data) if isinstance(data, bytes) else 0
            if total > MAX_TOTAL_BYTES:
                raise TooLarge(f"The zip unfolds to more than {MAX_TOTAL_BYTES / 2**30:.0f} GB: the rest is left out.")
            yield name, data


def _name(member: zipfile.ZipInfo) -> str:
    """The name as its author saw it, as far as that can be known: without the UTF-8 flag, zips do not tell their encoding."""
    if member.flag_bits & 0x800:
        return member.filename
    raw = member.filename.encode("cp437", errors="replace")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return member.filename


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo, max_bytes: int) -> bytes | TsirError:
    """The bytes of a member; sizes are counted, not believed."""
    if member.flag_bits & 0x1:
        return InvalidInput("The file is encrypted: make the zip without a password.")
    limit = max_bytes
    if max_bytes > RATIO_FROM_BYTES:
        limit = min(max_bytes, max(RATIO_FROM_BYTES, MAX_RATIO * member.compress_size))
    try:
        with archive.open(member) as file:
            data = file.read(limit + 1)
    except NotImplementedError:
        return InvalidInput("The file is packed by a method that is not supported: use an ordinary zip.")
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError):
        return InvalidInput("The file is broken inside the zip.")
    if len(data) <= limit:
        return data
    if limit < max_bytes:
        return TooLarge(f"The file unfolds to more than {MAX_RATIO} times its packed size: pictures do not.")
    return TooLarge(f"The file has more than {max_bytes / 2**20:,.1f} MB (MAX_UPLOAD_BYTES).")
