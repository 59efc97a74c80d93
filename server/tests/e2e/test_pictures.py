"""Pictures as parts of the question: photos, drawings, results, addresses."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.e2e.access import violations
from tests.e2e.conftest import Site
from tests.e2e.hands import (
    asked,
    draw,
    drop,
    drop_file,
    expect_hits,
    expect_marks,
    ingredient,
    keep_forms,
    oval,
    part,
    results,
    sheet,
    tile,
    words,
)

pytestmark = pytest.mark.e2e

PLATE = oval(0.5, 0.5, 0.36, 0.25)


@pytest.fixture
def page(page: Page) -> Page:
    keep_forms(page)
    return page


def photo_of(site: Site) -> Path:
    """A photo that the library holds."""
    return sorted(path for path in site.photos.iterdir() if path.suffix.lower() in (".jpg", ".jpeg"))[0]


def drawing_in(folder: Path) -> Path:
    """A picture that a drawing program saved: lines on nothing."""
    drawing = Image.new("RGBA", (300, 200), (0, 0, 0, 0))
    drawing.paste((0, 0, 0, 255), (100, 50, 200, 60))
    drawing.save(folder / "drawing.png")
    return folder / "drawing.png"


def test_dropped_photo_of_the_library_finds_itself_first(site: Site, page: Page) -> None:
    page.goto(site.gui)
    photo = photo_of(site)
    drop_file(page, sheet(page), photo, "image/jpeg")
    assert set(asked(page)) == {"image", "limit"}, "a photo is no drawing"
    expect_marks(page, 0)
    expect_hits(page)
    expect(results(page).first).to_have_attribute("title", photo.name)
    expect(ingredient(page, "image")).to_contain_text(photo.name)


def test_dropped_drawing_goes_onto_the_sheet_and_one_click_makes_a_photo_of_it(site: Site, page: Page, tmp_path: Path) -> None:
    page.goto(site.gui)
    drop_file(page, sheet(page), drawing_in(tmp_path), "image/png")
    expect_marks(page, 1)
    assert set(asked(page)) == {"sketch", "limit"}
    page.get_by_role("button", name="It is a photo").click()
    expect_marks(page, 0)
    assert set(asked(page, "form => form.has('image')")) == {"image", "limit"}
    ingredient(page, "image").get_by_role("button").first.click()
    page.get_by_role("button", name="It is a drawing").click()
    expect_marks(page, 1)
    expect(ingredient(page, "image")).to_have_count(0)


def test_loaded_and_pasted_pictures_are_told_apart_too(site: Site, page: Page) -> None:
    page.goto(site.gui)
    page.get_by_label("Sketch file").set_input_files(photo_of(site))
    expect(ingredient(page, "image")).to_be_visible()
    expect_marks(page, 0)
    page.evaluate(
        """() => {
            const canvas = document.createElement('canvas')
            canvas.width = canvas.height = 200
            canvas.getContext('2d').fillRect(20, 90, 160, 6)
            canvas.toBlob(blob => {
                const held = new DataTransfer()
                held.items.add(new File([blob], 'line.png', { type: 'image/png' }))
                document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData: held, bubbles: true, cancelable: true }))
            })
        }"""
    )
    expect_marks(page, 1)


def test_result_is_dragged_into_the_question_and_turned_into_its_opposite(site: Site, page: Page) -> None:
    page.goto(site.gui)
    words(page).fill("an animal")
    expect_hits(page)
    chosen = tile(page, 2)
    number = chosen.get_attribute("data-id")
    chosen.drag_to(sheet(page))
    assert asked(page, "form => form.has('like')")["like"] == number
    expect(part(page, "like")).to_be_visible()
    like = ingredient(page, "like")
    like.get_by_role("button", name="More like this picture", exact=True).click()
    page.get_by_role("radio", name="Not like this").check()
    form = asked(page, "form => form.has('not_like')")
    assert form["text"] == "an animal" and form["not_like"] == number and "like" not in form
    assert f"like=-{number}" in page.url
    expect(like).to_contain_text("Not like this picture")
    expect_hits(page)
    page.reload()
    expect(like).to_contain_text("Not like this picture")


def test_pictures_of_the_library_join_each_other(site: Site, page: Page) -> None:
    page.goto(site.gui)
    first = tile(page, 0).get_attribute("data-id")
    tile(page, 0).click()
    page.get_by_role("button", name="Find similar").click()
    expect_hits(page)
    other = tile(page, 3)
    against = other.get_attribute("data-id")
    other.click()
    page.get_by_role("button", name="Not like this").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    form = asked(page, "form => form.has('not_like')")
    assert (form["like"], form["not_like"]) == (first, against)
    expect_hits(page)
    expect(ingredient(page, "like")).to_have_count(2)


def test_not_like_this_alone_asks_for_nothing_and_says_so(site: Site, page: Page) -> None:
    page.goto(site.gui)
    tile(page, 0).click()
    page.get_by_role("button", name="Not like this").click()
    expect(page.get_by_text("narrow a search")).to_be_visible()
    expect(page.get_by_role("heading", name="Newest pictures")).to_be_visible()
    words(page).fill("an animal")
    expect_hits(page)


def test_dropped_address_is_read_where_the_browser_may(site: Site, page: Page) -> None:
    page.goto(site.gui)
    number = tile(page, 1).get_attribute("data-id")
    target = page.get_by_text("Search with this picture")

    def drop_address(address: str) -> None:
        held = page.evaluate_handle(
            "address => { const held = new DataTransfer(); held.setData('text/uri-list', address); return held }", address
        )
        page.locator("body").dispatch_event("dragenter", {"dataTransfer": held})
        drop(page, target, held)

    drop_address(f"{site.gui}/api/v1/collections/tsir/images/{number}/file")
    assert asked(page)["like"] == number
    drop_address("https://example.org/cat.jpg")
    expect(page.get_by_role("alert")).to_contain_text("may not read pictures of other sites")
    drop_address(f"{site.gui}/about")
    expect(page.get_by_role("alert")).to_contain_text("no picture at this address")


def test_each_ingredient_has_its_own_strength_and_can_be_taken_out(site: Site, page: Page) -> None:
    page.goto(site.gui)
    draw(page, PLATE)
    words(page).fill("a plate of food")
    expect_hits(page)
    page.get_by_role("button", name="Strength: Words").click()
    strength = page.get_by_role("slider", name="Strength: Words")
    strength.fill("2")
    weights = json.loads(asked(page, "form => form.has('weights')")["weights"])
    assert weights["text"] == 2 and "sketch" not in weights, "the drawing counts as before"
    balance = page.get_by_role("slider", name="Balance between words and drawing")
    assert float(balance.input_value()) < 0.5, "the balance shows what the strengths say"
    page.keyboard.press("Escape")
    expect(strength).to_have_count(0)
    page.get_by_role("button", name="Drop: Drawing").click()
    expect_marks(page, 0)
    expect(ingredient(page, "sketch")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect_marks(page, 1)


def test_filters_stand_in_the_bar_and_their_panel_is_never_clipped(site: Site, page: Page) -> None:
    for width, height in ((1400, 900), (1000, 420), (360, 740), (844, 390)):
        page.set_viewport_size({"width": width, "height": height})
        page.goto(site.gui)
        words(page).fill("a picture")
        page.get_by_role("button", name="Filters").click()
        panel = page.get_by_role("group", name="Filters")
        expect(panel).to_be_visible()
        # The answer comes meanwhile, and on a phone the sheet below makes room for it.
        page.wait_for_function(
            """panel => {
                const box = panel.getBoundingClientRect()
                const inside = box.left >= 0 && box.top >= 0 && box.right <= innerWidth && box.bottom <= innerHeight
                const corners = [[box.left + 6, box.top + 20], [box.right - 6, box.top + 20], [box.right - 20, box.bottom - 6]]
                return inside && corners.every(([x, y]) => panel.contains(document.elementFromPoint(x, y)))
            }""",
            arg=panel.element_handle(),
        )
        page.get_by_role("radio", name="Tall").check()
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Filters · 1")).to_be_focused()
        page.get_by_role("button", name="Drop: Tall").click()
        expect(ingredient(page, "filter")).to_have_count(0)
        assert "shape=" not in page.url


def test_copies_are_shown_as_one_picture_that_opens(site: Site, page: Page) -> None:
    photos = sorted(path for path in site.photos.iterdir() if path.suffix.lower() in (".jpg", ".jpeg"))[:2]
    files = [("files", (path.name, path.read_bytes())) for path in photos]
    with Image.open(photos[0]) as photo, io.BytesIO() as small:
        photo.resize((photo.width // 2, photo.height // 2)).save(small, "JPEG")
        files.append(("files", ("small.jpg", small.getvalue())))
    assert httpx.put(f"{site.api}/api/v1/collections/copies").status_code == 201
    assert httpx.post(f"{site.api}/api/v1/collections/copies/imports", files=files).status_code == 202
    page.goto(f"{site.gui}/?in=copies&q=a+picture")
    expect(results(page)).to_have_count(3)
    page.get_by_role("button", name="Filters").click()
    page.get_by_role("radio", name="Copies as one").check()
    expect(results(page)).to_have_count(2)
    page.keyboard.press("Escape")
    members = page.get_by_role("button", name="1 more like ")
    expect(members).to_have_text("+1")
    assert violations(page) == []
    members.focus()
    page.keyboard.press("Enter")
    expect(results(page)).to_have_count(3)
    expect(members).to_have_attribute("aria-expanded", "true")
    members.click()
    expect(results(page)).to_have_count(2)
    assert "stack=duplicates" in page.url
    page.get_by_role("button", name="Drop: Copies as one").click()
    expect(results(page)).to_have_count(3)
    expect(members).to_have_count(0)
    page.goto(f"{site.gui}/?in=copies&q=a+picture&stack=duplicates")
    stack = page.get_by_role("listitem").filter(has=members)
    top = stack.get_attribute("data-tile")
    stack.hover()
    stack.get_by_role("checkbox").click()
    page.get_by_role("toolbar", name="Selected pictures").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("button", name="Undo removal")).to_be_visible()
    expect(page.locator(f"[data-tile='{top}']")).to_have_count(0)
    expect(results(page)).to_have_count(2)  # the next one took its place


def test_all_collections_are_searched_at_once(site: Site, page: Page) -> None:
    where = f"{site.api}/api/v1/collections/few"
    assert httpx.put(where).status_code == 201
    ids = [picture["id"] for picture in httpx.get(f"{site.api}/api/v1/collections/tsir/images?limit=2").json()["images"]]
    assert httpx.post(f"{where}/add", json={"from": "tsir", "ids": ids}).json()["pictures"] == 2
    page.goto(f"{site.gui}/?in=few&q=a+picture")
    expect(results(page)).to_have_count(2)
    page.get_by_role("button", name="Filters").click()
    page.get_by_role("radio", name="All collections").check()
    expect(results(page)).to_have_count(40)
    page.keyboard.press("Escape")
    elsewhere = page.get_by_role("listitem").filter(has_text="tsir").first
    tile(page, 0)
    assert violations(page) == []
    number = elsewhere.get_by_role("button").first.get_attribute("data-id")
    elsewhere.get_by_role("button").first.click()
    page.get_by_role("button", name="Find similar").click()
    expect(page).to_have_url(re.compile(rf"in=tsir&like={number}&all=1"))
    expect_hits(page)
    page.goto(f"{site.gui}/?in=few&all=1&like={number}@0_0_500_500")
    expect_hits(page)
    expect(ingredient(page, "like").locator("img")).to_be_visible()
    page.goto(f"{site.gui}/?in=few&q=a+picture&all=1")
    page.get_by_role("button", name="Drop: All collections").click()
    expect(results(page)).to_have_count(2)


def test_words_that_the_model_cannot_read_get_a_hint(site: Site, page: Page) -> None:
    page.goto(site.gui)
    words(page).fill("雪地里的狗")
    expect(page.get_by_text("does not know this language")).to_be_visible()
    words(page).fill("a dog in the snow")
    expect(page.get_by_text("does not know this language")).to_have_count(0)
