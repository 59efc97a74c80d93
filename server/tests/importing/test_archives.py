from __future__ import annotations

import io
import stat
import zipfile
from pathlib import Path

import pytest

from tsir.errors import InvalidInput, TooLarge, TsirError
from tsir.importing import archives
from tsir.importing.archives import pictures, save_archive
from tsir.jobs.progress import Passed
from tsir.media.files import Files
from tsir.settings import Settings


def packed(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def reasons(path: Path, max_bytes: int = 10**6) -> dict[str, str]:
    return {name: str(data) for name, data in pictures(path, max_bytes=max_bytes) if isinstance(data, TsirError)}


def test_pictures_come_out_and_the_rest_stays_in(tmp_path: Path) -> None:
    members = {"a.jpg": b"1", "x/y/b.PNG": b"2", "notes.txt": b"3", "__MACOSX/._a.jpg": b"4", "x/.hidden.jpg": b"5", "../../c.jpg": b"6"}
    assert dict(pictures(packed(tmp_path / "a.zip", members), max_bytes=10)) == {"a.jpg": b"1", "x/y/b.PNG": b"2", "../../c.jpg": b"6"}


def test_other_kinds_are_counted_and_links_are_told(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.jpg": b"1", "x/b.PSD": b"2", "Thumbs.db": b"3", "notes.txt": b"4"})
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("link.jpg")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "a.jpg")
    passed = Passed()
    found = dict(pictures(path, max_bytes=10, passed=passed))
    assert found["a.jpg"] == b"1"
    assert "link" in str(found["link.jpg"])
    assert passed.kinds == {".psd": 1, ".txt": 1}


def test_names_in_other_encodings_come_out_readable(tmp_path: Path) -> None:
    utf8 = packed(tmp_path / "a.zip", {"照片.jpg": b"1"})
    unflagged = utf8.read_bytes().replace(b"\x14\x00\x00\x08", b"\x14\x00\x00\x00")
    (tmp_path / "b.zip").write_bytes(unflagged)
    legacy = packed(tmp_path / "c.zip", {"caf?.jpg": b"1"})
    legacy.write_bytes(legacy.read_bytes().replace(b"caf?", b"caf\x82"))
    assert [next(pictures(tmp_path / name, max_bytes=10))[0] for name in ("a.zip", "b.zip", "c.zip")] == [
        "照片.jpg",
        "照片.jpg",
        "café.jpg",
    ]


def test_too_large_member_is_a_failure_and_the_next_one_is_not(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.jpg": bytes(11), "b.jpg": bytes(10)})
    assert list(reasons(path, 10)) == ["a.jpg"]


def test_bomb_is_refused_by_what_it_unfolds_to(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"bomb.bmp": bytes(64 * 2**20)})
    assert "packed size" in reasons(path, 2**30)["bomb.bmp"]


def test_encrypted_member_says_so(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.jpg": b"1"})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    assert "password" in reasons(path)["a.jpg"]


def test_zip_inside_a_zip_is_named(tmp_path: Path) -> None:
    assert "unpack" in reasons(packed(tmp_path / "a.zip", {"b.zip": b"PK"}))["b.zip"]


def test_broken_member_is_a_failure(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.jpg": bytes(range(256)) * 10})
    data = bytearray(path.read_bytes())
    data[40:60] = bytes(20)
    path.write_bytes(data)
    assert "broken" in reasons(path)["a.jpg"]


@pytest.mark.parametrize("data", [b"", b"PK\3\4", b"PK\3\4" + bytes(100), b"no zip at all"])
def test_what_is_no_zip_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(InvalidInput, match="zip"):
        list(pictures(tmp_path / "a.zip", max_bytes=10))


def test_cut_zip_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"a.jpg": bytes(1000)})
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(InvalidInput):
        list(pictures(path, max_bytes=10))


def test_limits_of_members_directory_and_total(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path / "a.zip", {"a.jpg": b"12", "b.jpg": b"34"})
    for name, value in (("MAX_MEMBERS", 1), ("MAX_DIRECTORY_BYTES", 10), ("MAX_TOTAL_BYTES", 3)):
        with monkeypatch.context() as limits:
            limits.setattr(archives, name, value)
            with pytest.raises(TooLarge):
                list(pictures(path, max_bytes=10))


def test_saved_archive_lies_among_the_uploads(settings: Settings) -> None:
    files = Files(settings)
    path = save_archive(io.BytesIO(b"PK\3\4"), files)
    assert path.read_bytes() == b"PK\3\4"
    assert files.uploads.holds(str(path))
