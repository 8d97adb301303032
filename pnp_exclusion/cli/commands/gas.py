"""``gas``: the hard-point gas of a case, its currents and its coefficients."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pnp_exclusion.cli.commands.words import add_case, add_output
from pnp_exclusion.errors import ConvergenceError, UsageError
from pnp_exclusion.runtime import fenicsx

if TYPE_CHECKING:
    from pnp_exclusion.case.gas_tables import GasCase
    from pnp_exclusion.output.job import Job
    from pnp_exclusion.studies.gas.run import Settings

HELP = "run the hard-point gas of a case: currents of heat and particles, coupled transport"
INTERRUPTED = 130


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    add_case(parser)
    add_output(parser)
    parser.add_argument("--replicas", type=int, default=4, help="independent copies (default: %(default)s)")
    parser.add_argument(
        "--time",
        type=float,
        help="time measured by each copy, in the case's unit (default: that of the case, or 1000 times what the "
        "slowest kind takes to cross the gas)",
    )
    parser.add_argument("--burn-in", type=float, metavar="TIME", help="first window of the burn-in (default: chosen)")
    parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes; under mpiexec the ranks share the copies")
    parser.add_argument(
        "--coefficients",
        action="store_true",
        help="Onsager's matrix by responses to small forces and by covariances at equilibrium, about the state midway",
    )


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Run, write, print."""
    _require_sense(arguments)
    fenicsx.initialise_petsc(petsc_options)
    from mpi4py import MPI

    from pnp_exclusion.case.gas_tables import read_gas_case
    from pnp_exclusion.output.job import Job
    from pnp_exclusion.runtime.parallel import on_rank_zero
    from pnp_exclusion.studies.gas.run import Settings

    case = on_rank_zero(MPI.COMM_WORLD, lambda: read_gas_case(arguments.case))
    with Job(arguments, petsc_options) as job:
        settings = Settings(
            arguments.time,
            arguments.replicas,
            arguments.seed,
            arguments.burn_in,
            arguments.workers,
            job.comm if job.comm.size > 1 else None,
            lambda progress: job.console.progress(arguments.case.stem, progress),
        )
        return _run(job, case, settings, arguments.coefficients)


def _run(job: Job, case: GasCase, settings: Settings, with_coefficients: bool) -> int:
    from pnp_exclusion.studies.gas.report import as_json, profile_csv, summary, table
    from pnp_exclusion.studies.gas.run import run_gas

    run = run_gas(case, settings, with_coefficients)
    content = as_json(run)
    if case.output.pictures:
        job.folder.draw("gas_profiles.png", "studies.gas.plots.draw_profiles", run)
    job.folder.write("profile.csv", lambda: profile_csv(run))
    job.folder.write_json("gas.json", lambda: content)
    _write_manifest(job, case, run.result.seconds)
    job.folder.write_json("summary.json", lambda: summary(content))
    job.complete()
    job.print_lines(table(run))
    if run.result.complaint:
        raise ConvergenceError(f"{case.path}: {run.result.complaint}; {job.folder.path} keeps what was measured")
    return INTERRUPTED if run.result.interrupted else 0


def _write_manifest(job: Job, case: GasCase, seconds: float) -> None:
    from pnp_exclusion.output.results import case_manifest

    job.folder.write_json(
        "manifest.json", lambda: case_manifest(case.as_written(), job.comm.size) | {"seconds": seconds}
    )


def _require_sense(arguments: argparse.Namespace) -> None:
    for name in ("replicas", "time", "burn_in", "workers"):
        value = getattr(arguments, name)
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise UsageError(f"--{name.replace('_', '-')} must be a number greater than 0, but it is {value}")
    if arguments.seed < 0:
        raise UsageError(f"--seed must be 0 or greater, but it is {arguments.seed}")
