# mypy: disable-error-code="no-any-return, no-untyped-call"
"""The training data of the lite model, with the cached features of its views."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from tsir.encoders.lite import preprocess
from tsir.training import cache, data, drawings, efficientnet
from tsir.training.augment import photo_view, sketch_view
from tsir.training.loop import Config, save_whole


def cropped(drawing: Image.Image) -> Image.Image:
    """A drawing as the towers see it that know only crops: RGB, all channels alike."""
    return preprocess.prepare_sketch(drawing).getchannel("R").convert("RGB")


def trust(sample: data.Sample) -> NDArray[np.float64]:
    """How far each caption of a photo is to be believed: people's 1, a captioner's 0.8, those rebuilt from questions and answers 0.5."""
    count = len(sample.meta["captions"])
    human, machine = sample.meta.get("human", count), sample.meta.get("machine", 0)
    return np.repeat([1.0, 0.8, 0.5], [human, machine, count - human - machine])


class Corpus:
    """All training data of the recipe, read once, with the cached features of its views."""

    def __init__(self, config: Config) -> None:
        self.config, self.seed = config, int(config["seed"])
        self.root = Path(config["data"])
        self.work = Path(config["work"])
        self.flickr = data.read_samples(self.root / "flickr8k")
        self.photos = data.read_samples(self.root / "sketch-photo" / "photos.tar")
        self.plain = data.read_samples(self.root / "coco-unlabelled")
        self.sketches = data.read_samples(self.root / "sketch-photo" / "sketches.tar")
        captioned = [data.read_samples(self.root / "coco-captions" / f"{source}.tar") for source in ("human", "machine", "rebuilt")]
        self.coco = list({sample.key: sample for samples in reversed(captioned) for sample in samples}.values())
        self.drawings = [drawing for path in sorted((self.root / "quickdraw").glob("*.gz")) for drawing in data.read_drawings(path)]
        self.emoji = data.read_emoji()
        self.classes = sorted({sample.meta["class"] for sample in self.photos})
        self.photo_class = np.array([self.classes.index(sample.meta["class"]) for sample in self.photos])

    @property
    def scenery(self) -> list[data.Sample]:
        """Photos of scenes, each once, however many of the sources have it."""
        return list({sample.key: sample for sample in (*self.flickr, *self.plain, *self.coco)}.values())

    @property
    def taught_emoji(self) -> list[int]:
        """Rows of the emoji that are trained on; each `held_out_emoji`th is left out, to measure."""
        every = self.config["captions"]["held_out_emoji"]
        return [row for row in range(len(self.emoji)) if row % every]

    @functools.cached_property
    def photo_trunk(self) -> efficientnet.EfficientNetLite:
        return efficientnet.pretrained(self.config["photo"]["trunk"])

    @functools.cached_property
    def sketch_trunk(self) -> efficientnet.EfficientNetLite:
        """The first sketch tower's trunk."""
        return self.drawn_trunk(self.config["sketch"]["trunk"])

    def drawn_trunk(self, variant: str) -> efficientnet.EfficientNetLite:
        """A pretrained trunk with the batch-norm statistics of drawings instead of photos."""
        net = efficientnet.pretrained(variant)
        path = self.work / f"sketch-trunk-{variant}.pt"
        if path.exists():
            net.load_state_dict(torch.load(path, weights_only=True))
            return net.eval()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
                module.momentum = None  # a plain average over the batches
        rng = np.random.default_rng(0)
        net.train()
        with torch.no_grad():
            for _ in range(16):
                views = [sketch_view(self.sketches[i].picture().convert("L"), rng) for i in rng.integers(0, len(self.sketches), 32)]
                chosen = rng.integers(0, len(self.drawings), 16)
                views += [sketch_view(drawings.drawing_view(self.drawings[i], rng), rng) for i in chosen]
                pixels = np.stack([np.asarray(cropped(view)) for view in views])
                net((torch.from_numpy(pixels).permute(0, 3, 1, 2).float() - 127.0) / 128.0)
        self.work.mkdir(parents=True, exist_ok=True)
        save_whole(path, net.state_dict())
        return net.eval()

    @functools.cached_property
    def _photo_runner(self) -> cache.TrunkRunner:
        return cache.TrunkRunner(self.photo_trunk, self.config["photo"]["cut"], preprocess.PHOTO_SIDE)

    @functools.cached_property
    def _sketch_runner(self) -> cache.TrunkRunner:
        return cache.TrunkRunner(self.sketch_trunk, self.config["sketch"]["cut"], preprocess.SKETCH_SIDE)

    def _photo_features(self, name: str, count: int, picture: Callable[[int], Image.Image], view: int, smallest: float) -> cache.Features:
        def prepared(i: int) -> Image.Image:
            image = picture(i).convert("RGB")
            if view:
                image = photo_view(image, np.random.default_rng([self.seed, view, i]), smallest)
            return preprocess.prepare_photo(image)

        recipe = [self.config["photo"]["trunk"], self.config["photo"]["cut"], name, view, self.seed]
        if name == "em":
            recipe = ["em", view]
        return cache.features(self.work / "cache", f"{name}-v{view}", lambda: self._photo_runner, count, prepared, recipe, True)

    def photo_views(self, name: str, views: int) -> list[cache.Features]:
        """Views 0 (as it is) to ``views - 1`` of ``fl`` (Flickr8k), ``sp`` (photos with sketches), ``co`` (COCO) or ``em`` (emoji)."""
        if name == "em":
            svgs = [svg for _, _, svg in self.emoji]
            return [self._photo_features(name, len(svgs), lambda i: data.rasterise(svgs[i]), view, 0.7) for view in range(views)]
        samples = {"fl": self.flickr, "sp": self.photos, "co": self.plain}[name]
        return [self._photo_features(name, len(samples), lambda i: samples[i].picture(), view, 0.45) for view in range(views)]

    def sketch_views(self, name: str, views: int) -> list[cache.Features]:
        """Views 0 to ``views - 1`` of ``sk`` (sketches) or ``qd`` (QuickDraw)."""

        def prepared(i: int, view: int) -> Image.Image:
            rng = np.random.default_rng([self.seed, view, i])
            if name == "sk":
                image = self.sketches[i].picture().convert("L")
            else:
                image = drawings.drawing_view(self.drawings[i], rng) if view else drawings.render(self.drawings[i].strokes)
            return cropped(sketch_view(image, rng) if view else image)

        tag = f"ad{self.config['sketch']['cut']}"
        count = len(self.sketches if name == "sk" else self.drawings)
        return [
            cache.features(
                self.work / "cache", f"{name}-{tag}-v{view}", lambda: self._sketch_runner, count,
                functools.partial(prepared, view=view), [tag, name, view, self.seed], True,
            )
            for view in range(views)
        ]  # fmt: skip
