"""A real server process, a real browser. One server serves all tests that only read; tests that break things start their own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.ports import free_port
from tests.skips import skip_or_fail

ROOT = Path(__file__).resolve().parents[3]
WEIGHTS = ROOT / "server" / "src" / "tsir" / "encoders" / "lite" / "weights"
DIST = ROOT / "client" / "dist"
COMMAND = [str(Path(sys.executable).parent / "tsir"), "up"]
FAKE = [sys.executable, "-m", "tests.serve", "up"]  # with the encoder that costs nothing, where many pictures matter and not what they show
START_S = 150.0  # a cold start loads the encoder and creates both stores
IMPORT_S = 180.0  # a hundred photos on a slow, busy machine
expect.set_options(timeout=30_000)  # ms; nothing here measures speed, and a busy machine is slow


def ask(method: str, url: str, body: object = None, key: str | None = None) -> tuple[int, object]:
    """One JSON request -> status and answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(url, data=data, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"null")


def wait_until(what: str, true: Callable[[], bool], seconds: float) -> None:
    """Waits for a condition that another process brings about."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            pytest.fail(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.1)


@dataclass
class Site:
    """A running `tsir up`: API and GUI on ports of their own, a library in a folder of its own."""

    folder: Path
    photos: Path
    settings: dict[str, str] = field(default_factory=dict)
    samples: bool = False
    port: int = field(default_factory=free_port)
    client_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    command: list[str] = field(default_factory=lambda: COMMAND)

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def gui(self) -> str:
        return f"http://127.0.0.1:{self.client_port}"

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")

    def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("MILVUS", "MYSQL", "DATABASE"))}
        environment |= {
            "DATA_DIR": str(self.folder / "data"),
            "PORT": str(self.port),
            "CLIENT_PORT": str(self.client_port),
            "IMAGE_ROOTS": str(self.photos),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT / "server"), os.environ.get("PYTHONPATH")])),
            **self.settings,
        }
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, "--samples" if self.samples else "--no-samples"], env=environment, cwd=self.folder, stdout=log, stderr=log
            )
        wait_until("The server is ready", self._ready, START_S)

    def _ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            pytest.fail(f"The server stopped with code {self.process.returncode}:\n{self.log[-3000:]}")
        try:
            return ask("GET", f"{self.api}/health/ready")[0] == 200
        except OSError:
            return False

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def load(self, collection: str, key: str | None = None) -> int:
        """Imports the photo folder through the API -> the number of pictures in the collection."""
        where = f"{self.api}/api/v1/collections/{collection}"
        assert ask("PUT", where, key=key)[0] in (200, 201)
        status, job = ask("POST", f"{where}/imports", {"path": str(self.photos)}, key)
        assert status == 202 and isinstance(job, dict), job
        seen: dict[str, object] = {}

        def over() -> bool:
            answer = ask("GET", f"{self.api}/api/v1/jobs/{job['id']}", key=key)[1]
            assert isinstance(answer, dict)
            seen.update(answer)
            return answer["state"] in ("done", "failed", "cancelled")

        wait_until("The import is over", over, IMPORT_S)
        assert seen["state"] == "done", seen
        answer = ask("GET", where, key=key)[1]
        assert isinstance(answer, dict)
        return int(answer["count"])


@pytest.fixture(scope="session")
def dist() -> Path:
    """The built GUI."""
    if not (DIST / "index.html").is_file():
        skip_or_fail("client/dist is not built: run `make client`")
    return DIST


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred photos when the shared data is there, otherwise the sample gallery."""
    shared = Path(os.environ.get("TSIR_SHARED_DATA", "/nonexistent")) / "photos-100"
    if shared.is_dir():
        return shared.resolve()
    from tsir.importing.samples import write_gallery

    folder = tmp_path_factory.mktemp("gallery")
    write_gallery(folder)
    return folder


@pytest.fixture(scope="session")
def new_site(dist: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Site]]:
    """Starts servers with given settings; stops them all in the end."""
    if not any(WEIGHTS.glob("*")):  # what is tested is what ships
        skip_or_fail("The weights of the default encoder are not in the checkout")
    sites: list[Site] = []

    def start(samples: bool = False, folder: Path | None = None, command: list[str] = COMMAND, **settings: str) -> Site:
        site = Site(tmp_path_factory.mktemp("site"), folder or photos, settings, samples, command=command)
        sites.append(site)
        site.start()
        return site

    yield start
    for site in sites:
        site.stop()


@pytest.fixture(scope="session")
def site(new_site: Callable[..., Site]) -> Site:
    """The server that most tests share, its default collection filled."""
    site = new_site()
    assert site.load("tsir") >= 100
    return site


@pytest.fixture(scope="session")
def browser(browser: Browser) -> Browser:
    """Browsers whose user wants to see what is less likely, too: how much that is, is the model's business."""
    new_context = browser.new_context

    def with_choice(**options: Any) -> BrowserContext:
        context = new_context(**options)
        context.add_init_script("try { localStorage.setItem('tsir.less', 'shown') } catch { /* a blank page has none */ }")
        return context

    browser.new_context = with_choice  # type: ignore[method-assign]
    return browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    with contextlib.closing(browser.new_context(viewport={"width": 1400, "height": 900})) as context:
        context.set_default_timeout(60_000)
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that must not log any error."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(f"{message.text} {message.location['url']}") if message.type == "error" else None)
    yield page
    assert errors == []


@pytest.fixture
def rough_page(context: BrowserContext) -> Page:
    """A page for tests that provoke failed requests: the browser itself logs those as errors."""
    return context.new_page()


@pytest.fixture
def shoot(tmp_path: Path) -> Callable[[Page, str], None]:
    """Saves a screenshot into TSIR_SCREENSHOTS, or a temporary folder."""
    folder = Path(os.environ.get("TSIR_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)

    def save(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"{name}.png")

    return save
