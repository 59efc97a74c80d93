from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tsir.importing.scan import BATCH, Item, count, scan
from tsir.jobs.model import JobFailure


def names(folder: Path, *roots: Path) -> list[str]:
    return [os.path.relpath(entry.file.path, folder) for batch in scan(folder, roots) for entry in batch if isinstance(entry, Item)]


def failures(folder: Path) -> list[JobFailure]:
    return [entry for batch in scan(folder) for entry in batch if isinstance(entry, JobFailure)]


def touch(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(path.encode())


def test_pictures_come_by_name_and_the_rest_stays_out(tmp_path: Path) -> None:
    touch(tmp_path, "b.jpg", "a.PNG", "sub/c.heic", "notes.txt", ".hidden.jpg", ".git/x.png", "@eaDir/t.jpg", "__MACOSX/b.jpg", "照片.webp")
    assert names(tmp_path) == ["a.PNG", "b.jpg", "照片.webp", "sub/c.heic"]


def test_size_and_time_are_the_files_own(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    os.utime(tmp_path / "a.jpg", ns=(1, 1_234_567_890_123_456_789))
    [[found]] = scan(tmp_path)
    assert isinstance(found, Item)
    assert (found.file.bytes, found.file.mtime_ns, found.file.path) == (5, 1_234_567_890_123_456_789, str(tmp_path / "a.jpg"))


def test_loops_of_links_end_and_links_out_are_not_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    touch(inside, "real/a.jpg")
    touch(outside, "secret.jpg")
    (inside / "loop").symlink_to(inside, target_is_directory=True)
    (inside / "again").symlink_to(inside / "real", target_is_directory=True)
    (inside / "away").symlink_to(outside, target_is_directory=True)
    (inside / "one.jpg").symlink_to(outside / "secret.jpg")
    (inside / "same.jpg").symlink_to(inside / "real" / "a.jpg")
    assert names(inside) == ["same.jpg", "real/a.jpg"]
    assert [failure.path for failure in failures(inside)] == [str(inside / "one.jpg")]
    assert set(names(inside, outside)) == {"same.jpg", "one.jpg", "real/a.jpg", "away/secret.jpg"}


def test_link_to_nowhere_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nothing.jpg")
    assert [failure.path for failure in failures(tmp_path)] == [str(tmp_path / "gone.jpg")]


def test_things_that_are_no_files_stay_out(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    assert names(tmp_path) == []


@pytest.mark.skipif(sys.platform == "darwin", reason="this system's file names are always Unicode")
def test_name_that_is_not_unicode_is_reported(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).touch()
    [failure] = failures(tmp_path)
    assert "Unicode" in failure.reason
    failure.path.encode()


def test_large_folders_come_in_batches(tmp_path: Path) -> None:
    for number in range(BATCH + 1):
        (tmp_path / f"{number:04}.jpg").touch()
    assert [len(batch) for batch in scan(tmp_path)] == [BATCH, 1]
    assert count(tmp_path, (), lambda: False) == BATCH + 1
    assert count(tmp_path, (), lambda: True) is None


def test_missing_folder_is_a_failure_not_a_crash(tmp_path: Path) -> None:
    assert "No such file" in failures(tmp_path / "gone")[0].reason
