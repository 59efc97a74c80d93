"""Photos that lie near many queries at once, hubs, are held back: each photo's vector carries how crowded its place is.

In a space of many dimensions a few photos are among the nearest of very many queries, whatever these ask for, and push out the photo
that was meant. Querybank normalisation (Bogolin et al., "Cross Modal Retrieval with Querybank Normalisation", CVPR 2022) takes from a
photo's score what a bank of other queries scores with it. Here the banks (training captions and names; training drawings) are part of
the photo tower's graph. What they score with a photo depends on that photo alone, so it is one more coordinate of its vector, and a
query has a fixed value there: the store still compares vectors by one dot product and knows nothing of banks.

    photo    [ words 256 | shapes 254 | -crowding by texts | -crowding by drawings ]
    text     [ words 256 | 0          | share              | 0                     ]
    drawing  [ words 256 | shapes 254 | 0                  | share                 ]

The crowding of a photo is the soft maximum (log-mean-exp) of its scores over the bank.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tsir.encoders.base import Encoder, Vectors, unit
from tsir.encoders.lite import load
from tsir.errors import InvalidInput
from tsir.training import drawings
from tsir.training.corpus import Corpus, trust
from tsir.training.export import replace_graph, small, whole_manifest, write_manifest
from tsir.training.towers import DIM, WORDS

log = logging.getLogger(__name__)

SHAPES = DIM - WORDS - 2
"""The last of the 255 dimensions of `shapes` makes room."""


def both(words: NDArray[np.float32], shapes: NDArray[np.float32], lengths: tuple[float, float]) -> Vectors:
    """Words [n, WORDS] and shapes [n, SHAPES], each brought to its length, side by side: float32 [n, WORDS + SHAPES]."""
    return np.concatenate([lengths[0] * unit(words), lengths[1] * unit(shapes)], axis=1)


def crowding(scores: NDArray[np.float32], sharpness: float) -> NDArray[np.float32]:
    """Log-mean-exp of scores [photos, bank], a number a photo: near the mean for a low ``sharpness``, near the maximum for a high one."""
    peak = scores.max(axis=1, keepdims=True)
    return np.asarray(np.log(np.exp(sharpness * (scores - peak)).mean(axis=1)) / sharpness + peak[:, 0], np.float32)


def banks(corpus: Corpus, encoder: Encoder, options: dict[str, Any], how: dict[str, Any]) -> tuple[Vectors, Vectors]:
    """Queries of the training data, in the lengths that queries have: texts float32 [n, WORDS], drawings float32 [m, WORDS + SHAPES]."""
    rng = np.random.default_rng([corpus.seed, 5])
    chosen = rng.permutation(len(corpus.flickr))[: options["captions"]]
    texts = [str(rng.choice(corpus.flickr[row].meta["captions"])) for row in chosen]
    spoken_of = [(sample.meta["captions"], np.flatnonzero(trust(sample) > 0.5)) for sample in corpus.coco]
    texts += [captions[rng.choice(good)] for captions, good in spoken_of if len(good)]  # those that were rebuilt are clumsy
    names = [corpus.emoji[row][1] for row in corpus.taught_emoji]
    texts += [names[row] for row in rng.permutation(len(names))[: options["names"]]]
    drawn: list[Image.Image] = [sample.picture() for sample in corpus.sketches[:: options["every_sketch"]]]
    drawn += [drawings.render(drawing.strokes) for drawing in corpus.drawings[:: options["every_drawing"]]]
    log.info("the banks: %d texts, %d drawings", len(texts), len(drawn))
    spoken, shown = encoder.texts(texts), encoder.sketches(drawn)
    lengths = (how["shares"][0], how["shares"][1])
    return unit(spoken[:, :WORDS]), both(shown[:, :WORDS], shown[:, WORDS : WORDS + SHAPES], lengths)


def photo_graph(model: Any, texts: Vectors, shown: Vectors, options: dict[str, Any], sample: Vectors, share: float, rest: float) -> None:
    """Put the two coordinates into the photo tower's graph. ``sample``: vectors of photos as they are now, for the mean crowding."""
    import openvino.opset13 as ops

    def crowd(parts: Any, bank: Vectors, sharpness: float, mean: float, factor: float) -> Any:
        scores = ops.matmul(parts, small(ops, bank), False, True)
        peak = ops.reduce_max(scores, ops.constant([1]), True)
        spread = ops.log(ops.reduce_mean(ops.exp(ops.multiply(ops.subtract(scores, peak), np.float32(sharpness))), ops.constant([1]), True))
        value = ops.subtract(ops.add(ops.divide(spread, np.float32(sharpness)), peak), np.float32(mean))
        return ops.multiply(value, np.float32(-factor))

    result = model.get_results()[0]
    out = result.input_value(0)

    def part(start: int, stop: int) -> Any:
        taken = ops.slice(out, [start], [stop], [1], [1])
        return ops.normalize_l2(taken, ops.constant([1]), 1e-12, "max")

    words, shapes = part(0, WORDS), part(WORDS, WORDS + SHAPES)
    photo = ops.concat([words, shapes], 1)
    seen = both(sample[:, :WORDS], sample[:, WORDS : WORDS + SHAPES], (1.0, 1.0))
    by_text, by_drawing = options["sharpness"]
    mean_text = float(crowding(seen[:, :WORDS] @ texts.T, by_text).mean())
    mean_drawing = float(crowding(seen @ shown.T, by_drawing).mean())
    strength = options["strength"]
    spoken = crowd(words, texts, by_text, mean_text, strength[0] * (1.0 - share**2) ** 0.5 / share)
    drawn = crowd(photo, shown, by_drawing, mean_drawing, strength[1] / rest)
    vector = ops.normalize_l2(ops.concat([photo, spoken, drawn], 1), ops.constant([1]), 1e-12, "max")
    result.input(0).replace_source_output(vector.output(0))
    model.validate_nodes_and_infer_types()


def text_graph(model: Any, share: float) -> None:
    """Give every text its ``share`` of length in the coordinate of the crowding by texts."""
    import openvino.opset13 as ops

    result = model.get_results()[0]
    fixed = np.zeros((1, DIM), np.float32)
    fixed[0, WORDS + SHAPES] = share
    words = ops.multiply(result.input_value(0), np.float32((1.0 - share**2) ** 0.5))
    result.input(0).replace_source_output(ops.add(words, ops.constant(fixed)).output(0))
    model.validate_nodes_and_infer_types()


def hold_back(corpus: Corpus) -> None:
    """Rewrite the graphs in ``out`` so that hubs are held back.

    Raises InvalidInput when they do so already, lack the towers for drawings, or are not whole.
    """
    import openvino

    options, out = corpus.config["hubs"], Path(corpus.config["out"])
    manifest, encoder = whole_manifest(out), load(folder=out)
    if "hubs" in manifest or "drawing" not in manifest:
        raise InvalidInput(f"The graphs in {out} must come from the stages `export` and `drawing`, and not have passed `hubs` yet.")
    texts, shown = banks(corpus, encoder, options, manifest["drawing"])
    sample = encoder.images([photo.picture() for photo in (corpus.flickr + corpus.photos + corpus.plain)[::40]])
    del encoder  # its graphs are about to be replaced
    core = openvino.Core()
    image, text = (core.read_model(out / f"{name}.xml") for name in ("image", "text"))
    photo_graph(image, texts, shown, options, sample, options["share"], manifest["drawing"]["shares"][2])
    text_graph(text, options["share"])
    for name, graph in (("image", image), ("text", text)):
        replace_graph(graph, out / f"{name}.xml")
    manifest["drawing"]["parts"] = [WORDS, SHAPES]
    manifest["hubs"] = {name: options[name] for name in ("sharpness", "strength", "share")} | {"texts": len(texts), "drawings": len(shown)}
    write_manifest(out, manifest)
    log.info("hubs are held back in %s", out)
