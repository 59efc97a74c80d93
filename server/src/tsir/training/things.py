"""What a drawing resembles, and what photos of that look like: every drawing is pulled a little towards those.

A drawing lies near other drawings of the same thing more surely than near photos of it, and for some things (a face) there were drawings
in training but no photos of the same name. So a table lies beside the graphs: for each thing the mean of its drawings, and the mean of
its photos times the strength of the pull. The encoder weights the rows by how much a drawing resembles them (`joined` in
`encoders/lite/encoder.py`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL.Image import Image

from tsir.encoders.base import Vectors, unit
from tsir.encoders.lite import load
from tsir.encoders.lite.encoder import THINGS_FILE, slices
from tsir.errors import InvalidInput
from tsir.training import drawings
from tsir.training.corpus import Corpus
from tsir.training.drawing import mentions, thing
from tsir.training.drawings import Stroke
from tsir.training.export import whole_manifest, write_manifest

log = logging.getLogger(__name__)

AT_ONCE = 64  # pictures held decoded
SHOWN_BY = {
    "face": "person", "smiley face": "person", "beard": "person", "goatee": "person", "moustache": "person", "yoga": "person",
    "bush": "tree", "palm tree": "tree", "barn": "house", "police car": "car", "van": "car", "truck": "pickup truck",
    "coffee cup": "cup", "mug": "cup",
}  # fmt: skip
"""Words of QuickDraw, and the class whose photos show them."""
SEEN_TWICE, ENOUGH = 2, 5
"""A photo shows a thing when that many of its captions name it; so many such photos have a mean worth having."""


def means(vectors: Vectors, names: Sequence[str], parts: Sequence[int]) -> dict[str, Vectors]:
    """The mean vector of each name, every part of it a unit vector: vectors [n, dim] -> name: float32 [sum(parts)]."""
    units, labels, order = _each_unit(vectors, parts), np.array(names), sorted(set(names))
    rows = _each_unit(np.stack([units[labels == name].mean(axis=0) for name in order]), parts)
    return dict(zip(order, rows, strict=True))


def table(keys: dict[str, Vectors], values: dict[str, Vectors]) -> Vectors:
    """Float32 [2, things, dim]: keys, and their values.

    A thing without photos has a value of zeros: what is drawn so is pulled nowhere, rather than to the next best.
    """
    return np.stack([np.stack([*keys.values()]), np.stack([values.get(name, np.zeros_like(key)) for name, key in keys.items()])])


def trees(rng: np.random.Generator, each: int) -> dict[str, list[list[Stroke]]]:
    """Trees as people draw them: a ball or a cloud on a trunk, a fir. QuickDraw's few are mostly scribbles."""
    kinds: dict[str, Callable[[np.random.Generator], list[Stroke]]] = {"ball tree": _ball, "cloud tree": _cloud, "fir": _fir}
    return {name: [_large(draw(rng)) for _ in range(each)] for name, draw in kinds.items()}


def _large(strokes: Sequence[Stroke]) -> list[Stroke]:
    """From the unit square to QuickDraw's 256."""
    return [([256 * x for x in xs], [256 * y for y in ys]) for xs, ys in strokes]


def _trunk(rng: np.random.Generator, top: float) -> list[Stroke]:
    half, flare = rng.uniform(0.025, 0.07), rng.uniform(0.0, 0.03)
    return [((0.5 + side * (half + flare), 0.5 + side * half), (0.93, top)) for side in (-1, 1)]


def _ball(rng: np.random.Generator) -> list[Stroke]:
    wide, middle = rng.uniform(0.2, 0.32), rng.uniform(0.3, 0.38)
    high = wide * rng.uniform(0.8, 1.1)
    angles = np.linspace(0, 2 * math.pi, 37)
    unsteady = rng.normal(0, 0.006, (2, len(angles)))
    crown = (0.5 + wide * np.cos(angles) + unsteady[0], middle + high * np.sin(angles) + unsteady[1])
    return [*_trunk(rng, middle + high * rng.uniform(0.85, 1.0)), (crown[0].tolist(), crown[1].tolist())]


def _cloud(rng: np.random.Generator) -> list[Stroke]:
    bumps, radius, middle = int(rng.integers(6, 10)), rng.uniform(0.2, 0.28), rng.uniform(0.32, 0.4)
    turns = np.linspace(0, bumps, 7 * bumps)
    reach = radius * (1 + 0.28 * np.abs(np.sin(math.pi * turns)))
    angles = math.pi / 2 + 2 * math.pi * turns / bumps
    crown = (0.5 + 1.1 * reach * np.cos(angles), middle + reach * np.sin(angles))
    return [*_trunk(rng, middle + 0.95 * radius), (crown[0].tolist(), crown[1].tolist())]


def _fir(rng: np.random.Generator) -> list[Stroke]:
    tiers, wide = int(rng.integers(1, 4)), rng.uniform(0.22, 0.34)
    half, height = [0.0], [0.07]
    for tier in range(1, tiers + 1):
        half.append(wide * tier / tiers)
        height.append(0.08 + 0.74 * tier / tiers)
        if tier < tiers:
            half.append(half[-1] * 0.45)
            height.append(height[-1])
    xs = [*(0.5 - x for x in half), *(0.5 + x for x in reversed(half))]
    return [(xs, [*height, *reversed(height)]), ((0.45, 0.45, 0.55, 0.55), (0.82, 0.95, 0.95, 0.82))]


def _each_unit(rows: Vectors, parts: Sequence[int]) -> Vectors:
    return np.concatenate([unit(rows[:, place]) for place in slices(parts)], axis=1)


def _encoded(encode: Callable[[Sequence[Image]], Vectors], pictures: Sequence[Callable[[], Image]]) -> Vectors:
    chunks = (pictures[start : start + AT_ONCE] for start in range(0, len(pictures), AT_ONCE))
    return np.concatenate([encode([picture() for picture in chunk]) for chunk in chunks])


def pull(corpus: Corpus) -> None:
    """Write the table beside the graphs in ``out``, and into the manifest that drawings use it.

    Raises InvalidInput when the graphs there have not passed ``hubs``, or are not whole.
    """
    options, out = corpus.config["things"], Path(corpus.config["out"])
    manifest = whole_manifest(out)
    if "hubs" not in manifest:
        raise InvalidInput(f"The graphs in {out} must come from the stage `hubs`.")
    manifest["drawing"].pop("sharpness", None)  # from here on, and should this be stopped, drawings are pulled nowhere
    write_manifest(out, manifest)
    encoder, parts = load(folder=out), manifest["drawing"]["parts"]

    own_trees = trees(np.random.default_rng(corpus.seed), options["trees"])
    drawn: list[tuple[str, Callable[[], Image]]] = [
        *((thing(sketch.meta["class"]), sketch.picture) for sketch in corpus.sketches[:: options["every_sketch"]]),
        *((thing(drawing.word), partial(drawings.render, drawing.strokes)) for drawing in corpus.drawings),
        *((name, partial(drawings.render, strokes)) for name, kind in own_trees.items() for strokes in kind),
    ]
    keys = means(_encoded(encoder.sketches, [picture for _, picture in drawn]), [name for name, _ in drawn], parts)

    photos = _encoded(encoder.images, [photo.picture for photo in corpus.photos])
    shown = means(photos, [thing(photo.meta["class"]) for photo in corpus.photos], parts)
    values = {name: options["pull"] * row for name, row in shown.items()}
    others = SHOWN_BY | dict.fromkeys(own_trees, "tree")
    values |= {name: options["pull_others"] * shown[photographed] for name, photographed in others.items()}
    scenes = _scenes(corpus, [name for name in keys if name not in values], encoder.images, parts, options["less"])
    values |= {name: options["pull"] * row for name, row in scenes.items()}

    np.save(out / THINGS_FILE, table(keys, values).astype(np.float16))
    manifest["drawing"]["sharpness"] = options["sharpness"]
    write_manifest(out, manifest)
    log.info("drawings are pulled to %d things, %d of them with photos, in %s", len(keys), len(values), out)


def _scenes(
    corpus: Corpus, names: Sequence[str], encode: Callable[[Sequence[Image]], Vectors], parts: Sequence[int], less: float
) -> dict[str, Vectors]:
    """Of things that captions name: their photos' mean, less what all photos with captions have in common."""
    vectors = _encoded(encode, [photo.picture for photo in corpus.flickr])
    common = means(vectors, ["photo"] * len(vectors), parts)["photo"]
    captions = [caption for photo in corpus.flickr for caption in photo.meta["captions"]]
    photo_of = np.repeat(np.arange(len(corpus.flickr)), [len(photo.meta["captions"]) for photo in corpus.flickr])
    found = {}
    for name, rows in mentions(names, captions).items():
        often = np.flatnonzero(np.bincount(photo_of[rows], minlength=len(vectors)) >= SEEN_TWICE)
        if len(often) >= ENOUGH:
            mean = means(vectors[often], [name] * len(often), parts)[name]
            found[name] = _each_unit((mean - less * common)[None], parts)[0]
    return found
