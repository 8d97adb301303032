"""``schema``: the JSON Schema of case files, for editors."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from pnp_exclusion.cli.commands.words import refuse_petsc_options
from pnp_exclusion.runtime.launcher import launched_rank

HELP = "print the JSON Schema of case files, for editors"
ELECTROLYTE, GAS, LATTICE = "electrolyte", "gas", "lattice"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the words of this command to its parser."""
    parser.add_argument(
        "sort",
        nargs="?",
        choices=(ELECTROLYTE, GAS, LATTICE),
        default=ELECTROLYTE,
        help="of case files: those with [model] (the default), those with [gas], those with [lattice]",
    )


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Print it."""
    refuse_petsc_options("schema", petsc_options)
    from pnp_exclusion.case.base import Table
    from pnp_exclusion.case.case import Case
    from pnp_exclusion.case.gas_tables import GasCaseTables
    from pnp_exclusion.case.lattice_tables import LatticeCaseTables

    sorts: dict[str, type[Table]] = {ELECTROLYTE: Case, GAS: GasCaseTables, LATTICE: LatticeCaseTables}
    # MPI is not started for this: its libraries may print into what is printed here
    if not launched_rank():
        print(json.dumps(sorts[arguments.sort].model_json_schema(), indent=2))
    return 0
