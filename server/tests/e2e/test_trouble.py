"""The first start, and when something is missing: the server, the key, the pictures."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import IMPORT_S, Site
from tests.e2e.hands import expect_hits, job, open_library, tiles, words

pytestmark = pytest.mark.e2e

NewSite = Callable[..., Site]


def test_empty_library_says_how_to_begin(new_site: NewSite, page: Page, shoot: Callable[[Page, str], None]) -> None:
    site = new_site()
    page.goto(site.gui)
    expect(page.get_by_role("heading", name="This library is empty")).to_be_visible()
    shoot(page, "empty")
    page.get_by_role("button", name="Import a folder").click()
    expect(page.get_by_role("dialog", name="Library")).to_be_visible()
    site.stop()


def test_first_start_shows_the_sample_gallery_and_names_its_source(
    new_site: NewSite, page: Page, shoot: Callable[[Page, str], None]
) -> None:
    site = new_site(samples=True)
    page.goto(site.gui)
    footer = page.get_by_role("contentinfo")
    expect(footer).to_contain_text("Sample pictures: OpenMoji, CC BY-SA 4.0", timeout=IMPORT_S * 1000)
    expect(footer.get_by_role("link", name="CC BY-SA 4.0")).to_have_attribute("href", "https://creativecommons.org/licenses/by-sa/4.0/")
    expect(page.get_by_role("button", name="Importing")).to_have_count(0, timeout=IMPORT_S * 1000)
    words(page).fill("cat")
    expect_hits(page)
    shoot(page, "samples")
    site.stop()


def test_page_says_so_when_the_server_is_gone_and_goes_on_when_it_is_back(
    new_site: NewSite, rough_page: Page, shoot: Callable[[Page, str], None]
) -> None:
    page, site = rough_page, new_site()
    site.load("tsir")
    page.goto(site.gui)
    words(page).fill("a dog")
    expect_hits(page)
    site.stop()
    words(page).fill("a cat")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The server does not answer")
    expect(tiles(page)).to_have_count(0)
    shoot(page, "server-gone")
    site.start()
    expect_hits(page)
    expect(words(page)).to_have_value("a cat")
    site.stop()


def test_key_is_asked_for_and_kept_for_the_tab(new_site: NewSite, rough_page: Page) -> None:
    page, site = rough_page, new_site(API_KEYS="correct-horse")
    site.load("tsir", key="correct-horse")
    page.goto(site.gui)
    question = page.get_by_role("dialog", name="API key")
    question.get_by_label("Key").fill("wrong")
    question.get_by_role("button", name="Continue").click()
    expect(question).to_contain_text("not one of this server's")
    question.get_by_label("Key").fill("correct-horse")
    question.get_by_role("button", name="Continue").click()
    expect(question).to_have_count(0)
    expect(tiles(page).first).to_be_visible()  # thumbnails carry the key too
    page.reload()
    words(page).fill("a dog")
    expect_hits(page)
    panel = open_library(page)
    panel.get_by_role("button", name="Import folder").click()
    expect(job(panel)).to_have_attribute("data-state", "done", timeout=60_000)  # events carry it as well
    site.stop()
