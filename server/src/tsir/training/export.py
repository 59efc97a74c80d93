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
from tsir.encoders.lite.encoder import files_of, fingerprint
from tsir.errors import InvalidInput
from tsir.training.minilm import tokenizer_json
from tsir.training.towers import DIM, SHAPES, WORDS, DrawingTower, PhotoTower, TextTower


def _converted(tower: nn.Module, side: int) -> Any:
    import openvino
    from openvino.tools.ovc import convert_model

    example = torch.zeros(2, side, side, 3, dtype=torch.uint8)
    return convert_model(tower, example_input=example, input=[("pixels", [-1, side, side, 3], openvino.Type.u8)])


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
    from openvino.tools.ovc import convert_model

    text.eval().requires_grad_(False)
    ids, mask = torch.ones(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long)
    graph = convert_model(text, example_input=(ids, mask), input=[("ids", [-1, -1]), ("mask", [-1, -1])])
    graph = nncf.compress_weights(graph, mode=nncf.CompressWeightsMode.INT8_ASYM)
    halve_embedding(graph, text.transformer.words.weight.numpy())
    return graph


EMBEDDING = "__module.transformer.words/aten::embedding/Gather"
"""Name of the node that gives the word embeddings of tokens."""
_GROUP = 32  # numbers of an embedding that share a scale


def halve_embedding(graph: Any, table: NDArray[np.float32]) -> None:
    """Put the word embeddings ``table`` [tokens, width] into a text graph with four bits a number: half of the text tower's size is theirs.

    Two numbers share a byte, the first half of a row with the second. Bytes are unpacked after a row was looked up, so that the table stays
    packed in memory, too. Vectors of captions keep a cosine of 0.9993 to those with eight bits; R@1 over benchmark-dev was 0.3 and 0.5
    lower on its two sets of captions, R@5 0.3 and 0.5 higher.
    """
    import openvino.opset13 as ops

    tokens, width = table.shape
    groups = table.reshape(tokens, -1, _GROUP)
    low = groups.min(axis=2).astype(np.float16)
    scale = ((groups.max(axis=2) - low) / 15).astype(np.float16)
    steps = (groups - low[..., None].astype(np.float32)) / np.maximum(scale[..., None].astype(np.float32), 1e-8)
    codes = np.round(steps).clip(0, 15).astype(np.uint8).reshape(tokens, width)
    packed = codes[:, : width // 2] | codes[:, width // 2 :] << 4

    old = next(node for node in graph.get_ops() if node.get_friendly_name() == EMBEDDING)

    def rows(values: NDArray[Any]) -> Any:
        found = ops.gather(ops.constant(values), old.input_value(1), ops.constant(0))
        return ops.convert(found, "f32")

    pairs = rows(packed)
    high = ops.floor(ops.divide(pairs, np.float32(16)))
    numbers = ops.concat([ops.subtract(pairs, ops.multiply(high, np.float32(16))), high], -1)
    apart = ops.reshape(numbers, ops.constant(np.array([0, 0, -1, _GROUP])), True)
    axis = ops.constant(3)
    values = ops.add(ops.multiply(apart, ops.unsqueeze(rows(scale), axis)), ops.unsqueeze(rows(low), axis))
    whole = ops.reshape(values, ops.constant(np.array([0, 0, width])), True)
    old.set_friendly_name(f"{EMBEDDING} before")
    whole.set_friendly_name(EMBEDDING)
    old.output(0).replace(whole.output(0))
    graph.validate_nodes_and_infer_types()


def converted_sketch(tower: nn.Module) -> Any:
    """A tower for drawings as a graph: weights in int8, activations in float."""
    import nncf

    # int8 activations cost a sketch tower four points of recall@10; a query encodes one sketch, so float ones are fast enough
    graph = _converted(tower.eval().requires_grad_(False), preprocess.SKETCH_SIDE)
    return nncf.compress_weights(graph, mode=nncf.CompressWeightsMode.INT8_ASYM)


def small(ops: Any, rows: NDArray[np.float32]) -> Any:
    """A constant [n, d] kept in int8 with a scale a row."""
    scale = np.abs(rows).max(axis=1, keepdims=True) / 127.0
    whole = ops.constant(np.round(rows / scale).astype(np.int8))
    return ops.multiply(ops.convert(whole, "f32"), ops.constant(scale.astype(np.float32)))


def export(photo: PhotoTower, text: TextTower, folder: Path, photos: NDArray[np.uint8], about: dict[str, Any]) -> None:
    """Write the graphs of both towers into ``folder``, whole or not at all.

    ``photos``: prepared pictures for calibration, uint8 [n, side, side, 3]. ``about`` goes into the manifest as it is.
    """
    import openvino

    photo.eval().requires_grad_(False)  # without gradients the plain operators are traced
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    openvino.save_model(_quantized(photo, preprocess.PHOTO_SIDE, photos), partial / "image.xml")
    openvino.save_model(converted_text(text), partial / "text.xml")
    (partial / "tokenizer.json").write_text(tokenizer_json(), encoding="utf-8")
    manifest = {"dim": DIM, **about}
    write_manifest(partial, manifest)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*files_of(manifest), "manifest.json"):
        (partial / name).replace(folder / name)
    partial.rmdir()


def export_drawings(towers: Sequence[DrawingTower], folder: Path, how: dict[str, Any]) -> None:
    """Write the two towers for drawings into ``folder``.

    ``how`` the encoder joins both: ``words`` and ``shapes`` (weights of the second beside 1 for the first) and ``shares`` (lengths of
    words, shapes and rest in the result).
    """
    for name, tower in zip(("sketch", "drawing"), towers, strict=True):
        replace_graph(converted_sketch(tower), folder / f"{name}.xml")
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
