"""The embedded Milvus' vectors in memory: always what Milvus Lite has, and searched exactly."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.storage.conftest import DIM, fan, picture
from tsir.errors import StoreRefused, StoreUnavailable
from tsir.records import Vectors
from tsir.settings import Settings
from tsir.storage.milvus import lite, resident
from tsir.storage.milvus.client import VectorStore
from tsir.storage.milvus.resident import Resident

IDS = st.lists(st.integers(1, 40), unique=True, max_size=30)
WRITES = st.lists(st.tuples(st.booleans(), IDS), max_size=12)


def vectors_of(ids: list[int], change: int) -> Vectors:
    rng = np.random.default_rng([change, *ids])
    return rng.standard_normal((len(ids), DIM)).astype(np.float32)


@given(WRITES, st.integers(1, 50), st.none() | IDS)
def test_is_what_was_written_and_finds_the_nearest(writes: list[tuple[bool, list[int]]], k: int, among: list[int] | None) -> None:
    rows, expected = Resident.empty(), dict[int, Vectors]()
    for change, (put, ids) in enumerate(writes):
        if put:
            new = vectors_of(ids, change)
            rows.put(ids, new)
            expected |= dict(zip(ids, new, strict=True))
        else:
            rows.remove(ids)
            expected = {id: vector for id, vector in expected.items() if id not in ids}
        assert len(rows) == len(expected)
    held = rows.get(list(range(50)))
    assert held.keys() == expected.keys()
    assert all((held[id] == expected[id]).all() for id in expected)
    queries = vectors_of([1, 2], 99)
    for query, hits in zip(queries, rows.search(queries, k, among, True), strict=True):
        scores = {id: float(vector @ query) for id, vector in expected.items() if among is None or id in among}
        best = sorted(scores.values(), reverse=True)[:k]
        assert [hit.score for hit in hits] == pytest.approx(best, abs=1e-5)
        assert all(scores[hit.id] == pytest.approx(hit.score, abs=1e-5) for hit in hits)
        assert all(hit.vector is not None and (hit.vector == expected[hit.id]).all() for hit in hits)


@pytest.fixture
def store(tmp_path: Path) -> VectorStore:
    return VectorStore(Settings(data_dir=tmp_path, _env_file=None))  # type: ignore[call-arg]


def in_files(tmp_path: Path, name: str) -> dict[int, Vectors]:
    found = resident.read(tmp_path / "vectors.db" / lite.ROWS / name)
    return found.get(list(range(1000)))


def test_files_of_milvus_lite_are_read_as_it_reads_them(store: VectorStore, tmp_path: Path) -> None:
    """Over several files: rows written anew, deleted, and written after they were deleted."""
    store.ensure("one", DIM, "FLAT")
    vectors, facts = fan(40), [picture()] * 40

    def write(ids: range, shift: int) -> None:
        store.upsert("one", list(ids), np.roll(vectors, shift, axis=0)[: len(ids)], facts[: len(ids)])
        store.flush("one")

    write(range(40), 0)
    write(range(10, 20), 1)
    store.delete("one", list(range(5, 15)))
    store.flush("one")
    write(range(12, 14), 2)
    store.delete("one", [30])
    store.flush("one")
    expected = {id: vectors[id] for id in range(40)} | {id: np.roll(vectors, 1, axis=0)[id - 10] for id in range(10, 20)}
    expected |= {id: np.roll(vectors, 2, axis=0)[id - 12] for id in range(12, 14)}
    for id in [*range(5, 12), 14, 30]:
        del expected[id]
    held = in_files(tmp_path, "one")
    assert held.keys() == expected.keys() == set(store.ids("one", 0, None).tolist())
    assert all(held[id] == pytest.approx(expected[id]) for id in expected)
    store.close()


def test_what_is_in_memory_follows_every_write(store: VectorStore) -> None:
    store.ensure("one", DIM, "FLAT")
    assert store.in_memory("one")
    assert store.search("one", fan(1), 5, "FLAT", None, "Bounded", False) == [[]]
    store.upsert("one", [1, 2, 3], fan(3), [picture()] * 3)
    assert [hit.id for hit in store.search("one", fan(1), 5, "FLAT", None, "Bounded", False)[0]] == [1, 2, 3]
    store.delete("one", [1])
    assert store.get("one", [1, 2, 3], "Strong").keys() == {2, 3}
    store.drop("one")
    store.ensure("one", DIM, "FLAT")
    assert store.search("one", fan(1), 5, "FLAT", None, "Bounded", False) == [[]]
    store.close()


@pytest.mark.parametrize("why", ["newer files", "too large"])
def test_without_memory_milvus_lite_searches(store: VectorStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    store.ensure("one", DIM, "FLAT")
    store.upsert("one", [1, 2, 3], fan(3), [picture()] * 3)
    if why == "too large":
        monkeypatch.setattr(resident, "BYTES", 0)
    else:
        store.flush("one")
        manifest = tmp_path / "vectors.db" / lite.ROWS / "one" / "manifest.json"
        manifest.write_text(manifest.read_text().replace("data_files", "files_of_data"))
    assert not store.in_memory("one")
    assert [hit.id for hit in store.search("one", fan(1), 5, "FLAT", None, "Strong", False)[0]] == [1, 2, 3]
    store.close()


@pytest.fixture
def closed(store: VectorStore, tmp_path: Path) -> VectorStore:
    """A store that was not opened again since one with three rows and an empty one were closed."""
    for name in ("one", "empty"):
        store.ensure(name, DIM, "FLAT")
    store.upsert("one", [1, 2, 3, 4], fan(4), [picture()] * 4)
    store.delete("one", [4])
    store.close()
    return VectorStore(Settings(data_dir=tmp_path, _env_file=None))  # type: ignore[call-arg]


def unopened(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: VectorStore) -> None:
        raise StoreUnavailable("Milvus Lite is not open.")

    monkeypatch.setattr(VectorStore, "_connect", refuse)


def test_what_was_closed_is_searched_before_milvus_lite_is_open(closed: VectorStore) -> None:
    with pytest.MonkeyPatch.context() as patch:
        unopened(patch)
        closed.foresee(["one", "empty"])
        closed.ready()
        assert [hit.id for hit in closed.search("one", fan(1), 5, "FLAT", None, "Bounded", False)[0]] == [1, 2, 3]
        assert closed.search("empty", fan(1), 5, "FLAT", None, "Bounded", False) == [[]]
        assert closed.version("one") == closed.schema.version
    closed.upsert("one", [4], fan(4)[3:], [picture()])
    closed.upsert("empty", [1], fan(1), [picture()])
    closed.confirm("one")
    assert closed.in_memory("one")
    assert closed.get("one", [1, 2, 3, 4], "Strong").keys() == {1, 2, 3, 4}
    assert closed.get("empty", [1], "Strong").keys() == {1}
    closed.close()


def test_files_are_read_without_what_takes_longer_to_load(closed: VectorStore, tmp_path: Path) -> None:
    """A start waits for it."""
    code = (
        "import sys; from pathlib import Path; from tsir.storage.milvus import resident; held = resident.read(Path(sys.argv[1])); "
        "print(len(held), *{'pandas', 'pyarrow.compute', 'pymilvus', 'milvus_lite'} & set(sys.modules))"
    )
    folder = tmp_path / "vectors.db" / lite.ROWS / "one"
    assert subprocess.check_output([sys.executable, "-c", code, str(folder)], text=True).split() == ["3"]
    closed.close()


@pytest.mark.parametrize("how", ["killed", "damaged", "of a newer version", "gone"])
def test_what_was_not_closed_in_order_waits_for_milvus_lite(
    closed: VectorStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    folder = tmp_path / "vectors.db" / lite.ROWS / "one"
    if how == "killed":
        (folder / "wal" / "wal_data_000007.arrow").touch()
    elif how == "damaged":
        next(folder.glob("partitions/*/data/*.parquet")).write_bytes(b"nothing")
    elif how == "of a newer version":
        (folder / "schema.json").write_text((folder / "schema.json").read_text().replace('"tsir.schema": "', '"tsir.schema": "9'))
    else:
        shutil.rmtree(folder)
    unopened(monkeypatch)
    closed.foresee(["empty", "one"])
    with pytest.raises(StoreUnavailable):
        closed.ready()
    with pytest.raises(StoreUnavailable):
        closed.search("one", fan(1), 5, "FLAT", None, "Bounded", False)


def test_memory_that_milvus_lite_does_not_confirm_is_given_up(closed: VectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    closed.foresee(["one"])
    monkeypatch.setattr(closed, "count", lambda name: 2)
    closed.confirm("one")
    assert not closed.in_memory("one")
    closed.close()


def test_one_that_cannot_be_opened_is_not_ready(closed: VectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(uri: str) -> None:
        raise OSError("no")

    closed.foresee(["one"])
    monkeypatch.setattr(lite, "prepare", fail)
    closed.ready()
    for ask in (closed.ping, closed.ready):
        with pytest.raises(StoreRefused):
            ask()
