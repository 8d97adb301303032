"""``sweep``: solve a case along the axes of its ``[sweep]``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pnp_exclusion.cli.commands.words import add_case, add_output
from pnp_exclusion.errors import ConvergenceError, UsageError
from pnp_exclusion.runtime import fenicsx

HELP = "solve a case along the axes of its [sweep]; the same command resumes it"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    add_case(parser)
    add_output(parser)
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes on this machine (default: 1)")
    parser.add_argument("--dask", metavar="ADDRESS", help="solve on the workers of this Dask scheduler")
    parser.add_argument(
        "--ranks-per-point",
        type=int,
        default=1,
        metavar="K",
        help="under mpiexec: groups of K ranks solve a point each, the first rank hands out (default: 1)",
    )
    parser.add_argument("--retry", action="store_true", help="solve points again that have no solution")
    parser.add_argument("--plan-only", action="store_true", help="check and write the plan, for the parts of an array")
    parser.add_argument("--part", type=int, metavar="I", help="solve this part only, from 0: a task of an array job")
    parser.add_argument("--parts", type=int, metavar="N", help="of so many")
    parser.add_argument("--gather", action="store_true", help="write the results of parts that have ended")


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Solve what is missing in the folder, write the results, print a short table."""
    task, part, parts = _task(arguments)
    fenicsx.initialise_petsc(petsc_options)
    from mpi4py import MPI

    from pnp_exclusion.output.job import read
    from pnp_exclusion.studies.sweeps.run import Options, Workers, run
    from pnp_exclusion.studies.sweeps.store import Part

    workers = Workers(arguments.workers, arguments.ranks_per_point, arguments.dask)
    options = Options(
        workers, task, Part(part, parts), arguments.overwrite, arguments.retry, tuple(petsc_options), arguments.quiet
    )
    folder = arguments.output or Path(f"{arguments.case.stem}.results")
    report = run(read(arguments.case), folder, options)
    if MPI.COMM_WORLD.rank == 0:
        print("\n".join(report.lines), flush=True)
    if report.fruitless:
        raise ConvergenceError(f"no point of the sweep has a solution; {folder}/points.jsonl says why")
    return 0


def _task(arguments: argparse.Namespace) -> tuple[Literal["solve", "plan", "gather"], int, int]:
    """What to do of which part; `UsageError` where the words do not go together."""
    chosen = [word for word in ("plan_only", "gather") if getattr(arguments, word)]
    if (arguments.part is None) != (arguments.parts is None):
        raise UsageError("--part and --parts go together, e.g. --part 0 --parts 8")
    if len(chosen) > 1 or (chosen and arguments.part is not None):
        raise UsageError("--plan-only, --part and --gather exclude each other: they are the steps of an array job")
    if arguments.part is None:
        return "plan" if arguments.plan_only else "gather" if arguments.gather else "solve", 0, 1
    if arguments.parts < 1:
        raise UsageError(f"--parts must be 1 or more, but it is {arguments.parts}")
    if not 0 <= arguments.part < arguments.parts:
        raise UsageError(f"--part must be one of 0 to {arguments.parts - 1}, but it is {arguments.part}")
    if arguments.retry or (arguments.overwrite and arguments.parts > 1):
        raise UsageError("--retry and --overwrite are for the whole sweep, not for a part that others run beside")
    return "solve", arguments.part, arguments.parts
