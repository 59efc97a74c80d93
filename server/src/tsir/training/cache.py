"""What the untrained part of a trunk says of each view of each picture, computed once by OpenVINO and kept on disk.

Two CPU cores run the lower two thirds of an EfficientNet-Lite2 about five times faster in OpenVINO than in torch, and the upper
third, which is all that is trained, needs only their output. A cache is a folder of ``.npy`` files, named by what went into it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from tsir.encoders.base import Encoder
from tsir.media.durable import whole
from tsir.training.augment import photo_view
from tsir.training.data import Sample
from tsir.training.efficientnet import EfficientNetLite

log = logging.getLogger(__name__)

BATCH = 32


class _Lower(nn.Module):
    """Uint8 pixels [n, side, side, 3] -> the map at the cut, the mean of the last map, the ImageNet logits."""

    def __init__(self, trunk: EfficientNetLite, cut: int) -> None:
        super().__init__()
        self.trunk, self.cut = trunk, cut

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = (pixels.permute(0, 3, 1, 2).float() - 127.0) / 128.0
        cut = self.trunk(x, 0, self.cut)
        mean = self.trunk(cut, self.cut).mean((2, 3))
        return cut, mean, self.trunk.classifier(mean)


class TrunkRunner:
    """Runs a trunk in OpenVINO (bf16 where the processor has it) on prepared pictures."""

    def __init__(self, trunk: EfficientNetLite, cut: int, side: int, threads: int = 0) -> None:
        import openvino
        from openvino.tools.ovc import convert_model

        lower = _Lower(trunk, cut).eval()
        example = torch.zeros(1, side, side, 3, dtype=torch.uint8)
        model = convert_model(lower, example_input=example, input=[("pixels", [-1, side, side, 3])])
        settings: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "bf16"}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        self._compiled = openvino.Core().compile_model(model, "CPU", settings)

    def __call__(self, pixels: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Cut map [n, c, h, w], mean [n, 1280], logits [n, 1000] of uint8 pixels [n, side, side, 3]."""
        result = self._compiled(pixels)
        return [result[index] for index in range(3)]


@dataclass(frozen=True)
class Features:
    """One float16 row per picture, memory-mapped: ``maps`` [n, c, h, w] (None: not kept), ``means`` [n, 1280], ``logits`` [n, 1000]."""

    maps: NDArray[np.float16] | None
    means: NDArray[np.float16]
    logits: NDArray[np.float16]


def _load(folder: Path, keep_maps: bool) -> Features:
    maps = np.load(folder / "maps.npy", mmap_mode="r") if keep_maps else None
    return Features(maps, np.load(folder / "means.npy", mmap_mode="r"), np.load(folder / "logits.npy", mmap_mode="r"))


def features(
    root: Path,
    name: str,
    runner: Callable[[], TrunkRunner],
    count: int,
    picture: Callable[[int], Image.Image],
    recipe: Sequence[object],
    keep_maps: bool,
) -> Features:
    """The features of ``picture(0) .. picture(count - 1)``, from the cache or computed now.

    ``recipe`` is everything that decides the result (data, view, seed, trunk, cut); a cache with another recipe is not used. A
    folder appears under its final name only when it is complete, so a killed run leaves nothing that looks finished.
    """
    digest = hashlib.sha256(json.dumps([count, keep_maps, *recipe], default=str).encode()).hexdigest()[:12]
    folder = root / f"{name}-{digest}"
    if folder.exists():
        return _load(folder, keep_maps)
    run = runner()
    partial = root / f".{name}-{digest}.{os.getpid()}"
    partial.mkdir(parents=True, exist_ok=True)
    maps: np.memmap[Any, np.dtype[np.float16]] | None = None
    means, logits = np.empty((count, 1280), np.float16), np.empty((count, 1000), np.float16)
    with ThreadPoolExecutor(2) as pool:
        starts = list(range(0, count, BATCH))

        def load(start: int) -> NDArray[np.uint8]:
            return np.stack([np.asarray(picture(i)) for i in range(start, min(start + BATCH, count))])

        pending = [pool.submit(load, start) for start in starts[:4]]
        for position, start in enumerate(starts):
            pixels = pending.pop(0).result()
            if position + 4 < len(starts):
                pending.append(pool.submit(load, starts[position + 4]))
            cut, mean, logit = run(pixels)
            if keep_maps:
                if maps is None:
                    maps = np.lib.format.open_memmap(partial / "maps.npy", "w+", np.float16, (count, *cut.shape[1:]))
                maps[start : start + len(pixels)] = cut
            means[start : start + len(pixels)], logits[start : start + len(pixels)] = mean, logit
    if maps is not None:
        maps.flush()
    np.save(partial / "means.npy", means)
    np.save(partial / "logits.npy", logits)
    partial.rename(folder)
    return _load(folder, keep_maps)


def kept(path: Path, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """An array from its file, or made now and kept there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = make()
        with whole(path, durable=False) as file:
            np.save(file, made)
        log.info("made %s: %s", path.name, made.shape)
    return np.load(path, mmap_mode="r")


def photo_vectors(encoder: Encoder, photos: Sequence[Sample], view: int, seed: int) -> NDArray[np.float16]:
    """What a finished photo tower makes of a view of each photo: float16 [n, dim]. View 0 is the photo as it is, others are at random."""
    rows = []
    for start in range(0, len(photos), 64):
        pictures = [sample.picture().convert("RGB") for sample in photos[start : start + 64]]
        if view:
            rngs = [np.random.default_rng([seed, 8, view, start + i]) for i in range(len(pictures))]
            pictures = [photo_view(picture, rng, 0.6) for picture, rng in zip(pictures, rngs, strict=True)]
        rows.append(encoder.images(pictures).astype(np.float16))
    return np.concatenate(rows)


def photo_views(work: Path, encoder: Encoder, photos: Sequence[Sample], views: int, seed: int) -> list[NDArray[np.float32]]:
    """The same of several views, each kept in ``work``: float32 [n, dim]."""
    makers = [functools.partial(photo_vectors, encoder, photos, view, seed) for view in range(views)]
    return [np.asarray(kept(work / f"photos-{view}.npy", make), np.float32) for view, make in enumerate(makers)]
