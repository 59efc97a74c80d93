"""Measures against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsir.evaluation.metrics import class_precision, cross_validated, gains, intervals, ranks, summary


def scores(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def test_rank_counts_what_is_before_the_target() -> None:
    table = scores([0.9, 0.5, 0.1], [0.9, 0.5, 0.1], [0.9, 0.5, 0.1])
    assert ranks(table, [[0], [1], [2]]).tolist() == [1, 2, 3]


def test_best_of_many_targets_counts_and_the_others_are_not_in_the_way() -> None:
    table = scores([0.9, 0.8, 0.7, 0.6])
    assert ranks(table, [[1, 3]]).tolist() == [2]
    assert ranks(table, [[0, 1, 2, 3]]).tolist() == [1]
    assert ranks(scores([0.5, 0.5, 0.5, 0.4]), [[0, 1]]).tolist() == [2]  # tied with one wrong picture, not with the other target


def test_ties_count_against_the_target_wherever_it_stands() -> None:
    table = scores([0.5, 0.5, 0.5, 0.5])
    assert [ranks(table, [[place]]).tolist() for place in range(4)] == [[4]] * 4


def test_not_a_number_ranks_last() -> None:
    table = scores([np.nan, 0.1, -0.9])
    assert ranks(table, [[0]]).tolist() == [3]
    assert ranks(table, [[2]]).tolist() == [2]


def test_summary_of_known_ranks() -> None:
    values = summary(np.array([1, 2, 5, 10, 11, 100]))
    assert values["recall@1"] == pytest.approx(100 / 6)
    assert values["recall@5"] == pytest.approx(50)
    assert values["recall@10"] == pytest.approx(400 / 6)
    assert values["median_rank"] == 7.5
    assert values["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 5 + 1 / 10 + 1 / 11 + 1 / 100) / 6)
    assert "class_precision@10" not in values


def test_class_precision_of_the_first_ten() -> None:
    line = [1 - place / 20 for place in range(20)]
    same = np.array([[place in (0, 3, 9, 10, 15) for place in range(20)]])
    assert class_precision(scores(line), same).tolist() == [0.3]
    assert summary(np.array([1]), class_precision(scores(line), same))["class_precision@10"] == pytest.approx(30)


def test_class_precision_averages_a_tie_at_the_cut() -> None:
    # One is surely in; four tie for the second place, two of them of the class.
    table, same = scores([0.9, 0.5, 0.5, 0.5, 0.5, 0.1]), np.array([[True, True, False, True, False, True]])
    assert class_precision(table, same, cut=2).tolist() == [(1 + 0.5) / 2]
    assert class_precision(table[:, ::-1], same[:, ::-1], cut=2).tolist() == [(1 + 0.5) / 2]


def test_class_precision_of_a_small_gallery_counts_all_of_it() -> None:
    assert class_precision(scores([0.3, 0.2, 0.1]), np.array([[True, False, False]])).tolist() == [pytest.approx(1 / 3)]


def test_intervals_are_reproducible_and_hold_the_value() -> None:
    found = np.random.default_rng(1).integers(1, 40, 300)
    first, second = intervals(found), intervals(found)
    assert first == second
    for name, value in summary(found).items():
        low, high = first[name]
        assert low <= value <= high
        assert low < high
    assert intervals(found, np.full(300, 0.5))["recall@1"] == first["recall@1"]


def test_interval_of_recall_is_as_wide_as_theory_says() -> None:
    found = np.array([1] * 200 + [50] * 200)
    low, high = intervals(found)["recall@1"]
    assert high - low == pytest.approx(2 * 1.96 * 100 * (0.25 / 400) ** 0.5, rel=0.15)  # normal approximation of a proportion


def test_interval_of_one_query_is_that_query() -> None:
    assert intervals(np.array([3]))["median_rank"] == (3, 3)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=12), st.data())
def test_rank_is_what_a_stable_sort_gives_with_the_targets_put_last(values: list[int], data: st.DataObject) -> None:
    targets = data.draw(st.lists(st.integers(0, len(values) - 1), min_size=1, unique=True))
    order = sorted(range(len(values)), key=lambda place: (-values[place], place in targets))
    wrong_before = 0
    for place in order:
        if place in targets:
            break
        wrong_before += 1
    assert ranks(scores([float(value) for value in values]), [targets]).tolist() == [wrong_before + 1]


def test_gain_is_over_the_better_part() -> None:
    text, sketch = np.array([1, 1, 20, 20]), np.array([20, 20, 20, 1])
    found = gains(np.array([1, 1, 20, 1]), {"text": text, "sketch": sketch})
    assert (found["recall@1"].part, found["recall@1"].value) == ("text", 25)
    assert found["mrr"].value == pytest.approx((1 - 1 / 20) / 4)
    worse = gains(np.array([20, 20, 20, 1]), {"text": text, "sketch": sketch})["recall@1"]
    assert (worse.part, worse.value) == ("text", -25)


def test_interval_of_a_gain_is_paired() -> None:
    """Both finds what text finds, always: no gain at all, however much recall itself depends on the queries drawn."""
    text = np.random.default_rng(0).choice([1, 30], 60)
    found = gains(text, {"text": text, "sketch": np.full(60, 30)})
    assert found["recall@1"].interval == (0, 0)
    assert gains(text, {"text": text, "sketch": np.full(60, 30)}) == found


def test_queries_for_one_picture_are_drawn_together() -> None:
    """Ten queries each for six pictures say less than sixty queries for sixty."""
    both, text = np.repeat([1, 1, 1, 20, 20, 20], 10), np.full(60, 20)
    parts = {"text": text, "sketch": text}
    apart = gains(both, parts)["recall@1"].interval
    together = gains(both, parts, [place // 10 for place in range(60)])["recall@1"].interval
    assert together[1] - together[0] > 2 * (apart[1] - apart[0])


def test_setting_is_chosen_without_the_queries_that_it_is_measured_on() -> None:
    """Fifty settings that find at random: the best of them looks good where it was chosen, and is not good elsewhere."""
    table = np.random.default_rng(3).integers(0, 2, (50, 100)).astype(np.float64)
    chosen = cross_validated(table, list(range(100)))
    assert table.mean(axis=1).max() > 0.58
    assert chosen.values.mean() < 0.55
    table[7] = 1
    assert cross_validated(table, list(range(100))).settings == (7,) * 5
    assert cross_validated(table, list(range(100))).values.min() == 1


def test_queries_of_a_group_stay_in_one_fold() -> None:
    """Each setting finds one group alone, so the one that finds a group is never chosen for that group."""
    groups = [place // 4 for place in range(40)]
    table = np.array([[float(group == setting) for group in groups] for setting in range(10)])
    assert cross_validated(table, groups).values.max() == 0
    with pytest.raises(ValueError, match="2 groups"):
        cross_validated(table[:, :8], groups[:8])
