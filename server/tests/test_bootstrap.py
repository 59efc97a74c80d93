"""Set-up: what it does on a fresh checkout, and what it does not do twice. And the lock files that it installs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import bootstrap
import pytest
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Ran = Callable[[], list[str]]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a lock file for each extra, nothing set up."""
    root = tmp_path / "checkout"
    (root / "server").mkdir(parents=True)
    for name in ("requirements", "requirements-dev", "requirements-torch", "requirements-train"):
        (root / "server" / f"{name}.txt").write_text(f"# {name}\n")
    (root / "server" / "pyproject.toml").write_text("")
    monkeypatch.delenv("PYTHON", raising=False)
    move_to(root, monkeypatch)
    return root


def move_to(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "ROOT", root)
    monkeypatch.setattr(bootstrap, "SERVER", root / "server")
    monkeypatch.setattr(bootstrap, "VENV", root / ".venv")
    monkeypatch.setattr(bootstrap, "PYTHON", root / ".venv" / "bin" / "python")
    monkeypatch.setattr(bootstrap, "STATE", root / ".venv" / "tsir-setup.json")
    monkeypatch.setattr(bootstrap, "LOCKS", {name: root / "server" / path.name for name, path in bootstrap.LOCKS.items()})


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Ran:
    """What was run since the last call; environments are real, but pip only leaves its traces."""
    done: list[str] = []

    def run(command: list[str | Path], what: str, **_: object) -> None:
        if "venv" in command:
            subprocess.run([*command, "--without-pip"], check=True)
            done.append("venv")
        elif "-e" in command:
            (bootstrap.VENV / "bin" / "tsir").touch()
            done.append("tsir")
        else:
            done.append(Path(command[-1]).stem.removeprefix("requirements-"))

    def since() -> list[str]:
        told = list(done)
        done.clear()
        return told

    monkeypatch.setattr(bootstrap, "run", run)
    return since


def test_a_second_setup_does_nothing(checkout: Path, ran: Ran) -> None:
    bootstrap.setup(set())
    assert ran() == ["venv", "requirements", "tsir"]
    bootstrap.setup(set())
    assert ran() == []


def test_extras_add_up_and_a_changed_lock_is_installed_again(checkout: Path, ran: Ran) -> None:
    bootstrap.setup({"dev"})
    ran()
    bootstrap.setup({"train"})
    assert ran() == ["torch", "train"]
    (checkout / "server" / "requirements-dev.txt").write_text("# another\n")
    bootstrap.setup(set())
    assert ran() == ["dev"]


def test_an_interrupted_setup_goes_on_where_it_stopped(checkout: Path, ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    working = bootstrap.run

    def pulled_plug(command: list[str | Path], what: str, **kwargs: object) -> None:
        if "dev" in what:
            raise KeyboardInterrupt
        working(command, what, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(bootstrap, "run", pulled_plug)
    with pytest.raises(KeyboardInterrupt):
        bootstrap.setup({"dev"})
    ran()
    monkeypatch.setattr(bootstrap, "run", working)
    bootstrap.setup(set())
    assert ran() == ["dev", "tsir"]


def test_a_moved_checkout_gets_a_new_environment_with_the_same_extras(checkout: Path, ran: Ran, monkeypatch: pytest.MonkeyPatch) -> None:
    bootstrap.setup({"dev"})
    ran()
    moved = checkout.with_name("moved")
    shutil.move(checkout, moved)
    move_to(moved, monkeypatch)
    bootstrap.setup(set())
    assert ran() == ["venv", "requirements", "dev", "tsir"]


def test_another_python_gets_a_new_environment(checkout: Path, ran: Ran) -> None:
    bootstrap.setup(set())
    ran()
    state = json.loads(bootstrap.STATE.read_text())
    bootstrap.STATE.write_text(json.dumps(state | {"python": "3.10.0"}))
    bootstrap.setup(set())
    assert ran() == ["venv", "requirements", "tsir"]


def test_a_broken_environment_is_made_anew(checkout: Path, ran: Ran) -> None:
    bootstrap.setup(set())
    ran()
    bootstrap.PYTHON.unlink()
    bootstrap.setup(set())
    assert ran() == ["venv", "requirements", "tsir"]


def test_an_unknown_extra_is_refused_with_the_known_ones(checkout: Path) -> None:
    with pytest.raises(bootstrap.SetupError, match=r"EXTRAS=cuda: no such extra\. Known: torch, train, ray, dev, raw, jxl"):
        bootstrap.setup({"cuda"})


def test_images_are_looked_for_where_make_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "called from" / "my 'photos' $HOME"
    folder.mkdir(parents=True)
    monkeypatch.setenv("TSIR_IMAGES", folder.name)
    monkeypatch.setenv("TSIR_CALLED_FROM", str(folder.parent))
    assert bootstrap.images_folder() == folder
    monkeypatch.setenv("TSIR_CALLED_FROM", "/elsewhere")  # what PWD says in a program that changed its folder
    monkeypatch.chdir(folder.parent)
    assert bootstrap.images_folder() == folder
    monkeypatch.setenv("TSIR_IMAGES", "phptos")
    with pytest.raises(bootstrap.SetupError, match=r"IMAGES=phptos: there is no such folder \(seen from /elsewhere\)"):
        bootstrap.images_folder()


def test_pip_is_not_led_astray_by_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_TARGET", "/elsewhere")
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages.example")
    environment = bootstrap.pip_environment()
    assert "PIP_TARGET" not in environment
    assert environment["PIP_INDEX_URL"] == "https://packages.example"


def locked(name: str) -> dict[str, list[Requirement]]:
    """The requirements of a lock file by normalised name."""
    found: dict[str, list[Requirement]] = {}
    for line in bootstrap.LOCKS[name].read_text().splitlines():
        if re.match(r"[a-z0-9]", line):
            requirement = Requirement(line.rstrip("\\ "))
            found.setdefault(normal(requirement.name), []).append(requirement)
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_lock_files_have_what_the_project_asks_for() -> None:
    project = tomllib.loads((bootstrap.SERVER / "pyproject.toml").read_text())["project"]
    base = locked("base")
    asked = {"base": project["dependencies"], **project["optional-dependencies"]}
    for extra, texts in asked.items():
        known = base | locked(extra) | (locked("torch") if extra == "train" else {})
        for requirement in map(Requirement, texts):
            pins = known.get(normal(requirement.name), [])
            versions = [next(iter(pin.specifier)).version for pin in pins]
            assert versions, f"{requirement} of {extra} is not locked: run `make lock`"
            assert all(requirement.specifier.contains(version) for version in versions), f"{requirement} of {extra}: run `make lock`"


def test_lock_files_name_exact_versions_and_hashes_and_no_host() -> None:
    for name, path in bootstrap.LOCKS.items():
        text = path.read_text()
        assert "://" not in text
        pins = [pin for pins in locked(name).values() for pin in pins]
        assert all([spec.operator for spec in pin.specifier] == ["=="] for pin in pins)
        blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
        assert len(blocks) == len(pins)
        assert all("--hash=sha256:" in block for block in blocks)


def test_the_default_installs_no_torch() -> None:
    assert not {"torch", "torchvision", "open-clip-torch", "pytest"} & set(locked("base"))


def test_work_beside_other_work_is_told_after_it_and_its_failure_counts(capsys: pytest.CaptureFixture[str]) -> None:
    with bootstrap.beside(lambda: bootstrap.run([sys.executable, "-c", "pass"], "The client")):
        bootstrap.say("The packages")
    assert re.fullmatch(r"The packages\nThe client \.\.\. \d+ s\n", capsys.readouterr().out)
    with (
        pytest.raises(bootstrap.SetupError, match="The client failed"),
        bootstrap.beside(lambda: bootstrap.run([sys.executable, "-c", "raise SystemExit(1)"], "The client")),
    ):
        pass


def test_work_beside_ends_with_what_it_is_beside() -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        bootstrap.beside(lambda: bootstrap.run([sys.executable, "-c", "import time; time.sleep(1000)"], "The client")),
    ):
        raise KeyboardInterrupt
    assert not any(isinstance(thread, bootstrap.Beside) for thread in threading.enumerate())
