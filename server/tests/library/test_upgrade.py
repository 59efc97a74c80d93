"""A library with vectors of an older schema, opened by a version that has a column more: they are copied, and nothing stands still."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.forks import begin, ended
from tests.library import crashing
from tests.library.conftest import axis, new_image, search
from tests.storage.conftest import MAKER, MAKERS, WIDER, Wider
from tsir.errors import Conflict
from tsir.library.check import check
from tsir.library.library import Library
from tsir.library.steps import Step
from tsir.library.upgrade import upgrade
from tsir.records import Hit
from tsir.settings import Settings
from tsir.storage.columns import Column, Facts, Form
from tsir.storage.conditions import condition
from tsir.storage.filters import EARLIEST, Filter
from tsir.storage.milvus.schema import Schema


def found(library: Library, filter: Filter | None = None) -> list[Hit]:
    return search(library, "photos", axis(1), 50, filter=filter)


def upgrade_again(library: Library) -> int | None:
    """What opening does in the background."""
    return upgrade(library.stores, library.collection("photos"))


def version(library: Library) -> int:
    """Of the vectors that are served."""
    return library.stores.vectors.version(library.stores.vectors_name(library.collection("photos").ref))


def upgraded(library: Library) -> None:
    """Wait until opening the library has brought its vectors up to date."""
    deadline = time.monotonic() + 60
    while version(library) != library.stores.vectors.schema.version and time.monotonic() < deadline:
        time.sleep(0.05)


def watched(told: Callable[[Facts], None]) -> Schema:
    """The wider schema, of which `told` hears of every row that is written for it."""

    def value(facts: Facts) -> str:
        told(facts)
        return facts.metadata.camera or ""

    column = Column(MAKER.name, Form(MAKER.form.type, value, MAKER.form.params), since=MAKER.since)

    @dataclass(frozen=True)
    class Watched(Filter):
        maker: str | None = condition(column, MAKERS, "Made by", "Who made the camera.", lambda maker: f'maker == "{maker}"')

    return Schema(Watched)


@pytest.fixture
def hits(settings: Settings, photos_folder: Path) -> list[Hit]:
    """What was found before, in a library that a version with the first schema made and closed."""
    with Library.open(settings) as library:
        crashing.load(library, photos_folder)
        return found(library)


def test_an_older_library_is_copied_into_the_newest_schema_when_it_is_opened(settings: Settings, hits: list[Hit]) -> None:
    with Library.open(settings, schema=WIDER) as library:
        assert found(library) == hits
        upgraded(library)
        assert version(library) == WIDER.version
        assert found(library) == hits
        assert found(library, Wider(maker="Camera")) == hits
        assert found(library, Wider(maker="Canon")) == []
        assert library.collection("photos").describe().pending == 0
        check(library, repair=True)
        assert check(library).clean
        assert len(library.stores.vectors.names(library.stores.vectors_prefix())) == 1
        assert upgrade_again(library) is None
    with Library.open(settings) as older, pytest.raises(Conflict, match="newer version"):
        found(older)


def test_a_library_of_the_first_version_is_filtered_by_everything_at_once_and_follows(settings: Settings, photos_folder: Path) -> None:
    @dataclass(frozen=True)
    class First(Schema):
        version = 1

    with Library.open(settings, schema=First()) as library:
        crashing.load(library, photos_folder)
        before = [hit.image.id for hit in found(library)]
        assert version(library) == 1
        assert [hit.image.id for hit in found(library, Filter(min_bytes=1, max_megapixels=1, imported_after=EARLIEST))] == before
        assert found(library, Filter(min_megapixels=1)) == []
    with Library.open(settings) as library:
        upgraded(library)
        assert version(library) == 2
        assert [hit.image.id for hit in found(library, Filter(min_bytes=1, max_megapixels=1, imported_after=EARLIEST))] == before
        assert found(library, Filter(min_megapixels=1)) == []


def open_until(text: str, fatal: str) -> None:
    """Open a library of these settings and die at a step of the upgrade."""

    def die(step: Step) -> None:
        if step is Step[fatal]:
            os.kill(os.getpid(), signal.SIGKILL)

    with Library.open(crashing.parse(text), die, WIDER):
        time.sleep(60)


@pytest.mark.parametrize(
    "step",
    [
        Step.GENERATION_OPENED,
        Step.ROOM_MADE,
        Step.VECTORS_WRITTEN,
        Step.GENERATION_NOTED,
        Step.GENERATION_SWAPPED,
        Step.VECTORS_DROPPED,
    ],
)
def test_an_upgrade_killed_at_any_step_is_completed_by_the_next_opening(settings: Settings, hits: list[Hit], step: Step) -> None:
    assert ended(begin(open_until, crashing.arguments(settings), step.name)) == -signal.SIGKILL
    with Library.open(settings, schema=WIDER) as library:
        upgraded(library)
        assert found(library, Wider(maker="Camera")) == hits
        check(library, repair=True)
        assert check(library).clean
        assert library.collection("photos").describe().pending == 0


def test_imports_changes_and_deletions_during_an_upgrade_are_in_the_new_vectors(
    settings: Settings, hits: list[Hit], photos_folder: Path
) -> None:
    seen: list[Facts] = []

    def told(facts: Facts) -> None:
        seen.append(facts)
        if len(seen) > 1:
            return
        photos = library.collection("photos")
        begun = photos.begin([new_image(photos_folder / "late.jpg")])
        photos.finish([begun[0].id], axis(1, 50)[None])
        photos.begin([new_image(photos_folder / "copies/3.jpg", str(photos_folder / "3.jpg"))])
        victim = library.find_path(str(photos_folder / "5.jpg"))
        assert victim is not None
        photos.delete([victim.id])
        assert (photos.again().state, photos.describe().state) == ("ready", "ready")

    with Library.open(settings, schema=watched(told)) as library:
        upgraded(library)
        assert version(library) == WIDER.version
        expected = [hit.image.path for hit in hits if not hit.image.path.endswith("/5.jpg")] + [str(photos_folder / "late.jpg")]
        assert [hit.image.path for hit in found(library)] == expected
        assert [Path(hit.image.path).name for hit in found(library, Filter(folder=str(photos_folder / "copies")))] == ["3.jpg"]
        assert library.collection("photos").describe().pending == 0
        check(library, repair=True)
        assert check(library).clean


def test_an_import_that_meets_the_swap_writes_into_the_new_vectors(settings: Settings, hits: list[Hit], photos_folder: Path) -> None:
    with Library.open(settings) as library:
        begun = library.collection("photos").begin([new_image(photos_folder / "late.jpg")])
    swapped: list[int | None] = []
    armed: list[bool] = []

    def swap(step: Step) -> None:
        if step is Step.FACTS_READ and armed and not swapped:  # the import knows its collection, and has not written yet
            swapped.append(None)
            swapped.append(upgrade_again(library))

    with Library.open(settings, swap, WIDER) as library:
        upgraded(library)
        photos = library.collection("photos")
        library.stores.catalog.generations.begin(photos.ref, photos.encoder, copy=True)  # as if a still newer schema had come
        armed.append(True)
        photos.finish([begun[0].id], axis(1, 50)[None])
        assert swapped == [None, len(hits)]
        assert len(found(library, Wider(maker="Camera"))) == len(hits) + 1
        assert check(library).clean


def test_two_upgrades_at_once_end_as_one(settings: Settings, hits: list[Hit], photos_folder: Path) -> None:
    outer: list[bool] = []

    def second(step: Step) -> None:
        if step is Step.VECTORS_WRITTEN and armed and not outer:  # the first has written vectors and not noted them
            outer.append(True)
            assert upgrade_again(library) == len(hits)
            photos.begin([new_image(photos_folder / "copies/3.jpg", str(photos_folder / "3.jpg"))])

    armed: list[bool] = []
    with Library.open(settings, second, WIDER) as library:
        upgraded(library)
        photos = library.collection("photos")
        library.stores.catalog.generations.begin(photos.ref, photos.encoder, copy=True)  # as if a still newer schema had come
        armed.append(True)
        upgrade_again(library)
        assert outer
        check(library, repair=True)
        assert check(library).clean
        assert [Path(hit.image.path).name for hit in found(library, Filter(folder=str(photos_folder / "copies")))] == ["3.jpg"]
        assert len(found(library, Wider(maker="Camera"))) == len(hits)


def test_reencoding_under_way_is_left_alone_and_its_vectors_are_upgraded_afterwards(settings: Settings, photos_folder: Path) -> None:
    with Library.open(settings) as library:
        crashing.load(library, photos_folder)
        moving = library.reencoding("photos")
        moving.begin(crashing.OTHER)
        first = moving.batch(4)
        moving.finish([image.id for image in first], np.stack([axis(0, 1)] * 4))
    with Library.open(settings, schema=WIDER) as library:
        assert upgrade_again(library) is None
        assert library.collection("photos").state == "reencoding"
        moving = library.reencoding("photos")
        moving.begin(crashing.OTHER)
        rest = moving.batch(50)
        assert len(rest) == crashing.PICTURES - 4
        moving.finish([image.id for image in rest], np.stack([axis(0, 1, n) for n in range(len(rest))]))
        assert moving.swap() == 0
        before = search(library, "photos", axis(0, 1), 50)
        upgrade_again(library)  # beside what opening does, should that be so late
        upgraded(library)
        assert search(library, "photos", axis(0, 1), 50, filter=Wider(maker="Camera")) == before
        assert library.collection("photos").encoder == crashing.OTHER
        assert check(library).clean


def test_pictures_without_a_vector_wait_for_one_after_the_upgrade(settings: Settings, hits: list[Hit]) -> None:
    with Library.open(settings) as library:
        stores = library.stores
        stores.vectors.delete(stores.vectors_name(library.collection("photos").ref), [hits[0].image.id])
    with Library.open(settings, schema=WIDER) as library:
        upgraded(library)
        assert found(library) == hits[1:]
        assert [image.id for image in library.collection("photos").unfinished(10)] == [hits[0].image.id]
