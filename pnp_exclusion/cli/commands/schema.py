"""``schema``: the JSON Schema of case files, for editors."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

HELP = "print the JSON Schema of case files, for editors"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add no words."""


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Print it."""
    from mpi4py import MPI

    from pnp_exclusion.case.case import Case

    if MPI.COMM_WORLD.rank == 0:
        print(json.dumps(Case.model_json_schema(), indent=2))
    return 0
