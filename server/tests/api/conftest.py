"""A real app on embedded stores in a fresh folder, with the encoder whose vectors can be computed by hand."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.fakes import FakeEncoder
from tsir.app import create_app
from tsir.settings import Settings


def wait_ready(client: TestClient) -> None:
    deadline = time.monotonic() + 60
    while (answer := client.get("/health/ready")).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)


def wait_job(client: TestClient, id: int) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        job: dict[str, Any] = client.get(f"/api/v1/jobs/{id}").json()
        if job["state"] in ("done", "failed", "cancelled"):
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.05)


def picture(colour: Any = "red", size: tuple[int, int] = (40, 30), format: str = "PNG") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size, colour).save(data, format)
    return data.getvalue()


@contextmanager
def start(settings: Settings, encoder: FakeEncoder | None = None) -> Iterator[TestClient]:
    """A running app with a client; every answer with status 500 is a defect and fails the test."""
    with TestClient(create_app(settings, encoder=encoder or FakeEncoder())) as client:
        client.event_hooks["response"].append(no_defect)
        wait_ready(client)
        yield client


def no_defect(response: Any) -> None:
    assert response.status_code != 500, response.read()


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with start(settings) as client:
        yield client


@pytest.fixture
def loaded(client: TestClient, photos: Any) -> TestClient:
    """The client of an app whose default collection holds the six pictures."""
    answer = client.post("/img/load", json={"File": str(photos)})
    assert answer.status_code == 200, answer.text
    return client
