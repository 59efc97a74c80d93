"""Bytes to pixels: every picture that enters the system, photo or sketch, is opened here.

Limits are checked before pixels are decoded, what cannot be read raises an error whose sentence says why, and what comes out is always
the same: 8-bit RGB in sRGB, upright, transparency on white.
"""

from __future__ import annotations

import hashlib
import io
import math
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    ImageCms,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)
from PIL import Image as PILImage
from PIL.Image import Exif, Image, Transpose

from tsir.encoders.base import Encoder
from tsir.errors import InvalidImage, TooLarge
from tsir.records import ImageMetadata

SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .mpo .png .apng .webp .gif .bmp .dib .tif .tiff .heic .heif .hif .avif .avifs".split()  # noqa: SIM905
)
"""Lower-case file name endings that promise a picture of a known format."""

READABLE = "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF"

_PLUGINS = (AvifImagePlugin, BmpImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin)
"""Imported for their registration: `PIL.Image.open(formats=...)` knows only plugins that are loaded."""

# Pixel limits are ours (`max_pixels`, before decoding). Pillow's own bomb check stays as the last line of defence, for sizes that only
# show up while decoding (a GIF frame larger than its screen): it raises above twice this number.
PILImage.MAX_IMAGE_PIXELS = 300_000_000
warnings.filterwarnings("ignore", module=r"PIL\.")  # odd metadata is no news to the person who imports a folder

_DECODE_PIXELS = 100_000_000
"""Pixels that may be decoded at one time in this process (4 bytes each, and as many again while converting): bounds memory."""


class Unreadable(InvalidImage):
    """The file could not be read at all: gone, no permission, a failing disk. Its content may be fine."""


@dataclass(frozen=True)
class Picture:
    """A decoded picture and what its file says about it."""

    image: Image
    """8-bit RGB in sRGB, upright, transparency on white; smaller than the file's picture when a reduced decode was allowed."""
    as_stored: Image
    """The same without colour management, RGB values as the file has them; `image` itself where that makes no difference."""
    metadata: ImageMetadata
    """Sizes are those of the full picture as shown."""
    content_hash: str
    """Hex sha256 of the file's bytes."""


def open_picture(
    data: bytes | Path, *, max_bytes: int, max_pixels: int, min_side: int | None = None, min_long_side: int | None = None
) -> Picture:
    """Decode a picture from its bytes or its file.

    With `min_side` the picture may be decoded at an integer fraction of its size (much faster for large JPEGs) as long as its short side
    keeps at least `min_side` pixels and its long side at least `min_long_side` (default: `min_side`).
    Raises InvalidImage or TooLarge with a sentence that says why, and nothing else.
    """
    data = _read(data, max_bytes) if isinstance(data, Path) else data
    if len(data) > max_bytes:
        raise TooLarge(_too_many_bytes(len(data), max_bytes))
    if not data:
        raise InvalidImage("The file is empty.")
    kind = sniff(data)
    if kind is None:
        raise InvalidImage(f"This is not a picture: the content is not {READABLE}, whatever its name says.")
    try:
        return _decode(data, kind, max_pixels, (min_side, min_long_side or min_side) if min_side else None)
    except (InvalidImage, TooLarge):
        raise
    except MemoryError:
        raise TooLarge("The picture does not fit into memory.") from None
    except PILImage.DecompressionBombError:
        raise TooLarge("The picture unfolds to more pixels than it may.") from None
    except Exception as error:  # decoders raise almost anything on broken bytes
        raise InvalidImage(_broken(kind, error)) from None


def pixels_for(encoder: Encoder, picture: Picture) -> Image:
    """The decoded photo as the encoder wants to see it: as the file has it for one that reproduces others' vectors."""
    return picture.image if encoder.scaled_decode else picture.as_stored


def photo_for(encoder: Encoder, picture: Picture) -> Image:
    """The photo, ready for the encoder."""
    return encoder.prepare_photo(pixels_for(encoder, picture))


def open_sketch(data: bytes | Path, *, max_bytes: int, max_pixels: int) -> Image:
    """Decode a drawing at full size -> RGB with its strokes on white. Raises like `open_picture`."""
    return open_picture(data, max_bytes=max_bytes, max_pixels=max_pixels).image


def _read(path: Path, max_bytes: int) -> bytes:
    """Read a file, at most one byte more than allowed."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            if size > max_bytes:
                raise TooLarge(_too_many_bytes(size, max_bytes))
            file.seek(0)
            return file.read(max_bytes + 1)
    except OSError as error:
        raise Unreadable(f"The file cannot be read: {error.strerror or error}.") from None


def _too_many_bytes(size: int, limit: int) -> str:
    return f"The file has {size / 2**20:,.1f} MB; at most {limit / 2**20:,.1f} MB are allowed (MAX_UPLOAD_BYTES)."


def sniff(data: bytes) -> str | None:
    """The format of a picture by its first bytes ("JPEG", "PNG", ...; names lie), or None."""
    head = data[:16]
    for start, kind in (
        (b"\xff\xd8\xff", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"GIF8", "GIF"),
        (b"BM", "BMP"),
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
        (b"II+\0", "TIFF"),
        (b"MM\0+", "TIFF"),
    ):
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":  # box size, "ftyp", major brand, version, compatible brands
        brands = data[8 : min(max(int.from_bytes(head[:4], "big"), 16), 256)]
        if b"avif" in brands or b"avis" in brands:
            return "AVIF"
        if any(brand in brands for brand in (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")):
            return "HEIC"
    return None


def _broken(kind: str, error: Exception) -> str:
    text = str(error).lower()
    if any(word in text for word in ("truncated", "end of file", "unexpected end", "not enough", "broken data stream")) or isinstance(
        error, EOFError
    ):
        return f"The {kind} picture is cut off: the file ends before the picture does."
    return f"The {kind} picture is broken and cannot be decoded."


def _decode(data: bytes, kind: str, max_pixels: int, least: tuple[int, int] | None) -> Picture:
    """Open, check, decode, convert. Raises anything."""
    image = _open(data, kind)
    width, height = image.size
    if width * height > max_pixels:
        raise TooLarge(f"The picture has {width} x {height} pixels; at most {max_pixels:,} are allowed (MAX_PIXELS).")
    reduced = None
    if least and kind == "JPEG":
        scale = _fraction(image, least)
        reduced = (max(1, width // scale), max(1, height // scale))
        image.draft(None, reduced)
    progressive = bool(image.info.get("progressive") or image.info.get("progression"))  # holds all coefficients while decoding
    with _decoding(width * height if progressive else image.width * image.height):
        exif = _Facts(image)
        image = _load(image, data, kind, reduced)
        profile = image.info.get("icc_profile")
        if kind == "TIFF":  # Pillow turns these itself while loading
            width, height = image.size
        image = _flatten(image)
        if least and (scale := _fraction(image, least)) > 1:
            image = image.reduce(scale)
        plain, image = image, _to_srgb(image, profile)
        as_stored = plain if plain.mode == "RGB" else plain.convert("RGB") if profile and plain.mode != "LAB" else image
        turn = None if kind == "TIFF" else _TURNS.get(exif.orientation)
        if turn is not None:
            same = as_stored is image
            image = image.transpose(turn)
            as_stored = image if same else as_stored.transpose(turn)
        if turn in _SIDEWAYS:
            width, height = height, width
    metadata = ImageMetadata(width, height, kind, exif.taken_at, exif.camera, *exif.position)
    return Picture(image, as_stored, metadata, hashlib.sha256(data).hexdigest())


_heif_lock = threading.Lock()


def _open(data: bytes, kind: str) -> Image:
    """Parse the header only."""
    if kind != "HEIC":
        return PILImage.open(io.BytesIO(data), formats=(kind,))
    with _heif_lock:  # imported on first use: half of all people never meet a HEIC file
        import pillow_heif

        if "HEIF" not in PILImage.OPEN:
            pillow_heif.register_heif_opener(thumbnails=False)
    return PILImage.open(io.BytesIO(data), formats=("HEIF",))


def _fraction(image: Image, least: tuple[int, int]) -> int:
    """Largest integer by which the sides may be divided so that short and long side keep `least` pixels."""
    short, long = sorted(image.size)
    return max(1, min(short // least[0], long // least[1]))


def _load(image: Image, data: bytes, kind: str, reduced: tuple[int, int] | None) -> Image:
    """Decode the pixels. A JPEG that lacks nothing but its end marker is whole; one whose picture data is cut is not.

    libjpeg invents the missing part silently when it meets an end marker, and Pillow reports any missing marker as truncation. To tell
    the two apart, decode with two different fillings of the gap: where there is no gap, they cannot show.
    """
    try:
        image.load()
        return image
    except OSError:
        if kind != "JPEG":
            raise
        body = data.rstrip(b"\0")  # an interrupted copy is often filled up with zeros
        whole, probe = (_open(body + filling + b"\xff\xd9", kind) for filling in (b"", b"\x55" * 64))
        for candidate in (whole, probe):
            if reduced:
                candidate.draft(None, reduced)
            candidate.load()
        if whole.tobytes() != probe.tobytes():
            raise
        return whole


_in_use = 0
_room = threading.Condition()


@contextmanager
def _decoding(pixels: int) -> Iterator[None]:
    """Wait until `pixels` more fit into memory beside the others being decoded; one that is larger than all room goes alone."""
    global _in_use
    with _room:
        _room.wait_for(lambda: _in_use == 0 or _in_use + pixels <= _DECODE_PIXELS)
        _in_use += pixels
    try:
        yield
    finally:
        with _room:
            _in_use -= pixels
            _room.notify_all()


def _flatten(image: Image) -> Image:
    """Any mode -> L, CMYK, LAB or RGB, 8 bits, transparency on white."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = PILImage.new("RGBA", image.size, "white")
        return PILImage.alpha_composite(ground, image).convert("RGB")
    if image.mode.startswith(("I", "F")):
        return _eight_bits(image)
    return image if image.mode in ("L", "CMYK", "LAB", "RGB") else image.convert("RGB")


def _eight_bits(image: Image) -> Image:
    """Grey of 16 or 32 bits or float -> L. Integers are taken as 16 bits wide, floats as 0..1; what exceeds that is scaled to fit."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    top = float(values.max(initial=0))
    full = max(top, 1.0) if image.mode == "F" else (65535.0 if 255 < top <= 65535 or image.mode != "I" else max(top, 255.0))
    return PILImage.fromarray(np.clip(values * (255 / full), 0, 255).round().astype(np.uint8))


_local = threading.local()  # lcms transforms must not be shared between threads


def _to_srgb(image: Image, profile: bytes | None) -> Image:
    """L, CMYK, LAB or RGB -> RGB in sRGB by the embedded profile, where there is one that fits."""
    if profile or image.mode == "LAB":
        cache: OrderedDict[Any, ImageCms.ImageCmsTransform | None] = _local.__dict__.setdefault("transforms", OrderedDict())
        key = (image.mode, profile)
        if key not in cache:
            cache[key] = _transform(image.mode, profile)
            if len(cache) > 16:
                cache.popitem(last=False)
        if transform := cache[key]:
            return transform.apply(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _transform(mode: str, profile: bytes | None) -> ImageCms.ImageCmsTransform | None:
    """None when the profile is sRGB already, does not fit the mode or is broken."""
    try:
        if not profile:
            return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), mode, "RGB")
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if space != {"L": "GRAY", "LAB": "Lab"}.get(mode, mode) or "srgb" in (source.profile.profile_description or "").lower():
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except Exception:  # a broken profile is no reason to refuse the picture
        return None


_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""EXIF 2.32, tag 0x0112: what brings the picture upright."""
_SIDEWAYS = (Transpose.TRANSPOSE, Transpose.ROTATE_270, Transpose.TRANSVERSE, Transpose.ROTATE_90)


class _Facts:
    """Orientation, capture time, camera and position from EXIF; broken EXIF says nothing."""

    def __init__(self, image: Image) -> None:
        self.orientation = 1
        self.taken_at: datetime | None = None
        self.camera: str | None = None
        self.position: tuple[float | None, float | None] = (None, None)
        try:
            exif = image.getexif()
        except Exception:
            return
        orientation = _quietly(exif.get, 0x0112)
        self.orientation = orientation if isinstance(orientation, int) else 1
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
