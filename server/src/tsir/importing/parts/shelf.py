"""Where made parts lie: a folder that all workers see, or whatever fsspec opens (s3://..., gs://..., memory://...)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np
from pydantic import TypeAdapter

from tsir.errors import EncoderMismatch, InvalidInput, StoreUnavailable, encoder_mismatch
from tsir.jobs.model import JobFailure
from tsir.media.thumbnails import SIZES, ThumbnailSize
from tsir.records import EncoderInfo, FileStat, ImageMetadata, NewImage, Vectors

if TYPE_CHECKING:
    import pyarrow

SUFFIX = ".parquet"
_FACTS = TypeAdapter(ImageMetadata)
_HEAD = b"tsir"


@dataclass(frozen=True, slots=True)
class Made:
    """What a part became."""

    images: Sequence[NewImage]
    vectors: Vectors
    """float32 [len(images), dim], unit rows."""
    thumbnails: Sequence[Mapping[ThumbnailSize, bytes]]
    """Of each image, by size."""
    failures: Sequence[JobFailure]
    cut: int = 0
    """How many of the images end before their file says so."""


class Shelf:
    """Parquet files by the key of their part. A file is there whole or not at all."""

    def __init__(self, address: str) -> None:
        """Raises InvalidInput for an address that fsspec cannot open, StoreUnavailable when the place cannot be written."""
        import fsspec

        self.address = address
        try:
            self._system, self._top = fsspec.core.url_to_fs(address)
        except (ImportError, ValueError) as error:
            raise InvalidInput(f"Parts cannot be kept at {address!r}: {error}.") from error
        try:
            self._system.makedirs(self._top, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(f"Parts cannot be kept at {address!r}: {error.strerror or error}.") from error

    def has(self, key: str) -> bool:
        """Whether a part is made."""
        return bool(self._system.exists(self._path(key)))

    def put(self, key: str, made: Made, encoder: EncoderInfo) -> None:
        """Keep a part. Raises StoreUnavailable when the place does not take it."""
        import pyarrow.parquet

        table = _table(made, encoder)
        beside = f"{self._path(key)}.{uuid4().hex}.tmp"
        try:
            with self._system.open(beside, "wb") as file:
                pyarrow.parquet.write_table(table, file, compression="zstd", use_dictionary=False)
            self._system.mv(beside, self._path(key))
        except OSError as error:
            raise StoreUnavailable(f"A part cannot be kept at {self.address!r}: {error.strerror or error}.") from error

    def get(self, key: str, encoder: EncoderInfo) -> Made:
        """A part that was made. Raises EncoderMismatch when another encoder made it, InvalidInput when it is no such file."""
        import pyarrow
        import pyarrow.parquet

        try:
            with self._system.open(self._path(key), "rb") as file:
                table = pyarrow.parquet.read_table(file)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise StoreUnavailable(f"A part at {self.address!r} cannot be read: {error.strerror or error}.") from error
        except pyarrow.ArrowException as error:
            raise InvalidInput(f"{self._path(key)!r} is not a part of an import: delete it.") from error
        return _made(table, encoder, self._path(key))

    def drop(self, key: str) -> None:
        """Forget a part; it is made again when it is wanted."""
        if self.has(key):
            self._system.rm_file(self._path(key))

    def _path(self, key: str) -> str:
        return f"{self._top}/{key}{SUFFIX}"


def _table(made: Made, encoder: EncoderInfo) -> pyarrow.Table:
    import pyarrow as pa

    facts = [_FACTS.dump_python(new.metadata, mode="json") for new in made.images]
    names = [field.name for field in fields(ImageMetadata)]
    sizes = sorted({size for thumbnails in made.thumbnails for size in thumbnails})
    flat = pa.array(np.ascontiguousarray(made.vectors, np.float32).reshape(-1), pa.float32())
    columns: dict[str, Any] = {
        "path": pa.array([new.file.path for new in made.images], pa.string()),
        "bytes": pa.array([new.file.bytes for new in made.images], pa.int64()),
        "mtime_ns": pa.array([new.file.mtime_ns for new in made.images], pa.int64()),
        "content_hash": pa.array([new.content_hash for new in made.images], pa.string()),
        **{name: pa.array([fact[name] for fact in facts]) for name in names},
        "vector": pa.FixedSizeListArray.from_arrays(flat, encoder.dim),
        **{f"thumbnail_{size}": pa.array([own.get(size) for own in made.thumbnails], pa.binary()) for size in sizes},
    }
    about = {"encoder": asdict(encoder), "failures": [[failure.path, failure.reason] for failure in made.failures], "cut": made.cut}
    return pa.table(columns).replace_schema_metadata({_HEAD: json.dumps(about).encode()})


def _made(table: pyarrow.Table, encoder: EncoderInfo, path: str) -> Made:
    try:
        about = json.loads(table.schema.metadata[_HEAD])
        by = EncoderInfo(**about["encoder"])
        if by != encoder:
            raise encoder_mismatch(path, by, encoder)
        failures, cut = [JobFailure(*entry) for entry in about["failures"]], int(about["cut"])
        columns = {name: table.column(name) for name in table.column_names}
        vectors = columns.pop("vector").combine_chunks()
        rows = np.asarray(vectors.flatten(), np.float32).reshape(-1, encoder.dim)
        lists = {name: column.to_pylist() for name, column in columns.items()}
        names = [field.name for field in fields(ImageMetadata)]
        images = [
            NewImage(
                FileStat(lists["path"][row], lists["bytes"][row], lists["mtime_ns"][row]),
                lists["content_hash"][row],
                _FACTS.validate_python({name: lists[name][row] for name in names}),
            )
            for row in range(table.num_rows)
        ]
        kept = {size: lists[f"thumbnail_{size}"] for size in SIZES if f"thumbnail_{size}" in lists}
        thumbnails = [{size: column[row] for size, column in kept.items() if column[row]} for row in range(table.num_rows)]
    except EncoderMismatch:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"{path!r} is not a part of an import, or of another version: delete it.") from error
    return Made(images, rows, thumbnails, failures, cut)
