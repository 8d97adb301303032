"""``info``: versions, for bug reports."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pnp_exclusion.runtime import fenicsx

HELP = "print versions, for bug reports"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add no words."""


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Print them."""
    fenicsx.initialise_petsc(petsc_options)
    from mpi4py import MPI

    from pnp_exclusion.output.manifest import versions

    if MPI.COMM_WORLD.rank == 0:
        for name, version in versions().items():
            print(f"{name:22s} {version}")
    return 0
