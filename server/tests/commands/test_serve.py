"""How the server listens, and where it finds the GUI."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loops import run
from tsir.commands.serve import client_dist, listen
from tsir.errors import NotFound


def test_accepted_connections_send_small_answers_at_once() -> None:
    """Without TCP_NODELAY each answer on a kept-alive connection waits for a delayed acknowledgement."""

    async def accepted(bound: socket.socket) -> int:
        option: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            option.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(on_connection, sock=bound):  # as the web server does it
            _, writer = await asyncio.open_connection(*bound.getsockname())
            try:
                return await option
            finally:
                writer.close()

    with listen("127.0.0.1", 0, "the API", "--port") as bound:
        assert run(accepted(bound))


def test_a_wheel_holds_the_gui_where_it_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a project of one file in the place of ours, whose weights would have to be copied."""
    server, built = tmp_path / "server", tmp_path / "client" / "dist"
    (server / "src" / "tsir").mkdir(parents=True)
    (server / "src" / "tsir" / "__init__.py").touch()
    (server / "pyproject.toml").write_text('[project]\nname = "tsir"\nversion = "1"\n[tool.setuptools.packages.find]\nwhere = ["src"]\n')
    shutil.copy(Path(__file__).parents[2] / "setup.py", server)
    package = tmp_path / "wheel" / "tsir"

    def build() -> None:
        subprocess.run([sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(package.parent)], cwd=server, check=True)

    build()
    monkeypatch.setattr("tsir.__file__", str(package / "__init__.py"))
    with pytest.raises(NotFound, match="make client"):
        client_dist(None)
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text("<!doctype html>")
    (built / ".tsir-setup").touch()
    (built / "assets" / "page.js").touch()
    build()
    assert client_dist(None) == package / "gui"
    assert sorted(path.name for path in (package / "gui").rglob("*")) == ["assets", "index.html", "page.js"]
