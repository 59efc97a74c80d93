"""Commands, in this process; and real processes, killed and started again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from tests.fakes import FakeEncoder
from tests.ports import free_port
from tests.processes import Site, wait_for
from tsir import cli
from tsir.commands import models
from tsir.encoders import registry
from tsir.encoders.relevance import read_calibration
from tsir.settings import Settings

Tsir = Callable[..., Result]


@pytest.fixture
def tsir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tsir:
    """Runs a command in an empty folder, with the encoder whose vectors can be computed by hand."""
    for name in (
        "DATA_DIR",
        "PORT",
        "CLIENT_PORT",
        "HOST",
        "IMAGE_ROOTS",
        "MODEL",
        "WEIGHTS",
        "API_KEYS",
        "ALLOW_OPEN",
        "MILVUS_URI",
        "DATABASE_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "load_encoder", lambda settings: FakeEncoder())
    monkeypatch.setattr(models, "load_encoder", lambda settings: FakeEncoder())
    return lambda *arguments: CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


def refused(result: Result, said: str) -> None:
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("tsir: ")
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, tsir.cli; print({'numpy', 'PIL', 'fastapi', 'pymilvus', 'torch', 'pydantic'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("tsir search --taken-", ["--taken-after", "--taken-before"]),
        ("tsir search --orientation l", ["landscape"]),
        ("tsir dup", ["duplicates"]),
    ],
)
def test_the_shell_completes_commands_filters_and_their_choices(tsir: Tsir, typed: str, offered: list[str]) -> None:
    typing = {"_TSIR_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    answer = CliRunner(env=typing).invoke(cli.app, [], prog_name="tsir")
    assert answer.stdout.split() == offered


def test_a_reader_that_leaves_early_is_no_error() -> None:  # `tsir ... | head`
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-c", "from tsir.cli import main; main()", "weights", "list"], stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("output", "code", "sentence"),
    [(">/dev/full", 1, "tsir: The output cannot be written: No space left on device.\n"), (">&-", 0, "")],
)
def test_output_that_goes_nowhere_is_a_sentence(output: str, code: int, sentence: str) -> None:
    command = f'"{sys.executable}" -c "from tsir.cli import main; main()" --help {output}'
    ended = subprocess.run(command, shell=True, stderr=subprocess.PIPE, text=True)
    assert (ended.returncode, ended.stderr) == (code, sentence)


def test_a_terminal_of_unknown_size_shows_the_table_without_pictures() -> None:
    code = """
import io
from types import SimpleNamespace as Some
from PIL import Image
from tsir.commands.finding import _table
file = io.BytesIO()
Image.new("RGB", (4, 4)).save(file, "PNG")
hit = Some(score=0.5, id=7, width=4, height=4, taken_at=None, path="/red.png")
_table(Some(thumbnail=lambda image: file.getvalue()), [hit])
"""
    terminal, inside = os.openpty()  # 0 columns, until somebody says otherwise
    ended = subprocess.run([sys.executable, "-c", code], stdin=inside, stdout=inside, stderr=subprocess.PIPE, text=True)
    os.close(inside)
    shown = os.read(terminal, 10_000).decode()
    os.close(terminal)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "/red.png" in shown


def test_every_command_explains_itself(tsir: Tsir) -> None:
    for command in (
        "up",
        "serve",
        "load",
        "search",
        "eval",
        "calibrate",
        "train",
        "embed",
        "check",
        "doctor",
        "reencode",
        "backup",
        "restore",
        "bench",
        "openapi",
    ):
        result = tsir(command, "--help")
        assert result.exit_code == 0, command
        assert "Usage" in result.output
    for command in ("list", "get", "verify", "convert"):
        assert "Usage" in tsir("weights", command, "--help").output


def test_folder_is_loaded_searched_and_checked(tsir: Tsir, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    first = tsir("load", photos)
    assert first.exit_code == 0, first.output
    assert "6 imported, 0 skipped (unchanged), 1 could not be read" in first.stdout
    assert "broken.png" in first.stdout
    again = json.loads(tsir("load", photos, "--json").stdout)
    assert (again["state"], again["done"], again["skipped"], again["failed"]) == ("done", 0, 6, 1)
    found = tsir("search", "--text", "red", "--topk", "2")
    assert [line.split()[1] for line in found.stdout.splitlines()] == [str(photos / "red1.png"), str(photos / "red0.png")]
    Image.new("RGB", (9, 9), "blue").save(photos.parent / "sketch.png")
    hits = json.loads(tsir("search", "--sketch", photos.parent / "sketch.png", "--json").stdout)["hits"]
    assert "blue" in hits[0]["path"]
    wide = tsir("search", "red", "--min-width=65", "--folder", "photos", "--formats", "jpeg,png")
    assert wide.exit_code == 0 and [Path(line.split()[1]).stem for line in wide.stdout.splitlines()] == ["red1", "blue1", "green1"]
    assert "no picture fits" in tsir("search", "red", "--min-width", "900").stderr
    assert [line.split()[1] for line in tsir("search", "red", "--table", "tsir", "--limit", "1").stdout.splitlines()] == [
        str(photos / "red1.png")
    ]
    every = json.loads(tsir("search", "red", "--json").stdout)["hits"]
    red, blue = (next(hit["id"] for hit in every if name in hit["path"]) for name in ("red0", "blue0"))
    both = tsir("search", "--like", str(red), "--like", f"{blue}@0,0,1,0.5", "--not-like", f"{blue}", "--collections", "all", "--json")
    assert {red, blue}.isdisjoint(hit["id"] for hit in json.loads(both.stdout)["hits"]) and both.exit_code == 0
    refused(tsir("search", "--like", "first"), "must be the id of a picture")
    refused(tsir("search", "red", "--collections", "nowhere"), "nowhere")
    table = tsir("search", "red", "--topk", "2", "--table")
    assert table.exit_code == 0 and "red0.png" in table.stdout.replace("\n", "") and "65 x 48" in table.stdout
    refused(tsir("search", "red", "--min-width", "wide"), "min_width")
    for wrong in (("search", "red", "--no-such"), ("search", "red", "--min-width"), ("nothing",)):
        assert tsir(*wrong).exit_code == 2
    assert tsir("search", "red", "--taken-after", "2023").stderr.startswith("Nothing found: no picture fits")
    assert "--taken-after" in tsir("search", "--help").stdout and "Exit codes" in tsir("--help").stdout
    monkeypatch.setenv("BROWSER", "true")
    page = tsir("search", "red", "--topk", "2", "--open").stderr.split()[-1].rstrip(".")
    assert Path(page).read_text().count("data:image/jpeg") == 2 and (photos / "red1.png").as_uri() in Path(page).read_text()
    Path(page).unlink()
    checked = tsir("check")
    assert checked.exit_code == 0
    assert "6 pictures, 6 vectors." in checked.stdout
    assert "All is well." in checked.stdout


def test_copies_are_found_taken_out_and_brought_back(tsir: Tsir, photos: Path) -> None:
    with Image.open(photos / "red0.png") as red:
        red.resize((32, 24)).save(photos / "small.png")
    tsir("load", photos)
    found = tsir("duplicates")
    lines = [line.split() for line in found.stdout.splitlines() if line]
    assert [(line[0], Path(line[-1]).name) for line in lines] == [("keep", "red0.png"), ("same", "small.png")]
    assert "1 pictures lie here 2 times" in found.stderr
    done = json.loads(tsir("duplicates", "--trash", "--json").stdout)
    assert done["removed"]["pictures"] == 1 and (photos / "small.png").exists()
    assert "No picture is here twice" in tsir("duplicates").stderr
    assert "1 picture is back" in tsir("trash", "restore", "--last").stdout
    assert len(json.loads(tsir("duplicates", "--json").stdout)["groups"]) == 1


def test_what_is_taken_out_stays_out_and_comes_back(tsir: Tsir, photos: Path) -> None:
    tsir("load", photos)
    removed = tsir("remove", photos / "red0.png", photos / "blue0.png")
    assert "2 pictures were taken out" in removed.output
    assert "2 pictures that were taken out before" in tsir("load", photos).output
    assert "blue0.png" in tsir("excluded").output
    refused(tsir("remove", photos / "red0.png"), "red0.png")
    refused(tsir("remove", "999"), "'tsir' has none of these pictures: 999.")
    assert "removed of tsir" in tsir("trash", "list").output
    assert "2 pictures are back in tsir." in tsir("trash", "restore", "--last").output
    assert "0 imported, 6 skipped" in tsir("load", photos).output
    assert tsir("collection", "rename", "tsir", "mine").exit_code == 0
    assert "mine: 6 pictures" in tsir("collection", "list").output
    assert tsir("collection", "drop", "mine").exit_code == 1, "nobody said yes"
    assert "6 pictures were taken out" in tsir("collection", "drop", "mine", "--yes").output
    assert tsir("trash", "empty", "--yes").exit_code == 0


def test_lost_thumbnails_are_made_again_by_a_repair(tsir: Tsir, photos: Path, settings: Settings) -> None:
    tsir("load", photos)
    large = sorted((settings.data_dir / "thumbnails" / "large").glob("*/*"))
    for path in large:
        path.unlink()
    assert "6 images of tsir have no thumbnails yet." in tsir("check").stdout
    assert "6 images of tsir had no thumbnails; they were made." in tsir("check", "--repair").stdout
    assert "no thumbnails" not in tsir("check").stdout
    for path in large:
        path.unlink()
    photos.rename(photos.parent / "unplugged")
    repaired = tsir("check", "--repair")
    assert repaired.exit_code == 0, repaired.output
    assert "6 images of tsir have no thumbnails yet." in repaired.stdout, "nothing is claimed that was not done"


def test_lost_vectors_and_missing_pictures_are_said(tsir: Tsir, photos: Path, settings: Settings) -> None:
    tsir("load", photos)
    shutil.rmtree(settings.data_dir / "vectors.db")
    found = tsir("search", "--text", "red")
    assert "The vectors of 6 pictures of 'tsir' are missing" in found.stderr
    assert len(found.stdout.splitlines()) == 6
    for path in photos.glob("red*"):
        path.unlink()
    (photos / "layers.psd").touch()
    again = tsir("load", photos, "--exclude", "blue*")
    assert "0 imported, 2 skipped (unchanged), 0 could not be read" in again.stdout
    assert "1 file of a kind that cannot be read (.psd 1)." in again.stdout
    assert "2 pictures are missing now" in again.stdout
    refused(tsir("load", photos, "--exclude", "!"), "no pattern")
    assert len(tsir("search", "--text", "red").stdout.splitlines()) == 4
    assert tsir("forget", photos / "red0.png").stdout == "1 missing picture was taken out.\n"
    assert tsir("forget", photos).stdout == "1 missing picture was taken out.\n"
    assert "4 pictures, 4 vectors." in tsir("check").stdout


def test_an_import_of_nothing_but_failures_did_not_end_well(tsir: Tsir, tmp_path: Path) -> None:
    odd = tmp_path / "a:b"
    odd.mkdir()
    (odd / "broken.jpg").write_bytes(b"no picture")
    ended = tsir("load", odd)
    assert (ended.exit_code, "1 could not be read" in ended.output) == (1, True)
    Image.new("RGB", (40, 30), "red").save(odd / "good.png")
    assert tsir("load", odd).exit_code == 0
    assert tsir("relocate", odd, tmp_path / "none").exit_code == 1
    odd.rename(tmp_path / "c")
    odd.symlink_to(tmp_path / "c", target_is_directory=True)
    assert "1 picture is known" in tsir("relocate", odd, tmp_path / "c").output, "also where a link was left"
    assert "0 imported, 1 skipped" in tsir("load", tmp_path / "c").output
    for arguments in (["forget", "/x/caf\udce9"], ["search", "--text", "\udcff"], ["collection", "drop", "\udcff"]):
        refused(tsir(*arguments), "valid Unicode")


def test_mistakes_are_one_line_and_exit_code_one(tsir: Tsir, photos: Path) -> None:
    refused(tsir("load", "nowhere"), "no folder")
    refused(tsir("load", photos, "--watch", "--exclude", "!"), "no pattern")
    refused(tsir("search"), "asks for nothing")
    refused(tsir("search", "--text", "red", "--table", "none"), "none")
    refused(tsir("search", "--sketch", "no.png"), "cannot be read")
    refused(tsir("up", "--images", "nowhere"), "no folder")
    refused(tsir("up", "--client", photos), "make client")
    refused(tsir("train", "no.yaml"), "no configuration")
    refused(tsir("embed", "--out", "x.npz"), "one of --images")
    refused(tsir("eval", "a", "b"), "a")


def test_setting_that_cannot_be_used_is_named(tsir: Tsir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOP_K", "many")
    refused(tsir("search", "--text", "red"), "TOP_K")


def test_port_in_use_is_said(tsir: Tsir) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused(tsir("serve", "--port", taken.getsockname()[1]), "in use")
    refused(tsir("serve", "--host", "192.0.2.1"), "cannot listen on '192.0.2.1'")


def test_vectors_are_written_with_their_names(tsir: Tsir, photos: Path, tmp_path: Path) -> None:
    (photos / "below").mkdir()
    Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save(photos / "below" / "empty.png")
    (tmp_path / "texts.txt").write_text("red\n\nGrün und blue\n", encoding="utf-8")
    encoder = FakeEncoder()
    assert tsir("embed", "--images", photos, "--out", tmp_path / "i.npz").exit_code == 0
    assert tsir("embed", "--sketches", photos, "--out", tmp_path / "s.npz").exit_code == 0
    assert tsir("embed", "--texts", tmp_path / "texts.txt", "--out", tmp_path / "t.npz").exit_code == 0
    images = np.load(tmp_path / "i.npz")
    assert list(images["names"]) == ["below/empty.png", *(f"{colour}{shade}.png" for colour in ("blue", "green", "red") for shade in "01")]
    np.testing.assert_allclose(np.linalg.norm(images["vectors"], axis=1), 1, atol=1e-5)
    with Image.open(photos / "red1.png") as picture:
        np.testing.assert_allclose(images["vectors"][-1], encoder.images([picture])[0], atol=1e-5)
    texts = np.load(tmp_path / "t.npz")
    assert list(texts["names"]) == ["red", "", "Grün und blue"]
    np.testing.assert_allclose(texts["vectors"], encoder.texts(["red", "", "Grün und blue"]), atol=1e-6)
    (photos / "broken.png").write_bytes(b"x")
    result = tsir("embed", "--images", photos, "--out", tmp_path / "b.npz", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["failed"] == 1
    assert len(np.load(tmp_path / "b.npz")["names"]) == 7


def test_benchmark_is_measured(tsir: Tsir, photos: Path, tmp_path: Path) -> None:
    queries = tmp_path / "queries.jsonl"
    lines = [{"id": colour, "text": colour, "sketch": None, "targets": [f"{colour}0.png"]} for colour in ("red", "green")]
    queries.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = tsir("eval", photos, queries, "--json", "--html", tmp_path / "report.html")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["text"]["queries"] == 2
    assert report["text"]["recall@5"] == 100
    assert (tmp_path / "report.html").is_file()
    assert "recall@10" in tsir("eval", photos, queries).stdout


def test_scores_are_calibrated_and_kept_for_the_encoder(tsir: Tsir, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "images").symlink_to(photos)
    queries = tmp_path / "queries.jsonl"
    lines = [
        {"id": f"{colour}{number}", "text": colour, "sketch": f"images/{colour}0.png", "targets": [f"{colour}0.png", f"{colour}1.png"]}
        for colour in ("red", "green", "blue")
        for number in range(4)
    ]
    queries.write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "classes.json").write_text(
        json.dumps({"images": {f"{colour}{number}.png": colour for colour in ("red", "green", "blue") for number in (0, 1)}, "queries": {}})
    )
    result = tsir("calibrate", queries, "--data-dir", tmp_path / "data", "--json")
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert list(answer["kinds"]) == ["text", "sketch", "image", "mixed"]
    for kind in answer["kinds"].values():
        assert (kind["kept"], kind["others_above"]) == (100, 0)  # of plain colours
    calibration = read_calibration(Path(answer["out"]), FakeEncoder().fingerprint)
    assert calibration is not None
    assert set(calibration.curves) == set(answer["kinds"])
    other = tmp_path / "own.json"
    assert "kept, %" in tsir("calibrate", queries, "--out", other).stdout
    assert other.is_file()
    refused(tsir("calibrate", tmp_path / "none.jsonl"), "none.jsonl does not exist")
    (tmp_path / "classes.json").unlink()
    queries.write_text(json.dumps({"id": "1", "text": "red", "targets": ["green0.png"]}))
    refused(tsir("calibrate", queries), "score higher")


def test_library_moves_by_backup_and_restore(tsir: Tsir, photos: Path, tmp_path: Path) -> None:
    tsir("load", photos)
    saved = tsir("backup")
    assert saved.exit_code == 0, saved.output
    assert "6 pictures with their vectors" in saved.output
    (archive,) = tmp_path.glob("tsir-*.zip")
    refused(tsir("backup", tmp_path), "is a folder")
    other_name = archive.rename(tmp_path / "library.tar")
    restored = tsir("restore", other_name, "--data-dir", tmp_path / "second")
    assert restored.exit_code == 0, restored.output
    assert "Restored: tsir\n6 pictures" in restored.output
    hits = json.loads(tsir("search", "--text", "red", "--json", "--data-dir", tmp_path / "second").stdout)["hits"]
    assert len(hits) == 6


def test_schema_is_printed(tsir: Tsir) -> None:
    assert json.loads(tsir("openapi").stdout)["openapi"].startswith("3.")


# Real processes


@pytest.fixture
def new_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    made: list[Site] = []

    def make(*arguments: str, **environment: str) -> Site:
        made.append(Site(tmp_path, *arguments, **environment))
        return made[-1]

    yield make
    for site in made:
        if site.process is not None:
            site.end(signal.SIGKILL)
        site.http.close()


def test_other_commands_ask_the_server_that_holds_the_library(new_site: Callable[..., Site], photos: Path, tmp_path: Path) -> None:
    site = new_site("serve", IMAGE_ROOTS="", API_KEYS="secret")
    site.start()
    note = tmp_path / "data" / "server.json"
    wait_for(note.exists, site.log)
    assert note.stat().st_mode & 0o077 == 0
    loaded = site.run("load", str(photos), "--table", "mine")
    assert loaded.returncode == 0, loaded.stderr
    assert "6 imported" in loaded.stdout
    found = site.run("search", "--text", "red", "--table", "mine", "--topk", "1")
    assert "red1.png" in found.stdout
    over_http = site.http.post("/api/v1/collections/mine/imports", json={"path": str(photos)}, headers={"X-API-Key": "secret"})
    assert over_http.status_code == 403
    saved = site.run("backup", str(tmp_path / "all.zip"))
    assert "6 pictures with their vectors" in saved.stdout, saved.stderr
    assert (tmp_path / "all.zip").stat().st_size > 1000
    nowhere = site.run("backup", str(tmp_path / "none" / "all.zip"))
    assert (nowhere.returncode, "cannot be written" in nowhere.stderr, "Traceback" in nowhere.stderr) == (1, True, False)
    stranger = site.http.post("/api/v1/backups", json={"file": str(tmp_path / "mine.zip")}, headers={"X-API-Key": "secret"})
    assert (stranger.status_code, stranger.json()["code"]) == (403, "forbidden")
    locked = site.run("check")
    assert locked.returncode == 1
    assert locked.stderr.startswith("tsir: The library in")
    assert "Traceback" not in locked.stderr
    assert site.end(signal.SIGINT) == 0
    assert not note.exists()


def test_second_server_on_the_same_library_says_so(new_site: Callable[..., Site]) -> None:
    site = new_site("serve")
    site.start()
    second = site.run("serve", "--port", str(free_port()))
    assert second.returncode == 1
    assert "in use by another process" in second.stderr
    assert "Traceback" not in second.stderr


def test_up_serves_gui_and_api_on_one_origin_and_imports_the_folder(new_site: Callable[..., Site], photos: Path, tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "index.html").write_text("<title>the page</title>")
    (dist / "assets" / "app-1a2b.js").write_text("1")
    site = new_site("up", "--client", str(dist), "--images", str(photos), IMAGE_ROOTS="")
    for expected in ("6 imported, 0 skipped", "0 imported, 6 skipped"):
        site.start()
        wait_for(lambda: expected in site.log.read_text(), site.log)  # noqa: B023
        with httpx.Client(base_url=f"http://127.0.0.1:{site.client_port}", trust_env=False) as gui:
            assert gui.post("/img/count").json() == 6
            assert gui.get("/health/ready").json()["status"] == "ok"
            assert gui.get("/api/v1/system").json()["import_roots"] == [str(photos)]
            for path in ("/", "/some/view", "/index.html"):
                page = gui.get(path)
                assert (page.status_code, page.text) == (200, "<title>the page</title>")
                assert "script-src 'self'" in page.headers["content-security-policy"]
                assert page.headers["cache-control"] == "no-cache"
            assert "immutable" in gui.get("/assets/app-1a2b.js").headers["cache-control"]
            assert "window._env_" in gui.get("/env-config.js").text
            for path in ("/assets/no.js", "/..%2f..%2flog", "/%2e%2e/log"):
                assert "ready" not in gui.get(path).text
            assert gui.get("/assets/no.js").status_code == 404
            assert gui.post("/api/v1/collections/tsir/search", data={"text": "red"}).status_code == 200
        assert site.end(signal.SIGINT) == 0
    assert f"http://127.0.0.1:{site.client_port}" in site.log.read_text()


def test_sample_gallery_makes_room_for_ones_own_pictures(new_site: Callable[..., Site], photos: Path, tmp_path: Path) -> None:
    dist = tmp_path / "dist"
    dist.mkdir()
    (dist / "index.html").write_text("page")
    site = new_site("up", "--client", str(dist))
    site.start()
    wait_for(lambda: "sample-gallery: " in site.log.read_text() and "imported" in site.log.read_text(), site.log)
    assert site.http.post("/img/count").json() > 100
    assert site.end(signal.SIGINT) == 0
    own = new_site("up", "--client", str(dist), "--images", str(photos))
    own.start()
    wait_for(lambda: "made room for yours" in own.log.read_text() and own.http.post("/img/count").json() == 6, own.log)


def test_running_server_stops_at_once_while_it_is_watched(new_site: Callable[..., Site], photos: Path) -> None:
    for number in range(200):
        Image.new("RGB", (300, 200), (number % 256, number // 2, 9)).save(photos / f"{number:03}.png")
    site = new_site("serve")
    site.start()
    job = site.http.post("/api/v1/collections/tsir/imports", json={"path": str(photos)}).json()
    with site.http.stream("GET", f"/api/v1/jobs/{job['id']}/events") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("data: ")
        assert site.end(signal.SIGTERM) == 0
    site.start()
    wait_for(lambda: site.http.get(f"/api/v1/jobs/{job['id']}").json()["state"] == "done", site.log)
    assert site.http.post("/img/count").json() == 206
