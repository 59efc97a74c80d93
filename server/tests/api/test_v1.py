import io
import json
import os
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from tests.api.conftest import picture, start, wait_job
from tests.fakes import FakeEncoder
from tsir.settings import Settings

TSIR = "/api/v1/collections/tsir"


def problem(answer: Any, status: int, said: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "code", "detail", "instance"}
    assert body["status"] == status
    assert said in body["detail"], body["detail"]


# Collections


def test_default_collection_is_there_from_the_start(client: TestClient) -> None:
    [collection] = client.get("/api/v1/collections").json()["collections"]
    assert collection["name"] == "tsir"
    assert collection["encoder"]["name"] == "fake"
    assert (collection["count"], collection["state"], collection["usable"]) == (0, "ready", True)


def test_collection_is_created_described_and_dropped(client: TestClient) -> None:
    assert client.put("/api/v1/collections/holiday").status_code == 201
    assert client.put("/api/v1/collections/holiday").status_code == 200
    assert client.get("/api/v1/collections/holiday").json()["count"] == 0
    assert client.delete("/api/v1/collections/holiday").status_code == 200
    problem(client.get("/api/v1/collections/holiday"), 404, "tsir")
    problem(client.delete("/api/v1/collections/holiday"), 404, "holiday")


@pytest.mark.parametrize("name", ["a b", "1st", "%20", "ü", "x" * 65, "a.b", "a;drop"])
def test_name_that_no_collection_can_have_is_refused(client: TestClient, name: str) -> None:
    problem(client.put(f"/api/v1/collections/{name}"), 422, "")


# Imports and jobs


def test_folder_import_is_a_job(client: TestClient, photos: Path) -> None:
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (photos / "文件.png").write_bytes(picture("blue", (9, 9)))
    answer = client.post(f"{TSIR}/imports", json={"path": str(photos)})
    assert answer.status_code == 202, answer.text
    job = wait_job(client, answer.json()["id"])
    assert answer.headers["location"] == f"/api/v1/jobs/{job['id']}"
    assert (job["state"], job["done"], job["failed"], job["source"]) == ("done", 7, 1, str(photos))
    [failure] = job["failures"]
    assert failure["path"].endswith("broken.jpg")
    assert failure["reason"]
    assert client.get(f"/api/v1/jobs/{job['id']}/failures").json() == {"failures": [failure]}
    assert client.get(f"/api/v1/jobs/{job['id']}/failures?offset=1").json() == {"failures": []}
    assert client.get(TSIR).json()["count"] == 7
    assert client.get("/api/v1/jobs").json()["jobs"][0]["id"] == job["id"]


def test_uploads_and_zips_are_imported(client: TestClient) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("in/blue.png", picture("blue"))
        archive.writestr("../../escape.png", picture("green"))
        archive.writestr("notes.txt", "nothing")
    files = [
        ("files", ("красный.png", picture("red"))),
        ("files", ("all.zip", packed.getvalue())),
        ("files", ("not.jpg", b"text")),
        ("files", ("empty.png", b"")),
    ]
    answer = client.post(f"{TSIR}/imports", files=files)
    assert answer.status_code == 202, answer.text
    job = wait_job(client, answer.json()["id"])
    assert (job["state"], job["done"]) == ("done", 3)
    assert {failure["path"] for failure in job["failures"]} == {"not.jpg", "empty.png"}
    assert len(job["image_ids"]) >= 1
    for image in client.get(f"{TSIR}/images").json()["images"]:
        assert "/uploads/" in image["path"]


def test_upload_survives_a_restart(settings: Settings) -> None:
    with start(settings) as client:
        job = client.post(f"{TSIR}/imports", files={"files": ("a.png", picture("red"))}).json()
    with start(settings) as client:
        assert wait_job(client, job["id"])["state"] == "done"
        assert client.get(TSIR).json()["count"] == 1


def test_import_with_mistakes_is_refused(client: TestClient, photos: Path, tmp_path: Path) -> None:
    imports = f"{TSIR}/imports"
    problem(client.post(imports, json={"path": str(tmp_path)}), 403, "IMAGE_ROOTS")
    problem(client.post(imports, json={"path": str(photos / "no")}), 404, "does not exist")
    problem(client.post(imports, json={}), 422, "path is missing")
    problem(client.post(imports, json=[1]), 422, "")
    problem(client.post(imports, json={"urls": []}), 422, "urls")
    problem(client.post(imports, json={"urls": [1]}), 422, "urls.0")
    problem(client.post(imports, json={"path": "\0"}), 422, "valid Unicode")
    problem(client.post(imports, content=b"{", headers={"Content-Type": "application/json"}), 422, "not JSON")
    problem(client.post(imports, content=b"x"), 415, "multipart/form-data")
    problem(client.post(imports, files={"other": ("a.png", picture())}), 422, "send pictures")
    problem(client.post(imports, files={"files": ("", b"")}), 422, "")
    problem(client.post(imports, content=b"junk", headers={"Content-Type": "multipart/form-data; boundary=x"}), 400, "no well-formed form")
    problem(client.post(imports, content=b"junk", headers={"Content-Type": "multipart/form-data"}), 400, "boundary")
    problem(client.post("/api/v1/collections/none/imports", json={"path": str(photos)}), 404, "none")


def test_import_from_private_addresses_fails_each_with_its_reason(client: TestClient) -> None:
    answer = client.post(f"{TSIR}/imports", json={"urls": ["http://127.0.0.1:9/a.png", "file:///etc/passwd"]})
    assert answer.status_code == 202
    job = wait_job(client, answer.json()["id"])
    assert (job["done"], job["failed"]) == (0, 2)
    assert "public" in job["failures"][0]["reason"]


def test_events_tell_the_state_at_once_and_end_with_the_last(client: TestClient, photos: Path) -> None:
    job = client.post(f"{TSIR}/imports", json={"path": str(photos)}).json()
    with client.stream("GET", f"/api/v1/jobs/{job['id']}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        events = [json.loads(line.removeprefix("data: ")) for line in stream.iter_lines() if line.startswith("data: ")]
    assert events[0]["id"] == job["id"]
    assert events[-1]["state"] == "done"
    assert events[-1]["done"] == 6
    problem(client.get("/api/v1/jobs/999/events"), 404, "999")


def test_job_is_cancelled_once(client: TestClient, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for number in range(400):
        Image.new("RGB", (400, 300), (number % 256, number // 2, 7)).save(folder / f"{number}.png")
    job = client.post(f"{TSIR}/imports", json={"path": str(folder)}).json()
    assert client.delete(f"/api/v1/jobs/{job['id']}").status_code == 200
    assert wait_job(client, job["id"])["state"] == "cancelled"
    problem(client.get("/api/v1/jobs/999"), 404, "999")
    problem(client.get(f"/api/v1/jobs/{10**30}"), 422, "id")


def test_searches_answer_while_an_import_runs(client: TestClient, tmp_path: Path, photos: Path) -> None:
    for number in range(300):
        Image.new("RGB", (300, 200), (number % 256, 255 - number % 256, 9)).save(photos / f"n{number}.png")
    job = client.post(f"{TSIR}/imports", json={"path": str(photos)}).json()
    answers: list[Any] = []

    def ask() -> None:
        for _ in range(5):
            answers.append(client.post(f"{TSIR}/search", data={"text": "red", "limit": "5"}))  # noqa: PERF401

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 20
    for answer in answers:
        scores = [hit["score"] for hit in answer.json()["hits"]]
        assert scores == sorted(scores, reverse=True)
    assert wait_job(client, job["id"])["done"] == 306


# Images


def test_images_are_listed_page_by_page(loaded: TestClient) -> None:
    seen, cursor = [], None
    while True:
        page = loaded.get(f"{TSIR}/images", params={"limit": 4, **({"cursor": cursor} if cursor else {})}).json()
        seen += [image["id"] for image in page["images"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == 6
    problem(loaded.get(f"{TSIR}/images?cursor=broken"), 404, "cursor")
    problem(loaded.get(f"{TSIR}/images?limit=0"), 422, "limit")


def test_places_that_cannot_be_read_are_passed_over_and_said(client: TestClient, photos: Path) -> None:
    """What a dead mount, a loop of links or a pipe in a file's place does to its picture."""
    (photos / "copy").mkdir()
    (photos / "copy" / "red0.png").write_bytes((photos / "red0.png").read_bytes())
    client.post("/img/load", json={"File": str(photos)})
    shown = client.get(f"{TSIR}/images").json()["images"]
    [both] = [image for image in shown if len(image["paths"]) == 2]
    [only] = [image for image in shown if Path(image["path"]).name == "blue0.png"]
    first, second = map(Path, both["paths"])
    first.unlink()
    first.symlink_to(first)
    assert client.get(both["file_url"]).content == second.read_bytes()
    second.unlink()
    os.mkfifo(second)
    problem(client.get(both["file_url"]), 404, "cannot be read")
    for path in (photos.parent / "data" / "thumbnails").rglob("*.jpg"):
        path.unlink()
    problem(client.get(both["thumbnail_url"]), 404, "cannot be read")
    Path(only["path"]).unlink()
    Path(only["path"]).mkdir()
    problem(client.get(only["file_url"]), 404, "it is a folder")
    answer = client.post(f"{TSIR}/imports", json={"path": str(photos)})
    job = wait_job(client, answer.json()["id"])
    assert (job["state"], job["failed"]) == ("done", 2)
    assert "cannot be reached: Too many levels of symbolic links" in job["message"]
    (photos / "loop").symlink_to(photos / "loop")
    problem(client.post(f"{TSIR}/imports", json={"path": str(photos / "loop")}), 422, "loop")


def test_folders_that_may_be_imported_are_looked_through(client: TestClient, photos: Path) -> None:
    (photos / "trip" / "Day").mkdir(parents=True)
    (photos / "trip" / "Day" / "sea.png").write_bytes(picture())
    (photos / "trip" / "notes.txt").write_text("what we did")
    for hidden in (".git", "@eaDir"):
        (photos / "trip" / hidden).mkdir()
    (photos / "trip" / "out").symlink_to("/etc")
    (photos / "trip" / os.fsdecode(b"\xff")).mkdir()
    folders = "/api/v1/folders"
    top = {"name": str(photos), "path": str(photos), "pictures": 6, "folders": 1}
    assert client.get(folders).json() == {"path": None, "parent": None, "folders": [top], "more": False}
    trip = {"name": "trip", "path": str(photos / "trip"), "pictures": 0, "folders": 1}
    assert client.get(folders, params={"path": str(photos)}).json() == {
        "path": str(photos),
        "parent": None,
        "folders": [trip],
        "more": False,
    }
    day = {"name": "Day", "path": str(photos / "trip" / "Day"), "pictures": 1, "folders": 0}
    deeper = client.get(folders, params={"path": str(photos / "trip")}).json()
    assert (deeper["parent"], deeper["folders"]) == (str(photos), [day])
    for path, status, words in (
        ("/etc", 403, "IMAGE_ROOTS"),
        (str(photos / "trip" / "out"), 403, "IMAGE_ROOTS"),
        (str(photos / "trip" / "no"), 404, "does not exist"),
        (str(photos / "red0.png"), 422, "not a folder"),
    ):
        problem(client.get(folders, params={"path": path}), status, words)


def test_a_folder_that_moved_is_told(loaded: TestClient, photos: Path) -> None:
    (photos / "moved").mkdir()
    for path in photos.glob("*.png"):
        path.rename(photos / "moved" / path.name)
    relocate = "/api/v1/folders/relocate"
    problem(loaded.post(relocate, json={"from": str(photos), "to": "/etc"}), 403, "IMAGE_ROOTS")
    problem(loaded.post(relocate, json={"from": "photos", "to": str(photos / "moved")}), 422, "absolute")
    problem(loaded.post(relocate, json={"from": "/nowhere", "to": str(photos / "moved")}), 404, "nowhere")
    done = loaded.post(relocate, json={"from": str(photos), "to": str(photos / "moved")}).json()
    assert done == {"pictures": 6, "places": 6, "missing": 0}
    assert {Path(image["path"]).parent.name for image in loaded.get(f"{TSIR}/images").json()["images"]} == {"moved"}


def test_image_is_read_and_deleted_but_its_file_stays(loaded: TestClient, photos: Path) -> None:
    image = loaded.get(f"{TSIR}/images?limit=1").json()["images"][0]
    url = f"{TSIR}/images/{image['id']}"
    assert loaded.get(url).json() == image
    assert (image["width"], image["height"]) in ((64, 48), (65, 48))
    assert loaded.delete(url).status_code == 200
    problem(loaded.get(url), 404, str(image["id"]))
    problem(loaded.delete(url), 404, str(image["id"]))
    problem(loaded.get(f"{url}/file"), 404, "")
    problem(loaded.get(f"{url}/thumbnail"), 404, "")
    assert Path(image["path"]).is_file()
    assert loaded.get(TSIR).json()["count"] == 5
    problem(loaded.get(f"{TSIR}/images/{2**63}"), 422, "id")
    problem(loaded.get(f"{TSIR}/images/x"), 404, "nothing at this address")
    assert loaded.get(f"{TSIR}/images/remove").status_code == 405, "an address of its own, not a picture's"


def test_file_knows_head_and_ranges(loaded: TestClient) -> None:
    image = loaded.get(f"{TSIR}/images?limit=1").json()["images"][0]
    whole = Path(image["path"]).read_bytes()
    answer = loaded.get(image["file_url"])
    assert (answer.content, answer.headers["content-type"]) == (whole, "image/png")
    assert "sandbox" in answer.headers["content-security-policy"]
    head = loaded.head(image["file_url"])
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(whole)))
    part = loaded.get(image["file_url"], headers={"Range": "bytes=2-9"})
    assert (part.status_code, part.content) == (206, whole[2:10])
    assert loaded.get(image["file_url"], headers={"Range": f"bytes={10**9}-"}).status_code == 416


def test_thumbnail_is_small_and_cached(loaded: TestClient, settings: Settings) -> None:
    image = loaded.get(f"{TSIR}/images?limit=1").json()["images"][0]
    answer = loaded.get(image["thumbnail_url"])
    assert answer.headers["content-type"] == "image/jpeg"
    assert "immutable" in answer.headers["cache-control"]
    with Image.open(io.BytesIO(answer.content)) as thumbnail:
        assert max(thumbnail.size) <= 256
    again = loaded.get(image["thumbnail_url"], headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    large = loaded.get(image["thumbnail_url"], params={"size": "large"}, headers={"If-None-Match": answer.headers["etag"]})
    assert (large.status_code, large.headers["content-type"]) == (200, "image/jpeg")
    plain = loaded.get(f"{TSIR}/images/{image['id']}/thumbnail?v=0000")
    assert "no-cache" in plain.headers["cache-control"]
    problem(loaded.get(f"{TSIR}/images/{image['id']}/thumbnail?size=huge"), 422, "size")


def test_a_thumbnail_is_never_made_of_another_picture(loaded: TestClient, settings: Settings) -> None:
    image = loaded.get(f"{TSIR}/images").json()["images"][0]
    for path in (settings.data_dir / "thumbnails").glob("*/*/*"):
        path.unlink()
    Image.new("RGB", (20, 20), "red").save(image["path"], "PNG")
    problem(loaded.get(image["thumbnail_url"]), 404, "another picture")


def test_lost_thumbnails_are_made_again(loaded: TestClient, settings: Settings) -> None:
    for path in (settings.data_dir / "thumbnails").glob("*/*/*"):
        path.unlink()
    image = loaded.get(f"{TSIR}/images?limit=1").json()["images"][0]
    assert loaded.get(image["thumbnail_url"]).status_code == 200
    assert loaded.get(f"{TSIR}/images/{image['id']}/thumbnail?size=large").status_code == 200


# Search


def test_search_tells_why_each_picture_was_found(loaded: TestClient) -> None:
    form = {"text": "red", "not_text": "blue", "weights": '{"text": 2}', "limit": "3", "filter": '{"min_width": 65}', "min_score": "-1"}
    answer = loaded.post(f"{TSIR}/search", data=form, files={"sketch": ("s.png", picture("red")), "image": ("i.jpg", picture("red"))})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    hit = body["hits"][0]
    assert Path(hit["path"]).stem == "red1"
    assert set(hit["parts"]) == {"text", "not_text", "sketch", "image"}
    assert sum(hit["parts"].values()) == pytest.approx(hit["score"], abs=1e-5)
    assert loaded.get(hit["thumbnail_url"]).status_code == 200
    assert set(body["took_ms"]) == {"read", "decode", "encode", "search", "rows", "answer"}
    assert (body["next"], body["cut"], body["hint"], hit["relevance"]) == (None, None, None, None)  # of an encoder without a calibration


def test_search_is_paged_and_like_leaves_itself_out(loaded: TestClient) -> None:
    first = loaded.post(f"{TSIR}/search", data={"text": "green", "limit": "4"}).json()
    second = loaded.post(f"{TSIR}/search", data={"text": "green", "limit": "4", "cursor": first["next"]}).json()
    assert len({hit["id"] for hit in first["hits"] + second["hits"]}) == 6
    assert second["next"] is None
    id = first["hits"][0]["id"]
    alike = loaded.post(f"{TSIR}/search", data={"like": str(id)}).json()
    assert id not in [hit["id"] for hit in alike["hits"]]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One app for many refused requests."""
    folder = tmp_path_factory.mktemp("shared")
    with start(Settings(data_dir=folder / "data", _env_file=None)) as client:  # type: ignore[call-arg]
        yield client


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({}, 422, "asks for nothing"),
        ({"not_text": "red"}, 422, "not_text alone"),
        ({"text": "x" * 2001}, 422, "at most 2000"),
        ({"text": "a\0b"}, 422, "valid Unicode"),
        ({"text": "red", "limit": "0"}, 422, "limit"),
        ({"text": "red", "limit": "x"}, 422, "limit"),
        ({"text": "red", "limit": "9" * 5000}, 422, "limit"),
        ({"text": "red", "weights": "{"}, 422, "weights is not JSON"),
        ({"text": "red", "weights": '{"text": 1e999}'}, 422, "between -100 and 100"),
        ({"text": "red", "weights": '{"texts": 1}'}, 422, "known are"),
        ({"text": "red", "weights": '{"text": 1e-300}'}, 422, "cancel"),
        ({"text": "red", "filter": '{"colour": 1}'}, 422, "known are"),
        ({"text": "red", "filter": '{"folder": "a\\u0000"}'}, 422, "folder"),
        ({"text": "red", "cursor": "zzz"}, 404, "cursor"),
        ({"text": "red", "min_score": "nan"}, 422, "min_score"),
        ({"text": "red", "min_score": "7"}, 422, "min_score"),
        ({"text": "red", "min_relevance": "-0.1"}, 422, "min_relevance"),
        ({"text": "red", "min_relevance": "0.5"}, 422, "use min_score"),
        ({"like": "1"}, 404, "1"),
        ({"like": str(2**63)}, 422, "like"),
        ({"like": "x"}, 422, "like"),
    ],
)
def test_search_with_a_mistake_is_refused(shared: TestClient, form: dict[str, str], status: int, said: str) -> None:
    problem(shared.post(f"{TSIR}/search", data=form), status, said)


def test_search_with_unreadable_pictures_is_refused(shared: TestClient) -> None:
    for field in ("sketch", "image"):
        problem(shared.post(f"{TSIR}/search", files={field: ("a.png", b"junk")}), 422, "not a picture")
        problem(shared.post(f"{TSIR}/search", files={field: ("a.png", b"")}), 422, "empty")
    problem(shared.post("/api/v1/collections/none/search", data={"text": "red"}), 404, "none")


def test_text_in_any_script_is_searched(shared: TestClient) -> None:
    for text in ("Обед", "食べ物", "🍕" * 500, "a\u202eb", "\n red \t", "'; DROP TABLE images; --"):
        assert shared.post(f"{TSIR}/search", data={"text": text}).status_code == 200


# System


def test_health_metrics_and_system(loaded: TestClient) -> None:
    assert loaded.get("/health/live").json() == {"status": "ok"}
    assert loaded.head("/health/live").status_code == 200
    assert loaded.get("/health/ready").json() == {"status": "ok", "catalog": "ok", "vectors": "ok", "encoder": "ok"}
    loaded.post(f"{TSIR}/search", data={"text": "red"})
    text = loaded.get("/metrics").text
    assert 'tsir_images{collection="tsir"} 6.0' in text
    assert 'tsir_search_seconds_count{stage="encode"} 1.0' in text
    assert 'route="/api/v1/collections/{name}/search",status="200"' in text
    system = loaded.get("/api/v1/system").json()
    assert system["encoder"]["name"] == "fake"
    assert (system["images"], system["vectors"], system["catalog"]) == (6, "milvus-lite", "sqlite")
    assert system["default_collection"] == "tsir"


def test_two_apps_in_one_process_have_metrics_of_their_own(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with start(Settings(data_dir=tmp_path / name, _env_file=None)) as client:  # type: ignore[call-arg]
            assert "/health/ready" in client.get("/metrics").text


def test_operation_ids_are_the_names_of_functions(shared: TestClient) -> None:
    schema = shared.get("/openapi.json").json()
    ids = [operation["operationId"] for path in schema["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))
    assert {"search_collection", "start_import", "read_thumbnail", "watch_job", "search_images"} <= set(ids)
    for path in schema["paths"].values():
        for operation in path.values():
            assert operation["description"] or operation["summary"]


def test_collection_of_another_encoder_is_refused_until_it_is_encoded_anew(settings: Settings, photos: Path) -> None:
    with start(settings) as client:
        client.post("/img/load", json={"File": str(photos)})
    other = FakeEncoder("other", dim=16)
    with start(settings.model_copy(update={"model": "other"}), encoder=other) as client:
        refused = client.post(f"{TSIR}/search", data={"text": "red"})
        problem(refused, 409, "tsir reencode tsir --encoder other")
        assert "'fake'" in refused.json()["detail"]
        problem(client.post(f"{TSIR}/imports", json={"path": str(photos)}), 409, "fake")
        assert client.get(TSIR).json()["usable"] is False
        assert any("reencode" in line for line in client.get("/api/v1/system").json()["advice"])
        job = client.post(f"{TSIR}/reencode", json={}).json()
        assert wait_job(client, job["id"])["state"] == "done"
        assert client.get(TSIR).json()["encoder"]["name"] == "other"
        hits = client.post(f"{TSIR}/search", data={"text": "red"}).json()["hits"]
        assert len(hits) == 6
        assert "red" in hits[0]["path"]


def test_errors_of_unknown_addresses_are_problems(shared: TestClient) -> None:
    problem(shared.get("/nothing"), 404, "nothing at this address")
    problem(shared.get("/api/v1/nothing"), 404, "nothing at this address")
    problem(shared.post("/health/live"), 405, "does not know that method")
    problem(shared.get("/api/v1/collections/tsir/../../../etc/passwd"), 404, "")
