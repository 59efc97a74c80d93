"""Bytes to pixels: every picture that enters the system, photo or sketch, is opened here.

Limits are checked before pixels are decoded, what cannot be read raises an error whose sentence says why, and what comes out is always
the same: 8-bit RGB in sRGB, upright, transparency on white.
"""

from __future__ import annotations

import hashlib
import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image as PILImage
from PIL.Image import Image

from tsir.errors import InvalidImage, TooLarge
from tsir.media import formats
from tsir.media.colour import flatten, to_srgb
from tsir.media.exif import SIDEWAYS, Facts
from tsir.media.formats import READABLE, Format, sniff
from tsir.records import ImageMetadata

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


def _broken(kind: Format, error: Exception) -> str:
    text = str(error).lower()
    if any(word in text for word in ("truncated", "end of file", "unexpected end", "not enough", "broken data stream")) or isinstance(
        error, EOFError
    ):
        return f"The {kind.name} picture is cut off: the file ends before the picture does."
    return f"The {kind.name} picture is broken and cannot be decoded."


def _decode(data: bytes, kind: Format, max_pixels: int, least: tuple[int, int] | None) -> Picture:
    """Open, check, decode, convert. Raises anything."""
    image = _open(data, kind)
    width, height = image.size
    if width * height > max_pixels:
        raise TooLarge(f"The picture has {width} x {height} pixels; at most {max_pixels:,} are allowed (MAX_PIXELS).")
    reduced = None
    if least and kind.name == "JPEG":
        scale = _fraction(image, least)
        reduced = (max(1, width // scale), max(1, height // scale))
        image.draft(None, reduced)
    progressive = bool(image.info.get("progressive") or image.info.get("progression"))  # holds all coefficients while decoding
    with _decoding(width * height if progressive else image.width * image.height):
        facts = Facts(image)
        image = _load(image, data, kind, reduced)
        profile = image.info.get("icc_profile")
        turn = facts.turn
        if kind.name == "TIFF":  # Pillow turns these itself while loading
            (width, height), turn = image.size, None
        image = flatten(image)
        if least and (scale := _fraction(image, least)) > 1:
            image = image.reduce(scale)
        plain, image = image, to_srgb(image, profile)
        as_stored = plain if plain.mode == "RGB" else plain.convert("RGB") if profile and plain.mode != "LAB" else image
        if turn is not None:
            same = as_stored is image
            image = image.transpose(turn)
            as_stored = image if same else as_stored.transpose(turn)
        if turn in SIDEWAYS:
            width, height = height, width
    metadata = ImageMetadata(width, height, kind.name, facts.taken_at, facts.camera, *facts.position)
    return Picture(image, as_stored, metadata, hashlib.sha256(data).hexdigest())


def _open(data: bytes, kind: Format) -> Image:
    """Parse the header only."""
    return PILImage.open(io.BytesIO(data), formats=(formats.register(kind),))


def _fraction(image: Image, least: tuple[int, int]) -> int:
    """Largest integer by which the sides may be divided so that short and long side keep `least` pixels."""
    short, long = sorted(image.size)
    return max(1, min(short // least[0], long // least[1]))


def _load(image: Image, data: bytes, kind: Format, reduced: tuple[int, int] | None) -> Image:
    """Decode the pixels. A JPEG that lacks nothing but its end marker is whole; one whose picture data is cut is not.

    libjpeg invents the missing part silently when it meets an end marker, and Pillow reports any missing marker as truncation. To tell
    the two apart, decode with two different fillings of the gap: where there is no gap, they cannot show.
    """
    try:
        image.load()
        return image
    except OSError:
        if kind.name != "JPEG":
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
