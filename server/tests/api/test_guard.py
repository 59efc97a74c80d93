"""What every request passes first: host, origin, key, size."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from tests.api.conftest import picture, start, wait_job
from tsir.api.guard import is_loopback
from tsir.settings import Settings

TSIR = "/api/v1/collections/tsir"


def test_foreign_host_names_are_refused_on_loopback(client: TestClient) -> None:
    for host in ("evil.example", "evil.example:5000", "127.0.0.1.evil.example", "localhost.evil.example:80", "[::2]"):
        answer = client.get("/api/v1/system", headers={"Host": host})
        assert answer.status_code == 403, host
        assert "does not know the host name" in answer.json()["detail"]
    for host in ("127.0.0.1:5000", "localhost", "[::1]:3000", "LOCALHOST:1"):
        assert client.get("/api/v1/system", headers={"Host": host}).status_code == 200


def test_foreign_pages_may_not_change_anything(client: TestClient) -> None:
    host = {"Host": "127.0.0.1:5000"}
    for origin in ("http://evil.example", "null", "http://127.0.0.1:8000", "https://127.0.0.1.evil.example", "file://"):
        answer = client.post("/img/drop", headers={**host, "Origin": origin})
        assert answer.status_code == 403, origin
        assert "may not change anything" in answer.json()["msg"]
        assert client.delete(TSIR, headers={**host, "Origin": origin}).status_code == 403
    for origin in ("http://127.0.0.1:5000", "http://127.0.0.1:3000", "http://localhost:3000"):
        assert client.post("/img/count", headers={**host, "Origin": origin}).status_code == 200
    assert client.post("/img/count", headers=host).status_code == 200


def test_only_the_gui_and_named_origins_may_read(settings: Settings) -> None:
    with start(settings.model_copy(update={"cors_origins": "https://photos.example"})) as client:
        for origin in ("http://127.0.0.1:3000", "http://localhost:3000", "https://photos.example"):
            assert client.get("/health/live", headers={"Origin": origin}).headers["access-control-allow-origin"] == origin
            assert client.get("/nothing", headers={"Origin": origin}).headers["access-control-allow-origin"] == origin
        assert "access-control-allow-origin" not in client.get("/health/live", headers={"Origin": "http://evil.example"}).headers
        asked = {"Origin": "https://photos.example", "Access-Control-Request-Method": "DELETE"}
        assert client.options(TSIR, headers=asked).status_code == 200


def test_every_answer_has_security_headers(client: TestClient) -> None:
    for path in ("/health/live", "/nothing", "/api/v1/collections"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]


@pytest.fixture
def locked(settings: Settings) -> Settings:
    return settings.model_copy(update={"api_keys": SecretStr("first, zweiter-schlüssel")})


def test_keys_are_needed_for_all_but_health(locked: Settings, photos: Path) -> None:
    with start(locked) as client:
        assert client.get("/health/live").status_code == 200
        refused = client.get("/api/v1/collections")
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert "Authorization: Bearer KEY" in refused.json()["detail"]
        for path in ("/metrics", "/openapi.json", "/progress", "/api/v1/system", "/nothing", "/health/live/x"):
            assert client.get(path).status_code == 401, path
        assert client.post("/img/count").json()["status"] is False
        for headers in ({"X-API-Key": "wrong"}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic first"}, {"X-API-Key": ""}):
            assert client.get("/api/v1/collections", headers=headers).status_code == 401
        for good in (
            {"X-API-Key": "first"},
            {"Authorization": "Bearer first"},
            {"Authorization": "bearer first"},
        ):
            assert client.get("/api/v1/collections", headers=good).status_code == 200


def test_key_in_the_address_opens_pictures_only(locked: Settings, photos: Path) -> None:
    key = {"X-API-Key": "first"}
    with start(locked) as client:
        job = client.post(f"{TSIR}/imports", json={"path": str(photos)}, headers=key).json()
        events = client.get(f"/api/v1/jobs/{job['id']}/events?key=first")
        assert '"state":"done"' in events.text
        image = client.get(f"{TSIR}/images", headers=key).json()["images"][0]
        assert client.get(f"{image['thumbnail_url']}&key=first").status_code == 200
        assert client.get(f"{image['file_url']}?key=first").status_code == 200
        assert client.get("/data", params={"image_path": image["path"], "key": "first"}).status_code == 200
        assert client.get(f"{image['file_url']}?key=wrong").status_code == 401
        assert client.get("/api/v1/collections?key=first").status_code == 401
        assert client.delete(f"{TSIR}/images/{image['id']}?key=first").status_code == 401


def test_requests_beyond_the_limit_are_refused(settings: Settings) -> None:
    small = settings.model_copy(update={"max_upload_bytes": 2000, "max_request_bytes": 1_500_000})
    with start(small) as client:
        noise = bytes(range(256)) * 12_000
        for url, field in (("/img/upload", "image"), ("/img/search", "image"), (f"{TSIR}/search", "sketch"), (f"{TSIR}/imports", "files")):
            answer = client.post(url, files={field: ("a.png", noise)})
            assert answer.status_code == 413, url
            assert "larger than" in answer.text
        for url, field in (("/img/upload", "image"), (f"{TSIR}/search", "image")):
            answer = client.post(url, files={field: ("a.png", noise[:2001])})
            assert answer.status_code == 413, url
            assert "MAX_UPLOAD_BYTES" in answer.text
        job = client.post(f"{TSIR}/imports", files=[("files", ("large.png", noise[:9000])), ("files", ("a.png", picture("red")))]).json()
        job = wait_job(client, job["id"])
        assert (job["done"], job["failed"]) == (1, 1)


def test_limit_holds_for_bodies_of_unknown_length(settings: Settings) -> None:
    small = settings.model_copy(update={"max_request_bytes": 100_000})
    boundary = b"--x\r\nContent-Disposition: form-data; name=files; filename=a.png\r\n\r\n"

    def body() -> object:
        yield boundary
        for _ in range(1000):
            yield b"0" * 1000

    with start(small) as client:
        for url in (f"{TSIR}/imports", "/img/search"):
            headers = {"Content-Type": "multipart/form-data; boundary=x"}
            answer = client.post(url, content=body(), headers=headers)  # type: ignore[arg-type]
            assert answer.status_code == 413, answer.text
            assert "larger than 100000 bytes" in answer.text


def test_loopback_is_told_from_the_rest() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "localhost", "::1", "127.8.8.8")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.0.1", "example.org", "")))
