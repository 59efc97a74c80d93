"""The one interface of all models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from PIL.Image import Image

from tsir.encoders.relevance import Calibration
from tsir.geometry import Geometry
from tsir.records import EncoderInfo, Vectors

__all__ = ["Encoder", "Vectors", "unit"]


@runtime_checkable
class Encoder(Protocol):
    """Pictures, sketches and words in one space. A model subclasses this: it sets `info` and `photo_size`, brings the two geometries and
    the three forward passes, and overrides what else is not as here.

    All three encode functions may be called from several threads, accept pictures of any size and mode, keep the order of the batch,
    and return float32 [n, dim] with rows of unit length. An empty batch gives [0, dim].
    """

    info: EncoderInfo
    """What a collection remembers. The name is one that MODEL takes; the fingerprint a hash of architecture, weights and preprocessing:
    vectors of different fingerprints must not meet."""
    photo_size: int
    """Longest side of a photo that is ready for the model, pixels: more of it need not be decoded."""
    scaled_decode: bool = False
    """Whether a JPEG may be decoded at a reduced size: several times faster, vectors change slightly. An encoder that says no also gets
    the colours as the file has them, without colour management: what its authors' code reads."""
    photo_geometry: Geometry | None = None
    """What `prepare_photo` does, for processes that decode and know no encoder; None: it can be had from `prepare_photo` alone."""
    device: str = "cpu"
    """Where it runs: "cpu", "cuda" or "cuda:N"."""
    default_weights: Mapping[str, float] = {"text": 1.0, "sketch": 1.0, "image": 1.0, "not_text": -0.5}
    """Fusion weight of each query part when the user names none."""
    plain_share: float = 0.7
    """How much of what pictures of one colour have in common is taken off them (`encoders.plain`): so much that, where words mean nothing,
    they stand among the photos, not before them."""
    neutral: Mapping[str, Vectors] = {}
    """Vectors [dim] that stand for a missing "text" or "sketch", of a model that was trained with a blank in the place of what is missing;
    empty when the other part is searched for alone."""
    calibration: Calibration | None = None
    """What its cosines mean; None where nobody measured it."""

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def fingerprint(self) -> str:
        return self.info.fingerprint

    @property
    def dim(self) -> int:
        return self.info.dim

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

    def beside(self, sketches: Vectors, texts: Sequence[str], words: float = 1.0) -> Vectors:
        """Drawings [n, dim] as they count beside a text each -> float32 [n, dim], of any length: so that at equal weights both parts move
        the ranking. ``words``: 1 where the text counts as much as the drawing or more, down to 0 where it does not count."""
        return sketches

    def knows(self, text: str) -> bool:
        """Whether it may know the language of a text; a guess."""
        return True

    def close(self) -> None:
        """Release what it holds. Later calls may raise EncoderUnavailable."""
        return


def unit(vectors: npt.ArrayLike) -> Vectors:
    """Scale rows (last axis) to unit length; a zero row stays zero."""
    array = np.asarray(vectors, dtype=np.float32)
    norm = np.linalg.norm(array, axis=-1, keepdims=True)
    return np.asarray(np.divide(array, norm, out=np.zeros_like(array), where=norm > 0), dtype=np.float32)
