"""Camera RAW for Pillow, by LibRaw (extra `raw`): the preview that the camera developed itself, or a quick development."""

from __future__ import annotations

import io

import rawpy
from PIL import ExifTags, ImageOps
from PIL import Image as PILImage
from PIL.Image import Exif, Image

from tsir.media.late import LateImage

ENOUGH = 1024
"""Pixels of the long side of a preview that is as good as the picture; smaller ones are used where nothing else can be had."""

_SIDEWAYS = (5, 6)
"""LibRaw's `flip`: the picture lies on its side."""


class RawFile(LateImage):
    """Sizes and EXIF at once, the picture, upright, when it is loaded."""

    format = "RAW"
    format_description = "Camera RAW"

    def _open(self) -> None:
        assert self.fp is not None
        self._data = self.fp.read()
        with rawpy.imread(io.BytesIO(self._data)) as raw:
            sizes = raw.sizes
        self._size = (sizes.height, sizes.width) if sizes.flip in _SIDEWAYS else (sizes.width, sizes.height)
        self._mode = "RGB"

    def getexif(self) -> Exif:
        exif = Exif()
        magic = {b"IIRO": b"II*\0", b"IIRS": b"II*\0", b"IIU\0": b"II*\0", b"MMOR": b"MM\0*"}.get(self._data[:4])  # Olympus, Panasonic
        data = magic + self._data[4:] if magic else self._data
        if data[:4] in (b"II*\0", b"MM\0*"):
            exif.load(data)
        elif preview := self._preview():
            exif = preview.getexif()
        exif.pop(ExifTags.Base.Orientation, None)  # what is loaded is upright
        return exif

    def develop(self) -> Image:
        preview = self._preview()
        if preview is None or max(preview.size) < min(ENOUGH, max(self._size)):
            try:
                with rawpy.imread(io.BytesIO(self._data)) as raw:
                    half = min(self._size) >= 2 * ENOUGH
                    image = PILImage.fromarray(raw.postprocess(half_size=half, use_camera_wb=True, output_bps=8))
            except rawpy.LibRawError:
                if preview is None:
                    raise
                image = preview
        else:
            image = preview
        return ImageOps.exif_transpose(image)

    def _preview(self) -> Image | None:
        try:
            with rawpy.imread(io.BytesIO(self._data)) as raw:
                found = raw.extract_thumb()
        except rawpy.LibRawError:
            return None
        return PILImage.open(io.BytesIO(found.data), formats=("JPEG",)) if isinstance(found.data, bytes) else PILImage.fromarray(found.data)


def register() -> None:
    """Make Pillow know the format."""
    PILImage.register_open(RawFile.format, RawFile)
