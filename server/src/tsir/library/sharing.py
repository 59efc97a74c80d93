"""Pictures of one collection are added to another: the same files, and where the encoder is the same, the same vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tsir.library.collection import Collection
from tsir.library.stores import ERASE_BATCH
from tsir.paging import chunks
from tsir.records import NewImage


def share(source: Collection, target: Collection, ids: Sequence[int]) -> tuple[int, list[int]]:
    """Add images of `source` to `target`; returns how many of them there are, and which of those in the target need to be encoded.

    Idempotent; ids that the source has not are left out. An upload that several collections have is deleted with the last of them.
    """
    count = 0
    waiting: list[int] = []
    for part in chunks(sorted(set(ids)), ERASE_BATCH):
        images, places = source.with_places(part)
        items = [NewImage(file, image.content_hash, image.metadata) for image in images for file in places[image.id]]
        owners = [image.id for image in images for _ in places[image.id]]
        begun = {entry.id: owner for entry, owner in zip(target.begin(items), owners, strict=True) if entry.status == "new"}
        count += len(images)
        same = source.encoder == target.encoder
        vectors = source.vectors(list(begun.values())) if same else {}
        ready = {id: vectors[owner] for id, owner in begun.items() if owner in vectors}
        if ready:
            target.finish(list(ready), np.stack(list(ready.values())), source.encoder)
        waiting += [id for id in begun if id not in ready]
    return count, waiting
