"""The table of things, by which drawings are pulled towards photos."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

from tsir.training.drawings import render
from tsir.training.things import means, table, trees


def test_every_part_of_a_mean_is_a_unit_vector() -> None:
    vectors = np.array([[3.0, 0, 0, 9], [0, 2, 1, 9], [0, 5, 4, 9]], np.float32)
    found = means(vectors, ["zebra", "ant", "ant"], [2, 1])
    assert list(found) == ["ant", "zebra"]
    np.testing.assert_allclose(found["ant"], [0, 1, 1], atol=1e-6)
    np.testing.assert_allclose(found["zebra"], [1, 0, 0], atol=1e-6)


def test_a_thing_without_photos_pulls_nowhere() -> None:
    keys = {"face": np.array([1.0, 0], np.float32), "cookie": np.array([0.8, 0.6], np.float32)}
    rows = table(keys, {"face": np.array([0, 0.5], np.float32), "person": np.array([0, 1.0], np.float32)})
    np.testing.assert_allclose(rows, [[[1, 0], [0.8, 0.6]], [[0, 0.5], [0, 0]]])


def test_trees_stand_on_their_trunks_and_no_two_are_alike() -> None:
    for kind in trees(np.random.default_rng(1), 3).values():
        drawn = [np.asarray(render(strokes)) < 128 for strokes in kind]
        assert not (drawn[0] == drawn[1]).all()
        for ink in drawn:
            crown, trunk = (np.flatnonzero(ink[rows].any(axis=0)) for rows in (slice(20, 150), slice(190, 205)))
            assert np.ptp(trunk) < np.ptp(crown) / 2
