"""`tsir bench`: how fast this machine encodes, imports and searches, as tables that anyone can reproduce.

Each function returns a `Table` of plain numbers; the commands print it, or its JSON. Pictures and vectors are made from a fixed seed.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import typer
from PIL import Image as PILImage
from PIL import ImageDraw
from PIL.Image import Image
from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress as Bar
from rich.table import Table as RichTable

from tsir.encoders.base import Encoder, Vectors, unit
from tsir.errors import InvalidInput
from tsir.records import ImageMetadata
from tsir.settings import Settings

TEXT = "A man in a red jacket walks two dogs along a snowy forest path."
"""A query of usual length."""
WARM_UP = 3
"""Calls that are not counted: the first ones allocate memory and compile kernels."""
CHUNK = 10_000
"""Vectors made and inserted at a time: 20 MB at 512 dimensions."""
INTRINSIC = 16
"""Default dimensions in which random vectors really vary. Vectors that fill all dimensions evenly are as good as equally far from each
other, which no index can search and no encoder makes. With 16, the local intrinsic dimension (Levina & Bickel 2004, 50 neighbours) is 13.3,
and 13 thousand vectors have their nearest neighbour 0.63 away; of as many photos encoded by `lite` these are 13.7 and 0.59."""
ASIDE = 1.5
"""Length of the part of a query that no stored vector has, beside 1 for the part that they share: words and drawings lie apart from photos,
and the best scores stay near 0.5."""
WIDE = 5
"""Columns that fit side by side on a narrow terminal."""
FILTER_SHARE = 0.1
"""Part of the rows that the benchmark's filter lets through."""

Say = Callable[[str, float], None]
"""Called with what is being done and the share of it that is done, 0 to 1."""


def _silent(what: str, share: float) -> None:
    pass


@dataclass
class Table:
    """Rows of one benchmark: column -> value."""

    title: str
    rows: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {"benchmark": self.title, "rows": self.rows}

    def to_table(self) -> RichTable:
        """For a terminal; numbers to three digits. Few rows with many columns lie on their side."""
        table = RichTable(title=self.title, title_justify="left")
        columns = list(dict.fromkeys(column for row in self.rows for column in row))
        if len(columns) > WIDE:
            table.add_column(columns[0])
            for row in self.rows:
                table.add_column(_shown(row.get(columns[0])), justify="right")
            for column in columns[1:]:
                table.add_row(column, *(_shown(row.get(column)) for row in self.rows))
            return table
        for column in columns:
            table.add_column(column, justify="right" if isinstance(self.rows[0].get(column), int | float) else "left")
        for row in self.rows:
            table.add_row(*(_shown(row.get(column)) for column in columns))
        return table


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


# Encoder


def run_encoder(
    encoder: Encoder, *, photos: int = 256, batch: int = 32, queries: int = 50, folder: Path | None = None, say: Say = _silent
) -> Table:
    """Photos per second, prepared before and from full pictures, and milliseconds per query.

    Photos are those of `folder` (decoded before the clock runs), or made ones of 640 x 480 px.
    """
    pictures = _pictures(folder, photos)
    table = Table(f"encoder {encoder.name}, {encoder.dim} dimensions")

    begun = time.perf_counter()
    prepared = [encoder.prepare_photo(picture) for picture in pictures]
    preparing = time.perf_counter() - begun
    for _ in range(WARM_UP):
        encoder.images(prepared[:batch])
    for what, source in ((f"photos, prepared, batches of {batch}", prepared), (f"photos as decoded, batches of {batch}", pictures)):
        begun = time.perf_counter()
        for start in range(0, len(source), batch):
            say(what, start / len(source))
            encoder.images(source[start : start + batch])
        table.rows.append(_rate(what, len(source), time.perf_counter() - begun))
    table.rows.append(_rate("preparing alone, one thread", len(pictures), preparing))

    sketch = _sketch()
    for what, ask in (
        ("query: text", lambda: encoder.texts([TEXT])),
        ("query: sketch", lambda: encoder.sketches([sketch])),
        ("query: text and sketch", lambda: (encoder.texts([TEXT]), encoder.sketches([sketch]))),
    ):
        times = _times(ask, queries, lambda share, what=what: say(what, share))  # type: ignore[misc]
        table.rows.append({"what": what, "per second": 1000 / statistics.fmean(times), "p50 ms": _percentile(times, 50)})
        table.rows[-1]["p95 ms"] = _percentile(times, 95)
    return table


def _rate(what: str, number: int, seconds: float) -> dict[str, Any]:
    return {"what": what, "per second": number / seconds, "p50 ms": None, "p95 ms": None}


def _times(call: Callable[[], object], number: int, say: Callable[[float], None] = lambda share: None) -> list[float]:
    """Milliseconds of each of `number` calls, after a warm-up."""
    for _ in range(WARM_UP):
        call()
    times = []
    for done in range(number):
        say(done / number)
        begun = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - begun))
    return times


def _percentile(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(values, percent))


def _pictures(folder: Path | None, number: int) -> list[Image]:
    if folder is None:
        draw = np.random.default_rng(0)
        coarse = draw.integers(0, 256, (number, 12, 16, 3), dtype=np.uint8)
        return [PILImage.fromarray(picture).resize((640, 480), PILImage.Resampling.BICUBIC) for picture in coarse]
    from tsir.media.decode import open_picture

    files = _files(folder)[:number]
    return [open_picture(path, max_bytes=2**30, max_pixels=200_000_000).image for path in files]


def _files(folder: Path) -> list[Path]:
    from tsir.media.formats import is_picture_name

    files = sorted(path for path in folder.rglob("*") if is_picture_name(path.name) and path.is_file()) if folder.is_dir() else []
    if not files:
        raise InvalidInput(f"{folder} is not a folder with pictures.")
    return files


def _sketch() -> Image:
    picture = PILImage.new("RGB", (512, 512), "white")
    pen = ImageDraw.Draw(picture)
    pen.ellipse((120, 160, 400, 420), outline="black", width=6)
    pen.line((140, 190, 170, 60, 240, 150, 300, 150, 370, 60, 390, 200), fill="black", width=6, joint="curve")
    return picture


# Import


def run_import(
    settings: Settings,
    encoder: Encoder,
    folder: Path,
    *,
    pictures: int | None = None,
    say: Say = _silent,
) -> Table:
    """Import a folder as `tsir load` does, thumbnails included, into a collection of its own that is dropped afterwards.

    With `pictures` the folder's files are first multiplied to that many different files. Embedded stores are made in a temporary folder,
    so a running server is not in the way; stores that are servers are used as they are. Raises InvalidInput when the folder has no
    pictures.
    """
    from tsir.encoders.loaded import Encoders
    from tsir.jobs.model import Job
    from tsir.library.library import Library
    from tsir.services.imports import submit_folder
    from tsir.services.jobs import make_runner

    files = _files(folder)
    with tempfile.TemporaryDirectory(prefix="tsir-bench-") as scratch:
        source = folder.resolve() if pictures is None else _multiplied(files, pictures, Path(scratch) / "photos", say)
        number = len(files) if pictures is None else pictures
        own = settings.model_copy(update={"data_dir": Path(scratch) / "data", "upload_path": None, "image_roots": str(source)})
        name = f"bench_{uuid4().hex[:12]}"
        with Library.open(own) as library:
            library.create(name, encoder.info)
            runner = make_runner(library, Encoders(own, encoder), own)

            def tell(job: Job) -> None:
                say("importing", (job.done + job.skipped + job.failed) / number)

            try:
                begun = time.perf_counter()
                job = runner.run_now(submit_folder(runner, name, source), on_progress=tell)
                seconds = time.perf_counter() - begun
            finally:
                runner.stop()
                library.drop(name)
        row: dict[str, Any] = {
            "pictures": job.done,
            "failed": job.failed,
            "seconds": seconds,
            "per second": job.done / seconds,
            "MB per second": sum(file.stat().st_size for file in (files if pictures is None else _files(source))) / 2**20 / seconds,
            "peak memory MB": _peak_memory(),
        }
        if job.state != "done":
            row["state"] = f"{job.state}: {job.message}"
        return Table(f"import of {folder.name} with {encoder.name}", [row])


def _multiplied(files: Sequence[Path], number: int, folder: Path, say: Say) -> Path:
    """Copies that differ in their bytes, not their pixels: decoders ignore what follows a picture's end."""
    folder.mkdir()
    for place in range(number):
        if place % 100 == 0:
            say("copying", place / number)
        file = files[place % len(files)]
        copy = folder / f"{place:07}{file.suffix}"
        shutil.copyfile(file, copy)
        if place >= len(files):
            with copy.open("ab") as end:
                end.write(place.to_bytes(8, "big"))
    return folder


def _peak_memory() -> float:
    """Most memory that this process has held, MB."""
    import resource  # POSIX only, like the rest of these numbers

    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes / 2**20


# Vector store


def run_store(
    settings: Settings,
    *,
    sizes: Sequence[int] = (10_000, 100_000),
    dim: int = 512,
    index: str | None = None,
    queries: int = 200,
    top: int = 10,
    intrinsic: int = INTRINSIC,
    server_data: Path | None = None,
    say: Say = _silent,
) -> Table:
    """Insert, index and search random unit vectors in the configured Milvus, a collection for each size, dropped afterwards.

    Recall is measured against exact search, without a filter and with one that lets a tenth of the rows through. `intrinsic` is the
    number of dimensions in which the vectors vary. Memory and disk are those of the embedded store, or of a Milvus on this machine
    (`server_data`: its folder, for the disk).
    """
    table = Table(f"vector store, {dim} dimensions, {settings.vectors_uri if not settings.vectors_embedded else 'Milvus Lite'}")
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="tsir-bench-") as scratch:
            own = settings.model_copy(update={"data_dir": Path(scratch)})
            data = Path(own.vectors_uri) if own.vectors_embedded else server_data
            chosen = index or (settings.vector_index if settings.vector_index != "auto" else _index_for(size, own.vectors_embedded))
            table.rows.append(_store_row(own, size, dim, chosen, queries, top, intrinsic, data, say))
    return table


def _index_for(size: int, embedded: bool) -> str:
    """What a library of that size has."""
    from tsir.library.stores import FLAT_LIMIT

    return "FLAT" if embedded or size <= FLAT_LIMIT else "HNSW"


def _store_row(
    settings: Settings, size: int, dim: int, index: str, queries: int, top: int, intrinsic: int, data: Path | None, say: Say
) -> dict[str, Any]:
    """One size of the curve."""
    from tsir.storage.filters import Filter
    from tsir.storage.milvus.client import VectorStore

    vectors = _Made(dim, intrinsic)
    asked = vectors.asked(queries)
    exact, exact_filtered = _Nearest(asked, top), _Nearest(asked, top)
    epoch, days = datetime(2000, 1, 1), 10_000
    after = epoch + timedelta(days=days * (1 - FILTER_SHARE))

    name = f"bench_{uuid4().hex[:12]}"
    store = VectorStore(settings)
    store.ping()  # connected: the client's own memory is not counted
    memory, disk = _resident(settings), _size(data)
    try:
        store.ensure(name, dim, "FLAT")
        inserting = 0.0
        for start in range(0, size, CHUNK):
            say(f"{size:,} vectors: inserting", start / size)
            ids = range(start, min(start + CHUNK, size))
            rows = vectors.some(len(ids), seed=start)
            share = np.random.default_rng(start).random(len(ids))
            times = [epoch + timedelta(days=days * float(part)) for part in share]
            facts = [_Facts(ImageMetadata(640, 480, "JPEG", when), (f"/photos/{when.year % 30}/picture.jpg",)) for when in times]
            begun = time.perf_counter()
            store.upsert(name, list(ids), rows, facts)
            inserting += time.perf_counter() - begun
            exact.see(rows, np.arange(ids.start, ids.stop))
            late = np.array([when >= after for when in times])
            exact_filtered.see(rows[late], np.arange(ids.start, ids.stop)[late])

        say(f"{size:,} vectors: building {index}", 0.0)
        begun = time.perf_counter()
        _flush(store, settings, name)
        store.set_index(name, index)
        row: dict[str, Any] = {
            "vectors": size,
            "index": index,
            "inserted per second": size / inserting,
            "index s": time.perf_counter() - begun,
        }
        store.search(name, asked[0], top, index, None, "Strong", False)  # from here on all rows are seen
        for prefix, filter, right in (("", None, exact), ("filtered ", Filter(taken_after=after), exact_filtered)):
            found: list[list[int]] = []
            turn = iter(range(WARM_UP + queries))

            def ask(turn: Iterator[int] = turn, filter: Filter | None = filter, found: list[list[int]] = found) -> None:
                vector = asked[max(0, next(turn) - WARM_UP)]
                found.append([hit.id for hit in store.search(name, vector, top, index, filter, "Bounded", False)])

            label = f"{size:,} vectors: {prefix}searching"
            times_ms = _times(ask, queries, lambda share, label=label: say(label, share))  # type: ignore[misc]
            row[f"{prefix}p50 ms"], row[f"{prefix}p95 ms"] = _percentile(times_ms, 50), _percentile(times_ms, 95)
            row[f"{prefix}recall@{top}, %"] = 100 * right.recall(found[WARM_UP:])
        row["memory MB"] = _difference(_resident(settings), memory)
        row["disk MB"] = _difference(_size(data), disk)
    finally:
        store.drop(name)
        store.close()
    return row


@dataclass(frozen=True)
class _Facts:
    """A made picture."""

    metadata: ImageMetadata
    paths: tuple[str, ...]


class _Made:
    """Unit vectors that vary in few of their dimensions, as those of encoders do, with a little noise in all."""

    def __init__(self, dim: int, intrinsic: int) -> None:
        self._map = np.random.default_rng(7).standard_normal((min(intrinsic, dim), dim), dtype=np.float32)

    def some(self, number: int, seed: int) -> Vectors:
        """float32 [number, dim]; the same for the same seed."""
        draw = np.random.default_rng(seed + 1)
        inner, dim = self._map.shape
        rows = draw.standard_normal((number, inner), dtype=np.float32) @ self._map
        return unit(rows + 0.1 * inner**0.5 * draw.standard_normal((number, dim), dtype=np.float32))

    def asked(self, number: int) -> Vectors:
        """Queries, float32 [number, dim]: near the others, but not among them."""
        rows = self.some(number, seed=-1)
        return unit(rows + ASIDE * unit(np.random.default_rng(8).standard_normal(rows.shape, dtype=np.float32)))


class _Nearest:
    """Exact search over vectors that come in chunks."""

    def __init__(self, queries: Vectors, top: int) -> None:
        self._queries, self._top = queries, top
        self._scores = np.full((len(queries), top), -np.inf, dtype=np.float32)
        self._ids: npt.NDArray[np.int64] = np.full((len(queries), top), -1, dtype=np.int64)

    def see(self, rows: Vectors, ids: npt.NDArray[np.int64]) -> None:
        scores = np.concatenate([self._scores, self._queries @ rows.T], axis=1)
        known = np.concatenate([self._ids, np.broadcast_to(ids, (len(self._queries), len(ids)))], axis=1)
        best = np.argpartition(-scores, self._top - 1, axis=1)[:, : self._top]
        self._scores, self._ids = np.take_along_axis(scores, best, axis=1), np.take_along_axis(known, best, axis=1)

    def recall(self, found: Sequence[Sequence[int]]) -> float:
        """Share of the exact nearest that were found, over all queries."""
        right = [set(row.tolist()) - {-1} for row in self._ids]
        return sum(len(wanted & set(got)) for wanted, got in zip(right, found, strict=True)) / max(1, sum(map(len, right)))


def _flush(store: Any, settings: Settings, name: str) -> None:
    """Seal what was inserted, so that the index covers it."""
    if settings.vectors_embedded:
        store.flush(name)
        return
    from pymilvus import MilvusClient

    token = settings.milvus_token.get_secret_value() if settings.milvus_token else ""
    client = MilvusClient(uri=settings.vectors_uri, token=token)
    try:
        client.flush(name, timeout=600)
    finally:
        client.close()


def _resident(settings: Settings) -> float | None:
    """Memory, MB, of this process (embedded), or of the Milvus processes of this machine; None where that cannot be known."""
    proc = Path("/proc")
    if not proc.is_dir():
        return None
    if settings.vectors_embedded:
        return _status_mb(proc / "self")
    host = settings.vectors_uri.split("://", 1)[1].split("/", 1)[0].rsplit(":", 1)[0]
    if host not in ("localhost", "127.0.0.1", "[::1]"):
        return None
    sizes = [_status_mb(path) for path in proc.glob("[0-9]*") if _command(path).startswith("milvus")]
    return sum(size for size in sizes if size is not None) if sizes else None


def _command(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:  # it ended
        return ""


def _status_mb(process: Path) -> float | None:
    try:
        lines = (process / "status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), None)


def _size(folder: Path | None) -> float | None:
    """Disk space of a folder, MB; 0 before it exists."""
    if folder is None:
        return None
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 2**20


def _difference(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before


# Commands

bench_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Measure the speed of encoder, imports and vector store on this machine.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Model = Annotated[str | None, typer.Option(help="Encoder; default: MODEL.")]


@contextmanager
def _progress() -> Iterator[Say]:
    """A bar on standard error; nothing in a pipe."""
    console = Console(stderr=True)
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda what, share: bar.update(task, description=what, completed=share)


def _print(table: Table, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(table.to_json(), indent=2))
    else:
        Console().print(table.to_table())


def _loaded(model: str | None) -> tuple[Settings, Encoder]:
    from tsir.encoders.registry import load_encoder

    settings = _configured() if model is None else _configured().model_copy(update={"model": model})
    return settings, load_encoder(settings)


def _configured() -> Settings:
    """Settings of .env and environment, as a user's mistake where they cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, item['loc'])).upper()}: {item['msg']}" for item in error.errors())
        raise InvalidInput(f"Settings cannot be used: {wrong}.") from error


@bench_app.command("encoder")
def encoder_command(
    photos: Annotated[int, typer.Option(min=1, help="Photos to encode.")] = 256,
    batch: Annotated[int, typer.Option(min=1, help="Photos per call.")] = 32,
    queries: Annotated[int, typer.Option(min=1, help="Queries to time.")] = 50,
    folder: Annotated[Path | None, typer.Option(help="Photos to use instead of made ones.")] = None,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Photos per second and milliseconds per query."""
    _, encoder = _loaded(model)
    with _progress() as say:
        table = run_encoder(encoder, photos=photos, batch=batch, queries=queries, folder=folder, say=say)
    _print(table, as_json)


@bench_app.command("import")
def import_command(
    folder: Annotated[Path, typer.Argument(help="Folder with pictures.")],
    pictures: Annotated[int | None, typer.Option(min=1, help="Multiply the folder's files to so many different ones first.")] = None,
    model: Model = None,
    as_json: AsJson = False,
) -> None:
    """Pictures per second of a whole import, thumbnails included, and its share of the encoder's own speed."""
    settings, encoder = _loaded(model)
    with _progress() as say:
        table = run_import(settings, encoder, folder, pictures=pictures, say=say)
        # Afterwards: it holds its pictures in memory, all of them at once and at full size.
        alone = run_encoder(encoder, photos=128, batch=settings.batch_size, queries=1, folder=folder, say=say)
        table.rows[0]["share of the encoder's speed, %"] = 100 * table.rows[0]["per second"] / alone.rows[0]["per second"]
    _print(table, as_json)


@bench_app.command("store")
def store_command(
    sizes: Annotated[str, typer.Option(help="Numbers of vectors, separated by commas.")] = "10000,100000",
    dim: Annotated[int, typer.Option(min=2, help="Dimensions.")] = 512,
    index: Annotated[str | None, typer.Option(help="FLAT, HNSW, IVF_FLAT, IVF_SQ8 or DISKANN; default: VECTOR_INDEX, or by size.")] = None,
    queries: Annotated[int, typer.Option(min=1, help="Searches to time.")] = 200,
    intrinsic: Annotated[int, typer.Option(min=1, help="Dimensions in which the vectors really vary.")] = INTRINSIC,
    server_data: Annotated[Path | None, typer.Option(help="Folder of a Milvus server on this machine, to measure its disk space.")] = None,
    as_json: AsJson = False,
) -> None:
    """Insert, index and search random vectors in the configured Milvus: speed, recall, memory, disk."""
    try:
        numbers = [int(part.replace("_", "")) for part in sizes.split(",") if part.strip()]
    except ValueError:
        raise InvalidInput(f"{sizes!r} is not a list of numbers: write --sizes 10000,100000.") from None
    if not numbers or min(numbers) < 1:
        raise InvalidInput("Sizes are at least 1: write --sizes 10000,100000.")
    with _progress() as say:
        table = run_store(
            _configured(), sizes=numbers, dim=dim, index=index, queries=queries, intrinsic=intrinsic, server_data=server_data, say=say
        )
    _print(table, as_json)
