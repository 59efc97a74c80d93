"""Searches of every form over HTTP: as JSON, as a form, as a link, many at once, in one line."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image, ImageOps

from tests.api.conftest import picture, start, wait_job
from tsir.settings import Settings

SEARCH = "/api/v1/collections/tsir/search"
COLOURS = {"red": (250, 10, 10), "green": (10, 250, 10), "blue": (10, 10, 250), "half": (125, 10, 125), "white": (250, 250, 250)}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Plain pictures in "tsir" and "others"; two-coloured.png is blue on the left and red on the right; noise.png has two copies."""
    folder = tmp_path_factory.mktemp("search")
    for where in ("tsir", "others"):
        (folder / where).mkdir()
        for name, colour in COLOURS.items():
            for shade in range(2):
                dimmed = tuple(max(value, 45) - 40 * shade for value in colour)
                Image.new("RGB", (64 + shade + len(where), 48), dimmed).save(folder / where / f"{name}{shade}.png")
    both = Image.new("RGB", (64, 64), (250, 10, 10))
    both.paste((10, 10, 250), (0, 0, 32, 64))
    both.save(folder / "tsir/two-coloured.png")
    noise = Image.effect_noise((160, 120), 90).convert("RGB").resize((320, 240))
    noise.save(folder / "tsir/noise.png")
    noise.resize((280, 210)).save(folder / "tsir/noise-small.jpg", quality=80)
    ImageOps.mirror(noise).save(folder / "tsir/noise-mirrored.png")
    with start(Settings(data_dir=folder / "data", image_roots=str(folder), _env_file=None)) as client:  # type: ignore[call-arg]
        for where in ("tsir", "others"):
            client.put(f"/api/v1/collections/{where}")
            wait_job(client, client.post(f"/api/v1/collections/{where}/imports", json={"path": str(folder / where)}).json()["id"])
        yield client


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [Path(hit["path"]).stem for hit in answer.json()["hits"]]


def ids(site: TestClient, collection: str = "tsir") -> dict[str, int]:
    images = site.get(f"/api/v1/collections/{collection}/images?limit=1000").json()["images"]
    return {Path(image["path"]).stem: image["id"] for image in images}


def said(answer: Any, status: int = 422) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["detail"])


def test_json_form_and_link_ask_the_same(site: TestClient) -> None:
    red = ids(site)["red0"]
    asked = {"like": red, "not_text": "blue", "filter": {"max_width": 70, "name": "*0*"}, "limit": 3}
    as_json = names(site.post(SEARCH, json=asked))
    as_form = names(site.post(SEARCH, data={**asked, "filter": json.dumps(asked["filter"])}))
    as_link = names(site.get(SEARCH, params={"like": red, "not_text": "blue", "max_width": 70, "name": "*0*", "limit": 3}))
    none = names(site.get(SEARCH, params={"text": "red", "query": "id:none"}))
    assert none == names(site.post(SEARCH, json={"text": "red", "filter": {"ids": []}})) == []
    as_line = names(site.get(SEARCH, params={"like": red, "query": "-blue width:<70 name:*0*", "limit": 3}))
    assert as_json == as_form == as_link == as_line
    assert len(as_json) == 3
    assert "red0" not in as_json


def test_what_is_not_known_is_never_passed_over(site: TestClient) -> None:
    assert said(site.get(SEARCH, params={"text": "red", "min_widht": 70})) == "min_widht is not known here."
    for answer in (
        site.post(SEARCH, data={"text": "red", "min_width": 70}),
        site.post(SEARCH, files={"text": (None, "red"), "min_width": (None, "70")}),
        site.post(SEARCH, json={"text": "red", "min_width": 70}),
    ):
        assert said(answer) == "min_width is not known here. Conditions stand in filter."
    assert "-F sketch=@FILE" in said(site.post(SEARCH, data={"text": "red", "sketch": "drawing.png"}))
    assert "limit stands in the address" in said(site.post(SEARCH, params={"limit": 3}, data={"text": "red"}))
    for listing in ("images", "images/facets"):
        assert "min_widht" in said(site.get(f"/api/v1/collections/tsir/{listing}", params={"min_widht": 70}))
    assert "formats=...&formats=..." in said(site.get(SEARCH, params={"text": "red", "formats": "JPEG,PNG"}))


@pytest.mark.parametrize("near", ["47.4,8.5,0.5", "47.4, 8.5", "0,0,20039.5", "90.0,-180.0", "47.12345678901234,8.1"])
def test_a_place_may_be_written_in_a_link_as_elsewhere(site: TestClient, near: str) -> None:
    assert names(site.get(SEARCH, params={"text": "red", "near": near})) == []
    assert names(site.post(SEARCH, json={"text": "red", "filter": {"near": near}})) == []


def test_several_texts_and_pictures_count_by_their_weights(site: TestClient) -> None:
    known = ids(site)

    mostly = {"text": [{"text": "red", "weight": 0.2}, {"text": "blue", "weight": 1}], "limit": 2}
    assert set(names(site.post(SEARCH, json=mostly))) == {"blue0", "blue1"}
    liked = names(site.post(SEARCH, json={"like": [known["red0"], known["blue0"]], "limit": 3}))
    assert set(liked) <= {"half0", "half1", "two-coloured"}
    without = names(site.post(SEARCH, json={"text": "red", "not_like": [known["two-coloured"]], "limit": 4}))
    assert "two-coloured" not in without


def test_a_part_of_a_picture_is_searched_by_what_is_in_it(site: TestClient) -> None:
    both = ids(site)["two-coloured"]
    for box, colour in (([0, 0, 0.5, 1], "blue"), ([0.5, 0, 1, 1], "red")):
        hits = site.post(SEARCH, json={"like": [{"id": both, "box": box}], "limit": 2}).json()["hits"]
        assert {Path(hit["path"]).stem for hit in hits} == {f"{colour}0", f"{colour}1"}
    assert names(site.get(SEARCH, params={"like": f"{both}@0,0,0.5,1", "limit": 2}))[0].startswith("blue")
    corner = site.post(SEARCH, json={"like": [{"id": both, "box": [0.98, 0.98, 1, 1]}], "limit": 2}).json()["hits"]
    assert {Path(hit["path"]).stem for hit in corner} == {"red0", "red1"}
    assert "at least 0.01 wide" in said(site.post(SEARCH, json={"like": [{"id": both, "box": [0.5, 0, 0.5, 1]}]}))
    assert "like" in said(site.get(SEARCH, params={"like": f"{both}@1,2"}))
    assert "no image" in said(site.post(SEARCH, json={"like": [{"id": 999_999, "box": [0, 0, 1, 1]}]}), 404)


def test_pictures_come_as_base64_too(site: TestClient) -> None:
    red = base64.b64encode(picture((250, 10, 10))).decode()
    for text in (red, f"data:image/png;base64,{red}"):
        assert names(site.post(SEARCH, json={"sketch": text, "limit": 1}))[0].startswith("red")
    assert "base64" in said(site.post(SEARCH, json={"image": "ü"}))


def test_duplicates_become_one_hit_with_its_members(site: TestClient) -> None:
    noise = {"noise", "noise-small", "noise-mirrored"}
    plain = names(site.post(SEARCH, json={"text": "white", "limit": 100}))
    assert noise <= set(plain)
    hits = site.post(SEARCH, json={"text": "white", "limit": 100, "collapse": "duplicates"}).json()["hits"]
    (one,) = [hit for hit in hits if Path(hit["path"]).stem in noise]
    assert (one["count"], {Path(one["path"]).stem, *(Path(member["path"]).stem for member in one["members"])}) == (3, noise)
    assert sum(hit["count"] for hit in hits) == len(plain)
    seen: list[str] = []
    cursor = None
    while True:
        page = site.post(SEARCH, json={"text": "white", "limit": 3, "collapse": "duplicates", "cursor": cursor}).json()
        seen += [hit["path"] for hit in page["hits"]]
        if (cursor := page["next"]) is None:
            break
    assert seen == [hit["path"] for hit in hits]


def test_hits_are_sorted_by_time_when_that_is_asked(site: TestClient) -> None:
    hits = site.get(SEARCH, params={"text": "red", "sort": "imported", "min_score": 0.5}).json()["hits"]
    assert [hit["created_at"] for hit in hits] == sorted((hit["created_at"] for hit in hits), reverse=True)
    assert len(hits) > 2
    assert all(hit["score"] >= 0.5 for hit in hits)


def test_several_collections_are_one_ranking(site: TestClient) -> None:
    one = site.get(SEARCH, params={"text": "red", "limit": 40}).json()["hits"]
    other = site.get("/api/v1/collections/others/search", params={"text": "red", "limit": 40}).json()["hits"]
    for collections in ("others", "all"):
        both: list[Any] = []
        cursor = None
        while True:
            page = site.post(SEARCH, json={"text": "red", "limit": 7, "collections": ["others"], "cursor": cursor}).json()
            both += page["hits"]
            if (cursor := page["next"]) is None:
                break
        first = site.get(SEARCH, params={"text": "red", "limit": 7, "collections": collections}).json()["hits"]
        assert first == both[:7]
        assert [hit["score"] for hit in both] == sorted((hit["score"] for hit in [*one, *other]), reverse=True)
        assert {hit["id"] for hit in both} == {hit["id"] for hit in [*one, *other]}
    assert "no collection" in said(site.get(SEARCH, params={"text": "red", "collections": "nowhere"}), 404)


def test_a_line_is_read_and_its_mistakes_are_pointed_at(site: TestClient) -> None:
    line = site.get("/api/v1/query", params={"query": "red -blue size:>1mp near:47.4,8.5"}).json()
    assert (line["text"], line["not_text"]) == ("red", ["blue"])
    assert line["filter"] == {"min_megapixels": 1.000001, "near": "47.4,8.5,10.0"}
    assert site.get("/api/v1/query", params={"query": line["written"]}).json() == line
    asked = names(site.post(SEARCH, json={"text": "red", "filter": line["filter"]}))
    assert asked == []
    for answer in (
        site.get("/api/v1/query", params={"query": "red size:huge"}),
        site.post(SEARCH, json={"query": "red size:huge"}),
        site.post(SEARCH, data={"query": "red size:huge"}),
    ):
        problem = answer.json()
        assert (answer.status_code, problem["code"], problem["position"], problem["length"]) == (422, "unreadable_query", 4, 9)


def test_many_queries_have_the_answers_that_each_has_alone(site: TestClient) -> None:
    known = ids(site)
    queries: list[dict[str, Any]] = [
        {"text": "red"},
        {"text": "blue", "limit": 3},
        {"query": "green name:*0*"},
        {"like": known["red0"]},
        {"like": [{"id": known["two-coloured"], "box": [0, 0, 0.5, 1]}]},
        {"text": "white", "collapse": "duplicates"},
        {"sketch": base64.b64encode(picture("blue")).decode(), "text": "red"},
    ]
    together = site.post(f"{SEARCH}/batch", json={"queries": queries})
    assert together.status_code == 200, together.text
    for query, answer in zip(queries, together.json()["results"], strict=True):
        alone = site.post(SEARCH, json=query).json()
        assert [hit["id"] for hit in answer["hits"]] == [hit["id"] for hit in alone["hits"]]
        assert [hit["score"] for hit in answer["hits"]] == pytest.approx([hit["score"] for hit in alone["hits"]], abs=1e-5)
        assert answer["next"] == alone["next"]
    assert "queries[1]" in said(site.post(f"{SEARCH}/batch", json={"queries": [{"text": "a"}, {"query": "size:x"}]}))
    assert "queries[1]: cursor" in said(site.post(f"{SEARCH}/batch", json={"queries": [{"text": "a"}, {"text": "a", "cursor": "x"}]}), 404)
    for unknown in (999_999, {"id": 999_999, "box": [0, 0, 1, 0.5]}):
        asked = {"queries": [{"text": "a"}, {"like": [unknown]}]}
        assert "queries[1]: There is no image 999999" in said(site.post(f"{SEARCH}/batch", json=asked), 404)
    assert "queries" in said(site.post(f"{SEARCH}/batch", json={"queries": [{"text": "a"}] * 257}))


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({}, "asks for nothing"),
        ({"not_like": [1]}, "asks for nothing"),
        ({"text": ["a"] * 40}, "at most 32"),
        ({"text": "a", "colour": "b"}, "colour"),
        ({"text": "a", "weights": {"colour": 1}}, "weights"),
        ({"text": [{"text": "a", "weight": 0}]}, "zero"),
        ({"text": "a", "collapse": "all"}, "collapse"),
        ({"text": "a", "sort": "name"}, "sort"),
        ({"text": "a", "filter": {"near": "north"}}, "near"),
        ({"like": []}, "asks for nothing"),
        ({"text": "a", "limit": "many"}, "limit: must be a whole number"),
        ({"like": "north"}, "like: must be the id of a picture"),
        ({"like": [1, None]}, "like.1: must be the id of a picture"),
        ({"like": {"id": 1, "box": [0, 0, 1]}}, "like.box is too short: its value 4 is missing"),
        ({"not_like": [{"id": 1, "box": [0, 0, 2, 1]}], "text": "a"}, "not_like.0.box.2: must be"),
        ({"text": {"text": "a"}}, "text: must be a text, or a list"),
        ({"text": "a", "collections": "tsir,others"}, 'collections: must be a list of names, or "all"'),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_sentence(site: TestClient, asked: dict[str, Any], word: str) -> None:
    sentence = said(site.post(SEARCH, json=asked))
    assert word in sentence and "<" not in sentence
    assert word in said(site.post(f"{SEARCH}/batch", json={"queries": [asked]}))


def test_what_a_link_cannot_ask_is_refused_with_a_sentence(site: TestClient) -> None:
    assert said(site.get(SEARCH, params={"text": "a", "near": "north"})).startswith("near: must be latitude, longitude")
    assert "number of pixels" in said(site.get("/api/v1/collections/tsir/images?min_width=wide"))
    assert "as a form" in said(site.post(SEARCH, content=b"text=a", headers={"Content-Type": "text/plain"}), 415)


def test_a_body_that_is_no_json_is_told(site: TestClient) -> None:
    headers = {"Content-Type": "application/json"}
    for body in (b"{", b"[1]", b"\xff", b""):
        assert said(site.post(SEARCH, content=body, headers=headers))
