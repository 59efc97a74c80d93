"""Curves between cosines whose places are known."""

from pathlib import Path

import numpy as np
import pytest

from tsir.encoders.relevance import Calibration, Curve, fitted, read_calibration, write_calibration

ANSWERS, OTHERS = (np.random.default_rng(seed).normal(mean, 0.03, 2000) for seed, mean in ((1, 0.26), (2, 0.18)))


def test_curve_lies_between_answers_and_others_and_its_cut_keeps_what_was_asked() -> None:
    for kept in (0.95, 0.8):
        curve = fitted([(ANSWERS, OTHERS)], kept)
        assert curve.middle == pytest.approx(0.22, abs=0.005)
        assert curve.relevance(curve.middle) == pytest.approx(0.5)
        assert curve.steepness == pytest.approx(0.08 / 0.03**2, rel=0.1)  # of two normal distributions of one width
        assert np.mean([curve.relevance(score) >= curve.cut for score in ANSWERS]) == pytest.approx(kept, abs=0.003)
    assert fitted([(ANSWERS[:100], OTHERS)]).middle == pytest.approx(0.22, abs=0.01)  # however many there are of each
    low, high = ANSWERS[ANSWERS < 0.26][:200], ANSWERS[ANSWERS >= 0.26]
    curve = fitted([(low, OTHERS), (high, OTHERS)], 0.9)
    shares = [np.mean([curve.relevance(score) >= curve.cut for score in group]) for group in (low, high)]
    assert shares == [pytest.approx(0.8, abs=0.01), 1]  # each group counts as much, however many answers it has
    assert [curve.relevance(score) for score in (-1e9, 1e9)] == pytest.approx([0, 1])


def test_scores_that_tell_nothing_make_no_curve() -> None:
    for answers, others in ((OTHERS, ANSWERS), (ANSWERS, ANSWERS[:0]), (ANSWERS[:0], ANSWERS)):
        with pytest.raises(ValueError, match="score higher"):
            fitted([(answers, others)])


def test_scores_that_never_meet_make_a_steep_curve() -> None:
    curve = fitted([(np.full(9, 0.3), np.full(9, 0.1))])
    assert curve.relevance(0.1) < 0.1 < 0.9 < curve.cut <= curve.relevance(0.3) < 1


CALIBRATION = Calibration(
    {"text": Curve(0.2, 40, 0.3), "sketch": Curve(0.4, 20, 0.4, usual=1.0), "image": Curve(0.6, 10, 0.5), "mixed": Curve(1, 8, 0.2)},
    np.array([0.5, 0.1, 0], dtype=np.float32),
)
X, Y, Z = np.eye(3, dtype=np.float32)


def test_curve_belongs_to_the_parts_that_ask() -> None:
    assert CALIBRATION.curve([("text", X, 1.0)]) == CALIBRATION.curves["text"]
    assert CALIBRATION.curve([("like", X, 3.0)]) == CALIBRATION.curves["image"]
    drawn = CALIBRATION.curve([("sketch", X, 2.0)])
    assert drawn is not None
    assert drawn.middle == pytest.approx(0.4 + 0.5)  # so much is usual for such drawings
    # "not this" lengthens the sum, and lessens all scores by as much
    pushed = CALIBRATION.curve([("text", X, 1.0), ("not_text", Y, -0.75)])
    assert pushed is not None
    assert (pushed.middle, pushed.steepness, pushed.cut) == pytest.approx((0.2 / 1.25, 40 * 1.25, 0.3))
    both = CALIBRATION.curve([("text", X, 3.0), ("sketch", 2 * Y, 2.0)])
    assert both is not None
    assert (both.middle, both.cut) == pytest.approx(((3 * 0.2 + 4 * 0.4 + 4 * 0.1) / 5, 0.2))
    assert both.relevance(both.middle + 0.01) == pytest.approx(1 / (1 + np.exp(-8 * 0.01 * 5 / 2.2)))
    assert CALIBRATION.curve([("not_text", X, -1.0)]) is None
    assert CALIBRATION.curve([("text", X, 1.0), ("other", Y, 1.0)]) is None
    assert Calibration({"text": Curve(0.2, 40, 0.3)}, Z).curve([("text", X, 1.0), ("sketch", Y, 1.0)]) is None


def test_calibration_is_kept_for_its_encoder_alone(tmp_path: Path) -> None:
    path = tmp_path / "models" / "relevance.json"
    assert read_calibration(path, "abc") is None
    write_calibration(path, "abc", CALIBRATION)
    kept = read_calibration(path, "abc")
    assert kept is not None
    assert kept.curves == CALIBRATION.curves
    assert kept.mean == pytest.approx(CALIBRATION.mean)
    assert read_calibration(path, "abd") is None  # cosines of another encoder
    for damage in ("{", "[]", '{"fingerprint": "abc", "curves": {"text": {"middle": 1}}}'):
        path.write_text(damage)
        with pytest.raises(ValueError, match=r"."):
            read_calibration(path, "abc")
