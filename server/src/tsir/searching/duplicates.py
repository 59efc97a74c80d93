"""Which pictures are one and the same: groups of near-duplicates, told by their vectors and proved by their pixels.

For a page of hits (a search that collapses them) and for a whole collection: nothing here takes memory in the square of the number of
pictures, and what takes time in it is a product of short vectors. A hundred thousand pictures take a minute or two, apart from reading
their thumbnails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tsir.media.likeness import Small, alike, tiny
from tsir.paging import chunks
from tsir.records import Image

Floats = npt.NDArray[np.floating]
Pairs = npt.NDArray[np.int64]
"""Indices [n, 2], the lower one first."""

LIKE = 0.5
"""Least cosine of the vectors of two pictures that may be one: a copy of a third of the size may fall to that."""
TINY_LIKE = 0.8
"""Least correlation of their tiny copies."""
NEIGHBOURS = 32
"""Pairs kept of one picture with later ones: a thousand frames of one scene are not compared each with each."""
SAMPLE = 20_000
"""Pictures that tell the directions."""
SHORT = 64
"""Dimensions (the directions in which tiny copies differ most) in which pairs are found first."""
ROWS, COLUMNS = 512, 8192
"""Pictures compared at once: 16 MB of products."""
LOOKED_AT = 512
"""Small copies of pictures in memory at once, besides the kept ones."""
KEPT = 4096
"""Small copies that are kept for further pairs: 50 MB."""


def best_first(image: Image) -> tuple[int, ...]:
    """Sorts the pictures of a group: those that say more of how they were taken, then more pixels, more bytes, the oldest."""
    facts = image.metadata
    known = (facts.taken_at is not None) + (facts.camera is not None) + facts.located
    return (-known, -facts.width * facts.height, -image.bytes, image.id)


def groups(images: Sequence[Image], vectors: Floats, look: Callable[[Image], Small | None]) -> list[list[Image]]:
    """Groups of two or more of the images that are one picture, the best of each (`best_first`) first; in the order of the images.

    One picture: at another size, recompressed, cropped by up to a tenth, or in a mirror. `vectors` are the images' own, unit rows [n, dim]
    of any floating type; `look` gives the small copy of an image (`media.likeness.small` of a thumbnail), None where there is none: such an
    image is in no group. It may be called twice for an image. Everyone in a group was found to be one picture with its best: a slow pan
    through a scene does not make one group of all its frames.
    """
    seen = lru_cache(KEPT)(lambda index: look(images[index]))
    there: list[int] = []
    rows, mirrored = [], []
    for part in chunks(range(len(images)), LOOKED_AT):
        copies = {index: copy for index in part if (copy := seen(index)) is not None}
        if copies:
            there += copies
            stacked = np.stack(list(copies.values()))
            rows.append(tiny(stacked))
            mirrored.append(tiny(stacked[:, :, ::-1]))
    if len(there) < 2:
        return []
    known = np.array(there)
    pairs = known[near(np.concatenate(rows), np.concatenate(mirrored))]
    cosines = np.concatenate([_dots(vectors, vectors, part) for part in np.array_split(pairs, len(pairs) // COLUMNS + 1)])

    def same(asked: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Those of the pairs that are one picture."""
        found: list[tuple[int, int]] = []
        for part in chunks(asked, LOOKED_AT):
            copies = [(pair, a, b) for pair in part if (a := seen(pair[0])) is not None and (b := seen(pair[1])) is not None]
            if copies:
                good = alike(np.stack([a for _, a, _ in copies]), np.stack([b for _, _, b in copies]))
                found += [pair for (pair, _, _), proved in zip(copies, good, strict=True) if proved]
        return found

    proved = set(same([(int(a), int(b)) for a, b in pairs[cosines >= LIKE]]))
    made = [group for cluster in _clusters(proved) for group in _around_best(cluster, images, proved, same)]
    return [[images[index] for index in group] for group in sorted(made, key=min)]


def near(rows: Floats, mirrored: Floats, least: float = TINY_LIKE) -> Pairs:
    """Pairs of `rows` (unit, [n, d]) of which one and the other, or the other as in `mirrored`, have a dot product of at least `least`.

    Of each row the 32 nearest later ones at most.
    """
    count = len(rows)
    left, (right, turned) = _shortened(rows, mirrored)
    found = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, count, ROWS):
        kept, scores = found[0], np.empty(0, dtype=np.float32)
        block = slice(start, start + ROWS)
        for first in range(start, count, COLUMNS):
            columns = slice(first, first + COLUMNS)
            # No projection makes a distance longer: what is too far apart in a few dimensions is so in all of them.
            apart = 2 * least - 2 - 1e-4
            maybe = (left[block] @ right[columns].T >= apart) | (left[block] @ turned[columns].T >= apart)
            pairs = np.argwhere(maybe) + np.array([start, first])
            pairs = pairs[pairs[:, 0] < pairs[:, 1]]
            for part in np.array_split(pairs, len(pairs) // COLUMNS + 1):
                likeness = np.maximum(_dots(rows, rows, part), _dots(rows, mirrored, part))
                good = likeness >= least
                kept, scores = _nearest(np.concatenate([kept, part[good]]), np.concatenate([scores, likeness[good]]))
        found.append(kept)
    return np.concatenate(found)


def _shortened(rows: Floats, mirrored: Floats) -> tuple[Floats, list[Floats]]:
    """What to multiply, left @ right.T, for minus the squared distances in the few directions in which rows differ most.

    One for the left side; two for the right: rows, and mirrored ones.
    """
    _, directions = np.linalg.eigh(np.cov(rows[:: len(rows) // SAMPLE + 1], rowvar=False, bias=True))
    axes = directions[:, ::-1][:, :SHORT].astype(np.float32)
    sides = []
    for short in (rows @ axes, mirrored @ axes):
        squares, ones = (short**2).sum(1, keepdims=True), np.ones((len(rows), 1), dtype=np.float32)
        sides.append((np.concatenate([2 * short, -squares, -ones], axis=1), np.concatenate([short, ones, squares], axis=1)))
    return sides[0][0], [sides[0][1], sides[1][1]]


def _dots(left: Floats, right: Floats, pairs: Pairs) -> npt.NDArray[np.float32]:
    first, second = left[pairs[:, 0]].astype(np.float32), right[pairs[:, 1]].astype(np.float32)
    return np.asarray(np.einsum("nd,nd->n", first, second), dtype=np.float32)


def _nearest(pairs: Pairs, scores: npt.NDArray[np.float32]) -> tuple[Pairs, npt.NDArray[np.float32]]:
    """The best pairs of each first row."""
    order = np.lexsort((-scores, pairs[:, 0]))
    pairs, scores = pairs[order], scores[order]
    good = np.arange(len(pairs)) - np.searchsorted(pairs[:, 0], pairs[:, 0]) < NEIGHBOURS
    return pairs[good], scores[good]


def _clusters(pairs: set[tuple[int, int]]) -> list[list[int]]:
    """What hangs together by pairs."""
    root: dict[int, int] = {}

    def find(index: int) -> int:
        while root.setdefault(index, index) != index:
            root[index] = index = root[root[index]]
        return index

    for a, b in pairs:
        root[find(a)] = find(b)
    clusters: dict[int, list[int]] = {}
    for index in sorted(root):
        clusters.setdefault(find(index), []).append(index)
    return list(clusters.values())


def _around_best(
    cluster: list[int],
    images: Sequence[Image],
    proved: set[tuple[int, int]],
    same: Callable[[Sequence[tuple[int, int]]], list[tuple[int, int]]],
) -> list[list[int]]:
    """The best of a cluster with all that are one picture with it, then the best of those that are left, and so on."""
    made = []
    left = sorted(cluster, key=lambda index: best_first(images[index]))
    while len(left) > 1:
        best, *others = left
        asked = [(min(best, other), max(best, other)) for other in others]
        known = {pair for pair in asked if pair in proved}
        known |= set(same([pair for pair in asked if pair not in known]))
        group = [best, *(other for other, pair in zip(others, asked, strict=True) if pair in known)]
        if len(group) > 1:
            made.append(group)
        left = [index for index in others if index not in group]
    return made
