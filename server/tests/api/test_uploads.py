"""What becomes of pictures that are sent: on disk, in the catalog, in a filter."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pillow_heif
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.api.conftest import picture, wait_job
from tests.disk import Synced

TSIR = "/api/v1/collections/tsir"


def heic() -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 48), "red")).save(file)
    return file.getvalue()


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.png", picture("blue"))
    return file.getvalue()


def sent(client: TestClient, name: str, data: bytes) -> Path:
    """Import a picture; where it lies."""
    answer = client.post(f"{TSIR}/imports", files={"files": (name, data)})
    assert answer.status_code == 202, answer.text
    assert wait_job(client, answer.json()["id"])["state"] == "done"
    [image] = client.get(f"{TSIR}/images").json()["images"]
    return Path(image["path"])


@pytest.mark.parametrize(("name", "data"), [("red.png", picture("red")), ("all.zip", zipped())], ids=["picture", "zip"])
def test_an_acknowledged_upload_is_on_disk_with_its_folders(client: TestClient, synced: Synced, name: str, data: bytes) -> None:
    path = sent(client, name, data)
    assert synced.holds(path, path.parent, path.parent.parent)


def test_a_picture_of_the_old_route_is_on_disk_with_its_folders(client: TestClient, synced: Synced) -> None:
    assert client.post("/img/upload", files={"image": ("a.png", picture("red"))}).status_code == 200
    [image] = client.get(f"{TSIR}/images").json()["images"]
    path = Path(image["path"])
    assert synced.holds(path, path.parent, path.parent.parent)


@pytest.mark.parametrize("name", ["HEIF", "HEIC", "heif", "hif"])
def test_a_heic_picture_is_found_by_any_name_of_its_format(client: TestClient, name: str) -> None:
    sent(client, "IMG_0001.HEIC", heic())
    asked = {"text": "red", "filter": json.dumps({"formats": [name]})}
    assert [hit["format"] for hit in client.post(f"{TSIR}/search", data=asked).json()["hits"]] == ["HEIC"]


@pytest.mark.parametrize(
    ("data", "kind", "ending"), [(picture(format="JPEG"), "image/jpeg", ".jpg"), (heic(), "image/heic", ".heic")], ids=["jpeg", "heic"]
)
def test_an_upload_is_served_as_what_it_is(client: TestClient, data: bytes, kind: str, ending: str) -> None:
    assert sent(client, "no.ending", data).suffix == ending
    [image] = client.get(f"{TSIR}/images").json()["images"]
    answer = client.get(image["file_url"])
    assert (answer.headers["content-type"], answer.content) == (kind, data)
    assert answer.headers["content-disposition"].startswith("inline")
