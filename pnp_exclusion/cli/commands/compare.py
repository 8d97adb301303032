"""``compare``: one case under several laws, one table, one picture, one summary."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pnp_exclusion.cli.commands.words import add_case, add_output, laws
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.runtime import fenicsx

if TYPE_CHECKING:
    from pnp_exclusion.solution.noise import Noise

HELP = "solve a case under several laws, side by side"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    add_case(parser)
    add_output(parser)
    parser.add_argument("--laws", help="separated by commas (default: all that are built in for ions)")


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Solve under every law; each law's results in a folder of its own beside the common ones."""
    fenicsx.initialise_petsc(petsc_options)
    from mpi4py import MPI

    from pnp_exclusion.output.fields import require_formats
    from pnp_exclusion.output.job import Job, failure, read
    from pnp_exclusion.output.manifest import case_manifest
    from pnp_exclusion.output.report import comparison_table
    from pnp_exclusion.physics.laws import OF_IONS

    names = list(OF_IONS) if arguments.laws is None else laws("--laws", arguments.laws)
    cases = {law: read(arguments.case, law) for law in names}
    solutions = {}
    require_formats(next(iter(cases.values())), MPI.COMM_WORLD)
    with Job(arguments, petsc_options) as job:
        for law, one in cases.items():
            job.console.say(f"law {law}")
            solutions[law] = job.solve(one)
            job.write(solutions[law], f"{law}/")
        noises: dict[str, Noise] = {}
        for law, solution in solutions.items():
            try:
                noise = solution.noise_at_zero()
            except ConvergenceError as error:
                job.console.warn(f"law {law}: {error}")
            else:
                noises |= {law: noise} if noise else {}
        # with the parameters of every law, of which each one's case has its own alone
        written = next(iter(cases.values())).as_written()
        written["model"] = {key: value for one in cases.values() for key, value in one.as_written()["model"].items()}
        first = next(iter(cases.values()))
        job.folder.write_json("manifest.json", lambda: case_manifest(first, job.comm.size, written))
        job.write_comparison(solutions, noises)
        job.complete()
    job.print_lines(comparison_table(solutions, noises))
    failed = [solution for solution in solutions.values() if not solution.converged]
    if failed:
        raise ConvergenceError("\n".join(failure(solution, job.folder.path) for solution in failed))
    return 0
