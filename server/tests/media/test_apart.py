"""Decoding in other processes: the same answers, and their deaths are nobody's loss."""

from __future__ import annotations

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.media.made import saved
from tests.media.mutate import survey
from tests.media.test_decode import scene
from tsir.errors import InvalidImage, TooLarge
from tsir.geometry import Geometry
from tsir.media import apart
from tsir.media.apart import Product, close, open_apart, processes
from tsir.media.decode import Picture, Unreadable, open_picture
from tsir.media.thumbnails import rendered

LIMITS: dict[str, Any] = {"max_bytes": 2**24, "max_pixels": 10**7}


def test_it_is_the_same_picture(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Canon"
    exif.get_ifd(0x8769).update({0x9003: "2024:07:01 23:30:00", 0x9011: "-05:30"})
    files = (saved(scene(), "JPEG", exif=exif), saved(scene().convert("CMYK"), "JPEG"), saved(scene(300, 200), "WEBP"))
    for number, data in enumerate(files):
        path = tmp_path / f"{number} \udcff.jpg"
        path.write_bytes(data)
        here = open_picture(path, **LIMITS, min_side=16)
        for source in (path, data):
            there = open_apart(source, **LIMITS, min_side=16)
            assert (there.metadata, there.content_hash, there.missing) == (here.metadata, here.content_hash, here.missing)
            assert (there.image.tobytes(), there.as_stored.tobytes()) == (here.image.tobytes(), here.as_stored.tobytes())


def test_what_is_wanted_of_a_picture_is_made_there(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(saved(scene(600, 400).convert("CMYK"), "JPEG", icc_profile=b"broken"))
    here = open_picture(path, **LIMITS)
    for geometry in (Geometry(32, "squash", gap=1.0), Geometry(24, resample=Image.Resampling.BILINEAR)):
        there = open_apart(path, **LIMITS, product=Product(geometry, as_stored=True, thumbnails=("small", "large")))
        assert there.image.tobytes() == there.as_stored.tobytes() == geometry.apply(here.as_stored).tobytes()
        assert dict(there.thumbnails) == dict(rendered(here.image))
        assert there.metadata == here.metadata
    assert not open_apart(path, **LIMITS).thumbnails


@pytest.mark.parametrize(
    ("data", "limits", "error"),
    [(b"text", {}, InvalidImage), (saved(scene(), "PNG"), {"max_pixels": 9}, TooLarge), (b"x" * 99, {"max_bytes": 9}, TooLarge)],
)
def test_refusals_say_the_same(tmp_path: Path, data: bytes, limits: dict[str, int], error: type[Exception]) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(data)
    for source in (path, data):
        with pytest.raises(error) as here:
            open_picture(source, **{**LIMITS, **limits})
        with pytest.raises(error) as there:
            open_apart(source, **{**LIMITS, **limits})
        assert (type(here.value), str(here.value)) == (type(there.value), str(there.value))
    with pytest.raises(Unreadable, match="No such file"):
        open_apart(tmp_path / "gone.png", **LIMITS)


def test_a_process_that_died_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(saved(scene(), "PNG"))
    open_apart(path, **LIMITS)
    assert processes()
    for end in (signal.SIGSEGV, signal.SIGKILL):
        for process in processes():
            os.kill(process, end)
        with ThreadPoolExecutor(2) as pool:
            assert {picture.image.size for picture in pool.map(lambda _: open_apart(path, **LIMITS), range(6))} == {(64, 48)}


HOOK = """
import ctypes, time
from PIL import PngImagePlugin
from tsir.media import apart

apart.CPU_S = 1
prepare = PngImagePlugin.PngImageFile.load_prepare


def load_prepare(self):
    fault = self.info.get("Comment")
    if fault == "crash":
        ctypes.string_at(0)
    if fault == "memory":
        self.held = [bytes(2**28) for _ in range(100)]
    if fault == "silence":
        time.sleep(600)
    while fault == "loop":
        pass
    prepare(self)


PngImagePlugin.PngImageFile.load_prepare = load_prepare
"""
"""What decoders have done to programs, done to each process as it starts, on demand of the picture's comment."""


def test_decoders_that_crash_hang_or_take_all_memory_cost_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(HOOK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(apart, "CPU_S", 1)
    limits = {**LIMITS, "max_pixels": 10**6 + 1}  # processes of its own

    def opened(fault: str) -> Picture:
        facts = PngInfo()
        facts.add_text("Comment", fault)
        return open_apart(saved(scene(), "PNG", pnginfo=facts), **limits)

    for fault, sentence in {
        "crash": "The picture is broken, in a way that made its decoder crash.",
        "loop": "Decoding the picture took more than 1 s: it was given up.",
        "memory": "The picture does not fit into memory.",
        "silence": "Reading the picture took more than 2 s: it was given up. Is its drive connected?",
    }.items():
        assert opened("").image.size == (64, 48)
        monkeypatch.setattr(apart, "WALL_S", 2 if fault == "silence" else 60)
        with pytest.raises((InvalidImage, TooLarge, Unreadable), match=re.escape(sentence)):
            opened(fault)
    assert opened("").image.size == (64, 48)
    close()


def test_broken_pictures_of_all_formats_get_their_sentences() -> None:
    found = survey(120, seed=7)
    assert (found.total(), found["read"] > 10) == (120, True)
    assert [sentence for sentence in found if not sentence.startswith("read") and not sentence.endswith(".")] == []
    assert not [sentence for sentence in found if "crash" in sentence]
