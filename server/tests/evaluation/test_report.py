"""The page shows queries, hits and failures, and needs nothing but itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser

from tests.fakes import FakeEncoder
from tsir.errors import InvalidInput
from tsir.evaluation.evaluate import Report, run_eval
from tsir.evaluation.report import write_html


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """Sixteen shades of red, one blue: the blue one is asked for with a red sketch, and stands last."""
    (tmp_path / "images").mkdir()
    for shade in range(16):
        Image.new("RGB", (300, 200), (255, 8 * shade, 4 * shade)).save(tmp_path / "images" / f"red{shade:02}.jpg")
    Image.new("RGB", (300, 200), (0, 0, 255)).save(tmp_path / "images" / "blue.png")
    Image.new("RGB", (50, 50), (255, 0, 0)).save(tmp_path / "drawn.png")
    (tmp_path / "images" / "torn.jpg").write_bytes(b"")
    entries = [
        {"id": "good", "text": "red", "sketch": "drawn.png", "targets": ["red00.jpg"]},
        {"id": "near", "text": "red", "sketch": "drawn.png", "targets": ["red04.jpg"]},
        {"id": "bad<id>", "text": "<script>alert('red')</script> red", "sketch": "drawn.png", "targets": ["blue.png"]},
    ]
    queries = tmp_path / "queries.jsonl"
    queries.write_text("\n".join(json.dumps(entry) for entry in entries), "utf-8")
    return run_eval(tmp_path / "images", queries, FakeEncoder())


def written(report: Report, tmp_path: Path) -> tuple[Path, str]:
    path = tmp_path / "out" / "report.html"
    write_html(report, path)
    return path, path.read_text(encoding="utf-8")


def test_failures_come_first_with_the_target_behind_the_hits(report: Report, tmp_path: Path) -> None:
    _, page = written(report, tmp_path)
    assert page.index("<h2>Failures</h2>") < page.index("bad&lt;id&gt;") < page.index("<h2>Near</h2>") < page.index("<h2>Found</h2>")
    failed = page[page.index("<h2>Failures</h2>") : page.index("<h2>Near</h2>")]
    assert failed.count('aria-label="The right picture: blue.png, rank 17"') == 3  # by text, by sketch, by both
    assert "<b>#17</b>" in failed
    assert "The right picture: red00.jpg, score" in page[page.index("<h2>Found</h2>") :]


def test_words_of_the_benchmark_stay_words(report: Report, tmp_path: Path) -> None:
    _, page = written(report, tmp_path)
    assert "<script" not in page
    assert "&lt;script&gt;alert(&#x27;red&#x27;)&lt;/script&gt; red" in page


def test_measures_and_left_out_pictures_are_shown(report: Report, tmp_path: Path) -> None:
    _, page = written(report, tmp_path)
    for word in ("recall@10", "median_rank", "mrr", "torn.jpg: ", "encoder fake", "18 pictures"):
        assert word in page


def test_each_thumbnail_is_inlined_once_and_small(report: Report, tmp_path: Path) -> None:
    _, page = written(report, tmp_path)
    uris = re.findall(r"url\(([^)]*)\)", page)
    assert uris
    assert all(uri.startswith("data:image/webp;base64,") for uri in uris)
    assert len(uris) <= 17 + 1
    assert len(page) < 60_000


def test_number_of_queries_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for shade in range(100):
        Image.new("RGB", (8, 8), (255, shade, 0)).save(tmp_path / "images" / f"{shade:03}.png")
    entries = [{"id": f"q{shade}", "text": "blue", "targets": [f"{shade:03}.png"]} for shade in range(100)]
    queries = tmp_path / "queries.jsonl"
    queries.write_text("\n".join(json.dumps(entry) for entry in entries), "utf-8")
    _, page = written(run_eval(tmp_path / "images", queries, FakeEncoder()), tmp_path)
    assert page.count("<article>") <= 60
    assert "30 of them shown" in page


def test_page_that_cannot_be_written_is_a_sentence(report: Report, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be written"):
        write_html(report, tmp_path)


@pytest.mark.e2e
def test_page_loads_in_a_browser_without_a_request(report: Report, browser: Browser, tmp_path: Path) -> None:
    path, _ = written(report, tmp_path)
    requests: list[str] = []
    messages: list[str] = []
    for scheme in ("light", "dark"):
        page = browser.new_page(color_scheme=scheme)
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: messages.append(message.text))
        page.goto(path.as_uri())
        right = page.locator(".hit.right").first
        assert right.is_visible()
        assert right.evaluate("node => getComputedStyle(node).outlineStyle") == "solid"
        assert right.bounding_box()["width"] > 20
        wide = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        assert not wide
        page.close()
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()] * 2
    assert messages == []
