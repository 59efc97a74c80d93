"""How the parts of a query become one vector, and what share each part had in a score: one rule for searches and evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tsir.encoders.base import Encoder, Vectors, unit
from tsir.errors import InvalidInput

WEIGHT = 1.0
"""Of a part of which neither the user nor the encoder says anything (`like`)."""

_OTHER = {"text": "sketch", "sketch": "text"}


def weight(encoder: Encoder, part: str, chosen: Mapping[str, float]) -> float:
    """How much a part counts: what the user chose, else what the encoder says. `not_text` pushes away, whatever its sign."""
    value = float(chosen.get(part, encoder.default_weights.get(part, WEIGHT)))
    return -abs(value) if part == "not_text" else value


def alone(encoder: Encoder, part: str, vectors: Vectors) -> Vectors:
    """What a text or sketch [dim] or [n, dim] is searched by when the other is missing.

    The vector itself, or, for an encoder with `neutral` vectors (trained with a blank in the place of what is missing), fused with the
    blank sketch or the empty text.
    """
    other = _OTHER.get(part, "")
    if other not in encoder.neutral:
        return vectors
    return fuse([(vectors, weight(encoder, part, {})), (encoder.neutral[other], weight(encoder, other, {}))])


def fuse(parts: Sequence[tuple[Vectors, float]]) -> Vectors:
    """Normalised weighted sum of query vectors [dim] -> [dim], or [n, dim] -> [n, dim] for many queries at once.

    With text and sketch at equal weights it points where the paper's `(text + sketch) / 2` points (TASK-former, ECCV 2022).
    A negative weight pushes away ("not this"). Raises InvalidInput when the parts cancel out exactly, ValueError without parts.
    """
    if not parts:
        raise ValueError("Nothing to fuse: give at least one vector.")
    total = np.asarray(sum(np.float32(weight) * vector for vector, weight in parts), dtype=np.float32)
    if not np.any(total):
        raise InvalidInput("The parts of the query cancel each other out: change their weights, or leave one out.")
    return unit(total)


def shares(parts: Sequence[tuple[Vectors, float]], found: Vectors) -> Vectors:
    """What each part [dim] of a query contributed to the scores of what was found [n, dim] -> [n, parts]; a row adds up to its score.

    score = cos(sum_i w_i p_i, v) = sum_i w_i cos(p_i, v) / |sum_j w_j p_j|, for unit vectors.
    """
    weighted = np.stack([np.float32(weight) * vector for vector, weight in parts])
    return np.asarray(found @ weighted.T / np.linalg.norm(weighted.sum(axis=0)), dtype=np.float32)
