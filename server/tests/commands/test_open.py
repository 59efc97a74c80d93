"""Who reaches a server, said and refused; below a path; in a log for programs. Real processes."""

from __future__ import annotations

import contextlib
import json
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.processes import Site, wait_for


@pytest.fixture
def new_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def make(*arguments: str, **environment: str) -> Site:
        made.append(Site(tmp_path, *arguments, **environment))
        return made[-1]

    yield make
    for site in made:
        if site.process is not None:
            site.end(signal.SIGKILL)
        site.http.close()


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / "index.html").write_text("<html><head><title>the page</title></head></html>")
    return folder


@pytest.mark.parametrize(
    "environment", [{"HOST": "0.0.0.0"}, {"HOST": "::"}, {"HOST": "0.0.0.0", "API_KEYS": " , "}, {"PUBLISH": "0.0.0.0"}]
)
def test_server_that_everyone_could_change_does_not_start(new_site: Callable[..., Site], environment: dict[str, str]) -> None:
    site = new_site("serve", **environment)
    ended = site.run("serve")
    assert ended.returncode == 1
    assert "Set API_KEYS=" in ended.stderr and "ALLOW_OPEN=yes" in ended.stderr and "Traceback" not in ended.stderr
    assert not (site.folder / "data" / "catalog.db").exists()


def test_open_server_says_loudly_that_it_is_and_where_it_listens(new_site: Callable[..., Site], dist: Path) -> None:
    site = new_site("up", "--client", str(dist), "--no-samples", HOST="0.0.0.0", ALLOW_OPEN="yes")
    site.start()
    wait_for(lambda: "Ctrl-C stops" in site.log.read_text(), site.log)
    told = site.log.read_text()
    assert f"Listening on 0.0.0.0:{site.port} and 0.0.0.0:{site.client_port} (every address of this machine)." in told
    assert "WARNING: no key is asked for (ALLOW_OPEN)." in told


def test_server_with_keys_says_where_it_listens_and_logs_for_programs(new_site: Callable[..., Site], dist: Path, photos: Path) -> None:
    environment = {"HOST": "0.0.0.0", "API_KEYS": "correct-horse,read:battery", "LOG_FORMAT": "json", "ROOT_PATH": "/photos"}
    site = new_site("up", "--client", str(dist), "--images", str(photos), **environment)
    site.start()
    with httpx.Client(base_url=f"http://127.0.0.1:{site.client_port}", trust_env=False) as gui:
        assert '<base href="/photos/">' in gui.get("/photos/").text
        assert gui.post("/photos/img/count").status_code == 401
        assert gui.post("/photos/api/v1/session", json={"key": "correct-horse"}).status_code == 200
        assert gui.post("/photos/img/count").status_code == 200, "the cookie is sent below the path"
        wait_for(lambda: gui.post("/photos/img/count").json() == 6, site.log)
        assert gui.post("/img/count").status_code == 401, "and nowhere else"
        (cookie,) = gui.cookies.values()
        gui.get("/photos/data?image_path=x&key=battery", headers={"X-Request-Id": "mine"})
    wait_for(lambda: "6 imported" in site.log.read_text(), site.log)
    assert site.end(signal.SIGTERM) == 0
    text = site.log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert any(re.fullmatch(rf"Listening on 0\.0\.0\.0:{site.port} and .*", line["message"]) for line in lines)
    assert [line["status"] for line in lines if line.get("request_id") == "mine"] == [404]
    assert all("request_id" in line for line in lines if line["logger"] == "tsir.access")
    for secret in ("correct-horse", "battery", cookie):
        assert secret not in text


def test_terminated_in_the_middle_of_work_loses_nothing(new_site: Callable[..., Site], photos: Path) -> None:
    for number in range(200):
        Image.new("RGB", (300, 200), (number % 256, number // 2, 9)).save(photos / f"{number:03}.png")
    site = new_site("serve")
    site.start()
    job = site.http.post("/api/v1/collections/tsir/imports", json={"path": str(photos)}).json()
    url = f"http://127.0.0.1:{site.port}/api/v1/collections/tsir/search"

    def search(number: int) -> list[int]:
        """Searches until the server is gone -> the statuses."""
        seen: list[int] = []
        with contextlib.suppress(httpx.TransportError), httpx.Client(timeout=60, trust_env=False, verify=False) as http:
            while True:
                seen.append(http.post(url, data={"text": f"red {number}"}).status_code)
        return seen

    with ThreadPoolExecutor(50) as pool:
        searches = [pool.submit(search, number) for number in range(50)]
        wait_for(lambda: site.http.get(f"/api/v1/jobs/{job['id']}").json()["done"] > 20, site.log)
        assert site.end(signal.SIGTERM) == 0
        assert {status for future in searches for status in future.result()} <= {200, 503}
    assert "Traceback" not in site.log.read_text()
    site.start()
    wait_for(lambda: site.http.get(f"/api/v1/jobs/{job['id']}").json()["state"] == "done", site.log)
    assert site.http.post("/img/count").json() == 206
    assert site.end(signal.SIGTERM) == 0
    checked = site.run("check")
    assert checked.returncode == 0, checked.stdout
    assert "206 pictures, 206 vectors." in checked.stdout
