# mypy: disable-error-code="misc, no-any-return"
"""The text tower, trained on against the finished photo tower.

While both towers are trained together, most of the time goes into photos, and a caption is compared with the 128 photos of its batch. Once
the photos' vectors no longer change, a step costs only its captions: each is seen several times and compared with all photos at once.

The photos know their own captions a little too well by now, as they were trained on them; several views of each, and words left out of the
captions, keep the text tower from learning that by heart.

People also search by a word or two, and a tower that sees captions alone forgets these. So the words of the captions are asked for by
themselves, and the photos of captions that use them are the answer; and names of things and of emoji, which captions seldom use, stay where
they were.

Last comes the head by itself, on captions of more photos (`Heads`).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from tsir.encoders.base import Encoder
from tsir.training import words
from tsir.training.cache import kept, photo_views
from tsir.training.corpus import Corpus, trust
from tsir.training.drawing import FORMS, mentions, thing
from tsir.training.loop import Config, Stage
from tsir.training.losses import consistency, soft_labels
from tsir.training.minilm import mean_of_tokens
from tsir.training.tokens import TEMPLATES, Tokens, text_vectors
from tsir.training.towers import WORDS, TextTower

# Words that show nothing by themselves.
FUNCTION = frozenset({
    "a", "an", "and", "another", "are", "as", "at", "be", "being", "by", "each", "for", "from", "has", "have", "he", "her", "him", "his",
    "in", "into", "is", "it", "its", "of", "off", "on", "one", "or", "other", "out", "over", "she", "some", "something", "that", "the",
    "their", "them", "there", "they", "this", "through", "to", "two", "up", "very", "was", "what", "while", "who", "with",
})  # fmt: skip


def vocabulary(captions: Sequence[str], least: int) -> list[str]:
    """The words that at least ``least`` captions use, in the order of the alphabet; no function words, no plurals of others."""
    used = Counter(word for caption in captions for word in set(re.findall(r"[a-z]+", caption.lower())))
    common = {word for word, count in used.items() if count >= least and len(word) > 2} - FUNCTION
    return sorted(word for word in common if not {word.removesuffix("s"), word.removesuffix("es")} & (common - {word}))


def left_out(mask: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """A mask [n, length] of tokens without a random ``share`` of them; first and last token stay."""
    drop = torch.rand(mask.shape, generator=generator) < share
    drop[:, 0] = False
    drop[torch.arange(len(mask)), mask.sum(1) - 1] = False
    return mask * ~drop


class Wording(Stage):
    """Text tower on frozen vectors of photos, ``text`` as it begins."""

    def __init__(self, corpus: Corpus, encoder: Encoder, text: TextTower, options: Config) -> None:
        super().__init__()
        self.text, self.options, self.seed = text, options, corpus.seed
        self.text.transformer.words.weight.requires_grad_(False)  # see lite.Captions
        self.work = corpus.work / f"wording-{encoder.fingerprint}"  # photos and checkpoint belong to these graphs
        views = photo_views(self.work, encoder, corpus.flickr, options["views"], corpus.seed)
        self.photos = [F.normalize(torch.from_numpy(rows[:, :WORDS]), dim=-1) for rows in views]
        captions = [caption for sample in corpus.flickr for caption in sample.meta["captions"]]
        self.captions = Tokens(captions)
        counts = np.array([len(sample.meta["captions"]) for sample in corpus.flickr])
        self.first, self.counts = np.cumsum(counts) - counts, counts
        concepts = words.concepts(Path(corpus.config["wordnet"]))
        names = [form.format(name) for concept in concepts for name in concept.names for form in dict.fromkeys(TEMPLATES)]
        names += [corpus.emoji[row][1] for row in corpus.taught_emoji] * options["emoji_share"]
        said = vocabulary(captions, options["least_said"])
        drawn = {thing(drawing.word) for drawing in corpus.drawings} | {thing(name) for name in corpus.classes}
        names += [form.format(name) for name in [*said, *sorted(drawn)] for form in FORMS[:2]]
        self.named = text_vectors(text, names)
        of_caption = np.repeat(np.arange(len(counts)), counts)
        found = mentions(said, captions)
        self.shown = [np.unique(of_caption[rows]) for rows in found.values()]  # photos of each word
        asked = [form.format(word) for word in found for form in FORMS]
        self.short, self.ways = Tokens([*asked, *names]), len(asked)  # words in all their forms, then names
        self.scales = nn.Parameter(torch.tensor([math.log(options["scale"])] * 2))

    def groups(self) -> list[dict[str, Any]]:
        rate = self.options["rate"]
        transformer = [p for p in self.text.transformer.parameters() if p.requires_grad]
        return [
            {"params": list(self.text.head.parameters()), "lr": rate["heads"]},
            {"params": transformer, "lr": rate["text"]},
            {"params": [self.scales], "lr": rate["scale"]},
        ]

    def spoken(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Unit `words` [n, 256], with dropout."""
        tokens = self.text.transformer(ids, mask, self.options["dropout"])
        return F.normalize(self.text.head(mean_of_tokens(tokens, mask)).float(), dim=-1)

    def forward(self, step: int, rank: int = 0) -> Tensor:
        rng = np.random.default_rng([self.seed, 6, step, rank])
        options, weight = self.options, self.options["weight"]
        rows = rng.permutation(len(self.counts))[: options["batch"]]
        ids, mask = self.captions.batch((self.first[rows] + rng.integers(self.counts[rows])).tolist())
        mask = left_out(mask, options["left_out"], torch.Generator().manual_seed(int(rng.integers(2**62))))
        names = rng.permutation(len(self.named))[: options["names"]]
        said = rng.permutation(len(self.shown))[: options["words"]]
        forms = said * len(FORMS) + rng.integers(len(FORMS), size=len(said))
        captions, short = self.spoken(ids, mask), self.spoken(*self.short.batch([*forms.tolist(), *(self.ways + names).tolist()]))
        asked, named = short[: len(said)], short[len(said) :]
        photos, photo = self.photos[int(rng.integers(len(self.photos)))], torch.from_numpy(rows)
        scale, word_scale = self.scales.exp().clamp(max=80.0)
        loss = F.cross_entropy(scale * captions @ photos.T, photo, label_smoothing=options["smoothing"])
        loss = loss + weight["photos"] * F.cross_entropy(scale * photos[photo] @ captions.T, torch.arange(len(rows)))
        target = torch.zeros(len(said), len(photos))
        for row, word in enumerate(said):
            target[row, self.shown[word]] = 1.0 / len(self.shown[word])
        loss = loss + weight["words"] * soft_labels(word_scale * asked @ photos.T, target)
        return loss + weight["names"] * consistency(named, self.named[names])

    def blended(self, before: TextTower) -> TextTower:
        """The trained tower with the share ``before`` of the weights that it began with: it keeps more of what captions do not speak of.

        "Robust fine-tuning of zero-shot models", Wortsman et al., CVPR 2022.
        """
        blend(self.text, before, self.options["before"])
        return self.text


def blend(now: nn.Module, before: nn.Module, share: float) -> None:
    """Go back from the weights of ``now`` by a ``share`` of the way to those of ``before``."""
    with torch.no_grad():
        for weight, then in zip(now.parameters(), before.parameters(), strict=True):
            weight.lerp_(then, share)


def sentence_means(text: TextTower, texts: Sequence[str]) -> NDArray[np.float32]:
    """What the head of a text tower gets: float32 [n, 384]."""
    tokens = Tokens(texts)
    out = np.empty((len(texts), text.transformer.words.embedding_dim), np.float32)
    order = sorted(range(len(texts)), key=lambda row: len(tokens.ids[row]))
    with torch.no_grad():
        for start in range(0, len(order), 128):
            rows = order[start : start + 128]
            ids, mask = tokens.batch(rows)
            out[rows] = mean_of_tokens(text.transformer(ids, mask), mask).float().numpy()
    return out


class Heads(Stage):
    """The text head alone, on captions of all sources: a step costs so little that COCO's captions, many of them a machine's, are asked for
    as often as Flickr8k's. ``text`` as it begins; its transformer stays as it is.
    """

    def __init__(self, corpus: Corpus, encoder: Encoder, text: TextTower, options: Config) -> None:
        super().__init__()
        self.head, self.options, self.seed = text.head, options, corpus.seed
        self.work = corpus.work / f"heads-{encoder.fingerprint}"  # photos, sentences and checkpoint belong to these graphs
        samples = [*corpus.flickr, *corpus.coco]
        views = photo_views(self.work, encoder, samples, options["views"], corpus.seed)
        self.photos = [F.normalize(torch.from_numpy(rows[:, :WORDS]), dim=-1) for rows in views]
        captions = [caption for sample in samples for caption in sample.meta["captions"]]
        self.said = torch.from_numpy(np.asarray(kept(self.work / "captions.npy", lambda: sentence_means(text, captions))))
        self.trust = [trust(sample) for sample in samples]
        counts = np.array([len(each) for each in self.trust])
        self.first, self.flickr = np.cumsum(counts) - counts, len(corpus.flickr)
        best = np.array([each.max() for each in self.trust[self.flickr :]])
        self.chance = best / best.sum()
        drawn = {thing(drawing.word) for drawing in corpus.drawings} | {thing(name) for name in corpus.classes}
        names = [form.format(name) for name in [*vocabulary(captions, options["least_said"]), *sorted(drawn)] for form in FORMS[:2]]
        self.names = torch.from_numpy(sentence_means(text, names))
        with torch.no_grad():
            self.named = F.normalize(text.head(self.names).float(), dim=-1)
        self.scale = nn.Parameter(torch.tensor(math.log(options["scale"])))

    def groups(self) -> list[dict[str, Any]]:
        rate = self.options["rate"]
        return [{"params": list(self.head.parameters()), "lr": rate["heads"]}, {"params": [self.scale], "lr": rate["scale"]}]

    def forward(self, step: int, rank: int = 0) -> Tensor:
        rng = np.random.default_rng([self.seed, 14, step, rank])
        options, weight = self.options, self.options["weight"]
        coco = rng.choice(len(self.chance), round(options["batch"] * options["coco"]), replace=False, p=self.chance)
        flickr = rng.choice(self.flickr, options["batch"] - len(coco), replace=False)
        rows = np.concatenate([flickr, self.flickr + coco])
        picked = np.array([rng.choice(len(self.trust[row]), p=self.trust[row] / self.trust[row].sum()) for row in rows])
        believed = torch.tensor([self.trust[row][one] for row, one in zip(rows, picked, strict=True)], dtype=torch.float32)
        others = rng.choice(len(self.trust), min(options["photos"], len(self.trust)), replace=False)
        shown, target = np.unique(np.concatenate([rows, others]), return_inverse=True)
        own = torch.from_numpy(target[: len(rows)])
        photos = self.photos[int(rng.integers(len(self.photos)))][torch.from_numpy(shown)]
        captions = F.normalize(self.head(self.said[torch.from_numpy(self.first[rows] + picked)]).float(), dim=-1)
        scale = self.scale.exp().clamp(max=80.0)
        asked = F.cross_entropy(scale * captions @ photos.T, own, label_smoothing=options["smoothing"], reduction="none")
        seen = F.cross_entropy(scale * photos[own] @ captions.T, torch.arange(len(rows)), reduction="none")
        names = torch.from_numpy(rng.permutation(len(self.named))[: options["names"]])
        kept_names = consistency(F.normalize(self.head(self.names[names]).float(), dim=-1), self.named[names])
        return ((asked + weight["photos"] * seen) * believed).mean() + weight["names"] * kept_names
