"""Onsager's matrix of a gas: from its responses to small forces, and from how its currents fluctuate at equilibrium.

With forces and currents as in `particles.gas.model`, ``J = L F/length``,

    response      L_ab = length [J_a(+F_b) - J_a(-F_b)]/(2 F_b) ,
    covariance    L_ab = lim length Cov(Q_a, Q_b)/(2t)   with the charges Q = J t at equilibrium .

Of the matrix ``r = L_ru/L_rr``, the energy that a particle carries where there is no difference of temperature; the
conductivity ``(L_uu - L_ru^2/L_rr)/T^2`` without a particle current; and the Seebeck coefficient ``(r - mu)/T``, minus
the difference of mu per difference of temperature that stops it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pnp_exclusion.particles.gas.model import Gas
from pnp_exclusion.particles.gas.onsager import Onsager
from pnp_exclusion.particles.gas.result import GasResult
from pnp_exclusion.particles.gas.stationary import simulate_gas
from pnp_exclusion.particles.measure import Estimate, batch_estimate
from pnp_exclusion.particles.replicas import Progress, Report, root_seed

if TYPE_CHECKING:
    from mpi4py import MPI

Array = NDArray[np.float64]

STRENGTH = 0.2
"""Of the forces of a response, in units of 1 for particles and 1/T for energy: what is beyond linear is 2 % at most."""


class StoppedError(RuntimeError):
    """The run was interrupted before all that a response needs was measured."""


class NotSteadyError(RuntimeError):
    """A gas under a small force has not become steady; says how that shows."""


@dataclass(frozen=True)
class Coefficients:
    """What follows from Onsager's matrix of one open kind and energy.

    matrix
        ``L``, ``(2, 2)``, not symmetrised.
    temperature, potential, length
        ``T`` and ``mu`` midway, length of the gas.
    """

    matrix: Estimate
    temperature: float
    potential: float
    length: float

    @property
    def asymmetry(self) -> float:
        """``L_ru - L_ur`` in standard errors; nan of a symmetric estimate."""
        error = float(np.hypot(self.matrix.error[0, 1], self.matrix.error[1, 0]))
        difference = float(self.matrix.mean[0, 1] - self.matrix.mean[1, 0])
        return difference / error if difference else np.nan

    @property
    def symmetric(self) -> Estimate:
        """The matrix with the weighted mean of ``L_ru`` and ``L_ur``; equal to the bit they are one estimate."""
        mean, error = self.matrix.mean.copy(), self.matrix.error.copy()
        cross, errors = mean[[0, 1], [1, 0]], error[[0, 1], [1, 0]]
        if cross[0] != cross[1]:
            weights = errors**-2.0
            mean[[0, 1], [1, 0]] = weights @ cross / weights.sum()
            error[[0, 1], [1, 0]] = weights.sum() ** -0.5
        return Estimate(mean, error)

    @property
    def onsager(self) -> Onsager:
        """The symmetric matrix over the length."""
        return Onsager(self.symmetric.mean / self.length)

    @property
    def energy_per_particle(self) -> Estimate:
        """``r = L_ru/L_rr``."""
        return self.of(lambda onsager: onsager.ratio)

    @property
    def seebeck(self) -> Estimate:
        """``(r - mu)/T``."""
        return self.of(lambda onsager: (onsager.ratio - self.potential) / self.temperature)

    @property
    def conductivity(self) -> Estimate:
        """``(L_uu - L_ru^2/L_rr)/T^2``: heat current by gradient of temperature without a particle current."""
        return self.of(lambda onsager: onsager.heat_conductance * self.length / self.temperature**2)

    @property
    def figure_of_merit(self) -> Estimate:
        """``zT = (r - mu)^2 L_rr/(L_uu - L_ru^2/L_rr)``, the gas against a perfect wire."""
        return self.of(lambda one: (one.ratio - self.potential) ** 2 * one.conductance / one.heat_conductance)

    def loop_figure_of_merit(self, other: Onsager) -> Estimate:
        """``YT`` of a loop of this gas and another leg, see `loop_figure_of_merit`."""
        return self.of(lambda onsager: loop_figure_of_merit(onsager, other))

    def of(self, function: Callable[[Onsager], float]) -> Estimate:
        """Return a function of `onsager`, with the error that the three entries, as independent, give it."""
        mean, errors = self.symmetric
        value, square = function(self.onsager), 0.0
        for a, b in ((0, 0), (0, 1), (1, 1)):
            step = 1e-6 * (abs(float(mean[a, b])) + float(errors[a, b]))
            moved = mean.copy()
            moved[a, b] += step
            moved[b, a] = moved[a, b]
            if step > 0:
                change = (function(Onsager(moved / self.length)) - value) / step
                square += (change * float(errors[a, b])) ** 2
        return Estimate(np.array(value), np.array(np.sqrt(square)))


def loop_figure_of_merit(a: Onsager, b: Onsager) -> float:
    """``YT = G_A G_B (r_A - r_B)^2/[(G_A + G_B) (K_A + K_B)]`` of two legs in a loop.

    ``G`` and ``K`` the conductances of particles and of heat: Benenti, Casati, Marchesoni, Wang, Phys. Rev. E 106,
    044104 (2022).
    """
    series = a.conductance * b.conductance / (a.conductance + b.conductance)
    return series * (a.ratio - b.ratio) ** 2 / (a.heat_conductance + b.heat_conductance)


def free_matrix(gas: Gas) -> Array:
    """Return the exact matrix of a gas without barriers and losses about its equilibrium midway, with one open kind.

    ``L_rr = length density sqrt(T/2 pi m)``, ``L_ru = T L_rr``, ``L_uu = 2 T^2 L_rr`` and what the closed kinds carry
    from wall to wall, ``T^2 length density sqrt(T/2 pi m)`` each.
    """
    (opened,), t = gas.open_kinds, gas.mean_temperature
    carried = gas.length * gas.midway.mean_densities * np.sqrt(t / (2 * np.pi * gas.masses))
    closed = sum(carried[a] for a in range(len(gas.kinds)) if a != opened)
    own = carried[opened]
    return np.array([[own, t * own], [t * own, 2 * t**2 * own + t**2 * closed]])


def coefficients_of(gas: Gas, matrix: Estimate) -> Coefficients:
    """Return what follows from a matrix of a gas with one open kind."""
    potential = float(gas.contacts.mean(axis=0)[0]) * gas.mean_temperature
    return Coefficients(matrix, gas.mean_temperature, potential, gas.length)


def matrix_by_covariance(result: GasResult) -> Estimate:
    """Return ``L`` from the fluctuations of a gas at equilibrium, ``(open kinds + 1, open kinds + 1)``, symmetric.

    The variance of blocks of a few correlation times and twice their covariance with the next ones: what a charge that
    is on its way from end to end adds to the first, the second takes away.
    """
    deviations = result.blocks - result.blocks.mean(axis=(0, 1))
    now, then = deviations[:, :-1], deviations[:, 1:]
    products = np.einsum("nba,nbc->nbac", now, now)
    ahead = np.einsum("nba,nbc->nbac", now, then)
    # what the mean of all blocks has taken from each product
    count = result.blocks.shape[0] * result.blocks.shape[1]
    whole = (products + ahead + np.swapaxes(ahead, 2, 3)) * (1 + 3 / count)
    # equal to the bit, in whatever order products were added
    whole = 0.5 * (whole + np.swapaxes(whole, 2, 3))
    scale = result.gas.length * result.block_time / 2
    size = whole.shape[-1]
    found = [[batch_estimate(whole[..., a, b]) for b in range(size)] for a in range(size)]
    return Estimate(
        *(scale * np.array([[getattr(one, part) for one in row] for row in found]) for part in Estimate._fields)
    )


def matrix_by_response(
    gas: Gas,
    time: float,
    seed: int | np.random.SeedSequence,
    replicas: int = 1,
    strength: float = STRENGTH,
    workers: int = 1,
    communicator: MPI.Comm | None = None,
    report: Report | None = None,
    executor: Executor | None = None,
) -> Estimate:
    """Return ``L`` of the gas midway from its currents under each small force and its opposite.

    strength
        Of the forces, in units of 1 for particles and ``1/T`` for energy.
    time, seed, replicas, workers, communicator, report, executor
        As for `simulate_gas`, for each of the runs, two for every force.

    Raises as `response` does.
    """
    size = len(gas.open_kinds) + 1
    units = np.append(np.ones(size - 1), 1.0 / gas.mean_temperature)
    found = [
        response(
            gas,
            np.eye(size)[force] * units * strength,
            time,
            seeds,
            replicas,
            workers,
            communicator,
            part_of(report, force, size),
            executor,
        )
        for force, seeds in enumerate(root_seed(seed).spawn(size))
    ]
    scale = gas.length / (strength * units)
    return Estimate(*(np.stack([getattr(one, part) for one in found], axis=1) * scale for part in Estimate._fields))


def response(
    gas: Gas,
    forces: ArrayLike,
    time: float,
    seed: int | np.random.SeedSequence,
    replicas: int = 1,
    workers: int = 1,
    communicator: MPI.Comm | None = None,
    report: Report | None = None,
    executor: Executor | None = None,
) -> Estimate:
    """Return half the difference of the currents under forces and their opposites about the same state midway.

    Raises as `simulate_gas`, `NotSteadyError` for a gas that is not steady, `StoppedError` if interrupted.
    """
    forces = np.asarray(forces, dtype=float)
    found = []
    for half, (sign, seeds) in enumerate(zip((1.0, -1.0), root_seed(seed).spawn(2), strict=True)):
        result = simulate_gas(
            gas.under(sign * forces),
            time,
            seeds,
            replicas,
            bins=1,
            workers=workers,
            communicator=communicator,
            report=part_of(report, half, 2),
            executor=executor,
        )
        if result.interrupted:
            raise StoppedError("interrupted before the response was measured")
        if result.complaint:
            raise NotSteadyError(result.complaint)
        found.append(result.currents)
    up, down = found
    return Estimate(0.5 * (up.mean - down.mean), 0.5 * np.hypot(up.error, down.error))


def part_of(report: Report | None, part: int, parts: int) -> Report | None:
    """Report on one of several parts of equal length as on the whole."""
    if report is None:
        return None

    def tell(progress: Progress) -> None:
        fraction = (part + progress.fraction) / parts
        remaining = (
            progress.remaining + progress.elapsed / progress.fraction * (parts - part - 1)
            if progress.fraction
            else np.nan
        )
        report(Progress(fraction, progress.elapsed, remaining))

    return tell
