"""One collection of a library: pictures in, pictures out, by the two-store protocol.

Write: row `pending`, vector upserted, row `ready`. Delete: row `deleting`, vector deleted, row deleted. Every step is idempotent, so
whatever a crash leaves behind is mended by doing it again.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from tsir.errors import EncoderMismatch, InvalidInput, NotFound, StoreRefused, StoreUnavailable, VectorsDamaged, encoder_mismatch
from tsir.library import throwing
from tsir.library.nearest import MAX_WINDOW, Nearest, unit_queries
from tsir.library.places import Absence, look_at, look_closely, vanished
from tsir.library.steps import Step
from tsir.library.stores import ERASE_BATCH, FLAT_LIMIT, Stores, unit_rows
from tsir.media.files import folder_trouble, is_address
from tsir.paging import chunks, decode_cursor, encode_cursor
from tsir.records import (
    Begun,
    CollectionState,
    CollectionSummary,
    EncoderInfo,
    Facets,
    FileStat,
    Hit,
    Image,
    NewImage,
    Removed,
    Swept,
    Vectors,
)
from tsir.stopwatch import Stopwatch
from tsir.storage import filters
from tsir.storage.filters import Filter
from tsir.storage.milvus.client import NoSuchVectors
from tsir.storage.sql.browsing import ORDERS, Order, Sort, read_cursor, write_cursor
from tsir.storage.sql.collections import Ref
from tsir.storage.sql.locations import BeingDeleted
from tsir.storage.sql.values import CHUNK

log = logging.getLogger(__name__)

IDS_WINDOW = 8_192
"""Ids compared at once: their vectors' ids fit into one reply of Milvus."""


class Owed:
    """What Milvus, being away, has not been told yet: by collection, images to delete and images whose places changed."""

    def __init__(self) -> None:
        self._owed: dict[int, tuple[set[int], set[int]]] = {}
        self._lock = threading.Lock()
        self.growing = threading.Lock()
        """Held while an outgrown index is changed: one at a time in a process."""

    def __bool__(self) -> bool:
        return bool(self._owed)

    def take(self, collection_id: int) -> tuple[set[int], set[int]]:
        """What is owed to a collection; from now on it is the caller's."""
        with self._lock:
            return self._owed.pop(collection_id, (set(), set()))

    def give_back(self, collection_id: int, gone: set[int], moved: set[int]) -> None:
        """Still owed."""
        with self._lock:
            others, more = self._owed.get(collection_id, (set(), set()))
            self._owed[collection_id] = (gone | others, moved | more)


class Collection:
    """A handle on one collection: its row is read once, when the handle is made, and again where it may have changed.

    Get one by `Library.collection`. Safe to use from many threads. Every method may raise StoreUnavailable, and NotFound once the
    collection was dropped, even if another has its name by then.
    """

    def __init__(self, stores: Stores, owed: Owed, ref: Ref) -> None:
        self._stores = stores
        self._owed = owed
        self.ref = ref
        """The row, as it was when the handle was made."""

    @property
    def id(self) -> int:
        """Never given to another collection."""
        return self.ref.id

    @property
    def name(self) -> str:
        """Its name when the handle was made."""
        return self.ref.name

    @property
    def encoder(self) -> EncoderInfo:
        """Which model made its vectors, when the handle was made."""
        return self.ref.encoder

    @property
    def state(self) -> CollectionState:
        """ "reencoding" while a new generation of vectors is being made."""
        return self.ref.state_shown

    def again(self) -> Collection:
        """A new handle on the same collection."""
        return Collection(self._stores, self._owed, self._stores.catalog.collections.again(self.ref))

    def describe(self) -> CollectionSummary:
        """The collection with its counts: reads every image's index entry."""
        return self._stores.catalog.collections.describe(self.ref)[0]

    def count(self) -> int:
        """Ready images whose files are there."""
        self._stores.catalog.collections.again(self.ref)
        return self._stores.catalog.collections.count(self.id) - self._stores.catalog.collections.missing(self.id)

    def empty(self) -> bool:
        """Whether it has no image at all, be it missing or unfinished."""
        self._stores.catalog.collections.again(self.ref)
        return not self._stores.catalog.images.last_id(self.id)

    def expect(self, encoder: EncoderInfo) -> None:
        """Raise EncoderMismatch, naming both and the way out, unless the vectors are of this encoder. Asks nobody."""
        expect(self.ref, encoder)

    # Writing

    def unchanged(self, files: Sequence[FileStat], *, again: bool = False) -> set[str]:
        """Which of these paths are ready with the same size and mtime: nothing needs to be done for them. Missing ones are not any more.

        So are those of images that somebody took out, unless they shall come `again`.
        """
        same, back = self._stores.catalog.locations.unchanged(self.ref, files, again=again)
        if back:
            self._mark(back, missing=False)
        return same

    def begin(
        self,
        items: Sequence[NewImage],
        created_at: Mapping[str, datetime] | None = None,
        ids: Mapping[str, int] | None = None,
        *,
        again: bool = True,
    ) -> list[Begun]:
        """Note pictures in the catalog, in the order given; those with status "new" wait for their vector (`finish`).

        Content that is already stored keeps its vector and gains a path. A path whose content changed moves to the new image; the old one
        is deleted when no path is left. The same content twice in one batch is one image: both get its id, both "new". `created_at`, by
        content hash, is the time of images that were there before, in this library or another, and `ids` their numbers, if these are
        free. Content that somebody took out (`remove`) comes back, unless `again` is False. Raises InvalidInput for a path that is not
        valid Unicode, and DiskFull before anything was done.
        """
        self._stores.need_room()
        while True:
            try:
                noted = self._stores.catalog.locations.begin(self.ref, items, created_at or {}, ids, again=again)
                break
            except BeingDeleted as found:
                self._stores.erase(self._now(), found.ids)
        self._stores.after(Step.IMAGES_NOTED)
        if noted.orphans or noted.stale or self._owed:
            self._follow(noted.orphans, noted.stale)
        return noted.begun

    def finish(self, ids: Sequence[int], vectors: Vectors, encoder: EncoderInfo | None = None) -> None:
        """Store the vectors [n, dim] of begun images and make these findable. Idempotent; images deleted meanwhile are left out.

        `encoder` made the vectors: raises EncoderMismatch when the collection has moved to another one meanwhile, and DiskFull before
        anything was done.
        """
        self._stores.need_room(vectors.nbytes)
        ref = self._now()
        if encoder is not None:
            expect(ref, encoder)
        stale = self._write(ref, unit_rows(ids, vectors, ref.encoder.dim))
        self.refresh(stale, ref)
        self._grow(ref)

    def refresh(self, ids: Sequence[int], ref: Ref | None = None) -> None:
        """Write the folders of images whose places changed beside their vectors; `stale` in the catalog until that is done."""
        ref = ref or self._now()
        for part in chunks(ids, CHUNK):
            self._refresh(ref, part)

    def unfinished(self, limit: int, after: int = 0) -> list[Image]:
        """Pending images, ids rising from above `after`: a crash interrupted their import, or `check` found no vector. Encode, `finish`."""
        return self._stores.catalog.images.page(self._now(), limit, after=after, state="pending")

    def owe(self) -> int:
        """Ready images whose vectors are lost become pending; returns how many. Compares counts first: costs little when all is well.

        Vectors that are damaged are thrown away if all pictures can be encoded again; raises VectorsDamaged otherwise.
        """
        stores, ref = self._stores, self._now()
        name = stores.vectors_name(ref)
        lost: list[int] = []
        discarded = False
        try:
            found, known = stores.vectors.count(name), stores.catalog.collections.count(ref.id)
            # More than are known: of pictures that another process is about to finish, or of a catalog before an older one was put back.
            if found == known or (found > known and not stores.exclusive):
                return 0
            for low in range(0, stores.catalog.images.last_id(ref.id) + 1, IDS_WINDOW):
                # Rows first: what is ready now has had its vector before.
                ready = stores.catalog.images.ready_ids(ref.id, low, low + IDS_WINDOW)
                lost += sorted(set(ready).difference(stores.vectors.ids(name, low, low + IDS_WINDOW).tolist()))
        except NoSuchVectors:
            lost = stores.catalog.images.ready_ids(ref.id, 0, stores.catalog.images.last_id(ref.id) + 1)
        except VectorsDamaged as error:
            if absent := self._absent():
                raise VectorsDamaged(
                    f"{error} The files of {absent:,} pictures of {ref.name!r} are not there now: is a drive missing? Only what is "
                    "there can be encoded again."
                ) from error
            log.warning("%s", error)
            stores.vectors.discard(name)
            discarded = True
            lost = stores.catalog.images.ready_ids(ref.id, 0, stores.catalog.images.last_id(ref.id) + 1)
        if self._now().generation != ref.generation:  # encoded anew meanwhile
            return 0
        if lost or discarded:
            stores.make_room(ref)
        if lost:
            log.info("The vectors of %d pictures of %r are missing.", len(lost), ref.name)
            stores.catalog.images.unready(lost)
        return len(lost)

    def _absent(self) -> int:
        """How many images have no file now."""
        count = after = 0
        while page := self._stores.catalog.images.page(self._now(), ERASE_BATCH, after=after):
            after = page[-1].id
            gone = ("gone", "unknown")
            count += sum(all(not is_address(path) and look_at(FileStat(path, 0, 0)) in gone for path in image.paths) for image in page)
        return count

    def sweep(self, root: str | Path) -> Swept:
        """Look what became of the places at or below `root`; images none of whose files is there are missing from now on.

        For the end of a folder's import. Absent is not deleted: rows, vectors and thumbnails stay until `forget_missing`. What was moved
        here from elsewhere does not lie there any more. Raises NotFound when `root` itself is gone: then nothing changes.
        """
        trouble = folder_trouble(root)
        if trouble not in (None, "is not a folder"):
            self._now()
            raise NotFound(f"{str(root)!r} {trouble}: nothing was taken out of {self.name!r}. Is its drive mounted?")
        swept = self.look(root)
        self._leave_old_places(root)
        return swept

    def _leave_old_places(self, root: str | Path) -> None:
        """Images that lie below `root` may have been moved there: places elsewhere whose files are gone are missing."""
        after, locations = 0, self._stores.catalog.locations
        while places := locations.elsewhere(self.id, after, ERASE_BATCH, str(root)):
            after = places[-1].id
            if gone := [place.id for place in places if look_at(place.file) == "gone"]:
                self._mark(gone, missing=True)

    def look(
        self,
        root: str | Path | None = None,
        *,
        within: Callable[[str], bool] = lambda path: True,
        only: Callable[[str], bool] = lambda path: True,
    ) -> Swept:
        """Compare the places at or below `root` (None: all) with the disk. Of those that are gone, only the ones `within` are marked.

        With `only`, no other paths are looked at: they are as they were.
        """
        locations = self._stores.catalog.locations
        self._now()
        absence = Absence(root)
        paths = images = found = after = 0
        while places := locations.places(self.id, after, ERASE_BATCH, None if root is None else str(root)):
            after = places[-1].id
            gone, back = [], []
            for place in places:
                if not only(place.file.path):
                    absence.count(place.file.path, gone=place.missing, known=place.missing)
                    continue
                state, reason = look_closely(place.file)
                if reason is not None:
                    absence.unreached(place.file.path, reason)
                absence.count(place.file.path, gone=state == "gone", known=place.missing)
                if state == "gone" and not place.missing and within(place.file.path):
                    gone.append(place.id)
                elif state == "same" and place.missing:
                    back.append(place.id)
            if gone:
                paths += len(gone)
                images += self._mark(gone, missing=True)
            if back:
                found += self._mark(back, missing=False)
        if paths and root is not None and (renamed := locations.superseded(self.id, str(root))):
            self.forget(renamed)
        self._follow()
        return Swept(paths, images, found, absence.suspicions())

    def relocate(self, old: str, new: str) -> tuple[int, int]:
        """The places below the folder `old` are below `new` from now on; returns how many places of how many images.

        A place that is taken there by other content stays, and so does one whose file was not moved. Whether the others are there, `look`
        finds out.
        """

        def staying(file: FileStat, path: str) -> bool:
            return look_at(file) == "same" and vanished(path)

        paths, after = 0, 0
        images: set[int] = set()
        while page := self._stores.catalog.locations.relocate(self.ref, old, new, after, ERASE_BATCH, staying):
            after, moved, owners = page
            paths += moved
            images |= owners
            self._follow((), sorted(owners))
        return paths, len(images)

    def forget_missing(self, root: str | Path | None = None, before: datetime | None = None) -> Swept:
        """Take the missing places at or below `root` (None: all) out of the catalog, and with the last one its image and vector.

        Only those that are missing since `before`, if that is given; files that are there again are found instead.
        """
        locations = self._stores.catalog.locations
        self._now()
        paths = images = found = after = 0
        while places := locations.places(self.id, after, ERASE_BATCH, None if root is None else str(root), missing=True, before=before):
            after = places[-1].id
            gone = {place.id for place in places if vanished(place.file.path)}
            if back := [place.id for place in places if look_at(place.file) == "same"]:
                found += self._mark(back, missing=False)
            swept = self.forget(sorted(gone))
            paths += swept.paths
            images += swept.images
        self._follow()
        return Swept(paths, images, found)

    def _mark(self, places: Sequence[int], *, missing: bool) -> int:
        """Note that files are gone or back; returns of how many images that changed whether they are missing."""
        count, stale = self._stores.catalog.locations.mark(places, missing)
        if stale:
            self._follow((), stale)
        return count

    def forget(self, locations: Sequence[int]) -> Swept:
        """Take places (by the ids of their rows) out of the catalog, and with the last one its image."""
        count, orphans, moved = self._stores.catalog.locations.forget(locations)
        self._follow(orphans, moved)
        return Swept(count, len(orphans))

    def delete(self, ids: Sequence[int]) -> int:
        """Delete images and their vectors; returns how many there were. Files below import roots stay, uploaded files go to the trash."""
        throwing.note(self._stores, self._now(), "removed", ids)
        return self._delete(ids, exclude=False)

    def remove(self, ids: Sequence[int]) -> Removed:
        """Take images out for good: also the next import of a folder leaves those out that lie there, until they are included again.

        Files in folders stay where they are, uploaded files go to the trash, and by the entry there all of it can be restored.
        """
        entry, _, only = throwing.note(self._stores, self._now(), "removed", ids)
        return Removed(self._delete(ids, exclude=True), only, entry)

    def leave_out(self, ids: Sequence[int]) -> None:
        """Exclude images that lie in folders, without an entry in the trash: for what was taken out before, in another library."""
        self._delete(ids, exclude=True)

    def _delete(self, ids: Sequence[int], *, exclude: bool) -> int:
        marked, already = self._stores.catalog.images.start_delete(self.ref, ids, exclude=exclude)
        self._stores.erase(self._now(), marked + already)
        return len(marked)

    def include(self, ids: Sequence[int] | None = None) -> list[int]:
        """Images (None: all) that were taken out of folders wait for their vectors again (`unfinished`); returns which were taken out."""
        return self._stores.catalog.images.include(self.ref, ids)

    def _now(self) -> Ref:
        """The row as it is now."""
        return self._stores.catalog.collections.again(self.ref)

    def _follow(self, orphans: Sequence[int] = (), stale: Sequence[int] = ()) -> None:
        """Delete orphans and write new places in Milvus, as the catalog has done. What fails is done by the next call that gets through."""
        ref = self._now()
        gone, moved = self._owed.take(ref.id)
        gone |= set(orphans)
        moved |= set(stale)
        try:
            self._stores.erase(ref, sorted(gone))
            gone = set()
            self.refresh(sorted(moved), ref)
        except StoreUnavailable:
            self._owed.give_back(ref.id, gone, moved)
            raise

    def _write(self, ref: Ref, rows: Mapping[int, Vectors]) -> list[int]:
        """Store vectors by image id and make the images ready; returns those whose places changed meanwhile."""
        facts = self._stores.facts(ref, list(rows))
        if not facts:
            return []
        try:
            self._stores.upsert(ref, None, rows, facts)
            gone, stale = self._stores.catalog.images.settle(ref, facts)
        except EncoderMismatch:
            now = self._now()
            if now.encoder != ref.encoder:
                raise
            return self._write(now, rows)  # the vectors moved into a newer schema meanwhile
        self._stores.after(Step.IMAGES_READY)
        if gone:
            self._stores.vectors.delete(self._stores.vectors_name(ref), gone)
        return stale

    def _refresh(self, ref: Ref, ids: Sequence[int]) -> None:
        name = self._stores.vectors_name(ref)
        for _ in range(5):  # again for those that changed once more meanwhile; the next start or check does what is left
            facts = {id: fact for id, fact in self._stores.facts(ref, ids).items() if fact.state == "ready" and fact.stale}
            if not facts:
                return
            try:
                stored = self._stores.vectors.get(name, list(facts), "Strong")
            except NoSuchVectors:
                return
            self._stores.after(Step.VECTORS_READ)
            ids = self._write(ref, stored)

    def _grow(self, ref: Ref) -> None:
        """Change the index of a collection that has outgrown it."""
        stores, collections = self._stores, self._stores.catalog.collections
        if ref.index != "FLAT" or stores.index_for(FLAT_LIMIT + 1) == "FLAT" or not self._owed.growing.acquire(blocking=False):
            return
        try:
            index = stores.index_for(collections.count(ref.id))
            if index != ref.index and collections.set_index(ref.id, index, instead_of=ref.index):
                log.info("%r has more than %d images: building the %s index.", ref.name, FLAT_LIMIT, index)
                try:
                    stores.vectors.set_index(stores.vectors_name(ref), index)
                except (StoreUnavailable, StoreRefused):
                    collections.set_index(ref.id, ref.index, instead_of=index)  # the next pictures try it again
                    raise
        finally:
            self._owed.growing.release()

    # Reading

    def images(
        self,
        cursor: str | None = None,
        limit: int = 100,
        filter: Filter | None = None,
        sort: Sort = "imported",
        order: Order | None = None,
    ) -> tuple[list[Image], str | None]:
        """A page of the ready images that a filter lets through, and the cursor of the next page.

        Sorted by when they were imported or taken, the newest first, or by name, unless `order` says otherwise; what has no date comes
        last. Images that come, change or go meanwhile never shift a page. Raises NotFound for a cursor of another list.
        """
        if not 1 <= limit <= 10_000:
            raise InvalidInput(f"limit is between 1 and 10000, not {limit}.")
        order = order or ORDERS[sort]
        question = hashlib.sha256(f"{self.id}:{sort}:{order}:{filters.key(filter)}".encode()).hexdigest()[:16]
        page, following = self._stores.catalog.browsing.page(self.ref, filter, sort, order, read_cursor(cursor, question, sort), limit)
        return page, None if following is None else write_cursor(following, question)

    def facets(self, filter: Filter | None = None) -> Facets:
        """How many of the ready images that a filter lets through are of each year, folder, camera and format."""
        return self._stores.catalog.browsing.facets(self.ref, filter)

    def excluded(self, cursor: str | None = None, limit: int = 100) -> tuple[list[Image], str | None]:
        """A page, like `images`, of those that were taken out and lie in folders: imports leave them out."""
        if not 1 <= limit <= 10_000:
            raise InvalidInput(f"limit is between 1 and 10000, not {limit}.")
        before = int(decode_cursor(cursor, r"\d{1,18}")[0]) if cursor else None
        page = self._stores.catalog.images.page(self.ref, limit, before=before, state="excluded")
        return page, encode_cursor(str(page[-1].id)) if len(page) == limit else None

    def with_places(self, ids: Sequence[int]) -> tuple[list[Image], dict[int, list[FileStat]]]:
        """The ready ones of these images, and where each of them lies, by its id."""
        images = self._stores.catalog.images.ready(self._now(), [id for id in ids if abs(id) < 2**63])
        return list(images.values()), self._stores.catalog.locations.file_stats(list(images))

    def at(self, paths: Sequence[str]) -> dict[str, int]:
        """Ids of the images that lie at exactly these paths; paths where none lies are left out."""
        return self._stores.catalog.locations.images_at(self.ref, paths)

    def knows_below(self, root: str) -> bool:
        """Whether any place is at or below the folder."""
        return bool(self._stores.catalog.locations.places(self.id, 0, 1, root))

    def missing_below(self, root: str) -> int:
        """How many places at or below the folder are missing."""
        return self._stores.catalog.locations.missing_below(self.id, root)

    def excluded_below(self, root: str) -> int:
        """How many images were taken out that lie at or below the folder."""
        return self._stores.catalog.locations.excluded_below(self.id, root)

    def only_copies(self, ids: Sequence[int] | None = None) -> tuple[int, int]:
        """How many of these images (None: all) the collection has, and how many of them lie among the uploads and nowhere else."""
        return self._stores.catalog.images.only_copies(self.ref, ids)

    def image(self, id: int) -> Image:
        """A ready image, be its file missing. Raises NotFound."""
        found = self._stores.catalog.images.ready(self.ref, [id]) if abs(id) < 2**63 else {}
        if id not in found:
            raise NotFound(f"There is no image {id} in {self.name!r}.")
        return found[id]

    def vectors(self, ids: Sequence[int]) -> dict[int, Vectors]:
        """Stored vectors float32 [dim] by image id; ids without one are left out."""
        wanted = sorted({id for id in ids if abs(id) < 2**63})
        ready = self._stores.catalog.images.ready(self.ref, wanted)
        ref = self.ref
        while True:
            try:
                return self._stores.vectors.settled(self._stores.vectors_name(ref), list(ready))
            except NoSuchVectors:  # noqa: PERF203 - twice at most
                served, ref = ref, self._now()
                if ref.generation == served.generation:  # not re-encoded since we looked
                    return {}

    def search(
        self, vector: Vectors, limit: int, offset: int = 0, filter: Filter | None = None, watch: Stopwatch | None = None
    ) -> list[Hit]:
        """The `limit` best ready images after the first `offset`, scores falling (equal scores by id).

        `vector` is float32 [dim], unit length. On a Milvus server a write may take a moment to be found. `watch` counts the laps "search"
        (vectors) and "rows". Raises InvalidInput when offset + limit exceed what Milvus can return (16,384).
        """
        return self.search_many(np.asarray(vector).reshape(1, -1), limit, offset, filter, watch)[0]

    def search_many(
        self, vectors: Vectors, limit: int, offset: int = 0, filter: Filter | None = None, watch: Stopwatch | None = None
    ) -> list[list[Hit]]:
        """The same for each of many vectors [n, dim], in one call to Milvus."""
        queries = unit_queries(self.ref, vectors)
        if limit < 1 or offset < 0 or offset + limit > MAX_WINDOW:
            raise InvalidInput(f"Results can be shown up to number {MAX_WINDOW}; asked for were {limit} from {offset} on.")
        return Nearest(self._stores, self.ref, self._now, filter, watch or Stopwatch()).hits(queries, limit, offset)


def expect(ref: Ref, encoder: EncoderInfo) -> None:
    """Raise EncoderMismatch unless a collection's vectors are of this encoder."""
    if ref.encoder.fingerprint != encoder.fingerprint or ref.encoder.dim != encoder.dim:
        raise encoder_mismatch(ref.name, ref.encoder, encoder)
