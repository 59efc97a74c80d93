import numpy as np
import pytest

from tests.fakes import FakeEncoder
from tsir.encoders.base import unit
from tsir.errors import InvalidInput
from tsir.searching.fusion import alone, fuse, shares, weight


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
