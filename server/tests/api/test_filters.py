"""Filters over HTTP: how a client learns of them, and that those it sends find what they should."""

from __future__ import annotations

import json
from pathlib import Path

import pillow_heif
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.api.conftest import wait_job
from tsir.storage.filters import conditions

TSIR = "/api/v1/collections/tsir"


def test_the_system_tells_every_field_with_its_words(client: TestClient) -> None:
    fields = {field["name"]: field for field in client.get("/api/v1/system").json()["filters"]}
    assert list(fields) == list(conditions())
    assert fields["min_width"] | {"help": ""} == {
        "name": "min_width",
        "kind": "pixels",
        "label": "Width at least",
        "help": "",
        "choices": [],
    }
    assert [choice["value"] for choice in fields["orientation"]["choices"]] == ["landscape", "portrait", "square"]
    assert all(field["label"] and field["help"] for field in fields.values())


def test_the_schema_describes_what_is_in_the_forms_text(client: TestClient) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    text = schemas["Body_search_collection"]["properties"]["filter"]
    assert (text["contentMediaType"], text["contentSchema"]) == ("application/json", {"$ref": "#/components/schemas/Filter"})
    assert set(schemas["Filter"]["properties"]) == set(conditions())


@pytest.mark.parametrize("asked", ["HEIC", "HEIF", "heif"])
def test_a_picture_of_an_iphone_is_found_by_either_name_of_its_format(client: TestClient, tmp_path: Path, asked: str) -> None:
    photos = tmp_path / "photos"
    pillow_heif.from_pillow(Image.new("RGB", (64, 48), "red")).save(photos / "phone.heic")
    Image.new("RGB", (64, 48), "red").save(photos / "other.png")
    wait_job(client, client.post(f"{TSIR}/imports", json={"path": str(photos)}).json()["id"])
    answer = client.post(f"{TSIR}/search", data={"text": "red", "filter": json.dumps({"formats": [asked]})})
    assert [Path(hit["path"]).name for hit in answer.json()["hits"]] == ["phone.heic"]
