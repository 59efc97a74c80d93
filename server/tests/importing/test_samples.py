"""The sample gallery is complete, named, licensed, and mends itself."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.fakes import FakeEncoder
from tsir.evaluation.evaluate import run_eval
from tsir.importing import samples
from tsir.media.decode import open_picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples") / "gallery"
    calls: list[tuple[int, int]] = []
    written = samples.write_gallery(folder, lambda done, total: calls.append((done, total)))
    assert calls == [(done, written) for done in range(1, written + 1)]
    return folder


def pictures(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.png"))


def test_gallery_has_some_hundred_different_pictures(folder: Path) -> None:
    found = pictures(folder)
    assert 350 <= len(found) <= 600
    assert len({hashlib.sha256(path.read_bytes()).digest() for path in found}) == len(found)


def test_names_and_code_points_are_unique() -> None:
    lines = [line for line in samples.GALLERY.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert len(samples.gallery()) == len(set(samples.gallery().values())) == len(lines)


def test_names_are_words_a_person_would_type(folder: Path) -> None:
    for path in pictures(folder):
        assert path.stem == path.stem.lower().strip()
        assert path.stem.replace(" ", "").replace("-", "").replace("'", "").isalpha(), path.stem


def test_pictures_are_opened_by_the_importer_and_show_something_on_white(folder: Path) -> None:
    for path in pictures(folder):
        picture = open_picture(path, max_bytes=2**20, max_pixels=10**6)
        assert (picture.metadata.width, picture.metadata.height) == (samples.SIDE, samples.SIDE)
        assert picture.image.getpixel((0, 0)) == (255, 255, 255), path.stem
        low, high = picture.image.convert("L").getextrema()
        assert isinstance(low, int) and low < 120 and high == 255, path.stem


def test_licence_is_named(folder: Path) -> None:
    text = (folder / "LICENSE.txt").read_text(encoding="utf-8")
    assert "OpenMoji" in text and "CC BY-SA 4.0" in text and "https://openmoji.org" in text


def test_second_run_writes_nothing(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert samples.write_gallery(folder) == len(pictures(folder))
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_interrupted_run_is_mended(folder: Path) -> None:
    missing, cut, empty = (folder / f"{name}.png" for name in ("red apple", "cat", "house"))
    good = [path.read_bytes() for path in (missing, cut, empty)]
    missing.unlink()
    cut.write_bytes(good[1][:500])
    empty.write_bytes(b"")
    old, fresh = folder / "cat.png.0123abcd.tmp", folder / "house.png.0123abcd.tmp"
    old.write_bytes(b"half")
    fresh.write_bytes(b"being written by another process")
    os.utime(old, (time.time() - 86400,) * 2)

    samples.write_gallery(folder)

    assert [path.read_bytes() for path in (missing, cut, empty)] == good
    assert not old.exists()
    assert fresh.exists()
    fresh.unlink()


def test_benchmark_asks_for_every_picture_by_name(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "images").symlink_to(folder)
    queries = samples.write_benchmark(tmp_path)
    report = run_eval(tmp_path / "images", queries, FakeEncoder())
    assert report.to_json()["text"]["queries"] == len(pictures(folder)) == len(samples.sample_queries())


def test_sample_pictures_differ_enough_to_be_told_apart(folder: Path) -> None:
    """No two of them look alike even at 24 x 24 px."""
    small = [Image.open(path).convert("RGB").resize((24, 24), Image.Resampling.BOX).tobytes() for path in pictures(folder)]
    assert len(set(small)) == len(small)
