"""The catalog in SQL: collections, images, where they lie, jobs. SQLite, MySQL 8 and MariaDB through the same statements.

Everything here is one transaction per call and one statement per up to CHUNK rows. Knows no vectors: `library.py` keeps the two in step.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import logging
import math
import random
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Connection, Engine, Row, make_url

from tsir.errors import Conflict, EncoderMismatch, InvalidInput, NotFound, StoreUnavailable
from tsir.jobs import workers
from tsir.records import (
    Begun,
    Collection,
    EncoderInfo,
    FileStat,
    Image,
    ImageMetadata,
    Job,
    JobFailure,
    JobKind,
    JobState,
    NewImage,
)
from tsir.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")
K = TypeVar("K")

HEAD = "0001"
"""The newest schema revision: a catalog that has it opens without loading Alembic."""

CHUNK = 500
"""Rows per statement: SQLite allows 32,766 variables, an image has 14."""

MAX_PATH_BYTES = 16_384
"""4,096 characters, four bytes each: the longest path Linux opens."""

ATTEMPTS = 8
"""Tries of a transaction that lost against another one (a deadlock, the same picture inserted by both)."""

MYSQL_SESSION = "SET SESSION sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', time_zone='+00:00', innodb_lock_wait_timeout=20"
"""Whatever the server's defaults: nothing is cut off silently, times are UTC, a lock is waited for 20 s."""

HEARTBEAT_TIMEOUT = timedelta(seconds=60)
"""A worker elsewhere that gave no sign of life for so long is taken for dead; of one on the same system that is known at once."""

# Names of the fields: see records.py. Schema changes go into migrations/; a test compares the two.
_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
_LONG = sa.Text().with_variant(mysql.MEDIUMTEXT, "mysql")
_OPTIONS: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "sqlite_autoincrement": True,
}

metadata = sa.MetaData()

library_table = sa.Table(
    "library",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("tag", sa.String(16), nullable=False),
    sa.Column("created_at", _TIME, nullable=False),
    **{**_OPTIONS, "sqlite_autoincrement": False},
)
collections = sa.Table(
    "collections",
    metadata,
    sa.Column("id", _KEY, primary_key=True, autoincrement=True),
    sa.Column("name", sa.String(64), nullable=False, unique=True),
    sa.Column("state", sa.String(16), nullable=False),  # ready, dropping, restoring
    sa.Column("encoder_name", sa.String(255), nullable=False),
    sa.Column("encoder_fingerprint", sa.String(128), nullable=False),
    sa.Column("dim", sa.Integer, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("vector_index", sa.String(16), nullable=False),
    sa.Column("last_generation", sa.Integer, nullable=False),
    sa.Column("next_generation", sa.Integer),
    sa.Column("next_encoder_name", sa.String(255)),
    sa.Column("next_encoder_fingerprint", sa.String(128)),
    sa.Column("next_dim", sa.Integer),
    sa.Column("created_at", _TIME, nullable=False),
    **_OPTIONS,
)
images = sa.Table(
    "images",
    metadata,
    sa.Column("id", _KEY, primary_key=True, autoincrement=True),
    sa.Column("collection_id", _KEY, sa.ForeignKey("collections.id", name="fk_images_collection"), nullable=False),
    sa.Column("content_hash", sa.String(64), nullable=False),
    sa.Column("state", sa.String(8), nullable=False),  # pending, ready, deleting
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("format", sa.String(32), nullable=False),
    sa.Column("taken_at", _TIME),
    sa.Column("camera", sa.String(255)),
    sa.Column("latitude", sa.Double),
    sa.Column("longitude", sa.Double),
    sa.Column("created_at", _TIME, nullable=False),
    sa.Column("stale", sa.Boolean, nullable=False),  # its places changed since its vector was written: the folder filter is behind
    sa.Column("next_generation", sa.Integer),  # the generation in the making that already has its vector
    sa.UniqueConstraint("collection_id", "content_hash", name="uq_images_content"),
    sa.Index("ix_images_state", "collection_id", "state", "id"),
    sa.Index("ix_images_hash", "content_hash"),
    **_OPTIONS,
)
locations = sa.Table(
    "locations",
    metadata,
    sa.Column("id", _KEY, primary_key=True, autoincrement=True),
    sa.Column("image_id", _KEY, sa.ForeignKey("images.id", name="fk_locations_image"), nullable=False),
    sa.Column("collection_id", _KEY, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("path_hash", sa.String(64), nullable=False),  # MySQL cannot index a whole path
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("mtime_ns", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("collection_id", "path_hash", name="uq_locations_path"),
    sa.Index("ix_locations_image", "image_id", "id"),
    sa.Index("ix_locations_path", "path_hash"),
    sa.Index("ix_locations_sweep", "collection_id", "id"),
    **_OPTIONS,
)
jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", _KEY, primary_key=True, autoincrement=True),
    sa.Column("collection", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("spec", _LONG, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("cancelling", sa.Boolean, nullable=False),
    sa.Column("total", sa.BigInteger),
    sa.Column("done", sa.BigInteger, nullable=False),
    sa.Column("skipped", sa.BigInteger, nullable=False),
    sa.Column("failed", sa.BigInteger, nullable=False),
    sa.Column("rate", sa.Double, nullable=False),
    sa.Column("message", sa.Text),
    sa.Column("worker", sa.String(255)),
    sa.Column("heartbeat", _TIME),
    sa.Column("created_at", _TIME, nullable=False),
    sa.Column("started_at", _TIME),
    sa.Column("finished_at", _TIME),
    sa.Index("ix_jobs_state", "state", "id"),
    **_OPTIONS,
)
job_failures = sa.Table(
    "job_failures",
    metadata,
    sa.Column("id", _KEY, primary_key=True, autoincrement=True),
    sa.Column("job_id", _KEY, sa.ForeignKey("jobs.id", name="fk_failures_job"), nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("path_hash", sa.String(64), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.UniqueConstraint("job_id", "path_hash", name="uq_failures_path"),
    **_OPTIONS,
)


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


@dataclass(frozen=True, slots=True)
class Facts:
    """What the vector store keeps beside an image's vector."""

    id: int
    state: str
    metadata: ImageMetadata
    stale: bool
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Noted:
    """What `Catalog.begin` wrote."""

    begun: list[Begun]
    orphans: list[int]
    """Images now `deleting`, because their last path has other content."""
    stale: list[int]
    """Ready images whose places changed."""


class BeingDeleted(Exception):
    """The same content is being deleted: finish that first, and store it anew under a new id."""

    def __init__(self, ids: list[int]) -> None:
        super().__init__(ids)
        self.ids = ids


def chunks(items: Sequence[K], size: int = CHUNK) -> Iterator[Sequence[K]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def utc(when: datetime | None) -> datetime | None:
    """Naive UTC, as stored; a naive time is taken as UTC already. Years before 1000 are no date (MySQL has none)."""
    if when is None or when.year < 1000:
        return None
    return when.astimezone(timezone.utc).replace(tzinfo=None) if when.tzinfo else when


def aware(when: datetime | None) -> datetime | None:
    return when.replace(tzinfo=timezone.utc) if when is not None else None


def path_hash(path: str) -> str:
    """Raises InvalidInput for a path that is not valid Unicode (Linux allows such names; JSON and MySQL do not) or too long."""
    try:
        data = path.encode()
    except UnicodeEncodeError as error:
        shown = path.encode(errors="replace").decode()
        raise InvalidInput(f"The name {shown!r} is not valid Unicode. Rename the file.") from error
    if len(data) > MAX_PATH_BYTES:
        raise InvalidInput(f"The path {path[:80]!r}... is longer than {MAX_PATH_BYTES} bytes.")
    return hashlib.sha256(data).hexdigest()


def _text(value: str | None, length: int) -> str | None:
    """A string that every database stores: valid Unicode, no NUL, not too long."""
    if value is None:
        return None
    return value.encode(errors="replace").decode().replace("\0", "").strip()[:length] or None


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


class Catalog:
    """All SQL. Thread-safe. Raises StoreUnavailable when the database does not answer, never an exception of SQLAlchemy."""

    def __init__(self, settings: Settings) -> None:
        try:
            url = make_url(settings.catalog_url)
        except sa.exc.ArgumentError as error:
            raise InvalidInput("DATABASE_URL is no URL; it can be sqlite:///FILE or mysql+pymysql://USER:PASSWORD@HOST/DB.") from error
        if url.drivername in ("mysql", "mariadb", "mariadb+pymysql"):
            url = url.set(drivername="mysql+pymysql")
        self.embedded = url.get_backend_name() == "sqlite"
        if not self.embedded and url.drivername != "mysql+pymysql":
            raise InvalidInput(
                f"DATABASE_URL begins with {url.drivername}://; it can be sqlite:///FILE or mysql+pymysql://USER:PASSWORD@HOST/DB."
            )
        self._where = f"SQLite at {url.database}" if self.embedded else f"MySQL at {url.host}:{url.port or 3306}"
        # SQLite has one writer: threads queue here instead of polling its lock.
        self._writer = threading.Lock()
        self._closed = False
        if self.embedded:
            if url.database and url.database != ":memory:":
                Path(url.database).parent.mkdir(parents=True, exist_ok=True)
            self.engine: Engine = sa.create_engine(url, connect_args={"timeout": 30}, pool_size=10, max_overflow=40, pool_timeout=30)
            sa.event.listen(self.engine, "connect", _tune_sqlite)
            sa.event.listen(self.engine, "begin", _begin_sqlite)
        else:
            if "charset" not in url.query:
                url = url.update_query_dict({"charset": "utf8mb4"})
            self.engine = sa.create_engine(
                url,
                isolation_level="READ COMMITTED",  # a search sees what another process has finished
                pool_size=10,
                max_overflow=40,
                pool_timeout=30,
                pool_pre_ping=True,
                pool_recycle=1800,
                connect_args={
                    "connect_timeout": 5,
                    "read_timeout": 60,
                    "write_timeout": 60,
                    "init_command": MYSQL_SESSION,
                },
            )

    def close(self) -> None:
        """Finish the transaction that is being written, and disconnect. Idempotent."""
        with self._writer:
            self._closed = True
        self.engine.dispose()

    # Transactions

    @contextmanager
    def _errors(self) -> Iterator[None]:
        if self._closed:  # another process may have opened it by now
            raise StoreUnavailable("The library is closed.")
        try:
            yield
        except OverflowError as error:  # SQLite's answer to a key of more than 64 bits
            raise NotFound("There is nothing with so large a number.") from error
        except (sa.exc.SQLAlchemyError, OSError, RuntimeError) as error:  # pymysql raises RuntimeError when it cannot log in
            reason = str(getattr(error, "orig", None) or error).split("\n")[0][:300]
            raise StoreUnavailable(f"{self._where} does not answer as it should: {reason}") from error

    def read(self, do: Callable[[Connection], T]) -> T:
        """Run `do` in a transaction that only reads."""
        with self._errors(), self.engine.connect() as connection:
            return do(connection)

    def write(self, do: Callable[[Connection], T]) -> T:
        """Run `do` in a transaction and commit it. It runs again when it loses against another transaction, so it must only write here."""
        with self._errors():
            for attempt in range(ATTEMPTS):
                done, value = self._try(do, last=attempt == ATTEMPTS - 1)
                if done:
                    return value  # type: ignore[return-value]
                time.sleep(random.uniform(0.005, 0.05) * (attempt + 1))
        raise AssertionError("unreachable")

    def _try(self, do: Callable[[Connection], T], last: bool) -> tuple[bool, T | None]:
        try:
            if not self.embedded:
                with self.engine.begin() as connection:
                    return True, do(connection)
            with self._writer:
                if self._closed:
                    raise StoreUnavailable("The library is closed.")
                with self.engine.connect().execution_options(tsir_write=True) as connection, connection.begin():
                    return True, do(connection)
        except sa.exc.IntegrityError:
            # Another process inserted the same between our look and our insert: look again.
            if last:
                raise
        except sa.exc.OperationalError as error:
            code = error.orig.args[0] if error.orig and error.orig.args else None
            if last or code not in (1205, 1213):  # lock wait timeout, deadlock
                raise
        return False, None

    def _now(self, connection: Connection) -> datetime:
        """Naive UTC by the clock that all processes share."""
        if self.embedded:
            return datetime.now(timezone.utc).replace(tzinfo=None)
        now: datetime = connection.execute(sa.select(sa.func.utc_timestamp(sa.literal_column("6")))).scalar_one()
        return now

    # Schema

    def migrate(self) -> str:
        """Bring the schema to HEAD and return the library's tag. Raises Conflict for a schema of a newer version."""

        def version(connection: Connection) -> str | None:
            if not sa.inspect(connection).has_table("alembic_version"):
                return None
            found: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
            return found

        if not self.embedded:
            self._create_database()
        if self.read(version) != HEAD:
            with self._errors(), self._migration_lock() as connection:
                self._upgrade(connection, version(connection))
        return self.write(self._tag)

    def _create_database(self) -> None:
        """Create the database on the MySQL server unless it is there."""
        with self._errors():
            try:
                self.engine.connect().close()
            except sa.exc.OperationalError as error:
                if error.orig is None or error.orig.args[0] != 1049:  # unknown database
                    raise
                server = sa.create_engine(self.engine.url._replace(database=None), poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
                name = server.dialect.identifier_preparer.quote_identifier(self.engine.url.database or "")
                with server.connect() as connection:
                    connection.exec_driver_sql(f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4".replace("%", "%%"))

    @contextmanager
    def _migration_lock(self) -> Iterator[Connection]:
        """A connection on which nobody else migrates: SQLite by its write lock, MySQL (where DDL commits) by a named one."""
        if self.embedded:
            with self._writer, self.engine.connect().execution_options(tsir_write=True) as connection, connection.begin():
                yield connection
            return
        with self.engine.connect() as connection:
            name = "tsir:" + hashlib.sha256(str(self.engine.url.database).encode()).hexdigest()[:32]
            if connection.execute(sa.text("SELECT GET_LOCK(:name, 120)"), {"name": name}).scalar() != 1:
                raise StoreUnavailable(f"{self._where}: another process has been changing the schema for two minutes.")
            try:
                yield connection
                connection.commit()
            finally:
                connection.execute(sa.text("SELECT RELEASE_LOCK(:name)"), {"name": name})

    def _upgrade(self, connection: Connection, found: str | None) -> None:
        if found == HEAD:
            return
        from alembic import command  # a quarter of a second that most starts do not need
        from alembic.config import Config
        from alembic.script import ScriptDirectory

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
        if found is not None and found not in known:
            raise Conflict(
                f"The catalog ({self._where}) was written by a newer version of tsir (schema {found}, this one knows up to {HEAD}). "
                "Update tsir, or open another DATA_DIR or DATABASE_URL."
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        log.info("Catalog schema brought from %s to %s.", found or "nothing", HEAD)

    def _tag(self, connection: Connection) -> str:
        """A few random letters that keep the vectors of several catalogs on one Milvus apart."""
        found: str | None = connection.execute(sa.select(library_table.c.tag)).scalar()
        if found is None:
            found = secrets.token_hex(4)
            connection.execute(library_table.insert().values(id=1, tag=found, created_at=self._now(connection)))
        return found

    def ping(self) -> None:
        """Raise StoreUnavailable unless the database answers."""
        self.read(lambda connection: connection.execute(sa.text("SELECT 1")).scalar())

    # Collections

    def ref(self, name: str, connection: Connection | None = None, *, share: bool = False) -> Ref:
        """The collection's row. Raises NotFound. `share` keeps it from changing until the transaction ends."""
        if connection is None:
            return self.read(lambda connection: self.ref(name, connection))
        query = sa.select(collections).where(collections.c.name == name, collections.c.state != "dropping")
        row = connection.execute(query.with_for_update(read=True) if share else query).first()
        if row is None:
            existing = connection.execute(
                sa.select(collections.c.name).where(collections.c.state == "ready").order_by(collections.c.name).limit(20)
            ).scalars()
            names = ", ".join(existing)
            raise NotFound(f"There is no collection {name!r}. " + (f"There are: {names}." if names else "There is none yet."))
        return _ref(row)

    def refs(self, *states: str) -> list[Ref]:
        query = sa.select(collections).order_by(collections.c.name)
        if states:
            query = query.where(collections.c.state.in_(states))
        return self.read(lambda connection: [_ref(row) for row in connection.execute(query)])

    def collections(self, name: str | None = None) -> list[Collection]:
        """With counts: reads every image's index entry."""

        def do(connection: Connection) -> list[Collection]:
            query = sa.select(collections).where(collections.c.state == "ready").order_by(collections.c.name)
            found = [self.ref(name, connection)] if name is not None else [_ref(row) for row in connection.execute(query)]
            counts: dict[tuple[int, str], int] = {}
            for ref in found:
                for state in ("ready", "pending"):
                    counts[ref.id, state] = self.count(ref.id, connection, state)
            return [
                Collection(
                    id=ref.id,
                    name=ref.name,
                    encoder=ref.encoder,
                    count=counts[ref.id, "ready"],
                    pending=counts[ref.id, "pending"],
                    state="reencoding" if ref.next_encoder not in (None, ref.encoder) else "ready",
                    created_at=ref.created_at,
                )
                for ref in found
            ]

        return self.read(do)

    def count(self, collection_id: int, connection: Connection | None = None, state: str = "ready") -> int:
        if connection is None:
            return self.read(lambda connection: self.count(collection_id, connection, state))
        query = sa.select(sa.func.count()).select_from(images)
        return connection.execute(query.where(images.c.collection_id == collection_id, images.c.state == state)).scalar_one()

    def create_collection(self, name: str, encoder: EncoderInfo, index: str, state: str = "ready") -> tuple[Ref, bool]:
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
                    created_at=self._now(connection),
                )
            )
            return _ref(connection.execute(query).one()), True

        return self.write(do)

    def start_drop(self, name: str) -> Ref:
        """Mark the collection; its name is free at once, so its jobs, which know it by that, are cancelled."""

        def do(connection: Connection) -> Ref:
            ref = self.ref(name, connection)
            self._hide(connection, ref.id)
            mine = jobs.c.collection == name
            queued = jobs.update().where(mine, jobs.c.state == "queued")
            connection.execute(queued.values(state="cancelled", finished_at=self._now(connection)))
            connection.execute(jobs.update().where(mine, jobs.c.state == "running").values(cancelling=True))
            return ref

        return self.write(do)

    def abandon(self, id: int) -> None:
        """Mark a collection that has a hidden name already for dropping."""
        self.write(lambda connection: connection.execute(collections.update().where(collections.c.id == id).values(state="dropping")))

    def _hide(self, connection: Connection, id: int) -> None:
        # No user may choose a name that begins with "-".
        connection.execute(collections.update().where(collections.c.id == id).values(state="dropping", name=f"-dropping-{id}"))

    def reveal(self, names: Mapping[int, str]) -> None:
        """Give restored collections their names, all or none. Raises Conflict when one is taken."""

        def do(connection: Connection) -> None:
            taken = connection.execute(sa.select(collections.c.name).where(collections.c.name.in_(names.values()))).scalars().all()
            if taken:
                raise Conflict(f"There is a collection {taken[0]!r} already. Drop it, or restore into another library.")
            for id, name in names.items():
                connection.execute(collections.update().where(collections.c.id == id).values(state="ready", name=name))

        self.write(do)

    def delete_collection(self, id: int) -> None:
        """Delete the row of a collection whose images are gone."""
        self.write(lambda connection: connection.execute(collections.delete().where(collections.c.id == id)))

    def set_index(self, id: int, index: str, instead_of: str) -> bool:
        """Note that the collection has outgrown its index; False when another process noted it first."""
        statement = collections.update().where(collections.c.id == id, collections.c.vector_index == instead_of).values(vector_index=index)
        return self.write(lambda connection: connection.execute(statement).rowcount == 1)

    # Images: writing

    def unchanged(self, name: str, files: Sequence[FileStat]) -> set[str]:
        def do(connection: Connection) -> set[str]:
            ref = self.ref(name, connection)
            same: set[str] = set()
            for part in chunks(files):
                # A path that cannot be stored is not stored; begin() says what is wrong with it.
                wanted = {_loose_hash(file.path): file for file in part}
                query = (
                    sa.select(locations.c.path_hash, locations.c.bytes, locations.c.mtime_ns)
                    .join(images, images.c.id == locations.c.image_id)
                    .where(locations.c.collection_id == ref.id, locations.c.path_hash.in_(wanted), images.c.state == "ready")
                )
                for row in connection.execute(query):
                    file = wanted[row.path_hash]
                    if (file.bytes, file.mtime_ns) == (row.bytes, row.mtime_ns):
                        same.add(file.path)
            return same

        return self.read(do)

    def begin(self, name: str, items: Sequence[NewImage], created_at: Mapping[str, datetime], only: int | None = None) -> Noted:
        """See Library.begin. `created_at` by content hash, of images that are not new. Raises BeingDeleted."""
        hashes = [path_hash(item.file.path) for item in items]
        first: dict[str, NewImage] = {}
        for item in items:
            first.setdefault(item.content_hash, item)
        last = dict(zip(hashes, items, strict=True))  # a path named twice: the later content counts

        def do(connection: Connection) -> Noted:
            ref = self.ref(name, connection)
            if only not in (None, ref.id):
                raise NotFound(f"The collection {name!r} was dropped; another has its name now.")
            known = self._by_hash(connection, ref.id, list(first))
            doomed = [row.id for row in known.values() if row.state == "deleting"]
            if doomed:
                raise BeingDeleted(doomed)
            missing = [item for content_hash, item in first.items() if content_hash not in known]
            now = self._now(connection) if missing else datetime.min
            for part in chunks(missing):
                rows = [_image_row(ref.id, item, created_at.get(item.content_hash, now)) for item in part]
                connection.execute(images.insert(), rows)
            known |= self._by_hash(connection, ref.id, [item.content_hash for item in missing])
            fresh = {item.content_hash for item in missing}

            lost, gained = self._place(connection, ref.id, {hashed: (item, known[item.content_hash].id) for hashed, item in last.items()})
            orphans = self._orphans(connection, lost)
            moved = (gained | lost) - set(orphans) - {known[content_hash].id for content_hash in fresh}
            for ids in chunks(sorted(moved)):
                connection.execute(images.update().where(images.c.id.in_(ids)).values(stale=True, next_generation=None))
            begun = []
            for item in items:
                row = known[item.content_hash]
                begun.append(Begun(row.id, "known" if row.state == "ready" else "new"))
            return Noted(begun, orphans, sorted(moved))

        return self.write(do)

    def _by_hash(self, connection: Connection, collection_id: int, content_hashes: Sequence[str]) -> dict[str, Any]:
        """Images by content hash, locked: nobody deletes them until this transaction ends."""
        found: dict[str, Any] = {}
        for part in chunks(sorted(content_hashes)):
            query = sa.select(images.c.id, images.c.content_hash, images.c.state).where(
                images.c.collection_id == collection_id, images.c.content_hash.in_(part)
            )
            for row in connection.execute(query.with_for_update()):
                found[row.content_hash] = row
        return found

    def _place(self, connection: Connection, collection_id: int, wanted: Mapping[str, tuple[NewImage, int]]) -> tuple[set[int], set[int]]:
        """Let each path (by its hash) lead to its image, new ones in the order given, which is the order in which they are shown.

        Returns the images that lost and those that gained one.
        """
        lost: set[int] = set()
        gained: set[int] = set()
        for part in chunks(list(wanted)):
            query = sa.select(locations).where(locations.c.collection_id == collection_id, locations.c.path_hash.in_(part))
            present = {row.path_hash: row for row in connection.execute(query)}
            added, changed = [], {}
            for hashed in part:
                item, image_id = wanted[hashed]
                row = present.get(hashed)
                if row is None:
                    added.append(_location_row(collection_id, image_id, item, hashed))
                    gained.add(image_id)
                elif (row.image_id, row.bytes, row.mtime_ns) != (image_id, item.file.bytes, item.file.mtime_ns):
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
                connection.execute(locations.update().where(locations.c.id.in_(changed)).values(values))
        return lost, gained

    def _orphans(self, connection: Connection, candidates: Iterable[int]) -> list[int]:
        """Mark those of the images that have no place left as `deleting`."""
        orphans: list[int] = []
        for ids in chunks(sorted(candidates)):
            # Locked first: another process may be adding a place to one of them right now.
            connection.execute(sa.select(images.c.id).where(images.c.id.in_(ids)).with_for_update()).all()
            placed = set(connection.execute(sa.select(locations.c.image_id).where(locations.c.image_id.in_(ids)).distinct()).scalars())
            empty = [id for id in ids if id not in placed]
            if empty:
                connection.execute(images.update().where(images.c.id.in_(empty)).values(state="deleting"))
            orphans += empty
        return orphans

    def facts(
        self, collection_id: int, ids: Sequence[int], connection: Connection | None = None, *, lock: bool = False
    ) -> dict[int, Facts]:
        """What the vector store keeps of the pending and ready ones of these images of the collection."""
        if connection is None:
            return self.read(lambda connection: self.facts(collection_id, ids, connection))
        found: dict[int, Facts] = {}
        for part in chunks(sorted(ids)):
            query = (
                sa.select(images)
                .where(images.c.id.in_(part), images.c.collection_id == collection_id, images.c.state != "deleting")
                .order_by(images.c.id)
            )
            rows = connection.execute(query.with_for_update() if lock else query).all()
            paths = self._paths(connection, part)
            for row in rows:
                found[row.id] = Facts(row.id, row.state, _metadata(row), row.stale, tuple(paths.get(row.id, ())))
        return found

    def settle(self, name: str, generation: int, written: Mapping[int, Facts]) -> tuple[list[int], list[int]]:
        """Vectors and facts were written: make the images ready.

        Returns the ids that are gone or being deleted (their vectors must go), and those whose places changed meanwhile (write them again).
        Raises EncoderMismatch when another generation is served by now.
        """

        def do(connection: Connection) -> tuple[list[int], list[int]]:
            ref = self.ref(name, connection, share=True)
            if ref.generation != generation:
                raise EncoderMismatch(f"{name!r} was re-encoded with {ref.encoder.name} meanwhile. Import again.")
            now = self.facts(ref.id, list(written), connection, lock=True)
            gone = [id for id in written if id not in now]
            stale = [id for id, facts in now.items() if facts.paths != written[id].paths]
            for part in chunks(sorted(now)):
                connection.execute(images.update().where(images.c.id.in_(part)).values(state="ready", stale=False))
            for part in chunks(stale):
                connection.execute(images.update().where(images.c.id.in_(part)).values(stale=True, next_generation=None))
            return gone, stale

        return self.write(do)

    def stale(self, collection_id: int) -> list[int]:
        """Ready images whose places changed since Milvus was told of them, ids rising; a million at most."""
        query = sa.select(images.c.id).where(images.c.collection_id == collection_id, images.c.state == "ready", images.c.stale)
        return self.read(lambda connection: list(connection.execute(query.order_by(images.c.id).limit(10**6)).scalars()))

    def unready(self, ids: Sequence[int]) -> None:
        """Ready images turn out to have no vector: they wait for one again."""

        def do(connection: Connection) -> None:
            for part in chunks(ids):
                connection.execute(images.update().where(images.c.id.in_(part), images.c.state == "ready").values(state="pending"))

        self.write(do)

    def start_delete(self, name: str, ids: Sequence[int]) -> tuple[Ref, list[int]]:
        """Mark images; returns those that exist."""

        def do(connection: Connection) -> tuple[Ref, list[int]]:
            ref = self.ref(name, connection)
            marked: list[int] = []
            for part in chunks(sorted({id for id in ids if abs(id) < 2**63})):
                query = sa.select(images.c.id).where(images.c.collection_id == ref.id, images.c.id.in_(part))
                found = list(connection.execute(query.with_for_update()).scalars())
                if found:
                    connection.execute(images.update().where(images.c.id.in_(found)).values(state="deleting"))
                marked += found
            return ref, marked

        return self.write(do)

    def deleting(self, collection_id: int, limit: int, everything: bool = False) -> list[int]:
        """Images of a collection that are marked; with `everything`, all of them."""
        query = sa.select(images.c.id).where(images.c.collection_id == collection_id)
        if not everything:
            query = query.where(images.c.state == "deleting")
        return self.read(lambda connection: list(connection.execute(query.order_by(images.c.id).limit(limit)).scalars()))

    def leftovers(self, ids: Sequence[int]) -> tuple[list[str], list[str]]:
        """Paths and content hashes that only these images have: what belongs to them alone on disk."""

        def do(connection: Connection) -> tuple[list[str], list[str]]:
            paths: list[str] = []
            hashes: list[str] = []
            for part in chunks(ids):
                mine = connection.execute(sa.select(locations.c.path, locations.c.path_hash).where(locations.c.image_id.in_(part))).all()
                kept: set[str] = set()
                for some in chunks([row.path_hash for row in mine]):
                    query = sa.select(locations.c.path_hash).where(locations.c.path_hash.in_(some), locations.c.image_id.not_in(part))
                    kept |= set(connection.execute(query).scalars())
                paths += [row.path for row in mine if row.path_hash not in kept]
                own = list(connection.execute(sa.select(images.c.content_hash).where(images.c.id.in_(part)).distinct()).scalars())
                query = sa.select(images.c.content_hash).where(images.c.content_hash.in_(own), images.c.id.not_in(part))
                shared = set(connection.execute(query).scalars())
                hashes += [content_hash for content_hash in own if content_hash not in shared]
            return paths, hashes

        return self.read(do)

    def delete_rows(self, ids: Sequence[int], everything: bool = False) -> int:
        """Delete images that are marked (with `everything`: all of these) and their places; returns how many."""

        def do(connection: Connection) -> int:
            count = 0
            for part in chunks(ids):
                query = sa.select(images.c.id).where(images.c.id.in_(part))
                if not everything:
                    query = query.where(images.c.state == "deleting")
                marked = list(connection.execute(query.with_for_update()).scalars())
                if marked:
                    connection.execute(locations.delete().where(locations.c.image_id.in_(marked)))
                    count += connection.execute(images.delete().where(images.c.id.in_(marked))).rowcount
            return count

        return self.write(do)

    def places(self, collection_id: int, after: int, limit: int, root: str | None = None) -> list[tuple[int, str]]:
        """(location id, path) of a collection, ids rising from above `after`; of those at or below `root`."""
        query = sa.select(locations.c.id, locations.c.path).where(locations.c.collection_id == collection_id, locations.c.id > after)
        if root is not None:
            # All paths that begin with "root/": "0" is the character after "/". Works without escaping, in binary collation.
            folder = root.rstrip("/")
            query = query.where(
                sa.or_(locations.c.path == root, sa.and_(locations.c.path >= folder + "/", locations.c.path < folder + "0"))
            )
        query = query.order_by(locations.c.id).limit(limit)
        return self.read(lambda connection: [(row.id, row.path) for row in connection.execute(query)])

    def forget(self, ids: Sequence[int]) -> tuple[int, list[int], list[int]]:
        """Delete locations; returns how many there were, the images `deleting` because none is left, and the ready ones that lost one."""

        def do(connection: Connection) -> tuple[int, list[int], list[int]]:
            count = 0
            lost: set[int] = set()
            for part in chunks(ids):
                lost |= set(connection.execute(sa.select(locations.c.image_id).where(locations.c.id.in_(part))).scalars())
                count += connection.execute(locations.delete().where(locations.c.id.in_(part))).rowcount
            orphans = self._orphans(connection, lost)
            moved = sorted(lost - set(orphans))
            for some in chunks(moved):
                connection.execute(images.update().where(images.c.id.in_(some)).values(stale=True, next_generation=None))
            return count, orphans, moved

        return self.write(do)

    # Images: reading

    def _paths(self, connection: Connection, ids: Sequence[int]) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        query = sa.select(locations.c.image_id, locations.c.path).where(locations.c.image_id.in_(ids))
        for row in connection.execute(query.order_by(locations.c.image_id, locations.c.id)):
            found.setdefault(row.image_id, []).append(row.path)
        return found

    def _records(self, connection: Connection, name: str, rows: Sequence[Row[Any]]) -> list[Image]:
        records = []
        for part in chunks(rows):
            paths = self._paths(connection, [row.id for row in part])
            records += [_image(name, row, paths[row.id]) for row in part if row.id in paths]
        return records

    def file_stats(self, ids: Sequence[int]) -> dict[int, list[FileStat]]:
        """Where the images lie, the oldest place first."""

        def do(connection: Connection) -> dict[int, list[FileStat]]:
            found: dict[int, list[FileStat]] = {}
            for part in chunks(ids):
                query = sa.select(locations).where(locations.c.image_id.in_(part)).order_by(locations.c.id)
                for row in connection.execute(query):
                    found.setdefault(row.image_id, []).append(FileStat(row.path, row.bytes, row.mtime_ns))
            return found

        return self.read(do)

    def images(
        self,
        ref: Ref,
        limit: int,
        *,
        after: int | None = None,
        before: int | None = None,
        state: str = "ready",
        lacking: int | None = None,
    ) -> list[Image]:
        """Ids rising from above `after`, or else falling from below `before`; `lacking`: only those without a vector in that generation."""
        query = sa.select(images).where(images.c.collection_id == ref.id, images.c.state == state)
        if after is not None:
            query = query.where(images.c.id > after).order_by(images.c.id)
        else:
            query = query.order_by(images.c.id.desc())
            if before is not None:
                query = query.where(images.c.id < before)
        if lacking is not None:
            query = query.where(sa.or_(images.c.next_generation.is_(None), images.c.next_generation != lacking))
        return self.read(lambda connection: self._records(connection, ref.name, connection.execute(query.limit(limit)).all()))

    def ready(self, ref: Ref, ids: Sequence[int]) -> dict[int, Image]:
        """The ready ones of these images."""

        def do(connection: Connection) -> dict[int, Image]:
            found: dict[int, Image] = {}
            for part in chunks(ids):
                query = sa.select(images).where(images.c.id.in_(part), images.c.collection_id == ref.id, images.c.state == "ready")
                found |= {record.id: record for record in self._records(connection, ref.name, connection.execute(query).all())}
            return found

        return self.read(do)

    def hashes(self, ref: Ref, after: int, limit: int) -> list[tuple[int, str]]:
        """(id, content hash) of ready images, ids rising from above `after`."""
        query = sa.select(images.c.id, images.c.content_hash).where(
            images.c.collection_id == ref.id, images.c.state == "ready", images.c.id > after
        )
        return self.read(
            lambda connection: [(row.id, row.content_hash) for row in connection.execute(query.order_by(images.c.id).limit(limit))]
        )

    def known_paths(self, paths: Sequence[str]) -> set[str]:
        """Those of the paths that any image has."""

        def do(connection: Connection) -> set[str]:
            found: set[str] = set()
            for part in chunks(paths):
                hashed = {_loose_hash(path): path for path in part}
                query = sa.select(locations.c.path_hash).where(locations.c.path_hash.in_(hashed))
                found |= {hashed[value] for value in connection.execute(query).scalars()}
            return found

        return self.read(do)

    def ready_ids(self, collection_id: int, low: int, high: int) -> list[int]:
        query = sa.select(images.c.id).where(
            images.c.collection_id == collection_id, images.c.state == "ready", images.c.id >= low, images.c.id < high
        )
        return self.read(lambda connection: list(connection.execute(query.order_by(images.c.id)).scalars()))

    def known_ids(self, collection_id: int, ids: Sequence[int]) -> set[int]:
        """Those of the ids that have a row that is not being deleted."""

        def do(connection: Connection) -> set[int]:
            found: set[int] = set()
            for part in chunks(ids):
                query = sa.select(images.c.id).where(
                    images.c.id.in_(part), images.c.collection_id == collection_id, images.c.state != "deleting"
                )
                found |= set(connection.execute(query).scalars())
            return found

        return self.read(do)

    def known_hashes(self, content_hashes: Sequence[str]) -> set[str]:
        """Those of the content hashes that any image has."""

        def do(connection: Connection) -> set[str]:
            found: set[str] = set()
            for part in chunks(content_hashes):
                found |= set(connection.execute(sa.select(images.c.content_hash).where(images.c.content_hash.in_(part))).scalars())
            return found

        return self.read(do)

    def last_id(self, collection_id: int) -> int:
        query = sa.select(sa.func.max(images.c.id)).where(images.c.collection_id == collection_id)
        return self.read(lambda connection: connection.execute(query).scalar()) or 0

    def find_path(self, path: str) -> Image | None:
        try:
            hashed = path_hash(path)
        except InvalidInput:
            return None

        def do(connection: Connection) -> Image | None:
            query = (
                sa.select(images, collections.c.name.label("collection_name"))
                .join(locations, locations.c.image_id == images.c.id)
                .join(collections, collections.c.id == images.c.collection_id)
                .where(locations.c.path_hash == hashed, images.c.state == "ready", collections.c.state == "ready")
                .order_by(images.c.id)
                .limit(1)
            )
            row = connection.execute(query).first()
            return next(iter(self._records(connection, row.collection_name, [row])), None) if row else None

        return self.read(do)

    # Generations

    def begin_reencode(self, name: str, encoder: EncoderInfo, *, copy: bool = False) -> tuple[Ref, int | None]:
        """Open a generation, or find the open one of that encoder; returns also the number of one that was thrown away for it.

        `copy`: of the encoder that serves. Raises Conflict when the collection has the encoder already, or is being re-encoded (`copy`).
        """

        def do(connection: Connection) -> tuple[Ref, int | None]:
            query = sa.select(collections).where(collections.c.name == name)
            ref = self.ref(name, connection)
            ref = _ref(connection.execute(query.with_for_update()).one())
            if copy and ref.next_encoder is not None and ref.next_encoder.fingerprint != encoder.fingerprint:
                raise Conflict(f"{name!r} is being re-encoded.")
            if not copy and ref.encoder.fingerprint == encoder.fingerprint:
                raise Conflict(f"{name!r} is encoded with {encoder.name} ({encoder.fingerprint}) already.")
            if ref.next_encoder is not None and ref.next_encoder.fingerprint == encoder.fingerprint:
                return ref, None
            thrown = ref.next_generation
            connection.execute(
                collections.update()
                .where(collections.c.id == ref.id)
                .values(
                    last_generation=ref.last_generation + 1,
                    next_generation=ref.last_generation + 1,
                    next_encoder_name=encoder.name,
                    next_encoder_fingerprint=encoder.fingerprint,
                    next_dim=encoder.dim,
                )
            )
            return _ref(connection.execute(query).one()), thrown

        return self.write(do)

    def settle_reencode(self, name: str, generation: int, written: Mapping[int, Facts]) -> list[int]:
        """Note that these images have a vector in the generation, except where their places changed meanwhile; returns those that are gone.

        Raises Conflict when the generation was given up.
        """

        def do(connection: Connection) -> list[int]:
            ref = self.ref(name, connection, share=True)
            if ref.next_generation != generation:
                raise Conflict(f"Re-encoding of {name!r} was given up or finished meanwhile.")
            now = self.facts(ref.id, list(written), connection, lock=True)
            same = [id for id, facts in now.items() if facts.paths == written[id].paths]
            for part in chunks(same):
                connection.execute(images.update().where(images.c.id.in_(part)).values(next_generation=generation))
            return [id for id in written if id not in now]

        return self.write(do)

    def swap(self, name: str, generation: int, index: str, *, whole: bool = False) -> tuple[Ref, int, bool]:
        """Serve the generation; returns the row before, how many images became pending, and whether it was done just now.

        `whole`: only if every ready image has a vector in it; otherwise nothing happens.
        """

        def do(connection: Connection) -> tuple[Ref, int, bool]:
            self.ref(name, connection)
            before = _ref(connection.execute(sa.select(collections).where(collections.c.name == name).with_for_update()).one())
            if before.generation == generation:
                return before, 0, False
            if before.next_generation != generation or before.next_encoder is None:
                raise Conflict(f"Re-encoding of {name!r} was given up meanwhile.")
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
                    next_generation=None,
                    next_encoder_name=None,
                    next_encoder_fingerprint=None,
                    next_dim=None,
                )
            )
            return before, pending, True

        return self.write(do)

    def abort_reencode(self, name: str) -> tuple[Ref, int | None]:
        def do(connection: Connection) -> tuple[Ref, int | None]:
            ref = self.ref(name, connection)
            if ref.next_generation is None:
                return ref, None
            empty = {"next_generation": None, "next_encoder_name": None, "next_encoder_fingerprint": None, "next_dim": None}
            connection.execute(collections.update().where(collections.c.id == ref.id).values(**empty))
            return ref, ref.next_generation

        return self.write(do)

    # Jobs

    def create_job(self, name: str, kind: JobKind, spec: Mapping[str, Any], worker: str | None = None) -> Job:
        text = json.dumps(dict(spec), ensure_ascii=True)

        def do(connection: Connection) -> Job:
            ref = self.ref(name, connection)
            now = self._now(connection)
            values = {"collection": ref.name, "kind": kind, "spec": text, "state": "queued", "cancelling": False}
            counts = {"done": 0, "skipped": 0, "failed": 0, "rate": 0.0}
            claim = {"state": "running", "worker": worker[:255], "heartbeat": now, "started_at": now} if worker else {}
            result = connection.execute(jobs.insert().values(**{**values, **counts, **claim}, created_at=now))
            key = result.inserted_primary_key
            assert key is not None
            return self._job(connection, key[0])

        return self.write(do)

    def _job(self, connection: Connection, id: int) -> Job:
        row = connection.execute(sa.select(jobs).where(jobs.c.id == id)).first()
        if row is None:
            raise NotFound(f"There is no job {id}.")
        return _job(row)

    def job(self, id: int) -> Job:
        return self.read(lambda connection: self._job(connection, id))

    def list_jobs(self, limit: int, collection: str | None) -> list[Job]:
        query = sa.select(jobs).order_by(jobs.c.id.desc()).limit(limit)
        if collection is not None:
            query = query.where(jobs.c.collection == collection)
        return self.read(lambda connection: [_job(row) for row in connection.execute(query)])

    def claim_job(self, worker: str, busy: Iterable[int] | None = None) -> Job | None:
        others = sa.true() if busy is None else jobs.c.id.not_in(list(busy))
        unknown = sa.false() if busy is None else jobs.c.worker == worker

        def do(connection: Connection) -> Job | None:
            now = self._now(connection)
            running = jobs.c.state == "running"
            at_work = connection.execute(sa.select(jobs.c.worker).where(running, jobs.c.worker.is_not(None)).distinct()).scalars()
            died = [name for name in at_work if workers.died(name)]
            left = sa.or_(jobs.c.heartbeat < now - HEARTBEAT_TIMEOUT, jobs.c.worker.in_(died), unknown)
            dead = sa.and_(running, left, others)
            connection.execute(
                jobs.update().where(dead, jobs.c.cancelling).values(state="cancelled", cancelling=False, finished_at=now, worker=None)
            )
            free = sa.or_(jobs.c.state == "queued", dead)
            for id in connection.execute(sa.select(jobs.c.id).where(free).order_by(jobs.c.id).limit(16)).scalars().all():
                # Decides among all who saw the same row: the update of those who come later matches nothing.
                claimed = connection.execute(
                    jobs.update()
                    .where(jobs.c.id == id, free)
                    .values(
                        state="running", worker=worker[:255], heartbeat=now, started_at=sa.func.coalesce(jobs.c.started_at, now), rate=0.0
                    )
                )
                if claimed.rowcount == 1:
                    return self._job(connection, id)
            return None

        return self.write(do)

    def update_job(
        self,
        id: int,
        worker: str | None,
        counts: Mapping[str, int | float | None],
        failures: Sequence[JobFailure],
        message: str | None = None,
    ) -> bool:
        # The last reason given for a path counts.
        reasons = {_loose_hash(failure.path): failure for failure in failures}

        def do(connection: Connection) -> bool:
            mine = sa.and_(jobs.c.id == id, jobs.c.state == "running", jobs.c.worker == worker if worker is not None else sa.true())
            values: dict[str, Any] = {key: value for key, value in counts.items() if value is not None}
            if message is not None:
                values["message"] = _text(message, 4000) or None
            if connection.execute(jobs.update().where(mine).values(**values, heartbeat=self._now(connection))).rowcount != 1:
                self._job(connection, id)  # NotFound
                return False
            for part in chunks(sorted(reasons)):
                connection.execute(job_failures.delete().where(job_failures.c.job_id == id, job_failures.c.path_hash.in_(part)))
            for part in chunks(list(reasons)):
                rows = [
                    {
                        "job_id": id,
                        "path": _text(reasons[hashed].path, 4096) or "",
                        "path_hash": hashed,
                        "reason": _text(reasons[hashed].reason, 2000) or "",
                    }
                    for hashed in part
                ]
                connection.execute(job_failures.insert(), rows)
            return not connection.execute(sa.select(jobs.c.cancelling).where(jobs.c.id == id)).scalar_one()

        return self.write(do)

    def finish_job(self, id: int, state: JobState, message: str | None, worker: str | None) -> None:
        def do(connection: Connection) -> None:
            mine = sa.and_(jobs.c.id == id, jobs.c.state.in_(("queued", "running")))
            if worker is not None:
                mine = sa.and_(mine, jobs.c.worker == worker)
            values: dict[str, Any] = {"state": state, "cancelling": False, "message": _text(message, 4000), "worker": None}
            values["finished_at"] = None if state == "queued" else self._now(connection)
            if connection.execute(jobs.update().where(mine).values(**values)).rowcount == 0:
                self._job(connection, id)  # NotFound

        self.write(do)

    def cancel_job(self, id: int) -> Job:
        def do(connection: Connection) -> Job:
            now = self._now(connection)
            here = jobs.c.id == id
            connection.execute(jobs.update().where(here, jobs.c.state == "queued").values(state="cancelled", finished_at=now))
            connection.execute(jobs.update().where(here, jobs.c.state == "running").values(cancelling=True))
            job = self._job(connection, id)
            if job.state in ("done", "failed"):
                raise Conflict(f"Job {id} is over already ({job.state}).")
            return job

        return self.write(do)

    def open_jobs(self) -> int:
        """Jobs that are not over."""
        query = sa.select(sa.func.count()).select_from(jobs).where(jobs.c.state.in_(("queued", "running")))
        return self.read(lambda connection: connection.execute(query).scalar_one())

    def job_failures(self, id: int, limit: int, offset: int) -> list[JobFailure]:
        def do(connection: Connection) -> list[JobFailure]:
            self._job(connection, id)
            query = sa.select(job_failures).where(job_failures.c.job_id == id).order_by(job_failures.c.id).limit(limit).offset(offset)
            return [JobFailure(row.path, row.reason) for row in connection.execute(query)]

        return self.read(do)

    def requeue_orphans(self) -> int:
        def do(connection: Connection) -> int:
            running = jobs.c.state == "running"
            now = self._now(connection)
            over = {"state": "cancelled", "cancelling": False, "worker": None, "finished_at": now}
            connection.execute(jobs.update().where(running, jobs.c.cancelling).values(**over))
            return connection.execute(jobs.update().where(running).values(state="queued", worker=None, rate=0.0)).rowcount

        return self.write(do)


def _loose_hash(path: str) -> str:
    """Like path_hash for what is no valid path: a URL, a name that cannot be encoded, an archive's member."""
    return hashlib.sha256(path.encode(errors="surrogatepass")).hexdigest()


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
        "taken_at": utc(facts.taken_at),
        "camera": _text(facts.camera, 255),
        "latitude": _finite(facts.latitude),
        "longitude": _finite(facts.longitude),
        "created_at": utc(created_at),
        "stale": False,
        "next_generation": None,
    }


def _location_row(collection_id: int, image_id: int, item: NewImage, hashed: str) -> dict[str, Any]:
    return {
        "image_id": image_id,
        "collection_id": collection_id,
        "path": item.file.path,
        "path_hash": hashed,
        "bytes": item.file.bytes,
        "mtime_ns": item.file.mtime_ns,
    }


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


def _image(name: str, row: Row[Any], paths: Sequence[str]) -> Image:
    return Image(
        id=row.id,
        collection=name,
        paths=tuple(paths),
        content_hash=row.content_hash,
        bytes=row.bytes,
        metadata=_metadata(row),
        created_at=row.created_at.replace(tzinfo=timezone.utc),
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


def _job(row: Row[Any]) -> Job:
    left = None if row.total is None else max(0, row.total - row.done - row.skipped - row.failed)
    eta = left / row.rate if row.state == "running" and left is not None and row.rate > 0 else None
    return Job(
        id=row.id,
        collection=row.collection,
        kind=row.kind,
        spec=json.loads(row.spec),
        state=row.state,
        cancelling=row.cancelling,
        total=row.total,
        done=row.done,
        skipped=row.skipped,
        failed=row.failed,
        rate=row.rate,
        eta_s=eta,
        message=row.message,
        worker=row.worker,
        created_at=row.created_at.replace(tzinfo=timezone.utc),
        started_at=aware(row.started_at),
        finished_at=aware(row.finished_at),
    )


def encode_cursor(id: int) -> str:
    return base64.urlsafe_b64encode(str(id).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> int:
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        if not re.fullmatch(rb"\d{1,18}", data):
            raise ValueError(data)
        return int(data)
    except (ValueError, binascii.Error) as error:
        raise InvalidInput(f"{cursor!r} is no cursor. Pass on `next` of the previous page, or nothing for the first one.") from error


def _tune_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, see _begin_sqlite
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")  # readers go on while one writes
    cursor.execute("PRAGMA synchronous=FULL")  # what was committed survives a power cut
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that will write takes the lock at once: upgrading a read lock later can fail.
    write = connection.get_execution_options().get("tsir_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
