"""Whether a box around a thing finds pictures of that thing more often than the whole picture does.

    python -m tests.parts WORK      needs TSIR_SHARED_DATA; WORK keeps the vectors of the photos for the next time

Over the COCO photos of the shared data, with what a detector saw in them as truth: up to 14 photos of a class, in which a thing of it
fills 2 to 30%, ask for ten others each. Prints the share of these that show the class, as the mean over classes: for the whole picture, for
the box, and for what a question could know at best, the mean of all photos with the class. "aside" are things beside larger ones of
another class. Intervals are over classes.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import typer
from PIL import Image

from tsir.encoders import plain
from tsir.encoders.base import Vectors, unit
from tsir.encoders.lite.encoder import LiteEncoder, load
from tsir.searching import parts

TARS = ("coco-unlabelled/photos-0", "coco-captions/human", "coco-captions/machine", "coco-captions/rebuilt")
SURE, THERE = 0.5, 0.4
"""Least score of a box that asks, and of one that counts as an answer."""
PER_CLASS, LEAST_PHOTOS = 14, 20
SEED = 5

Shares = npt.NDArray[np.float64]


def main(work: Path) -> None:
    photos, seen = read(Path(os.environ["TSIR_SHARED_DATA"]))
    keys = sorted(photos)
    encoder = load()
    assert isinstance(encoder, LiteEncoder)
    gallery = encoded(encoder, photos, keys, work / "photos.npz")
    asked, there = questions(keys, seen)
    classes = sorted(there)
    truth = np.stack([[key in there[name] for name in classes] for key in keys])
    of = np.array([classes.index(name) for name, _, _, _ in asked])
    own = np.array([keys.index(key) for _, key, _, _ in asked])
    aside = np.array([beside for _, _, _, beside in asked])

    def found(vectors: Vectors, count: int) -> npt.NDArray[np.intp]:
        scores = vectors @ gallery.T
        scores[np.arange(len(scores)), own] = -2
        return np.argsort(-scores, axis=1)[:, :count]

    pieces = []
    for _, key, box, _ in asked:
        photo = Image.open(io.BytesIO(photos[key])).convert("RGB")
        pieces += [plain.prepared(encoder, photo.crop(piece)) for piece in parts.looks(box, photo.size)]
    boxed = parts.mean(plain.photo_vectors(encoder, pieces).reshape(len(asked), len(parts.LOOKS), -1))
    best = unit(np.stack([gallery[column].mean(axis=0) for column in truth.T]) - gallery.mean(axis=0))[of]
    shown = {
        name: truth[found(vectors, 10), of[:, None]].mean(axis=1)
        for name, vectors in {"whole": gallery[own], "box": boxed, "at best": best}.items()
    }
    typer.echo(f"{len(asked)} boxes, {len(classes)} classes, {len(keys)} photos")
    for which, chosen in (("all", np.ones(len(of), bool)), ("aside", aside)):
        base = by_class(shown["whole"], of, chosen)
        for name, values in shown.items():
            mine = by_class(values, of, chosen)
            draws = np.random.default_rng(SEED).integers(0, len(mine), (2000, len(mine)))
            low, high = np.percentile(mine[draws].mean(axis=1) / base[draws].mean(axis=1), [2.5, 97.5])
            typer.echo(f"{which:6} {name:10} {100 * mine.mean():5.1f}%  x {mine.mean() / base.mean():.2f} [{low:.2f}, {high:.2f}]")


def read(data: Path) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The photos that the detector saw, and what it saw in each, by key."""
    with gzip.open(data / "boxes.jsonl.gz", "rt", encoding="utf-8") as lines:
        seen = {row["photo"]: row for row in map(json.loads, lines)}
    photos: dict[str, bytes] = {}
    for name in TARS:
        with tarfile.open(data / f"{name}.tar") as tar:
            for member in tar:
                key = Path(member.name).stem
                if member.name.endswith(".jpg") and key in seen and (file := tar.extractfile(member)):
                    photos.setdefault(key, file.read())
    return photos, seen


def encoded(encoder: LiteEncoder, photos: dict[str, bytes], keys: list[str], kept: Path) -> Vectors:
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        starts = range(0, len(keys), 32)
        opened = ([Image.open(io.BytesIO(photos[key])) for key in keys[start : start + 32]] for start in starts)
        np.savez(kept, v=np.concatenate([plain.photo_vectors(encoder, [plain.prepared(encoder, one) for one in some]) for some in opened]))
    return np.asarray(np.load(kept)["v"], dtype=np.float32)


def questions(
    keys: list[str], seen: dict[str, Any]
) -> tuple[list[tuple[str, str, tuple[float, float, float, float], bool]], dict[str, set[str]]]:
    """Class, photo and box of each question, and whether there is a larger thing of another class; and by class the photos that show it."""
    there: dict[str, set[str]] = {}
    for key in keys:
        for name, score, *_ in seen[key]["boxes"]:
            if score >= THERE:
                there.setdefault(name, set()).add(key)
    could: dict[str, dict[str, Any]] = {}
    for key in keys:
        width, height = seen[key]["size"]
        for name, score, left, top, wide, high in seen[key]["boxes"]:
            share = wide * high / (width * height)
            if score >= SURE and 0.02 <= share <= 0.3 and min(wide / width, high / height) >= 0.1 and len(there[name]) >= LEAST_PHOTOS:
                box = (left / width, top / height, min(1.0, (left + wide) / width), min(1.0, (top + high) / height))
                sizes = [w * h for other, sure, _, _, w, h in seen[key]["boxes"] if other != name and sure >= THERE]
                could.setdefault(name, {}).setdefault(key, (name, key, box, max(sizes, default=0) > 1.5 * wide * high))
    chance = random.Random(SEED)
    asked = [one for name in sorted(could) for one in chance.sample(list(could[name].values()), min(PER_CLASS, len(could[name])))]
    return asked, {name: there[name] for name in could}


def by_class(values: Shares, of: npt.NDArray[np.int_], chosen: npt.NDArray[np.bool_]) -> Shares:
    return np.array([values[chosen & (of == one)].mean() for one in np.unique(of[chosen])])


if __name__ == "__main__":
    typer.run(main)
