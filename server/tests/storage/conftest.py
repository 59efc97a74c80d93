"""Tests of Milvus run on Milvus Lite and on a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from tsir.records import ImageMetadata, Vectors
from tsir.settings import Settings
from tsir.storage.columns import Column, Form
from tsir.storage.conditions import condition
from tsir.storage.filters import Filter
from tsir.storage.kinds import choice
from tsir.storage.milvus.client import VectorStore
from tsir.storage.milvus.schema import SCHEMA, Schema

DIM = 8

Opened = Callable[..., VectorStore]


@dataclass(frozen=True)
class Picture:
    """Facts of a picture."""

    metadata: ImageMetadata
    paths: tuple[str, ...] = ("/photos/a.jpg",)
    bytes: int = 1_000
    created_at: datetime = datetime(2024, 1, 1, tzinfo=timezone.utc)


MAKERS = choice({"Canon": "Canon", "Camera": "Camera"})
MAKER = Column("maker", Form("VARCHAR", lambda facts: facts.metadata.camera or "", {"max_length": 64}), since=SCHEMA.version + 1)


@dataclass(frozen=True)
class Wider(Filter):
    """The table of a version that comes after ours: one condition and one column more."""

    maker: str | None = condition(MAKER, MAKERS, "Made by", "Who made the camera.", lambda maker: f'maker == "{maker}"')


WIDER = Schema(Wider)


def picture(format: str = "JPEG", camera: str | None = None, width: int = 640, height: int = 480, path: str = "/photos/a.jpg") -> Picture:
    return Picture(ImageMetadata(width, height, format, camera=camera), (path,))


def axis(*weights: float) -> Vectors:
    """A unit vector that begins so."""
    vector = np.zeros(DIM, dtype=np.float32)
    vector[: len(weights)] = weights
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def fan(count: int) -> Vectors:
    """Unit vectors [count, DIM], each a little farther from the first axis."""
    return np.stack([axis(1, n / 10) for n in range(count)])


def found(store: VectorStore, name: str, filter: Filter | None = None, k: int = 20) -> list[int]:
    """Ids, nearest to the first axis first."""
    return [hit.id for hit in store.search(name, axis(1)[None], k, "FLAT", filter, "Strong", False)[0]]


@pytest.fixture(params=["lite", pytest.param("standalone", marks=pytest.mark.services)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    uri = request.getfixturevalue("milvus_uri") if request.param == "standalone" else None
    (tmp_path / "data").mkdir()
    return Settings(data_dir=tmp_path / "data", milvus_uri=uri, _env_file=None)  # type: ignore[call-arg]


@pytest.fixture
def name(settings: Settings) -> Iterator[str]:
    """Begins the names of a test's collections."""
    prefix = f"storage_{uuid4().hex[:12]}"
    yield prefix
    store = VectorStore(settings)
    for left in store.names(prefix):
        store.drop(left)
    store.close()


@pytest.fixture
def opened(settings: Settings, name: str) -> Iterator[Opened]:
    """Opens a store with a schema, one after another; those before are closed."""
    stores: list[VectorStore] = []

    def open(schema: Schema = SCHEMA) -> VectorStore:
        for store in stores:
            store.close()
        stores.append(VectorStore(settings, schema))
        return stores[-1]

    yield open
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Opened) -> VectorStore:
    return opened()
