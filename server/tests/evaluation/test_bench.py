"""The benchmarks run, and what they claim of themselves can be checked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.fakes import FakeEncoder
from tsir.encoders.registry import load_encoder
from tsir.errors import InvalidInput
from tsir.evaluation import bench, bench_store, whole
from tsir.evaluation.tables import silent
from tsir.media.decode import open_picture
from tsir.settings import Settings


def test_encoder_bench_measures_photos_and_queries(photos: Path) -> None:
    said: list[str] = []
    table = bench.run_encoder(FakeEncoder(), photos=5, batch=2, queries=3, say=lambda what, share: said.append(what))
    whats = [row["what"] for row in table.rows]
    assert whats[:2] == ["photos, prepared, batches of 2", "photos as decoded, batches of 2"]
    assert whats[-1] == "query: text and sketch"
    assert all(row["per second"] > 0 for row in table.rows)
    assert table.rows[-1]["p50 ms"] <= table.rows[-1]["p95 ms"]
    assert set(said) >= {"query: text", "query: sketch"}
    assert json.loads(json.dumps(table.to_json()))["rows"] == table.rows
    assert bench.run_encoder(FakeEncoder(), photos=4, queries=1, folder=photos).rows


def test_folder_without_pictures_is_a_sentence(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InvalidInput, match="is not a folder with pictures"):
            bench.run_encoder(FakeEncoder(), folder=folder)


def test_multiplied_pictures_differ_in_bytes_and_not_in_pixels(tmp_path: Path) -> None:
    files = []
    for suffix in ("jpg", "png", "webp", "gif", "bmp", "tif"):
        files.append(tmp_path / f"one.{suffix}")
        Image.new("RGB", (40, 30), (200, 30, 60)).save(files[-1])
    folder = bench.multiplied(files, 20, tmp_path / "many", silent)
    pictures = [open_picture(path, max_bytes=10**6, max_pixels=10**6) for path in sorted(folder.iterdir())]
    assert len({picture.content_hash for picture in pictures}) == 20
    assert {(picture.metadata.width, picture.metadata.height) for picture in pictures} == {(40, 30)}


def test_exact_search_in_chunks_is_exact_search() -> None:
    vectors = bench_store.Made(32, 8)
    asked, rows = vectors.some(5, seed=-1), vectors.some(300, seed=0)
    nearest = bench_store.Nearest(asked, 10)
    for start in range(0, 300, 70):
        nearest.see(rows[start : start + 70], np.arange(start, min(start + 70, 300)))
    right = np.argsort(-(asked @ rows.T), axis=1)[:, :10].tolist()
    assert nearest.recall(right) == 1
    assert nearest.recall([line[:5] + [-7] * 5 for line in right]) == 0.5
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert np.array_equal(rows, vectors.some(300, seed=0))


def test_fewer_rows_than_asked_for_can_be_found_wholly() -> None:
    vectors = bench_store.Made(16, 8)
    nearest = bench_store.Nearest(vectors.some(2, seed=-1), 10)
    nearest.see(vectors.some(3, seed=0), np.arange(3))
    assert nearest.recall([[0, 1, 2], [2, 1, 0]]) == 1


def test_store_bench_finds_what_exact_search_finds(settings: Settings) -> None:
    table = bench.run_store(settings, sizes=(300, 1200), dim=32, queries=10, intrinsic=16)
    assert [row["vectors"] for row in table.rows] == [300, 1200]
    for row in table.rows:
        assert row["index"] == "FLAT"
        assert row["recall@10, %"] == pytest.approx(100, abs=1)
        assert row["filtered recall@10, %"] == pytest.approx(100, abs=1)
        assert row["disk MB"] > 0
    assert not settings.data_dir.exists()  # a store of its own: a running server's library is not touched


def test_store_bench_of_another_index_knows_its_loss(settings: Settings) -> None:
    [row] = bench.run_store(settings, sizes=(2000,), dim=32, queries=10, intrinsic=16, index="HNSW").rows
    assert row["index"] == "HNSW"
    assert 80 <= row["recall@10, %"] <= 100


def test_import_bench_imports_into_a_library_of_its_own(settings: Settings, photos: Path) -> None:
    [row] = bench.run_import(settings, FakeEncoder(), photos, pictures=13).rows
    assert (row["pictures"], row["failed"]) == (13, 0)
    assert row["per second"] > 0
    assert "state" not in row
    assert not settings.data_dir.exists()
    assert len(list(photos.iterdir())) == 6


def test_import_command_compares_with_the_encoder_alone(monkeypatch: pytest.MonkeyPatch, photos: Path, tmp_path: Path) -> None:
    monkeypatch.setattr("tsir.encoders.registry.load_encoder", lambda settings: FakeEncoder())
    monkeypatch.chdir(tmp_path)
    answer = CliRunner().invoke(bench.bench_app, ["import", str(photos), "--pictures", "13", "--json"])
    assert answer.exit_code == 0, answer.output
    [row] = json.loads(answer.stdout)["rows"]
    assert row["pictures"] == 13
    assert 0 < row["share of the encoder's speed, %"] < 100


def test_commands_print_json_for_programs(monkeypatch: pytest.MonkeyPatch, photos: Path, tmp_path: Path) -> None:
    monkeypatch.setattr("tsir.encoders.registry.load_encoder", lambda settings: FakeEncoder())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "own"))
    run = CliRunner()
    answer = run.invoke(bench.bench_app, ["encoder", "--photos", "4", "--queries", "2", "--folder", str(photos), "--json"])
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["rows"]
    answer = run.invoke(bench.bench_app, ["store", "--sizes", "200", "--dim", "16", "--queries", "3", "--json"])
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["rows"][0]["vectors"] == 200
    assert isinstance(run.invoke(bench.bench_app, ["store", "--sizes", "many"]).exception, InvalidInput)


def test_wrong_settings_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILVUS_PORT", "x")
    error = CliRunner().invoke(bench.bench_app, ["store"]).exception
    assert isinstance(error, InvalidInput)
    assert "MILVUS_PORT" in str(error)


def test_tables_are_markdown_for_documents() -> None:
    table = bench.Table("speeds", [{"what": "a", "value": 1234.5, "ratio": 0.5}, {"what": "b", "value": None, "ratio": 2.0}])
    assert table.to_markdown().splitlines() == [
        "speeds:",
        "",
        "| what | value | ratio |",
        "| --- | --- | --- |",
        "| a | 1,234 | 0.5 |",
        "| b | – | 2 |",
    ]


def test_wide_tables_lie_on_their_side() -> None:
    table = bench.Table("wide", [{"vectors": size, **{f"measure {number}": 1.0 for number in range(8)}} for size in (10, 1000)])
    drawn = table.to_table()
    assert [column.header for column in drawn.columns] == ["vectors", "10", "1,000"]
    assert drawn.row_count == 8


def test_the_check_of_a_gpu_runs_dry(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the extra torch: make setup EXTRAS=torch")
    for shade in range(8):
        Image.new("RGB", (96, 64), (30 * shade, 90, 200 - 20 * shade)).save(tmp_path / f"{shade}.jpg")
    result = CliRunner().invoke(bench.bench_app, ["gpu", str(tmp_path), "--dry", "--json"])
    assert result.exit_code == 0, result.output
    tables = {table["benchmark"]: table["rows"] for table in json.loads(result.stdout)}
    [parity] = [rows for title, rows in tables.items() if title.startswith("vectors of")]
    assert [(row["what"], row["holds"]) for row in parity] == [("photos", True), ("sketches", True), ("texts", True)]
    assert tables["from file to vector and thumbnails"][0]["photos"] == 8
    assert tables["training step, bf16"][0]["batch"] == 4


def test_all_is_measured_beside_its_bounds(photos: Path, settings: Settings) -> None:
    encoder = load_encoder(settings)
    sketch = Image.new("RGB", (64, 64), "white")
    tables = whole.run_all(settings, encoder, photos, sorted(photos.iterdir()), sketch, thorough=False)
    importing, answers, stages = [table.to_json() for table in tables]
    assert "6 pictures, lite" in importing["benchmark"]
    for row in (*importing["rows"], *answers["rows"]):
        assert row["ratio"] == pytest.approx(row["value"] / row["limit"])
    assert [row["what"].partition(",")[0] for row in answers["rows"]][:2] == ["GET /health/live", "text and sketch over HTTP"]
    assert {"encode", "search", "rows"} <= set(stages["rows"][0])


def test_answers_are_measured_among_pictures_that_there_are_not(photos: Path, settings: Settings) -> None:
    encoder = load_encoder(settings)
    sketch = Image.new("RGB", (64, 64), "white")
    table = whole.run_answers(settings, encoder, sorted(photos.iterdir()), sketch, [30, 2500], number=1)
    assert [row["pictures"] for row in table.rows] == ["30", "30, a tenth let through", "2,500", "2,500, a tenth let through"]
    for row in table.rows:
        assert row["p50 ms"] == pytest.approx(row["encoder ms"] + row["stores ms"] + row["beyond ms"])
