"""The built page is served as small as the browser takes it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from tsir.api.gui import Gui

SCRIPT = b"console.log('a page that draws and types')\n" * 100
PAGE = b"<!doctype html><title>page</title>" * 50
BROTLI = b"as the build wrote it"  # served as it is, whatever it is


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[TestClient]:
    """A client of a page with one script in three forms, and one picture without any."""
    (tmp_path / "assets").mkdir()
    for name, data in [("index.html", PAGE), ("assets/page.js", SCRIPT)]:
        (tmp_path / name).write_bytes(data)
        (tmp_path / f"{name}.br").write_bytes(BROTLI)
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(data))
    (tmp_path / "favicon.svg").write_bytes(b"<svg/>")
    with TestClient(Gui(Starlette(), tmp_path)) as client:
        yield client


def fetch(browser: TestClient, path: str, accept: str) -> tuple[dict[str, str], bytes]:
    """Headers and the body as it went over the line."""
    with browser.stream("GET", path, headers={"Accept-Encoding": accept}) as answer:
        assert answer.status_code == 200
        return dict(answer.headers), b"".join(answer.iter_raw())


@pytest.mark.parametrize("accept", ["br", "gzip, deflate, br, zstd", "gzip;q=1.0, br;q=0.1", "*"])
def test_brotli_goes_to_whoever_takes_it(browser: TestClient, accept: str) -> None:
    headers, body = fetch(browser, "/assets/page.js", accept)
    assert headers["content-encoding"] == "br"
    assert body == BROTLI
    assert "javascript" in headers["content-type"]
    assert headers["vary"] == "Accept-Encoding"
    assert "immutable" in headers["cache-control"]


@pytest.mark.parametrize("accept", ["gzip", "gzip, deflate", "GZIP, br;q=0", "br; q=0.000, *"])
def test_gzip_goes_to_who_takes_no_brotli(browser: TestClient, accept: str) -> None:
    headers, body = fetch(browser, "/assets/page.js", accept)
    assert headers["content-encoding"] == "gzip"
    assert gzip.decompress(body) == SCRIPT


@pytest.mark.parametrize("accept", ["", "identity", "br;q=0, gzip;q=0", "*;q=0"])
def test_plain_goes_to_everyone_else(browser: TestClient, accept: str) -> None:
    headers, body = fetch(browser, "/assets/page.js", accept)
    assert "content-encoding" not in headers
    assert body == SCRIPT
    assert headers["vary"] == "Accept-Encoding"  # a cache in between must not mix them up


def test_page_of_any_address_is_small_and_asked_for_again(browser: TestClient) -> None:
    for path in ("/", "/some/page"):
        headers, body = fetch(browser, path, "gzip")
        assert gzip.decompress(body) == PAGE
        assert headers["content-type"].startswith("text/html")
        assert headers["cache-control"] == "no-cache"
        assert "script-src 'self'" in headers["content-security-policy"]
        again = browser.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": headers["etag"]})
        assert again.status_code == 304


def test_what_was_not_compressed_goes_as_it_is(browser: TestClient) -> None:
    headers, body = fetch(browser, "/favicon.svg", "br, gzip")
    assert "content-encoding" not in headers
    assert body == b"<svg/>"


def test_compressed_files_have_no_address_of_their_own(browser: TestClient) -> None:
    assert browser.get("/assets/page.js.br").status_code == 404
    assert browser.get("/assets/none.js", headers={"Accept-Encoding": "br"}).status_code == 404
