"""Relaxation of a step on the lattice beside the heat equation, which it obeys at every size where no field acts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pnp_exclusion.errors import PnpExclusionError, UsageError
from pnp_exclusion.particles.lattice import (
    ChiSquare,
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


@dataclass(frozen=True)
class Relaxation:
    """Mean densities after a step in the middle, beside those of the heat equation.

    times
        In L^2/D of the case, ``(times,)``; those of ``result`` are in length^2/D of the channel.
    exact
        Densities of the heat equation at the sites, ``(times, N, sites)``.
    curves
        The same at the positions of ``continuum.curve_x``, ``(times, N, points)``.
    replicas
        Copies that were asked for; ``result`` has those that were completed.
    """

    continuum: Continuum
    result: RelaxationResult
    times: np.ndarray
    exact: np.ndarray
    curves: np.ndarray
    chi_square: Sequence[ChiSquare]
    replicas: int

    @property
    def agrees(self) -> bool:
        """Whether no time differs beyond its error bars."""
        return all(chi.probability >= SIGNIFICANCE for chi in self.chi_square)


def relax_step(
    continuum: Continuum,
    settings: LatticeSettings,
    times: Sequence[float],
    communicator: MPI.Comm | None = None,
    report: Callable[[int, Progress], None] = lambda sites, progress: None,
) -> Relaxation | None:
    """Follow the step from the left to the right reservoir's contents; collective.

    ``times`` are in L^2/D of the case. None if interrupted before there were copies enough to compare. Exact without
    fields only: raises `UsageError` where a field acts or unlike particles are not stirred, or for too few replicas,
    and `PnpExclusionError` if worker processes die.
    """
    replicas = settings.replicas or DEFAULT_REPLICAS
    sites = max(settings.sizes)
    process = continuum.processes[sites]
    _require_heat_equation(continuum, replicas)
    try:
        result = simulate_relaxation(
            process,
            _step(continuum, process.lattice.positions),
            np.sort(times) / continuum.units.time,
            settings.seed,
            replicas,
            workers=settings.workers,
            communicator=communicator,
            report=lambda progress: report(sites, progress),
        )
    except NothingMeasuredError:
        return None
    except WorkerDiedError as error:
        raise PnpExclusionError(f"--relaxation: {error}") from None
    except ValueError as error:
        raise UsageError(f"--relaxation: {error}") from None
    cells = affordable_cells(len(result.groups), len(continuum.names))
    if cells == 0:
        return None
    exact = _heat(continuum, process.lattice.positions, result.times)
    return Relaxation(
        continuum=continuum,
        result=result,
        times=result.times * continuum.units.time,
        exact=exact,
        curves=_heat(continuum, continuum.curve_x, result.times),
        chi_square=compare_relaxation(result, exact, cells),
        replicas=replicas,
    )


def _require_heat_equation(continuum: Continuum, replicas: int) -> None:
    species = len(continuum.names)
    if continuum.driven:
        raise UsageError("--relaxation compares with the heat equation, which holds without fields: remove them")
    if continuum.kappa != 1.0 and species > 1:
        raise UsageError('--relaxation: several species obey the heat equation under stirring only: use law = "shdl"')
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
