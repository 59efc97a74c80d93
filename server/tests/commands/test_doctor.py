"""`tsir doctor` on situations that went wrong."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.fakes import FakeEncoder
from tests.ports import free_port
from tests.processes import Site, wait_for
from tsir import cli
from tsir.encoders import registry
from tsir.errors import EncoderUnavailable
from tsir.services.doctor import examine
from tsir.settings import Settings

Doctor = Callable[..., Result]


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Runs `tsir doctor` in an empty folder, on free ports, with the encoder whose vectors can be computed by hand."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("PORT", "CLIENT_PORT"):
        monkeypatch.setenv(name, str(free_port()))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "load_encoder", lambda settings: FakeEncoder())
    return lambda *arguments: CliRunner().invoke(cli.app, ["doctor", *map(str, arguments)])


def found(result: Result) -> dict[str, dict[str, str]]:
    """What was found, by its name."""
    report: dict[str, Any] = json.loads(result.stdout)
    assert report["well"] == (result.exit_code == 0) == all(finding["state"] != "trouble" for finding in report["findings"])
    return {finding["what"].split()[0]: finding for finding in report["findings"]}


def test_fresh_place_is_well_and_stays_as_it_is(doctor: Doctor, tmp_path: Path) -> None:
    result = doctor()
    assert result.exit_code == 0, result.output
    assert "All is well." in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_library_is_looked_at_and_damage_is_said(
    doctor: Doctor, tmp_path: Path, photos: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert CliRunner().invoke(cli.app, ["load", str(photos)]).exit_code == 0
    seen = found(doctor("--json"))
    assert seen["catalog"]["said"].endswith("is sound.") and seen["vectors"]["said"].endswith("answers.")
    assert "collection" not in seen
    other = FakeEncoder("other")
    monkeypatch.setattr(registry, "load_encoder", lambda settings: other)
    seen = found(doctor("--json"))
    assert "tsir reencode tsir --encoder other" in seen["collection"]["said"] and "browsed" in seen["collection"]["advice"]
    catalog = tmp_path / "data" / "catalog.db"
    damaged = bytearray(catalog.read_bytes())
    damaged[100:20_000] = os.urandom(19_900)
    catalog.write_bytes(damaged)
    (tmp_path / "data" / "vectors.db").rename(tmp_path / "gone")
    result = doctor("--json")
    seen = found(result)
    assert result.exit_code == 1
    assert "damaged" in seen["catalog"]["said"] and "tsir restore" in seen["catalog"]["advice"]
    assert "is not there" in seen["vectors"]["said"] and "tsir check" in seen["vectors"]["advice"]


def test_pictures_whose_drive_is_away_are_named(doctor: Doctor, tmp_path: Path, photos: Path) -> None:
    assert CliRunner().invoke(cli.app, ["load", str(photos)]).exit_code == 0
    assert "pictures" not in found(doctor("--json"))
    photos.rename(tmp_path / "away")
    photos.mkdir()
    (photos / "a leftover.txt").touch()
    seen = found(doctor("--json"))["pictures"]
    assert seen["state"] == "trouble" and str(photos) in seen["said"] and "is a drive missing?" in seen["said"]
    assert "tsir forget" in seen["advice"]


def test_stores_that_do_not_answer_are_named_without_their_passwords(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"mysql+pymysql://me:s3cret@127.0.0.1:{free_port()}/pictures")
    monkeypatch.setenv("MILVUS_URI", f"http://root:m1lvus@127.0.0.1:{free_port()}")
    monkeypatch.setenv("MILVUS_TOKEN", "root:m1lvus")
    monkeypatch.setenv("API_KEYS", "correct-horse,read:battery")
    for result in (doctor("--json"), doctor()):
        assert result.exit_code == 1
        for secret in ("s3cret", "m1lvus", "correct-horse", "battery"):
            assert secret not in result.output
    seen = found(doctor("--json"))
    assert seen["catalog"]["state"] == seen["vectors"]["state"] == "trouble"
    assert json.loads(doctor("--json").stdout)["settings"]["API_KEYS"] == "*** (2, of which 1 may only read)"


def test_a_right_that_lacks_is_no_store_to_start(doctor: Doctor, tmp_path: Path, photos: Path) -> None:
    assert CliRunner().invoke(cli.app, ["load", str(photos)]).exit_code == 0
    settings = Settings(data_dir=tmp_path / "data", image_roots=str(photos))
    with closed_to_this_user(tmp_path / "data", photos):
        seen = {finding.what.split()[0]: finding for finding in examine(settings, running=False)}
    for what in ("DATA_DIR", "catalog", "vectors", "IMAGE_ROOTS"):
        assert seen[what].state == "trouble" and seen[what].advice.startswith("Give this user the right to")


@contextmanager
def closed_to_this_user(*paths: Path) -> Iterator[None]:
    modes, user = [path.stat().st_mode for path in paths], os.geteuid()
    for path in paths:
        path.chmod(0)
    try:
        if user == 0:
            os.seteuid(65534)
        yield
    finally:
        os.seteuid(user)
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode)


@contextmanager
def listening() -> Iterator[int]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_ports_folders_weights_and_open_doors_are_looked_at(doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(settings: Settings) -> FakeEncoder:
        raise EncoderUnavailable("The weights are gone.")

    monkeypatch.setattr(registry, "load_encoder", missing)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    with listening() as port:
        seen = found(doctor("--json", "--client-port", port, "--host", "127.0.0.1", "--image-roots", tmp_path / "empty"))
        assert "another program" in seen["CLIENT_PORT"]["said"] and "CLIENT_PORT" in seen["CLIENT_PORT"]["advice"]
    assert seen["PORT"]["state"] == "well"
    assert (seen["IMAGE_ROOTS"]["state"], seen["encoder"]["said"]) == ("notice", "The weights are gone.")
    seen = found(doctor("--json", "--host", "0.0.0.0", "--image-roots", tmp_path / "none", "--data-dir", tmp_path / "file" / "data"))
    assert "API_KEYS" in seen["access"]["said"]
    assert "does not exist" in seen["IMAGE_ROOTS"]["said"] and "drive" in seen["IMAGE_ROOTS"]["advice"]
    assert seen["DATA_DIR"]["state"] == "trouble"
    assert "file" in found(doctor("--json", "--image-roots", tmp_path / "file"))["IMAGE_ROOTS"]["said"]


def test_running_server_is_no_trouble(tmp_path: Path, photos: Path) -> None:
    site = Site(tmp_path, "serve", API_KEYS="secret-of-mine")
    site.start()
    wait_for((tmp_path / "data" / "server.json").exists, site.log)
    result = site.run("doctor", "--json")
    seen = {finding["what"].split()[0]: finding for finding in json.loads(result.stdout)["findings"]}
    assert result.returncode == 0, result.stdout
    assert seen["PORT"]["said"] == "In use, by the server that runs."
    assert "server that runs" in seen["vectors"]["said"]
    assert site.end(signal.SIGTERM) == 0
