"""`tsir search`: asks the server that holds DATA_DIR, or opens the library; shows what was found as lines, as a table or as a page."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import webbrowser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image as PILImage

from tsir.commands import remote
from tsir.commands.terminal import print_json, say, show
from tsir.errors import TsirError
from tsir.programs.client import Client
from tsir.programs.hits import Hits, gallery
from tsir.programs.local import Library
from tsir.programs.progress import plain
from tsir.searching.query import Collapse, Sort, read_examples
from tsir.searching.search import Hint
from tsir.services.views import HitOut, ImageOut
from tsir.settings import Settings
from tsir.storage.filters import conditions

HINTS: dict[Hint, str] = {
    "nothing_likely": "No picture is a likely answer; others may come near.",
    "language": "This encoder may not know the language of these words: try English.",
}

PICTURE_WIDTH = 24
"""Columns of a thumbnail in a table."""


@dataclass(frozen=True)
class Wanted:
    """What a search asks for, as it was typed."""

    query: str | None
    text: str | None
    not_text: str | None
    sketch: Path | None
    image: Path | None
    like: Sequence[str]
    not_like: Sequence[str]
    collections: str | None
    limit: int
    min_relevance: float | None
    collapse: Collapse | None
    sort: Sort
    filter: Mapping[str, str]
    """By the names of the filter's fields."""


@contextmanager
def library(settings: Settings) -> Iterator[Client | Library]:
    """The server's, if one runs, or the one in DATA_DIR."""
    server = remote.find(settings)
    if server is not None:
        with Client(server.url, server.token) as client:
            yield client
    else:
        with Library(settings) as here:
            yield here


def find(settings: Settings, collection: str, wanted: Wanted, *, table: bool, page: bool, as_json: bool) -> None:
    """Search, and print the hits; with `table` with their thumbnails, with `page` as a contact sheet in the browser."""
    with library(settings) as asked:
        hits = asked.search(
            wanted.query,
            text=wanted.text,
            not_text=wanted.not_text,
            sketch=wanted.sketch,
            image=wanted.image,
            like=_examples("like", wanted.like),
            not_like=_examples("not_like", wanted.not_like),
            limit=wanted.limit,
            min_relevance=wanted.min_relevance,
            collapse=wanted.collapse,
            sort=wanted.sort,
            collection=collection,
            collections=wanted.collections,
            **{name: _value(name, text) for name, text in wanted.filter.items()},
        )
        if as_json:
            print_json(hits.result.model_dump(mode="json"))
        elif table:
            _table(asked, hits)
        else:
            for hit in hits:
                show(f"{hit.score:7.4f}  {hit.path}")
        if page and len(hits):
            say(f"The page is at {_contact_sheet(asked, hits, wanted)}.")
    if as_json:
        return
    if hits.result.hint is not None:
        say(HINTS[hits.result.hint])
    elif not len(hits):
        say("Nothing found: no picture fits what was asked for." if wanted.filter else f"Nothing found in the collection {collection!r}.")


def _examples(name: str, given: Sequence[str]) -> list[int | tuple[int, Sequence[float]]]:
    return [one.id if one.box is None else (one.id, one.box) for one in read_examples(name, given)]


def _value(name: str, text: str) -> Any:
    """A condition as JSON has it. What is none is left as it is: the filter says what would be right."""
    kind = conditions()[name].kind
    types = kind.schema.get("type")
    try:
        if types == "integer":
            return int(text)
        if types == "number":
            return float(text)
        if types == "boolean":
            return {"true": True, "yes": True, "false": False, "no": False}[text.lower()]
        if types == "array":
            of = {"integer": int, "number": float}.get(kind.schema.get("items", {}).get("type"), str)
            return [of(part.strip()) for part in text.split(",") if part.strip()]
    except (ValueError, KeyError):
        return text
    return str(Path(text).expanduser().absolute()) if kind.name == "folder" else text


def _table(asked: Client | Library, hits: Hits) -> None:
    """Thumbnails as the terminal can show them: by kitty's or the sixel protocol, or else as coloured half blocks.
    One that does not say how large it is shows none."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
    from textual_image.renderable import Image as Rendered

    sized = 0 not in os.get_terminal_size(sys.stdout.fileno()) if sys.stdout.isatty() else True
    found = Table(show_header=False, box=None, padding=(0, 1, 1, 0))
    for hit in hits:
        taken = hit.taken_at.strftime("%Y-%m-%d %H:%M") if hit.taken_at else ""
        facts = [f"{hit.score:.4f}", f"{hit.id}", f"{hit.width} x {hit.height}", taken]
        cells: list[object] = [Text(plain(hit.path), overflow="fold"), Text("\n".join(filter(None, facts)))]
        data = _thumbnail(asked, hit) if sized else None
        picture = Text("") if data is None else Rendered(PILImage.open(io.BytesIO(data)).convert("RGB"), width=PICTURE_WIDTH)
        found.add_row(picture, *cells)  # type: ignore[arg-type]
    Console().print(found)


def _thumbnail(asked: Client | Library, image: ImageOut) -> bytes | None:
    try:
        return asked.thumbnail(image)
    except TsirError:  # its file is gone, perhaps
        return None


def _contact_sheet(asked: Client | Library, hits: Sequence[HitOut], wanted: Wanted) -> Path:
    """A page with the hits, which is opened; it holds the thumbnails, and leads to the files."""
    title = escape(wanted.query or wanted.text or "Pictures")
    body = gallery(
        hits,
        lambda images: [_thumbnail(asked, image) for image in images],
        lambda image: Path(image.path).as_uri() if Path(image.path).is_absolute() else None,
        shown=len(hits),
    )
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><h1>{title}</h1>{body}</html>'
    with tempfile.NamedTemporaryFile("w", prefix="tsir-", suffix=".html", delete=False, encoding="utf-8", errors="replace") as file:
        file.write(page)
    webbrowser.open(Path(file.name).as_uri())
    return Path(file.name)
