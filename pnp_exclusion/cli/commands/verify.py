"""``verify``: every reference beside the number that is computed here."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence

from pnp_exclusion.runtime import fenicsx

HELP = "compute what is known exactly, and say how far the two are apart"
FAILED = 3


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Compute all references; say it with the exit code if one does not hold."""
    fenicsx.initialise_petsc(petsc_options)
    from mpi4py import MPI

    from pnp_exclusion.errors import SolutionWarning
    from pnp_exclusion.output.text import columns
    from pnp_exclusion.verification.references import REFERENCES, outcome_of

    warnings.simplefilter("ignore", SolutionWarning)
    outcomes = [outcome_of(reference) for reference in REFERENCES]
    if MPI.COMM_WORLD.rank == 0:
        rows = [
            [
                outcome.reference.name,
                outcome.reference.law,
                outcome.reference.source,
                f"{outcome.known:.9g}",
                f"{outcome.computed:.9g}",
                f"{outcome.error:.1e}",
                f"{outcome.reference.tolerance:.0e}",
            ]
            for outcome in outcomes
        ]
        head = ["reference", "law", "known from", "known", "computed", "error", "tolerance"]
        if arguments.markdown:
            print("\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]))
        else:
            print("\n".join(columns([head, *rows])))
        for outcome in outcomes:
            if not outcome.holds:
                print(f"pnp-exclusion: {outcome.reference.name}: beyond its tolerance", file=sys.stderr)
    return 0 if all(outcome.holds for outcome in outcomes) else FAILED
