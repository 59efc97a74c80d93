"""Progress, as people see it: a bar on a terminal, a line now and then in a notebook or a pipe."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PLAIN_LINE_S = 5.0
"""Pause between two lines of progress where there is no terminal."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves the cursor, colours, names the window, or turns the direction of writing."""

Count = Callable[[int, int | None], None]
"""Is told how much is done, and of how much, where that is known."""


def plain(text: str) -> str:
    """A line that a terminal only shows, and never obeys: control characters, as names of files may have them, are written out."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


@contextmanager
def counting(what: str, *, silent: bool = False, bytes: bool = False) -> Iterator[Count]:
    """Progress of plain counts, or of bytes; call the result with (done, total)."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if silent or not console.is_terminal:
        yield _lines(what, silent, bytes)
        return
    amount = DownloadColumn() if bytes else MofNCompleteColumn()
    with Progress(TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines(what: str, silent: bool, bytes: bool) -> Count:
    last = time.monotonic()

    def amount(value: int) -> str:
        return f"{value / 1e6:,.0f} MB" if bytes else f"{value:,}"

    def tell(done: int, total: int | None) -> None:
        nonlocal last
        if not silent and time.monotonic() - last >= PLAIN_LINE_S:
            last = time.monotonic()
            sys.stderr.write(plain(f"{what}: {amount(done)}" + (f" of {amount(total)}" if total else "")) + "\n")

    return tell
