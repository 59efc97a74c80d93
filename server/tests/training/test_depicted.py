"""What words say of how things look: the part that is guessed from them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from PIL import Image  # noqa: E402

from tsir.encoders.lite.encoder import Depiction  # noqa: E402
from tsir.training.depicted import Depicted, Guess  # noqa: E402

OPTIONS = {"views": 2, "batch": 6, "photos": 3, "hidden": 8, "dropout": 0.2, "smoothing": 0.05, "scale": 15.0, "rate": 1e-2}


class Photos:
    """Photos and words at random, each its own."""

    fingerprint = "tiny"

    def images(self, batch: list[Image.Image]) -> np.ndarray[Any, Any]:
        return np.stack([np.random.default_rng(int(np.asarray(image)[0, 0, 0])).normal(size=268) for image in batch]).astype(np.float32)

    def texts(self, batch: list[str]) -> np.ndarray[Any, Any]:
        return np.stack([np.random.default_rng(len(text)).normal(size=268) for text in batch]).astype(np.float32)


def stage(work: Path) -> Depicted:
    def sample(number: int, count: int, human: int) -> Any:
        captions = ["x" * (number + 1)] * count
        return SimpleNamespace(meta={"captions": captions, "human": human}, picture=lambda: Image.new("RGB", (40, 30), (20 * number,) * 3))

    flickr, coco = [sample(number, 2, 2) for number in range(4)], [sample(number, 3, 1) for number in range(4, 7)]
    corpus: Any = SimpleNamespace(seed=7, work=work, flickr=flickr, coco=coco)
    torch.manual_seed(1)
    return Depicted(corpus, Photos(), 4, 8, OPTIONS)  # type: ignore[arg-type]


def test_a_caption_learns_what_its_photo_looks_like(tmp_path: Path) -> None:
    model = stage(tmp_path).train()
    optimizer = torch.optim.AdamW(model.groups())
    losses = []
    for step in range(60):
        torch.manual_seed(step)
        loss = model(step)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])
    torch.manual_seed(3)
    again = float(stage(tmp_path).train()(3).detach())
    torch.manual_seed(3)
    assert float(stage(tmp_path).train()(3).detach()) == again  # a step follows from its number


def test_what_a_photo_is_asked_by_follows_from_how_far_its_captions_are_believed(tmp_path: Path) -> None:
    model = stage(tmp_path)
    by_photo = np.bincount(model.own, model.chance)
    np.testing.assert_allclose(by_photo[:4], by_photo[0])  # people wrote them
    np.testing.assert_allclose(by_photo[4:], by_photo[0] * 2 / 3)  # one of three captions is a person's, the others count half


def test_the_encoder_computes_what_was_trained() -> None:
    torch.manual_seed(5)
    guess = Guess(6, 10, 32, 0.3).eval()
    torch.nn.init.normal_(guess.down.weight)
    words = torch.nn.functional.normalize(torch.randn(4, 256), dim=-1)
    rows = torch.cat([0.9 * words, torch.zeros(4, 6), torch.full((4, 1), 0.4), torch.zeros(4, 10)], 1).numpy()

    with torch.no_grad():
        shapes, places = guess(words)
    found = Depiction(guess.layers(), {"shapes": 0.3, "places": 0.2, "crowding": 1.5}, [256, 6], 263)(rows)

    length = np.linalg.norm(found[:, :256], axis=1, keepdims=True)
    np.testing.assert_allclose(found[:, :256] / length, words, atol=1e-6)
    np.testing.assert_allclose(found[:, 256:262] / length, 0.3 * shapes, atol=2e-3)  # the weights are kept in float16
    np.testing.assert_allclose(found[:, 263:] / length, 0.2 * places, atol=2e-3)
    np.testing.assert_allclose(found[:, 262] / length[:, 0], 0.4 / 0.9 * 1.5, atol=1e-6)
