"""What photos of a class look like on average: a drawing is pulled a little towards the classes that it resembles.

A drawing of which the towers are fairly sure what it shows finds more of that thing when its vector lies nearer to the thing's photos,
whose mean knows nothing of clumsy strokes. How far it goes stands in the manifest; the encoder does it (`encoders.lite.encoder.joined`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tsir.encoders.base import Vectors, unit
from tsir.encoders.lite import load
from tsir.encoders.lite.encoder import CLASSES_FILE, slices
from tsir.errors import InvalidInput
from tsir.training.corpus import Corpus
from tsir.training.export import read_manifest, write_manifest

log = logging.getLogger(__name__)

AT_ONCE = 64  # photos held decoded


def means(vectors: Vectors, classes: Sequence[str], parts: Sequence[int]) -> Vectors:
    """The mean photo of each class, in the order of their names.

    Vectors [n, dim] -> float32 [classes, sum(parts)], every part a unit vector.
    """
    names = np.array(classes)
    columns = []
    for place in slices(parts):
        part = unit(vectors[:, place])
        columns.append(unit(np.stack([part[names == name].mean(axis=0) for name in sorted(set(classes))])))
    return np.concatenate(columns, axis=1)


def pull(corpus: Corpus) -> None:
    """Write the mean photos of the training classes beside the graphs in ``out``, and into the manifest how drawings use them.

    Raises InvalidInput when the graphs there have not passed ``hubs``.
    """
    options, out = corpus.config["classes"], Path(corpus.config["out"])
    encoder, manifest = load(folder=out), read_manifest(out)
    if "hubs" not in manifest:
        raise InvalidInput(f"The graphs in {out} must come from the stage `hubs`.")
    vectors = [
        encoder.images([photo.picture() for photo in corpus.photos[start : start + AT_ONCE]])
        for start in range(0, len(corpus.photos), AT_ONCE)
    ]
    rows = means(np.concatenate(vectors), [photo.meta["class"] for photo in corpus.photos], manifest["drawing"]["parts"])
    np.save(out / CLASSES_FILE, rows.astype(np.float16))
    manifest["drawing"] |= {"sharpness": options["sharpness"], "pull": options["pull"]}
    write_manifest(out, manifest)
    log.info("drawings are pulled towards %d classes in %s", len(rows), out)
