from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from tsir.errors import InvalidInput
from tsir.importing.ignoring import Rules
from tsir.importing.scan import BATCH, Item, count, passed_over, scan
from tsir.jobs.model import JobFailure
from tsir.jobs.progress import Passed
from tsir.settings import Settings


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
    (tmp_path / "linked.jpg").symlink_to(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "s.jpg"))
    assert names(tmp_path) == []
    reasons = {Path(failure.path).name: failure.reason for failure in failures(tmp_path)}
    assert set(reasons) == {"pipe.jpg", "linked.jpg", "s.jpg"}
    assert "it is a pipe, not a file" in reasons["linked.jpg"]
    assert "it is a socket, not a file" in reasons["s.jpg"]


def test_patterns_that_are_a_pipe_are_not_waited_for(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / ".tsirignore")
    assert names(tmp_path) == ["a.jpg"]
    assert ["pipe" in failure.reason for failure in failures(tmp_path)] == [True]


def test_linked_folders_that_lead_out_are_counted(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    touch(outside, "a.jpg")
    touch(inside, "b.jpg")
    for n in range(5):
        (inside / f"link{n}").symlink_to(outside, target_is_directory=True)
    passed = Passed()
    assert len([entry for batch in scan(inside, passed=passed) for entry in batch]) == 1
    assert (passed_over(passed) or "").startswith("5 linked folders lead out of the folders that may be imported and were passed over (")
    assert f"'{inside}/link0'" in (passed_over(passed) or "")
    assert "..." in (passed_over(passed) or "")


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


def kept(folder: Path, rules: Rules) -> list[str]:
    return [os.path.relpath(entry.file.path, folder) for batch in scan(folder, (), rules) for entry in batch if isinstance(entry, Item)]


def test_own_folders_are_never_scanned_but_the_sample_gallery_is_if_asked_for(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", upload_path=tmp_path / "sent", _env_file=None)  # type: ignore[call-arg]
    touch(tmp_path, "a.jpg", "sent/ab/b.jpg", "data/thumbnails/ab/c.jpg", "data/sample-gallery/d.png", "sub/e.jpg")
    (tmp_path / "sub" / "link").symlink_to(tmp_path / "data", target_is_directory=True)
    rules = Rules.of(settings)
    assert kept(tmp_path, rules) == ["a.jpg", "sub/e.jpg"]
    assert kept(tmp_path / "data" / "sample-gallery", rules) == ["d.png"]
    rules.check(tmp_path / "data" / "sample-gallery")
    for folder in ("data", "sent", "sent/ab", "data/thumbnails"):
        with pytest.raises(InvalidInput, match="its own files"):
            rules.check(tmp_path / folder)


def test_the_data_folder_of_another_library_is_left_out(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "old/.lock", "old/catalog.db", "old/thumbnails/ab/c.jpg")
    assert names(tmp_path) == ["a.jpg"]


@pytest.mark.parametrize(
    "folder",
    ["@Recycle", "#snapshot", "#recycle", ".trash", ".Trash-1000", "My.lrdata", "@eaDir", "$RECYCLE.BIN", "x.photoslibrary/resources"],
)
def test_folders_that_systems_and_programs_keep_for_themselves_are_left_out(tmp_path: Path, folder: str) -> None:
    touch(tmp_path, "a.jpg", f"{folder}/b.jpg", f"{folder}/deep/c.jpg")
    assert names(tmp_path) == ["a.jpg"]


def test_the_originals_of_a_photo_programs_library_are_pictures(tmp_path: Path) -> None:
    touch(tmp_path, "My.photoslibrary/originals/0/a.jpg", "My.photoslibrary/resources/derivatives/b.jpg")
    assert names(tmp_path) == ["My.photoslibrary/originals/0/a.jpg"]


def test_patterns_leave_out_what_gitignore_would(tmp_path: Path) -> None:
    touch(
        tmp_path, "a.jpg", "a.tmp.jpg", "drafts/b.jpg", "sub/drafts/c.jpg", "sub/keep.jpg", "sub/no.png", "sub/yes.png", "sub/deep/no.png"
    )
    (tmp_path / ".tsirignore").write_text("# mine\n/drafts/\n*.png\n")
    (tmp_path / "sub" / ".tsirignore").write_text("!yes.png\n")
    assert kept(tmp_path, Rules(exclude=["*.tmp.jpg"])) == ["a.jpg", "sub/keep.jpg", "sub/yes.png", "sub/drafts/c.jpg"]
    assert count(tmp_path, (), lambda: False, Rules(exclude=["*.tmp.jpg", "sub"])) == 1


def test_a_change_is_wanted_where_a_scan_would_see_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", exclude="*.bak.jpg, drafts/", _env_file=None)  # type: ignore[call-arg]
    touch(tmp_path, "data/thumbnails/a.jpg", "sub/a.jpg", "sub/a.bak.jpg", "drafts/a.jpg", "@eaDir/a.jpg", "sub/.tsirignore", "sub/no.jpg")
    (tmp_path / "sub" / ".tsirignore").write_text("no.jpg")
    rules = Rules.of(settings)
    allowed = [path for path in tmp_path.rglob("*") if path.is_file() and rules.allows(tmp_path, path)]
    assert allowed == [tmp_path / "sub" / "a.jpg"]
    assert not rules.allows(tmp_path / "sub", tmp_path / "elsewhere.jpg")


def test_no_change_in_a_library_is_wanted_whatever_its_name(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", _env_file=None)  # type: ignore[call-arg]
    touch(tmp_path, "data/thumbnails/a.jpg", "photos/b.jpg", "photos/old/.lock", "photos/old/catalog.db", "photos/old/thumbnails/c.jpg")
    link = tmp_path / "photos" / "link"
    link.symlink_to(tmp_path / "data", target_is_directory=True)
    rules = Rules.of(settings)
    photos = tmp_path / "photos"
    assert rules.allows(photos, photos / "b.jpg")
    assert not rules.allows(photos, link / "thumbnails" / "a.jpg")
    assert not rules.allows(photos, photos / "old" / "thumbnails" / "c.jpg")


def test_what_is_no_pattern_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="'!' is no pattern"):
        Rules(exclude=["*.jpg", "!"])
    touch(tmp_path, "a.jpg", "drafts/b.jpg")
    (tmp_path / ".tsirignore").write_text("!\ndrafts/\n")
    assert names(tmp_path) == ["a.jpg"], "the other lines count"
    assert "no pattern" in failures(tmp_path)[0].reason


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_patterns_may_be_written_by_any_editor(tmp_path: Path, encoding: str) -> None:
    touch(tmp_path, "a.jpg", "dr\u00e4fts/b.jpg", "c.png")
    (tmp_path / ".tsirignore").write_bytes("dr\u00e4fts/\r\n*.png\r\n".encode(encoding))
    assert names(tmp_path) == ["a.jpg"]


def test_files_of_other_kinds_are_counted_and_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.PSD", "c.psd", "sub/d.jp2", "e.xcf", "noext", "Thumbs.db", ".hidden.psd", "@eaDir/f.psd")
    passed = Passed()
    assert len([entry for batch in scan(tmp_path, passed=passed) for entry in batch]) == 1
    assert passed_over(passed) == "5 files of kinds that cannot be read (.psd 2, .jp2 1, .xcf 1, without an ending 1)."
    one, many = Passed(), Passed()
    one.kinds[".psd"] = 1
    many.kinds.update(f".x{n}" for n in range(20))
    assert passed_over(one) == "1 file of a kind that cannot be read (.psd 1)."
    assert passed_over(Passed()) is None
    assert "..." in (passed_over(many) or "")
