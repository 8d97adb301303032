"""``gas``: the hard-point gas of a case, its currents and its coefficients."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pnp_exclusion.cli.commands.words import add_case, add_output, numbers
from pnp_exclusion.errors import ConvergenceError, UsageError
from pnp_exclusion.runtime import fenicsx

if TYPE_CHECKING:
    from pnp_exclusion.case.gas_case import GasCase
    from pnp_exclusion.output.job import Job
    from pnp_exclusion.studies.gas.run import Settings

HELP = "run the hard-point gas of a case: currents of heat and particles, coupled transport"
INTERRUPTED = 130
LENGTHS = "20,40,80,160,320"


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
    parser.add_argument(
        "--critical-barrier",
        action="store_true",
        help="find the barrier at which L_ru/L_rr falls to a threshold, at several lengths",
    )
    parser.add_argument("--lengths", metavar="LENGTHS", help="of the gas, by commas (default: 20,40,80,160,320)")
    parser.add_argument(
        "--threshold", type=float, metavar="C", help="of L_ru/L_rr, in units of the temperature (default: 0)"
    )


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Run, write, print."""
    _require_sense(arguments)
    lengths = _lengths(arguments.lengths)
    fenicsx.initialise_petsc(petsc_options)
    from mpi4py import MPI

    from pnp_exclusion.case.gas_case import read_gas_case
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
        if case.sweep is not None and not arguments.critical_barrier:
            return _run_sweep(job, case, settings, arguments.coefficients)
        if arguments.critical_barrier:
            return _find_critical(job, case, lengths, arguments.threshold or 0.0, settings)
        return _run(job, case, settings, arguments.coefficients)


def _run(job: Job, case: GasCase, settings: Settings, with_coefficients: bool) -> int:
    from pnp_exclusion.particles.stationary import NothingMeasuredError
    from pnp_exclusion.studies.gas.report import as_json, profile_csv, summary, table
    from pnp_exclusion.studies.gas.run import run_gas

    try:
        run = run_gas(case, settings, with_coefficients)
    except NothingMeasuredError:
        raise KeyboardInterrupt from None
    content = as_json(run)
    job.folder.draw(case.output, "gas_profiles", "studies.gas.plots.draw_profiles", run)
    job.folder.write("profile.csv", lambda: profile_csv(run))
    job.folder.write_json("gas.json", lambda: content)
    _write_manifest(job, case, run.result.seconds)
    job.folder.write_json("summary.json", lambda: summary(content))
    job.complete()
    job.print_lines(table(run))
    if run.failure:
        raise run.failure
    if run.result.complaint and not run.interrupted:
        raise ConvergenceError(f"{case.path}: {run.result.complaint}; {job.folder.path} keeps what was measured")
    return INTERRUPTED if run.interrupted else 0


def _run_sweep(job: Job, case: GasCase, settings: Settings, with_coefficients: bool) -> int:
    from pnp_exclusion.studies.gas.sweep import can_be_drawn, run_gas_sweep, sweep_csv, sweep_json, sweep_table

    if with_coefficients:
        raise UsageError(f"{case.path}: --coefficients are those of one gas, and this case has a [sweep]")
    began = time.monotonic()
    sweep = run_gas_sweep(case, settings, job.console.say)
    content = sweep_json(sweep)
    if can_be_drawn(sweep):
        job.folder.draw(case.output, "gas_sweep", "studies.gas.sweep.draw_sweep", sweep)
    job.folder.write("points.csv", lambda: sweep_csv(sweep))
    job.folder.write_json("gas.json", lambda: content)
    _write_manifest(job, case, time.monotonic() - began)
    job.complete()
    job.print_lines(sweep_table(sweep))
    if not sweep.measured and not sweep.interrupted:
        raise ConvergenceError(f"{case.path}: no point was measured; {job.folder.path}/points.csv says why")
    return INTERRUPTED if sweep.interrupted else 0


def _find_critical(job: Job, case: GasCase, lengths: Sequence[float], threshold: float, settings: Settings) -> int:
    from pnp_exclusion.studies.gas.critical import as_json, run_critical, table

    if case.si and any(length > 1.0 for length in lengths):
        raise UsageError("--lengths are in m for a case in SI units, e.g. 1e-8,2e-8")
    began = time.monotonic()
    run = run_critical(case, lengths, threshold, settings)
    for warning in run.warnings:
        job.console.warn(warning)
    content = as_json(run)
    if run.found:
        job.folder.draw(case.output, "gas_critical", "studies.gas.critical.draw_critical", run)
    job.folder.write_json("gas.json", lambda: content)
    _write_manifest(job, case, time.monotonic() - began)
    job.complete()
    job.print_lines(table(run))
    return INTERRUPTED if run.interrupted else 0


def _write_manifest(job: Job, case: GasCase, seconds: float) -> None:
    from pnp_exclusion.output.manifest import case_manifest

    job.folder.write_json("manifest.json", lambda: case_manifest(case, job.comm.size) | {"seconds": seconds})


def _require_sense(arguments: argparse.Namespace) -> None:
    for name in ("replicas", "time", "burn_in", "workers"):
        value = getattr(arguments, name)
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise UsageError(f"--{name.replace('_', '-')} must be a number greater than 0, but it is {value}")
    if not arguments.critical_barrier and (arguments.lengths is not None or arguments.threshold is not None):
        raise UsageError("--lengths and --threshold go with --critical-barrier")
    if arguments.critical_barrier and arguments.coefficients:
        raise UsageError("--critical-barrier and --coefficients exclude each other")
    if arguments.threshold is not None and not math.isfinite(arguments.threshold):
        raise UsageError(f"--threshold must be a finite number, but it is {arguments.threshold}")
    if arguments.seed < 0:
        raise UsageError(f"--seed must be 0 or greater, but it is {arguments.seed}")


def _lengths(text: str | None) -> list[float]:
    try:
        found = [float(length) for length in numbers(text or LENGTHS, float)]
    except ValueError:
        found = []
    if not found or not all(0 < length < math.inf for length in found):
        raise UsageError(f'--lengths takes numbers greater than 0 separated by commas, but it is "{text}"')
    return sorted(set(found))
