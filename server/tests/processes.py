"""Real processes of the program, on free ports, with the encoder whose vectors can be computed by hand."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.ports import free_ports

PATIENCE_S = 120.0
"""How long a process may need for what is waited for."""


class Site:
    """`tsir serve` or `tsir up` in a process of its own."""

    patience = 240.0  # seconds until it must be ready

    def __init__(self, folder: Path, command: str = "serve", *arguments: str, **environment: str) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.port, self.client_port = free_ports(2)
        self.command = [sys.executable, "-m", "tests.serve", command, *arguments]
        self.environment = {
            **os.environ,
            "DATA_DIR": str(folder / "data"),
            "PORT": str(self.port),
            "CLIENT_PORT": str(self.client_port),
            "IMAGE_ROOTS": str(folder / "photos"),
            **environment,
        }
        self.http = self._client()
        self.process: subprocess.Popen[bytes] | None = None

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60, trust_env=False)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, env=self.environment, cwd=Path(__file__).parents[1], stdout=log, stderr=log)
        wait_for(self.ready, self.log, self.patience)

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.http.get("/health/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def end(self, how: int) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(PATIENCE_S / 2)
        self.http.close()
        self.http = self._client()
        self.process = None
        return code

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command on the same DATA_DIR."""
        command = [sys.executable, "-m", "tests.serve", *arguments]
        return subprocess.run(command, env=self.environment, cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=120)


def wait_for(true: Callable[[], bool], log: Path, seconds: float | None = None) -> None:
    deadline = time.monotonic() + (seconds or PATIENCE_S)
    while not true():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
