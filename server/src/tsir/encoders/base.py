"""The one interface of all models, and the fusion of several query vectors into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from PIL.Image import Image

Vectors = npt.NDArray[np.float32]
"""float32 [n, dim] (or [dim] where one vector is meant), rows of unit length."""


@runtime_checkable
class Encoder(Protocol):
    """Pictures, sketches and words in one space.

    All three encode functions may be called from several threads, accept pictures of any size and mode, keep the order of the batch,
    and return float32 [n, dim] with rows of unit length. An empty batch gives [0, dim].
    """

    name: str
    """"lite", "task-former", "open_clip:ViT-B-16/openai"."""
    fingerprint: str
    """Hash of architecture, weights and preprocessing. Vectors of different fingerprints must not meet."""
    dim: int
    default_weights: dict[str, float]
    """Fusion weight of each query part ("text", "sketch", "image", "not_text") when the user names none."""
    scaled_decode: bool
    """Whether a JPEG may be decoded at a reduced size: several times faster, vectors change slightly. An encoder that says no also gets
    the colours as the file has them, without colour management: what its authors' code reads."""

    def prepare_photo(self, image: Image) -> Image:
        """Bring a photo to the model's input geometry (RGB, resized, cropped or padded). Idempotent; runs in decode workers."""
        ...

    def prepare_sketch(self, image: Image) -> Image:
        """Bring a sketch to the model's input geometry, transparency on white. Idempotent."""
        ...

    def images(self, batch: Sequence[Image]) -> Vectors:
        """Photos -> float32 [n, dim] unit rows."""
        ...

    def sketches(self, batch: Sequence[Image]) -> Vectors:
        """Drawings, dark on white or transparent -> float32 [n, dim] unit rows."""
        ...

    def texts(self, batch: Sequence[str]) -> Vectors:
        """Words -> float32 [n, dim] unit rows."""
        ...


def unit(vectors: npt.ArrayLike) -> Vectors:
    """Scale rows (last axis) to unit length; a zero row stays zero."""
    array = np.asarray(vectors, dtype=np.float32)
    norm = np.linalg.norm(array, axis=-1, keepdims=True)
    return np.asarray(np.divide(array, norm, out=np.zeros_like(array), where=norm > 0), dtype=np.float32)


def fuse(parts: Sequence[tuple[Vectors, float]]) -> Vectors:
    """Normalised weighted sum of query vectors [dim] -> [dim].

    With text and sketch at equal weights it points where the paper's `(text + sketch) / 2` points (TASK-former, ECCV 2022).
    A negative weight pushes away ("not this"). Raises ValueError without parts or when they cancel out exactly.
    """
    if not parts:
        raise ValueError("Nothing to fuse: give at least one vector.")
    total = np.sum([np.float32(weight) * vector for vector, weight in parts], axis=0)
    if not np.any(total):
        raise ValueError("The parts of the query cancel each other out: change their weights.")
    return unit(total)


def alone(encoder: Encoder, part: str, vectors: Vectors) -> Vectors:
    """What a text or sketch [dim] or [n, dim] is searched by when the other is missing.

    The vector itself, or, for an encoder with `neutral` vectors (trained with a blank in the place of what is missing), fused with the
    blank sketch or the empty text.
    """
    other = {"text": "sketch", "sketch": "text"}[part]
    blank: Vectors | None = getattr(encoder, "neutral", {}).get(other)
    if blank is None:
        return vectors
    return unit(encoder.default_weights.get(part, 1.0) * vectors + encoder.default_weights.get(other, 1.0) * blank)
