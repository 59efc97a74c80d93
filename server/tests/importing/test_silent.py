"""A network drive whose server is gone: `stat` never comes back. It costs its own pictures their turn, and nothing else."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.importing.conftest import NAME, fill, load
from tsir import patience
from tsir.errors import NotFound
from tsir.jobs.runner import JobRunner
from tsir.jobs.store import Jobs
from tsir.library.check import check
from tsir.library.library import Library
from tsir.services.imports import own_folder


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Makes a folder silent until the test ends."""
    over = threading.Event()
    patience._local.clear()
    patience._silent.clear()

    def silence(folder: Path) -> None:
        def silent(call: Callable[..., Any]) -> Callable[..., Any]:
            def asked(path: Any = ".", *arguments: Any, **named: Any) -> Any:
                if not isinstance(path, int) and Path(os.fsdecode(path)).is_relative_to(folder):
                    assert over.wait(60)
                return call(path, *arguments, **named)

            return asked

        for name in ("stat", "lstat", "scandir"):
            monkeypatch.setattr(os, name, silent(getattr(os, name)))
        monkeypatch.setattr(patience, "ANSWER_S", 0.5)
        patience._local.clear()

    yield silence
    over.set()
    monkeypatch.undo()
    patience._silent.clear()


def test_a_silent_folder_is_named_and_the_others_go_on(
    library: Library, runner: JobRunner, jobs: Jobs, album: Path, silence: Callable[[Path], None]
) -> None:
    fill(album / "nas", 3)
    fill(album / "here", 3, 10)
    assert load(runner, album).done == 6
    silence(album / "nas")
    fill(album / "here", 1, 20)
    job = load(runner, album)
    assert (job.state, job.done, job.skipped, job.failed) == ("done", 1, 3, 1)
    said = f"'{album / 'nas'}' has not answered for 0 s (is its drive connected?)"
    assert [failure.reason for failure in jobs.failures(job.id)] == [f"The folder cannot be read: {said}."]
    assert job.message and f"3 pictures below '{album / 'nas'}' cannot be reached: {said}." in job.message
    summary = library.collection(NAME).describe()
    assert (summary.count, summary.missing) == (7, 0)
    report = check(library)
    assert report.clean and [note for note in report.notes if "cannot be reached" in note and said in note]
    job = load(runner, album / "nas")
    assert (job.state, job.message) == ("failed", f"The folder '{album / 'nas'}' cannot be reached: {said}.")
    with pytest.raises(NotFound, match="has not answered"):
        own_folder(album / "nas")
