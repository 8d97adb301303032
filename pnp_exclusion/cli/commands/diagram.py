"""``diagram``: where in the plane of two drivings every species runs uphill, and where against its own force."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from pnp_exclusion.cli.commands.words import add_output, laws
from pnp_exclusion.errors import ConvergenceError, UsageError
from pnp_exclusion.runtime import fenicsx

HELP = "draw the regimes of the species over two drivings, for several cases side by side"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.add_argument(
        "cases", type=Path, nargs="+", metavar="CASE", help="TOML case files with a [diagram]; a column each"
    )
    add_output(parser)
    parser.add_argument(
        "--law", metavar="LAWS", help="instead of the law of the cases; several, by commas: a column each"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes that share the solves (default: 1)")
    parser.add_argument("--resolution", type=int, help="instead of that of the cases")
    parser.add_argument("--accuracy", type=float, help="instead of that of the cases, relative to the axes' ranges")


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Find the borders of every case and variant, write, draw, print a table."""
    _check(arguments)
    fenicsx.initialise_petsc(petsc_options)
    from mpi4py import MPI

    from pnp_exclusion.output.job import Job, read
    from pnp_exclusion.studies.diagram.job import draw_diagrams
    from pnp_exclusion.studies.diagram.plane import planes_of

    if MPI.COMM_WORLD.size > 1:
        raise UsageError("diagram runs on one rank; start it without mpiexec and share its solves out by --workers")
    cases = [read(path, law) for path in arguments.cases for law in _laws(arguments.law)]
    planes = [plane for case in cases for plane in planes_of(case, arguments.resolution, arguments.accuracy)]
    arguments.case = arguments.cases[0]
    with Job(arguments, petsc_options) as job:
        lines, solved = draw_diagrams(job, planes, arguments.workers)
        job.complete()
    job.print_lines(lines)
    if not solved:
        raise ConvergenceError(f"no point has a solution; {job.folder.path}/points.csv says why")
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.workers < 1:
        raise UsageError(f"--workers must be at least 1, but it is {arguments.workers}")
    if arguments.resolution is not None and not 3 <= arguments.resolution <= 1000:
        raise UsageError(f"--resolution must be between 3 and 1000, but it is {arguments.resolution}")
    if arguments.accuracy is not None and not 0.0 < arguments.accuracy < 1.0:
        raise UsageError(f"--accuracy must be between 0 and 1, but it is {arguments.accuracy}")
    _laws(arguments.law)
    twice = [path for position, path in enumerate(arguments.cases) if path in arguments.cases[:position]]
    if twice:
        raise UsageError(f"{twice[0]} is named twice")


def _laws(text: str | None) -> list[str | None]:
    """The laws to draw, None for that of each case."""
    return [None] if text is None else [*laws("--law", text)]
