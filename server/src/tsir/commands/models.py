"""Commands on encoders: embed, evaluate, weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import typer
from rich.console import Console
from rich.progress import DownloadColumn, TransferSpeedColumn
from rich.progress import Progress as Bar

from tsir.commands.terminal import print_json, say
from tsir.encoders.base import Encoder, Vectors
from tsir.encoders.registry import load_encoder, need_extra, own_calibration
from tsir.encoders.relevance import write_calibration
from tsir.encoders.weights import WeightsInfo, get_weights, list_weights, verify_weights
from tsir.errors import InvalidInput, NotFound, TsirError
from tsir.evaluation.calibrate import calibrate as measure_calibration
from tsir.evaluation.evaluate import parse_weights, run_eval
from tsir.evaluation.report import write_html
from tsir.importing.reading import open_photo, photo_to_keep, vectors_of
from tsir.importing.scan import Item, scan
from tsir.media.decode import open_sketch
from tsir.media.durable import whole
from tsir.paging import chunks
from tsir.programs.progress import counting
from tsir.settings import Settings

T = TypeVar("T")


def evaluate(
    settings: Settings,
    images: Path,
    queries: Path,
    *,
    weights: str | None,
    modality: str,
    names: bool,
    distractors: Path | None,
    html: Path | None,
    as_json: bool,
) -> None:
    """Measure the encoder on a benchmark, and print the table or its JSON."""
    encoder = load_encoder(settings)
    with counting("Encoding", silent=as_json) as count:
        mix = parse_weights(weights or "")
        report = run_eval(images, queries, encoder, modality=modality, weights=mix, names=names, distractors=distractors, on_progress=count)
    if html is not None:
        write_html(report, html)
        say(f"The queries with their hits: {html}")
    if as_json:
        print_json(report.to_json())
    else:
        Console().print(report.to_table())


def calibrate(settings: Settings, queries: Sequence[Path], out: Path | None, *, as_json: bool) -> None:
    """Learn from benchmarks what the encoder's scores mean, keep it, and print how it does."""
    encoder = load_encoder(settings)
    with counting("Encoding", silent=as_json) as count:
        fit = measure_calibration(encoder, queries, count)
    path = out or own_calibration(encoder, settings)
    try:
        write_calibration(path, encoder.fingerprint, fit.calibration)
    except OSError as error:
        raise InvalidInput(f"{str(path)!r} cannot be written: {error.strerror or error}.") from error
    if as_json:
        print_json({"out": str(path), "kinds": fit.to_json()})
    else:
        Console().print(fit.to_table())
        say(f"Kept in {path}; it holds from the next start on.")


def embed(settings: Settings, kind: Literal["images", "sketches", "texts"], source: Path, out: Path, *, as_json: bool) -> int:
    """Write `names` and `vectors` (float32 [n, dim], unit rows) of a folder or a text file; returns how many could not be read."""
    items = _texts(source, settings) if kind == "texts" else _files(source)
    encoder = load_encoder(settings)
    names: list[str] = []
    vectors: list[Vectors] = [np.zeros((0, encoder.dim), dtype=np.float32)]
    done = failed = 0
    with counting(f"Encoding {kind}", silent=as_json) as count:
        for batch in chunks(items, settings.batch_size):
            good, rows, bad = _encode(encoder, kind, source, batch, settings)
            names += good
            vectors.append(rows)
            done, failed = done + len(batch), failed + bad
            count(done, len(items))
    _save(out, names, np.concatenate(vectors))
    if as_json:
        print_json({"out": str(out), "vectors": len(names), "failed": failed, "dim": encoder.dim, "encoder": encoder.name})
    else:
        typer.echo(f"{len(names):,} vectors of {encoder.dim} dimensions in {out}" + (f"; {failed:,} could not be read." if failed else "."))
    return failed


def _texts(source: Path, settings: Settings) -> list[str]:
    try:
        lines = source.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{str(source)!r} cannot be read as text: {error}.") from error
    return [line.rstrip("\r")[: settings.max_text] for line in lines]


def _files(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise NotFound(f"There is no folder {str(folder)!r}.")
    found = [entry for batch in scan(folder) for entry in batch]
    for entry in found:
        if not isinstance(entry, Item):
            say(f"skipping {entry.path}: {entry.reason}")
    return sorted(entry.file.path for entry in found if isinstance(entry, Item))


def _encode(
    encoder: Encoder, kind: Literal["images", "sketches", "texts"], source: Path, batch: Sequence[str], settings: Settings
) -> tuple[list[str], Vectors, int]:
    """Names and vectors of what could be read, and how many could not."""
    if kind == "texts":
        return list(batch), encoder.texts(batch), 0
    names, pictures = [], []
    limits = {"max_bytes": settings.max_upload_bytes, "max_pixels": settings.max_pixels}
    for path in map(Path, batch):
        try:
            if kind == "sketches":
                pictures.append(encoder.prepare_sketch(open_sketch(path, **limits)))
            else:
                pictures.append(photo_to_keep(encoder, open_photo(str(path), encoder, settings)))
            names.append(path.relative_to(source).as_posix())
        except TsirError as error:  # noqa: PERF203
            say(f"skipping {path}: {error}")
    rows = encoder.sketches(pictures) if kind == "sketches" else vectors_of(encoder, pictures)
    return names, rows, len(batch) - len(names)


def _save(out: Path, names: Sequence[str], vectors: Vectors) -> None:
    """Whole or not at all."""
    try:
        with whole(out) as file:
            np.savez(file, names=np.array(names, dtype=np.str_), vectors=vectors)
    except OSError as error:
        raise InvalidInput(f"{str(out)!r} cannot be written: {error.strerror or error}.") from error


def weights_list(settings: Settings, *, as_json: bool) -> None:
    """Which weights there are, and their state."""
    found = list_weights(settings)
    if as_json:
        print_json([asdict(info) for info in found])
        return
    for info in found:
        _show(info)


def weights_get(settings: Settings, name: str, *, as_json: bool) -> None:
    """Download weights, going on where an earlier try stopped."""
    console = Console(stderr=True)
    with Bar(*Bar.get_default_columns(), DownloadColumn(), TransferSpeedColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        info = get_weights(name, settings, lambda done, total: bar.update(task, completed=done, total=total))
    _print(info, as_json)


def weights_verify(settings: Settings, name: str, *, as_json: bool) -> None:
    """Read weights and compare them with their record."""
    _print(verify_weights(name, settings), as_json)


def weights_convert(source: Path, target: Path, precision: Literal["fp16", "fp32"]) -> None:
    """Write weights as safetensors."""
    need_extra("torch", "Converting weights")
    from tsir.encoders.task_former.checkpoint import convert

    written = convert(source, target, precision)
    typer.echo(f"{target}: {written / 2**20:,.1f} MB")


def _print(info: WeightsInfo, as_json: bool) -> None:
    if as_json:
        print_json(asdict(info))
    else:
        _show(info)


def _show(info: WeightsInfo) -> None:
    size = f", {info.bytes / 2**20:,.1f} MB" if info.bytes else ""
    typer.echo(f"{info.name}: {info.state}{size}, {info.path or info.source}")
    for line in (f"sha256 {info.sha256}" if info.sha256 else None, info.message):
        if line:
            typer.echo(f"  {line}")
