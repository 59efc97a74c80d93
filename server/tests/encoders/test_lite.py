"""The shipped encoder with its real weights."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from tsir.encoders import lite
from tsir.encoders.base import Encoder, Vectors, unit
from tsir.encoders.lite import encoder as module
from tsir.encoders.lite import preprocess
from tsir.errors import EncoderUnavailable, InvalidInput
from tsir.searching.fusion import fuse, together


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
    assert (encoder.name, encoder.dim) == ("lite", 1024)


def test_rows_are_float32_and_of_unit_length(encoder: Encoder) -> None:
    rows = [encoder.images([photo("red")]), encoder.sketches([drawing()]), encoder.texts(["a red wall"])]
    for row in rows:
        assert row.dtype == np.float32
        assert row.shape == (1, 1024)
        assert np.linalg.norm(row) == pytest.approx(1.0, abs=1e-5)


def test_empty_batches_and_empty_inputs(encoder: Encoder) -> None:
    assert encoder.images([]).shape == encoder.sketches([]).shape == encoder.texts([]).shape == (0, 1024)
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
    texts = ["a dog", "two people sit at a long wooden table in a dark room", "snow", "a dog", *(f"{number} birds" for number in range(20))]
    together = encoder.texts(texts)
    assert together[0] @ together[3] == pytest.approx(1.0, abs=1e-5)
    for row, text in enumerate(texts):
        assert encoder.texts([text])[0] @ together[row] > 0.999


def test_neither_threads_nor_compiled_graphs_that_were_kept_change_a_vector(encoder: Encoder, tmp_path: Path) -> None:
    drawings = [drawing(), drawing((300, 400), 8).rotate(90, expand=True, fillcolor="white")]
    ImageDraw.Draw(drawings[1]).ellipse((30, 30, 120, 250), outline="black", width=5)
    wanted = encoder.sketches(drawings)
    assert wanted[0] @ wanted[1] < 0.95
    (tmp_path / "of-another-version").mkdir()
    for _ in range(2):
        loaded = lite.load(threads=4, keep=tmp_path)
        for ours, theirs in zip(loaded.sketches(drawings), wanted, strict=True):
            assert ours @ theirs > 0.999
        assert loaded.images([photo("red")])[0] @ encoder.images([photo("red")])[0] > 0.999
        (version,) = tmp_path.iterdir()
        kept = sorted(version.glob("*.blob"), key=lambda file: file.stat().st_size)
        assert len(kept) == 4
        kept[0].chmod(0o600)
        with kept[0].open("r+b") as damaged:
            damaged.truncate(1_000_000)


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
    ink = np.asarray(preprocess.prepare_sketch(wide).getchannel("R")) < 128
    columns = np.flatnonzero(ink.any(0))
    assert columns[0] < 24
    assert columns[-1] > 200
    rows = np.flatnonzero(ink.any(1))
    assert rows[-1] - rows[0] < 40  # not stretched


def test_a_sketch_also_keeps_its_place_on_the_canvas() -> None:
    canvas = Image.new("RGB", (800, 400), "white")
    ImageDraw.Draw(canvas).rectangle((600, 40, 760, 200), outline="black", width=8)
    prepared = preprocess.prepare_sketch(canvas)
    crop, whole = (np.asarray(prepared.getchannel(channel)) < 128 for channel in "RG")
    assert np.flatnonzero(crop.any(0))[0] < 24  # cropped, it fills the square
    side = preprocess.CANVAS_SIDE
    columns, rows = np.flatnonzero(whole.any(0)), np.flatnonzero(whole.any(1))
    np.testing.assert_allclose([columns[0], columns[-1], rows[0], rows[-1]], np.array([600, 760, 80, 400]) * side / 800, atol=3)
    assert not whole[side:].any()
    assert not whole[:, side:].any()


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


def framed(*boxes: tuple[int, int, int, int]) -> npt.NDArray[np.uint8]:
    """A canvas of 100 px with such boxes drawn on it."""
    canvas = Image.new("L", (100, 100), 255)
    for box in boxes:
        ImageDraw.Draw(canvas).rectangle(box, outline=0, width=3)
    return np.asarray(canvas)


def test_one_thing_that_fills_its_canvas_claims_no_place() -> None:
    full, low, left, small, empty = (
        framed((5, 20, 94, 79)),
        framed((5, 70, 94, 94)),
        framed((2, 5, 50, 94)),
        framed((40, 40, 60, 60)),
        framed(),
    )
    one = np.full(5, 2.0, np.float32)
    np.testing.assert_allclose(module.claims(np.stack([full, low, left, small, empty]), one), [0, 1, 1, 1, 0], atol=1e-6)
    assert module.claims(full[np.newaxis], np.array([0.5], np.float32))[0] == 1  # several things, wherever their whole lies
    moved = [module.claims(framed((5 + by, 20, 94 + by, 79))[np.newaxis], one[:1])[0] for by in range(6)]
    assert moved == sorted(moved)  # by degrees
    assert 0 < moved[4] < 1


def test_a_drawing_counts_beside_words_by_what_these_leave_open(encoder: Encoder) -> None:
    row = encoder.sketches([drawing()])
    what, where = np.split(row, 2, axis=1)
    texts = ["pig", "a pig", "a pig sleeps in the mud beside a red barn"]
    beside = encoder.beside(np.repeat(row, 3, axis=0), texts)
    drawn, placed = (np.linalg.norm(part, axis=1) for part in np.split(beside, 2, axis=1))
    assert drawn[0] == drawn[1] > 4 * drawn[2] > 0
    assert placed == pytest.approx([placed[0]] * 3)
    assert placed[0] / drawn[0] > np.linalg.norm(where) / np.linalg.norm(what)
    np.testing.assert_allclose(unit(encoder.beside(row, ["a pig"], 0.0)), row, atol=1e-6)  # words that do not count


def test_a_drawing_finds_things_where_they_were_drawn(encoder: Encoder) -> None:
    photos = []
    for left in (10, 190):
        image = Image.new("RGB", (360, 240), (90, 150, 220))
        ImageDraw.Draw(image).ellipse((left, 70, left + 150, 190), fill=(230, 120, 20), outline="black", width=3)
        photos.append(image)
    sketches = []
    for left in (10, 190):
        canvas = Image.new("RGB", (360, 240), "white")
        ImageDraw.Draw(canvas).ellipse((left, 70, left + 150, 190), outline="black", width=5)
        sketches.append(canvas)
    scores = encoder.sketches(sketches) @ encoder.images(photos).T
    assert scores[0, 0] - scores[0, 1] > scores[1, 0] - scores[1, 1]


def test_what_all_cells_of_a_drawing_say_alike_counts_less() -> None:
    grids = np.zeros((1, 512), np.float32)
    grids.reshape(16, 32)[:, 0] = 1  # everywhere
    grids.reshape(16, 32)[:4, 1] = 1  # in the first row
    cells = module.contrasted(grids).reshape(16, 32)
    assert np.linalg.norm(cells) == pytest.approx(1)
    everywhere, high, elsewhere = cells[:, 0], cells[:4, 1], cells[4:, 1]
    np.testing.assert_allclose(everywhere, (high[0] - elsewhere[0]) * module.EVERYWHERE, atol=1e-6)
    assert high.min() > 0 > elsewhere.max()


def test_two_towers_for_drawings_are_joined_part_by_part() -> None:
    first = np.array([[2.0, 0, 0, 3, 0.5], [0, 4, 1, 0, 0.5]], np.float32)
    second = np.array([[0, 5.0, 0, 1], [0, 1, 1, 0]], np.float32)
    how = {"parts": [2, 2], "words": 1.0, "shapes": 0.5, "shares": [0.6, 0.0, 0.8]}
    half = 0.6 / np.sqrt(2)
    rows, likeness = module.joined(first, second, how, 6)
    assert likeness.tolist() == [2, 2]  # there are no things
    np.testing.assert_allclose(rows, [[half, half, 0, 0, 0, 0.8], [0, 0.6, 0, 0, 0, 0.8]], atol=1e-6)


def test_a_drawing_is_pulled_towards_photos_of_what_it_resembles() -> None:
    drawn = np.array([[1.0, 0, 0, 1, 0], [0, 1, 0, 1, 0]], np.float32)
    how = {"parts": [2, 2], "words": 1.0, "shapes": 1.0, "shares": [1.0, 1.0, 0.0], "sharpness": 50.0}
    keys = np.array([[1, 0, 0, 1], [0, 1, 0, 1]], np.float32)
    values = np.array([[0.3, 0.4, 0, 0], [0, 0, 0, 0]], np.float32)  # of the second there are no photos

    pulled, likeness = module.joined(drawn, drawn, how, 5, np.stack([keys, values]))

    np.testing.assert_allclose(pulled[0], [*(np.array([1.3, 0.4]) / np.hypot(1.3, 0.4)), 0, 1, 0], atol=1e-5)
    np.testing.assert_allclose(pulled[1], [0, 1, 0, 1, 0], atol=1e-5)
    np.testing.assert_allclose(likeness, [2, 2], atol=1e-5)


def test_words_also_say_how_things_look_and_where_they_stand() -> None:
    layers = {
        "skip": np.array([[0, 0, 4, 0], [3, 3, 0, 0]]), "bias": np.array([0, 0, 0, 0]),
        "up": np.array([[1.0], [-1.0]]), "up_bias": np.array([0.5]), "down": np.array([[2, 0, 0, 2]]),
    }  # fmt: skip
    guess = module.Depiction(layers, {"shapes": 0.5, "places": 0.25, "crowding": 2.0}, [2, 2], 5)
    rows = np.array([[0.8, 0, 0, 0, 0.6, 0, 0], [0, 1, 0, 0, 0, 0, 0]], np.float32)

    first, second = guess(rows)

    first *= 0.8 / first[0]  # words as long as before
    # What is negative says nothing: 1.5 comes through `up`, -0.5 does not.
    np.testing.assert_allclose(first, [0.8, 0, 0.4, 0, 1.2, 0.2 * 0.8, 0.2 * 0.6], atol=1e-6)
    np.testing.assert_allclose(second[:4] / second[1], [0, 1, 0.5 * np.sqrt(0.5), 0.5 * np.sqrt(0.5)], atol=1e-6)
    assert np.isfinite(guess(np.zeros((1, 7), np.float32))).all()


def test_photos_are_found_by_how_words_look_alone(encoder: Encoder, gallery: Gallery) -> None:
    names, photos = gallery
    texts = ["a plate of food", "people riding skateboards", "an airplane"]
    said = encoder.texts(texts)
    said[:, :256] = said[:, 510:512] = 0
    found = [[names[place] for place in np.argsort(-(photos @ row))[:10]] for row in said]
    assert len({*found[0]} & {*found[1]}) < 5  # the guess of each text is its own
    whole = [[names[place] for place in np.argsort(-(photos @ row))[:5]] for row in encoder.texts(texts)]
    assert sum(len({*alone} & {*both}) for alone, both in zip(found, whole, strict=True)) >= 6  # and agrees with the words


def test_what_words_depict_changes_no_photo_and_no_fingerprint(tmp_path: Path) -> None:
    for file in module.WEIGHTS.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({name: value for name, value in manifest.items() if name != "depicted"}))
    (tmp_path / module.DEPICTED_FILE).unlink()
    assert module.fingerprint(tmp_path) == manifest["fingerprint"]
    assert not lite.load(folder=tmp_path).texts(["a dog"])[0, 512:].any()


def test_fingerprint_is_that_of_the_files(encoder: Encoder) -> None:
    manifest = json.loads((module.WEIGHTS / "manifest.json").read_text())
    assert module.fingerprint() == manifest["fingerprint"] == encoder.fingerprint


def test_weights_stay_small() -> None:
    assert sum(file.stat().st_size for file in module.WEIGHTS.iterdir()) < 60e6


def test_openvino_that_cannot_be_loaded_is_a_sentence_and_ctrl_c_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "openvino.py"
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "openvino", raising=False)
    broken.write_text('raise ImportError("libtbb.so.12: cannot open shared object file")')
    with pytest.raises(EncoderUnavailable, match=r"OpenVINO.*libtbb\.so\.12"):
        lite.load()
    broken.write_text('raise ImportError("initialization failed") from KeyboardInterrupt()')
    with pytest.raises(KeyboardInterrupt):
        lite.load()
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EncoderUnavailable, match=r"needs openvino, which is not installed"):
        lite.load()


def test_a_missing_or_damaged_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(EncoderUnavailable, match="cannot be read"):
        lite.load(folder=tmp_path)
    for file in module.WEIGHTS.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    for damaged in (b"PK\x03\x04 no archive", b"", None):
        (tmp_path / module.DEPICTED_FILE).unlink()
        if damaged is not None:
            (tmp_path / module.DEPICTED_FILE).write_bytes(damaged)
        with pytest.raises(EncoderUnavailable, match="cannot be read"):
            lite.load(folder=tmp_path)
        (tmp_path / module.DEPICTED_FILE).touch()
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
    text = "It is a plate of food."
    drawn = together(encoder, encoder.sketches([sketch]), [text], encoder.default_weights)
    query = fuse([(encoder.texts([text])[0], 1.0), (drawn[0], encoder.default_weights["sketch"])])
    assert "163852" in best(gallery, query, 10)


ELSEWHERE = """
asdfghjkl | qwertyuiop | lkjh gfds | blorp snarf wibble | zzzzzzzz | 一只狗在海滩上 | 红色的汽车
собака на пляже | ein Hund am Strand | zwei Kinder spielen im Garten | das alte Haus am See
un perro en la playa | un chat sur le canapé | a submarine | a penguin on ice | a violin
a chess board | a map of europe | quarterly tax report | democracy
"""


def test_what_photos_do_not_show_is_not_likely(encoder: Encoder, gallery: Gallery) -> None:
    def likely(text: str) -> int:
        vector = encoder.texts([text])[0]
        curve = encoder.calibration.curve([("text", vector, 1.0)]) if encoder.calibration else None
        assert curve is not None
        return sum(curve.relevance(float(score)) >= curve.cut for score in gallery[1] @ vector)

    assert sum(likely(text) for text in re.split(r"[|\n]", ELSEWHERE.strip())) <= 2
    for text in ("a pizza", "a giraffe", "a church", "a cat and a dog", "fruit in a bowl", "a bedroom with a desk"):
        assert 1 <= likely(text) <= 10, text
    assert not any(encoder.knows(text) for text in ("ein Hund am Strand", "一只狗在海滩上"))
    assert encoder.calibration is not None
    assert set(encoder.calibration.curves) == {"text", "sketch", "image", "mixed"}


def test_nobody_is_told_that_it_was_loaded(tmp_path: Path) -> None:
    """OpenVINO's telemetry gives this computer a number, which it keeps in the home folder, and sends it with each import."""
    code = (
        "import sys; from tsir.encoders import lite; lite.load(); assert 'openvino.tools.ovc' not in sys.modules; "
        "from openvino.tools.ovc import convert_model; assert callable(convert_model)"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "TF_BUILD", "JENKINS_URL")}
    subprocess.run([sys.executable, "-c", code], env={**environment, "HOME": str(tmp_path)}, check=True, timeout=120)
    assert not list(tmp_path.iterdir())
