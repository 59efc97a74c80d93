from __future__ import annotations

from pathlib import Path

import pytest

from tsir.errors import Forbidden, InvalidInput, NotFound
from tsir.media.files import Files
from tsir.settings import Settings

HASH = "ab" * 32


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """No stores needed here."""
    (tmp_path / "photos").mkdir()
    return Settings(data_dir=tmp_path / "data", image_roots=str(tmp_path / "photos"), _env_file=None)  # type: ignore[call-arg]


def test_import_folders_lie_under_the_roots(settings: Settings, tmp_path: Path) -> None:
    files = Files(settings)
    (tmp_path / "photos/中文").mkdir()
    assert files.resolve_import_folder(tmp_path / "photos") == tmp_path / "photos"
    assert files.resolve_import_folder(f"{tmp_path}/photos/../photos/中文") == tmp_path / "photos/中文"


def test_folders_elsewhere_are_forbidden_whether_they_exist_or_not(settings: Settings, tmp_path: Path) -> None:
    files = Files(settings)
    (tmp_path / "photos/link").symlink_to("/etc")
    for path in ("/etc", "/no/such", tmp_path, tmp_path / "photos/link", tmp_path / "photos/../data", f"{tmp_path}/photos-other"):
        with pytest.raises(Forbidden, match="IMAGE_ROOTS"):
            files.resolve_import_folder(path)


def test_no_roots_means_no_folder(tmp_path: Path) -> None:
    files = Files(Settings(data_dir=tmp_path, image_roots="", _env_file=None))  # type: ignore[call-arg]
    with pytest.raises(Forbidden, match="None is allowed"):
        files.resolve_import_folder(tmp_path)


def test_missing_folders_and_files_are_told_apart(settings: Settings, tmp_path: Path) -> None:
    files = Files(settings)
    (tmp_path / "photos/a.jpg").write_bytes(b"x")
    with pytest.raises(NotFound):
        files.resolve_import_folder(tmp_path / "photos/none")
    for path in (tmp_path / "photos/a.jpg", "", "  ", f"{tmp_path}/photos/\0"):
        with pytest.raises(InvalidInput):
            files.resolve_import_folder(path)


def test_uploads_get_generated_names(settings: Settings) -> None:
    files = Files(settings)
    first, second = files.uploads.save(b"data", "JPEG"), files.uploads.save(b"data", "../../etc")
    assert first != second
    assert (first.read_bytes(), first.suffix) == (b"data", ".jpg")
    assert second.parent.parent == files.uploads.folder
    assert files.uploads.holds(str(first))
    files.uploads.delete(str(first))
    files.uploads.delete(str(first))
    assert not first.exists()


def test_only_uploads_can_be_deleted(settings: Settings, tmp_path: Path) -> None:
    files = Files(settings)
    photo = tmp_path / "photos/a.jpg"
    photo.write_bytes(b"x")
    for path in (str(photo), f"{files.uploads.folder}/../../photos/a.jpg"):
        files.uploads.delete(path)
    assert photo.exists()
