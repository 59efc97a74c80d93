"""Pictures that show nothing: a black frame, a plain wall, a blank page.

Whatever means nothing is near to them, so that they would stand before all photos in the answer to any nonsense. Most of what they have in
common is taken off their vectors; what tells them apart, their look, stays, so that who asks for that finds them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage
from PIL.Image import Image

from tsir.encoders.base import Encoder, Vectors, unit

SIDE = 48
"""A picture is looked at as so many cells across and down: grain is averaged away in them."""
SHADE = 10
"""Levels of 255 by which a cell may differ from an even shade over the whole picture: light falls off on walls and pages."""
SPECKS = 0.004
"""Share of the cells that may differ by more: dust, a staple, a hair. A moon in a black sky is more."""
GRAIN = 25
"""Standard deviation of single pixels from that shade, above which there is more than grain: all photos of things, and pages with text."""
COLOURS = ((0, 0, 0), (255, 255, 255), (128, 128, 128), (220, 20, 30), (20, 160, 40), (20, 40, 200), (200, 180, 150))
"""Of pictures of one colour, whose mean vector is what they have in common."""

_PLAIN = "tsir: plain"
_grounds: dict[str, Vectors] = {}
"""Unit vector of what plain pictures have in common, by the encoder's fingerprint."""


_y, _x = (axis.reshape(-1) for axis in np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j])
_shades = np.linalg.qr(np.stack([np.ones_like(_x), _x, _y, _x * _x, _x * _y, _y * _y], axis=1))[0].astype(np.float32)


def is_plain(image: Image) -> bool:
    """Whether a picture is of one colour, but for grain, an even fall of light and specks."""
    points = _shaded_off(image, PILImage.Resampling.NEAREST)
    if (points * points).sum(axis=0).max() > GRAIN**2 * len(points):
        return False
    cells = _shaded_off(image, PILImage.Resampling.BOX)
    return bool((np.abs(cells).max(axis=1) > SHADE).mean() <= SPECKS)


def _shaded_off(image: Image, how: PILImage.Resampling) -> npt.NDArray[np.float32]:
    """A reduced picture [SIDE * SIDE, 3] less the even shade that is nearest to it."""
    if image.mode != "RGB" and how != PILImage.Resampling.NEAREST:
        image = image.convert("RGB")
    small = np.asarray(image.resize((SIDE, SIDE), how).convert("RGB"), dtype=np.float32).reshape(-1, 3)
    return np.asarray(small - _shades @ (_shades.T @ small), dtype=np.float32)


def prepared(encoder: Encoder, image: Image) -> Image:
    """A photo in the encoder's input geometry, as `photo_vectors` takes it: noted whether it is plain."""
    photo = encoder.prepare_photo(image)
    photo.info[_PLAIN] = is_plain(image)
    return photo


def photo_vectors(encoder: Encoder, photos: Sequence[Image]) -> Vectors:
    """Photos as `prepared` gives them -> float32 [n, dim] unit rows."""
    rows = encoder.images(photos)
    plain = [row for row, photo in enumerate(photos) if photo.info.get(_PLAIN)]
    if plain and encoder.plain_share:
        ground = _ground(encoder)
        rows = rows.copy()
        rows[plain] = unit(rows[plain] - encoder.plain_share * (rows[plain] @ ground)[:, np.newaxis] * ground)
    return rows


def _ground(encoder: Encoder) -> Vectors:
    found = _grounds.get(encoder.fingerprint)
    if found is None:
        side = (encoder.photo_size,) * 2
        found = unit(encoder.images([encoder.prepare_photo(PILImage.new("RGB", side, colour)) for colour in COLOURS]).mean(axis=0))
        _grounds[encoder.fingerprint] = found
    return found
