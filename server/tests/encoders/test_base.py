import numpy as np

from tests.fakes import FakeEncoder
from tsir.encoders.base import Encoder, unit


def test_zero_rows_stay_zero() -> None:
    np.testing.assert_array_equal(unit([[0.0, 0.0], [3.0, 4.0]]), np.array([[0, 0], [0.6, 0.8]], dtype=np.float32))


def test_fake_encoder_keeps_the_contract() -> None:
    encoder: Encoder = FakeEncoder()
    assert encoder.images([]).shape == (0, 8)
    assert encoder.texts(["red", "blue car"]).shape == (2, 8)


def test_a_model_need_only_bring_its_forward_passes() -> None:
    encoder = FakeEncoder("mine", 16)
    assert isinstance(encoder, Encoder)
    assert (encoder.name, encoder.fingerprint, encoder.dim) == ("mine", encoder.info.fingerprint, 16)
    assert (encoder.device, encoder.scaled_decode, dict(encoder.neutral)) == ("cpu", False, {})
    assert encoder.default_weights["not_text"] < 0
    encoder.close()
    assert not isinstance(object(), Encoder)
