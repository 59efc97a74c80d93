"""Where pictures lie on disk: the folders that may be imported, uploads, and the thumbnail cache."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shlex
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from tsir.errors import Forbidden, InvalidInput, NotFound, StoreUnavailable
from tsir.media.durable import older, whole
from tsir.media.formats import suffix
from tsir.media.thumbnails import Thumbnails
from tsir.media.trash import Trash
from tsir.patience import Silent, answered
from tsir.room import Room, data_room, uploads_room
from tsir.settings import Settings

KINDS = {stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device", stat.S_IFDIR: "folder"}


def regular(path: str | Path) -> os.stat_result:
    """The stat of a file. Raises OSError where there is none, where it is out of reach, and for a pipe, a device and the like: opening such
    a thing may wait for ever."""
    found = answered(os.path.dirname(path), lambda: os.stat(path), link=path)  # noqa: PTH116, PTH120 - strings, too
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, f"it is a {KINDS.get(stat.S_IFMT(found.st_mode), 'special file')}, not a file")
    return found


def is_address(path: str) -> bool:
    """Whether a path is an address for fsspec (`buckets`); paths of files begin with a slash."""
    return "://" in path and not path.startswith("/")


def said(error: OSError) -> str:
    """What was wrong with a file, for the end of a sentence; where a drive may be the reason, that, too."""
    reason = error.strerror or str(error) or type(error).__name__
    return f"{reason} (is its drive connected?)" if error.errno in DRIVES else reason


DRIVES = (errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ENXIO, errno.EHOSTDOWN, errno.ETIMEDOUT)
"""What a drive or a network mount answers that is not there any more."""


def folder_trouble(path: str | Path) -> str | None:
    """Why a path is no folder that can be read now, as the end of a sentence; None when it is one."""
    try:
        return None if stat.S_ISDIR(answered(path, lambda: os.stat(path)).st_mode) else "is not a folder"  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return "does not exist"
    except (OSError, ValueError) as error:
        return f"cannot be reached: {said(error) if isinstance(error, OSError) else error}"


class Files:
    """Safe to use from many threads and processes on the same folders."""

    def __init__(self, settings: Settings, known: Callable[[], bool] = lambda: False) -> None:
        """`known`: whether there are uploads, be they missing."""
        self.roots = settings.roots
        self.uploads = Uploads(settings.uploads, uploads_room(settings), known)
        self.trash = Trash(settings.data_dir.expanduser().resolve() / "trash", settings.trash_days)
        room = data_room(settings)
        self.thumbnails = Thumbnails(room.folder / "thumbnails", settings.thumbnail_bytes, room)

    def resolve_import_folder(self, path: str | Path) -> Path:
        """The folder with symlinks resolved.

        Raises Forbidden when it is not below one of IMAGE_ROOTS (existing or not: what lies elsewhere is nobody's business), NotFound when
        it does not exist, InvalidInput when it is no folder.
        """
        text = str(path)
        if not text.strip() or "\0" in text:
            raise InvalidInput("Name a folder to import.")
        try:
            folder = answered(text, Path(text).resolve)
        except (OSError, RuntimeError) as error:  # a loop of symlinks, a name that is too long, a drive that is silent
            raise InvalidInput(f"{text!r} cannot be resolved: {said(error) if isinstance(error, Silent) else error}") from error
        if not any(folder.is_relative_to(root) for root in self.roots):
            allowed = ", ".join(str(root) for root in self.roots)
            raise Forbidden(
                f"{text!r} is not in a folder that may be imported. "
                + (f"Allowed: {allowed}." if allowed else "None is allowed.")
                + " The setting IMAGE_ROOTS lists the allowed folders, separated like PATH."
            )
        if trouble := folder_trouble(folder):
            raise (InvalidInput if trouble == "is not a folder" else NotFound)(f"The folder {text!r} {trouble}.")
        return folder


UPLOAD = re.compile(r"[0-9a-f]{2}/[0-9a-f]{32}(\.[a-z0-9]{1,8})?")
"""How uploads are named, below their folder."""

UPLOAD_FOLDER = re.compile(r"[0-9a-f]{2}")


class Uploads:
    """Files that were sent: kept under generated names, `ab/ab0123....jpg`."""

    def __init__(self, folder: Path, room: Room, known: Callable[[], bool]) -> None:
        self.folder = folder
        self._room = room
        self._known = known

    def save(self, data: bytes | BinaryIO, format: str) -> Path:
        """Keep an upload, or what is left of a stream, under a new name that ends like its format. It is on disk when this returns.

        Raises DiskFull, StoreUnavailable as `expect`, and OSError.
        """
        path = self.place(secrets.token_hex(16), suffix(format))
        self.write(path, data)
        return path

    def write(self, path: Path, data: bytes | BinaryIO) -> None:
        """Write the upload of that path (of `place`), durably. Raises DiskFull, StoreUnavailable as `expect`, and OSError."""
        self.expect()
        with self._room.needed(len(data) if isinstance(data, bytes) else _left(data)):
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole(path) as file:
                if isinstance(data, bytes):
                    file.write(data)
                else:
                    shutil.copyfileobj(data, file, 2**20)

    def begin(self) -> None:
        """Note that this is their folder, though none of those that are known may be in it. Raises StoreUnavailable as `expect`, and
        OSError."""
        self.expect()
        (self.folder / "00").mkdir(parents=True, exist_ok=True)

    def away(self) -> bool:
        """Whether there should be uploads, and their folder never held one."""
        try:
            with os.scandir(self.folder) as entries:
                if any(UPLOAD_FOLDER.fullmatch(entry.name) for entry in entries):
                    return False
        except OSError:
            pass
        return self._known()

    def expect(self) -> None:
        """Raise StoreUnavailable while the uploads are away: their disk, when it is back, would hide what is written now."""
        if self.away():
            raise StoreUnavailable(
                f"None of the uploads that the catalog knows is in {self.folder}: is a drive missing? Nothing is written there until it is "
                f"back. If they are lost, `tsir check --repair` and then `tsir forget {shlex.quote(str(self.folder))}` take them out."
            )

    def place(self, name: str, suffix: str) -> Path:
        """Where the upload of that name lies, 32 hex digits."""
        return self.folder / name[:2] / (name + suffix)

    def here(self, path: str) -> str:
        """Where an upload lies that was noted by its full path: elsewhere, if the data folder was moved since. Other paths stay."""
        noted = Path(path)
        name = "/".join(noted.parts[-2:])
        if self.holds(path) or not UPLOAD.fullmatch(name) or os.path.exists(noted):  # noqa: PTH110 - False also where it is out of reach
            return path
        return str(self.folder / name) if (self.folder / name).is_file() else path

    def holds(self, path: str) -> bool:
        """Whether the path is one of an upload."""
        return Path(path).is_relative_to(self.folder)

    def delete(self, path: str) -> None:
        """Delete an uploaded file; paths elsewhere are left alone."""
        target = Path(path)
        if ".." not in target.parts and self.holds(path):
            target.unlink(missing_ok=True)

    def paths(self, before: float) -> Iterator[str]:
        """Uploaded files from before that time (seconds since 1970), and what a killed process left of one."""
        return (str(path) for path in self.folder.glob("*/*") if path.is_file() and older(path, before))


def _left(stream: BinaryIO) -> int:
    """Bytes from here to the end of a stream that can be sought."""
    here = stream.tell()
    end = stream.seek(0, os.SEEK_END)
    stream.seek(here)
    return end - here
