"""What a camera or a photo program noted in a picture, in EXIF or XMP: which way is up, when, with what, and where."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
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

MAX_XMP = 2**20
"""Bytes of XMP that are looked through."""


class Facts:
    """Orientation, capture time, camera and position; what is broken says nothing, and never takes what is whole with it."""

    def __init__(self, image: Image) -> None:
        exif = _quietly(image.getexif) or Exif()
        xmp = _quietly(_Xmp, image) or _Xmp()
        orientation = _text(_quietly(exif.get, 0x0112) or xmp.get("tiff:Orientation"))
        self.turn: Transpose | None = TURNS.get(int(orientation)) if orientation.isdecimal() else None
        """What brings the picture upright; None: nothing need be done."""
        self.taken_at: datetime | None = _quietly(_taken_at, exif, xmp)
        """Camera's clock: without a zone, unless the offset is noted, too."""
        self.camera: str | None = _quietly(_camera, exif, xmp)
        self.position: tuple[float | None, float | None] = _quietly(_position, exif) or _quietly(_position_of_xmp, xmp) or (None, None)
        """Latitude (north positive) and longitude (east positive), degrees."""


def _quietly(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Exception:
        return None


class _Xmp:
    """The simple properties of an XMP packet, be they written as attributes or as elements."""

    def __init__(self, image: Image | None = None) -> None:
        info = image.info if image else {}
        packet = info.get("xmp") or info.get("XML:com.adobe.xmp") or (getattr(image, "tag_v2", {}).get(700) if image else None) or ""
        self._text = packet[:MAX_XMP] if isinstance(packet, str) else bytes(packet[:MAX_XMP]).decode(errors="replace")

    def get(self, name: str) -> str | None:
        """A property by its name with the usual prefix, or None."""
        found = re.search(rf"\b{name}(?:\s*=\s*[\"']([^\"'<]{{1,200}})|\s*>\s*([^<]{{1,200}})<)", self._text)
        return (found[1] or found[2]).strip() if found else None


_DATE = re.compile(
    r"(\d{4})[:/.-](\d\d?)[:/.-](\d\d?)"
    r"(?:[T ]+(\d\d?):(\d\d)(?::([ \d]\d))?(?:[.,]\d*)?)?"
    r"\s*(Z|[+-]\d\d:?\d\d)?"
)
"""EXIF's "2019:07:21 18:03:59" and ISO's "2019-07-21T18:03:59.5+02:00"; what follows the date may be missing."""


def _taken_at(exif: Exif, xmp: _Xmp) -> datetime | None:
    """When the picture was taken, else digitized, else the file made, by EXIF before XMP."""
    for text, offset in _times(exif, xmp):
        found = _time(text)
        if found is not None:
            zone = None if found.tzinfo else _offset(offset)
            return found.replace(tzinfo=zone) if zone else found
    return None


def _times(exif: Exif, xmp: _Xmp) -> Iterator[tuple[Any, Any]]:
    """Times in the order of trust, each with its offset as far as that is noted elsewhere."""
    photo = _quietly(exif.get_ifd, 0x8769) or {}
    yield photo.get(0x9003), photo.get(0x9011)
    yield photo.get(0x9004), photo.get(0x9012)
    for name in ("exif:DateTimeOriginal", "photoshop:DateCreated", "exif:DateTimeDigitized", "xmp:CreateDate"):
        yield xmp.get(name), None
    yield exif.get(0x0132), photo.get(0x9010)


def _time(value: Any) -> datetime | None:
    """A time as cameras and programs write it; None for what is no time: "0000:00:00 00:00:00", blanks."""
    match = _DATE.match(_text(value))
    if not match:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    try:
        found = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=_offset(match[7]))
    except ValueError:
        return None
    return found if found.year >= 1826 else None  # the first photograph


def _offset(value: Any) -> timezone | None:
    """ "+02:00", "-0330" or "Z" as a zone."""
    match = re.match(r"Z|([+-])(\d\d):?(\d\d)", _text(value))
    if not match:
        return None
    minutes = int(match[2]) * 60 + int(match[3]) if match[1] else 0
    return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes)) if minutes <= 18 * 60 else None


def _text(value: Any) -> str:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else "" if value is None else str(value)
    return text.replace("\0", " ").strip()


def _camera(exif: Exif, xmp: _Xmp) -> str | None:
    """Make and model in one line, the make not twice."""
    make, model = (" ".join(_text(exif.get(tag) or xmp.get(name)).split()) for tag, name in ((0x010F, "tiff:Make"), (0x0110, "tiff:Model")))
    repeated = bool(make) and model.lower().startswith(make.split()[0].lower())
    text = model if repeated else f"{make} {model}".strip()
    return "".join(letter for letter in text if letter.isprintable())[:100] or None


def _position(exif: Exif) -> tuple[float, float] | None:
    """Latitude and longitude in degrees, of whatever is unambiguous: a word for the letter, a sign beside it, the two swapped."""
    gps = exif.get_ifd(0x8825)
    references = [_text(gps.get(tag)).upper()[:1] for tag in (1, 3)]
    values = [_degrees(gps[tag]) for tag in (2, 4)]
    if references[0] in ("E", "W") or references[1] in ("N", "S"):
        references.reverse()
        if abs(values[0]) > 90:
            values.reverse()
    return _valid(*(-abs(value) if letter in ("S", "W") else value for value, letter in zip(values, references, strict=True)))


def _position_of_xmp(xmp: _Xmp) -> tuple[float, float] | None:
    """The same from "33,51.6S" or "33,51,36S"."""
    found = []
    for name in ("exif:GPSLatitude", "exif:GPSLongitude"):
        match = re.fullmatch(r"([\d.]+)(?:,([\d.]+))?(?:,([\d.]+))?\s*([NSEW])", xmp.get(name) or "")
        if not match:
            return None
        value = _degrees(tuple(float(part) for part in match.groups()[:3] if part))
        found.append(-value if match[4] in "SW" else value)
    return _valid(*found)


def _valid(latitude: float, longitude: float) -> tuple[float, float] | None:
    """0, 0 is what devices write that did not know."""
    valid = abs(latitude) <= 90 and abs(longitude) <= 180 and (latitude or longitude)  # False for NaN
    return (latitude, longitude) if valid else None


def _degrees(parts: Any) -> float:
    """Degrees, minutes and seconds, or fewer of them; 0/0 minutes or seconds are those that the device left out. Raises ValueError."""
    given = [float(part) for part in (parts if isinstance(parts, (tuple, list)) else (parts,))]
    degrees, minutes, seconds = (*given[:1], *(part if math.isfinite(part) else 0.0 for part in given[1:]), 0.0, 0.0)[:3]
    if not math.isfinite(degrees):
        raise ValueError("no number")
    return math.copysign(abs(degrees) + abs(minutes) / 60 + abs(seconds) / 3600, degrees)
