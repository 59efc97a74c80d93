"""For everybody: checked by axe, by keyboard alone, in forced colours."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.access import violations
from tests.e2e.conftest import Site
from tests.e2e.hands import draw, expect_hits, expect_marks, open_library, oval, sheet, tile, words

pytestmark = pytest.mark.e2e

PLATE = oval(0.5, 0.5, 0.36, 0.25)
# What `test_journey` does not look like
LOOKS: dict[str, dict[str, Any]] = {
    "desktop, forced colours": {"viewport": {"width": 1400, "height": 900}, "forced_colors": "active"},
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True},
    "phone on its side": {"viewport": {"width": 844, "height": 390}, "has_touch": True, "is_mobile": True},
}


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing(site: Site, browser: Browser, look: str) -> None:
    with browser.new_context(**LOOKS[look]) as context:
        page = context.new_page()
        page.goto(site.gui)
        tile(page, 0)
        assert violations(page) == [], "the first page"
        draw(page, PLATE)
        words(page).fill("a plate of food")
        expect_hits(page)
        tile(page, 0)
        assert violations(page) == [], "an answer"
        if "phone" not in look:
            page.get_by_role("button", name="Filters").click()
            expect(page.get_by_role("group", name="Filters")).to_be_visible()
            assert violations(page) == [], "filters"
            page.keyboard.press("Escape")
            page.get_by_role("button", name="More tools").click()
            assert violations(page) == [], "tools"
            page.keyboard.press("Escape")
        tile(page, 0).click()
        expect(page.get_by_role("dialog").get_by_role("img")).to_be_visible()
        assert violations(page) == [], "viewer"
        page.keyboard.press("Escape")
        panel = open_library(page)
        expect(panel).to_be_visible()
        assert violations(page) == [], "library"


def test_forced_colours_show_the_sheet_and_the_tools(site: Site, browser: Browser) -> None:
    with browser.new_context(viewport={"width": 1400, "height": 900}, forced_colors="active") as context:
        page = context.new_page()
        page.goto(site.gui)
        for element in (
            sheet(page).locator(".."),
            page.get_by_role("button", name="Pen"),
            page.get_by_role("button", name="Undo"),
            page.get_by_role("button", name="Filters"),
            words(page).locator(".."),
        ):
            style = element.evaluate(
                "it => { const s = getComputedStyle(it); return [s.borderTopStyle, s.borderTopWidth, s.borderTopColor] }"
            )
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert style[0] == "solid" and style[1] != "0px" and style[2] != ground, element
        outline = "it => getComputedStyle(it).outlineStyle"
        assert page.get_by_role("button", name="Pen").evaluate(outline) == "solid", "the tool in the hand is marked"
        assert page.get_by_role("button", name="Eraser").evaluate(outline) == "none"
        draw(page, PLATE)
        expect_hits(page)


FOCUS = "document.activeElement === document.body || document.activeElement === null"


def test_focus_never_falls_to_the_start_of_the_page(site: Site, page: Page) -> None:
    page.goto(site.gui)
    draw(page, PLATE)
    expect_marks(page, 1)
    assert not page.evaluate(FOCUS), "after a stroke"
    words(page).fill("a plate of food")
    expect_hits(page)

    def press(name: str) -> None:
        page.get_by_role("button", name=name).focus()
        page.keyboard.press("Enter")

    press("Undo")
    expect_marks(page, 0)
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Undo", "although nothing is left to undo"
    press("Redo")
    expect_marks(page, 1)
    for name in ("Drop: Drawing", "Clear the words"):
        press(name)
        expect(page.get_by_role("button", name=name)).to_have_count(0)
        assert not page.evaluate(FOCUS), name
    words(page).fill("dog")
    expect_hits(page)
    press("Start over")
    expect(page.get_by_role("heading", name="Newest pictures")).to_be_visible()
    assert not page.evaluate(FOCUS), "after a new start"
