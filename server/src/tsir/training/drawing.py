# mypy: disable-error-code="misc, no-any-return, no-untyped-call"
"""The towers for drawings that ship, each trained against finished photo and text towers.

Photos and words have vectors that no longer change, so every step can compare its drawings with all training photos at once
instead of with a few in the batch, and all of the processor's time goes into the drawings: they are drawn anew in every step
(``redrawn``), and only the first layers of the trunk stay as they were.

A drawing is asked for four things: the photo that it was drawn from and photos of the same class; the name of what it shows; the photo that
synthetic strokes were taken from; and, added to a caption that names it, the photo of that caption.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from tsir.encoders.base import Encoder
from tsir.encoders.lite import preprocess
from tsir.training import data, drawings, icons
from tsir.training.cache import kept, photo_views
from tsir.training.corpus import Corpus
from tsir.training.loop import Config, Stage
from tsir.training.towers import PHOTO_SCALE, SHAPES, WORDS, Branch, Head

SIDE = preprocess.SKETCH_SIDE
# One thing, two names: QuickDraw's word for a class of the object photos.
SAME = {
    "hotdog": "hot dog", "crocodilian": "crocodile", "motorcycle": "motorbike", "racket": "tennis racquet", "ape": "monkey",
    "songbird": "bird", "jack o lantern": "pumpkin", "motorboat": "speedboat",
}  # fmt: skip
FORMS = ("{}", "a {}", "a photo of a {}", "a picture of a {}")


def thing(name: str) -> str:
    """The common name of a class or of a drawn word."""
    plain = name.lower().replace("_", " ").replace("-", " ").removeprefix("the ")
    return SAME.get(plain, plain)


def _ink(image: Image.Image) -> NDArray[np.uint8]:
    """How dark each pixel of a prepared drawing is: uint8 [side, side]."""
    return 255 - np.asarray(preprocess.prepare_sketch(image).getchannel("R"))


def _drawing_ink(drawing: data.Drawing, view: int, seed: Sequence[int]) -> NDArray[np.uint8]:
    return _ink(drawings.drawing_view(drawing, np.random.default_rng(seed)) if view else drawings.render(drawing.strokes))


def _sketch_ink(sample: data.Sample) -> NDArray[np.uint8]:
    return _ink(sample.picture())


def _synthetic_ink(sample: data.Sample, seed: Sequence[int]) -> NDArray[np.uint8]:
    return _ink(drawings.synthetic_sketch(sample.picture(), np.random.default_rng(seed)))


def _icon_ink(icon: icons.Icon) -> NDArray[np.uint8]:
    drawn = icons.render_icon(icon)
    return np.zeros((SIDE, SIDE), np.uint8) if drawn is None else _ink(drawn)


def _inks(call: Callable[..., NDArray[np.uint8]], *columns: Sequence[Any]) -> NDArray[np.uint8]:
    with ProcessPoolExecutor(2) as pool:
        return np.stack(list(pool.map(call, *columns, chunksize=64)))


def redrawn(ink: Tensor, random: torch.Generator) -> Tensor:
    """Drawings drawn a little differently: turned, stretched, sheared, mirrored, unsteady, with another pen, a part left out.

    ``ink``: float [n, 1, side, side] in 0..1 (1 is black); the same comes back.
    """
    n, side = len(ink), ink.shape[-1]

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(n, *shape, generator=random) * (high - low) + low

    thick = F.max_pool2d(ink, 3, 1, 1)
    pen = uniform(0, 1, 1, 1, 1)
    fine = F.avg_pool2d(ink, 3, 1, 1)
    ink = torch.where(pen < 0.3, thick, torch.where(pen < 0.42, F.max_pool2d(thick, 3, 1, 1), torch.where(pen < 0.55, fine, ink)))
    angle, slant = uniform(-0.35, 0.35), uniform(-0.2, 0.2)
    grow, stretch = uniform(0.95, 1.35), uniform(-0.2, 0.2).exp()
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    cos, sin = angle.cos(), angle.sin()
    matrix = torch.stack(
        [
            torch.stack([grow * stretch * cos * mirror, grow * stretch * (slant * cos - sin), uniform(-0.12, 0.12)], 1),
            torch.stack([grow / stretch * sin * mirror, grow / stretch * (slant * sin + cos), uniform(-0.12, 0.12)], 1),
        ],
        1,
    )
    grid = F.affine_grid(matrix, list(ink.shape), align_corners=False)
    waves = F.interpolate(uniform(-0.06, 0.06, 2, 5, 5), size=(side, side), mode="bicubic", align_corners=False)
    ink = F.grid_sample(ink, grid + waves.permute(0, 2, 3, 1), align_corners=False)
    left, top, width, height = uniform(0, 0.8), uniform(0, 0.8), uniform(0.1, 0.35), uniform(0.1, 0.35)
    place = (torch.arange(side) + 0.5) / side
    across = (place > left[:, None]) & (place < (left + width)[:, None])
    down = (place > top[:, None]) & (place < (top + height)[:, None])
    erased = (down[:, :, None] & across[:, None, :]) & (uniform(0, 1, 1, 1) < 0.3)
    return ink.masked_fill(erased.unsqueeze(1), 0.0).clamp(0, 1)


def mentions(names: Sequence[str], captions: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Name -> the rows of the captions that use it (singular, or with an s), in the order of ``names``."""
    found: dict[str, list[int]] = {}
    wanted = {form: name for name in names for form in (name, name + "s", name + "es")}
    longest = max(len(name.split()) for name in names)
    for row, caption in enumerate(captions):
        spoken = re.findall(r"[a-z]+", caption.lower().replace("-", " "))
        seen = {" ".join(spoken[at : at + size]) for size in range(1, longest + 1) for at in range(len(spoken) - size + 1)}
        for name in {wanted[form] for form in seen if form in wanted}:
            found.setdefault(name, []).append(row)
    return {name: np.array(found[name]) for name in names if name in found}


class Drawing(Stage):
    """Sketch tower with its two heads, on frozen vectors of photos, captions and names."""

    def __init__(self, corpus: Corpus, encoder: Encoder, options: Config) -> None:
        super().__init__()
        self.options = options
        self.seed, work = corpus.seed, corpus.work / f"drawing-{encoder.fingerprint}"
        cut = options["cut"]
        trunk = corpus.drawn_trunk(options["trunk"])
        self.lower = nn.ModuleList(trunk.layers[:cut]).requires_grad_(False)
        self.shapes = Branch(trunk, cut, options["hidden"], SHAPES, options["dropout"], heads=4)
        self.words = Head(self.shapes.pool.outputs, options["hidden"] // 2, WORDS, options["dropout"])

        # drawings, as ink
        self.inks = {
            "sk": [kept(work.parent / "ink" / "sk.npy", lambda: _inks(_sketch_ink, corpus.sketches))],
            "qd": [
                kept(
                    work.parent / "ink" / f"qd-{view}.npy",
                    functools.partial(
                        _inks,
                        _drawing_ink,
                        corpus.drawings,
                        [view] * len(corpus.drawings),
                        [[self.seed, view, i] for i in range(len(corpus.drawings))],
                    ),
                )
                for view in range(options["views"]["drawings"])
            ],
            "sy": [],
        }
        quick = [thing(drawing.word) for drawing in corpus.drawings]
        classed = [thing(sample.meta["class"]) for sample in corpus.photos]
        self.things = sorted({*quick, *classed})
        found = icons.read_icons(Path(options["icons"]), set(self.things), thing, options["icons_each"]) if options["icons"] else []
        self.inks["ic"] = [kept(work.parent / "ink" / "ic.npy", lambda: _inks(_icon_ink, found))] if found else []
        drawn = [*corpus.photos, *corpus.flickr]  # photos that strokes are taken from, in the gallery's order
        for view in range(options["views"]["synthetic"]):
            seeds = [[self.seed, 9, view, i] for i in range(len(drawn))]
            make = functools.partial(_inks, _synthetic_ink, drawn, seeds)
            self.inks["sy"].append(kept(work.parent / "ink" / f"sy-{view}.npy", make))

        # the gallery: photos with a class, then Flickr8k's, then others
        photos = [*drawn, *corpus.plain]
        views = photo_views(work, encoder, photos, options["views"]["photos"], self.seed)
        self.gallery = [torch.from_numpy(rows) / PHOTO_SCALE for rows in views]
        self.objects, self.flickr = len(corpus.photos), len(corpus.flickr)
        captions = [caption for sample in corpus.flickr for caption in sample.meta["captions"]]
        texts = kept(
            work / "captions.npy", lambda: np.concatenate([encoder.texts(captions[i : i + 512]) for i in range(0, len(captions), 512)])
        )
        self.captions = torch.from_numpy(np.asarray(texts, np.float32)[:, :WORDS])

        # what is drawn
        index = {name: row for row, name in enumerate(self.things)}
        self.photo_thing = torch.tensor([index[name] for name in classed])
        self.labels = {
            "sk": np.array([index[thing(sample.meta["class"])] for sample in corpus.sketches]),
            "qd": np.array([index[name] for name in quick]),
            "ic": np.array([index[icon.thing] for icon in found], dtype=np.int64),
        }
        place = {sample.key: row for row, sample in enumerate(corpus.photos)}
        self.drawn_from = torch.tensor([place.get(sample.meta.get("photo") or "", -1) for sample in corpus.sketches])
        self.chance = {}
        for name, power in (("sk", options["balance"]), ("qd", 0.0), ("ic", options["balance"])):
            size = np.bincount(self.labels[name], minlength=len(self.things))[self.labels[name]]
            chance = size.astype(np.float64) ** -power
            self.chance[name] = chance / chance.sum()
        spoken = np.stack([encoder.texts([form.format(name) for name in self.things])[:, :WORDS] for form in FORMS]).mean(0)
        self.names = F.normalize(torch.from_numpy(spoken), dim=-1)

        # captions that name something drawn: rows (caption, photo) of each thing
        spoken_of = mentions(self.things, captions)
        self.of_caption = np.repeat(np.arange(self.flickr), [len(sample.meta["captions"]) for sample in corpus.flickr])
        self.naming = {index[name]: rows for name, rows in spoken_of.items() if len(rows) >= 3}
        self.nameable = {name: np.flatnonzero(np.isin(labels, list(self.naming))) for name, labels in self.labels.items()}
        self.prototypes = nn.Parameter(self._first_prototypes())
        self.scales = nn.Parameter(torch.tensor([math.log(20.0)] * 5))
        self.balance = nn.Parameter(torch.zeros(2))  # words against shapes, alone and beside a caption

    def _first_prototypes(self) -> Tensor:
        """Means of the photos of each thing; small random rows where there are none."""
        generator = torch.Generator().manual_seed(self.seed)
        rows = torch.randn(len(self.things), SHAPES, generator=generator) * 0.06
        shapes = self.gallery[0][: self.objects, WORDS : WORDS + SHAPES]
        for row in self.photo_thing.unique().tolist():
            rows[row] = F.normalize(shapes[self.photo_thing == row].mean(0), dim=-1)
        return rows

    def train(self, mode: bool = True) -> Drawing:
        super().train(mode)
        for module in self.modules():  # batches mix three kinds of drawings: batch norm keeps its statistics
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def groups(self) -> list[dict[str, Any]]:
        rate = self.options["rate"]
        trunk = [p for p in self.shapes.layers.parameters() if p.requires_grad]
        seen = {id(p) for p in self.shapes.layers.parameters()}
        heads = [p for p in self.parameters() if p.requires_grad and id(p) not in seen]
        return [{"params": heads, "lr": rate["heads"]}, {"params": trunk, "lr": rate["trunk"]}]

    def features(self, ink: Tensor) -> Tensor:
        """Ink in 0..1, float [n, 1, side, side] -> pooled features."""
        x = ((1.0 - ink) * 255.0 - 127.0) / 128.0
        x = x.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            for layer in self.lower:
                x = layer(x)
        return self.shapes.features(x)

    def parts(self, ink: Tensor) -> tuple[Tensor, Tensor]:
        """Unit `words` [n, 256] and `shapes` [n, 255]."""
        features = self.features(ink)
        return F.normalize(self.words(features).float(), dim=-1), F.normalize(self.shapes.head(features).float(), dim=-1)

    def _loaded(self, name: str, rows: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        views = self.inks[name]
        picked = [views[int(rng.integers(len(views)))][row] for row in rows]
        return torch.from_numpy(np.stack(picked)).unsqueeze(1).float() / 255.0

    def forward(self, step: int, rank: int = 0) -> Tensor:
        rng = np.random.default_rng([self.seed, 4, step, rank])
        batch, weight = self.options["batch"], self.options["weight"]
        sk = rng.choice(len(self.labels["sk"]), batch["sketches"], replace=False, p=self.chance["sk"])
        scenes = rng.choice(self.nameable["qd"], batch["scenes"], replace=False)
        qd = np.concatenate([scenes, rng.choice(len(self.labels["qd"]), batch["drawings"], replace=False)])
        sy = rng.choice(self.objects + self.flickr, batch["synthetic"], replace=False)
        ic = rng.choice(len(self.labels["ic"]), batch["icons"], replace=False, p=self.chance["ic"]) if batch["icons"] else qd[:0]
        drawn_by = {"sk": sk, "qd": qd, "ic": ic, "sy": sy}
        ink = torch.cat([self._loaded(name, rows, rng) for name, rows in drawn_by.items() if len(rows)])
        said, shown = self.parts(redrawn(ink, torch.Generator().manual_seed(int(rng.integers(2**62)))))

        gallery = self.gallery[int(rng.integers(len(self.gallery)))]
        scales, balance = self.scales.exp().clamp(max=80.0), (2 * self.balance).sigmoid()
        labels = torch.from_numpy(np.concatenate([self.labels[name][rows] for name, rows in drawn_by.items() if name != "sy"]))
        drawn = len(labels)

        # photos by drawing
        by_words, by_shapes = said @ gallery[:, :WORDS].T, shown @ gallery[:, WORDS : WORDS + SHAPES].T
        scores = balance[0] * by_words + (1 - balance[0]) * by_shapes
        same = labels[:, None] == self.photo_thing[None]
        target = same.float() / same.sum(1, keepdim=True).clamp(min=1)
        from_photo = self.drawn_from[sk]
        paired = (from_photo >= 0).nonzero().squeeze(1)
        has = same.any(1)
        loss = torch.zeros(())
        for logits in (2 * scales[0] * scores, scales[1] * by_shapes):
            logs = logits[:drawn, : self.objects].log_softmax(1)
            loss = loss + weight["photos"] / 2 * -(target * logs).sum(1)[has].mean()
        within = (2 * scales[0] * scores[paired][:, : self.objects]).masked_fill(~same[paired], -1e4)  # the very photo among its class
        loss = loss + weight["pairs"] * F.cross_entropy(within, from_photo[paired])
        # names
        loss = loss + weight["names"] * F.cross_entropy(scales[2] * said[:drawn] @ self.names.T, labels, label_smoothing=0.05)
        prototypes = F.normalize(self.prototypes, dim=-1)
        loss = loss + weight["names"] * F.cross_entropy(scales[3] * shown[:drawn] @ prototypes.T, labels, label_smoothing=0.05)
        # strokes of a photo
        if len(sy):
            synthetic = 2 * scales[0] * scores[drawn:]
            loss = loss + weight["synthetic"] * F.cross_entropy(synthetic, torch.from_numpy(sy))
        # a caption and a drawing of something in it
        rows = np.concatenate(
            [np.arange(len(sk), len(sk) + len(scenes)), np.flatnonzero(np.isin(self.labels["sk"][sk], list(self.naming)))]
        )
        spoken = np.array([rng.choice(self.naming[int(labels[row])]) for row in rows])
        flickr = slice(self.objects, self.objects + self.flickr)
        caption = self.captions[spoken] @ gallery[flickr, :WORDS].T
        drawing = balance[1] * by_words[rows][:, flickr] + (1 - balance[1]) * by_shapes[rows][:, flickr]
        together = self.options["caption_scale"] * (caption + self.options["beside"] * drawing)
        loss = loss + weight["composed"] * F.cross_entropy(together, torch.from_numpy(self.of_caption[spoken]))
        # a photo of the scene by the drawing alone
        named = torch.zeros(len(rows), self.flickr)
        for position, row in enumerate(rows):
            named[position, np.unique(self.of_caption[self.naming[int(labels[row])]])] = 1.0
        logs = (scales[4] * drawing).log_softmax(1)
        return loss + weight["scenes"] * -(named / named.sum(1, keepdim=True) * logs).sum(1).mean()
