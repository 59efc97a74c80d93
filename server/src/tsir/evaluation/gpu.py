# mypy: disable-error-code="no-untyped-call"
"""What a GPU makes of TASK-former: the same vectors as a CPU, how many photos a second, how long a query takes, what a training step needs.

One run of a few minutes (`make gpu-check`). `dry` proves the script on a CPU, with a miniature: its figures mean nothing.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from tsir.encoders.base import Encoder, Vectors
from tsir.encoders.registry import load_encoder
from tsir.encoders.task_former.encoder import tokenizer
from tsir.encoders.task_former.model import TaskFormer, TaskFormerConfig
from tsir.errors import EncoderUnavailable, InvalidInput
from tsir.evaluation.tables import Say, Table, percentile, silent, times
from tsir.importing.parts.listing import Files
from tsir.importing.parts.making import make
from tsir.media.decode import open_picture
from tsir.media.formats import is_picture_name
from tsir.records import FileStat
from tsir.settings import Settings

MINIATURE = TaskFormerConfig(embed_dim=64, image_size=64, vision_width=128, vision_layers=2, text_width=64, text_layers=2)
PARITY = 0.9995
"""Cosine that a vector of the GPU in bf16 has at least with the CPU's in fp32."""
TEXTS = ("a dog in the snow", "two people at a table with food", "a red bus", "a boat on the left, houses behind", "")
OPTIONS = {
    "steps": 3, "warmup": 1, "floor": 0.1, "rate": 1e-5, "decay": 0.1, "clip": 1.0, "average": 0.0, "accumulate": 1, "log_steps": 1,
    "save_minutes": 1e9, "labels": 200, "decoder_layers": 2, "affine": True, "blank_sketch": 0.1, "empty_text": 0.1,
    "real_sketch": 0.5, "weight": {"contrastive": 100.0, "labels": 10.0, "captioning": 1.0, "consistency": 1.0},
}  # fmt: skip
"""Of the training step: those of configs/task-former.yaml."""


def run_gpu(folder: Path, *, weights: Path | None = None, dry: bool = False, batch: int = 24, say: Say = silent) -> list[Table]:
    """All tables. `folder` has photos; without `weights` the towers are random, which changes no speed.

    Raises EncoderUnavailable when torch sees no GPU, InvalidInput when the folder has no photos.
    """
    if not dry and not torch.cuda.is_available():
        raise EncoderUnavailable("torch sees no GPU. Use --dry to try the script on the CPU.")
    files = sorted(path for path in folder.rglob("*") if is_picture_name(path.name) and path.is_file()) if folder.is_dir() else []
    if not files:
        raise InvalidInput(f"{folder} is not a folder with pictures.")
    with tempfile.TemporaryDirectory(prefix="tsir-gpu-") as scratch:
        checkpoint = weights or _random(Path(scratch) / "random.pt", MINIATURE if dry else TaskFormerConfig())
        base = Settings(data_dir=Path(scratch), model="task-former", weights=str(checkpoint), _env_file=None)
        slow = base.model_copy(update={"device": "cpu", "runtime": "torch", "precision": "fp32"})
        fast = base.model_copy(update={"device": "cpu", "runtime": "torch", "precision": "bf16"} if dry else {"device": "cuda"})
        say("loading", 0.0)
        encoder = load_encoder(fast)
        tables = [_machine(), _parity(load_encoder(slow), encoder, files[:32], say)]
        tables.append(_encode(encoder, files, (32, 128) if dry else (32, 128, 256), say))
        if not dry:
            compiled = load_encoder(fast.model_copy(update={"torch_compile": True}))
            tables[-1].rows += [{**row, "what": f"{row['what']}, torch.compile"} for row in _encode(compiled, files, (128,), say).rows]
            del compiled
        tables += [_end_to_end(encoder, fast, files, say), _decoders(files, dry, say), _latency(encoder, 5 if dry else 100, say)]
        del encoder
        tables.append(_training(MINIATURE if dry else TaskFormerConfig(), files, 4 if dry else batch, Path(scratch), say))
    return tables


def _random(path: Path, config: TaskFormerConfig) -> Path:
    torch.manual_seed(5)
    torch.save({"state_dict": TaskFormer(config).state_dict()}, path)
    return path


def _machine() -> Table:
    row: dict[str, Any] = {"torch": torch.__version__, "CUDA": torch.version.cuda}
    if torch.cuda.is_available():
        facts = torch.cuda.get_device_properties(0)
        row |= {"card": facts.name, "memory GB": facts.total_memory / 2**30, "capability": f"{facts.major}.{facts.minor}"}
    else:
        row |= {"card": "none: a dry run, its figures mean nothing"}
    return Table("machine", [row])


def _sketches(number: int) -> list[Image.Image]:
    """Drawings of a few lines, each turned a little more."""
    sheet = Image.new("RGB", (512, 512), "white")
    pen = ImageDraw.Draw(sheet)
    pen.ellipse((120, 160, 400, 420), outline="black", width=6)
    pen.line((140, 190, 170, 60, 240, 150, 300, 150, 370, 60, 390, 200), fill="black", width=6, joint="curve")
    return [sheet.rotate(7 * turn, fillcolor="white") for turn in range(number)]


def _pictures(files: Sequence[Path]) -> list[Image.Image]:
    return [open_picture(path, max_bytes=2**30, max_pixels=200_000_000).image for path in files]


def _parity(slow: Encoder, fast: Encoder, files: Sequence[Path], say: Say) -> Table:
    """Cosines of what both make of the same input."""
    table = Table(f"vectors of {fast.device} and of the CPU in fp32 (at least {PARITY} is wanted)")
    pictures = _pictures(files)
    inputs: tuple[tuple[str, Callable[[Encoder], Vectors]], ...] = (
        ("photos", lambda encoder: encoder.images(pictures)),
        ("sketches", lambda encoder: encoder.sketches(_sketches(16))),
        ("texts", lambda encoder: encoder.texts(TEXTS)),
    )
    for name, ask in inputs:
        say(f"parity of {name}", 0.5)
        cosines = (ask(slow) * ask(fast)).sum(axis=1)
        lowest = float(cosines.min())
        table.rows.append(
            {"what": name, "lowest cosine": round(lowest, 6), "mean": round(float(cosines.mean()), 6), "holds": lowest >= PARITY}
        )
    return table


def _encode(encoder: Encoder, files: Sequence[Path], batches: Sequence[int], say: Say) -> Table:
    """Photos a second of the encoder alone."""
    table = Table(f"photos a second, {encoder.device}")
    ready = [encoder.prepare_photo(picture) for picture in _pictures(files[:64])]
    for size in batches:
        batch = [ready[place % len(ready)] for place in range(size)]
        taken = times(lambda batch=batch: encoder.images(batch), 8, lambda share: say("encoding", share))  # type: ignore[misc]
        table.rows.append({"what": f"prepared, batches of {size}", "per second": 1000 * size / percentile(taken, 50)})
    return table


def _end_to_end(encoder: Encoder, settings: Settings, files: Sequence[Path], say: Say) -> Table:
    """Photos a second from the file to vector and thumbnails, stores left out."""
    threads = os.cpu_count() or 1
    part = Files(tuple(FileStat(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files))
    own = settings.model_copy(update={"batch_size": 128})
    say("end to end", 0.0)
    make(Files(part.files[:16]), encoder, own, threads)
    begun = time.perf_counter()
    made = make(part, encoder, own, threads)
    seconds = time.perf_counter() - begun
    return Table(
        "from file to vector and thumbnails", [{"threads": threads, "photos": len(made.images), "per second": len(made.images) / seconds}]
    )


def _decoders(files: Sequence[Path], dry: bool, say: Say) -> Table:
    """JPEGs a second at full size: Pillow in one thread, and nvJPEG on the card where torchvision has it."""
    jpegs = [path for path in files if path.suffix.lower() in (".jpg", ".jpeg")][:128]
    table = Table("JPEG to pixels at full size")
    if not jpegs:
        return table
    begun = time.perf_counter()
    _pictures(jpegs)
    table.rows.append({"what": "Pillow, one thread", "per second": len(jpegs) / (time.perf_counter() - begun)})
    try:
        from torchvision.io import ImageReadMode, decode_jpeg
    except ImportError:
        return table
    data = [torch.from_numpy(np.frombuffer(path.read_bytes(), np.uint8).copy()) for path in jpegs]
    device = "cpu" if dry else "cuda"
    say("nvJPEG", 0.5)
    try:
        decode_jpeg(data[:8], mode=ImageReadMode.RGB, device=device)
        _wait()
        begun = time.perf_counter()
        decode_jpeg(data, mode=ImageReadMode.RGB, device=device)
        _wait()
        table.rows.append({"what": f"torchvision on {device}", "per second": len(jpegs) / (time.perf_counter() - begun)})
    except RuntimeError as error:
        table.rows.append({"what": f"torchvision on {device}: {str(error).splitlines()[0]}", "per second": None})
    return table


def _latency(encoder: Encoder, number: int, say: Say) -> Table:
    sketch = _sketches(1)
    taken = times(lambda: (encoder.texts(TEXTS[:1]), encoder.sketches(sketch)), number, lambda share: say("queries", share))
    return Table("text and sketch encoded", [{"p50 ms": percentile(taken, 50), "p95 ms": percentile(taken, 95)}])


def _training(config: TaskFormerConfig, files: Sequence[Path], batch: int, scratch: Path, say: Say) -> Table:
    """Steps of the paper's recipe in bf16 from random towers: seconds and the card's memory."""
    from tsir.training.loop import own_device, train
    from tsir.training.task_former import Triplet, Triplets

    device = own_device()
    words = tokenizer(config.context_length)
    triplets = [Triplet(lambda path=path: Image.open(path), (f"a picture of {path.stem}",)) for path in files]  # type: ignore[misc]
    options = {**OPTIONS, "batch": min(batch, len(triplets)), "precision": "bf16"}
    stage = Triplets(TaskFormer(replace(config)), triplets, lambda texts: torch.from_numpy(words(texts)).to(device), options, 0).to(device)
    say("training", 0.5)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    begun = time.perf_counter()
    train(stage, options, scratch / "step.pt", 0, {})
    seconds = (time.perf_counter() - begun) / int(OPTIONS["steps"])  # type: ignore[call-overload]
    row: dict[str, Any] = {"batch": options["batch"], "seconds a step": seconds}
    if device.type == "cuda":
        row["peak memory GB"] = torch.cuda.max_memory_allocated() / 2**30
    return Table("training step, bf16", [row])


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
