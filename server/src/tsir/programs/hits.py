"""What a search found, for programs to go through and for notebooks to show."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import overload

from tsir.services.views import HitOut, ImageOut, SearchResult, TookMs

Thumbnails = Callable[[Sequence[ImageOut]], list[bytes | None]]
"""The small thumbnails of some pictures, JPEG or WebP; None for one that cannot be made now."""

SHOWN = 60
"""Pictures that a notebook shows of a page; more would make it heavy."""

STYLE = "display:inline-block;width:160px;margin:4px;vertical-align:top;font:12px sans-serif;overflow-wrap:anywhere"


class Hits(Sequence[HitOut]):
    """A page of hits, best first. A notebook shows them as pictures."""

    def __init__(self, result: SearchResult, thumbnails: Thumbnails) -> None:
        self.result = result
        """As the server's JSON has it."""
        self._thumbnails = thumbnails

    @property
    def next(self) -> str | None:
        """`cursor` of the next page, for the very same query; None on the last."""
        return self.result.next

    @property
    def took_ms(self) -> TookMs:
        """Milliseconds of each stage."""
        return self.result.took_ms

    @overload
    def __getitem__(self, index: int) -> HitOut: ...
    @overload
    def __getitem__(self, index: slice) -> Hits: ...
    def __getitem__(self, index: int | slice) -> HitOut | Hits:
        if isinstance(index, slice):
            return Hits(self.result.model_copy(update={"hits": self.result.hits[index]}), self._thumbnails)
        return self.result.hits[index]

    def __len__(self) -> int:
        return len(self.result.hits)

    def __iter__(self) -> Iterator[HitOut]:
        return iter(self.result.hits)

    def __repr__(self) -> str:
        lines = [f"{hit.score:7.4f}  {hit.id:>8}  {hit.path!r}" for hit in self.result.hits[:SHOWN]]
        return "\n".join([f"{len(self)} hits", *lines, *(["..."] if len(self) > SHOWN else [])])

    def _repr_html_(self) -> str:
        return gallery(self.result.hits, self._thumbnails)


def gallery(
    images: Sequence[ImageOut],
    thumbnails: Thumbnails,
    link: Callable[[ImageOut], str | None] = lambda image: None,
    shown: int = SHOWN,
) -> str:
    """HTML of the first pictures with their scores and names; the thumbnails are in it, so that it can be kept. `link`: where one leads."""
    if not images:
        return "<p>Nothing found.</p>"
    first = images[:shown]
    tiles = [_tile(image, data, link(image)) for image, data in zip(first, thumbnails(first), strict=True)]
    more = f"<p>... and {len(images) - shown:,} more.</p>" if len(images) > shown else ""
    return f"<div>{''.join(tiles)}</div>{more}"


def _tile(image: ImageOut, thumbnail: bytes | None, link: str | None) -> str:
    name, path = escape(image.path.rpartition("/")[2]), escape(image.path)
    if thumbnail is None:
        picture = "<div>(no thumbnail)</div>"
    else:
        data, kind = base64.b64encode(thumbnail).decode(), "webp" if thumbnail.startswith(b"RIFF") else "jpeg"
        picture = f'<img alt="{name}" style="max-width:160px;max-height:160px" src="data:image/{kind};base64,{data}">'
    if link is not None:
        picture = f'<a href="{escape(link)}">{picture}</a>'
    score = f"{image.score:.3f} · " if isinstance(image, HitOut) else ""
    return f'<figure style="{STYLE}" title="{path}">{picture}<figcaption>{score}{image.id}<br>{name}</figcaption></figure>'
