"""The pictures of an answer: nothing flashes, thousands of them, by keyboard, by date, and several at once."""

from __future__ import annotations

import colorsys
import re
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.conftest import FAKE, Site, ask, wait_until
from tests.e2e.hands import expect_hits, results, tile, tiles, words

pytestmark = pytest.mark.e2e

MANY = 900
FIRST_DAY = datetime(2021, 1, 1, 23, 30)  # in the evening: another zone would show the next day
STEP = timedelta(days=2)


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small pictures in the order in which they were taken, two days apart."""
    folder = tmp_path_factory.mktemp("album")
    for number in range(MANY):
        colour = tuple(int(255 * part) for part in colorsys.hsv_to_rgb(number / MANY, 0.7, 0.8))
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = f"{FIRST_DAY + number * STEP:%Y:%m:%d %H:%M:%S}"
        shape = (48, 32) if number % 3 else (32, 48)
        Image.new("RGB", shape, colour).save(folder / f"{number:04}.jpg", exif=exif)
    return folder


@pytest.fixture(scope="module")
def large(new_site: Callable[..., Site], album: Path) -> Iterator[Site]:
    """A library of many pictures."""
    site = new_site(folder=album, command=FAKE)
    assert site.load("tsir") == MANY
    yield site
    site.stop()


@pytest.fixture
def own(large: Site, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Name of a collection of six pictures that a test may empty."""
    name = re.sub(r"\W", "_", request.node.name)[:60]
    where = f"{large.api}/api/v1/collections/{name}"
    assert ask("PUT", where)[0] == 201
    folder = large.photos / name
    folder.mkdir()
    for number in range(6):
        Image.new("RGB", (60, 40), (40 * number, 90, 200 - 30 * number)).save(folder / f"{number}.png")
    assert ask("POST", f"{where}/imports", {"path": str(folder)})[0] == 202
    wait_until("Six pictures are there", lambda: count(large, name) == 6, 60)
    return name


def count(site: Site, collection: str) -> int:
    answer = ask("GET", f"{site.api}/api/v1/collections/{collection}")[1]
    assert isinstance(answer, dict)
    return int(answer["count"])


def focused(page: Page) -> Locator:
    return page.get_by_role("list", name="Results").locator("button[data-id]:focus")


def choose(page: Page, place: int) -> None:
    """Selects a picture by its check, as a mouse does."""
    item = page.get_by_role("list", name="Results").get_by_role("listitem").nth(place)
    item.hover()
    item.get_by_role("checkbox").click()


# In every frame: how many of the tiles in the window are not painted yet. An empty window counts as one.
WATCH = """() => {
    window.unpainted = []
    const look = () => {
        const seen = [...document.querySelectorAll('[aria-label=Results] button[data-id]')].filter(tile => {
            const box = tile.getBoundingClientRect()
            return box.bottom > 0 && box.top < window.innerHeight
        })
        window.unpainted.push(seen.length ? seen.filter(tile => tile.dataset.state !== 'shown').length : 1)
        requestAnimationFrame(look)
    }
    look()
}"""


def test_no_white_flash_between_answers_and_what_stays_keeps_its_node(site: Site, page: Page) -> None:
    page.goto(site.gui)
    words(page).fill("people at a table")
    expect_hits(page)
    tile(page, 12)
    page.evaluate("""() => {
        for (const tile of document.querySelectorAll('[aria-label=Results] button[data-id]')) tile.mark = tile.dataset.id
    }""")
    known = [item.get_attribute("data-id") for item in results(page).all()]
    page.evaluate(WATCH)
    words(page).fill("an airplane in the sky")
    expect(results(page).first).not_to_have_attribute("data-id", known[0] or "")
    expect_hits(page)
    tile(page, 12)
    assert max(page.evaluate("window.unpainted")) == 0, "a picture was seen before it was painted"
    stayed = [item for item in results(page).all() if item.get_attribute("data-id") in known]
    assert len(stayed) >= 5
    assert all(item.evaluate("tile => tile.mark === tile.dataset.id") for item in stayed)


def test_thousands_of_pictures_are_few_nodes_and_all_within_reach(large: Site, page: Page) -> None:
    page.goto(large.gui)
    tile(page, 0).click(trial=True)
    first = tile(page, 0)
    first.focus()
    items = page.get_by_role("list", name="Results").get_by_role("listitem")
    page.keyboard.press("Control+End")
    expect(page.get_by_test_id("status")).to_have_text(f"{MANY} pictures shown")
    last = focused(page)
    expect(last).to_have_attribute("title", "0000.jpg")
    expect(last).to_be_in_viewport()
    assert items.count() < 300
    assert page.get_by_role("list", name="Results").locator("button[tabindex='0']").count() == 1
    page.keyboard.press("ArrowLeft")
    expect(focused(page)).to_have_attribute("title", "0001.jpg")
    page.keyboard.press("PageUp")
    expect(focused(page)).not_to_have_attribute("title", "0001.jpg")
    expect(focused(page)).to_be_in_viewport()
    page.keyboard.press("Control+Home")
    expect(focused(page)).to_have_attribute("title", f"{MANY - 1:04}.jpg")
    expect(focused(page)).to_be_in_viewport()
    assert items.count() < 300


def test_arrow_keys_walk_in_two_dimensions_from_one_tab_stop(site: Site, page: Page) -> None:
    page.goto(site.gui)
    tile(page, 0).focus()
    start = focused(page).bounding_box()
    page.keyboard.press("ArrowDown")
    below = focused(page).bounding_box()
    assert start and below
    assert below["y"] > start["y"] and below["x"] < start["x"] + start["width"], "the one below it"
    page.keyboard.press("ArrowRight")
    right = focused(page).bounding_box()
    assert right and right["y"] == pytest.approx(below["y"]) and right["x"] > below["x"]
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Home")
    expect(focused(page)).to_have_attribute("data-id", tile(page, 0).get_attribute("data-id") or "")
    page.keyboard.press("Tab")
    expect(focused(page)).to_have_count(0)
    page.keyboard.press("Shift+Tab")
    expect(focused(page)).to_have_attribute("data-id", tile(page, 0).get_attribute("data-id") or "")


def test_browsing_goes_by_date_and_a_rail_leads_through_the_years(large: Site, page: Page, shoot: Callable[[Page, str], None]) -> None:
    page.goto(large.gui)
    newest = FIRST_DAY + (MANY - 1) * STEP
    expect(page.get_by_role("heading", name=f"{newest:%B %Y}")).to_be_visible()
    tile(page, 0).focus()
    page.keyboard.press("Control+End")
    expect(page.get_by_role("heading", name="January 2021")).to_be_visible()
    rail = page.get_by_role("slider", name="Dates")
    expect(rail).to_have_attribute("aria-valuetext", re.compile("2021"))
    box = rail.bounding_box()
    assert box
    page.mouse.move(box["x"] + 10, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    expect(rail).to_have_attribute("aria-valuetext", re.compile("2023"))
    shoot(page, "dates")
    page.mouse.up()
    rail.press("Home")
    expect(page.get_by_role("heading", name=f"{newest:%B %Y}")).to_be_in_viewport()


def test_three_are_selected_removed_and_brought_back(large: Site, own: str, page: Page, shoot: Callable[[Page, str], None]) -> None:
    removals: list[str] = []
    page.on("request", lambda request: removals.append(request.url) if request.method == "DELETE" else None)
    page.goto(f"{large.gui}/?in={own}")
    expect(tiles(page)).to_have_count(6)
    choose(page, 1)
    results(page).nth(3).click(modifiers=["Shift"])
    bar = page.get_by_role("toolbar", name="Selected pictures")
    expect(bar).to_contain_text("3 selected")
    shoot(page, "selection")
    bar.get_by_role("button", name="Remove").click()
    expect(tiles(page)).to_have_count(3)
    expect(bar).to_have_count(0)
    page.get_by_role("button", name="Undo removal").click()
    expect(tiles(page)).to_have_count(6)
    assert removals == [] and count(large, own) == 6, "nothing had happened yet"
    results(page).first.focus()
    page.keyboard.press("x")
    bar.get_by_role("button", name="Remove").click()
    expect(tiles(page)).to_have_count(5)
    page.get_by_role("button", name="Dismiss").click()
    wait_until("The picture is gone", lambda: count(large, own) == 5, 30)
    assert len(removals) == 1


def test_selection_is_downloaded_as_one_zip(large: Site, own: str, page: Page) -> None:
    page.goto(f"{large.gui}/?in={own}")
    expect(tiles(page)).to_have_count(6)
    choose(page, 0)
    choose(page, 2)
    with page.expect_download() as download:
        page.get_by_role("toolbar", name="Selected pictures").get_by_role("button", name="Download").click()
    names = [tile.get_attribute("title") for tile in (results(page).nth(0), results(page).nth(2))]
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.namelist() == names
        assert archive.testzip() is None
        for name in archive.namelist():
            assert archive.read(name) == (large.photos / own / name).read_bytes()
    page.get_by_role("button", name="Clear the selection").click()
    expect(page.get_by_role("toolbar", name="Selected pictures")).to_have_count(0)


def test_finger_that_rests_selects_and_a_tap_opens(large: Site, own: str, browser: Browser) -> None:
    with browser.new_context(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True) as phone:
        page = phone.new_page()
        page.goto(f"{large.gui}/?in={own}")
        expect(tiles(page)).to_have_count(6)
        tile(page, 0).scroll_into_view_if_needed()
        box = tile(page, 0).bounding_box()
        assert box
        devtools = phone.new_cdp_session(page)
        point = {"x": box["x"] + 24, "y": box["y"] + 24}  # where the check appears
        devtools.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
        bar = page.get_by_role("toolbar", name="Selected pictures")
        expect(bar).to_contain_text("1 selected")
        devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        expect(bar).to_contain_text("1 selected")  # not opened, not taken back
        tile(page, 1).tap()
        expect(bar).to_contain_text("2 selected")
        bar.get_by_role("button", name="Clear the selection").tap()
        tile(page, 1).tap()
        expect(page.get_by_role("dialog")).to_be_visible()


def test_camera_keeps_its_own_clock_in_another_zone(large: Site, browser: Browser) -> None:
    with browser.new_context(viewport={"width": 1400, "height": 900}, timezone_id="Pacific/Auckland", locale="en-US") as away:
        page = away.new_page()
        page.goto(large.gui)
        tile(page, 0).click()
        newest = FIRST_DAY + (MANY - 1) * STEP
        expect(page.get_by_role("dialog")).to_contain_text(re.compile(f"{newest:%b} {newest.day}, {newest.year}, 11:30.PM"))
