"""The second tower for drawings: how drawings are varied, and which captions name them."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train: make setup EXTRAS=train")

from tsir.training.drawing import mentions, redrawn, thing  # noqa: E402


def test_captions_name_things_in_singular_and_plural() -> None:
    captions = ["Two dogs run.", "A hot-dog on a plate in a house", "the dog house", "a cathedral"]
    found = mentions(["house", "dog", "plate", "hot dog", "cat"], captions)
    assert [(name, rows.tolist()) for name, rows in found.items()] == [
        ("house", [1, 2]),
        ("dog", [0, 1, 2]),
        ("plate", [1]),
        ("hot dog", [1]),
    ]


@pytest.mark.parametrize(
    ("name", "common"), [("hotdog", "hot dog"), ("teddy-bear", "teddy bear"), ("The Mona Lisa", "mona lisa"), ("car", "car")]
)
def test_one_thing_has_one_name(name: str, common: str) -> None:
    assert thing(name) == common


def test_a_redrawn_drawing_is_another_of_the_same() -> None:
    ink = torch.zeros(2, 1, 64, 64)
    ink[:, :, 28:36, 12:52] = 1.0
    first, again = (redrawn(ink, torch.Generator().manual_seed(3)) for _ in range(2))
    other = redrawn(ink, torch.Generator().manual_seed(4))
    assert first.shape == ink.shape and float(first.min()) >= 0 and float(first.max()) <= 1
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert not torch.equal(first[0], first[1]), "each drawing of a batch in its own way"
    assert 0.2 < float(first.sum() / ink.sum()) < 5, "the drawing is still there"
    assert np.isfinite(first.numpy()).all()
