"""Pixels in, the lite model's squares out: geometry and ground only, no scaling of values (the graphs do that).

Part of the model: a change here changes the vectors, so it must come with a new ``VERSION`` and new weights.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

VERSION = 2
PHOTO_SIDE, SKETCH_SIDE = 260, 224
_MARK = "tsir-lite"  # set on a prepared picture, so that preparing it again changes nothing
_INK = 24  # a pixel this much darker than the ground belongs to the drawing
_MARGIN = 0.06  # white around the drawing, of its longer side


def on_white(image: Image.Image) -> Image.Image:
    """Any mode to RGB; what is transparent becomes white."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")


def _marked(image: Image.Image, kind: str) -> Image.Image:
    image.info[_MARK] = kind
    return image


def prepare_photo(image: Image.Image) -> Image.Image:
    """A photo as an RGB square of 260 px. Nothing is cut off: the sides are scaled each by its own factor."""
    if image.info.get(_MARK) == "photo":
        return image
    square = on_white(image)
    if square.size != (PHOTO_SIDE, PHOTO_SIDE):
        # By whole numbers with the mean of the pixels first: less time than all bicubic (2.2 instead of 2.8 ms at 640 x 480), and nearly
        # the same vector (cosine 0.9975; saving a photo as JPEG of quality 85 gives 0.9946).
        square = square.resize((PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.BICUBIC, reducing_gap=1.0)
    return _marked(square, "photo")


def _ink(image: Image.Image) -> NDArray[np.uint8]:
    """How much darker than its ground each pixel is, uint8 [h, w]. Light lines on a dark ground are turned over."""
    grey = np.asarray(on_white(image).convert("L"))
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    ground = int(np.median(border))
    if ground < 96:
        grey, ground = 255 - grey, 255 - ground
    return np.clip(ground - grey.astype(np.int16), 0, 255).astype(np.uint8)


def prepare_sketch(image: Image.Image) -> Image.Image:
    """A drawing as black lines on a white RGB square of 224 px, the drawing filling the square.

    Takes any mode and size; an empty drawing gives a white square.
    """
    if image.info.get(_MARK) == "sketch":
        return image
    ink = _ink(image)
    rows, columns = np.flatnonzero((ink > _INK).any(1)), np.flatnonzero((ink > _INK).any(0))
    if rows.size == 0:
        return _marked(Image.new("RGB", (SKETCH_SIDE, SKETCH_SIDE), (255, 255, 255)), "sketch")
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    drawn = Image.fromarray(ink[top:bottom, left:right])
    side = max(drawn.size)
    padded = side + 2 * max(1, round(side * _MARGIN))
    square = Image.new("L", (padded, padded), 0)
    square.paste(drawn, ((padded - drawn.width) // 2, (padded - drawn.height) // 2))
    # thin lines of a large canvas would fade when it shrinks: thicken them first
    for _ in range(min(4, round(padded / SKETCH_SIDE) // 2)):
        square = square.filter(ImageFilter.MaxFilter(3))
    if square.size != (SKETCH_SIDE, SKETCH_SIDE):
        square = square.resize((SKETCH_SIDE, SKETCH_SIDE), Image.Resampling.BICUBIC, reducing_gap=3.0)
    values = np.asarray(square).astype(np.float32)
    drawn_values = values[values > _INK]
    strongest = float(np.percentile(drawn_values, 90)) if drawn_values.size else 255.0
    lines = 255.0 - np.clip(values * (255.0 / max(strongest, 1.0)), 0.0, 255.0)
    return _marked(Image.fromarray(lines.round().astype(np.uint8)).convert("RGB"), "sketch")
