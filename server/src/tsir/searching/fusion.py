"""How the parts of a query become one vector, and what share each part had in a score: one rule for searches and evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tsir.encoders.base import Encoder, Vectors, unit
from tsir.errors import InvalidInput

WEIGHT = 1.0
"""Of a part of which neither the user nor the encoder says anything (`like`)."""

UNWANTED = {"not_text": "not_text", "not_like": "not_text"}
"""Parts that push away, and whose weight of the encoder's they get."""

_COSINES = {"text": 1.0, "sketch": 1.0, "image": 3.0, "like": 3.0, "not_text": 1.0, "not_like": 3.0}
"""About how large the cosines of a part are with the photos that it means: photos lie near to photos, words far from all of them. Of the
shipped encoder, and of any that was trained to tell photos by words."""

_OTHER = {"text": "sketch", "sketch": "text"}


def weight(encoder: Encoder, part: str, chosen: Mapping[str, float]) -> float:
    """How much a part counts: what the user chose, else what the encoder says. What is not wanted pushes away, whatever its sign."""
    value = float(chosen.get(part, encoder.default_weights.get(UNWANTED.get(part, part), WEIGHT)))
    return -abs(value) if part in UNWANTED else value


def balanced(weights: Mapping[str, float], chosen: Mapping[str, float]) -> dict[str, float]:
    """Weights by part, of which what is not wanted counts as much as its weight says whatever kind it is of: a photo that is not wanted
    would bury words under its cosines, and words would do nothing to a photo. Weights that the user has `chosen` are what they are.

    Measured on 910 photos of 127 classes: the class that is not wanted falls to a third of its share of the first ten, or less, and the
    wanted one keeps nine tenths of its own.
    """
    wanted = {part: weight for part, weight in weights.items() if part not in UNWANTED and weight > 0}
    if not wanted:
        return dict(weights)
    cosine = sum(weight * _COSINES[part] for part, weight in wanted.items()) / sum(wanted.values())
    meant = [part for part in weights if part in UNWANTED and part not in chosen]
    return {**weights, **{part: weights[part] * cosine / _COSINES[part] for part in meant}}


def several(items: Sequence[tuple[Vectors, float]]) -> tuple[Vectors, float]:
    """Texts or pictures [dim] of one part, with their weights, as one vector and what it counts: their mean, as much as the heaviest.

    Raises InvalidInput when they cancel out exactly.
    """
    most = max((weight for _, weight in items), key=abs)
    if len(items) == 1:
        return items[0][0], most
    return fuse([(vector, weight / abs(most)) for vector, weight in items]), abs(most)


def alone(encoder: Encoder, part: str, vectors: Vectors) -> Vectors:
    """What a text or sketch [dim] or [n, dim] is searched by when the other is missing.

    The vector itself, or, for an encoder with `neutral` vectors (trained with a blank in the place of what is missing), fused with the
    blank sketch or the empty text.
    """
    other = _OTHER.get(part, "")
    if other not in encoder.neutral:
        return vectors
    return fuse([(vectors, weight(encoder, part, {})), (encoder.neutral[other], weight(encoder, other, {}))])


def together(encoder: Encoder, sketches: Vectors, texts: Sequence[str], weights: Mapping[str, float]) -> Vectors:
    """What stands for drawings [n, dim] where each is fused with a text, under these weights of "text" and "sketch".

    Between equal weights and a text that hardly counts the drawing becomes by degrees what it is alone: a slider has no jumps.
    """
    text, sketch = max(0.0, weights["text"]), abs(weights["sketch"])
    return encoder.beside(sketches, texts, min(1.0, 2 * text / (text + sketch)) if text else 0.0)


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

    score = cos(sum_i w_i p_i, v) = sum_i w_i (p_i . v) / |sum_j w_j p_j|, for v of unit length.
    """
    weighted = np.stack([np.float32(weight) * vector for vector, weight in parts])
    return np.asarray(found @ weighted.T / np.linalg.norm(weighted.sum(axis=0)), dtype=np.float32)
