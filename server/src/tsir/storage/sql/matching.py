"""What a filter asks of the catalog's pictures, in SQL: see `storage.conditions.Rows`."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tsir.storage import filters
from tsir.storage.filters import Filter, Missing
from tsir.storage.sql.collections import Ref
from tsir.storage.sql.engine import Database
from tsir.storage.sql.schema import images, locations
from tsir.storage.sql.values import sortable


class Matching:
    """Conditions on rows of `images`. Nothing that a person wrote gets into a statement but as a parameter."""

    def __init__(self, database: Database, *, whole: bool = False) -> None:
        """`whole`: the rows are a collection's, not a few of them: what asks for places goes through all places once, not through those
        of each picture."""
        self._whole = whole
        self._dialect = database.dialect
        self._paths = database.paths

    def all(self, ref: Ref, filter: Filter | None, missing: Missing | None = None) -> sa.ColumnElement[bool]:
        """Ready pictures of a collection that a filter lets through. `missing`: instead of what the filter says of it."""
        return sa.and_(
            images.c.collection_id == ref.id,
            images.c.state == "ready",
            shown(missing or filters.missing(filter)),
            *filters.rows(filter, self),
        )

    @property
    def images(self) -> Any:
        return images.c

    def below(self, folder: str) -> sa.ColumnElement[bool]:
        # All paths that begin with "folder/": "0" is the character after "/". Works without escaping, in binary collation.
        start = folder.rstrip("/")
        return self._placed(sa.and_(self.path() >= f"{start}/", self.path() < f"{start}0"))

    def at(self, pattern: str) -> sa.ColumnElement[bool]:
        return self._placed(self._dialect.like(self.path(), pattern))

    def named(self, pattern: str) -> sa.ColumnElement[bool]:
        return self._placed(self._dialect.like(locations.c.name, sortable(pattern)))

    def shot_with(self, pattern: str) -> sa.ColumnElement[bool]:
        # Both sides are lowered by the database, whatever it takes for a letter.
        return self._dialect.like(images.c.camera, pattern, lowered=True)

    def within(self, latitude: float, longitude: float, km: float) -> sa.ColumnElement[bool]:
        return sa.and_(
            images.c.latitude.is_not(None),
            images.c.longitude.is_not(None),
            # A degree of latitude is 111 km everywhere: most pictures need no trigonometry.
            images.c.latitude.between(latitude - km / 110, latitude + km / 110),
            self._dialect.kilometres(images.c.latitude, images.c.longitude, latitude, longitude) <= km,
        )

    def path(self) -> sa.ColumnElement[str]:
        """The absolute path of a place."""
        start = self._paths.PREFIX
        uploaded = sa.and_(locations.c.path >= start, locations.c.path < start[:-1] + chr(ord(start[-1]) + 1))
        short = sa.func.substr(locations.c.path, len(start) + 1)
        return sa.case((uploaded, self._dialect.joined(f"{self._paths.folder}/", short)), else_=locations.c.path)

    def _placed(self, where: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        """One of the places where the picture is, or, when it is missing, was, is so."""
        if self._whole:
            of = images.alias()
            counts = sa.or_(locations.c.missing_since.is_(None), of.c.missing)
            there = sa.select(locations.c.image_id).join(of, of.c.id == locations.c.image_id).where(counts, where)
            return images.c.id.in_(there.correlate(None))
        counts = sa.or_(locations.c.missing_since.is_(None), images.c.missing)
        return sa.exists().where(locations.c.image_id == images.c.id, counts, where).correlate(images)


def shown(missing: Missing) -> sa.ColumnElement[bool]:
    """Of pictures whose files are not there: none, only these, or all alike."""
    return sa.true() if missing == "any" else images.c.missing == (missing == "true")
