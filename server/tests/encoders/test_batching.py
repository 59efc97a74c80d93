from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from tests.fakes import COLOURS, FakeEncoder
from tests.jobs.toys import until
from tsir.encoders.base import Encoder, Vectors, unit
from tsir.encoders.batching import REMEMBERED, SMALL, Batched
from tsir.errors import EncoderUnavailable, InvalidInput


class Spy(FakeEncoder):
    """Notes the length of every call, refuses the text "bad", and waits for `go` inside image calls, for `talk` inside those of texts."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, int]] = []
        self.go = threading.Event()
        self.go.set()
        self.inside = threading.Event()
        self.talk = threading.Event()
        self.talk.set()

    def texts(self, batch: Sequence[str]) -> Vectors:
        self.calls.append(("texts", len(batch)))
        assert self.talk.wait(20)
        if "bad" in batch:
            raise InvalidInput("bad text")
        return super().texts(batch)

    def images(self, batch: Sequence[Image.Image]) -> Vectors:
        self.calls.append(("images", len(batch)))
        self.inside.set()
        assert self.go.wait(20)
        return super().images(batch)


@pytest.fixture
def spy() -> Spy:
    return Spy()


@pytest.fixture
def batched(spy: Spy) -> Iterator[Callable[..., Batched]]:
    made: list[Batched] = []

    def make(max_batch: int = 32) -> Batched:
        made.append(Batched(spy, max_batch=max_batch))
        return made[-1]

    yield make
    spy.go.set()
    for one in made:
        one.close()


def plain(colour: str, size: int = 8) -> Image.Image:
    return Image.new("RGB", (size, size), tuple(255 * value for value in COLOURS[colour]))


def test_it_is_an_encoder_with_the_properties_of_the_inner_one(batched: Callable[..., Batched], spy: Spy) -> None:
    outer = batched()
    assert isinstance(outer, Encoder)
    assert (outer.name, outer.fingerprint, outer.dim) == (spy.name, spy.fingerprint, spy.dim)
    assert outer.prepare_photo(plain("red", 20)).size == (8, 8)


def at_once(outer: Batched, spy: Spy, texts: list[list[str]]) -> list[Future[Vectors]]:
    """Encode these in threads of their own; none is done before all have been asked for."""
    spy.talk.clear()
    with ThreadPoolExecutor(len(texts)) as pool:
        futures = [pool.submit(outer.texts, text) for text in texts]
        until(lambda: outer.queries == len(texts))
        spy.talk.set()
    return futures


def test_concurrent_queries_become_two_calls_and_each_gets_its_own_vectors(batched: Callable[..., Batched], spy: Spy) -> None:
    texts = [[f"red word{n}", f"green word{n}"] for n in range(12)]
    for answer, text in zip(at_once(batched(), spy, texts), texts, strict=True):
        np.testing.assert_array_equal(answer.result(), FakeEncoder().texts(text))
    assert len(spy.calls) == 2
    assert sum(items for _, items in spy.calls) == 24


def test_a_gathered_call_stays_below_the_largest_batch(batched: Callable[..., Batched], spy: Spy) -> None:
    at_once(batched(max_batch=5), spy, [["red", "blue"]] * 10)
    assert max(items for _, items in spy.calls) == 4


def test_a_bad_item_fails_only_its_own_caller(batched: Callable[..., Batched], spy: Spy) -> None:
    for number, future in enumerate(at_once(batched(), spy, [[text] for text in ["red", "green", "bad", "blue", "white", "red"]])):
        if number == 2:
            with pytest.raises(InvalidInput, match="bad text"):
                future.result()
        else:
            assert future.result().shape == (1, 8)


def test_a_text_that_was_asked_for_is_not_encoded_again(batched: Callable[..., Batched], spy: Spy) -> None:
    outer = batched()
    first = outer.texts(["red", "blue"])
    np.testing.assert_array_equal(outer.texts(["blue", "green", "blue", "red"])[[3, 0, 2]], first[[0, 1, 1]])
    assert spy.calls == [("texts", 2), ("texts", 1)]
    outer.texts([f"word{n}" for n in range(REMEMBERED)])
    outer.texts(["red"])
    assert spy.calls[-1] == ("texts", 1), "it was forgotten for later ones"


def test_a_large_batch_keeps_its_order(batched: Callable[..., Batched], spy: Spy) -> None:
    pictures = [plain(colour) for colour in ["red", "green", "blue"] * 20]
    np.testing.assert_array_equal(batched().images(pictures), FakeEncoder().images(pictures))
    assert len(spy.calls) > 1


def test_a_query_is_answered_while_a_large_batch_runs(batched: Callable[..., Batched], spy: Spy) -> None:
    outer = batched()
    spy.go.clear()
    with ThreadPoolExecutor(1) as pool:
        importing = pool.submit(outer.images, [plain("red")] * (SMALL * 4))
        assert spy.inside.wait(20)
        assert outer.texts(["red"]).shape == (1, 8)
        assert not importing.done()
        spy.go.set()
        assert importing.result(20).shape == (SMALL * 4, 8)


def test_an_empty_batch_gives_no_rows(batched: Callable[..., Batched], spy: Spy) -> None:
    assert batched().texts([]).shape == (0, 8)
    assert spy.calls == []


def test_everything_of_the_encoder_shows_and_it_is_closed_with_the_runtime() -> None:
    class Blank(Spy):
        device = "cuda:1"
        photo_size = 12
        scaled_decode = True
        default_weights = {"text": 2.0}  # noqa: RUF012
        neutral = {"text": unit(np.ones(8))}  # noqa: RUF012
        closed = 0

        def beside(self, sketches: Vectors, texts: Sequence[str], words: float = 1.0) -> Vectors:
            return sketches * np.float32(words * len(texts[0]))

        def close(self) -> None:
            self.closed += 1

    inner = Blank()
    outer = Batched(inner)
    assert isinstance(outer, Encoder)
    assert (outer.info, outer.device, outer.photo_size, outer.scaled_decode) == (inner.info, "cuda:1", 12, True)
    assert (outer.default_weights, outer.neutral) == (inner.default_weights, inner.neutral)
    assert outer.beside(np.ones((1, 8), np.float32), ["pig"], 0.5)[0, 0] == 1.5
    outer.close()
    assert inner.closed == 1


def test_a_closed_runtime_refuses_calls_and_closes_twice(batched: Callable[..., Batched]) -> None:
    outer = batched()
    outer.texts(["red"])
    outer.close()
    outer.close()
    with pytest.raises(EncoderUnavailable):
        outer.texts(["red"])
    with pytest.raises(EncoderUnavailable):
        outer.images([plain("red")] * 10)
