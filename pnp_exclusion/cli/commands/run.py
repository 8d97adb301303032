"""``run``: solve one case and write its results."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from pnp_exclusion.cli.commands.words import add_case, add_output, add_restart
from pnp_exclusion.errors import ConvergenceError, UsageError
from pnp_exclusion.runtime import fenicsx

HELP = "solve a case and write its results"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    add_case(parser)
    add_output(parser)
    parser.add_argument("--law", help="instead of the law of the case")
    add_restart(parser, "run of a case with [time]")


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Solve, write, print a short table."""
    fenicsx.initialise_petsc(petsc_options)
    from mpi4py import MPI

    from pnp_exclusion.output.fields import require_formats
    from pnp_exclusion.output.job import Job, failure, motion_of, read
    from pnp_exclusion.output.report import run_table

    case = read(arguments.case, arguments.law)
    if case.time is None and (arguments.restart or arguments.walltime):
        raise UsageError(f"{arguments.case}: --restart and --walltime are for cases with a table [time]")
    require_formats(case, MPI.COMM_WORLD)
    with Job(arguments, petsc_options) as job:
        solution = job.solve(case) if case.time is None else job.run(case, arguments.walltime)
        job.write(solution)
        job.complete()
    job.print_lines(run_table(solution))
    if not solution.converged:
        raise ConvergenceError(failure(solution, job.folder.path))
    motion = motion_of(solution)
    if motion is not None and motion.failed:
        raise ConvergenceError(f"{case.path}: {motion.failed}; {job.folder.path} holds what was before")
    return 0
