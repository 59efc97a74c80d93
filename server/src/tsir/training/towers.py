# mypy: disable-error-code="misc, no-any-return"
"""The three towers of the lite model, and the space that they share.

The space has 512 dimensions in three parts, so that a dot product is a sum of similarities:

    [ words: 256 | shapes: 255 | rest: 1 ]

Photos have a unit vector in `words` and one in `shapes`, each scaled by 1/sqrt(2). Words live in `words` alone. A sketch has a share in
both: what was drawn (found like a word) and how it was drawn (found by shape). `rest` is zero for photos; a query may put a
share of its length there, which lowers all its scores alike: that is how the weight of a sketch against words is set without leaving the
unit sphere.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsir.training.efficientnet import EfficientNetLite
from tsir.training.minilm import MiniLM, mean_of_tokens

WORDS, SHAPES, REST = 256, 255, 1
DIM = WORDS + SHAPES + REST
PHOTO_SCALE = 0.5**0.5


class Head(nn.Module):
    """A linear map plus a two-layer perceptron on normalised features: [n, inputs] -> [n, outputs], not yet of unit length."""

    def __init__(self, inputs: int, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(inputs)
        self.skip = nn.Linear(inputs, outputs)
        self.up, self.down = nn.Linear(inputs, hidden), nn.Linear(hidden, outputs)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        x = F.dropout(self.norm(x), self.dropout / 2, self.training)
        return self.skip(x) + self.down(F.dropout(F.gelu(self.up(x)), self.dropout, self.training))


class Pool(nn.Module):
    """The mean of a feature map beside an attention-pooled view of it: [n, c, h, w] -> [n, c + heads * width].

    Each head looks at the places that it finds important; the mean alone lets large backgrounds drown small objects.
    """

    def __init__(self, channels: int, heads: int, width: int) -> None:
        super().__init__()
        self.heads, self.width = heads, width
        self.outputs = channels + heads * width
        self.look = nn.Conv2d(channels, heads, 1)
        self.value = nn.Conv2d(channels, heads * width, 1)
        nn.init.zeros_(self.look.weight)

    def forward(self, features: Tensor) -> Tensor:
        n, _, h, w = features.shape
        weights = self.look(features).reshape(n, self.heads, 1, h * w).softmax(-1)
        values = self.value(features).reshape(n, self.heads, self.width, h * w)
        return torch.cat([features.mean((2, 3)), (values * weights).sum(-1).reshape(n, -1)], 1)


def _pixels(pixels: Tensor) -> Tensor:
    """Uint8 [n, h, w, 3] -> the scaling that EfficientNet-Lite was trained with, float [n, 3, h, w]."""
    return (pixels.permute(0, 3, 1, 2).float() - 127.0) / 128.0


class Branch(nn.Module):
    """The upper layers of a trunk with pooling and head of one part of the space: the map at the cut -> unit vectors."""

    def __init__(
        self, trunk: EfficientNetLite, cut: int, hidden: int, outputs: int, dropout: float, heads: int = 8, width: int = 64
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(copy.deepcopy(layer) for layer in trunk.layers[cut:])
        for module in self.layers.modules():
            if isinstance(module, nn.Conv2d) and module.groups > 1:
                module.weight.requires_grad_(False)  # see efficientnet._FixedDepthwise
        self.pool = Pool(trunk.width, heads, width)
        self.head = Head(self.pool.outputs, hidden, outputs, dropout)

    def features(self, x: Tensor, frozen: int = 0) -> Tensor:
        """Pooled features; the first ``frozen`` layers get no gradient."""
        with torch.no_grad():
            for layer in self.layers[:frozen]:
                x = layer(x)
        for layer in self.layers[frozen:]:
            x = layer(x)
        return self.pool(x)

    def forward(self, x: Tensor, frozen: int = 0) -> Tensor:
        """Map [n, c, h, w] -> unit float32 [n, outputs]."""
        return F.normalize(self.head(self.features(x, frozen)).float(), dim=-1)


class PhotoTower(nn.Module):
    """Photos -> `words` and `shapes`: one trunk up to the cut, then a branch for each part."""

    def __init__(self, trunk: EfficientNetLite, cut: int, words: Branch, shapes: Branch) -> None:
        super().__init__()
        self.lower = nn.ModuleList(copy.deepcopy(layer) for layer in trunk.layers[:cut])
        self.words, self.shapes = words, shapes

    def forward(self, pixels: Tensor) -> Tensor:
        """Uint8 [n, 260, 260, 3] -> unit [n, 512]."""
        x = _pixels(pixels)
        for layer in self.lower:
            x = layer(x)
        words, shapes = self.words(x), self.shapes(x)
        return torch.cat([words * PHOTO_SCALE, shapes * PHOTO_SCALE, torch.zeros_like(words[:, :REST])], 1)


class DrawingTower(nn.Module):
    """A tower for drawings (``drawing.py``): its unit `words` and unit `shapes`, for the encoder to join with those of another."""

    def __init__(self, lower: nn.ModuleList, shapes: Branch, words: Head) -> None:
        super().__init__()
        self.lower, self.shapes, self.words = lower, shapes, words

    def forward(self, pixels: Tensor) -> Tensor:
        """Uint8 [n, 224, 224, 3] -> [n, 511], two unit vectors a row."""
        x = _pixels(pixels)
        for layer in self.lower:
            x = layer(x)
        features = self.shapes.features(x)
        heads = (self.words(features), self.shapes.head(features))
        return torch.cat([F.normalize(head, dim=-1) for head in heads], 1)


class TextTower(nn.Module):
    """Words -> `words`."""

    def __init__(self, transformer: MiniLM, hidden: int, dropout: float) -> None:
        super().__init__()
        self.transformer = transformer
        self.head = Head(transformer.width, hidden, WORDS, dropout)

    def words(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids and mask [n, length] -> unit [n, 256]."""
        return F.normalize(self.head(mean_of_tokens(self.transformer(ids, mask), mask)).float(), dim=-1)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids and mask, int64 [n, length] -> unit [n, 512]."""
        words = self.words(ids, mask)
        return torch.cat([words, torch.zeros_like(words)], 1)  # SHAPES + REST is as long as WORDS
