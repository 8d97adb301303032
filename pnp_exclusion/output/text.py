"""Tables of words for people."""

from __future__ import annotations

from collections.abc import Iterable


def columns(rows: Iterable[Iterable[str]]) -> list[str]:
    """Align rows of words as lines."""
    listed = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    return ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in listed]
