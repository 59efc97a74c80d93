"""TASK-former's three towers: ViT for photos, ViT for sketches, a causal transformer for words.

The architecture is CLIP's (Radford et al. 2021) with a second image tower for sketches (Sangkloy et al., ECCV 2022). Parameter names are
those of the authors' checkpoint, so that it loads as it is: `visual.*` (photos), `visual2.*` (sketches), and the text tower at the top.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

HEAD_WIDTH = 64
"""Channels per attention head in every CLIP transformer."""


@dataclass(frozen=True)
class TaskFormerConfig:
    """Shapes of the towers. The defaults are the paper's ViT-B/16; a miniature needs widths that are multiples of 64."""

    embed_dim: int = 512
    image_size: int = 224
    patch_size: int = 16
    vision_width: int = 768
    vision_layers: int = 12
    context_length: int = 77
    vocab_size: int = 49408
    text_width: int = 512
    text_layers: int = 12

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> TaskFormerConfig:
        """Read the shapes off a checkpoint. Raises KeyError for a missing tensor that is needed to tell."""

        def layers(prefix: str) -> int:
            return len({name.split(".")[prefix.count(".")] for name in state if name.startswith(prefix)})

        patch_size = state["visual.conv1.weight"].shape[-1]
        grid = math.isqrt(state["visual.positional_embedding"].shape[0] - 1)
        return cls(
            embed_dim=state["visual.proj"].shape[1],
            image_size=grid * patch_size,
            patch_size=patch_size,
            vision_width=state["visual.conv1.weight"].shape[0],
            vision_layers=layers("visual.transformer.resblocks."),
            context_length=state["positional_embedding"].shape[0],
            vocab_size=state["token_embedding.weight"].shape[0],
            text_width=state["positional_embedding"].shape[1],
            text_layers=layers("transformer.resblocks."),
        )


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x): the approximation that CLIP was trained with; exact GELU shifts the vectors."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class Attention(nn.Module):
    """Multi-head self-attention with the parameter names of `nn.MultiheadAttention`, on the fused kernel. [n, length, width]."""

    def __init__(self, width: int, causal: bool) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        self.heads = width // HEAD_WIDTH
        self.causal = causal

    def forward(self, x: Tensor, first_only: bool = False) -> Tensor:
        """With `first_only` the answer of the first position alone, [n, 1, width], at a third of the cost."""
        width = x.shape[-1]
        if first_only:
            query = functional.linear(x[:, :1], self.in_proj_weight[:width], self.in_proj_bias[:width])
            key, value = functional.linear(x, self.in_proj_weight[width:], self.in_proj_bias[width:]).chunk(2, dim=-1)
        else:
            query, key, value = functional.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        query, key, value = (part.unflatten(-1, (self.heads, HEAD_WIDTH)).transpose(1, 2) for part in (query, key, value))
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.gelu = QuickGELU()
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(self.gelu(self.c_fc(x)))


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, width: int, causal: bool) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = Attention(width, causal)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor, first_only: bool = False) -> Tensor:
        x = (x[:, :1] if first_only else x) + self.attn(self.ln_1(x), first_only)
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, width: int, layers: int, causal: bool) -> None:
        super().__init__()
        self.width = width
        self.resblocks = nn.ModuleList(Block(width, causal) for _ in range(layers))

    def forward(self, x: Tensor, first_only: bool = False) -> Tensor:
        """[n, length, width] -> the same; with `first_only` [n, 1, width], for what the last block does for the others is never read."""
        last = len(self.resblocks) - 1
        for number, block in enumerate(self.resblocks):
            x = block(x, first_only and number == last)
        return x


class VisionTower(nn.Module):
    """ViT: float [n, 3, size, size], normalised pixels -> [n, embed_dim], not of unit length."""

    def __init__(self, config: TaskFormerConfig) -> None:
        super().__init__()
        width = config.vision_width
        self.conv1 = nn.Conv2d(3, width, config.patch_size, stride=config.patch_size, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty((config.image_size // config.patch_size) ** 2 + 1, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(width, config.vision_layers, causal=False)
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.empty(width, config.embed_dim))

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.conv1(pixels).flatten(2).transpose(1, 2)
        start = self.class_embedding.expand(pixels.shape[0], 1, -1)
        x = torch.cat([start, patches], dim=1) + self.positional_embedding
        x = self.transformer(self.ln_pre(x), first_only=True)
        return self.ln_post(x[:, 0]) @ self.proj


class TaskFormer(nn.Module):
    """The three towers. Outputs are float [n, embed_dim], not of unit length."""

    def __init__(self, config: TaskFormerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or TaskFormerConfig()
        self.visual = VisionTower(config)
        self.visual2 = VisionTower(config)
        self.transformer = Transformer(config.text_width, config.text_layers, causal=True)
        self.token_embedding = nn.Embedding(config.vocab_size, config.text_width)
        self.positional_embedding = nn.Parameter(torch.empty(config.context_length, config.text_width))
        self.ln_final = nn.LayerNorm(config.text_width)
        self.text_projection = nn.Parameter(torch.empty(config.text_width, config.embed_dim))
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        if self.positional_embedding.device.type != "meta":
            self.initialise()

    @torch.no_grad()
    def initialise(self) -> None:
        """Random weights with the standard deviations that CLIP starts training from."""
        for tower in (self.visual, self.visual2):
            scale = tower.transformer.width**-0.5
            for parameter in (tower.class_embedding, tower.positional_embedding, tower.proj):
                nn.init.normal_(parameter, std=scale)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.positional_embedding, std=0.01)
        nn.init.normal_(self.text_projection, std=self.transformer.width**-0.5)
        for transformer in (self.visual.transformer, self.visual2.transformer, self.transformer):
            width = transformer.width
            residual = width**-0.5 * (2 * len(transformer.resblocks)) ** -0.5
            for block in transformer.resblocks:
                nn.init.normal_(block.attn.in_proj_weight, std=width**-0.5)
                nn.init.normal_(block.attn.out_proj.weight, std=residual)
                nn.init.zeros_(block.attn.out_proj.bias)
                nn.init.normal_(block.mlp.c_fc.weight, std=(2 * width) ** -0.5)
                nn.init.normal_(block.mlp.c_proj.weight, std=residual)

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Photos, float [n, 3, size, size], CLIP-normalised."""
        return self.visual(pixels)

    def encode_sketch(self, pixels: Tensor) -> Tensor:
        """Drawings, dark on white, float [n, 3, size, size], CLIP-normalised."""
        return self.visual2(pixels)

    def encode_text(self, tokens: Tensor) -> Tensor:
        """int64 [n, length], length <= 77: start, words, end (the largest id), zeros.

        Attention is causal, so what follows the end token cannot matter: a batch may be cut to its longest text.
        """
        x = self.token_embedding(tokens) + self.positional_embedding[: tokens.shape[1]]
        x = self.ln_final(self.transformer(x))
        rows = torch.arange(x.shape[0], device=x.device)
        return x[rows, tokens.argmax(dim=-1)] @ self.text_projection
