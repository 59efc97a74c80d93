"""CLIP's forward pass once more, in numpy float64 and written from the paper's description: what our towers are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
State = Mapping[str, Any]

HEAD = 64


def _norm(x: Floats, weight: Floats, bias: Floats) -> Floats:
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * weight + bias


def _block(x: Floats, state: State, name: str, causal: bool) -> Floats:
    """One residual block on one sequence, x [length, width]."""
    length, width = x.shape
    h = _norm(x, state[f"{name}.ln_1.weight"], state[f"{name}.ln_1.bias"])
    qkv = h @ state[f"{name}.attn.in_proj_weight"].T + state[f"{name}.attn.in_proj_bias"]
    heads = []
    for start in range(0, width, HEAD):
        query, key, value = (qkv[:, part * width + start : part * width + start + HEAD] for part in range(3))
        scores = query @ key.T / np.sqrt(HEAD)
        if causal:
            scores[np.triu_indices(length, 1)] = -np.inf
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        heads.append(scores / scores.sum(-1, keepdims=True) @ value)
    x = x + np.concatenate(heads, axis=1) @ state[f"{name}.attn.out_proj.weight"].T + state[f"{name}.attn.out_proj.bias"]
    h = _norm(x, state[f"{name}.ln_2.weight"], state[f"{name}.ln_2.bias"])
    h = h @ state[f"{name}.mlp.c_fc.weight"].T + state[f"{name}.mlp.c_fc.bias"]
    h = h / (1 + np.exp(-1.702 * h))
    return x + h @ state[f"{name}.mlp.c_proj.weight"].T + state[f"{name}.mlp.c_proj.bias"]


def _blocks(x: Floats, state: State, prefix: str, causal: bool) -> Floats:
    number = 0
    while f"{prefix}.{number}.ln_1.weight" in state:
        x = _block(x, state, f"{prefix}.{number}", causal)
        number += 1
    return x


def picture(pixels: Floats, state: State, tower: str) -> Floats:
    """Normalised pixels [3, size, size] -> unit vector. `tower` is "visual" or "visual2"."""
    kernel = state[f"{tower}.conv1.weight"]
    patch = kernel.shape[-1]
    side = pixels.shape[-1] // patch
    patches = [
        kernel.reshape(len(kernel), -1) @ pixels[:, y * patch : (y + 1) * patch, x * patch : (x + 1) * patch].reshape(-1)
        for y in range(side)
        for x in range(side)
    ]
    x = np.stack([state[f"{tower}.class_embedding"], *patches]) + state[f"{tower}.positional_embedding"]
    x = _norm(x, state[f"{tower}.ln_pre.weight"], state[f"{tower}.ln_pre.bias"])
    x = _blocks(x, state, f"{tower}.transformer.resblocks", causal=False)
    x = _norm(x[0], state[f"{tower}.ln_post.weight"], state[f"{tower}.ln_post.bias"]) @ state[f"{tower}.proj"]
    return np.asarray(x / np.linalg.norm(x))


def words(tokens: npt.NDArray[np.int64], state: State) -> Floats:
    """77 token numbers -> unit vector, read at the token with the largest number."""
    x = state["token_embedding.weight"][tokens] + state["positional_embedding"]
    x = _blocks(x, state, "transformer.resblocks", causal=True)
    x = _norm(x, state["ln_final.weight"], state["ln_final.bias"])[tokens.argmax()] @ state["text_projection"]
    return np.asarray(x / np.linalg.norm(x))
