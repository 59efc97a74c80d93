"""Random views of photos and drawings. Every view is a function of the picture and a generator, so it can be made again."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

_WHITE = (255, 255, 255)


def photo_view(image: Image.Image, rng: np.random.Generator, smallest: float = 0.45) -> Image.Image:
    """A random crop of at least ``smallest`` of the area, mirrored half the time, with jittered light and colour."""
    width, height = image.size
    area = width * height * rng.uniform(smallest, 1.0)
    ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
    w, h = min(width, round(math.sqrt(area * ratio))), min(height, round(math.sqrt(area / ratio)))
    left, top = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1))
    view = image.crop((left, top, left + w, top + h))
    if rng.random() < 0.5:
        view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        view = enhance(view).enhance(rng.uniform(0.75, 1.3))
    return view


def affine(
    image: Image.Image,
    rng: np.random.Generator,
    degrees: float = 30,
    shift: float = 0.3,
    scale: tuple[float, float] = (1.0, 2.0),
    shear: float = 30,
) -> Image.Image:
    """The paper's independent affine map, around the centre: rotation and shear in degrees, shift as a share of the side.

    Used on photo and sketch with different draws, so that the model cannot rely on both lying at the same place.
    """
    width, height = image.size
    angle, slant = (math.radians(rng.uniform(-limit, limit)) for limit in (degrees, shear))
    factor = rng.uniform(*scale)
    cos, sin = math.cos(angle) / factor, math.sin(angle) / factor
    # inverse map (output -> input), as Pillow wants it
    a, b, d, e = cos, sin + math.tan(slant) * cos, -sin, cos - math.tan(slant) * sin
    centre_x, centre_y = width / 2, height / 2
    dx, dy = rng.uniform(-shift, shift) * width, rng.uniform(-shift, shift) * height
    c = centre_x - a * (centre_x + dx) - b * (centre_y + dy)
    f = centre_y - d * (centre_x + dx) - e * (centre_y + dy)
    fill = _WHITE if image.mode == "RGB" else 255
    return image.transform(image.size, Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR, fillcolor=fill)


def _warp(image: Image.Image, rng: np.random.Generator, strength: float, cells: int = 4) -> Image.Image:
    """Move the corners of a grid at random (``strength`` of a cell), the picture with them: an unsteady hand."""
    width, height = image.size
    xs, ys = np.linspace(0, width, cells + 1), np.linspace(0, height, cells + 1)
    jitter = rng.uniform(-strength, strength, (cells + 1, cells + 1, 2)) * (width / cells, height / cells)
    jitter[0, :, 1] = jitter[-1, :, 1] = 0.0
    jitter[:, 0, 0] = jitter[:, -1, 0] = 0.0
    mesh = []
    for row in range(cells):
        for column in range(cells):
            corners = [(row, column), (row + 1, column), (row + 1, column + 1), (row, column + 1)]
            quad = tuple(float(v) for r, k in corners for v in (xs[k] + jitter[r, k, 0], ys[r] + jitter[r, k, 1]))
            mesh.append(((round(xs[column]), round(ys[row]), round(xs[column + 1]), round(ys[row + 1])), quad))
    return image.transform(image.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)


def sketch_view(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A drawing (dark on white) drawn a little differently: turned, stretched, mirrored, unsteady, thicker or thinner, a part erased."""
    grey = image.convert("L")
    side = max(grey.size)
    padded = Image.new("L", (round(side * 1.3),) * 2, 255)
    padded.paste(grey, ((padded.width - grey.width) // 2, (padded.height - grey.height) // 2))
    if rng.random() < 0.5:
        padded = padded.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < 0.5:
        padded = _warp(padded, rng, 0.18)
    stretch = math.exp(rng.uniform(-0.2, 0.2))
    if stretch != 1.0:
        padded = padded.resize((max(16, round(padded.width * stretch)), padded.height), Image.Resampling.BILINEAR)
    padded = affine(padded, rng, degrees=15, shift=0.0, scale=(0.85, 1.0), shear=10)
    chance = rng.random()
    if chance < 0.3:
        padded = padded.filter(ImageFilter.MinFilter(3))
    elif chance < 0.4:
        padded = padded.filter(ImageFilter.MinFilter(5))
    elif chance < 0.5:
        padded = padded.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.0)))
    if rng.random() < 0.3:  # a part was not drawn
        w, h = (max(1, round(edge * rng.uniform(0.08, 0.25))) for edge in padded.size)
        x, y = int(rng.integers(0, padded.width - w + 1)), int(rng.integers(0, padded.height - h + 1))
        padded.paste(255, (x, y, x + w, y + h))
    return padded
