"""Icons as drawings: which are taken, and what is drawn of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tsir.errors import InvalidInput
from tsir.training.icons import Icon, read_icons, render_icon

RING = '<circle cx="12" cy="12" r="9" fill="none" stroke="currentColor" stroke-width="2"/>'
DISC = '<circle cx="12" cy="12" r="9" fill="currentColor"/>'


def write(folder: Path, prefix: str, icons: dict[str, str], licence: str = "MIT") -> None:
    collection: dict[str, Any] = {"prefix": prefix, "width": 24, "height": 24, "info": {"palette": False, "license": {"spdx": licence}}}
    collection["icons"] = {name: {"body": body} for name, body in icons.items()}
    (folder / f"{prefix}.json").write_text(json.dumps(collection))


def test_icons_are_known_by_what_their_names_show(tmp_path: Path) -> None:
    write(tmp_path, "one", {"cat-outline": RING, "bike-24": DISC, "cat-and-dog": "<g/>", "table": "<path/>", "arrow-left": "<a/>"})
    write(tmp_path, "two", {"cat": RING, "cat-bold": "<b/>", "bicycle-duotone": "<c/>"})
    write(tmp_path, "sold", {"cat": "<d/>"}, licence="GPL-3.0")
    found = read_icons(tmp_path, {"cat", "bicycle", "table"}, str.lower, 10)
    assert [(icon.thing, icon.source) for icon in found] == [
        ("bicycle", "one:bike-24"), ("bicycle", "two:bicycle-duotone"), ("cat", "one:cat-outline"), ("cat", "two:cat-bold"),
    ]  # fmt: skip
    assert [icon.source for icon in read_icons(tmp_path, {"cat", "bicycle"}, str.lower, 1)] == ["one:bike-24", "one:cat-outline"]
    with pytest.raises(InvalidInput, match="npm install"):
        read_icons(tmp_path / "no", {"cat"}, str.lower, 1)


def icon(body: str, coloured: bool = False) -> Icon:
    return Icon("x", f'<svg xmlns="http://www.w3.org/2000/svg" color="black" viewBox="0 0 24 24">{body}</svg>', coloured, "x:x")


@pytest.mark.parametrize(("body", "coloured"), [(RING, False), (DISC, False), ('<circle cx="12" cy="12" r="9" fill="gold"/>', True)])
def test_lines_stay_and_of_areas_the_contour_is_drawn(body: str, coloured: bool) -> None:
    drawn = render_icon(icon(body, coloured))
    assert drawn is not None
    ink = np.asarray(drawn) < 128
    assert 0.01 < ink.mean() < 0.25
    rows, columns = ink.shape
    assert not ink[rows // 3 : -rows // 3, columns // 3 : -columns // 3].any(), "empty inside"
    assert not ink[0].any() and not ink[:, 0].any(), "a margin around it"


def test_an_icon_that_shows_nothing_is_left_out() -> None:
    assert render_icon(icon("")) is None
    assert render_icon(Icon("x", "<svg", False, "x:x")) is None
