"""``correlations``: how densities and amounts fluctuate together."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pnp_exclusion.cli.commands.words import add_case, add_output
from pnp_exclusion.runtime import fenicsx

HELP = "fluctuations about the steady state: correlations of densities, structure factors, variances of amounts"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    add_case(parser)
    parser.add_argument("--law", help="instead of the law of the case")
    parser.add_argument(
        "--amounts", action="store_true", help="variances of amounts alone, which take no matrices without zeros"
    )
    add_output(parser)


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Solve, write ``correlations.nc``, ``structure_factors.csv``, ``correlations.json`` and a picture."""
    fenicsx.initialise_petsc(petsc_options)
    from pnp_exclusion.output.correlations import covariances_json, covariances_table, structure_factors_csv
    from pnp_exclusion.output.job import Job, read

    case = read(arguments.case, arguments.law)
    with Job(arguments, petsc_options) as job:
        solution = job.solve_or_end(case)
        whole = None
        if solution.steady.axes == 1 and not arguments.amounts:
            whole = solution.correlations()
            job.folder.write_netcdf("correlations.nc", whole.to_xarray)
            job.folder.write("structure_factors.csv", lambda: structure_factors_csv(whole))
            job.folder.draw(case.output, "correlations", "output.correlations.draw_correlations", case.title, whole)
        amounts = solution.covariances() if whole is None else whole.amounts
        job.folder.write_json("correlations.json", lambda: covariances_json(amounts, whole))
        job.write_manifest(solution)
        job.complete()
    job.print_lines(covariances_table(amounts))
    return 0
