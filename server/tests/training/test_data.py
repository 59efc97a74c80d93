"""Reading data, random views, drawings."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tsir.errors import InvalidInput
from tsir.training import augment, data, drawings


def jpeg(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(buffer, "JPEG")
    return buffer.getvalue()


def test_tar_and_folder_read_alike(tmp_path: Path) -> None:
    folder, tar = tmp_path / "folder", tmp_path / "tars" / "a.tar"
    folder.mkdir()
    tar.parent.mkdir()
    with tarfile.open(tar, "w") as archive:
        for key, colour in (("b", "red"), ("a", "blue")):
            for suffix, blob in ((".jpg", jpeg(colour)), (".json", json.dumps({"captions": [colour]}).encode())):
                (folder / (key + suffix)).write_bytes(blob)
                entry = tarfile.TarInfo(key + suffix)
                entry.size = len(blob)
                archive.addfile(entry, io.BytesIO(blob))
    expected = [("a", {"captions": ["blue"]}), ("b", {"captions": ["red"]})]
    for source in (folder, tar, tar.parent):
        samples = data.read_samples(source)
        assert [(sample.key, sample.meta) for sample in samples] == expected
        assert samples[0].picture().size == (8, 6)


def test_missing_and_empty_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nowhere"):
        data.read_samples(tmp_path / "nowhere")
    with pytest.raises(InvalidInput, match="no pictures"):
        data.read_samples(tmp_path)
    (tmp_path / "a.jpg").write_bytes(jpeg("red"))
    (tmp_path / "a.json").write_text("red")
    with pytest.raises(InvalidInput, match=r"a\.json"):
        data.read_samples(tmp_path)


def scene() -> Image.Image:
    image = Image.new("RGB", (120, 90), "skyblue")
    pen = ImageDraw.Draw(image)
    pen.rectangle((20, 30, 70, 80), fill="brown")
    pen.ellipse((75, 10, 110, 45), fill="yellow")
    return image


@pytest.mark.parametrize("view", [augment.photo_view, augment.affine, drawings.synthetic_sketch])
def test_views_follow_from_the_generator(view) -> None:  # type: ignore[no-untyped-def]
    first, again, other = (np.asarray(view(scene(), np.random.default_rng(seed))) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_affine_without_range_changes_nothing() -> None:
    image = scene()
    same = augment.affine(image, np.random.default_rng(0), degrees=0, shift=0, scale=(1.0, 1.0), shear=0)
    assert np.array_equal(np.asarray(image), np.asarray(same))


def test_synthetic_sketch_draws_outlines_only() -> None:
    ink = np.asarray(drawings.synthetic_sketch(scene(), np.random.default_rng(3))) < 128
    assert 0.005 < ink.mean() < 0.3
    assert not ink[100:150, 70:100].any()  # the inside of the rectangle


def test_render_fills_the_square_and_keeps_the_shape() -> None:
    ink = np.asarray(drawings.render([([0, 200], [0, 0]), ([200, 200], [0, 100])], side=224)) < 128
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    assert columns[-1] - columns[0] > 190
    assert 90 < rows[-1] - rows[0] < 112
