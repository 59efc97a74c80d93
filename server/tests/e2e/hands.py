"""What a person does on the page, and what they see there."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import JSHandle, Locator, Page, expect

from tests.e2e.conftest import wait_until

Dot = tuple[float, float]


def oval(x: float, y: float, rx: float, ry: float, dots: int = 36) -> list[Dot]:
    """A closed line; coordinates are shares of the sheet's side."""
    return [(x + rx * math.cos(2 * math.pi * k / dots), y + ry * math.sin(2 * math.pi * k / dots)) for k in range(dots + 1)]


def trembling(dots: Sequence[Dot], size: float = 0.006) -> list[Dot]:
    """The same line as a hand would draw it."""
    return [(x + size * math.sin(k / 4 + x), y + size * math.cos(k / 5 + y)) for k, (x, y) in enumerate(dots)]


def curve(*corners: Dot, steps: int = 8) -> list[Dot]:
    """A smooth line through the corners (Catmull-Rom)."""
    dots = [corners[0]]
    for k in range(len(corners) - 1):
        a, b, c, d = corners[max(k - 1, 0)], corners[k], corners[k + 1], corners[min(k + 2, len(corners) - 1)]
        for step in range(1, steps + 1):
            t = step / steps
            weights = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2)
            dots.append(
                (
                    sum(w * p[0] for w, p in zip(weights, (a, b, c, d), strict=True)) / 2,
                    sum(w * p[1] for w, p in zip(weights, (a, b, c, d), strict=True)) / 2,
                )
            )
    return dots


def sheet(page: Page) -> Locator:
    return page.get_by_role("img", name=re.compile("^(Sketch|画板)$"))


def on_sheet(page: Page, dots: Sequence[Dot]) -> list[Dot]:
    """Shares of the sheet -> pixels of the page."""
    box = sheet(page).bounding_box()
    assert box is not None
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in dots]


def draw(page: Page, dots: Sequence[Dot]) -> None:
    """One stroke with the mouse."""
    first, *others = on_sheet(page, dots)
    page.mouse.move(*first)
    page.mouse.down()
    for dot in others:
        page.mouse.move(*dot)
    page.mouse.up()


def draw_with_pen(page: Page, dots: Sequence[Dot]) -> None:
    """One stroke with a pen whose pressure grows."""
    devtools = page.context.new_cdp_session(page)
    placed = on_sheet(page, dots)
    for index, (x, y) in enumerate(placed):
        kind = "mousePressed" if index == 0 else "mouseReleased" if index == len(placed) - 1 else "mouseMoved"
        event = {"type": kind, "x": x, "y": y, "pointerType": "pen", "button": "left", "buttons": 1, "clickCount": 1}
        devtools.send("Input.dispatchMouseEvent", event | {"force": 0.1 + 0.8 * index / len(placed)})
    devtools.detach()


class Touch:
    """Fingers, palms and pens on the page's glass. Every finger has a number of its own."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.devtools = page.context.new_cdp_session(page)
        self.fingers: dict[int, Dot] = {}

    def _send(self, kind: str) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in self.fingers.items()]
        self.devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def down(self, number: int, dot: Dot) -> None:
        """Puts a finger onto the sheet; a dot is in shares of its side."""
        (self.fingers[number],) = on_sheet(self.page, [dot])
        self._send("touchStart")

    def move(self, number: int, *dots: Dot) -> None:
        for dot in on_sheet(self.page, dots):
            self.fingers[number] = dot
            self._send("touchMove")

    def swipe(self, start: Dot, end: Dot, steps: int = 12) -> None:
        """One finger along a line of the page, in its pixels."""
        for step in range(steps + 1):
            share = step / steps
            self.fingers[0] = (start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share)
            self._send("touchMove" if step else "touchStart")
        self.up(0)

    def up(self, number: int) -> None:
        del self.fingers[number]
        self._send("touchEnd")


def drop_file(page: Page, target: Locator, path: Path, kind: str) -> None:
    """Drags a file of the user's over the page, to a place on it, and lets it go."""
    letters = base64.b64encode(path.read_bytes()).decode()
    held = page.evaluate_handle(
        """([letters, name, type]) => {
            const bytes = Uint8Array.from(atob(letters), letter => letter.charCodeAt(0))
            const held = new DataTransfer()
            held.items.add(new File([bytes], name, { type }))
            return held
        }""",
        [letters, path.name, kind],
    )
    drop(page, target, held)


def drop(page: Page, target: Locator, held: JSHandle) -> None:
    page.locator("body").dispatch_event("dragenter", {"dataTransfer": held})
    for name in ("dragenter", "dragover", "drop"):
        target.dispatch_event(name, {"dataTransfer": held})


def drag_folder(page: Page, folder: Path, target: Locator) -> None:
    """Drags a folder of the user's over the page, and lets it go on what appears there."""
    devtools = page.context.new_cdp_session(page)

    def drag(kind: str, x: float, y: float) -> None:
        data = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": data})

    drag("dragEnter", 700, 500)
    drag("dragOver", 700, 500)
    expect(target).to_be_visible()
    box = target.bounding_box()
    assert box
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    drag("dragOver", x, y)
    drag("drop", x, y)


def ingredient(page: Page, name: str) -> Locator:
    """A part of the question (`sketch`, `image`, `like`, `filter`) as it stands in the bar."""
    return page.locator(f"[data-ingredient={name}]")


def expect_marks(page: Page, number: int) -> None:
    expect(sheet(page)).to_have_attribute("data-marks", str(number))


def words(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Describe the picture")


def gallery(page: Page) -> Locator:
    return page.get_by_role("list", name=re.compile("^(Results|结果)$"))


def results(page: Page) -> Locator:
    """The pictures of the answer, painted or not."""
    return gallery(page).locator("button[data-id]")


def tile(page: Page, place: int) -> Locator:
    """The picture at a place, 0 being the first, once it is painted."""
    found = results(page).nth(place)
    expect(found).to_have_attribute("data-state", "shown")
    return found


def tiles(page: Page) -> Locator:
    """All pictures that are painted."""
    return gallery(page).locator("button[data-state=shown]")


def part(page: Page, name: str) -> Locator:
    """The share of a part of the question (`text`, `sketch`, `like`, ...) in the first picture that has one."""
    return gallery(page).locator(f"[data-part={name}]").first


def job(scope: Page | Locator) -> Locator:
    """The newest import in the library panel."""
    return scope.locator("[data-job]").first


def expect_hits(page: Page) -> None:
    """Results of a search are there and painted."""
    expect(page.get_by_role("heading", name="Best matches")).to_be_visible()
    expect(page.get_by_test_id("status")).to_have_text(re.compile(r"\d+ pictures? shown, the best is .+ with score"))
    expect(tiles(page).first).to_be_visible()


def scores(page: Page) -> list[float]:
    """Of all hits that are in the document, in their order."""
    hits = gallery(page).locator("[data-score]").all()
    return [float(hit.get_attribute("data-score") or "nan") for hit in hits]


def open_library(page: Page) -> Locator:
    page.get_by_role("button", name="Add pictures").click()
    return page.get_by_role("dialog", name="Library")


# The browser's own record of a request leaves files out: the page's FormData is kept instead.
KEEP_FORMS = """() => {
    const send = window.fetch
    window.forms = []
    window.fetch = (url, init) => {
        if (init?.body instanceof FormData && String(url).endsWith("/search")) window.forms.push(init.body)
        return send(url, init)
    }
}"""
LAST_FORM = """async () => {
    const written = async value => value instanceof Blob ? [...new Uint8Array(await value.arrayBuffer())] : value
    return Object.fromEntries(await Promise.all([...window.forms.at(-1)].map(async ([name, value]) => [name, await written(value)])))
}"""


def keep_forms(page: Page) -> None:
    """From now on the page remembers what it asked; before the first `goto`."""
    page.add_init_script(f"({KEEP_FORMS})()")


def asked(page: Page, condition: str = "form => true") -> dict[str, str | bytes]:
    """The fields of the last search, once it fulfils a JavaScript condition."""
    # Not wait_for_function: its eval is what the page's content security policy forbids.
    wait_until("The search is sent", lambda: page.evaluate(f"window.forms.length > 0 && ({condition})(window.forms.at(-1))"), 30)
    fields = page.evaluate(LAST_FORM)
    return {name: bytes(value) if isinstance(value, list) else value for name, value in fields.items()}
