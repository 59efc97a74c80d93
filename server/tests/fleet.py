"""Two API processes over one Milvus and one MariaDB, asked by many at once: what they answer, how fast, and that both tell the same.

    python -m tests.fleet PHOTOS 600           for ten minutes, by 32 clients
    python -m tests.fleet PHOTOS 60 8          for one, by eight

Starts the servers that the tests use, imports the folder, then each client asks either process by chance: searches by words, by a drawing
and by both, uploads (each a new picture), and deletions of what was uploaded. At the end both processes must list the same pictures,
those that were acknowledged and no other, and `check` must be clean. Prints the answers by kind and status, their times and the memory
of the processes. Clients, stores and servers share this machine: the figures are lower bounds.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import typer
from PIL import Image

from tests.processes import Site, wait_for
from tests.trials import idle, server_of, stop
from tsir.evaluation.bench import _sketch
from tsir.evaluation.whole import WORDS
from tsir.library.check import check
from tsir.library.library import Library
from tsir.settings import Settings

KINDS = {"words": 60, "drawing": 15, "both": 15, "upload": 6, "delete": 4}
"""What a client asks, and how often."""
PATIENCE_S = 1_200.0
"""For a start, the import and the jobs that are left: this is for busy machines, too."""
IDLE_S = 2.0
"""After so long a client opens a connection anew: servers close those that are not used."""
FIRST = "/api/v1/collections/tsir"


class Fleet:
    """What the clients know of each other."""

    def __init__(self, ports: list[int], until: float) -> None:
        self.ports = ports
        self.until = until
        self.lock = threading.Lock()
        self.uploaded: dict[int, str] = {}
        """Content of what was uploaded and not deleted, by its number."""
        self.unsure: set[str] = set()
        """What was sent or deleted and not acknowledged."""
        self.answers: dict[str, Counter[int]] = defaultdict(Counter)
        self.times: dict[str, list[float]] = defaultdict(list)
        self.wrong: list[str] = []
        self._used: dict[http.client.HTTPConnection, float] = {}

    def client(self, seed: int) -> None:
        chance, draw = random.Random(seed), np.random.default_rng(seed)
        connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=120) for port in self.ports]
        drawing = io.BytesIO()
        _sketch().save(drawing, "PNG")
        number = 0
        while time.monotonic() < self.until:
            kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
            connection, number = chance.choice(connections), number + 1
            words = {"text": f"{chance.choice(WORDS)} {seed} {number}"}
            if kind == "upload":
                self._upload(connection, draw)
            elif kind == "delete":
                self._delete(connection)
            else:
                fields = {"limit": "30", **({} if kind == "drawing" else words)}
                body, header = form(fields, {} if kind == "words" else {"sketch": drawing.getvalue()})
                status, data = self._ask(kind, connection, "POST", f"{FIRST}/search", body, header)
                if status == 200 and not json.loads(data)["hits"]:
                    self.wrong.append(f"{kind}: no hits")

    def _upload(self, connection: http.client.HTTPConnection, draw: np.random.Generator) -> None:
        data = io.BytesIO()
        Image.fromarray(draw.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((640, 480)).save(data, "JPEG")
        content = hashlib.sha256(data.getvalue()).hexdigest()[:16]  # as an address of a thumbnail has it
        with self.lock:
            self.unsure.add(content)
        body, header = form({}, {"image": data.getvalue()})
        status, answer = self._ask("upload", connection, "POST", f"/img/upload?{urlencode({'table_name': 'tsir'})}", body, header)
        if status == 200:
            with self.lock:
                self.unsure.discard(content)
                self.uploaded[int(json.loads(answer).rpartition(" ")[2])] = content

    def _delete(self, connection: http.client.HTTPConnection) -> None:
        with self.lock:
            if not self.uploaded:
                return
            id = next(iter(self.uploaded))
            content = self.uploaded.pop(id)
            self.unsure.add(content)
        status, _ = self._ask("delete", connection, "DELETE", f"{FIRST}/images/{id}")
        if status == 200:
            with self.lock:
                self.unsure.discard(content)

    def _ask(
        self,
        kind: str,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None = None,
        header: str | None = None,
    ) -> tuple[int, bytes]:
        begun = time.perf_counter()
        if time.monotonic() - self._used.get(connection, 0.0) > IDLE_S:
            connection.close()  # the server may be closing it just now; it is opened again
        try:
            connection.request(method, path, body, {"Content-Type": header} if header else {})
            response = connection.getresponse()
            status, data = response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            status, data = 0, repr(error).encode()
        self._used[connection] = time.monotonic()
        with self.lock:
            self.answers[kind][status] += 1
            self.times[kind].append(1000 * (time.perf_counter() - begun))
            if status != 200 and len(self.wrong) < 20:
                self.wrong.append(f"{kind}: {status} {data[:200]!r}")
        return status, data


def form(fields: dict[str, str], files: dict[str, bytes]) -> tuple[bytes, str]:
    mark = "tsir-fleet"
    parts = [f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]
    for name, data in files.items():
        head = f'--{mark}\r\nContent-Disposition: form-data; name="{name}"; filename="a"\r\nContent-Type: image/png\r\n\r\n'
        parts.append(head.encode() + data + b"\r\n")
    return b"".join([*parts, f"--{mark}--\r\n".encode()]), f"multipart/form-data; boundary={mark}"


def listed(site: Site) -> dict[int, str]:
    """All pictures that a process tells of: their content by their number."""
    found: dict[int, str] = {}
    cursor: str | None = None
    while True:
        answer = site.http.get(f"{FIRST}/images", params={"limit": 1000, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        found.update({image["id"]: image["thumbnail_url"].rpartition("v=")[2] for image in answer.json()["images"]})
        cursor = answer.json()["next"]
        if cursor is None:
            return found


def nearest(site: Site, words: str) -> list[int]:
    answer = site.http.post(f"{FIRST}/search", data={"text": words, "limit": "20"})
    assert answer.status_code == 200, answer.text
    return [hit["id"] for hit in answer.json()["hits"]]


def memory(pid: int) -> float:
    """What a process and its children hold, MB."""
    total = 0.0
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        try:
            lines = Path(f"/proc/{one}/status").read_text().splitlines()
            waiting += [int(child) for task in Path(f"/proc/{one}/task").iterdir() for child in (task / "children").read_text().split()]
        except OSError:
            continue
        total += sum(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))
    return total


def run(photos: Path, seconds: float, clients: int) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tsir-fleet-")))
        folder.chmod(0o755)
        mariadb, milvus = (server_of(name, folder, stack) for name in ("mariadb", "milvus"))
        mariadb.execute("CREATE DATABASE fleet CHARACTER SET utf8mb4")
        stores = {"DATABASE_URL": mariadb.url("fleet"), "MILVUS_URI": milvus.uri}
        sites = []
        for place in ("a", "b"):
            (folder / place).mkdir()
            site = Site(folder / place, UPLOAD_PATH=str(folder / "uploads"), IMAGE_ROOTS=str(photos), **stores)
            site.command = [sys.executable, "-c", "from tsir.cli import main; main()", "serve"]
            site.patience = PATIENCE_S
            stack.callback(stop, site)
            site.start()
            sites.append(site)
        answer = sites[0].http.post(f"{FIRST}/imports", json={"path": str(photos)})
        assert answer.status_code == 202, answer.text
        wait_for(idle(sites[1]), sites[1].log, PATIENCE_S)
        before = set(listed(sites[1]).values())
        typer.echo(f"{len(before)} pictures; {clients} clients for {seconds:.0f} s")

        fleet = Fleet([site.port for site in sites], time.monotonic() + seconds)
        threads = [threading.Thread(target=fleet.client, args=(seed,)) for seed in range(clients)]
        begun = time.monotonic()
        most = [0.0, 0.0]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            time.sleep(1)
            most = [max(held, memory(site.process.pid)) for held, site in zip(most, sites, strict=True) if site.process]
        taken = time.monotonic() - begun
        for site in sites:
            wait_for(idle(site), site.log, PATIENCE_S)

        for kind in KINDS:
            times = fleet.times[kind] or [0.0]
            statuses = ", ".join(f"{count:,} x {status}" for status, count in sorted(fleet.answers[kind].items()))
            typer.echo(f"{kind}: {statuses}; p50 {np.percentile(times, 50):.0f} ms, p95 {np.percentile(times, 95):.0f} ms")
        total = sum(counter.total() for counter in fleet.answers.values())
        typer.echo(f"{total / taken:.1f} answers a second; at most {most[0]:.0f} and {most[1]:.0f} MB in the processes")
        for line in fleet.wrong:
            typer.echo(f"  {line}")

        seen, other = (listed(site) for site in sites)
        assert seen == other, "the processes list different pictures"
        expected = before | set(fleet.uploaded.values())
        assert expected <= set(seen.values()), f"{len(expected - set(seen.values()))} acknowledged pictures are lost"
        extra = set(seen.values()) - expected - fleet.unsure
        assert not extra, f"{len(extra)} deleted pictures are there"
        assert len(set(seen.values())) == len(seen), "a picture is there twice"
        assert all(nearest(sites[0], words) == nearest(sites[1], words) for words in WORDS), "the processes find different pictures"
        for site in sites:
            assert site.end(signal.SIGTERM) == 0
        own = {"data_dir": folder / "a" / "data", "upload_path": folder / "uploads", "image_roots": str(photos)}
        settings = Settings(**own, **{name.lower(): value for name, value in stores.items()}, _env_file=None)  # type: ignore[call-arg, arg-type]
        with Library.open(settings) as library:
            report = check(library)
        typer.echo(f"both list the same {len(seen)} pictures; check: {report}")
        assert report.clean, report


if __name__ == "__main__":
    os.environ.pop("API_KEYS", None)
    run(Path(sys.argv[1]).resolve(), float(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 32)
