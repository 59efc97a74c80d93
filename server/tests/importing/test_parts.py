"""Imports in parts: what is cut, made elsewhere and taken is the same as what a plain import brings."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.fakes import FakeEncoder
from tests.skips import skip_or_fail
from tsir.errors import EncoderMismatch, InvalidInput, NotFound
from tsir.importing.parts.job import at
from tsir.importing.parts.listing import MOST, Files, Part, Segment, cut, segments
from tsir.importing.parts.making import Maker, make
from tsir.importing.parts.planning import WorkerLost, plan
from tsir.importing.parts.shelf import Shelf
from tsir.importing.parts.taking import take
from tsir.importing.scan import Item, scan
from tsir.jobs.line import Line, Stopped
from tsir.jobs.model import Job, JobFailure
from tsir.jobs.progress import Progress
from tsir.jobs.runner import JobRunner
from tsir.library.check import check
from tsir.library.collection import Collection
from tsir.library.library import Library
from tsir.records import EncoderInfo, FileStat
from tsir.services.imports import submit_folder, submit_shared
from tsir.services.opening import opened
from tsir.services.pictures import original, thumbnail
from tsir.settings import Settings
from tsir.storage import filters


def files(*numbers: int) -> list[FileStat]:
    return [FileStat(f"/photos/{number:06}.jpg", number, number) for number in numbers]


def listed(folder: Path) -> list[FileStat]:
    return [entry.file for batch in scan(folder) for entry in batch if isinstance(entry, Item)]


@given(st.sets(st.integers(0, 5_000), max_size=400), st.integers(1, 50))
def test_a_cut_keeps_every_file_in_its_order_and_bounds_its_parts(numbers: set[int], size: int) -> None:
    parts = list(cut(files(*sorted(numbers)), size))
    assert [file for part in parts for file in part.files] == files(*sorted(numbers))
    assert all(0 < len(part.files) <= MOST * size for part in parts)
    assert len({part.key for part in parts}) == len(parts)


def test_a_file_more_changes_few_parts() -> None:
    before = {part.key for part in cut(files(*range(0, 20_000, 2)), 50)}
    after = {part.key for part in cut(files(*range(0, 20_000, 2), 20_001), 50)}
    assert len(before) > 100
    assert len(before - after) <= 1
    middle = {part.key for part in cut(sorted(files(*range(0, 20_000, 2), 9_999), key=lambda file: file.path), 50)}
    assert len(before - middle) <= 3


@given(st.lists(st.sampled_from(["a.jpg", "bb.png", "with space.jpg", "ü.jpg"]), max_size=30), st.integers(1, 200))
def test_every_line_of_a_list_is_in_one_part(tmp_path_factory: pytest.TempPathFactory, names: list[str], size: int) -> None:
    listing = tmp_path_factory.mktemp("lists") / "all.txt"
    listing.write_text("".join(f"/nowhere/{name}\n" for name in names))
    seen = [entry.path for part in segments(str(listing), size) for entry in part.read() if isinstance(entry, JobFailure)]
    assert seen == [f"/nowhere/{name}" for name in names]


def test_what_a_list_names_wrongly_is_told(tmp_path: Path, photos: Path) -> None:
    listing = tmp_path / "all.txt"
    listing.write_bytes(b"red.png\n\n" + str(photos / "red0.png").encode() + b"\r\n/nowhere/\xff.jpg\n" + str(photos / "gone.png").encode())
    [part] = segments(str(listing))
    found = list(part.read())
    assert [entry.path for entry in found if isinstance(entry, FileStat)] == [str(photos / "red0.png")]
    assert [entry.reason for entry in found if isinstance(entry, JobFailure)] == [
        "A listing names files by their whole paths or addresses.",
        "The file cannot be read: No such file or directory.",
        "The file cannot be read: No such file or directory.",
    ]
    listing.write_bytes(b"x" * 20_000)
    with pytest.raises(InvalidInput, match="a line is longer than"):
        list(next(segments(str(listing))).read())


class Room:
    """Workers that make nothing, and die over the files that they are told to."""

    capacity = 4

    def __init__(self, deadly: frozenset[str] = frozenset()) -> None:
        self.made: list[Part] = []
        self.most = 0
        self._deadly = deadly
        self._waiting: list[Part] = []

    def start(self, part: Part) -> None:
        self._waiting.append(part)
        self.most = max(self.most, len(self._waiting))

    def wait(self, timeout_s: float) -> list[tuple[Part, Exception | None]]:
        part = self._waiting.pop(0)
        if isinstance(part, Files) and any(file.path in self._deadly for file in part.files):
            return [(part, WorkerLost("killed"))]
        self.made.append(part)
        return [(part, None)]

    def close(self) -> None: ...


def test_a_file_that_kills_workers_costs_itself_alone() -> None:
    room = Room(frozenset({"/photos/000037.jpg"}))
    ended = list(plan(cut(files(*range(100)), 20), room))
    assert [entry.path for entry in ended if isinstance(entry, JobFailure)] == ["/photos/000037.jpg"]
    made = [file.path for part in room.made if isinstance(part, Files) for file in part.files]
    assert sorted(made) == [file.path for file in files(*range(100)) if "37" not in file.path]


def test_what_a_list_names_wrongly_is_told_though_workers_die_over_it(tmp_path: Path, photos: Path) -> None:
    listing = tmp_path / "all.txt"
    listing.write_text(f"/nowhere/a.jpg\n{photos / 'red0.png'}\n{photos / 'red1.png'}\n")

    class Deadly(Room):
        def wait(self, timeout_s: float) -> list[tuple[Part, Exception | None]]:
            return [(self._waiting.pop(), WorkerLost("killed"))] if isinstance(self._waiting[-1], Segment) else super().wait(timeout_s)

    room = Deadly(frozenset({str(photos / "red1.png")}))
    ended = list(plan(segments(str(listing)), room))
    assert {entry.path for entry in ended if isinstance(entry, JobFailure)} == {"/nowhere/a.jpg", str(photos / "red1.png")}
    assert [file.path for part in room.made if isinstance(part, Files) for file in part.files] == [str(photos / "red0.png")]


def test_a_stop_is_heard() -> None:
    with pytest.raises(Stopped):
        list(plan(cut(files(*range(100)), 10), Room(), lambda: True))


def test_the_planner_holds_no_more_of_a_long_list_than_of_a_short_one(tmp_path: Path) -> None:
    listing = tmp_path / "all.txt"
    with listing.open("wb") as file:
        file.truncate(100 * 2**30)  # a hole of 100 GB: a planner that read it would not come back

    class Counting(Room):
        count = 0

        def wait(self, timeout_s: float) -> list[tuple[Part, Exception | None]]:
            self.count += 1
            self.made.clear()
            return super().wait(timeout_s)

    room = Counting()
    ended = 0
    for part in plan(segments(str(listing), 2**24), room):
        assert isinstance(part, Segment)
        ended += 1
    assert ended == room.count == 6_400
    assert room.most == room.capacity


def test_a_part_goes_into_the_library_as_an_import_would(
    library: Library, collection: Collection, photos: Path, settings: Settings, encoder: FakeEncoder
) -> None:
    (photos / "broken.png").write_bytes(b"no picture")
    Image.new("RGB", (8, 8), "red").save(photos / "speck.png")
    shutil.copy(photos / "red0.png", photos / "again.png")
    part = Files(tuple(listed(photos)))
    shelf = Shelf(str(settings.data_dir / "parts"))
    shelf.put(part.key, make(part, encoder, settings), encoder.info)
    assert Maker(settings.model_copy(update={"model": "none"}), shelf.address).make(part) == part.key  # it lies there: nothing is loaded
    made = shelf.get(part.key, encoder.info)
    progress = Progress()
    with Line() as line:
        take(made, encoder.info, collection, library.files.thumbnails, progress, line)
        assert (progress.done, progress.skipped, progress.failed) == (8, 0, 1)
        take(made, encoder.info, collection, library.files.thumbnails, progress, line)
        assert (progress.done, progress.skipped) == (8, 8)
    assert collection.count() == 7
    last = collection.search(encoder.texts(["red"])[0], 7)[-1]
    assert Path(last.image.path).name == "speck.png"  # too small to show anything
    hit = collection.search(encoder.texts(["red"])[0], 1)[0]
    assert Path(hit.image.path).name in ("again.png", "red0.png", "red1.png")
    assert np.allclose(hit.vector, encoder.images([_opened(hit.image.path)])[0], atol=1e-6)
    assert library.files.thumbnails.find(hit.image.content_hash, "small") is not None
    assert check(library).clean
    with pytest.raises(EncoderMismatch, match="other"):
        shelf.get(part.key, EncoderInfo("other", "0" * 16, 8))
    shelf.drop(part.key)
    assert not shelf.has(part.key)


def test_pictures_at_addresses_are_found_and_shown(
    library: Library, collection: Collection, photos: Path, settings: Settings, encoder: FakeEncoder
) -> None:
    fsspec = pytest.importorskip("fsspec", reason="needs the extra ray: make setup EXTRAS=dev,ray")
    store = fsspec.filesystem("memory")
    for photo in photos.iterdir():
        store.pipe(f"/bucket/{photo.stem[:-1]}/{photo.name}", photo.read_bytes())
    store.pipe("/bucket/notes.txt", b"no picture")
    store.pipe("/bucket/list.txt", b"memory:///bucket/red/red0.png\nmemory:///bucket/gone.png\n")
    found = [entry.file for batch in at("memory://bucket") for entry in batch if isinstance(entry, Item)]
    assert [Path(file.path).name for file in found] == ["blue0.png", "blue1.png", "green0.png", "green1.png", "red0.png", "red1.png"]
    [part] = segments("memory://bucket/list.txt")
    named, gone = part.read()
    assert (named, isinstance(gone, JobFailure)) == (found[4], True)
    progress = Progress()
    with Line() as line:
        take(make(Files(tuple(found)), encoder, settings), encoder.info, collection, library.files.thumbnails, progress, line)
    assert (progress.done, progress.failed) == (6, 0)
    hits = collection.search(encoder.texts(["blue"])[0], 10, filter=filters.parse({"folder": "memory:///bucket/red"}))
    assert {Path(hit.image.path).name for hit in hits} == {"red0.png", "red1.png"}
    assert collection.unchanged(found) == {file.path for file in found}
    image = hits[0].image
    library.files.thumbnails.delete(image.content_hash)
    assert thumbnail(library, image, "small", settings).is_file()  # made again from what lies there
    assert original(image) == store.cat_file(image.path)
    assert check(library).clean
    store.rm("/bucket", recursive=True)
    with pytest.raises(NotFound, match="lies at 'memory://"):
        original(image)
    with pytest.raises(InvalidInput, match="cannot be listed"):
        list(at("memory://bucket"))
    with pytest.raises(InvalidInput, match="cannot be reached"):
        list(at("nonsense://bucket"))


def _opened(path: str) -> Image.Image:
    return Image.open(path).convert("RGB")


class Here(Room):
    """Makes parts in this process."""

    shelf: Shelf
    encoder: FakeEncoder
    settings: Settings

    def start(self, part: Part) -> None:
        self.shelf.put(part.key, make(part, self.encoder, self.settings), self.encoder.info)
        super().start(part)


def test_an_import_by_workers_ends_with_the_words_of_any_folders_import(
    library: Library, collection: Collection, runner: JobRunner, photos: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Here()
    pool.shelf, pool.encoder, pool.settings = Shelf(str(settings.data_dir / "parts")), FakeEncoder(), settings
    monkeypatch.setattr("tsir.importing.parts.job.RayPool", lambda *arguments: pool)

    def load() -> Job:
        job = submit_shared(runner, collection.name, photos, "local", str(settings.data_dir / "parts"))
        return runner.wait(job.id, timeout=60)

    assert (load().done, load().skipped) == (6, 6)
    collection.remove(list(collection.at([str(photos / "red0.png")]).values()))
    (photos / "red1.png").unlink()
    (photos / "notes.odt").write_bytes(b"raw")
    said = load().message or ""
    for words in (
        "1 file of a kind that cannot be read (.odt 1).",
        "1 picture that was taken out before: left out.",
        "1 file is no longer in the folder; 1 picture is missing",
    ):
        assert words in said
    here = runner.wait(submit_folder(runner, collection.name, photos).id, timeout=60)
    assert here.message and said.startswith(here.message)


def _workers() -> Iterator[int]:
    """Processes of Ray's actors."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError):  # ended meanwhile
            if entry.name.isdigit() and b"ray::_Actor" in (entry / "cmdline").read_bytes():
                yield int(entry.name)


def test_ray_imports_every_picture_once_though_a_worker_is_killed(tmp_path: Path, shared_data: Path) -> None:
    if importlib.util.find_spec("ray") is None:
        skip_or_fail("ray is not installed: make setup EXTRAS=dev,ray")
    folder = tmp_path / "photos"
    folder.mkdir()
    for photo in sorted((shared_data / "photos-100").glob("*.jpg"))[:8]:
        shutil.copy(photo, folder)
    (folder / "broken.jpg").write_bytes(b"no picture")
    settings = Settings(data_dir=tmp_path / "data", image_roots=str(folder), _env_file=None)  # type: ignore[call-arg]
    stop = threading.Event()
    killed: list[int] = []

    def kill() -> None:
        while not stop.is_set() and not killed:
            for worker in _workers():
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)
                return
            time.sleep(0.05)

    with opened(settings) as service:
        service.library.create("album", service.encoders.main.info)
        killer = threading.Thread(target=kill)
        killer.start()
        try:
            job: Job = service.runner.run_now(
                submit_shared(service.runner, "album", folder, "local", str(tmp_path / "parts"), workers=1), on_progress=lambda job: None
            )
        finally:
            stop.set()
            killer.join()
        assert killed
        assert (job.state, job.done, job.failed, job.message) == ("done", 8, 1, None)
        assert service.library.collection("album").count() == 8
        assert check(service.library).clean
        assert not list((tmp_path / "parts").iterdir())
