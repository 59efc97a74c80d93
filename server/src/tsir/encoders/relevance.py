"""What a cosine means: how likely a picture with it is one that was asked for, learnt per encoder from questions whose answers are known.

Cosines of one encoder cannot be compared with those of another, nor those of words with those of drawings: 0.25 is much for a caption and
little for a picture that looks like another.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tsir.records import Vectors

FILE = "relevance.json"
"""Beside the weights of an encoder."""

KINDS = ("text", "sketch", "image", "mixed")
"""Kinds of questions: of one part, or of several. `like` is a picture, too."""


KEPT = 0.96
"""Share of the answers among the first ten that a cut keeps: of other people's questions, 95 of 100 should be left."""


@dataclass(frozen=True)
class Curve:
    """Relevance of a cosine s: 1 / (1 + exp(-steepness (s - middle)))."""

    middle: float
    """The cosine at which a picture is as likely an answer as not, if as many answers as other pictures were to be judged. Of mixed
    questions, times the cosine that the parts' own middles would give together."""
    steepness: float
    """Per unit of that; above zero."""
    cut: float
    """Relevance of the line between likely and less likely: of the answers that stood among the first ten, KEPT lie at or above it."""
    usual: float = 0.0
    """How much of the question's own cosine with the mean photo is taken off each cosine first, 0 to 1."""

    def relevance(self, score: float) -> float:
        """Of a cosine, between 0 and 1; rises with it."""
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, self.steepness * (score - self.middle)))))


Part = tuple[str, Vectors, float]
"""Name, vector [dim] of any length, and weight of a part of a question."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """The curves of an encoder, by kind of question."""

    curves: Mapping[str, Curve]
    mean: Vectors
    """[dim]: of photos of all sorts."""

    def curve(self, parts: Sequence[Part]) -> Curve | None:
        """For a question whose vector is the weighted sum of its parts, made a unit vector: ready for its cosines.

        A part that pushes away counts in that vector alone. None where nobody measured such questions.
        """
        asked = [part for part in parts if part[2] > 0]
        kind = "mixed" if len(asked) > 1 else kind_of(asked[0][0]) if asked else ""
        if kind not in self.curves or not all(kind_of(name) in self.curves for name, _, _ in asked):
            return None
        length = float(np.linalg.norm(np.sum([weight * vector for _, vector, weight in parts], axis=0)))
        usual, unit = (value / length for value in self.expected(asked))
        if len(asked) == 1:
            unit /= self.curves[kind].middle
        curve = self.curves[kind]
        return Curve(usual + curve.middle * unit, curve.steepness / unit, curve.cut)

    def expected(self, parts: Sequence[Part]) -> tuple[float, float]:
        """What a picture scores with the sum of the parts, not made a unit vector, where its cosine with each is that part's middle: what
        is taken off first, and what is left.
        """
        curves = [self.curves[kind_of(name)] for name, _, _ in parts]
        usual = sum(curve.usual * weight * float(vector @ self.mean) for curve, (_, vector, weight) in zip(curves, parts, strict=True))
        rest = sum(curve.middle * weight * float(np.linalg.norm(vector)) for curve, (_, vector, weight) in zip(curves, parts, strict=True))
        return usual, rest


def kind_of(part: str) -> str:
    """The kind of a question that this part alone asks."""
    return "image" if part == "like" else part


Scores = npt.NDArray[np.float64]


def fitted(groups: Sequence[tuple[Scores, Scores]], kept: float = KEPT) -> Curve:
    """The curve of largest likelihood between cosines of pictures that answer [n] and of others [m], both counting as much in all.

    Each group (say, a benchmark) has its own of both. The cut keeps the share `kept` of the answers, each group counting as much. Raises
    ValueError without any answers or others, or where answers do not score higher.
    """
    answers, others = (np.concatenate([group[which] for group in groups] or [np.zeros(0)]) for which in (0, 1))
    if not len(answers) or not len(others) or answers.mean() <= others.mean():
        raise ValueError("Answers must be there, and score higher than other pictures, to tell relevance by a score.")
    scores = np.concatenate([answers, others])
    right = np.concatenate([np.ones(len(answers)), np.zeros(len(others))])
    share = np.where(right == 1, 0.5 / len(answers), 0.5 / len(others))
    centre, spread = scores.mean(), scores.std()
    columns = np.stack([np.ones_like(scores), (scores - centre) / spread], axis=1)
    factors = np.zeros(2)
    for _ in range(100):  # Newton's method; the small ridge keeps it finite where a cosine tells the two apart without error
        chance = 1 / (1 + np.exp(-columns @ factors))
        slope = columns.T @ (share * (right - chance)) - 1e-3 * factors
        bend = (columns.T * (share * chance * (1 - chance))) @ columns + 1e-3 * np.eye(2)
        step = np.linalg.solve(bend, slope)
        factors += step
        if np.abs(step).max() < 1e-9:
            break
    steepness = float(factors[1] / spread)
    middle = float(centre - factors[0] / steepness)
    counts = np.concatenate([np.full(len(own), 1 / len(own)) for own, _ in groups if len(own)])
    order = np.argsort(answers)
    lost = np.cumsum(counts[order]) / counts.sum()
    line = Curve(middle, steepness, 0.0).relevance(float(answers[order][np.searchsorted(lost, 1 - kept, side="right")]))
    return Curve(round(middle, 5), round(steepness, 3), math.floor(line * 1000) / 1000)


def read_calibration(path: Path, fingerprint: str) -> Calibration | None:
    """What `write_calibration` wrote for the encoder of that fingerprint; None without the file, or where it is another encoder's.

    Raises ValueError for a damaged file, OSError for one that cannot be read.
    """
    if not path.is_file():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    try:
        if content["fingerprint"] != fingerprint:
            return None
        curves = {kind: Curve(**curve) for kind, curve in content["curves"].items() if kind in KINDS}
        return Calibration(curves, np.array(content["mean"], dtype=np.float32))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no curves in {path}: {error}") from error


def write_calibration(path: Path, fingerprint: str, calibration: Calibration) -> None:
    """Keep the curves of the encoder of that fingerprint. Raises OSError."""
    content = {
        "fingerprint": fingerprint,
        "curves": {kind: asdict(curve) for kind, curve in calibration.curves.items()},
        "mean": [round(float(value), 5) for value in calibration.mean],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")
