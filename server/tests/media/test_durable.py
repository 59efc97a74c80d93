from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.disk import Synced
from tsir.media.durable import whole, write_atomic


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    with whole(path) as file:
        file.write(b"half")
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    with pytest.raises(ZeroDivisionError), whole(path) as file:
        file.write(b"broken")
        raise ZeroDivisionError
    assert path.read_bytes() == b"half and half"
    assert list(tmp_path.iterdir()) == [path]


def test_a_durable_file_is_on_disk_with_its_name(tmp_path: Path, synced: Synced) -> None:
    write_atomic(tmp_path / "new" / "a.bin", b"cache")
    assert not synced
    write_atomic(tmp_path / "new" / "b.bin", b"kept", durable=True)
    assert synced.holds(tmp_path / "new" / "b.bin", tmp_path / "new", tmp_path)


def test_a_folder_that_is_closed_to_us_takes_files_below(tmp_path: Path) -> None:
    (tmp_path / "closed/open").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o300)
    try:
        write_atomic(tmp_path / "closed/open/a.bin", b"x", durable=True)
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert (tmp_path / "closed/open/a.bin").read_bytes() == b"x"
    assert os.listdir(tmp_path / "closed/open") == ["a.bin"]  # noqa: PTH208
