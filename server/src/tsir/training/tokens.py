# mypy: disable-error-code="no-any-return"
"""Texts as the text tower takes them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tsir.training import minilm
from tsir.training.towers import WORDS, TextTower

TEMPLATES = ("{}", "{}", "a {}", "a photo of a {}", "a picture of a {}")
"""How the name of a thing is said."""

MAX_TOKENS = 64


class Tokens:
    """Texts as token ids, and padded batches of them."""

    def __init__(self, texts: Sequence[str]) -> None:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(minilm.tokenizer_json())
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS)
        self.ids = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]

    def batch(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Ids and mask, int64 [n, longest]."""
        chosen = [self.ids[row] for row in rows]
        ids = torch.zeros(len(chosen), max(map(len, chosen)), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, tokens in enumerate(chosen):
            ids[row, : len(tokens)] = torch.tensor(tokens)
            mask[row, : len(tokens)] = 1
        return ids, mask


def text_vectors(text: TextTower, texts: Sequence[str]) -> Tensor:
    """Unit float32 [n, 256] of many texts, without gradient."""
    tokens = Tokens(texts)
    out = torch.empty(len(texts), WORDS)
    order = sorted(range(len(texts)), key=lambda row: len(tokens.ids[row]))
    with torch.no_grad():
        for start in range(0, len(order), 128):
            rows = order[start : start + 128]
            out[rows] = text.words(*tokens.batch(rows))
    return out
