"""The use cases around imports: what may be asked for, what is kept of it, and how it is told."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests.importing.conftest import NAME, MakeRunner, WatchedEncoder, fill, noise
from tests.jobs.toys import until
from tests.loops import run
from tsir.errors import Conflict, EncoderMismatch, InvalidImage, InvalidInput, NotFound, StoreUnavailable
from tsir.importing.archives import save_archive
from tsir.importing.job import IMPORT, FolderSource, ImportSpec, UploadSource, UrlSource
from tsir.importing.reencode import REENCODE, ReencodeSpec
from tsir.jobs.runner import JobRunner
from tsir.jobs.store import Jobs
from tsir.library.library import Library
from tsir.services.imports import (
    check_target,
    own_folder,
    submit_folder,
    submit_picture,
    submit_reencode,
    submit_uploads,
    submit_urls,
)
from tsir.services.jobs import KINDS, check_done, detail, finished, follow, imported, title
from tsir.settings import Settings


def png(seed: int) -> bytes:
    file = io.BytesIO()
    noise(seed).save(file, "PNG")
    return file.getvalue()


def zipped(count: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(count):
            archive.writestr(f"{number}.png", png(number))
    return file.getvalue()


def uploads_of(library: Library) -> list[Path]:
    return [path for path in library.settings.uploads.rglob("*") if path.is_file()]


def test_sent_pictures_and_zips_are_imported_and_their_ids_are_told(library: Library, runner: JobRunner, jobs: Jobs) -> None:
    sent: list[tuple[str, BinaryIO]] = [
        ("one.png", io.BytesIO(png(100))),
        ("again.png", io.BytesIO(png(100))),
        ("diary.txt", io.BytesIO(b"Dear diary")),
    ]
    ended = detail(library, jobs, check_done(runner.wait(submit_uploads(runner, library, NAME, sent).id, 60)))
    assert (ended.job.done, ended.job.failed, ended.title) == (2, 1, "3 files")
    assert [failure.path for failure in ended.failures] == ["diary.txt"]
    assert len(ended.image_ids) == 1, "the same picture twice is one"
    until(lambda: len(uploads_of(library)) == 2)


def test_sent_zip_is_unpacked(library: Library, runner: JobRunner, jobs: Jobs) -> None:
    ended = runner.wait(submit_uploads(runner, library, NAME, [("trip.zip", io.BytesIO(zipped(3)))]).id, 60)
    assert (ended.done, ended.failed, title(ended)) == (3, 0, "1 file")


@pytest.mark.parametrize("name", ["caf\udce9.txt", "a\0b.txt", "x" * 5000 + ".txt"])
def test_name_that_no_store_takes_is_told_as_well_as_can_be(library: Library, runner: JobRunner, jobs: Jobs, name: str) -> None:
    ended = runner.wait(submit_uploads(runner, library, NAME, [(name, io.BytesIO(b"no picture"))]).id, 60)
    [failure] = jobs.failures(ended.id)
    assert failure.path.isprintable() and ".txt" in failure.path and len(failure.path) <= 1000


def test_uploads_are_kept_all_or_none(library: Library, runner: JobRunner) -> None:
    class Full(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(28, "No space left on device")

    with pytest.raises(StoreUnavailable, match=r"No space left on device\. Nothing was imported"):
        submit_uploads(runner, library, NAME, [("one.png", io.BytesIO(png(1))), ("two.png", Full())])
    with pytest.raises(NotFound):
        submit_uploads(runner, library, "nothing", [("one.png", io.BytesIO(png(1)))])
    with pytest.raises(InvalidInput, match="send pictures or zips"):
        submit_uploads(runner, library, NAME, [])
    assert uploads_of(library) == []


def test_one_picture_is_checked_at_once_and_found_when_it_is_in(
    library: Library, settings: Settings, runner: JobRunner, jobs: Jobs
) -> None:
    with pytest.raises(InvalidImage):
        submit_picture(runner, library, settings, NAME, b"no picture", "holiday.png")
    job = runner.wait(submit_picture(runner, library, settings, NAME, png(3), "holiday.png").id, 60)
    image = imported(library, jobs, job)
    assert image.path == KINDS.uploads(job)[0]
    bad = library.files.uploads.save(b"\xff\xd8\xff nothing", "JPEG")
    job = runner.wait(runner.submit(NAME, IMPORT, ImportSpec(UploadSource(files=((str(bad), "a.jpg"),)))).id, 60)
    with pytest.raises(InvalidInput, match="picture"):
        imported(library, jobs, job)


def test_target_is_checked_before_anything_is_sent(library: Library, settings: Settings, encoder: WatchedEncoder) -> None:
    with pytest.raises(NotFound, match=NAME):
        check_target(library, settings, encoder.info, "nothing")
    assert check_target(library, settings, encoder.info, settings.default_table).name == settings.default_table
    other = WatchedEncoder("other", 16).info
    with pytest.raises(EncoderMismatch):
        check_target(library, settings, other, NAME)
    library.reencoding(NAME).begin(other)
    assert check_target(library, settings, other, NAME).state == "reencoding"


def test_a_folder_of_one_s_own_is_any_that_is_there(album: Path) -> None:
    assert own_folder(album / ".." / album.name) == album
    for path in (album / "nothing", "~nobody-has-this-name/photos", "x" * 5000):
        with pytest.raises(NotFound, match="no folder"):
            own_folder(path)


def test_asking_for_nothing_is_refused(runner: JobRunner, album: Path) -> None:
    with pytest.raises(InvalidInput):
        submit_urls(runner, NAME, [" "])
    with pytest.raises(InvalidInput, match="Unicode"):
        submit_folder(runner, NAME, Path("/photos/\udcff"))
    for ask in (lambda: submit_folder(runner, "nothing", album), lambda: submit_reencode(runner, "nothing", "fake")):
        with pytest.raises(NotFound, match="album"):
            ask()


STORED: list[tuple[str, dict[str, Any], object, str, list[str]]] = [
    ("import", {"folder": "/photos/中文"}, ImportSpec(FolderSource(folder="/photos/中文")), "/photos/中文", []),
    (
        "import",
        {"files": [["/up/a.jpg", "a.jpg"], ["/up/b.zip", "b.zip"]]},
        ImportSpec(UploadSource(files=(("/up/a.jpg", "a.jpg"), ("/up/b.zip", "b.zip")))),
        "2 files",
        ["/up/a.jpg", "/up/b.zip"],
    ),
    ("import", {"urls": ["https://example.org/a"]}, ImportSpec(UrlSource(urls=("https://example.org/a",))), "1 address", []),
    ("reencode", {"encoder": "task-former"}, ReencodeSpec(encoder="task-former"), "task-former", []),
]


@pytest.mark.parametrize(("kind", "stored", "spec", "shown", "uploads"), STORED)
def test_what_the_first_version_stored_is_read(
    jobs: Jobs, library: Library, kind: str, stored: dict[str, Any], spec: object, shown: str, uploads: list[str]
) -> None:
    job = jobs.create(NAME, kind, stored)
    assert KINDS.read(job) == ({"import": IMPORT, "reencode": REENCODE}[kind], spec)
    assert (title(job), list(KINDS.uploads(job))) == (shown, uploads)


def test_jobs_that_the_first_version_queued_are_done(
    library: Library, make_runner: MakeRunner, jobs: Jobs, album: Path, encoder: WatchedEncoder
) -> None:
    fill(album, 3)
    folder = jobs.create(NAME, "import", {"folder": str(album)})
    path = save_archive(io.BytesIO(zipped(2)), library.files)
    files = jobs.create(NAME, "import", {"files": [[str(path), "a.zip"]]})
    runner = make_runner()
    assert submit_folder(runner, NAME, album).id == folder.id, "it is at it already"
    assert runner.run_now(folder).done == 3
    assert runner.wait(files.id, 60).done == 2
    until(lambda: not path.exists())


async def off_the_loop(call: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.to_thread(call, *arguments)


def test_job_is_followed_to_its_end(runner: JobRunner, library: Library, jobs: Jobs, album: Path) -> None:
    fill(album, 5)
    job = submit_folder(runner, NAME, album)

    async def states() -> list[str]:
        return [seen.state async for seen in follow(off_the_loop, jobs, job, asyncio.Event())]

    async def end() -> str:
        return (await finished(off_the_loop, jobs, job, asyncio.Event())).state

    seen = run(states())
    assert (seen[0], seen[-1]) == ("queued", "done")
    assert run(end()) == "done"


def test_who_waits_for_a_job_hears_that_the_server_stops(
    runner: JobRunner, library: Library, jobs: Jobs, album: Path, encoder: WatchedEncoder
) -> None:
    fill(album, 5)
    encoder.close_gate()
    job = submit_folder(runner, NAME, album)

    async def wait() -> None:
        stopping = asyncio.Event()
        asyncio.get_running_loop().call_soon(stopping.set)
        await finished(off_the_loop, jobs, job, stopping)

    with pytest.raises(StoreUnavailable, match="goes on when it is started again"):
        run(wait())
    with pytest.raises(Conflict, match="cancelled"):
        runner.cancel(job.id)
        check_done(runner.wait(job.id, 60))


def test_failed_job_s_message_is_its_error(runner: JobRunner, album: Path) -> None:
    job = runner.wait(submit_folder(runner, NAME, album / "gone").id, 60)
    with pytest.raises(InvalidInput, match="gone"):
        check_done(job)
