"""A part of a picture as a question: a thing cut out of a photo is not what encoders have seen, so it is looked at several times, with more
and less around it. What that gives is in `docs/trials.md`, measured by `python -m tests.parts`.
"""

from __future__ import annotations

import math

import numpy as np

from tsir.encoders.base import Vectors, unit
from tsir.searching.query import Box

MARGIN = 0.15
"""Of a box's sides, added at each of them."""
LOOKS = ((MARGIN, True), (0.4, False), (0.0, True), (0.4, True))
"""Margins, and whether the shorter side becomes as long as the longer one."""
MOST = 0.5
"""Of a picture's side: up to there all looks may grow. A larger box has its things around it already, and grows by `MARGIN` at most."""


def looks(box: Box, size: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """The pieces that are cut out for a box of a picture of that width and height: left, top, right and bottom in pixels."""
    whole = np.array(size, dtype=float)
    low, high = np.array(box[:2]) * whole, np.array(box[2:]) * whole
    middle, sides = (low + high) / 2, high - low
    pieces = []
    for margin, square in LOOKS:
        grown = sides * (1 + 2 * margin)
        if square:
            grown[:] = grown.max()
        grown = np.minimum(np.minimum(grown, np.maximum(MOST * whole, sides * (1 + 2 * MARGIN))), whole)
        start = np.clip(middle - grown / 2, 0, whole - grown)
        (left, top), (right, bottom) = start, start + grown
        pieces.append((math.floor(left), math.floor(top), min(size[0], math.ceil(right)), min(size[1], math.ceil(bottom))))
    return pieces


def mean(vectors: Vectors) -> Vectors:
    """Vectors [n, len(LOOKS), dim] of the pieces of parts -> unit vectors [n, dim] of the parts."""
    return unit(vectors.mean(axis=1))
