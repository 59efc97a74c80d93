"""Everything in one run, each figure beside what bounds it: `tsir bench all FOLDER`. And answers of libraries of any size: `bench answers`.

Speeds of a shared machine differ from hour to hour; a ratio of two that were measured one after the other does not. So each row names its
bound: the part's own limit (decoding alone, the encoder alone, an HTTP answer with nothing in it) or the reference's way, a picture at a
time.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tsir.encoders.base import Encoder, unit
from tsir.errors import StoreUnavailable
from tsir.evaluation.tables import Say, Table, percentile, silent, times
from tsir.importing.reading import least_sides, open_within
from tsir.media.decode import Picture
from tsir.paging import chunks
from tsir.records import FileStat, NewImage
from tsir.services.imports import submit_folder
from tsir.services.opening import opened
from tsir.settings import Settings

ROUNDS = 5
"""Each figure is the median of so many."""
CLIENTS = 16
ASKED_S = 5.0
"""For so long the clients ask."""
SETTLING_S = 8.0
"""And before that, unmeasured."""
WORDS = ("a dog in the snow", "two people at a table with food", "a red bus in the street", "a boat on the water", "a child with a ball")
COLLECTION = "bench"
FIRST_DAY, DAYS = datetime(2000, 1, 1), 9_000
"""Pictures of a library that is filled were taken in these days."""
ORIGINALS = 200
"""So many files lend it their vectors."""
ASIDE = 0.5
"""So long is what is added to each, beside 1: their cosines with it are 0.9, as of pictures of one event."""
FILLED_AT_ONCE = 2_000
LARGE = 60
"""So many pictures of 12 megapixels."""
IMPORTED = "import, thumbnails included"


@dataclass(frozen=True)
class Row:
    """One figure, what bounds it, and the ratio of the two."""

    what: str
    value: float
    unit: str
    bound: str
    limit: float

    def shown(self) -> dict[str, Any]:
        return {
            "what": f"{self.what}, {self.unit}",
            "value": self.value,
            "bound": self.bound,
            "limit": self.limit,
            "ratio": self.value / self.limit,
        }


def run_all(
    settings: Settings,
    encoder: Encoder,
    folder: Path,
    files: Sequence[Path],
    sketch: Image.Image,
    say: Say = silent,
    *,
    thorough: bool = True,
) -> list[Table]:
    """Import, start, searches. `files` are the pictures of `folder`. Servers and stores are made in a temporary folder.

    Not `thorough`: each once, without the reference's way, to see that it runs.
    """
    with tempfile.TemporaryDirectory(prefix="tsir-bench-") as scratch:
        own = _own(settings, scratch, folder)
        rows = _importing(own, encoder, folder, files, say, thorough)
        said = f"{len(files):,} pictures, {encoder.name}, {os.cpu_count()} cores"
        return [Table(f"import: {said}", [row.shown() for row in rows]), *_serving(own, encoder, sketch, said, say, thorough)]


def _own(settings: Settings, scratch: str, folder: Path) -> Settings:
    """Those of a library in a temporary folder."""
    own = Settings(
        data_dir=Path(scratch) / "data",
        model=settings.model,
        weights=settings.weights,
        image_roots=f"{folder}{os.pathsep}{scratch}",
        _env_file=None,
    )
    return own.model_copy(update={"batch_size": settings.batch_size, "num_workers": settings.num_workers, "device": settings.device})


def _importing(settings: Settings, encoder: Encoder, folder: Path, files: Sequence[Path], say: Say, thorough: bool) -> list[Row]:
    """Pictures a second: imports, and what they cannot be faster than, which is measured before and after them."""
    large = _large(files, settings.data_dir.with_name("large"), LARGE if thorough else 1)
    bounds = _Bounds(settings, encoder, files[:128], large)
    rounds = ROUNDS if thorough else 1
    for turn in range((rounds + 1) // 2):
        say("decoding and encoding alone", turn / rounds)
        bounds.measure()
    reference = [_reference(files[:12])] if thorough else []
    with opened(settings) as service:
        service.load_encoder()  # that is a start, no import
        service.library.create(COLLECTION, encoder.info)

        def speed(source: Path, number: int) -> float:
            say("importing", 0.0)
            begun = time.perf_counter()
            job = service.runner.run_now(
                submit_folder(service.runner, COLLECTION, source), on_progress=lambda job: say("importing", job.done / number)
            )
            return job.done / (time.perf_counter() - begun)

        enlarged = speed(large[0].parent, len(large))
        whole = speed(folder, len(files))
    for turn in range((rounds + 1) // 2, rounds):
        say("decoding and encoding alone", turn / rounds)
        bounds.measure()
    rows = [
        Row(IMPORTED, whole, "pictures/s", "encoder alone, decoded photos", statistics.median(bounds.decoded)),
        Row(IMPORTED, whole, "pictures/s", "encoder alone, prepared photos", statistics.median(bounds.prepared)),
        Row(IMPORTED, whole, "pictures/s", "decoding alone, all cores", statistics.median(bounds.decoding)),
        Row("import of 12-megapixel JPEGs", enlarged, "pictures/s", "decoding them alone, all cores", statistics.median(bounds.large)),
    ]
    if known := [each for each in (*reference, _reference(files[:12]) if thorough else None) if each is not None]:
        rows.append(Row(IMPORTED, whole, "pictures/s", "the reference's way: ViT-B/16, one at a time", statistics.median(known)))
    return rows


class _Bounds:
    """What an import cannot be faster than, pictures a second; an entry for each time that it was measured."""

    def __init__(self, settings: Settings, encoder: Encoder, files: Sequence[Path], large: Sequence[Path]) -> None:
        self._settings, self._encoder, self._files, self._large = settings, encoder, files, large
        self.decoding: list[float] = []
        self.large: list[float] = []
        self.prepared: list[float] = []
        self.decoded: list[float] = []

    def measure(self) -> None:
        pictures = self._decode(self._files, self.decoding)
        self._decode(self._large, self.large)
        images = [picture.image for picture in pictures]
        prepared = [self._encoder.prepare_photo(image) for image in images]
        for batch, taken in ((prepared, self.prepared), (images, self.decoded)):
            begun = time.perf_counter()
            for part in chunks(batch, self._settings.batch_size):
                self._encoder.images(part)
            taken.append(len(batch) / (time.perf_counter() - begun))

    def _decode(self, files: Sequence[Path], taken: list[float]) -> list[Picture]:
        least = least_sides(self._encoder)
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            begun = time.perf_counter()
            pictures = list(pool.map(lambda path: open_within(path, self._settings, least), files))
            taken.append(len(files) / (time.perf_counter() - begun))
        return pictures


def _large(files: Sequence[Path], folder: Path, number: int) -> list[Path]:
    """JPEGs of 4000 x 3000 pixels, each of twelve photos side by side: as much detail as those of a camera."""
    folder.mkdir(parents=True)
    made = []
    for place in range(number):
        paper = Image.new("RGB", (4000, 3000))
        for tile in range(12):
            with Image.open(files[(place * 12 + tile) % len(files)]) as photo:
                paper.paste(photo.convert("RGB").resize((1000, 1000), Image.Resampling.BICUBIC), (tile % 4 * 1000, tile // 4 * 1000))
        made.append(folder / f"{place:03}.jpg")
        paper.save(made[-1], quality=92)
    return made


def _reference(files: Sequence[Path]) -> float | None:
    """Pictures a second as the reference imports them: opened whole and encoded one by one by ViT-B/16 in fp32, on all cores; None without
    torch. What it then spends on its stores does not count."""
    try:
        import torch

        from tsir.encoders.task_former.model import TaskFormer
    except ImportError:
        return None
    tower = TaskFormer().visual.eval()
    threads = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    try:
        with torch.inference_mode():
            tower(torch.zeros(1, 3, 224, 224))
            begun = time.perf_counter()
            for path in files:
                with Image.open(path) as image:
                    small = image.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC)
                pixels = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8)
                tower(pixels.reshape(1, 224, 224, 3).permute(0, 3, 1, 2).float() / 255)
            return len(files) / (time.perf_counter() - begun)
    finally:
        torch.set_num_threads(threads)


def _sent(sketch: Image.Image) -> bytes:
    """A drawing as the page sends it: PNG, grey."""
    png = io.BytesIO()
    sketch.convert("L").save(png, "PNG")
    return png.getvalue()


def _serving(settings: Settings, encoder: Encoder, sketch: Image.Image, said: str, say: Say, thorough: bool) -> list[Table]:
    """Start, answers to one client and to many."""
    png = _sent(sketch)
    rounds, number = (ROUNDS, 20) if thorough else (1, 2)
    asked = [times(lambda: (encoder.texts(WORDS[:1]), encoder.sketches([sketch])), number) for _ in range(rounds)]
    encode = statistics.median([percentile(each, 50) for each in asked])
    with _empty() as port:
        nothing = percentile(times(lambda: _once(port), 200), 50)
    starts: list[float] = []
    for turn in range(2 if thorough else 0):
        say("starting", turn / 3)
        with _server(settings) as (_, seconds):
            starts.append(seconds)
    with _server(settings) as (server, seconds):
        starts.append(seconds)
        say("asking", 0.5)
        # Unmeasured: until the embedded store is open, which a server does after its start.
        _many(server, _Asking(png, "before ").once, SETTLING_S if thorough else 0.1)
        asking = _Asking(png)
        kept = _connection(server)
        live = percentile(times(lambda: _ask(kept, "GET", "/health/live"), 200), 50)
        search = percentile(times(lambda: asking.once(kept), 60 if thorough else 3), 50)
        stages = {name: statistics.median([took.get(name, 0.0) for took in asking.took]) for name in asking.took[-1]}
        rate = _many(server, asking.once, ASKED_S if thorough else 0.5)
        kept.close()
    bound = stages["encode"] + stages["search"] + stages["rows"]
    rows = [
        Row("GET /health/live", live, "ms", "an HTTP answer with nothing in it", nothing),
        Row("text and sketch over HTTP", search, "ms", "encoder + stores", bound),
        Row(f"text and sketch, {CLIENTS} clients", rate, "answers/s", "1 / time to encode", 1000 / encode),
        Row("start to ready", statistics.median(starts), "s", "an interpreter that does nothing", _interpreter()),
    ]
    return [Table(f"answers: {said}", [row.shown() for row in rows]), Table("text and sketch over HTTP, ms of each stage", [stages])]


def run_answers(
    settings: Settings,
    encoder: Encoder,
    files: Sequence[Path],
    sketch: Image.Image,
    sizes: Sequence[int],
    say: Say = silent,
    number: int = 60,
) -> Table:
    """What a search over HTTP takes among so many pictures: median and 95th percentile of `number` answers, the encoder's and the stores'
    time, as the answers themselves tell it, and what is beyond these.

    Libraries are filled through the library's own protocol, with rows of pictures that there are not and vectors near those of `files`.
    """
    png = _sent(sketch)
    table = Table(f"text and sketch over HTTP, {encoder.name}, {os.cpu_count()} cores")
    after = FIRST_DAY + timedelta(days=DAYS * 0.9)
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="tsir-bench-") as scratch:
            own = _own(settings, scratch, Path(scratch))
            _fill(own, encoder, files, size, say)
            with _server(own):  # the first start compiles, the next ones are as people have them
                pass
            with _server(own) as (server, seconds):
                # Unmeasured: until the embedded store is open.
                _many(server, _Asking(png, "before ").once, SETTLING_S if number > 1 else 0.1)
                for what, filter in (("", {}), (", a tenth let through", {"filter": json.dumps({"taken_after": after.isoformat()})})):
                    say(f"{size:,} pictures: asking", 0.5)
                    asking, kept = _Asking(png, more=filter), _connection(server)
                    taken = times(lambda asking=asking, kept=kept: asking.once(kept), number)  # type: ignore[misc]
                    kept.close()
                    counted = asking.took[-number:]
                    stores = [took["search"] + took["rows"] for took in counted]
                    known = [took["encode"] + store for took, store in zip(counted, stores, strict=True)]
                    table.rows.append(
                        {
                            "pictures": f"{size:,}{what}",
                            "p50 ms": percentile(taken, 50),
                            "p95 ms": percentile(taken, 95),
                            "encoder ms": statistics.median(took["encode"] for took in counted),
                            "stores ms": statistics.median(stores),
                            "beyond ms": statistics.median(whole - part for whole, part in zip(taken, known, strict=True)),
                            "start s": seconds,
                        }
                    )
    return table


def _fill(settings: Settings, encoder: Encoder, files: Sequence[Path], size: int, say: Say) -> None:
    """A library of so many pictures, which are nowhere; their vectors are those of some of the files, each a little beside."""
    pictures = [open_within(path, settings, least_sides(encoder)) for path in files[:ORIGINALS]]
    originals = encoder.images([picture.image for picture in pictures])
    draw = np.random.default_rng(0)
    with opened(settings) as service:
        collection, _ = service.library.create(COLLECTION, encoder.info)
        for numbers in chunks(range(size), FILLED_AT_ONCE):
            say(f"{size:,} pictures: filling", numbers[0] / size)
            items = []
            for place in numbers:
                file = FileStat(f"/pictures/{place // 1000:04}/{place:07}.jpg", 100_000 + place, 0)
                taken_at = FIRST_DAY + timedelta(days=DAYS * draw.random())
                metadata = replace(pictures[place % len(pictures)].metadata, taken_at=taken_at)
                items.append(NewImage(file, hashlib.sha256(place.to_bytes(8, "big")).hexdigest(), metadata))
            beside = unit(draw.standard_normal((len(items), encoder.dim), dtype=np.float32))
            begun = collection.begin(items)
            collection.finish([one.id for one in begun], unit(originals[[place % len(pictures) for place in numbers]] + ASIDE * beside))


class _Asking:
    """Searches by text and sketch; no two have the same words, so that no answer is one that was kept."""

    def __init__(self, sketch: bytes, mark: str = "", more: Mapping[str, str] | None = None) -> None:
        """`mark`: a word that no other one says. `more`: fields of the form."""
        self._sketch = sketch
        self._mark = mark
        self._more = more or {}
        self._number = itertools.count()
        self.took: list[dict[str, float]] = []

    def once(self, connection: http.client.HTTPConnection) -> None:
        number = next(self._number)
        body, kind = _form({"text": f"{WORDS[number % len(WORDS)]} {self._mark}{number}", "limit": "60", **self._more}, self._sketch)
        answer = json.loads(_ask(connection, "POST", f"/api/v1/collections/{COLLECTION}/search", body, kind))
        self.took.append(answer["took_ms"])


def _interpreter() -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - begun


def _many(port: int, once: Callable[[http.client.HTTPConnection], None], seconds: float) -> float:
    """Answers a second to many clients at once."""
    until = time.perf_counter() + seconds
    counts = [0] * CLIENTS

    def client(place: int) -> None:
        connection = _connection(port)
        while time.perf_counter() < until:
            once(connection)
            counts[place] += 1
        connection.close()

    threads = [threading.Thread(target=client, args=(place,)) for place in range(CLIENTS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - begun)


@contextlib.contextmanager
def _server(settings: Settings) -> Iterator[tuple[int, float]]:
    """The API over the library of the settings, in a process of its own: its port, and the seconds until it was ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    foreign = {"API_KEYS", "HOST", "MILVUS_URI", "MILVUS_HOST", "DATABASE_URL", "MYSQL_HOST"}
    environment = {name: value for name, value in os.environ.items() if name.upper() not in foreign}
    environment |= {"DATA_DIR": str(settings.data_dir), "PORT": str(port), "MODEL": settings.model, "DEVICE": settings.device}
    if environment.pop("PYTHONDONTWRITEBYTECODE", None):  # people's Python compiles once, not at each start
        environment["PYTHONPYCACHEPREFIX"] = str(settings.data_dir.with_name("bytecode"))
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as elsewhere:  # no .env of anybody's
        process = subprocess.Popen(
            [sys.executable, "-c", "from tsir.cli import main; main()", "serve"],
            env=environment,
            cwd=elsewhere,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while True:
                if process.poll() is not None or time.perf_counter() - begun > 120:
                    raise StoreUnavailable("The server that was to be measured did not start.")
                with contextlib.suppress(OSError, StoreUnavailable, http.client.HTTPException):
                    _once(port, "/health/ready")
                    break
                time.sleep(0.02)
            yield port, time.perf_counter() - begun
        finally:
            process.terminate()
            process.wait(60)


@contextlib.contextmanager
def _empty() -> Iterator[int]:
    """A server that answers nothing, as fast as Python can, and closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.close()


def _connection(port: int) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _once(port: int, path: str = "/") -> None:
    """Ask over a connection of its own."""
    with contextlib.closing(_connection(port)) as connection:
        _ask(connection, "GET", path)


def _ask(connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None, kind: str | None = None) -> bytes:
    connection.request(method, path, body, {"Content-Type": kind} if kind else {})
    response = connection.getresponse()
    data = response.read()
    if response.status != 200:
        raise StoreUnavailable(f"{path} answered {response.status}: {data[:200].decode(errors='replace')}")
    return data


def _form(fields: dict[str, str], sketch: bytes) -> tuple[bytes, str]:
    mark = "tsir-bench-boundary"
    parts = [f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]
    head = f'--{mark}\r\nContent-Disposition: form-data; name="sketch"; filename="s.png"\r\nContent-Type: image/png\r\n\r\n'.encode()
    return b"".join([*parts, head, sketch, f"\r\n--{mark}--\r\n".encode()]), f"multipart/form-data; boundary={mark}"
