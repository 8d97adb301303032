"""``gradient``: derivatives of currents, charges and amounts by numbers of a case."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pnp_exclusion.cli.commands.words import add_case, add_output
from pnp_exclusion.runtime import fenicsx

HELP = "exact derivatives of currents, charges and amounts by any numbers of a case"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    add_case(parser)
    parser.add_argument(
        "--of", required=True, metavar="GOALS", help="names of the summary, e.g. currents.Na,charge.left"
    )
    parser.add_argument(
        "--by",
        "--with-respect-to",
        required=True,
        metavar="KEYS",
        help="of the case, e.g. species.Na.diffusivity,boundaries.left.potential; those joined by = change together",
    )
    parser.add_argument("--law", help="instead of the law of the case")
    add_output(parser)


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Solve, write ``gradient.csv`` and ``gradient.json``, print."""
    fenicsx.initialise_petsc(petsc_options)
    from pnp_exclusion.case.smooth_keys import parameters_of
    from pnp_exclusion.output.gradient import gradient_csv, gradient_json, gradient_table
    from pnp_exclusion.output.job import Job, read
    from pnp_exclusion.solution.goals import require_goals
    from pnp_exclusion.solution.gradient import gradient_of
    from pnp_exclusion.solution.settings import settings_of

    case = read(arguments.case, arguments.law)
    goals, keys = ([word.strip() for word in text.split(",") if word.strip()] for text in (arguments.of, arguments.by))
    # what can be known to be wrong before the case is solved
    parameters_of(case, keys)
    require_goals(goals)
    with Job(arguments, petsc_options) as job:
        solution = job.solve_or_end(case)
        gradient = gradient_of(solution.steady, goals, keys, settings_of(solution.case), petsc_options)
        job.folder.write("gradient.csv", lambda: gradient_csv(gradient))
        job.folder.write_json("gradient.json", lambda: gradient_json(gradient))
        job.write_manifest(solution)
        job.complete()
    job.print_lines(gradient_table(gradient))
    return 0
