"""Scenes composed from drawings of single things, laid where a detector saw such things."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

pytest.importorskip("torch", reason="needs the extra `train`")

from tsir.training.data import Drawing
from tsir.training.scenes import Artist, Thing, outline, paint, read_things, scene, with_outlines

SQUARE = Drawing("1", "Suitcase", [([0, 200, 200, 0, 0], [0, 0, 100, 100, 0])])


def bounds(ink: np.ndarray) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the ink, in shares of the canvas."""
    rows, columns = np.flatnonzero((ink > 100).any(1)), np.flatnonzero((ink > 100).any(0))
    side = len(ink)
    return columns[0] / side, rows[0] / side, (columns[-1] + 1) / side, (rows[-1] + 1) / side


def test_things_of_a_photo_are_the_sure_and_large_ones_largest_first(tmp_path: Path) -> None:
    boxes = [["dog", 0.9, 10, 20, 40, 30], ["cat", 0.3, 0, 0, 100, 100], ["cup", 0.9, 0, 0, 5, 5], ["horse", 0.5, 0, 0, 80, 80]]
    path = tmp_path / "boxes.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(json.dumps({"photo": "p", "size": [100, 200], "boxes": boxes}) + "\n")
    horse, dog = read_things(path)["p"]
    assert (horse.name, dog.name) == ("horse", "dog")
    assert dog.box == (0.1, 0.1, 0.4, 0.15)


def test_a_thing_is_drawn_into_its_box() -> None:
    artist = Artist([SQUARE], [])
    for seed in range(8):
        ink, drawn = scene(artist, [Thing("suitcase", (0.5, 0.1, 0.4, 0.3))], np.random.default_rng(seed))
        assert [thing.name for thing in drawn] == ["suitcase"]
        np.testing.assert_allclose(bounds(ink), (0.5, 0.1, 0.9, 0.4), atol=0.1)


def test_what_nobody_drew_is_left_out() -> None:
    artist = Artist([SQUARE], [])
    assert not artist.knows("frisbee")
    ink, drawn = scene(artist, [Thing("frisbee", (0.2, 0.2, 0.4, 0.4))], np.random.default_rng(0))
    assert drawn == []
    assert not ink.any()


def test_an_outline_is_that_of_the_thing_in_the_box() -> None:
    photo = Image.new("RGB", (200, 200), (60, 120, 60))
    ImageDraw.Draw(photo).ellipse((60, 40, 140, 160), fill=(220, 60, 40))
    found = outline(photo, (0.25, 0.15, 0.5, 0.7))
    assert found is not None
    np.testing.assert_allclose([*found.min(0), *found.max(0)], [0.3, 0.2, 0.7, 0.8], atol=0.03)
    assert outline(photo, (0.0, 0.0, 1.0, 1.0)) is None  # nothing around it to compare it with
    kite, bowl = with_outlines(photo, [Thing("kite", (0.25, 0.15, 0.5, 0.7)), Thing("bowl", (0.25, 0.15, 0.5, 0.7))], "kite".__eq__)
    assert kite.outline is not None
    assert bowl.outline is None


def test_a_thing_without_outline_borrows_one_of_its_kind() -> None:
    own = np.array([[0.2, 0.2], [0.4, 0.2], [0.4, 0.6], [0.2, 0.6]])
    artist = Artist([], [Thing("kite", (0.2, 0.2, 0.2, 0.4), own)])
    (stroke,) = artist.draw(Thing("kite", (0.5, 0.0, 0.4, 0.8)), np.random.default_rng(2))
    np.testing.assert_allclose([*stroke.min(0), *stroke.max(0)], [0.5, 0.0, 0.9, 0.8], atol=0.04)
    assert artist.draw(Thing("kite", (0.0, 0.0, 0.9, 0.1)), np.random.default_rng(2)) == []  # of these proportions it knows none


def test_the_same_seed_draws_the_same_scene() -> None:
    artist, things = Artist([SQUARE], []), [Thing("person", (0.1, 0.1, 0.3, 0.8)), Thing("suitcase", (0.5, 0.5, 0.4, 0.4))]
    first, second, other = (scene(artist, things, np.random.default_rng(seed))[0] for seed in (5, 5, 6))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_pen_is_as_wide_as_asked() -> None:
    ink = paint([np.array([[0.0, 0.5], [1.0, 0.5]])], 4.0, side=100)
    assert 3 <= (ink[:, 50] > 127).sum() <= 5
