from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.importing.conftest import NAME, WatchedEncoder, assert_whole, fill, noise, paths_of
from tests.jobs.toys import until
from tsir.errors import InvalidInput
from tsir.importing import watch as module
from tsir.importing.scan import passed_over
from tsir.importing.watch import watch
from tsir.jobs.model import JobFailure
from tsir.jobs.progress import Progress
from tsir.library.check import check
from tsir.library.collection import Collection
from tsir.library.library import Library
from tsir.records import FileStat, NewImage
from tsir.settings import Settings


class Watch:
    """A watch in a thread, and what it told."""

    def __init__(self, library: Library, encoder: WatchedEncoder, settings: Settings, folder: Path) -> None:
        self.heard: list[tuple[int, int]] = []
        self.failures: list[JobFailure] = []
        self.passed = ""
        self.stop = threading.Event()
        arguments = (library, encoder, settings, NAME, folder, self.stop)
        self.thread = threading.Thread(target=watch, args=arguments, kwargs={"on_import": self._hear})
        self.thread.start()

    def _hear(self, progress: Progress, failures: list[JobFailure]) -> None:
        self.heard.append((progress.done, progress.failed))
        self.failures += failures
        self.passed += passed_over(progress.passed) or ""


@pytest.fixture
def watching(
    library: Library, encoder: WatchedEncoder, settings: Settings, album: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Watch]:
    monkeypatch.setattr(module, "DEBOUNCE_MS", 200)
    monkeypatch.setattr(module, "LOOK_MS", 100)
    fill(album, 3)
    running = Watch(library, encoder, settings, album)
    until(lambda: len(paths_of(library)) == 3)
    yield running
    running.stop.set()
    running.thread.join(30)
    assert not running.thread.is_alive()


def test_what_is_there_comes_first_then_every_change(
    collection: Collection, library: Library, watching: Watch, album: Path, encoder: WatchedEncoder
) -> None:
    new = fill(album, 2, start=3)
    until(lambda: len(paths_of(library)) == 5)

    noise(77).save(new[0])
    until(lambda: encoder.encoded == 6)

    new[1].rename(album / "renamed.png")
    until(lambda: str(album / "renamed.png") in paths_of(library) and str(new[1]) not in paths_of(library))

    (album / "0000.png").unlink()
    until(lambda: collection.count() == 4)
    until(lambda: check(library).clean)  # a picture is out of sight before it is gone

    assert encoder.encoded == 6, "a rename needs no encoding"
    assert_whole(library, 4)


def test_whole_folders_come_and_go(collection: Collection, library: Library, watching: Watch, album: Path, tmp_path: Path) -> None:
    fill(tmp_path / "trip" / "day one", 3, start=10)
    shutil.move(tmp_path / "trip", album / "trip")
    until(lambda: collection.count() == 6)
    shutil.rmtree(album / "trip")
    until(lambda: collection.count() == 3)


def test_a_watched_folder_that_goes_and_comes_back_is_watched_again(
    collection: Collection, library: Library, watching: Watch, album: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    album.rename(tmp_path / "away")
    until(lambda: "is not there: its pictures stay" in caplog.text)
    (tmp_path / "away").rename(album)
    fill(album, 1, start=7)
    until(lambda: collection.count() == 4)
    assert collection.describe().missing == 0


def test_only_what_is_reported_is_looked_at(collection: Collection, watching: Watch, album: Path, tmp_path: Path) -> None:
    """A change somewhere says nothing of the rest: a place that cannot be seen now stays."""
    fill(album / "sub", 2, start=30)
    until(lambda: collection.count() == 5)
    unseen = collection.image(collection.at([str(album / "sub" / "0030.png")])[str(album / "sub" / "0030.png")])
    collection.begin([NewImage(FileStat(str(album / "other.png"), 1, 1), unseen.content_hash, unseen.metadata)])
    (album / "0001.png").unlink()
    until(lambda: collection.describe().missing == 1)
    assert len(collection.image(unseen.id).paths) == 2
    (album / "layers.psd").write_bytes(b"layers")
    until(lambda: "1 file of a kind that cannot be read (.psd 1)." in watching.passed)


def test_a_drive_below_that_comes_or_goes_is_noticed(
    collection: Collection, watching: Watch, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else tells of it: the whole folder is looked at."""
    line = "36 25 0:32 / {} rw,relatime shared:1 - ext4 /dev/sdb1 rw\n"
    mounts = tmp_path / "mountinfo"
    mounts.write_text(line.format("/") + line.format(album))
    monkeypatch.setattr(module, "MOUNTS", mounts)
    known = collection.image(collection.at([str(album / "0000.png")])[str(album / "0000.png")])
    for mounted in (f"{album}/a\\040drive", f"{album} beside"):
        collection.begin([NewImage(FileStat(str(album / "gone.png"), 1, 1), known.content_hash, known.metadata)])
        mounts.write_text(line.format("/") + line.format(album) + line.format(mounted))
        until(lambda: len(collection.image(known.id).paths) == 1)


def test_bad_and_hidden_files_do_not_stop_it(collection: Collection, library: Library, watching: Watch, album: Path) -> None:
    noise(50).save(album / ".hidden.png")
    (album / "bad.jpg").write_text("no picture")
    until(lambda: bool(watching.failures))
    fill(album, 1, start=20)
    until(lambda: collection.count() == 4)
    assert {Path(failure.path).name for failure in watching.failures} == {"bad.jpg"}
    assert not any(".hidden" in path for path in paths_of(library))


def test_what_is_no_longer_left_out_is_imported(library: Library, watching: Watch, album: Path) -> None:
    (album / ".tsirignore").write_text("drafts/\n")
    fill(album / "drafts", 2, start=10)
    fill(album, 1, start=20)
    until(lambda: len(paths_of(library)) == 4)
    (album / ".tsirignore").unlink()
    until(lambda: len(paths_of(library)) == 6)


def test_folder_that_is_not_there_is_refused(library: Library, encoder: WatchedEncoder, settings: Settings, album: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be watched"):
        watch(library, encoder, settings, NAME, album / "nothing", threading.Event())


def test_the_programs_own_folder_in_the_watched_one_is_left_alone(
    library: Library, encoder: WatchedEncoder, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DEBOUNCE_MS", 200)
    monkeypatch.setattr(module, "LOOK_MS", 100)
    fill(tmp_path / "photos", 3)
    running = Watch(library, encoder, settings, tmp_path)  # DATA_DIR lies in it, and thumbnails are written there
    until(lambda: len(paths_of(library)) == 3)
    fill(tmp_path / "photos", 2, start=3)
    until(lambda: len(paths_of(library)) == 5)
    fill(tmp_path / "photos", 1, start=5)
    until(lambda: len(paths_of(library)) == 6)
    running.stop.set()
    running.thread.join(30)
    assert_whole(library, 6)
    assert encoder.encoded == 6
