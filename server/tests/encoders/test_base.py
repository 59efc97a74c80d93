import numpy as np
import pytest

from tests.fakes import FakeEncoder
from tsir.encoders.base import Encoder, alone, fuse, unit


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
    with pytest.raises(ValueError, match="cancel"):
        fuse([(x, 1), (x, -1)])


def test_zero_rows_stay_zero() -> None:
    np.testing.assert_array_equal(unit([[0.0, 0.0], [3.0, 4.0]]), np.array([[0, 0], [0.6, 0.8]], dtype=np.float32))


def test_fake_encoder_keeps_the_contract() -> None:
    encoder: Encoder = FakeEncoder()
    assert encoder.images([]).shape == (0, 8)
    assert encoder.texts(["red", "blue car"]).shape == (2, 8)


class Blank(FakeEncoder):
    """Trained with the blank sketch and the empty text in the place of what is missing."""

    neutral = {"text": unit([0, 0, 0, 0, 1, 0, 0, 0]), "sketch": unit([0, 0, 0, 0, 0, 1, 0, 0])}  # noqa: RUF012


def test_a_lone_part_is_itself_or_meets_the_blank_one() -> None:
    rows = FakeEncoder().texts(["red", "blue"])
    np.testing.assert_array_equal(alone(FakeEncoder(), "text", rows), rows)
    np.testing.assert_allclose(alone(Blank(), "text", rows), [fuse([(row, 1), (Blank.neutral["sketch"], 1)]) for row in rows], atol=1e-6)
    np.testing.assert_allclose(alone(Blank(), "sketch", rows[0]), unit(rows[0] + Blank.neutral["text"]), atol=1e-6)
