"""A server under mixed load: many clients search, draw, upload, import and delete at once, without a pause.

    python -m tests.load 600

It has the encoder that ships, photos-100 (TSIR_SHARED_DATA names the folder that it lies in), and stores and pictures of its own. Prints
what was answered, how long searches took, the memory of the server and of its decoders every half minute, and what `tsir check` finds in
the end. Ends with 1 when an answer was an error that was not announced, or a picture is lost or too many.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import typer
from PIL import Image, ImageDraw

from tests import processes
from tests.processes import Site, wait_for
from tests.trials import idle

CLIENTS = 32
WORK = {"text": 52, "sketch": 28, "upload": 8, "delete": 10, "import": 2}
"""How often each is done, of a hundred times: two cores encode the pictures about as fast as they come."""
BATCH = 3
"""New pictures of each folder that is imported."""
REPORT_S = 30.0
TSIR_COMMAND = (sys.executable, "-c", "from tsir.cli import main; main()")
TSIR = "/api/v1/collections/tsir"
THINGS = ("a dog", "two people", "a red bus", "food on a plate", "a cat", "a train", "a horse", "a boat", "a child", "an empty bench")
PLACES = ("in the snow", "on a table", "at the beach", "in a street", "in the grass", "near a window", "at night", "under a tree")


class Load:
    """What the clients share."""

    def __init__(self, site: Site, photos: list[Path]) -> None:
        self.site = site
        self.photos = photos
        self.folder = site.folder / "photos"
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.answers: Counter[tuple[str, str]] = Counter()
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)
        self.found: list[int] = []
        self.added = self.deleted = self.folders = 0

    def client(self, number: int) -> None:
        """Work until it is over."""
        rng = random.Random(number)
        with httpx.Client(base_url=f"http://127.0.0.1:{self.site.port}", timeout=120, trust_env=False) as http:
            while not self.over.is_set():
                (what,) = rng.choices(list(WORK), list(WORK.values()))
                begun = time.monotonic()
                try:
                    answer = getattr(self, f"do_{what}")(http, rng)
                except httpx.HTTPError as error:
                    self.note(what, type(error).__name__, begun)
                    continue
                if answer is not None:
                    announced = " announced" if answer.status_code == 503 and "Retry-After" in answer.headers else ""
                    self.note(what, f"{answer.status_code}{announced}", begun)

    def note(self, what: str, how: str, begun: float) -> None:
        with self.lock:
            self.answers[what, how] += 1
            self.seconds[what].append(time.monotonic() - begun)

    def do_text(self, http: httpx.Client, rng: random.Random) -> httpx.Response:
        return self._seen(http.post(f"{TSIR}/search", data={"text": f"{rng.choice(THINGS)} {rng.choice(PLACES)}"}))

    def do_sketch(self, http: httpx.Client, rng: random.Random) -> httpx.Response:
        return self._seen(http.post(f"{TSIR}/search", files={"sketch": ("sketch.png", drawing(rng))}))

    def _seen(self, answer: httpx.Response) -> httpx.Response:
        if answer.status_code == 200:
            with self.lock:
                self.found = [hit["id"] for hit in answer.json()["hits"]] or self.found
        return answer

    def do_upload(self, http: httpx.Client, rng: random.Random) -> httpx.Response:
        answer = http.post(f"{TSIR}/imports", files={"files": ("new.jpg", self.new(rng))})
        with self.lock:
            self.added += answer.status_code == 202
        return answer

    def do_import(self, http: httpx.Client, rng: random.Random) -> httpx.Response:
        with self.lock:
            self.folders += 1
            folder = self.folder / f"new{self.folders:05}"
        folder.mkdir()
        for number in range(BATCH):
            (folder / f"{number}.jpg").write_bytes(self.new(rng))
        answer = http.post(f"{TSIR}/imports", json={"path": str(folder)})
        with self.lock:
            self.added += BATCH * (answer.status_code == 202)
        return answer

    def do_delete(self, http: httpx.Client, rng: random.Random) -> httpx.Response | None:
        with self.lock:
            if not self.found:
                return None
            id = rng.choice(self.found)
        answer = http.delete(f"{TSIR}/images/{id}")
        with self.lock:
            self.deleted += answer.status_code == 200
        return answer

    def new(self, rng: random.Random) -> bytes:
        """A picture that is not there yet: a part of a photo, with one pixel of its own."""
        with Image.open(rng.choice(self.photos)) as photo:
            width, height = photo.size
            left, top = rng.randrange(width // 3), rng.randrange(height // 3)
            part = photo.convert("RGB").crop((left, top, left + width * 2 // 3, top + height * 2 // 3))
        data = io.BytesIO()
        part.save(data, "JPEG", comment=f"{rng.getrandbits(64)}")
        return data.getvalue()


def drawing(rng: random.Random) -> bytes:
    """A few lines and rounds, black on white."""
    canvas = Image.new("L", (300, 300), "white")
    draw = ImageDraw.Draw(canvas)
    for _ in range(rng.randint(2, 6)):
        points = [(rng.randrange(300), rng.randrange(300)) for _ in range(rng.randint(2, 7))]
        if rng.random() < 0.5:
            draw.line(points, fill="black", width=4, joint="curve")
        else:
            (x, y), size = points[0], rng.randint(20, 120)
            draw.ellipse((x, y, x + size, y + size), outline="black", width=4)
    data = io.BytesIO()
    canvas.save(data, "PNG")
    return data.getvalue()


def memory(pid: int) -> int:
    """Resident bytes of a process; 0 of one that ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def below(pid: int) -> list[int]:
    """Processes that a process started, and those that they did."""
    found: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            started = [int(child) for child in children.read_text().split()]
        except OSError:
            continue
        found += started + [one for child in started for one in below(child)]
    return found


def run(seconds: float) -> bool:
    """The whole of it; whether all was well."""
    data = os.environ.get("TSIR_SHARED_DATA", "")
    photos = sorted((Path(data) / "photos-100").glob("*.jpg")) if data else []
    if not photos:
        raise SystemExit("TSIR_SHARED_DATA names no folder in which photos-100 lies.")
    with tempfile.TemporaryDirectory(prefix="tsir-load-") as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        site = Site(folder, "serve", NUM_WORKERS="2", IMAGE_ROOTS=os.pathsep.join([str(folder / "photos"), str(photos[0].parent)]))
        site.command = [*TSIR_COMMAND, "serve"]
        site.start()
        try:
            return _loaded(site, photos, seconds)
        finally:
            if site.process is not None:
                site.end(signal.SIGKILL)
            site.http.close()


def _loaded(site: Site, photos: list[Path], seconds: float) -> bool:
    assert site.process is not None
    assert site.http.post(f"{TSIR}/imports", json={"path": str(photos[0].parent)}).status_code == 202
    wait_for(idle(site), site.log)
    first = _count(site)
    load = Load(site, photos)
    clients = [threading.Thread(target=load.client, args=(number,)) for number in range(CLIENTS)]
    begun = time.monotonic()
    for client in clients:
        client.start()
    while (passed := time.monotonic() - begun) < seconds:
        pid = site.process.pid
        decoders = below(pid)
        sizes = memory(pid) / 2**20, sum(map(memory, decoders)) / 2**20
        typer.echo(f"{passed:5.0f} s  server {sizes[0]:.0f} MB, {len(decoders)} decoders {sizes[1]:.0f} MB, {load.answers.total()} answers")
        load.over.wait(min(REPORT_S, max(0.1, seconds - passed)))
    load.over.set()
    for client in clients:
        client.join()
    took = time.monotonic() - begun
    for (what, how), count in sorted(load.answers.items()):
        typer.echo(f"{what:7} {how:14} {count:6}")
    for what in WORK:
        if times := load.seconds[what]:
            typer.echo(f"{what:7} p50 {np.percentile(times, 50):.2f} s, p95 {np.percentile(times, 95):.2f} s")
    typer.echo(f"{load.answers.total()} answers to {CLIENTS} clients in {took:.0f} s.")
    wait_for(idle(site), site.log)
    last = _count(site)
    stopping = time.monotonic()
    code = site.end(signal.SIGTERM)
    stopped = time.monotonic() - stopping
    expected = first + load.added - load.deleted
    typer.echo(f"{first} pictures + {load.added} added - {load.deleted} deleted = {expected}; there are {last}.")
    typer.echo(f"SIGTERM: ended with {code} after {stopped:.1f} s.")
    checked = _check(site)
    typer.echo(f"tsir check: {json.dumps(checked)}")
    bad = {how for _, how in load.answers if how not in ("200", "202", "404", "503 announced")}
    return not bad and expected == last == checked["images"] == checked["vectors"] and not checked["problems"] and code == 0


def _count(site: Site) -> int:
    return int(site.http.get(TSIR).json()["count"])


def _check(site: Site) -> dict[str, Any]:
    done = subprocess.run([*TSIR_COMMAND, "check", "--json"], env=site.environment, capture_output=True, text=True, check=False)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    processes.PATIENCE_S = 900.0
    sys.exit(0 if run(float(sys.argv[1]) if len(sys.argv) > 1 else 600.0) else 1)
