"""``capacitance``: charge and differential capacitance over the potential of a boundary."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pnp_exclusion.cli.commands.curve import add_curve, follow

HELP = "charge of a boundary over its potential, and the exact differential capacitance"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    add_curve(parser)


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Follow, write, print."""
    return follow("capacitance", arguments, petsc_options)
