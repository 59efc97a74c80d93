# mypy: disable-error-code="no-any-return"
"""The text tower back from its graph: what ships can be trained on, without the checkpoints that it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tsir.training.minilm import MiniLM
from tsir.training.towers import TextTower

_PREFIX = "__module."


def text_tower(path: Path, hidden: int, dropout: float) -> TextTower:
    """The tower of the graph ``path`` (``text.xml``), in eval mode; its weights are those that the graph computes with.

    Raises KeyError for a graph that lacks one of the tower's weights: one that was not converted from such a tower.
    """
    import openvino

    tower = TextTower(MiniLM(), hidden, dropout)
    found = _weights(openvino.Core().read_model(path))
    state = tower.state_dict()
    for name in state:
        if name == "transformer.types.weight":  # only its first row is used, and it is added to all tokens
            state[name][0] = torch.from_numpy(found["transformer.types"].reshape(-1))
        else:
            state[name] = torch.from_numpy(found[name])
    tower.load_state_dict(state)
    return tower.eval()


def _weights(graph: Any) -> dict[str, NDArray[np.float32]]:
    """Weights of the linear maps, layer norms and embeddings of a graph converted from torch, by their names there."""
    found = {}
    for node in graph.get_ordered_ops():
        kind, name = node.get_type_name(), node.get_friendly_name()
        if not name.startswith(_PREFIX):
            continue
        module, _, rest = name.removeprefix(_PREFIX).partition("/")
        if kind == "Gather" and rest == "aten::embedding/Gather":
            found[f"{module}.weight"] = _value(node, 0)
        elif rest == "aten::linear/Add":
            product = node.input_value(0).get_node()
            weight = _value(product, 1)
            found[f"{module}.weight"] = weight if product.get_attributes()["transpose_b"] else np.ascontiguousarray(weight.T)
            found[f"{module}.bias"] = _value(node, 1).reshape(-1)
        elif rest == "aten::layer_norm/Add":
            scaled = node.input_value(0).get_node()
            normal = [scaled.input_value(place).get_node().get_type_name() for place in (0, 1)].index("MVN")
            found[f"{module}.weight"] = _value(scaled, 1 - normal).reshape(-1)
            found[f"{module}.bias"] = _value(node, 1).reshape(-1)
        elif (module, rest) == ("transformer", "aten::add/Add_1"):
            found["transformer.types"] = _value(node, 1)
    return found


def _value(node: Any, place: int) -> NDArray[np.float32]:
    """What comes into a node at ``place``, computed from constants alone."""
    import openvino

    constant = openvino.Model([node.input_value(place)], [])
    compiled = openvino.Core().compile_model(constant, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled([])[0], dtype=np.float32)
