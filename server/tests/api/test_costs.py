"""What a request asks of the stores and tells of its time."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from PIL import Image

from tests.api.conftest import picture, wait_ready
from tests.fakes import FakeEncoder
from tsir.app import create_app
from tsir.encoders.loaded import Encoders
from tsir.library.library import Library
from tsir.services.imports import submit_folder
from tsir.services.jobs import make_runner
from tsir.services.search import Question, find
from tsir.settings import Settings

SEARCH = "/api/v1/collections/tsir/search"


@contextmanager
def statements(library: Library) -> Iterator[list[str]]:
    """The SQL that is run meanwhile, in lower case."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(" ".join(statement.lower().split()))

    engine = library.stores.catalog.database.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


def test_a_search_reads_its_collection_once_and_pictures_with_their_places_and_counts_nothing(settings: Settings, photos: Path) -> None:
    with Library.open(settings) as library, TestClient(create_app(settings, encoder=FakeEncoder(), library=library)) as client:
        wait_ready(client)
        assert client.post("/img/load", json={"File": str(photos)}).status_code == 200
        for form in ({"text": "red"}, {"like": "1"}, {"text": "red", "filter": json.dumps({"min_width": 10})}):
            with statements(library) as seen:
                answer = client.post(SEARCH, data=form)
            assert len(answer.json()["hits"]) >= 5
            assert sum("from collections" in statement for statement in seen) == 1, seen
            assert not [statement for statement in seen if "count(" in statement]
            assert "like" in form or not [statement for statement in seen if "from locations" in statement], (
                "pictures come with their places"
            )


def test_every_stage_of_a_search_is_named_and_its_time_is_told(loaded: TestClient) -> None:
    took = loaded.post(SEARCH, data={"text": "red"}, files={"sketch": ("s.png", picture("blue"), "image/png")}).json()["took_ms"]
    assert list(took) == ["read", "decode", "encode", "search", "rows", "answer"]
    assert all(milliseconds > 0 for milliseconds in took.values())


def test_result_of_a_search_is_what_its_schema_says(loaded: TestClient) -> None:
    """It is written by hand: the models must read it back to the letter."""
    from tsir.services.views import SearchResult

    answer = loaded.post(SEARCH, data={"text": "red", "limit": "2"})
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(SearchResult.model_validate_json(answer.content).model_dump_json()) == answer.json()
    assert answer.json()["next"]


class Large(FakeEncoder):
    """Notes the sizes of the photos that it is given."""

    def __init__(self, name: str, scaled_decode: bool) -> None:
        super().__init__(name)
        self.scaled_decode = scaled_decode
        self.seen: list[tuple[int, int]] = []

    def prepare_photo(self, image: Image.Image) -> Image.Image:
        self.seen.append(image.size)
        return super().prepare_photo(image)


@pytest.mark.parametrize("scaled", [True, False])
def test_example_picture_is_decoded_for_the_encoder_that_serves_the_collection(
    settings: Settings, photos: Path, scaled: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """While a collection moves to the encoder that runs, the other one serves it; an example must meet its vectors as imports made them."""
    caplog.set_level(logging.ERROR)
    data = io.BytesIO()
    Image.effect_mandelbrot((2400, 1800), (-3, -2.5, 2, 2.5), 50).convert("RGB").save(data, "JPEG")
    (photos / "large.jpg").write_bytes(data.getvalue())
    serving, running = Large("serving", scaled), Large("lite", not scaled)
    encoders = Encoders(settings, running, load=lambda wanted: serving)
    with Library.open(settings) as library:
        collection, _ = library.create("photos", serving.info)
        runner = make_runner(library, Encoders(settings, serving), settings)
        try:
            assert runner.run_now(submit_folder(runner, "photos", photos)).state == "done"
        finally:
            runner.stop()
        moving = library.reencoding("photos")
        moving.begin(running.info)
        imported = {size for size in serving.seen if size[0] > 100}
        serving.seen.clear()
        found = find(library, encoders, settings, Question("photos", image=data.getvalue()))
        assert {size for size in serving.seen if size[0] > 100} == imported
        assert Path(found.hits[0].image.path).name == "large.jpg"
        assert found.hits[0].score == pytest.approx(1, abs=1e-6)
        assert collection.encoder == serving.info
