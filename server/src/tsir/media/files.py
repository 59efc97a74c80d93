"""Where pictures lie on disk: the folders that may be imported, uploads, and the thumbnail cache."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tsir.errors import Forbidden, InvalidInput, NotFound
from tsir.media.durable import older, whole
from tsir.media.formats import suffix
from tsir.media.thumbnails import Thumbnails
from tsir.media.trash import Trash
from tsir.settings import Settings


class Files:
    """Safe to use from many threads and processes on the same folders."""

    def __init__(self, settings: Settings) -> None:
        self.roots = settings.roots
        self.uploads = Uploads(settings.uploads)
        self.trash = Trash(settings.data_dir.expanduser().resolve() / "trash")
        self.thumbnails = Thumbnails(settings.data_dir.expanduser().resolve() / "thumbnails", settings.thumbnail_bytes)

    def resolve_import_folder(self, path: str | Path) -> Path:
        """The folder with symlinks resolved.

        Raises Forbidden when it is not below one of IMAGE_ROOTS (existing or not: what lies elsewhere is nobody's business), NotFound when
        it does not exist, InvalidInput when it is no folder.
        """
        text = str(path)
        if not text.strip() or "\0" in text:
            raise InvalidInput("Name a folder to import.")
        try:
            folder = Path(text).resolve()
        except (OSError, RuntimeError) as error:  # a loop of symlinks, a name that is too long
            raise InvalidInput(f"{text!r} cannot be resolved: {error}") from error
        if not any(folder.is_relative_to(root) for root in self.roots):
            allowed = ", ".join(str(root) for root in self.roots)
            raise Forbidden(
                f"{text!r} is not in a folder that may be imported. "
                + (f"Allowed: {allowed}." if allowed else "None is allowed.")
                + " The setting IMAGE_ROOTS lists the allowed folders, separated like PATH."
            )
        if not folder.exists():
            raise NotFound(f"The folder {text!r} does not exist.")
        if not folder.is_dir():
            raise InvalidInput(f"{text!r} is not a folder.")
        return folder


UPLOAD = re.compile(r"[0-9a-f]{2}/[0-9a-f]{32}(\.[a-z0-9]{1,8})?")
"""How uploads are named, below their folder."""


class Uploads:
    """Files that were sent: kept under generated names, `ab/ab0123....jpg`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, data: bytes | BinaryIO, format: str) -> Path:
        """Keep an upload, or what is left of a stream, under a new name that ends like its format. It is on disk when this returns."""
        path = self.place(secrets.token_hex(16), suffix(format))
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as file:
            if isinstance(data, bytes):
                file.write(data)
            else:
                shutil.copyfileobj(data, file, 2**20)
        return path

    def place(self, name: str, suffix: str) -> Path:
        """Where the upload of that name lies, 32 hex digits."""
        return self.folder / name[:2] / (name + suffix)

    def here(self, path: str) -> str:
        """Where an upload lies that was noted by its full path: elsewhere, if the data folder was moved since. Other paths stay."""
        noted = Path(path)
        name = "/".join(noted.parts[-2:])
        if self.holds(path) or not UPLOAD.fullmatch(name) or noted.exists():
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
