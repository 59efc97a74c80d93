"""What a camera noted in a picture's EXIF: which way is up, when, with what, and where."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from PIL.Image import Exif, Image, Transpose

TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""EXIF 2.32, tag 0x0112 (orientation) -> what brings the picture upright."""
SIDEWAYS = (Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90)
"""Those that swap width and height."""


class Facts:
    """Orientation, capture time, camera and position from EXIF; broken EXIF says nothing."""

    def __init__(self, image: Image) -> None:
        self.turn: Transpose | None = None
        """What brings the picture upright; None: nothing need be done."""
        self.taken_at: datetime | None = None
        self.camera: str | None = None
        self.position: tuple[float | None, float | None] = (None, None)
        """Latitude (north positive) and longitude (east positive), degrees."""
        try:
            exif = image.getexif()
        except Exception:
            return
        orientation = _quietly(exif.get, 0x0112)
        self.turn = TURNS.get(orientation) if isinstance(orientation, int) else None
        self.taken_at = _quietly(_taken_at, exif)
        self.camera = _quietly(_camera, exif)
        self.position = _quietly(_position, exif) or (None, None)


def _quietly(function: Any, argument: Any) -> Any:
    try:
        return function(argument)
    except Exception:
        return None


def _taken_at(exif: Exif) -> datetime | None:
    """DateTimeOriginal, else DateTimeDigitized, else DateTime."""
    photo = exif.get_ifd(0x8769)
    for text in (photo.get(0x9003), photo.get(0x9004), exif.get(0x0132)):
        try:
            found = datetime.strptime(str(text).strip("\0 ")[:19], "%Y:%m:%d %H:%M:%S")
        except ValueError:  # absent, "0000:00:00 00:00:00", blanks
            continue
        if found.year >= 1826:  # the first photograph
            return found
    return None


def _camera(exif: Exif) -> str | None:
    """Make and model in one line, the make not twice."""
    make, model = (" ".join(str(exif.get(tag) or "").replace("\0", " ").split()) for tag in (0x010F, 0x0110))
    repeated = bool(make) and model.lower().startswith(make.split()[0].lower())
    text = model if repeated else f"{make} {model}".strip()
    return "".join(letter for letter in text if letter.isprintable())[:100] or None


def _position(exif: Exif) -> tuple[float, float] | None:
    """Latitude and longitude in degrees. 0, 0 is what devices write that did not know."""
    gps = exif.get_ifd(0x8825)
    latitude = _degrees(gps[2], str(gps[1]).strip("\0 ").upper() == "S")
    longitude = _degrees(gps[4], str(gps[3]).strip("\0 ").upper() == "W")
    valid = abs(latitude) <= 90 and abs(longitude) <= 180 and (latitude or longitude)  # False for NaN
    return (latitude, longitude) if valid else None


def _degrees(parts: Any, negative: bool) -> float:
    degrees, minutes, seconds = (*(float(part) for part in parts), 0.0, 0.0)[:3]
    value = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(value):
        raise ValueError("no number")
    return -value if negative else value
