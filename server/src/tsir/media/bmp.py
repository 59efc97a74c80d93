"""BMPs whose colours lie under masks of their own: Pillow knows the usual ones."""

from __future__ import annotations

import struct

import numpy as np
from PIL import Image as PILImage
from PIL.Image import Image

from tsir.media.late import LateImage

BITFIELDS = (3, 6)
"""Compressions that name masks."""


def masks(data: bytes) -> tuple[int, ...]:
    """Those of red, green and blue; empty if the BMP names none."""
    if len(data) < 66 or int.from_bytes(data[30:34], "little") not in BITFIELDS:
        return ()
    return struct.unpack("<3I", data[54:66])


class MaskedBmp(LateImage):
    """Of 16 or 32 bits."""

    def _open(self) -> None:
        assert self.fp is not None
        self._data = self.fp.read()
        width, height, _, self._bits = struct.unpack("<iiHH", self._data[18:30])
        if self._bits not in (16, 32):
            raise SyntaxError("no BMP with masks")
        self._size, self._mode, self._upwards = (width, abs(height)), "RGB", height > 0

    def develop(self) -> Image:
        """Raises ValueError if the file is cut off."""
        width, height = self._size
        stride = (width * self._bits // 8 + 3) // 4 * 4
        start = int.from_bytes(self._data[10:14], "little")
        rows = np.frombuffer(self._data[start : start + stride * height], np.uint8).reshape(height, stride)[:, : width * self._bits // 8]
        packed = np.ascontiguousarray(rows).view(f"<u{self._bits // 8}").astype(np.uint32)
        bands = []
        for mask in masks(self._data):
            lowest = max(mask & -mask, 1)
            bands.append(
                ((packed & np.uint32(mask)) // np.uint32(lowest) * (255 / max(mask // lowest, 1))).round().clip(0, 255).astype(np.uint8)
            )
        image = PILImage.fromarray(np.stack(bands, axis=-1))
        return image.transpose(PILImage.Transpose.FLIP_TOP_BOTTOM) if self._upwards else image
