"""The text tower that is trained on: read back from its graph, and taught by what it may see of a caption."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

openvino = pytest.importorskip("openvino")
torch = pytest.importorskip("torch", reason="needs the extra train: make setup EXTRAS=train")

from tsir.training import hubs  # noqa: E402
from tsir.training.imported import text_tower  # noqa: E402
from tsir.training.minilm import MiniLM  # noqa: E402
from tsir.training.towers import WORDS, TextTower  # noqa: E402
from tsir.training.wording import Wording, left_out, vocabulary  # noqa: E402

SHIPPED = Path(__file__).parents[2] / "src/tsir/encoders/lite/weights/text.xml"
EXACT = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}


def test_the_shipped_tower_comes_back_from_its_graph() -> None:
    tower = text_tower(SHIPPED, 1024, 0.3)
    ids = torch.tensor([[101, 1037, 3899, 1999, 1996, 4586, 102], [101, 2048, 2111, 102, 0, 0, 0]])
    mask = (ids > 0).long()
    with torch.no_grad():
        words = tower.words(ids, mask).numpy()
    vectors = openvino.Core().compile_model(SHIPPED, "CPU", EXACT)({"ids": ids.numpy(), "mask": mask.numpy()})[0][:, :WORDS]
    np.testing.assert_allclose(words, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), atol=1e-5)


def test_a_graph_of_something_else_is_refused(tmp_path: Path) -> None:
    import openvino.opset13 as ops

    ids = ops.parameter([-1, -1], np.int64)
    openvino.save_model(openvino.Model([ops.convert(ids, "f32")], [ids]), tmp_path / "text.xml")
    with pytest.raises(KeyError):
        text_tower(tmp_path / "text.xml", 1024, 0.3)


def test_a_tower_exported_again_says_the_same(tmp_path: Path) -> None:
    pytest.importorskip("nncf", reason="needs the extra train: make setup EXTRAS=train")
    from tsir.training.export import converted_text

    torch.manual_seed(1)
    tower = TextTower(MiniLM(), 32, 0.0).eval()
    for module in tower.modules():
        if isinstance(module, torch.nn.LayerNorm):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.1)
    ids, mask = torch.randint(0, 30_000, (3, 9)), torch.ones(3, 9, dtype=torch.long)
    with torch.no_grad():
        words = tower.words(ids, mask).numpy()
    graph = converted_text(tower)
    hubs.text_graph(graph, 0.5)
    openvino.save_model(graph, tmp_path / "text.xml")

    vectors = openvino.Core().compile_model(graph, "CPU", EXACT)({"ids": ids.numpy(), "mask": mask.numpy()})[0]
    with torch.no_grad():
        again = text_tower(tmp_path / "text.xml", 32, 0.0).words(ids, mask).numpy()

    assert (words * again).sum(1).min() > 0.999, "int8 weights, nothing else"
    np.testing.assert_allclose(again * 0.75**0.5, vectors[:, :WORDS], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_words_are_left_out_but_never_the_ends_of_a_caption() -> None:
    mask = torch.zeros(200, 12, dtype=torch.long)
    lengths = torch.arange(200) % 10 + 3
    for row, length in enumerate(lengths.tolist()):
        mask[row, :length] = 1
    kept = left_out(mask, 0.4, torch.Generator().manual_seed(2))
    assert torch.equal(kept, left_out(mask, 0.4, torch.Generator().manual_seed(2)))
    assert bool((kept <= mask).all())
    assert bool((kept[:, 0] == 1).all()) and bool((kept[torch.arange(200), lengths - 1] == 1).all())
    inner = int((mask.sum(1) - 2).sum())
    assert 0.5 < int((kept.sum(1) - 2).sum()) / inner < 0.7


def test_the_vocabulary_is_what_captions_speak_of() -> None:
    captions = [
        "Two dogs run on the grass.",
        "A dog and a bus",
        "The dog is on the grass",
        "One dog, many dogs",
        "a bus on grass",
        "a red bus",
    ]
    assert vocabulary(captions, 3) == ["bus", "dog", "grass"]
    assert vocabulary(captions, 1) == ["bus", "dog", "grass", "many", "red", "run"]
    assert vocabulary([], 1) == []


TINY = """
import json, sys, types
from pathlib import Path
import numpy as np, torch
from PIL import Image
from tsir.training import minilm, words, wording
from tsir.training.towers import TextTower

weights, work = map(Path, sys.argv[1:])
minilm.tokenizer_json = (weights / "tokenizer.json").read_text
words.concepts = lambda path: []
captions = ["A dog on the grass.", "A cat under a tree.", "A red bus in a street.", "Two dogs and a cat."]
sample = types.SimpleNamespace
corpus = sample(
    seed=7, work=work, emoji=[("1", "held out", ""), ("2", "sun", "")], taught_emoji=[1], classes=["pig"],
    drawings=[sample(word="The Mona Lisa")],
    flickr=[sample(meta={"captions": [text, text]}, picture=lambda: Image.new("RGB", (32, 32))) for text in captions],
    coco=[sample(meta={"captions": ["A pig.", "A cow."], "human": 1}, picture=lambda: Image.new("RGB", (32, 32))) for _ in range(2)],
    config={"wordnet": ""},
)
class Photos:
    fingerprint = "tiny"
    def images(self, batch):
        return np.random.default_rng(len(batch)).normal(size=(len(batch), 512)).astype(np.float32)
options = {
    "views": 2, "batch": 3, "words": 3, "names": 4, "least_said": 1, "emoji_share": 1, "left_out": 0.2, "dropout": 0.1, "smoothing": 0.05,
    "scale": 20.0, "weight": {"photos": 0.5, "words": 0.3, "names": 4.0}, "rate": {"heads": 1e-3, "text": 1e-4, "scale": 1e-3},
}
torch.manual_seed(1)
stage = wording.Wording(corpus, Photos(), TextTower(minilm.MiniLM(), 16, 0.3).eval(), options).train()
losses = []
for step in range(2):
    torch.manual_seed(step)
    losses.append(float(stage(step).detach()))
options |= {"coco": 0.5, "photos": 4}
heads = wording.Heads(corpus, Photos(), TextTower(minilm.MiniLM(), 16, 0.3).eval(), options).train()
for step in range(2):
    torch.manual_seed(step)
    loss = heads(step)
    losses.append(float(loss.detach()))
loss.backward()
assert all(weight.grad is not None for weight in heads.head.parameters())
print(json.dumps(losses))
"""


def test_a_step_follows_from_its_number_in_every_process(tmp_path: Path) -> None:
    def losses(hashes: str) -> str:
        command = [sys.executable, "-c", textwrap.dedent(TINY), str(SHIPPED.parent), str(tmp_path / hashes)]
        return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": hashes}).stdout

    assert losses("1") == losses("2") != ""


def test_what_ships_keeps_a_share_of_what_was() -> None:
    stage = Wording.__new__(Wording)
    torch.nn.Module.__init__(stage)
    stage.text, before = (torch.nn.Linear(2, 2) for _ in range(2))
    stage.options = {"before": 0.25}
    wanted = 0.75 * stage.text.weight + 0.25 * before.weight
    assert torch.allclose(stage.blended(before).weight, wanted)
