"""Words that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

LAW_NAMES = ("pnp", "mpnp", "shdl", "vacancy")
"""The laws that a case file can name, as in `pnp_exclusion.laws.LAWS`, without importing numpy."""


def add_case(parser: argparse.ArgumentParser) -> None:
    """Add the positional CASE."""
    parser.add_argument("case", type=Path, metavar="CASE", help="a TOML case file")


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the folder for results and how to talk."""
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for the results (default: the name of CASE without .toml, + .results, in the current folder)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace results that the folder holds")
    parser.add_argument("--quiet", action="store_true", help="no lines of progress (the log file has them)")


def numbers(text: str, kind: type[int] | type[float]) -> list[int] | list[float]:
    """Read numbers separated by commas; `ValueError` if one is none."""
    return [kind(word) for word in text.split(",") if word.strip()]


def columns(rows: Iterable[Iterable[str]]) -> list[str]:
    """Align rows of words as lines."""
    listed = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    return ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in listed]
