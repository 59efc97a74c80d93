"""The pictures of a collection as one looks through them: filtered, in an order, a page at a time; and how many there are of each sort."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from tsir.errors import NotFound
from tsir.paging import chunks, decode_cursor, encode_cursor
from tsir.records import Count, Facets, Image
from tsir.storage.filters import Filter, Missing
from tsir.storage.sql.collections import Ref
from tsir.storage.sql.engine import Database
from tsir.storage.sql.images import PLACE, RECORD, records, records_of
from tsir.storage.sql.matching import Matching
from tsir.storage.sql.schema import images, locations
from tsir.storage.sql.values import CHUNK

Sort = Literal["imported", "taken", "name"]
Order = Literal["asc", "desc"]

ORDERS: dict[Sort, Order] = {"imported": "desc", "taken": "desc", "name": "asc"}
"""Sorts, and which way each goes when nothing is said: new pictures first, names from A on."""

MAX_FACETS = 1_000
"""Folders, cameras and formats that are counted, the most frequent ones."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: after this picture, wherever it was and whether or not it is still there."""

    key: str | None
    """What is sorted by, of the last picture; None: it has none, or ids alone decide."""
    id: int


class Browsing:
    """Reads of many pictures' rows. Every method may raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._matching = Matching(database)
        self._whole = Matching(database, whole=True)

    def page(
        self, ref: Ref, filter: Filter | None, sort: Sort, order: Order, after: Place | None, limit: int
    ) -> tuple[list[Image], Place | None]:
        """Ready pictures behind a place, and the place behind them; None when no more follow. Pictures without a date come last."""
        query = sa.select(*RECORD, images.c.name).where(self._matching.all(ref, filter))
        if after is not None:
            query = query.where(_behind(sort, order, after))
        query = query.order_by(*_ordered(sort, order)).limit(limit + 1)

        def do(connection: sa.Connection) -> tuple[list[Image], Place | None]:
            rows = connection.execute(query).all()
            page = rows[:limit]
            following = Place(_key(sort, page[-1]), page[-1].id) if len(rows) > limit else None
            return records(connection, self._database.paths, ref.name, page), following

        return self._database.read(do)

    def ids(self, ref: Ref, filter: Filter | None, missing: Missing, limit: int | None = None, after: int = 0) -> list[int]:
        """Ids of the pictures that a filter lets through, rising from above `after`."""
        query = sa.select(images.c.id).where(self._whole.all(ref, filter, missing), images.c.id > after)
        return self._database.read(lambda connection: self._database.dialect.numbers(connection, query.order_by(images.c.id).limit(limit)))

    def matching(self, ref: Ref, ids: Sequence[int], filter: Filter | None, missing: Missing) -> dict[int, Image]:
        """The ready ones of these images that a filter lets through."""
        let_through = self._matching.all(ref, filter, missing)

        def do(connection: sa.Connection) -> dict[int, Image]:
            found: dict[int, Image] = {}
            for part in chunks(ids, CHUNK):
                # With their places in one statement: a search waits for it.
                query = sa.select(*RECORD, *PLACE).join(locations, locations.c.image_id == images.c.id)
                query = query.where(images.c.id.in_(part), let_through).order_by(images.c.id, locations.c.id)
                found |= records_of(self._database.paths, ref.name, connection.execute(query).all())
            return found

        return self._database.read(do)

    def facets(self, ref: Ref, filter: Filter | None) -> Facets:
        """How many pictures that a filter lets through are of each year, folder, camera and format."""
        let_through = self._whole.all(ref, filter)
        year = sa.extract("year", images.c.taken_at)

        def do(connection: sa.Connection) -> Facets:
            def counted(value: Any, *, newest: bool = False) -> tuple[Count, ...]:
                of_each = sa.select(value.label("value"), sa.func.count().label("count")).select_from(images)
                query = of_each.where(let_through).group_by(value)
                query = query.order_by(value.desc()) if newest else query.order_by(sa.func.count().desc(), value).limit(MAX_FACETS)
                return tuple(Count(None if row[0] is None else str(row[0]), row[1]) for row in connection.execute(query))

            folder = self._database.dialect.folder(self._matching.path())
            lies = (
                sa.select(folder.label("value"), sa.func.count(locations.c.image_id.distinct()).label("count"))
                .join(images, images.c.id == locations.c.image_id)
                .where(let_through, sa.or_(locations.c.missing_since.is_(None), images.c.missing))
                .group_by(folder)
                .order_by(sa.func.count().desc(), folder)
                .limit(MAX_FACETS)
            )
            total = connection.execute(sa.select(sa.func.count()).select_from(images).where(let_through)).scalar_one()
            folders = tuple(Count(row[0] or "/", row[1]) for row in connection.execute(lies))
            return Facets(total, counted(year, newest=True), folders, counted(images.c.camera), counted(images.c.format))

        return self._database.read(do)


def _ordered(sort: Sort, order: Order) -> list[Any]:
    turned = [column.desc() if order == "desc" else column.asc() for column in ((images.c.id,) if sort == "imported" else _columns(sort))]
    # Descending, what has no value comes last by itself, and the index is used.
    return [images.c.taken_at.is_(None), *turned] if sort == "taken" and order == "asc" else turned


def _columns(sort: Sort) -> tuple[Any, Any]:
    return (images.c.taken_at if sort == "taken" else images.c.name), images.c.id


def _behind(sort: Sort, order: Order, place: Place) -> sa.ColumnElement[bool]:
    later = images.c.id < place.id if order == "desc" else images.c.id > place.id
    if sort == "imported":
        return later
    column = _columns(sort)[0]
    if place.key is None:
        return sa.and_(column.is_(None), later)
    key: Any = datetime.fromisoformat(place.key) if sort == "taken" else place.key
    behind = sa.or_(column < key if order == "desc" else column > key, sa.and_(column == key, later))
    return sa.or_(behind, column.is_(None)) if sort == "taken" else behind


def _key(sort: Sort, row: Any) -> str | None:
    if sort == "taken" and row.taken_at is not None:
        return str(row.taken_at.isoformat())
    return str(row.name) if sort == "name" else None


def write_cursor(place: Place, question: str) -> str:
    """An opaque cursor; `question` is what it belongs to, in a few characters."""
    return encode_cursor(json.dumps([place.id, place.key, question], separators=(",", ":")))


def read_cursor(cursor: str | None, question: str, sort: Sort) -> Place | None:
    """The place of a cursor. Raises NotFound when it is none of ours, or of another list than this."""
    if not cursor:
        return None
    text = decode_cursor(cursor, r"\[\d{1,18},.*\]")[0]
    try:
        id, key, asked = json.loads(text)
        if key is not None and sort == "taken":
            datetime.fromisoformat(key)
        if not isinstance(asked, str) or not (isinstance(key, str) or (key is None and sort != "name")):
            raise ValueError
    except (ValueError, TypeError, RecursionError):
        raise NotFound("cursor is not one of ours; use `next` of the page before, or none for the first page.") from None
    if asked != question:
        raise NotFound("cursor belongs to another list; use it with the very same filter and order, or none for the first page.")
    return Place(key, id)
