"""A server whose vectors are lost says so, and mends it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.api.conftest import picture, start, wait_job
from tests.disk import fill
from tsir.library.library import Library
from tsir.settings import Settings

TSIR = "/api/v1/collections/tsir"


def found(client: TestClient) -> int:
    return len(client.post(f"{TSIR}/search", data={"text": "red"}).json()["hits"])


def wait_mended(client: TestClient) -> None:
    deadline = time.monotonic() + 60
    while not (jobs := [job for job in client.get("/api/v1/jobs").json()["jobs"] if job["kind"] == "mend"]):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert wait_job(client, jobs[0]["id"])["state"] == "done"


def test_vectors_that_were_removed_are_there_again_after_a_start(settings: Settings, photos: Path) -> None:
    with start(settings) as client:
        client.post("/img/load", json={"File": str(photos)})
        assert found(client) == 6
    shutil.rmtree(settings.data_dir / "vectors.db")
    with start(settings) as client:
        wait_mended(client)
        assert found(client) == 6
        assert client.get(TSIR).json()["pending"] == 0


def test_pictures_that_a_killed_process_left_without_vectors_get_them_at_the_start(settings: Settings, photos: Path) -> None:
    with start(settings) as client:
        client.post("/img/load", json={"File": str(photos)})
    with Library.open(settings) as library:  # as `check --repair` leaves it, killed before it encodes
        collection = library.collection("tsir")
        ids = [image.id for image in collection.images()[0]]
        library.stores.catalog.images.unready(ids[:4])
        library.stores.vectors.delete(library.stores.vectors_name(collection.ref), ids[:4])
    with start(settings) as client:
        wait_mended(client)
        assert found(client) == 6
    with start(settings) as client:
        assert [job["kind"] for job in client.get("/api/v1/jobs").json()["jobs"]] == ["mend", "import"]


def test_a_search_that_finds_no_vectors_says_so_and_has_them_mended(loaded: TestClient) -> None:
    library = loaded.app.state.tsir.library  # type: ignore[attr-defined]
    library.stores.vectors.drop(library.stores.vectors_name(library.collection("tsir").ref))
    answer = loaded.post(f"{TSIR}/search", data={"text": "red"})
    assert answer.status_code == 409
    assert "vectors of 6 pictures of 'tsir' are missing" in answer.json()["detail"]
    wait_mended(loaded)
    assert found(loaded) == 6


def test_missing_pictures_are_hidden_shown_and_forgotten_over_http(loaded: TestClient, photos: Path) -> None:
    for path in photos.glob("red*"):
        path.unlink()
    loaded.post("/img/load", json={"File": str(photos)})
    summary = loaded.get(TSIR).json()
    assert (summary["count"], summary["missing"], summary["pending"]) == (4, 2, 0)
    assert found(loaded) == 4
    shown = loaded.post(f"{TSIR}/search", data={"text": "red", "filter": '{"missing": true}'}).json()["hits"]
    assert [(hit["missing"], Path(hit["path"]).name[:3]) for hit in shown] == [(True, "red"), (True, "red")]
    assert len(loaded.get(f"{TSIR}/images", params={"missing": "any"}).json()["images"]) == 6
    assert loaded.get(shown[0]["thumbnail_url"]).status_code == 200
    assert loaded.get(shown[0]["file_url"]).status_code == 404
    assert loaded.post(f"{TSIR}/forget", json={"folder": "photos"}).status_code == 422
    assert loaded.post(f"{TSIR}/forget", json={"folder": "/elsewhere"}).json() == {"pictures": 0, "found": 0}
    assert loaded.post(f"{TSIR}/forget", json={"folder": str(photos)}).json() == {"pictures": 2, "found": 0}
    assert loaded.get(TSIR).json()["missing"] == 0


def test_a_full_disk_is_told_and_waited_for(client: TestClient, photos: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = fill(monkeypatch)
    disk.free = 3 * 2**20
    started = client.post("/api/v1/collections/tsir/imports", json={"path": str(photos)})
    assert started.status_code == 202
    id = started.json()["id"]
    deadline = time.monotonic() + 30
    while not (job := client.get(f"/api/v1/jobs/{id}").json())["message"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (job["state"], job["done"]) == ("running", 0)
    assert job["message"].startswith("The disk of DATA_DIR is full: 8 MB are needed. 3 MB are free at")
    assert client.get("/api/v1/jobs").json()["jobs"][0]["message"] == job["message"]
    sent = client.post("/api/v1/collections/tsir/imports", files={"files": ("a.png", picture("yellow"))})
    assert (sent.status_code, sent.json()["code"], sent.headers["Retry-After"]) == (503, "disk_full", "5")
    assert [path for path in settings.uploads.rglob("*") if path.is_file()] == []
    disk.free = 9 * 2**20  # enough for rows and vectors, and nothing else
    job = wait_job(client, id)
    assert (job["state"], job["done"]) == ("done", 6)
    assert "6 pictures have no thumbnails yet" in job["message"]
    image = client.get("/api/v1/collections/tsir/images").json()["images"][0]
    assert client.get(image["thumbnail_url"]).status_code == 503
    disk.free = None
    assert client.get(image["thumbnail_url"]).status_code == 200
    sent = client.post("/api/v1/collections/tsir/imports", files={"files": ("a.png", picture("yellow"))})
    assert wait_job(client, sent.json()["id"])["done"] == 1
