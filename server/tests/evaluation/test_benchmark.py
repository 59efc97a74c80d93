"""Benchmark folders are read whole, or refused with a sentence that names the line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tsir.errors import InvalidInput
from tsir.evaluation.benchmark import read_benchmark


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images" / "more").mkdir(parents=True)
    (tmp_path / "sketches").mkdir()
    for name in ("images/b.jpg", "images/a.PNG", "images/more/c.webp", "sketches/s.png"):
        Image.new("RGB", (8, 8), "red").save(tmp_path / name)
    (tmp_path / "images" / "notes.txt").write_text("not a picture")
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / ".hidden.png")
    return tmp_path


def write(folder: Path, *entries: Any) -> Path:
    path = folder / "queries.jsonl"
    path.write_text("\n".join(entry if isinstance(entry, str) else json.dumps(entry, ensure_ascii=False) for entry in entries), "utf-8")
    return path


def query(**changes: Any) -> dict[str, Any]:
    return {"id": "q1", "text": "red", "sketch": None, "targets": ["b.jpg"], **changes}


def test_reads_pictures_queries_and_classes(folder: Path) -> None:
    path = write(
        folder, query(text=" a\u2028line "), "", query(id="q2", text=None, sketch="sketches/s.png", targets=["more/c.webp", "a.PNG"])
    )
    (folder / "classes.json").write_text(json.dumps({"images": {"b.jpg": "box"}, "queries": {"q2": "ball"}}))
    benchmark = read_benchmark(folder / "images", path)
    assert benchmark.names == ("a.PNG", "b.jpg", "more/c.webp")
    assert benchmark.image_classes == (None, "box", None)
    first, second = benchmark.queries
    assert (first.text, first.sketch, first.targets, first.class_name) == ("a\u2028line", None, (1,), None)
    assert (second.text, second.sketch, second.targets, second.class_name) == (None, folder / "sketches/s.png", (0, 2), "ball")
    assert benchmark.path(2) == folder / "images/more/c.webp"


def test_strokes_are_a_drawing_and_distractors_join_the_gallery(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    Image.new("RGB", (8, 8), "red").save(other / "a.PNG")
    lines = [[[100, 500], [900, 500]], [[500, 100]]]
    benchmark = read_benchmark(folder / "images", write(folder, query(text=None, strokes=lines, targets=["a.PNG"])), other)
    assert benchmark.names == ("a.PNG", "b.jpg", "more/c.webp", str(other / "a.PNG"))
    assert benchmark.path(3) == other / "a.PNG"
    [only] = benchmark.queries
    assert only.targets == (0,)
    assert isinstance(only.sketch, bytes)
    with Image.open(io.BytesIO(only.sketch)) as drawn:
        assert drawn.size == (512, 512)
        dark = [drawn.getpixel(at) for at in ((256, 256), (52, 256), (460, 256), (256, 51))]
        light = [drawn.getpixel(at) for at in ((256, 246), (256, 266), (20, 256), (256, 80), (0, 0))]
    assert (dark, light) == ([0] * 4, [255] * 5)
    with pytest.raises(InvalidInput, match="nowhere is not a folder"):
        read_benchmark(folder / "images", benchmark.source, tmp_path / "nowhere")


def test_absent_keys_are_null(folder: Path) -> None:
    [only] = read_benchmark(folder / "images", write(folder, {"id": 7, "text": "red", "targets": ["b.jpg"]})).queries
    assert (only.id, only.sketch) == ("7", None)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        (query(strokes=[]), "strokes"),
        (query(strokes=[[[0, 1001]]]), "between 0 and 1000"),
        (query(strokes=[[[0]], [[1, 1]]]), "points"),
        (query(strokes=[[[True, 1]]]), "points"),
        (query(strokes=[[[1, 1]]], sketch="sketches/s.png"), "two drawings"),
        ({"text": "red", "targets": ["b.jpg"]}, '"id" is missing'),
        (query(text=3), '"text" must be words or null'),
        (query(text="  "), 'neither "text" nor "sketch"'),
        (query(sketch=["x"]), '"sketch" must be the path'),
        (query(sketch="sketches/none.png"), "the sketch sketches/none.png does not exist"),
        (query(sketch="sketches"), "the sketch sketches does not exist"),
        (query(targets=[]), '"targets" must be a list'),
        (query(targets="b.jpg"), '"targets" must be a list'),
        (query(targets=[None]), '"targets" must be a list'),
        (query(targets=["b.jpg", "gone.jpg"]), "the target gone.jpg is not in the gallery"),
    ],
)
def test_malformed_line_is_named_with_its_number(folder: Path, line: Any, sentence: str) -> None:
    path = write(folder, query(), line)
    with pytest.raises(InvalidInput) as error:
        read_benchmark(folder / "images", path)
    assert f"{path}:2: " in str(error.value)
    assert sentence in str(error.value)


def test_many_malformed_lines_are_counted(folder: Path) -> None:
    with pytest.raises(InvalidInput) as error:
        read_benchmark(folder / "images", write(folder, *["{"] * 25))
    lines = str(error.value).splitlines()
    assert len(lines) == 11
    assert lines[-1] == "... and 15 more."


def test_missing_and_empty_files_are_sentences(folder: Path) -> None:
    good = write(folder, query())
    with pytest.raises(InvalidInput, match="is not a folder"):
        read_benchmark(folder / "none", good)
    (folder / "bare").mkdir()
    with pytest.raises(InvalidInput, match="holds no pictures"):
        read_benchmark(folder / "bare", good)
    with pytest.raises(InvalidInput, match="does not exist"):
        read_benchmark(folder / "images", folder / "none.jsonl")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_benchmark(folder / "images", folder)
    with pytest.raises(InvalidInput, match="has no queries"):
        read_benchmark(folder / "images", write(folder, "", "  "))
    good.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInput, match="cannot be read as UTF-8"):
        read_benchmark(folder / "images", good)


@pytest.mark.parametrize("content", ["{", "[]", '{"images": []}', '{"queries": {"q1": 3}}'])
def test_malformed_classes_are_a_sentence(folder: Path, content: str) -> None:
    (folder / "classes.json").write_text(content)
    with pytest.raises(InvalidInput, match=r"classes\.json"):
        read_benchmark(folder / "images", write(folder, query()))
