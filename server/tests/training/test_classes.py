"""The mean photos of classes, towards which drawings are pulled."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

from tsir.training.classes import means


def test_every_part_of_a_mean_is_a_unit_vector_and_classes_are_in_the_order_of_their_names() -> None:
    vectors = np.array([[3.0, 0, 0, 9], [0, 2, 1, 9], [0, 5, 4, 9]], np.float32)
    rows = means(vectors, ["zebra", "ant", "ant"], [2, 1])
    np.testing.assert_allclose(rows, [[0, 1, 1], [1, 0, 0]], atol=1e-6)
