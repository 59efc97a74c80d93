"""The vector store's curve over its size: recall, time of a search, memory and disk. Vectors are made from a fixed seed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from tsir.encoders.base import Vectors, unit
from tsir.evaluation.tables import WARM_UP, Say, Table, percentile, silent, times
from tsir.records import ImageMetadata
from tsir.settings import Settings

CHUNK = 10_000
"""Vectors made and inserted at a time: 20 MB at 512 dimensions."""
INTRINSIC = 16
"""Default dimensions in which random vectors really vary. Vectors that fill all dimensions evenly are as good as equally far from each
other, which no index can search and no encoder makes. With 16, the local intrinsic dimension (Levina & Bickel 2004, 50 neighbours) is 13.3,
and 13 thousand vectors have their nearest neighbour 0.63 away; of as many photos encoded by `lite` these are 13.7 and 0.59."""
ASIDE = 1.5
"""Length of the part of a query that no stored vector has, beside 1 for the part that they share: words and drawings lie apart from photos,
and the best scores stay near 0.5."""
FILTER_SHARE = 0.1
"""Part of the rows that the benchmark's filter lets through."""


def run_store(
    settings: Settings,
    *,
    sizes: Sequence[int] = (10_000, 100_000),
    dim: int = 512,
    index: str | None = None,
    queries: int = 200,
    top: int = 10,
    intrinsic: int = INTRINSIC,
    server_data: Path | None = None,
    say: Say = silent,
) -> Table:
    """Insert, index and search random unit vectors in the configured Milvus, a collection for each size, dropped afterwards.

    Recall is measured against exact search, without a filter and with one that lets a tenth of the rows through. `intrinsic` is the
    number of dimensions in which the vectors vary. Memory and disk are those of the embedded store, or of a Milvus on this machine
    (`server_data`: its folder, for the disk).
    """
    table = Table(f"vector store, {dim} dimensions, {settings.vectors_uri if not settings.vectors_embedded else 'Milvus Lite'}")
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="tsir-bench-") as scratch:
            own = settings.model_copy(update={"data_dir": Path(scratch)})
            data = Path(own.vectors_uri) if own.vectors_embedded else server_data
            chosen = index or (settings.vector_index if settings.vector_index != "auto" else _index_for(size, own.vectors_embedded))
            table.rows.append(_store_row(own, size, dim, chosen, queries, top, intrinsic, data, say))
    return table


def _index_for(size: int, embedded: bool) -> str:
    """What a library of that size has."""
    from tsir.library.stores import FLAT_LIMIT

    return "FLAT" if embedded or size <= FLAT_LIMIT else "HNSW"


def _store_row(
    settings: Settings, size: int, dim: int, index: str, queries: int, top: int, intrinsic: int, data: Path | None, say: Say
) -> dict[str, Any]:
    """One size of the curve."""
    from tsir.storage.filters import Filter
    from tsir.storage.milvus.client import VectorStore

    vectors = Made(dim, intrinsic)
    asked = vectors.asked(queries)
    exact, exact_filtered = Nearest(asked, top), Nearest(asked, top)
    epoch, days = datetime(2000, 1, 1), 10_000
    after = epoch + timedelta(days=days * (1 - FILTER_SHARE))

    name = f"bench_{uuid4().hex[:12]}"
    store = VectorStore(settings)
    store.ping()  # connected: the client's own memory is not counted
    memory, disk = _resident(settings), _size(data)
    try:
        store.ensure(name, dim, "FLAT")
        inserting = 0.0
        for start in range(0, size, CHUNK):
            say(f"{size:,} vectors: inserting", start / size)
            ids = range(start, min(start + CHUNK, size))
            rows = vectors.some(len(ids), seed=start)
            share = np.random.default_rng(start).random(len(ids))
            moments = [epoch + timedelta(days=days * float(part)) for part in share]
            facts = [_Facts(ImageMetadata(640, 480, "JPEG", when), (f"/photos/{when.year % 30}/picture.jpg",)) for when in moments]
            begun = time.perf_counter()
            store.upsert(name, list(ids), rows, facts)
            inserting += time.perf_counter() - begun
            exact.see(rows, np.arange(ids.start, ids.stop))
            late = np.array([when >= after for when in moments])
            exact_filtered.see(rows[late], np.arange(ids.start, ids.stop)[late])

        say(f"{size:,} vectors: building {index}", 0.0)
        begun = time.perf_counter()
        _flush(store, settings, name)
        store.set_index(name, index)
        row: dict[str, Any] = {
            "vectors": size,
            "index": index,
            "inserted per second": size / inserting,
            "index s": time.perf_counter() - begun,
        }
        store.search(name, asked[:1], top, index, None, "Strong", False)  # from here on all rows are seen
        for prefix, filter, right in (("", None, exact), ("filtered ", Filter(taken_after=after), exact_filtered)):
            found: list[list[int]] = []
            turn = iter(range(WARM_UP + queries))

            def ask(turn: Iterator[int] = turn, filter: Filter | None = filter, found: list[list[int]] = found) -> None:
                vector = asked[max(0, next(turn) - WARM_UP)]
                found.append([hit.id for hit in store.search(name, vector[None], top, index, filter, "Bounded", False)[0]])

            label = f"{size:,} vectors: {prefix}searching"
            times_ms = times(ask, queries, lambda share, label=label: say(label, share))  # type: ignore[misc]
            row[f"{prefix}p50 ms"], row[f"{prefix}p95 ms"] = percentile(times_ms, 50), percentile(times_ms, 95)
            row[f"{prefix}recall@{top}, %"] = 100 * right.recall(found[WARM_UP:])
        row["memory MB"] = _difference(_resident(settings), memory)
        row["disk MB"] = _difference(_size(data), disk)
    finally:
        store.drop(name)
        store.close()
    return row


@dataclass(frozen=True)
class _Facts:
    """A made picture."""

    metadata: ImageMetadata
    paths: tuple[str, ...]
    bytes: int = 100_000
    created_at: datetime = datetime(2024, 1, 1)


class Made:
    """Unit vectors that vary in few of their dimensions, as those of encoders do, with a little noise in all."""

    def __init__(self, dim: int, intrinsic: int) -> None:
        self._map = np.random.default_rng(7).standard_normal((min(intrinsic, dim), dim), dtype=np.float32)

    def some(self, number: int, seed: int) -> Vectors:
        """float32 [number, dim]; the same for the same seed."""
        draw = np.random.default_rng(seed + 1)
        inner, dim = self._map.shape
        rows = draw.standard_normal((number, inner), dtype=np.float32) @ self._map
        return unit(rows + 0.1 * inner**0.5 * draw.standard_normal((number, dim), dtype=np.float32))

    def asked(self, number: int) -> Vectors:
        """Queries, float32 [number, dim]: near the others, but not among them."""
        rows = self.some(number, seed=-1)
        return unit(rows + ASIDE * unit(np.random.default_rng(8).standard_normal(rows.shape, dtype=np.float32)))


class Nearest:
    """Exact search over vectors that come in chunks."""

    def __init__(self, queries: Vectors, top: int) -> None:
        self._queries, self._top = queries, top
        self._scores = np.full((len(queries), top), -np.inf, dtype=np.float32)
        self._ids: npt.NDArray[np.int64] = np.full((len(queries), top), -1, dtype=np.int64)

    def see(self, rows: Vectors, ids: npt.NDArray[np.int64]) -> None:
        scores = np.concatenate([self._scores, self._queries @ rows.T], axis=1)
        known = np.concatenate([self._ids, np.broadcast_to(ids, (len(self._queries), len(ids)))], axis=1)
        best = np.argpartition(-scores, self._top - 1, axis=1)[:, : self._top]
        self._scores, self._ids = np.take_along_axis(scores, best, axis=1), np.take_along_axis(known, best, axis=1)

    def recall(self, found: Sequence[Sequence[int]]) -> float:
        """Share of the exact nearest that were found, over all queries."""
        right = [set(row.tolist()) - {-1} for row in self._ids]
        return sum(len(wanted & set(got)) for wanted, got in zip(right, found, strict=True)) / max(1, sum(map(len, right)))


def _flush(store: Any, settings: Settings, name: str) -> None:
    """Seal what was inserted, so that the index covers it."""
    if settings.vectors_embedded:
        store.flush(name)
        return
    from pymilvus import MilvusClient

    token = settings.milvus_token.get_secret_value() if settings.milvus_token else ""
    client = MilvusClient(uri=settings.vectors_uri, token=token)
    try:
        client.flush(name, timeout=600)
    finally:
        client.close()


def _resident(settings: Settings) -> float | None:
    """Memory, MB, of this process (embedded), or of the Milvus processes of this machine; None where that cannot be known."""
    proc = Path("/proc")
    if not proc.is_dir():
        return None
    if settings.vectors_embedded:
        return _status_mb(proc / "self")
    host = settings.vectors_uri.split("://", 1)[1].split("/", 1)[0].rsplit(":", 1)[0]
    if host not in ("localhost", "127.0.0.1", "[::1]"):
        return None
    sizes = [_status_mb(path) for path in proc.glob("[0-9]*") if _command(path).startswith("milvus")]
    return sum(size for size in sizes if size is not None) if sizes else None


def _command(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:  # it ended
        return ""


def _status_mb(process: Path) -> float | None:
    try:
        lines = (process / "status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), None)


def _size(folder: Path | None) -> float | None:
    """Disk space of a folder, MB; 0 before it exists."""
    if folder is None:
        return None
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def _difference(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before


# Commands
