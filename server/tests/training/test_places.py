"""The part for places: what is where, in photos and in drawings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

openvino = pytest.importorskip("openvino")
torch = pytest.importorskip("torch", reason="needs the extra `train`")

from PIL import Image, ImageDraw  # noqa: E402

from tsir.encoders.lite import preprocess  # noqa: E402
from tsir.encoders.lite.encoder import WEIGHTS  # noqa: E402
from tsir.training import places  # noqa: E402
from tsir.training.data import Sample  # noqa: E402
from tsir.training.imported import drawing_tower  # noqa: E402

EXACT = {"INFERENCE_PRECISION_HINT": "f32"}


def test_cells_share_a_map_without_gaps() -> None:
    over = places.windows(9)
    assert over.shape == (16, 81)
    torch.testing.assert_close(over.sum(1), torch.ones(16))
    assert (over.sum(0) > 0).all()
    left = over[0].reshape(9, 9)
    assert left[:3, :3].sum() > 0.8  # the first cell is the upper left corner


def test_a_mirrored_grid_changes_left_and_right() -> None:
    grid = torch.arange(32.0).reshape(1, 16, 2)
    turned = places.mirrored(grid, 4)
    assert turned[0, 0].tolist() == grid[0, 3].tolist()
    torch.testing.assert_close(places.mirrored(turned, 4), grid)


def test_whitened_directions_have_about_one_spread() -> None:
    rows = torch.randn(4000, 6, generator=torch.Generator().manual_seed(1)) * torch.tensor([9.0, 7, 5, 1e-3, 1e-3, 1e-3]) + 4
    white = places.Whitening(6, 3).fit(rows)(rows)
    torch.testing.assert_close(white.mean(0), torch.zeros(3), atol=1e-3, rtol=0)
    assert ((white.std(0) > 0.6) & (white.std(0) < 1.1)).all()


def heads() -> tuple[places.Whitening, places.PhotoPlaces, places.Whitening, places.SketchPlaces]:
    torch.manual_seed(3)
    photo, sketch = places.Whitening(2560, 24), places.Whitening(768, 24)
    for white in (photo, sketch):
        white.mean.normal_()
        white.basis.normal_(std=0.1)
    return photo, places.PhotoPlaces(24, 16, 0.1).eval(), sketch, places.SketchPlaces(24, 16, 0.1).eval()


def run(graph: Any, pixels: np.ndarray) -> np.ndarray:
    return np.array(openvino.Core().compile_model(graph, "CPU", EXACT)(pixels)[0])


@pytest.fixture(scope="module")
def photos() -> list[Sample]:
    pictures = []
    for colour in ("red", "teal"):
        image = Image.new("RGB", (300, 260), colour)
        ImageDraw.Draw(image).rectangle((20, 30, 150, 200), fill="white")
        pictures.append(image)
    return [Sample(str(row), _png(picture), {}) for row, picture in enumerate(pictures)]


def _png(picture: Image.Image) -> bytes:
    import io

    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def test_a_photo_graph_says_of_places_what_the_head_says(photos: list[Sample]) -> None:
    white, head, _, _ = heads()
    path = WEIGHTS / "image.xml"
    before = openvino.Core().read_model(path)
    shape = before.outputs[0].get_partial_shape()
    pixels = np.stack([np.asarray(preprocess.prepare_photo(photo.picture())) for photo in photos])
    cells = torch.from_numpy(places.photo_cells(path, photos).astype(np.float32))
    with torch.no_grad():
        wanted = torch.nn.functional.normalize(head(white(cells)).flatten(1), dim=-1).numpy()
    base, graph = run(before, pixels), openvino.Core().read_model(path)

    places.photo_graph(graph, white, head, 0.5)

    found = run(graph, pixels)
    width = shape[1].get_length()
    assert found.shape == (2, width + places.PLACES)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-4)
    length = np.sqrt(1.25)
    np.testing.assert_allclose(found[:, :width] * length, base, atol=2e-3)
    assert ((found[:, width:] * length / 0.5) * wanted).sum(1) == pytest.approx(1, abs=0.02)


def test_a_sketch_tower_keeps_what_it_says_of_the_crop_and_sees_the_canvas() -> None:
    _, _, white, head = heads()
    tower = drawing_tower(WEIGHTS / "sketch.xml", "lite0", 4, 1024)
    scene = places.SceneTower(tower, white, head)
    canvases = [Image.new("L", (300, 300), 255) for _ in range(2)]
    for canvas, left in zip(canvases, (20, 180), strict=True):
        ImageDraw.Draw(canvas).ellipse((left, 40, left + 90, 160), outline=0, width=5)
    pixels = torch.from_numpy(np.stack([np.asarray(preprocess.prepare_sketch(canvas)) for canvas in canvases]))
    with torch.no_grad():
        found, crop = scene(pixels), tower(pixels[:, :, :, :1].expand(-1, -1, -1, 3))
    parts = crop.shape[1]
    assert found.shape == (2, parts + places.PLACES)
    torch.testing.assert_close(found[:, :parts], crop)
    torch.testing.assert_close(found[0, :parts], found[1, :parts], atol=0.05, rtol=0)  # the same thing
    assert (found[0, parts:] - found[1, parts:]).abs().max() > 0.01  # elsewhere
