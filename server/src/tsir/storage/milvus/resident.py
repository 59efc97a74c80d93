"""The vectors of a collection of the embedded Milvus, in memory: searched exactly, all at once.

Milvus Lite goes through its rows one by one in Python, which takes ten times as long.
It stays the store; this is a copy of what lies in its files, and follows every write.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tsir.records import Vectors

Ids = npt.NDArray[np.int64]

BYTES = 2**30
"""A collection of more is left to Milvus Lite: 260,000 vectors of 1,024 dimensions."""

SCORES = 2**24
"""Scores worked on at once."""

ATTEMPTS = 5
"""Milvus Lite tidies up in the background: so often its files are looked at again when they changed meanwhile."""

AT_ONCE = 8_192
"""Rows of a file that are held beside the vectors that are kept."""

GONE = -1
"""The id of a row that was removed."""


class Unsettled(Exception):
    """The files changed while they were read."""


@dataclass(frozen=True, slots=True)
class Found:
    """A raw hit: not yet known to be a ready image."""

    id: int
    score: float
    vector: Vectors | None


class Resident:
    """One writer at a time, any number of readers at any time: they see the rows of one moment."""

    def __init__(self, ids: Ids, vectors: Vectors) -> None:
        """Ids [n] and the vectors [n, dim], which it keeps."""
        self._rows = ids, vectors, len(ids), {id: place for place, id in enumerate(ids.tolist())}
        """Room for rows, how many are used, and where an id is."""

    @classmethod
    def empty(cls) -> Resident:
        return cls(np.empty(0, np.int64), np.empty((0, 0), np.float32))

    def __len__(self) -> int:
        return len(self._rows[3])

    @property
    def bytes(self) -> int:
        return self._rows[1].nbytes

    def put(self, ids: Sequence[int], vectors: Vectors) -> None:
        """Write vectors [n, dim]; those of ids that are there are replaced."""
        all_ids, all_vectors, used, places = self._rows
        known = [number for number, id in enumerate(ids) if id in places]
        if known:
            all_vectors[[places[ids[number]] for number in known]] = vectors[known]
        fresh = [number for number, id in enumerate(ids) if id not in places]
        if used + len(fresh) > len(all_ids):
            live = np.fromiter(places.values(), dtype=np.intp, count=len(places))
            used, room = len(live), max(1024, (len(live) + len(fresh)) * 5 // 4)
            grown_ids, grown = np.full(room, GONE, dtype=np.int64), np.empty((room, vectors.shape[1]), dtype=np.float32)
            if used:
                grown_ids[:used], grown[:used] = all_ids[live], all_vectors[live]
            all_ids, all_vectors, places = grown_ids, grown, {id: place for place, id in enumerate(places)}
        end = used + len(fresh)
        if fresh:
            all_ids[used:end], all_vectors[used:end] = [ids[number] for number in fresh], vectors[fresh]
            places.update((ids[number], used + place) for place, number in enumerate(fresh))
        self._rows = all_ids, all_vectors, end, places

    def remove(self, ids: Sequence[int]) -> None:
        """Ids that are not there are no error."""
        all_ids, _, _, places = self._rows
        all_ids[[place for id in ids if (place := places.pop(id, None)) is not None]] = GONE

    def get(self, ids: Sequence[int]) -> dict[int, Vectors]:
        """Vectors [dim] by id; ids without one are left out."""
        _, vectors, used, places = self._rows
        found = {id: place for id in ids if (place := places.get(id, used)) < used}
        return dict(zip(found, vectors[list(found.values())], strict=True))

    def search(self, queries: Vectors, k: int, among: Sequence[int] | None, with_vectors: bool) -> list[list[Found]]:
        """The k rows of the highest dot products with each of the queries [n, dim], best first, of all or those `among` some ids."""
        ids, vectors, used, _ = self._rows
        ids, vectors = ids[:used], vectors[:used]
        places = np.flatnonzero(ids != GONE if among is None else np.isin(ids, np.asarray(among, dtype=np.int64)))
        if not len(places):
            return [[] for _ in queries]
        if len(places) < used // 2:
            ids, vectors = ids[places], vectors[places]
            places = np.arange(len(ids))
        step = max(1, SCORES // len(ids))
        parts = (queries[start : start + step] @ vectors.T for start in range(0, len(queries), step))
        return [_best(row, places, ids, vectors, k, with_vectors) for part in parts for row in part]


def _best(
    scores: npt.NDArray[np.float32], places: npt.NDArray[np.intp], ids: Ids, vectors: Vectors, k: int, with_vectors: bool
) -> list[Found]:
    let_through = scores if len(places) == len(scores) else scores[places]
    best = np.argpartition(let_through, -k)[-k:] if k < len(let_through) else np.arange(len(let_through))
    best = places[best[np.argsort(-let_through[best], kind="stable")]]
    rows: Any = vectors[best] if with_vectors else [None] * len(best)
    return [Found(id, score, row) for id, score, row in zip(ids[best].tolist(), scores[best].tolist(), rows, strict=True) if id != GONE]


def read(folder: Path) -> Resident:
    """What the files of a collection of Milvus Lite hold, once it has flushed. Raises Unsettled, and whatever reading raises."""
    if not any(path.name.startswith("manifest") for path in folder.iterdir()) and not any(folder.glob("partitions/*/*/*")):
        return Resident.empty()  # nothing was ever written
    for _ in range(ATTEMPTS):
        manifest = (folder / "manifest.json").read_bytes()
        try:
            found = _read(folder, json.loads(manifest))
        except FileNotFoundError:
            continue
        if (folder / "manifest.json").read_bytes() == manifest:
            return found
    raise Unsettled


def _read(folder: Path, manifest: dict[str, Any]) -> Resident:
    """Of each id the youngest row counts, and none when it was deleted after that."""
    # `read_table`, `to_numpy` and `flatten` would load pandas or Arrow's functions, which takes longer than all else of a small start.
    from pyarrow.parquet import ParquetFile

    def column(kind: str, name: str) -> Iterator[Any]:
        for partition, part in manifest["partitions"].items():
            for place in part[kind]:
                with ParquetFile(folder / "partitions" / partition / place) as file:
                    for batch in file.iter_batches(AT_ONCE, columns=[name]):
                        yield batch.column(0)

    def numbers(kind: str, name: str) -> Ids:
        return np.concatenate([np.empty(0, np.int64), *(np.from_dlpack(part).astype(np.int64) for part in column(kind, name))])

    ids, ages = numbers("data_files", "id"), numbers("data_files", "_seq")
    order = np.lexsort((-ages, ids))
    youngest = order[np.r_[True, np.diff(ids[order]) != 0]] if len(order) else order
    gone_ids, gone_ages = numbers("delta_files", "id"), numbers("delta_files", "_seq")
    if len(gone_ids) and len(youngest):
        at = np.minimum(np.searchsorted(ids[youngest], gone_ids), len(youngest) - 1)
        dead = (ids[youngest[at]] == gone_ids) & (ages[youngest[at]] <= gone_ages)
        youngest = np.delete(youngest, at[dead])
    live = np.sort(youngest)
    kept = np.empty((0, 0), dtype=np.float32)
    start = 0
    for part in column("data_files", "vector"):
        rows = np.from_dlpack(part.values).reshape(-1, part.type.list_size)[part.offset : part.offset + len(part)]
        if not start:
            kept = np.empty((len(live), rows.shape[1]), dtype=np.float32)
        low, high = np.searchsorted(live, [start, start + len(rows)])
        np.take(rows, live[low:high] - start, axis=0, out=kept[low:high])
        start += len(rows)
    return Resident(ids[live], kept)
