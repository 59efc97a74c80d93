"""What is taken out comes back: nobody's only copy is deleted, and imports remember what was taken out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.api.conftest import picture, start, wait_job
from tests.fakes import FakeEncoder
from tsir.encoders.base import Vectors
from tsir.settings import Settings

TSIR = "/api/v1/collections/tsir"
TRASH = "/api/v1/trash"


class Counting(FakeEncoder):
    """Counts the pictures that it encoded."""

    encoded = 0

    def images(self, batch: Sequence[Image.Image]) -> Vectors:
        self.encoded += len(batch)
        return super().images(batch)


@pytest.fixture
def encoder() -> Counting:
    return Counting()


@pytest.fixture
def client(settings: Settings, encoder: Counting) -> Iterator[TestClient]:
    with start(settings, encoder) as client:
        yield client


def upload(client: TestClient, *colours: str, collection: str = TSIR) -> list[dict[str, Any]]:
    """Send pictures of these colours; they as the API shows them."""
    files = [("files", (f"{colour}.png", picture(colour))) for colour in colours]
    job = wait_job(client, client.post(f"{collection}/imports", files=files).json()["id"])
    assert job["state"] == "done", job
    return [client.get(f"{collection}/images/{id}").json() for id in job["image_ids"]]


def load(client: TestClient, folder: Path, **options: Any) -> dict[str, Any]:
    return wait_job(client, client.post(f"{TSIR}/imports", json={"path": str(folder), **options}).json()["id"])


def shown(client: TestClient, collection: str = TSIR) -> dict[int, dict[str, Any]]:
    return {image["id"]: image for image in client.get(f"{collection}/images").json()["images"]}


def kept(settings: Settings) -> set[str]:
    """Pictures in the trash."""
    return {path.name for path in (settings.data_dir / "trash").glob("*.png")}


def test_an_upload_that_is_taken_out_comes_back_as_it_was(client: TestClient, settings: Settings, encoder: Counting) -> None:
    red, blue = upload(client, "red", "blue")
    path = Path(red["path"])
    before = path.read_bytes()
    removed = client.delete(f"{TSIR}/images/{red['id']}").json()
    assert (removed["pictures"], removed["only_copies"]) == (1, 1)
    assert not path.exists()
    assert kept(settings) == {path.name}

    [entry] = client.get(TRASH).json()["entries"]
    assert (entry["id"], entry["why"], entry["collection"], entry["names"]) == (removed["trash"], "removed", "tsir", [path.name])
    assert entry["gone_at"] > entry["thrown_at"]
    back = client.post(f"{TRASH}/{entry['id']}/restore").json()
    assert (back["collection"], back["pictures"], back["lost"], back["job"]) == ("tsir", 1, 0, None)
    assert shown(client) == {red["id"]: red, blue["id"]: blue}
    assert path.read_bytes() == before
    assert encoder.encoded == 2, "its vector was kept"
    hits = client.post(f"{TSIR}/search", data={"text": "red"}).json()["hits"]
    assert hits[0]["id"] == red["id"]
    assert client.get(TRASH).json()["entries"] == []
    assert client.post(f"{TRASH}/{entry['id']}/restore").status_code == 404


def test_a_picture_of_a_folder_stays_there_and_out_of_the_next_import(client: TestClient, photos: Path, encoder: Counting) -> None:
    load(client, photos)
    (sent,) = upload(client, "yellow")
    before = shown(client)
    ids = [id for id, image in before.items() if Path(image["path"]).name in ("red0.png", "blue1.png")] + [sent["id"]]
    assert client.post(f"{TSIR}/only-copies", json={"ids": ids}).json() == {"pictures": 3, "only_copies": 1}
    assert client.post(f"{TSIR}/only-copies").json() == {"pictures": 7, "only_copies": 1}
    removed = client.post(f"{TSIR}/images/remove", json={"ids": ids}).json()
    assert (removed["pictures"], removed["only_copies"]) == (3, 1)
    assert len(list(photos.glob("*.png"))) == 6

    (photos / "copies").mkdir()
    (photos / "copies" / "again.png").write_bytes((photos / "red0.png").read_bytes())
    (photos / "blue1.png").touch()
    job = load(client, photos)
    assert (job["done"], job["skipped"], job["failed"]) == (0, 7, 0)
    assert "2 pictures that were taken out before: left out" in job["message"] and "--again" in job["message"]
    assert len(shown(client)) == 4
    assert client.get(TSIR).json()["excluded"] == 2
    assert {Path(image["path"]).name for image in client.get(f"{TSIR}/excluded").json()["images"]} == {"red0.png", "blue1.png"}

    back = client.post(f"{TRASH}/{removed['trash']}/restore").json()
    assert (back["pictures"], back["job"]) == (3, None)
    assert {id: image["created_at"] for id, image in shown(client).items()} == {id: image["created_at"] for id, image in before.items()}
    assert encoder.encoded == 7
    assert client.get(TSIR).json()["excluded"] == 0


def test_what_was_taken_out_comes_back_when_it_is_asked_for(client: TestClient, photos: Path, encoder: Counting) -> None:
    load(client, photos)
    paths = [str(photos / "red0.png"), str(photos / "blue0.png"), str(photos / "green0.png")]
    answer = client.post(f"{TSIR}/images/remove", json={"paths": [*paths, str(photos / "none.png")]})
    assert answer.status_code == 404 and "none.png" in answer.text
    assert client.post(f"{TSIR}/images/remove", json={"paths": paths}).json()["pictures"] == 3
    first, *_ = client.get(f"{TSIR}/excluded").json()["images"]
    came = client.post(f"{TSIR}/include", json={"ids": [first["id"]]}).json()
    assert came["pictures"] == 1
    assert wait_job(client, came["job"]["id"])["done"] == 1
    assert len(shown(client)) == 4
    upload(client, "white")
    files = [("files", ("mine.png", Path(client.get(f"{TSIR}/excluded").json()["images"][0]["path"]).read_bytes()))]
    wait_job(client, client.post(f"{TSIR}/imports", files=files).json()["id"])
    assert len(shown(client)) == 6, "who sends a picture wants to have it"
    assert load(client, photos, again=True)["done"] == 1
    assert len(shown(client)) == 7
    assert client.get(TSIR).json()["excluded"] == 0


def test_a_dropped_collection_of_uploads_comes_back(client: TestClient, settings: Settings, encoder: Counting, photos: Path) -> None:
    client.put("/api/v1/collections/trip")
    trip = "/api/v1/collections/trip"
    upload(client, "red", "blue", collection=trip)
    wait_job(client, client.post(f"{trip}/imports", json={"path": str(photos)}).json()["id"])
    before = shown(client, trip)
    dropped = client.delete(trip).json()
    assert (dropped["pictures"], dropped["only_copies"]) == (8, 2)
    assert len(kept(settings)) == 2
    assert client.post(f"{TRASH}/{dropped['trash']}/restore").json()["collection"] == "trip"
    after = shown(client, trip)
    assert len(after) == 2
    assert all(before[id] == image for id, image in after.items())
    assert encoder.encoded == 8
    assert client.delete(TSIR).json() == {"pictures": 0, "only_copies": 0, "trash": None}


def test_the_trash_is_emptied(client: TestClient, settings: Settings) -> None:
    red, blue, green = upload(client, "red", "blue", "green")
    first, second, _ = (client.delete(f"{TSIR}/images/{image['id']}").json()["trash"] for image in (red, blue, green))
    assert client.delete(f"{TRASH}/{first}").status_code == 204
    assert kept(settings) == {Path(image["path"]).name for image in (blue, green)}
    assert client.get(TRASH).json()["bytes"] > 0
    assert client.delete(TRASH).json() == {"files": 2}
    assert list((settings.data_dir / "trash").iterdir()) == []
    for id in (second, "nothing", "..%2Fcatalog.db", "20260101T000000-00000000"):
        assert client.post(f"{TRASH}/{id}/restore").status_code == 404
        assert client.delete(f"{TRASH}/{id}").status_code == 404


def test_a_renamed_default_collection_leaves_no_empty_one(settings: Settings) -> None:
    def names(client: TestClient) -> list[str]:
        return [collection["name"] for collection in client.get("/api/v1/collections").json()["collections"]]

    with start(settings) as client:
        assert client.patch("/api/v1/collections/tsir", json={"name": "mine"}).status_code == 200
    with start(settings) as client:
        assert names(client) == ["mine"]
    with start(settings.model_copy(update={"default_table": "named"})) as client:
        assert names(client) == ["mine", "named"], "somebody wants it"


def test_a_collection_is_renamed_and_its_pictures_are_added_to_another(client: TestClient, settings: Settings, encoder: Counting) -> None:
    old, new = "/api/v1/collections/old", "/api/v1/collections/new"
    client.put(old)
    red, blue = upload(client, "red", "blue", collection=old)
    assert client.patch(old, json={"name": "tsir"}).status_code == 409
    assert client.patch(old, json={"name": "no name"}).status_code == 422
    removed = client.delete(f"{old}/images/{blue['id']}").json()
    assert client.patch(old, json={"name": "new"}).json()["name"] == "new"
    assert client.get(old).status_code == 404
    assert {job["collection"] for job in client.get("/api/v1/jobs").json()["jobs"]} == {"new"}
    assert client.post(f"{TRASH}/{removed['trash']}/restore").json()["collection"] == "new"
    assert set(shown(client, new)) == {red["id"], blue["id"]}

    added = client.post(f"{TSIR}/add", json={"from": "new", "ids": [red["id"], 999]}).json()
    assert (added["collection"], added["pictures"], added["job"]) == ("tsir", 1, None)
    assert encoder.encoded == 2
    [image] = shown(client).values()
    assert (image["path"], image["width"]) == (red["path"], red["width"])
    assert client.post(f"{TSIR}/only-copies").json()["only_copies"] == 0, "the other collection has it, too"
    client.delete(new)
    assert Path(red["path"]).exists()
    assert kept(settings) == {Path(blue["path"]).name}
    assert client.post(f"{TSIR}/only-copies").json()["only_copies"] == 1


def test_what_the_disk_refuses_is_said_and_nothing_is_lost(client: TestClient, settings: Settings) -> None:
    (image,) = upload(client, "red")
    trash = client.delete(f"{TSIR}/images/{image['id']}").json()["trash"]
    folder, away = settings.data_dir / "trash", settings.data_dir / "away"
    folder.rename(away)
    folder.write_text("no folder")
    for method, path in (("GET", TRASH), ("DELETE", TRASH), ("POST", f"{TRASH}/{trash}/restore"), ("DELETE", f"{TRASH}/{trash}")):
        answer = client.request(method, path)
        assert (answer.status_code, "Not a directory" in answer.json()["detail"]) == (503, True), (method, path)
    folder.unlink()
    away.rename(folder)
    assert client.post(f"{TRASH}/{trash}/restore").json()["pictures"] == 1
    uploads = settings.uploads
    uploads.rename(away)
    uploads.write_text("no folder")
    for path, name in ((f"{TSIR}/imports", "files"), ("/img/upload", "image")):
        assert client.post(path, files={name: ("a.png", picture("blue"))}).status_code == 503
