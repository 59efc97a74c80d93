"""The paper's model with random weights under the official names, against CLIP's forward pass computed by hand."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.encoders import clip_by_hand
from tests.media.test_decode import swapped_primaries
from tsir.encoders.base import Encoder
from tsir.errors import EncoderUnavailable, InvalidInput
from tsir.importing.reading import photo_for
from tsir.media.decode import open_picture
from tsir.searching.fusion import fuse
from tsir.settings import Settings

torch = pytest.importorskip("torch", reason="needs the extra torch: make setup EXTRAS=torch")
pytest.importorskip("open_clip", reason="needs the extra torch: make setup EXTRAS=torch")

from torchvision import transforms  # noqa: E402

from tsir.encoders.registry import load_encoder  # noqa: E402
from tsir.encoders.task_former.checkpoint import convert, fingerprint, read_state, used_state  # noqa: E402
from tsir.encoders.task_former.encoder import tokenizer  # noqa: E402
from tsir.encoders.task_former.model import TaskFormer, TaskFormerConfig  # noqa: E402

MINIATURE = TaskFormerConfig(embed_dim=48, image_size=64, vision_width=128, vision_layers=2, text_width=64, text_layers=2)
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

Numbers = dict[str, Any]


def random_state(config: TaskFormerConfig = MINIATURE) -> Numbers:
    """Every tensor random: norms and biases too, so that a forgotten one shows."""
    torch.manual_seed(5)
    state = TaskFormer(config).state_dict()
    for name, tensor in state.items():
        if name.endswith(("bias", "ln_1.weight", "ln_2.weight", "ln_pre.weight", "ln_post.weight", "ln_final.weight")):
            state[name] = tensor + 0.2 * torch.randn_like(tensor)
    return state


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like the authors': `state_dict`, `module.` before the names, heads that only training uses, other entries."""
    state = random_state()
    heads = {"decoder.net.to_logits.weight": torch.randn(7, 3), "classification.weight": torch.randn(90, 48)}
    path = tmp_path_factory.mktemp("weights") / "tsbir_model_final.pt"
    torch.save({"epoch": 16, "name": "x", "state_dict": {f"module.{name}": value for name, value in {**state, **heads}.items()}}, path)
    return path


@pytest.fixture(scope="module")
def numbers() -> Numbers:
    return {name: tensor.double().numpy() for name, tensor in random_state().items()}


def chosen(settings: Settings, official: Path, **other: object) -> Settings:
    plain = {"model": "task-former", "weights": str(official), "device": "cpu", "runtime": "torch", "precision": "fp32"}
    return settings.model_copy(update={**plain, **other})


@pytest.fixture
def paper(settings: Settings, official: Path) -> Encoder:
    return load_encoder(chosen(settings, official))


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth colours with edges, like a photo rather than noise."""
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    image = small.resize((width, height), Image.Resampling.BICUBIC)
    ImageDraw.Draw(image).ellipse([width // 5, height // 6, width // 2, height // 2], fill=(250, 240, 20))
    return image


def drawing(width: int, height: int, mode: str = "RGB") -> Image.Image:
    image = Image.new(mode, (width, height), (255, 255, 255) if mode == "RGB" else (0, 0, 0, 0))
    black = (0, 0, 0) if mode == "RGB" else (0, 0, 0, 255)
    ImageDraw.Draw(image).line([width * 0.1, height * 0.9, width * 0.5, height * 0.2, width * 0.9, height * 0.8], fill=black, width=5)
    return image


def reference_pixels(image: Image.Image, size: int = 64) -> clip_by_hand.Floats:
    """The authors' preprocessing."""
    steps = [transforms.Resize(size, transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(size), transforms.ToTensor()]
    tensor = transforms.Compose([*steps, transforms.Normalize(MEAN, STD)])(image.convert("RGB"))
    return np.asarray(tensor.double().numpy())


@pytest.mark.parametrize(
    "size", [(64, 64), (640, 480), (481, 640), (65, 64), (1000, 90), (90, 1000), (50, 40), (3, 5), (1, 1), (4000, 3000), (333, 334)]
)
def test_photos_of_every_shape_give_the_official_vectors(paper: Encoder, numbers: Numbers, size: tuple[int, int]) -> None:
    image = photo(*size)
    expected = clip_by_hand.picture(reference_pixels(image), numbers, "visual")
    np.testing.assert_allclose(paper.images([image])[0], expected, atol=1e-4)
    np.testing.assert_allclose(paper.images([paper.prepare_photo(image)])[0], expected, atol=1e-4)


def test_a_photo_with_a_colour_profile_gives_the_official_vector(paper: Encoder, numbers: Numbers, tmp_path: Path) -> None:
    """The authors' code takes the numbers in the file for sRGB, whatever its profile says; thumbnails are shown in true colours."""
    photo(90, 64).save(tmp_path / "a.png", icc_profile=swapped_primaries())
    picture = open_picture(tmp_path / "a.png", max_bytes=2**20, max_pixels=10**6)
    stored = Image.open(tmp_path / "a.png").convert("RGB")
    assert picture.as_stored.tobytes() == stored.tobytes() != picture.image.tobytes()
    expected = clip_by_hand.picture(reference_pixels(stored), numbers, "visual")
    np.testing.assert_allclose(paper.images([photo_for(paper, picture)])[0], expected, atol=1e-4)


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "LA"])
def test_photos_of_other_modes_give_the_vectors_of_their_rgb(paper: Encoder, numbers: Numbers, mode: str) -> None:
    image = photo(200, 150).convert(mode)
    expected = clip_by_hand.picture(reference_pixels(image.convert("RGB")), numbers, "visual")
    np.testing.assert_allclose(paper.images([image])[0], expected, atol=1e-4)


@pytest.mark.parametrize("side", [64, 100, 500])
def test_square_sketches_with_and_without_transparency_give_the_official_vectors(paper: Encoder, numbers: Numbers, side: int) -> None:
    expected = clip_by_hand.picture(reference_pixels(drawing(side, side)), numbers, "visual2")
    vectors = paper.sketches([drawing(side, side), drawing(side, side, "RGBA")])
    np.testing.assert_allclose(vectors, [expected, expected], atol=1e-4)


TEXTS = ["", "a dog", "It is a plate of food.", "Café – 東京 🎈!!!", "word " * 75, "!", "two  spaces\nand lines", "ship " * 200]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_give_the_official_vectors_alone_and_in_a_batch(paper: Encoder, numbers: Numbers, text: str) -> None:
    from open_clip.tokenizer import SimpleTokenizer

    expected = clip_by_hand.words(SimpleTokenizer()([text]).numpy()[0], numbers)
    np.testing.assert_allclose(paper.texts([text])[0], expected, atol=1e-4)
    np.testing.assert_allclose(paper.texts([*TEXTS, text])[-1], expected, atol=1e-4)


def test_equal_weights_give_the_papers_average(paper: Encoder, numbers: Numbers) -> None:
    text = paper.texts(["It is a plate of food."])[0]
    sketch = paper.sketches([drawing(80, 80)])[0]
    average = (text + sketch) / 2
    fused = fuse([(text, paper.default_weights["text"]), (sketch, paper.default_weights["sketch"])])
    np.testing.assert_allclose(fused, average / np.linalg.norm(average), atol=1e-6)


def test_a_text_that_is_too_long_keeps_its_end(paper: Encoder) -> None:
    tokens = tokenizer(77)(["ship " * 200, "ship"])
    assert tokens.shape == (2, 77)
    assert tokens[0, -1] == 49407
    assert tokens[0].tolist().count(49407) == 1


def test_tokens_are_cut_to_the_longest_text() -> None:
    assert tokenizer(77)(["a dog"]).shape == (1, 8)
    assert tokenizer(77)(["!" * 40 + "?", "a dog"]).shape[1] < 77


def test_a_wide_sketch_is_padded_or_cut_by_choice(settings: Settings, official: Path, numbers: Numbers) -> None:
    wide = drawing(390, 300)
    cut = load_encoder(chosen(settings, official, sketch_fit="crop"))
    expected = clip_by_hand.picture(reference_pixels(wide), numbers, "visual2")
    np.testing.assert_allclose(cut.sketches([wide])[0], expected, atol=1e-4)
    padded = load_encoder(chosen(settings, official)).prepare_sketch(wide)
    assert padded.size == (64, 64)
    ink = np.asarray(padded.convert("L")) < 128
    assert ink[:, :10].any() and ink[:, -10:].any()  # the sides of the drawing are still there
    assert not ink[:6].any()  # white above
    assert padded is load_encoder(chosen(settings, official)).prepare_sketch(padded)


def test_a_missing_part_can_be_the_blank_one(settings: Settings, official: Path, paper: Encoder) -> None:
    blank: Any = load_encoder(chosen(settings, official, missing_part="blank"))
    np.testing.assert_array_equal(blank.neutral["text"], paper.texts([""])[0])
    np.testing.assert_array_equal(blank.neutral["sketch"], paper.sketches([Image.new("RGB", (10, 10), "white")])[0])
    alone: Any = paper
    assert alone.neutral == {}


def test_an_empty_batch_gives_no_rows_and_a_long_one_all(paper: Encoder) -> None:
    assert paper.images([]).shape == (0, 48)
    assert paper.texts([]).shape == (0, 48)
    many = paper.texts([str(number) for number in range(130)])
    np.testing.assert_allclose(many[[0, 64, 129]], paper.texts(["0", "64", "129"]), atol=1e-6)
    assert many.dtype == np.float32


def test_no_torch_scaled_decode(paper: Encoder) -> None:
    assert paper.scaled_decode is False
    assert (paper.name, paper.dim) == ("task-former", 48)


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_converted_weights_give_the_same_vectors_and_fingerprint(
    settings: Settings, official: Path, paper: Encoder, tmp_path: Path, precision: Any
) -> None:
    target = tmp_path / "small.safetensors"
    size = convert(official, target, precision)
    converted = load_encoder(chosen(settings, target))
    assert converted.fingerprint == paper.fingerprint
    np.testing.assert_allclose(converted.texts(["a dog"]), paper.texts(["a dog"]), atol=1e-2 if precision == "fp16" else 1e-7)
    assert size < official.stat().st_size * (0.55 if precision == "fp16" else 1.05)
    assert [path.name for path in tmp_path.glob("small*")] == ["small.safetensors"]


def test_other_weights_have_another_fingerprint(official: Path) -> None:
    _, state = used_state(read_state(official), official)
    changed = {**state, "visual2.proj": state["visual2.proj"] + 0.01}
    assert fingerprint(changed) != fingerprint(state)


def test_half_precision_and_bare_checkpoints_load(settings: Settings, tmp_path: Path, paper: Encoder) -> None:
    path = tmp_path / "half.pt"
    torch.save({name: tensor.half() for name, tensor in random_state().items()}, path)
    half = load_encoder(chosen(settings, path))
    assert half.fingerprint == paper.fingerprint
    assert (half.texts(["a dog"]) @ paper.texts(["a dog"]).T).item() > 0.999


def test_missing_tensors_are_named(settings: Settings, tmp_path: Path) -> None:
    state = random_state()
    del state["visual2.ln_post.bias"], state["transformer.resblocks.1.mlp.c_fc.weight"]
    path = tmp_path / "holes.pt"
    torch.save({"state_dict": state}, path)
    with pytest.raises(EncoderUnavailable, match=r"lack 2 tensors.*visual2\.ln_post\.bias"):
        load_encoder(chosen(settings, path))


def test_weights_of_clip_are_recognised(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "clip.pt"
    torch.save({name: tensor for name, tensor in random_state().items() if not name.startswith("visual2.")}, path)
    with pytest.raises(EncoderUnavailable, match=r"sketch tower is missing.*MODEL=open_clip"):
        load_encoder(chosen(settings, path))


def test_tensors_of_another_shape_are_named(settings: Settings, tmp_path: Path) -> None:
    state = random_state()
    state["visual2.proj"] = torch.zeros(128, 47)
    path = tmp_path / "shape.pt"
    torch.save(state, path)
    with pytest.raises(EncoderUnavailable, match=r"visual2\.proj \(128, 47\) instead of \(128, 48\)"):
        load_encoder(chosen(settings, path))


def test_unused_tensors_are_one_line_in_the_log(settings: Settings, official: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tsir"):
        load_encoder(chosen(settings, official))
    lines = [record.getMessage() for record in caplog.records if "not used" in record.getMessage()]
    assert len(lines) == 1
    assert "2 tensors" in lines[0] and "classification.weight" in lines[0]


class Harmful:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (exec, ("raise SystemExit('executed')",))


def test_a_checkpoint_that_would_run_code_is_refused(settings: Settings, tmp_path: Path) -> None:
    path = tmp_path / "harmful.pt"
    torch.save({"state_dict": random_state(), "extra": Harmful()}, path)
    with pytest.raises(EncoderUnavailable, match="no weights that can be read safely"):
        load_encoder(chosen(settings, path))


@pytest.mark.parametrize("content", [[1, 2], {"state_dict": [3]}, {"epoch": 1}, torch.zeros(3)])
def test_a_checkpoint_of_something_else_is_refused(settings: Settings, tmp_path: Path, content: Any) -> None:
    path = tmp_path / "other.pt"
    torch.save(content, path)
    with pytest.raises(EncoderUnavailable, match=r"no table of weights|lack \d+ tensors"):
        load_encoder(chosen(settings, path))


def test_conversion_refuses_what_cannot_work(official: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="fp16 or fp32"):
        convert(official, tmp_path / "x.safetensors", "int8")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="a file of their own"):
        convert(official, official)
    with pytest.raises(EncoderUnavailable, match="cannot be read"):
        convert(tmp_path / "none.pt", tmp_path / "x.safetensors")


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_openvino_gives_the_vectors_of_torch(settings: Settings, official: Path, paper: Encoder, precision: str) -> None:
    openvino = load_encoder(chosen(settings, official, runtime="openvino", precision=precision))
    pictures = [photo(90, 80, seed) for seed in range(5)]
    for ours, theirs in (
        (openvino.images(pictures), paper.images(pictures)),
        (openvino.sketches([drawing(70, 70)]), paper.sketches([drawing(70, 70)])),
        (openvino.texts(TEXTS), paper.texts(TEXTS)),
        (openvino.texts(["a dog"]), paper.texts(["a dog"])),
    ):
        if precision == "fp32":
            np.testing.assert_allclose(ours, theirs, atol=1e-4)
        assert (ours * theirs).sum(axis=1).min() > 0.995
    assert openvino.fingerprint == paper.fingerprint


def test_a_conversion_is_kept_and_a_broken_one_is_made_anew(settings: Settings, official: Path, caplog: pytest.LogCaptureFixture) -> None:
    wanted = chosen(settings, official, runtime="openvino")
    folder = settings.data_dir.resolve() / "models"

    def load() -> tuple[list[str], Any]:
        caplog.clear()
        with caplog.at_level(logging.INFO, "tsir.encoders.graph"):
            encoder = load_encoder(wanted)
        said = [record.getMessage() for record in caplog.records if record.name == "tsir.encoders.graph"]
        return said, encoder.texts(["a dog"])

    first, expected = load()
    assert any("Converting" in line for line in first)
    second, vectors = load()
    assert second == []
    np.testing.assert_array_equal(vectors, expected)
    (file,) = folder.rglob("texts.bin")
    file.write_bytes(file.read_bytes()[:-500])
    third, vectors = load()
    assert any("broken" in line for line in third)
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    assert load()[0] == []
    assert not list(folder.rglob(".openvino*"))


def test_torch_runs_in_bf16_on_a_cpu(settings: Settings, official: Path, paper: Encoder) -> None:
    half = load_encoder(chosen(settings, official, precision="bf16"))
    assert (half.images([photo(90, 80)]) @ paper.images([photo(90, 80)]).T).item() > 0.995
    assert (half.texts(["a dog"]) @ paper.texts(["a dog"]).T).item() > 0.995


@pytest.mark.parametrize("precision", ["auto", "fp32", "fp16", "bf16"])
def test_a_gpu_gives_the_vectors_of_the_cpu(settings: Settings, official: Path, paper: Encoder, precision: str) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU that torch can use")
    gpu = load_encoder(chosen(settings, official, device="cuda", runtime="auto", precision=precision))
    pictures = [photo(90, 80, seed) for seed in range(5)]
    assert (gpu.images(pictures) * paper.images(pictures)).sum(axis=1).min() > 0.995
    assert (gpu.texts(TEXTS) * paper.texts(TEXTS)).sum(axis=1).min() > 0.995


def test_a_missing_gpu_is_a_sentence(settings: Settings, official: Path) -> None:
    with pytest.raises(EncoderUnavailable, match=r"DEVICE=cuda:99 asks for a GPU that is not there.*DEVICE=cpu"):
        load_encoder(chosen(settings, official, device="cuda:99"))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"device": "tpu"}, "DEVICE='tpu' is unknown"),
        ({"device": "cuda:x"}, "is unknown"),
        ({"precision": "fp16"}, "fp16 is for GPUs"),
        ({"precision": "int8"}, "needs RUNTIME=openvino"),
    ],
)
def test_settings_that_cannot_work_are_said(settings: Settings, official: Path, other: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        load_encoder(chosen(settings, official, **other))


def test_the_full_size_equals_the_clip_of_open_clip() -> None:
    """ViT-B/16 against an independent implementation, once: the shapes and names are those of the authors' configuration."""
    import open_clip

    torch.manual_seed(0)
    ours = TaskFormer().eval()
    theirs = open_clip.create_model("ViT-B-16", pretrained=None, force_quick_gelu=True).eval()
    theirs.load_state_dict({name: value for name, value in ours.state_dict().items() if not name.startswith("visual2.")})
    pixels = torch.randn(1, 3, 224, 224)
    tokens = torch.from_numpy(tokenizer(77)(["a dog", "It is a plate of food."]))
    with torch.inference_mode():
        ours.visual2.load_state_dict(ours.visual.state_dict())
        torch.testing.assert_close(ours.encode_image(pixels), theirs.encode_image(pixels), atol=1e-4, rtol=0)
        torch.testing.assert_close(ours.encode_sketch(pixels), theirs.encode_image(pixels), atol=1e-4, rtol=0)
        padded = torch.nn.functional.pad(tokens, (0, 77 - tokens.shape[1]))
        torch.testing.assert_close(ours.encode_text(tokens), theirs.encode_text(padded), atol=1e-4, rtol=0)
    assert TaskFormerConfig.from_state_dict(ours.state_dict()) == TaskFormerConfig()
