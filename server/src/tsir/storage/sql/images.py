"""Images in SQL: their facts, their states, and the records that are handed out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from tsir.errors import EncoderMismatch, InvalidInput
from tsir.paging import chunks
from tsir.records import Image, ImageMetadata
from tsir.storage.filters import Missing
from tsir.storage.sql.collections import Collections, Ref
from tsir.storage.sql.engine import Database
from tsir.storage.sql.schema import collections, images, locations
from tsir.storage.sql.values import CHUNK, UploadPaths, aware, path_hash


@dataclass(frozen=True, slots=True)
class Facts:
    """What the vector store keeps beside an image's vector."""

    id: int
    state: str
    metadata: ImageMetadata
    stale: bool
    paths: tuple[str, ...]
    """Where its file is; of an image that is missing, where it was."""


class Images:
    """The rows of images. Every method may raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._uploads = database.paths

    def facts(
        self, collection_id: int, ids: Sequence[int], connection: Connection | None = None, *, lock: bool = False
    ) -> dict[int, Facts]:
        """What the vector store keeps of the pending and ready ones of these images of the collection."""
        if connection is None:
            return self._database.read(lambda connection: self.facts(collection_id, ids, connection))
        found: dict[int, Facts] = {}
        for part in chunks(sorted(ids), CHUNK):
            query = (
                sa.select(images)
                .where(images.c.id.in_(part), images.c.collection_id == collection_id, images.c.state != "deleting")
                .order_by(images.c.id)
            )
            rows = connection.execute(query.with_for_update() if lock else query).all()
            paths = _paths(connection, part, self._uploads)
            for row in rows:
                found[row.id] = Facts(row.id, row.state, _metadata(row), row.stale, tuple(paths.get(row.id, ())))
        return found

    def settle(self, ref: Ref, written: Mapping[int, Facts]) -> tuple[list[int], list[int]]:
        """Vectors and facts were written to the generation that `ref` serves: make the images ready.

        Returns the ids that are gone or being deleted (their vectors must go), and those whose places changed meanwhile (write them again).
        Raises EncoderMismatch when another generation is served by now.
        """

        def do(connection: Connection) -> tuple[list[int], list[int]]:
            served = Collections(self._database).again(ref, connection, share=True)
            if served.generation != ref.generation:
                raise EncoderMismatch(f"{ref.name!r} was re-encoded with {served.encoder.name} meanwhile. Import again.")
            now = self.facts(ref.id, list(written), connection, lock=True)
            gone = [id for id in written if id not in now]
            stale = [id for id, facts in now.items() if facts.paths != written[id].paths]
            for part in chunks(sorted(now), CHUNK):
                connection.execute(images.update().where(images.c.id.in_(part)).values(state="ready", stale=False))
            for part in chunks(stale, CHUNK):
                connection.execute(images.update().where(images.c.id.in_(part)).values(stale=True, next_generation=None))
            return gone, stale

        return self._database.write(do)

    def stale(self, collection_id: int) -> list[int]:
        """Ready images whose places changed since Milvus was told of them, ids rising; a million at most."""
        query = sa.select(images.c.id).where(images.c.collection_id == collection_id, images.c.state == "ready", images.c.stale)
        return self._database.read(lambda connection: list(connection.execute(query.order_by(images.c.id).limit(10**6)).scalars()))

    def unready(self, ids: Sequence[int]) -> None:
        """Ready images turn out to have no vector: they wait for one again."""

        def do(connection: Connection) -> None:
            for part in chunks(ids, CHUNK):
                connection.execute(images.update().where(images.c.id.in_(part), images.c.state == "ready").values(state="pending"))

        self._database.write(do)

    def start_delete(self, ref: Ref, ids: Sequence[int]) -> list[int]:
        """Mark images; returns those that exist."""

        def do(connection: Connection) -> list[int]:
            Collections(self._database).again(ref, connection)
            marked: list[int] = []
            for part in chunks(sorted({id for id in ids if abs(id) < 2**63}), CHUNK):
                query = sa.select(images.c.id).where(images.c.collection_id == ref.id, images.c.id.in_(part))
                found = list(connection.execute(query.with_for_update()).scalars())
                if found:
                    connection.execute(images.update().where(images.c.id.in_(found)).values(state="deleting"))
                marked += found
            return marked

        return self._database.write(do)

    def deleting(self, collection_id: int, limit: int, everything: bool = False) -> list[int]:
        """Images of a collection that are marked; with `everything`, all of them."""
        query = sa.select(images.c.id).where(images.c.collection_id == collection_id)
        if not everything:
            query = query.where(images.c.state == "deleting")
        return self._database.read(lambda connection: list(connection.execute(query.order_by(images.c.id).limit(limit)).scalars()))

    def delete(self, ids: Sequence[int], everything: bool = False) -> int:
        """Delete images that are marked (with `everything`: all of these) and their places; returns how many."""

        def do(connection: Connection) -> int:
            count = 0
            for part in chunks(ids, CHUNK):
                query = sa.select(images.c.id).where(images.c.id.in_(part))
                if not everything:
                    query = query.where(images.c.state == "deleting")
                marked = list(connection.execute(query.with_for_update()).scalars())
                if marked:
                    connection.execute(locations.delete().where(locations.c.image_id.in_(marked)))
                    count += connection.execute(images.delete().where(images.c.id.in_(marked))).rowcount
            return count

        return self._database.write(do)

    def page(
        self,
        ref: Ref,
        limit: int,
        *,
        after: int | None = None,
        before: int | None = None,
        state: str = "ready",
        lacking: int | None = None,
        missing: Missing = "any",
    ) -> list[Image]:
        """Ids rising from above `after`, or else falling from below `before`; `lacking`: only those without a vector in that generation."""
        query = sa.select(images).where(images.c.collection_id == ref.id, images.c.state == state, _shown(missing))
        if after is not None:
            query = query.where(images.c.id > after).order_by(images.c.id)
        else:
            query = query.order_by(images.c.id.desc())
            if before is not None:
                query = query.where(images.c.id < before)
        if lacking is not None:
            query = query.where(sa.or_(images.c.next_generation.is_(None), images.c.next_generation != lacking))
        return self._database.read(lambda connection: self._records(connection, ref.name, connection.execute(query.limit(limit)).all()))

    def ready(self, ref: Ref, ids: Sequence[int], missing: Missing = "any") -> dict[int, Image]:
        """The ready ones of these images."""

        def do(connection: Connection) -> dict[int, Image]:
            found: dict[int, Image] = {}
            for part in chunks(ids, CHUNK):
                query = sa.select(images).where(
                    images.c.id.in_(part), images.c.collection_id == ref.id, images.c.state == "ready", _shown(missing)
                )
                found |= {record.id: record for record in self._records(connection, ref.name, connection.execute(query).all())}
            return found

        return self._database.read(do)

    def hashes(self, ref: Ref, after: int, limit: int) -> list[tuple[int, str]]:
        """(id, content hash) of ready images whose files are there, ids rising from above `after`."""
        query = sa.select(images.c.id, images.c.content_hash).where(
            images.c.collection_id == ref.id, images.c.state == "ready", images.c.id > after, _shown("false")
        )
        return self._database.read(
            lambda connection: [(row.id, row.content_hash) for row in connection.execute(query.order_by(images.c.id).limit(limit))]
        )

    def missing_ids(self, collection_id: int, limit: int) -> list[int]:
        """Ids of ready images whose files are not there, rising."""
        query = sa.select(images.c.id).where(images.c.collection_id == collection_id, images.c.state == "ready", _shown("true"))
        return self._database.read(lambda connection: list(connection.execute(query.order_by(images.c.id).limit(limit)).scalars()))

    def of_content(self, content_hash: str) -> list[tuple[Ref, Image]]:
        """Images of that content in all collections, also those that wait for their vector, with the collections they are in."""

        def do(connection: Connection) -> list[tuple[Ref, Image]]:
            query = sa.select(images).where(images.c.content_hash == content_hash, images.c.state != "deleting")
            found = []
            for row in connection.execute(query).all():
                ref = Collections(self._database).by_id(row.collection_id, connection)
                if ref is not None:
                    found += [(ref, image) for image in self._records(connection, ref.name, [row])]
            return found

        return self._database.read(do)

    def ready_ids(self, collection_id: int, low: int, high: int) -> list[int]:
        """Ids of ready images with low <= id < high, rising."""
        query = sa.select(images.c.id).where(
            images.c.collection_id == collection_id, images.c.state == "ready", images.c.id >= low, images.c.id < high
        )
        return self._database.read(lambda connection: list(connection.execute(query.order_by(images.c.id)).scalars()))

    def known_ids(self, collection_id: int, ids: Sequence[int]) -> set[int]:
        """Those of the ids that have a row that is not being deleted."""

        def do(connection: Connection) -> set[int]:
            found: set[int] = set()
            for part in chunks(ids, CHUNK):
                query = sa.select(images.c.id).where(
                    images.c.id.in_(part), images.c.collection_id == collection_id, images.c.state != "deleting"
                )
                found |= set(connection.execute(query).scalars())
            return found

        return self._database.read(do)

    def known_hashes(self, content_hashes: Sequence[str]) -> set[str]:
        """Those of the content hashes that any image has."""

        def do(connection: Connection) -> set[str]:
            found: set[str] = set()
            for part in chunks(content_hashes, CHUNK):
                found |= set(connection.execute(sa.select(images.c.content_hash).where(images.c.content_hash.in_(part))).scalars())
            return found

        return self._database.read(do)

    def last_id(self, collection_id: int) -> int:
        """The highest id of a collection; 0 when it has no image."""
        query = sa.select(sa.func.max(images.c.id)).where(images.c.collection_id == collection_id)
        return self._database.read(lambda connection: connection.execute(query).scalar()) or 0

    def find_path(self, path: str) -> Image | None:
        """The ready image of any collection that lies at exactly this path."""
        try:
            hashed = path_hash(self._uploads.stored(path))
        except InvalidInput:
            return None

        def do(connection: Connection) -> Image | None:
            query = (
                sa.select(images, collections.c.name.label("collection_name"))
                .join(locations, locations.c.image_id == images.c.id)
                .join(collections, collections.c.id == images.c.collection_id)
                .where(locations.c.path_hash == hashed, images.c.state == "ready", collections.c.state == "ready")
                .where(locations.c.missing_since.is_(None))
                .order_by(images.c.id)
                .limit(1)
            )
            row = connection.execute(query).first()
            return next(iter(self._records(connection, row.collection_name, [row])), None) if row else None

        return self._database.read(do)

    def _records(self, connection: Connection, name: str, rows: Sequence[Row[Any]]) -> list[Image]:
        records = []
        for part in chunks(rows, CHUNK):
            paths = _paths(connection, [row.id for row in part], self._uploads)
            records += [_image(name, row, paths[row.id]) for row in part if row.id in paths]
        return records


def _shown(missing: Missing) -> sa.ColumnElement[bool]:
    return sa.true() if missing == "any" else images.c.missing == (missing == "true")


def _paths(connection: Connection, ids: Sequence[int], uploads: UploadPaths) -> dict[int, list[str]]:
    """The places of each image that are there, or all of one that is missing; the oldest first."""
    there: dict[int, list[str]] = {}
    gone: dict[int, list[str]] = {}
    query = sa.select(locations.c.image_id, locations.c.path, locations.c.missing_since).where(locations.c.image_id.in_(ids))
    for row in connection.execute(query.order_by(locations.c.image_id, locations.c.id)):
        (there if row.missing_since is None else gone).setdefault(row.image_id, []).append(uploads.real(row.path))
    return gone | there


def _image(name: str, row: Row[Any], paths: Sequence[str]) -> Image:
    return Image(
        id=row.id,
        collection=name,
        paths=tuple(paths),
        content_hash=row.content_hash,
        bytes=row.bytes,
        metadata=_metadata(row),
        created_at=row.created_at.replace(tzinfo=timezone.utc),
        missing=row.missing,
    )


def _metadata(row: Row[Any]) -> ImageMetadata:
    return ImageMetadata(
        width=row.width,
        height=row.height,
        format=row.format,
        taken_at=aware(row.taken_at),
        camera=row.camera,
        latitude=row.latitude,
        longitude=row.longitude,
    )
