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


# Every sentence that a screen reader hears of the pictures, from now on.
KEEP_STATUS = """() => {
    const status = document.querySelector('[data-testid=status]')
    window.told = []
    const note = () => window.told.push(status.textContent)
    new MutationObserver(note).observe(status, { childList: true, characterData: true, subtree: true })
}"""


# The first picture that is seen below the head of the page: its id, and where it stands.
FIRST_SEEN = """() => {
    const edge = document.querySelector('header').getBoundingClientRect().bottom
    const tiles = [...document.querySelectorAll('[aria-label=Results] button[data-id]')]
    const first = tiles.find(tile => tile.getBoundingClientRect().bottom > edge)
    return [first.dataset.id, first.closest('li').getBoundingClientRect().top]
}"""


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


def test_empty_collection_says_how_to_begin(site: Site, page: Page, shoot: Shoot) -> None:
    page.goto(f"{site.gui}/?in=nothing_yet")
    expect(page.get_by_role("heading", name="This library is empty")).to_be_visible()
    shoot(page, "empty")
    page.get_by_role("button", name="Import a folder").click()
    expect(page.get_by_role("dialog", name="Library")).to_be_visible()


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


def test_only_copies_go_to_the_trash_and_come_back(site: Site, page: Page, tmp_path: Path) -> None:
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
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    page.get_by_role("button", name="Remove from library").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(tiles(page)).to_have_count(1)
    said = page.get_by_role("status").filter(has_text="1 picture taken out")
    expect(said).to_contain_text("1 uploaded file, its only copy here, is in the trash")
    assert not [path for path in asked if f"/images/{number}" in path], "nothing is asked of a picture that is gone"
    said.get_by_role("button", name="Undo removal").click()
    expect(tiles(page)).to_have_count(2)
    panel = open_library(page)
    panel.get_by_role("button", name="Rename bin").click()
    panel.get_by_role("textbox", name="New name of bin").fill("box")
    page.keyboard.press("Enter")
    expect(panel.get_by_role("heading", name="Add pictures to box")).to_be_visible()
    panel.get_by_role("button", name="Drop box").click()
    expect(panel).to_contain_text("2 pictures of these were uploaded and lie nowhere else: their files go to the trash")
    panel.get_by_role("button", name="Drop", exact=True).click()
    expect(panel.get_by_role("region", name="Trash")).to_contain_text("The collection box")


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
    expect(panel).to_contain_text("Their files lie in folders of the server and stay there")
    panel.get_by_role("button", name="Keep").click()


def trip(folder: Path) -> Path:
    """A folder of two pictures, one of them deeper, and what lies beside pictures."""
    (folder / "trip" / "day").mkdir(parents=True)
    picture(folder / "trip" / "sea.png", "navy")
    picture(folder / "trip" / "day" / "wood.png", "olive")
    (folder / "trip" / "notes.txt").write_text("what we did")
    (folder / "trip" / ".hidden.png").write_text("a system's own")
    return folder / "trip"


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
    api = f"{site.api}/api/v1/collections"
    assert httpx.put(f"{api}/long_list").status_code == 201
    ids = [one["id"] for one in httpx.get(f"{api}/tsir/images?limit=120").json()["images"]]
    assert httpx.post(f"{api}/long_list/add", json={"from": "tsir", "ids": ids}).json()["pictures"] == len(ids) >= 100
    page.goto(f"{site.gui}/?in=long_list")
    status = page.get_by_test_id("status")
    for shown in ("40 pictures shown", "80 pictures shown", re.compile(r"(100|120) pictures shown")):
        expect(status).to_have_text(shown)
        page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    expect(results(page).last).to_be_in_viewport()
    number, place = page.evaluate(FIRST_SEEN)
    page.evaluate(KEEP_STATUS)
    upload(site, "long_list", *(picture(tmp_path / f"late{shade}.png", f"hsl({shade}, 80%, 40%)") for shade in range(0, 360, 30)))
    expect(status).to_have_text(re.compile(r"(112|132) pictures shown"))
    told = [int(text.split()[0]) for text in page.evaluate("window.told") if text]
    assert min(told) >= 100, "the list began anew"
    assert page.evaluate(FIRST_SEEN) == [number, pytest.approx(place, abs=2)], "a dozen pictures came above it"
