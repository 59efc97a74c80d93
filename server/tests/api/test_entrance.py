"""Below a proxy's path, and ranges that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from pydantic import SecretStr

from tests.api.conftest import wait_ready
from tests.fakes import FakeEncoder
from tsir.api.gui import Gui
from tsir.app import create_app
from tsir.settings import Settings

PAGE = '<html><head><title>the page</title><script src="./env-config.js"></script></head></html>'


@pytest.mark.parametrize(
    "value",
    [
        "bytes",
        "bytes=",
        "bytes=a-b",
        "bytes=5-2",
        "bytes=-",
        "items=0-5",
        "0-5",
        "bytes=0-5,9-7",
        "bytes=1_0-",
        "bytes=٣-",
        "\xff",
        "bytes=0-5;",
        "bytes=0-5,999999999-",
    ],
)
def test_range_that_is_none_is_ignored(loaded: TestClient, value: str) -> None:
    image = loaded.get("/api/v1/collections/tsir/images").json()["images"][0]
    whole = loaded.get(image["file_url"])
    for path in (image["file_url"], image["thumbnail_url"]):
        answer = loaded.get(path, headers=[(b"range", value.encode())])  # type: ignore[arg-type]
        assert answer.status_code == 200, value
    assert loaded.get(image["file_url"], headers=[(b"range", value.encode())]).content == whole.content  # type: ignore[arg-type]


def test_ranges_are_served_and_what_lies_beyond_the_end_is_said(loaded: TestClient) -> None:
    url = loaded.get("/api/v1/collections/tsir/images").json()["images"][0]["file_url"]
    whole = loaded.get(url).content
    for value, part in (("bytes=0-3", whole[:4]), ("BYTES=-5", whole[-5:]), ("bytes=10-", whole[10:]), ("bytes= 0-0 ,", whole[:1])):
        answer = loaded.get(url, headers={"Range": value})
        assert (answer.status_code, answer.content) == (206, part), value
    for value in (f"bytes={len(whole)}-", "bytes=-0", f"bytes={10**17}-"):
        answer = loaded.get(url, headers={"Range": value})
        assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(whole)}"), value
    assert loaded.get(url, headers=[("Range", "bytes=0-1"), ("Range", "bytes=2-3")]).status_code == 200  # type: ignore[arg-type]


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(PAGE)
    (folder / "assets" / "app-1a2b.js").write_text("1")
    return folder


def site(settings: Settings, dist: Path, peer: str = "127.0.0.1") -> TestClient:
    """API and GUI in one, asked from an address. The API need not be ready."""
    app = create_app(settings, encoder=FakeEncoder())
    return TestClient(Gui(app, dist, settings.root_path), client=(peer, 1234), base_url="http://localhost:3000", follow_redirects=False)


def shown(client: TestClient, path: str, **headers: str) -> str:
    answer = client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    assert answer.status_code == 200, answer.text
    assert "base-uri 'self'" in answer.headers["content-security-policy"]
    return answer.text


def test_page_is_told_where_it_lies(settings: Settings, dist: Path) -> None:
    below = site(settings.model_copy(update={"root_path": "/photos"}), dist)
    for path in ("/photos/", "/photos", "/photos/some/view", "/", "/index.html"):  # a proxy may take the path away, or leave it
        assert '<head><base href="/photos/">' in shown(below, path)
    for path in ("/photos/env-config.js", "/env-config.js"):
        assert shown(below, path) == 'window._env_ = { API_URL: "/photos" };\n'
    for path in ("/photos/assets/app-1a2b.js", "/assets/app-1a2b.js"):
        assert shown(below, path) == "1"
        assert "immutable" in below.get(path).headers["cache-control"]
    for path in ("/photos/health/live", "/health/live"):
        assert below.get(path).json() == {"status": "ok"}
    assert below.get("/photosynthesis.js").status_code == 404
    assert '<base href="/">' in shown(site(settings, dist), "/some/view")


def test_page_that_did_not_change_is_not_sent_again(settings: Settings, dist: Path) -> None:
    client = site(settings, dist)
    page = client.get("/")
    assert client.get("/", headers={"If-None-Match": page.headers["etag"]}).status_code == 304
    moved = client.get("/", headers={"If-None-Match": page.headers["etag"], "X-Forwarded-Prefix": "/photos"})
    assert moved.status_code == 200
    assert client.post("/").status_code == 405
    head = client.head("/")
    assert (head.status_code, head.content) == (200, b"")


def test_proxy_on_this_machine_says_where_the_page_lies(settings: Settings, dist: Path) -> None:
    assert '<base href="/my/photos/">' in shown(site(settings, dist), "/", X_Forwarded_Prefix="/my/photos/")
    assert '"/photos"' in shown(site(settings, dist), "/env-config.js", X_Forwarded_Prefix="/photos")
    for wrong in ("//evil.example", '/"><script>', "/a/../b", "photos", "https://evil.example/", "/a//b", "/" + "a" * 300, "/.."):
        assert '<base href="/">' in shown(site(settings, dist), "/", X_Forwarded_Prefix=wrong), wrong
    assert '<base href="/">' in shown(site(settings, dist, peer="192.0.2.7"), "/", X_Forwarded_Prefix="/photos")
    assert '<base href="/photos/">' in shown(
        site(settings.model_copy(update={"root_path": "/photos"}), dist), "/", X_Forwarded_Prefix="/elsewhere"
    )


def test_addresses_in_answers_lie_below_the_path(settings: Settings, photos: Path) -> None:
    below = settings.model_copy(update={"root_path": "/photos", "api_keys": SecretStr("key-of-mine")})
    with TestClient(create_app(below, encoder=FakeEncoder()), headers={"X-API-Key": "key-of-mine"}, follow_redirects=False) as client:
        wait_ready(client)
        for path in ("/photos/api/v1/collections/tsir/imports", "/api/v1/collections/tsir/imports"):
            job = client.post(path, json={"path": str(photos)})
            assert job.headers["location"] == f"/photos/api/v1/jobs/{job.json()['id']}"
        assert client.get("/photos/api/v1/jobs/").headers["location"] == "/photos/api/v1/jobs"
        assert "Path=/photos/;" in client.post("/photos/api/v1/session").headers["set-cookie"]
