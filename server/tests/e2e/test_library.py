"""Adding pictures, watching them come in, taking them out again."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.e2e.conftest import IMPORT_S, Site, ask
from tests.e2e.hands import job, open_library, results, tile, tiles, words

pytestmark = pytest.mark.e2e

Shoot = Callable[[Page, str], None]


# Every value that the bar of each import shows, as it changes.
KEEP_PROGRESS = """
    window.progress = {}
    window.progressObserver = new MutationObserver(() => {
        for (const job of document.querySelectorAll("[data-job]")) {
            const value = job.querySelector("progress").getAttribute("value")
            const seen = window.progress[job.dataset.job] ??= []
            if (value !== null && Number(value) !== seen.at(-1)) seen.push(Number(value))
        }
    })
    window.progressObserver.observe(document, { subtree: true, childList: true, attributes: true })
"""


def new_collection(page: Page, name: str) -> Locator:
    """Makes and picks a collection on the page -> the open library panel."""
    panel = open_library(page)
    panel.get_by_role("button", name="New collection").click()
    panel.get_by_role("textbox", name="Name of the new collection").fill(name)
    panel.get_by_role("button", name="Create").click()
    expect(panel.get_by_role("heading", name=f"Add pictures to {name}")).to_be_visible()
    return panel


def expect_done(newest: Locator) -> None:
    expect(newest).to_have_attribute("data-state", re.compile("done|failed|cancelled"), timeout=IMPORT_S * 1000)
    expect(newest).to_have_attribute("data-state", "done")


def picture(path: Path, colour: str) -> Path:
    Image.new("RGB", (90, 60), colour).save(path)
    return path


def test_folder_is_imported_with_a_progress_bar_to_the_end(site: Site, page: Page, shoot: Shoot) -> None:
    page.add_init_script(KEEP_PROGRESS)
    page.goto(site.gui)
    panel = new_collection(page, "holidays")
    expect(panel.get_by_label("Folder on the server")).to_have_value(str(site.photos))
    panel.get_by_role("button", name="Import folder").click()
    newest = job(panel)
    expect(newest.get_by_role("progressbar")).to_be_visible()
    shoot(page, "import")
    expect_done(newest)
    expect(newest).to_contain_text(re.compile(r"[\d,]+ pictures added"))
    seen = page.evaluate("window.progress")[newest.get_attribute("data-job")]
    assert seen == sorted(seen) and seen[-1] == 1, "the bar moves forward only, to the end"
    panel.get_by_role("button", name="Close").click()
    expect(tiles(page).first).to_be_visible()
    assert "in=holidays" in page.url
    expect(page.get_by_role("button", name=re.compile(r"^holidays [\d,]{3,}$"))).to_be_visible()
    words(page).fill("a dog")
    expect(page.get_by_role("heading", name="Best matches")).to_be_visible()
    # The same folder again: nothing is new.
    panel = open_library(page)
    panel.get_by_role("button", name="Import folder").click()
    expect(job(panel)).to_contain_text(re.compile(r"[\d,]+ unchanged"), timeout=IMPORT_S * 1000)


def test_refused_folder_shows_the_sentence(site: Site, rough_page: Page, shoot: Shoot) -> None:
    page = rough_page
    page.goto(site.gui)
    panel = open_library(page)
    panel.get_by_label("Folder on the server").fill("/etc")
    panel.get_by_role("button", name="Import folder").click()
    expect(panel.get_by_role("alert")).to_contain_text("IMAGE_ROOTS")
    expect(panel.get_by_role("alert")).to_contain_text("/etc")
    shoot(page, "refused")


def test_chosen_files_are_uploaded_and_bad_ones_listed(site: Site, page: Page, tmp_path: Path) -> None:
    good = picture(tmp_path / "猫.png", "orange")
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.write(picture(tmp_path / "green.png", "green"), "inside/green.png")
    (tmp_path / "text.jpg").write_text("this is no picture")
    page.goto(site.gui)
    panel = new_collection(page, "uploads")
    panel.get_by_role("tab", name="Files").click()
    with page.expect_file_chooser() as chooser:
        panel.get_by_role("button", name="Drop pictures or a zip here").click()
    chooser.value.set_files([good, tmp_path / "more.zip", tmp_path / "text.jpg"])
    newest = job(panel)
    expect_done(newest)
    expect(newest).to_contain_text("2 pictures added")
    newest.get_by_role("button", name="1 could not be used").click()
    expect(newest.get_by_role("listitem")).to_have_count(1)
    expect(newest.get_by_role("listitem")).to_contain_text("text.jpg")
    panel.get_by_role("button", name="Close").click()
    expect(tiles(page)).to_have_count(2)


def test_picture_is_removed_from_the_viewer(site: Site, page: Page, tmp_path: Path) -> None:
    page.goto(site.gui)
    panel = new_collection(page, "bin")
    panel.get_by_role("tab", name="Files").click()
    page.get_by_label("Pictures or zips to upload").set_input_files([picture(tmp_path / f"{name}.png", name) for name in ("red", "blue")])
    expect_done(job(panel))
    panel.get_by_role("button", name="Close").click()
    expect(tiles(page)).to_have_count(2)
    tile(page, 0).click()
    expect(page.get_by_role("dialog")).to_be_visible()
    number = tile(page, 0).get_attribute("data-id")
    page.get_by_role("button", name="Remove from library").click()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {urlsplit(request.url).path}"))
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(tiles(page)).to_have_count(1)
    about_it = [request for request in asked if f"/images/{number}" in request]
    assert about_it == [f"DELETE /api/v1/collections/bin/images/{number}"], "nothing is asked of a picture that is gone"


def test_collection_is_made_and_dropped(site: Site, page: Page) -> None:
    page.goto(site.gui)
    panel = open_library(page)
    panel.get_by_role("button", name="New collection").click()
    name = panel.get_by_role("textbox", name="Name of the new collection")
    name.fill("no spaces")
    panel.get_by_role("button", name="Create").click()
    expect(panel.get_by_role("alert")).to_contain_text("letters, digits")
    name.fill("short_lived")
    panel.get_by_role("button", name="Create").click()
    panel.get_by_role("button", name="Drop short_lived").click()
    panel.get_by_role("button", name="Drop", exact=True).click()
    expect(panel.get_by_role("button", name="Drop short_lived")).to_have_count(0)
    assert ask("GET", f"{site.api}/api/v1/collections/short_lived")[0] == 404
    panel.get_by_role("button", name="Drop tsir").click()
    expect(panel).to_contain_text("Uploaded ones are deleted")
    panel.get_by_role("button", name="Keep").click()


def trip(folder: Path) -> Path:
    """A folder of two pictures, one of them deeper, and what lies beside pictures."""
    (folder / "trip" / "day").mkdir(parents=True)
    picture(folder / "trip" / "sea.png", "navy")
    picture(folder / "trip" / "day" / "wood.png", "olive")
    (folder / "trip" / "notes.txt").write_text("what we did")
    (folder / "trip" / ".hidden.png").write_text("a system's own")
    return folder / "trip"


def test_dropped_folder_is_imported_to_the_end(site: Site, page: Page, tmp_path: Path) -> None:
    folder = trip(tmp_path)
    page.goto(site.gui)
    panel = new_collection(page, "dropped")
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_have_count(0)
    devtools = page.context.new_cdp_session(page)

    def drag(kind: str, x: float, y: float) -> None:
        data = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": data})

    drag("dragEnter", 700, 500)
    drag("dragOver", 700, 500)
    target = page.get_by_text("Add to “dropped”")
    expect(target).to_be_visible()
    box = target.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    drag("dragOver", x, y)
    drag("drop", x, y)
    newest = job(page)
    expect_done(newest)
    expect(newest).to_contain_text("2 pictures added")
    expect(newest.get_by_role("button", name="could not be used")).to_have_count(0)


def test_chosen_folder_is_uploaded(site: Site, page: Page, tmp_path: Path) -> None:
    page.goto(site.gui)
    panel = new_collection(page, "chosen")
    panel.get_by_role("tab", name="Files").click()
    with page.expect_file_chooser() as chooser:
        panel.get_by_role("button", name="Choose a folder").click()
    chooser.value.set_files(trip(tmp_path))
    newest = job(panel)
    expect_done(newest)
    expect(newest).to_contain_text("2 pictures added")


def test_import_that_brought_nothing_does_not_end_well(site: Site, page: Page, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("this is no picture")
    page.goto(site.gui)
    panel = new_collection(page, "nothing")
    panel.get_by_role("tab", name="Files").click()
    page.get_by_label("Pictures or zips to upload").set_input_files(tmp_path / "text.jpg")
    newest = job(panel)
    expect(newest).to_have_attribute("data-outcome", "none")
    expect(newest).to_contain_text("Nothing could be used")
    expect(newest).not_to_contain_text("Done")
    expect(newest.get_by_role("button", name="1 could not be used")).to_be_visible()


def upload(site: Site, collection: str, *paths: Path) -> None:
    """An import that somebody else starts."""
    files = [("files", (path.name, path.read_bytes(), "image/png")) for path in paths]
    assert httpx.post(f"{site.api}/api/v1/collections/{collection}/imports", files=files).status_code == 202


def test_import_started_elsewhere_is_seen_without_a_touch(site: Site, page: Page, tmp_path: Path) -> None:
    page.goto(site.gui)
    panel = new_collection(page, "elsewhere")
    panel.get_by_role("tab", name="Files").click()
    page.get_by_label("Pictures or zips to upload").set_input_files(picture(tmp_path / "own.png", "red"))
    expect_done(job(panel))
    panel.get_by_role("button", name="Close").click()
    expect(tiles(page)).to_have_count(1)
    upload(site, "elsewhere", picture(tmp_path / "others.png", "teal"))
    expect(tiles(page)).to_have_count(2)
    expect(page.get_by_role("button", name=re.compile(r"^elsewhere 2$"))).to_be_visible()


def test_end_of_an_import_leaves_the_list_where_it_was(site: Site, page: Page, tmp_path: Path) -> None:
    assert site.load("long_list") >= 100
    page.goto(f"{site.gui}/?in=long_list")
    status = page.get_by_test_id("status")
    for shown in ("40 pictures shown", "80 pictures shown", re.compile(r"(100|120) pictures shown")):
        expect(status).to_have_text(shown)
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    seen = results(page).last
    expect(seen).to_be_in_viewport()
    place = seen.bounding_box()
    name = seen.get_attribute("data-id")
    upload(site, "long_list", picture(tmp_path / "late.png", "purple"))
    expect(status).to_have_text(re.compile(r"(101|121) pictures shown"))
    expect(results(page).last).to_have_attribute("data-id", name or "")
    now = results(page).last.bounding_box()
    assert place and now and now["y"] == pytest.approx(place["y"], abs=260), "at most by what the row itself has changed"
    expect(results(page).last).to_be_in_viewport()
