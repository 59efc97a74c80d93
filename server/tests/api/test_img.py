"""The reference's routes: requests and answers as its GUI and its users' scripts know them."""

import io
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.api.conftest import picture


def failed(answer: Any, status: int, said: str) -> None:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"status", "msg"}
    assert body["status"] is False
    assert said in body["msg"], body["msg"]


def test_load_answers_when_everything_can_be_found(client: TestClient, photos: Path) -> None:
    answer = client.post("/img/load", json={"File": str(photos)})
    assert (answer.status_code, answer.json()) == (200, "Successfully loaded data!")
    assert client.post("/img/count").json() == 6
    assert client.get("/progress").json() == [[6, 6], 200]


def test_load_twice_stores_once(loaded: TestClient, photos: Path) -> None:
    assert loaded.post("/img/load", json={"File": str(photos)}).status_code == 200
    assert loaded.post("/img/count").json() == 6
    assert loaded.get("/api/v1/jobs").json()["jobs"][0]["skipped"] == 6


def test_load_into_a_table_of_ones_own(client: TestClient, photos: Path) -> None:
    assert client.post("/img/load", json={"File": str(photos), "Table": "mine"}).status_code == 200
    assert client.post("/img/count", params={"table_name": "mine"}).json() == 6
    assert client.post("/img/count").json() == 0


def test_load_outside_the_allowed_folders_is_refused(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "photos" / "out").symlink_to("/etc")
    for path in ("/etc", str(tmp_path), str(tmp_path / "photos" / ".."), str(tmp_path / "photos" / "out"), "../../etc"):
        failed(client.post("/img/load", json={"File": path}), 403, "IMAGE_ROOTS")


def test_load_of_nothing_sensible_is_refused(client: TestClient, tmp_path: Path) -> None:
    file = tmp_path / "photos" / "a.png"
    file.write_bytes(picture())
    failed(client.post("/img/load", json={"File": str(tmp_path / "photos" / "no")}), 404, "does not exist")
    failed(client.post("/img/load", json={"File": str(file)}), 422, "is not a folder")
    failed(client.post("/img/load", json={}), 422, "File is missing")
    failed(client.post("/img/load", json={"File": "a\0b"}), 422, "valid Unicode")
    failed(client.post("/img/load", json={"File": 3}), 422, "File")
    failed(client.post("/img/load", content=b"{"), 422, "")
    failed(client.post("/img/load", content=b'{"File": "\\ud800"}', headers={"Content-Type": "application/json"}), 422, "valid Unicode")
    failed(client.post("/img/load", json={"File": str(tmp_path / "photos"), "Table": "a b"}), 422, "cannot name a collection")


def test_upload_answers_with_the_id_that_search_finds(client: TestClient) -> None:
    answer = client.post("/img/upload", files={"image": ("grün.png", picture("green"), "image/png")})
    assert answer.status_code == 200, answer.text
    id = int(answer.json().removeprefix("Successfully loaded data: "))
    [[path, score]] = client.post("/img/search", data={"text_query": "green"}).json()
    assert score == pytest.approx(1, abs=0.01)
    image = client.get(f"/api/v1/collections/tsir/images/{id}").json()
    assert image["path"] == path
    assert "grün" not in path
    assert client.get("/data", params={"image_path": path}).content == picture("green")


def test_upload_of_what_is_no_picture_is_refused(client: TestClient) -> None:
    for content in (b"hello", b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", picture("red")[:60]):
        failed(client.post("/img/upload", files={"image": ("a.png", content)}), 422, "")
    failed(client.post("/img/upload"), 422, "Send a picture")
    assert client.post("/img/count").json() == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a.png",
        "http://localhost:5000/img/count",
        "http://[::1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
        "http://2130706433/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "nonsense",
    ],
)
def test_upload_from_an_address_that_is_not_public_is_refused(client: TestClient, url: str) -> None:
    answer = client.post("/img/upload", params={"url": url})
    assert answer.status_code in (403, 422), answer.text
    assert answer.json()["msg"]


def test_search_by_sketch_and_words(loaded: TestClient, photos: Path) -> None:
    answer = loaded.post("/img/search", files={"image": ("s.png", picture("red"))}, data={"text_query": "red", "topk": "3"})
    assert answer.status_code == 200
    pairs = answer.json()
    assert [Path(path).parent for path, _ in pairs] == [photos] * 3
    assert {Path(path).stem for path, _ in pairs[:2]} == {"red0", "red1"}
    scores = [score for _, score in pairs]
    assert scores == sorted(scores, reverse=True)
    assert 0.99 < scores[0] <= 1.0001


def test_search_by_one_of_the_two(loaded: TestClient) -> None:
    by_sketch = loaded.post("/img/search", files={"image": ("s.png", picture("blue"))}).json()
    by_words = loaded.post("/img/search", data={"text_query": "blue"}).json()
    assert "blue" in by_sketch[0][0]
    assert "blue" in by_words[0][0]
    assert len(by_words) == 6
    in_the_address = loaded.post("/img/search", params={"text_query": "blue", "topk": 2}).json()
    assert in_the_address == by_words[:2]


def test_sketch_may_be_transparent(loaded: TestClient) -> None:
    data = io.BytesIO()
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(data, "PNG")
    answer = loaded.post("/img/search", files={"image": ("s.png", data.getvalue())})
    assert answer.status_code == 200


def test_search_with_mistakes_is_refused(loaded: TestClient) -> None:
    failed(loaded.post("/img/search"), 422, "Send a sketch")
    failed(loaded.post("/img/search", data={"text_query": "  "}), 422, "Send a sketch")
    failed(loaded.post("/img/search", files={"image": ("", b"")}, data={"text_query": ""}), 422, "")
    failed(loaded.post("/img/search", data={"text_query": "red", "topk": "1001"}), 422, "between 1 and 1000")
    failed(loaded.post("/img/search", data={"text_query": "red", "topk": "0"}), 422, "between 1 and 1000")
    failed(loaded.post("/img/search", data={"text_query": "red", "topk": "many"}), 422, "topk")
    failed(loaded.post("/img/search", data={"text_query": "x" * 2001}), 422, "at most 2000")
    failed(loaded.post("/img/search", files={"image": ("s.png", b"junk")}), 422, "not a picture")
    failed(loaded.post("/img/search?table_name=no", data={"text_query": "red"}), 404, "no")


def test_drop_and_load_again(loaded: TestClient, photos: Path) -> None:
    assert loaded.post("/img/drop").json() == "ok"
    failed(loaded.post("/img/count"), 404, "tsir")
    assert loaded.post("/img/load", json={"File": str(photos)}).status_code == 200
    assert loaded.post("/img/count").json() == 6


def test_data_serves_catalogued_pictures_only(loaded: TestClient, photos: Path, tmp_path: Path) -> None:
    path = photos / "red0.png"
    answer = loaded.get("/data", params={"image_path": str(path)})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content == path.read_bytes()
    assert answer.headers["x-content-type-options"] == "nosniff"
    (photos / "secret.txt").write_text("secret")
    hidden = [f"{photos}/../photos/red0.png", str(photos / "secret.txt"), str(tmp_path / "data" / "catalog.db")]
    for other in ("/etc/passwd", "red0.png", *hidden):
        failed(loaded.get("/data", params={"image_path": other}), 404, "No picture of the catalog")
    failed(loaded.get("/data"), 422, "image_path is missing")


def test_file_that_vanished_is_not_found(loaded: TestClient, photos: Path) -> None:
    (photos / "red0.png").unlink()
    failed(loaded.get("/data", params={"image_path": str(photos / "red0.png")}), 404, "no longer at")


def test_progress_of_an_empty_library(client: TestClient) -> None:
    assert client.get("/progress").json() == [[0, 0], 200]


def test_wrong_method_is_refused(client: TestClient) -> None:
    failed(client.get("/img/count"), 405, "does not know that method")
    failed(client.get("/img/nothing"), 404, "nothing at this address")
