"""JPEG XL for Pillow, by libjxl (extra `jxl`): the plugin decodes what it opens, this knows the size, and so the limit, before."""

from __future__ import annotations

import io
from collections.abc import Iterator

from PIL import ExifTags
from PIL import Image as PILImage
from PIL.Image import Exif, Image

from tsir.media.late import LateImage

_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
"""ISO/IEC 18181-1, size header: width to height."""
MAX_BOXES = 1000
MAX_BOX = 2**24
"""Bytes of EXIF and XMP that are looked at."""


class JxlFile(LateImage):
    """Size and metadata at once, the pixels when it is loaded."""

    format = "JPEGXL"  # the plugin calls its own JXL
    format_description = "JPEG XL"

    def _open(self) -> None:
        assert self.fp is not None
        self._data = self.fp.read()
        self._mode = "RGB"
        self._repacked = False
        stream = self._data[:64]
        if not stream.startswith(b"\xff\x0a"):
            stream = b""
            for name, body in _boxes(self._data):
                if name in (b"jxlc", b"jxlp"):
                    stream = (stream + body[4 * (name == b"jxlp") :])[:64]
                elif name == b"Exif":
                    plain = body[:4] in (b"II*\0", b"MM\0*")  # some leave out where it begins
                    self.info["exif"] = body if plain else body[4 + int.from_bytes(body[:4], "big") :]
                elif name == b"xml ":
                    self.info["xmp"] = body
                elif name == b"jbrd":
                    self._repacked = True
        self._size = _size(stream)

    def getexif(self) -> Exif:
        exif = super().getexif()
        if not self._repacked:  # the stream itself says which way is up, and is followed when it is decoded
            exif.pop(ExifTags.Base.Orientation, None)
        return exif

    def develop(self) -> Image:
        from pillow_jxl import JpegXLImagePlugin

        image: Image = JpegXLImagePlugin.JXLImageFile(io.BytesIO(self._data))
        return image


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Names and contents of the boxes of the container."""
    at = 0
    for _ in range(MAX_BOXES):
        if at + 8 > len(data):
            return
        length, head = int.from_bytes(data[at : at + 4], "big"), 8
        if length == 1:
            length, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        end = at + length if length else len(data)
        if end < at + head:
            return
        yield data[at + 4 : at + 8], data[at + head : min(end, at + head + MAX_BOX)]
        at = end


def _size(stream: bytes) -> tuple[int, int]:
    """Width and height from the beginning of a stream. Raises SyntaxError."""
    if len(stream) < 12 or not stream.startswith(b"\xff\x0a"):
        raise SyntaxError("not a JPEG XL stream")
    bits = int.from_bytes(stream[2:], "little")

    def take(count: int) -> int:
        nonlocal bits
        value = bits & ((1 << count) - 1)
        bits >>= count
        return value

    small = take(1)

    def side() -> int:
        return (take(5) + 1) * 8 if small else take((9, 13, 18, 30)[take(2)]) + 1

    height = side()
    ratio = take(3)
    if not ratio:
        return side(), height
    across, down = _RATIOS[ratio - 1]
    return height * across // down, height


def register() -> None:
    """Make Pillow know the format."""
    PILImage.register_open(JxlFile.format, JxlFile)
