"""``engine``: two membranes, or two gases, in a loop between two reservoirs, from no load to the one that stops it."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pnp_exclusion.cli.commands.words import add_output
from pnp_exclusion.errors import ConvergenceError, UsageError
from pnp_exclusion.runtime import fenicsx

if TYPE_CHECKING:
    from pnp_exclusion.output.job import Job
    from pnp_exclusion.studies.engine.gas_engine import GasEngine

HELP = "two membranes or two gases in a loop: power and efficiency from salinity or heat"
INTERRUPTED = 130
MEMBRANE_POINTS, GAS_POINTS = 21, 5
OF_GASES = ("time", "replicas", "seed", "workers", "reservoir_particles", "kinetic_limit")
"""Words that mean nothing to membranes."""
OF_MEMBRANES = ("reservoir_volume", "load")
"""Words that mean nothing to gases."""


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    parser.add_argument("case", type=Path, metavar="CASE_A", help="the case file of leg A: a membrane, or a gas")
    parser.add_argument("other", type=Path, metavar="CASE_B", help="that of leg B, between the same reservoirs")
    add_output(parser)
    parser.add_argument(
        "--area-ratio", type=float, default=1.0, metavar="R", help="area of leg B over that of leg A (default: 1)"
    )
    parser.add_argument(
        "--points",
        type=int,
        metavar="N",
        help=f"loads of the curve (default: {MEMBRANE_POINTS}; {GAS_POINTS} for gases that are run)",
    )
    membranes = parser.add_argument_group("legs of membrane")
    membranes.add_argument(
        "--reservoir-volume",
        metavar="V",
        help='of both reservoirs, over the area of leg A, e.g. "1 mm": the engine also runs down',
    )
    membranes.add_argument(
        "--load",
        metavar="R",
        help='resistance against which it runs down, e.g. "1e-4 ohm m^2" (default: that of maximum power at first)',
    )
    gases = parser.add_argument_group("legs of gas")
    gases.add_argument("--kinetic-limit", action="store_true", default=None, help="small barriers; nothing is run")
    gases.add_argument("--time", type=float, help="time measured by each copy of the loop (default: that of the cases)")
    gases.add_argument("--replicas", type=int, help="independent copies of the loop (default: 4)")
    gases.add_argument("--seed", type=int, help="(default: 1)")
    gases.add_argument("--workers", type=int, help="processes; under mpiexec the ranks share the copies")
    gases.add_argument(
        "--reservoir-particles",
        type=int,
        metavar="N",
        help="that both reservoirs hold together (default: enough to be slow beside the gases)",
    )


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Solve or run both legs, load the loop, write, print."""
    _require_sense(arguments)
    fenicsx.initialise_petsc(petsc_options)
    from mpi4py import MPI

    from pnp_exclusion.case.gas_case import is_gas_case
    from pnp_exclusion.runtime.parallel import on_rank_zero

    of_gas = on_rank_zero(MPI.COMM_WORLD, lambda: [is_gas_case(path) for path in (arguments.case, arguments.other)])
    if all(of_gas):
        given = [word for word in OF_MEMBRANES if getattr(arguments, word) is not None]
        if given:
            raise UsageError(f"--{given[0].replace('_', '-')} is for legs of membrane, and these are gases")
        return _run_gases(arguments, petsc_options)
    if any(of_gas):
        raise UsageError(f"{arguments.other}: the legs of an engine are two membranes or two gases, not one of each")
    given = [word for word in OF_GASES if getattr(arguments, word) is not None]
    if given:
        raise UsageError(f"--{given[0].replace('_', '-')} is for legs of gas, and these are membranes")
    return _run_membranes(arguments, petsc_options)


def _run_membranes(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    from pnp_exclusion.output.job import Job, read
    from pnp_exclusion.output.manifest import cases_manifest
    from pnp_exclusion.studies.engine.discharge import discharge, resistance_of, volume_of
    from pnp_exclusion.studies.engine.engine import run_engine
    from pnp_exclusion.studies.engine.report import as_json, discharge_csv, discharge_json, discharge_table, table

    volume, resistance = arguments.reservoir_volume, arguments.load
    cases, points = [read(arguments.case), read(arguments.other)], arguments.points or MEMBRANE_POINTS
    with Job(arguments, petsc_options) as job:
        solutions = []
        for leg, case in zip("AB", cases, strict=True):
            job.console.say(f"leg {leg}: {case.path}")
            solutions.append(job.solve_or_end(case))
        # what is no volume is said before the loop is computed
        if volume is not None:
            volume_of(solutions[0], volume)
        if resistance is not None:
            resistance_of(solutions[0], resistance)
        job.console.say("the loop under load")
        engine = run_engine(solutions[0], solutions[1], arguments.area_ratio, points, petsc_options)
        job.folder.draw(cases[0].output, "engine", "studies.engine.plots.draw_engine", engine)
        for leg, solution in zip("ab", solutions, strict=True):
            job.folder.make(f"leg_{leg}/")
            job.write_manifest(solution, f"leg_{leg}/")
        content, lines = as_json(engine), table(engine)
        if volume is not None:
            job.console.say("the reservoirs run down")
            run = discharge(engine, (volume, volume), resistance, petsc_options=petsc_options)
            job.folder.write("discharge.csv", lambda: discharge_csv(run))
            job.folder.draw(cases[0].output, "discharge", "studies.engine.plots.draw_discharge", run)
            content["discharge"] = discharge_json(run)
            lines += discharge_table(run)
        job.folder.write_json("manifest.json", lambda: cases_manifest(cases, job.comm.size))
        job.folder.write_json("engine.json", lambda: content)
        job.complete()
    job.print_lines(lines)
    return 0


def _run_gases(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    from mpi4py import MPI

    from pnp_exclusion.case.gas_case import read_gas_case
    from pnp_exclusion.output.job import Job
    from pnp_exclusion.runtime.parallel import on_rank_zero
    from pnp_exclusion.studies.engine.gas_engine import run_gas_engine
    from pnp_exclusion.studies.gas.run import Settings

    paths = arguments.case, arguments.other
    case, other = on_rank_zero(MPI.COMM_WORLD, lambda: [read_gas_case(path) for path in paths])
    with Job(arguments, petsc_options) as job:
        settings = Settings(
            time=arguments.time,
            replicas=arguments.replicas or 4,
            seed=1 if arguments.seed is None else arguments.seed,
            workers=arguments.workers or 1,
            communicator=job.comm if job.comm.size > 1 else None,
            report=lambda progress: job.console.progress("the loop", progress),
        )
        if arguments.kinetic_limit:
            engine = run_gas_engine(case, other, arguments.area_ratio, arguments.points or MEMBRANE_POINTS)
        else:
            points, number = arguments.points or GAS_POINTS, arguments.reservoir_particles
            engine = run_gas_engine(case, other, arguments.area_ratio, points, settings, number)
        _write(job, engine)
    if engine.failure:
        raise engine.failure
    complaints = [point.complaint for point in engine.points if point.complaint]
    if complaints and not engine.interrupted:
        raise ConvergenceError(f"{case.path}: {complaints[0]}; {job.folder.path} keeps what was measured")
    return INTERRUPTED if engine.interrupted else 0


def _write(job: Job, engine: GasEngine) -> None:
    from pnp_exclusion.output.manifest import case_manifest, cases_manifest
    from pnp_exclusion.studies.engine.gas_report import as_json, table

    content, lines = as_json(engine), table(engine)
    job.folder.draw(engine.cases[0].output, "engine", "studies.engine.gas_report.draw_engine", engine)
    seconds = time.perf_counter() - job.started
    for leg, case in zip("ab", engine.cases, strict=True):
        job.folder.make(f"leg_{leg}/")
        manifest = case_manifest(case, job.comm.size) | {"seconds": seconds}
        job.folder.write_json(f"leg_{leg}/manifest.json", partial(dict, manifest))
    job.folder.write_json("manifest.json", lambda: cases_manifest(engine.cases, job.comm.size))
    job.folder.write_json("engine.json", lambda: content)
    job.complete()
    job.print_lines(lines)


def _require_sense(arguments: argparse.Namespace) -> None:
    if not 0.0 < arguments.area_ratio < math.inf:
        raise UsageError(f"--area-ratio must be greater than 0, but it is {arguments.area_ratio:g}")
    if arguments.points is not None and arguments.points < 3:
        raise UsageError(f"--points takes a whole number from 3 on, but it is {arguments.points}")
    if arguments.load is not None and arguments.reservoir_volume is None:
        raise UsageError("--load is that of a discharge: give --reservoir-volume too")
    for name in ("time", "replicas", "workers", "reservoir_particles"):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"--{name.replace('_', '-')} must be a number greater than 0, but it is {value}")
    if arguments.seed is not None and arguments.seed < 0:
        raise UsageError(f"--seed must be 0 or greater, but it is {arguments.seed}")
    if arguments.kinetic_limit:
        given = [word for word in OF_GASES[:-1] if getattr(arguments, word) is not None]
        if given:
            raise UsageError(f"--{given[0].replace('_', '-')} is for gases that are run, and --kinetic-limit runs none")
