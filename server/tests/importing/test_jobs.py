"""Imports with real stores: what a person's folder goes through."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.fakes import FakeEncoder
from tests.importing.conftest import NAME, WatchedEncoder, fill, load, noise, paths_of
from tsir.errors import Conflict, InvalidInput, NotFound, StoreUnavailable
from tsir.importing import sources
from tsir.importing.archives import save_archive
from tsir.importing.pipeline import Progress
from tsir.jobs.runner import JobRunner
from tsir.library.library import Library
from tsir.records import FileStat, Job, JobFailure, NewImage
from tsir.settings import Settings


def jpeg(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread will do."""
    pause = threading.Event()
    for _ in range(1200):
        if condition():
            return
        pause.wait(0.05)
    pytest.fail("It never happened.")


def copy_noted(library: Library, path: Path) -> None:
    """Copy an imported file and note the copy, as an import does."""
    first = library.find_path(str(path))
    assert first is not None
    copy = path.with_name(f"copy-{path.name}")
    copy.write_bytes(path.read_bytes())
    file = FileStat(str(copy), copy.stat().st_size, copy.stat().st_mtime_ns)
    library.begin(NAME, [NewImage(file, first.content_hash, first.metadata)])


def assert_whole(library: Library, expected: int) -> None:
    """One ready row, one vector and both thumbnails per picture, and nothing else."""
    images, cursor = library.images(NAME, None, 1000)
    assert cursor is None
    assert library.count(NAME) == len(images) == len({image.content_hash for image in images}) == expected
    assert len(library.vectors(NAME, [image.id for image in images])) == expected
    for image in images:
        assert library.files.thumbnails.find(image.content_hash, "small")
        assert library.files.thumbnails.find(image.content_hash, "large")
    assert library.check().clean


def test_bad_files_are_listed_with_reasons_and_good_ones_are_found(
    library: Library, runner: JobRunner, album: Path, encoder: FakeEncoder
) -> None:
    good = noise(1, 64)
    (album / "truncated.jpg").write_bytes(jpeg(noise(2, 300))[:20_000])
    (album / "text.jpg").write_text("Dear diary")
    (album / "empty.jpg").touch()
    Image.new("RGB", (1, 1), "red").save(album / "dot.png")
    (album / "cmyk.jpg").write_bytes(jpeg(Image.new("RGB", (40, 40), "blue").convert("CMYK")))
    palette = Image.new("P", (40, 40), 1)
    palette.putpalette([0, 0, 0, 0, 255, 0])
    palette.save(album / "palette.png", transparency=0)
    exif = Image.Exif()
    exif[0x0112] = 6
    (album / "rotated.jpg").write_bytes(jpeg(good.resize((64, 32)), exif=exif))
    good.save(album / "西瓜.webp")

    job = load(runner, album)

    assert (job.state, job.total, job.done, job.skipped, job.failed) == ("done", 8, 5, 0, 3)
    reasons = {Path(failure.path).name: failure.reason for failure in library.job_failures(job.id, 10, 0)}
    assert reasons.keys() == {"truncated.jpg", "text.jpg", "empty.jpg"}
    assert "cut off" in reasons["truncated.jpg"]
    assert "not a picture" in reasons["text.jpg"]
    assert "empty" in reasons["empty.jpg"]
    assert {Path(path).name for path in paths_of(library)} == {"dot.png", "cmyk.jpg", "palette.png", "rotated.jpg", "西瓜.webp"}
    best = library.search(NAME, encoder.texts(["blue"])[0], 1, fresh=True)[0]
    assert Path(best.image.path).name == "cmyk.jpg"
    rotated = library.find_path(str(album / "rotated.jpg"))
    assert rotated is not None
    assert (rotated.metadata.width, rotated.metadata.height) == (32, 64)
    assert_whole(library, 5)


def test_unchanged_folder_is_skipped(library: Library, runner: JobRunner, album: Path, encoder: WatchedEncoder) -> None:
    fill(album, 10)
    assert load(runner, album).done == 10
    job = load(runner, album)
    assert (job.total, job.done, job.skipped, job.failed) == (10, 0, 10, 0)
    assert encoder.encoded == 10


def test_only_what_changed_is_encoded(library: Library, runner: JobRunner, album: Path, encoder: WatchedEncoder) -> None:
    paths = fill(album, 6)
    load(runner, album)
    noise(99).save(paths[2])
    fill(album, 1, start=6)
    job = load(runner, album)
    assert (job.done, job.skipped, encoder.encoded) == (2, 5, 8)
    assert_whole(library, 7)
    found = library.find_path(str(paths[2]))
    assert found is not None
    vector = library.vectors(NAME, [found.id])[found.id]
    assert np.allclose(vector, encoder.images([noise(99)])[0], atol=1e-5)


def test_touched_file_is_not_encoded_again(runner: JobRunner, album: Path, encoder: WatchedEncoder) -> None:
    fill(album, 3)[0].touch()
    load(runner, album)
    (album / "0000.png").touch()
    job = load(runner, album)
    assert (job.done, job.skipped, encoder.encoded) == (1, 2, 3)
    assert load(runner, album).skipped == 3


def test_renamed_and_moved_files_keep_their_vectors(library: Library, runner: JobRunner, album: Path, encoder: WatchedEncoder) -> None:
    paths = fill(album, 4)
    load(runner, album)
    before = {image.content_hash: image.id for image in library.images(NAME)[0]}
    paths[0].rename(album / "renamed.png")
    (album / "deep").mkdir()
    paths[1].rename(album / "deep" / "moved.png")
    load(runner, album)
    assert encoder.encoded == 4
    assert {image.content_hash: image.id for image in library.images(NAME)[0]} == before
    assert paths_of(library) == {str(path) for path in (album / "renamed.png", album / "deep" / "moved.png", *paths[2:])}
    assert_whole(library, 4)


def test_same_picture_in_two_places_is_one_image_with_both_paths(
    library: Library, runner: JobRunner, album: Path, encoder: WatchedEncoder
) -> None:
    fill(album, 9)
    copies = fill(album / "copies", 9)
    job = load(runner, album)
    assert (job.done, encoder.encoded) == (18, 9)
    found = library.find_path(str(copies[3]))
    assert found is not None
    assert set(found.paths) == {str(copies[3]), str(album / "0003.png")}
    assert_whole(library, 9)


def test_vanished_files_are_swept_after_a_folder_import(library: Library, runner: JobRunner, album: Path) -> None:
    paths = fill(album, 5)
    load(runner, album)
    paths[0].unlink()
    job = load(runner, album)
    assert job.skipped == 4
    assert "1 " in (job.message or "")
    assert library.find_path(str(paths[0])) is None
    assert_whole(library, 4)


def test_missing_folder_fails_and_deletes_nothing(library: Library, runner: JobRunner, album: Path) -> None:
    folder = album / "stick"
    fill(folder, 3)
    load(runner, folder)
    folder.rename(album / ".unplugged")
    job = load(runner, folder)
    assert job.state == "failed"
    assert "stick" in (job.message or "")
    assert library.count(NAME) == 3


def test_empty_folder_is_done_at_once(runner: JobRunner, album: Path) -> None:
    job = load(runner, album)
    assert (job.state, job.total, job.done) == ("done", 0, 0)


def test_folder_that_is_being_imported_is_not_queued_twice(runner: JobRunner, album: Path, encoder: WatchedEncoder) -> None:
    fill(album, 5)
    encoder.close_gate()
    first = runner.submit_folder(NAME, album)
    assert runner.submit_folder(NAME, album).id == first.id
    encoder.open_gate()
    runner.wait(first.id, 60)
    assert runner.submit_folder(NAME, album).id != first.id


def test_cancelled_job_stops_while_the_encoder_is_busy_and_can_be_done_again(
    library: Library, runner: JobRunner, album: Path, encoder: WatchedEncoder
) -> None:
    fill(album, 40)
    encoder.close_gate()
    encoder.open_gate(2)
    job = runner.submit_folder(NAME, album)
    until(lambda: library.job(job.id).done == 8)
    library.cancel_job(job.id)  # as another process would
    job = runner.wait(job.id, 60)
    assert (job.state, job.done) == ("cancelled", 8)
    with pytest.raises(Conflict):
        runner.cancel(runner.wait(load_all(runner, album, encoder), 60).id)
    assert_whole(library, 40)


def load_all(runner: JobRunner, album: Path, encoder: WatchedEncoder) -> int:
    encoder.open_gate()
    return runner.submit_folder(NAME, album).id


def test_two_jobs_take_turns(library: Library, runner: JobRunner, album: Path, encoder: WatchedEncoder) -> None:
    fill(album / "large", 80)
    fill(album / "small", 4, start=500)
    encoder.close_gate()
    large = runner.submit_folder(NAME, album / "large")
    until(lambda: library.job(large.id).state == "running")
    small = runner.submit_folder(NAME, album / "small")
    until(lambda: library.collection(NAME).pending > 4)
    for _ in range(15):  # batches; the large folder has 20 of them
        encoder.open_gate(1)
        if runner.wait(small.id, 1).over:
            break
    assert library.job(small.id).state == "done"
    assert not library.job(large.id).over
    encoder.open_gate()
    assert runner.wait(large.id, 60).done == 80
    assert_whole(library, 84)


def test_stopped_runner_hands_its_job_back_and_the_next_one_ends_it(
    library: Library, make_runner: Callable[..., JobRunner], album: Path, encoder: WatchedEncoder
) -> None:
    fill(album, 40)
    encoder.close_gate()
    encoder.open_gate(3)
    first = make_runner()
    first.start()
    job = first.submit_folder(NAME, album)
    until(lambda: library.job(job.id).done == 12)
    first.stop(10)
    assert library.job(job.id).state == "queued"
    encoder.open_gate()
    second = make_runner()
    job = second.run_now(job)
    assert (job.state, job.total, job.done, job.skipped) == ("done", 40, 40, 0)
    assert encoder.encoded <= 40 + 4  # the batch that was cut off
    assert_whole(library, 40)


CHILD = """
import sys, time
from pathlib import Path
from tests.fakes import FakeEncoder
from tsir.jobs.runner import JobRunner
from tsir.library.library import Library
from tsir.settings import Settings

class Slow(FakeEncoder):
    def images(self, batch):
        time.sleep(0.05)
        return super().images(batch)

settings = Settings(_env_file=None, data_dir=sys.argv[1], image_roots=sys.argv[2], batch_size=4, num_workers=2, model="fake")
encoder = Slow()
library = Library.open(settings)
library.create_collection("album", encoder.info)
runner = JobRunner(library, lambda name: encoder, settings)
runner.start()
job = runner.submit_folder("album", Path(sys.argv[2])) if sys.argv[3] == "folder" else library.list_jobs(1)[0]
runner.wait(job.id, on_progress=lambda job: (sys.stdout.write(f"{job.done}\\n"), sys.stdout.flush()))
runner.stop()
library.close()
"""


def child(settings: Settings, folder: Path, kind: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", textwrap.dedent(CHILD), str(settings.data_dir), str(folder), kind]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


def test_a_library_that_outgrows_the_embedded_store_is_told(
    library: Library, runner: JobRunner, album: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tsir.library.library.EMBEDDED_LIMIT", 3)
    fill(album, 3)
    load(runner, album)
    assert "MILVUS_URI" not in caplog.text
    fill(album, 1, start=3)
    load(runner, album)
    assert "4 pictures are more than" in caplog.text and "MILVUS_URI" in caplog.text


def test_kill_at_any_moment_loses_and_doubles_nothing(settings: Settings, album: Path) -> None:
    fill(album, 60)
    for kill_at in (0, 24):  # pictures done
        process = child(settings, album, "folder")
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                if int(line) >= kill_at:
                    break
            process.send_signal(signal.SIGKILL)
            process.wait(30)
    process = child(settings, album, "folder")
    process.communicate(timeout=250)
    assert process.returncode == 0
    with Library.open(settings) as library:
        assert_whole(library, 60)
        assert {job.state for job in library.list_jobs(50)} == {"done"}


def test_acknowledged_upload_is_imported_after_a_crash(settings: Settings, library: Library, make_runner: Callable[..., JobRunner]) -> None:
    path = library.files.uploads.save(jpeg(noise(5)), "JPEG")
    job = make_runner().submit_files(NAME, [path], ["holiday.jpg"])  # no runner was started: the process died here
    job = make_runner().run_now(job)
    assert (job.state, job.done) == ("done", 1)
    assert paths_of(library) == {str(path)}


def test_bad_upload_is_listed_under_its_own_name_and_deleted(library: Library, runner: JobRunner) -> None:
    path = library.files.uploads.save(b"\xff\xd8\xff nothing", "JPEG")
    job = runner.wait(runner.submit_files(NAME, [path], ["holiday.jpg"]).id, 60)
    assert [failure.path for failure in library.job_failures(job.id, 10, 0)] == ["holiday.jpg"]
    until(lambda: not path.exists())


def zipped(members: dict[str, bytes]) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    file.seek(0)
    return file


def test_zip_is_unpacked_into_pictures(library: Library, runner: JobRunner) -> None:
    members = {f"trip/{number}.jpg": jpeg(noise(number)) for number in range(5)} | {"trip/bad.jpg": b"no", "read.me": b"hello"}
    path = save_archive(zipped(members), library.files)
    job = runner.wait(runner.submit_files(NAME, [path], ["trip.zip"]).id, 60)
    assert (job.state, job.total, job.done, job.failed) == ("done", 6, 5, 1)
    assert [failure.path for failure in library.job_failures(job.id, 10, 0)] == ["trip.zip/trip/bad.jpg"]
    assert_whole(library, 5)
    until(lambda: not path.exists())


def test_interrupted_zip_leaves_no_second_copies(library: Library, make_runner: Callable[..., JobRunner], encoder: WatchedEncoder) -> None:
    path = save_archive(zipped({f"{number}.jpg": jpeg(noise(number)) for number in range(30)}), library.files)
    encoder.close_gate()
    encoder.open_gate(2)
    first = make_runner()
    first.start()
    job = first.submit_files(NAME, [path], ["a.zip"])
    until(lambda: library.job(job.id).done == 8)
    first.stop(10)
    assert path.exists()
    encoder.open_gate()
    assert make_runner().run_now(job).done == 30
    assert len(paths_of(library)) == 30
    assert len(list(library.files.uploads.folder.rglob("*.jpg"))) == 30
    assert_whole(library, 30)


def test_broken_zip_is_one_failure(library: Library, runner: JobRunner) -> None:
    path = save_archive(io.BytesIO(b"PK\3\4" + bytes(100)), library.files)
    job = runner.wait(runner.submit_files(NAME, [path], ["a.zip"]).id, 60)
    assert (job.state, job.failed) == ("done", 1)
    assert "broken" in library.job_failures(job.id, 10, 0)[0].reason


class Outage:
    """A library whose stores are away from time to time; everything else is real."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.away = threading.Event()
        self.refused: set[str] = set()

    def __getattr__(self, name: str) -> Any:  # a job's state stays readable, as when only Milvus is away
        value = getattr(self._library, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            if self.away.is_set() and "job" not in name:
                self.refused.add(name)
                raise StoreUnavailable("Milvus does not answer.")
            return value(*args, **kwargs)

        return call


def test_outage_of_the_stores_is_waited_for(library: Library, settings: Settings, album: Path, encoder: WatchedEncoder) -> None:
    fill(album, 40)
    stores = Outage(library)
    encoder.close_gate()
    runner = JobRunner(stores, lambda name: encoder, settings)  # type: ignore[arg-type]
    runner.start()
    job = runner.submit_folder(NAME, album)
    encoder.open_gate(2)
    until(lambda: library.job(job.id).done == 8)
    stores.away.set()
    encoder.open_gate()
    until(lambda: bool(stores.refused))
    until(lambda: library.job(job.id).message == "Milvus does not answer.")
    stores.away.clear()
    job = JobRunner(library, lambda name: encoder, settings).wait(job.id, 60)
    runner.stop()
    assert (job.state, job.done, job.message, encoder.encoded) == ("done", 40, None, 40)
    assert_whole(library, 40)


def test_encoder_that_breaks_fails_the_job_with_its_reason(library: Library, settings: Settings, album: Path) -> None:
    class Broken(FakeEncoder):
        def images(self, batch: object) -> Any:
            raise RuntimeError("out of graphics memory")

    fill(album, 5)
    runner = JobRunner(library, lambda name: Broken(), settings)
    job = runner.run_now(runner.submit_folder(NAME, album))
    runner.stop()
    assert job.state == "failed"
    assert "out of graphics memory" in (job.message or "")


def test_collection_of_another_encoder_is_refused(library: Library, settings: Settings, album: Path) -> None:
    fill(album, 1)
    runner = JobRunner(library, lambda name: FakeEncoder("other", 8), settings)
    job = runner.run_now(runner.submit_folder(NAME, album))
    runner.stop()
    assert job.state == "failed"
    assert "other" in (job.message or "")


def test_dropped_collection_ends_its_job(library: Library, runner: JobRunner, album: Path, encoder: WatchedEncoder) -> None:
    fill(album, 20)
    encoder.close_gate()
    job = runner.submit_folder(NAME, album)
    until(lambda: library.collection(NAME).pending > 0)
    library.drop_collection(NAME)
    encoder.open_gate()

    def over() -> bool:
        try:
            return library.job(job.id).over
        except NotFound:
            return True

    until(over)
    assert not library.collections()


def test_dropped_collection_s_job_notes_nothing_in_the_next_one_of_its_name(
    library: Library, runner: JobRunner, album: Path, encoder: WatchedEncoder
) -> None:
    fill(album, 40)
    encoder.close_gate()
    job = runner.submit_folder(NAME, album)
    until(lambda: library.collection(NAME).pending > 0)
    library.drop_collection(NAME)
    library.create_collection(NAME, encoder.info)
    encoder.open_gate()
    until(lambda: library.job(job.id).over)
    anew = library.collection(NAME)
    assert (anew.count, anew.pending) == (0, 0)


def test_asking_for_nothing_is_refused(library: Library, runner: JobRunner, album: Path) -> None:
    for ask in (lambda: runner.submit_files(NAME, []), lambda: runner.submit_urls(NAME, [" "])):
        with pytest.raises(InvalidInput):
            ask()
    with pytest.raises(NotFound, match="album"):
        runner.submit_folder("nothing", album)


def test_reencoding_moves_a_collection_to_another_encoder(library: Library, settings: Settings, runner: JobRunner, album: Path) -> None:
    paths = fill(album, 10)
    load(runner, album)
    paths[0].unlink()
    other = WatchedEncoder("other", 16)
    second = JobRunner(library, lambda name: other, settings)
    runner.stop()
    job = second.run_now(second.submit_reencode(NAME, "other"))
    assert (job.state, job.done, job.failed) == ("done", 9, 1)
    assert library.collection(NAME).encoder == other.info
    images, _ = library.images(NAME)
    assert len(images) == 9
    assert {vector.shape for vector in library.vectors(NAME, [image.id for image in images]).values()} == {(16,)}
    job = second.run_now(second.submit_folder(NAME, album))
    second.stop()
    assert (job.state, job.skipped) == ("done", 9)


def test_reencoding_takes_no_other_picture_that_lies_there_now(
    library: Library, settings: Settings, runner: JobRunner, album: Path
) -> None:
    paths = fill(album, 3)
    load(runner, album)
    runner.stop()
    paths[0].rename(album / "kept")
    paths[1].rename(paths[0])
    (album / "kept").rename(paths[1])
    other = WatchedEncoder("other", 16)
    second = JobRunner(library, lambda name: other, settings)
    job = second.run_now(second.submit_reencode(NAME, "other"))
    assert (job.state, job.done, job.failed) == ("done", 1, 2)
    assert {failure.reason for failure in library.job_failures(job.id)} == {"The file holds another picture now: import its folder again."}
    second.run_now(second.submit_folder(NAME, album))
    second.stop()
    images, _ = library.images(NAME)
    vectors = library.vectors(NAME, [image.id for image in images])
    assert len(images) == 3
    for image in images:
        assert np.allclose(vectors[image.id], other.images([Image.open(image.path).convert("RGB")])[0], atol=1e-6)


def reencoding_at_the_gate(
    library: Library, settings: Settings, runner: JobRunner, album: Path
) -> tuple[WatchedEncoder, JobRunner, Job, int]:
    """Twelve imported pictures on their way to another encoder, which waits before its first batch of four."""
    fill(album, 12)
    load(runner, album)
    runner.stop()
    other = WatchedEncoder("other", 16)
    other.close_gate()
    second = JobRunner(library, lambda name: other, settings)
    second.start()
    job = second.submit_reencode(NAME, "other")
    until(lambda: library.collection(NAME).state == "reencoding")
    return other, second, job, library.begin_reencode(NAME, other.info)


def test_reencoding_includes_what_was_copied_meanwhile(library: Library, settings: Settings, runner: JobRunner, album: Path) -> None:
    other, second, job, generation = reencoding_at_the_gate(library, settings, runner, album)
    other.open_gate(1)
    until(lambda: len(library.reencode_batch(NAME, generation, 100)) == 8)
    copy_noted(library, album / "0000.png")
    other.open_gate()
    until(lambda: library.job(job.id).over)
    second.stop()
    assert library.job(job.id).state == "done"
    assert (library.collection(NAME).encoder, library.collection(NAME).pending) == (other.info, 0)
    assert_whole(library, 12)


def test_progress_stays_within_the_total_when_pictures_are_encoded_twice(
    library: Library, settings: Settings, runner: JobRunner, album: Path
) -> None:
    other, second, job, generation = reencoding_at_the_gate(library, settings, runner, album)
    other.open_gate(2)
    until(lambda: len(library.reencode_batch(NAME, generation, 100)) == 4)
    for number in range(5):
        copy_noted(library, album / f"{number:04}.png")
    other.open_gate(2)
    until(lambda: library.job(job.id).done == 16)
    assert library.job(job.id).total == 16
    other.open_gate()
    until(lambda: library.job(job.id).over)
    second.stop()
    assert library.job(job.id).state == "done"


@pytest.mark.parametrize("told", [5, 3, 0])
def test_reencoding_that_was_cut_off_after_its_end_is_done(
    library: Library, settings: Settings, runner: JobRunner, album: Path, told: int
) -> None:
    fill(album, 5)
    load(runner, album)
    runner.stop()
    other = WatchedEncoder("other", 16)
    second = JobRunner(library, lambda name: other, settings)
    job = second.submit_reencode(NAME, "other")
    generation = library.begin_reencode(NAME, other.info)
    for image in library.images(NAME)[0]:
        library.finish_reencode(NAME, generation, [image.id], other.images([Image.open(image.path)]))
    library.swap(NAME, generation)
    assert library.claim_job("dead") is not None
    library.update_job(job.id, worker="dead", total=5, done=told, skipped=0, failed=0, rate=0.0)
    library.finish_job(job.id, "queued", None, worker="dead")
    resumed = second.run_now(library.job(job.id))
    again = second.run_now(second.submit_reencode(NAME, "other"))
    second.stop()
    assert (resumed.state, resumed.done, resumed.skipped, resumed.total) == ("done", told, 5 - told, 5)
    assert (again.state, again.done, again.skipped) == ("done", 0, 5)
    assert "already" in (again.message or "")
    assert_whole(library, 5)
    assert other.encoded == 5


def test_a_file_from_a_far_year_is_imported(library: Library, runner: JobRunner, album: Path) -> None:
    [path] = fill(album, 1)
    os.utime(path, ns=(2**63 + 10**18, 2**63 + 10**18))
    assert load(runner, album).done == 1
    assert load(runner, album).skipped == 1


def test_interrupted_work_counts_as_done_when_it_goes_on() -> None:
    progress = Progress(resumed=3)
    progress.add(skipped=2)
    progress.add(skipped=4, done=1, failures=[JobFailure("a", "b")])
    assert (progress.done, progress.skipped, progress.failed) == (4, 3, 1)
    assert progress.take_failures() == [JobFailure("a", "b")]
    assert progress.take_failures() == []


def test_rate_counts_what_was_worked_on() -> None:
    progress = Progress()
    assert progress.rate() == 0
    progress.add(skipped=1000)
    assert progress.rate() == 0
    progress.add(done=5)
    assert progress.rate() > 0


def test_job_for_this_process_is_not_queued(
    library: Library, make_runner: Callable[..., JobRunner], album: Path, encoder: WatchedEncoder
) -> None:
    fill(album, 5)
    encoder.close_gate()
    mine, other = make_runner(), make_runner()
    other.start()
    job = mine.submit_folder(NAME, album, here=True)
    assert job.worker == mine.worker
    encoder.open_gate()
    assert mine.run_now(job).done == 5
    assert_whole(library, 5)


def test_urls_are_fetched_into_uploads_and_bad_ones_are_listed(
    library: Library, make_runner: Callable[..., JobRunner], picture_server: str
) -> None:
    runner = make_runner(allowed=lambda address: address.is_loopback)
    urls = [f"{picture_server}/{number}" for number in range(6)]
    job = runner.run_now(runner.submit_urls(NAME, [*urls, f"{picture_server}/text", f"{picture_server}/404", urls[0]]))
    assert (job.state, job.total, job.done, job.failed) == ("done", 8, 6, 2)
    reasons = {failure.path.rpartition("/")[2]: failure.reason for failure in library.job_failures(job.id, 10, 0)}
    assert "not a picture" in reasons["text"]
    assert "404" in reasons["404"]
    assert all(library.files.uploads.holds(path) for path in paths_of(library))
    assert_whole(library, 6)


def test_addresses_of_this_machine_are_not_fetched(library: Library, runner: JobRunner, picture_server: str) -> None:
    job = runner.wait(runner.submit_urls(NAME, [f"{picture_server}/1"]).id, 60)
    assert (job.state, job.failed) == ("done", 1)
    assert "public" in library.job_failures(job.id, 1, 0)[0].reason


def test_job_of_a_worker_that_died_falls_to_the_next(library: Library, make_runner: Callable[..., JobRunner], album: Path) -> None:
    fill(album, 5)
    library.create_job(NAME, "import", {"folder": str(album)}, worker="a process that died")
    library.requeue_orphans()  # what opening an embedded library does, and a minute without a sign of life
    runner = make_runner()
    assert runner.run_now(runner.submit_folder(NAME, album, here=True)).done == 5
    assert len(library.list_jobs()) == 1


def test_runner_does_a_job_whose_claim_got_lost_on_its_way(library: Library, make_runner: Callable[..., JobRunner], album: Path) -> None:
    fill(album, 5)
    runner = make_runner()
    job = runner.submit_folder(NAME, album)
    library.claim_job(runner.worker)  # the database did it, but its answer never came
    assert runner.run_now(job).done == 5


def test_fetched_url_is_not_fetched_again_when_the_job_is_done_again(library: Library, picture_server: str) -> None:
    def items(urls: list[str]) -> list[Any]:
        return [
            entry
            for batch in sources.urls(urls, library.files, "job:1", 10**6, allowed=lambda address: True, stopped=lambda: False)
            for entry in batch
        ]

    first = items([f"{picture_server}/1", f"{picture_server}/2"])
    gone = items([f"{picture_server}/1", f"{picture_server}/2"])
    assert [item.file for item in gone] == [item.file for item in first]
    assert len(list(library.files.uploads.folder.rglob("*.png"))) == 2
