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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import numpy as np
import typer
from PIL import Image as PILImage
from PIL import ImageDraw
from PIL.Image import Image
from rich.console import Console
from rich.progress import Progress as Bar

from tsir.encoders.base import Encoder
from tsir.encoders.registry import need_extra
from tsir.errors import InvalidInput
from tsir.evaluation.bench_store import INTRINSIC, run_store
from tsir.evaluation.tables import WARM_UP, Say, Table, percentile, silent, times
from tsir.settings import Settings, configured

TEXT = "A man in a red jacket walks two dogs along a snowy forest path."
"""A query of usual length."""
# Encoder


def run_encoder(
    encoder: Encoder, *, photos: int = 256, batch: int = 32, queries: int = 50, folder: Path | None = None, say: Say = silent
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
        taken = times(ask, queries, lambda share, what=what: say(what, share))  # type: ignore[misc]
        table.rows.append({"what": what, "per second": 1000 / statistics.fmean(taken), "p50 ms": percentile(taken, 50)})
        table.rows[-1]["p95 ms"] = percentile(taken, 95)
    return table


def _rate(what: str, number: int, seconds: float) -> dict[str, Any]:
    return {"what": what, "per second": number / seconds, "p50 ms": None, "p95 ms": None}


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
    say: Say = silent,
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
        source = folder.resolve() if pictures is None else multiplied(files, pictures, Path(scratch) / "photos", say)
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


def multiplied(files: Sequence[Path], number: int, folder: Path, say: Say) -> Path:
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


bench_app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Measure the speed of encoder, imports and vector store on this machine.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="Print Markdown instead of a table.")]
Model = Annotated[str | None, typer.Option(help="Encoder; default: MODEL.")]


@contextmanager
def _progress() -> Iterator[Say]:
    """A bar on standard error; nothing in a pipe."""
    console = Console(stderr=True)
    with Bar(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda what, share: bar.update(task, description=what, completed=share)


def _print(tables: Table | Sequence[Table], as_json: bool, as_markdown: bool = False) -> None:
    several = [tables] if isinstance(tables, Table) else tables
    if as_json:
        found = [table.to_json() for table in several]
        typer.echo(json.dumps(found[0] if isinstance(tables, Table) else found, indent=2))
        return
    for table in several:
        if as_markdown:
            typer.echo(f"{table.to_markdown()}\n")
        else:
            Console().print(table.to_table())


def _loaded(model: str | None) -> tuple[Settings, Encoder]:
    from tsir.encoders.registry import load_encoder

    settings = configured() if model is None else configured().model_copy(update={"model": model})
    return settings, load_encoder(settings)


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


@bench_app.command("all")
def all_command(
    folder: Annotated[Path, typer.Argument(help="Folder with pictures.")],
    pictures: Annotated[int | None, typer.Option(min=1, help="Multiply the folder's files to so many different ones first.")] = None,
    model: Model = None,
    as_json: AsJson = False,
    as_markdown: AsMarkdown = False,
) -> None:
    """Import, start and searches in one run, each beside what bounds it."""
    from tsir.evaluation.whole import run_all

    settings, encoder = _loaded(model)
    files = _files(folder)
    with _progress() as say, tempfile.TemporaryDirectory(prefix="tsir-bench-") as scratch:
        source = folder.resolve() if pictures is None else multiplied(files, pictures, Path(scratch) / "photos", say)
        tables = run_all(settings, encoder, source, _files(source), _sketch(), say)
    _print(tables, as_json, as_markdown)


@bench_app.command("answers")
def answers_command(
    folder: Annotated[Path, typer.Argument(help="Folder with pictures, whose vectors are used.")],
    sizes: Annotated[str, typer.Option(help="Numbers of pictures, separated by commas.")] = "100,100000",
    model: Model = None,
    as_json: AsJson = False,
    as_markdown: AsMarkdown = False,
) -> None:
    """Searches by words and a drawing over HTTP among many pictures, which are made up: the library is filled without files."""
    from tsir.evaluation.whole import run_answers

    numbers = _sizes(sizes)
    settings, encoder = _loaded(model)
    with _progress() as say:
        table = run_answers(settings, encoder, _files(folder), _sketch(), numbers, say)
    _print(table, as_json, as_markdown)


def _sizes(given: str) -> list[int]:
    try:
        numbers = [int(part.replace("_", "")) for part in given.split(",") if part.strip()]
    except ValueError:
        raise InvalidInput(f"{given!r} is not a list of numbers: write --sizes 10000,100000.") from None
    if not numbers or min(numbers) < 1:
        raise InvalidInput("Sizes are at least 1: write --sizes 10000,100000.")
    return numbers


@bench_app.command("gpu")
def gpu_command(
    folder: Annotated[Path, typer.Argument(help="Folder with photos.")],
    weights: Annotated[Path | None, typer.Option(help="TASK-former's weights; default: random ones, which changes no speed.")] = None,
    dry: Annotated[bool, typer.Option("--dry", help="Only prove that it runs, on the CPU, with a miniature.")] = False,
    as_json: AsJson = False,
    as_markdown: AsMarkdown = False,
) -> None:
    """TASK-former on a GPU: the CPU's vectors, photos a second, queries, a training step. A few minutes."""
    need_extra("torch", "tsir bench gpu")
    from tsir.evaluation.gpu import run_gpu

    with _progress() as say:
        tables = run_gpu(folder, weights=weights, dry=dry, say=say)
    _print(tables, as_json, as_markdown)
    if not all(row.get("holds", True) for table in tables for row in table.rows):
        raise typer.Exit(1)


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
    numbers = _sizes(sizes)
    with _progress() as say:
        table = run_store(
            configured(), sizes=numbers, dim=dim, index=index, queries=queries, intrinsic=intrinsic, server_data=server_data, say=say
        )
    _print(table, as_json)
