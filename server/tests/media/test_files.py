from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from PIL import Image

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
    first, second = files.save_upload(b"data", "JPEG"), files.save_upload(b"data", "../../etc")
    assert first != second
    assert (first.read_bytes(), first.suffix) == (b"data", ".jpg")
    assert second.parent.parent == files.uploads
    assert files.is_upload(str(first))
    files.delete_upload(str(first))
    files.delete_upload(str(first))
    assert not first.exists()


def test_only_uploads_can_be_deleted(settings: Settings, tmp_path: Path) -> None:
    files = Files(settings)
    photo = tmp_path / "photos/a.jpg"
    photo.write_bytes(b"x")
    for path in (str(photo), f"{files.uploads}/../../photos/a.jpg"):
        files.delete_upload(path)
    assert photo.exists()


@pytest.mark.parametrize(("size", "small", "large"), [((4000, 3000), (256, 192), (768, 576)), ((300, 900), (85, 256), (256, 768))])
def test_thumbnails_have_two_sizes(settings: Settings, size: tuple[int, int], small: tuple[int, int], large: tuple[int, int]) -> None:
    files = Files(settings)
    assert files.thumbnail(HASH, "small") is None
    files.write_thumbnails(HASH, Image.new("RGB", size, "red"))
    for name, format, wanted in (("small", "WEBP", small), ("large", "JPEG", large)):
        path = files.thumbnail(HASH, name)  # type: ignore[arg-type]
        assert path is not None
        with Image.open(path) as image:
            assert (image.format, image.size) == (format, wanted)


def test_small_pictures_are_not_enlarged(settings: Settings) -> None:
    files = Files(settings)
    files.write_thumbnails(HASH, Image.new("L", (20, 1)))
    with Image.open(files.thumbnail(HASH, "large")) as image:  # type: ignore[arg-type]
        assert image.size == (20, 1)


def test_existing_thumbnails_are_kept_and_lost_ones_made_again(settings: Settings) -> None:
    files = Files(settings)
    files.write_thumbnails(HASH, Image.new("RGB", (900, 900), "red"))
    small, large = files.thumbnail(HASH, "small"), files.thumbnail(HASH, "large")
    assert small is not None
    assert large is not None
    before = large.stat().st_mtime_ns
    small.write_bytes(b"")  # what a power cut may leave
    assert files.thumbnail(HASH, "small") is None
    files.write_thumbnails(HASH, Image.new("RGB", (900, 900), "red"))
    assert files.thumbnail(HASH, "small") is not None
    assert large.stat().st_mtime_ns == before
    files.delete_thumbnails(HASH)
    assert files.thumbnail(HASH, "large") is None
    assert list(files.thumbnails.rglob("*.tmp")) == []


def test_a_large_thumbnail_of_an_earlier_version_is_found_and_deleted(settings: Settings) -> None:
    files = Files(settings)
    files.write_thumbnails(HASH, Image.new("RGB", (900, 900), "red"))
    large = files.thumbnail(HASH, "large")
    assert large is not None
    old = large.rename(large.with_suffix(".webp"))
    assert files.thumbnail(HASH, "large") is None
    assert list(files.thumbnail_hashes(time.time() + 60)) == [HASH, HASH]
    files.delete_thumbnails(HASH)
    assert not old.exists(), "no copy of a picture stays behind when it is removed"
    assert list(files.thumbnail_hashes(time.time() + 60)) == []


def test_thumbnail_cache_stays_within_its_bound(settings: Settings) -> None:
    noise = Image.effect_noise((768, 768), 100).convert("RGB")
    Files(settings).write_thumbnails(HASH, noise)
    one = sum(path.stat().st_size for path in Files(settings).thumbnails.glob("*/*/*"))
    files = Files(settings.model_copy(update={"thumbnail_bytes": 4 * one}))
    hashes = [f"{n:064x}" for n in range(10)]
    for age, content_hash in enumerate(hashes):
        files.write_thumbnails(content_hash, noise)
        for size in files.SIZES:
            os.utime(files._thumbnail_path(content_hash, size), (time.time() - 1000 + age, time.time() - 1000 + age))
    used = sum(path.stat().st_size for path in files.thumbnails.glob("*/*/*"))
    assert used <= 4 * one
    assert files.thumbnail(hashes[-1], "small") is not None
    assert files.thumbnail(hashes[0], "small") is None


@pytest.mark.parametrize("content_hash", ["../../../etc/passwd", "", "AB" * 32, "ab/" * 10])
def test_a_hash_cannot_name_another_file(settings: Settings, content_hash: str) -> None:
    with pytest.raises(ValueError, match="content hash"):
        Files(settings).thumbnail(content_hash, "small")
