"""Benchmarks of plain colours, whose measures can be computed by hand."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from tests.fakes import FakeEncoder
from tsir.encoders.base import Vectors
from tsir.errors import InvalidImage, InvalidInput
from tsir.evaluation.evaluate import parse_weights, run_eval

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four plain pictures and sketches of the same colours, on transparent ground."""
    (tmp_path / "images").mkdir()
    (tmp_path / "sketches").mkdir()
    for name, colour in COLOURS.items():
        Image.new("RGB", (20, 10), colour).save(tmp_path / "images" / f"{name}.png")
        Image.new("RGB", (30, 30), colour).save(tmp_path / "sketches" / f"{name}.png")
    return tmp_path


def write(folder: Path, *entries: dict[str, Any]) -> Path:
    path = folder / "queries.jsonl"
    path.write_text("\n".join(json.dumps({"id": str(number), **entry}) for number, entry in enumerate(entries)), "utf-8")
    return path


def ask(text: str | None, sketch: str | None, *targets: str) -> dict[str, Any]:
    drawing = f"sketches/{sketch}.png" if sketch else None
    return {"text": text, "sketch": drawing, "targets": [f"{target}.png" for target in targets]}


def test_right_queries_have_perfect_recall_in_every_modality(folder: Path) -> None:
    path = write(folder, *(ask(name, name, name) for name in COLOURS))
    report = run_eval(folder / "images", path, FakeEncoder())
    answer = report.to_json()
    assert list(answer) == ["text", "sketch", "both"]
    for values in answer.values():
        assert values["queries"] == 4
        assert (values["recall@1"], values["recall@5"], values["recall@10"]) == (100, 100, 100)
        assert (values["median_rank"], values["mrr"]) == (1, 1)
        assert values["interval95"]["recall@1"] == [100, 100]
        assert "class_precision@10" not in values
    assert report.unreadable == {}


def test_wrong_queries_have_the_recall_that_one_computes(folder: Path) -> None:
    # Asking "red" for red is first; for white is second (white has a share of red); for green it is last: green and blue tie.
    path = write(folder, ask("red", None, "red"), ask("red", None, "white"), ask("red", None, "green"), ask("red", None, "green", "white"))
    values = run_eval(folder / "images", path, FakeEncoder()).to_json()["text"]
    assert values["recall@1"] == 25
    assert values["recall@5"] == 100
    assert values["median_rank"] == 2
    assert values["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 4 + 1 / 2) / 4, abs=1e-4)


def test_each_modality_asks_the_queries_that_have_it(folder: Path) -> None:
    path = write(folder, ask("red", None, "red"), ask("blue", "blue", "blue"), ask(None, "green", "green"), ask(None, "white", "white"))
    report = run_eval(folder / "images", path, FakeEncoder())
    assert {name: values["queries"] for name, values in report.to_json().items()} == {"text": 2, "sketch": 3, "both": 1}
    only = run_eval(folder / "images", path, FakeEncoder(), modality="sketch")
    assert {name: values["queries"] for name, values in only.to_json().items()} == {"sketch": 3}


def test_modalities_that_no_query_has_are_left_out(folder: Path) -> None:
    path = write(folder, ask("red", None, "red"))
    assert list(run_eval(folder / "images", path, FakeEncoder()).to_json()) == ["text"]
    with pytest.raises(InvalidInput, match="has both a text and a sketch"):
        run_eval(folder / "images", path, FakeEncoder(), modality="both")


def test_both_is_reported_over_the_better_part(folder: Path) -> None:
    right, wrong = ask("red", "red", "red"), ask("red", "blue", "red")
    report = run_eval(folder / "images", write(folder, right, wrong, ask("red", None, "red")), FakeEncoder(), weights={"sketch": 0})
    answer = report.to_json()
    assert answer["both"]["over_better"]["recall@1"] == {"part": "text", "gain": 0, "interval95": [0, 0]}
    only_drawn = run_eval(folder / "images", write(folder, right, wrong), FakeEncoder(), weights={"text": 0}).to_json()
    assert only_drawn["both"]["over_better"]["recall@1"]["gain"] == -50
    assert "over_better" not in run_eval(folder / "images", write(folder, right), FakeEncoder(), modality="both").to_json()["both"]


def test_name_of_its_class_is_asked_beside_a_drawing(folder: Path) -> None:
    path = write(folder, ask(None, "red", "red"), ask("blue", "blue", "blue"), ask(None, "green", "green"))
    (folder / "classes.json").write_text(json.dumps({"images": {}, "queries": {"0": "red", "1": "white"}}), "utf-8")
    report = run_eval(folder / "images", path, FakeEncoder(), names=True)
    assert [query.text for query in report.benchmark.queries] == ["a red", "blue", None]
    assert report.to_json()["text"]["queries"] == 2
    (folder / "classes.json").unlink()
    with pytest.raises(InvalidInput, match="has a class"):
        run_eval(folder / "images", path, FakeEncoder(), names=True)


def test_weights_decide_between_words_and_drawing(folder: Path) -> None:
    path = write(folder, ask("red", "blue", "red"))
    encoder = FakeEncoder()
    for weights, rank in (({"text": 2.0}, 1), ({"text": 1, "sketch": 2}, 3), ({"sketch": 0.0}, 1), ({"text": 0.0}, 4)):
        report = run_eval(folder / "images", path, encoder, modality="both", weights=weights)
        assert report.modalities["both"].results[0].rank == rank, weights
    encoder.default_weights = {"text": 0.5, "sketch": 1.5}
    report = run_eval(folder / "images", path, encoder)
    assert report.weights == {"text": 0.5, "sketch": 1.5}
    assert report.modalities["both"].results[0].rank > 1


def test_classes_give_class_precision(folder: Path) -> None:
    path = write(folder, ask("red", None, "red"), ask("blue", None, "blue"))
    (folder / "classes.json").write_text(json.dumps({"images": {"red.png": "warm", "white.png": "cold"}, "queries": {"0": "warm"}}))
    values = run_eval(folder / "images", path, FakeEncoder()).to_json()["text"]
    assert values["class_precision@10"] == 25  # the gallery has four pictures, one of them warm; query 1 has no class


def test_encoder_that_sees_nothing_finds_nothing(folder: Path) -> None:
    class Blind(FakeEncoder):
        def images(self, batch: Any) -> Vectors:
            return np.full((len(batch), self.dim), self.dim**-0.5, dtype=np.float32)

    path = write(folder, *(ask(name, None, name) for name in COLOURS))
    assert run_eval(folder / "images", path, Blind()).to_json()["text"]["median_rank"] == 4


def test_unreadable_pictures_are_left_out_unless_they_are_looked_for(folder: Path) -> None:
    (folder / "images" / "broken.jpg").write_bytes(b"no picture")
    path = write(folder, ask("red", None, "red"))
    report = run_eval(folder / "images", path, FakeEncoder())
    assert report.to_json()["text"]["recall@1"] == 100
    assert list(report.unreadable) == ["broken.jpg"]
    path = write(folder, {"text": "red", "sketch": None, "targets": ["broken.jpg"]})
    with pytest.raises(InvalidImage, match=r"broken\.jpg, which queries of .* look for, cannot be read"):
        run_eval(folder / "images", path, FakeEncoder())


def test_unreadable_sketch_is_a_sentence(folder: Path) -> None:
    (folder / "sketches" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InvalidImage, match=r"The sketch .*broken\.png of query 0 cannot be read"):
        run_eval(folder / "images", write(folder, ask(None, "broken", "red")), FakeEncoder())


def test_progress_counts_pictures_sketches_and_texts(folder: Path) -> None:
    calls: list[tuple[int, int]] = []
    path = write(folder, ask("red", "red", "red"), ask("blue", None, "blue"))
    run_eval(folder / "images", path, FakeEncoder(), on_progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (4 + 2 + 1, 4 + 2 + 1)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_many_pictures_keep_their_order(tmp_path: Path) -> None:
    """More than the decoders' lookahead: vectors must stay with their pictures."""
    (tmp_path / "images").mkdir()
    for number in range(150):
        Image.new("RGB", (8, 8), (number, 0, 255 - number)).save(tmp_path / "images" / f"{number:03}.png")
    entries = [{"text": None, "sketch": f"images/{number:03}.png", "targets": [f"{number:03}.png"]} for number in range(0, 150, 7)]
    assert run_eval(tmp_path / "images", write(tmp_path, *entries), FakeEncoder()).to_json()["sketch"]["recall@1"] == 100


@pytest.mark.parametrize(
    ("modality", "weights", "sentence"),
    [
        ("colour", None, "no modality 'colour'"),
        ("all", {"image": 1.0}, "no weight 'image'"),
        ("all", {"text": float("nan")}, "finite"),
        ("all", {"text": 0.0, "sketch": 0.0}, "must not be 0"),
    ],
)
def test_wrong_choices_are_sentences(folder: Path, modality: str, weights: dict[str, float] | None, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        run_eval(folder / "images", write(folder, ask("red", "red", "red")), FakeEncoder(), modality=modality, weights=weights)


def test_weights_are_parsed() -> None:
    assert parse_weights("text=1, sketch=0.5") == {"text": 1.0, "sketch": 0.5}
    assert parse_weights("") == {}
    for wrong in ("text", "text=", "text=much"):
        with pytest.raises(InvalidInput, match="NAME=NUMBER"):
            parse_weights(wrong)


def test_table_shows_every_measure(folder: Path) -> None:
    report = run_eval(folder / "images", write(folder, ask("red", "red", "red")), FakeEncoder())
    screen = io.StringIO()
    Console(file=screen, width=120).print(report.to_table())
    text = screen.getvalue()
    for word in ("text", "sketch", "both", "recall@1", "recall@10", "median_rank", "mrr", "100.0"):
        assert word in text


def test_development_benchmark_is_read_and_ranked(shared_data: Path) -> None:
    folder = shared_data / "benchmark-dev" / "instances"
    values = run_eval(folder / "images", folder / "sketches.jsonl", FakeEncoder()).to_json()
    assert list(values) == ["sketch"]
    assert values["sketch"]["queries"] == 358
    assert 0 <= values["sketch"]["class_precision@10"] <= 81
