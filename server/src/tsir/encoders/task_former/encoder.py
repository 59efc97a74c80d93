"""The paper's model as an Encoder: weights, tokens, geometry, graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from tsir.encoders import graph
from tsir.encoders.task_former.checkpoint import fingerprint, load_model, read_state, used_state
from tsir.encoders.task_former.model import TaskFormer, TaskFormerConfig
from tsir.encoders.towers import PixelTower, Tokens, TokenTower, TowerEncoder
from tsir.encoders.weights import models_folder, weights_file
from tsir.geometry import Geometry
from tsir.records import EncoderInfo
from tsir.settings import Settings

NAME = "task-former"


def load(settings: Settings) -> TowerEncoder:
    """Load the weights that the settings name. Raises EncoderUnavailable when they are missing or not TASK-former's."""
    plan = graph.choose(settings)
    path: Path = weights_file(NAME, settings)
    config, state = used_state(read_state(path), path)
    mark = fingerprint(state)
    graphs = graph.build(
        plan,
        lambda: modules(load_model(config, state)),
        models_folder(settings) / f"{NAME}-{mark}",
        compile_on_gpu=settings.torch_compile,
    )
    return TowerEncoder(
        EncoderInfo(NAME, mark, config.embed_dim),
        plan.device,
        images=graphs["images"],
        sketches=graphs["sketches"],
        texts=graphs["texts"],
        tokenize=tokenizer(config.context_length),
        photo=Geometry(config.image_size),
        sketch=Geometry(config.image_size, settings.sketch_fit),
        blank=settings.missing_part == "blank",
    )


def modules(model: TaskFormer) -> Mapping[str, tuple[Any, npt.NDArray[Any]]]:
    """The three towers with an example input each."""
    config: TaskFormerConfig = model.config
    pixels = np.zeros((2, config.image_size, config.image_size, 3), dtype=np.uint8)
    tokens = np.zeros((2, 8), dtype=np.int64)
    return {
        "images": (PixelTower(model.visual), pixels),
        "sketches": (PixelTower(model.visual2), pixels),
        "texts": (TokenTower(TextPart(model)), tokens),
    }


class TextPart(nn.Module):
    """The text tower alone, so that a conversion of it does not carry the image towers."""

    def __init__(self, model: TaskFormer) -> None:
        super().__init__()
        for name in ("transformer", "token_embedding", "positional_embedding", "ln_final", "text_projection"):
            setattr(self, name, getattr(model, name))

    forward = TaskFormer.encode_text


def tokenizer(context_length: int) -> Any:
    """A function from texts to tokens, int64 [n, length], cut to the longest text of the batch (attention is causal: nothing is lost).

    A text of more than `context_length` tokens is cut; its last token is then the end token, where the text's vector is read.
    """
    from open_clip.tokenizer import SimpleTokenizer

    inner = SimpleTokenizer(context_length=context_length)

    def tokenize(texts: Sequence[str]) -> Tokens:
        tokens: Tokens = inner(list(texts)).numpy()
        longest = int(tokens.argmax(axis=1).max()) + 1  # the end token has the largest id
        # multiples of 8, so that a runtime that prepares itself for each new shape sees few of them
        return tokens[:, : min(context_length, -(-longest // 8) * 8)]

    return tokenize
