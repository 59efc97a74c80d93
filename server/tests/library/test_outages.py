"""While a server is away, callers get StoreUnavailable; when it is back, everything goes on without reopening."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tests.library import crashing
from tests.library.conftest import axis, new_image, search
from tests.services.fixtures import MariaDB, Milvus
from tsir.errors import StoreUnavailable
from tsir.jobs.store import Jobs
from tsir.library.check import check
from tsir.library.library import Library
from tsir.records import Hit

T = TypeVar("T")

pytestmark = [pytest.mark.services, pytest.mark.parametrize("settings", ["services"], indirect=True)]


def again(do: Callable[[], T]) -> T:
    """What callers do: a Milvus that was just started says for a while that it has not got everything in memory yet."""
    for _ in range(60):
        with contextlib.suppress(StoreUnavailable):
            return do()
        time.sleep(1)
    return do()


def found(library: Library) -> list[Hit]:
    return again(lambda: search(library, "photos", axis(1), 20))


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_milvus_goes_and_comes_back(library: Library, photos_folder: Path, milvus_server: Milvus, kill: bool) -> None:
    crashing.load(library, photos_folder)
    pending = library.collection("photos").begin([new_image(photos_folder / "new.jpg")])
    with milvus_server.down(kill=kill):
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="Milvus") as caught:
                library.collection("photos").search(axis(1), 10)
        assert caught.value.retry_after
        with pytest.raises(StoreUnavailable):
            library.collection("photos").finish([pending[0].id], axis(1)[None])
        victim = library.find_path(str(photos_folder / "0.jpg"))
        assert victim is not None
        with pytest.raises(StoreUnavailable):
            library.collection("photos").delete([victim.id])
        assert "ok" not in library.ping()["vectors"]
        assert library.ping()["catalog"] == "ok"
        assert library.collection("photos").describe().count == crashing.PICTURES - 1
    again(lambda: library.collection("photos").finish([pending[0].id], axis(1)[None]))
    hits = found(library)
    assert (Path(hits[0].image.path).name, len(hits)) == ("new.jpg", crashing.PICTURES)
    assert library.ping() == {"catalog": "ok", "vectors": "ok"}
    again(lambda: check(library, repair=True))  # finishes the deletion
    assert check(library).clean


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
def test_mariadb_goes_and_comes_back(library: Library, photos_folder: Path, mariadb_server: MariaDB, kill: bool) -> None:
    crashing.load(library, photos_folder)
    pending = library.collection("photos").begin([new_image(photos_folder / "new.jpg")])
    jobs = Jobs(library.stores.catalog.database)
    job = jobs.create("photos", "import", {})
    assert jobs.claim("me") is not None
    with mariadb_server.down(kill=kill):
        for call in (
            lambda: library.collection("photos").search(axis(1), 10),
            lambda: library.collection("photos").finish([pending[0].id], axis(1)[None]),
            lambda: jobs.report(job.id, done=1),
            library.collections,
        ):
            with pytest.raises(StoreUnavailable, match="MySQL"):
                call()
        assert "ok" not in library.ping()["catalog"]
    assert jobs.report(job.id, worker="me", done=1)
    library.collection("photos").finish([pending[0].id], axis(1)[None])
    assert len(found(library)) == crashing.PICTURES + 1
    assert check(library).clean


def test_a_frozen_milvus_does_not_hold_a_search_for_ever(library: Library, photos_folder: Path, milvus_server: Milvus) -> None:
    crashing.load(library, photos_folder)
    milvus_server.pause()
    with pytest.raises(StoreUnavailable):
        library.collection("photos").search(axis(1), 10)
    milvus_server.kill()  # it would not go on after so long a sleep: its lease has run out
    milvus_server.start()
    assert len(found(library)) == crashing.PICTURES


def test_a_library_opens_while_milvus_is_away(library: Library, photos_folder: Path, milvus_server: Milvus) -> None:
    crashing.load(library, photos_folder)
    with milvus_server.down(), Library.open(library.settings) as other:
        assert other.collection("photos").describe().count == crashing.PICTURES
        with pytest.raises(StoreUnavailable):
            other.collection("photos").search(axis(1), 10)
        milvus_server.start()
        assert len(found(other)) == crashing.PICTURES


def test_places_changed_while_milvus_is_away_are_written_when_it_is_back(
    library: Library, photos_folder: Path, milvus_server: Milvus
) -> None:
    crashing.load(library, photos_folder)
    moved = new_image(photos_folder / "elsewhere" / "0.jpg", "0.jpg", write=False)
    moved = dataclasses.replace(moved, content_hash=library.find_path(str(photos_folder / "0.jpg")).content_hash)  # type: ignore[union-attr]
    with milvus_server.down(), pytest.raises(StoreUnavailable):
        library.collection("photos").begin([moved])
    again(lambda: library.collection("photos").begin([moved]))
    assert again(lambda: check(library)).clean
