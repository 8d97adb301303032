"""``lattice``: the exchange process beside its continuum."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pnp_exclusion import fenicsx
from pnp_exclusion.commands.words import add_case, add_output, columns, numbers
from pnp_exclusion.errors import UsageError

if TYPE_CHECKING:
    from pnp_exclusion.hydrodynamics.compare import LatticeSettings
    from pnp_exclusion.job import Job
    from pnp_exclusion.solution import Solution

HELP = "run the lattice process of a case and compare it with the continuum"
INTERRUPTED = 130


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    add_case(parser)
    add_output(parser)
    parser.add_argument("--sizes", default="32,64,128,256", help="numbers of sites (default: %(default)s)")
    parser.add_argument(
        "--replicas", type=int, default=4, help="independent copies of each size (default: %(default)s)"
    )
    parser.add_argument(
        "--time",
        type=float,
        default=50.0,
        help="time measured by each copy of the largest size, in L^2/D; a size n runs (largest/n)^2 times longer "
        "(default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument(
        "--form",
        choices=["linear", "exponential"],
        default="linear",
        help="of the rates in the field (default: linear)",
    )
    parser.add_argument("--workers", type=int, default=1, help="processes; under mpiexec the ranks share the copies")
    parser.add_argument(
        "--relaxation",
        metavar="TIMES",
        help="without fields: follow a step between the reservoirs' contents at these times (in L^2/D, e.g. "
        "0.003,0.01,0.03) with --replicas copies of the largest size, against the heat equation",
    )


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Solve the continuum, run the process at every size (or its relaxation), compare, write."""
    sizes = sorted({int(size) for size in _positive("--sizes", arguments.sizes, int)})
    times = _positive("--relaxation", arguments.relaxation, float) if arguments.relaxation else None
    for name in ("replicas", "time", "workers"):
        if not getattr(arguments, name) > 0:
            raise UsageError(f"--{name} must be greater than 0, but it is {getattr(arguments, name)}")
    fenicsx.initialise_petsc(petsc_options)
    from pnp_exclusion.errors import ConvergenceError
    from pnp_exclusion.hydrodynamics.compare import LatticeSettings, require_channel
    from pnp_exclusion.job import Job, failure, read

    settings = LatticeSettings(
        sizes, arguments.replicas, arguments.time, arguments.seed, arguments.form, arguments.workers
    )
    case = read(arguments.case)
    with Job(arguments, petsc_options) as job:
        solution = job.solve(case)
        if not solution.converged:
            raise ConvergenceError(failure(solution, job.folder.path))
        require_channel(solution)
        lines, interrupted = _relax(job, solution, settings, times) if times else _compare(job, solution, settings)
        job.folder.complete()
    job.print_lines(lines)
    return INTERRUPTED if interrupted else 0


def _compare(job: Job, solution: Solution, settings: LatticeSettings) -> tuple[list[str], bool]:
    from pnp_exclusion.hydrodynamics.compare import compare_with_lattice
    from pnp_exclusion.hydrodynamics.report import as_json, table, verdict

    comparison = compare_with_lattice(solution, settings, job.console.progress)
    title, species = solution.setup.case.title, solution.weak_form.problem.names
    if comparison.runs:
        job.folder.draw("lattice_profiles.png", "hydrodynamics.plots.draw_profiles", title, species, comparison)
    if len(comparison.runs) > 1:
        job.folder.draw("lattice_convergence.png", "hydrodynamics.plots.draw_convergence", title, comparison)
    job.write_manifest(solution)
    content = as_json(comparison)
    job.folder.write_json("lattice.json", lambda: content)
    return [*columns(table(comparison)), verdict(comparison)], comparison.interrupted


def _relax(job: Job, solution: Solution, settings: LatticeSettings, times: Sequence[float]) -> tuple[list[str], bool]:
    from pnp_exclusion.hydrodynamics.relax import as_json, relax_step

    relaxation = relax_step(solution, settings, times, job.console.progress)
    if relaxation is None:
        return ["Nothing was measured."], True
    title, species = solution.setup.case.title, solution.weak_form.problem.names
    job.folder.draw(
        "lattice_relaxation.png",
        "hydrodynamics.plots.draw_relaxation",
        title,
        species,
        relaxation.result,
        relaxation.exact,
    )
    job.write_manifest(solution)
    job.folder.write_json("lattice.json", lambda: as_json(relaxation, species))
    rows = [["time [L^2/D]", "chi2/dof", "probability"]]
    rows += [
        [f"{time:g}", f"{chi.per_degree:.2f}", f"{chi.probability:.2g}"]
        for time, chi in zip(relaxation.result.times, relaxation.chi_square, strict=True)
    ]
    return [*columns(rows), relaxation.verdict], relaxation.result.interrupted


def _positive(option: str, text: str, kind: type[int] | type[float]) -> list[float]:
    try:
        found = [float(number) for number in numbers(text, kind)]
    except ValueError:
        found = []
    if not found or min(found) <= 0:
        kinds = "whole numbers" if kind is int else "numbers"
        raise UsageError(f'{option} takes {kinds} greater than 0 separated by commas, but it is "{text}"')
    return found
