# mypy: disable-error-code="no-any-return"
"""Towers back from their graphs: what ships can be trained on, without the checkpoints that it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tsir.training.efficientnet import EfficientNetLite
from tsir.training.export import EMBEDDING
from tsir.training.minilm import VOCABULARY, MiniLM
from tsir.training.towers import SHAPES, WORDS, Branch, DrawingTower, Head, TextTower

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


def drawing_tower(path: Path, variant: str, cut: int, hidden: int) -> DrawingTower:
    """The tower for drawings of the graph ``path`` (``sketch.xml`` or ``drawing.xml``), in eval mode, as the graph computes.

    ``variant`` of the trunk, the layer ``cut`` from which on it was trained, and the width ``hidden`` of its head are those that it was
    trained with. Batch norms are part of the convolutions there, so only their biases are left. Raises KeyError as `text_tower` does.
    """
    import openvino

    trunk = EfficientNetLite(variant)
    shapes = Branch(trunk, cut, hidden, SHAPES, 0.0, heads=4)
    tower = DrawingTower(nn.ModuleList(trunk.layers[:cut]), shapes, Head(shapes.pool.outputs, hidden // 2, WORDS, 0.0))
    found = {_of_tower(name, cut): value for name, value in _weights(openvino.Core().read_model(path)).items()}
    convolution = ""
    for name, module in tower.named_modules():
        if isinstance(module, nn.Conv2d):
            convolution = name
        if isinstance(module, nn.BatchNorm2d):  # it comes right after its convolution
            found[f"{convolution}.weight"] = found.pop(f"{name}.convolution")
            module.running_var.fill_(1.0 - module.eps)
            fixed = {
                part: getattr(module, part).detach().numpy() for part in ("weight", "running_mean", "running_var", "num_batches_tracked")
            }
            found |= {f"{name}.{part}": values for part, values in fixed.items()}
    state = tower.state_dict()
    tower.load_state_dict({name: torch.from_numpy(found[name]).reshape(old.shape) for name, old in state.items()})
    return tower.eval()


def _of_tower(name: str, cut: int) -> str:
    """A weight's name in the tower itself, where the graph sees the canvas as well: both share layers, and either may have named them."""
    name = name.removeprefix("tower.")
    if not name.startswith("maps.layers."):
        return name
    layer, _, rest = name.removeprefix("maps.layers.").partition(".")
    return f"lower.{layer}.{rest}" if int(layer) < cut else f"shapes.layers.{int(layer) - cut}.{rest}"


def _weights(graph: Any) -> dict[str, NDArray[np.float32]]:
    """Weights of the linear maps, convolutions, layer norms and embeddings of a graph converted from torch, by their names there."""
    found = {}
    for node in graph.get_ordered_ops():
        kind, name = node.get_type_name(), node.get_friendly_name()
        if not name.startswith(_PREFIX):
            continue
        module, _, rest = name.removeprefix(_PREFIX).partition("/")
        if name == EMBEDDING and kind == "Reshape":  # packed, see `halve_embedding`
            found[f"{module}.weight"] = _looked_up(graph, node)
        elif kind == "Gather" and rest == "aten::embedding/Gather":
            found[f"{module}.weight"] = _value(node, 0)
        elif rest == "aten::linear/Add":
            product = node.input_value(0).get_node()
            weight = _value(product, 1)
            found[f"{module}.weight"] = weight if product.get_attributes()["transpose_b"] else np.ascontiguousarray(weight.T)
            found[f"{module}.bias"] = _value(node, 1).reshape(-1)
        elif rest in ("aten::batch_norm/BatchNormInference", "aten::_convolution/Add"):
            sides = [node.input_value(place).get_node() for place in (0, 1)]
            product = next(place for place, side in enumerate(sides) if side.get_type_name() in ("Convolution", "GroupConvolution"))
            found[f"{module}.weight" if rest.endswith("Add") else f"{module}.convolution"] = _value(sides[product], 1)
            found[f"{module}.bias"] = _value(node, 1 - product).reshape(-1)
        elif rest == "aten::layer_norm/Add":
            scaled = node.input_value(0).get_node()
            normal = [scaled.input_value(place).get_node().get_type_name() for place in (0, 1)].index("MVN")
            found[f"{module}.weight"] = _value(scaled, 1 - normal).reshape(-1)
            found[f"{module}.bias"] = _value(node, 1).reshape(-1)
        elif (module, rest) == ("transformer", "aten::add/Add_1"):
            found["transformer.types"] = _value(node, 1)
    return found


def _looked_up(graph: Any, node: Any) -> NDArray[np.float32]:
    """The whole table of embeddings that a node gives for the tokens of the graph's first input."""
    import openvino

    ids = next(parameter for parameter in graph.get_parameters() if "ids" in parameter.output(0).get_names())
    compiled = openvino.Core().compile_model(openvino.Model([node.output(0)], [ids]), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled([np.arange(VOCABULARY)[None]])[0][0], dtype=np.float32)


def _value(node: Any, place: int) -> NDArray[np.float32]:
    """What comes into a node at ``place``, computed from constants alone."""
    import openvino

    constant = openvino.Model([node.input_value(place)], [])
    compiled = openvino.Core().compile_model(constant, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled([])[0], dtype=np.float32)
