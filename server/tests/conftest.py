"""Fixtures that every part uses. Data sets come from the folder in TSIR_SHARED_DATA; without it those tests skip."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from PIL import Image

from tests.disk import Synced, watch
from tests.fakes import FakeEncoder
from tests.order import long_first
from tests.skips import skip_or_fail
from tsir.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

gc.set_threshold(50_000)  # as the command `tsir` does

pytest_plugins = ["tests.services.fixtures"]

# A busy machine is slow now and then: how long an example took says nothing about the code.
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    from tests.workers import Sharing

    return Sharing(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: long_first(item.nodeid))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real photos, captions and sketches."""
    folder = os.environ.get("TSIR_SHARED_DATA", "")
    if not folder or not Path(folder).is_dir():
        skip_or_fail("TSIR_SHARED_DATA names no folder with the photo and sketch data sets")
    return Path(folder).resolve()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Embedded stores in a fresh folder; imports allowed under `tmp_path/photos`."""
    photos = tmp_path / "photos"
    photos.mkdir()
    return Settings(data_dir=tmp_path / "data", image_roots=str(photos), _env_file=None)  # type: ignore[call-arg]


@pytest.fixture
def encoder() -> FakeEncoder:
    return FakeEncoder()


@pytest.fixture
def photos(tmp_path: Path, settings: Settings) -> Path:
    """Six plain pictures, two shades each of red, green and blue, under the allowed root."""
    folder = tmp_path / "photos"
    for name, colour in {"red": (250, 10, 10), "green": (10, 250, 10), "blue": (10, 10, 250)}.items():
        for shade in range(2):
            dimmed = tuple(max(value, 45) - 40 * shade for value in colour)
            Image.new("RGB", (64 + shade, 48), dimmed).save(folder / f"{name}{shade}.png")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium as the system has it, without its windows where it comes so ; none is downloaded."""
    path = os.environ.get("TSIR_CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if path is None:
        skip_or_fail("No Chromium: install the package chromium, or set TSIR_CHROMIUM to its path")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> Synced:
    """The files and folders that this process flushed to disk so far."""
    return watch(monkeypatch)
