"""``couple``: forces and currents of a case, Onsager's matrix, and what one force can do against another.

A case with a ``[sweep]`` is analysed at every point of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pnp_exclusion.cli.commands.words import add_case, add_output
from pnp_exclusion.errors import ConvergenceError, UsageError
from pnp_exclusion.runtime import fenicsx

if TYPE_CHECKING:
    from pnp_exclusion.case.case import Case
    from pnp_exclusion.output.job import Job
    from pnp_exclusion.studies.coupled.coupling import Coupling

LONGEST = 500
"""Letters of the reasons why a whole sweep has no result."""
HELP = "coupled transport: Onsager's matrix, entropy production, energy conversion"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    add_case(parser)
    add_output(parser)
    parser.add_argument("--law", help="instead of the law of the case")
    parser.add_argument(
        "--load",
        metavar="FORCE",
        help='the force that is worked against: a species, or "voltage" or "salinity" (default: chosen)',
    )
    parser.add_argument("--driver", metavar="FORCE", help="the force that drives it (default: chosen)")
    parser.add_argument(
        "--points",
        type=int,
        metavar="N",
        help="steady states of the power-efficiency curve at the case's own driving force; 0 for none "
        "(default: 21 in one dimension, else none; none over a [sweep])",
    )
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="over a [sweep]: processes on this machine (default: 1)"
    )
    parser.add_argument("--retry", action="store_true", help="over a [sweep]: solve points again that have no solution")


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Solve, analyse, write, print; over the points of a ``[sweep]`` if the case has one."""
    points = arguments.points
    if points is not None and (points < 0 or points in (1, 2)):
        raise UsageError(f"--points takes 0 or a whole number from 3 on, but it is {points}")
    fenicsx.initialise_petsc(petsc_options)
    from pnp_exclusion.output.job import Job, read
    from pnp_exclusion.studies.coupled.coupling import couple
    from pnp_exclusion.studies.coupled.report import as_json, table

    case = read(arguments.case, arguments.law)
    if case.sweep is not None:
        return _over_sweep(arguments, case, petsc_options)
    if arguments.workers != 1 or arguments.retry:
        raise UsageError(f"{case.path}: --workers and --retry go with a [sweep], and this case has none")
    with Job(arguments, petsc_options) as job:
        solution = job.solve_or_end(case)
        coupling = couple(solution, arguments.load, arguments.driver, points, petsc_options)
        content, lines = as_json(coupling), table(coupling)
        _draw(job, coupling)
        _write_entropy(job, coupling)
        job.write_manifest(solution)
        job.folder.write_json("coupling.json", lambda: content)
        job.complete()
    job.print_lines(lines)
    return 0


def _over_sweep(arguments: argparse.Namespace, case: Case, petsc_options: Sequence[str]) -> int:
    from mpi4py import MPI

    from pnp_exclusion.studies.sweeps.plan import CouplingChoice
    from pnp_exclusion.studies.sweeps.run import Options, Workers, run

    choice = CouplingChoice(arguments.load, arguments.driver, arguments.points or 0)
    options = Options(
        Workers(arguments.workers),
        overwrite=arguments.overwrite,
        retry=arguments.retry,
        petsc_options=tuple(petsc_options),
        quiet=arguments.quiet,
        coupling=choice,
    )
    folder = arguments.output or Path(f"{arguments.case.stem}.results")
    report = run(case, folder, options)
    if MPI.COMM_WORLD.rank == 0:
        print("\n".join(report.lines), flush=True)
    if report.fruitless:
        reasons = "; ".join(dict.fromkeys(map(str, report.results["reason"].values.ravel())))
        raise ConvergenceError(f"no point of the sweep has a coupling: {reasons[:LONGEST]}")
    return 0


def _draw(job: Job, coupling: Coupling) -> None:
    from pnp_exclusion.studies.coupled.entropy import entropy_profile, entropy_slice
    from pnp_exclusion.studies.coupled.report import units_of

    solution, conversion = coupling.solution, coupling.conversion
    case, scales = solution.setup.case, solution.setup.scales
    output, title = case.output, case.title
    if not output.picture_format:
        return
    if conversion is not None and conversion.reference.couples:
        units = units_of(coupling)
        job.folder.draw(
            output, "power_efficiency", "studies.coupled.plots.draw_power_efficiency", title, conversion, units
        )
    if coupling.at_equilibrium:
        return
    if solution.discretisation.problem.domain.dimension == 1:
        profile = entropy_profile(solution.discretisation)
        job.folder.draw(output, "entropy", "studies.coupled.plots.draw_entropy_profile", title, scales, profile)
    else:
        cut = entropy_slice(solution.discretisation, solution.steady.axis)
        job.folder.draw(output, "entropy", "studies.coupled.plots.draw_entropy_slice", title, scales, cut)


def _write_entropy(job: Job, coupling: Coupling) -> None:
    from pnp_exclusion.studies.coupled.entropy import entropy_profile
    from pnp_exclusion.studies.coupled.report import entropy_csv

    if coupling.solution.discretisation.problem.domain.dimension == 1:
        profile = entropy_profile(coupling.solution.discretisation)
        job.folder.write("entropy.csv", lambda: entropy_csv(coupling, profile) if profile else "")
