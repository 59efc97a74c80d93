"""Images in SQL: their facts, their states, and the records that are handed out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tsir.errors import EncoderMismatch, InvalidInput
from tsir.paging import chunks
from tsir.records import Image, ImageMetadata
from tsir.storage.sql.collections import Collections, Ref
from tsir.storage.sql.engine import Database
from tsir.storage.sql.schema import collections, images, locations
from tsir.storage.sql.values import CHUNK, UploadPaths, is_upload, path_hash, taken

MARKED = ("deleting", "leaving")
"""States of images on their way out: `leaving` ones become `excluded`."""

RECORD: tuple[sa.Column[Any], ...] = (
    images.c.id,
    images.c.content_hash,
    images.c.bytes,
    images.c.created_at,
    images.c.missing,
    images.c.width,
    images.c.height,
    images.c.format,
    images.c.taken_at,
    images.c.taken_offset,
    images.c.camera,
    images.c.latitude,
    images.c.longitude,
)
"""The columns of which a record is made: the first ones of each row that becomes one. By their places, since names take three times as
long."""
PLACE: tuple[sa.Column[Any], ...] = (locations.c.path, locations.c.missing_since)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the vector store keeps beside an image's vector."""

    id: int
    state: str
    metadata: ImageMetadata
    bytes: int
    created_at: datetime
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
                sa.select(*RECORD, images.c.state, images.c.stale)
                .where(images.c.id.in_(part), images.c.collection_id == collection_id, images.c.state.in_(("pending", "ready")))
                .order_by(images.c.id)
            )
            rows = connection.execute(query.with_for_update() if lock else query).all()
            paths = _paths(connection, part, self._uploads)
            for row in rows:
                found[row.id] = Facts(
                    id=row.id,
                    state=row.state,
                    metadata=_metadata(*row[5:13]),
                    bytes=row.bytes,
                    created_at=row.created_at,
                    stale=row.stale,
                    paths=tuple(paths.get(row.id, ())),
                )
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

    def start_delete(self, ref: Ref, ids: Sequence[int], *, exclude: bool = False) -> tuple[list[int], list[int]]:
        """Mark images; returns those that are marked just now, and those that were already: somebody deletes them, or died in the middle.

        With `exclude`, those that lie in folders will keep their rows, as excluded ones.
        """

        def do(connection: Connection) -> tuple[list[int], list[int]]:
            Collections(self._database).again(ref, connection)
            marked: list[int] = []
            already: list[int] = []
            for part in chunks(sorted({id for id in ids if abs(id) < 2**63}), CHUNK):
                query = sa.select(images.c.id, images.c.state).where(images.c.collection_id == ref.id, images.c.id.in_(part))
                rows = connection.execute(query.where(images.c.state != "excluded").with_for_update())
                states = {row.id: row.state for row in rows}
                already += [id for id, state in states.items() if state in MARKED]
                if found := [id for id, state in states.items() if state not in MARKED]:
                    state = sa.case((_placed(uploaded=False), "leaving"), else_="deleting") if exclude else "deleting"
                    connection.execute(images.update().where(images.c.id.in_(found)).values(state=state))
                    marked += found
            return marked, already

        return self._database.write(do)

    def deleting(self, collection_id: int, limit: int, everything: bool = False) -> list[int]:
        """Images of a collection that are marked; with `everything`, all of them."""
        query = sa.select(images.c.id).where(images.c.collection_id == collection_id)
        if not everything:
            query = query.where(images.c.state.in_(MARKED))
        return self._database.read(lambda connection: list(connection.execute(query.order_by(images.c.id).limit(limit)).scalars()))

    def delete(self, ids: Sequence[int], everything: bool = False) -> int:
        """Delete images that are marked (with `everything`: all of these) and their places; returns how many.

        Those that are to be excluded keep their rows and their places in folders.
        """

        def do(connection: Connection) -> int:
            count = 0
            for part in chunks(ids, CHUNK):
                query = sa.select(images.c.id).where(images.c.id.in_(part))
                if not everything:
                    query = query.where(images.c.state == "deleting")
                    self._exclude(connection, part)
                marked = list(connection.execute(query.with_for_update()).scalars())
                if marked:
                    connection.execute(locations.delete().where(locations.c.image_id.in_(marked)))
                    count += connection.execute(images.delete().where(images.c.id.in_(marked))).rowcount
            return count

        return self._database.write(do)

    def _exclude(self, connection: Connection, ids: Sequence[int]) -> None:
        leaving = list(
            connection.execute(sa.select(images.c.id).where(images.c.id.in_(ids), images.c.state == "leaving").with_for_update()).scalars()
        )
        if leaving:
            connection.execute(locations.delete().where(locations.c.image_id.in_(leaving), is_upload(locations.c.path)))
            connection.execute(images.update().where(images.c.id.in_(leaving)).values(state="excluded", stale=False, next_generation=None))

    def include(self, ref: Ref, ids: Sequence[int] | None = None) -> list[int]:
        """Excluded images (None: all) wait for their vectors again; returns those that were excluded."""

        def do(connection: Connection) -> list[int]:
            Collections(self._database).again(ref, connection)
            excluded = sa.select(images.c.id).where(images.c.collection_id == ref.id, images.c.state == "excluded")
            found: list[int] = []
            for part in chunks(sorted({id for id in ids if abs(id) < 2**63}), CHUNK) if ids is not None else [None]:
                query = excluded if part is None else excluded.where(images.c.id.in_(part))
                found += connection.execute(query.with_for_update()).scalars()
            for part in chunks(found, CHUNK):
                connection.execute(images.update().where(images.c.id.in_(part)).values(state="pending"))
            return found

        return self._database.write(do)

    def only_copies(self, ref: Ref, ids: Sequence[int] | None = None) -> tuple[int, int]:
        """How many of these images (None: all) there are, and how many of them lie among the uploads and nowhere else."""

        def do(connection: Connection) -> tuple[int, int]:
            Collections(self._database).again(ref, connection)
            mine = sa.and_(images.c.collection_id == ref.id, images.c.state.in_(("pending", "ready")))
            known = only = 0
            for part in chunks(sorted({id for id in ids if abs(id) < 2**63}), CHUNK) if ids is not None else [None]:
                asked = mine if part is None else sa.and_(mine, images.c.id.in_(part))
                there = sa.or_(_placed(uploaded=False, there=True), _shared())
                count = sa.select(sa.func.count()).select_from(images)
                known += connection.execute(count.where(asked)).scalar_one()
                only += connection.execute(count.where(asked, _placed(uploaded=True), ~there)).scalar_one()
            return known, only

        return self._database.read(do)

    def page(
        self,
        ref: Ref,
        limit: int,
        *,
        after: int | None = None,
        before: int | None = None,
        state: str | Sequence[str] = "ready",
        lacking: int | None = None,
        ids: Sequence[int] | None = None,
        uploaded: bool = False,
    ) -> list[Image]:
        """Ids rising from above `after`, or else falling from below `before`; `lacking`: only those without a vector in that generation.

        `ids`: only of these, at most CHUNK; `uploaded`: only those with a place among the uploads.
        """
        states = [state] if isinstance(state, str) else state
        query = sa.select(*RECORD).where(images.c.collection_id == ref.id, images.c.state.in_(states))
        if ids is not None:
            query = query.where(images.c.id.in_(ids))
        if uploaded:
            query = query.where(_placed(uploaded=True))
        if after is not None:
            query = query.where(images.c.id > after).order_by(images.c.id)
        else:
            query = query.order_by(images.c.id.desc())
            if before is not None:
                query = query.where(images.c.id < before)
        if lacking is not None:
            query = query.where(sa.or_(images.c.next_generation.is_(None), images.c.next_generation != lacking))
        query = query.limit(limit)
        return self._database.read(lambda connection: records(connection, self._uploads, ref.name, connection.execute(query).all()))

    def ready(self, ref: Ref, ids: Sequence[int]) -> dict[int, Image]:
        """The ready ones of these images."""

        def do(connection: Connection) -> dict[int, Image]:
            found: dict[int, Image] = {}
            for part in chunks(ids, CHUNK):
                query = sa.select(*RECORD).where(images.c.id.in_(part), images.c.collection_id == ref.id, images.c.state == "ready")
                rows = connection.execute(query).all()
                found |= {record.id: record for record in records(connection, self._uploads, ref.name, rows)}
            return found

        return self._database.read(do)

    def content(self, collection: str, id: int) -> str | None:
        """Content hash of a ready image of the collection of that name; None when there is none."""
        query = (
            sa.select(images.c.content_hash)
            .join(collections, collections.c.id == images.c.collection_id)
            .where(images.c.id == id, images.c.state == "ready", collections.c.name == collection, collections.c.state != "dropping")
        )
        return self._database.read(lambda connection: connection.execute(query).scalar())

    def hashes(self, ref: Ref, after: int, limit: int) -> list[tuple[int, str]]:
        """(id, content hash) of ready images whose files are there, ids rising from above `after`."""
        query = sa.select(images.c.id, images.c.content_hash).where(
            images.c.collection_id == ref.id,
            images.c.state == "ready",
            images.c.id > after,
            images.c.missing == False,  # noqa: E712
        )
        return self._database.read(
            lambda connection: [(row.id, row.content_hash) for row in connection.execute(query.order_by(images.c.id).limit(limit))]
        )

    def of_content(self, content_hash: str) -> list[tuple[Ref, Image]]:
        """Images of that content in all collections, also those that wait for their vector, with the collections they are in."""

        def do(connection: Connection) -> list[tuple[Ref, Image]]:
            query = sa.select(*RECORD, images.c.collection_id).where(
                images.c.content_hash == content_hash, images.c.state.in_(("pending", "ready"))
            )
            found = []
            for row in connection.execute(query).all():
                ref = Collections(self._database).by_id(row.collection_id, connection)
                if ref is not None:
                    found += [(ref, image) for image in records(connection, self._uploads, ref.name, [row])]
            return found

        return self._database.read(do)

    def ready_ids(self, collection_id: int, low: int, high: int) -> list[int]:
        """Ids of ready images with low <= id < high, rising."""
        query = sa.select(images.c.id).where(
            images.c.collection_id == collection_id, images.c.state == "ready", images.c.id >= low, images.c.id < high
        )
        return self._database.read(lambda connection: list(connection.execute(query.order_by(images.c.id)).scalars()))

    def known_ids(self, collection_id: int, ids: Sequence[int]) -> set[int]:
        """Those of the ids that have a row that has a vector, or will."""

        def do(connection: Connection) -> set[int]:
            found: set[int] = set()
            for part in chunks(ids, CHUNK):
                query = sa.select(images.c.id).where(
                    images.c.id.in_(part), images.c.collection_id == collection_id, images.c.state.in_(("pending", "ready"))
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
                sa.select(*RECORD, collections.c.name.label("collection_name"))
                .join(locations, locations.c.image_id == images.c.id)
                .join(collections, collections.c.id == images.c.collection_id)
                .where(locations.c.path_hash == hashed, images.c.state == "ready", collections.c.state == "ready")
                .where(locations.c.missing_since.is_(None))
                .order_by(images.c.id)
                .limit(1)
            )
            row = connection.execute(query).first()
            return next(iter(records(connection, self._uploads, row.collection_name, [row])), None) if row else None

        return self._database.read(do)


def records(connection: Connection, uploads: UploadPaths, name: str, rows: Sequence[Sequence[Any]]) -> list[Image]:
    """What is handed out of rows that begin with RECORD, in their order; `name`: of their collection."""
    found = []
    for part in chunks(rows, CHUNK):
        paths = _paths(connection, [row[0] for row in part], uploads)
        found += [_image(name, row, paths[row[0]]) for row in part if row[0] in paths]
    return found


def records_of(uploads: UploadPaths, name: str, rows: Sequence[Sequence[Any]]) -> dict[int, Image]:
    """The same of rows of RECORD and PLACE, one for each place, the oldest first."""
    paths = _real([(row[0], *row[-2:]) for row in rows], uploads)
    return {id: _image(name, row, paths[id]) for id, row in {row[0]: row for row in rows}.items()}


def _placed(*, uploaded: bool, there: bool = False) -> sa.ColumnElement[bool]:
    """An image has a place among the uploads, or one elsewhere; `there`: with its file."""
    where = is_upload(locations.c.path) if uploaded else ~is_upload(locations.c.path)
    found = sa.exists().where(locations.c.image_id == images.c.id, where)
    return (found.where(locations.c.missing_since.is_(None)) if there else found).correlate(images)


def _shared() -> sa.ColumnElement[bool]:
    """An image of another collection has one of the places of an image, too."""
    mine, others = locations.alias(), locations.alias()
    same = sa.and_(others.c.path_hash == mine.c.path_hash, others.c.image_id != mine.c.image_id)
    return sa.exists().select_from(mine.join(others, same)).where(mine.c.image_id == images.c.id).correlate(images)


def _paths(connection: Connection, ids: Sequence[int], uploads: UploadPaths) -> dict[int, list[str]]:
    """The places of each image, as `_real` has them."""
    query = sa.select(locations.c.image_id, *PLACE).where(locations.c.image_id.in_(ids))
    return _real(connection.execute(query.order_by(locations.c.image_id, locations.c.id)).all(), uploads)


def _real(places: Sequence[Sequence[Any]], uploads: UploadPaths) -> dict[int, list[str]]:
    """Of image, path and time since when its file is gone: the paths of each image that are there, or all of one that is missing."""
    there: dict[int, list[str]] = {}
    gone: dict[int, list[str]] = {}
    for id, path, missing_since in places:
        (there if missing_since is None else gone).setdefault(id, []).append(uploads.real(path))
    return gone | there


def _image(name: str, row: Sequence[Any], paths: Sequence[str]) -> Image:
    id, content_hash, size, created_at, missing = row[:5]
    return Image(
        id=id,
        collection=name,
        paths=tuple(paths),
        content_hash=content_hash,
        bytes=size,
        metadata=_metadata(*row[5:13]),
        created_at=created_at.replace(tzinfo=timezone.utc),
        missing=missing,
    )


def _metadata(
    width: int,
    height: int,
    format: str,
    taken_at: datetime | None,
    taken_offset: int | None,
    camera: str | None,
    latitude: float | None,
    longitude: float | None,
) -> ImageMetadata:
    return ImageMetadata(width, height, format, taken(taken_at, taken_offset), camera, latitude, longitude)
