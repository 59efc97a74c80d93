"""Tables of measured numbers: for a terminal, as JSON; and how times are taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.table import Table as RichTable

WARM_UP = 3
"""Calls that are not counted: the first ones allocate memory and compile kernels."""
WIDE = 5
"""Columns that fit side by side on a narrow terminal."""

Say = Callable[[str, float], None]
"""Called with what is being done and the share of it that is done, 0 to 1."""


def silent(what: str, share: float) -> None:
    pass


@dataclass
class Table:
    """Rows of one benchmark: column -> value."""

    title: str
    rows: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        return {"benchmark": self.title, "rows": self.rows}

    def to_markdown(self) -> str:
        """For a document: its title, and a table."""
        columns = list(dict.fromkeys(column for row in self.rows for column in row))
        lines = [columns, ["---"] * len(columns), *([shown(row.get(column)) for column in columns] for row in self.rows)]
        return "\n".join([f"{self.title}:", "", *("| " + " | ".join(cells) + " |" for cells in lines)])

    def to_table(self) -> RichTable:
        """For a terminal; numbers to three digits. Few rows with many columns lie on their side."""
        table = RichTable(title=self.title, title_justify="left")
        columns = list(dict.fromkeys(column for row in self.rows for column in row))
        if len(columns) > WIDE:
            table.add_column(columns[0])
            for row in self.rows:
                table.add_column(shown(row.get(columns[0])), justify="right")
            for column in columns[1:]:
                table.add_row(column, *(shown(row.get(column)) for row in self.rows))
            return table
        for column in columns:
            table.add_column(column, justify="right" if isinstance(self.rows[0].get(column), int | float) else "left")
        for row in self.rows:
            table.add_row(*(shown(row.get(column)) for column in columns))
        return table


def shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def times(call: Callable[[], object], number: int, say: Callable[[float], None] = lambda share: None) -> list[float]:
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


def percentile(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(values, percent))
