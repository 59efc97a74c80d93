from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import settings as rules
from hypothesis import strategies as st

from tests.fakes import FakeEncoder
from tsir.encoders.base import Vectors, unit
from tsir.errors import InvalidInput
from tsir.searching.fusion import alone, balanced, fuse, several, shares, together, weight


def test_equal_weights_point_where_the_average_points() -> None:
    text, sketch = unit([1.0, 2.0, 0.0]), unit([0.0, 1.0, 3.0])
    np.testing.assert_allclose(fuse([(text, 1), (sketch, 1)]), unit((text + sketch) / 2), atol=1e-6)


def test_weights_pull_towards_the_heavier_part() -> None:
    x, y = unit([1.0, 0.0]), unit([0.0, 1.0])
    np.testing.assert_allclose(fuse([(x, 3), (y, 4)]), [0.6, 0.8], atol=1e-6)
    assert fuse([(x, 1), (y, -0.5)])[1] < 0


def test_nothing_and_cancelling_parts_are_refused() -> None:
    x = unit([1.0, 0.0])
    with pytest.raises(ValueError, match="at least one"):
        fuse([])
    with pytest.raises(InvalidInput, match="cancel"):
        fuse([(x, 1), (x, -1)])


class Blank(FakeEncoder):
    """Trained with the blank sketch and the empty text in the place of what is missing."""

    neutral = {"text": unit([0, 0, 0, 0, 1, 0, 0, 0]), "sketch": unit([0, 0, 0, 0, 0, 1, 0, 0])}  # noqa: RUF012


def test_a_lone_part_is_itself_or_meets_the_blank_one() -> None:
    rows = FakeEncoder().texts(["red", "blue"])
    np.testing.assert_array_equal(alone(FakeEncoder(), "text", rows), rows)
    np.testing.assert_allclose(alone(Blank(), "text", rows), [fuse([(row, 1), (Blank.neutral["sketch"], 1)]) for row in rows], atol=1e-6)
    np.testing.assert_allclose(alone(Blank(), "sketch", rows[0]), unit(rows[0] + Blank.neutral["text"]), atol=1e-6)


class Weighing(FakeEncoder):
    """Counts a drawing twice beside one word, once beside two."""

    def beside(self, sketches: Vectors, texts: Sequence[str], words: float = 1.0) -> Vectors:
        return sketches * np.array([[2.0 / len(text.split())] for text in texts], np.float32) ** words


def test_a_drawing_counts_beside_words_as_its_encoder_says() -> None:
    rows = FakeEncoder().texts(["red", "blue"])
    equal = {"text": 1.0, "sketch": 1.0}
    np.testing.assert_array_equal(together(FakeEncoder(), rows, ["a", "a b"], equal), rows)
    np.testing.assert_allclose(together(Weighing(), rows, ["a", "a b"], equal), rows * [[2], [1]])
    np.testing.assert_allclose(together(Weighing(), rows[:1], ["a"], {"text": 3, "sketch": 1}), rows[:1] * 2)
    towards_drawing = [float(together(Weighing(), rows[:1], ["a"], {"text": text, "sketch": 1})[0] @ rows[0]) for text in (1, 0.5, 0.1, 0)]
    assert towards_drawing == sorted(towards_drawing, reverse=True)
    assert towards_drawing[-1] == pytest.approx(1)  # the drawing alone


def test_many_queries_are_fused_row_by_row() -> None:
    texts, sketches = unit([[1.0, 2.0], [3.0, 1.0]]), unit([[0.0, 1.0], [1.0, 1.0]])
    both = [fuse([(text, 1), (sketch, 0.4)]) for text, sketch in zip(texts, sketches, strict=True)]
    np.testing.assert_array_equal(fuse([(texts, 1), (sketches, 0.4)]), both)


def test_shares_of_the_parts_add_up_to_the_score() -> None:
    parts = [(unit([1.0, 2.0, 0.5]), 1.0), (unit([0.0, 1.0, 3.0]), 0.4), (unit([1.0, 0.0, 0.0]), -0.5)]
    found = unit([[1.0, 1.0, 1.0], [-1.0, 2.0, 0.0]])
    np.testing.assert_allclose(shares(parts, found).sum(axis=1), found @ fuse(parts), atol=1e-6)


def test_a_weight_is_what_was_chosen_or_the_encoders_own() -> None:
    encoder = FakeEncoder()
    assert weight(encoder, "sketch", {}) == encoder.default_weights["sketch"]
    assert weight(encoder, "sketch", {"sketch": 0.25, "text": 3}) == 0.25
    assert weight(encoder, "like", {}) == 1
    assert weight(encoder, "not_text", {"not_text": 2}) == weight(encoder, "not_text", {"not_text": -2}) == -2, "it always pushes away"


def test_what_is_not_wanted_counts_by_its_kind_beside_what_is() -> None:
    assert balanced({"text": 1, "not_text": -0.5}, {}) == {"text": 1, "not_text": -0.5}
    assert balanced({"like": 2, "not_like": -0.5}, {}) == {"like": 2, "not_like": -0.5}
    assert balanced({"text": 1, "not_like": -0.6}, {})["not_like"] == pytest.approx(-0.2)
    assert balanced({"like": 1, "not_text": -0.5}, {})["not_text"] == pytest.approx(-1.5)


vectors = st.lists(st.floats(-1, 1, width=32), min_size=3, max_size=3).filter(lambda row: sum(map(abs, row)) > 0.1).map(unit)
weights = st.floats(0.05, 3) | st.floats(-3, -0.05)


@given(
    parts=st.lists(st.tuples(vectors, weights), min_size=1, max_size=4), factor=st.floats(0.1, 10), order=st.randoms(use_true_random=False)
)
@rules(max_examples=100, derandomize=True)
def test_fusion_knows_no_scale_and_no_order_and_its_shares_sum_to_the_score(parts: Any, factor: float, order: Any) -> None:
    total = sum(np.float32(weight) * vector for vector, weight in parts)
    assume(float(np.linalg.norm(total)) > 0.05)
    fused = fuse(parts)
    shuffled = list(parts)
    order.shuffle(shuffled)
    np.testing.assert_allclose(fuse([(vector, weight * factor) for vector, weight in parts]), fused, atol=1e-4)
    np.testing.assert_allclose(fuse(shuffled), fused, atol=1e-4)
    found = np.stack([unit([1, 2, 3]), unit([-1, 0, 1])])
    np.testing.assert_allclose(shares(parts, found).sum(axis=1), found @ fused, atol=1e-4)
    vector, weight = several(parts)
    assert abs(weight) == pytest.approx(max(abs(weight) for _, weight in parts))
    np.testing.assert_allclose(unit(np.float32(weight) * vector), fused, atol=1e-4)
