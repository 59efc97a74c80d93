"""A miniature of TASK-former learns 64 triplets by heart: the recipe's losses, data and loop fit together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from torch import Tensor

torch = pytest.importorskip("torch", reason="needs the extra train: make setup EXTRAS=train")
pytest.importorskip("yaml", reason="needs the extra train: make setup EXTRAS=train")

from tsir.encoders.task_former.model import TaskFormer, TaskFormerConfig  # noqa: E402
from tsir.errors import InvalidInput  # noqa: E402
from tsir.training.loop import read_config, train  # noqa: E402
from tsir.training.task_former import Triplet, Triplets, labels, read_triplets  # noqa: E402

MINIATURE = TaskFormerConfig(
    embed_dim=64,
    image_size=32,
    patch_size=8,
    vision_width=64,
    vision_layers=2,
    context_length=16,
    vocab_size=64,
    text_width=64,
    text_layers=2,
)
COLOURS = ("red", "green", "blue", "yellow")
SHAPES = ("disc", "box", "roof", "bar")
PLACES = ("left", "right", "above", "below")


def tokenize(texts: Sequence[str]) -> Tensor:
    words = (*COLOURS, *SHAPES, *PLACES, "on", "the")
    tokens = torch.zeros(len(texts), 16, dtype=torch.long)
    for row, text in enumerate(texts):
        ids = [62, *(1 + words.index(word) for word in text.split()), 63]
        tokens[row, : len(ids)] = torch.tensor(ids)
    return tokens


def picture(colour: str, shape: str, place: str, outline: bool) -> Image.Image:
    image = Image.new("RGB", (64, 64), "white")
    x, y = {"left": (4, 20), "right": (36, 20), "above": (20, 4), "below": (20, 36)}[place]
    box, paint = (x, y, x + 24, y + 24), {"outline": "black", "width": 2} if outline else {"fill": colour}
    pen = ImageDraw.Draw(image)
    if shape == "disc":
        pen.ellipse(box, **paint)
    elif shape == "box":
        pen.rectangle(box, **paint)
    elif shape == "roof":
        pen.polygon([(x, y + 24), (x + 12, y), (x + 24, y + 24)], **paint)
    else:
        pen.rectangle((x, y + 9, x + 24, y + 15), **paint)
    return image


def triplets() -> list[Triplet]:
    def one(colour: str, shape: str, place: str) -> Triplet:
        # neither alone is enough: only the words tell the colour
        text = f"{colour} {shape} on the {place}"
        return Triplet(lambda: picture(colour, shape, place, False), (text,), (lambda: picture(colour, shape, place, True),))

    return [one(colour, shape, place) for colour in COLOURS for shape in SHAPES for place in PLACES]


def test_labels_are_the_words_of_most_photos() -> None:
    words, table = labels(triplets(), 4)
    assert len(words) == 4
    assert table.shape == (64, 4)
    assert set(table.sum(0)) == {16.0}


def test_people_s_sketches_go_with_the_photo_that_they_name(tmp_path: Path) -> None:
    photos, sketches = tmp_path / "photos", tmp_path / "sketches"
    for folder, name, colour, about in (
        (photos, "a", "red", {"captions": ["a red photo", "it is red"]}),
        (photos, "b", "blue", {"captions": ["a blue photo"]}),
        (photos, "c", "green", {"class": "photo without captions"}),
        (sketches, "1", "gray", {"class": "thing", "photo": "a"}),
        (sketches, "2", "black", {"class": "thing", "photo": "a"}),
        (sketches, "3", "white", {"class": "thing", "photo": None}),
    ):
        folder.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), colour).save(folder / f"{name}.png")
        (folder / f"{name}.json").write_text(json.dumps(about))
    red, blue = read_triplets([photos, sketches])
    assert red.captions == ("a red photo", "it is red")
    assert [sketch().getpixel((0, 0)) for sketch in red.sketches] == [(128, 128, 128), (0, 0, 0)]
    assert blue.photo().getpixel((0, 0)) == (0, 0, 255)
    assert not blue.sketches
    with pytest.raises(InvalidInput, match="captions"):
        read_triplets([sketches])


@pytest.mark.timeout(900)
def test_a_miniature_learns_64_triplets_by_heart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TSIR_SHARED_DATA", "data")
    options = read_config(Path(__file__).parents[2] / "configs" / "task-former.yaml")["train"]
    options |= {"steps": 400, "warmup": 20, "rate": 1e-3, "batch": 64, "precision": "fp32", "decay": 0.0, "save_minutes": 60, "labels": 12}
    options |= {"affine": False, "real_sketch": 1.0}
    torch.manual_seed(0)
    data = triplets()
    trained = train(Triplets(TaskFormer(MINIATURE), data, tokenize, options, seed=0), options, tmp_path / "run.pt", seed=0)
    assert isinstance(trained, Triplets)
    with torch.no_grad():
        queries = trained.queries([sketch() for triplet in data for sketch in triplet.sketches], [triplet.captions[0] for triplet in data])
        scores = queries @ trained.gallery([triplet.photo() for triplet in data]).T
    assert np.array_equal(scores.argmax(1).numpy(), np.arange(64))
