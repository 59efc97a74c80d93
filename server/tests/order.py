"""In which order tests run, and which stay together."""

from __future__ import annotations

WAITING = ("tests/library/", "tests/jobs/test_runner.py", "tests/jobs/test_store.py")
"""These mostly wait for servers."""
SITE = tuple(f"tests/e2e/test_{name}.py" for name in ("library", "nginx", "search", "viewer"))
"""These ask one site."""


def long_first(path: str) -> int:
    """For sorting: what takes one worker longest, and waits most, begins first, so that no worker is left alone with it at the end."""
    return 0 if path.startswith(SITE) else 1 if path.startswith("tests/e2e/") else 2 if path.startswith("tests/training/") else 3
