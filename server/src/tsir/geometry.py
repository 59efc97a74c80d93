"""Pictures of any size and mode -> the square that a model sees. Pillow only; scaling of values is the graph's part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage
from PIL.Image import Image, Resampling

Fit = Literal["crop", "pad", "squash"]

STRIP = 16
"""Pictures longer than this many times their short side are cropped before they are resized: the same pixels but for rounding
between Pillow's two passes, and a 1 x 10,000 strip needs no gigabyte."""


def on_white(image: Image) -> Image:
    """RGB; what is transparent shows white."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = PILImage.alpha_composite(PILImage.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


@dataclass(frozen=True)
class Geometry:
    """How a picture becomes a square of `size` pixels.

    crop: the short side becomes `size`, the middle of the long side is kept: what CLIP and TASK-former are trained and evaluated with.
    pad: the long side becomes `size`, the rest is white: nothing is lost. squash: both sides become `size`.
    """

    size: int
    fit: Fit = "crop"
    resample: Resampling = Resampling.BICUBIC
    gap: float | None = None
    """Pillow's `reducing_gap`, for squash: by whole numbers with the mean of the pixels first, as long as the rest is at least so much."""

    def apply(self, image: Image) -> Image:
        """RGB [size, size]; a picture that is so already comes back as it is. Pillow's filters antialias."""
        image = on_white(image)
        if image.size == (self.size, self.size):
            return image
        if self.fit == "squash":
            return image.resize((self.size, self.size), self.resample, reducing_gap=self.gap)
        return self._pad(image) if self.fit == "pad" else self._crop(image)

    def _crop(self, image: Image) -> Image:
        """The pixels of torchvision's Resize(size) + CenterCrop(size) on a PIL image: truncate the long side, round half to even."""
        width, height = image.size
        short = min(width, height)
        wide, high = int(self.size * width / short), int(self.size * height / short)
        left, top = round((wide - self.size) / 2), round((high - self.size) / 2)
        if max(wide, high) <= STRIP * self.size:
            image = image.resize((wide, high), self.resample)
            return image.crop((left, top, left + self.size, top + self.size))
        across, down = width / wide, height / high
        box = (left * across, top * down, min((left + self.size) * across, width), min((top + self.size) * down, height))
        return image.resize((self.size, self.size), self.resample, box=box)

    def _pad(self, image: Image) -> Image:
        scale = self.size / max(image.size)
        width, height = (max(1, round(side * scale)) for side in image.size)
        square = PILImage.new("RGB", (self.size, self.size), "white")
        square.paste(image.resize((width, height), self.resample), ((self.size - width) // 2, (self.size - height) // 2))
        return square


def pixels(images: Sequence[Image]) -> npt.NDArray[np.uint8]:
    """Squares of one size -> uint8 [n, size, size, 3]."""
    return np.stack([np.asarray(image, dtype=np.uint8) for image in images])
