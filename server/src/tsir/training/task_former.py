# mypy: disable-error-code="misc, no-any-return, no-untyped-call"
"""The recipe of TASK-former (Sangkloy et al., ECCV 2022): a photo found by a sketch of it and a caption.

    torchrun --nproc-per-node 8 -m tsir.training.loop server/configs/task-former.yaml

Photos come with captions; sketches are made from the photos anew at every step, mixed with people's where a sample has one.
The towers start from CLIP ViT-B/16. The loss is 100 x contrastive + 10 x asymmetric multi-label + 1 x captioning, plus
agreement between two views of a sketch.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from tsir.encoders.task_former.model import TaskFormer
from tsir.errors import InvalidInput
from tsir.training.augment import affine
from tsir.training.data import read_samples
from tsir.training.drawings import synthetic_sketch
from tsir.training.loop import Config, Stage, of_all, own_device, processes, save_whole, train
from tsir.training.losses import asymmetric, captioning, consistency, contrastive

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)  # CLIP's
_WORD = re.compile(r"[a-z]{3,}")
_EMPTY_WORDS = {
    "the",
    "and",
    "with",
    "are",
    "his",
    "her",
    "their",
    "that",
    "this",
    "from",
    "for",
    "has",
    "have",
    "who",
    "while",
    "its",
    "him",
    "them",
}


@dataclass(frozen=True)
class Triplet:
    """A photo, its captions, and people's sketches of it if there are any."""

    photo: Callable[[], Image.Image]
    captions: tuple[str, ...]
    sketches: tuple[Callable[[], Image.Image], ...] = ()


def read_triplets(sources: Sequence[Path]) -> list[Triplet]:
    """The photos with captions, and with the sketches that name one of them (by its key, as their ``photo``).

    Raises InvalidInput when no photo has captions, and for sources that cannot be read.
    """
    samples = [sample for source in sources for sample in read_samples(source)]
    sketches: dict[str, list[Callable[[], Image.Image]]] = {}
    for sample in samples:
        if photo := sample.meta.get("photo"):
            sketches.setdefault(photo, []).append(sample.picture)
    found = [
        Triplet(sample.picture, tuple(captions), tuple(sketches.get(sample.key, ())))
        for sample in samples
        if (captions := sample.meta.get("captions"))
    ]
    if not found:
        raise InvalidInput(f'No photo in {", ".join(map(str, sources))} has captions: give each a KEY.json with {{"captions": [...]}}.')
    return found


def labels(triplets: Sequence[Triplet], most: int) -> tuple[list[str], NDArray[np.float32]]:
    """The ``most`` words of most photos, and which photo's captions hold which, float32 [photos, words]."""
    of_photo = [set(_WORD.findall(" ".join(triplet.captions).lower())) - _EMPTY_WORDS for triplet in triplets]
    counted = Counter(word for found in of_photo for word in sorted(found))
    chosen = sorted(word for word, _ in counted.most_common(most))
    return chosen, np.array([[word in found for word in chosen] for found in of_photo], dtype=np.float32)


class Decoder(nn.Module):
    """Writes the caption from one vector; used in training only, to keep details in the vectors."""

    def __init__(self, embed: int, width: int, vocabulary: int, length: int, layers: int) -> None:
        super().__init__()
        self.start = nn.Linear(embed, width)
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(torch.randn(length, width) * 0.01)
        layer = nn.TransformerEncoderLayer(width, max(1, width // 64), width * 4, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    def forward(self, vector: Tensor, tokens: Tensor) -> Tensor:
        """Unit vectors [n, embed] and token ids [n, length] -> logits [n, length - 1, vocabulary] of the tokens after the first."""
        x = self.tokens(tokens[:, :-1]) + self.places[: tokens.shape[1] - 1] + self.start(vector).unsqueeze(1)
        mask = torch.full((x.shape[1], x.shape[1]), -math.inf, device=x.device).triu(1)
        return self.layers(x, mask=mask) @ self.tokens.weight.T


class Triplets(Stage):
    """TASK-former with its training-only heads and its data."""

    def __init__(
        self, model: TaskFormer, triplets: Sequence[Triplet], tokenize: Callable[[Sequence[str]], Tensor], options: Config, seed: int
    ) -> None:
        super().__init__()
        self.options, self.seed, self.data, self.tokenize = options, seed, list(triplets), tokenize
        self.model = model
        shape = model.config
        self.words, self.label = labels(self.data, int(options["labels"]))
        self.classify = nn.Linear(shape.embed_dim, len(self.words))
        self.decoder = Decoder(
            shape.embed_dim, shape.text_width, shape.vocab_size, shape.context_length, int(options.get("decoder_layers", 2))
        )

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": [p for p in self.parameters() if p.requires_grad], "lr": float(self.options["rate"])}]

    def _pixels(self, images: Sequence[Image.Image]) -> Tensor:
        size = self.model.config.image_size
        square = [np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)) for image in images]
        device = self.model.logit_scale.device
        pixels = torch.from_numpy(np.stack(square)).to(device).permute(0, 3, 1, 2).float() / 255.0
        return (pixels - torch.tensor(MEAN, device=device)[:, None, None]) / torch.tensor(STD, device=device)[:, None, None]

    def _sketch(self, triplet: Triplet, photo: Image.Image, rng: np.random.Generator) -> Image.Image:
        if rng.random() < self.options["blank_sketch"]:
            return Image.new("RGB", photo.size, "white")
        own = triplet.sketches and rng.random() < self.options["real_sketch"]
        drawn = triplet.sketches[rng.integers(len(triplet.sketches))]() if own else synthetic_sketch(photo, rng)
        drawn = drawn.convert("RGB")
        return affine(drawn, rng) if self.options["affine"] else drawn

    def queries(self, sketches: Sequence[Image.Image], texts: Sequence[str]) -> Tensor:
        """Unit rows of (text + sketch) / 2."""
        text = F.normalize(self.model.encode_text(self.tokenize(texts)), dim=-1)
        return F.normalize(text + F.normalize(self.model.encode_sketch(self._pixels(sketches)), dim=-1), dim=-1)

    def gallery(self, photos: Sequence[Image.Image]) -> Tensor:
        """Unit rows of photos."""
        return F.normalize(self.model.encode_image(self._pixels(photos)), dim=-1)

    def forward(self, step: int, rank: int = 0) -> Tensor:
        options = self.options
        rng, ranks = np.random.default_rng([self.seed, step, rank]), processes()[0]
        share = min(int(options["batch"]), len(self.data) // ranks)
        # Drawn by all processes alike: no photo is in two shares, where it would be its own opposite.
        rows = np.random.default_rng([self.seed, step, ranks]).choice(len(self.data), share * ranks, replace=False)[rank * share :][:share]
        chosen = [self.data[row] for row in rows]
        photos = [triplet.photo().convert("RGB") for triplet in chosen]
        sketches = [self._sketch(triplet, photo, rng) for triplet, photo in zip(chosen, photos, strict=True)]
        again = [self._sketch(triplet, photo, rng) for triplet, photo in zip(chosen, photos, strict=True)]
        texts = ["" if rng.random() < options["empty_text"] else str(rng.choice(triplet.captions)) for triplet in chosen]
        seen = [affine(photo, rng) for photo in photos] if options["affine"] else photos

        tokens = self.tokenize(texts)
        image = self.gallery(seen)
        text = F.normalize(self.model.encode_text(tokens), dim=-1)
        first, second = (F.normalize(self.model.encode_sketch(self._pixels(view)), dim=-1) for view in (sketches, again))
        query = F.normalize(text + first, dim=-1)
        weight = options["weight"]
        loss = weight["contrastive"] * contrastive(of_all(query), of_all(image), self.model.logit_scale.exp().clamp(max=100.0))
        target = torch.from_numpy(self.label[rows]).to(image.device)
        if target.shape[1]:
            loss = loss + weight["labels"] * (asymmetric(self.classify(query), target) + asymmetric(self.classify(image), target)) / 2
        loss = loss + weight["captioning"] * captioning(self.decoder(image, tokens), tokens[:, 1:], padding=0)
        return loss + weight["consistency"] * consistency(first, second)


def _from_clip(path: Path) -> TaskFormer:
    """Both vision towers and the text tower from a CLIP checkpoint (a state dict with OpenAI's names)."""
    if not path.is_file():
        raise InvalidInput(f"init={str(path)!r} is no file: name a checkpoint of CLIP ViT-B/16 to start from.")
    state = torch.load(path, map_location="cpu", weights_only=True)
    state = {name.removeprefix("module."): value.float() for name, value in state.get("state_dict", state).items()}
    model = TaskFormer()
    towers = {name.replace("visual.", "visual2.", 1): value for name, value in state.items() if name.startswith("visual.")}
    missing, _ = model.load_state_dict({**towers, **state}, strict=False)
    if missing:
        raise InvalidInput(f"{path} is no CLIP ViT-B/16: it lacks {missing[0]} and {len(missing) - 1} more tensors.")
    return model


def run(config: Config) -> None:
    """Train on every photo with captions in the config's ``data`` sources, and save towers that the encoder ``task-former`` loads."""
    from tsir.encoders.task_former.encoder import tokenizer

    device = own_device()
    model = _from_clip(Path(config["init"]))
    words = tokenizer(model.config.context_length)

    def tokenize(texts: Sequence[str]) -> Tensor:
        return torch.from_numpy(words(texts)).to(device)

    triplets = read_triplets([Path(source) for source in config["data"]])
    stage = Triplets(model, triplets, tokenize, config["train"], int(config["seed"]))
    work = Path(config["work"])
    work.mkdir(parents=True, exist_ok=True)
    trained = train(stage.to(device), config["train"], work / "task-former.pt", int(config["seed"]), config)
    assert isinstance(trained, Triplets)
    save_whole(Path(config["out"]), {"state_dict": trained.model.state_dict()})
