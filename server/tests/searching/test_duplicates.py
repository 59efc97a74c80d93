"""Near-duplicates, found by vectors and proved by pixels."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PILImage
from PIL import ImageOps
from PIL.Image import Image as Picture

from tsir.media.likeness import Small, alike, small
from tsir.records import Image, ImageMetadata
from tsir.searching.duplicates import groups, near


def record(id: int, picture: Picture, taken_at: datetime | None = None) -> Image:
    metadata = ImageMetadata(picture.width, picture.height, "JPEG", taken_at)
    return Image(id, "c", (f"/{id}.jpg",), f"{id:064x}", picture.width * picture.height, metadata, datetime.now(timezone.utc))


def cropped(picture: Picture, left: float, top: float, right: float, bottom: float) -> Picture:
    width, height = picture.size
    return picture.crop((round(width * left), round(height * top), round(width * (1 - right)), round(height * (1 - bottom))))


def grouped(images: list[Image], copies: Mapping[int, Small | None]) -> list[list[int]]:
    """Ids of the groups of images whose vectors tell nothing apart."""
    return [[image.id for image in group] for group in groups(images, np.ones((len(images), 1)), lambda image: copies[image.id])]


@pytest.fixture(scope="module")
def real(shared_data: Path) -> list[Picture]:
    return [PILImage.open(path).convert("RGB") for path in sorted((shared_data / "photos-100").glob("*.jpg"))[:12]]


def test_copies_of_a_photo_are_one_picture_and_other_photos_are_not(real: list[Picture]) -> None:
    copies = [
        [
            photo,
            photo.resize((photo.width // 3, photo.height // 3)),
            cropped(photo, 0.05, 0, 0, 0.05),
            cropped(photo, 0.05, 0.05, 0.05, 0.05),
            ImageOps.mirror(photo),
            ImageOps.mirror(cropped(photo, 0, 0.05, 0.05, 0)).resize((photo.width // 2, photo.height // 2)),
        ]
        for photo in real
    ]
    every = [copy for kind in zip(*copies, strict=True) for copy in kind]
    found = grouped([record(number, copy) for number, copy in enumerate(every)], dict(enumerate(map(small, every))))
    assert [[id % len(real) for id in group] for group in found] == [[number] * 6 for number in range(len(real))]
    assert all(every[group[0]].size == real[group[0] % len(real)].size for group in found)


def test_what_moved_recoloured_or_was_turned_is_another_picture(real: list[Picture]) -> None:
    photo = real[0]
    moved = photo.copy()
    moved.paste(photo.resize((photo.width // 5, photo.height // 5)), (photo.width // 2, photo.height // 2))
    red, green, blue = photo.split()
    for other in (moved, PILImage.merge("RGB", (blue, green, red)), ImageOps.flip(photo), cropped(photo, 0.3, 0, 0, 0)):
        assert not alike(small(photo)[None], small(other)[None])
    plain = [PILImage.new("RGB", (60, 40), colour) for colour in ((200, 30, 30), (160, 30, 30), (200, 30, 30))]
    assert list(alike(np.stack([small(plain[0])] * 3), np.stack([small(one) for one in plain]))) == [True, False, True]


def test_the_best_comes_first_and_everyone_is_compared_with_it(real: list[Picture]) -> None:
    large, tiny = real[1].resize((600, 400)), real[1].resize((90, 60))
    images = [record(1, tiny), record(2, large), record(3, tiny, datetime(2020, 1, 1, tzinfo=timezone.utc))]
    pixels = {image.id: small(picture) for image, picture in zip(images, (tiny, large, tiny), strict=True)}
    assert grouped(images, pixels) == [[3, 2, 1]], "what the camera wrote, then the largest"
    assert grouped(images, {**pixels, 2: None}) == [[3, 1]], "what cannot be seen is in no group"
    assert groups(images, np.eye(3, dtype=np.float16), lambda image: pixels[image.id]) == [], "vectors have a say"
    # A pan: each frame is nearly the next one, the last one nothing like the first.
    frames = [real[2].crop((step * 12, 0, step * 12 + 400, 380)) for step in range(12)]
    for group in grouped([record(number, frame) for number, frame in enumerate(frames)], dict(enumerate(map(small, frames)))):
        assert max(group) - min(group) <= 7


@given(st.integers(2, 60), st.integers(2, 90), st.sampled_from([0.5, 0.8, 0.95]), st.integers(0, 2**32 - 1))
def test_pairs_are_those_of_all_products(count: int, dim: int, least: float, seed: int) -> None:
    dice = np.random.default_rng(seed)
    rows = dice.normal(size=(2, count, dim)).astype(np.float32)
    rows[0, count // 2 :] = rows[0, : count - count // 2] + 0.2 * rows[0, count // 2 :]
    rows[1, : count // 4] = rows[0, count - count // 4 :] + 0.4 * rows[1, : count // 4]
    rows /= np.linalg.norm(rows, axis=2, keepdims=True)
    products = np.maximum(rows[0] @ rows[0].T, rows[0] @ rows[1].T)
    found = {(int(a), int(b)) for a, b in near(rows[0], rows[1], least)}
    assert all(a < b for a, b in found)
    for a in range(count):
        later = np.sort(products[a, a + 1 :])[::-1]
        for b in range(a + 1, count):
            if abs(products[a, b] - least) > 1e-5 and (len(later) <= 32 or products[a, b] > later[32] + 1e-5):
                assert ((a, b) in found) == (products[a, b] > least)


def test_pairs_across_blocks_and_of_crowds_are_bounded() -> None:
    dice = np.random.default_rng(3)
    rows = dice.normal(size=(9_000, 96)).astype(np.float32)
    rows[[3, 8_999]] = rows[700]
    rows[5_000:6_000] = rows[5_000] + 0.01 * rows[5_000:6_000]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = near(rows, rows, 0.9)
    assert {(3, 700), (3, 8_999), (700, 8_999)} <= {(int(a), int(b)) for a, b in found}
    crowd = found[(found[:, 0] >= 5_000) & (found[:, 0] < 6_000)]
    assert len(found) == len(crowd) + 3
    assert np.bincount(crowd[:, 0] - 5_000, minlength=1_000)[:900].tolist() == [32] * 900
