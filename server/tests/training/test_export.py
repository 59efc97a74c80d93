"""Graphs in their folder: changed in their place, and known by their manifest."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

openvino = pytest.importorskip("openvino")
pytest.importorskip("torch", reason="needs the extra train: make setup EXTRAS=train")

from tsir.errors import InvalidInput  # noqa: E402
from tsir.training.export import replace_graph, whole_manifest  # noqa: E402

SHIPPED = Path(__file__).parents[2] / "src/tsir/encoders/lite/weights"


def test_a_graph_takes_the_place_of_the_one_that_it_was_read_from(tmp_path: Path) -> None:
    import openvino.opset13 as ops

    path, core = tmp_path / "image.xml", openvino.Core()
    values = np.arange(4096, dtype=np.float32) % 1000
    start = ops.parameter([1, 4096], np.float32)
    openvino.save_model(openvino.Model([ops.add(start, ops.constant(values))], [start]), path)
    graph = core.read_model(path)
    result = graph.get_results()[0]
    result.input(0).replace_source_output(ops.multiply(result.input_value(0), np.float32(2)).output(0))
    replace_graph(graph, path)
    assert np.array_equal(core.compile_model(path, "CPU")(np.zeros((1, 4096), np.float32))[0][0], 2 * values)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["image.bin", "image.xml"]


def test_graphs_that_are_not_those_of_their_manifest_are_not_changed(tmp_path: Path) -> None:
    folder = shutil.copytree(SHIPPED, tmp_path / "weights")
    assert whole_manifest(folder)["recipe"] == "lite"
    (folder / "text.bin").write_bytes(b"cut off")
    with pytest.raises(InvalidInput, match="cut off"):
        whole_manifest(folder)
