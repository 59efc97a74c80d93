"""Where images lie: paths with the size and time of the file there, and what follows when one leads to another picture."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from tsir.paging import chunks
from tsir.records import Begun, BegunStatus, FileStat, NewImage
from tsir.storage.sql.collections import Collections, Ref
from tsir.storage.sql.engine import Database
from tsir.storage.sql.images import MARKED
from tsir.storage.sql.schema import images, locations
from tsir.storage.sql.values import CHUNK, clock, finite, is_upload, loose_hash, offset, path_hash, sortable, storable, utc

SEEN = ("pending", "ready", "deleting")
"""States of images whose places are looked at."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What `Locations.begin` wrote."""

    begun: list[Begun]
    orphans: list[int]
    """Images now `deleting`, because their last path has other content."""
    stale: list[int]
    """Ready images whose places changed."""


@dataclass(frozen=True, slots=True)
class Place:
    """A row of this table."""

    id: int
    image_id: int
    file: FileStat
    missing: bool
    """Whether its file was gone at the last look."""


class BeingDeleted(Exception):
    """The same content is being deleted: finish that first, and store it anew under a new id."""

    def __init__(self, ids: list[int]) -> None:
        super().__init__(ids)
        self.ids = ids


class Locations:
    """The rows of places. Every method may raise StoreUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._paths = database.paths

    def unchanged(self, ref: Ref, files: Sequence[FileStat], *, again: bool = False) -> tuple[set[str], list[int]]:
        """Which of these paths lead to a ready or excluded image by a file of the same size and mtime; and which of their places were
        missing (ids). With `again`, excluded ones do not count."""

        def do(connection: Connection) -> tuple[set[str], list[int]]:
            Collections(self._database).again(ref, connection)
            states = ("ready",) if again else ("ready", "excluded")
            same: set[str] = set()
            back: list[int] = []
            for part in chunks(files, CHUNK):
                # A path that cannot be stored is not stored; begin() says what is wrong with it.
                wanted = {loose_hash(self._paths.stored(file.path)): file for file in part}
                query = (
                    sa.select(locations)
                    .join(images, images.c.id == locations.c.image_id)
                    .where(locations.c.collection_id == ref.id, locations.c.path_hash.in_(wanted), images.c.state.in_(states))
                )
                for row in connection.execute(query):
                    file = wanted[row.path_hash]
                    if (file.bytes, file.mtime_ns) == (row.bytes, row.mtime_ns):
                        same.add(file.path)
                        if row.missing_since is not None:
                            back.append(row.id)
            return same, back

        return self._database.read(do)

    def begin(
        self,
        ref: Ref,
        items: Sequence[NewImage],
        created_at: Mapping[str, datetime],
        ids: Mapping[str, int] | None = None,
        *,
        again: bool = True,
    ) -> Noted:
        """See `Collection.begin`. `created_at` and `ids` by content hash, of images that are not new. Raises BeingDeleted."""
        numbers = ids or {}
        hashes = [path_hash(self._paths.stored(item.file.path)) for item in items]
        first: dict[str, NewImage] = {}
        for item in items:
            first.setdefault(item.content_hash, item)
        last = dict(zip(hashes, items, strict=True))  # a path named twice: the later content counts

        def do(connection: Connection) -> Noted:
            Collections(self._database).again(ref, connection)
            known = self._by_hash(connection, ref.id, list(first))
            doomed = [row.id for row in known.values() if row.state in MARKED]
            if doomed:
                raise BeingDeleted(doomed)
            missing = [item for content_hash, item in first.items() if content_hash not in known]
            now = self._database.now(connection) if missing else datetime.min
            free = self._free(connection, [numbers[content_hash] for content_hash in first if content_hash in numbers])
            rows = [_image_row(ref.id, item, created_at.get(item.content_hash, now)) for item in missing]
            numbered = [row | {"id": number} for row in rows if (number := numbers.get(row["content_hash"])) in free]
            others = [row for row in rows if numbers.get(row["content_hash"]) not in free]
            for part in (*chunks(numbered, CHUNK), *chunks(others, CHUNK)):
                connection.execute(images.insert(), part)
            known |= self._by_hash(connection, ref.id, [item.content_hash for item in missing])
            fresh = {item.content_hash for item in missing}

            wanted = {hashed: (item, known[item.content_hash].id) for hashed, item in last.items()}
            lost, gained, back = self._place(connection, ref.id, wanted)
            orphans = self._orphans(connection, lost)
            _follow_places(connection, lost | gained | back | {row.id for row in known.values() if row.missing})
            moved = (gained | lost | back) - set(orphans) - {known[content_hash].id for content_hash in fresh}
            for ids in chunks(sorted(moved), CHUNK):
                connection.execute(images.update().where(images.c.id.in_(ids)).values(stale=True, next_generation=None))
            excluded = [row.id for row in known.values() if row.state == "excluded"]
            if again and excluded:
                for some in chunks(excluded, CHUNK):
                    connection.execute(images.update().where(images.c.id.in_(some)).values(state="pending"))
            status: dict[str, BegunStatus] = {"ready": "known", "excluded": "new" if again else "excluded"}
            begun = []
            for item in items:
                row = known[item.content_hash]
                begun.append(Begun(row.id, status.get(row.state, "new")))
            return Noted(begun, orphans, sorted(moved))

        return self._database.write(do)

    def _free(self, connection: Connection, ids: Sequence[int]) -> set[int]:
        """Those of the ids that no image has. One that an image had before was never given to another."""
        taken: set[int] = set()
        for part in chunks(ids, CHUNK):
            taken |= set(connection.execute(sa.select(images.c.id).where(images.c.id.in_(part))).scalars())
        return set(ids) - taken

    def _by_hash(self, connection: Connection, collection_id: int, content_hashes: Sequence[str]) -> dict[str, Any]:
        """Images by content hash, locked: nobody deletes them until this transaction ends."""
        found: dict[str, Any] = {}
        for part in chunks(sorted(content_hashes), CHUNK):
            query = sa.select(images.c.id, images.c.content_hash, images.c.state, images.c.missing).where(
                images.c.collection_id == collection_id, images.c.content_hash.in_(part)
            )
            for row in connection.execute(query.with_for_update()):
                found[row.content_hash] = row
        return found

    def _place(
        self, connection: Connection, collection_id: int, wanted: Mapping[str, tuple[NewImage, int]]
    ) -> tuple[set[int], set[int], set[int]]:
        """Let each path (by its hash) lead to its image, new ones in the order given, which is the order in which they are shown.

        Returns the images that lost one, those that gained one, and those at one of whose places there is a file again.
        """
        lost: set[int] = set()
        gained: set[int] = set()
        back: set[int] = set()
        for part in chunks(list(wanted), CHUNK):
            query = sa.select(locations).where(locations.c.collection_id == collection_id, locations.c.path_hash.in_(part))
            present = {row.path_hash: row for row in connection.execute(query)}
            added, changed = [], {}
            for hashed in part:
                item, image_id = wanted[hashed]
                row = present.get(hashed)
                if row is None:
                    added.append(_location_row(collection_id, image_id, self._paths.stored(item.file.path), item.file, hashed))
                    gained.add(image_id)
                elif (row.image_id, row.bytes, row.mtime_ns, row.missing_since) != (image_id, item.file.bytes, item.file.mtime_ns, None):
                    if row.missing_since is not None:
                        back.add(image_id)
                    changed[row.id] = {"image_id": image_id, "bytes": item.file.bytes, "mtime_ns": item.file.mtime_ns}
                    if row.image_id != image_id:
                        lost.add(row.image_id)
                        gained.add(image_id)
            if added:
                connection.execute(locations.insert(), added)
            if changed:
                values = {
                    column: sa.case({id: row[column] for id, row in changed.items()}, value=locations.c.id)
                    for column in ("image_id", "bytes", "mtime_ns")
                }
                connection.execute(locations.update().where(locations.c.id.in_(changed)).values(**values, missing_since=None))
        return lost, gained, back

    def _orphans(self, connection: Connection, candidates: Iterable[int]) -> list[int]:
        """Mark those of the images that have no place left as `deleting`."""
        orphans: list[int] = []
        for ids in chunks(sorted(candidates), CHUNK):
            # Locked first: another process may be adding a place to one of them right now.
            connection.execute(sa.select(images.c.id).where(images.c.id.in_(ids)).with_for_update()).all()
            placed = set(connection.execute(sa.select(locations.c.image_id).where(locations.c.image_id.in_(ids)).distinct()).scalars())
            empty = [id for id in ids if id not in placed]
            if empty:
                connection.execute(images.update().where(images.c.id.in_(empty)).values(state="deleting"))
            orphans += empty
        return orphans

    def leftovers(self, ids: Sequence[int]) -> tuple[list[str], list[str]]:
        """Paths and content hashes that only these images have: what belongs to them alone on disk."""

        def do(connection: Connection) -> tuple[list[str], list[str]]:
            paths: list[str] = []
            hashes: list[str] = []
            for part in chunks(ids, CHUNK):
                mine = connection.execute(sa.select(locations.c.path, locations.c.path_hash).where(locations.c.image_id.in_(part))).all()
                kept: set[str] = set()
                for some in chunks([row.path_hash for row in mine], CHUNK):
                    query = sa.select(locations.c.path_hash).where(locations.c.path_hash.in_(some), locations.c.image_id.not_in(part))
                    kept |= set(connection.execute(query).scalars())
                paths += [self._paths.real(row.path) for row in mine if row.path_hash not in kept]
                leaving = images.c.state == "leaving"  # their thumbnails stay: their rows do, too
                own = list(connection.execute(sa.select(images.c.content_hash).where(images.c.id.in_(part), ~leaving).distinct()).scalars())
                query = sa.select(images.c.content_hash).where(images.c.content_hash.in_(own), images.c.id.not_in(part))
                shared = set(connection.execute(query).scalars())
                hashes += [content_hash for content_hash in own if content_hash not in shared]
            return paths, hashes

        return self._database.read(do)

    def places(
        self, collection_id: int, after: int, limit: int, root: str | None = None, *, missing: bool = False, before: datetime | None = None
    ) -> list[Place]:
        """Places of a collection, ids rising from above `after`; of those at or below `root`, or only the missing ones (since `before`).

        Those of excluded images are left out."""
        query = (
            sa.select(locations)
            .join(images, images.c.id == locations.c.image_id)
            .where(locations.c.collection_id == collection_id, locations.c.id > after, self._below(root), images.c.state.in_(SEEN))
        )
        if missing:
            query = query.where(locations.c.missing_since.is_not(None))
        if before is not None:
            query = query.where(locations.c.missing_since < utc(before))
        query = query.order_by(locations.c.id).limit(limit)
        return self._database.read(lambda connection: [self._record(row) for row in connection.execute(query)])

    def _below(self, root: str | None, table: Any = locations) -> sa.ColumnElement[bool]:
        """At or below the folder."""
        if root is None:
            return sa.true()
        # All paths that begin with "root/": "0" is the character after "/". Works without escaping, in binary collation.
        folder = self._paths.stored(root.rstrip("/"))
        found = sa.or_(table.c.path == folder, sa.and_(table.c.path >= folder + "/", table.c.path < folder + "0"))
        if self._paths.folder.is_relative_to(root):
            found = sa.or_(found, is_upload(table.c.path))
        return found

    def _record(self, row: Any) -> Place:
        stat = FileStat(self._paths.real(row.path), row.bytes, row.mtime_ns)
        return Place(row.id, row.image_id, stat, row.missing_since is not None)

    def mark(self, ids: Sequence[int], missing: bool) -> tuple[int, list[int]]:
        """Note that the files of places are gone, or there again.

        Returns how many images lost the last one by that, or got the first; and those to be written anew, since the folder filter knows
        an image by the places that are there.
        """

        def do(connection: Connection) -> tuple[int, list[int]]:
            since = self._database.now(connection) if missing else None
            other = locations.c.missing_since.is_(None) if missing else locations.c.missing_since.is_not(None)
            count = 0
            stale: list[int] = []
            for part in chunks(ids, CHUNK):
                of_image = connection.execute(sa.select(locations.c.image_id).where(locations.c.id.in_(part), other).distinct())
                owners = sorted(of_image.scalars())
                connection.execute(sa.select(images.c.id).where(images.c.id.in_(owners)).with_for_update()).all()
                connection.execute(locations.update().where(locations.c.id.in_(part), other).values(missing_since=since))
                count += _follow_places(connection, owners)
                several = sa.select(locations.c.image_id).where(locations.c.image_id.in_(owners)).group_by(locations.c.image_id)
                moved = list(connection.execute(several.having(sa.func.count() > 1)).scalars())
                if moved:
                    connection.execute(images.update().where(images.c.id.in_(moved)).values(stale=True, next_generation=None))
                stale += moved
            return count, stale

        return self._database.write(do)

    def superseded(self, collection_id: int, root: str) -> list[int]:
        """Missing places below `root` (ids) of images that lie there elsewhere: their files were renamed."""
        elsewhere = locations.alias()
        query = sa.select(locations.c.id).where(
            locations.c.collection_id == collection_id,
            locations.c.missing_since.is_not(None),
            self._below(root),
            sa.exists().where(
                elsewhere.c.image_id == locations.c.image_id, elsewhere.c.missing_since.is_(None), self._below(root, elsewhere)
            ),
        )
        return self._database.read(lambda connection: list(connection.execute(query).scalars()))

    def elsewhere(self, collection_id: int, after: int, limit: int, root: str) -> list[Place]:
        """Places outside `root`, not missing, of images that lie below it, too; ids rising from above `after`."""
        here = locations.alias()
        query = sa.select(locations).where(
            locations.c.collection_id == collection_id,
            locations.c.id > after,
            locations.c.missing_since.is_(None),
            ~self._below(root),
            sa.exists().where(here.c.image_id == locations.c.image_id, here.c.missing_since.is_(None), self._below(root, here)),
        )
        query = query.order_by(locations.c.id).limit(limit)
        return self._database.read(lambda connection: [self._record(row) for row in connection.execute(query)])

    def relocate(
        self, ref: Ref, old: str, new: str, after: int, limit: int, staying: Callable[[FileStat, str], bool]
    ) -> tuple[int, int, set[int]] | None:
        """Move the next places (ids from above `after`) from below one folder to below another; uploads are not meant, nor those that are
        `staying`, which is asked of the file and its new path.

        Returns the last id that was looked at, how many were moved, and the ready images that they are of; None when none is left.
        """
        old, new = old.rstrip("/"), new.rstrip("/")
        query = sa.select(locations).where(
            locations.c.collection_id == ref.id, locations.c.id > after, self._below(old or "/"), ~is_upload(locations.c.path)
        )
        query = query.order_by(locations.c.id).limit(limit)
        seen = self._database.read(lambda connection: connection.execute(query).all())
        if not seen:
            return None
        # The disk is asked outside of the transaction: it may take its time.
        stay = {row.id for row in seen if staying(self._record(row).file, new + row.path[len(old) :])}

        def do(connection: Connection) -> tuple[int, int, set[int]]:
            Collections(self._database).again(ref, connection)
            rows = [row for row in connection.execute(query) if row.id not in stay]
            moved: set[int] = set()
            count = 0
            for part in chunks(rows, CHUNK):
                wanted = {row.id: new + row.path[len(old) :] for row in part}
                hashes = {id: path_hash(self._paths.stored(path)) for id, path in wanted.items()}
                taken = sa.select(locations.c.path_hash, locations.c.image_id).where(
                    locations.c.collection_id == ref.id, locations.c.path_hash.in_(hashes.values())
                )
                there = {row.path_hash: row.image_id for row in connection.execute(taken)}
                double = [row.id for row in part if there.get(hashes[row.id]) == row.image_id]
                going = [row for row in part if hashes[row.id] not in there]
                if double:  # it was imported from there already
                    connection.execute(locations.delete().where(locations.c.id.in_(double)))
                if going:
                    ids = [row.id for row in going]
                    values = {
                        "path": sa.case({id: self._paths.stored(wanted[id]) for id in ids}, value=locations.c.id),
                        "path_hash": sa.case({id: hashes[id] for id in ids}, value=locations.c.id),
                        "name": sa.case({id: sortable(posixpath.basename(wanted[id])) for id in ids}, value=locations.c.id),
                    }
                    connection.execute(locations.update().where(locations.c.id.in_(ids)).values(**values))
                owners = {row.image_id for row in going} | {row.image_id for row in part if row.id in set(double)}
                for some in chunks(sorted(owners), CHUNK):
                    connection.execute(images.update().where(images.c.id.in_(some)).values(stale=True, next_generation=None))
                _follow_places(connection, owners)
                moved |= owners
                count += len(going) + len(double)
            return seen[-1].id, count, moved

        return self._database.write(do)

    def forget(self, ids: Sequence[int]) -> tuple[int, list[int], list[int]]:
        """Delete locations; returns how many there were, the images `deleting` because none is left, and the ready ones that lost one."""

        def do(connection: Connection) -> tuple[int, list[int], list[int]]:
            count = 0
            lost: set[int] = set()
            for part in chunks(ids, CHUNK):
                lost |= set(connection.execute(sa.select(locations.c.image_id).where(locations.c.id.in_(part))).scalars())
                count += connection.execute(locations.delete().where(locations.c.id.in_(part))).rowcount
            orphans = self._orphans(connection, lost)
            moved = sorted(lost - set(orphans))
            _follow_places(connection, moved)
            for some in chunks(moved, CHUNK):
                connection.execute(images.update().where(images.c.id.in_(some)).values(stale=True, next_generation=None))
            return count, orphans, moved

        return self._database.write(do)

    def file_stats(self, ids: Sequence[int]) -> dict[int, list[FileStat]]:
        """Where the images lie, the oldest place first."""

        def do(connection: Connection) -> dict[int, list[FileStat]]:
            found: dict[int, list[FileStat]] = {}
            for part in chunks(ids, CHUNK):
                query = sa.select(locations).where(locations.c.image_id.in_(part)).order_by(locations.c.id)
                for row in connection.execute(query):
                    found.setdefault(row.image_id, []).append(self._record(row).file)
            return found

        return self._database.read(do)

    def images_at(self, ref: Ref, paths: Sequence[str]) -> dict[str, int]:
        """Images by the path at which they lie, or lay."""

        def do(connection: Connection) -> dict[str, int]:
            Collections(self._database).again(ref, connection)
            found: dict[str, int] = {}
            for part in chunks(paths, CHUNK):
                hashed = {loose_hash(self._paths.stored(path)): path for path in part}
                query = (
                    sa.select(locations.c.path_hash, locations.c.image_id)
                    .join(images, images.c.id == locations.c.image_id)
                    .where(locations.c.collection_id == ref.id, locations.c.path_hash.in_(hashed), images.c.state == "ready")
                )
                found |= {hashed[row.path_hash]: row.image_id for row in connection.execute(query)}
            return found

        return self._database.read(do)

    def missing_below(self, collection_id: int, root: str) -> int:
        """How many places at or below the folder are missing."""
        query = sa.select(sa.func.count()).select_from(locations)
        mine = query.where(locations.c.collection_id == collection_id, locations.c.missing_since.is_not(None), self._below(root))
        return self._database.read(lambda connection: connection.execute(mine).scalar_one())

    def knows_uploads(self) -> bool:
        """Whether there are uploads, be they missing."""
        query = (
            sa.select(locations.c.id)
            .join(images, images.c.id == locations.c.image_id)
            .where(is_upload(locations.c.path), images.c.state.in_(SEEN))
        )
        return self._database.read(lambda connection: connection.execute(query.limit(1)).first() is not None)

    def excluded_below(self, collection_id: int, root: str) -> int:
        """How many excluded images have a place at or below the folder."""
        query = (
            sa.select(sa.func.count(sa.distinct(images.c.id)))
            .join(locations, locations.c.image_id == images.c.id)
            .where(images.c.collection_id == collection_id, images.c.state == "excluded", self._below(root))
        )
        return self._database.read(lambda connection: connection.execute(query).scalar_one())

    def known_paths(self, paths: Sequence[str]) -> set[str]:
        """Those of the paths that any image has."""

        def do(connection: Connection) -> set[str]:
            found: set[str] = set()
            for part in chunks(paths, CHUNK):
                hashed = {loose_hash(self._paths.stored(path)): path for path in part}
                query = sa.select(locations.c.path_hash).where(locations.c.path_hash.in_(hashed))
                found |= {hashed[value] for value in connection.execute(query).scalars()}
            return found

        return self._database.read(do)


def _follow_places(connection: Connection, ids: Iterable[int]) -> int:
    """Note in the images what their places make of them: the name of the first one, and whether they are missing, which they are while none
    of their places has its file. Returns of how many the latter changed."""
    there = sa.exists().where(locations.c.image_id == images.c.id, locations.c.missing_since.is_(None)).correlate(images)
    changed = 0
    for part in chunks(sorted(ids), CHUNK):
        for gone in (True, False):
            wrong = sa.and_(images.c.id.in_(part), images.c.missing != gone, ~there if gone else there)
            changed += connection.execute(images.update().where(wrong).values(missing=gone)).rowcount
        first = (
            sa.select(locations.c.name)
            .where(locations.c.image_id == images.c.id, sa.or_(locations.c.missing_since.is_(None), images.c.missing))
            .order_by(locations.c.id)
            .limit(1)
            .correlate(images)
            .scalar_subquery()
        )
        connection.execute(images.update().where(images.c.id.in_(part)).values(name=sa.func.coalesce(first, "")))
    return changed


def _image_row(collection_id: int, item: NewImage, created_at: datetime) -> dict[str, Any]:
    facts = item.metadata
    return {
        "collection_id": collection_id,
        "content_hash": item.content_hash,
        "state": "pending",
        "width": facts.width,
        "height": facts.height,
        "bytes": item.file.bytes,
        "format": facts.format[:32],
        "taken_at": clock(facts.taken_at),
        "taken_offset": offset(facts.taken_at),
        "camera": storable(facts.camera, 255),
        "latitude": finite(facts.latitude),
        "longitude": finite(facts.longitude),
        "created_at": utc(created_at),
        "stale": False,
        "next_generation": None,
        "missing": False,
    }


def _location_row(collection_id: int, image_id: int, path: str, file: FileStat, hashed: str) -> dict[str, Any]:
    return {
        "image_id": image_id,
        "collection_id": collection_id,
        "path": path,
        "path_hash": hashed,
        "name": sortable(posixpath.basename(path)),
        "bytes": file.bytes,
        "mtime_ns": file.mtime_ns,
    }
