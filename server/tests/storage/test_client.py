"""The client of Milvus: rows, filters, what it refuses and what it waits for."""

from __future__ import annotations

import resource
import shutil
import sys
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from pymilvus import MilvusClient

from tests.services.fixtures import Milvus
from tests.storage.conftest import DIM, Opened, Picture, axis, fan, found, picture
from tsir.errors import InvalidInput, StoreRefused, StoreUnavailable
from tsir.records import ImageMetadata
from tsir.settings import Settings
from tsir.storage.filters import Filter
from tsir.storage.milvus.client import NoSuchVectors, VectorStore


@pytest.fixture
def filled(store: VectorStore, name: str) -> VectorStore:
    """Three pictures, ids 1 to 3, the first the nearest to the first axis."""
    store.ensure(name, DIM, "FLAT")
    when = datetime(2020, 7, 1, tzinfo=timezone.utc)
    pictures = [
        Picture(ImageMetadata(4000, 3000, "JPEG", when, "Canon", 48.1, 11.5), ("/photos/summer/a.jpg", "/copies/a.jpg")),
        Picture(ImageMetadata(3000, 4000, "HEIC"), ("/photos/winter/b.heic",)),
        Picture(ImageMetadata(500, 500, "HEIF"), ("/photos/winter/c_100%.heic",)),
    ]
    store.upsert(name, [1, 2, 3], fan(3), pictures)
    return store


def test_rows_are_found_nearest_first_until_they_are_deleted(filled: VectorStore, name: str) -> None:
    hits = filled.search(name, axis(1)[None], 2, "FLAT", None, "Strong", True)[0]
    assert [hit.id for hit in hits] == [1, 2]
    assert hits[0].score == pytest.approx(1)
    assert hits[1].vector is not None
    assert hits[1].vector.tobytes() == fan(2)[1].tobytes()
    assert filled.get(name, [2, 99], "Strong")[2].tobytes() == fan(2)[1].tobytes()
    assert list(filled.settled(name, [3, 99])) == [3]
    assert filled.ids(name, 2, None).tolist() == [2, 3]
    filled.delete(name, [1, 99])
    assert found(filled, name) == [2, 3]
    filled.upsert(name, [3], axis(1)[None], [picture()])
    assert found(filled, name) == [3, 2]


@pytest.mark.parametrize(
    ("filter", "ids"),
    [
        (None, [1, 2, 3]),
        (Filter(), [1, 2, 3]),
        (Filter(taken_after=datetime(2020, 7, 1)), [1]),
        (Filter(taken_after=datetime(2020, 7, 1, 0, 0, 1)), []),
        (Filter(taken_before=datetime(2021, 1, 1)), [1]),
        (Filter(min_width=3500), [1]),
        (Filter(min_height=3000), [1, 2]),
        (Filter(orientation="landscape"), [1]),
        (Filter(orientation="portrait"), [2]),
        (Filter(orientation="square"), [3]),
        (Filter(formats=("jpeg", "PNG")), [1]),
        (Filter(formats=("HEIC", "HEIF")), [2, 3]),
        (Filter(has_location=True), [1]),
        (Filter(has_location=False), [2, 3]),
        (Filter(folder="/photos"), [1, 2, 3]),
        (Filter(folder="/photos/winter/"), [2, 3]),
        (Filter(folder="/copies"), [1]),
        (Filter(folder="/photo"), []),
        (Filter(folder="/photos", has_location=False, orientation="square"), [3]),
    ],
)
def test_every_condition_lets_through_what_it_says(filled: VectorStore, name: str, filter: Filter | None, ids: list[int]) -> None:
    assert found(filled, name, filter) == ids


def test_a_wrong_value_is_told_whether_the_collection_is_there_or_not(store: VectorStore, name: str) -> None:
    with pytest.raises(InvalidInput, match='orientation is "sideways"; it must be "landscape", "portrait" or "square"'):
        found(store, name, Filter(orientation="sideways"))  # type: ignore[arg-type]


def test_a_collection_that_is_not_there_is_said_to_be_missing(store: VectorStore, name: str) -> None:
    for call in (
        lambda: store.upsert(name, [1], fan(1), [picture()]),
        lambda: store.delete(name, [1]),
        lambda: store.get(name, [1], "Bounded"),
        lambda: store.ids(name, 0, None),
        lambda: store.set_index(name, "HNSW"),
        lambda: store.version(name),
        lambda: found(store, name),
    ):
        with pytest.raises(NoSuchVectors):
            call()
    store.drop(name)
    assert store.names(name) == []


def test_vectors_of_another_dimension_are_refused_for_good(filled: VectorStore, name: str) -> None:
    with pytest.raises(StoreRefused, match=r"Milvus.*refuses, and would again.*dim") as caught:
        filled.upsert(name, [4], np.ones((1, DIM + 1), dtype=np.float32), [picture()])
    assert caught.value.retry_after is None
    assert found(filled, name) == [1, 2, 3]
    filled.ping()


def test_rows_that_lack_a_field_of_the_collection_are_refused_for_good(opened: Opened, settings: Settings, name: str) -> None:
    store = opened()
    client = MilvusClient(uri=settings.vectors_uri)
    schema = store.schema.build(DIM, store.embedded)
    schema.add_field("colour", 5)  # INT64; a collection that says to be of our version, and is not
    client.create_collection(name, schema=schema, properties=store.schema.properties())
    client.close()
    with pytest.raises(StoreRefused, match="colour"):
        store.upsert(name, [1], fan(1), [picture()])


def test_a_value_that_milvus_does_not_take_is_refused_for_good(filled: VectorStore, name: str) -> None:
    with pytest.raises(StoreRefused):
        filled.upsert(name, [2**70], fan(1), [picture()])
    assert found(filled, name) == [1, 2, 3]


@pytest.mark.parametrize("index", ["HNSW", "IVF_FLAT", "FLAT"])
def test_the_index_can_be_changed_and_told(filled: VectorStore, name: str, index: str) -> None:
    filled.set_index(name, index)
    assert filled.index(name) == index
    assert [hit.id for hit in filled.search(name, axis(1)[None], 3, index, None, "Strong", False)[0]] == [1, 2, 3]


def test_a_collection_that_is_not_in_memory_is_loaded(filled: VectorStore, settings: Settings, name: str) -> None:
    client = MilvusClient(uri=settings.vectors_uri)
    client.release_collection(name)
    client.close()
    assert found(filled, name) == [1, 2, 3]


def test_a_closed_store_is_unavailable(filled: VectorStore, name: str) -> None:
    filled.close()
    filled.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        found(filled, name)


def test_nobody_at_the_address_is_unavailable(tmp_path: Path) -> None:
    store = VectorStore(Settings(data_dir=tmp_path, milvus_uri="http://user:secret@127.0.0.1:9", _env_file=None))  # type: ignore[call-arg]
    with pytest.raises(StoreUnavailable, match=r"Milvus at http://127.0.0.1:9 does not answer") as caught:
        store.ping()
    assert caught.value.retry_after
    assert "secret" not in str(caught.value)
    store.close()


@pytest.mark.services
@pytest.mark.parametrize("settings", ["standalone"], indirect=True)
@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_a_server_that_is_away_is_unavailable_whatever_is_asked(filled: VectorStore, name: str, milvus_server: Milvus, kill: bool) -> None:
    with milvus_server.down(kill=kill):
        for call in (
            lambda: filled.upsert(name, [4], fan(1), [picture()]),
            lambda: filled.delete(name, [1]),
            lambda: filled.get(name, [1], "Bounded"),
            lambda: filled.ensure(f"{name}_2", DIM, "FLAT"),
            lambda: filled.names(name),
            lambda: found(filled, name),
        ):
            with pytest.raises(StoreUnavailable):
                call()


@pytest.mark.skipif(sys.platform != "linux", reason="a file's bound stands for a full disk")
@pytest.mark.parametrize("settings", ["lite"], indirect=True)
def test_a_write_that_failed_takes_nothing_acknowledged_with_it(filled: VectorStore, opened: Opened, name: str, settings: Settings) -> None:
    folder = Path(settings.vectors_uri)
    bound = resource.getrlimit(resource.RLIMIT_FSIZE)
    for ids in ([4, 5], [6, 7]):
        largest = max(path.stat().st_size for path in folder.rglob("wal_data*"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 100, bound[1]))  # a record is begun and cannot be ended
        try:
            with pytest.raises((StoreUnavailable, StoreRefused)):
                filled.upsert(name, [90, 91], fan(2), [picture()] * 2)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, bound)
        filled.upsert(name, ids, fan(2), [picture()] * 2)
    filled.delete(name, [1])
    filled.upsert(name, [8], fan(1), [picture()])
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, bound[1]))  # its rows cannot be put into a file
    try:
        with pytest.raises((StoreUnavailable, StoreRefused)):
            filled.flush(name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, bound)
    filled.upsert(name, [9], fan(1), [picture()])
    killed = shutil.copytree(folder, folder.with_name("killed.db"))  # what a kill would leave now
    filled.flush(name)
    assert filled.ids(name, 0, 90).tolist() == list(range(2, 10))
    after = VectorStore(settings.model_copy(update={"milvus_uri": str(killed)}))
    assert after.ids(name, 0, 90).tolist() == list(range(2, 10))
    after.close()
