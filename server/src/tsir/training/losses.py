# mypy: disable-error-code="no-any-return"
"""Losses of the retrieval models. All take float tensors and return a scalar."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def contrastive(a: Tensor, b: Tensor, scale: Tensor | float, positives: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Symmetric contrastive loss (InfoNCE, as in CLIP), with any number of positives in a row.

    ``a`` [n, d] and ``b`` [m, d] are unit rows; ``positives`` bool [n, m] says which belong together (None: row i with row i). A row or
    column without a positive does not count. With several positives the target is spread evenly over them.
    """
    scores = scale * a @ b.T
    if positives is None:
        positives = scores.new_zeros(scores.shape).fill_diagonal_(1.0).bool()

    def one_way(logits: Tensor, good: Tensor) -> Tensor:
        counted = good.any(1)
        target = good.to(logits.dtype)
        target = target / target.sum(1, keepdim=True).clamp(min=1.0)
        target = target * (1.0 - smoothing) + smoothing / logits.shape[1]
        rows = -(target * logits.log_softmax(1)).sum(1)
        return (rows * counted).sum() / counted.sum().clamp(min=1)

    return (one_way(scores, positives) + one_way(scores.T, positives.T)) / 2


def soft_labels(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy against a distribution: both [n, classes], target rows sum to 1."""
    return -(target * logits.log_softmax(1)).sum(1).mean()


def asymmetric(logits: Tensor, target: Tensor, positive: float = 0.0, negative: float = 4.0, margin: float = 0.05) -> Tensor:
    """Asymmetric multi-label loss (Ridnik et al., ICCV 2021): easy negatives count little, very easy ones nothing.

    ``logits`` and ``target`` (0 or 1) are [n, labels]. ``positive`` and ``negative`` are the focusing exponents, ``margin`` the probability
    below which a negative is ignored. Sum over labels, mean over rows.
    """
    chance = logits.sigmoid()
    against = (1.0 - chance + margin).clamp(max=1.0)
    gain = target * (1.0 - chance) ** positive * chance.clamp(min=1e-8).log()
    loss = (1.0 - target) * (1.0 - against) ** negative * against.clamp(min=1e-8).log()
    return -(gain + loss).sum(1).mean()


def captioning(logits: Tensor, tokens: Tensor, padding: int) -> Tensor:
    """Next-token cross-entropy: ``logits`` [n, length, vocabulary] at each place, ``tokens`` int64 [n, length] the token due there."""
    return F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), ignore_index=padding)


def consistency(a: Tensor, b: Tensor) -> Tensor:
    """Two views of one thing, unit rows [n, d], should have one vector: mean of 1 - cosine."""
    return (1.0 - (a * b).sum(1)).mean()
