"""Photos that lie near too many queries are held back, in the store's own arithmetic: one dot product."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

openvino = pytest.importorskip("openvino")
pytest.importorskip("torch", reason="needs the extra `train`")

from tsir.encoders.base import unit  # noqa: E402
from tsir.training import hubs  # noqa: E402
from tsir.training.towers import DIM, WORDS  # noqa: E402

OPTIONS = {"sharpness": [40.0, 140.0], "strength": [0.6, 0.5]}
SHARE, REST = 0.5, 0.968
LENGTHS = (0.12, 0.22)


def as_they_are() -> Any:
    """A graph that gives back what it gets: what the tower made of a photo or a text."""
    import openvino.opset13 as ops

    rows = ops.parameter([-1, DIM], np.float32)
    return openvino.Model([ops.multiply(rows, np.float32(1.0))], [rows])


def run(model: Any, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.array(openvino.Core().compile_model(model, "CPU")(rows)[0])


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(4)


def photos(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Vectors as the photo tower makes them before: [unit words | unit shapes | 0] / sqrt(2)."""
    words, shapes = (unit(rng.normal(size=(count, n))) for n in (WORDS, DIM - WORDS - 1))
    return np.concatenate([words, shapes, np.zeros((count, 1), np.float32)], axis=1) * np.float32(0.5**0.5)


def test_the_score_of_a_text_is_its_likeness_less_the_crowding(rng: np.random.Generator) -> None:
    before, texts = photos(rng, 40), unit(rng.normal(size=(64, WORDS)))
    shown = hubs.both(rng.normal(size=(30, WORDS)).astype(np.float32), rng.normal(size=(30, hubs.SHAPES)).astype(np.float32), LENGTHS)
    graph, asked = as_they_are(), as_they_are()
    hubs.photo_graph(graph, texts, shown, OPTIONS, before, SHARE, REST)
    hubs.text_graph(asked, SHARE)
    question = np.zeros((1, DIM), np.float32)
    question[:, :WORDS] = unit(rng.normal(size=(1, WORDS)))

    after, query = run(graph, before), run(asked, question)

    np.testing.assert_allclose(np.linalg.norm(after, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(query, axis=1), 1, atol=1e-5)
    words = unit(before[:, :WORDS])
    crowding = hubs.crowding(words @ texts.T, OPTIONS["sharpness"][0])
    wanted = words @ question[0, :WORDS] - 0.6 * (crowding - crowding.mean())
    lengths = np.linalg.norm(after[:, :WORDS], axis=1)  # the new coordinates take a little of every photo's length
    np.testing.assert_allclose(after @ query[0] / lengths / (1 - SHARE**2) ** 0.5, wanted, atol=2e-3)


def test_the_score_of_a_drawing_is_its_likeness_less_the_crowding(rng: np.random.Generator) -> None:
    before, texts = photos(rng, 40), unit(rng.normal(size=(64, WORDS)))
    words, shapes = rng.normal(size=(31, WORDS)).astype(np.float32), rng.normal(size=(31, hubs.SHAPES)).astype(np.float32)
    drawn = hubs.both(words, shapes, LENGTHS)
    graph = as_they_are()
    hubs.photo_graph(graph, texts, drawn[1:], OPTIONS, before, SHARE, REST)

    after = run(graph, before)

    query = np.zeros(DIM, np.float32)
    query[: WORDS + hubs.SHAPES], query[-1] = drawn[0], REST
    seen = np.concatenate([unit(before[:, :WORDS]), unit(before[:, WORDS : WORDS + hubs.SHAPES])], axis=1)
    crowding = hubs.crowding(seen @ drawn[1:].T, OPTIONS["sharpness"][1])
    wanted = seen @ drawn[0] - 0.5 * (crowding - crowding.mean())
    lengths = np.linalg.norm(after[:, :WORDS], axis=1)
    np.testing.assert_allclose(after @ query / lengths, wanted, atol=2e-3)


def test_a_photo_near_every_text_no_longer_comes_first_for_all(rng: np.random.Generator) -> None:
    texts = unit(rng.normal(size=(200, WORDS)) + 0.12 * np.ones(WORDS))
    before = photos(rng, 200)
    before[:, :WORDS] = (unit(texts + 0.09 * rng.normal(size=(200, WORDS)))) * np.float32(0.5**0.5)
    before[0, :WORDS] = unit(texts.mean(axis=0)) * np.float32(0.5**0.5)  # the hub
    graph, asked = as_they_are(), as_they_are()
    hubs.photo_graph(graph, texts[100:], hubs.both(texts[:50], texts[:50, : hubs.SHAPES], LENGTHS), OPTIONS, before, SHARE, REST)
    hubs.text_graph(asked, SHARE)
    question = np.concatenate([texts[1:100], np.zeros((99, DIM - WORDS), np.float32)], axis=1)

    def places_of_the_hub(scores: NDArray[np.float32]) -> float:
        return float((scores > scores[:, :1]).sum(axis=1).mean())

    assert places_of_the_hub(question @ before.T) + 5 < places_of_the_hub(run(asked, question) @ run(graph, before).T)


def test_crowding_lies_between_mean_and_maximum() -> None:
    scores = np.array([[0.0, 1.0], [0.4, 0.4]], np.float32)
    np.testing.assert_allclose(hubs.crowding(scores, 1e-3), [0.5, 0.4], atol=1e-3)
    np.testing.assert_allclose(hubs.crowding(scores, 100.0), [1 - np.log(2) / 100, 0.4], atol=1e-4)
