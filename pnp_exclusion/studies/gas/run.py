"""A gas as its case says it: its stationary state, and its coefficients about the equilibrium midway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pnp_exclusion.case.gas_case import GasCase
from pnp_exclusion.case.gas_tables import ENERGY
from pnp_exclusion.errors import CaseError, ConvergenceError, UsageError
from pnp_exclusion.particles.gas.coefficients import (
    STRENGTH,
    Coefficients,
    NotSteadyError,
    StoppedError,
    coefficients_of,
    matrix_by_covariance,
    matrix_by_response,
    part_of,
)
from pnp_exclusion.particles.gas.model import Gas
from pnp_exclusion.particles.gas.result import GasResult
from pnp_exclusion.particles.gas.stationary import simulate_gas
from pnp_exclusion.particles.measure import Estimate
from pnp_exclusion.particles.replicas import Report, root_seed
from pnp_exclusion.particles.stationary import FEWEST_BATCHES, NothingMeasuredError
from pnp_exclusion.studies.gas.setup import gas_of, time_of

if TYPE_CHECKING:
    from mpi4py import MPI

CLEAR = 3.0
"""Standard errors by which a current must differ from zero to have a direction."""
BATCHES = 64
COVARIANCE_BATCHES = 1024
"""Blocks of a replica, and of one at equilibrium: a covariance needs many."""


@dataclass(frozen=True)
class Settings:
    """How a gas is run.

    time
        Measured by each replica, in the case's unit; what the case says if None.
    burn_in
        First window of the burn-in; chosen if None.
    """

    time: float | None = None
    replicas: int = 4
    seed: int | np.random.SeedSequence = 1
    burn_in: float | None = None
    workers: int = 1
    communicator: MPI.Comm | None = None
    report: Report | None = None


@dataclass(frozen=True, eq=False)
class GasRun:
    """What was measured of a case.

    coefficients
        By the way they were measured, "response" and "covariance"; empty if not asked for.
    linear
        Currents that the coefficients by response give for the forces of the case; None without them.
    interrupted
        Before all was measured that was asked for.
    """

    case: GasCase
    gas: Gas
    settings: Settings
    result: GasResult
    coefficients: dict[str, Coefficients] = field(default_factory=dict)
    linear: Estimate | None = None
    interrupted: bool = False

    @property
    def names(self) -> list[str]:
        """Of the currents and forces: the open kinds, then energy."""
        return [*(self.gas.kinds[a].name for a in self.gas.open_kinds), ENERGY]

    @property
    def regimes(self) -> dict[str, str]:
        """Direction of every current, see `regime`."""
        currents, forces = self.result.currents, self.gas.forces
        return {name: regime(a, currents.mean[a], currents.error[a], forces) for a, name in enumerate(self.names)}


def regime(a: int, current: float, error: float, forces: np.ndarray) -> str:
    """Return the direction of current ``a``: "forward", along its own force, or "driven" by another, not along its own;
    "inverse" if it runs against every force there is; "unresolved" within three errors of zero; "none" without forces.
    """
    if not np.any(forces):
        return "none"
    if not abs(current) > CLEAR * error:
        return "unresolved"
    along = np.sign(current) * np.sign(forces)
    if np.all(along <= 0):
        return "inverse"
    return "forward" if along[a] > 0 else "driven"


def run_gas(case: GasCase, settings: Settings, with_coefficients: bool = False) -> GasRun:
    """Run a case, with its coefficients if they are asked for: four runs of the same length more, and one longer.

    Raises `CaseError` for a gas that has none or is too large, `UsageError` for a time that is too short,
    `ConvergenceError` if nothing could be measured.
    """
    gas = gas_of(case)
    if with_coefficients and len(gas.open_kinds) != 1:
        raise CaseError(
            case.path,
            [
                f"[[gas.kinds]]: the coefficients are those of a current of particles and one of energy, which needs "
                f"one open kind, and there are {len(gas.open_kinds)}"
            ],
        )
    time = time_of(case, gas, settings.time)
    seeds = root_seed(settings.seed).spawn(3)
    parts = 4 if with_coefficients else 1
    spread = settings.workers, settings.communicator

    def stationary(one: Gas, seed: np.random.SeedSequence, part: int, bins: int, batches: int) -> GasResult:
        return simulate_gas(
            one,
            time,
            seed,
            settings.replicas,
            settings.burn_in,
            bins,
            batches,
            FEWEST_BATCHES,
            *spread,
            part_of(settings.report, part, parts),
        )

    with refusals(case):
        result = stationary(gas, seeds[0], 0, case.gas.bins, BATCHES)
        if not with_coefficients or result.interrupted or not result.steady:
            return GasRun(case, gas, settings, result, interrupted=result.interrupted)
        still = stationary(gas.midway, seeds[1], 1, 1, COVARIANCE_BATCHES)
        report = part_of(settings.report, 1, 2)
        try:
            response = matrix_by_response(gas, time, seeds[2], settings.replicas, STRENGTH, *spread, report)
        except StoppedError:
            return GasRun(case, gas, settings, result, interrupted=True)
    matrices = {"response": response, "covariance": matrix_by_covariance(still)}
    coefficients = {way: coefficients_of(gas, matrix) for way, matrix in matrices.items()}
    forces = gas.forces / gas.length
    linear = Estimate(response.mean @ forces, np.sqrt(response.error**2 @ forces**2))
    return GasRun(case, gas, settings, result, coefficients, linear)


@contextmanager
def refusals(case: GasCase) -> Iterator[None]:
    """Say what a run refuses in the words of the command line: see `run_gas`."""
    try:
        yield
    except ValueError as error:
        raise UsageError(f"{case.path}: {error}") from None
    except (NothingMeasuredError, NotSteadyError) as error:
        raise ConvergenceError(f"{case.path}: {error}") from None
