"""kill -9 at any step: doing it again mends everything."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.library import crashing
from tests.library.conftest import axis
from tsir.library.library import Library
from tsir.records import Image as StoredImage
from tsir.settings import Settings
from tsir.storage.filters import Filter


def found(library: Library, folder: Path) -> list[str]:
    hits = library.search("photos", axis(1), 50, fresh=True)
    return sorted(Path(hit.image.path).name for hit in hits if hit.image.path.startswith(str(folder)))


def complete(library: Library) -> None:
    """Rows and vectors are one to one, nothing is pending or half deleted."""
    report = library.check()
    assert report.problems == ()
    assert report.images == report.vectors
    assert all(collection.pending == 0 for collection in library.collections())


ALL = sorted(f"{n}.jpg" for n in range(crashing.PICTURES))


@pytest.mark.parametrize(
    "step", ["catalog.create_collection", "store.ensure", "catalog.begin", "catalog.facts", "store.upsert", "catalog.settle"]
)
def test_import_killed_at_any_step_is_completed_by_the_next(settings: Settings, photos_folder: Path, step: str) -> None:
    assert crashing.run_until(settings, "load", step) == -signal.SIGKILL
    with Library.open(settings) as library:
        crashing.load(library, photos_folder)
        assert found(library, photos_folder) == ALL
        complete(library)


@pytest.mark.parametrize("step", ["catalog.begin", "store.delete", "catalog.leftovers", "catalog.delete_rows", "store.get", "store.upsert"])
def test_changes_killed_at_any_step_are_completed_by_the_next_import(settings: Settings, photos_folder: Path, step: str) -> None:
    with Library.open(settings) as library:
        crashing.load(library, photos_folder)
    assert crashing.run_until(settings, "change", step) == -signal.SIGKILL
    with Library.open(settings) as library:
        crashing.change(library, photos_folder)
        library.check(repair=True)
        assert found(library, photos_folder) == ALL
        copies = library.search("photos", axis(1), 50, filter=Filter(folder=str(photos_folder / "copies")), fresh=True)
        assert [len(hit.image.paths) for hit in copies] == [2]
        complete(library)


@pytest.mark.parametrize("action", ["sweep", "delete"])
@pytest.mark.parametrize("step", ["store.delete", "catalog.leftovers", "catalog.delete_rows"])
def test_deletions_killed_at_any_step_are_completed_by_opening(settings: Settings, photos_folder: Path, action: str, step: str) -> None:
    with Library.open(settings) as library:
        crashing.load(library, photos_folder)
    assert crashing.run_until(settings, action, step) == -signal.SIGKILL
    with Library.open(settings) as library:
        assert len(found(library, photos_folder)) == crashing.PICTURES - 4
        complete(library)


@pytest.mark.parametrize("step", ["catalog.start_drop", "store.drop", "catalog.delete_rows", "catalog.delete_collection"])
def test_drop_killed_at_any_step_is_completed_by_opening(settings: Settings, photos_folder: Path, step: str) -> None:
    with Library.open(settings) as library:
        crashing.load(library, photos_folder)
    assert crashing.run_until(settings, "drop", step) == -signal.SIGKILL
    with Library.open(settings) as library:
        assert library.collections() == []
        assert library.store.names(library.vectors_prefix()) == []
        assert library.catalog.refs() == []
        crashing.load(library, photos_folder)
        complete(library)


@pytest.mark.parametrize(
    "step", ["catalog.begin_reencode", "store.ensure", "store.upsert", "catalog.settle_reencode", "catalog.swap", "store.drop"]
)
def test_reencoding_killed_at_any_step_is_completed_by_the_next(settings: Settings, photos_folder: Path, step: str) -> None:
    with Library.open(settings) as library:
        crashing.load(library, photos_folder)
    assert crashing.run_until(settings, "reencode", step) == -signal.SIGKILL
    with Library.open(settings) as library:
        assert found(library, photos_folder) == ALL
        crashing.reencode(library, photos_folder)
        library.check(repair=True)
        assert library.collection("photos").encoder == crashing.OTHER
        best = library.search("photos", axis(0, 0, 1, 7), 1, fresh=True)[0]
        assert (Path(best.image.path).name, best.score) == ("7.jpg", pytest.approx(1))
        complete(library)


def test_check_repairs_what_was_lost_in_milvus(settings: Settings, photos_folder: Path) -> None:
    with Library.open(settings) as library:
        crashing.load(library, photos_folder)
        ref = library.catalog.ref("photos")
        name = library.vectors_name(ref)
        ids = [image.id for image in library.images("photos")[0]]
        library.store.delete(name, ids[:3])
        strangers = [max(ids) + 1000 * n for n in range(1, 4)]
        facts = list(library.catalog.facts(ref.id, ids[3:6]).values())
        library.store.upsert(name, strangers, np.stack([axis(1)] * 3), facts)
        library.store.ensure(f"{library.vectors_prefix()}999_1", 8, "FLAT")

        report = library.check()
        assert not report.repaired
        assert sorted(report.problems) == [
            "1 collections in Milvus have no row.",
            "3 images of photos have no vector.",
            "3 vectors of photos have no row.",
        ]
        assert not library.check(repair=True).clean
        assert len(library.unfinished("photos", 10)) == 3
        crashing.load(library, photos_folder)
        assert found(library, photos_folder) == ALL
        complete(library)
        library.store.drop(name)
        assert library.search("photos", axis(1), 10) == []
        library.check(repair=True)
        crashing.load(library, photos_folder)
        assert found(library, photos_folder) == ALL
        complete(library)


def test_check_finds_lost_files_and_strays(settings: Settings, photos_folder: Path, tmp_path: Path) -> None:
    with Library.open(settings) as library:
        crashing.load(library, photos_folder)
        (photos_folder / "0.jpg").unlink()
        library.files.write_thumbnails("ab" * 32, Image.new("RGB", (10, 10)))
        stray = library.files.save_upload(b"x", "JPEG")
        assert library.check().problems == ("1 files of photos have left their folder.",)
        old = time.time() - 48 * 3600
        for path in [stray, *library.files.thumbnails.glob("*/*/*")]:
            os.utime(path, (old, old))
        assert set(library.check().problems) == {
            "1 files of photos have left their folder.",
            "1 thumbnails belong to no image.",
            "1 uploaded files belong to no image.",
        }
        made: list[int] = []

        def make(image: StoredImage) -> bool:
            made.append(image.id)
            return True

        report = library.check(repair=True, thumbnail=make)
        assert report.repaired
        assert len(made) == crashing.PICTURES - 1
        assert not stray.exists()
        assert library.check().clean
        assert library.count("photos") == crashing.PICTURES - 1

        photos_folder.rename(tmp_path / "unplugged")
        report = library.check(repair=True)
        assert report.clean
        assert any("drive" in note for note in report.notes)
        assert library.count("photos") == crashing.PICTURES - 1
