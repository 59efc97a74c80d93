"""Icons as drawings: the sets of the npm package ``@iconify/json``, thousands of small line drawings with names.

A set is a JSON file: ``{"prefix", "width", "height", "info": {"palette", "license": {"spdx"}}, "icons": {name: {"body": svg, ...}}}``.
Only sets whose licence allows any use (with credit) are read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from tsir.errors import InvalidInput
from tsir.training.data import on_white

FREE = ("MIT", "Apache-2.0", "ISC", "CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "CC-BY-SA-4.0", "OFL-1.1", "Unlicense", "BSD-3-Clause", "0BSD")
# How an icon's name says in which style it was drawn, not what it shows.
STYLES = frozenset({
    "outline", "outlined", "line", "linear", "lines", "filled", "fill", "bold", "duotone", "light", "thin", "regular", "rounded",
    "sharp", "twotone", "tone", "broken", "solid", "black", "white", "color", "colored", "alt", "icon", "emoji", "fluent", "flat",
    "high", "contrast", "round", "s", "l", "m", "xl", "off", "variant", "stroke", "stroked", "simple", "medium", "one", "two", "circle",
    "square", "face", "12", "16", "20", "24", "28", "32", "48", "64", "128", "1", "2", "3", "4", "5", "6", "01", "02", "03", "04", "05",
    "fa", "o",
})  # fmt: skip
# Names that icons use for a thing of the data.
ALIASES = {
    "plane": "airplane", "aeroplane": "airplane", "airship": "blimp", "zeppelin": "blimp", "bike": "bicycle", "pedal bike": "bicycle",
    "glasses": "eyeglasses", "spectacles": "eyeglasses", "sofa": "couch", "burger": "hamburger", "home": "house", "bunny": "rabbit",
    "tortoise": "turtle", "croc": "crocodile", "tennis": "tennis racquet", "tennis racket": "tennis racquet", "rifle gun": "rifle",
    "handgun": "pistol", "gun": "pistol", "pumpkin halloween": "pumpkin", "grand piano": "piano", "sail boat": "sailboat",
    "rocking chair": "chair", "armchair": "chair", "clock alarm": "alarm clock", "alarm": "alarm clock", "smiley": "smiley face",
    "deciduous": "tree", "deciduous tree": "tree", "evergreen tree": "tree", "oak": "tree", "chick": "chicken", "hen": "chicken",
    "rooster": "chicken", "sports car": "car", "automobile": "car", "sedan": "car", "pickup": "pickup truck", "shark fin": "shark",
    "arachnid": "spider", "honeybee": "bee", "kitty": "cat", "puppy": "dog", "racehorse": "horse", "ram": "sheep", "ewe": "sheep",
    "jellyfishes": "jellyfish", "knight helmet": "helmet", "ruin": "castle", "wheel chair": "wheelchair", "teddy": "teddy bear",
}  # fmt: skip
# Words that mean something else to those who draw icons: a grid, a pointer, a beam.
MISLEADING = frozenset({"table", "mouse", "ray"})
SIDE = 448


@dataclass(frozen=True)
class Icon:
    """An icon of something: its SVG, whether it is coloured, and where it is from, ``set:name``."""

    thing: str
    svg: str
    coloured: bool
    source: str


def _shown(name: str) -> str:
    """What an icon's name says it shows: ``cat-outline-24`` -> ``cat``."""
    tokens = name.split("-")
    while len(tokens) > 1 and tokens[-1] in STYLES:
        tokens.pop()
    while len(tokens) > 1 and tokens[0] in STYLES:
        tokens.pop(0)
    return " ".join(tokens)


def read_icons(folder: Path, things: Collection[str], thing: Callable[[str], str], each: int) -> list[Icon]:
    """Icons of the given things, at most ``each`` of a thing, from as many sets as possible. ``thing`` gives the common name of a name.

    ``folder`` is the package's folder ``json``. An icon that several sets share is taken once. Raises InvalidInput without the folder.
    """
    if not folder.is_dir():
        raise InvalidInput(f"There is no folder {folder}; `npm install @iconify/json` makes it, drawing.towers in the config names it.")
    found: dict[str, list[list[Icon]]] = {}
    bodies: set[str] = set()
    for path in sorted(folder.glob("*.json")):
        collection = json.loads(path.read_text(encoding="utf-8"))
        info = collection.get("info", {})
        if info.get("license", {}).get("spdx") not in FREE:
            continue
        prefix = collection["prefix"]
        of_set: dict[str, list[Icon]] = {}
        for name, icon in collection["icons"].items():
            if icon.get("hidden") or icon["body"] in bodies:
                continue
            shown = _shown(name)
            shown = thing(ALIASES.get(shown, shown))
            if shown not in things or shown in MISLEADING:
                continue
            bodies.add(icon["body"])
            left, top = icon.get("left", collection.get("left", 0)), icon.get("top", collection.get("top", 0))
            width, height = icon.get("width", collection.get("width", 16)), icon.get("height", collection.get("height", 16))
            svg = (
                f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" color="black" '
                f'viewBox="{left} {top} {width} {height}" width="{SIDE}" height="{SIDE}">{icon["body"]}</svg>'
            )
            of_set.setdefault(shown, []).append(Icon(shown, svg, bool(info.get("palette")), f"{prefix}:{name}"))
        for shown, icons in of_set.items():
            found.setdefault(shown, []).append(icons)
    chosen: list[Icon] = []
    for shown in sorted(found):
        sets = found[shown]
        turns = [icons[turn] for turn in range(max(map(len, sets))) for icons in sets if turn < len(icons)]
        chosen += turns[:each]
    return chosen


def render_icon(icon: Icon) -> Image.Image | None:
    """An icon as a line drawing, mode ``L``, dark on white; None for one that cannot be drawn or shows nothing.

    Line icons stay as they are; of silhouettes and coloured pictures the contours are drawn.
    """
    import resvg_py

    try:
        picture = on_white(resvg_py.svg_to_bytes(svg_string=icon.svg, width=SIDE, height=SIDE, skip_system_fonts=True))
    except (ValueError, OSError):
        return None
    grey = picture.convert("L")
    box = Image.eval(grey, lambda value: 255 if value < 250 else 0).getbbox()
    if box is None:
        return None
    dark = float((np.asarray(grey.crop(box)) < 128).mean())
    picture = (Image.fromarray(_contours(picture)) if icon.coloured or dark > 0.4 else grey).crop(box)
    margin = max(picture.size) // 10
    canvas = Image.new("L", (picture.width + 2 * margin, picture.height + 2 * margin), 255)
    canvas.paste(picture, (margin, margin))
    return canvas


def _contours(picture: Image.Image) -> NDArray[np.uint8]:
    """Lines where the colour changes, 3 px wide: uint8 [height, width], dark on white."""
    wide, narrow = (np.asarray(picture.filter(kind(3)), dtype=np.int16) for kind in (ImageFilter.MaxFilter, ImageFilter.MinFilter))
    strength = (wide - narrow).max(axis=2)
    return np.where(strength > 60, 0, 255).astype(np.uint8)
