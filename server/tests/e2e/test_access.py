"""For everybody: checked by axe, by keyboard alone, in forced colours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import ROOT, Site
from tests.e2e.hands import draw, expect_hits, expect_marks, open_library, oval, sheet, tile, tiles, words
from tests.skips import skip_or_fail

pytestmark = pytest.mark.e2e

PLATE = oval(0.5, 0.5, 0.36, 0.25)
AXE = ROOT / "client" / "node_modules" / "axe-core" / "axe.min.js"
LOOKS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1400, "height": 900}},
    "desktop, dark": {"viewport": {"width": 1400, "height": 900}, "color_scheme": "dark"},
    "desktop, forced colours": {"viewport": {"width": 1400, "height": 900}, "forced_colors": "active"},
    "phone": {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True},
    "phone, dark": {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True, "color_scheme": "dark"},
    "phone on its side": {"viewport": {"width": 844, "height": 390}, "has_touch": True, "is_mobile": True},
}


def violations(page: Page) -> list[str]:
    """What axe finds on the page as it is, a line each."""
    if not AXE.is_file():
        skip_or_fail("client/node_modules is not there: run `make client`")
    # Colours on their way from one to the other are nobody's.
    page.evaluate("Promise.all(document.getAnimations().map(move => move.finished.catch(() => null)))")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    # In forced colours the system chooses them; axe reads those that it overrules.
    rules = "{ 'color-contrast': { enabled: !matchMedia('(forced-colors: active)').matches } }"
    found = page.evaluate(f"axe.run(document, {{ resultTypes: ['violations'], rules: {rules} }})")["violations"]
    return [f"{one['id']}: {node['target']} {node['failureSummary']}" for one in found for node in one["nodes"]]


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


def test_question_is_asked_by_keyboard_alone(site: Site, page: Page) -> None:
    page.goto(site.gui)
    expect(tiles(page).first).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("an animal")
    page.keyboard.press("Enter")
    expect_hits(page)

    def tab_to(name: str) -> None:
        for _ in range(60):
            if page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent").strip() == name:
                return
            page.keyboard.press("Tab")
        pytest.fail(f"Tab does not reach {name!r}")

    tab_to("Without")
    page.keyboard.press("Enter")
    page.keyboard.type("grass")
    expect(page.get_by_role("textbox", name="Without")).to_have_value("grass")
    expect_hits(page)
    tab_to("Filters")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Wide")).to_be_checked()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Filters · 1")).to_be_focused()
    expect_hits(page)
    assert "not=grass" in page.url and "shape=landscape" in page.url


def test_key_is_asked_for_once_and_then_when_one_wishes(new_site: Callable[..., Site], rough_page: Page) -> None:
    page, site = rough_page, new_site(API_KEYS="correct-horse")
    site.load("tsir", key="correct-horse")
    page.goto(site.gui)
    question = page.get_by_role("dialog", name="API key")
    expect(question).to_contain_text("Whoever runs it can tell you one")
    expect(question.get_by_label("Key")).to_be_focused()
    question.get_by_role("button", name="Cancel").click()
    expect(question).to_have_count(0)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("only those who have a key")
    words(page).fill("a dog")
    page.wait_for_timeout(7000)  # longer than any request waits to be repeated
    expect(question).to_have_count(0)
    alert.get_by_role("button", name="Enter the key").click()
    question.get_by_label("Key").fill("correct-horse")
    question.get_by_role("button", name="Continue").click()
    expect(question).to_have_count(0)
    expect_hits(page)
    site.stop()
