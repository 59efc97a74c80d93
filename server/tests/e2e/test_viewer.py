"""Looking at one picture."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Site
from tests.e2e.hands import expect_hits, part, tile, words

pytestmark = pytest.mark.e2e


def test_viewer_shows_walks_and_closes(site: Site, page: Page, shoot: Callable[[Page, str], None]) -> None:
    page.goto(site.gui)
    words(page).fill("people at a table")
    expect_hits(page)
    first, second = (tile(page, index).get_attribute("data-id") for index in (0, 1))
    tile(page, 0).click()
    viewer = page.get_by_role("dialog")
    expect(viewer).to_be_visible()
    large = viewer.get_by_role("img")
    expect(large).to_have_attribute("src", re.compile(rf"/images/{first}/file"))
    expect(viewer.get_by_text(str(site.photos))).to_be_visible()
    expect(viewer.locator("caption")).to_have_text(re.compile(r"Score \d\.\d{3}"))
    expect(viewer.get_by_text(re.compile(r"\d+ × \d+ · .+B"))).to_be_visible()
    shoot(page, "viewer")
    page.keyboard.press("ArrowRight")
    expect(large).to_have_attribute("src", re.compile(rf"/images/{second}/"))
    expect(page).to_have_url(re.compile(rf"view={second}"))
    page.keyboard.press("ArrowLeft")
    expect(large).to_have_attribute("src", re.compile(rf"/images/{first}/"))
    page.keyboard.press("Escape")
    expect(viewer).to_have_count(0)
    expect(tile(page, 0)).to_be_focused()


def test_back_closes_the_viewer_and_an_address_opens_it(site: Site, page: Page) -> None:
    page.goto(site.gui)
    tile(page, 2).click()
    viewer = page.get_by_role("dialog")
    expect(viewer).to_be_visible()
    address = page.url
    page.go_back()
    expect(viewer).to_have_count(0)
    page.goto(address)
    expect(viewer.get_by_role("img")).to_be_visible()
    viewer.get_by_role("button", name="Close").click()
    expect(viewer).to_have_count(0)
    assert "view=" not in page.url


def test_path_is_copied(site: Site, page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(site.gui)
    tile(page, 0).click()
    page.get_by_role("button", name="Copy the path").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").startswith(str(site.photos))


def test_more_like_this_searches_by_the_picture(site: Site, page: Page) -> None:
    page.goto(site.gui)
    words(page).fill("an animal")
    expect_hits(page)
    chosen = tile(page, 3).get_attribute("data-id")
    tile(page, 3).click()
    page.get_by_role("button", name="Find similar").click()
    expect(page).to_have_url(re.compile(rf"like={chosen}"))
    expect(words(page)).to_have_value("")
    expect(part(page, "like")).to_be_visible()
    page.get_by_role("button", name="Drop: More like this picture").click()
    expect(page.get_by_role("heading", name="Newest pictures")).to_be_visible()
