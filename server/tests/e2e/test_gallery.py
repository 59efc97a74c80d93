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
from tests.e2e.hands import expect_hits, open_library, results, tile, tiles, words

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


def test_browsing_is_filtered_and_ordered(large: Site, page: Page) -> None:
    page.goto(large.gui)
    status = page.get_by_test_id("status")
    page.get_by_role("button", name="Filters").click()
    panel = page.get_by_role("group", name="Filters")
    panel.get_by_label("Taken from").fill("2021-01-01")
    panel.get_by_label("to", exact=True).fill("2021-01-31")
    expect(status).to_have_text("16 pictures shown")  # the last one was taken in the evening of the 31st
    panel.get_by_role("radio", name="Tall").check()
    expect(status).to_have_text("6 pictures shown")
    panel.get_by_label("In the folder").fill("/nowhere")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    page.keyboard.press("Escape")
    page.reload()
    page.get_by_role("button", name="Drop: In the folder: /nowhere").click()
    expect(status).to_have_text("6 pictures shown")
    expect(tile(page, 0)).to_have_attribute("title", "0015.jpg")
    page.get_by_role("combobox", name="Order").select_option("By name")
    expect(tile(page, 0)).to_have_attribute("title", "0000.jpg")
    assert "sort=name" in page.url
    page.go_back()
    expect(tile(page, 0)).to_have_attribute("title", "0015.jpg")
    page.get_by_role("button", name="Start over").click()
    expect(status).to_have_text("40 pictures shown")


def test_missing_pictures_are_told_of_shown_and_forgotten(large: Site, own: str, page: Page) -> None:
    folder = large.photos / own
    away = folder.with_name(f"{own}_away")
    away.mkdir()
    for name in ("0.png", "1.png"):
        (folder / name).rename(away / name)
    assert ask("POST", f"{large.api}/api/v1/collections/{own}/imports", {"path": str(folder)})[0] == 202
    wait_until("Two are missing", lambda: count(large, own) == 4, 60)
    page.goto(f"{large.gui}/?in={own}")
    expect(tiles(page)).to_have_count(4)
    panel = open_library(page)
    expect(panel).to_contain_text("The files of 2 pictures are not there now. Is a drive away?")
    panel.get_by_role("button", name="Show the missing ones").click()
    expect(tiles(page)).to_have_count(2)
    expect(page.get_by_role("list", name="Results")).to_contain_text("File not there")
    tile(page, 0).click()
    viewer = page.get_by_role("dialog")
    expect(viewer).to_contain_text("not at its place now")
    expect(viewer.get_by_role("link", name="Open original")).to_have_count(0)
    page.keyboard.press("Escape")
    (away / "0.png").rename(folder / "0.png")
    page.get_by_role("button", name="Forget them…").click()
    expect(page.get_by_text("No file is touched.")).to_be_visible()
    page.get_by_role("button", name="Forget", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("1 picture forgotten. 1 picture found again")
    wait_until("The one that is back can be found", lambda: count(large, own) == 5, 30)
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()


def test_selected_pictures_are_added_elsewhere_removed_and_brought_back(
    large: Site, own: str, page: Page, shoot: Callable[[Page, str], None]
) -> None:
    page.goto(f"{large.gui}/?in={own}")
    expect(tiles(page)).to_have_count(6)
    choose(page, 1)
    bar = page.get_by_role("toolbar", name="Selected pictures")
    shoot(page, "selection")
    bar.get_by_role("button", name="Add to…").click()
    page.get_by_role("textbox", name="New collection").fill(f"{own[:50]}_more")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text(f"1 picture added to {own[:50]}_more")
    assert count(large, f"{own[:50]}_more") == 1
    bar.get_by_role("button", name="Remove").click()
    expect(tiles(page)).to_have_count(5)
    expect(bar).to_have_count(0)
    expect(page.get_by_role("status").filter(has_text="1 picture taken out")).to_contain_text("Files in folders of the server stay")
    assert count(large, own) == 5
    # What was removed lies in the trash, and comes back from there, too.
    panel = open_library(page)
    trash = panel.get_by_role("region", name="Trash")
    trash.get_by_role("listitem").filter(has_text=f"1 picture of {own}").get_by_role("button", name="Bring back").click()
    expect(trash).to_contain_text(f"1 picture back in {own}")
    panel.get_by_role("button", name="Close").click()
    expect(tiles(page)).to_have_count(6)


def test_folders_of_the_server_are_looked_through(large: Site, own: str, page: Page, shoot: Callable[[Page, str], None]) -> None:
    (large.photos / "trips" / "sea").mkdir(parents=True)
    page.goto(large.gui)
    panel = open_library(page)
    inside = panel.get_by_role("list", name="Folders inside")
    expect(inside.get_by_role("button", name="trips 1 folder")).to_be_visible()  # and not: 0 pictures
    inside.get_by_role("button", name=f"{own} 6 pictures").click()
    chosen = panel.get_by_label("Folder on the server")
    expect(chosen).to_have_value(str(large.photos / own))
    expect(inside.get_by_role("button")).to_have_count(0)
    panel.get_by_role("button", name="Up").click()
    expect(chosen).to_have_value(str(large.photos))
    expect(inside.get_by_role("button", name=own)).to_be_visible()
    shoot(page, "folders")


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
        below, above = page.get_by_role("search").bounding_box(), bar.bounding_box()
        assert below and above and above["y"] + above["height"] <= below["y"], "the bar lies above the docked sheet"
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
