"""Drawings made by the program: QuickDraw strokes rendered, and sketches made from photos."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from tsir.training.data import Drawing

Stroke = tuple[Sequence[float], Sequence[float]]


def render(strokes: Sequence[Stroke], side: int = 224, width: float = 2.5, margin: float = 0.06) -> Image.Image:
    """Draw strokes, scaled to fill a white square: mode ``L``, ``side`` px, lines ``width`` px."""
    xs = np.concatenate([np.asarray(x, dtype=np.float64) for x, _ in strokes])
    ys = np.concatenate([np.asarray(y, dtype=np.float64) for _, y in strokes])
    extent = max(float(np.ptp(xs)), float(np.ptp(ys)), 1.0)
    over = 2  # drawn larger, then shrunk: smooth lines
    scale = side * over * (1 - 2 * margin) / extent
    left = side * over / 2 - (xs.min() + xs.max()) / 2 * scale
    top = side * over / 2 - (ys.min() + ys.max()) / 2 * scale
    canvas = Image.new("L", (side * over,) * 2, 255)
    pen = ImageDraw.Draw(canvas)
    thick = max(1, round(width * over))
    for x, y in strokes:
        points = [(left + a * scale, top + b * scale) for a, b in zip(x, y, strict=True)]
        if len(points) > 1:
            pen.line(points, fill=0, width=thick, joint="curve")
        for a, b in (points[0], points[-1]):
            pen.ellipse((a - thick / 2, b - thick / 2, a + thick / 2, b + thick / 2), fill=0)
    return canvas.resize((side, side), Image.Resampling.LANCZOS)


def drawing_view(drawing: Drawing, rng: np.random.Generator) -> Image.Image:
    """A QuickDraw drawing with lines of a random width and, sometimes, strokes left out."""
    strokes = list(drawing.strokes)
    if len(strokes) > 3 and rng.random() < 0.3:
        keep = max(2, math.ceil(len(strokes) * rng.uniform(0.6, 1.0)))
        chosen = np.sort(rng.permutation(len(strokes))[:keep])
        strokes = [strokes[i] for i in chosen]
    return render(strokes, width=float(rng.uniform(1.2, 5.0)))


def _edges(grey: NDArray[np.float64], share: float) -> NDArray[np.bool_]:
    """Thin edges: local maxima of the gradient along its direction, the strongest ``share`` of all pixels."""
    padded = np.pad(grey, 1, mode="edge")
    across = padded[1:-1, 2:] - padded[1:-1, :-2]
    down = padded[2:, 1:-1] - padded[:-2, 1:-1]
    strength = np.hypot(across, down)
    sector = np.round(np.arctan2(down, across) / (np.pi / 4)).astype(int) % 4
    around = np.pad(strength, 1)
    height, width = strength.shape
    thin = np.zeros_like(strength, dtype=bool)
    for index, (dy, dx) in enumerate(((0, 1), (1, 1), (1, 0), (1, -1))):
        ahead = around[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        behind = around[1 - dy : 1 - dy + height, 1 - dx : 1 - dx + width]
        thin |= (sector == index) & (strength >= ahead) & (strength > behind)
    return thin & (strength > np.quantile(strength, 1.0 - share))


def _trace(edges: NDArray[np.bool_], shortest: int) -> list[NDArray[np.float64]]:
    """Walk along neighbouring edge pixels: polylines [points, 2] of x and y, each pixel used once, shorter ones dropped."""
    open_ = set(zip(*(axis.tolist() for axis in np.nonzero(edges)), strict=True))
    steps = [(0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)]
    strokes = []
    for start in sorted(open_):
        if start not in open_:
            continue
        open_.discard(start)
        halves = []
        for _ in range(2):  # both ways from the start
            place, line = start, []
            while True:
                following = next(((place[0] + a, place[1] + b) for a, b in steps if (place[0] + a, place[1] + b) in open_), None)
                if following is None:
                    break
                open_.discard(following)
                line.append(following)
                place = following
            halves.append(line)
        points = [*halves[0][::-1], start, *halves[1]]
        if len(points) >= shortest:
            strokes.append(np.array([(x, y) for y, x in points], dtype=np.float64))
    return strokes


def simplified(points: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """Douglas-Peucker: fewer points, none further than ``tolerance`` px from the line."""
    if len(points) < 3:
        return points
    base = points[-1] - points[0]
    length = float(np.hypot(*base))
    offset = points - points[0]
    distance = np.abs(base[0] * offset[:, 1] - base[1] * offset[:, 0]) / length if length else np.hypot(offset[:, 0], offset[:, 1])
    furthest = int(distance.argmax())
    if distance[furthest] <= tolerance:
        return points[[0, -1]]
    return np.concatenate([simplified(points[: furthest + 1], tolerance)[:-1], simplified(points[furthest:], tolerance)])


def synthetic_sketch(photo: Image.Image, rng: np.random.Generator, side: int = 224) -> Image.Image:
    """A photo's edges as a person might have drawn them: mode ``L``, ``side`` px, dark on white.

    Edges become strokes; then, as hands do: small things left out, strokes dropped (60 to 100% stay), lines interrupted, corners cut,
    everything a little warped, each stroke a little off its place, a pen of any width.
    """
    work = 160
    blurred = photo.convert("L").resize((work, work), Image.Resampling.BILINEAR).filter(ImageFilter.GaussianBlur(rng.uniform(1.2, 2.5)))
    strokes = _trace(_edges(np.asarray(blurred, dtype=np.float64), rng.uniform(0.06, 0.14)), int(rng.integers(8, 18)))
    if not strokes:
        return Image.new("L", (side, side), 255)
    # long strokes are outlines; those are what people draw
    chance = np.array([len(stroke) for stroke in strokes], dtype=np.float64)
    keep = max(1, round(len(strokes) * rng.uniform(0.6, 1.0)))
    kept = rng.choice(len(strokes), keep, replace=False, p=chance / chance.sum())
    phase, swing = rng.uniform(0, 2 * np.pi, 4), rng.uniform(0, 0.03) * work
    drawn: list[Stroke] = []
    for index in sorted(kept.tolist()):
        points = strokes[index]
        if len(points) > 24 and rng.random() < 0.3:  # the pen was lifted
            gap = int(rng.integers(4, 10))
            at = int(rng.integers(6, len(points) - gap - 6)) if len(points) > gap + 12 else 6
            pieces = [points[:at], points[at + gap :]]
        else:
            pieces = [points]
        for piece in pieces:
            if len(piece) < 2:
                continue
            line = simplified(piece, rng.uniform(0.5, 2.0))
            waves = np.sin(line[:, ::-1] * (2 * np.pi / work) + phase[:2]) + 0.5 * np.sin(line * (4 * np.pi / work) + phase[2:])
            line = (line + swing * waves + rng.normal(0, 0.008 * work, 2)) * (side / work)
            drawn.append((line[:, 0].tolist(), line[:, 1].tolist()))
    canvas = Image.new("L", (side * 2, side * 2), 255)
    pen = ImageDraw.Draw(canvas)
    width = max(2, round(2 * rng.uniform(1.0, 3.5)))
    for xs, ys in drawn:
        pen.line([(2 * x, 2 * y) for x, y in zip(xs, ys, strict=True)], fill=0, width=width, joint="curve")
    return canvas.resize((side, side), Image.Resampling.LANCZOS)
