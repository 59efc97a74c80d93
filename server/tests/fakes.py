"""An encoder whose vectors can be computed by hand: colours for pictures, colour names for words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from PIL import Image as PILImage
from PIL.Image import Image

from tsir.encoders.base import Encoder, Vectors, unit
from tsir.records import EncoderInfo

COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "black": (0, 0, 0), "white": (1, 1, 1)}


class FakeEncoder(Encoder):
    """dim 8: mean red, green, blue of the picture, a constant 0.1, and zeros.

    A sketch is encoded like a photo; a text is the mean of the colour names in it, and hash noise for other words.
    """

    photo_size = 8
    plain_share = 0.0  # colours are all that it knows

    def __init__(self, name: str = "fake", dim: int = 8) -> None:
        self.info = EncoderInfo(name, hashlib.sha256(f"{name}:{dim}".encode()).hexdigest()[:16], dim)

    foreign: frozenset[str] = frozenset()
    """Texts of which it says that it does not know their language."""

    def knows(self, text: str) -> bool:
        return text not in self.foreign

    def prepare_photo(self, image: Image) -> Image:
        return image if image.mode == "RGB" and image.size == (8, 8) else image.convert("RGB").resize((8, 8), PILImage.Resampling.BOX)

    def prepare_sketch(self, image: Image) -> Image:
        if image.mode in ("RGBA", "LA", "P"):
            image = image.convert("RGBA")
            ground = PILImage.new("RGBA", image.size, "white")
            image = PILImage.alpha_composite(ground, image)
        return self.prepare_photo(image.convert("RGB"))

    def _colours(self, batch: Sequence[Image]) -> Vectors:
        rows = np.zeros((len(batch), self.dim), dtype=np.float32)
        for row, image in zip(rows, batch, strict=True):
            row[:3] = np.asarray(image, dtype=np.float32).reshape(-1, 3).mean(axis=0) / 255
            row[3] = 0.1
        return unit(rows)

    def images(self, batch: Sequence[Image]) -> Vectors:
        return self._colours([self.prepare_photo(image) for image in batch])

    def sketches(self, batch: Sequence[Image]) -> Vectors:
        return self._colours([self.prepare_sketch(image) for image in batch])

    def texts(self, batch: Sequence[str]) -> Vectors:
        rows = np.zeros((len(batch), self.dim), dtype=np.float32)
        for row, text in zip(rows, batch, strict=True):
            for word in text.lower().split():
                if word in COLOURS:
                    row[:3] += COLOURS[word]
                else:
                    row[4 + hashlib.sha256(word.encode()).digest()[0] % (self.dim - 4)] += 0.1
            row[3] = 0.1
        return unit(rows)
