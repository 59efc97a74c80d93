"""Searches in a real library with vectors that can be computed by hand."""

import io
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.fakes import FakeEncoder
from tsir.encoders.loaded import Encoders
from tsir.encoders.relevance import Calibration, Curve
from tsir.errors import EncoderMismatch, InvalidInput, NotFound
from tsir.library.library import Library
from tsir.media.decode import open_sketch
from tsir.records import Vectors
from tsir.searching import search as search_module
from tsir.searching.fusion import balanced
from tsir.searching.query import Query, Sort
from tsir.searching.search import Found
from tsir.searching.search import search as search_collection
from tsir.services.imports import submit_folder
from tsir.services.jobs import make_runner
from tsir.services.search import Question, find
from tsir.settings import Settings
from tsir.stopwatch import Stopwatch
from tsir.storage.filters import Filter


@pytest.fixture
def library(settings: Settings, photos: Path, encoder: FakeEncoder) -> Iterator[Library]:
    """The six pictures in `photos`."""
    with Library.open(settings) as library:
        library.create("photos", encoder.info)
        runner = make_runner(library, Encoders(settings, encoder), settings)
        try:
            assert runner.run_now(submit_folder(runner, "photos", photos)).state == "done"
        finally:
            runner.stop()
        yield library


def search(library: Library, encoder: FakeEncoder, query: Query, watch: Stopwatch | None = None) -> Found:
    return search_collection(library.collection(query.collection), encoder, query, watch)


def names(found: Found) -> list[str]:
    return [Path(hit.image.path).stem for hit in found.hits]


def colour(name: str) -> Image.Image:
    return Image.new("RGB", (30, 20), name)


def test_words_find_their_colour_first(library: Library, encoder: FakeEncoder) -> None:
    watch = Stopwatch()
    found = search(library, encoder, Query("photos", text="red"), watch)
    assert set(names(found)[:2]) == {"red0", "red1"}
    assert len(found.hits) == 6
    scores = [hit.score for hit in found.hits]
    assert scores == sorted(scores, reverse=True)
    assert found.next is None
    assert set(watch.milliseconds()) == {"encode", "search", "rows", "answer"}


def test_score_is_the_cosine_and_the_parts_add_up_to_it(library: Library, encoder: FakeEncoder) -> None:
    query = Query("photos", text="red", sketch=colour("blue"), image=colour("green"), not_text="black", weights={"text": 2, "image": 0.3})
    found = search(library, encoder, query)
    text, black = encoder.texts(["red", "black"])
    unwanted = balanced({"text": 2, "sketch": 1, "image": 0.3, "not_text": -0.5}, {})["not_text"]
    fused = 2 * text + unwanted * black + encoder.sketches([colour("blue")])[0] + 0.3 * encoder.images([colour("green")])[0]
    fused /= np.linalg.norm(fused)
    for hit in found.hits:
        assert set(hit.parts) == {"text", "not_text", "sketch", "image"}
        assert sum(hit.parts.values()) == pytest.approx(hit.score, abs=1e-5)
        with Image.open(hit.image.path) as picture:
            assert hit.score == pytest.approx(float(encoder.images([picture])[0] @ fused), abs=1e-4)


def test_not_text_pushes_away_whatever_the_sign_of_its_weight(library: Library, encoder: FakeEncoder) -> None:
    found = search(library, encoder, Query("photos", text="red blue", not_text="red", weights={"not_text": 0.5}))
    assert set(names(found)[:2]) == {"blue0", "blue1"}
    again = search(library, encoder, Query("photos", text="red blue", not_text="red", weights={"not_text": -0.5}))
    assert names(again) == names(found)


def test_part_with_weight_zero_is_as_if_not_given(library: Library, encoder: FakeEncoder) -> None:
    found = search(library, encoder, Query("photos", text="red", sketch=colour("blue"), weights={"sketch": 0}))
    assert set(found.hits[0].parts) == {"text"}


def test_words_are_encoded_while_the_drawing_is_decoded(library: Library, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()

    class Listening(FakeEncoder):
        def texts(self, batch: Sequence[str]) -> Vectors:
            begun.set()
            return super().texts(batch)

    def decode(data: bytes, **limits: Any) -> Image.Image:
        assert begun.wait(20), "nobody encodes the words yet"
        return open_sketch(data, **limits)

    monkeypatch.setattr("tsir.services.search.open_sketch", decode)
    drawing = io.BytesIO()
    colour("blue").save(drawing, "PNG")
    found = find(library, Encoders(settings, Listening()), settings, Question("photos", text="red", sketch=drawing.getvalue()))
    together = search(library, FakeEncoder(), Query("photos", text="red", sketch=colour("blue")))
    assert [(hit.image.id, hit.score, hit.parts) for hit in found.hits] == [(hit.image.id, hit.score, hit.parts) for hit in together.hits]


def test_like_finds_similar_pictures_and_not_itself(library: Library, encoder: FakeEncoder) -> None:
    red = search(library, encoder, Query("photos", text="red", limit=1)).hits[0].image
    found = search(library, encoder, Query("photos", like=red.id, limit=5))
    assert len(found.hits) == 5
    assert red.id not in [hit.image.id for hit in found.hits]
    assert names(found)[0].startswith("red")
    assert found.next is None
    with pytest.raises(NotFound):
        search(library, encoder, Query("photos", like=10**9))


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 6])
@pytest.mark.parametrize("like", [False, True])
def test_pages_show_everything_once_in_order(library: Library, encoder: FakeEncoder, limit: int, like: bool) -> None:
    target = search(library, encoder, Query("photos", text="green", limit=1)).hits[0].image.id if like else None
    everything = search(library, encoder, Query("photos", text="red green", like=target))
    cursor, paged = None, []
    for _ in range(10):
        page = search(library, encoder, Query("photos", text="red green", like=target, limit=limit, cursor=cursor))
        assert page.hits
        paged += [hit.image.id for hit in page.hits]
        cursor = page.next
        if cursor is None:
            break
    assert paged == [hit.image.id for hit in everything.hits]
    assert len(paged) == (5 if like else 6)


@pytest.mark.parametrize("sort", ["relevance", "taken", "imported"])
@pytest.mark.parametrize("removed", [(0,), (1, 2), (0, 1, 2), (2, 3)])
@pytest.mark.parametrize("back", [search_module.BACK, 1])
def test_next_page_goes_on_where_the_last_one_ended_whatever_was_removed(
    library: Library, encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch, sort: Sort, removed: tuple[int, ...], back: int
) -> None:
    monkeypatch.setattr(search_module, "BACK", back)
    asked = Query("photos", text="red green", sort=sort)
    everything = [hit.image.id for hit in search(library, encoder, asked).hits]
    first = search(library, encoder, replace(asked, limit=3))
    gone = [everything[number] for number in removed]
    library.collection("photos").remove(gone)
    second = search(library, encoder, replace(asked, limit=2, cursor=first.next))
    left = [id for id in everything[3:] if id not in gone]
    assert [hit.image.id for hit in second.hits] == left[:2]
    third = search(library, encoder, replace(asked, limit=2, cursor=second.next)).hits if second.next else []
    assert [hit.image.id for hit in third] == left[2:]


@pytest.mark.parametrize("limit", [1, 2])
def test_next_page_repeats_nothing_that_better_hits_pushed_there(
    library: Library, encoder: FakeEncoder, photos: Path, settings: Settings, limit: int
) -> None:
    asked = Query("photos", text="red", limit=limit)
    before = search(library, encoder, replace(asked, limit=6)).hits
    page = search(library, encoder, asked)
    seen = [hit.image.id for hit in page.hits]
    library.collection("photos").delete([hit.image.id for hit in before[2:]])
    runner = make_runner(library, Encoders(settings, encoder), settings)
    try:
        for number in range(9):
            Image.new("RGB", (60 + number, 40), (255, 0, 0)).save(photos / f"pure{number}.png")
        assert runner.run_now(submit_folder(runner, "photos", photos)).state == "done"
    finally:
        runner.stop()
    for _ in range(20):
        if page.next is None:
            break
        page = search(library, encoder, replace(asked, cursor=page.next))
        seen += [hit.image.id for hit in page.hits]
    assert page.next is None
    assert len(seen) == len(set(seen))
    assert {hit.image.id for hit in before[:2]} <= set(seen)


def test_cursor_of_another_query_is_refused(library: Library, encoder: FakeEncoder) -> None:
    cursor = search(library, encoder, Query("photos", sketch=colour("red"), limit=1)).next
    with pytest.raises(NotFound, match="another query"):
        search(library, encoder, Query("photos", sketch=colour("blue"), limit=1, cursor=cursor))


def test_min_score_ends_the_hits(library: Library, encoder: FakeEncoder) -> None:
    found = search(library, encoder, Query("photos", text="red", min_score=0.9, limit=2))
    assert set(names(found)) == {"red0", "red1"}
    assert found.next is None


def test_relevance_falls_with_the_score_and_draws_a_line(library: Library, encoder: FakeEncoder) -> None:
    assert {hit.relevance for hit in search(library, encoder, Query("photos", text="red")).hits} == {None}
    encoder.calibration = Calibration({"text": Curve(middle=0.5, steepness=10, cut=0.9)}, np.zeros(8, np.float32))
    found = search(library, encoder, Query("photos", text="red"))
    relevance = [hit.relevance for hit in found.hits if hit.relevance is not None]
    assert len(relevance) == 6
    assert relevance == sorted(relevance, reverse=True)
    assert (found.cut, found.hint) == (0.9, None)
    likely = search(library, encoder, Query("photos", text="red", min_relevance=0.9))
    assert names(likely) == names(found)[: sum(value >= 0.9 for value in relevance)]
    assert 2 <= len(likely.hits) < 6
    first = search(library, encoder, Query("photos", text="red", min_relevance=0.9, limit=1))
    assert names(search(library, encoder, Query("photos", text="red", min_relevance=0.9, limit=1, cursor=first.next))) == names(likely)[1:2]
    unlike = {"not_text": "red", "text": "blue"}
    assert search(library, encoder, Query("photos", **unlike)).hits[0].relevance is not None  # what pushes away asks for nothing
    drawn = search(library, encoder, Query("photos", text="red", sketch=colour("red")))
    assert (drawn.cut, drawn.hint, drawn.hits[0].relevance) == (None, None, None)
    with pytest.raises(InvalidInput, match=r"query of text and sketch: use min_score"):
        search(library, encoder, Query("photos", text="red", sketch=colour("red"), min_relevance=0.5))


def test_hint_says_when_no_hit_is_likely(library: Library, encoder: FakeEncoder) -> None:
    encoder.calibration = Calibration(
        {"text": Curve(middle=0.5, steepness=10, cut=0.9), "image": Curve(0.5, 10, 0.9)}, np.zeros(8, np.float32)
    )
    query = Query("photos", text="asdfghjkl", limit=2)
    found = search(library, encoder, query)
    assert (len(found.hits), found.hint) == (2, "nothing_likely")
    assert search(library, encoder, Query("photos", text="asdfghjkl", limit=2, cursor=found.next)).hint is None
    none = search(library, encoder, Query("photos", text="asdfghjkl", min_relevance=0.9))
    assert (none.hits, none.hint) == ([], "nothing_likely")
    red = search(library, encoder, Query("photos", text="red", limit=1)).hits[0].image
    assert search(library, encoder, Query("photos", like=red.id)).hits[0].relevance == pytest.approx(0.99, abs=0.02)
    encoder.foreign = frozenset({"rot"})
    assert search(library, encoder, Query("photos", text="rot")).hint == "language"
    assert search(library, encoder, Query("photos", text="rot", filter=Filter(min_width=10_000))).hint is None


def test_filter_narrows_the_search(library: Library, encoder: FakeEncoder) -> None:
    found = search(library, encoder, Query("photos", text="red", filter=Filter(min_width=65)))
    assert set(names(found)) == {"red1", "green1", "blue1"}


def test_parts_that_cancel_out_are_refused(library: Library, encoder: FakeEncoder) -> None:
    with pytest.raises(InvalidInput, match="cancel each other out"):
        search(library, encoder, Query("photos", text="red", not_text="red", weights={"text": 1, "not_text": 1}))


def test_unknown_collection_is_not_found(library: Library, encoder: FakeEncoder) -> None:
    with pytest.raises(NotFound, match="photos"):
        search(library, encoder, Query("nothing", text="red"))


def test_other_encoder_is_refused_by_name(library: Library) -> None:
    other = FakeEncoder("other")
    with pytest.raises(EncoderMismatch, match=r"fake.*other"):
        search(library, other, Query("photos", text="red"))
    with pytest.raises(EncoderMismatch, match="tsir reencode photos --encoder other"):
        Encoders(Settings(model="other"), other).of(library.collection("photos"))


def test_what_looks_alike_needs_no_encoder(library: Library, encoder: FakeEncoder) -> None:
    other = FakeEncoder("other", dim=4)
    other.calibration = Calibration({"image": Curve(0.5, 10, 0.9)}, np.zeros(4, np.float32))  # of cosines that are not these
    id = search(library, encoder, Query("photos", text="red")).hits[0].image.id
    settings = Settings(model="other")
    found = find(library, Encoders(settings, other), settings, Question("photos", like=id))
    same = search(library, encoder, Query("photos", like=id))
    assert [(hit.image.id, hit.score) for hit in found.hits] == [(hit.image.id, hit.score) for hit in same.hits]
    assert found.cut is None
    with pytest.raises(EncoderMismatch, match="tsir reencode"):
        find(library, Encoders(settings, other), settings, Question("photos", like=id, text="red"))
    with pytest.raises(InvalidInput, match="cannot tell"):
        find(library, Encoders(settings, other), settings, Question("photos", like=id, min_relevance=0.5))


def test_encoder_is_loaded_once_and_kept(settings: Settings) -> None:
    loaded: list[str] = []

    def load(settings: Settings) -> FakeEncoder:
        loaded.append(settings.model)
        return FakeEncoder(settings.model)

    encoders = Encoders(settings, load=load)
    assert encoders.main is encoders.named("lite")
    assert encoders.named("task-former").name == "task-former"
    assert encoders.named("task-former") is encoders.named("task-former")
    assert loaded == ["lite", "task-former"]


def test_the_running_encoder_is_loaded_for_the_first_search(library: Library, settings: Settings, encoder: FakeEncoder) -> None:
    assert Encoders(settings, load=lambda _: encoder).of(library.collection("photos")) is encoder


def test_a_lone_text_meets_the_blank_sketch_of_an_encoder_that_wants_it(library: Library, encoder: FakeEncoder) -> None:
    plain = search(library, encoder, Query("photos", text="red"))
    encoder.neutral = {"sketch": encoder.texts(["blue"])[0]}  # type: ignore[attr-defined]
    (first, *_) = search(library, encoder, Query("photos", text="red")).hits
    assert first.score < plain.hits[0].score
    assert first.parts == {"text": pytest.approx(first.score, abs=1e-5)}
    picture = Image.new("RGB", (8, 8), "red")
    both = search(library, encoder, Query("photos", text="red", sketch=picture)).hits[0]
    assert both.score == pytest.approx(plain.hits[0].score, abs=1e-3)
