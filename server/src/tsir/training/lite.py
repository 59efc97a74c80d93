# mypy: disable-error-code="misc, no-any-return, no-untyped-call"
"""The recipe of the lite model: captions and words, sketches, export, wording, drawing, hubs, things, places.

The lower two thirds of the trunks stay as they were pretrained; their output is cached (``cache.py``), several random views of
each picture.
Everything above is trained on it:

* ``captions``: the photo tower's `words` branch and the text tower, on captions, emoji names and pseudo-labels.
* ``sketches``: the photo tower's `shapes` branch and the sketch tower, on pairs of photo and sketch, classes and QuickDraw.
* ``export``: int8 graphs of photos and texts.
* ``wording``: the text tower once more, against the finished photo graph (``wording.py``).
* ``drawing``: two towers for drawings, trained against those graphs (``drawing.py``).
* ``hubs``: photos that lie near too many queries are held back (``hubs.py``).
* ``things``: a drawing is pulled towards the photos of the things that it resembles (``things.py``).
* ``places``: vectors also say where in a photo, or on a canvas, things are (``places.py``).

The first two need nothing of each other and may run at the same time (``stages=[captions]`` and ``stages=[sketches]``).
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tsir.encoders.base import Encoder
from tsir.encoders.lite import load, preprocess
from tsir.errors import InvalidInput
from tsir.training import cache, data, depicted, hubs, minilm, places, things, words
from tsir.training.corpus import Corpus
from tsir.training.drawing import Drawing, mentions, thing
from tsir.training.export import converted_text, export, export_drawings, read_manifest, replace_graph, whole_manifest, write_manifest
from tsir.training.imported import text_tower
from tsir.training.loop import Config, Stage, processes, train
from tsir.training.losses import contrastive, soft_labels
from tsir.training.tokens import TEMPLATES, Tokens
from tsir.training.towers import SHAPES, WORDS, Branch, DrawingTower, PhotoTower, TextTower
from tsir.training.wording import Heads, Wording, blend

log = logging.getLogger(__name__)


def _maps(views: Sequence[cache.Features], rows: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
    """One random view of each row, mirrored half the time (a mirrored picture has a mirrored map, very nearly)."""
    chosen = rng.integers(0, len(views), len(rows))
    parts = []
    for view, row in zip(chosen, rows, strict=True):
        maps = views[view].maps
        assert maps is not None
        parts.append(maps[row])
    out = torch.from_numpy(np.stack(parts).astype(np.float32))
    flip = torch.from_numpy(rng.random(len(rows)) < 0.5)
    return torch.where(flip[:, None, None, None], out.flip(3), out).contiguous(memory_format=torch.channels_last)


class _Frozen(Stage):
    """Batch norm keeps its statistics: batches are small and views few."""

    def train(self, mode: bool = True) -> _Frozen:
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


def _trained(layers: Iterable[nn.Module]) -> list[nn.Parameter]:
    return [p for layer in layers for p in layer.parameters() if p.requires_grad]


class Captions(_Frozen):
    """`words` branch and text tower: captions, emoji names, and what the ImageNet classifier says of every photo."""

    def __init__(self, corpus: Corpus) -> None:
        super().__init__()
        options = self.options = corpus.config["captions"]
        self.seed = corpus.seed
        cut = corpus.config["photo"]["cut"]
        self.branch = Branch(corpus.photo_trunk, cut, options["hidden"], WORDS, options["dropout"])
        self.text = TextTower(minilm.pretrained(), options["hidden"], options["dropout"])
        self.text.transformer.words.weight.requires_grad_(False)  # 12 of 22 million weights, each seen too seldom
        self.scale, self.label_scale = (nn.Parameter(torch.tensor(math.log(20.0))) for _ in range(2))
        self.frozen = options["frozen_layers"]
        views = options["views"]
        self.views = {name: corpus.photo_views(name, views.get(name, 1)) for name in ("fl", "sp", "co", "em")}
        self.chances = {}
        found = words.concepts(Path(corpus.config["wordnet"]))
        self.members = words.membership(found)
        for name in ("fl", "sp", "co"):
            logits = np.asarray(self.views[name][0].logits, np.float32)
            chance = np.exp(logits - logits.max(1, keepdims=True))
            self.chances[name] = chance / chance.sum(1, keepdims=True)
        self.captions = Tokens([caption for sample in corpus.flickr for caption in sample.meta["captions"]])
        self.of_photo: list[range] = []
        position = 0
        for sample in corpus.flickr:
            self.of_photo.append(range(position, position + len(sample.meta["captions"])))
            position += len(sample.meta["captions"])
        self.emoji_rows = np.array(corpus.taught_emoji)
        self.emoji_names = Tokens([name for _, name, _ in corpus.emoji])
        texts: list[str] = []
        self.ways: list[range] = []
        for concept in found:
            ways = [template.format(name) for name in concept.names for template in TEMPLATES]
            self.ways.append(range(len(texts), len(texts) + len(ways)))
            texts += ways
        self.concepts = Tokens(texts)
        self.class_names = Tokens([template.format(name.replace("_", " ")) for template in TEMPLATES for name in corpus.classes])
        self.photo_class, self.class_count = corpus.photo_class, len(corpus.classes)

    def groups(self) -> list[dict[str, Any]]:
        rate = self.options["rate"]
        heads = [*self.branch.pool.parameters(), *self.branch.head.parameters(), *self.text.head.parameters(), self.scale, self.label_scale]
        trunk = _trained(list(self.branch.layers)[self.frozen :])
        transformer = [p for p in self.text.transformer.parameters() if p.requires_grad]
        return [
            {"params": heads, "lr": rate["heads"]},
            {"params": trunk, "lr": rate["trunk"]},
            {"params": transformer, "lr": rate["text"]},
        ]

    def forward(self, step: int, rank: int = 0) -> Tensor:
        rng = np.random.default_rng([self.seed, 1, step, rank])
        batch, weight = self.options["batch"], self.options["weight"]
        rows = {
            "fl": rng.choice(len(self.of_photo), batch["captions"], replace=False),
            "em": rng.choice(self.emoji_rows, batch["emoji"], replace=False),
            "sp": rng.choice(len(self.photo_class), batch["classes"], replace=False),
            "co": rng.choice(len(self.chances["co"]), batch["plain"], replace=False),
        }
        maps = torch.cat([_maps(self.views[name], chosen, rng) for name, chosen in rows.items()])
        photos = self.branch(maps, self.frozen)
        flickr, emoji, classed, plain = photos.split([len(chosen) for chosen in rows.values()])

        captions = self.captions.batch([int(rng.choice(self.of_photo[row])) for row in rows["fl"]])
        names = self.emoji_names.batch([int(row) for row in rows["em"]])
        chances = np.concatenate([self.chances[name][rows[name]] for name in ("fl", "sp", "co")])
        sure = np.unique(np.argsort(-chances, 1)[:, :2])
        others = rng.permutation(np.setdiff1d(np.arange(1000), sure))[: max(0, batch["concepts"] - len(sure))]
        chosen_classes = np.concatenate([sure[: batch["concepts"]], others])
        chosen_kinds = 1000 + rng.choice(len(self.ways) - 1000, batch["kinds"], replace=False)
        ways = [self.ways[concept] for concept in (*chosen_classes, *chosen_kinds)]
        # the curated name, which comes first, half the time
        said = [int(rng.choice(list(way)[: len(TEMPLATES)] if rng.random() < 0.5 else list(way))) for way in ways]
        labels = self.concepts.batch(said)
        template = int(rng.integers(len(TEMPLATES)))
        present, own_class = np.unique(self.photo_class[rows["sp"]], return_inverse=True)
        own = self.class_names.batch([template * self.class_count + int(row) for row in present])

        scale, label_scale = self.scale.exp().clamp(max=100.0), self.label_scale.exp().clamp(max=100.0)
        spoken = torch.cat([self.text.words(*captions), self.text.words(*names)])
        loss = contrastive(torch.cat([flickr, emoji]), spoken, scale, smoothing=self.options["smoothing"])
        logits = label_scale * torch.cat([flickr, classed, plain]) @ self.text.words(*labels).T
        count = len(chosen_classes)
        target = torch.from_numpy(chances[:, chosen_classes])
        loss = loss + weight["concepts"] * soft_labels(logits[:, :count], target / target.sum(1, keepdim=True))
        kinds = torch.from_numpy(chances @ self.members[chosen_kinds].T) + 1e-4
        loss = loss + weight["kinds"] * soft_labels(logits[:, count:], kinds / kinds.sum(1, keepdim=True))
        by_class = F.cross_entropy(label_scale * classed @ self.text.words(*own).T, torch.from_numpy(own_class))
        return loss + weight["classes"] * by_class


class Sketches(_Frozen):
    """`shapes` branch and sketch tower: which photo was drawn, what was drawn, and QuickDraw's words in Flickr's photos."""

    def __init__(self, corpus: Corpus) -> None:
        super().__init__()
        options = self.options = corpus.config["sketches"]
        self.seed = corpus.seed
        self.photo = Branch(corpus.photo_trunk, corpus.config["photo"]["cut"], options["hidden"], SHAPES, options["dropout"])
        self.sketch = Branch(corpus.sketch_trunk, corpus.config["sketch"]["cut"], options["hidden"], SHAPES, options["dropout"], heads=4)
        self.frozen = options["frozen_layers"]
        views = options["views"]
        self.views = {name: corpus.photo_views(name, views[name]) for name in ("sp", "fl")}
        self.sketch_views = {name: corpus.sketch_views(name, views[name]) for name in ("sk", "qd")}
        # one list of things for sketches, drawings and photos: QuickDraw's "cat" is Sketchy's "cat"
        quick, classes = [thing(drawing.word) for drawing in corpus.drawings], [thing(name) for name in corpus.classes]
        self.things = sorted({*quick, *classes})
        index = {name: row for row, name in enumerate(self.things)}
        self.photo_thing = np.array([index[classes[row]] for row in corpus.photo_class])
        self.sketch_thing = np.array([index[thing(sample.meta["class"])] for sample in corpus.sketches])
        self.drawing_thing = np.array([index[name] for name in quick])
        place = {sample.key: row for row, sample in enumerate(corpus.photos)}
        self.drawn_from = np.array([place.get(sample.meta.get("photo") or "", -1) for sample in corpus.sketches])
        self.of_thing = {row: np.flatnonzero(self.photo_thing == row) for row in set(self.photo_thing)}
        # classes with 700 sketches beside classes with 25: draw by the root of the size
        size = np.bincount(self.sketch_thing, minlength=len(self.things))[self.sketch_thing]
        self.chance = 1.0 / np.sqrt(size)
        self.chance /= self.chance.sum()
        captions = [caption for sample in corpus.flickr for caption in sample.meta["captions"]]
        photo_of = np.repeat(np.arange(len(corpus.flickr)), [len(sample.meta["captions"]) for sample in corpus.flickr])
        self.named = {index[name]: np.unique(photo_of[rows]) for name, rows in mentions(sorted(set(quick)), captions).items()}
        self.named_drawings = np.flatnonzero(np.isin(self.drawing_thing, list(self.named)))
        self.prototypes = nn.Parameter(torch.randn(len(self.things), SHAPES) * 0.06)
        self.scale, self.class_scale = (nn.Parameter(torch.tensor(math.log(16.0))) for _ in range(2))

    def groups(self) -> list[dict[str, Any]]:
        rate = self.options["rate"]
        trunk, sketch = _trained(list(self.photo.layers)[self.frozen :]), _trained(self.sketch.layers)
        seen = {id(p) for p in (*self.photo.layers.parameters(), *self.sketch.layers.parameters())}
        heads = [p for p in self.parameters() if id(p) not in seen]
        return [{"params": heads, "lr": rate["heads"]}, {"params": trunk, "lr": rate["trunk"]}, {"params": sketch, "lr": rate["sketch"]}]

    def forward(self, step: int, rank: int = 0) -> Tensor:
        rng = np.random.default_rng([self.seed, 2, step, rank])
        batch, weight = self.options["batch"], self.options["weight"]
        drawn = rng.choice(len(self.sketch_thing), batch["sketches"], replace=False, p=self.chance)
        paired = self.drawn_from[drawn]
        photos = np.array([p if p >= 0 else rng.choice(self.of_thing[t]) for p, t in zip(paired, self.sketch_thing[drawn], strict=True)])
        scenes_of = rng.choice(self.named_drawings, batch["scenes"], replace=False)
        scenes = np.array([rng.choice(self.named[self.drawing_thing[row]]) for row in scenes_of])
        quick = np.concatenate([scenes_of, rng.choice(len(self.drawing_thing), batch["drawings"], replace=False)])

        inputs = torch.cat([_maps(self.sketch_views["sk"], drawn, rng), _maps(self.sketch_views["qd"], quick, rng)])
        sketches = self.sketch(inputs)
        seen = torch.cat([_maps(self.views["sp"], photos, rng), _maps(self.views["fl"], scenes, rng)])
        pictures = self.photo(seen, self.frozen)
        objects = pictures[: len(photos)]
        own, other = sketches[: len(drawn)], sketches[len(drawn) : len(drawn) + len(scenes)]

        scale, class_scale = self.scale.exp().clamp(max=80.0), self.class_scale.exp().clamp(max=60.0)
        pairs = torch.from_numpy((photos[:, None] == photos[None]) & (paired >= 0)[:, None] & (paired >= 0)[None])
        loss = weight["pairs"] * contrastive(own, objects, scale, pairs)
        things = torch.from_numpy(self.sketch_thing[drawn])
        loss = loss + weight["classes"] * contrastive(own, objects, scale, things[:, None] == things[None])
        prototypes = F.normalize(self.prototypes, dim=-1)
        all_things = torch.cat([things, torch.from_numpy(self.drawing_thing[quick])])
        loss = loss + weight["names"] * F.cross_entropy(class_scale * sketches @ prototypes.T, all_things, label_smoothing=0.05)
        loss = loss + weight["names"] * F.cross_entropy(class_scale * objects @ prototypes.T, things, label_smoothing=0.05)
        named = np.stack([np.isin(scenes, self.named[shown]) for shown in self.drawing_thing[scenes_of]])
        return loss + weight["scenes"] * contrastive(other, pictures[len(photos) :], scale, torch.from_numpy(named))


def calibration(corpus: Corpus) -> NDArray[np.uint8]:
    """Prepared photos for the quantiser, some of every source: uint8 [n, side, side, 3]."""
    sources = (corpus.flickr, corpus.photos, corpus.plain)
    photos = [sample.picture() for samples in sources for sample in samples[:: max(1, len(samples) // 60)]]
    photos += [data.rasterise(svg) for _, _, svg in corpus.emoji[::70]]
    return np.stack([np.asarray(preprocess.prepare_photo(photo)) for photo in photos])


def _drawing_towers(corpus: Corpus) -> None:
    """Train the towers for drawings against the graphs in ``out``, and add them to these."""
    config, out = corpus.config, Path(corpus.config["out"])
    encoder, towers = load(folder=out), []
    if "hubs" in read_manifest(out):
        raise InvalidInput(f"The graphs in {out} have passed the stage `hubs`; towers for drawings are trained against those of `export`.")
    for number, own in enumerate(config["drawing"]["towers"], 1):
        options = {**config["drawing"], **own}
        stage = train(Drawing(corpus, encoder, options), options, corpus.work / f"drawing-{number}.pt", corpus.seed, config)
        assert isinstance(stage, Drawing)
        towers.append(DrawingTower(stage.lower, stage.shapes, stage.words))
    export_drawings(towers, out, config["drawing"]["joined"])
    log.info("added the towers for drawings to %s", out)


def _wording(corpus: Corpus) -> None:
    """Train the text tower of the graphs in ``out`` on, and put it in its place. Raises InvalidInput when that was done before."""
    options, manifest, text, encoder = _text_tower(corpus, "wording")
    if "wording" in manifest:
        raise InvalidInput(
            f"The graphs in {corpus.config['out']} have passed the stage `wording`; it starts from a text tower that has not."
        )
    stage = Wording(corpus, encoder, copy.deepcopy(text), options)
    trained = train(stage, options, stage.work / "checkpoint.pt", corpus.seed, corpus.config)
    assert isinstance(trained, Wording)
    _replace_text(corpus, trained.blended(text), manifest | {"wording": {"steps": options["steps"]}})


def _heads(corpus: Corpus) -> None:
    """Train the head of the text tower in ``out`` on. Raises InvalidInput when that was done before, or `wording` was not."""
    options, manifest, text, encoder = _text_tower(corpus, "heads")
    if "wording" not in manifest or "heads" in manifest["wording"]:
        raise InvalidInput(f"The graphs in {corpus.config['out']} must come from the stage `wording`, and not have passed `heads` yet.")
    before = copy.deepcopy(text.head)
    stage = Heads(corpus, encoder, text, options)
    trained = train(stage, options, stage.work / "checkpoint.pt", corpus.seed, corpus.config)
    assert isinstance(trained, Heads)
    blend(trained.head, before, options["before"])
    text.head = trained.head.eval()
    _replace_text(corpus, text, manifest | {"wording": manifest["wording"] | {"heads": options["steps"]}})


def _text_tower(corpus: Corpus, stage: str) -> tuple[Config, dict[str, Any], TextTower, Encoder]:
    """Options of a stage, the manifest in ``out``, the text tower from there, and all that stands there."""
    config, out = corpus.config, Path(corpus.config["out"])
    tower = text_tower(out / "text.xml", config["captions"]["hidden"], config["captions"]["dropout"])
    return config[stage], whole_manifest(out), tower, load(folder=out)


def _replace_text(corpus: Corpus, tower: TextTower, manifest: dict[str, Any]) -> None:
    out, graph = Path(corpus.config["out"]), converted_text(tower)
    if "hubs" in manifest:
        hubs.text_graph(graph, manifest["hubs"]["share"])
    replace_graph(graph, out / "text.xml")
    write_manifest(out, manifest)
    log.info("the text tower in %s was trained on", out)


def run(config: Config) -> None:
    """Run the stages that the config lists; a stage that is done is loaded, not trained again."""
    if processes()[0] > 1:
        raise InvalidInput("The recipe `lite` trains in one process: start it with `tsir train`.")
    torch.set_num_threads(int(config["threads"]))
    torch.set_flush_denormal(True)  # softmax over 1,000 classes makes denormals, which are a hundred times slower
    corpus = Corpus(config)
    stages, seed = set(config["stages"]), corpus.seed
    if stages & {"captions", "export"}:
        captions = train(Captions(corpus), config["captions"], corpus.work / "captions.pt", seed, config)
    if stages & {"sketches", "export"}:
        sketches = train(Sketches(corpus), config["sketches"], corpus.work / "sketches.pt", seed, config)
    if "export" in stages:
        _export(corpus, captions, sketches)
    if "wording" in stages:
        _wording(corpus)
    if "heads" in stages:
        _heads(corpus)
    if "drawing" in stages:
        _drawing_towers(corpus)
    if "hubs" in stages:
        hubs.hold_back(corpus)
    if "things" in stages:
        things.pull(corpus)
    if "places" in stages:
        places.put_in_place(corpus)
    if "depicted" in stages:
        depicted.depict(corpus)


def _export(corpus: Corpus, captions: Stage, sketches: Stage) -> None:
    """Graphs of the photo tower, both branches together, and of the text tower."""
    config = corpus.config
    assert isinstance(captions, Captions) and isinstance(sketches, Sketches)
    photo = PhotoTower(corpus.photo_trunk, config["photo"]["cut"], captions.branch, sketches.photo)
    about = {"recipe": "lite", "seed": corpus.seed, "steps": {name: config[name]["steps"] for name in ("captions", "sketches")}}
    export(photo.eval(), captions.text, Path(config["out"]), calibration(corpus), about)
    log.info("wrote %s", config["out"])
