"""Bytes to pixels: every picture that enters the system, photo or sketch, is opened here.

Limits are checked before pixels are decoded, what cannot be read raises an error whose sentence says why, and what comes out is always
the same: 8-bit RGB in sRGB, upright, transparency on white. What browsers and viewers show is read, too, though its file breaks the rules.
"""

from __future__ import annotations

import hashlib
import io
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image as PILImage
from PIL import UnidentifiedImageError
from PIL.Image import Image
from PIL.ImageFile import ImageFile

from tsir.errors import InvalidImage, TooLarge
from tsir.media import bmp, formats, repair, tiff
from tsir.media.colour import flatten, to_srgb
from tsir.media.exif import SIDEWAYS, Facts
from tsir.media.formats import RAW, READABLE, Format, begin, sniff
from tsir.media.late import LateImage
from tsir.media.thumbnails import ThumbnailSize
from tsir.records import ImageMetadata

# Pixel limits are ours (`max_pixels`, before decoding). Pillow's own bomb check stays as the last line of defence, for sizes that only
# show up while decoding (a GIF frame larger than its screen): it raises above twice this number.
PILImage.MAX_IMAGE_PIXELS = 300_000_000
warnings.filterwarnings("ignore", module=r"PIL\.")  # odd metadata is no news to the person who imports a folder

_DECODE_PIXELS = 100_000_000
"""Pixels that may be decoded at one time in this process (4 bytes each, and as many again while converting): bounds memory."""


MAX_MISSING = 0.08
"""Share of a picture that its file may lack: it is read as far as it goes."""

MAX_FRAMES = 16
"""Frames or pages that are looked through for one that shows something."""


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
    missing: float = 0.0
    """Share of the picture that the file lacks, because it is cut off; at most `MAX_MISSING`."""
    thumbnails: Mapping[ThumbnailSize, bytes] = field(default_factory=dict)
    """Files of those that were asked for."""


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
    if kind is None and not data.strip(b"\0"):
        raise InvalidImage("The file holds nothing but zeros: it was not copied to its end, or the disk is damaged.")
    if kind is None:
        raise InvalidImage(f"This is not a picture: the content is not {READABLE}, whatever its name says.")
    directory = tiff.Directory.of(data) if kind.name == "TIFF" else None
    if directory and directory.camera_raw:
        kind = RAW
    if not kind.readable:
        raise InvalidImage(kind.missing)
    try:
        return _decode(data, kind, max_pixels, (min_side, min_long_side or min_side) if min_side else None)
    except (InvalidImage, TooLarge):
        raise
    except MemoryError:
        raise TooLarge("The picture does not fit into memory.") from None
    except PILImage.DecompressionBombError:
        raise TooLarge("The picture unfolds to more pixels than it may.") from None
    except Exception as error:  # decoders raise almost anything on broken bytes
        raise InvalidImage(_broken(kind, data[begin(data) :], error)) from None


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


def _broken(kind: Format, data: bytes, error: Exception) -> str:
    text = str(error).lower()
    if isinstance(error, tiff.NotSupported):
        return f"This kind of TIFF is not supported ({error}): save it with 8 or 16 bits per colour."
    if isinstance(error, NotImplementedError) or "unsupported" in text or "not supported" in text:
        return f"This kind of {kind.name} picture is not supported: save it anew, as PNG for instance."
    words = ("truncated", "end of file", "unexpected end", "not enough", "broken data stream")
    if any(word in text for word in words) or isinstance(error, EOFError) or _cut(data):
        return f"The {kind.name} picture is cut off: the file ends before the picture does."
    return f"The {kind.name} picture is broken and cannot be decoded."


def _cut(data: bytes) -> bool:
    """Whether a file that says how long it, or each of its boxes, is ends before that: WebP, and HEIC, AVIF and their kin."""
    if data[:4] == b"RIFF":
        return 8 + int.from_bytes(data[4:8], "little") > len(data)
    end = 0
    while data[4:8] in (b"ftyp", b"JXL ") and end + 8 <= len(data):
        size = int.from_bytes(data[end : end + 4], "big")
        if size == 1:
            size = int.from_bytes(data[end + 8 : end + 16], "big")
        if size < 8:  # to the end of the file, or no box at all
            return False
        end += size
    return end > len(data)


def _decode(data: bytes, kind: Format, max_pixels: int, least: tuple[int, int] | None) -> Picture:
    """Decode as it is, else as browsers would. Raises anything."""
    content_hash = hashlib.sha256(data).hexdigest()
    data = data[begin(data) :]

    def decode(image: Image, data: bytes, profile: bytes | None = None) -> Picture:
        return _decode_opened(image, data, kind, max_pixels, least, content_hash, profile)

    directory = tiff.Directory.of(data) if kind.name == "TIFF" else None
    if directory and tiff.misread(directory):
        return decode(tiff.WideTiff(io.BytesIO(data)), data)
    try:
        return decode(_open(data, kind), data)
    except (TooLarge, MemoryError, PILImage.DecompressionBombError):
        raise
    except Exception as error:
        for other in repair.variants(data, kind):
            with suppress(Exception):
                return decode(_open(other, kind), other, repair.big_profile(data, kind))
        if directory and not tiff.plain(directory):
            return decode(tiff.WideTiff(io.BytesIO(data)), data)
        if directory and isinstance(error, UnidentifiedImageError) and all(directory.size):
            raise tiff.NotSupported(tiff.kind_of(directory)) from error
        if kind.name == "BMP" and bmp.masks(data):
            return decode(bmp.MaskedBmp(io.BytesIO(data)), data)
        raise


def _decode_opened(
    image: Image,
    data: bytes,
    kind: Format,
    max_pixels: int,
    least: tuple[int, int] | None,
    content_hash: str,
    profile: bytes | None,
) -> Picture:
    """Check, decode, convert. Raises anything. `profile`: if the picture itself has none."""
    width, height = image.size
    if width * height > max_pixels:
        raise TooLarge(f"The picture has {width} x {height} pixels; at most {max_pixels:,} are allowed (MAX_PIXELS).")
    reduced = None
    if least and kind.name == "JPEG":
        scale = _fraction(image, least)
        reduced = (max(1, width // scale), max(1, height // scale))
        image.draft(None, reduced)
    progressive = bool(image.info.get("progressive") or image.info.get("progression"))  # holds all coefficients while decoding
    with room(width * height if progressive else image.width * image.height):
        facts = Facts(image)
        turns_itself = kind.name == "TIFF" and not isinstance(image, LateImage)
        image, missing = _load(image, data, kind, reduced)
        if turns_itself or image.size == (height, width):  # the latter JPEG XL
            width, height = image.size
        turn = None if turns_itself else facts.turn
        profile = image.info.get("icc_profile") or profile
        gamma = None if "srgb" in image.info else image.info.get("gamma")
        image = flatten(image)
        if kind.name in FRAMED and (other := _other_frame(image, data, kind, max_pixels)):
            image = other
            if kind.name == "TIFF":
                width, height = image.size
        if least and (scale := _fraction(image, least)) > 1:
            image = image.reduce(scale)
        plain, image = image, to_srgb(image, profile, gamma)
        as_stored = plain if plain.mode == "RGB" else plain.convert("RGB") if profile and plain.mode != "LAB" else image
        if turn is not None:
            same = as_stored is image
            image = image.transpose(turn)
            as_stored = image if same else as_stored.transpose(turn)
        if turn in SIDEWAYS:
            width, height = height, width
    metadata = ImageMetadata(width, height, kind.name, facts.taken_at, facts.camera, *facts.position)
    return Picture(image, as_stored, metadata, content_hash, missing)


FRAMED = ("PNG", "WEBP", "GIF", "TIFF", "AVIF", "HEIC")
"""Formats whose files may hold several frames or pages."""


def _other_frame(image: Image, data: bytes, kind: Format, max_pixels: int) -> Image | None:
    """The first frame or page that is not empty, flattened, where the very first is; of pages that are small versions the largest."""
    reduced = kind.name == "TIFF" and (directory := tiff.Directory.of(data)) is not None and directory.reduced
    if not reduced and not _empty(image):
        return None
    best = None
    with suppress(Exception):  # the end of the file, or of what can be read of it
        frames = _open(data, kind)
        for number in range(1, MAX_FRAMES):
            frames.seek(number)
            if frames.width * frames.height > max_pixels:
                continue
            frame = flatten(frames.copy())
            if not reduced and not _empty(frame):
                return frame
            if reduced and frame.width * frame.height > (best or image).width * (best or image).height:
                best = frame
    return best


def _empty(image: Image) -> bool:
    """Whether a picture is of one colour."""
    extrema = image.getextrema()
    bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
    return all(low == high for low, high in bands)


def _open(data: bytes, kind: Format) -> Image:
    """Parse the header only."""
    return PILImage.open(io.BytesIO(data), formats=(formats.register(kind),))


def _fraction(image: Image, least: tuple[int, int]) -> int:
    """Largest integer by which the sides may be divided so that short and long side keep `least` pixels."""
    short, long = sorted(image.size)
    return max(1, min(short // least[0], long // least[1]))


def _load(image: Image, data: bytes, kind: Format, reduced: tuple[int, int] | None) -> tuple[Image, float]:
    """Decode the pixels; returns also the share of them that is not in the file. Raises anything, also if that is too much.

    Where Pillow stops early, what it decoded is kept. It reports a JPEG as truncated that lacks nothing but its end marker, and with the
    marker libjpeg invents the missing part silently. So it is decoded with two different fillings of the gap: where they differ, it begins.
    """
    if isinstance(image, LateImage):
        image = image.develop()
    try:
        image.load()
        return image, 0.0
    except MemoryError:
        raise
    except Exception:
        if kind.name == "JPEG":
            body = data.rstrip(b"\0")  # an interrupted copy is often filled up with zeros
            whole, probe = (_open(body + filling + b"\xff\xd9", kind) for filling in (b"", b"\x55" * 64))
            for candidate in (whole, probe):
                if reduced:
                    candidate.draft(None, reduced)
                candidate.load()
            rows = (np.asarray(whole) != np.asarray(probe)).reshape(whole.height, -1).any(1)
            rows = np.logical_or.accumulate(rows)  # the filling is short, but below it all is invented, too
        elif isinstance(image, ImageFile) and image.tile:
            image.tile = []
            image.load()
            whole, rows = image, ~np.asarray(image).reshape(image.height, -1).any(1)  # black: what is not decoded, at least
        else:
            raise
        missing = float(rows.mean())
        if missing > MAX_MISSING:
            raise
        return whole, missing


_in_use = 0
_freed = threading.Condition()


@contextmanager
def room(pixels: int) -> Iterator[None]:
    """Wait until `pixels` more fit into memory beside the others being decoded; one that is larger than all room goes alone."""
    global _in_use
    with _freed:
        _freed.wait_for(lambda: _in_use == 0 or _in_use + pixels <= _DECODE_PIXELS)
        _in_use += pixels
    try:
        yield
    finally:
        with _freed:
            _in_use -= pixels
            _freed.notify_all()
