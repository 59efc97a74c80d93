"""Milvus Lite's own house: opened and closed so that no row that it acknowledged is lost, whatever happened to its disk."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np

from tsir.errors import StoreUnavailable
from tsir.storage.milvus.schema import PROPERTY

ROWS, KEPT = "collections", "collections.kept"
"""What it holds, and the name under which that is out of its reach."""

UNIT = 1e-2
"""How far a vector's length may be from one: all that are written are closer by far."""


def prepare(uri: str) -> None:
    """Before it is opened: put back what a killed process had out of reach. Raises OSError."""
    kept = Path(uri) / KEPT
    if kept.exists():
        rows = kept.with_name(ROWS)
        if rows.exists():
            shutil.rmtree(rows)
        kept.rename(rows)


def version_at_rest(uri: str, name: str) -> int | None:
    """The version of a collection's schema, when all its rows lie in files, as after it was closed: nothing is in its log alone."""
    folder = Path(uri) / ROWS / name
    try:
        if any((folder / "wal").iterdir()) or folder.parent.with_name(KEPT).exists():
            return None
        return int(json.loads((folder / "schema.json").read_bytes())["properties"].get(PROPERTY, 1))
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return None


def release(uri: str) -> None:
    """Close it; it puts its rows into files."""
    from milvus_lite.server_manager import server_manager_instance

    server_manager_instance.release_server(uri)


def renew(uri: str) -> None:
    """Close it after a write that failed, so that opening it reads from its log all that it acknowledged.

    Rows that it could not put into a file are in its log alone, and closing deletes the log when other rows could be put into one. So
    closing finds another folder in the place of its own, which is thrown away. Raises nothing: what is not put back now is by `prepare`.
    """
    with contextlib.suppress(OSError):
        prepare(uri)
        (Path(uri) / ROWS).rename(Path(uri) / KEPT)
    release(uri)
    with contextlib.suppress(OSError):
        prepare(uri)


def damage(uri: str, name: str | None = None) -> str | None:
    """What is wrong with its files, those of one collection or of any; None when they can be read.

    Raises StoreUnavailable where this user may not read them, which says nothing of what is in them.
    """
    folder = Path(uri)
    try:
        for part in (folder, folder / ROWS):
            if part.exists() and not part.is_dir():
                return f"{part} is no folder"
        for one in names(uri) if name is None else [name]:
            if (folder / ROWS / one).exists() and (found := _damage(folder / ROWS / one)):
                return found
    except PermissionError as error:
        raise StoreUnavailable(
            f"The vectors in {folder} cannot be read: {error.filename or folder}: {error.strerror or error}. Give this user the right to."
        ) from error
    except OSError as error:
        return f"{error.filename or folder} cannot be read: {error.strerror or error}"
    return None


def names(uri: str) -> list[str]:
    """The collections that it has files of, be they damaged."""
    folder = Path(uri) / ROWS
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def blamed(uri: str, name: str | None, error: Exception) -> str | None:
    """What Milvus Lite says of the content of a collection's files, of any without a name, when that is what it refuses."""
    text = str(error)
    blames = any(str(Path(uri) / ROWS / one) in text for one in (names(uri) if name is None else [name]))
    return text[:300] if blames and "[Errno" not in text else None


def _damage(folder: Path) -> str | None:
    # Of the two manifests Milvus Lite reads the older one when the newer is gone.
    manifest = next((file for file in ("manifest.json", "manifest.json.prev") if (folder / file).exists()), None)
    for file in ("schema.json", *([manifest] if manifest else [])):
        path = folder / file
        try:
            if not isinstance(json.loads(path.read_bytes()), dict):
                return f"{path} is not what it should be"
        except (ValueError, FileNotFoundError):
            return f"{path} is not what it should be"
    return next((f"{path} cannot be read" for path in sorted(folder.glob("partitions/*/*/*.parquet")) if not _sound(path)), None)


def _sound(path: Path) -> bool:
    """Whether a file of rows can be read, and its vectors are some."""
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
        table.validate(full=True)
        if "vector" not in table.column_names or not len(table):
            return True
        vectors = table["vector"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
    except PermissionError:
        raise
    except (pyarrow.ArrowException, ValueError, OSError):  # OSError is also what it says of bytes that it cannot unpack
        return False
    lengths = np.linalg.norm(vectors, axis=1)
    return bool(((abs(lengths - 1) < UNIT) | (lengths == 0)).all())


def discard(uri: str, name: str) -> None:
    """Remove the files of a collection, whatever they are; it must be closed. Raises OSError."""
    folder = Path(uri)
    for part in (folder, folder / ROWS, folder / ROWS / name):
        if part.exists() and not part.is_dir():
            part.unlink()
    if (folder / ROWS / name).exists():
        shutil.rmtree(folder / ROWS / name)
