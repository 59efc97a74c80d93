"""Strokes -> the picture of them that the page's canvas would send."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw

UNITS = 1000
"""Of stroke coordinates, along a side of the canvas; x to the right, y down."""
SIDE, PEN = 512, 7  # px of the picture that the page sends, and of its medium pen
FINE = 4  # times larger when drawn, since Pillow's lines have hard edges

Strokes = Sequence[Sequence[Sequence[float]]]


def checked(value: Any) -> Strokes:
    """Strokes as they come from JSON: `[[[x, y], ...], ...]`, in thousandths of the canvas. Raises ValueError with what is wrong."""

    def number(part: Any) -> bool:
        return isinstance(part, int | float) and not isinstance(part, bool) and 0 <= part <= UNITS

    def point(part: Any) -> bool:
        return isinstance(part, list) and len(part) == 2 and all(map(number, part))

    if not isinstance(value, list) or not value or not all(isinstance(one, list) and one and all(map(point, one)) for one in value):
        raise ValueError(f'"strokes" must be lists of points [x, y] between 0 and {UNITS}: [[[100, 100], [900, 500]], ...].')
    return value


def picture(strokes: Strokes) -> bytes:
    """Black lines with round ends on a white square of 512 px, as PNG."""
    image = Image.new("L", (SIDE * FINE, SIDE * FINE), 255)
    draw, width, scale = ImageDraw.Draw(image), PEN * FINE, SIDE * FINE / UNITS
    for stroke in strokes:
        points = [(x * scale, y * scale) for x, y in stroke]
        if len(points) > 1:
            draw.line(points, fill=0, width=width, joint="curve")
        for x, y in (points[0], points[-1]):
            draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=0)
    data = io.BytesIO()
    image.resize((SIDE, SIDE), Image.Resampling.BOX).save(data, "PNG")
    return data.getvalue()
