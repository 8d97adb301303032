"""``compare``: one case under several laws, one table, one picture, one summary."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pnp_exclusion.cli.commands.words import LAW_NAMES, add_case, add_output
from pnp_exclusion.errors import ConvergenceError, UsageError
from pnp_exclusion.runtime import fenicsx

HELP = "solve a case under several laws, side by side"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    add_case(parser)
    add_output(parser)
    parser.add_argument("--laws", default=",".join(LAW_NAMES), help="separated by commas (default: %(default)s)")


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Solve under every law; each law's results in a folder of its own beside the common ones."""
    fenicsx.initialise_petsc(petsc_options)
    from pnp_exclusion.output.job import Job, failure, read
    from pnp_exclusion.output.report import comparison_table

    laws = _laws(arguments.laws)
    cases = {law: read(arguments.case, law) for law in laws}
    solutions = {}
    with Job(arguments, petsc_options) as job:
        for law, one in cases.items():
            job.console.say(f"law {law}")
            solutions[law] = job.solve(one)
            job.write(solutions[law], f"{law}/")
        job.write_comparison(solutions)
        job.folder.complete()
    job.print_lines(comparison_table(solutions))
    failed = [solution for solution in solutions.values() if not solution.converged]
    if failed:
        raise ConvergenceError("\n".join(failure(solution, job.folder.path) for solution in failed))
    return 0


def _laws(text: str) -> list[str]:
    from pnp_exclusion.case.reading import nearest

    laws = [word.strip() for word in text.split(",") if word.strip()]
    for law in laws:
        if law not in LAW_NAMES:
            raise UsageError(f'--laws: there is no law "{law}"; {nearest(law, LAW_NAMES)}')
    if not laws:
        raise UsageError("--laws: name at least one law, e.g. mpnp,shdl")
    return list(dict.fromkeys(laws))
