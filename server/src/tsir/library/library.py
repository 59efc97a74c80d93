"""The one door to what is stored: keeps catalog and vectors in step.

The catalog (SQL) is the truth; Milvus is an index of it under the catalog's image ids. See `collection.py` for the protocol.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType

from sqlalchemy.engine import Connection

from tsir.errors import Conflict, InvalidInput, NotFound, StoreRefused, StoreUnavailable, TsirError, VectorsDamaged
from tsir.library import throwing
from tsir.library.collection import Collection, Owed, expect
from tsir.library.reencoding import Reencoding
from tsir.library.steps import After, Step, unobserved
from tsir.library.stores import ERASE_BATCH, Stores
from tsir.library.upgrade import upgrade
from tsir.records import CollectionSummary, EncoderInfo, Image, Removed
from tsir.settings import Settings
from tsir.storage.milvus.client import NoSuchVectors
from tsir.storage.milvus.schema import SCHEMA, Schema
from tsir.storage.sql.collections import Ref
from tsir.storage.sql.copies import Copies

log = logging.getLogger(__name__)

NAME = re.compile("[A-Za-z_][A-Za-z0-9_-]{0,63}")

DAY_S = 24 * 3600

EMBEDDED_LIMIT = 100_000
"""Images beyond which Milvus Lite, which compares a query with every one of them, is slower than people like to wait."""


FIRST_COPY_S, COPY_S = 60.0, 3600.0
"""Seconds from the opening to the first copy of the catalog, and to the next."""


class Library:
    """Collections of pictures with their vectors. Safe to use from many threads at once.

    Every method may raise StoreUnavailable (a store does not answer: try again after `retry_after` seconds), and every method that
    takes a collection's name raises NotFound, naming the existing ones, when there is none of that name.
    """

    def __init__(self, settings: Settings, after: After = unobserved, schema: Schema = SCHEMA) -> None:
        """Use `open`."""
        self.settings = settings
        self.stores = Stores(settings, after, schema)
        self.files = self.stores.files
        self._owed = Owed()
        self._lock: int | None = None
        self._closing = threading.Event()
        self._opened = False

    @classmethod
    def restore_catalog(cls, settings: Settings, file: Path) -> Path | None:
        """Put a copy of the catalog (`tsir.storage.sql.copies`) in its place; returns where the one of before lies now.

        Raises Conflict while another process has the library open, InvalidInput for a file that is no sound catalog.
        """
        folder = settings.data_dir.expanduser().resolve()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = _lock(folder)
            try:
                return Copies(settings).put_back(file)
            finally:
                os.close(lock)
        except OSError as error:
            raise InvalidInput(f"The catalog cannot be put back: {error.filename or folder}: {error.strerror or error}.") from error

    @classmethod
    def open(cls, settings: Settings, after: After = unobserved, schema: Schema = SCHEMA, *, ahead: bool = False) -> Library:
        """Open the stores that the settings name, create what is missing, and bring the catalog's schema up to date.

        Vectors of an older `schema` are copied into the newest one in the background. `after` is told of every step of the protocol.
        `ahead`: vectors are put into memory first, so that searches need not wait until Milvus Lite is open.
        Raises Conflict when an embedded library is in use by another process, or was written by a newer version.
        """
        library = cls(settings, after, schema)
        try:
            library._open(ahead)
        except BaseException:
            library.close()
            raise
        return library

    def _open(self, ahead: bool) -> None:
        folder = self.settings.data_dir.expanduser().resolve()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if self.stores.exclusive:
                self._lock = _lock(folder)
        except OSError as error:
            raise InvalidInput(f"DATA_DIR {str(folder)!r} cannot be written: {error.strerror or error}.") from error
        self.stores.catalog.database.copies.expect()
        self.stores.catalog.migrate()
        self._opened = True
        # What a crash left half deleted. A store that is away now is no reason not to start: check() and the next start do it too.
        with suppress(StoreUnavailable, StoreRefused, VectorsDamaged):
            self.finish_deletions()
        if ahead:
            self.stores.vectors.foresee([self.stores.vectors_name(ref) for ref in self.stores.catalog.collections.refs("ready")])
        threading.Thread(target=self._warm, name="tsir-milvus", daemon=True).start()
        threading.Thread(target=self._tidy, name="tsir-tidy", daemon=True).start()
        if self.stores.catalog.database.embedded:
            threading.Thread(target=self._keep, name="tsir-keep", daemon=True).start()

    def _warm(self) -> None:
        """Load the Milvus client and its collections while the rest starts, so that the first search does not wait for it."""
        try:
            with suppress(VectorsDamaged):
                self.stores.vectors.ping()
            refs = self.stores.catalog.collections.refs("ready")
        except TsirError as error:
            self.warn(error)
            return
        for ref in refs:
            self._prepare(ref)

    def _keep(self) -> None:
        """A copy of the catalog every day, and before the first hour is over."""
        wait = FIRST_COPY_S
        while not self._closing.wait(wait):
            self.keep()
            wait = COPY_S

    def keep(self) -> None:
        """Copy the catalog as today's. Raises nothing: what keeps it from that is logged."""
        try:
            self.stores.catalog.database.copies.take()
        except (TsirError, OSError) as error:
            log.warning("There is no new backup of the catalog: %s", error)

    def _tidy(self) -> None:
        """What is to be done once a day, and at the start."""
        while True:
            try:
                self.files.trash.purge()
            except OSError as error:
                log.warning("The trash cannot be swept: %s.", error.strerror or error)
            if self._closing.wait(DAY_S):
                return
            try:
                for collection in self.handles():
                    self.forget_old(collection)
            except TsirError as error:
                self.warn(error)

    def _prepare(self, ref: Ref) -> None:
        """Load a collection, and do what a crash or an older version left to be done."""
        stores = self.stores
        try:
            with suppress(NotFound, NoSuchVectors):  # dropped or encoded anew meanwhile
                # What a crash left between dropping an outgrown index and building the next, and pictures that were moved before one.
                served = stores.catalog.collections.again(ref)
                stores.vectors.set_index(stores.vectors_name(served), served.index)
                stores.vectors.confirm(stores.vectors_name(served))
                collection = self.handle(served).again()
                collection.refresh(stores.catalog.images.stale(ref.id))
                upgrade(stores, collection)
                self.forget_old(collection)
        except VectorsDamaged:
            pass  # whoever asks for them is told, or has them mended
        except TsirError as error:
            self.warn(error)

    def forget_old(self, collection: Collection) -> None:
        """Take pictures out that are missing for longer than FORGET_AFTER_DAYS, if that is set."""
        days = self.settings.forget_after_days
        if days is not None and (gone := collection.forget_missing(before=datetime.now(timezone.utc) - timedelta(days=days)).images):
            log.warning("%d pictures of %r were missing for more than %d days and are forgotten.", gone, collection.name, days)

    def warn(self, error: TsirError) -> None:
        """Log what the library could not do by itself."""
        if not self._closing.is_set():  # what a library that is being closed cannot do is no news
            log.warning("%s", error)

    def close(self) -> None:
        """Release the stores and the lock. Idempotent."""
        if self._opened and not self._closing.is_set():
            self.keep()
        self._closing.set()
        self.stores.close()
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def __enter__(self) -> Library:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def ping(self) -> dict[str, str]:
        """{"catalog": "ok", "vectors": "ok"}, or instead of "ok" a sentence that says what is wrong. Never raises."""
        return {"catalog": _state(self.stores.catalog.database.ping), "vectors": _state(self.stores.vectors.ready)}

    def collections(self) -> list[CollectionSummary]:
        """All collections with their counts, by name."""
        return self.stores.catalog.collections.describe()

    def collection(self, name: str) -> Collection:
        """A handle on one collection: reads its row, counts nothing."""
        return self.handle(self.stores.catalog.collections.ref(name))

    def content(self, name: str, id: int) -> str:
        """Content hash of a ready image of a collection: one row is read. Raises NotFound."""
        return self.stores.catalog.images.content(name, id) or self.collection(name).image(id).content_hash

    def handles(self) -> list[Collection]:
        """Handles on all collections, by name; counts nothing."""
        return [self.handle(ref) for ref in self.stores.catalog.collections.refs("ready")]

    def handle(self, ref: Ref) -> Collection:
        """A handle on the collection of a row."""
        return Collection(self.stores, self._owed, ref)

    def create(self, name: str, encoder: EncoderInfo) -> tuple[Collection, bool]:
        """A collection of that name, and whether it was made just now: an existing one must be of the same encoder.

        Raises InvalidInput for a name that is not a letter or _ followed by up to 63 letters, digits, _ or -, and EncoderMismatch when the
        name is taken by a collection of another encoder.
        """
        _check_name(name)
        if encoder.dim < 1:
            raise InvalidInput(f"The encoder {encoder.name} has vectors of {encoder.dim} dimensions.")
        ref, made = self.stores.catalog.collections.create(name, encoder, self.stores.index_for(0))
        self.stores.after(Step.COLLECTION_NOTED)
        expect(ref, encoder)
        try:
            self.stores.make_room(ref, fresh=made)
        except VectorsDamaged:  # whoever asks for them is told, or has them mended
            if made:
                raise
        return self.handle(ref), made

    def rename(self, name: str, to: str, also: Callable[[Connection], object] | None = None) -> Collection:
        """Call a collection by another name. Raises InvalidInput for one that cannot be, Conflict for one that is taken.

        `also` is done in the same transaction: what else knows the collection by its name.
        """
        _check_name(to)
        return self.handle(self.stores.catalog.collections.rename(self.stores.catalog.collections.ref(name), to, also))

    def drop(self, name: str, also: Callable[[Connection], object] | None = None) -> Removed:
        """Delete a collection, its images and its vectors; never touch the files of import folders. Uploads go to the trash.

        By the entry there its uploads can be restored; what lies in folders, an import brings back. `also` is done in the transaction
        that frees the name: what else knows the collection by it.
        """
        ref = self.stores.catalog.collections.ref(name)
        entry, images, only = throwing.note(self.stores, ref, "dropped")
        self.stores.catalog.collections.start_drop(ref, also)
        self.stores.after(Step.COLLECTION_HIDDEN)
        self.stores.finish_drop(ref)
        return Removed(images, only, entry)

    def reencoding(self, name: str) -> Reencoding:
        """What moves a collection to another encoder."""
        return Reencoding(self.stores, self.collection(name))

    def find_path(self, path: str) -> Image | None:
        """The ready image of any collection that lies at exactly this path."""
        return self.stores.catalog.images.find_path(path)

    def finish_deletions(self) -> int:
        """Do what a crash left: returns how many collections and images that were."""
        count = 0
        for ref in self.stores.catalog.collections.refs("dropping"):
            self.stores.finish_drop(ref)
            count += 1
        for ref in self.stores.catalog.collections.refs("ready"):
            while ids := self.stores.catalog.images.deleting(ref.id, ERASE_BATCH):
                self.stores.erase(ref, ids)
                count += len(ids)
        return count

    def advice(self, collections: Sequence[CollectionSummary] | None = None) -> str | None:
        """What to do about a library that has outgrown its stores, or None. `collections`: all of them, where they are known already."""
        if not self.stores.vectors.embedded:
            return None
        count = sum(collection.count for collection in (self.collections() if collections is None else collections))
        if count <= EMBEDDED_LIMIT:
            return None
        return (
            f"{count:,} pictures are more than the embedded vector store is good for (about {EMBEDDED_LIMIT:,}): searches get slow. "
            "Start a Milvus server, name it in MILVUS_URI, and move the library there with `tsir backup` and `tsir restore`."
        )


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} cannot name a collection: a letter or _, then up to 63 letters, digits, _ or -.")


def _lock(folder: Path) -> int:
    """Hold DATA_DIR until the descriptor is closed, here and in forked children. Raises Conflict when another process holds it."""
    descriptor = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise Conflict(
            f"The library in {str(folder)!r} is in use by another process (is the server running?). Stop that, ask it over HTTP, "
            "or move to services (MILVUS_URI and DATABASE_URL), which several processes can share."
        ) from error
    return descriptor


def _state(ping: Callable[[], None]) -> str:
    try:
        ping()
    except TsirError as error:
        return str(error)
    return "ok"
