"""Relaxation on the lattice: of a step beside the heat equation, of a case that moves beside its continuum in time.

Without fields the mean densities obey the heat equation at every size. With them their limit is the continuum's motion,
in imposed fields, in the mean field of Poisson's equation, which changes as the densities do, and in that of the
configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pnp_exclusion.errors import PnpExclusionError, UsageError
from pnp_exclusion.particles.lattice import (
    ChiSquare,
    ExchangeProcess,
    NothingMeasuredError,
    Progress,
    RelaxationResult,
    WorkerDiedError,
    affordable_cells,
    batches_needed,
    compare_relaxation,
    heat_profile,
    simulate_relaxation,
)
from pnp_exclusion.verification.compare import LatticeSettings
from pnp_exclusion.verification.continuum import Continuum

if TYPE_CHECKING:
    from mpi4py import MPI

SIGNIFICANCE = 1e-3
"""A chi-square that agreement would exceed less often than this counts as a difference."""
DEFAULT_REPLICAS = 1000


@dataclass(frozen=True, eq=False)
class Course:
    """What the lattice is to follow, in its own units.

    start
        Densities at first, ``(N, sites)``.
    times, kept
        At which the process is told what to do, ``(steps,)``, and the numbers of those that are compared.
    processes
        One for each of ``times``: that up to it.
    expected, curves
        Densities at the times that are compared: at the sites, ``(times, N, sites)``, and at ``continuum.curve_x``.
    reference
        What they are of, in words.
    """

    continuum: Continuum
    start: np.ndarray
    times: np.ndarray
    kept: Sequence[int]
    processes: Sequence[ExchangeProcess]
    expected: np.ndarray
    curves: np.ndarray
    reference: str


@dataclass(frozen=True)
class Relaxation:
    """Mean densities in time, beside those of a reference.

    times
        In L^2/D of the case, ``(times,)``; those of ``result`` are in length^2/D of the channel.
    replicas
        Copies that were asked for; ``result`` has those that were completed.
    """

    course: Course
    result: RelaxationResult
    times: np.ndarray
    chi_square: Sequence[ChiSquare]
    replicas: int

    @property
    def agrees(self) -> bool:
        """Whether no time differs beyond its error bars."""
        return all(chi.probability >= SIGNIFICANCE for chi in self.chi_square)


def step_course(continuum: Continuum, times: Sequence[float]) -> Course:
    """Return the course of a step from the left to the right reservoir's contents, at the largest size.

    ``times`` are in L^2/D of the case. Exact without fields only: raises `UsageError` where a field acts or unlike
    particles are not stirred.
    """
    if continuum.driven:
        raise UsageError(
            "--relaxation compares with the heat equation, which holds without fields: remove them, or give the case a "
            "table [time]"
        )
    if continuum.kappa != 1.0 and len(continuum.names) > 1:
        raise UsageError('--relaxation: several species obey the heat equation under stirring only: use law = "shdl"')
    process = continuum.processes[max(continuum.processes)]
    x, moments = process.lattice.positions, np.sort(times) / continuum.units.time
    return Course(
        continuum=continuum,
        start=_step(continuum, x),
        times=moments,
        kept=range(len(moments)),
        processes=[process] * len(moments),
        expected=_heat(continuum, x, moments),
        curves=_heat(continuum, continuum.curve_x, moments),
        reference="heat equation",
    )


def relax(
    course: Course,
    settings: LatticeSettings,
    communicator: MPI.Comm | None = None,
    report: Callable[[int, Progress], None] = lambda sites, progress: None,
) -> Relaxation | None:
    """Follow a course with copies of the process; collective.

    None if interrupted before there were copies enough to compare. Raises `UsageError` for too few replicas, and
    `PnpExclusionError` if worker processes die.
    """
    replicas, continuum = settings.replicas or DEFAULT_REPLICAS, course.continuum
    sites = course.processes[-1].lattice.length
    _require_replicas(len(continuum.names), replicas)
    try:
        result = simulate_relaxation(
            course.processes,
            course.start,
            course.times,
            settings.seed,
            replicas,
            workers=settings.workers,
            communicator=communicator,
            report=lambda progress: report(sites, progress),
        ).at(course.kept)
    except NothingMeasuredError:
        return None
    except WorkerDiedError as error:
        raise PnpExclusionError(f"--relaxation: {error}") from None
    except ValueError as error:
        raise UsageError(f"--relaxation: {error}") from None
    cells = affordable_cells(len(result.groups), len(continuum.names))
    if cells == 0:
        return None
    return Relaxation(
        course=course,
        result=result,
        times=result.times * continuum.units.time,
        chi_square=compare_relaxation(result, course.expected, cells),
        replicas=replicas,
    )


def _require_replicas(species: int, replicas: int) -> None:
    if replicas < batches_needed(species):
        raise UsageError(
            f"--replicas {replicas} are too few for --relaxation, whose error bars come from the scatter of the "
            f"copies: with {species} species give at least {batches_needed(species)}"
        )


def _step(continuum: Continuum, x: np.ndarray) -> np.ndarray:
    """The contents of the nearer reservoir on every site; a site in the middle belongs to both by halves."""
    left, right = continuum.left[:, None], continuum.right[:, None]
    return np.where(x < 0.5, left, np.where(x > 0.5, right, 0.5 * (left + right)))


def _heat(continuum: Continuum, x: np.ndarray, times: np.ndarray) -> np.ndarray:
    steps = np.stack([continuum.left, continuum.right], axis=1)
    return np.stack([heat_profile(x, time, [0.0, 0.5, 1.0], steps, continuum.left, continuum.right) for time in times])
