"""Tables of words and of numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


def columns(rows: Iterable[Iterable[str]]) -> list[str]:
    """Align rows of words as lines."""
    listed = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    return ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in listed]


def word(value: float) -> str:
    """Return a number for a table, a dash if it means nothing."""
    return f"{value:.6g}" if math.isfinite(value) else "-"


def csv_of(head: Sequence[str], values: Iterable[Iterable[float]]) -> str:
    """Return columns of numbers, in all their digits, below their heads."""
    rows = [",".join(repr(float(value)) for value in row) for row in zip(*values, strict=True)]
    return "\n".join([",".join(head), *rows]) + "\n"


def header(name: str, unit: str) -> str:
    """Return the head of a column: its name, with its unit if it has one."""
    return f"{name} [{unit}]" if unit else name
