"""Drawing, typing, and what comes of it."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, Request, Route, expect

from tests.e2e.conftest import Site, wait_until
from tests.e2e.hands import (
    asked,
    curve,
    draw,
    draw_with_pen,
    expect_hits,
    expect_marks,
    keep_forms,
    on_sheet,
    oval,
    part,
    results,
    scores,
    sheet,
    tile,
    tiles,
    trembling,
    words,
)

pytestmark = pytest.mark.e2e

PLATE = oval(0.5, 0.5, 0.36, 0.25)
EGG = oval(0.45, 0.48, 0.08, 0.06)
# A plate, its rim, two fried eggs, beans and a fork: the picture that the README shows.
BREAKFAST = [
    trembling(oval(0.46, 0.52, 0.39, 0.3, 60)),
    trembling(oval(0.46, 0.53, 0.29, 0.21, 50)),
    curve((0.26, 0.47), (0.31, 0.4), (0.4, 0.4), (0.45, 0.46), (0.42, 0.54), (0.33, 0.56), (0.27, 0.53), (0.255, 0.48)),
    trembling(oval(0.355, 0.475, 0.04, 0.036, 16), 0.003),
    curve((0.46, 0.61), (0.5, 0.55), (0.58, 0.56), (0.61, 0.62), (0.56, 0.69), (0.48, 0.68), (0.455, 0.62)),
    trembling(oval(0.53, 0.62, 0.036, 0.032, 16), 0.003),
    curve((0.52, 0.42), (0.56, 0.39), (0.6, 0.43), (0.63, 0.41)),
    curve((0.56, 0.48), (0.6, 0.46), (0.64, 0.5), (0.67, 0.48)),
    curve((0.93, 0.2), (0.932, 0.45), (0.928, 0.84)),
    curve((0.895, 0.2), (0.897, 0.3), (0.93, 0.35), (0.962, 0.3), (0.964, 0.2)),
]
PLANE = curve(
    *[(0.1, 0.5), (0.2, 0.44), (0.42, 0.44), (0.55, 0.2), (0.62, 0.2), (0.58, 0.43), (0.76, 0.42), (0.9, 0.28), (0.94, 0.3)],
    *[(0.88, 0.52), (0.6, 0.56), (0.62, 0.8), (0.55, 0.8), (0.42, 0.57), (0.2, 0.58), (0.11, 0.52)],
    steps=4,
)
Shoot = Callable[[Page, str], None]


def is_search(request: Request) -> bool:
    return request.method == "POST" and request.url.endswith("/search")


def asks(request: Request, text: str) -> bool:
    return text.encode() in (request.post_data_buffer or b"")


def sketch_of(form: dict[str, str | bytes]) -> Image.Image:
    """The drawing that a search carried."""
    data = form["sketch"]
    assert isinstance(data, bytes)
    return Image.open(io.BytesIO(data))


@pytest.fixture
def page(page: Page) -> Page:
    keep_forms(page)
    return page


def test_first_page_shows_the_library_and_examples(site: Site, page: Page, shoot: Shoot) -> None:
    page.goto(site.gui)
    expect(page.get_by_role("heading", name="Newest pictures")).to_be_visible()
    expect(tiles(page).first).to_be_visible()
    expect(page.get_by_role("list", name="Examples to try").get_by_role("button")).not_to_have_count(0)
    shoot(page, "start")


def test_stroke_and_words_bring_pictures(site: Site, page: Page, shoot: Shoot) -> None:
    page.goto(site.gui)
    for stroke in BREAKFAST:
        draw(page, stroke)
    expect_marks(page, len(BREAKFAST))
    expect_hits(page)
    words(page).fill("a plate of food")
    assert set(asked(page, "form => form.get('text') === 'a plate of food'")) == {"text", "sketch", "limit"}
    expect(part(page, "text")).to_be_visible()
    expect_hits(page)
    shown = scores(page)
    assert len(shown) >= 20 and shown == sorted(shown, reverse=True)
    expect(page.get_by_role("slider", name="Balance between words and drawing")).to_be_enabled()
    assert "q=a+plate+of+food" in page.url
    expect(tiles(page).nth(11)).to_be_visible()
    sheet(page).click(trial=True)  # takes the pointer off the pictures
    shoot(page, "search")


def test_sketch_is_sent_black_on_white_and_whole(site: Site, page: Page) -> None:
    page.goto(site.gui)
    page.emulate_media(color_scheme="dark")
    draw(page, PLATE)
    sketch = sketch_of(asked(page))
    assert sketch.format == "PNG" and sketch.size == (512, 512)
    ink = np.asarray(sketch.convert("L"))
    assert ink[0].min() == 255 and ink[:, 0].min() == 255, "the border of the sheet is white"
    rows, columns = np.nonzero(ink < 100)
    for found, wanted in [(rows, (0.25, 0.75)), (columns, (0.14, 0.86))]:
        assert found.min() / 512 == pytest.approx(wanted[0], abs=0.03)
        assert found.max() / 512 == pytest.approx(wanted[1], abs=0.03)


def test_pen_draws_with_pressure(site: Site, page: Page) -> None:
    page.goto(site.gui)
    page.evaluate("document.querySelector('canvas').addEventListener('pointerdown', event => { window.pointer = event.pointerType })")
    draw_with_pen(page, [(0.1 + 0.8 * k / 30, 0.5) for k in range(31)])
    assert page.evaluate("window.pointer") == "pen"
    expect_marks(page, 1)
    ink = np.asarray(sketch_of(asked(page)).convert("L")) < 128
    light, heavy = ink[:, 120].sum(), ink[:, 400].sum()
    assert 0 < light < heavy, "the line is wider where the pen was pressed harder"


def test_finger_draws_on_a_phone_and_nothing_sticks_out(site: Site, browser: Browser, shoot: Shoot) -> None:
    with browser.new_context(viewport={"width": 360, "height": 740}, device_scale_factor=2, has_touch=True, is_mobile=True) as phone:
        page = phone.new_page()
        page.goto(site.gui)
        expect(tiles(page).first).to_be_visible()
        box = sheet(page).bounding_box()
        assert box is not None and box["width"] >= 240
        devtools = phone.new_cdp_session(page)
        for kind, dot in [("touchStart", PLANE[0]), *(("touchMove", dot) for dot in PLANE), ("touchEnd", None)]:
            points = [dict(zip("xy", on_sheet(page, [dot])[0], strict=True))] if dot else []
            devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        expect_marks(page, 1)
        words(page).fill("in the sky")
        expect_hits(page)
        tile(page, 3)
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        shoot(page, "phone")


def test_undo_redo_and_clear(site: Site, page: Page) -> None:
    page.goto(site.gui)
    undo, redo = page.get_by_role("button", name="Undo"), page.get_by_role("button", name="Redo")
    expect(undo).to_be_disabled()
    draw(page, PLATE)
    draw(page, EGG)
    expect_marks(page, 2)
    undo.click()
    expect_marks(page, 1)
    page.keyboard.press("Control+z")
    expect_marks(page, 0)
    expect(page.get_by_role("heading", name="Newest pictures")).to_be_visible()
    page.keyboard.press("Control+Shift+z")
    redo.click()
    expect_marks(page, 2)
    expect_hits(page)
    page.get_by_role("button", name="Clear sketch").click()
    expect_marks(page, 0)
    undo.click()
    expect_marks(page, 2)


def test_rubbed_out_sheet_asks_for_nothing(site: Site, page: Page) -> None:
    page.goto(site.gui)
    draw(page, [(0.5, 0.5), (0.52, 0.5)])
    expect_hits(page)
    page.get_by_role("button", name="Eraser").click()
    draw(page, oval(0.51, 0.5, 0.02, 0.02))
    expect_marks(page, 2)
    expect(page.get_by_role("heading", name="Newest pictures")).to_be_visible()


def test_sketch_file_is_laid_on_the_sheet(site: Site, page: Page, tmp_path: Path) -> None:
    drawing = Image.new("RGBA", (300, 200), (0, 0, 0, 0))  # transparent, as drawing programs export
    drawing.paste((0, 0, 0, 255), (100, 50, 200, 60))
    drawing.save(tmp_path / "drawing.png")
    page.goto(site.gui)
    page.get_by_label("Sketch file").set_input_files(tmp_path / "drawing.png")
    expect_marks(page, 1)
    ink = np.asarray(sketch_of(asked(page)).convert("L"))
    assert ink.mean() > 240 and ink.min() < 50
    expect_hits(page)


def test_file_that_is_no_picture_is_refused_as_sketch(site: Site, page: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.png").write_text("not a picture")
    page.goto(site.gui)
    page.get_by_label("Sketch file").set_input_files(tmp_path / "notes.png")
    expect(page.get_by_role("alert")).to_contain_text("not a picture")
    expect_marks(page, 0)


def test_balance_moves_weight_between_words_and_drawing(site: Site, page: Page) -> None:
    page.goto(site.gui)
    words(page).fill("a plate of food")
    expect_hits(page)
    draw(page, PLATE)  # after the words: an answer to the drawing alone would be shown again from memory
    expect_hits(page)
    slider = page.get_by_role("slider", name="Balance between words and drawing")
    slider.fill("0.8")
    weights = json.loads(asked(page, "form => form.has('weights')")["weights"])
    assert weights["sketch"] > weights["text"] > 0
    slider.fill("1")
    assert set(asked(page, "form => !form.has('text')")) == {"sketch", "limit"}
    expect_hits(page)


def test_without_words_are_sent(site: Site, page: Page) -> None:
    page.goto(site.gui)
    words(page).fill("animals")
    page.get_by_role("button", name="Without").click()
    page.get_by_role("textbox", name=re.compile("^Without")).fill("grass")
    assert asked(page, "form => form.has('not_text')")["not_text"] == "grass"
    expect_hits(page)
    assert "not=grass" in page.url


def test_filter_narrows_the_hits(site: Site, page: Page) -> None:
    page.goto(site.gui)
    words(page).fill("a picture")
    expect_hits(page)
    page.get_by_role("button", name="Filters").click()
    with page.expect_response(lambda answer: is_search(answer.request)) as answered:
        page.get_by_role("radio", name="Tall").check()
    hits = answered.value.json()["hits"]
    assert all(hit["height"] > hit["width"] for hit in hits)
    assert "shape=portrait" in page.url


def test_what_is_less_likely_lies_below_a_line_on_demand(site: Site, page: Page) -> None:
    likely = 10

    def judge(route: Route) -> None:
        answer = route.fetch()
        found = answer.json() | {"cut": 0.5, "hint": None}
        for place, hit in enumerate(found["hits"]):
            hit["relevance"] = 0.9 if place < likely else 0.1
        route.fulfill(response=answer, json=found)

    page.route("**/search", judge)
    page.add_init_script("try { localStorage.removeItem('tsir.less') } catch { /* a blank page has none */ }")
    page.goto(site.gui)
    words(page).fill("a dog")
    expect_hits(page)
    expect(tiles(page)).to_have_count(likely)
    page.get_by_role("button", name="Show what is less likely").click()
    expect(page.get_by_role("heading", name="Less likely")).to_be_visible()
    expect(tiles(page).nth(likely + 3)).to_be_visible()
    words(page).fill("a cat")
    expect(page).to_have_url(re.compile("cat"))
    expect(page.get_by_role("heading", name="Less likely")).to_be_visible()  # as one chose
    page.get_by_role("button", name="Hide what is less likely").click()
    expect(tiles(page)).to_have_count(likely)
    likely = 3
    page.evaluate("localStorage.removeItem('tsir.less')")
    page.reload()
    expect(page.get_by_role("heading", name="Less likely")).to_be_visible()  # three alone would look like a small library
    expect(tiles(page).nth(likely + 3)).to_be_visible()


def test_line_of_conditions_is_read_and_points_at_the_word_that_cannot_be(site: Site, rough_page: Page) -> None:
    page = rough_page
    page.goto(site.gui)
    name = tile(page, 0).get_attribute("title")
    words(page).fill("a dog -people after:soon")
    alert = page.get_by_role("alert")
    expect(alert.locator("mark")).to_have_text("after:soon")
    expect(words(page)).to_have_attribute("aria-invalid", "true")
    words(page).fill("a dog -people shape:landscape")
    expect_hits(page)
    expect(alert).to_have_count(0)
    words(page).fill(f"name:{name}")  # no words: what fulfils it is listed
    expect(page.get_by_test_id("status")).to_have_text("1 picture shown")


def test_late_answer_to_an_earlier_question_is_never_shown(site: Site, page: Page) -> None:
    page.goto(site.gui)
    expect(tiles(page).first).to_be_visible()
    held: list[Route] = []

    def hold(route: Route) -> None:
        if is_search(route.request) and asks(route.request, "first"):
            held.append(route)
        else:
            route.continue_()

    page.route("**/search", hold)
    with page.expect_request(is_search):
        words(page).fill("first")
    with page.expect_response(lambda answer: is_search(answer.request) and asks(answer.request, "second")) as answered:
        words(page).fill("second")
    expect_hits(page)
    wanted = [hit["id"] for hit in answered.value.json()["hits"]][:5]
    for route in held:
        route.fulfill(json={"hits": [], "next": None, "took_ms": {"encode": 1, "search": 1, "fetch": 1}})
    expect(page.get_by_test_id("status")).to_contain_text("shown")
    assert [int(tile.get_attribute("data-id") or 0) for tile in results(page).all()[:5]] == wanted


def test_undone_question_is_answered_from_memory(site: Site, page: Page) -> None:
    page.goto(site.gui)
    words(page).fill("a dog")
    expect_hits(page)
    first = results(page).first.get_attribute("data-id")
    words(page).fill("a plate of food")
    expect(results(page).first).not_to_have_attribute("data-id", first or "")
    page.route("**/search", lambda route: route.abort())
    words(page).fill("a dog")
    expect(results(page).first).to_have_attribute("data-id", first or "")
    expect_hits(page)


def test_scrolling_brings_all_pictures(site: Site, page: Page) -> None:
    page.goto(site.gui)
    expect(tiles(page).first).to_be_visible()
    status = page.get_by_test_id("status")
    expect(status).to_have_text("40 pictures shown")

    def all_shown() -> bool:
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")  # again and again: it grows
        return status.inner_text() in ("100 pictures shown", "120 pictures shown")

    wait_until("The last pictures are shown", all_shown, 60)
    ids = [tile.get_attribute("data-id") for tile in results(page).all()]
    assert len(set(ids)) == len(ids) >= 100


def test_example_fills_sheet_and_words(site: Site, page: Page) -> None:
    page.goto(site.gui)
    page.get_by_role("button", name="Drawing of a boat, and words: on the sea").click()
    expect(words(page)).to_have_value("on the sea")
    expect(sheet(page)).not_to_have_attribute("data-marks", "0")
    expect_hits(page)
    page.get_by_role("button", name="Start over").click()
    expect(words(page)).to_have_value("")
    expect_marks(page, 0)


def test_page_asks_no_other_host_and_every_control_has_a_name(site: Site, page: Page) -> None:
    hosts = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname) if request.url.startswith("http") else None)
    page.goto(site.gui)
    draw(page, PLATE)
    words(page).fill("food")
    expect_hits(page)
    nameless = """() => [...document.querySelectorAll('button, a, input:not([hidden]), textarea, canvas, [role]')]
        .filter(item => !item.closest('[hidden]') && item.offsetParent !== null)
        .filter(item => !(item.getAttribute('aria-label') || item.textContent.trim() || item.title || item.labels?.length
            || item.querySelector('[aria-label]')))
        .map(item => item.outerHTML.slice(0, 120))"""
    assert page.evaluate(nameless) == []
    page.get_by_role("button", name="Add pictures").click()
    expect(page.get_by_role("dialog", name="Library")).to_be_visible()
    assert page.evaluate(nameless) == []
    assert hosts == {"127.0.0.1"}


def test_dark_theme_is_followed_and_can_be_chosen(site: Site, browser: Browser, shoot: Shoot) -> None:
    with browser.new_context(viewport={"width": 1400, "height": 900}, color_scheme="dark") as night:
        page = night.new_page()
        page.goto(site.gui)
        ground = "getComputedStyle(document.body).backgroundColor"
        dark = page.evaluate(ground)
        draw(page, PLATE)
        words(page).fill("a plate of food")
        expect_hits(page)
        shoot(page, "dark")
        page.get_by_role("button", name="Light theme").click()
        assert page.evaluate(ground) != dark
        page.reload()
        expect(page.get_by_role("button", name="Dark theme")).to_be_visible()


def test_scripts_and_styles_arrive_compressed(site: Site, page: Page) -> None:
    encodings: dict[str, str] = {}
    page.on("response", lambda answer: encodings.update({answer.url: answer.headers.get("content-encoding", "")}))
    page.goto(site.gui)
    expect(tiles(page).first).to_be_visible()
    sent = {url: how for url, how in encodings.items() if "/assets/index-" in url}
    assert len(sent) == 2 and set(sent.values()) <= {"br", "gzip"}
