# mypy: disable-error-code="misc, no-any-return, no-untyped-call"
"""Where things are: a part for places in the vectors of photos and drawings, found by the same dot product as everything else.

A photo's part is a grid of CELLS x CELLS soft cells, each with a vector of WIDTH numbers that says what is there, made from the last
feature maps of the photo tower. A drawing's part is such a grid as well, made from the maps of the first sketch tower as it sees the
whole canvas instead of a crop: their dot product is high where the drawn things stand in the photo. Both are unit vectors in what
ships; how much places count beside what is drawn is one number.

The towers stay as they are: only two small heads are trained, on maps computed once. What they learn from are scenes composed from
QuickDraw's drawings, laid into the boxes that a detector found in the training photos (``scenes.py``): each scene is asked for its
photo among some hundred others.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tsir.encoders.lite import preprocess
from tsir.encoders.lite.encoder import CELLS
from tsir.errors import InvalidInput
from tsir.training import imported, scenes
from tsir.training.cache import kept
from tsir.training.corpus import Corpus
from tsir.training.data import Sample
from tsir.training.export import converted_sketch, read_manifest, replace_graph, small, whole_manifest, write_manifest
from tsir.training.loop import Config, Stage, train
from tsir.training.scenes import Thing
from tsir.training.towers import DrawingTower

log = logging.getLogger(__name__)

WIDTH = 32
PLACES = CELLS * CELLS * WIDTH
"""Dimensions of the part for places."""
PHOTO_MAP, SKETCH_MAP = 9, 6
"""Sides of the maps that the cells are made from: photos of 260 px, canvases of 192 px."""
AT_ONCE = 32  # pictures


def windows(side: int, cells: int = CELLS) -> Tensor:
    """Soft cells over a map: float [cells * cells, side * side], rows sum to 1. Neighbours overlap: a thing near an edge is in both."""
    places, middles = (torch.arange(side) + 0.5) / side, (torch.arange(cells) + 0.5) / cells
    line = (1 - 0.8 * cells * (places[None] - middles[:, None]).abs()).clamp(min=0)
    line = line / line.sum(1, keepdim=True)
    return torch.einsum("ai,bj->abij", line, line).reshape(cells * cells, side * side)


class Whitening(nn.Module):
    """The strongest directions of some vectors, each of about the same spread: [n, inputs] -> [n, outputs]. Not trained."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("basis", torch.zeros(inputs, outputs))

    def fit(self, rows: Tensor) -> Whitening:
        """Principal components of ``rows`` [n, inputs]; the weakest are not blown up."""
        self.mean.copy_(rows.mean(0))
        centred = rows - self.mean
        values, vectors = torch.linalg.eigh(centred.T @ centred / len(rows))
        values, vectors = values.flip(0)[: self.basis.shape[1]], vectors.flip(1)[:, : self.basis.shape[1]]
        self.basis.copy_(vectors / (values + 0.1 * values.mean()).sqrt())
        return self

    def forward(self, rows: Tensor) -> Tensor:
        return (rows - self.mean) @ self.basis


class PhotoPlaces(nn.Module):
    """What is where in a photo: whitened cells [n, cells, inputs] -> [n, cells, WIDTH]."""

    def __init__(self, inputs: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.enter, self.own, self.around = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.out = nn.Linear(hidden, WIDTH)
        self.dropout = dropout

    def forward(self, cells: Tensor) -> Tensor:
        x = F.relu(self.enter(F.dropout(cells, self.dropout / 2, self.training)))
        x = F.relu(self.own(F.dropout(x, self.dropout, self.training)) + self.around(x.mean(1, keepdim=True))) + x
        return self.out(x).float()


class SketchPlaces(nn.Module):
    """What was drawn where: whitened places of the canvas's map [n, side * side, inputs] -> [n, cells, WIDTH]."""

    def __init__(self, inputs: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.enter = nn.Linear(inputs, hidden)
        self.near, self.far = (nn.Conv2d(hidden, hidden, 3, padding=1) for _ in range(2))
        self.whole = nn.Linear(2 * hidden, hidden)
        self.out = nn.Linear(2 * hidden, WIDTH)
        self.register_buffer("windows", windows(SKETCH_MAP), persistent=False)
        self.dropout = dropout

    def map(self, places: Tensor) -> Tensor:
        """[n, side * side, inputs] -> [n, hidden, side, side]."""
        x = F.relu(self.enter(F.dropout(places, self.dropout / 2, self.training)))
        x = x.transpose(1, 2).unflatten(2, (SKETCH_MAP, SKETCH_MAP))  # no len(): it would be fixed when the tower is traced
        x = F.relu(self.near(F.dropout(x, self.dropout, self.training))) + x
        return F.relu(self.far(F.dropout(x, self.dropout, self.training))) + x

    def read(self, x: Tensor) -> Tensor:
        """[n, hidden, side, side] -> [n, cells, WIDTH]."""
        whole = F.relu(self.whole(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)))
        cells = (x.flatten(2) @ self.windows.T.to(x.dtype)).transpose(1, 2)
        cells = F.dropout(cells, self.dropout, self.training)
        return self.out(torch.cat([cells, whole[:, None].expand(-1, cells.shape[1], -1)], 2)).float()

    def forward(self, places: Tensor) -> Tensor:
        return self.read(self.map(places))


class Places(Stage):
    """Both heads, on cached maps of photos and of composed scenes."""

    def __init__(self, corpus: Corpus, folder: Path, options: Config) -> None:
        super().__init__()
        self.options, self.seed = options, corpus.seed
        work = corpus.work / f"places-{read_manifest(folder)['fingerprint']}"  # the maps belong to these towers
        photos = corpus.scenery
        cells = kept(work / "photos.npy", lambda: photo_cells(folder / "image.xml", photos))
        seen = scenes.read_things(corpus.root / "boxes.jsonl.gz")
        things = [seen.get(photo.key, []) for photo in photos]
        artist = scenes.Artist(corpus.drawings, [])
        outlines = kept(work / "outlines.npy", lambda: _outlines(photos, things, artist))
        things = _with_outlines(things, outlines)
        artist = scenes.Artist(corpus.drawings, [thing for several in things for thing in several])
        things = [[thing for thing in several if artist.knows(thing.name)] for several in things]
        names = sorted({thing.name for several in things for thing in several})

        self.photo_of = _asked(things, options["scenes"], corpus.seed)
        tower = imported.drawing_tower(folder / "sketch.xml", options["trunk"], options["cut"], options["tower_hidden"])
        drawn = [scenes.scene(artist, things[row], np.random.default_rng([corpus.seed, 11, at])) for at, row in enumerate(self.photo_of)]
        maps = kept(work / f"canvases-{options['scenes']}.npy", lambda: canvas_maps(tower, np.stack([ink for ink, _ in drawn])))
        rows = {name: row for row, name in enumerate(names)}
        self.drawn_at = [[(rows[thing.name], _places(thing.box)) for thing in several] for _, several in drawn]

        self.photo_white, self.photos = _whitened(cells, options["inputs"]["photo"], corpus.seed)
        self.sketch_white, self.canvases = _whitened(maps, options["inputs"]["sketch"], corpus.seed)
        self.photo = PhotoPlaces(options["inputs"]["photo"], options["hidden"], options["dropout"])
        self.sketch = SketchPlaces(options["inputs"]["sketch"], options["hidden"], options["dropout"])
        self.told = nn.Linear(options["hidden"], len(names))  # what is drawn at each place: asked while training, and not kept
        self.scale = nn.Parameter(torch.tensor(math.log(options["scale"])))

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": [p for p in self.parameters() if p.requires_grad], "lr": self.options["rate"]}]

    def forward(self, step: int, rank: int = 0) -> Tensor:
        rng = np.random.default_rng([self.seed, 10, step, rank])
        batch = self.options["batch"]
        asked = rng.choice(len(self.photo_of), batch["scenes"], replace=False)
        others = rng.choice(len(self.photos), batch["photos"], replace=False)
        rows, target = np.unique(np.concatenate([self.photo_of[asked], others]), return_inverse=True)
        photos = torch.from_numpy(self.photos[rows].astype(np.float32))
        canvases = torch.from_numpy(self.canvases[asked].astype(np.float32))
        told = torch.zeros(len(asked), SKETCH_MAP**2, self.told.out_features)
        for position, scene in enumerate(asked):
            for name, places in self.drawn_at[scene]:
                told[position, places, name] = 1.0
        if rng.random() < 0.5:  # a mirrored scene has its mirrored photo
            photos, canvases, told = mirrored(photos, CELLS), mirrored(canvases, SKETCH_MAP), mirrored(told, SKETCH_MAP)
        found = F.normalize(self.photo(photos).flatten(1), dim=-1)
        x = self.sketch.map(canvases)
        scores = self.scale.exp() * self.sketch.read(x).flatten(1) @ found.T
        loss = F.cross_entropy(scores, torch.from_numpy(target[: len(asked)]), label_smoothing=self.options["smoothing"])
        named = F.binary_cross_entropy_with_logits(self.told(x.flatten(2).transpose(1, 2)).float(), told, reduction="none")
        return loss + self.options["weight"] * named.sum(2).mean()


def mirrored(rows: Tensor, side: int) -> Tensor:
    """A grid [n, side * side, width], left and right changed."""
    return rows.reshape(len(rows), side, side, -1).flip(2).reshape(rows.shape)


def _places(box: Sequence[float]) -> list[int]:
    """The places of the canvas's map that a box covers."""
    middles = (np.arange(SKETCH_MAP) + 0.5) / SKETCH_MAP
    slack = 0.5 / SKETCH_MAP
    across, down = ((middles >= box[i] - slack) & (middles <= box[i] + box[i + 2] + slack) for i in (0, 1))
    return np.flatnonzero((down[:, None] & across[None]).ravel()).tolist()


def _asked(things: Sequence[Sequence[Thing]], count: int, seed: int) -> NDArray[np.int64]:
    """The photos that scenes are drawn of: those with rare things more often."""
    often = Counter(thing.name for several in things for thing in several)
    chance = np.array([max((often[thing.name] ** -0.5 for thing in several), default=0.0) for several in things])
    return np.random.default_rng([seed, 12]).choice(len(things), count, p=chance / chance.sum())


def _outlines(photos: Sequence[Sample], things: Sequence[Sequence[Thing]], artist: scenes.Artist) -> NDArray[np.float32]:
    """Outlines of people and of things that QuickDraw lacks, one after the other: rows (photo, place among its things, x, y)."""

    def wanted(name: str) -> bool:
        return name == "person" or not artist.words(name)

    rows = [np.zeros((0, 4))]
    for number, (photo, several) in enumerate(zip(photos, things, strict=True)):
        for place, thing in enumerate(scenes.with_outlines(photo.picture(), several, wanted)):
            if thing.outline is not None:
                rows.append(np.insert(thing.outline, [0, 0], [number, place], axis=1))
    return np.concatenate(rows).astype(np.float32)


def _with_outlines(things: Sequence[Sequence[Thing]], rows: NDArray[np.float32]) -> list[list[Thing]]:
    """What ``_outlines`` found, given back to the things."""
    whole = [list(several) for several in things]
    ends = np.flatnonzero((np.diff(rows[:, :2], axis=0) != 0).any(axis=1)) + 1
    for points in np.split(rows, ends) if len(rows) else ():
        number, place = points[0, :2].astype(int)
        whole[number][place] = replace(whole[number][place], outline=points[:, 2:])
    return whole


def _whitened(rows: NDArray[np.float16], outputs: int, seed: int) -> tuple[Whitening, NDArray[np.float16]]:
    """Rows [n, places, inputs] in their strongest directions, and how they are brought there."""
    flat = rows.reshape(-1, rows.shape[2])
    some = np.random.default_rng([seed, 13]).permutation(len(flat))[: 20 * rows.shape[2]]
    white = Whitening(rows.shape[2], outputs).fit(torch.from_numpy(flat[np.sort(some)].astype(np.float32)))
    with torch.no_grad():
        parts = [
            white(torch.from_numpy(rows[at : at + 256].astype(np.float32))).numpy().astype(np.float16) for at in range(0, len(rows), 256)
        ]
    return white, np.concatenate(parts)


def _last_maps(graph: Any) -> list[Any]:
    """Of a photo graph: its last feature maps, [n, channels, side, side], of the branch for words and of that for shapes."""
    nodes = {node.get_friendly_name(): node for node in graph.get_ops()}
    return [nodes[f"__module.{branch}.pool/aten::mean/ReduceMean"].input_value(0) for branch in ("words", "shapes")]


def photo_cells(path: Path, photos: Sequence[Sample]) -> NDArray[np.float16]:
    """What the photo graph ``path`` sees in each cell of each photo: float16 [n, cells, channels]."""
    import openvino

    core = openvino.Core()
    graph = core.read_model(path)
    compiled = core.compile_model(openvino.Model(_last_maps(graph), graph.get_parameters()), "CPU")
    over, rows = windows(PHOTO_MAP).numpy(), []
    for start in range(0, len(photos), AT_ONCE):
        pixels = np.stack([np.asarray(preprocess.prepare_photo(photo.picture())) for photo in photos[start : start + AT_ONCE]])
        maps = np.concatenate([np.asarray(found) for found in compiled(pixels).values()], axis=1)
        rows.append((over @ maps.reshape(*maps.shape[:2], -1).transpose(0, 2, 1)).astype(np.float16))
    return np.concatenate(rows)


class CanvasMaps(nn.Module):
    """The layers of a sketch tower without its heads, for canvases: uint8 ink-on-white [n, side, side] -> places [n, 36, channels]."""

    def __init__(self, tower: DrawingTower) -> None:
        super().__init__()
        self.layers = nn.ModuleList([*tower.lower, *list(tower.shapes.layers)[:-1]])

    def forward(self, canvas: Tensor) -> Tensor:
        """Maps of strides 32 and 16, the finer one folded into the coarser one's places."""
        x = ((canvas.float() - 127.0) / 128.0)[:, None].expand(-1, 3, -1, -1)
        fine = x
        for layer in self.layers:
            before, x = x, layer(x)
            if x.shape[-1] == SKETCH_MAP and before.shape[-1] == 2 * SKETCH_MAP:
                fine = before
        return torch.cat([x, F.pixel_unshuffle(fine, 2)], 1).flatten(2).transpose(1, 2)


def canvas_maps(tower: DrawingTower, inks: NDArray[np.uint8]) -> NDArray[np.float16]:
    """What a sketch tower sees on canvases, inks uint8 [n, side, side]: float16 [n, places, channels]."""
    import openvino
    from openvino.tools.ovc import convert_model

    side = preprocess.CANVAS_SIDE
    maps = CanvasMaps(tower).eval().requires_grad_(False)
    example = torch.zeros(2, side, side, dtype=torch.uint8)
    graph = convert_model(maps, example_input=example, input=[("canvas", [-1, side, side], openvino.Type.u8)])
    compiled = openvino.Core().compile_model(graph, "CPU")
    return np.concatenate([compiled(255 - inks[at : at + AT_ONCE])[0].astype(np.float16) for at in range(0, len(inks), AT_ONCE)])


class SceneTower(nn.Module):
    """The sketch tower that ships: a drawing cropped to its ink gives `words` and `shapes`, the whole canvas gives the places."""

    def __init__(self, tower: DrawingTower, white: Whitening, places: SketchPlaces) -> None:
        super().__init__()
        self.tower, self.maps = tower, CanvasMaps(tower)
        self.white, self.places = white, places

    def forward(self, pixels: Tensor) -> Tensor:
        """Uint8 [n, 224, 224, 3] as `prepare_sketch` makes them -> [n, 511 + PLACES]."""
        parts = self.tower(pixels[:, :, :, :1].expand(-1, -1, -1, 3))
        canvas = pixels[:, : preprocess.CANVAS_SIDE, : preprocess.CANVAS_SIDE, 1]
        return torch.cat([parts, self.places(self.white(self.maps(canvas))).flatten(1)], 1)


def photo_graph(graph: Any, white: Whitening, places: PhotoPlaces, share: float) -> None:
    """Add the places to a photo graph: [n, dim] becomes [n, dim + PLACES], unit rows; ``share``: length of the places, the rest is 1."""
    import openvino.opset13 as ops

    def weights(layer: nn.Linear) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return layer.weight.detach().numpy(), layer.bias.detach().numpy()

    def linear(rows: Any, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> Any:
        return ops.add(ops.matmul(rows, small(ops, weight), False, True), ops.constant(bias[None, None]))

    over = ops.constant(windows(PHOTO_MAP).numpy())
    flat = [ops.reshape(found, ops.constant(np.array([0, 0, -1])), True) for found in _last_maps(graph)]
    pooled = ops.concat([ops.matmul(rows, over, False, True) for rows in flat], 1)  # [n, channels, cells]
    cells = ops.transpose(pooled, ops.constant(np.array([0, 2, 1])))
    weight, bias = weights(places.enter)
    basis, mean = white.basis.numpy(), white.mean.numpy()
    first = (weight @ basis.T).astype(np.float32)
    x = ops.relu(linear(cells, first, bias - first @ mean))
    around = ops.matmul(ops.reduce_mean(x, ops.constant([1]), True), small(ops, weights(places.around)[0]), False, True)
    own, own_bias = weights(places.own)
    x = ops.add(ops.relu(ops.add(linear(x, own, own_bias + weights(places.around)[1]), around)), x)
    grid = ops.reshape(linear(x, *weights(places.out)), ops.constant(np.array([0, PLACES])), True)
    grid = ops.normalize_l2(grid, ops.constant([1]), 1e-12, "max")
    result = graph.get_results()[0]
    length = (1 + share**2) ** 0.5
    whole = ops.concat([ops.multiply(result.input_value(0), np.float32(1 / length)), ops.multiply(grid, np.float32(share / length))], 1)
    result.input(0).replace_source_output(whole.output(0))
    graph.validate_nodes_and_infer_types()


def put_in_place(corpus: Corpus) -> None:
    """Train the heads on the graphs in ``out``, and write these with them.

    Raises InvalidInput when they have places already, lack the towers for drawings, or are not whole.
    """
    import openvino

    config, out = corpus.config, Path(corpus.config["out"])
    options, manifest = config["places"], whole_manifest(out)
    if "places" in manifest or "hubs" not in manifest:
        raise InvalidInput(f"The graphs in {out} must come from the stage `hubs`, and not have passed `places` yet.")
    stage = train(Places(corpus, out, options), options, corpus.work / "places.pt", corpus.seed, config)
    assert isinstance(stage, Places)
    tower = imported.drawing_tower(out / "sketch.xml", options["trunk"], options["cut"], options["tower_hidden"])
    scene = SceneTower(tower, stage.sketch_white, stage.sketch)
    graph = openvino.Core().read_model(out / "image.xml")
    photo_graph(graph, stage.photo_white, stage.photo, options["share"])
    replace_graph(graph, out / "image.xml")
    replace_graph(converted_sketch(scene), out / "sketch.xml")
    places = {"width": PLACES, "share": options["share"], "strength": options["strength"]}
    write_manifest(out, manifest | {"dim": manifest["dim"] + PLACES, "places": places})
    log.info("drawings and photos in %s know where things are", out)
