"""open_clip models with random weights in a local file: nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tsir.encoders.base import Encoder
from tsir.encoders.registry import load_encoder
from tsir.errors import EncoderUnavailable, InvalidInput
from tsir.settings import Settings

torch = pytest.importorskip("torch", reason="needs the extra torch: make setup EXTRAS=torch")
open_clip = pytest.importorskip("open_clip", reason="needs the extra torch: make setup EXTRAS=torch")

TINY: dict[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2},
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Any]:
    """A small architecture of our own, its weights in a file, and the model itself."""
    import json

    folder = tmp_path_factory.mktemp("open_clip")
    (folder / "Tiny-16.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder / "Tiny-16.json")
    torch.manual_seed(3)
    model = open_clip.create_model("Tiny-16").eval()
    torch.save(model.state_dict(), folder / "tiny.pt")
    return "open_clip:Tiny-16/mine", folder / "tiny.pt", model


def loaded(settings: Settings, tiny: tuple[str, Path, Any], **other: object) -> Encoder:
    plain = {"model": tiny[0], "weights": str(tiny[1]), "device": "cpu", "runtime": "torch", "precision": "fp32"}
    return load_encoder(settings.model_copy(update={**plain, **other}))


def picture(width: int = 90, height: int = 70) -> Image.Image:
    values = np.random.default_rng(1).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC)


def test_vectors_are_those_of_open_clip_itself(settings: Settings, tiny: tuple[str, Path, Any]) -> None:
    encoder = loaded(settings, tiny)
    model = tiny[2]
    transform = open_clip.image_transform(64, is_train=False)
    with torch.inference_mode():
        expected = model.encode_image(transform(picture())[None], normalize=True).numpy()
        words = model.encode_text(open_clip.get_tokenizer("Tiny-16")(["a dog", "ship " * 200]), normalize=True).numpy()
    np.testing.assert_allclose(encoder.images([picture()]), expected, atol=1e-4)
    np.testing.assert_allclose(encoder.texts(["a dog", "ship " * 200]), words, atol=1e-4)
    assert (encoder.name, encoder.dim) == ("open_clip:Tiny-16/mine", 32)


def test_the_sketch_tower_is_the_image_tower(settings: Settings, tiny: tuple[str, Path, Any]) -> None:
    encoder = loaded(settings, tiny)
    np.testing.assert_array_equal(encoder.sketches([picture(64, 64)]), encoder.images([picture(64, 64)]))
    assert encoder.prepare_sketch(picture(90, 30)).getpixel((0, 0)) == (255, 255, 255)
    assert loaded(settings, tiny, sketch_fit="crop").prepare_sketch(picture(90, 30)) == encoder.prepare_photo(picture(90, 30))


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_openvino_gives_the_vectors_of_torch(settings: Settings, tiny: tuple[str, Path, Any], precision: str) -> None:
    plain, openvino = loaded(settings, tiny), loaded(settings, tiny, runtime="openvino", precision=precision)
    pictures = [picture(), picture(64, 64), picture(80, 30)]
    for ours, theirs in (
        (openvino.images(pictures), plain.images(pictures)),
        (openvino.sketches(pictures[:1]), plain.sketches(pictures[:1])),
        (openvino.texts(["a dog", "two", "ship " * 200]), plain.texts(["a dog", "two", "ship " * 200])),
        (openvino.texts(["a dog"]), plain.texts(["a dog"])),
    ):
        assert (ours * theirs).sum(axis=1).min() > (0.99999 if precision == "fp32" else 0.99)
    assert openvino.fingerprint == plain.fingerprint


def test_an_unknown_architecture_names_near_ones(settings: Settings) -> None:
    with pytest.raises(InvalidInput, match=r"no architecture 'ViT-B-61'.*ViT-B-16"):
        load_encoder(settings.model_copy(update={"model": "open_clip:ViT-B-61/openai", "device": "cpu"}))


@pytest.mark.parametrize("tag", ["/nothing", ""])
def test_an_unknown_tag_lists_the_known_ones(settings: Settings, tag: str) -> None:
    with pytest.raises(InvalidInput, match=r"no weights '(nothing)?' for ViT-B-16\. Known: .*openai"):
        load_encoder(settings.model_copy(update={"model": f"open_clip:ViT-B-16{tag}", "device": "cpu"}))


def test_weights_that_do_not_fit_are_said(settings: Settings, tiny: tuple[str, Path, Any], tmp_path: Path) -> None:
    torch.save({"visual.proj": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(EncoderUnavailable, match="do not fit Tiny-16"):
        loaded(settings, tiny, weights=str(tmp_path / "other.pt"))
    with pytest.raises(EncoderUnavailable, match="does not exist"):
        loaded(settings, tiny, weights=str(tmp_path / "none.pt"))
    with pytest.raises(InvalidInput, match="must be a local file"):
        loaded(settings, tiny, weights="http://127.0.0.1:9/x.pt")


def test_without_a_connection_the_way_out_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> str:
        raise OSError("no route to the hub")

    monkeypatch.setattr(open_clip, "download_pretrained", offline)
    with pytest.raises(EncoderUnavailable, match=r"no route to the hub.*set WEIGHTS to a local file"):
        load_encoder(settings.model_copy(update={"model": "open_clip:ViT-B-16/openai", "device": "cpu"}))
