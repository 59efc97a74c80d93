"""`search` and `similar`, with the same arguments for all who answer them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from tsir.programs.asked import Asked, Like, Likes, Picture, Texts, asked
from tsir.searching.query import Collapse, Sort
from tsir.services.views import ImageOut

H = TypeVar("H", covariant=True)
"""Hits, or hits to be awaited."""


class Searching(ABC, Generic[H]):
    """Something that can be searched."""

    @abstractmethod
    def _found(self, collection: str | None, asked: Asked) -> H: ...

    def search(
        self,
        query: str | None = None,
        *,
        text: Texts | None = None,
        not_text: Texts | None = None,
        sketch: Picture | None = None,
        image: Picture | None = None,
        like: Likes | None = None,
        not_like: Likes | None = None,
        weights: Mapping[str, float] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        min_score: float | None = None,
        min_relevance: float | None = None,
        collapse: Collapse | None = None,
        sort: Sort = "relevance",
        collection: str | None = None,
        collections: Texts | None = None,
        **conditions: Any,
    ) -> H:
        """Find pictures, best first: one page of at most `limit` hits (default: TOP_K of the library, 20).

        What is wanted is said by at least one of `query` (a line in the query language: "a dog in the snow -people after:2023"), `text`
        (one or several, as they are), `sketch` (a drawing, dark on white or transparent), `image` (a picture that looks like it) and `like`
        (a hit or the id of a picture of the collection, or several; (hit, (left, top, right, bottom)) with shares of the sides is a part
        of one); `not_text` and `not_like` say what is not. Pictures are paths, bytes, PIL images or uint8 arrays (`tsir.Picture`).
        `weights` says how much each part counts, {"text": 1, "sketch": 0.5}. `collapse="duplicates"` (or "bursts") makes one hit of
        pictures that are one; `sort` is "relevance", "taken" or "imported". `cursor` is the `next` of the page before. `collections` are
        searched as well as `collection` ("all": all there are); they must be of one encoder. `conditions` are the fields of a filter, such
        as taken_after=datetime(2024, 1, 1), min_width=800 or folder="/photos/holidays"; `tsir search --help` lists them.
        Raises InvalidInput (InvalidImage, TooLarge) for what cannot be used, NotFound for an unknown collection or `like`, EncoderMismatch
        when another encoder made the collection's vectors.
        """
        texts = {"query": query, "text": text, "not_text": not_text}
        likes, pictures = {"like": like, "not_like": not_like}, {"sketch": sketch, "image": image}
        others = {
            "limit": limit,
            "cursor": cursor,
            "min_score": min_score,
            "min_relevance": min_relevance,
            "collapse": collapse,
            "sort": sort,
        }
        return self._found(collection, asked(texts, pictures, likes, weights, collections, others, conditions))

    def similar(
        self,
        picture: Like | Picture,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        collection: str | None = None,
        **conditions: Any,
    ) -> H:
        """Pictures that look like one of the collection (a hit, or its id), which is not among them, or like any other. As `search`."""
        like, image = (picture, None) if isinstance(picture, int | ImageOut) else (None, picture)
        if collection is None and isinstance(like, ImageOut):
            collection = like.collection
        return self.search(like=like, image=image, limit=limit, cursor=cursor, collection=collection, **conditions)
