"""Versions of the vectors' schema: recognised, served, copied into the newest, and refused when they are newer than ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from pymilvus import DataType, MilvusClient

from tests.storage.conftest import DIM, WIDER, Opened, Picture, Wider, axis, fan, found, picture
from tsir.errors import Conflict, StoreUnavailable
from tsir.settings import Settings
from tsir.storage.filters import Filter
from tsir.storage.milvus.client import VectorStore
from tsir.storage.milvus.copying import copy
from tsir.storage.milvus.schema import SCHEMA

PICTURES = 7


def make_unmarked(settings: Settings, name: str) -> None:
    """A collection as it was made before collections knew their version."""
    client = MilvusClient(uri=settings.vectors_uri)
    schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIM)
    for field in ("taken", "width", "height", "shape"):
        schema.add_field(field, DataType.INT64)
    schema.add_field("format", DataType.VARCHAR, max_length=32)
    schema.add_field("located", DataType.BOOL)
    if settings.vectors_embedded:
        schema.add_field("folders", DataType.VARCHAR, max_length=65_535)
    else:
        schema.add_field("folders", DataType.ARRAY, element_type=DataType.INT64, max_capacity=1_000)
    client.create_collection(name, schema=schema, consistency_level="Bounded")
    params = client.prepare_index_params()
    metric = "IP" if settings.vectors_embedded else "COSINE"
    params.add_index("vector", index_type="FLAT", index_name="vector", metric_type=metric, params={})
    client.create_index(name, params)
    client.load_collection(name)
    client.close()


def shot(id: int) -> Picture:
    return picture(camera="Canon" if id % 2 else "Camera", width=100 * id, path=f"/photos/{id}.jpg")


class Ledger:
    """Notes on a copy, as the catalog keeps them, in pages of three."""

    def __init__(self, pictures: Mapping[int, Picture], cut_off_after: int | None = None) -> None:
        self.pictures = dict(pictures)
        self.done: set[int] = set()
        self.gone: set[int] = set()
        self.cut_off_after = cut_off_after

    def lacking(self, after: int) -> Mapping[int, Picture]:
        if self.cut_off_after is not None and len(self.done) >= self.cut_off_after:
            raise StoreUnavailable("The catalog is away.")
        todo = [id for id in sorted(self.pictures) if id > after and id not in self.done]
        return {id: self.pictures[id] for id in todo[:3]}

    def copied(self, written: Mapping[int, Picture]) -> Sequence[int]:
        self.done |= set(written) - self.gone
        return [id for id in written if id in self.gone]


@pytest.fixture
def old(opened: Opened, settings: Settings, name: str) -> str:
    """The name of a collection of the first version, without a mark, with PICTURES pictures; ids from 1."""
    make_unmarked(settings, name)
    ids = range(1, PICTURES + 1)
    store = opened()
    store.upsert(name, list(ids), fan(PICTURES), [shot(id) for id in ids])
    return name


@pytest.fixture
def pictures() -> dict[int, Picture]:
    return {id: shot(id) for id in range(1, PICTURES + 1)}


def test_a_collection_without_a_mark_is_of_the_first_version_and_works_as_before(opened: Opened, old: str) -> None:
    store = opened()
    assert store.version(old) == 1
    store.ensure(old, DIM, "FLAT")
    assert found(store, old) == list(range(1, PICTURES + 1))
    assert found(store, old, Filter(min_width=600, folder="/photos")) == [6, 7]
    assert found(store, old, Filter(folder="/photos/7")) == []
    store.upsert(old, [8], axis(1)[None], [shot(8)])
    assert found(store, old)[0] in (1, 8)


def test_collections_made_now_are_marked_with_the_newest_version(opened: Opened, name: str) -> None:
    store = opened()
    store.ensure(name, DIM, "FLAT")
    assert store.version(name) == store.schema.version
    store = opened(WIDER)
    store.ensure(f"{name}_wider", DIM, "FLAT")
    assert (store.version(name), store.version(f"{name}_wider")) == (SCHEMA.version, WIDER.version)


def test_an_old_collection_is_searched_and_written_by_a_newer_version(opened: Opened, old: str) -> None:
    store = opened(WIDER)
    assert store.version(old) == 1
    store.upsert(old, [8], axis(0, 1)[None], [shot(8)])
    assert found(store, old, Wider(min_width=700)) == [7, 8]
    with pytest.raises(Conflict, match="without maker"):
        found(store, old, Wider(maker="Canon"))


def same_hits(store: VectorStore, one: str, other: str) -> None:
    hits = [store.search(name, axis(1)[None], PICTURES, "FLAT", None, "Strong", True)[0] for name in (one, other)]
    assert [(hit.id, hit.score) for hit in hits[0]] == [(hit.id, hit.score) for hit in hits[1]]
    for before, after in zip(*hits, strict=True):
        assert before.vector is not None
        assert after.vector is not None
        assert before.vector.tobytes() == after.vector.tobytes()


def test_a_copy_has_the_same_vectors_and_the_new_column(opened: Opened, old: str, pictures: dict[int, Picture]) -> None:
    store, ledger, new = opened(WIDER), Ledger(pictures), f"{old}_new"
    store.ensure(new, DIM, "FLAT")
    assert copy(store, old, new, ledger) == PICTURES
    assert copy(store, old, new, ledger) == 0
    same_hits(store, old, new)
    assert found(store, new, Wider(maker="Canon")) == [1, 3, 5, 7]
    assert found(store, new, Wider(maker="Camera", min_width=300)) == [4, 6]


def test_a_copy_that_was_cut_off_goes_on_where_it_stopped(opened: Opened, old: str, pictures: dict[int, Picture]) -> None:
    store, ledger, new = opened(WIDER), Ledger(pictures, cut_off_after=3), f"{old}_new"
    store.ensure(new, DIM, "FLAT")
    with pytest.raises(StoreUnavailable):
        copy(store, old, new, ledger)
    assert found(store, old) == list(range(1, PICTURES + 1))
    store, ledger.cut_off_after = opened(WIDER), None
    assert copy(store, old, new, ledger) == PICTURES - 3
    same_hits(store, old, new)


def test_a_copy_leaves_out_what_was_deleted_and_what_has_no_vector(opened: Opened, old: str, pictures: dict[int, Picture]) -> None:
    store, new = opened(WIDER), f"{old}_new"
    store.ensure(new, DIM, "FLAT")
    ledger = Ledger({**pictures, 99: shot(99)})
    ledger.gone = {2}
    assert copy(store, old, new, ledger) == PICTURES - 1
    assert found(store, new) == [1, 3, 4, 5, 6, 7]
    assert 99 not in ledger.done


def test_a_newer_version_is_refused_with_advice(opened: Opened, name: str) -> None:
    store = opened(WIDER)
    store.ensure(name, DIM, "FLAT")
    store.upsert(name, [1], fan(1), [shot(1)])
    store = opened()
    said = rf"newer version of tsir \(schema {WIDER.version}, this one knows up to {SCHEMA.version}\)\. Update tsir"
    for call in (
        lambda: store.version(name),
        lambda: found(store, name),
        lambda: store.upsert(name, [2], fan(1), [shot(2)]),
        lambda: store.ensure(name, DIM, "FLAT"),
        lambda: store.set_index(name, "HNSW"),
    ):
        with pytest.raises(Conflict, match=said):
            call()
    assert found(opened(WIDER), name) == [1]


def test_a_collection_that_was_made_anew_with_a_newer_schema_gets_whole_rows(opened: Opened, settings: Settings, old: str) -> None:
    store = opened(WIDER)
    store.upsert(old, [8], axis(0, 1)[None], [shot(8)])
    client = MilvusClient(uri=settings.vectors_uri)  # another process, after Milvus lost the collection
    client.drop_collection(old)
    client.create_collection(old, schema=WIDER.build(DIM, store.embedded), properties=WIDER.properties())
    client.close()
    store.upsert(old, [9], axis(0, 1)[None], [shot(9)])
    store.set_index(old, "FLAT")
    assert found(store, old, Wider(maker="Canon")) == [9]
    assert np.array_equal(store.get(old, [9], "Strong")[9], axis(0, 1))
