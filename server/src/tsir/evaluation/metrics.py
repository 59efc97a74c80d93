"""Retrieval measures: recall@k, median rank, mean reciprocal rank, class precision@k, and their uncertainty.

Ties are read pessimistically: a wrong picture with the same score as the right one counts as ranked before it, so an encoder that
gives every picture the same vector finds nothing, whatever the order of the files. Class precision at the cut is averaged over
the ways to break the tie.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CUTS = (1, 5, 10)
PRECISION_CUT = 10
RESAMPLES = 1000  # the interval's own noise is then well under its width
RESAMPLE_CELLS = 4_000_000  # resample x query cells at once: bounds memory to some tens of MB


def ranks(scores: npt.NDArray[np.float32], targets: Sequence[Sequence[int]]) -> npt.NDArray[np.int64]:
    """Rank, from 1, of each query's best target; its other targets do not count as being in the way.

    `scores` [queries, gallery], higher is better; `targets`: places in the gallery, at least one per query. Returns int64 [queries].
    A score that is not a number ranks last.
    """
    found = np.empty(len(targets), dtype=np.int64)
    for row, (line, right) in enumerate(zip(scores, targets, strict=True)):
        known = np.nan_to_num(line, nan=-np.inf)
        places = list(right)
        before = known >= known[places].max()
        before[places] = False
        found[row] = 1 + np.count_nonzero(before)
    return found


def class_precision(scores: npt.NDArray[np.float32], same_class: npt.NDArray[np.bool_], cut: int = PRECISION_CUT) -> Floats:
    """Share of pictures of the query's class among the first `cut`, per query.

    `scores` and `same_class` [queries, gallery]. Where several pictures tie at the cut, each is counted by its chance to be in.
    A gallery smaller than `cut` is counted whole. Returns float64 [queries] in [0, 1].
    """
    cut = min(cut, scores.shape[1])
    shares = np.empty(len(scores), dtype=np.float64)
    for row, (line, good) in enumerate(zip(scores, same_class, strict=True)):
        known = np.nan_to_num(line, nan=-np.inf)
        edge = np.partition(known, -cut)[-cut]  # the score of the last picture that is in
        inside, tied = known > edge, known == edge
        open_places = cut - np.count_nonzero(inside)
        shares[row] = (np.count_nonzero(good & inside) + open_places * np.count_nonzero(good & tied) / np.count_nonzero(tied)) / cut
    return shares


def summary(found: npt.NDArray[np.int64], precision: Floats | None = None) -> dict[str, float]:
    """Ranks [queries] (and class precisions of the queries whose class is known) -> the measures; recall and precision in percent."""
    return {name: float(measure(values[np.newaxis])[0]) for name, values, measure in _measures(found, precision)}


def intervals(found: npt.NDArray[np.int64], precision: Floats | None = None, *, seed: int = 0) -> dict[str, tuple[float, float]]:
    """95% bootstrap interval of each measure of `summary`: percentiles over resampled queries. The same seed gives the same numbers."""
    bounds: dict[str, tuple[float, float]] = {}
    for name, values, measure in _measures(found, precision):
        draw = np.random.default_rng(seed)  # afresh, so that a measure does not depend on which others are taken
        step = max(1, RESAMPLE_CELLS // len(values))
        sizes = [min(step, RESAMPLES - start) for start in range(0, RESAMPLES, step)]
        samples = [measure(values[draw.integers(0, len(values), (size, len(values)))]) for size in sizes]
        low, high = np.percentile(np.concatenate(samples), (2.5, 97.5))
        bounds[name] = (float(low), float(high))
    return bounds


@dataclass(frozen=True)
class Gain:
    """What two parts of a query find together beyond the better one of them."""

    part: str
    """The better part."""
    value: float
    """Together less the better part, in the measure's own unit."""
    interval: tuple[float, float]
    """95%, paired bootstrap."""


def gains(
    together: npt.NDArray[np.int64], parts: Mapping[str, npt.NDArray[np.int64]], groups: Sequence[Hashable] | None = None, *, seed: int = 0
) -> dict[str, Gain]:
    """Recall@k and mrr of queries asked with all parts, over the better part by itself; ranks [queries] of the same queries in all.

    The bootstrap is paired (a query is drawn with all its ranks), draws whole groups (queries for one picture are not independent; None:
    each query by itself), and chooses the better part anew in each resample, since that choice is part of what is measured.
    """
    members = _numbered(groups if groups is not None else range(len(together)))
    number = int(members.max()) + 1
    sizes = np.bincount(members)
    draw = np.random.default_rng(seed)
    times = np.stack([np.bincount(draw.integers(0, number, number), minlength=number) for _ in range(RESAMPLES)]).astype(np.float64)
    weights = times / (times @ sizes)[:, np.newaxis]
    names, found = list(parts), {}
    for measure, values in _values([together, *parts.values()]).items():
        sums = np.stack([np.bincount(members, row, minlength=number) for row in values])
        whole, samples = sums.sum(axis=1) / len(together), sums @ weights.T  # [1 + parts], [1 + parts, resamples]
        low, high = np.percentile(samples[0] - samples[1:].max(axis=0), (2.5, 97.5))
        found[measure] = Gain(names[int(whole[1:].argmax())], float(whole[0] - whole[1:].max()), (float(low), float(high)))
    return found


def _numbered(groups: Sequence[Hashable]) -> npt.NDArray[np.int64]:
    """The groups as numbers, in the order in which they first come."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups], dtype=np.int64)


def _values(rows: Sequence[npt.NDArray[np.int64]]) -> dict[str, Floats]:
    """Measures that are means over queries: name -> a value per query, [rows, queries]."""
    rank = np.stack(rows)
    return {f"recall@{cut}": 100 * (rank <= cut).astype(np.float64) for cut in CUTS} | {"mrr": 1 / rank.astype(np.float64)}


@dataclass(frozen=True)
class Chosen:
    """A setting chosen on some queries and measured on others."""

    values: Floats
    """Per query, the measure under the setting that was chosen without that query."""
    settings: tuple[int, ...]
    """The setting chosen for each fold: where these differ much, the choice itself is noise."""


def cross_validated(table: Floats, groups: Sequence[Hashable], folds: int = 5, *, seed: int = 0) -> Chosen:
    """Choose the best of several settings without flattery: for each fold of the queries by the mean over all other folds.

    `table` [settings, queries], higher is better, the first of equals wins; `groups`: queries for one picture stay in one fold.
    Raises ValueError with fewer groups than folds.
    """
    members = _numbered(groups)
    number = int(members.max()) + 1
    if number < folds:
        raise ValueError(f"{number} groups of queries cannot be spread over {folds} folds.")
    fold = (np.random.default_rng(seed).permutation(number) % folds)[members]
    values, settings = np.empty(table.shape[1]), []
    for held in range(folds):
        best = int(table[:, fold != held].mean(axis=1).argmax())
        settings.append(best)
        values[fold == held] = table[best, fold == held]
    return Chosen(values, tuple(settings))


def _measures(found: npt.NDArray[np.int64], precision: Floats | None) -> list[tuple[str, Floats, Callable[[Floats], Floats]]]:
    """(name, value per query, how a [samples, queries] table of them becomes a number per sample)."""

    def percent(table: Floats) -> Floats:
        return np.asarray(100 * table.mean(axis=1), dtype=np.float64)

    def mean(table: Floats) -> Floats:
        return np.asarray(table.mean(axis=1), dtype=np.float64)

    def median(table: Floats) -> Floats:
        return np.asarray(np.median(table, axis=1), dtype=np.float64)

    rank = found.astype(np.float64)
    measures: list[tuple[str, Floats, Callable[[Floats], Floats]]] = [
        (f"recall@{cut}", (found <= cut).astype(np.float64), percent) for cut in CUTS
    ]
    measures += [("median_rank", rank, median), ("mrr", 1 / rank, mean)]
    if precision is not None and len(precision):
        measures.append((f"class_precision@{PRECISION_CUT}", precision, percent))
    return measures
