"""Pictures that show nothing: which they are, and where they come in answers of the encoder that ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tsir.encoders.base import Encoder, Vectors
from tsir.encoders.lite.encoder import load
from tsir.encoders.plain import is_plain, photo_vectors, prepared

Colour = tuple[float, float, float]


def shade(top: Colour, bottom: Colour | None = None, grain: float = 3.0, size: tuple[int, int] = (640, 480)) -> Image.Image:
    """From one colour to another, with grain."""
    fall = np.linspace(0, 1, size[1])[:, np.newaxis, np.newaxis]
    pixels = np.array(top) * (1 - fall) + np.array(bottom or top) * fall + np.random.default_rng(0).normal(0, grain, (*size[::-1], 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def page(dots: int = 0) -> Image.Image:
    scan = shade((250, 249, 246), (230, 228, 222), size=(620, 877))
    for number in range(dots):
        ImageDraw.Draw(scan).ellipse((90 * number, 200 * number, 90 * number + 4, 200 * number + 4), fill=80)
    return scan


PLAIN = {
    "black frame": shade((0, 0, 0), grain=0),
    "lens cap": shade((4, 3, 3), (14, 10, 9), grain=4),
    "beige wall": shade((214, 200, 178), (190, 176, 150), grain=5),
    "red": shade((220, 20, 30), grain=0),
    "blank scan": page(),
    "dusty scan": page(4),
}


def drawn(base: Image.Image, *boxes: tuple[int, int, int, int]) -> Image.Image:
    draw = ImageDraw.Draw(base)
    for box in boxes:
        draw.ellipse(box, fill=(120, 90, 70))
    return base


SHOWING = {
    "moon": drawn(shade((3, 3, 5)), (300, 200, 340, 240)),
    "cup on white": drawn(shade((250, 250, 248)), (250, 150, 400, 330)),
    "text": drawn(page(), *((x, y, x + 3, y + 9) for x in range(60, 560, 7) for y in range(60, 800, 24))),
    "line": drawn(page(), (60, 100, 400, 116)),
}


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_only_what_shows_nothing_is_plain(mode: str) -> None:
    assert [name for name, picture in PLAIN.items() if not is_plain(picture.convert(mode))] == []
    assert [name for name, picture in SHOWING.items() if is_plain(picture.convert(mode))] == []


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load(threads=1)


def vectors(encoder: Encoder, pictures: list[Image.Image]) -> Vectors:
    return photo_vectors(encoder, [prepared(encoder, picture) for picture in pictures])


def test_plain_pictures_lead_no_nonsense_and_are_found_by_their_look(encoder: Encoder, shared_data: Path) -> None:
    photos = vectors(encoder, [Image.open(path) for path in sorted((shared_data / "photos-100").glob("*.jpg"))])
    plain = vectors(encoder, list(PLAIN.values()))

    def places(queries: Vectors) -> np.ndarray:
        """How many photos stand before each plain picture: [queries, plain]."""
        return np.asarray(((queries @ photos.T)[:, np.newaxis] > (queries @ plain.T)[:, :, np.newaxis]).sum(axis=2))

    nonsense = ["qwertyuiop", "blargle", "asdf qwer zxcv", "tax return", "null pointer exception", "wibble wobble", "???"]
    assert (places(encoder.texts(nonsense)) == 0).sum() == 0
    nonsense += ["xkcd", "lorem ipsum", "foo bar", "zzz", "hjkl", "quarterly report", "democracy", "the", "asdfghjkl", "blorp snarf"]
    nonsense += ["invoice number", "stack overflow", "42", "hello"]
    assert (places(encoder.texts(nonsense)) < 10).mean() < 0.25
    assert places(encoder.texts(["a black picture"]))[0, 0] < 10
    assert places(encoder.texts(["plain red"]))[0, 3] < 10
    again = vectors(encoder, [shade((216, 202, 180), (192, 178, 152)), shade((2, 2, 2), grain=1)])
    assert places(again)[0, 2] == places(again)[1, 0] == 0
