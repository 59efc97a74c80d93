"""One way through the whole page, as three people go it: by mouse in English, by touch in Chinese, by keyboard alone. And the key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.e2e.access import violations
from tests.e2e.conftest import IMPORT_S, ROOT, Site
from tests.e2e.hands import (
    Touch,
    drag_folder,
    draw,
    expect_hits,
    expect_marks,
    ingredient,
    job,
    open_library,
    oval,
    results,
    sheet,
    tile,
    tiles,
    words,
)

pytestmark = pytest.mark.e2e

KEY = "correct-horse"
PLATE = oval(0.5, 0.5, 0.36, 0.25)
DESKTOP = {"viewport": {"width": 1400, "height": 900}}
PHONE = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def locked(new_site: Callable[..., Site]) -> Iterator[Site]:
    """A server that wants a key, its default collection filled."""
    site = new_site(API_KEYS=f"{KEY}, read:only-looking")
    assert site.load("tsir", key=KEY) >= 100
    yield site
    site.stop()


def catalogue(language: str) -> dict[str, str]:
    """What the page says in a language, by the keys of its catalogue."""
    text = (ROOT / "client" / "src" / "i18n" / f"{language}.ts").read_text(encoding="utf-8")
    return dict(re.findall(r'^ +"?([\w.]+)"?:\s+(?:\{.*?other: )?"(.*?)"', text, re.MULTILINE))


@dataclass
class Person:
    """Somebody at the page. The mouse's hands; others use theirs."""

    page: Page
    said: dict[str, str]

    def t(self, key: str, **values: str) -> str:
        return self.said[key].format(**values)

    def button(self, key: str, within: Locator | None = None, **values: str) -> Locator:
        return (within or self.page).get_by_role("button", name=self.t(key, **values), exact=True)

    def box(self, key: str) -> Locator:
        return self.page.get_by_role("textbox", name=self.t(key), exact=True)

    def press(self, target: Locator) -> None:
        target.click()

    def enter(self, field: Locator) -> None:
        """Puts the caret there."""
        self.press(field)

    def write(self, field: Locator, text: str) -> None:
        self.enter(field)
        expect(field).to_be_focused()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)

    def draw(self) -> None:
        self.press(self.button("sketch.more"))
        assert violations(self.page) == [], "tools"
        self.page.keyboard.press("Escape")
        draw(self.page, PLATE)

    def weigh(self, slider: Locator) -> None:
        """Moves the balance towards the drawing."""
        box = slider.bounding_box()
        assert box
        self.at(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2)

    def at(self, x: float, y: float) -> None:
        self.page.mouse.click(x, y)

    def look_at(self, place: int) -> Locator:
        self.press(tile(self.page, place))
        viewer = self.page.get_by_role("dialog")
        expect(viewer.get_by_role("img")).to_be_visible()
        return viewer

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        self.page.mouse.move(*end)
        self.page.mouse.up()

    def take_part(self, viewer: Locator) -> tuple[int, int, int, int]:
        """A box on the picture, and a search with what is in it -> its left, top, right and bottom, in thousandths."""
        self.press(self.button("part.box", viewer))
        shown = viewer.get_by_role("img").bounding_box()
        assert shown
        x, y, width, height = shown["x"], shown["y"], shown["width"], shown["height"]
        self.drag((x + 0.1 * width, y + 0.1 * height), (x + 0.6 * width, y + 0.5 * height))
        assert violations(self.page) == [], "a part"
        self.press(self.button("part.box.take", viewer))
        return 100, 100, 600, 500

    def choose_folder(self, folder: Path) -> None:
        self.press(self.button("top.add"))
        self.press(self.page.get_by_role("tab", name=self.t("add.files"), exact=True))
        with self.page.expect_file_chooser() as chooser:
            self.press(self.button("add.files.folder"))
        chooser.value.set_files(folder)

    def give_folder(self, folder: Path) -> None:
        drag_folder(self.page, folder, self.page.get_by_text(self.t("drop.add", collection="tsir")))

    def open_filters(self) -> None:
        self.press(self.button("filters"))

    def set_day(self, field: Locator, day: str) -> None:
        field.fill(day)

    def choose_three(self) -> None:
        tile(self.page, 0).hover()
        self.page.get_by_role("list", name=self.t("results")).get_by_role("checkbox").first.click()
        results(self.page).nth(2).click(modifiers=["Shift"])


class Toucher(Person):
    def press(self, target: Locator) -> None:
        target.tap()

    def enter(self, field: Locator) -> None:
        for _ in range(3):  # taps until the caret is there, as one does
            self.press(field)
            if field.evaluate("it => it === document.activeElement"):
                return

    def at(self, x: float, y: float) -> None:
        self.page.touchscreen.tap(x, y)

    def draw(self) -> None:
        glass = Touch(self.page)
        glass.down(1, PLATE[0])
        glass.move(1, *PLATE)
        glass.up(1)

    def weigh(self, slider: Locator) -> None:
        self.press(self.button("sketch.grow"))  # the sheet lies small below the pictures
        super().weigh(slider)

    def make_room(self) -> None:
        """Moves the pictures by hand: the sheet gets small, and what lies below it can be touched."""
        if self.button("sketch.grow").count() == 0:
            self.drag((180, 200), (180, 120))
            expect(self.button("sketch.grow")).to_be_visible()

    def look_at(self, place: int) -> Locator:
        self.make_room()
        return super().look_at(place)

    def open_filters(self) -> None:
        self.press(self.button("sketch.grow"))  # they stand beside the large sheet
        super().open_filters()

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        Touch(self.page).swipe(start, end)

    def give_folder(self, folder: Path) -> None:
        self.choose_folder(folder)

    def choose_three(self) -> None:
        self.make_room()
        box = tile(self.page, 0).bounding_box()
        assert box
        devtools = self.page.context.new_cdp_session(self.page)
        point = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        devtools.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
        bar = self.page.get_by_role("toolbar", name=self.t("gallery.selection"))
        expect(bar).to_be_visible()  # a finger that rests
        devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        for place in (1, 2):
            expect(bar).to_contain_text(self.t("gallery.chosen", count=str(place)))
            tile(self.page, place).tap()


class Typist(Person):
    """Without a mouse; what lies nowhere but under a pointer has another way."""

    def reach(self, target: Locator) -> None:
        """Tab after Tab until it has the focus."""
        for _ in range(120):
            if target.evaluate("it => it === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        pytest.fail(f"Tab does not reach {target}")

    def press(self, target: Locator) -> None:
        self.reach(target)
        self.page.keyboard.press("Enter")

    def enter(self, field: Locator) -> None:
        self.reach(field)

    def draw(self) -> None:
        self.press(self.button("sketch.more"))
        assert violations(self.page) == [], "tools"
        self.press(self.button("sketch.example", name=self.t("example.pizza")))

    def weigh(self, slider: Locator) -> None:
        self.reach(slider)
        for _ in range(6):
            self.page.keyboard.press("ArrowRight")

    def look_at(self, place: int) -> Locator:
        self.page.keyboard.press("Escape")
        self.reach(self.page.get_by_role("list", name=self.t("results")).locator("button[data-id][tabindex='0']"))
        self.page.keyboard.press("Control+Home")
        for _ in range(place):
            self.page.keyboard.press("ArrowRight")
        expect(tile(self.page, place)).to_be_focused()
        self.page.keyboard.press("Enter")
        viewer = self.page.get_by_role("dialog")
        expect(viewer.get_by_role("img")).to_be_visible()
        return viewer

    def take_part(self, viewer: Locator) -> tuple[int, int, int, int]:
        self.press(self.button("part.box", viewer))
        for key in ("ArrowRight", "ArrowUp", "Shift+ArrowLeft", "Enter"):
            self.page.keyboard.press(key)
        return 270, 230, 750, 730  # it begins as half of the picture, in its middle

    def give_folder(self, folder: Path) -> None:
        self.choose_folder(folder)

    def set_day(self, field: Locator, day: str) -> None:
        year, month, date = day.split("-")
        self.reach(field)
        self.page.keyboard.type(month + date + year)  # as it is written in the United States
        expect(field).to_have_value(day)

    def choose_three(self) -> None:
        self.reach(results(self.page).nth(0))
        self.page.keyboard.press("x")
        for _ in range(2):
            self.page.keyboard.press("Shift+ArrowRight")


WAYS: dict[str, tuple[type[Person], str, dict[str, Any], int]] = {
    "English, mouse": (Person, "en", {**DESKTOP, "locale": "en-US"}, 2011),
    "Chinese, touch, dark phone": (Toucher, "zh", {**PHONE, "locale": "zh-CN", "color_scheme": "dark"}, 2012),
    "English, keyboard, dark": (Typist, "en", {**DESKTOP, "locale": "en-US", "color_scheme": "dark"}, 2013),
}


def album(folder: Path, year: int) -> Path:
    """Three pictures of a May, one of them deeper; of a June; and what is none."""
    (folder / "trip" / "day").mkdir(parents=True)
    for number, (name, month, day) in enumerate([("a", 5, 1), ("b", 5, 16), ("day/c", 5, 31), ("d", 6, 1)]):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = f"{year}:{month:02}:{day:02} 22:30:00"
        shade = (50 * number, year % 10 * 20, 200 - 30 * number)
        Image.new("RGB", (90, 60), shade).save(folder / "trip" / f"{name}.jpg", exif=exif)
    (folder / "trip" / "notes.txt").write_text("what we did")
    (folder / "trip" / ".hidden.png").write_text("a system's own")
    return folder / "trip"


def looked_at(page: Page) -> str:
    """The id of the picture that the viewer shows, as the address has it."""
    expect(page).to_have_url(re.compile(r"[?&]view=\d"))
    return re.findall(r"[?&]view=(\d+)", page.url)[0]


def sign_in(person: Person, key: str) -> None:
    question = person.page.get_by_role("dialog", name=person.t("key.title"))
    expect(question).to_be_visible()
    person.write(question.get_by_label(person.t("key.field"), exact=True), key)
    person.page.keyboard.press("Enter")


def answered(person: Person, first: str | None = None) -> None:
    """There is an answer, whose best picture is not `first`."""
    expect(person.page.get_by_role("heading", name=person.t("results.best"))).to_be_visible()
    expect(person.page.get_by_test_id("status")).not_to_be_empty()  # it is while another answer is on its way
    if first:
        expect(results(person.page).first).not_to_have_attribute("data-id", first)
    tile(person.page, 0)


@pytest.mark.parametrize("way", WAYS)
def test_way_through_the_page(locked: Site, browser: Browser, tmp_path: Path, way: str, shoot: Callable[[Page, str], None]) -> None:
    hands, language, options, year = WAYS[way]
    with browser.new_context(**options) as context:
        context.set_default_timeout(60_000)
        page = context.new_page()
        broken: list[str] = []
        page.on("pageerror", lambda error: broken.append(str(error)))
        person = hands(page, catalogue(language))
        marks = go(person, locked, context, tmp_path, year, lambda name: shoot(page, f"journey-{language}-{hands.__name__}-{name}"))
        open_elsewhere(person, browser, options, marks)
        assert broken == []


def go(person: Person, site: Site, context: BrowserContext, folder: Path, year: int, shoot: Callable[[str], None]) -> tuple[str, str]:
    """All stations -> the link to the first question, and the number of its marks."""
    page, t = person.page, person.t
    page.goto(site.gui)
    sign_in(person, "wrong")
    expect(page.get_by_text(t("key.wrong"))).to_be_visible()
    sign_in(person, KEY)
    tile(page, 0)
    assert violations(page) == [], "the first page"

    person.draw()
    answered(person)
    number = sheet(page).get_attribute("data-marks") or "0"
    assert number != "0"
    person.write(person.box("query.words"), "a plate of food")
    expect(page).to_have_url(re.compile(r"q=a\+plate\+of\+food"))
    answered(person)
    person.weigh(page.get_by_role("slider", name=t("balance")))
    expect(page).to_have_url(re.compile(r"balance=0\.[78]"))
    answered(person)
    assert violations(page) == [], "an answer"
    shoot("answer")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    person.press(person.button("share"))
    expect(page.get_by_role("alert")).to_contain_text(t("share.copied"))
    link = page.evaluate("navigator.clipboard.readText()")

    viewer = person.look_at(1)
    seen = looked_at(page)
    assert violations(page) == [], "the viewer"
    person.press(person.button("viewer.like", viewer))
    expect(page).to_have_url(re.compile(rf"like={seen}(&|$)"))
    expect(ingredient(page, "like")).to_contain_text(t("query.like"))
    expect_marks(page, 0)
    answered(person)
    page.go_back()
    expect(sheet(page)).to_have_attribute("data-marks", number)
    expect(person.box("query.words")).to_have_value("a plate of food")
    answered(person)

    viewer = person.look_at(0)
    seen = looked_at(page)
    part = person.take_part(viewer)
    expect(page).to_have_url(re.compile(rf"like={seen}%40\d+_\d+_\d+_\d+"))
    corners = re.findall(r"like=\d+%40(\d+)_(\d+)_(\d+)_(\d+)", page.url)[0]
    assert [int(side) for side in corners] == pytest.approx(part, abs=15)
    expect(ingredient(page, "like")).to_contain_text(t("query.like.part"))
    answered(person)
    person.press(person.button("results.again"))
    expect(page.get_by_role("heading", name=t("results.newest"))).to_be_visible()

    person.give_folder(album(folder, year))
    newest = job(page)
    expect(newest).to_have_attribute("data-state", re.compile("done|failed|cancelled"), timeout=IMPORT_S * 1000)
    expect(newest).to_contain_text(t("job.added", pictures=t("count.pictures", count="4")))
    expect(newest).to_contain_text(t("job.done"))
    assert violations(page) == [], "an import"
    person.press(person.button("close", page.get_by_role("dialog", name=t("library"))))

    person.open_filters()
    person.set_day(page.get_by_label(t("filter.taken_after"), exact=True), f"{year}-05-01")
    person.set_day(page.get_by_label(t("filter.taken_before"), exact=True), f"{year}-05-31")
    expect(results(page)).to_have_count(3)
    assert violations(page) == [], "filters"
    page.keyboard.press("Escape")
    person.choose_three()
    bar = page.get_by_role("toolbar", name=t("gallery.selection"))
    expect(bar).to_contain_text(t("gallery.chosen", count="3"))
    assert violations(page) == [], "a selection"
    shoot("selection")
    person.press(person.button("remove", bar))
    expect(results(page)).to_have_count(0)
    said = page.get_by_role("status").filter(has_text=t("removed", pictures=t("count.pictures", count="3")))
    person.press(person.button("gallery.undo", said))
    expect(tiles(page)).to_have_count(3)

    person.press(person.button("results.again"))
    assert site.process
    site.process.kill()
    site.process.wait()
    person.write(person.box("query.words"), "a dog")
    expect(page.get_by_role("alert")).to_contain_text(t("problem.no_answer"))
    assert violations(page) == [], "no server"
    shoot("server-gone")
    site.start()
    sign_in(person, KEY)  # who was signed in, is known no more
    answered(person)
    expect(person.box("query.words")).to_have_value("a dog")
    return link, number


def open_elsewhere(person: Person, browser: Browser, options: dict[str, Any], link: tuple[str, str]) -> None:
    """The link in a browser that knows nothing of the first."""
    url, marks = link
    with browser.new_context(**options) as elsewhere:
        other = type(person)(elsewhere.new_page(), person.said)
        sent: Sequence[str] = sent_by(other.page)
        other.page.goto(url)
        sign_in(other, KEY)
        expect(sheet(other.page)).to_have_attribute("data-marks", marks)
        expect(other.box("query.words")).to_have_value("a plate of food")
        answered(other)
        assert "balance=" in urlsplit(other.page.url).query
        assert not any("sketch=" in one for one in sent), "the drawing in a link is for the browser alone"


def sent_by(page: Page) -> list[str]:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    return sent


def test_key_is_given_once_and_kept_nowhere(locked: Site, rough_page: Page) -> None:
    page, site = rough_page, locked
    addresses: list[str] = []
    page.on("request", lambda request: addresses.append(request.url))
    page.clock.install()
    page.goto(site.gui)
    question = page.get_by_role("dialog", name="API key")
    expect(question).to_contain_text("Whoever runs it can tell you one")
    expect(question.get_by_label("Key")).to_be_focused()
    question.get_by_role("button", name="Cancel").click()
    expect(question).to_have_count(0)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("only those who have a key")
    words(page).fill("a dog")
    with page.expect_response("**/api/v1/jobs?*") as refused:
        page.clock.fast_forward(10_000)  # longer than any request waits to be repeated
    assert refused.value.status == 401
    expect(question).to_have_count(0)  # asked once, then only when one wishes
    alert.get_by_role("button", name="Enter the key").click()
    question.get_by_label("Key").fill("wrong")
    question.get_by_role("button", name="Continue").click()
    expect(question).to_contain_text("not one of this server's")
    question.get_by_label("Key").fill(KEY)
    question.get_by_role("button", name="Continue").click()
    expect(question).to_have_count(0)
    expect_hits(page)
    expect(tiles(page).first).to_be_visible()  # pictures come by the cookie, too
    page.reload()
    expect_hits(page)
    panel = open_library(page)
    panel.get_by_role("button", name="Import folder").click()
    expect(job(panel)).to_have_attribute("data-state", "done", timeout=60_000)
    assert any("/thumbnail" in url for url in addresses)
    kept = page.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href, history.state])")
    assert not [text for text in (*addresses, kept) if KEY in text or "key=" in text]
    cookies = [cookie for cookie in page.context.cookies() if cookie.get("httpOnly")]
    assert len(cookies) == 1 and cookies[0].get("sameSite") == "Strict"
    panel.get_by_role("button", name="Sign out").click()
    question.get_by_label("Key").fill("only-looking")
    question.get_by_role("button", name="Continue").click()
    expect_hits(page)
    expect(open_library(page)).to_contain_text("this key changes nothing")
