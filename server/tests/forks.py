"""Processes that begin with everything imported: a test that kills a dozen would import for longer than it tests."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["milvus_lite", "pymilvus", "tests.library.conftest", "tsir.library.library"])


def begin(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Run a function of a module in a process of its own."""
    process = _processes.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def ended(process: BaseProcess, seconds: float = 120) -> int:
    """How it ended: its status, or the signal that ended it, negative."""
    process.join(seconds)
    assert process.exitcode is not None, "It did not end."
    return process.exitcode
