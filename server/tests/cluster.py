"""Imports by two workers of a Ray cluster on this machine, against the same import without it.

    python -m tests.cluster PHOTOS 20000             one worker is killed halfway: every picture must be there once, and `check` clean
    python -m tests.cluster PHOTOS 4000 --speed      by `tsir load` and by two workers, one after the other: pictures a second

The folder's photos are multiplied to so many files that differ in their bytes. Where cgroups count processor time (as root, version 1),
`--speed` prints it, too: on a busy machine it tells more than the clock.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import typer

from tsir.evaluation.bench import _files, multiplied
from tsir.evaluation.tables import silent
from tsir.jobs.model import Job
from tsir.library.check import check
from tsir.services.imports import submit_shared
from tsir.services.opening import opened
from tsir.settings import Settings

WORKERS = 2
ACCOUNTS = Path("/sys/fs/cgroup/cpuacct")


def workers() -> Iterator[int]:
    """Processes of Ray's actors that hold an encoder."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError):  # ended meanwhile
            if entry.name.isdigit() and b"ray::_Actor" in (entry / "cmdline").read_bytes():
                yield int(entry.name)


def killed(photos: Path, count: int, scratch: Path) -> None:
    """Import, kill a worker halfway, and compare all that there is in the end."""
    settings = Settings(data_dir=scratch / "data", image_roots=str(photos), _env_file=None)  # type: ignore[call-arg]
    victims: list[tuple[int, int]] = []

    def halfway(job: Job) -> None:
        if not victims and job.done >= count // 2:
            for worker in workers():
                os.kill(worker, signal.SIGKILL)
                victims.append((worker, job.done))
                return

    with opened(settings) as service:
        service.library.create("album", service.encoders.main.info)
        begun = time.perf_counter()
        submitted = submit_shared(service.runner, "album", photos, "local", str(scratch / "parts"), workers=WORKERS)
        job = service.runner.run_now(submitted, on_progress=halfway)
        seconds = time.perf_counter() - begun
        collection = service.library.collection("album")
        paths: Counter[str] = Counter()
        cursor: str | None = None
        while True:
            page, cursor = collection.images(cursor, 1000)
            paths.update(path for image in page for path in image.paths)
            if cursor is None:
                break
        report = check(service.library)
    typer.echo(f"{job.state}: {job.done:,} imported, {job.skipped} skipped, {job.failed} failed in {seconds:.0f} s")
    typer.echo(f"killed after {victims[0][1]:,} pictures" if victims else "nothing was killed")
    typer.echo(f"check: {report}")
    assert victims
    assert (job.state, job.done, job.failed) == ("done", count, 0)
    assert len(paths) == count and set(paths.values()) == {1}
    assert report.clean and report.images == report.vectors == count
    assert not any((scratch / "parts").iterdir())
    typer.echo("Every picture is there once.")


def speed(photos: Path, count: int, scratch: Path, rounds: int = 1) -> None:
    """Each way `rounds` times in turn, with a fresh library."""
    ways = {"tsir load": (), "two workers": ("--on", "local", "--workers", str(WORKERS))}
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(rounds):
        for way, options in ways.items():
            data = scratch / f"{way.replace(' ', '-')}-{turn}"
            environment = {**os.environ, "DATA_DIR": str(data), "IMAGE_ROOTS": str(photos)}
            with accounted() as spent:
                begun = time.perf_counter()
                command = [sys.executable, "-c", "from tsir.cli import main; main()", "load", str(photos), *options, "--json"]
                done = subprocess.run(command, env=environment, cwd=scratch, capture_output=True, text=True)
                seconds = time.perf_counter() - begun
            assert done.returncode == 0, done.stderr
            job = json.loads(done.stdout)
            assert job["done"] == count, job
            rates[way].append(count / seconds)
            cpu = f", {1000 * spent[0] / count:.1f} s of processor time a thousand" if spent else ""
            typer.echo(f"{way}: {count / seconds:.1f} pictures a second, {seconds:.0f} s{cpu}")
    best = {way: max(found) for way, found in rates.items()}
    typer.echo(f"ratio: {best['two workers'] / best['tsir load']:.2f}")


@contextlib.contextmanager
def accounted() -> Iterator[list[float]]:
    """Seconds of processor time of all that is started within; empty where nobody counts them."""
    spent: list[float] = []
    group = ACCOUNTS / f"tsir-{os.getpid()}"
    try:
        group.mkdir()
        (group / "tasks").write_text(str(os.getpid()))
    except OSError:
        yield spent
        return
    begun = int((group / "cpuacct.usage").read_text())
    try:
        yield spent
    finally:
        time.sleep(1)  # daemons that end after what started them
        spent.append((int((group / "cpuacct.usage").read_text()) - begun) / 1e9)
        (ACCOUNTS / "tasks").write_text(str(os.getpid()))
        with suppress(OSError):
            group.rmdir()


if __name__ == "__main__":
    folder, number = Path(sys.argv[1]), int(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="tsir-cluster-") as name:
        place = Path(name)
        pictures = multiplied(_files(folder), number, place / "photos", silent)
        if "--speed" in sys.argv:
            speed(pictures, number, place)
        else:
            killed(pictures, number, place)
