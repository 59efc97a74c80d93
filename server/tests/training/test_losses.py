"""Losses against values computed by hand."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train: make setup EXTRAS=train")

from tsir.training import losses  # noqa: E402


def test_contrastive_of_two_pairs() -> None:
    a = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    # each row: logits 2 (its own) and 0
    assert float(losses.contrastive(a, a, 2.0)) == pytest.approx(math.log(math.exp(2) + 1) - 2)


def test_contrastive_spreads_over_positives_and_ignores_rows_without() -> None:
    a, b = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    positives = torch.tensor([[True, True], [False, False]])
    # row 0 has two equal positives: log 2. Columns: logits 1 and 0, the first is right: log(e + 1) - 1
    expected = (math.log(2) + math.log(math.e + 1) - 1) / 2
    assert float(losses.contrastive(a, b, 1.0, positives)) == pytest.approx(expected)


def test_contrastive_smoothing_moves_part_of_the_target() -> None:
    a = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    log_sum = math.log(math.exp(2) + 1)
    expected = 0.95 * (log_sum - 2) + 0.05 * log_sum
    assert float(losses.contrastive(a, a, 2.0, smoothing=0.1)) == pytest.approx(expected)


def test_soft_labels_is_cross_entropy() -> None:
    logits, target = torch.zeros(1, 4), torch.tensor([[0.5, 0.5, 0.0, 0.0]])
    assert float(losses.soft_labels(logits, target)) == pytest.approx(math.log(4))


def test_asymmetric_ignores_very_easy_negatives() -> None:
    positive = torch.tensor([[0.0]])
    assert float(losses.asymmetric(positive, torch.tensor([[1.0]]))) == pytest.approx(math.log(2))
    easy = torch.tensor([[math.log(0.04 / 0.96)]])  # a chance of 0.04 is below the margin of 0.05
    assert float(losses.asymmetric(easy, torch.tensor([[0.0]]))) == pytest.approx(0.0)
    # chance 0.5: (0.5 - 0.05)^4 * -log(1 - 0.45)
    hard = losses.asymmetric(torch.tensor([[0.0]]), torch.tensor([[0.0]]))
    assert float(hard) == pytest.approx(0.45**4 * -math.log(0.55))


def test_captioning_leaves_padding_out() -> None:
    logits = torch.zeros(1, 3, 5)
    assert float(losses.captioning(logits, torch.tensor([[2, 1, 0]]), padding=0)) == pytest.approx(math.log(5))


def test_consistency_of_equal_and_opposite_views() -> None:
    a = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert float(losses.consistency(a, torch.tensor([[1.0, 0.0], [0.0, -1.0]]))) == pytest.approx(1.0)
