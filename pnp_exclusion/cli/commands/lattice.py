"""``lattice``: the exchange process beside its continuum, or a lattice whose particles carry energy beside theory."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pnp_exclusion.cli.commands.words import add_case, add_output, numbers
from pnp_exclusion.errors import PnpExclusionError, UsageError
from pnp_exclusion.output.text import columns
from pnp_exclusion.runtime import fenicsx
from pnp_exclusion.verification import LARGEST_SIZE

if TYPE_CHECKING:
    from pnp_exclusion.case.case import Case
    from pnp_exclusion.case.lattice_tables import LatticeCase
    from pnp_exclusion.output.job import Job
    from pnp_exclusion.particles.replicas import Progress
    from pnp_exclusion.verification.compare import LatticeSettings
    from pnp_exclusion.verification.continuum import Continuum, Field
    from pnp_exclusion.verification.relax import Course

HELP = "run the lattice process of a case and compare it with the continuum"
INTERRUPTED = 130
DEFAULT_SIZES = "32,64,128,256"
DEFAULT_SIZES_WITH_ENERGY = "8,16"


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the command's words."""
    add_case(parser)
    add_output(parser)
    parser.add_argument(
        "--sizes",
        help=f"numbers of sites, at most {LARGEST_SIZE} (default: {DEFAULT_SIZES}); where particles carry energy of "
        f"sites or cells (default: {DEFAULT_SIZES_WITH_ENERGY})",
    )
    parser.add_argument(
        "--replicas", type=int, help="independent copies of each size (default: 4, with --relaxation 1000)"
    )
    parser.add_argument(
        "--time",
        type=float,
        help="time measured by each copy of the largest size, in L^2/D, the case's unit of time; a size n runs "
        "(largest/n)^2 times longer (default: 50 diffusion times, length^2/D of the channel); where particles carry "
        "energy, in (n + 1)^2 lattice units for every n",
    )
    parser.add_argument("--seed", type=int, default=1, help="(default: %(default)s)")
    parser.add_argument(
        "--form",
        choices=["linear", "exponential"],
        help="of the rates in the field (default: linear)",
    )
    parser.add_argument("--workers", type=int, default=1, help="processes; under mpiexec the ranks share the copies")
    parser.add_argument(
        "--field",
        choices=["mean", "configuration"],
        help='with electrostatics = "poisson": the particles move in the field of the continuum solution (default), or '
        "in that of their own charges, at rates exp(-dH/2) of the field energy",
    )
    parser.add_argument(
        "--noise",
        action="store_true",
        help="count the currents' noise: S(0), Fano factors, spectra and two-point functions, beside the continuum's",
    )
    parser.add_argument(
        "--bonds",
        metavar="PLACES",
        help="with --noise: places from 0 to 1 of bonds whose own currents are told (default: 0,0.5,1)",
    )
    parser.add_argument(
        "--frequencies",
        help="with --noise: of spectra, in Hz, of a dimensionless case angular in D/L^2 (default: 3, 10 and 30 "
        "D/length^2 of the channel)",
    )
    parser.add_argument(
        "--relaxation",
        metavar="TIMES",
        help="follow the densities at these times (in L^2/D, e.g. 0.003,0.01,0.03) with --replicas copies of the "
        "largest size: of a case with a table [time] from its beginning, against its continuum; of others, which must "
        "have no fields, from a step between the reservoirs' fractions, against the heat equation",
    )


def execute(arguments: argparse.Namespace, petsc_options: Sequence[str]) -> int:
    """Solve the continuum, run the process at every size (or its relaxation), compare, write."""
    sizes = sorted({int(size) for size in _positive("--sizes", arguments.sizes or DEFAULT_SIZES, int)})
    times = _positive("--relaxation", arguments.relaxation, float) if arguments.relaxation else None
    _require_sense(arguments, sizes)
    fenicsx.initialise_petsc(petsc_options)
    from mpi4py import MPI

    from pnp_exclusion.case.lattice_tables import read_lattice_case
    from pnp_exclusion.output.job import Job, read
    from pnp_exclusion.runtime.parallel import on_rank_zero
    from pnp_exclusion.verification.compare import LatticeSettings
    from pnp_exclusion.verification.relax import step_course

    with_energy = on_rank_zero(MPI.COMM_WORLD, lambda: read_lattice_case(arguments.case))
    if with_energy is not None:
        return _measure_energy(arguments, petsc_options, with_energy)
    case = read(arguments.case)
    moves = times is not None and case.time is not None
    field: Field = arguments.field or "mean"
    # without fields, which the relaxation of a step demands, both forms are the same, and this one suits every size
    is_exponential = (times and not moves) or field == "configuration"
    form = "exponential" if is_exponential else arguments.form or "linear"
    sizes = [max(sizes)] if times else sizes
    settings = LatticeSettings(sizes, arguments.replicas, arguments.time, arguments.seed, form, arguments.workers)
    if arguments.bonds:
        places = _numbers("--bonds", arguments.bonds, float, "places from 0 to 1", lambda place: 0.0 <= place <= 1.0)
        settings = replace(settings, bonds=places)
    frequencies = _positive("--frequencies", arguments.frequencies, float) if arguments.frequencies else []
    course: Course | None = None
    with Job(arguments, petsc_options) as job:
        if times and moves:
            course, manifest = _motion(job, case, settings, field, times, petsc_options)
        else:
            continuum, manifest = _continuum(job, case, settings, field, frequencies if arguments.noise else None)
            if times:
                course = step_course(continuum, times)
        job.folder.write_json("manifest.json", lambda: manifest)
        lines, ending = (
            _relax(job, case, course, settings) if course is not None else _compare(job, case, continuum, settings)
        )
        job.complete()
    job.print_lines(lines)
    if isinstance(ending, PnpExclusionError):
        raise ending
    return ending


def _require_sense(arguments: argparse.Namespace, sizes: Sequence[int]) -> None:
    for name in ("replicas", "time", "workers"):
        value = getattr(arguments, name)
        if value is not None and not (value > 0 and math.isfinite(value)):
            raise UsageError(f"--{name} must be a number greater than 0, but it is {value}")
    if arguments.seed < 0:
        raise UsageError(f"--seed must be 0 or greater, but it is {arguments.seed}")
    if max(sizes) > LARGEST_SIZE:
        raise UsageError(f"--sizes are at most {LARGEST_SIZE}, but one is {max(sizes)}")
    for name in ("bonds", "frequencies"):
        if getattr(arguments, name) and not arguments.noise:
            raise UsageError(f"--{name} goes with --noise")
    if arguments.field == "configuration" and arguments.form == "linear":
        raise UsageError("--form linear does not go with --field configuration, whose rates are exp(-dH/2)")
    if arguments.noise and arguments.relaxation:
        raise UsageError("--noise is that of the steady state: it does not go with --relaxation")


def _continuum(
    job: Job, case: Case, settings: LatticeSettings, field: Field, frequencies: Sequence[float] | None
) -> tuple[Continuum, dict[str, Any]]:
    """Solve on the first rank alone and share what the lattice needs: several ranks would round in another way."""
    from mpi4py import MPI

    from pnp_exclusion.output.manifest import manifest
    from pnp_exclusion.runtime.memory import peak_per_rank
    from pnp_exclusion.runtime.parallel import on_rank_zero
    from pnp_exclusion.verification.continuum import read_continuum

    def work() -> tuple[Continuum, dict[str, Any]]:
        solution = job.solve_or_end(case, MPI.COMM_SELF)
        run = manifest(solution, job.comm.size, peak_per_rank(MPI.COMM_SELF))
        return read_continuum(solution, settings.sizes, settings.form, field, frequencies), run

    return on_rank_zero(job.comm, work)


def _motion(
    job: Job, case: Case, settings: LatticeSettings, field: Field, times: Sequence[float], petsc_options: Sequence[str]
) -> tuple[Course, dict[str, Any]]:
    """Solve the motion on the first rank alone and share what the lattice needs, as `_continuum` does."""
    from mpi4py import MPI

    from pnp_exclusion.output.manifest import manifest
    from pnp_exclusion.runtime.memory import peak_per_rank
    from pnp_exclusion.runtime.parallel import on_rank_zero
    from pnp_exclusion.verification.motion import read_motion, solve_motion

    (sites,) = settings.sizes

    def work() -> tuple[Course, dict[str, Any]]:
        solution = solve_motion(case, sites, times, petsc_options)
        run = manifest(solution, job.comm.size, peak_per_rank(MPI.COMM_SELF))
        return read_motion(solution, sites, times, settings.form, field), run

    return on_rank_zero(job.comm, work)


Ending = int | PnpExclusionError
"""What the command ends with once the results are there: an exit code, or what kept some of them from being there."""


def _compare(job: Job, case: Case, continuum: Continuum, settings: LatticeSettings) -> tuple[list[str], Ending]:
    from pnp_exclusion.verification.compare import compare_with_lattice
    from pnp_exclusion.verification.noise_report import noise_table
    from pnp_exclusion.verification.report import as_json, table, verdict

    communicator = job.comm if job.comm.size > 1 else None
    comparison = compare_with_lattice(continuum, settings, communicator, _progress(job))
    if comparison.runs:
        profiles = "verification.plots.draw_profiles"
        job.folder.draw(case.output, "lattice_profiles", profiles, case.title, comparison)
    if len(comparison.runs) > 1:
        convergence = "verification.plots.draw_convergence"
        job.folder.draw(case.output, "lattice_convergence", convergence, case.title, comparison)
    job.folder.write_json("lattice.json", lambda: as_json(comparison))
    of_noise = columns(noise_table(comparison)) if continuum.noise else []
    lines = [*columns(table(comparison)), *of_noise, verdict(comparison)]
    return lines, comparison.failure or (INTERRUPTED if comparison.interrupted else 0)


def _progress(job: Job) -> Callable[[int, Progress], None]:
    """Say how far the run of a size is."""
    return lambda sites, progress: job.console.progress(f"n = {sites}", progress)


def _relax(job: Job, case: Case, course: Course, settings: LatticeSettings) -> tuple[list[str], Ending]:
    from pnp_exclusion.verification.relax import relax
    from pnp_exclusion.verification.report import relaxation_as_json, relaxation_table, relaxation_verdict

    communicator = job.comm if job.comm.size > 1 else None
    relaxation = relax(course, settings, communicator, _progress(job))
    if relaxation is None:
        return [relaxation_verdict(None)], INTERRUPTED
    picture = "verification.plots.draw_relaxation"
    job.folder.draw(case.output, "lattice_relaxation", picture, case.title, relaxation)
    job.folder.write_json("lattice.json", lambda: relaxation_as_json(relaxation))
    lines = [*columns(relaxation_table(relaxation)), relaxation_verdict(relaxation)]
    return lines, INTERRUPTED if relaxation.result.interrupted else 0


def _measure_energy(arguments: argparse.Namespace, petsc_options: Sequence[str], case: LatticeCase) -> int:
    """Run a lattice whose particles carry energy at every size, compare, write."""
    from pnp_exclusion.output.job import Job
    from pnp_exclusion.output.manifest import case_manifest
    from pnp_exclusion.studies.energy.report import as_json, table, verdict
    from pnp_exclusion.studies.energy.run import DEFAULT_REPLICAS, EnergySettings, measure_energy

    for option in ("form", "relaxation", "field", "noise"):
        if getattr(arguments, option):
            raise UsageError(f"--{option} is not for a lattice whose particles carry energy")
    wanted = arguments.sizes or DEFAULT_SIZES_WITH_ENERGY
    sizes = sorted({int(size) for size in _positive("--sizes", wanted, int)})
    replicas = arguments.replicas or DEFAULT_REPLICAS
    settings = EnergySettings(sizes, replicas, arguments.time, arguments.seed, arguments.workers)
    with Job(arguments, petsc_options) as job:
        communicator = job.comm if job.comm.size > 1 else None
        campaign = measure_energy(case, settings, communicator, _progress(job))
        if campaign.runs:
            job.folder.draw(case.output, "lattice_profiles", "studies.energy.plots.draw_energy", case.title, campaign)
        job.folder.write_json("manifest.json", lambda: case_manifest(case, job.comm.size))
        job.folder.write_json("summary.json", lambda: as_json(campaign))
        job.complete()
    job.print_lines([*columns(table(campaign)), verdict(campaign)])
    if campaign.failure:
        raise campaign.failure
    return INTERRUPTED if campaign.interrupted else 0


def _positive(option: str, text: str, kind: type[int] | type[float]) -> list[float]:
    kinds = "whole numbers" if kind is int else "numbers"
    return _numbers(option, text, kind, f"{kinds} greater than 0", lambda number: 0.0 < number < math.inf)


def _numbers(
    option: str, text: str, kind: type[int] | type[float], wanted: str, fits: Callable[[float], bool]
) -> list[float]:
    """Return what an option lists; `UsageError` that says what is wanted unless all fit."""
    try:
        found = [float(number) for number in numbers(text, kind)]
    except ValueError:
        found = []
    if not found or not all(map(fits, found)):
        raise UsageError(f'{option} takes {wanted} separated by commas, but it is "{text}"')
    return found
