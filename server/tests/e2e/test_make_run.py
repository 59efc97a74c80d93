"""`make run`, as the README says it: in this checkout, with a library of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.conftest import IMPORT_S, ROOT, START_S, ask, wait_until
from tests.ports import free_ports
from tests.skips import skip_or_fail

pytestmark = pytest.mark.e2e


@contextmanager
def make_run(arguments: list[str], environment: dict[str, str], cwd: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`make run`, ended by Ctrl-C."""
    command = ["make", "--no-print-directory", "-C", str(ROOT), "run", *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, cwd=cwd, stdout=output, stderr=output, start_new_session=True)
        try:
            yield process
            os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=60)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def test_make_run_imports_a_folder_once_and_starts_again(dist: Path, tmp_path: Path) -> None:
    if not (ROOT / ".venv" / "tsir-setup.json").is_file() or shutil.which("make") is None:
        skip_or_fail("This checkout was not set up by `make setup`")
    photos = tmp_path / "my $photos 'n' more"
    photos.mkdir()
    for name, colour in {"red": (250, 10, 10), "猫": (10, 10, 250)}.items():
        Image.new("RGB", (80, 60), colour).save(photos / f"{name}.png")
    (port, client_port), log = free_ports(2), tmp_path / "log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MILVUS", "MYSQL", "DATABASE", "IMAGE_ROOTS"))}
    environment |= {"DATA_DIR": str(tmp_path / "data"), "PORT": str(port), "CLIENT_PORT": str(client_port), "PWD": str(tmp_path)}
    url = f"http://127.0.0.1:{port}"

    def told() -> str:
        return log.read_text(errors="replace")

    def counted() -> bool:
        assert process.poll() is None, told()
        try:
            return ask("POST", f"{url}/img/count") == (200, 2)
        except OSError:
            return False

    with make_run([f"IMAGES={photos.name}"], environment, tmp_path, log) as process:
        wait_until("Both pictures are there", counted, START_S + IMPORT_S)
        wait_until("The import is told", lambda: "2 imported, 0 skipped" in told(), 30)
        assert ask("GET", f"http://127.0.0.1:{client_port}/health/ready")[0] in (200, 404)
        status, _ = ask("POST", f"{url}/api/v1/collections/tsir/imports", {"path": str(photos)})
        assert status == 202, "the folder in IMAGES may be imported over HTTP, too"
    with make_run([], environment | {"IMAGES": str(photos)}, tmp_path, log) as process:
        wait_until("The second start is ready", counted, START_S)
        wait_until("The second import is told", lambda: "0 imported, 2 skipped" in told(), 30)
    assert "Installing" not in told()
