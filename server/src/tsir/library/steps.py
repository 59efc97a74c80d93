"""The steps of the two-store protocol. After each of them a crash may come; what it leaves, doing the work again mends."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum


class Step(Enum):
    """What was just done, and will be found done after a crash."""

    COLLECTION_NOTED = "the collection has a row"
    ROOM_MADE = "Milvus has a collection for its vectors"
    IMAGES_NOTED = "pictures and their places have rows, new ones are pending"
    FACTS_READ = "what Milvus keeps beside the vectors was read"
    VECTORS_WRITTEN = "vectors are in Milvus"
    IMAGES_READY = "the pictures can be found"
    VECTORS_READ = "vectors whose places changed were read, to be written with new ones"
    VECTORS_DELETED = "vectors of doomed pictures are gone"
    LEFTOVERS_FOUND = "it is known which files belong to doomed pictures alone"
    ROWS_DELETED = "rows of doomed pictures are gone"
    COLLECTION_HIDDEN = "the collection's name is free"
    VECTORS_DROPPED = "a collection of Milvus is gone"
    COLLECTION_DELETED = "the collection's row is gone"
    GENERATION_OPENED = "a new generation has its number"
    GENERATION_NOTED = "pictures are noted to have a vector in the new generation"
    GENERATION_SWAPPED = "the new generation is served"


After = Callable[[Step], None]
"""Told of every step, in the thread that did it: for tests of crashes."""


def unobserved(step: Step) -> None:
    """Nobody wants to know."""
