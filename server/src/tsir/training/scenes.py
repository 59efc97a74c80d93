"""Drawings of scenes, made from what a detector saw in photos: each thing drawn by somebody, laid where it stands in the photo.

QuickDraw has drawings of most things that the detector knows, by themselves and filling their canvas. A scene draws up to three of a
photo's things, each into its box. For people and for things that QuickDraw lacks there are outlines: of the thing itself where GrabCut
(Rother et al., SIGGRAPH 2004) tells it from its surroundings, else of another of its kind and of about its proportions; and some people
are sticks.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tsir.encoders.lite.preprocess import CANVAS_SIDE
from tsir.training.data import Drawing
from tsir.training.drawings import simplified

Points = NDArray[np.float64]
"""A stroke: x and y of its points, [n, 2]."""

WORDS = {
    "boat": ("sailboat", "speedboat"), "bottle": ("wine bottle",), "bus": ("bus", "school bus"), "cake": ("cake", "birthday cake"),
    "clock": ("clock", "alarm clock"), "cup": ("cup", "coffee cup", "mug"), "dining table": ("table",), "handbag": ("purse",),
    "motorcycle": ("motorbike",), "oven": ("oven", "stove"), "person": ("face",), "potted plant": ("house plant",),
    "remote": ("remote control",), "sports ball": ("soccer ball", "basketball", "baseball"), "teddy bear": ("teddy-bear",),
    "tennis racket": ("tennis racquet",), "truck": ("truck", "pickup truck"), "tv": ("television",),
}  # fmt: skip
"""QuickDraw's words for the detector's classes, where these differ or several will do."""
_FLIP, _BACK = np.array([-1.0, 1.0]), np.array([1.0, 0.0])  # left and right changed: times the one, plus the other
SURE, LARGE, MOST = 0.4, 0.012, 4
"""A thing is drawn when the detector is as sure as that and its box fills that share of the photo; of a photo, the largest few."""
OUTLINED, FACE = 0.78, 0.03
"""Shares of people that are drawn as outlines and as faces; the others are sticks."""
WORK = 112  # px, the side at which outlines are looked for: they are coarse by intention


@dataclass(frozen=True)
class Thing:
    """Something in a photo: its class, its box (left, top, width, height) and, where known, its outline, in shares of the photo."""

    name: str
    box: tuple[float, float, float, float]
    outline: Points | None = field(default=None, repr=False)


def read_things(path: Path) -> dict[str, list[Thing]]:
    """What the detector saw in each photo (``boxes.jsonl.gz``), the largest first: key of the photo -> things, without outlines."""
    found = {}
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            width, height = entry["size"]
            boxes = [(name, (x / width, y / height, w / width, h / height)) for name, score, x, y, w, h in entry["boxes"] if score >= SURE]
            things = [Thing(name, box) for name, box in boxes if box[2] * box[3] >= LARGE]
            found[entry["photo"]] = sorted(things, key=lambda thing: -thing.box[2] * thing.box[3])[:MOST]
    return found


def outline(photo: Image.Image, box: Sequence[float]) -> Points | None:
    """The outline of what is in the box, in shares of the photo; None where it cannot be told from its surroundings."""
    import cv2

    pixels = np.ascontiguousarray(np.asarray(photo.convert("RGB").resize((WORK, WORK), Image.Resampling.BOX))[:, :, ::-1])
    left, top = (max(0, round(WORK * edge)) for edge in box[:2])
    right, bottom = (min(WORK, max(round(WORK * (box[i] + box[i + 2])), (left, top)[i] + 2)) for i in (0, 1))
    if (right - left) * (bottom - top) > 0.95 * WORK**2:  # nothing is left to compare it with
        return None
    mask = np.full((WORK, WORK), cv2.GC_BGD, np.uint8)
    mask[top:bottom, left:right] = cv2.GC_PR_FGD
    try:
        cv2.grabCut(pixels, mask, (0, 0, WORK, WORK), np.zeros((1, 65)), np.zeros((1, 65)), 2, cv2.GC_INIT_WITH_MASK)
    except cv2.error:  # too few pixels of one kind
        return None
    found = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    opened = cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    whole = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    contours, _ = cv2.findContours(whole, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    largest = max(contours, key=cv2.contourArea, default=None)
    if largest is None or cv2.contourArea(largest) < 0.25 * (right - left) * (bottom - top):
        return None
    return np.asarray(largest[:, 0], np.float64) / WORK


class Artist:
    """Draws things: from QuickDraw's drawings by word, and from outlines by class."""

    def __init__(self, drawings: Sequence[Drawing], things: Sequence[Thing]) -> None:
        self._drawn: dict[str, list[list[Points]]] = {}
        for drawing in drawings:
            strokes = [np.stack([np.asarray(axis, np.float64) for axis in stroke], 1) for stroke in drawing.strokes]
            self._drawn.setdefault(drawing.word.lower(), []).append(_stretched(strokes))
        self._outlines: dict[str, list[tuple[Points, float]]] = {}
        for thing in things:
            if thing.outline is not None:
                placed = (thing.outline - thing.box[:2]) / np.asarray(thing.box[2:])
                self._outlines.setdefault(thing.name, []).append((placed, thing.box[2] / thing.box[3]))

    def words(self, name: str) -> list[str]:
        """The words by which QuickDraw has drawings of a class."""
        return [word for word in WORDS.get(name, (name,)) if word in self._drawn]

    def knows(self, name: str) -> bool:
        """Whether it can draw such a thing."""
        return name == "person" or bool(self.words(name)) or name in self._outlines

    def draw(self, thing: Thing, rng: np.random.Generator) -> list[Points]:
        """Strokes of the thing where it stands, in shares of the canvas; none for what it does not know."""
        words, own = self.words(thing.name), thing.outline
        if own is None and (thing.name == "person" or not words):
            own = self._borrowed(thing, rng)
        kind = rng.random()
        if thing.name == "person":
            if own is not None and kind < OUTLINED:
                return _shaken([_corners(own, rng)], rng)
            if kind < 1 - FACE or thing.box[3] < 0.5:
                return _placed(_sticks(rng), thing.box, rng)
        elif own is not None and (not words or kind < 0.1):
            return _shaken([_corners(own, rng)], rng)
        if not words:
            return []
        drawn = [strokes for word in words for strokes in self._drawn[word]]
        strokes = drawn[int(rng.integers(len(drawn)))]
        if rng.random() < 0.4:
            strokes = [stroke * _FLIP + _BACK for stroke in strokes]
        return _placed(strokes, thing.box, rng)

    def _borrowed(self, thing: Thing, rng: np.random.Generator) -> Points | None:
        """The outline of another of its kind, if one has about its proportions."""
        known = self._outlines.get(thing.name, [])
        wanted = math.log(thing.box[2] / thing.box[3])
        near = [points for points, ratio in known if abs(math.log(ratio) - wanted) < 0.35]
        if not near:
            return None
        points = near[int(rng.integers(len(near)))]
        if rng.random() < 0.5:
            points = points * _FLIP + _BACK
        return np.clip(points * np.asarray(thing.box[2:]) + np.asarray(thing.box[:2]), 0, 1)


def scene(artist: Artist, things: Sequence[Thing], rng: np.random.Generator) -> tuple[NDArray[np.uint8], list[Thing]]:
    """A canvas with up to three of the things (the largest first) -> ink uint8 [side, side], 255 where it is black; and what was drawn.

    Some are left out, the pen is of any width, and at times the hand is unsteady.
    """
    number = min(len(things), 3)
    if number > 1 and rng.random() < 0.35:
        number = int(rng.integers(1, number + 1))
    chosen = range(number) if rng.random() < 0.7 else sorted(rng.choice(len(things), number, replace=False).tolist())
    drawn = {place: artist.draw(things[place], rng) for place in chosen}
    strokes = [stroke for several in drawn.values() for stroke in several]
    if rng.random() < 0.3:
        strokes = [stroke + np.cumsum(rng.normal(0, 0.002, stroke.shape), 0) for stroke in strokes]
    return paint(strokes, rng.uniform(1.2, 3.4)), [things[place] for place, several in drawn.items() if several]


def paint(strokes: Sequence[Points], width: float, side: int = CANVAS_SIDE) -> NDArray[np.uint8]:
    """Strokes in shares of the canvas -> ink uint8 [side, side], lines ``width`` px."""
    over = 2  # drawn larger, then shrunk: smooth lines
    canvas = Image.new("L", (side * over,) * 2, 0)
    pen = ImageDraw.Draw(canvas)
    for stroke in strokes:
        pen.line([(float(x), float(y)) for x, y in stroke * side * over], fill=255, width=max(1, round(width * over)), joint="curve")
    return np.asarray(canvas.resize((side, side), Image.Resampling.BOX))


def _stretched(strokes: Sequence[Points]) -> list[Points]:
    """Strokes that fill the unit square."""
    points = np.concatenate(strokes)
    low = points.min(0)
    extent = np.maximum(points.max(0) - low, 1e-3)
    return [(stroke - low) / extent for stroke in strokes]


def _placed(strokes: Sequence[Points], box: Sequence[float], rng: np.random.Generator) -> list[Points]:
    """Strokes of the unit square, turned a little, in a box that is a little off."""
    angle = rng.normal(0, 0.08)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    left, top, width, height = np.asarray(box) + rng.normal(0, 0.03, 4) * np.asarray([box[2], box[3]] * 2)
    size = np.array([max(0.02, width), max(0.02, height)])
    return [stroke * size + np.array([left, top]) for stroke in _stretched([(stroke - 0.5) @ turn for stroke in strokes])]


def _shaken(strokes: Sequence[Points], rng: np.random.Generator) -> list[Points]:
    off = rng.normal(0, 0.006, 2)
    return [stroke + off for stroke in strokes]


def _corners(points: Points, rng: np.random.Generator) -> Points:
    """A closed outline of few straight lines, as coarse as a hurried hand's."""
    half = len(points) // 2
    tolerance = rng.uniform(0.004, 0.025)
    halves = [simplified(part, tolerance) for part in (points[: half + 1], np.concatenate([points[half:], points[:1]]))]
    return np.concatenate([halves[0][:-1], halves[1]])


def _sticks(rng: np.random.Generator) -> list[Points]:
    """A person of sticks with a ball for a head, in the unit square."""
    radius, hip = rng.uniform(0.09, 0.14), rng.uniform(0.55, 0.65)
    turns = np.linspace(0, 2 * math.pi, 20)
    middle = 0.5 + rng.normal(0, 0.03)
    head = np.stack([middle + radius * np.cos(turns), radius + radius * np.sin(turns)], 1)
    neck = 2 * radius
    shoulder = rng.uniform(neck + 0.03, neck + 0.12)
    hands, feet = rng.uniform(0.15, 0.5, 2), rng.uniform(0.1, 0.45, 2)
    raised = shoulder + rng.uniform(-0.15, 0.25, 2)
    lines = [
        [(middle, neck), (0.5, hip)],
        [(0.5, shoulder), (0.5 - hands[0], raised[0])],
        [(0.5, shoulder), (0.5 + hands[1], raised[1])],
        [(0.5, hip), (0.5 - feet[0], 1.0)],
        [(0.5, hip), (0.5 + feet[1], 1.0)],
    ]
    return [head, *(np.asarray(line) for line in lines)]


def with_outlines(photo: Image.Image, things: Sequence[Thing], wanted: Callable[[str], bool]) -> list[Thing]:
    """The things, those of ``wanted`` classes with their outline."""
    return [replace(thing, outline=outline(photo, thing.box)) if wanted(thing.name) else thing for thing in things]
