"""Opening, sharing, migrating; many threads and processes at once."""

from __future__ import annotations

import multiprocessing
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from tests.forks import begin, ended
from tests.library import crashing
from tests.library.conftest import ENCODER, axis, new_image, search
from tsir.errors import Conflict, InvalidInput, NotFound, StoreUnavailable
from tsir.library.check import check
from tsir.library.library import Library
from tsir.records import Begun
from tsir.settings import Settings
from tsir.storage.milvus.client import VectorStore
from tsir.storage.sql import schema
from tsir.storage.sql.engine import Database

Add = Callable[..., list[Begun]]


def test_everything_is_there_after_opening_again(settings: Settings, photos_folder: Path) -> None:
    with Library.open(settings) as library:
        crashing.load(library, photos_folder)
        before = search(library, "photos", axis(1), 20)
    with Library.open(settings) as library:
        assert search(library, "photos", axis(1), 20) == before
        assert library.ping() == {"catalog": "ok", "vectors": "ok"}


@pytest.mark.parametrize("settings", ["embedded"], indirect=True)
def test_pictures_are_found_before_milvus_lite_is_open(settings: Settings, photos_folder: Path) -> None:
    with Library.open(settings) as library:
        crashing.load(library, photos_folder)
        before = library.collection("photos").search(axis(1), 20)
    may_open, connect = threading.Event(), VectorStore._connect

    def late(store: VectorStore) -> object:
        assert may_open.wait(60)
        return connect(store)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VectorStore, "_connect", late)
        with Library.open(settings, ahead=True) as library:
            assert library.ping() == {"catalog": "ok", "vectors": "ok"}
            assert library.collection("photos").search(axis(1), 20) == before
            may_open.set()
            library.stores.vectors.ping()
            assert library.ping() == {"catalog": "ok", "vectors": "ok"}


def test_embedded_library_is_refused_to_a_second_opener(settings: Settings, library: Library) -> None:
    if not library.stores.catalog.database.embedded:
        with Library.open(settings) as second:
            assert second.collections() == []
        return
    with pytest.raises(Conflict, match=r"in use by another process"):
        Library.open(settings)
    library.close()
    Library.open(settings).close()


def test_closing_twice_is_fine_and_use_afterwards_says_so(settings: Settings) -> None:
    library = Library.open(settings)
    library.create("photos", ENCODER)
    library.close()
    library.close()
    with pytest.raises(StoreUnavailable):
        library.stores.vectors.ping()


def test_newer_schema_is_refused_with_advice(settings: Settings) -> None:
    with Library.open(settings):
        pass
    database = Database(settings)
    database.write(lambda connection: connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(Conflict, match=r"newer version.*Update"):
        Library.open(settings)
    database.write(lambda connection: connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'")))
    database.close()


@pytest.mark.new_database
def test_migrations_build_the_tables_of_the_code(library: Library) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD
    with library.stores.catalog.database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []


def tell_prefix(text: str, told: Connection) -> None:
    told.send(Library.open(crashing.parse(text)).stores.vectors_prefix())


@pytest.mark.new_database
@pytest.mark.parametrize("settings", [pytest.param("services", marks=pytest.mark.services)], indirect=True)  # embedded: one process
def test_processes_that_open_at_once_migrate_once(settings: Settings) -> None:
    heard, told = multiprocessing.Pipe(duplex=False)
    processes = [begin(tell_prefix, crashing.arguments(settings), told) for _ in range(4)]
    assert [ended(process) for process in processes] == [0, 0, 0, 0]
    prefixes = {heard.recv() for _ in processes}
    assert len(prefixes) == 1


@pytest.mark.parametrize("url", ["postgresql://host/db", "nonsense"])
def test_unknown_databases_are_refused(tmp_path: Path, url: str) -> None:
    settings = Settings(data_dir=tmp_path, database_url=url, _env_file=None)  # type: ignore[arg-type, call-arg]
    with pytest.raises(InvalidInput, match="DATABASE_URL"):
        Library.open(settings)


def test_index_that_milvus_lite_does_not_have_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, vector_index="DISKANN", _env_file=None)  # type: ignore[call-arg]
    with pytest.raises(InvalidInput, match="Milvus server"):
        Library.open(settings)


def test_stores_that_are_away_are_named_with_a_time_to_retry(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, milvus_uri="http://127.0.0.1:9", _env_file=None)  # type: ignore[call-arg]
    with Library.open(settings) as library:
        states = library.ping()
        assert states["catalog"] == "ok"
        assert "Milvus at http://127.0.0.1:9" in states["vectors"]
        with pytest.raises(StoreUnavailable) as caught:
            library.create("photos", ENCODER)
        assert caught.value.retry_after
    settings = Settings(data_dir=tmp_path, database_url="mysql://u:secret@127.0.0.1:9/db", _env_file=None)  # type: ignore[arg-type, call-arg]
    with pytest.raises(StoreUnavailable, match=r"MySQL at 127.0.0.1:9") as caught:
        Library.open(settings)
    assert "secret" not in str(caught.value)


def test_threads_that_import_the_same_pictures_store_each_once(library: Library, photos_folder: Path) -> None:
    library.create("photos", ENCODER)
    items = [new_image(photos_folder / f"{n}.jpg") for n in range(120)]

    def work(seed: int) -> None:
        mine = items[:]
        random.Random(seed).shuffle(mine)
        for start in range(0, len(mine), 10):
            part = mine[start : start + 10]
            begun = library.collection("photos").begin(part)
            new = [(entry.id, axis(1, items.index(item))) for entry, item in zip(begun, part, strict=True) if entry.status == "new"]
            if new:
                library.collection("photos").finish([id for id, _ in new], np.stack([vector for _, vector in new]))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert library.collection("photos").count() == 120
    assert check(library).problems == ()
    assert len(search(library, "photos", axis(1), 200)) == 120


def test_searching_while_others_import_change_and_delete(library: Library, photos_folder: Path) -> None:
    library.create("photos", ENCODER)
    stop = threading.Event()
    stable = library.collection("photos").begin([new_image(photos_folder / f"stable{n}.jpg") for n in range(20)])
    library.collection("photos").finish([entry.id for entry in stable], np.stack([axis(1, n / 100) for n in range(20)]))
    expected = [entry.id for entry in stable]

    def churn(worker: int) -> None:
        for round in range(6):
            items = [new_image(photos_folder / f"{worker}/{n}.jpg", f"{worker} {n} {round // 2}") for n in range(10)]
            begun = library.collection("photos").begin(items)
            library.collection("photos").finish([entry.id for entry in begun], np.stack([axis(-1, n) for n in range(10)]))
            library.collection("photos").delete([entry.id for entry in begun[:3]])

    def searching_on() -> int:
        searches = 0
        while not stop.is_set():
            hits = search(library, "photos", axis(1), 20)
            assert [hit.image.id for hit in hits] == expected
            library.collection("photos").images(limit=5)
            searches += 1
        return searches

    with ThreadPoolExecutor(6) as pool:
        searching = [pool.submit(searching_on) for _ in range(2)]
        try:
            list(pool.map(churn, range(3)))
        finally:
            stop.set()
        assert all(future.result() > 0 for future in searching)
    assert check(library).problems == ()
    assert library.collection("photos").count() == 20 + 3 * 7


def test_dropping_during_an_import_ends_it_with_not_found(library: Library, photos_folder: Path) -> None:
    library.create("photos", ENCODER)
    begun = library.collection("photos").begin([new_image(photos_folder / "a.jpg")])
    library.drop("photos")
    with pytest.raises(NotFound):
        library.collection("photos").finish([begun[0].id], axis(1)[None])
    assert check(library).clean


def test_deleting_between_begin_and_finish_leaves_nothing(library: Library, photos_folder: Path) -> None:
    library.create("photos", ENCODER)
    begun = library.collection("photos").begin([new_image(photos_folder / f"{n}.jpg") for n in range(2)])
    library.collection("photos").delete([begun[0].id])
    library.collection("photos").finish([entry.id for entry in begun], np.stack([axis(1), axis(0, 1)]))
    assert [hit.image.id for hit in search(library, "photos", axis(1), 10)] == [begun[1].id]
    assert check(library).clean


def test_growing_collection_gets_another_index_and_keeps_its_images(
    library: Library, photos_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tsir.library.stores.FLAT_LIMIT", 50)
    library.create("photos", ENCODER)
    for start in range(0, 100, 20):
        begun = library.collection("photos").begin([new_image(photos_folder / f"{n}.jpg", write=False) for n in range(start, start + 20)])
        library.collection("photos").finish([entry.id for entry in begun], np.stack([axis(1, n / 50) for n in range(start, start + 20)]))
    assert library.stores.catalog.collections.ref("photos").index == ("FLAT" if library.stores.vectors.embedded else "HNSW")
    hits = search(library, "photos", axis(1), 100)
    assert [Path(hit.image.path).stem for hit in hits] == [str(n) for n in range(100)]


@pytest.mark.services
@pytest.mark.parametrize("settings", ["services"], indirect=True)
def test_an_index_that_milvus_could_not_build_is_built_with_the_next_pictures(
    settings: Settings, photos_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tsir.library.stores.FLAT_LIMIT", 3)
    with Library.open(settings) as library:
        library.create("photos", ENCODER)
        begun = library.collection("photos").begin([new_image(photos_folder / f"{n}.jpg") for n in range(5)])
        build = library.stores.vectors.set_index

        def away(name: str, index: str) -> None:
            monkeypatch.setattr(library.stores.vectors, "set_index", build)
            raise StoreUnavailable("Milvus is away.")

        monkeypatch.setattr(library.stores.vectors, "set_index", away)
        with pytest.raises(StoreUnavailable):
            library.collection("photos").finish([entry.id for entry in begun], np.stack([axis(1, n) for n in range(5)]))
        library.collection("photos").finish([entry.id for entry in begun], np.stack([axis(1, n) for n in range(5)]))
        ref = library.stores.catalog.collections.ref("photos")
        assert ref.index == "HNSW"
        assert library.stores.vectors.index(library.stores.vectors_name(ref)) == "HNSW"


@pytest.mark.parametrize("index", ["HNSW", "IVF_FLAT", "IVF_SQ8"])
def test_every_index_finds_the_nearest(settings: Settings, photos_folder: Path, index: str) -> None:
    with Library.open(settings.model_copy(update={"vector_index": index})) as library:
        library.create("photos", ENCODER)
        begun = library.collection("photos").begin([new_image(photos_folder / f"{n}.jpg", write=False) for n in range(1500)])
        library.collection("photos").finish([entry.id for entry in begun], np.stack([axis(1, n / 500) for n in range(1500)]))
        hits = search(library, "photos", axis(1, 2), 5)
        assert hits[0].score == pytest.approx(1, abs=1e-4)  # IVF_SQ8 rounds: neighbours pass for the nearest
    with Library.open(settings) as library:  # the index is remembered, whatever the setting says now
        assert search(library, "photos", axis(1, 2), 5)[0].score == pytest.approx(1, abs=1e-4)
