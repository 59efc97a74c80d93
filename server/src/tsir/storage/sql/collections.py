"""Collections in SQL: which there are, and which generation of vectors each serves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from tsir.errors import Conflict, NotFound
from tsir.records import CollectionState, CollectionSummary, EncoderInfo
from tsir.storage.sql.engine import Database
from tsir.storage.sql.schema import collections, images


@dataclass(frozen=True, slots=True)
class Ref:
    """A collection's row without its counts: what a call needs to know before it touches vectors."""

    id: int
    name: str
    state: str
    encoder: EncoderInfo
    generation: int
    index: str
    last_generation: int
    next_generation: int | None
    next_encoder: EncoderInfo | None
    created_at: datetime

    @property
    def state_shown(self) -> CollectionState:
        """What people are told: vectors that are only copied into a newer schema are nobody's business."""
        return "reencoding" if self.next_encoder not in (None, self.encoder) else "ready"


class Collections:
    """The rows of collections. Every method may raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ref(self, name: str, connection: Connection | None = None, *, share: bool = False) -> Ref:
        """The collection's row. Raises NotFound. `share` keeps it from changing until the transaction ends."""
        if connection is None:
            return self._database.read(lambda connection: self.ref(name, connection))
        query = sa.select(collections).where(collections.c.name == name, collections.c.state != "dropping")
        row = connection.execute(query.with_for_update(read=True) if share else query).first()
        if row is None:
            existing = connection.execute(
                sa.select(collections.c.name).where(collections.c.state == "ready").order_by(collections.c.name).limit(20)
            ).scalars()
            names = ", ".join(existing)
            raise NotFound(f"There is no collection {name!r}. " + (f"There are: {names}." if names else "There is none yet."))
        return _ref(row)

    def again(self, ref: Ref, connection: Connection | None = None, *, share: bool = False, alone: bool = False) -> Ref:
        """The same collection's row as it is now. Raises NotFound when it was dropped, whoever may have its name by now.

        `share` keeps it from changing until the transaction ends, `alone` also from being read so.
        """
        if connection is None:
            return self._database.read(lambda connection: self.again(ref, connection))
        query = sa.select(collections).where(collections.c.id == ref.id, collections.c.state != "dropping")
        if share or alone:
            query = query.with_for_update(read=not alone)
        row = connection.execute(query).first()
        if row is not None:
            return _ref(row)
        self.ref(ref.name, connection)
        raise NotFound(f"The collection {ref.name!r} was dropped; another has its name now.")

    def by_id(self, id: int, connection: Connection) -> Ref | None:
        """The row of a collection that can be used, by its number."""
        row = connection.execute(sa.select(collections).where(collections.c.id == id, collections.c.state == "ready")).first()
        return _ref(row) if row is not None else None

    def refs(self, *states: str) -> list[Ref]:
        """All collections in one of these states (none named: in any), by name."""
        query = sa.select(collections).order_by(collections.c.name)
        if states:
            query = query.where(collections.c.state.in_(states))
        return self._database.read(lambda connection: [_ref(row) for row in connection.execute(query)])

    def describe(self, ref: Ref | None = None) -> list[CollectionSummary]:
        """All collections, or this one, with counts: reads every image's index entry."""

        def do(connection: Connection) -> list[CollectionSummary]:
            query = sa.select(collections).where(collections.c.state == "ready").order_by(collections.c.name)
            found = [self.again(ref, connection)] if ref is not None else [_ref(row) for row in connection.execute(query)]
            return [
                CollectionSummary(
                    id=one.id,
                    name=one.name,
                    encoder=one.encoder,
                    count=self.count(one.id, connection) - (missing := self.missing(one.id, connection)),
                    pending=self.count(one.id, connection, "pending"),
                    missing=missing,
                    excluded=self.count(one.id, connection, "excluded"),
                    state=one.state_shown,
                    created_at=one.created_at,
                )
                for one in found
            ]

        return self._database.read(do)

    def count(self, collection_id: int, connection: Connection | None = None, state: str = "ready") -> int:
        """How many images of a collection are in that state."""
        if connection is None:
            return self._database.read(lambda connection: self.count(collection_id, connection, state))
        query = sa.select(sa.func.count()).select_from(images)
        return connection.execute(query.where(images.c.collection_id == collection_id, images.c.state == state)).scalar_one()

    def missing(self, collection_id: int, connection: Connection | None = None) -> int:
        """How many ready images of a collection are missing."""
        if connection is None:
            return self._database.read(lambda connection: self.missing(collection_id, connection))
        query = sa.select(sa.func.count()).select_from(images)
        of_it = query.where(images.c.collection_id == collection_id, images.c.missing == True, images.c.state == "ready")  # noqa: E712
        return connection.execute(of_it).scalar_one()

    def create(self, name: str, encoder: EncoderInfo, index: str, state: str = "ready") -> tuple[Ref, bool]:
        """The collection of that name, and whether it was created just now."""

        def do(connection: Connection) -> tuple[Ref, bool]:
            query = sa.select(collections).where(collections.c.name == name)
            row = connection.execute(query).first()
            if row is not None:
                return _ref(row), False
            connection.execute(
                collections.insert().values(
                    name=name,
                    state=state,
                    encoder_name=encoder.name,
                    encoder_fingerprint=encoder.fingerprint,
                    dim=encoder.dim,
                    generation=1,
                    last_generation=1,
                    vector_index=index,
                    created_at=self._database.now(connection),
                )
            )
            return _ref(connection.execute(query).one()), True

        return self._database.write(do)

    def start_drop(self, ref: Ref, also: Callable[[Connection], object] | None = None) -> None:
        """Mark the collection; its name is free at once. `also` is done in the same transaction."""

        def do(connection: Connection) -> None:
            self.again(ref, connection)
            # No user may choose a name that begins with "-".
            hidden = {"state": "dropping", "name": f"-dropping-{ref.id}"}
            connection.execute(collections.update().where(collections.c.id == ref.id).values(**hidden))
            if also is not None:
                also(connection)

        self._database.write(do)

    def rename(self, ref: Ref, name: str, also: Callable[[Connection], object] | None = None) -> Ref:
        """Call the collection by another name. Raises Conflict when that is taken. `also` is done in the same transaction."""

        def do(connection: Connection) -> Ref:
            self.again(ref, connection, alone=True)
            taken = connection.execute(sa.select(collections.c.id).where(collections.c.name == name, collections.c.id != ref.id)).first()
            if taken is not None:
                raise Conflict(f"There is a collection {name!r} already: choose another name.")
            connection.execute(collections.update().where(collections.c.id == ref.id).values(name=name))
            if also is not None:
                also(connection)
            return self.again(ref, connection)

        return self._database.write(do)

    def abandon(self, id: int) -> None:
        """Mark a collection that has a hidden name already for dropping."""
        self._database.write(
            lambda connection: connection.execute(collections.update().where(collections.c.id == id).values(state="dropping"))
        )

    def reveal(self, names: Mapping[int, str]) -> None:
        """Give restored collections their names, all or none. Raises Conflict when one is taken."""

        def do(connection: Connection) -> None:
            taken = connection.execute(sa.select(collections.c.name).where(collections.c.name.in_(names.values()))).scalars().all()
            if taken:
                raise Conflict(f"There is a collection {taken[0]!r} already. Drop it, or restore into another library.")
            for id, name in names.items():
                connection.execute(collections.update().where(collections.c.id == id).values(state="ready", name=name))

        self._database.write(do)

    def delete(self, id: int) -> None:
        """Delete the row of a collection whose images are gone."""
        self._database.write(lambda connection: connection.execute(collections.delete().where(collections.c.id == id)))

    def set_index(self, id: int, index: str, instead_of: str) -> bool:
        """Note that the collection has outgrown its index; False when another process noted it first."""
        statement = collections.update().where(collections.c.id == id, collections.c.vector_index == instead_of).values(vector_index=index)
        return self._database.write(lambda connection: connection.execute(statement).rowcount == 1)


def _ref(row: Row[Any]) -> Ref:
    upcoming = EncoderInfo(row.next_encoder_name, row.next_encoder_fingerprint, row.next_dim) if row.next_generation is not None else None
    return Ref(
        id=row.id,
        name=row.name,
        state=row.state,
        encoder=EncoderInfo(row.encoder_name, row.encoder_fingerprint, row.dim),
        generation=row.generation,
        index=row.vector_index,
        last_generation=row.last_generation,
        next_generation=row.next_generation,
        next_encoder=upcoming,
        created_at=row.created_at.replace(tzinfo=timezone.utc),
    )
