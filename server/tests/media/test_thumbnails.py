from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from PIL import Image

from tsir.errors import StoreUnavailable
from tsir.media.thumbnails import Thumbnails

HASH = "ab" * 32


@pytest.mark.parametrize(("size", "small", "large"), [((4000, 3000), (256, 192), (768, 576)), ((300, 900), (85, 256), (256, 768))])
def test_thumbnails_have_two_sizes(tmp_path: Path, size: tuple[int, int], small: tuple[int, int], large: tuple[int, int]) -> None:
    thumbnails = Thumbnails(tmp_path, 2**30)
    assert thumbnails.find(HASH, "small") is None
    thumbnails.write(HASH, Image.new("RGB", size, "red"))
    for name, wanted in (("small", small), ("large", large)):
        path = thumbnails.find(HASH, name)  # type: ignore[arg-type]
        assert path is not None
        with Image.open(path) as image:
            assert (image.format, image.size) == ("JPEG", wanted)


def test_small_pictures_are_not_enlarged(tmp_path: Path) -> None:
    thumbnails = Thumbnails(tmp_path, 2**30)
    thumbnails.write(HASH, Image.new("L", (20, 1)))
    with Image.open(thumbnails.find(HASH, "large")) as image:  # type: ignore[arg-type]
        assert image.size == (20, 1)


def test_existing_thumbnails_are_kept_and_lost_ones_made_again(tmp_path: Path) -> None:
    thumbnails = Thumbnails(tmp_path, 2**30)
    thumbnails.write(HASH, Image.new("RGB", (900, 900), "red"))
    small, large = thumbnails.find(HASH, "small"), thumbnails.find(HASH, "large")
    assert small is not None
    assert large is not None
    before = large.stat().st_mtime_ns
    small.write_bytes(b"")  # what a power cut may leave
    assert thumbnails.find(HASH, "small") is None
    thumbnails.write(HASH, Image.new("RGB", (900, 900), "red"))
    assert thumbnails.find(HASH, "small") is not None
    assert large.stat().st_mtime_ns == before
    thumbnails.delete(HASH)
    assert thumbnails.find(HASH, "large") is None
    assert list(thumbnails.folder.rglob("*.tmp")) == []


def test_thumbnails_of_earlier_versions_are_found_and_deleted(tmp_path: Path) -> None:
    thumbnails = Thumbnails(tmp_path, 2**30)
    thumbnails.write(HASH, Image.new("RGB", (900, 900), "red"))
    small, large = thumbnails.find(HASH, "small"), thumbnails.find(HASH, "large")
    assert small is not None
    assert large is not None
    old = [path.rename(path.with_suffix(".webp")) for path in (small, large)]
    assert (thumbnails.find(HASH, "small"), thumbnails.find(HASH, "large")) == (old[0], None)
    assert list(thumbnails.hashes(time.time() + 60)) == [HASH, HASH]
    thumbnails.delete(HASH)
    assert not any(path.exists() for path in old), "no copy of a picture stays behind when it is removed"
    assert list(thumbnails.hashes(time.time() + 60)) == []


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    thumbnails = Thumbnails(tmp_path / "cache", 2**30)
    with pytest.raises(StoreUnavailable, match="cannot be written"):
        thumbnails.write(HASH, Image.new("L", (20, 20)))
    thumbnails.delete(HASH)


def test_thumbnail_cache_stays_within_its_bound(tmp_path: Path) -> None:
    noise = Image.effect_noise((768, 768), 100).convert("RGB")
    Thumbnails(tmp_path, 2**30).write(HASH, noise)
    one = sum(path.stat().st_size for path in Thumbnails(tmp_path, 2**30).folder.glob("*/*/*"))
    thumbnails = Thumbnails(tmp_path, 4 * one)
    hashes = [f"{n:064x}" for n in range(10)]
    for age, content_hash in enumerate(hashes):
        thumbnails.write(content_hash, noise)
        for path in thumbnails.folder.rglob(f"{content_hash}.*"):
            os.utime(path, (time.time() - 1000 + age, time.time() - 1000 + age))
    used = sum(path.stat().st_size for path in thumbnails.folder.glob("*/*/*"))
    assert used <= 4 * one
    assert thumbnails.find(hashes[-1], "small") is not None
    assert thumbnails.find(hashes[0], "small") is None


@pytest.mark.parametrize("content_hash", ["../../../etc/passwd", "", "AB" * 32, "ab/" * 10])
def test_a_hash_cannot_name_another_file(tmp_path: Path, content_hash: str) -> None:
    with pytest.raises(ValueError, match="content hash"):
        Thumbnails(tmp_path, 2**30).find(content_hash, "small")
