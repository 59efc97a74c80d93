"""The sheet and its tools: eraser, zoom, tracing, saving; fingers, palms and pens."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.conftest import Site, wait_until
from tests.e2e.hands import (
    Touch,
    asked,
    draw,
    draw_with_pen,
    expect_hits,
    expect_marks,
    keep_forms,
    oval,
    results,
    sheet,
    tile,
    tiles,
    words,
)

pytestmark = pytest.mark.e2e

LINE = [(0.1 + 0.8 * k / 30, 0.5) for k in range(31)]
LOWER = [(x, 0.8) for x, _ in LINE]
PLATE = oval(0.5, 0.5, 0.36, 0.25)


@pytest.fixture
def page(page: Page) -> Page:
    keep_forms(page)
    return page


@pytest.fixture
def tablet(browser: Browser) -> Iterator[Page]:
    """A tablet with a pen."""
    with browser.new_context(viewport={"width": 1180, "height": 820}, has_touch=True) as context:
        page = context.new_page()
        keep_forms(page)
        yield page


@pytest.fixture
def phone(browser: Browser) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 360, "height": 740}, device_scale_factor=2, has_touch=True, is_mobile=True) as context:
        page = context.new_page()
        keep_forms(page)
        yield page


def ink_of(page: Page, condition: str = "form => form.has('sketch')") -> np.ndarray:
    """The last drawing that was sent, True where it is dark."""
    data = asked(page, condition)["sketch"]
    assert isinstance(data, bytes)
    return np.asarray(Image.open(io.BytesIO(data)).convert("L")) < 128


def expect_ink(page: Page, right: Callable[[np.ndarray], bool], what: str) -> None:
    """A drawing like this is sent, now or soon."""
    wait_until(what, lambda: bool(right(ink_of(page))), 30)


def more(page: Page, name: str) -> None:
    page.get_by_role("button", name="More tools").click()
    page.get_by_role("button", name=name, exact=True).click()


def test_eraser_takes_parts_or_whole_strokes(site: Site, page: Page) -> None:
    page.goto(site.gui)
    draw(page, LINE)
    draw(page, LOWER)
    expect_marks(page, 2)
    page.get_by_role("button", name="Eraser").click()
    draw(page, [(0.5, 0.45), (0.5, 0.55)])
    expect_marks(page, 3)
    expect_ink(page, lambda ink: ink[256, 100] and not ink[256, 256] and ink[256, 400], "Only the middle is gone")
    page.get_by_role("button", name="Width of the line").click()
    page.get_by_role("radio", name="whole strokes").check()
    page.keyboard.press("Escape")
    draw(page, [(0.2, 0.72), (0.25, 0.85)])
    expect_marks(page, 2)  # the first line and what rubbed its middle
    expect_ink(page, lambda ink: not ink[400:430].any() and ink[256, 100], "The lower line is gone")
    page.get_by_role("button", name="Undo").click()
    expect_marks(page, 3)


def test_zoomed_sheet_is_drawn_on_where_the_pen_is_and_sent_whole(site: Site, page: Page) -> None:
    page.goto(site.gui)
    more(page, "Larger")
    page.get_by_role("button", name="Larger").click()
    expect(sheet(page)).to_have_attribute("data-scale", "2.25")
    page.keyboard.press("Escape")
    draw(page, [(k / 30, 0.5) for k in range(31)])
    ink = ink_of(page)
    columns = np.nonzero(ink.any(axis=0))[0]
    assert ink[254:258].any(axis=1).all()
    assert columns.min() / 512 == pytest.approx(0.278, abs=0.02) and columns.max() / 512 == pytest.approx(0.722, abs=0.02)
    more(page, "225%, show the whole sheet")
    expect(sheet(page)).to_have_attribute("data-scale", "1.00")
    box = sheet(page).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    expect(sheet(page)).to_have_attribute("data-scale", "2.72")


def test_traced_photo_lies_under_the_sheet_and_is_not_sent(site: Site, page: Page) -> None:
    page.goto(site.gui)
    page.get_by_label("Photo to trace").set_input_files(sorted(site.photos.iterdir())[0])
    draw(page, LINE)
    assert set(asked(page)) == {"sketch", "limit"}
    ink = ink_of(page)
    assert ink.mean() < 0.03, "the line alone"
    more(page, "Take the photo away")
    expect_marks(page, 1)


@pytest.mark.parametrize("kind", ["PNG", "SVG"])
def test_drawing_is_saved_as_a_file(site: Site, page: Page, tmp_path: Path, kind: str) -> None:
    page.goto(site.gui)
    draw(page, PLATE)
    page.get_by_role("button", name="More tools").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name=f"Save as {kind}").click()
    path = tmp_path / saved.value.suggested_filename
    saved.value.save_as(path)
    if kind == "PNG":
        with Image.open(path) as saved_sheet:
            assert saved_sheet.size == (512, 512)
        return
    assert re.search(r'<path fill="#000" d="M[\d. ]+Q', path.read_text())
    page.get_by_role("button", name="Clear sketch").click()
    page.get_by_label("Sketch file").set_input_files(path)  # what was saved can be loaded
    expect_marks(page, 1)
    rows = np.nonzero(ink_of(page).any(axis=1))[0]
    assert rows.min() / 512 == pytest.approx(0.25, abs=0.03)


def test_drawing_to_begin_with_can_be_drawn_on(site: Site, page: Page) -> None:
    page.goto(site.gui)
    more(page, "Begin with: Drawing of a cat")
    expect_marks(page, 12)
    draw(page, LINE)
    expect_marks(page, 13)
    expect_hits(page)


def test_palm_before_the_pen_does_not_cost_the_stroke(site: Site, tablet: Page) -> None:
    page = tablet
    page.goto(site.gui)
    glass = Touch(page)
    glass.down(1, (0.9, 0.9))
    glass.move(1, (0.89, 0.9), (0.88, 0.91))
    draw_with_pen(page, LINE)
    expect_marks(page, 1)
    glass.move(1, (0.8, 0.9))
    glass.up(1)
    expect_marks(page, 1)
    ink = ink_of(page)
    assert ink[256, 100:400].all() and not ink[400:].any(), "the pen's line, and nothing of the palm"
    # From now on the pen alone draws.
    glass.down(2, (0.3, 0.3))
    glass.move(2, (0.5, 0.3), (0.7, 0.3))
    glass.up(2)
    expect_marks(page, 1)
    draw_with_pen(page, LOWER)
    expect_marks(page, 2)
    page.get_by_role("button", name="More tools").click()
    page.get_by_role("checkbox", name="Fingers draw too").check()
    page.keyboard.press("Escape")
    glass.down(3, (0.3, 0.3))
    glass.move(3, (0.5, 0.3), (0.7, 0.3))
    glass.up(3)
    expect_marks(page, 3)


def test_two_fingers_zoom_the_sheet_and_leave_no_line(site: Site, tablet: Page) -> None:
    page = tablet
    page.goto(site.gui)
    glass = Touch(page)
    glass.down(1, (0.4, 0.5))
    glass.down(2, (0.6, 0.5))
    glass.move(1, (0.3, 0.5), (0.2, 0.5))
    glass.move(2, (0.7, 0.5), (0.8, 0.5))
    glass.up(1)
    glass.up(2)
    expect(sheet(page)).to_have_attribute("data-scale", "3.00")
    expect_marks(page, 0)
    expect(page.get_by_role("heading", name="Newest pictures")).to_be_visible()


def test_sheet_of_a_phone_gets_small_below_the_results_and_grows_when_touched(site: Site, phone: Page) -> None:
    page = phone

    def alike(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"cut": None, "hint": None})

    page.route("**/search", alike)  # how many pictures there are is the model's business
    page.goto(site.gui)
    tile(page, 0)
    glass = Touch(page)
    glass.down(1, PLATE[0])
    glass.move(1, *PLATE)
    glass.up(1)
    expect_marks(page, 1)
    expect_hits(page)
    large = sheet(page).bounding_box()
    assert large is not None and large["width"] >= 240
    page.touchscreen.tap(180, 100)
    words(page).tap()
    words(page).fill("food")
    expect_hits(page)
    grow = page.get_by_role("button", name="Draw on")
    expect(grow).to_be_visible()
    small = sheet(page).bounding_box()
    assert small is not None and small["width"] < 80 and small["y"] > 600
    expect(tiles(page).nth(4)).to_be_in_viewport(ratio=0.3)
    grow.tap()
    expect(grow).to_have_count(0)
    again = sheet(page).bounding_box()
    assert again is not None and again["width"] == large["width"]
    expect_marks(page, 1)
    glass.swipe((180, 190), (180, 70))
    expect(grow).to_be_visible()  # who looks through the pictures wants to see them
    assert page.evaluate("scrollY") > 40


def test_pictures_of_a_short_list_stay_under_the_finger_when_the_sheet_gets_small(site: Site, phone: Page) -> None:
    page = phone

    def few(route: Route) -> None:
        answer = route.fetch()
        found = answer.json()
        route.fulfill(response=answer, json=found | {"hits": found["hits"][:6], "next": None, "cut": None, "hint": None})

    page.route("**/search", few)
    page.emulate_media(reduced_motion="reduce")  # what leaves the list is gone at once
    page.goto(site.gui)
    tile(page, 0)
    draw(page, PLATE)
    expect_hits(page)
    expect(results(page)).to_have_count(6)
    length = "document.documentElement.scrollHeight"
    long = page.evaluate(length)
    Touch(page).swipe((180, 270), (180, 170))
    expect(page.get_by_role("button", name="Draw on")).to_be_visible()
    assert page.evaluate("scrollY") > 40
    assert page.evaluate(f"{length} - innerHeight") < 150  # the page has no end that it has no use for
    Touch(page).swipe((180, 100), (180, 280))
    wait_until("The page is at its top", lambda: page.evaluate("scrollY") == 0, 10)
    assert page.evaluate(length) < long - 200


def test_sheet_stays_large_when_the_page_scrolls_by_itself(site: Site, phone: Page) -> None:
    page = phone
    page.goto(site.gui)
    tile(page, 20)
    page.evaluate("scrollTo(0, 300)")
    page.get_by_role("banner").get_by_role("link").tap()
    wait_until("The page is at its top", lambda: page.evaluate("scrollY") == 0, 10)
    draw(page, PLATE)
    expect_marks(page, 1)
    expect(page.get_by_role("button", name="Draw on")).to_have_count(0)


@pytest.mark.parametrize(("width", "height"), [(320, 640), (360, 740), (844, 390), (820, 1180)])
def test_small_screens_hold_everything_and_every_target_is_large(site: Site, browser: Browser, width: int, height: int) -> None:
    with browser.new_context(viewport={"width": width, "height": height}, has_touch=True, is_mobile=True) as context:
        page = context.new_page()
        page.goto(site.gui)
        tile(page, 0)
        expect(page.get_by_role("button", name="Add pictures")).to_be_visible()  # a name also where only a plus is seen
        box = sheet(page).bounding_box()
        assert box is not None
        assert box["x"] >= 0 and box["y"] >= 0 and box["x"] + box["width"] <= width and box["y"] + box["height"] <= height
        assert min(box["width"], box["height"]) >= 200
        assert page.evaluate("document.documentElement.scrollWidth") == width
        small = """() => [...document.querySelectorAll('header button, [role=toolbar] button, search button')]
            .filter(button => button.checkVisibility())
            .map(button => [button.getAttribute('aria-label') ?? button.textContent, button.getBoundingClientRect()])
            .filter(([, box]) => Math.min(box.width, box.height) < 43.5).map(([name]) => name)"""
        assert page.evaluate(small) == []
        page.get_by_role("button", name="Pen").tap()
        draw(page, LINE)
        expect_marks(page, 1)
        expect_hits(page)
