"""Keys that may only read, and browsers that sign in once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from tests.api.conftest import start, wait_job
from tsir.settings import Settings

TSIR = "/api/v1/collections/tsir"
SESSION = "/api/v1/session"
WRITE, READ = {"X-API-Key": "all-of-it"}, {"X-API-Key": "looking-only"}


@pytest.fixture
def client(settings: Settings, photos: Path) -> Iterator[TestClient]:
    """An app with keys, whose default collection holds the six pictures."""
    hashed = hashlib.sha256(b"hashed-reader").hexdigest()
    keys = SecretStr(
        f"all-of-it, read:looking-only, write:all-of-it-too, read:sha256:{hashed}, sha256:{hashlib.sha256(b'hashed').hexdigest()}"
    )
    with start(settings.model_copy(update={"api_keys": keys})) as client:
        job = client.post(f"{TSIR}/imports", json={"path": str(photos)}, headers=WRITE).json()
        client.headers.update(WRITE)
        assert wait_job(client, job["id"])["done"] == 6
        del client.headers["X-API-Key"]
        yield client


def signed_in(client: TestClient, key: str) -> str:
    """The Set-Cookie line of a sign-in, whose cookie the client now has."""
    answer = client.post(SESSION, json={"key": key})
    assert answer.status_code == 200, answer.text
    return answer.headers["set-cookie"]


def test_reading_key_looks_and_searches_and_changes_nothing(client: TestClient, photos: Path) -> None:
    for headers in (READ, {"Authorization": "Bearer hashed-reader"}):
        assert client.get(f"{TSIR}/images", headers=headers).status_code == 200
        assert client.post(f"{TSIR}/search", data={"text": "red"}, headers=headers).status_code == 200
        assert client.post(f"{TSIR}/search/batch", json={"queries": [{"text": "red"}]}, headers=headers).status_code == 200
        assert client.post("/img/search", data={"text_query": "red"}, headers=headers).status_code == 200
        assert client.post("/img/count", headers=headers).json() == 6
        for method, path in (
            ("DELETE", TSIR),
            ("DELETE", f"{TSIR}/images/1"),
            ("PUT", "/api/v1/collections/new"),
            ("POST", f"{TSIR}/imports"),
            ("POST", f"{TSIR}/reencode"),
            ("POST", "/img/drop"),
            ("POST", "/img/upload"),
            ("POST", "/img/load"),
            ("DELETE", "/api/v1/jobs/1"),
            ("POST", "/api/v1/collections/tsir/imports/search"),
        ):
            answer = client.request(method, path, headers=headers)
            assert answer.status_code == 403, path
            assert "may look and search, but change nothing" in answer.text
    assert client.post("/img/count", headers=READ).json() == 6


@pytest.mark.parametrize("key", ["all-of-it", "all-of-it-too", "hashed"])
def test_other_keys_may_do_everything(client: TestClient, key: str) -> None:
    assert client.put("/api/v1/collections/new", headers={"X-API-Key": key}).status_code == 201
    assert client.delete("/api/v1/collections/new", headers={"X-API-Key": key}).status_code == 200


def test_hash_of_a_key_is_no_key(client: TestClient) -> None:
    for wrong in ("sha256:" + hashlib.sha256(b"hashed").hexdigest(), hashlib.sha256(b"hashed").hexdigest(), "read:looking-only"):
        assert client.get("/api/v1/collections", headers={"X-API-Key": wrong}).status_code == 401


def test_browser_signs_in_and_its_cookie_opens_everything_that_the_key_does(client: TestClient) -> None:
    assert client.get(SESSION).status_code == 401
    line = signed_in(client, "all-of-it")
    assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=2592000"} <= set(line.split("; "))
    assert "Secure" not in line and "all-of-it" not in line
    assert (seen := client.get(SESSION).json())["scope"] == "write" and seen["by"] == "cookie" and seen["expires_at"]
    image = client.get(f"{TSIR}/images").json()["images"][0]
    for path in (image["thumbnail_url"], image["file_url"], "/api/v1/jobs/1/events", "/openapi.json", "/metrics"):
        assert client.get(path).status_code == 200, path
    assert client.delete(f"{TSIR}/images/{image['id']}").status_code == 200
    kept = client.cookies
    assert client.delete(SESSION).status_code == 204
    client.cookies = kept
    assert client.get(f"{TSIR}/images").status_code == 401, "a copy of the cookie ends, too"


def test_cookie_may_do_what_its_key_may(client: TestClient) -> None:
    signed_in(client, "looking-only")
    assert client.get(SESSION).json()["scope"] == "read"
    assert client.post(f"{TSIR}/search", data={"text": "red"}).status_code == 200
    assert client.delete(TSIR).status_code == 403
    assert client.get("/api/v1/folders").status_code == 403, "what lies on the server's disks"
    assert client.get("/api/v1/folders", headers=WRITE).status_code == 200
    assert client.delete(f"{TSIR}/images/1", headers=WRITE).status_code == 200, "a key in the header counts more"


def test_key_for_the_sign_in_may_be_in_a_header(client: TestClient) -> None:
    assert client.post(SESSION, headers=READ).json()["scope"] == "read"
    wrong = client.post(SESSION, json={"key": "guessed"})
    assert wrong.status_code == 401
    assert "not one of this server's" in wrong.json()["detail"]
    assert "set-cookie" not in wrong.headers
    assert client.post(SESSION, json={}).status_code == 422
    assert client.post(SESSION).status_code == 401 or client.cookies


def test_cookie_behind_https_is_for_https_alone(client: TestClient) -> None:
    answer = client.post(SESSION, json={"key": "all-of-it"}, headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in answer.headers["set-cookie"]


def test_foreign_pages_may_not_use_the_cookie(client: TestClient) -> None:
    signed_in(client, "all-of-it")
    host = {"Host": "127.0.0.1:5000"}
    for origin in ("http://evil.example", "null", "http://127.0.0.1:8000", "https://127.0.0.1.evil.example"):
        for method, path in (("DELETE", TSIR), ("POST", "/img/drop"), ("POST", SESSION), ("DELETE", SESSION)):
            answer = client.request(method, path, headers={**host, "Origin": origin})
            assert answer.status_code == 403, (origin, path)
            assert "may not change anything" in answer.text
    assert client.delete(TSIR, headers={**host, "Origin": "http://127.0.0.1:5000"}).status_code == 200


def test_invented_or_foreign_cookies_open_nothing(client: TestClient, settings: Settings) -> None:
    name = signed_in(client, "all-of-it").partition("=")[0]
    token = client.cookies[name]
    client.cookies.clear()
    for cookie in (f"{name}=guess", f"{name}=", f"session={token}", f"{name}={token[:-1]}", "\xff=;;=;"):
        assert client.get("/api/v1/collections", headers=[(b"cookie", cookie.encode("latin-1"))]).status_code == 401  # type: ignore[arg-type]
    assert client.get("/api/v1/collections", headers={"Cookie": f"a=[1,2]; {name}={token}"}).status_code == 200
    assert client.get("/api/v1/collections", headers={"Cookie": f"{name}={token}", "X-API-Key": "guessed"}).status_code == 401


def test_server_without_keys_says_so(settings: Settings) -> None:
    with start(settings) as client:
        answer = client.post(SESSION, json={"key": "whatever"})
        assert answer.json() == {"scope": "write", "by": "nothing", "expires_at": None}
        assert "set-cookie" not in answer.headers
        assert client.get(SESSION).json()["by"] == "nothing"
        assert client.delete(SESSION).status_code == 204


def test_schema_names_the_cookie(client: TestClient) -> None:
    schema = client.get("/openapi.json", headers=READ).json()
    cookie = schema["components"]["securitySchemes"]["cookie"]
    assert cookie["in"] == "cookie" and cookie["name"] == signed_in(client, "all-of-it").partition("=")[0]
    assert {"cookie": []} in schema["security"]
    assert set(schema["paths"][SESSION]) == {"post", "get", "delete"}


def test_open_server_knows_no_names_that_a_foreigner_could_own(settings: Settings) -> None:
    meant = settings.model_copy(update={"host": "0.0.0.0", "allow_open": True, "cors_origins": "https://photos.example"})
    with start(meant) as client:
        for host in ("192.168.1.5:5000", "[fe80::1]:5000", "nas", "nas.local:5000", "photos.example", "localhost", "server:5000"):
            assert client.get("/api/v1/system", headers={"Host": host}).status_code == 200, host
        for host in ("evil.example", "192.168.1.5.evil.example:5000", "nas.local.evil.example", "evil.example."):
            answer = client.get("/api/v1/system", headers={"Host": host})
            assert answer.status_code == 403, host
            assert "CORS_ORIGINS" in answer.json()["detail"]
