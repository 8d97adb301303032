"""``check``: validate a case and print what it amounts to."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pnp_exclusion.cli.commands.words import add_case
from pnp_exclusion.runtime import fenicsx

HELP = "validate a case; print its scales, mesh and warnings"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    add_case(parser)


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Build the mesh, solve nothing."""
    fenicsx.initialise_petsc(petsc_options)
    from mpi4py import MPI

    from pnp_exclusion.case.advice import advice
    from pnp_exclusion.case.build import build
    from pnp_exclusion.case.places import require_places
    from pnp_exclusion.output.job import read
    from pnp_exclusion.output.report import check_report

    setup = build(read(arguments.case))
    require_places(setup)
    lines, warnings = check_report(setup), advice(setup)
    if MPI.COMM_WORLD.rank == 0:
        print("\n".join(lines))
        for warning in warnings:
            print(f"warning: {warning}", file=sys.stderr)
    return 0
