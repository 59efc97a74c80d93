"""One collection of a library: pictures in, pictures out, by the two-store protocol.

Write: row `pending`, vector upserted, row `ready`. Delete: row `deleting`, vector deleted, row deleted. Every step is idempotent, so
whatever a crash leaves behind is mended by doing it again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np

from tsir.errors import EncoderMismatch, InvalidInput, NotFound, StoreRefused, StoreUnavailable, encoder_mismatch
from tsir.library.places import Absence, look_at, vanished
from tsir.library.steps import Step
from tsir.library.stores import ERASE_BATCH, FLAT_LIMIT, Stores, unit_rows
from tsir.paging import chunks, decode_cursor, encode_cursor
from tsir.records import Begun, CollectionState, CollectionSummary, EncoderInfo, FileStat, Hit, Image, NewImage, Swept, Vectors
from tsir.stopwatch import Stopwatch
from tsir.storage import filters
from tsir.storage.filters import Filter, Missing
from tsir.storage.milvus.client import MAX_RESULTS, VECTOR_BYTES_PER_REPLY, NoSuchVectors
from tsir.storage.sql.collections import Ref
from tsir.storage.sql.locations import BeingDeleted
from tsir.storage.sql.values import CHUNK

log = logging.getLogger(__name__)

SPARE_HITS = 16
"""Fetched beyond what was asked for: rows that are not ready drop out, and equal scores are ordered by id also at the end of a page."""

MAX_WINDOW = MAX_RESULTS - SPARE_HITS
"""Bound on offset + limit of a search: what Milvus can return, less the spare hits."""

SAME_SCORE = 1e-6
"""Scores of the same vector differ by less between back ends."""

IDS_WINDOW = 8_192
"""Ids compared at once: their vectors' ids fit into one reply of Milvus."""

MANY_EQUAL = 1_000
"""So many pictures with equal scores across the end of a page are not sorted out."""


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

    def unchanged(self, files: Sequence[FileStat]) -> set[str]:
        """Which of these paths are ready with the same size and mtime: nothing needs to be done for them. Missing ones are not any more."""
        same, back = self._stores.catalog.locations.unchanged(self.ref, files)
        if back:
            self._mark(back, missing=False)
        return same

    def begin(self, items: Sequence[NewImage], created_at: Mapping[str, datetime] | None = None) -> list[Begun]:
        """Note pictures in the catalog, in the order given; those with status "new" wait for their vector (`finish`).

        Content that is already stored keeps its vector and gains a path. A path whose content changed moves to the new image; the old one
        is deleted when no path is left. The same content twice in one batch is one image: both get its id, both "new". `created_at` is the
        time, by content hash, of images that were in another library before. Raises InvalidInput for a path that is not valid Unicode.
        """
        while True:
            try:
                noted = self._stores.catalog.locations.begin(self.ref, items, created_at or {})
                break
            except BeingDeleted as found:
                self._stores.erase(self._now(), found.ids)
        self._stores.after(Step.IMAGES_NOTED)
        if noted.orphans or noted.stale or self._owed:
            self._follow(noted.orphans, noted.stale)
        return noted.begun

    def finish(self, ids: Sequence[int], vectors: Vectors, encoder: EncoderInfo | None = None) -> None:
        """Store the vectors [n, dim] of begun images and make these findable. Idempotent; images deleted meanwhile are left out.

        `encoder` made the vectors: raises EncoderMismatch when the collection has moved to another one meanwhile.
        """
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
        """Ready images whose vectors are lost become pending; returns how many. Compares counts first: costs little when all is well."""
        stores, ref = self._stores, self._now()
        name = stores.vectors_name(ref)
        lost: list[int] = []
        try:
            if stores.vectors.count(name) >= stores.catalog.collections.count(ref.id):
                return 0
            for low in range(0, stores.catalog.images.last_id(ref.id) + 1, IDS_WINDOW):
                # Rows first: what is ready now has had its vector before.
                ready = stores.catalog.images.ready_ids(ref.id, low, low + IDS_WINDOW)
                lost += sorted(set(ready).difference(stores.vectors.ids(name, low, low + IDS_WINDOW).tolist()))
        except NoSuchVectors:
            lost = stores.catalog.images.ready_ids(ref.id, 0, stores.catalog.images.last_id(ref.id) + 1)
        if self._now().generation != ref.generation:  # encoded anew meanwhile
            return 0
        if lost:
            log.info("The vectors of %d pictures of %r are missing.", len(lost), ref.name)
            stores.make_room(ref)
            stores.catalog.images.unready(lost)
        return len(lost)

    def sweep(self, root: str | Path) -> Swept:
        """Look what became of the places at or below `root`; images none of whose files is there are missing from now on.

        For the end of a folder's import. Absent is not deleted: rows, vectors and thumbnails stay until `forget_missing`. Raises NotFound
        when `root` itself is gone: then nothing changes.
        """
        if not Path(root).exists():
            self._now()
            raise NotFound(f"{str(root)!r} does not exist: nothing was taken out of {self.name!r}. Is its drive mounted?")
        return self.look(root)

    def look(self, root: str | Path | None = None, *, within: Callable[[str], bool] = lambda path: True) -> Swept:
        """Compare the places at or below `root` (None: all) with the disk. Of those that are gone, only the ones `within` are marked."""
        locations = self._stores.catalog.locations
        self._now()
        absence = Absence(root)
        paths = images = found = after = 0
        while places := locations.places(self.id, after, ERASE_BATCH, None if root is None else str(root)):
            after = places[-1].id
            gone, back = [], []
            for place in places:
                state = look_at(place.file)
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
        """Delete images and their vectors; returns how many there were. Files below import roots stay, uploaded files go."""
        marked = self._stores.catalog.images.start_delete(self.ref, ids)
        self._stores.erase(self._now(), marked)
        return len(marked)

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

    def images(self, cursor: str | None = None, limit: int = 100, missing: Missing = "false") -> tuple[list[Image], str | None]:
        """A page of ready images, newest first, and the cursor of the next page. Images added meanwhile never shift a page.

        `missing` says what of those to show whose files are not there.
        """
        if not 1 <= limit <= 10_000:
            raise InvalidInput(f"limit is between 1 and 10000, not {limit}.")
        before = int(decode_cursor(cursor, r"\d{1,18}")[0]) if cursor else None
        page = self._stores.catalog.images.page(self.ref, limit, before=before, missing=missing)
        return page, encode_cursor(str(page[-1].id)) if len(page) == limit else None

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
        watch = watch or Stopwatch()
        stores, ref = self._stores, self.ref
        query = _unit(ref, vector)
        if limit < 1 or offset < 0 or offset + limit > MAX_WINDOW:
            raise InvalidInput(f"Results can be shown up to number {MAX_WINDOW}; asked for were {limit} from {offset} on.")
        missing = filters.missing(filter)
        among = stores.catalog.images.missing_ids(ref.id, MAX_RESULTS) if missing == "true" else None
        if among == []:
            return []
        k = offset + limit + SPARE_HITS
        while True:
            with_vectors = k * query.nbytes <= VECTOR_BYTES_PER_REPLY
            try:
                found = stores.vectors.search(stores.vectors_name(ref), query, k, ref.index, filter, "Bounded", with_vectors, among)
            except NoSuchVectors:
                served, ref = ref, self._now()
                if ref.generation != served.generation:  # re-encoded since we looked
                    _check_dim(ref, query)
                    continue
                found = []
            watch.lap("search")
            images = stores.catalog.images.ready(ref, [hit.id for hit in found], missing)
            watch.lap("rows")
            ready = [hit.score for hit in found if hit.id in images]
            # Which of several equal scores belong on this page, their ids decide: all of them must be here.
            complete = len(ready) > offset + limit and (
                ready[offset + limit - 1] - ready[-1] > SAME_SCORE or k >= offset + limit + MANY_EQUAL
            )
            if complete or len(found) < k or k == MAX_RESULTS:
                break
            k = min(MAX_RESULTS, 2 * k)
        if with_vectors:
            vectors = {hit.id: hit.vector for hit in found if hit.vector is not None and hit.id in images}
        else:
            page = [hit.id for hit in found if hit.id in images][offset : offset + limit]
            vectors, offset = stores.vectors.get(stores.vectors_name(ref), page, "Bounded"), 0
        hits = _hits(query, vectors, images)[offset : offset + limit]
        watch.lap("search")
        return hits


def expect(ref: Ref, encoder: EncoderInfo) -> None:
    """Raise EncoderMismatch unless a collection's vectors are of this encoder."""
    if ref.encoder.fingerprint != encoder.fingerprint or ref.encoder.dim != encoder.dim:
        raise encoder_mismatch(ref.name, ref.encoder, encoder)


def _unit(ref: Ref, vector: Vectors) -> Vectors:
    query = np.asarray(vector, dtype=np.float32).reshape(-1)
    _check_dim(ref, query)
    norm = np.linalg.norm(query)
    if not np.isfinite(norm) or norm == 0:
        raise InvalidInput("The query's vector is zero or not finite: it points nowhere.")
    return np.asarray(query / norm, dtype=np.float32)


def _check_dim(ref: Ref, query: Vectors) -> None:
    if query.shape[0] != ref.encoder.dim:
        raise EncoderMismatch(f"{ref.name!r} has vectors of {ref.encoder.dim} dimensions ({ref.encoder.name}), the query {query.shape[0]}.")


def _hits(query: Vectors, vectors: Mapping[int, Vectors], images: Mapping[int, Image]) -> list[Hit]:
    """Hits with exact scores, falling, equal ones by id: the same from every back end and index."""
    ids = [id for id in vectors if id in images]
    if not ids:
        return []
    scores = np.stack([vectors[id] for id in ids]).astype(np.float64) @ query.astype(np.float64)
    hits = [Hit(images[id], float(np.clip(score, -1, 1)), vectors[id]) for id, score in zip(ids, scores.astype(np.float32), strict=True)]
    return sorted(hits, key=lambda hit: (-hit.score, hit.image.id))
