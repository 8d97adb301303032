"""``iv``: currents over the potential of a boundary."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pnp_exclusion.cli.commands.curve import add_curve, follow

HELP = "current over the potential of a boundary: each ion's share, conductance, rectification"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    add_curve(parser)


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Follow, write, print."""
    return follow("iv", arguments, petsc_options)
