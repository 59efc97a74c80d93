"""Imports with real stores: what a person's folder goes through."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from tests.fakes import FakeEncoder
from tests.importing.conftest import NAME, MakeRunner, WatchedEncoder, assert_whole, fill, load, noise, paths_of
from tests.jobs.toys import until
from tsir.errors import Conflict, NotFound, StoreUnavailable
from tsir.importing import sources
from tsir.importing.archives import save_archive
from tsir.jobs.line import Line
from tsir.jobs.model import Job, JobFailure
from tsir.jobs.progress import Progress
from tsir.jobs.runner import JobRunner
from tsir.jobs.store import Jobs
from tsir.library.collection import Collection
from tsir.library.library import Library
from tsir.library.reencoding import Reencoding
from tsir.library.steps import Step
from tsir.media.formats import KNOWN
from tsir.records import FileStat, NewImage
from tsir.services.imports import submit_folder, submit_kept, submit_reencode, submit_urls
from tsir.settings import Settings


def jpeg(image: Image.Image, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90, **options)
    return file.getvalue()


def copy_noted(library: Library, path: Path) -> None:
    """Copy an imported file and note the copy, as an import does."""
    first = library.find_path(str(path))
    assert first is not None
    copy = path.with_name(f"copy-{path.name}")
    copy.write_bytes(path.read_bytes())
    file = FileStat(str(copy), copy.stat().st_size, copy.stat().st_mtime_ns)
    library.collection(NAME).begin([NewImage(file, first.content_hash, first.metadata)])


def test_bad_files_are_listed_with_reasons_and_good_ones_are_found(
    jobs: Jobs, collection: Collection, library: Library, runner: JobRunner, album: Path, encoder: FakeEncoder
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
    reasons = {Path(failure.path).name: failure.reason for failure in jobs.failures(job.id, 10)}
    assert reasons.keys() == {"truncated.jpg", "text.jpg", "empty.jpg"}
    assert "cut off" in reasons["truncated.jpg"]
    assert "not a picture" in reasons["text.jpg"]
    assert "empty" in reasons["empty.jpg"]
    assert {Path(path).name for path in paths_of(library)} == {"dot.png", "cmyk.jpg", "palette.png", "rotated.jpg", "西瓜.webp"}
    best = collection.search(encoder.texts(["blue"])[0], 1)[0]
    assert Path(best.image.path).name == "cmyk.jpg"
    assert Path(collection.search(encoder.texts(["red"])[0], 5)[-1].image.path).name == "dot.png", "what shows nothing is not found first"
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


def test_only_what_changed_is_encoded(
    collection: Collection, library: Library, runner: JobRunner, album: Path, encoder: WatchedEncoder
) -> None:
    paths = fill(album, 6)
    load(runner, album)
    noise(99).save(paths[2])
    fill(album, 1, start=6)
    job = load(runner, album)
    assert (job.done, job.skipped, encoder.encoded) == (2, 5, 8)
    assert_whole(library, 7)
    found = library.find_path(str(paths[2]))
    assert found is not None
    vector = collection.vectors([found.id])[found.id]
    assert np.allclose(vector, encoder.images([noise(99)])[0], atol=1e-5)


def test_touched_file_is_not_encoded_again(runner: JobRunner, album: Path, encoder: WatchedEncoder) -> None:
    fill(album, 3)[0].touch()
    load(runner, album)
    (album / "0000.png").touch()
    job = load(runner, album)
    assert (job.done, job.skipped, encoder.encoded) == (1, 2, 3)
    assert load(runner, album).skipped == 3


def test_renamed_and_moved_files_keep_their_vectors(
    collection: Collection, library: Library, runner: JobRunner, album: Path, encoder: WatchedEncoder
) -> None:
    paths = fill(album, 4)
    load(runner, album)
    before = {image.content_hash: image.id for image in collection.images()[0]}
    paths[0].rename(album / "renamed.png")
    (album / "deep").mkdir()
    paths[1].rename(album / "deep" / "moved.png")
    load(runner, album)
    assert encoder.encoded == 4
    assert {image.content_hash: image.id for image in collection.images()[0]} == before
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


def test_missing_folder_fails_and_deletes_nothing(collection: Collection, library: Library, runner: JobRunner, album: Path) -> None:
    folder = album / "stick"
    fill(folder, 3)
    load(runner, folder)
    folder.rename(album / ".unplugged")
    job = load(runner, folder)
    assert job.state == "failed"
    assert "stick" in (job.message or "")
    assert collection.count() == 3


def test_empty_folder_is_done_at_once(runner: JobRunner, album: Path) -> None:
    job = load(runner, album)
    assert (job.state, job.total, job.done) == ("done", 0, 0)


def test_folder_that_is_being_imported_is_not_queued_twice(runner: JobRunner, album: Path, encoder: WatchedEncoder) -> None:
    fill(album, 5)
    encoder.close_gate()
    first = submit_folder(runner, NAME, album)
    assert submit_folder(runner, NAME, album).id == first.id
    encoder.open_gate()
    runner.wait(first.id, 60)
    assert submit_folder(runner, NAME, album).id != first.id


def test_cancelled_job_stops_while_the_encoder_is_busy_and_can_be_done_again(
    jobs: Jobs, library: Library, runner: JobRunner, album: Path, encoder: WatchedEncoder
) -> None:
    fill(album, 40)
    encoder.close_gate()
    encoder.open_gate(2)
    job = submit_folder(runner, NAME, album)
    until(lambda: jobs.get(job.id).done == 8)
    jobs.cancel(job.id)  # as another process would
    job = runner.wait(job.id, 60)
    assert (job.state, job.done) == ("cancelled", 8)
    with pytest.raises(Conflict):
        runner.cancel(runner.wait(load_all(runner, album, encoder), 60).id)
    assert_whole(library, 40)


def load_all(runner: JobRunner, album: Path, encoder: WatchedEncoder) -> int:
    encoder.open_gate()
    return submit_folder(runner, NAME, album).id


def test_two_jobs_take_turns(jobs: Jobs, library: Library, runner: JobRunner, album: Path, encoder: WatchedEncoder) -> None:
    fill(album / "large", 80)
    fill(album / "small", 4, start=500)
    encoder.close_gate()
    large = submit_folder(runner, NAME, album / "large")
    until(lambda: jobs.get(large.id).state == "running")
    small = submit_folder(runner, NAME, album / "small")
    until(lambda: library.collection(NAME).describe().pending > 4)
    for _ in range(15):  # batches; the large folder has 20 of them
        encoder.open_gate(1)
        if runner.wait(small.id, 1).over:
            break
    assert jobs.get(small.id).state == "done"
    assert not jobs.get(large.id).over
    encoder.open_gate()
    assert runner.wait(large.id, 60).done == 80
    assert_whole(library, 84)


def test_stopped_runner_hands_its_job_back_and_the_next_one_ends_it(
    jobs: Jobs, library: Library, make_runner: MakeRunner, album: Path, encoder: WatchedEncoder
) -> None:
    fill(album, 40)
    encoder.close_gate()
    encoder.open_gate(3)
    first = make_runner()
    first.start()
    job = submit_folder(first, NAME, album)
    until(lambda: jobs.get(job.id).done == 12)
    first.stop(10)
    assert jobs.get(job.id).state == "queued"
    encoder.open_gate()
    second = make_runner()
    job = second.run_now(job)
    assert (job.state, job.total, job.done, job.skipped) == ("done", 40, 40, 0)
    assert encoder.encoded <= 40 + 4  # the batch that was cut off
    assert_whole(library, 40)


def test_cancelled_import_stays_cancelled_though_its_runner_stops_before_the_batch_ends(
    library: Library, make_runner: MakeRunner, album: Path, encoder: WatchedEncoder
) -> None:
    fill(album, 12)
    encoder.close_gate()
    first = make_runner()
    first.start()
    job = submit_folder(first, NAME, album)
    until(lambda: library.collection(NAME).describe().pending > 0)
    Jobs(library.stores.catalog.database).cancel(job.id)  # as another process would
    first.stop(30)
    encoder.open_gate()
    second = make_runner()
    second.start()
    anew = second.run_now(submit_folder(second, NAME, album))
    assert (anew.state, anew.done) == ("done", 12)
    assert second.jobs.get(job.id).state == "cancelled"
    assert_whole(library, 12)


CHILD = """
import sys, time
from pathlib import Path
from tests.fakes import FakeEncoder
from tests.importing.conftest import Only
from tsir.library.library import Library
from tsir.services.imports import submit_folder
from tsir.services.jobs import make_runner
from tsir.settings import Settings

class Slow(FakeEncoder):
    def images(self, batch):
        time.sleep(0.05)
        return super().images(batch)

settings = Settings(_env_file=None, data_dir=sys.argv[1], image_roots=sys.argv[2], batch_size=4, num_workers=2, model="fake")
encoder = Slow()
library = Library.open(settings)
library.create("album", encoder.info)
runner = make_runner(library, Only(encoder), settings)
runner.jobs.requeue_orphans()
runner.start()
job = submit_folder(runner, "album", Path(sys.argv[2]))
runner.wait(job.id, on_progress=lambda job: (sys.stdout.write(f"{job.done}\\n"), sys.stdout.flush()))
runner.stop()
library.close()
"""


def child(settings: Settings, folder: Path) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-c", CHILD, str(settings.data_dir), str(folder)]
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
        process = child(settings, album)
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                if int(line) >= kill_at:
                    break
            process.send_signal(signal.SIGKILL)
            process.wait(30)
    process = child(settings, album)
    process.communicate(timeout=250)
    assert process.returncode == 0
    with Library.open(settings) as library:
        assert_whole(library, 60)
        assert {job.state for job in Jobs(library.stores.catalog.database).list(50)} == {"done"}


def test_acknowledged_upload_is_imported_after_a_crash(settings: Settings, library: Library, make_runner: MakeRunner) -> None:
    path = library.files.uploads.save(jpeg(noise(5)), "JPEG")
    job = submit_kept(make_runner(), NAME, [(path, "holiday.jpg")])  # no runner was started: the process died here
    job = make_runner().run_now(job)
    assert (job.state, job.done) == ("done", 1)
    assert paths_of(library) == {str(path)}


def test_bad_upload_is_listed_under_its_own_name_and_deleted(jobs: Jobs, library: Library, runner: JobRunner) -> None:
    path = library.files.uploads.save(b"\xff\xd8\xff nothing", "JPEG")
    job = runner.wait(submit_kept(runner, NAME, [(path, "holiday.jpg")]).id, 60)
    assert [failure.path for failure in jobs.failures(job.id, 10)] == ["holiday.jpg"]
    until(lambda: not path.exists())


def zipped(members: dict[str, bytes]) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    file.seek(0)
    return file


def test_zip_is_unpacked_into_pictures(jobs: Jobs, library: Library, runner: JobRunner) -> None:
    members = {f"trip/{number}.jpg": jpeg(noise(number)) for number in range(5)} | {"trip/bad.jpg": b"no", "read.me": b"hello"}
    path = save_archive(zipped(members), library.files)
    job = runner.wait(submit_kept(runner, NAME, [(path, "trip.zip")]).id, 60)
    assert (job.state, job.total, job.done, job.failed) == ("done", 6, 5, 1)
    assert [failure.path for failure in jobs.failures(job.id, 10)] == ["trip.zip/trip/bad.jpg"]
    assert_whole(library, 5)
    until(lambda: not path.exists())


def test_interrupted_zip_leaves_no_second_copies(jobs: Jobs, library: Library, make_runner: MakeRunner, encoder: WatchedEncoder) -> None:
    path = save_archive(zipped({f"{number}.jpg": jpeg(noise(number)) for number in range(30)}), library.files)
    encoder.close_gate()
    encoder.open_gate(2)
    first = make_runner()
    first.start()
    job = submit_kept(first, NAME, [(path, "a.zip")])
    until(lambda: jobs.get(job.id).done == 8)
    first.stop(10)
    assert path.exists()
    encoder.open_gate()
    assert make_runner().run_now(job).done == 30
    assert len(paths_of(library)) == 30
    assert len(list(library.files.uploads.folder.rglob("*.jpg"))) == 30
    assert_whole(library, 30)


def test_broken_zip_is_one_failure(jobs: Jobs, library: Library, runner: JobRunner) -> None:
    path = save_archive(io.BytesIO(b"PK\3\4" + bytes(100)), library.files)
    job = runner.wait(submit_kept(runner, NAME, [(path, "a.zip")]).id, 60)
    assert (job.state, job.failed) == ("done", 1)
    assert "broken" in jobs.failures(job.id, 10)[0].reason


class Outage:
    """Loses the answers of the stores while they are away: each step is done, and nobody hears of it."""

    def __init__(self) -> None:
        self.away = threading.Event()
        self.lost: list[Step] = []

    def __call__(self, step: Step) -> None:
        if self.away.is_set():
            self.lost.append(step)
            raise StoreUnavailable("Milvus does not answer.")


def test_outage_of_the_stores_is_waited_for(settings: Settings, make_runner: MakeRunner, album: Path, encoder: WatchedEncoder) -> None:
    fill(album, 40)
    stores = Outage()
    encoder.close_gate()
    with Library.open(settings, stores) as library:
        library.create(NAME, encoder.info)
        runner = make_runner(library)
        runner.start()
        job = submit_folder(runner, NAME, album)
        encoder.open_gate(2)
        until(lambda: runner.jobs.get(job.id).done == 8)
        stores.away.set()
        encoder.open_gate()
        until(lambda: bool(stores.lost))
        until(lambda: runner.jobs.get(job.id).message == "Milvus does not answer.")
        stores.away.clear()
        job = runner.wait(job.id, 60)
        runner.stop()
        assert (job.state, job.done, job.message, encoder.encoded) == ("done", 40, None, 40)
        assert_whole(library, 40)


def lose_a_table(library: Library) -> None:
    library.stores.catalog.database.write(lambda connection: connection.execute(sa.text("ALTER TABLE images RENAME TO elsewhere")))


def lose_the_vectors_shape(library: Library) -> None:
    vectors, name = library.stores.vectors, library.stores.vectors_name(library.collection(NAME).ref)
    vectors.drop(name)
    vectors.ensure(name, 4, "FLAT")


@pytest.mark.parametrize(("break_it", "sentence"), [(lose_a_table, "images"), (lose_the_vectors_shape, "dim")])
def test_import_whose_store_refuses_ends_failed(
    library: Library, runner: JobRunner, album: Path, encoder: WatchedEncoder, break_it: Callable[[Library], None], sentence: str
) -> None:
    fill(album, 12)
    encoder.close_gate()
    job = submit_folder(runner, NAME, album)
    encoder.open_gate(1)
    until(lambda: runner.jobs.get(job.id).done == 4)
    break_it(library)
    encoder.open_gate()
    job = runner.wait(job.id, 60)
    assert job.state == "failed"
    assert "refuses" in (job.message or "") and sentence in (job.message or "")


def test_encoder_that_breaks_fails_the_job_with_its_reason(library: Library, make_runner: MakeRunner, album: Path) -> None:
    class Broken(FakeEncoder):
        def images(self, batch: object) -> Any:
            raise RuntimeError("out of graphics memory")

    fill(album, 5)
    runner = make_runner(encoder=Broken())
    job = runner.run_now(submit_folder(runner, NAME, album))
    runner.stop()
    assert job.state == "failed"
    assert "out of graphics memory" in (job.message or "")


def test_collection_of_another_encoder_is_refused(library: Library, make_runner: MakeRunner, album: Path) -> None:
    fill(album, 1)
    runner = make_runner(encoder=FakeEncoder("other", 8))
    job = runner.run_now(submit_folder(runner, NAME, album))
    runner.stop()
    assert job.state == "failed"
    assert "other" in (job.message or "")


def test_dropped_collection_ends_its_job(jobs: Jobs, library: Library, runner: JobRunner, album: Path, encoder: WatchedEncoder) -> None:
    fill(album, 20)
    encoder.close_gate()
    job = submit_folder(runner, NAME, album)
    until(lambda: library.collection(NAME).describe().pending > 0)
    library.drop(NAME, also=jobs.cancel_all(NAME))
    encoder.open_gate()

    def over() -> bool:
        try:
            return jobs.get(job.id).over
        except NotFound:
            return True

    until(over)
    assert not library.handles()


def test_dropped_collection_s_job_notes_nothing_in_the_next_one_of_its_name(
    jobs: Jobs, library: Library, runner: JobRunner, album: Path, encoder: WatchedEncoder
) -> None:
    fill(album, 40)
    encoder.close_gate()
    job = submit_folder(runner, NAME, album)
    until(lambda: library.collection(NAME).describe().pending > 0)
    library.drop(NAME, also=jobs.cancel_all(NAME))
    library.create(NAME, encoder.info)
    encoder.open_gate()
    until(lambda: jobs.get(job.id).over)
    anew = library.collection(NAME).describe()
    assert (anew.count, anew.pending) == (0, 0)


def test_reencoding_moves_a_collection_to_another_encoder(
    library: Library, make_runner: MakeRunner, runner: JobRunner, album: Path
) -> None:
    paths = fill(album, 10)
    load(runner, album)
    paths[0].unlink()
    other = WatchedEncoder("other", 16)
    second = make_runner(encoder=other)
    runner.stop()
    job = second.run_now(submit_reencode(second, NAME, "other"))
    assert (job.state, job.done, job.failed) == ("done", 9, 1)
    assert library.collection(NAME).encoder == other.info
    images, _ = library.collection(NAME).images()
    assert len(images) == 9
    assert {vector.shape for vector in library.collection(NAME).vectors([image.id for image in images]).values()} == {(16,)}
    job = second.run_now(submit_folder(second, NAME, album))
    second.stop()
    assert (job.state, job.skipped) == ("done", 9)


def test_reencoding_takes_no_other_picture_that_lies_there_now(
    jobs: Jobs, library: Library, make_runner: MakeRunner, runner: JobRunner, album: Path
) -> None:
    paths = fill(album, 3)
    load(runner, album)
    runner.stop()
    paths[0].rename(album / "kept")
    paths[1].rename(paths[0])
    (album / "kept").rename(paths[1])
    other = WatchedEncoder("other", 16)
    second = make_runner(encoder=other)
    job = second.run_now(submit_reencode(second, NAME, "other"))
    assert (job.state, job.done, job.failed) == ("done", 1, 2)
    assert {failure.reason for failure in jobs.failures(job.id)} == {"The file holds another picture now: import its folder again."}
    second.run_now(submit_folder(second, NAME, album))
    second.stop()
    images, _ = library.collection(NAME).images()
    vectors = library.collection(NAME).vectors([image.id for image in images])
    assert len(images) == 3
    for image in images:
        assert np.allclose(vectors[image.id], other.images([Image.open(image.path).convert("RGB")])[0], atol=1e-6)


def reencoding_at_the_gate(
    library: Library, make_runner: MakeRunner, runner: JobRunner, album: Path
) -> tuple[WatchedEncoder, JobRunner, Job, Reencoding]:
    """Twelve imported pictures on their way to another encoder, which waits before its first batch of four."""
    fill(album, 12)
    load(runner, album)
    runner.stop()
    other = WatchedEncoder("other", 16)
    other.close_gate()
    second = make_runner(encoder=other)
    second.start()
    job = submit_reencode(second, NAME, "other")
    until(lambda: library.collection(NAME).state == "reencoding")
    reencoding = library.reencoding(NAME)
    reencoding.begin(other.info)
    return other, second, job, reencoding


def test_reencoding_includes_what_was_copied_meanwhile(
    jobs: Jobs, library: Library, make_runner: MakeRunner, runner: JobRunner, album: Path
) -> None:
    other, second, job, reencoding = reencoding_at_the_gate(library, make_runner, runner, album)
    other.open_gate(1)
    until(lambda: len(reencoding.batch(100)) == 8)
    copy_noted(library, album / "0000.png")
    other.open_gate()
    until(lambda: jobs.get(job.id).over)
    second.stop()
    assert jobs.get(job.id).state == "done"
    anew = library.collection(NAME).describe()
    assert (anew.encoder, anew.pending) == (other.info, 0)
    assert_whole(library, 12)


def test_progress_stays_within_the_total_when_pictures_are_encoded_twice(
    jobs: Jobs, library: Library, make_runner: MakeRunner, runner: JobRunner, album: Path
) -> None:
    other, second, job, reencoding = reencoding_at_the_gate(library, make_runner, runner, album)
    other.open_gate(2)
    until(lambda: len(reencoding.batch(100)) == 4)
    for number in range(5):
        copy_noted(library, album / f"{number:04}.png")
    other.open_gate(2)
    until(lambda: jobs.get(job.id).done == 16)
    assert jobs.get(job.id).total == 16
    other.open_gate()
    until(lambda: jobs.get(job.id).over)
    second.stop()
    assert jobs.get(job.id).state == "done"


@pytest.mark.parametrize("told", [5, 3, 0])
def test_reencoding_that_was_cut_off_after_its_end_is_done(
    jobs: Jobs, collection: Collection, library: Library, make_runner: MakeRunner, runner: JobRunner, album: Path, told: int
) -> None:
    fill(album, 5)
    load(runner, album)
    runner.stop()
    other = WatchedEncoder("other", 16)
    second = make_runner(encoder=other)
    job = submit_reencode(second, NAME, "other")
    reencoding = library.reencoding(NAME)
    reencoding.begin(other.info)
    for image in collection.images()[0]:
        reencoding.finish([image.id], other.images([Image.open(image.path)]))
    reencoding.swap()
    assert jobs.claim("dead") is not None
    jobs.report(job.id, worker="dead", total=5, done=told, skipped=0, failed=0, rate=0.0)
    jobs.finish(job.id, "hand back", worker="dead")
    resumed = second.run_now(jobs.get(job.id))
    again = second.run_now(submit_reencode(second, NAME, "other"))
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


def test_job_for_this_process_is_not_queued(library: Library, make_runner: MakeRunner, album: Path, encoder: WatchedEncoder) -> None:
    fill(album, 5)
    encoder.close_gate()
    mine, other = make_runner(), make_runner()
    other.start()
    job = submit_folder(mine, NAME, album, here=True)
    assert job.worker == mine.worker
    encoder.open_gate()
    assert mine.run_now(job).done == 5
    assert_whole(library, 5)


def test_urls_are_fetched_into_uploads_and_bad_ones_are_listed(
    jobs: Jobs, library: Library, make_runner: MakeRunner, picture_server: str
) -> None:
    runner = make_runner(allowed=lambda address: address.is_loopback)
    urls = [f"{picture_server}/{number}" for number in range(6)]
    job = runner.run_now(submit_urls(runner, NAME, [*urls, f"{picture_server}/text", f"{picture_server}/404", urls[0]]))
    assert (job.state, job.total, job.done, job.failed) == ("done", 8, 6, 2)
    reasons = {failure.path.rpartition("/")[2]: failure.reason for failure in jobs.failures(job.id, 10)}
    assert "not a picture" in reasons["text"]
    assert "404" in reasons["404"]
    assert all(library.files.uploads.holds(path) for path in paths_of(library))
    assert_whole(library, 6)


def test_addresses_of_this_machine_are_not_fetched(jobs: Jobs, library: Library, runner: JobRunner, picture_server: str) -> None:
    job = runner.wait(submit_urls(runner, NAME, [f"{picture_server}/1"]).id, 60)
    assert (job.state, job.failed) == ("done", 1)
    assert "public" in jobs.failures(job.id, 1)[0].reason


def test_job_of_a_worker_that_died_falls_to_the_next(jobs: Jobs, library: Library, make_runner: MakeRunner, album: Path) -> None:
    fill(album, 5)
    jobs.create(NAME, "import", {"folder": str(album)}, worker="a process that died")
    jobs.requeue_orphans()  # what opening an embedded library does, and a minute without a sign of life
    runner = make_runner()
    assert runner.run_now(submit_folder(runner, NAME, album, here=True)).done == 5
    assert len(jobs.list()) == 1


def test_runner_does_a_job_whose_claim_got_lost_on_its_way(jobs: Jobs, library: Library, make_runner: MakeRunner, album: Path) -> None:
    fill(album, 5)
    runner = make_runner()
    job = submit_folder(runner, NAME, album)
    jobs.claim(runner.worker)  # the database did it, but its answer never came
    assert runner.run_now(job).done == 5


def test_fetched_url_is_not_fetched_again_when_the_job_is_done_again(library: Library, picture_server: str) -> None:
    def items(urls: list[str]) -> list[Any]:
        return [
            entry for batch in sources.urls(urls, library.files, "job:1", 10**6, Line(), allowed=lambda address: True) for entry in batch
        ]

    first = items([f"{picture_server}/1", f"{picture_server}/2"])
    gone = items([f"{picture_server}/1", f"{picture_server}/2"])
    assert [item.file for item in gone] == [item.file for item in first]
    assert len(list(library.files.uploads.folder.rglob("*.png"))) == 2


def test_folder_that_holds_the_programs_own_is_imported_without_it(library: Library, runner: JobRunner, album: Path) -> None:
    fill(album, 4)
    for _ in range(3):
        job = load(runner, album.parent)  # DATA_DIR lies beside the album
        assert (job.state, job.done + job.skipped) == ("done", 4)
    assert_whole(library, 4)
    refused = load(runner, library.settings.data_dir)
    assert (refused.state, "its own files" in (refused.message or "")) == ("failed", True)


def test_files_that_are_passed_over_are_told(runner: JobRunner, album: Path) -> None:
    fill(album, 1)
    raw = next(format for format in KNOWN if format.extra == "raw")
    for name in (*(() if raw.readable else ("a.dng",)), "b.jp2", "c.psd", "noext"):
        (album / name).write_bytes(b"something")
    whole = jpeg(noise(2, 300))
    (album / "cut.jpg").write_bytes(whole[: len(whole) * 98 // 100])
    job = load(runner, album)
    assert (job.done, (job.message or "").endswith("1 file was cut off and read as far as it goes.")) == (2, True)
    said = (
        "3 files of kinds that cannot be read (.jp2 1, .psd 1, without an ending 1)."
        if raw.readable
        else "4 files of kinds that cannot be read (.dng 1, .jp2 1, .psd 1, without an ending 1). "
        "Camera RAW is read after `make setup EXTRAS=raw`."
    )
    assert (job.message or "").startswith(said)


def test_a_drive_that_comes_and_goes_costs_no_encoding(
    library: Library, runner: JobRunner, album: Path, tmp_path: Path, encoder: WatchedEncoder
) -> None:
    fill(album / "nas", 25)
    fill(album / "sub", 4, start=25)
    load(runner, album)
    (album / "nas").rename(tmp_path / "away")
    (album / "nas").mkdir()
    job = load(runner, album)
    assert f"25 pictures below '{album}/nas' are not there: is a drive missing?" in (job.message or "")
    assert "tsir forget" in (job.message or "")
    assert (job.state, library.collection(NAME).describe().missing) == ("done", 25)
    (album / "nas").rmdir()
    (tmp_path / "away").rename(album / "nas")
    job = load(runner, album)
    assert (job.skipped, job.message, encoder.encoded) == (29, None, 29)
    assert_whole(library, 29)


def test_vectors_that_are_lost_are_encoded_again_at_the_end_of_a_job(
    library: Library, runner: JobRunner, album: Path, encoder: WatchedEncoder
) -> None:
    fill(album, 5)
    load(runner, album)
    collection = library.collection(NAME)
    library.stores.vectors.delete(library.stores.vectors_name(collection.ref), [image.id for image in collection.images()[0][:3]])
    job = load(runner, album)
    assert (job.skipped, job.done, encoder.encoded) == (5, 3, 8)
    assert "vectors of 3 pictures of 'album' are missing" in (job.message or "")
    assert_whole(library, 5)


@pytest.mark.parametrize("before", [0, 5], ids=["nothing was there", "pictures were there"])
def test_vectors_found_damaged_while_an_import_writes_are_made_again_and_it_goes_on(
    settings: Settings, encoder: WatchedEncoder, make_runner: MakeRunner, album: Path, before: int
) -> None:
    with Library.open(settings) as library:
        library.create(NAME, encoder.info)
        runner = make_runner(library)
        runner.start()
        fill(album / "before", before)
        assert load(runner, album / "before").done == before
        runner.stop(30)
    for path in (settings.data_dir / "vectors.db" / "collections").rglob("schema.json"):
        path.write_bytes(b"{")
    fill(album / "new", 30, start=before)
    with Library.open(settings) as library:
        runner = make_runner(library)
        runner.start()
        job = load(runner, album / "new")
        runner.stop(30)
        assert (job.state, job.failed) == ("done", 0), job.message
        assert_whole(library, before + 30)
