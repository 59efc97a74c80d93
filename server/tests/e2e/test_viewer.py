"""Looking at one picture."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.conftest import Site
from tests.e2e.hands import expect_hits, tile, words

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


def scale(page: Page) -> float:
    return float(page.get_by_role("dialog").get_by_role("img").get_attribute("data-scale") or "nan")


def expect_picture(large: Locator, number: str | None) -> None:
    expect(large).to_have_attribute("src", re.compile(rf"/images/{number}/"))


def test_picture_is_zoomed_moved_and_turned(site: Site, page: Page) -> None:
    page.goto(site.gui)
    first, second = (tile(page, index).get_attribute("data-id") for index in (0, 1))
    tile(page, 0).click()
    viewer = page.get_by_role("dialog")
    large = viewer.get_by_role("img")
    expect_picture(large, first)
    large.hover()
    page.mouse.wheel(0, -400)
    expect(large).not_to_have_attribute("data-scale", "1")
    page.keyboard.press("ArrowRight")  # moves what is larger than the stage, instead of turning the page
    page.keyboard.press("ArrowRight")
    expect_picture(large, first)
    page.keyboard.press("0")
    expect(large).to_have_attribute("data-scale", "1")
    large.dblclick()
    expect(large).to_have_attribute("data-scale", "2.5")
    viewer.get_by_role("button", name="Zoom out").click()
    assert 1 < scale(page) < 2.5
    large.dblclick()
    expect(large).to_have_attribute("data-scale", "1")
    viewer.get_by_role("button", name="Turn").click()
    expect(large).to_have_attribute("data-turned", "true")
    page.keyboard.press("ArrowRight")
    expect_picture(large, second)
    expect(large).to_have_attribute("data-scale", "1")
    expect(large).not_to_have_attribute("data-turned", "true")


def touch(page: Page, *path: tuple[float, float]) -> None:
    """One finger along a path, in px of the window."""
    devtools = page.context.new_cdp_session(page)
    for index, (x, y) in enumerate(path):
        kind = "touchStart" if index == 0 else "touchMove"
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    devtools.detach()


def test_swipe_turns_the_page_and_no_tap_is_lost_after_it(site: Site, browser: Browser) -> None:
    with browser.new_context(viewport={"width": 820, "height": 1100}, has_touch=True, is_mobile=True) as tablet:
        page = tablet.new_page()
        page.goto(site.gui)
        first, second, third = (tile(page, index).get_attribute("data-id") for index in (0, 1, 2))
        tile(page, 0).tap()
        viewer = page.get_by_role("dialog")
        large = viewer.get_by_role("img")
        expect_picture(large, first)
        page.evaluate("document.addEventListener('touchmove', event => { (window.taken ??= []).push(event.defaultPrevented) })")
        touch(page, (600, 350), (500, 352), (350, 355), (220, 356))
        expect_picture(large, second)
        taken = page.evaluate("window.taken")
        assert taken and all(taken), "the browser makes a fling of it, too, and that swallows the next tap"
        touch(page, (400, 340))  # a tap on the picture turns nothing
        expect_picture(large, second)
        viewer.get_by_role("button", name="Next picture").tap()
        expect_picture(large, third)
        viewer.get_by_role("button", name="Previous picture").tap()
        expect_picture(large, second)
        touch(page, (220, 350), (350, 352), (500, 355), (640, 356))
        expect_picture(large, first)
        viewer.get_by_role("button", name="Close").tap()
        expect(viewer).to_have_count(0)


def test_two_fingers_zoom(site: Site, browser: Browser) -> None:
    with browser.new_context(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True) as phone:
        page = phone.new_page()
        page.goto(site.gui)
        tile(page, 0).tap()
        large = page.get_by_role("dialog").get_by_role("img")
        expect(large).to_have_attribute("data-scale", "1")
        devtools = phone.new_cdp_session(page)
        for kind, apart in [("touchStart", 30), ("touchMove", 60), ("touchMove", 90)]:
            points = [{"x": 195 + side * apart, "y": 250, "id": number} for number, side in enumerate((-1, 1))]
            devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        expect(large).to_have_attribute("data-scale", re.compile(r"^(2\.[5-9]|3)"))


def test_address_of_a_picture_that_is_gone_says_so_and_lets_one_out(site: Site, rough_page: Page) -> None:
    page = rough_page
    page.goto(f"{site.gui}/?view=987654321")
    viewer = page.get_by_role("dialog")
    expect(viewer).to_contain_text("not in this collection, or no longer")
    expect(viewer.get_by_role("button", name="Remove from library")).to_have_count(0)
    viewer.get_by_role("button", name="Close").click()
    expect(viewer).to_have_count(0)
    assert "view=" not in page.url
    expect(tile(page, 0)).to_be_visible()


def test_focus_returns_to_the_picture_that_was_looked_at_last(site: Site, page: Page) -> None:
    page.goto(site.gui)
    tile(page, 0).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect_picture(page.get_by_role("dialog").get_by_role("img"), tile(page, 3).get_attribute("data-id"))
    page.keyboard.press("Escape")
    expect(tile(page, 3)).to_be_focused()


def test_reason_for_a_hit_is_told_in_words(site: Site, page: Page) -> None:
    page.goto(site.gui)
    words(page).fill("people at a table")
    expect_hits(page)
    tile(page, 0).click()
    expect(page.get_by_role("dialog").get_by_role("heading", name="Matches the words strongly.")).to_be_visible()
