"""What the CLIP-like encoders share: pixels and tokens in, unit vectors out. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image as PILImage
from PIL.Image import Image
from torch import Tensor, nn
from torch.nn import functional

from tsir.encoders.base import Encoder, Vectors, unit
from tsir.encoders.graph import Graph
from tsir.geometry import Geometry, pixels
from tsir.records import EncoderInfo

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
"""Of red, green and blue in CLIP's training pictures, 0 to 1."""

LARGEST = 64
"""Items per call of a graph: bounds memory, and more is no faster."""

Tokens = npt.NDArray[np.int64]


class PixelTower(nn.Module):
    """uint8 [n, size, size, 3] -> float32 [n, dim] unit rows. Normalising is part of the graph, so that bytes travel to the device."""

    def __init__(self, encode: nn.Module, mean: Sequence[float] = CLIP_MEAN, std: Sequence[float] = CLIP_STD) -> None:
        super().__init__()
        self.encode = encode
        self.register_buffer("scale", 1 / (255 * torch.tensor(std)).view(3, 1, 1))
        self.register_buffer("shift", -(torch.tensor(mean) / torch.tensor(std)).view(3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        x = pixels.permute(0, 3, 1, 2).float() * self.scale + self.shift
        dtype = next(self.encode.parameters()).dtype  # only `encode` runs in low precision
        return functional.normalize(self.encode(x.to(dtype)).float(), dim=-1)


class TokenTower(nn.Module):
    """int64 [n, length] -> float32 [n, dim] unit rows."""

    def __init__(self, encode: nn.Module) -> None:
        super().__init__()
        self.encode = encode

    def forward(self, tokens: Tensor) -> Tensor:
        return functional.normalize(self.encode(tokens).float(), dim=-1)


class Method(nn.Module):
    """One method of a model as a module of its own, so that it can be traced."""

    def __init__(self, model: nn.Module, name: str) -> None:
        super().__init__()
        self.model = model
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        return getattr(self.model, self.name)(x)


class TowerEncoder(Encoder):
    """An Encoder made of three graphs. Photos are decoded in full: its vectors are to equal the authors'."""

    def __init__(
        self,
        info: EncoderInfo,
        device: str,
        *,
        images: Graph,
        sketches: Graph,
        texts: Graph,
        tokenize: Callable[[Sequence[str]], Tokens],
        photo: Geometry,
        sketch: Geometry,
        blank: bool = False,
    ) -> None:
        self.info = info
        self.device = device
        self.photo_size = photo.size
        self._images = images
        self._sketches = sketches
        self._texts = texts
        self._tokenize = tokenize
        self.photo_geometry = self._photo = photo
        self._sketch = sketch
        if blank:
            self.neutral = {
                "text": self.texts([""])[0],
                "sketch": self.sketches([PILImage.new("RGB", (sketch.size, sketch.size), "white")])[0],
            }

    def prepare_photo(self, image: Image) -> Image:
        return self._photo.apply(image)

    def prepare_sketch(self, image: Image) -> Image:
        return self._sketch.apply(image)

    def images(self, batch: Sequence[Image]) -> Vectors:
        return self._encode(self._images, batch, lambda part: pixels([self.prepare_photo(image) for image in part]))

    def sketches(self, batch: Sequence[Image]) -> Vectors:
        return self._encode(self._sketches, batch, lambda part: pixels([self._sketch.apply(image) for image in part]))

    def texts(self, batch: Sequence[str]) -> Vectors:
        return self._encode(self._texts, batch, self._tokenize)

    def _encode(self, graph: Graph, batch: Sequence[Any], arrays: Callable[[Sequence[Any]], npt.NDArray[Any]]) -> Vectors:
        rows = [graph(arrays(batch[start : start + LARGEST])) for start in range(0, len(batch), LARGEST)]
        return unit(np.concatenate(rows)) if rows else np.zeros((0, self.dim), dtype=np.float32)
