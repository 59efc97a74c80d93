"""Start and stop of the application."""

import threading
import time

import pytest
from fastapi.testclient import TestClient

from tests.api.conftest import start, wait_ready
from tests.fakes import FakeEncoder
from tsir.app import create_app
from tsir.encoders import loaded as encoders
from tsir.errors import EncoderUnavailable
from tsir.library.library import Library
from tsir.settings import Settings


def test_port_answers_while_the_encoder_is_loading(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = threading.Event()

    def load(settings: Settings) -> FakeEncoder:
        loaded.wait(60)
        return FakeEncoder()

    monkeypatch.setattr(encoders.Encoders.__init__, "__defaults__", (None, load))
    with TestClient(create_app(settings)) as client:
        assert client.get("/health/live").status_code == 200
        waiting = client.get("/health/ready")
        assert (waiting.status_code, waiting.json()["status"]) == (503, "starting")
        early = client.post("/img/count")
        assert early.status_code == 503
        assert early.headers["retry-after"]
        assert "starting" in early.json()["msg"]
        loaded.set()
        wait_ready(client)
        assert client.post("/img/count").json() == 0


def test_encoder_that_cannot_be_loaded_is_said_in_every_answer(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(settings: Settings) -> FakeEncoder:
        raise EncoderUnavailable("The weights are gone.")

    monkeypatch.setattr(encoders.Encoders.__init__, "__defaults__", (None, load))
    with TestClient(create_app(settings)) as client:
        deadline = time.monotonic() + 60
        while client.get("/health/ready").json()["status"] != "unavailable":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        answer = client.get("/api/v1/collections")
        assert answer.status_code == 503
        assert "The weights are gone." in answer.json()["detail"]
    Library.open(settings).close()  # nothing holds it any more


def test_stopping_releases_the_library(settings: Settings) -> None:
    for _ in range(2):
        with start(settings):
            pass
    with Library.open(settings) as library:
        assert [collection.name for collection in library.collections()] == ["tsir"]


def test_given_library_is_used_and_left_open(settings: Settings) -> None:
    with Library.open(settings) as library:
        with TestClient(create_app(settings, encoder=FakeEncoder(), library=library)) as client:
            wait_ready(client)
            assert client.put("/api/v1/collections/mine").status_code == 201
        assert [collection.name for collection in library.collections()] == ["mine", "tsir"]


def test_unexpected_error_is_an_answer_without_details(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with TestClient(create_app(settings, encoder=FakeEncoder())) as client:
        wait_ready(client)

        def fail(self: object) -> None:
            raise RuntimeError("secret details")

        monkeypatch.setattr(Library, "collections", fail)
        answer = client.get("/api/v1/collections")
        assert answer.status_code == 500
        assert answer.headers["content-type"] == "application/problem+json"
        assert "secret" not in answer.text
        assert "please report it" in answer.json()["detail"]
