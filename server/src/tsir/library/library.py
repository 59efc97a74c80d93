"""The one door to what is stored: keeps catalog and vectors in step.

The catalog (SQL) is the truth; Milvus is an index of it under the catalog's image ids. Write: row `pending`, vector upserted, row
`ready`. Delete: row `deleting`, vector deleted, row deleted. Every step is idempotent, so whatever a crash leaves behind is mended by
doing it again.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from tsir.errors import Conflict, EncoderMismatch, InvalidInput, NotFound, StoreRefused, StoreUnavailable, TsirError
from tsir.library.backup import RESTORING, backup, restore
from tsir.library.check import check, vanished
from tsir.library.upgrade import upgrade
from tsir.media.files import Files
from tsir.records import (
    Begun,
    CheckReport,
    Collection,
    EncoderInfo,
    FileStat,
    Hit,
    Image,
    Job,
    JobFailure,
    JobKind,
    JobState,
    NewImage,
    Swept,
    Vectors,
)
from tsir.settings import Settings
from tsir.storage.filters import Filter
from tsir.storage.milvus.client import MAX_RESULTS, VECTOR_BYTES_PER_REPLY, Consistency, NoSuchVectors, VectorStore
from tsir.storage.milvus.schema import SCHEMA, Schema
from tsir.storage.sql import catalog as sql
from tsir.storage.sql.catalog import BeingDeleted, Catalog, Facts, Ref, chunks

log = logging.getLogger(__name__)

NAME = re.compile("[A-Za-z_][A-Za-z0-9_-]{0,63}")

EMBEDDED_LIMIT = 100_000
"""Images beyond which Milvus Lite, which compares a query with every one of them, is slower than people like to wait."""

FLAT_LIMIT = 10_000
"""Images up to which an exact search is as quick as an index, on a Milvus server; more get HNSW."""

SPARE_HITS = 16
"""Fetched beyond what was asked for: rows that are not ready drop out, and equal scores are ordered by id also at the end of a page."""

SAME_SCORE = 1e-6
"""Scores of the same vector differ by less between back ends."""

MANY_EQUAL = 1_000
"""So many pictures with equal scores across the end of a page are not sorted out."""

FEW = 20
"""An empty folder that held fewer pictures was emptied; with more it rather is a drive's folder without the drive."""

ERASE_BATCH = 1_000
"""Images deleted at once: one call to Milvus, a short transaction."""


class Library:
    """Collections of pictures with their vectors, and the jobs that fill them. Safe to use from many threads at once.

    Every method may raise StoreUnavailable (a store does not answer: try again after `retry_after` seconds), and every method that
    takes a collection's name raises NotFound, naming the existing ones, when there is none of that name.
    """

    files: Files

    def __init__(self, settings: Settings, schema: Schema = SCHEMA) -> None:
        """Use `open`."""
        self.settings = settings
        self.files = Files(settings)
        self.catalog = Catalog(settings)
        self.store = VectorStore(settings, schema)
        self._lock: int | None = None
        self._tag = ""
        self._growing = threading.Lock()
        self._owed: dict[int, tuple[set[int], set[int]]] = {}
        """By collection: images to delete and images whose places changed, of which Milvus, being away, has not been told yet."""
        self._owing = threading.Lock()

    @classmethod
    def open(cls, settings: Settings, schema: Schema = SCHEMA) -> Library:
        """Open the stores that the settings name, create what is missing, and bring the catalog's schema up to date.

        Vectors of an older `schema` are copied into the newest one in the background.

        Raises Conflict when an embedded library is in use by another process, or was written by a newer version.
        """
        library = cls(settings, schema)
        try:
            library._open()
        except BaseException:
            library.close()
            raise
        return library

    def _open(self) -> None:
        folder = self.settings.data_dir.expanduser().resolve()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            exclusive = self.catalog.embedded or self.store.embedded
            if exclusive:
                self._lock = _lock(folder)
        except OSError as error:
            raise InvalidInput(f"DATA_DIR {str(folder)!r} cannot be written: {error.strerror or error}.") from error
        self._tag = self.catalog.migrate()
        if exclusive:
            requeued = self.requeue_orphans()
            if requeued:
                log.info("%d jobs of the last run were interrupted and go on.", requeued)
        # What a crash left half deleted. A store that is away now is no reason not to start: check() and the next start do it too.
        with suppress(StoreUnavailable, StoreRefused):
            self.finish_deletions()
        threading.Thread(target=self._warm, name="tsir-milvus", daemon=True).start()

    def _warm(self) -> None:
        """Load the Milvus client and its collections while the rest starts, so that the first search does not wait for it."""
        try:
            self.store.ping()
            names = [ref.name for ref in self.catalog.refs("ready")]
        except TsirError as error:
            log.warning("%s", error)
            return
        for name in names:
            self._prepare(name)

    def _prepare(self, name: str) -> None:
        """Load a collection, and do what a crash or an older version left to be done."""
        try:
            with suppress(NotFound, NoSuchVectors):  # dropped or encoded anew meanwhile
                # What a crash left between dropping an outgrown index and building the next, and pictures that were moved before one.
                ref = self.catalog.ref(name)
                self.store.set_index(self.vectors_name(ref), ref.index)
                ref = self.catalog.ref(name)
                self.refresh(ref, self.catalog.stale(ref.id))
                upgrade(self, name)
        except TsirError as error:
            log.warning("%s", error)

    def close(self) -> None:
        """Release the stores and the lock. Idempotent."""
        self.store.close()
        self.catalog.close()
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def __enter__(self) -> Library:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def ping(self) -> dict[str, str]:
        """{"catalog": "ok", "vectors": "ok"}, or instead of "ok" a sentence that says what is wrong. Never raises."""
        states = {}
        for name, ping in (("catalog", self.catalog.ping), ("vectors", self.store.ping)):
            states[name] = _state(ping)
        return states

    # Collections

    def collections(self) -> list[Collection]:
        """All collections, by name."""
        return self.catalog.collections()

    def advice(self, collections: Sequence[Collection] | None = None) -> str | None:
        """What to do about a library that has outgrown its stores, or None. `collections`: all of them, where they are known already."""
        if not self.store.embedded:
            return None
        count = sum(collection.count for collection in (self.collections() if collections is None else collections))
        if count <= EMBEDDED_LIMIT:
            return None
        return (
            f"{count:,} pictures are more than the embedded vector store is good for (about {EMBEDDED_LIMIT:,}): searches get slow. "
            "Start a Milvus server, name it in MILVUS_URI, and move the library there with `tsir backup` and `tsir restore`."
        )

    def collection(self, name: str) -> Collection:
        """One collection with its counts."""
        return self.catalog.collections(name)[0]

    def create_collection(self, name: str, encoder: EncoderInfo) -> Collection:
        """Create a collection, or return the existing one of that name when its vectors are of the same encoder.

        Raises InvalidInput for a name that is not a letter or _ followed by up to 63 letters, digits, _ or -, and EncoderMismatch when the
        name is taken by a collection of another encoder.
        """
        _check_name(name)
        if encoder.dim < 1:
            raise InvalidInput(f"The encoder {encoder.name} has vectors of {encoder.dim} dimensions.")
        ref, _ = self.catalog.create_collection(name, encoder, self.index_for(0))
        _expect(ref, encoder)
        self.store.ensure(self.vectors_name(ref), ref.encoder.dim, ref.index)
        return self.collection(name)

    def check_encoder(self, name: str, encoder: EncoderInfo) -> None:
        """Raise EncoderMismatch, naming both and the way out, unless the collection's vectors are of this encoder. One cheap query."""
        _expect(self.catalog.ref(name), encoder)

    def drop_collection(self, name: str) -> None:
        """Delete a collection, its images and its vectors, and cancel its jobs; never delete the files of import folders."""
        self._finish_drop(self.catalog.start_drop(name))

    def _finish_drop(self, ref: Ref) -> None:
        for existing in self.store.names(f"{self.vectors_prefix()}{ref.id}_"):
            self.store.drop(existing)
        while ids := self.catalog.deleting(ref.id, ERASE_BATCH, everything=True):
            # Uploads of a library whose restoring failed were there before: they are needed for the next try.
            self._erase_files(ids, uploads=not ref.name.startswith(RESTORING))
            self.catalog.delete_rows(ids, everything=True)
        self.catalog.delete_collection(ref.id)

    def count(self, name: str) -> int:
        """Ready images."""
        return self.catalog.count(self.catalog.ref(name).id)

    def vectors_prefix(self) -> str:
        """How the names of this library's collections in Milvus begin: several libraries may share a server."""
        return f"tsir_{self._tag}_"

    def vectors_name(self, ref: Ref, generation: int | None = None) -> str:
        """The collection in Milvus that holds the served (or another) generation of vectors."""
        return f"{self.vectors_prefix()}{ref.id}_{generation or ref.generation}"

    def index_for(self, count: int) -> str:
        """The index of a collection of that many images."""
        if self.settings.vector_index != "auto":
            return self.settings.vector_index
        # Milvus Lite spends its time outside the index: with HNSW it needs twice the memory and is no quicker.
        return "FLAT" if count <= FLAT_LIMIT or self.store.embedded else "HNSW"

    def _grow(self, ref: Ref) -> None:
        """Change the index of a collection that has outgrown it."""
        if ref.index != "FLAT" or self.index_for(FLAT_LIMIT + 1) == "FLAT" or not self._growing.acquire(blocking=False):
            return
        try:
            index = self.index_for(self.catalog.count(ref.id))
            if index != ref.index and self.catalog.set_index(ref.id, index, instead_of=ref.index):
                log.info("%r has more than %d images: building the %s index.", ref.name, FLAT_LIMIT, index)
                try:
                    self.store.set_index(self.vectors_name(ref), index)
                except StoreUnavailable:
                    self.catalog.set_index(ref.id, ref.index, instead_of=index)  # the next pictures try it again
                    raise
        finally:
            self._growing.release()

    # Writing

    def unchanged(self, name: str, files: Sequence[FileStat]) -> set[str]:
        """Which of these paths are ready with the same size and mtime: nothing needs to be done for them. One query."""
        return self.catalog.unchanged(name, files)

    def begin(self, name: str, items: Sequence[NewImage], only: int | None = None) -> list[Begun]:
        """Note pictures in the catalog, in the order given; those with status "new" wait for their vector (`finish`).

        Content that is already stored keeps its vector and gains a path. A path whose content changed moves to the new image; the old one
        is deleted when no path is left. The same content twice in one batch is one image: both get its id, both "new". Raises InvalidInput
        for a path that is not valid Unicode, and NotFound when the name is that of another collection than `only` by now.
        """
        return self.begin_restored(name, items, {}, only)

    def begin_restored(
        self, name: str, items: Sequence[NewImage], created_at: Mapping[str, datetime], only: int | None = None
    ) -> list[Begun]:
        """Like `begin`, for images that keep the time of their creation (by content hash)."""
        while True:
            try:
                noted = self.catalog.begin(name, items, created_at, only)
                break
            except BeingDeleted as found:
                self._erase(self.catalog.ref(name), found.ids)
        if noted.orphans or noted.stale or self._owed:
            self._follow(self.catalog.ref(name), noted.orphans, noted.stale)
        return noted.begun

    def _follow(self, ref: Ref, orphans: Sequence[int] = (), stale: Sequence[int] = ()) -> None:
        """Delete orphans and write new places in Milvus, as the catalog has done. What fails is done by the next call that gets through."""
        with self._owing:
            gone, moved = self._owed.pop(ref.id, (set(), set()))
            gone |= set(orphans)
            moved |= set(stale)
        try:
            self._erase(ref, sorted(gone))
            gone = set()
            self.refresh(ref, sorted(moved))
        except StoreUnavailable:
            with self._owing:
                others, more = self._owed.get(ref.id, (set(), set()))
                self._owed[ref.id] = (gone | others, moved | more)
            raise

    def finish(self, name: str, ids: Sequence[int], vectors: Vectors, encoder: EncoderInfo | None = None) -> None:
        """Store the vectors [n, dim] of begun images and make these findable. Idempotent; images deleted meanwhile are left out.

        `encoder` made the vectors: raises EncoderMismatch when the collection has moved to another one meanwhile.
        """
        ref = self.catalog.ref(name)
        if encoder is not None:
            _expect(ref, encoder)
        rows = _rows(ids, vectors, ref.encoder.dim)
        stale = self._write(ref, rows)
        self.refresh(ref, stale)
        self._grow(ref)

    def _write(self, ref: Ref, rows: Mapping[int, Vectors]) -> list[int]:
        """Store vectors by image id and make the images ready; returns those whose places changed meanwhile."""
        facts = self.catalog.facts(ref.id, list(rows))
        if not facts:
            return []
        order = list(facts)
        try:
            self._upsert(ref, None, order, np.stack([rows[id] for id in order]), list(facts.values()))
            gone, stale = self.catalog.settle(ref.name, ref.generation, facts)
        except EncoderMismatch:
            now = self.catalog.ref(ref.name)
            if now.encoder != ref.encoder:
                raise
            return self._write(now, rows)  # the vectors moved into a newer schema meanwhile
        if gone:
            self.store.delete(self.vectors_name(ref), gone)
        return stale

    def _upsert(self, ref: Ref, generation: int | None, ids: Sequence[int], vectors: Vectors, facts: Sequence[Facts]) -> None:
        name = self.vectors_name(ref, generation)
        try:
            self.store.upsert(name, ids, vectors, facts)
        except NoSuchVectors:
            # A crash came between the catalog's row and Milvus' collection, or Milvus lost it, unless the collection was dropped.
            now = self.catalog.ref(ref.name)
            if generation is None and now.generation != ref.generation:
                raise EncoderMismatch(f"The vectors of {ref.name!r} were replaced meanwhile. Import again.") from None
            self.store.ensure(name, vectors.shape[1], ref.index)
            self.store.upsert(name, ids, vectors, facts)

    def refresh(self, ref: Ref, ids: Sequence[int]) -> None:
        """Write the folders of images whose places changed beside their vectors; `stale` in the catalog until that is done."""
        for part in chunks(ids):
            self._refresh(ref, part)

    def _refresh(self, ref: Ref, ids: Sequence[int]) -> None:
        name = self.vectors_name(ref)
        for _ in range(5):  # again for those that changed once more meanwhile; the next start or check does what is left
            facts = {id: fact for id, fact in self.catalog.facts(ref.id, ids).items() if fact.state == "ready" and fact.stale}
            if not facts:
                return
            try:
                stored = self.store.get(name, list(facts), "Strong")
            except NoSuchVectors:
                return
            ids = self._write(ref, stored)

    def unfinished(self, name: str, limit: int, after: int = 0) -> list[Image]:
        """Pending images, ids rising from above `after`: a crash interrupted their import, or `check` found no vector. Encode, `finish`."""
        return self.catalog.images(self.catalog.ref(name), limit, after=after, state="pending")

    def mark_missing(self, name: str, root: str | Path) -> Swept:
        """Forget the paths at or below `root` that no longer exist on disk, and delete images that have no other path.

        For the end of a folder's import. Raises NotFound when `root` itself is gone, or suddenly empty: a drive that is not mounted is no
        deletion.
        """
        folder = Path(root)
        ref = self.catalog.ref(name)
        if not folder.exists():
            raise NotFound(f"{str(root)!r} does not exist: nothing was taken out of {name!r}. Is its drive mounted?")
        if folder.is_dir() and not any(folder.iterdir()) and len(self.catalog.places(ref.id, 0, FEW, str(root))) == FEW:
            raise NotFound(
                f"{str(root)!r} is empty, and pictures of {name!r} were there: nothing was taken out. Is its drive mounted? "
                "If you deleted them, `tsir check --repair` takes them out."
            )
        paths = images = after = 0
        while places := self.catalog.places(ref.id, after, ERASE_BATCH, str(root)):
            after = places[-1][0]
            gone = [id for id, path in places if vanished(path)]
            if gone:
                swept = self.forget(ref, gone)
                paths += swept.paths
                images += swept.images
        self._follow(ref)
        return Swept(paths, images)

    def forget(self, ref: Ref, locations: Sequence[int]) -> Swept:
        """Take places out of the catalog, and with the last one its image."""
        count, orphans, moved = self.catalog.forget(locations)
        self._follow(ref, orphans, moved)
        return Swept(count, len(orphans))

    def delete_images(self, name: str, ids: Sequence[int]) -> int:
        """Delete images and their vectors; returns how many there were. Files below import roots stay, uploaded files go."""
        ref, marked = self.catalog.start_delete(name, ids)
        self._erase(ref, marked)
        return len(marked)

    def _erase(self, ref: Ref, ids: Sequence[int]) -> None:
        """Delete images marked `deleting`: vectors, files that are theirs alone, rows. Idempotent."""
        for part in sql.chunks(ids, ERASE_BATCH):
            for generation in (ref.generation, ref.next_generation):
                if generation is not None:
                    with suppress(NoSuchVectors):
                        self.store.delete(self.vectors_name(ref, generation), part)
            self._erase_files(part)
            self.catalog.delete_rows(part)

    def _erase_files(self, ids: Sequence[int], uploads: bool = True) -> None:
        paths, hashes = self.catalog.leftovers(ids)
        for path in paths if uploads else ():
            self.files.delete_upload(path)
        for content_hash in hashes:
            self.files.delete_thumbnails(content_hash)

    def finish_deletions(self) -> int:
        """Do what a crash left: returns how many collections and images that were."""
        count = 0
        for ref in self.catalog.refs("dropping"):
            self._finish_drop(ref)
            count += 1
        for ref in self.catalog.refs("ready"):
            while ids := self.catalog.deleting(ref.id, ERASE_BATCH):
                self._erase(ref, ids)
                count += len(ids)
        return count

    # Reading

    def images(self, name: str, cursor: str | None = None, limit: int = 100) -> tuple[list[Image], str | None]:
        """A page of ready images, newest first, and the cursor of the next page. Images added meanwhile never shift a page."""
        if not 1 <= limit <= 10_000:
            raise InvalidInput(f"limit is between 1 and 10000, not {limit}.")
        before = sql.decode_cursor(cursor) if cursor else None
        page = self.catalog.images(self.catalog.ref(name), limit, before=before)
        return page, sql.encode_cursor(page[-1].id) if len(page) == limit else None

    def image(self, name: str, id: int) -> Image:
        """A ready image. Raises NotFound."""
        found = self.catalog.ready(self.catalog.ref(name), [id]) if abs(id) < 2**63 else {}
        if id not in found:
            raise NotFound(f"There is no image {id} in {name!r}.")
        return found[id]

    def find_path(self, path: str) -> Image | None:
        """The ready image of any collection that lies at exactly this path."""
        return self.catalog.find_path(path)

    def vectors(self, name: str, ids: Sequence[int]) -> dict[int, Vectors]:
        """Stored vectors float32 [dim] by image id; ids without one are left out."""
        ref = self.catalog.ref(name)
        wanted = sorted({id for id in ids if abs(id) < 2**63})
        ready = self.catalog.ready(ref, wanted)
        try:
            return self.store.settled(self.vectors_name(ref), list(ready))
        except NoSuchVectors:
            return {}

    def search(
        self, name: str, vector: Vectors, limit: int, offset: int = 0, filter: Filter | None = None, fresh: bool = False
    ) -> list[Hit]:
        """The `limit` best ready images after the first `offset`, scores falling (equal scores by id).

        `vector` is float32 [dim], unit length. `fresh` sees every finished write, at a price on a Milvus server; otherwise a write may take
        a moment to be found. Raises InvalidInput when offset + limit exceed what Milvus can return (16,384).
        """
        ref = self.catalog.ref(name)
        query = np.asarray(vector, dtype=np.float32).reshape(-1)
        _check_query(ref, query)
        norm = np.linalg.norm(query)
        if not np.isfinite(norm) or norm == 0:
            raise InvalidInput("The query's vector is zero or not finite: it points nowhere.")
        query = np.asarray(query / norm, dtype=np.float32)
        if limit < 1 or offset < 0 or offset + limit > MAX_RESULTS - SPARE_HITS:
            raise InvalidInput(f"Results can be shown up to number {MAX_RESULTS - SPARE_HITS}; asked for were {limit} from {offset} on.")
        consistency: Consistency = "Strong" if fresh else "Bounded"
        k = offset + limit + SPARE_HITS
        while True:
            with_vectors = k * query.nbytes <= VECTOR_BYTES_PER_REPLY
            try:
                found = self.store.search(self.vectors_name(ref), query, k, ref.index, filter, consistency, with_vectors)
            except NoSuchVectors:
                served, ref = ref, self.catalog.ref(name)
                if ref.generation != served.generation:  # re-encoded since we looked
                    _check_query(ref, query)
                    continue
                found = []
            images = self.catalog.ready(ref, [hit.id for hit in found])
            ready = [hit.score for hit in found if hit.id in images]
            # Which of several equal scores belong on this page, their ids decide: all of them must be here.
            complete = len(ready) > offset + limit and (
                ready[offset + limit - 1] - ready[-1] > SAME_SCORE or k >= offset + limit + MANY_EQUAL
            )
            if complete or len(found) < k or k == MAX_RESULTS:
                break
            k = min(MAX_RESULTS, 2 * k)
        vectors = {hit.id: hit.vector for hit in found if hit.vector is not None and hit.id in images}
        if with_vectors:
            return _hits(query, vectors, images)[offset : offset + limit]
        page = [hit.id for hit in found if hit.id in images][offset : offset + limit]
        return _hits(query, self.store.get(self.vectors_name(ref), page, consistency), images)

    # Re-encoding

    def begin_reencode(self, name: str, encoder: EncoderInfo) -> int:
        """Open a new generation of vectors beside the served one and return its number.

        Calling it again with the same encoder resumes; with another one the unfinished generation is thrown away. Raises Conflict when the
        collection is already of this encoder.
        """
        ref, thrown = self.catalog.begin_reencode(name, encoder)
        if thrown is not None:
            self.store.drop(self.vectors_name(ref, thrown))
        if ref.next_generation is None:
            raise AssertionError("a generation was just opened")
        self.store.ensure(self.vectors_name(ref, ref.next_generation), encoder.dim, self.index_for(self.catalog.count(ref.id)))
        return ref.next_generation

    def reencode_batch(self, name: str, generation: int, limit: int, after: int = 0) -> list[Image]:
        """Ready images that have no vector in the generation yet, ids rising from above `after`; empty when all are done."""
        return self.catalog.images(self.catalog.ref(name), limit, after=after, lacking=generation)

    def finish_reencode(self, name: str, generation: int, ids: Sequence[int], vectors: Vectors) -> None:
        """Store vectors [n, dim] in the new generation. Idempotent. Raises Conflict when the generation was given up."""
        ref = self.catalog.ref(name)
        if ref.generation == generation:  # swapped by another process
            return
        if ref.next_generation != generation or ref.next_encoder is None:
            raise Conflict(f"Re-encoding of {name!r} was given up meanwhile.")
        rows = _rows(ids, vectors, ref.next_encoder.dim)
        facts = self.catalog.facts(ref.id, list(rows))
        if not facts:
            return
        order = list(facts)
        self._upsert(ref, generation, order, np.stack([rows[id] for id in order]), list(facts.values()))
        gone = self.catalog.settle_reencode(name, generation, facts)
        if gone:
            self.store.delete(self.vectors_name(ref, generation), gone)

    def swap(self, name: str, generation: int) -> int:
        """Serve the new generation from now on and drop the old one. Idempotent.

        Returns the number of images that have no vector in it (their files could not be read): these become pending.
        """
        index = self.index_for(self.catalog.count(self.catalog.ref(name).id))
        before, pending, done = self.catalog.swap(name, generation, index)
        # Also when it was done before: Milvus may have been away then. Its list first: a generation is in the catalog before it is there.
        present = self.store.names(f"{self.vectors_prefix()}{before.id}_")
        ref = self.catalog.ref(name)
        for existing in present:
            if existing not in {self.vectors_name(ref), self.vectors_name(ref, ref.next_generation)}:
                self.store.drop(existing)
        self.store.ensure(self.vectors_name(ref), ref.encoder.dim, ref.index)
        return pending if done else self.catalog.count(ref.id, state="pending")

    def finish_swap(self, name: str) -> int:
        """`swap` once more to the generation that is served already: drops what an interrupted one left, returns the same number."""
        return self.swap(name, self.catalog.ref(name).generation)

    def abort_reencode(self, name: str) -> None:
        """Throw an unfinished generation away; nothing happens when there is none."""
        ref, thrown = self.catalog.abort_reencode(name)
        if thrown is not None:
            self.store.drop(self.vectors_name(ref, thrown))

    # Jobs

    def create_job(self, name: str, kind: JobKind, spec: Mapping[str, Any], *, worker: str | None = None) -> Job:
        """Queue work on a collection; `spec` holds JSON values. With `worker` it is claimed by that worker from the start."""
        return self.catalog.create_job(name, kind, spec, worker)

    def claim_job(self, worker: str, busy: Iterable[int] | None = None) -> Job | None:
        """Take the oldest queued job, or one whose worker is dead: its process on this system is gone, or it gave no sign of life for a
        minute. Of many callers exactly one gets a job.

        `busy` are the jobs that the worker is at. Others under its name it got from a call whose answer was lost: it gets them again.
        """
        return self.catalog.claim_job(worker, busy)

    def update_job(
        self,
        id: int,
        *,
        worker: str | None = None,
        total: int | None = None,
        done: int | None = None,
        skipped: int | None = None,
        failed: int | None = None,
        rate: float | None = None,
        message: str | None = None,
        failures: Sequence[JobFailure] = (),
    ) -> bool:
        """Record progress (absolute numbers; None: unchanged) and a sign of life; a path's failure is listed once, with its last reason.

        `message` says what the job waits for, "" that it does not wait any more.
        False tells the worker to stop: cancel was asked, the job is over, or another worker took it over.
        """
        counts = {"total": total, "done": done, "skipped": skipped, "failed": failed, "rate": rate}
        return self.catalog.update_job(id, worker, counts, failures, message)

    def finish_job(self, id: int, state: JobState, message: str | None = None, *, worker: str | None = None) -> None:
        """End a job ("queued" hands it back). Nothing happens when it is over, or runs under another worker."""
        self.catalog.finish_job(id, state, message, worker)

    def cancel_job(self, id: int) -> Job:
        """Cancel a queued job at once, a running one at its worker's next sign of life. Raises Conflict when it is over."""
        return self.catalog.cancel_job(id)

    def job(self, id: int) -> Job:
        """Raises NotFound."""
        return self.catalog.job(id)

    def list_jobs(self, limit: int = 50, collection: str | None = None) -> list[Job]:
        """The newest first."""
        return self.catalog.list_jobs(limit, collection)

    def job_failures(self, id: int, limit: int = 100, offset: int = 0) -> list[JobFailure]:
        """In the order they were found."""
        return self.catalog.job_failures(id, limit, offset)

    def requeue_orphans(self) -> int:
        """Queue the running jobs again: only for the one process that may open the library. `open` does it for embedded stores."""
        return self.catalog.requeue_orphans()

    # Care

    def check(self, repair: bool = False, thumbnail: Callable[[Image], bool] | None = None) -> CheckReport:
        """Compare rows, vectors, files and thumbnails; with `repair`, mend what differs.

        `thumbnail` makes the thumbnails of one image, or returns False: with `repair` it is called for those that lack one. Images found
        to have no vector become pending: encode them again (`unfinished`).
        """
        return check(self, repair, thumbnail)

    def backup(self, path: Path, pictures: bool = False) -> None:
        """Write everything (catalog rows, vectors, encoder; pictures on request) to one portable archive file.

        Images that become ready while it runs may be missing from it. Raises InvalidInput when the file cannot be written.
        """
        backup(self, path, pictures)

    def restore(self, path: Path) -> list[str]:
        """Add the collections of an archive, all or none; returns their names.

        Raises Conflict when a name is taken, InvalidInput for a damaged archive.
        """
        return restore(self, path)


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


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InvalidInput(f"{name!r} cannot name a collection: a letter or _, then up to 63 letters, digits, _ or -.")


def _expect(ref: Ref, encoder: EncoderInfo) -> None:
    if ref.encoder.fingerprint != encoder.fingerprint or ref.encoder.dim != encoder.dim:
        raise EncoderMismatch(
            f"The collection {ref.name!r} was built with the encoder {ref.encoder.name} ({ref.encoder.fingerprint}), and "
            f"{encoder.name} ({encoder.fingerprint}) is running: their vectors cannot be compared. Run with MODEL={ref.encoder.name}, "
            f"re-encode the collection, or use another name."
        )


def _check_query(ref: Ref, query: Vectors) -> None:
    if query.shape[0] != ref.encoder.dim:
        raise EncoderMismatch(f"{ref.name!r} has vectors of {ref.encoder.dim} dimensions ({ref.encoder.name}), the query {query.shape[0]}.")


def _rows(ids: Sequence[int], vectors: Vectors, dim: int) -> dict[int, Vectors]:
    """Unit vectors by image id; of an id that comes twice the last."""
    rows = np.asarray(vectors, dtype=np.float32)
    if rows.shape != (len(ids), dim):
        raise EncoderMismatch(f"Expected vectors [{len(ids)}, {dim}], got {list(rows.shape)}.")
    if not np.isfinite(rows).all():
        raise InvalidInput("The encoder returned values that are no numbers.")
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    if (abs(norm - 1) > 1e-5).any():  # encoders return unit rows; those are stored bit for bit
        rows = np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 0)
    return dict(zip(ids, rows, strict=True))


def _hits(query: Vectors, vectors: Mapping[int, Vectors], images: Mapping[int, Image]) -> list[Hit]:
    """Hits with exact scores, falling, equal ones by id: the same from every back end and index."""
    ids = [id for id in vectors if id in images]
    if not ids:
        return []
    scores = np.stack([vectors[id] for id in ids]).astype(np.float64) @ query.astype(np.float64)
    hits = [Hit(images[id], float(np.clip(score, -1, 1)), vectors[id]) for id, score in zip(ids, scores.astype(np.float32), strict=True)]
    return sorted(hits, key=lambda hit: (-hit.score, hit.image.id))
