"""Milvus: one client for Milvus Lite (a folder, in this process), a standalone server and a cluster.

Knows neither the catalog nor pictures: a collection here is a name, a dimension and rows of (id, vector, columns to filter by).
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from tsir.errors import Conflict, DiskFull, InvalidInput, StoreRefused, StoreUnavailable, TsirError, VectorsDamaged
from tsir.records import Vectors
from tsir.room import data_room
from tsir.settings import Settings
from tsir.storage import filters
from tsir.storage.filters import Facts, Filter
from tsir.storage.milvus import lite, resident
from tsir.storage.milvus.faults import fault, unasked
from tsir.storage.milvus.resident import Found, Resident
from tsir.storage.milvus.schema import SCHEMA, Schema, state_of

T = TypeVar("T")
Consistency = Literal["Strong", "Bounded"]
"""Strong sees every finished write, and on a server waits for up to 200 ms for that; Bounded may miss the last seconds."""

MAX_RESULTS = 16_384
"""Milvus' limit of a search's or query's results."""

VECTOR_BYTES_PER_REPLY = 8 * 2**20
"""A search carries the vectors along up to this size; larger results fetch those of one page afterwards (a reply may hold 64 MB)."""

UPSERT_BYTES = 16 * 2**20
"""Vectors per upsert: Milvus refuses requests above 64 MB."""

IDS_PER_CALL = 2_000
"""Ids per get or delete: keeps the expression short."""

LITE_FLUSH_ROWS = 1_000
"""Milvus Lite searches rows that were not flushed one by one in Python: 85 us each, against 3 us after a flush."""

TIMEOUT_PROBE = 1.5
TIMEOUT_READ = 10.0
TIMEOUT_WRITE = 60.0
TIMEOUT_CATCH_UP = 600.0
"""Until a Milvus that was killed, and builds an index besides, has read its log again and answers a question about all writes."""
TIMEOUT_BUILD = 3600.0
"""Seconds. Building an index of a million vectors takes two cores ten minutes, and they may have other work."""

INDEX_PARAMS: dict[str, dict[str, int]] = {
    # Of 39,000 real photos with a filter that lets a tenth through, M = 24 finds 1 to 5 points more of the ten nearest than M = 16 does,
    # and M = 32 no more than 24.
    "HNSW": {"M": 24, "efConstruction": 300},
    "IVF_FLAT": {"nlist": 1024},
    "IVF_SQ8": {"nlist": 1024},
    "FLAT": {},
    "DISKANN": {},
}

WIDE_ROWS = 100_000
"""Rows up to which HNSW is searched as widely as it ever is."""

SIZE_MEMORY_S = 60.0
"""How long the number of a collection's rows is taken for true: it only sets how widely is searched."""

_log = logging.getLogger(__name__)

LITE_INDEXES = ("FLAT", "HNSW", "IVF_FLAT", "IVF_SQ8")


class NoSuchVectors(Exception):
    """Milvus has no collection of this name."""


class _NotLoaded(Exception):
    """The collection exists but is not in memory."""


class VectorStore:
    """All calls to Milvus. Thread-safe; connects at the first call.

    Raises StoreUnavailable while Milvus is away, StoreRefused for what it will not do, however often it is asked, and, from everything
    that reads or writes rows of a collection, NoSuchVectors when there is none of that name, and VectorsDamaged when the embedded Milvus
    cannot read its files: `discard` them.
    """

    def __init__(self, settings: Settings, schema: Schema = SCHEMA) -> None:
        self.schema = schema
        self.embedded = settings.vectors_embedded
        self._uri = settings.vectors_uri
        self._token = settings.milvus_token.get_secret_value() if settings.milvus_token else ""
        self._room = data_room(settings)
        self._client: Any = None
        self._connecting = threading.Lock()
        # Milvus Lite is safe for concurrent readers only, and rows are out of sight for a moment while it flushes: one call at a time.
        self._turn: contextlib.AbstractContextManager[Any] = threading.RLock() if self.embedded else contextlib.nullcontext()
        self._unflushed: dict[str, int] = {}
        self._sizes: dict[str, tuple[int, float]] = {}
        """Rows of a collection, and when that was asked (`time.monotonic`)."""
        self._residents: dict[str, Resident | None] = {}
        """Collections in memory; None for those that Milvus Lite itself has to search."""
        self._foreseen = False
        """Whether all that is searched was put into memory before Milvus Lite was opened, which nobody has tried yet."""
        self._versions: dict[str, int] = {}
        """Of the schemas of collections: a collection never changes its own."""
        self._patience = TIMEOUT_WRITE if self.embedded else TIMEOUT_READ
        """Seconds for a search: Milvus Lite stops now and then to tidy up, a server that takes so long is stuck."""
        self._closed = False
        self._away = False
        """Whether the last call found no server."""
        if self.embedded and settings.vector_index not in ("auto", *LITE_INDEXES):
            raise InvalidInput(f"VECTOR_INDEX={settings.vector_index} needs a Milvus server; Milvus Lite has {', '.join(LITE_INDEXES)}.")

    # Connection

    def _connect(self) -> Any:
        with self._connecting:
            if self._closed:
                raise StoreUnavailable("The library is closed.")
            if self._client is None:
                os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # else it tells people of every process that we start
                from pymilvus import MilvusClient  # takes a second: the server is up before Milvus is needed

                # They log what they raise as well, with stack traces; what of it matters is in our sentence.
                for noisy in ("pymilvus", "grpc", "milvus_lite"):
                    logging.getLogger(noisy).setLevel(logging.CRITICAL)
                # Milvus Lite hangs up on a client that pings it every ten seconds, pymilvus' default, in the middle of a long call.
                options = {"grpc_options": {"grpc.keepalive_time_ms": 2**31 - 1}} if self.embedded else {}
                try:
                    if self.embedded:
                        lite.prepare(self._uri)
                    self._client = MilvusClient(uri=self._uri, token=self._token, timeout=5, **options)
                except Exception as error:
                    self._look(None, error)
                    raise self._fault(error) from error
                finally:
                    self._foreseen = False
            return self._client

    def _look(self, name: str | None, error: Exception | None = None) -> None:
        """Raise VectorsDamaged when that is what is wrong with the files of a collection, or, without a name, with their folder."""
        if self.embedded and (found := lite.damage(self._uri, name) or (error and lite.blamed(self._uri, name, error))):
            raise VectorsDamaged(
                f"The vectors are damaged: {found}. They are made from the pictures, so nothing else is lost: `tsir check --repair` "
                "removes them and encodes the pictures again."
            ) from error

    def _fault(self, error: Exception) -> TsirError:
        if self.embedded and (self._room.short() or "no space left" in str(error).lower()):
            return self._room.error()
        where = "Milvus Lite" if self.embedded else f"Milvus at {re.sub('//[^/@]*@', '//', self._uri)}"
        found = fault(error, where)
        self._away = not self.embedded and isinstance(found, StoreUnavailable)
        return found

    def _call(self, name: str | None, do: Callable[[Any], T]) -> T:
        """Run `do(client)`, with Milvus' errors turned into ours. A collection that Milvus has and has not loaded is loaded first."""
        if self._away:
            # pymilvus tries again for as long as a call may last; during an outage only the first request waits for that.
            self._once(None, lambda: self._connect().list_collections(timeout=TIMEOUT_PROBE))
        with self._turn:
            client = self._connect()
            try:
                try:
                    return self._once(name, lambda: do(client))
                except _NotLoaded:
                    self._once(None, lambda: client.load_collection(name, timeout=TIMEOUT_BUILD))
                    return self._once(name, lambda: do(client))
            except _NotLoaded as error:
                raise StoreUnavailable(f"Milvus has {name} not in memory yet.") from error
            except StoreRefused as error:
                self._look(name, error)
                raise

    def _change(self, name: str | None, do: Callable[[Any], T]) -> T:
        """Like `_call`, for what writes. When Milvus Lite could not write, it is opened anew before anything else is asked of it."""
        with self._turn:
            try:
                return self._call(name, do)
            except (StoreUnavailable, StoreRefused) as error:
                if self.embedded and not unasked(error.__cause__):
                    self._renew()
                raise

    def _renew(self) -> None:
        """Open Milvus Lite anew at the next call.

        A kill would lose what follows a half written record in its log, the next flush would lose rows that it could not put into a file;
        opened anew it reads its log again.
        """
        self._residents.clear()
        with self._connecting:
            client, self._client = self._client, None
            if client is not None:
                with contextlib.suppress(Exception):
                    client.close()
                lite.renew(self._uri)

    def _once(self, name: str | None, do: Callable[[], T]) -> T:
        from grpc import RpcError  # type: ignore[import-untyped]
        from pymilvus.exceptions import MilvusException

        try:
            value = do()
            self._away = False
            return value
        except MilvusException as error:
            text = str(error).lower()
            if name and (error.code == 100 or re.search("can't find collection|collection not found|collectionnotexists", text)):
                self._versions.pop(name, None)
                raise NoSuchVectors(name) from error
            if name and (error.code == 101 or "not loaded" in text):
                raise _NotLoaded(str(error)) from error
            raise self._fault(error) from error
        except (RpcError, ValueError, OSError) as error:  # ValueError: another thread closed the channel
            raise self._fault(error) from error

    def ping(self) -> None:
        """Raise StoreUnavailable unless Milvus answers."""
        self._call(None, lambda client: client.list_collections(timeout=TIMEOUT_PROBE * 2))

    def ready(self) -> None:
        """Raise StoreUnavailable unless searches are answered: by Milvus, or from memory until the embedded one is open."""
        if not self._foreseen:
            self.ping()

    def close(self) -> None:
        """Flush (embedded) and disconnect. Idempotent."""
        with self._connecting:
            self._closed = True
            self._residents.clear()
            client, self._client = self._client, None
        if client is None:
            return
        with self._turn:
            if self.embedded:
                for name, rows in self._unflushed.items():
                    if rows:
                        with contextlib.suppress(Exception):  # the rows are in its log already
                            client.flush(name, timeout=TIMEOUT_WRITE)
            with contextlib.suppress(Exception):
                client.close()
            if self.embedded:
                lite.release(self._uri)

    # Collections

    def names(self, prefix: str) -> list[str]:
        """Existing collections whose name begins so."""
        try:
            found = self._call(None, lambda client: client.list_collections(timeout=TIMEOUT_READ))
        except VectorsDamaged:
            found = lite.names(self._uri)
        return sorted(name for name in found if name.startswith(prefix))

    def ensure(self, name: str, dim: int, index: str) -> None:
        """Create the collection with its index unless it is there, and load it. Raises Conflict for one of a newer schema."""

        def do(client: Any) -> None:
            fresh = not client.has_collection(name, timeout=TIMEOUT_READ)
            if not fresh:
                self._version(client, name)
            else:
                self._residents.pop(name, None)
                if self.embedded:
                    lite.discard(self._uri, name)  # what is left of one that cannot be read any more
                client.create_collection(
                    name,
                    schema=self.schema.build(dim, self.embedded),
                    properties=self.schema.properties(),
                    consistency_level="Bounded",
                    timeout=TIMEOUT_WRITE,
                )
                self._versions[name] = self.schema.version
            self._index(client, name, index, fresh)

        try:
            self._change(None, do)
        except StoreRefused as error:
            self._look(name, error)
            raise

    def version(self, name: str) -> int:
        """The version of the collection's schema; `schema.version` is the newest. Raises Conflict for a newer one than that."""
        return self._versions.get(name) or self._call(name, lambda client: self._version(client, name))

    def _version(self, client: Any, name: str) -> int:
        version = state_of(client, name, TIMEOUT_READ)
        if version > self.schema.version:
            raise Conflict(
                f"The vectors in {name} were written by a newer version of tsir (schema {version}, this one knows up to "
                f"{self.schema.version}). Update tsir, or restore a backup that was made before."
            )
        self._versions[name] = version
        return version

    def index(self, name: str) -> str:
        """The type of the collection's index: "FLAT", "HNSW", ..."""
        return self._call(name, lambda client: self._present_index(client, name))[0] or "FLAT"

    @staticmethod
    def _present_index(client: Any, name: str) -> tuple[str | None, str]:
        """Type and name of the collection's index; (None, "") when it has none."""
        present = client.list_indexes(name, field_name="vector", timeout=TIMEOUT_READ)
        return (client.describe_index(name, present[0], timeout=TIMEOUT_READ)["index_type"], present[0]) if present else (None, "")

    def _index(self, client: Any, name: str, index: str, fresh: bool = False) -> None:
        """Bring the collection to this index, and load it. Idempotent. On a fresh one there is nothing to build that is to be waited for:
        pymilvus would do so for half a second.
        """
        # Milvus Lite searches a collection without an index exactly, like FLAT, but without a second copy of the vectors on disk.
        wanted = None if self.embedded and index == "FLAT" else index
        current, called = self._present_index(client, name)
        if current != wanted:
            if current is not None:
                self._drop_index(client, name, called)
            if wanted is not None:
                params = client.prepare_index_params()
                params.add_index("vector", index_type=wanted, index_name="vector", metric_type=self._metric, params=INDEX_PARAMS[wanted])
                client.create_index(name, params, timeout=TIMEOUT_BUILD, sync=not fresh)
        client.load_collection(name, timeout=TIMEOUT_BUILD)

    @staticmethod
    def _drop_index(client: Any, name: str, index: str) -> None:
        """Release the collection and drop its index. A server may say for a moment after the release that it is still loaded."""
        from pymilvus.exceptions import MilvusException

        deadline = time.monotonic() + TIMEOUT_WRITE
        while True:
            client.release_collection(name, timeout=TIMEOUT_WRITE)
            try:
                client.drop_index(name, index, timeout=TIMEOUT_WRITE)
                return
            except MilvusException as error:
                if "is loaded" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    @property
    def _metric(self) -> str:
        # Vectors are of unit length, where both give the same order; Milvus Lite normalises all of them anew in every COSINE search.
        return "IP" if self.embedded else "COSINE"

    def set_index(self, name: str, index: str) -> None:
        """Change the index. Searches fail with StoreUnavailable (or wait, embedded) while it is built."""
        self.version(name)
        self._change(name, lambda client: self._index(client, name, index))

    def drop(self, name: str) -> None:
        """Drop the collection; nothing happens when there is none."""

        def do(client: Any) -> None:
            self._residents.pop(name, None)
            if client.has_collection(name, timeout=TIMEOUT_READ):
                client.drop_collection(name, timeout=TIMEOUT_WRITE)

        try:
            self._change(None, do)
        except StoreRefused:
            if not self.embedded:
                raise
            self.discard(name)
        self._unflushed.pop(name, None)
        self._versions.pop(name, None)

    def examine(self, name: str) -> None:
        """Read all files of a collection of the embedded Milvus, and raise VectorsDamaged when they are not what they should be."""
        with self._turn:
            self._look(name)

    def discard(self, name: str) -> None:
        """Throw the files of a collection of the embedded Milvus away, readable or not. `ensure` makes it anew."""
        with self._turn:
            self._renew()
            try:
                lite.discard(self._uri, name)
            except OSError as error:
                raise StoreRefused(f"The damaged vectors in {self._uri} cannot be removed: {error.strerror or error}.") from error
        self._unflushed.pop(name, None)
        self._versions.pop(name, None)

    # Rows

    def upsert(self, name: str, ids: Sequence[int], vectors: Vectors, facts: Sequence[Facts]) -> None:
        """Write rows; ids must not repeat."""
        step = max(1, UPSERT_BYTES // (4 * max(1, vectors.shape[1])))
        for start in range(0, len(ids), step):
            part = slice(start, start + step)
            try:
                self._upsert(name, self.version(name), ids[part], vectors[part], facts[part])
            except StoreRefused:
                # Milvus may have lost the collection, and another process may have made it anew, with a newer schema.
                known = self._versions.pop(name, 0)
                if (version := self.version(name)) == known:
                    raise
                self._upsert(name, version, ids[part], vectors[part], facts[part])

    def _upsert(self, name: str, version: int, ids: Sequence[int], vectors: Vectors, facts: Sequence[Facts]) -> None:
        columns = self.schema.row(version, self.embedded)
        rows = [{"id": id, "vector": vector, **columns(fact)} for id, vector, fact in zip(ids, vectors, facts, strict=True)]
        with self._turn:
            self._change(name, lambda client: client.upsert(name, rows, timeout=TIMEOUT_WRITE))
            if (near := self._residents.get(name)) is not None:
                near.put(ids, vectors)
            self._wrote(name, len(rows))

    def delete(self, name: str, ids: Sequence[int]) -> None:
        """Delete rows; ids that do not exist are no error."""
        for start in range(0, len(ids), IDS_PER_CALL):
            part = list(ids[start : start + IDS_PER_CALL])
            with self._turn:
                self._change(name, lambda client, part=part: client.delete(name, ids=part, timeout=TIMEOUT_WRITE))  # type: ignore[misc]
                if (near := self._residents.get(name)) is not None:
                    near.remove(part)
                self._wrote(name, len(part))

    def _wrote(self, name: str, rows: int) -> None:
        if not self.embedded:
            return
        if (near := self._residents.get(name)) is not None and near.bytes > resident.BYTES:
            self._residents[name] = None
        self._unflushed[name] = self._unflushed.get(name, 0) + rows
        if self._unflushed[name] >= LITE_FLUSH_ROWS:
            self.flush(name)

    def flush(self, name: str) -> None:
        """Milvus Lite: make what was written quick to search. A server decides itself when to."""
        if self.embedded:
            self._change(name, lambda client: client.flush(name, timeout=TIMEOUT_WRITE))
            self._unflushed[name] = 0

    def get(self, name: str, ids: Sequence[int], consistency: Consistency) -> dict[int, Vectors]:
        """Vectors by id; ids without one are left out."""
        if (near := self._resident(name)) is not None:
            return near.get(ids)
        found: dict[int, Vectors] = {}
        for start in range(0, len(ids), IDS_PER_CALL):
            part = list(ids[start : start + IDS_PER_CALL])
            rows = self._call(
                name,
                lambda client, part=part: client.get(  # type: ignore[misc]
                    name, ids=part, output_fields=["vector"], timeout=self._patience, consistency_level=consistency
                ),
            )
            for row in rows:
                found[int(row["id"])] = np.asarray(row["vector"], dtype=np.float32)
        return found

    def settled(self, name: str, ids: Sequence[int]) -> dict[int, Vectors]:
        """Like `get`, and sees every finished write at the price of a Bounded read where nothing is missing.

        An id's vector never changes in a collection of Milvus: only one that was just written needs the slow, consistent read.
        """
        found = self.get(name, ids, "Bounded")
        late = [id for id in ids if id not in found]
        return found | self.get(name, late, "Strong") if late else found

    def ids(self, name: str, low: int, high: int | None, consistency: Consistency = "Strong") -> npt.NDArray[np.int64]:
        """Ids of rows with low <= id < high, ascending; at most MAX_RESULTS of them."""
        between = f"id >= {low}" + (f" and id < {high}" if high is not None else "")
        rows = self._call(
            name,
            lambda client: client.query(
                name,
                filter=between,
                output_fields=["id"],
                limit=MAX_RESULTS,
                timeout=TIMEOUT_CATCH_UP,
                consistency_level=consistency,
            ),
        )
        return np.unique(np.fromiter((int(row["id"]) for row in rows), dtype=np.int64, count=len(rows)))

    def count(self, name: str) -> int:
        """How many rows there are, every finished write seen."""
        rows = self._call(
            name,
            lambda client: client.query(name, filter="", output_fields=["count(*)"], timeout=TIMEOUT_CATCH_UP, consistency_level="Strong"),
        )
        return int(rows[0]["count(*)"])

    def in_memory(self, name: str) -> bool:
        """Whether searches without a filter look at every vector and take no time worth mentioning: Milvus need not be asked to filter."""
        return self._resident(name) is not None

    def _resident(self, name: str) -> Resident | None:
        if not self.embedded:
            return None
        try:
            return self._residents[name]
        except KeyError:
            pass
        with self._turn:
            if name not in self._residents:
                self.version(name)
                try:
                    self._room.need()
                except DiskFull:
                    return None
                self.flush(name)
                self._residents[name] = self._read(name)
            return self._residents[name]

    def _read(self, name: str) -> Resident | None:
        if (rows := self.count(name)) == 0:
            return Resident.empty()
        try:
            found = resident.read(self._files(name))
        except Exception as error:  # newer files than we know, or damaged ones, of which Milvus Lite tells itself
            _log.warning("The vectors in %s are searched by Milvus Lite, which is slower: %s", name, error)
            return None
        return found if found.bytes <= resident.BYTES and self._complete(name, found, rows) else None

    def _complete(self, name: str, found: Resident, rows: int) -> bool:
        if len(found) != rows:
            _log.warning("The vectors in %s are searched by Milvus Lite, which is slower: it has %d, its files %d", name, rows, len(found))
        return len(found) == rows

    def _files(self, name: str) -> Path:
        return Path(self._uri) / lite.ROWS / name

    def foresee(self, names: Sequence[str]) -> None:
        """Have collections in memory before the embedded Milvus is opened, which takes seconds: searches need not wait for it then. Those
        that were not closed in order wait, and so do damaged ones: what is wrong with them is told when it is open. `confirm` afterwards.
        """
        if not self.embedded:
            return
        with self._turn, self._connecting:
            if self._client is not None or self._closed:
                return
            for name in names:
                version = lite.version_at_rest(self._uri, name)
                if version is None or version > self.schema.version:
                    continue
                with contextlib.suppress(Exception):
                    found = resident.read(self._files(name))
                    self._residents[name] = found if found.bytes <= resident.BYTES else None
                    self._versions[name] = version
            self._foreseen = bool(names) and all(self._residents.get(name) is not None for name in names)

    def confirm(self, name: str) -> None:
        """Compare what is in memory with what Milvus has."""
        with self._turn:
            if (near := self._residents.get(name)) is not None and not self._complete(name, near, self.count(name)):
                self._residents[name] = None

    def search(
        self,
        name: str,
        vectors: Vectors,
        k: int,
        index: str,
        filter: Filter | None,
        consistency: Consistency,
        with_vectors: bool,
        among: Sequence[int] | None = None,
    ) -> list[list[Found]]:
        """The k nearest rows to each of the vectors [n, dim], best first, of all or those `among` some ids.

        Raises InvalidInput for a filter that cannot hold, Conflict for one that is not ready yet.
        """
        filters.expression(filter, self.embedded)  # a wrong value is told whether Milvus is there or not
        if filter is None and (near := self._resident(name)) is not None:
            return near.search(vectors, k, among, with_vectors)
        asked = filters.expression(filter, self.embedded, self.version(name))
        if among is not None:
            asked = " and ".join(filter_ for filter_ in (asked, f"id in {list(among)}") if filter_)
        params = _search_params(index, k, bool(asked), self._rows(name) if index == "HNSW" else 0)
        with self._turn:
            if self.embedded and self._unflushed.get(name, 1) >= LITE_FLUSH_ROWS // 4:  # after opening: unknown, cheap when there is none
                with contextlib.suppress(DiskFull):  # slower, then
                    self._room.need()
                    self.flush(name)
            reply = self._call(
                name,
                lambda client: client.search(
                    name,
                    data=list(vectors),
                    anns_field="vector",
                    limit=k,
                    filter=asked,
                    output_fields=["vector"] if with_vectors else [],
                    search_params={"metric_type": self._metric, "params": params},
                    timeout=self._patience,
                    consistency_level=consistency,
                ),
            )
        return [[_found(hit) for hit in hits] for hits in reply]

    def _rows(self, name: str) -> int:
        """About how many rows a collection has: asked once a minute, changed and deleted rows may count twice."""
        rows, asked = self._sizes.get(name, (0, -math.inf))
        if time.monotonic() - asked > SIZE_MEMORY_S:
            rows = int(self._call(name, lambda client: client.get_collection_stats(name, timeout=self._patience))["row_count"])
            self._sizes[name] = rows, time.monotonic()
        return rows


def _found(hit: Any) -> Found:
    stored = hit["entity"].get("vector")
    return Found(int(hit["id"]), float(hit["distance"]), None if stored is None else np.asarray(stored, dtype=np.float32))


def _search_params(index: str, k: int, filtered: bool, rows: int) -> dict[str, int]:
    if index == "HNSW":
        # A filter breaks the graph's paths: of 39,000 photos with ef = 128 a tenth of the ten nearest were missed, with 1,024 about 6 in
        # 100; it costs 2 ms. A large collection lies in several segments, each of which is searched with this ef: with a million rows 256
        # and 1,024 missed nothing in 19 and 51 ms, 128 misses none without and 7 in 1,000 with a filter in 12 and 13 ms.
        wide = 1024 if filtered else 256
        return {"ef": min(32_768, max(128, wide * WIDE_ROWS // max(rows, WIDE_ROWS), 2 * k))}
    if index in ("IVF_FLAT", "IVF_SQ8"):
        return {"nprobe": 64}
    if index == "DISKANN":
        return {"search_list": min(65_535, max(100, 2 * k))}
    return {}
