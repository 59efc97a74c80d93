"""Trials of a whole server: what happens to it again and again must cost no row, vector or upload.

    python -m tests.trials imports=100 mount=30 disk=30 vectors=30 mariadb=30 milvus=30

Each series has a server, pictures and uploads of its own; it ends with a comparison of everything. `disk` mounts a small tmpfs: run
it as root. `mariadb` and `milvus` start the servers that the tests use. Prints a line a series; ends with 1 when anything was lost.
"""

from __future__ import annotations

import hashlib
import io
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import typer
from PIL import Image

from tests import processes
from tests.processes import Site, wait_for
from tests.services.fixtures import MariaDB, Milvus, Server
from tsir.library.check import check
from tsir.library.library import Library
from tsir.records import Image as Stored
from tsir.settings import Settings

processes.PATIENCE_S = 900.0  # on a machine with much else to do

PICTURES = 120
"""Of each folder."""
DISK = 48 * 2**20
"""Bytes of the disk that gets full."""


def picture(rng: np.random.Generator) -> bytes:
    data = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((64, 48)).save(data, "PNG", compress_level=1)
    return data.getvalue()


@contextmanager
def uploading(site: Site, rng: np.random.Generator) -> Iterator[set[str]]:
    """Upload pictures one after the other meanwhile; gives the hashes of those that were acknowledged."""
    acknowledged: set[str] = set()
    over = threading.Event()

    def work() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{site.port}", timeout=10, trust_env=False) as http:
            while not over.wait(0.1):
                data = picture(rng)
                try:
                    answer = http.post("/api/v1/collections/tsir/imports", files={"files": ("a.png", data)})
                except httpx.HTTPError:
                    continue
                assert answer.status_code in (202, 503), answer.text
                if answer.status_code == 202:
                    acknowledged.add(hashlib.sha256(data).hexdigest())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield acknowledged
    finally:
        over.set()
        thread.join()


def idle(site: Site) -> Callable[[], bool]:
    """Whether no job is left to do."""

    def answer() -> bool:
        try:
            reply = site.http.get("/api/v1/jobs?limit=1000")
        except httpx.HTTPError:
            return False
        return reply.status_code == 200 and not {job["state"] for job in reply.json()["jobs"]} & {"queued", "running"}

    return answer


def stored(library: Library) -> list[Stored]:
    images: list[Stored] = []
    cursor: str | None = None
    while True:
        page, cursor = library.collection("tsir").images(cursor=cursor, limit=1000)
        images += page
        if cursor is None:
            return images


@dataclass
class Trial:
    """A server with its pictures, and what it must know in the end."""

    folder: Path
    seed: int
    environment: dict[str, str] = field(default_factory=dict)
    expected: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.draw = np.random.default_rng(self.seed)
        self.photos = self.folder / "photos"
        self.photos.mkdir()
        self.site = Site(self.folder, "serve", NUM_WORKERS="2", **self.environment)
        self.data = Path(self.site.environment["DATA_DIR"])

    def fill(self, name: str) -> Path:
        """A new folder of pictures."""
        folder = self.photos / name
        folder.mkdir()
        for number in range(PICTURES):
            data = picture(self.draw)
            (folder / f"{number:03}.png").write_bytes(data)
            self.expected.add(hashlib.sha256(data).hexdigest())
        return folder

    def load(self, folder: Path) -> None:
        """Ask for its import; a server that announces that it cannot now is asked again."""

        def accepted() -> bool:
            try:
                answer = self.site.http.post("/api/v1/collections/tsir/imports", json={"path": str(folder)})
            except httpx.HTTPError:
                return False
            assert answer.status_code in (202, 503), answer.text
            return answer.status_code == 202

        wait_for(accepted, self.site.log)

    def again(self, how: int = signal.SIGKILL) -> None:
        """End the server and start it."""
        self.site.end(how)
        self.site.start()

    def settle(self) -> None:
        """Wait until all jobs are over, and those that follow from what they found."""
        for _ in range(2):
            wait_for(idle(self.site), self.site.log)
            time.sleep(0.5)

    def compare(self) -> str | None:
        """What is wrong in the end; None when nothing was lost or doubled, and `check` is clean."""
        self.settle()
        assert self.site.end(signal.SIGTERM) == 0
        names = {name.lower(): value for name, value in self.environment.items()}
        settings = Settings(data_dir=self.data, _env_file=None, **{n: names[n] for n in ("milvus_uri", "database_url") if n in names})  # type: ignore[call-arg, arg-type]
        with Library.open(settings) as library:
            images = stored(library)
            times = Counter(image.content_hash for image in images)
            report = check(library)
            if lost := self.expected - set(times):
                return f"{len(lost)} pictures are lost"
            if doubled := [one for one, count in times.items() if count > 1]:
                return f"{len(doubled)} pictures are there twice"
            if gone := [image for image in images if not any(Path(path).is_file() for path in image.paths)]:
                return f"{len(gone)} files are lost"
            if not report.clean or report.images != len(images) or report.vectors != len(images):
                return f"{len(images)} pictures, {report}"
        return None


def imports(trial: Trial, turn: int) -> None:
    """Killed while it imports and takes uploads."""
    trial.load(trial.fill(f"{turn:03}"))
    with uploading(trial.site, trial.draw) as acknowledged:
        time.sleep(trial.rng.uniform(0, 2.5))
        trial.again()
    trial.expected |= acknowledged
    trial.settle()


def mount(trial: Trial, turn: int) -> None:
    """A folder's drive goes, an empty folder is in its place, and it comes back; sometimes a kill comes between."""
    folder = trial.photos / "nas"
    if not turn:
        trial.load(trial.fill("nas"))
        trial.fill("here")
        trial.settle()
    away = trial.folder / "away"
    folder.rename(away)
    if trial.rng.random() < 0.7:
        folder.mkdir()
    trial.load(trial.photos)
    if trial.rng.random() < 0.3:
        time.sleep(trial.rng.uniform(0, 1))
        trial.again()
    trial.settle()
    if folder.exists():
        folder.rmdir()
    away.rename(folder)
    trial.load(trial.photos)
    trial.settle()


def disk(trial: Trial, turn: int) -> None:
    """The disk of DATA_DIR gets full while it imports and takes uploads; sometimes it is killed then; there is room again."""
    ballast = trial.data.parent / "ballast"
    trial.load(trial.fill(f"{turn:03}"))
    with uploading(trial.site, trial.draw) as acknowledged:
        time.sleep(trial.rng.uniform(0, 1.5))
        free = shutil.disk_usage(trial.data).free
        with suppress(OSError), ballast.open("wb") as file:
            for _ in range(max(0, free - trial.rng.choice([0, 0, 2**20, 4 * 2**20])) // 2**16):
                file.write(bytes(2**16))
                file.flush()
        time.sleep(trial.rng.uniform(0.5, 2.5))
        if trial.rng.random() < 0.4:
            trial.site.end(signal.SIGKILL)
            ballast.unlink(missing_ok=True)
            trial.site.start()
        else:
            ballast.unlink(missing_ok=True)
    trial.expected |= acknowledged
    trial.settle()
    shutil.rmtree(trial.data / "thumbnails", ignore_errors=True)  # a cache: the small disk is for the rest


def vectors(trial: Trial, turn: int) -> None:
    """The vectors are removed or spoiled while it is away."""
    trial.load(trial.fill(f"{turn:03}"))
    time.sleep(trial.rng.uniform(0, 2))
    trial.site.end(trial.rng.choice([signal.SIGKILL, signal.SIGTERM]))
    store = trial.data / "vectors.db"
    files = [path for path in store.rglob("*") if path.is_file() and path.name != "LOCK"]
    if not files or trial.rng.random() < 0.3:
        shutil.rmtree(store)
    else:
        path = trial.rng.choice(files)
        how = trial.rng.randrange(3)
        if how == 0:
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if how == 1 else trial.rng.randbytes(path.stat().st_size))
    trial.site.start()
    trial.settle()


def outage(server: Server) -> Callable[[Trial, int], None]:
    """A server of its stores is away while it imports and takes uploads."""

    def turn_of(trial: Trial, turn: int) -> None:
        trial.load(trial.fill(f"{turn:03}"))
        with uploading(trial.site, trial.draw) as acknowledged:
            time.sleep(trial.rng.uniform(0, 2))
            with server.down(kill=trial.rng.random() < 0.5):
                time.sleep(trial.rng.uniform(0, 3))
        trial.expected |= acknowledged
        trial.settle()

    return turn_of


SERIES = {"imports": imports, "mount": mount, "disk": disk, "vectors": vectors}


def run(name: str, turns: int, seed: int) -> str | None:
    """One series; what was wrong, or None."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"tsir-trial-{name}-")))
        folder.chmod(0o755)
        environment: dict[str, str] = {}
        if name == "disk":
            (folder / "small").mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder / "small")], check=True)
            stack.callback(subprocess.run, ["umount", "-l", str(folder / "small")], check=True)
            environment["DATA_DIR"] = str(folder / "small" / "data")
        if name in ("mariadb", "milvus"):
            server = server_of(name, folder, stack)
            turn_of = outage(server)
            if isinstance(server, MariaDB):
                server.execute("CREATE DATABASE trial CHARACTER SET utf8mb4")
                environment["DATABASE_URL"] = server.url("trial")
            elif isinstance(server, Milvus):
                environment["MILVUS_URI"] = server.uri
        else:
            turn_of = SERIES[name]
        trial = Trial(folder, seed, environment)
        stack.callback(stop, trial.site)
        trial.site.start()
        for turn in range(turns):
            turn_of(trial, turn)
            typer.echo(f"{name}: {turn + 1} of {turns}\r", nl=False, err=True)
        return trial.compare()


def server_of(name: str, folder: Path, stack: ExitStack) -> Server:
    """A MariaDB or a Milvus of its own, started; killed when the stack is left."""
    place = folder / name
    place.mkdir()
    place.chmod(0o755)
    server: Server
    if name == "mariadb":
        mariadbd = shutil.which("mariadbd", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
        assert mariadbd, "MariaDB is not installed"
        server = MariaDB(place, mariadbd)
        server.install()
    else:
        server = Milvus(place, Path(tempfile.gettempdir()) / "tsir-milvus-binaries")
    stack.callback(server.kill)
    server.start()
    return server


def stop(site: Site) -> None:
    """End a process, if it runs, and close its connections."""
    if site.process is not None:
        site.end(signal.SIGKILL)
    site.http.close()


if __name__ == "__main__":
    well = True
    for argument in sys.argv[1:]:
        name, _, turns = argument.partition("=")
        seed, begun = random.randrange(10**6), time.monotonic()
        wrong = run(name, int(turns or 1), seed)
        well = well and wrong is None
        typer.echo(f"{name}: {turns or 1} turns in {time.monotonic() - begun:.0f} s, {wrong or 'nothing lost'} (seed {seed})")
    sys.exit(0 if well else 1)
