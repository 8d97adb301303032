"""Words that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

LAW_NAMES = ("pnp", "mpnp", "shdl", "vacancy")
"""The laws that a case file can name, as in `pnp_exclusion.physics.laws.LAWS`, without importing numpy."""


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
