"""Going back, coming again, and handing a question on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.conftest import Site, wait_until
from tests.e2e.hands import asked, draw, expect_hits, expect_marks, ingredient, keep_forms, oval, tile, tiles, words

pytestmark = pytest.mark.e2e

PLATE = oval(0.5, 0.5, 0.36, 0.25)
EGG = oval(0.45, 0.48, 0.08, 0.06)


@pytest.fixture
def page(page: Page) -> Page:
    keep_forms(page)
    return page


def test_back_from_find_similar_brings_the_drawing_again(site: Site, page: Page) -> None:
    page.goto(site.gui)
    draw(page, PLATE)
    draw(page, EGG)
    words(page).fill("a plate of food")
    expect_hits(page)
    tile(page, 0).click()
    page.get_by_role("button", name="Find similar").click()
    expect(ingredient(page, "like")).to_be_visible()
    expect_marks(page, 0)
    page.go_back()
    expect_marks(page, 2)
    expect(words(page)).to_have_value("a plate of food")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect_hits(page)
    page.go_forward()
    expect(ingredient(page, "like")).to_be_visible()
    expect_marks(page, 0)
    page.go_back()
    expect_marks(page, 2)
    page.get_by_role("button", name="Undo").click()  # the drawing is as it was, with its own history
    expect_marks(page, 1)


def test_each_question_is_an_entry_and_letters_and_strokes_are_not(site: Site, page: Page) -> None:
    page.goto(site.gui)
    draw(page, PLATE)
    draw(page, EGG)
    expect_marks(page, 2)
    words(page).press_sequentially("dog")
    words(page).press("Enter")
    expect_hits(page)
    words(page).fill("cat")
    expect_hits(page)
    for text, marks in (("dog", 2), ("", 2), ("", 0)):
        page.go_back()
        expect(words(page)).to_have_value(text)
        expect_marks(page, marks)
    expect(page.get_by_role("heading", name="Newest pictures")).to_be_visible()
    page.go_forward()
    expect_marks(page, 2)


def test_reload_keeps_the_picture_the_undo_history_and_the_place(site: Site, page: Page, tmp_path: Path) -> None:
    page.goto(site.gui)
    photo = sorted(site.photos.iterdir())[0]
    draw(page, PLATE)
    draw(page, EGG)
    page.get_by_label("Picture to find similar ones to").set_input_files(photo)
    expect_hits(page)
    tile(page, 30).scroll_into_view_if_needed()
    expect(tile(page, 30)).to_be_in_viewport()
    place = page.evaluate("scrollY")
    assert place > 300
    page.reload()
    expect(ingredient(page, "image")).to_contain_text(photo.name)
    assert {"image", "sketch"} <= set(asked(page, "form => form.has('image') && form.has('sketch')"))
    expect_marks(page, 2)
    expect(tile(page, 30)).to_be_in_viewport()
    assert page.evaluate("scrollY") == pytest.approx(place, abs=4)
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Undo").click()
    expect_marks(page, 0)
    draw(page, EGG)
    page.reload()  # a page that goes at once takes nothing with it
    expect_marks(page, 1)
    page.get_by_role("button", name="Undo").click()
    expect_marks(page, 0)


# The document's request waits until the last stroke stands in the address of the page that is about to go.
RELOAD = """() => {
    const replace = history.replaceState.bind(history)
    history.replaceState = (state, title, url) => {
        replace(state, title, url)
        if (url.includes("#")) console.log("address changed")
    }
    setTimeout(() => location.reload())
}"""


def test_reload_loses_no_stroke_when_the_address_changes_meanwhile(site: Site, page: Page) -> None:
    page.goto(site.gui)
    draw(page, PLATE)
    expect(page).to_have_url(re.compile("#sketch="))
    held: list[Route] = []
    page.route(re.compile(r"^http://[^/]+/([?#].*)?$"), lambda route: held.append(route))
    draw(page, EGG)
    with page.expect_console_message(lambda message: message.text == "address changed"):
        page.evaluate(RELOAD)
    wait_until("The page is reloaded", lambda: page.wait_for_timeout(20) or bool(held), 30)
    with page.expect_event("load"):
        held[0].continue_()
    expect_marks(page, 2)
    page.get_by_role("button", name="Undo").click()
    expect_marks(page, 1)


def test_broken_link_is_a_page_without_a_drawing(site: Site, page: Page) -> None:
    page.goto(f"{site.gui}/?q=dog#sketch=nonsense")
    expect_hits(page)
    expect_marks(page, 0)


def test_last_questions_are_at_hand_with_their_sketches(site: Site, page: Page) -> None:
    page.goto(site.gui)
    draw(page, PLATE)
    words(page).fill("food")
    expect_hits(page)
    page.get_by_role("button", name="Start over").click()
    words(page).fill("an animal")
    expect_hits(page)
    page.goto(site.gui)
    before = page.get_by_role("region", name="Asked before")
    expect(before.get_by_role("listitem")).to_have_count(2)
    before.get_by_role("button", name="Ask again: Drawing, food").click()
    expect_marks(page, 1)
    expect(words(page)).to_have_value("food")
    expect_hits(page)
    page.go_back()
    expect(before).to_be_visible()
    before.get_by_role("button", name="Forget these questions").click()
    expect(before).to_have_count(0)
    page.reload()
    expect(tiles(page).first).to_be_visible()
    expect(before).to_have_count(0)
