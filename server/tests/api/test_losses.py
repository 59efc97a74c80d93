"""A server whose vectors are lost says so, and mends it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from fastapi.testclient import TestClient

from tests.api.conftest import start, wait_job
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
