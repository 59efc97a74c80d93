"""Generations of vectors: the one that a collection serves, and the one that is being made by another encoder."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tsir.errors import Conflict
from tsir.paging import chunks
from tsir.records import EncoderInfo
from tsir.storage.sql.collections import Collections, Ref
from tsir.storage.sql.engine import Database
from tsir.storage.sql.images import Facts, Images
from tsir.storage.sql.schema import collections, images
from tsir.storage.sql.values import CHUNK

NONE = {"next_generation": None, "next_encoder_name": None, "next_encoder_fingerprint": None, "next_dim": None}
"""The columns of a collection that makes no generation."""


class Generations:
    """The generations of collections. Every method may raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._collections = Collections(database)
        self._images = Images(database)

    def begin(self, ref: Ref, encoder: EncoderInfo, *, copy: bool = False) -> tuple[Ref, int | None]:
        """Open a generation, or find the open one of that encoder; returns also the number of one that was thrown away for it.

        `copy`: of the encoder that serves. Raises Conflict when the collection has the encoder already, or is being re-encoded (`copy`).
        """

        def do(connection: Connection) -> tuple[Ref, int | None]:
            now = self._collections.again(ref, connection, alone=True)
            if copy and now.next_encoder is not None and now.next_encoder.fingerprint != encoder.fingerprint:
                raise Conflict(f"{now.name!r} is being re-encoded.")
            if not copy and now.encoder.fingerprint == encoder.fingerprint:
                raise Conflict(f"{now.name!r} is encoded with {encoder.name} ({encoder.fingerprint}) already.")
            if now.next_encoder is not None and now.next_encoder.fingerprint == encoder.fingerprint:
                return now, None
            connection.execute(
                collections.update()
                .where(collections.c.id == ref.id)
                .values(
                    last_generation=now.last_generation + 1,
                    next_generation=now.last_generation + 1,
                    next_encoder_name=encoder.name,
                    next_encoder_fingerprint=encoder.fingerprint,
                    next_dim=encoder.dim,
                )
            )
            return self._collections.again(ref, connection), now.next_generation

        return self._database.write(do)

    def settle(self, ref: Ref, generation: int, written: Mapping[int, Facts]) -> list[int]:
        """Note that these images have a vector in the generation, except where their places changed meanwhile; returns those that are gone.

        Where another process made the generation the served one meanwhile, those whose places changed are noted as stale.
        Raises Conflict when the generation was given up.
        """

        def do(connection: Connection) -> list[int]:
            collection = self._collections.again(ref, connection, share=True)
            if generation not in (collection.next_generation, collection.generation):
                raise Conflict(f"Re-encoding of {ref.name!r} was given up meanwhile.")
            now = self._images.facts(ref.id, list(written), connection, lock=True)
            moved = {id for id, facts in now.items() if facts.paths != written[id].paths}
            served = collection.generation == generation
            changes: dict[str, object] = {"stale": True} if served else {"next_generation": generation}
            for part in chunks(sorted(moved if served else now.keys() - moved), CHUNK):
                connection.execute(images.update().where(images.c.id.in_(part)).values(**changes))
            return [id for id in written if id not in now]

        return self._database.write(do)

    def swap(self, ref: Ref, generation: int, index: str, *, whole: bool = False) -> tuple[Ref, int, bool]:
        """Serve the generation; returns the row before, how many images became pending, and whether it was done just now.

        `whole`: only if every ready image has a vector in it; otherwise nothing happens.
        """

        def do(connection: Connection) -> tuple[Ref, int, bool]:
            before = self._collections.again(ref, connection, alone=True)
            if before.generation == generation:
                return before, 0, False
            if before.next_generation != generation or before.next_encoder is None:
                raise Conflict(f"Re-encoding of {ref.name!r} was given up meanwhile.")
            # Images that were ready, or that a running import finished for the old generation only, have no vector in the new one.
            mine = images.c.collection_id == before.id
            lacking = sa.or_(images.c.next_generation.is_(None), images.c.next_generation != generation)
            if whole and connection.execute(sa.select(images.c.id).where(mine, images.c.state == "ready", lacking).limit(1)).first():
                return before, 0, False
            pending = connection.execute(images.update().where(mine, images.c.state == "ready", lacking).values(state="pending")).rowcount
            connection.execute(images.update().where(mine, images.c.next_generation.is_not(None)).values(next_generation=None, stale=False))
            connection.execute(
                collections.update()
                .where(collections.c.id == before.id)
                .values(
                    generation=generation,
                    encoder_name=before.next_encoder.name,
                    encoder_fingerprint=before.next_encoder.fingerprint,
                    dim=before.next_encoder.dim,
                    vector_index=index,
                    **NONE,
                )
            )
            return before, pending, True

        return self._database.write(do)

    def abort(self, ref: Ref) -> int | None:
        """Give an unfinished generation up; returns its number, None when there is none."""

        def do(connection: Connection) -> int | None:
            now = self._collections.again(ref, connection)
            if now.next_generation is not None:
                connection.execute(collections.update().where(collections.c.id == ref.id).values(**NONE))
            return now.next_generation

        return self._database.write(do)
