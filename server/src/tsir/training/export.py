# mypy: disable-error-code="no-any-return"
"""Towers in torch -> small graphs that OpenVINO runs without torch, beside a manifest with their fingerprint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tsir.encoders.lite import preprocess
from tsir.encoders.lite.encoder import FILES, fingerprint
from tsir.errors import InvalidInput
from tsir.training.minilm import tokenizer_json
from tsir.training.towers import DIM, SHAPES, WORDS, DrawingTower, LiteModel, TextTower


def _converted(tower: nn.Module, side: int) -> Any:
    import openvino

    example = torch.zeros(2, side, side, 3, dtype=torch.uint8)
    return openvino.convert_model(tower, example_input=example, input=[("pixels", [-1, side, side, 3], openvino.Type.u8)])


def _quantized(tower: nn.Module, side: int, pictures: NDArray[np.uint8]) -> Any:
    """Convolutions in int8, calibrated on ``pictures`` uint8 [n, side, side, 3]; heads with int8 weights and float activations.

    The heads are a hundredth of the work, and their activations in int8 cost two points of recall@1.
    """
    import nncf

    batches = [pictures[start : start + 10] for start in range(0, len(pictures), 10)]
    quantized = nncf.quantize(
        _converted(tower, side),
        nncf.Dataset(batches),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(batches),
        ignored_scope=nncf.IgnoredScope(types=["MatMul"]),
    )
    return nncf.compress_weights(quantized, mode=nncf.CompressWeightsMode.INT8_ASYM)


def converted_text(text: TextTower) -> Any:
    """The text tower as a graph: weights in int8, activations in float."""
    import nncf
    import openvino

    text.eval().requires_grad_(False)
    ids, mask = torch.ones(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long)
    graph = openvino.convert_model(text, example_input=(ids, mask), input=[("ids", [-1, -1]), ("mask", [-1, -1])])
    return nncf.compress_weights(graph, mode=nncf.CompressWeightsMode.INT8_ASYM)


def export(model: LiteModel, folder: Path, photos: NDArray[np.uint8], about: dict[str, Any]) -> None:
    """Write the graphs of ``model`` into ``folder``, whole or not at all.

    ``photos``: prepared pictures for calibration, uint8 [n, side, side, 3]. ``about`` goes into the manifest as it is.
    """
    import nncf
    import openvino

    model.eval().requires_grad_(False)  # without gradients the plain operators are traced
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    openvino.save_model(_quantized(model.photo, preprocess.PHOTO_SIDE, photos), partial / "image.xml")
    # int8 activations cost the sketch tower four points of recall@10; a query encodes one sketch, so float ones are fast enough
    sketch = nncf.compress_weights(_converted(model.sketch, preprocess.SKETCH_SIDE), mode=nncf.CompressWeightsMode.INT8_ASYM)
    openvino.save_model(sketch, partial / "sketch.xml")
    openvino.save_model(converted_text(model.text), partial / "text.xml")
    (partial / "tokenizer.json").write_text(tokenizer_json(), encoding="utf-8")
    write_manifest(partial, {"dim": DIM, **about})
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*FILES, "manifest.json"):
        (partial / name).replace(folder / name)
    partial.rmdir()


def export_drawings(towers: Sequence[DrawingTower], folder: Path, how: dict[str, Any]) -> None:
    """Write the two towers for drawings into ``folder``, in place of the sketch tower there.

    ``how`` the encoder joins both: ``words`` and ``shapes`` (weights of the second beside 1 for the first) and ``shares`` (lengths of
    words, shapes and rest in the result).
    """
    import nncf

    for name, tower in zip(("sketch", "drawing"), towers, strict=True):
        tower.eval().requires_grad_(False)
        graph = nncf.compress_weights(_converted(tower, preprocess.SKETCH_SIDE), mode=nncf.CompressWeightsMode.INT8_ASYM)
        replace_graph(graph, folder / f"{name}.xml")
    write_manifest(folder, read_manifest(folder) | {"drawing": {"parts": [WORDS, SHAPES], **how}})


def replace_graph(graph: Any, path: Path) -> None:
    """Write ``graph`` as ``path`` (``.xml``, its weights beside it), even where it still reads its own weights from there."""
    import openvino

    partial = path.with_name(f"{path.stem}.partial.xml")
    openvino.save_model(graph, partial)
    for suffix in (".bin", ".xml"):
        partial.with_suffix(suffix).replace(path.with_suffix(suffix))


def read_manifest(folder: Path) -> dict[str, Any]:
    """What the manifest beside the graphs in ``folder`` says."""
    return dict(json.loads((folder / "manifest.json").read_text(encoding="utf-8")))


def whole_manifest(folder: Path) -> dict[str, Any]:
    """The same, of graphs that a stage may change. Raises InvalidInput when they are not those that the manifest speaks of."""
    manifest = read_manifest(folder)
    if fingerprint(folder) != manifest["fingerprint"]:
        raise InvalidInput(f"The graphs in {folder} are not those of their manifest: writing them was cut off. Put them back, then go on.")
    return manifest


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write ``manifest`` beside the graphs in ``folder``, with their fingerprint."""
    path, manifest = folder / "manifest.json", {"fingerprint": "", **manifest}
    for _ in range(2):  # the fingerprint covers what stands in the manifest beside it
        path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        manifest["fingerprint"] = fingerprint(folder)
