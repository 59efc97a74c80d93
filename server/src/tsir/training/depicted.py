# mypy: disable-error-code="misc, no-any-return"
"""What words say of the parts of photos' vectors that are made for drawings: how things look, and where they stand.

The upper third of the photo tower runs twice, and words were compared with one half of what it gives. The other half sees the same photos
in its own way, so two layers guess it from the words: a photo is found by both. Nothing of the photos changes, and so no library need be
encoded anew. How much the guess counts beside the words is set by hand (``lengths``).
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tsir.encoders.base import Encoder
from tsir.encoders.lite import load
from tsir.encoders.lite.encoder import DEPICTED_FILE
from tsir.errors import InvalidInput
from tsir.media.durable import whole
from tsir.training.cache import kept, photo_views
from tsir.training.corpus import Corpus, trust
from tsir.training.export import whole_manifest, write_manifest
from tsir.training.loop import Config, Stage, train
from tsir.training.towers import WORDS

log = logging.getLogger(__name__)

INPUT_SCALE = 16.0  # unit vectors of 256 numbers come to about 1 each


class Guess(nn.Module):
    """Unit `words` [n, WORDS] -> unit `shapes` and unit `places`, [n, shapes] and [n, places]."""

    def __init__(self, shapes: int, places: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.skip, self.up = nn.Linear(WORDS, shapes + places), nn.Linear(WORDS, hidden)
        self.down = nn.Linear(hidden, shapes + places)
        nn.init.zeros_(self.down.weight)
        self.shapes, self.dropout = shapes, dropout

    def forward(self, words: Tensor) -> tuple[Tensor, Tensor]:
        x = F.dropout(INPUT_SCALE * words, self.dropout, self.training)
        found = self.skip(x) + self.down(F.dropout(F.relu(self.up(x)), self.dropout, self.training))
        return F.normalize(found[:, : self.shapes], dim=-1), F.normalize(found[:, self.shapes :], dim=-1)

    def layers(self) -> dict[str, np.ndarray[Any, np.dtype[np.float16]]]:
        """The weights as the encoder reads them, for unit words: float16."""
        found = {
            "skip": INPUT_SCALE * self.skip.weight.T, "up": INPUT_SCALE * self.up.weight.T, "down": self.down.weight.T,
            "up_bias": self.up.bias, "bias": self.skip.bias + self.down.bias,
        }  # fmt: skip
        return {name: value.detach().numpy().astype(np.float16) for name, value in found.items()}


class Depicted(Stage):
    """Captions of all sources, each asked for its photo among others by what is guessed of it alone."""

    def __init__(self, corpus: Corpus, encoder: Encoder, shapes: int, places: int, options: Config) -> None:
        super().__init__()
        self.options, self.seed = options, corpus.seed
        self.work = corpus.work / f"depicted-{encoder.fingerprint}"  # photos, captions and checkpoint belong to these graphs
        samples = [*corpus.flickr, *corpus.coco]
        views = map(torch.from_numpy, photo_views(self.work, encoder, samples, options["views"], corpus.seed))
        self.photos = [(F.normalize(rows[:, WORDS : WORDS + shapes], dim=-1), F.normalize(rows[:, -places:], dim=-1)) for rows in views]
        captions = [caption for sample in samples for caption in sample.meta["captions"]]
        said = kept(self.work / "captions.npy", lambda: encoder.texts(captions)[:, :WORDS])
        self.words = F.normalize(torch.from_numpy(np.array(said, np.float32)), dim=-1)
        believed = [trust(sample) for sample in samples]
        self.own = np.repeat(np.arange(len(samples)), [len(each) for each in believed])
        chance = np.concatenate([each / len(each) for each in believed])
        self.chance = chance / chance.sum()
        self.guess = Guess(shapes, places, options["hidden"], options["dropout"])
        self.scales = nn.Parameter(torch.tensor([math.log(options["scale"])] * 2))

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters()), "lr": self.options["rate"]}]

    def forward(self, step: int, rank: int = 0) -> Tensor:
        rng = np.random.default_rng([self.seed, 15, step, rank])
        count = min(self.options["batch"], len(self.own))
        asked = rng.choice(len(self.own), count, replace=False, p=self.chance)
        looks, stands = self.photos[int(rng.integers(len(self.photos)))]
        others = rng.choice(len(looks), min(self.options["photos"], len(looks)), replace=False)
        rows, target = np.unique(np.concatenate([self.own[asked], others]), return_inverse=True)
        shapes, places = self.guess(self.words[torch.from_numpy(asked)])
        scale = self.scales.exp()
        scores = scale[0] * shapes @ looks[rows].T + scale[1] * places @ stands[rows].T
        return F.cross_entropy(scores, torch.from_numpy(target[:count]), label_smoothing=self.options["smoothing"])


def depict(corpus: Corpus) -> None:
    """Train on the graphs in ``out``, and write what was learnt beside them.

    Raises InvalidInput when these lack places, or are not whole.
    """
    options, out = corpus.config["depicted"], Path(corpus.config["out"])
    manifest = whole_manifest(out)
    if "places" not in manifest:
        raise InvalidInput(f"The graphs in {out} must have passed the stage `places`.")
    stage = Depicted(corpus, load(folder=out), manifest["drawing"]["parts"][1], manifest["places"]["width"], options)
    trained = train(stage, options, stage.work / "checkpoint.pt", corpus.seed, corpus.config)
    assert isinstance(trained, Depicted)
    with whole(out / DEPICTED_FILE) as file:
        np.savez(file, allow_pickle=False, **trained.guess.layers())
    write_manifest(out, manifest | {"depicted": options["lengths"]})
    log.info("words in %s know how things look", out)
