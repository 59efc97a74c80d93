"""The notebooks of `examples`, run on real photos with the encoder that ships."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(notebook: Path) -> list[Any]:
    """Runs the cells of a notebook one after the other -> the values that it would show."""
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = []
    for cell in json.loads(notebook.read_text())["cells"]:
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]), f"{notebook.name}: {cell['id']}")
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, notebook.name, "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), notebook.name, "eval"), names)
            shown += [] if value is None else [value]
    return shown


def test_notebook_of_a_library_shows_what_it_says(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTOS", str(shared_data / "photos-100"))
    monkeypatch.setenv("LIBRARY", str(tmp_path / "library"))
    monkeypatch.chdir(tmp_path)
    added, collections, food, drawn, similar, groups, removed = run(EXAMPLES / "photo_library.ipynb")
    assert (added.imported, added.failed) == (100, 0) and collections == [("tsir", 100)]
    for hits, count in ((food, 8), (drawn, 8), (similar, 8)):
        assert len(hits) == count and hits._repr_html_().count("<img") in (0, count)
    assert set(drawn[0].parts) == {"text", "sketch"} and all(hit.width > hit.height >= 1 and hit.width >= 400 for hit in similar)
    assert [group[0] for group in groups] == [food[0].path] and removed == 1
    assert len(list((shared_data / "photos-100").iterdir())) == 100
