"""The shipped encoder with its real weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tsir.encoders import lite
from tsir.encoders.base import Encoder, Vectors, unit
from tsir.encoders.lite import encoder as module
from tsir.encoders.lite import preprocess
from tsir.errors import EncoderUnavailable, InvalidInput
from tsir.searching.fusion import fuse


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return lite.load(threads=1)


Gallery = tuple[list[str], Vectors]


def photo(colour: str, size: tuple[int, int] = (320, 200)) -> Image.Image:
    image = Image.new("RGB", size, colour)
    ImageDraw.Draw(image).ellipse((60, 40, 160, 140), fill="white")
    return image


def drawing(size: tuple[int, int] = (400, 300), width: int = 4) -> Image.Image:
    image = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(image)
    pen.line([(60, 200), (200, 60), (340, 200), (60, 200)], fill="black", width=width)
    pen.rectangle((100, 200, 300, 280), outline="black", width=width)
    return image


def test_satisfies_the_protocol(encoder: Encoder) -> None:
    assert isinstance(encoder, Encoder)
    assert (encoder.name, encoder.dim) == ("lite", 512)


def test_rows_are_float32_and_of_unit_length(encoder: Encoder) -> None:
    rows = [encoder.images([photo("red")]), encoder.sketches([drawing()]), encoder.texts(["a red wall"])]
    for row in rows:
        assert row.dtype == np.float32
        assert row.shape == (1, 512)
        assert np.linalg.norm(row) == pytest.approx(1.0, abs=1e-5)


def test_empty_batches_and_empty_inputs(encoder: Encoder) -> None:
    assert encoder.images([]).shape == encoder.sketches([]).shape == encoder.texts([]).shape == (0, 512)
    blank = encoder.sketches([Image.new("RGBA", (50, 40), (0, 0, 0, 0))])
    silent = encoder.texts(["", "  "])
    assert np.isfinite(blank).all()
    assert np.linalg.norm(silent, axis=1) == pytest.approx(1.0, abs=1e-5)


def test_a_vector_does_not_depend_on_its_batch(encoder: Encoder) -> None:
    colours = ["red", "green", "blue", "gray", "brown"] * 8
    photos = [photo(colour, (300 + 7 * i, 200)) for i, colour in enumerate(colours)]
    together = encoder.images(photos)
    for row in (0, 17, 39):
        assert encoder.images([photos[row]])[0] @ together[row] > 0.999
    texts = ["a dog", "two people sit at a long wooden table in a dark room", "snow", "a dog"]
    together = encoder.texts(texts)
    assert together[0] @ together[3] == pytest.approx(1.0, abs=1e-5)
    for row, text in enumerate(texts):
        assert encoder.texts([text])[0] @ together[row] > 0.999


def test_preparing_is_idempotent_and_encoding_prepares(encoder: Encoder) -> None:
    kinds = ((encoder.prepare_photo, encoder.images, photo("red")), (encoder.prepare_sketch, encoder.sketches, drawing()))
    for prepare, encode, image in kinds:
        once = prepare(image)
        assert np.array_equal(np.asarray(prepare(once)), np.asarray(once))
        assert encode([image])[0] @ encode([once])[0] == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK", "I;16"])
def test_every_mode_is_read(mode: str, encoder: Encoder) -> None:
    for image, prepare, side in ((photo("red"), encoder.prepare_photo, 260), (drawing(), encoder.prepare_sketch, 224)):
        converted = image.convert("L").convert("I").convert("I;16") if mode == "I;16" else image.convert(mode)
        prepared = prepare(converted)
        assert (prepared.mode, prepared.size) == ("RGB", (side, side))


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (2000, 1500)])
def test_every_size_is_read(size: tuple[int, int], encoder: Encoder) -> None:
    assert encoder.prepare_photo(Image.new("RGB", size)).size == (260, 260)
    assert encoder.prepare_sketch(Image.new("RGB", size)).size == (224, 224)


def test_a_wide_sketch_keeps_both_ends() -> None:
    wide = Image.new("RGB", (1000, 100), "white")
    pen = ImageDraw.Draw(wide)
    pen.line([(10, 50), (990, 50)], fill="black", width=4)
    pen.line([(10, 10), (10, 90)], fill="black", width=4)
    pen.line([(990, 10), (990, 90)], fill="black", width=4)
    ink = np.asarray(preprocess.prepare_sketch(wide).convert("L")) < 128
    columns = np.flatnonzero(ink.any(0))
    assert columns[0] < 24
    assert columns[-1] > 200
    rows = np.flatnonzero(ink.any(1))
    assert rows[-1] - rows[0] < 40  # not stretched


@pytest.mark.parametrize("size", [(390, 300), (512, 512), (1560, 1200)])
def test_canvas_size_ground_and_pen_hardly_matter(size: tuple[int, int], encoder: Encoder) -> None:
    reference = encoder.sketches([drawing()])[0]
    canvas = Image.new("RGBA", size, (0, 0, 0, 0))
    scale = size[0] / 400
    pen = ImageDraw.Draw(canvas)
    points = [(60, 200), (200, 60), (340, 200), (60, 200)]
    pen.line([(x * scale, y * scale) for x, y in points], fill="black", width=round(5 * scale))
    pen.rectangle((100 * scale, 200 * scale, 300 * scale, min(280 * scale, size[1] - 2)), outline="black", width=round(5 * scale))
    other = encoder.sketches([canvas])[0]
    assert unit(other[:511]) @ unit(reference[:511]) > 0.8  # the last dimension is the same in every sketch


def test_light_lines_on_a_dark_ground_are_the_same_drawing() -> None:
    dark = Image.eval(drawing(), lambda value: 255 - value)
    same = np.abs(np.asarray(preprocess.prepare_sketch(dark), int) - np.asarray(preprocess.prepare_sketch(drawing()), int))
    assert same.mean() < 2


def test_two_towers_for_drawings_are_joined_part_by_part() -> None:
    first = np.array([[2.0, 0, 0, 3, 0.5], [0, 4, 1, 0, 0.5]], np.float32)
    second = np.array([[0, 5.0, 0, 1], [0, 1, 1, 0]], np.float32)
    how = {"parts": [2, 2], "words": 1.0, "shapes": 0.5, "shares": [0.6, 0.0, 0.8]}
    half = 0.6 / np.sqrt(2)
    np.testing.assert_allclose(module.joined(first, second, how, 6), [[half, half, 0, 0, 0, 0.8], [0, 0.6, 0, 0, 0, 0.8]], atol=1e-6)


def test_a_drawing_is_pulled_towards_photos_of_what_it_resembles() -> None:
    drawn = np.array([[1.0, 0, 0, 1, 0], [0, 1, 0, 1, 0]], np.float32)
    how = {"parts": [2, 2], "words": 1.0, "shapes": 1.0, "shares": [1.0, 1.0, 0.0], "sharpness": 50.0}
    keys = np.array([[1, 0, 0, 1], [0, 1, 0, 1]], np.float32)
    values = np.array([[0.3, 0.4, 0, 0], [0, 0, 0, 0]], np.float32)  # of the second there are no photos

    pulled = module.joined(drawn, drawn, how, 5, np.stack([keys, values]))

    np.testing.assert_allclose(pulled[0], [*(np.array([1.3, 0.4]) / np.hypot(1.3, 0.4)), 0, 1, 0], atol=1e-5)
    np.testing.assert_allclose(pulled[1], [0, 1, 0, 1, 0], atol=1e-5)


def test_fingerprint_is_that_of_the_files(encoder: Encoder) -> None:
    manifest = json.loads((module.WEIGHTS / "manifest.json").read_text())
    assert module.fingerprint() == manifest["fingerprint"] == encoder.fingerprint


def test_weights_stay_small() -> None:
    assert sum(file.stat().st_size for file in module.WEIGHTS.iterdir()) < 60e6


def test_a_missing_or_damaged_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(EncoderUnavailable, match="cannot be read"):
        lite.load(folder=tmp_path)
    for file in module.WEIGHTS.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "sketch.xml").write_text("<broken")
    with pytest.raises(EncoderUnavailable, match="cannot be read"):
        lite.load(folder=tmp_path)


def test_a_gpu_is_refused() -> None:
    with pytest.raises(InvalidInput, match="cuda"):
        lite.load(device="cuda")


@pytest.fixture(scope="module")
def gallery(encoder: Encoder, shared_data: Path) -> Gallery:
    files = sorted((shared_data / "photos-100").glob("*.jpg"))
    return [file.stem[-6:] for file in files], encoder.images([Image.open(file) for file in files])


def best(gallery: Gallery, query: Vectors, count: int) -> list[str]:
    names, vectors = gallery
    return [names[row] for row in np.argsort(-(vectors @ query))[:count]]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("an elephant", {"035807", "263120", "561938"}),
        ("a pizza", {"009002", "108193", "275611", "525272"}),
        ("an airplane in the sky", {"561014"}),
        ("a zebra", {"425573"}),
        ("a bathroom with a toilet", {"050350", "256094", "512760", "573223"}),
    ],
)
def test_words_find_photos(text: str, right: set[str], encoder: Encoder, gallery: Gallery) -> None:
    assert right & set(best(gallery, encoder.texts([text])[0], 5))


def test_the_demo_query_finds_its_photo_among_food(encoder: Encoder, gallery: Gallery, shared_data: Path) -> None:
    sketch = Image.open(shared_data / "sketch-of-000000163852.jpg")
    query = fuse([(encoder.texts(["It is a plate of food."])[0], 1.0), (encoder.sketches([sketch])[0], encoder.default_weights["sketch"])])
    assert "163852" in best(gallery, query, 10)
