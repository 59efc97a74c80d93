"""The container's own nginx configuration serves the built GUI in front of a real server."""

from __future__ import annotations

import contextlib
import getpass
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import FAKE, IMPORT_S, ROOT, Site, wait_until
from tests.e2e.hands import draw, expect_hits, job, oval, tiles, words
from tests.ports import free_port
from tests.skips import skip_or_fail

pytestmark = pytest.mark.e2e

TEMPLATE = ROOT / "client" / "nginx.conf.template"
DOCKERFILE = ROOT / "client" / "Dockerfile"


def main_conf(folder: Path) -> str:
    """What the image's nginx.conf does around the site: everything writable lies in `folder`."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    return (
        f"daemon off; user {getpass.getuser()}; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ include /etc/nginx/mime.types; access_log off; {temporary} include {folder}/site.conf; }}\n"
    )


@contextlib.contextmanager
def nginx_before(site: Site, dist: Path, folder: Path, root_path: str = "") -> Iterator[str]:
    """Address of nginx in front of a server."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        skip_or_fail("nginx is not installed")
    port = free_port()
    values = {
        "API_UPSTREAM": site.api,
        "API_URL": "",
        "ROOT_PATH": root_path,
        "NGINX_PORT": str(port),
        "NGINX_LOCAL_RESOLVERS": "127.0.0.1",
    }
    conf = TEMPLATE.read_text()
    assert set(re.findall(r"\$\{(\w+)\}", conf)) == set(values)
    for name, value in values.items():
        conf = conf.replace(f"${{{name}}}", value)
    conf = conf.replace("/dev/stdout", str(folder / "access.log"))
    (folder / "site.conf").write_text(conf.replace("/usr/share/nginx/html", str(dist)))
    (folder / "nginx.conf").write_text(main_conf(folder))
    process = subprocess.Popen([nginx, "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")])
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        if process.poll() is not None:
            pytest.fail((folder / "error.log").read_text())
        try:
            return httpx.get(address).status_code == 200
        except httpx.TransportError:
            return False

    wait_until("nginx answers", answers, 20)
    yield address
    process.terminate()
    process.wait(timeout=20)


@pytest.fixture(scope="module")
def front(site: Site, dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of nginx in front of the shared server."""
    with nginx_before(site, dist, tmp_path_factory.mktemp("nginx")) as address:
        yield address


def test_every_variable_of_the_configuration_has_a_default_in_the_image() -> None:
    names = set(re.findall(r"\$\{(\w+)\}", TEMPLATE.read_text())) - {"NGINX_LOCAL_RESOLVERS"}  # the image's entry point finds those
    text = DOCKERFILE.read_text()
    assert all(re.search(rf"\b{name}=", text) for name in names)
    assert "NGINX_ENTRYPOINT_LOCAL_RESOLVERS" in text


def test_page_is_asked_for_again_and_its_parts_are_kept(front: str) -> None:
    page = httpx.get(front)
    assert page.headers["cache-control"] == "no-cache"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"
    script = re.search(r'/assets/[^"]+\.js', page.text)
    assert script is not None
    kept = httpx.get(front + script[0])
    assert kept.status_code == 200
    assert "immutable" in kept.headers["cache-control"]
    assert kept.headers["content-encoding"] == "gzip"
    assert httpx.get(f"{front}/assets/none.js").status_code == 404


def test_api_address_is_told_at_run_time(front: str) -> None:
    answer = httpx.get(f"{front}/env-config.js")
    assert answer.text == 'window._env_ = { API_URL: "" };\n'
    assert "javascript" in answer.headers["content-type"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/api/v1/system", "/health/live", "/progress", "/openapi.json"])
def test_api_is_on_the_same_origin(front: str, path: str) -> None:
    answer = httpx.get(front + path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/json")


def test_servers_refusal_comes_through_as_it_is(front: str) -> None:
    answer = httpx.post(f"{front}/api/v1/collections/tsir/imports", json={"path": "/etc"})
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert "/etc" in answer.json()["detail"]


def test_metrics_stay_inside(front: str) -> None:
    assert "text/html" in httpx.get(f"{front}/metrics").headers["content-type"]


def test_person_draws_types_and_imports_through_nginx(front: str, site: Site, page: Page) -> None:
    page.goto(front)
    expect(tiles(page).first).to_be_visible()
    draw(page, oval(0.5, 0.5, 0.3, 0.2))
    words(page).fill("a plate of food")
    expect_hits(page)
    page.get_by_role("button", name="Add pictures").click()
    with page.expect_response(re.compile(r"/events")) as events:
        page.get_by_role("button", name="Import folder").click()
    assert events.value.headers["content-type"].startswith("text/event-stream")
    expect(job(page)).to_have_attribute("data-state", "done", timeout=60_000)


def test_person_searches_below_a_path(site: Site, dist: Path, tmp_path: Path, page: Page) -> None:
    with nginx_before(site, dist, tmp_path, "/photos") as front:
        for path in ("/photos/", "/photos/some/view", "/"):  # a proxy in front of nginx may take the path away, or leave it
            assert '<base href="/photos/">' in httpx.get(front + path).text
        assert httpx.get(f"{front}/photos").headers["location"] == "/photos/"
        assert httpx.get(f"{front}/photos/env-config.js").text == 'window._env_ = { API_URL: "/photos" };\n'
        assert httpx.get(f"{front}/photos/assets/none.js").status_code == 404
        assert httpx.get(f"{front}/photos/data?image_path=x&key=not-to-be-logged").headers["x-request-id"]
        below = re.compile(rf"^(data:|blob:|{re.escape(front)}/photos/)")
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{front}/photos/")
        expect(tiles(page).first).to_be_visible()
        words(page).fill("a plate of food")
        expect_hits(page)
        assert [url for url in asked if not below.match(url)] == []
        assert "not-to-be-logged" not in (tmp_path / "access.log").read_text()


def test_first_start_below_a_path_shows_the_sample_gallery_and_names_its_source(
    new_site: Callable[..., Site], page: Page, shoot: Callable[[Page, str], None]
) -> None:
    site = new_site(samples=True, command=FAKE, ROOT_PATH="/photos")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site.gui}/photos/")
    footer = page.get_by_role("contentinfo")
    expect(footer).to_contain_text("Sample pictures: OpenMoji, CC BY-SA 4.0", timeout=IMPORT_S * 1000)
    expect(footer.get_by_role("link", name="CC BY-SA 4.0")).to_have_attribute("href", "https://creativecommons.org/licenses/by-sa/4.0/")
    expect(page.get_by_role("button", name="Importing")).to_have_count(0, timeout=IMPORT_S * 1000)
    words(page).fill("a plate of food")
    expect_hits(page)
    shoot(page, "samples")
    assert [url for url in asked if not url.startswith((f"{site.gui}/photos/", "data:", "blob:"))] == []
    site.stop()
