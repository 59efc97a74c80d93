"""The pieces by which a part of a picture is known."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tsir.searching.parts import LOOKS, MOST, looks
from tsir.searching.query import LEAST_BOX

sides = st.floats(0, 1)


@given(st.tuples(sides, sides), st.tuples(sides, sides), st.tuples(st.integers(1, 6000), st.integers(1, 6000)))
def test_every_piece_lies_in_the_picture_and_holds_the_box(
    across: tuple[float, float], down: tuple[float, float], size: tuple[int, int]
) -> None:
    (left, right), (top, bottom) = sorted(across), sorted(down)
    if min(right - left, bottom - top) < LEAST_BOX:
        return
    box = np.array([left, top, right, bottom]) * [*size, *size]
    pieces = looks((left, top, right, bottom), size)
    assert len(pieces) == len(LOOKS)
    for piece in pieces:
        assert 0 <= piece[0] < piece[2] <= size[0] and 0 <= piece[1] < piece[3] <= size[1]
        assert (np.array(piece[:2]) <= box[:2] + 1e-6).all() and (np.array(piece[2:]) >= box[2:] - 1e-6).all()


def test_a_small_thing_is_seen_with_what_is_around_it_and_a_large_one_nearly_alone() -> None:
    wide, _, whole, _ = looks((0.45, 0.4, 0.55, 0.6), (1000, 1000))
    assert whole == (400, 400, 600, 600) and wide == (370, 370, 630, 630)
    for left, top, right, bottom in looks((0.0, 0.0, 1.0, 0.3), (1000, 1000)):
        assert (left, top, right) == (0, 0, 1000) and bottom <= MOST * 1000
