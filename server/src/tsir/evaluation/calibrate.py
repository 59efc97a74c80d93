"""What an encoder's scores mean, from benchmarks: how high pictures score that answer a question, and how high the best of others do.

Answers are the right pictures that stand among the first ten. Others are what a small library without them would show first: the best two
of a hundred pictures drawn at random. A query without words is asked by the name of its class, too, for all pictures of that class, and
pictures of known classes are asked by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.table import Table

from tsir.encoders.base import Encoder, Vectors
from tsir.encoders.relevance import KINDS, Calibration, Curve, Scores, fitted
from tsir.errors import InvalidInput
from tsir.evaluation.benchmark import Benchmark, named, read_benchmark, with_names
from tsir.evaluation.evaluate import Encoded, Progress, encode
from tsir.searching.fusion import alone, together, weight

FIRST = 10
LIBRARY, SHOWN = 100, 2  # pictures of the small library, and those that it shows
EXAMPLES = 300  # pictures asked by themselves, at most
BALANCES = (0.25, 1.0, 4.0)  # times the drawing's own weight beside words
FOLDS = 5


@dataclass(frozen=True)
class Fit:
    """A calibration, and how it does on queries that it has not seen."""

    calibration: Calibration
    measured: Mapping[str, Mapping[str, float]]
    """Kind -> "answers" (their number), "kept" (percent of them that lie at or above the cut), "others_above" (percent), by folds."""

    def to_json(self) -> dict[str, dict[str, float]]:
        """{"text": {"middle": ..., "steepness": ..., "cut": ..., "answers": n, "kept": percent, "others_above": percent}, ...}."""
        curves = self.calibration.curves
        return {
            kind: {"middle": curve.middle, "steepness": curve.steepness, "cut": curve.cut, **self.measured[kind]}
            for kind, curve in curves.items()
        }

    def to_table(self) -> Table:
        """The same for a terminal."""
        table = Table("", "answers", "kept, %", "others above the line, %", "relevance of the line")
        for kind, values in self.to_json().items():
            table.add_row(
                kind, f"{values['answers']:,.0f}", f"{values['kept']:.1f}", f"{values['others_above']:.1f}", f"{values['cut']:.3f}"
            )
        return table


Rows = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Group:
    """What one kind of question gave on one benchmark. A row a picture: its score, what is usual for the question, the question's place."""

    answers: Rows
    others: Rows

    def scores(self, usual: float, fold: int | None = None, held: bool = False) -> tuple[Scores, Scores]:
        """Less what is usual; of all questions, of all but a fold's, or (`held`) of a fold's."""
        rows = [found[(found[:, 2] % FOLDS == fold) == held] if fold is not None else found for found in (self.answers, self.others)]
        return rows[0][:, 0] - usual * rows[0][:, 1], rows[1][:, 0] - usual * rows[1][:, 1]


def calibrate(encoder: Encoder, queries: Sequence[Path], on_progress: Progress | None = None, *, seed: int = 0) -> Fit:
    """Fit an encoder's curves to benchmarks: query files, each with its gallery in `images` beside it.

    A kind of question that the benchmarks do not ask gets no curve. Raises InvalidInput for a wrong benchmark, and where none of the
    questions is answered.
    """
    rng = np.random.default_rng(seed)
    material: list[tuple[Benchmark, Encoded]] = []
    for path in queries:
        benchmark = read_benchmark(path.parent / "images", path)
        known = next((found.gallery for other, found in material if other.images == benchmark.images), None)
        material.append((benchmark, encode(benchmark, encoder, on_progress, known)))
    photos = {benchmark.images: found.gallery for benchmark, found in material}
    mean = np.asarray(np.nanmean(np.concatenate([*photos.values()]), axis=0), dtype=np.float32)
    ask = partial(_ask, mean=mean, rng=rng)
    groups: dict[str, list[_Group]] = {kind: [] for kind in KINDS}
    for benchmark, found in material:
        groups["text"].append(ask(found.gallery, alone(encoder, "text", found.texts), *_wanted(benchmark)))
        groups["text"].append(_names(benchmark, found.gallery, encoder, ask))
        groups["sketch"].append(ask(found.gallery, alone(encoder, "sketch", found.sketches), *_wanted(benchmark)))
        groups["image"].append(_examples(benchmark, found.gallery, ask, rng))
    curves = {kind: _fit(groups[kind], (0.0, 1.0)) for kind in ("text", "sketch", "image") if any(len(one.answers) for one in groups[kind])}
    if {"text", "sketch"} <= curves.keys():
        alike = Calibration(curves, mean)
        groups["mixed"] = [_mixed(encoder, *one, factor, alike, ask) for one in material for factor in BALANCES]
        if any(len(one.answers) for one in groups["mixed"]):
            curves["mixed"] = _fit(groups["mixed"], (0.0,))
    if not curves:
        raise InvalidInput("No query finds its picture among the first ten: there is nothing to learn from.")
    return Fit(Calibration(curves, mean), {kind: _folds(groups[kind], curve.usual) for kind, curve in curves.items()})


def _ask(
    gallery: Vectors,
    vectors: Vectors,
    right: Sequence[set[int]],
    kin: Sequence[set[int]],
    *,
    mean: Vectors,
    rng: np.random.Generator,
) -> _Group:
    """Ask each vector (zeros: no question) for the pictures at the places in `right`; those in `kin` are neither answers nor others."""
    answers: list[tuple[float, float, int]] = []
    others: list[tuple[float, float, int]] = []
    for query, (vector, places, near) in enumerate(zip(vectors, right, kin, strict=True)):
        if not vector.any() or not places:
            continue
        usual = float(vector @ mean)
        scores = np.nan_to_num(gallery @ vector, nan=-np.inf)
        first = np.argsort(-scores, kind="stable")[:FIRST]
        answers += [(float(scores[place]), usual, query) for place in first.tolist() if place in places]
        wrong = np.delete(scores, [*places, *near])
        wrong = rng.permutation(wrong[np.isfinite(wrong)])[:LIBRARY]
        others += [(float(score), usual, query) for score in np.sort(wrong)[-SHOWN:]]
    return _Group(*(np.array(found, dtype=np.float64).reshape(-1, 3) for found in (answers, others)))


def _classes(benchmark: Benchmark) -> dict[str, set[int]]:
    """Places of the pictures of each class."""
    places: dict[str, set[int]] = {}
    for place, name in enumerate(benchmark.image_classes):
        if name is not None:
            places.setdefault(name, set()).add(place)
    return places


def _wanted(benchmark: Benchmark) -> tuple[list[set[int]], list[set[int]]]:
    """The answers of each query, and pictures of its class."""
    classes = _classes(benchmark)
    return [set(query.targets) for query in benchmark.queries], [classes.get(query.class_name or "", set()) for query in benchmark.queries]


def _names(benchmark: Benchmark, gallery: Vectors, encoder: Encoder, ask: Callable[..., _Group]) -> _Group:
    """Each class by its name."""
    classes = _classes(benchmark)
    texts = encoder.texts([named(name) for name in classes])
    return ask(gallery, alone(encoder, "text", texts), [*classes.values()], [*classes.values()])


def _examples(benchmark: Benchmark, gallery: Vectors, ask: Callable[..., _Group], rng: np.random.Generator) -> _Group:
    """Some pictures by themselves, for others of their class."""
    asked = [(place, places - {place}) for places in _classes(benchmark).values() for place in sorted(places)]
    asked = [asked[row] for row in sorted(rng.permutation(len(asked))[:EXAMPLES])]
    gallery = np.nan_to_num(gallery)
    return ask(gallery, gallery[[place for place, _ in asked]], [places for _, places in asked], [{place} for place, _ in asked])


def _mixed(encoder: Encoder, benchmark: Benchmark, found: Encoded, factor: float, alike: Calibration, ask: Callable[..., _Group]) -> _Group:
    """Queries of words (the name of a class, where there are no others) and a drawing, whose weight is multiplied; scores as
    `Calibration.curve` measures them.
    """
    mix = {"text": weight(encoder, "text", {}), "sketch": factor * weight(encoder, "sketch", {})}
    benchmark = with_names(benchmark) if any(query.class_name for query in benchmark.queries) else benchmark
    words = [query.text or "" for query in benchmark.queries]
    texts = encoder.texts(words)
    drawn = together(encoder, found.sketches, words, mix)
    vectors, usual = np.zeros_like(texts), np.zeros(len(words))
    for row, query in enumerate(benchmark.queries):
        if query.text is not None and query.sketch is not None:
            base, unit = alike.expected([("text", texts[row], mix["text"]), ("sketch", drawn[row], mix["sketch"])])
            vectors[row], usual[row] = (mix["text"] * texts[row] + mix["sketch"] * drawn[row]) / unit, base / unit
    group = ask(found.gallery, vectors, *_wanted(benchmark))
    less = [rows - np.outer(usual[rows[:, 2].astype(np.int64)], (1, 0, 0)) for rows in (group.answers, group.others)]
    return _Group(*less)


def _fit(groups: Sequence[_Group], usual: Sequence[float]) -> Curve:
    """The likeliest of the curves that take off so much of what is usual."""
    try:
        tried = [(replace(fitted(scores), usual=less), scores) for less in usual if (scores := [group.scores(less) for group in groups])]
    except ValueError as error:
        raise InvalidInput(f"These benchmarks cannot tell what a score means: {error}") from error
    return max(tried, key=lambda one: _likelihood(*one))[0]


def _likelihood(curve: Curve, groups: Sequence[tuple[Scores, Scores]]) -> float:
    """Mean logarithm of what the curve says of answers and of others, both counting as much."""
    right = [math.log(curve.relevance(score)) for answers, _ in groups for score in answers.tolist()]
    wrong = [math.log(1 - curve.relevance(score)) for _, others in groups for score in others.tolist()]
    return float(np.mean(right) + np.mean(wrong))


def _folds(groups: Sequence[_Group], usual: float) -> dict[str, float]:
    """How a curve does that was fitted to the other four fifths of the queries."""
    kept: list[bool] = []
    above: list[bool] = []
    for fold in range(FOLDS):
        try:
            curve = fitted([group.scores(usual, fold) for group in groups])
        except ValueError:  # too few queries to leave some out
            continue
        for answers, others in (group.scores(usual, fold, held=True) for group in groups):
            kept += [curve.relevance(score) >= curve.cut for score in answers.tolist()]
            above += [curve.relevance(score) >= curve.cut for score in others.tolist()]
    return {
        "answers": sum(len(group.answers) for group in groups),
        "kept": round(100 * float(np.mean(kept)), 2) if kept else float("nan"),
        "others_above": round(100 * float(np.mean(above)), 2) if above else float("nan"),
    }
