"""Every test of the library runs on the embedded stores and on real servers."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from tsir.library.library import Library
from tsir.library.steps import unobserved
from tsir.library.stores import Stores
from tsir.records import Begun, EncoderInfo, FileStat, Hit, ImageMetadata, NewImage, Vectors
from tsir.settings import Settings
from tsir.storage.milvus.client import NoSuchVectors
from tsir.storage.milvus.schema import SCHEMA
from tsir.storage.sql import schema

ENCODER = EncoderInfo("fake", "f00d", 8)


SERVICES = [pytest.param(pair, marks=pytest.mark.services) for pair in ("services", "lite+mariadb", "standalone+sqlite")]
EVERY_PAIR = pytest.mark.parametrize("settings", ["embedded", *SERVICES], indirect=True)
"""For tests that run on one embedded store and one server, too, not only on two of a kind."""


@pytest.fixture(params=["embedded", pytest.param("services", marks=pytest.mark.services)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """A fresh library: SQLite and Milvus Lite in a folder, or a new database on MariaDB and Milvus standalone, or one of each."""
    photos = tmp_path / "photos"
    photos.mkdir()
    common = {"data_dir": tmp_path / "data", "image_roots": str(photos), "_env_file": None}
    if request.param == "embedded":
        yield Settings(**common)
        return
    pair = request.param
    uri = None if pair == "lite+mariadb" else request.getfixturevalue("milvus_uri")
    if pair == "standalone+sqlite":
        settings = Settings(milvus_uri=uri, **common)
        yield settings
        _drop_vectors(settings)
        return
    server = sa.make_url(request.getfixturevalue("mariadb_url"))
    databases = request.getfixturevalue("databases")
    if request.node.get_closest_marker("new_database") or not databases:
        databases.append(f"test_{os.getpid()}_{secrets.token_hex(8)}")
        _do(server, f"CREATE DATABASE {databases[-1]} CHARACTER SET utf8mb4")
    name = databases.pop()
    database = server.set(database=name).render_as_string(hide_password=False)
    settings = Settings(database_url=database, milvus_uri=uri, **common)
    yield settings
    _drop_vectors(settings)
    if _emptied(server.set(database=name)):
        databases.append(name)
    else:
        _do(server, f"DROP DATABASE {name}")


def _do(url: sa.URL, *statements: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def _emptied(url: sa.URL) -> bool:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        tables = set(sa.inspect(connection).get_table_names())
        if tables != {*schema.metadata.tables, "alembic_version"}:
            return False
        if connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() != schema.HEAD:
            return False
    _do(url, "SET FOREIGN_KEY_CHECKS = 0", *(f"DELETE FROM {table}" for table in schema.metadata.tables))
    return True


def _drop_vectors(settings: Settings) -> None:
    # Not by `Library.open`, which would load all that is to be dropped.
    stores = Stores(settings, unobserved, SCHEMA)
    stores.catalog.migrate()
    for left in stores.vectors.names(stores.vectors_prefix()):
        stores.vectors.drop(left)
    stores.close()


@pytest.fixture
def library(settings: Settings) -> Iterator[Library]:
    with Library.open(settings) as library:
        yield library


@pytest.fixture
def add(library: Library, photos_folder: Path) -> Callable[..., list[Begun]]:
    """Add pictures to the collection "photos": add({"name.jpg": vector, ...})."""

    def add(vectors: dict[str, Vectors], name: str = "photos", **facts: object) -> list[Begun]:
        library.create(name, ENCODER)
        begun = library.collection(name).begin([new_image(photos_folder / path, **facts) for path in vectors])
        library.collection(name).finish([entry.id for entry in begun], np.stack(list(vectors.values())))
        return begun

    return add


@pytest.fixture
def photos_folder(settings: Settings) -> Path:
    return settings.roots[0]


def search(library: Library, name: str, *query: Any, **options: Any) -> list[Hit]:
    """`Collection.search` that finds what was written before: on a server a plain search may miss the last seconds."""
    collection = library.collection(name)
    with suppress(NoSuchVectors):
        library.stores.vectors.ids(library.stores.vectors_name(collection.ref), 0, 1, "Strong")
    return collection.search(*query, **options)


def axis(*weights: float) -> Vectors:
    """A unit vector of 8 dimensions that begins so: axis(1) is the first axis."""
    vector = np.zeros(8, dtype=np.float32)
    vector[: len(weights)] = weights
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def new_image(
    path: Path,
    content: str | None = None,
    *,
    width: int = 64,
    height: int = 48,
    format: str = "JPEG",
    taken_at: datetime | None = None,
    location: tuple[float, float] | None = None,
    mtime_ns: int = 1,
    write: bool = True,
) -> NewImage:
    """A picture as the import hands it over; its content is its path unless named. `write` puts a file there."""
    content = content or str(path)
    if write:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())
    latitude, longitude = location or (None, None)
    return NewImage(
        file=FileStat(str(path), len(content.encode()), mtime_ns),
        content_hash=hashlib.sha256(content.encode()).hexdigest(),
        metadata=ImageMetadata(width, height, format, taken_at, "Camera", latitude, longitude),
    )
