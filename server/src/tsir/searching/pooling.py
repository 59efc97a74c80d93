"""Hits that are looked at all at once: near-duplicates and bursts become one, or the order is that of time.

The best hits of a query are its pool: groups are the same on every page, and a hit of another page never belongs to one of this.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from tsir.encoders.relevance import Curve
from tsir.media.likeness import Small
from tsir.records import Hit, Image
from tsir.searching.duplicates import groups
from tsir.searching.query import Query, Sort

POOL = 1_000
"""Best hits that are brought into another order."""
COLLAPSED_POOL = 400
"""Best hits among which near-duplicates are looked for: each is compared by its thumbnail, too."""
UNCUT_POOL = 100
"""Best hits in the order of time, where nothing says which of them answer."""

BURST_S = 5.0
"""Longest time between two pictures of a burst."""
BURST_LIKE = 0.7
"""Least cosine of the vectors of two pictures of a burst."""

Look = Callable[[Image], Small | None]


@dataclass(frozen=True, slots=True)
class Entry:
    """One hit of a page."""

    hit: Hit
    members: tuple[Image, ...] = ()
    """What was collapsed into it, the best hits first."""


def pooled(query: Query) -> bool:
    """Whether the query is answered from its best hits alone."""
    return query.collapse is not None or query.sort != "relevance"


def pool(query: Query) -> int:
    """Hits that are looked at, those that stand in the query among them."""
    return (COLLAPSED_POOL if query.collapse == "duplicates" else POOL) + len(query.named)


def below(query: Query, curve: Curve | None, score: float) -> bool:
    """Whether a hit is left out because of its score."""
    if query.min_score is not None and score < query.min_score:
        return True
    return curve is not None and query.min_relevance is not None and curve.relevance(score) < query.min_relevance


def gathered(hits: Sequence[Hit], query: Query, curve: Curve | None, look: Look | None) -> list[Entry]:
    """All entries of a query's pool, in its order; `hits` best first."""
    kept = [hit for hit in hits if not below(query, curve, hit.score)]
    if query.sort != "relevance" and query.min_score is None and query.min_relevance is None:
        likely = [hit for hit in kept if curve is not None and curve.relevance(hit.score) >= curve.cut]
        kept = likely or kept[:UNCUT_POOL]
    entries = _collapsed(kept, _bursts(kept) if query.collapse == "bursts" else _copies(kept, look)) if query.collapse else map(Entry, kept)
    if query.sort == "relevance":
        return list(entries)
    return sorted(entries, key=lambda entry: place(entry, query.sort), reverse=True)


def place(entry: Entry, sort: Sort) -> tuple[float, int]:
    """What an entry stands by in the order of an answer, falling: score or time, and the image's id, of equal scores the smallest first."""
    image = entry.hit.image
    if sort == "relevance":
        return float(entry.hit.score), -image.id
    when = image.metadata.clock if sort == "taken" else image.created_at.replace(tzinfo=None)
    return ((when or datetime.min) - datetime(1970, 1, 1)).total_seconds(), image.id


def _collapsed(hits: Sequence[Hit], together: Sequence[Sequence[int]]) -> list[Entry]:
    """One entry for each group of images (by id) and for each of the others; the best hit of a group stands for it."""
    group = {id: number for number, ids in enumerate(together) for id in ids}
    leaders: dict[int, Hit] = {}
    members: dict[int, list[Image]] = {}
    for hit in hits:
        number = group.get(hit.image.id)
        leader = leaders.setdefault(number, hit) if number is not None else hit
        if leader is not hit:
            members.setdefault(leader.image.id, []).append(hit.image)
    led = {image.id for images in members.values() for image in images}
    return [Entry(hit, tuple(members.get(hit.image.id, ()))) for hit in hits if hit.image.id not in led]


def _copies(hits: Sequence[Hit], look: Look | None) -> list[list[int]]:
    if look is None or len(hits) < 2:
        return []
    found = groups([hit.image for hit in hits], np.stack([hit.vector for hit in hits]), look)
    return [[image.id for image in images] for images in found]


def _bursts(hits: Sequence[Hit]) -> list[list[int]]:
    """Pictures of one camera that were taken one after the other, and look alike from each to the next."""
    dated = sorted(
        ((hit.image.metadata.camera or "", when, hit) for hit in hits if (when := hit.image.metadata.clock) is not None),
        key=lambda item: (item[0], item[1], item[2].image.id),
    )
    bursts: list[list[int]] = []
    for number, (camera, when, hit) in enumerate(dated):
        before = dated[number - 1] if number else None
        joined = (
            before is not None
            and before[0] == camera
            and (when - before[1]).total_seconds() <= BURST_S
            and float(before[2].vector @ hit.vector) >= BURST_LIKE
        )
        if joined:
            bursts[-1].append(hit.image.id)
        else:
            bursts.append([hit.image.id])
    return [burst for burst in bursts if len(burst) > 1]
