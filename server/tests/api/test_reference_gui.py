"""What the reference's own web page sends, from another origin than ours: the requests as they were recorded from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.api.conftest import picture, start
from tsir.settings import Settings

PAGE = "http://gui.example:8080"


@pytest.fixture
def site(tmp_path: Path, photos: Path) -> Iterator[TestClient]:
    folder = str(photos)
    with start(Settings(data_dir=tmp_path / "served", image_roots=folder, cors_origins=PAGE, _env_file=None)) as client:  # type: ignore[call-arg]
        client.headers["Origin"] = PAGE
        yield client


def test_its_page_loads_searches_counts_and_drops(site: TestClient, photos: Path) -> None:
    # A browser asks first, because the page sends JSON.
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    preflight = site.options("/img/load", headers=asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (200, PAGE)
    assert "content-type" in preflight.headers["access-control-allow-headers"].lower()
    assert site.post("/img/load", json={"File": str(photos)}).json() == "Successfully loaded data!"
    assert site.get("/progress").json() == [[6, 6], 200]
    # Without a drawing its form has `image` as an empty text.
    by_words = site.post("/img/search", files={"image": (None, ""), "text_query": (None, "red"), "topk": (None, "2")})
    assert (by_words.status_code, by_words.headers["access-control-allow-origin"]) == (200, PAGE)
    assert {Path(path).stem for path, _ in by_words.json()} == {"red0", "red1"}
    by_drawing = site.post("/img/search", files={"image": ("sketch.png", picture("blue"), "image/png"), "text_query": (None, "")})
    assert Path(by_drawing.json()[0][0]).stem.startswith("blue")
    assert site.get("/data", params={"image_path": by_words.json()[0][0]}).content == Path(by_words.json()[0][0]).read_bytes()
    # The collection, where it is named at all, is in the address.
    assert (
        site.post("/img/upload?table_name=other", files={"image": ("a.png", picture("white"))})
        .json()
        .startswith("Successfully loaded data: ")
    )
    assert (site.post("/img/count?table_name=other").json(), site.post("/img/count").json()) == (1, 6)
    assert site.post("/img/search?table_name=other", files={"image": (None, ""), "text_query": (None, "white")}).json()[0][1] > 0.9
    assert site.post("/img/drop?table_name=other").json() == "ok"


def test_a_page_of_another_origin_is_not_let_in(site: TestClient) -> None:
    answer = site.post("/img/count", headers={"Origin": "http://elsewhere.example"})
    assert "access-control-allow-origin" not in answer.headers
    nothing = site.post("/img/search", files={"image": (None, ""), "text_query": (None, "")})
    assert (nothing.status_code, nothing.json()["status"]) == (422, False)


def test_an_address_names_all_its_methods(site: TestClient) -> None:
    for path, methods in (
        ("/api/v1/collections/tsir", {"GET", "PUT", "PATCH", "DELETE"}),
        ("/api/v1/collections/tsir/images/3", {"GET", "DELETE"}),
        ("/api/v1/collections/tsir/images/facets", {"GET"}),
        ("/api/v1/collections/tsir/search", {"GET", "POST"}),
        ("/img/count", {"POST"}),
    ):
        answer = site.request("BREW", path)
        assert (answer.status_code, set(answer.headers["allow"].split(", "))) == (405, methods), path
    schema = site.get("/openapi.json").json()["paths"]
    assert set(schema["/img/count"]["post"]["responses"]["default"]["content"]) == {"application/json"}
