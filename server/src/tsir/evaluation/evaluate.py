"""Measure an encoder on a benchmark: encode the gallery, ask every query by text, by sketch and by both, rank.

Exact search with numpy, no store: what is measured is the encoder and the fusion of its vectors.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL.Image import Image
from rich.table import Table

from tsir.encoders.base import Encoder, Vectors
from tsir.errors import InvalidImage, InvalidInput, TooLarge
from tsir.evaluation import metrics
from tsir.evaluation.benchmark import Benchmark, Query, read_benchmark, with_names
from tsir.importing.reading import least_sides, photo_for
from tsir.media.decode import open_picture, open_sketch
from tsir.paging import chunks
from tsir.searching.fusion import alone, fuse, together, weight

MODALITIES = ("text", "sketch", "both")
TOP = 10  # hits kept for the report
BATCH = 32  # where the encoders' throughput levels off
MAX_BYTES = 2**30  # a benchmark is one's own data; the limit only keeps a stray film or disk image out of memory
MAX_PIXELS = 200_000_000
QUERIES_AT_ONCE = 128  # rows of the score table held at a time: 128 x 100,000 pictures is 50 MB

Progress = Callable[[int, int], None]
"""Called with (done, total) pictures, sketches and texts."""

_In = TypeVar("_In")
_Out = TypeVar("_Out")


@dataclass(frozen=True)
class Result:
    """One query, asked in one modality."""

    query: Query
    rank: int
    """Rank of the best target, from 1."""
    target: int
    """That target's place in `Benchmark.names`."""
    top: tuple[int, ...]
    """Places of the first hits, best first."""
    scores: tuple[float, ...]
    """Their scores."""


@dataclass(frozen=True)
class Measured:
    """All queries of one modality."""

    values: dict[str, float]
    """Measure -> value; recalls and precisions in percent."""
    intervals: dict[str, tuple[float, float]]
    results: tuple[Result, ...]


@dataclass(frozen=True)
class Report:
    """What an evaluation found."""

    benchmark: Benchmark
    encoder: str
    fingerprint: str
    weights: dict[str, float]
    """Fusion weights of "both"."""
    modalities: dict[str, Measured]
    seconds: float
    """Time for encoding gallery and queries."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Gallery pictures that were left out (no query's target), with the reason."""
    gains: dict[str, metrics.Gain] = field(default_factory=dict)
    """Measure -> "both" over the better one of text and sketch, on the queries that have the two; empty unless all three were measured."""

    def to_json(self) -> dict[str, dict[str, Any]]:
        """{"text": {"queries": n, "recall@1": percent, ..., "interval95": {"recall@1": [low, high], ...}}, ...}.

        "both" has `over_better` besides: {"recall@1": {"part": "text", "gain": points, "interval95": [low, high]}, ...}.
        """
        answer: dict[str, dict[str, Any]] = {
            name: {
                "queries": len(measured.results),
                **{measure: round(value, 4) for measure, value in measured.values.items()},
                "interval95": {measure: [round(low, 4), round(high, 4)] for measure, (low, high) in measured.intervals.items()},
            }
            for name, measured in self.modalities.items()
        }
        if self.gains:
            answer["both"]["over_better"] = {
                measure: {"part": gain.part, "gain": round(gain.value, 4), "interval95": [round(bound, 4) for bound in gain.interval]}
                for measure, gain in self.gains.items()
            }
        return answer

    def to_table(self) -> Table:
        """The same for a terminal: a column per modality, intervals dimmed."""
        table = Table(title=f"{self.encoder} on {self.benchmark.source.name}: {len(self.benchmark.names):,} pictures", title_justify="left")
        table.add_column("")
        for name in self.modalities:
            table.add_column(name, justify="right")
        if self.gains:
            table.add_column("both over the better part", justify="right")
        table.add_row("queries", *(f"{len(measured.results):,}" for measured in self.modalities.values()))
        measures = list(dict.fromkeys(measure for measured in self.modalities.values() for measure in measured.values))
        for measure in measures:
            table.add_row(measure, *(_cell(measure, measured) for measured in self.modalities.values()), *self._gain(measure))
        if "both" in self.modalities:
            table.caption = "both: " + ", ".join(f"{part} x {weight:g}" for part, weight in self.weights.items())
        return table

    def _gain(self, measure: str) -> tuple[str, ...]:
        if measure not in self.gains:
            return ()
        gain = self.gains[measure]
        value, low, high = (f"{number:+.3f}" if measure == "mrr" else f"{number:+.1f}" for number in (gain.value, *gain.interval))
        return (f"{value} [dim]{low}–{high} over {gain.part}[/dim]",)


def shown(measure: str, value: float) -> str:
    """A measure's value as people read it."""
    if measure == "mrr":
        return f"{value:.3f}"
    return f"{round(value, 1):g}" if measure == "median_rank" else f"{value:.1f}"


def _cell(measure: str, measured: Measured) -> str:
    if measure not in measured.values:
        return ""
    low, high = measured.intervals[measure]
    return f"{shown(measure, measured.values[measure])} [dim]{shown(measure, low)}–{shown(measure, high)}[/dim]"


def parse_weights(text: str) -> dict[str, float]:
    """`text=1,sketch=0.5` -> {"text": 1.0, "sketch": 0.5}. Raises InvalidInput with what is wrong."""
    weights: dict[str, float] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, number = (piece.strip() for piece in part.partition("="))
        try:
            weights[name] = float(number)
        except ValueError:
            raise InvalidInput(f"The weight {part!r} is not NAME=NUMBER: write weights like text=1,sketch=0.5.") from None
    return weights


def run_eval(
    images: Path,
    queries: Path,
    encoder: Encoder,
    *,
    modality: str = "all",
    weights: Mapping[str, float] | None = None,
    names: bool = False,
    distractors: Path | None = None,
    on_progress: Progress | None = None,
) -> Report:
    """Measure `encoder` on the gallery folder `images` with the query file `queries`.

    `modality` is text, sketch, both or all: text asks every query that has words, sketch every one that has a drawing, both every one
    that has the two, so that text alone and both are measured on the same queries where all have both. `weights` of "both" override
    the encoder's own. With `names`, a query without words is asked by the name of its class as well. `distractors`: a folder of
    pictures that join the gallery and answer nothing. Raises InvalidInput (InvalidImage) with a sentence for a wrong benchmark, modality
    or weight.
    """
    if modality not in (*MODALITIES, "all"):
        raise InvalidInput(f"There is no modality {modality!r}: use text, sketch, both or all.")
    mix = _weights(encoder, weights or {})
    benchmark = read_benchmark(images, queries, distractors)
    if names:
        benchmark = with_names(benchmark)
    asked = {name: _asked(benchmark.queries, name) for name in (MODALITIES if modality == "all" else (modality,))}
    asked = {name: rows for name, rows in asked.items() if rows or modality != "all"}
    for name, rows in asked.items():
        if not rows:
            needs = {"text": "a text", "sketch": "a sketch", "both": "both a text and a sketch"}[name]
            raise InvalidInput(f"No query in {queries} has {needs}: choose another modality.")

    texts = sorted({row for name in ("text", "both") for row in asked.get(name, [])})
    sketches = sorted({row for name in ("sketch", "both") for row in asked.get(name, [])})
    begun = time.perf_counter()
    count = _Count(len(benchmark.names) + len(texts) + len(sketches), on_progress)
    gallery, unreadable = _gallery(benchmark, encoder, count)
    text_vectors = _texts(benchmark, encoder, texts, count)
    sketch_vectors = _sketches(benchmark, encoder, sketches, count)
    seconds = time.perf_counter() - begun

    vectors = {"text": alone(encoder, "text", text_vectors), "sketch": alone(encoder, "sketch", sketch_vectors)}
    if "both" in asked:
        drawn = together(encoder, sketch_vectors, [query.text or "" for query in benchmark.queries], mix)
        vectors["both"] = fuse([(text_vectors, mix["text"]), (drawn, mix["sketch"])])
    measured = {name: _measure(benchmark, gallery, vectors[name], rows) for name, rows in asked.items()}
    return Report(benchmark, encoder.name, encoder.fingerprint, mix, measured, seconds, unreadable, _gains(measured))


def _texts(benchmark: Benchmark, encoder: Encoder, rows: Sequence[int], count: _Count) -> Vectors:
    """Vectors of the words of the queries at `rows`, zeros for others: [queries, dim]."""
    vectors = np.zeros((len(benchmark.queries), encoder.dim), dtype=np.float32)
    for some in chunks(rows, BATCH):
        vectors[some] = encoder.texts([benchmark.queries[row].text or "" for row in some])
        count.add(len(some))
    return vectors


def _sketches(benchmark: Benchmark, encoder: Encoder, rows: Sequence[int], count: _Count) -> Vectors:
    """Vectors of the drawings of the queries at `rows`, zeros for others: [queries, dim]."""
    vectors = np.zeros((len(benchmark.queries), encoder.dim), dtype=np.float32)
    drawings = _ahead(lambda row: _sketch(benchmark.queries[row], encoder), rows)
    for some in chunks(rows, BATCH):
        vectors[some] = encoder.sketches(list(islice(drawings, len(some))))
        count.add(len(some))
    return vectors


@dataclass(frozen=True)
class Encoded:
    """A benchmark as vectors."""

    gallery: Vectors
    """[gallery, dim]; NaN where a picture cannot be read."""
    texts: Vectors
    """[queries, dim]; zeros for a query without words."""
    sketches: Vectors
    """The same of drawings."""


def encode(benchmark: Benchmark, encoder: Encoder, on_progress: Progress | None = None, gallery: Vectors | None = None) -> Encoded:
    """Everything that a benchmark has; `gallery`: where its pictures are encoded already.

    Raises InvalidImage for a drawing or a target that cannot be read.
    """
    texts, sketches = (_asked(benchmark.queries, part) for part in ("text", "sketch"))
    count = _Count(len(texts) + len(sketches) + (len(benchmark.names) if gallery is None else 0), on_progress)
    if gallery is None:
        gallery, _ = _gallery(benchmark, encoder, count)
    return Encoded(gallery, _texts(benchmark, encoder, texts, count), _sketches(benchmark, encoder, sketches, count))


def _gains(measured: Mapping[str, Measured]) -> dict[str, metrics.Gain]:
    """ "both" over the better part, on the queries of "both"; nothing where a modality was not measured."""
    if not measured.keys() >= set(MODALITIES):
        return {}
    found = {name: {result.query: result.rank for result in measured[name].results} for name in MODALITIES}
    asked = [result.query for result in measured["both"].results]
    rank = {name: np.array([by_query[query] for query in asked], dtype=np.int64) for name, by_query in found.items()}
    return metrics.gains(rank["both"], {"text": rank["text"], "sketch": rank["sketch"]}, [query.targets for query in asked])


def _weights(encoder: Encoder, chosen: Mapping[str, float]) -> dict[str, float]:
    mix = {part: weight(encoder, part, chosen) for part in ("text", "sketch")}
    for part, value in chosen.items():
        if part not in mix:
            raise InvalidInput(f"There is no weight {part!r} here: a benchmark query has text and sketch.")
        if not math.isfinite(value):
            raise InvalidInput(f"The weight of {part} must be a finite number.")
    if not any(mix.values()):
        raise InvalidInput("At least one of the weights of text and sketch must not be 0.")
    return mix


def _asked(queries: Sequence[Query], modality: str) -> list[int]:
    """Places of the queries that have what the modality needs."""
    return [
        row
        for row, query in enumerate(queries)
        if (query.text is not None or modality == "sketch") and (query.sketch is not None or modality == "text")
    ]


def _measure(benchmark: Benchmark, gallery: Vectors, vectors: Vectors, rows: Sequence[int]) -> Measured:
    """Rank the gallery for the queries at `rows`."""
    classes = np.array([name or "" for name in benchmark.image_classes], dtype=object)
    results: list[Result] = []
    precision: list[npt.NDArray[np.float64]] = []
    for some in chunks(rows, QUERIES_AT_ONCE):
        queries = [benchmark.queries[row] for row in some]
        scores = np.nan_to_num(np.asarray(vectors[some] @ gallery.T, dtype=np.float32), nan=-np.inf)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :TOP]
        for query, line, rank, top in zip(queries, scores, metrics.ranks(scores, [query.targets for query in queries]), order, strict=True):
            best = max(query.targets, key=lambda place: line[place])
            results.append(Result(query, int(rank), best, tuple(map(int, top)), tuple(float(line[place]) for place in top)))
        known = [row for row, query in enumerate(queries) if query.class_name is not None]
        if known and any(benchmark.image_classes):
            same = np.array([classes == queries[row].class_name for row in known], dtype=np.bool_)
            precision.append(metrics.class_precision(scores[known], same))
    found = np.array([result.rank for result in results], dtype=np.int64)
    shares = np.concatenate(precision) if precision else None
    return Measured(metrics.summary(found, shares), metrics.intervals(found, shares), tuple(results))


def _gallery(benchmark: Benchmark, encoder: Encoder, count: _Count) -> tuple[Vectors, dict[str, str]]:
    """Vectors [gallery, dim]; a picture that cannot be read keeps NaN, which ranks last, and its reason is returned."""
    wanted = {place for query in benchmark.queries for place in query.targets}
    vectors = np.full((len(benchmark.names), encoder.dim), np.nan, dtype=np.float32)
    unreadable: dict[str, str] = {}
    photos = _ahead(lambda place: _photo(benchmark.path(place), encoder), range(len(benchmark.names)))
    for places in chunks(range(len(benchmark.names)), BATCH):
        read: dict[int, Image] = {}
        for place, photo in zip(places, islice(photos, len(places)), strict=True):
            if isinstance(photo, Image):
                read[place] = photo
            elif place in wanted:
                raise InvalidImage(f"{benchmark.path(place)}, which queries of {benchmark.source} look for, cannot be read: {photo}")
            else:
                unreadable[benchmark.names[place]] = photo
        vectors[list(read)] = encoder.images(list(read.values()))
        count.add(len(places))
    return vectors, unreadable


def _photo(path: Path, encoder: Encoder) -> Image | str:
    """The model's pixels, decoded at a reduced size where imports do so too; or the reason why there are none."""
    short, long = least_sides(encoder) or (None, None)
    try:
        picture = open_picture(path, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS, min_side=short, min_long_side=long)
        return photo_for(encoder, picture)
    except (InvalidImage, TooLarge) as error:
        return str(error)


def _sketch(query: Query, encoder: Encoder) -> Image:
    assert query.sketch is not None
    try:
        return encoder.prepare_sketch(open_sketch(query.sketch, max_bytes=MAX_BYTES, max_pixels=MAX_PIXELS))
    except (InvalidImage, TooLarge) as error:
        raise InvalidImage(f"The sketch {query.sketch!s} of query {query.id} cannot be read: {error}") from None


class _Count:
    """How many of all pictures, sketches and texts are encoded."""

    def __init__(self, total: int, on_progress: Progress | None) -> None:
        self.done, self.total, self.on_progress = 0, total, on_progress

    def add(self, number: int) -> None:
        self.done += number
        if self.on_progress is not None:
            self.on_progress(self.done, self.total)


def _ahead(work: Callable[[_In], _Out], items: Iterable[_In]) -> Iterator[_Out]:
    """`map` in threads, in order, two batches ahead of the consumer: decoding overlaps encoding and memory stays bounded."""
    source = iter(items)
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 2), thread_name_prefix="eval-decode") as pool:
        waiting: deque[Future[_Out]] = deque(pool.submit(work, item) for item in islice(source, 2 * BATCH))
        try:
            while waiting:
                done = waiting.popleft().result()
                for item in islice(source, 1):
                    waiting.append(pool.submit(work, item))
                yield done
        finally:
            for future in waiting:
                future.cancel()
