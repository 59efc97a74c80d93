"""Benchmark folders: a gallery of pictures and the queries that should find some of them.

A query file has one JSON object a line:

    {"id": "q1", "text": "a caption" or null, "sketch": "sketches/x.png" or null, "targets": ["photo.jpg", ...]}

`sketch` is relative to the folder that holds the file; `"strokes": [[[x, y], ...], ...]` in its place is a drawing itself, in thousandths
of the canvas' sides. `targets` are names of pictures in the gallery folder (with `/` between
folders where the gallery has some). A `classes.json` beside the query file, `{"images": {file: class}, "queries": {id: class}}`,
is optional and makes class precision measurable.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tsir.errors import InvalidInput
from tsir.evaluation import strokes
from tsir.media.formats import is_picture_name

SHOWN_PROBLEMS = 10  # a file of the wrong kind has a problem on every line; the first few tell


@dataclass(frozen=True)
class Query:
    """One question and the pictures that answer it. At least one of `text` and `sketch` is there."""

    id: str
    text: str | None
    sketch: Path | bytes | None
    """A file, or a picture of the strokes."""
    targets: tuple[int, ...]
    """Places of the right pictures in `Benchmark.names`; at least one."""
    class_name: str | None = None


@dataclass(frozen=True)
class Benchmark:
    """A gallery and its queries, checked: every file that is named exists."""

    images: Path
    source: Path
    """The query file."""
    names: tuple[str, ...]
    """Pictures of the gallery, relative to `images`, sorted; then distractors by their whole paths."""
    queries: tuple[Query, ...]
    image_classes: tuple[str | None, ...]
    """Class of each picture in `names`; all None without a `classes.json`."""

    def path(self, place: int) -> Path:
        """File of the picture at a place in `names`."""
        return self.images / self.names[place]


def read_benchmark(images: Path, queries: Path, distractors: Path | None = None) -> Benchmark:
    """Read and check a gallery folder and a query file; `distractors` is a folder of further pictures, which answer nothing.

    Raises InvalidInput with a sentence for each problem, `file:line` first, when anything is missing or malformed.
    """
    names = _gallery(images)
    more = tuple(str(distractors.resolve() / name) for name in _gallery(distractors)) if distractors is not None else ()
    image_classes, query_classes = _classes(queries.parent / "classes.json")
    places = {name: place for place, name in enumerate(names)}
    lines = [(number, _query_or_problem(line, places, queries.parent, query_classes)) for number, line in _lines(queries)]
    read = [query for _, query in lines if isinstance(query, Query)]
    problems = [f"{queries}:{number}: {problem}" for number, problem in lines if isinstance(problem, str)]
    if problems:
        rest = [f"... and {len(problems) - SHOWN_PROBLEMS} more."] if len(problems) > SHOWN_PROBLEMS else []
        raise InvalidInput("\n".join(problems[:SHOWN_PROBLEMS] + rest))
    if not read:
        raise InvalidInput(f"{queries} has no queries: write one JSON object a line, with id, text or sketch, and targets.")
    return Benchmark(images, queries, names + more, tuple(read), tuple(image_classes.get(name) for name in names + more))


def with_names(benchmark: Benchmark) -> Benchmark:
    """The same, each query without words asked by the name of its class, too: "a teddy bear" beside the drawing of one.

    Raises InvalidInput when no query has a class.
    """
    if not any(query.class_name for query in benchmark.queries):
        raise InvalidInput(f"No query of {benchmark.source} has a class: put a classes.json with names of queries beside it.")
    return replace(benchmark, queries=tuple(_named(query) for query in benchmark.queries))


def _named(query: Query) -> Query:
    if query.text is not None or query.class_name is None:
        return query
    return replace(query, text=named(query.class_name))


def named(class_name: str) -> str:
    """A class in words: "teddy_bear" -> "a teddy bear"."""
    name = class_name.replace("_", " ")
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _gallery(images: Path) -> tuple[str, ...]:
    if not images.is_dir():
        raise InvalidInput(f"{images} is not a folder: give the folder with the pictures that are searched.")
    files = (path.relative_to(images) for path in images.rglob("*") if is_picture_name(path.name) and path.is_file())
    names = sorted(path.as_posix() for path in files if not any(part.startswith(".") for part in path.parts))
    if not names:
        raise InvalidInput(f"{images} holds no pictures: give the folder with the pictures that are searched.")
    return tuple(names)


def _lines(queries: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines that hold something."""
    try:
        text = queries.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InvalidInput(f"{queries} does not exist: give a file with one query a line (JSONL).") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{queries} cannot be read as UTF-8 text: {error}") from None
    # Not splitlines(): a caption may contain U+2028, which JSON allows inside a string.
    return ((number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _query_or_problem(line: str, places: dict[str, int], folder: Path, classes: dict[str, str]) -> Query | str:
    """One line, or what is wrong with it."""
    try:
        return _query(line, places, folder, classes)
    except ValueError as error:
        return str(error)


def _query(line: str, places: dict[str, int], folder: Path, classes: dict[str, str]) -> Query:
    """One line. Raises ValueError with what is wrong."""
    try:
        entry: Any = json.loads(line)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}.") from None
    if not isinstance(entry, dict):
        raise ValueError('not a JSON object: a query looks like {"id": "q1", "text": "a dog", "sketch": null, "targets": ["dog.jpg"]}.')
    name = entry.get("id")
    if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
        raise ValueError('"id" is missing: give each query a name.')
    text, sketch = entry.get("text"), entry.get("sketch")
    if text is not None and not isinstance(text, str):
        raise ValueError('"text" must be words or null.')
    if sketch is not None and (not isinstance(sketch, str) or not sketch):
        raise ValueError('"sketch" must be the path of a drawing, relative to this file\'s folder, or null.')
    drawing = _drawing(sketch, entry.get("strokes"), folder)
    words = text.strip() if text else ""
    if not words and drawing is None:
        raise ValueError('neither "text" nor "sketch": a query needs at least one.')
    targets = entry.get("targets")
    if not isinstance(targets, list) or not targets or not all(isinstance(target, str) for target in targets):
        raise ValueError('"targets" must be a list of at least one picture name.')
    missing = [target for target in targets if target not in places]
    if missing:
        raise ValueError(f"the target {missing[0]} is not in the gallery folder.")
    return Query(str(name), words or None, drawing, tuple(sorted({places[target] for target in targets})), classes.get(str(name)))


def _drawing(sketch: str | None, lines: Any, folder: Path) -> Path | bytes | None:
    """Raises ValueError with what is wrong."""
    if lines is not None:
        if sketch is not None:
            raise ValueError('"sketch" and "strokes" are two drawings: give one.')
        return strokes.picture(strokes.checked(lines))
    if sketch is not None and not (folder / sketch).is_file():
        raise ValueError(f"the sketch {sketch} does not exist in {folder}.")
    return folder / sketch if sketch is not None else None


def _classes(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Classes of pictures and of queries; both empty where there is no such file."""
    if not path.is_file():
        return {}, {}
    try:
        entry: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from None
    tables: list[dict[str, str]] = []
    for part in ("images", "queries"):
        table = entry.get(part, {}) if isinstance(entry, dict) else None
        if not isinstance(table, dict) or not all(isinstance(name, str) for name in table.values()):
            raise InvalidInput(f'{path} must look like {{"images": {{"dog.jpg": "dog"}}, "queries": {{"q1": "dog"}}}}.')
        tables.append(table)
    return tables[0], tables[1]
