"""The barrier at which the energy that a particle carries, ``r = L_ru/L_rr``, falls to a threshold.

With the threshold 0 it is the barrier beyond which a difference of temperatures drives particles against it. For every
barrier one force is applied, and its opposite: ``F_u`` and ``F_rho = -c F_u`` together drive a current of particles
``(L_ru - c L_rr) F_u/length``, which vanishes at the critical barrier. Currents that are measured near it, on a line
over the logarithm of the barrier, give it and its error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.particles.gas.coefficients import STRENGTH, part_of, response
from pnp_exclusion.particles.gas.model import Gas
from pnp_exclusion.particles.measure import Estimate
from pnp_exclusion.particles.replicas import Report

if TYPE_CHECKING:
    from mpi4py import MPI

Array = NDArray[np.float64]

STEP = 1.2
"""Factor from one barrier to the next, in search of the critical one."""
WINDOW = 1.5
"""Factor from the critical barrier within which currents are taken to lie on a line."""
POINTS = 4
"""Barriers within the window."""
SMALLEST, LARGEST = 1e-4, 10.0
"""Barriers between which the critical one is looked for, in units of ``T``."""
MOST_FITS = 20
CLEAR = 3.0
"""Standard errors by which the excess must fall over the barriers near the root."""


class NoCriticalBarrierError(ValueError):
    """No barrier was found at which the ratio falls to the threshold."""


class Point(NamedTuple):
    """``L_ru - c L_rr`` at a barrier, in units of ``T`` times that without barriers."""

    barrier: float
    excess: float
    error: float


@dataclass(frozen=True)
class CriticalBarrier:
    """Of a gas of one length, with what was measured on the way."""

    length: float
    barrier: Estimate
    points: tuple[Point, ...]


class Line(NamedTuple):
    """A weighted fit ``intercept + slope (x - middle)`` with its errors, which are independent of each other."""

    middle: float
    intercept: Estimate
    slope: Estimate
    chi_square: float

    @property
    def root(self) -> Estimate:
        """Where it is zero."""
        away = -self.intercept.mean / self.slope.mean
        error = np.hypot(self.intercept.error, away * self.slope.error) / abs(self.slope.mean)
        return Estimate(np.asarray(self.middle + away), np.asarray(error))


def fitted_line(x: Sequence[float], y: Sequence[float], errors: Sequence[float]) -> Line:
    """Fit a line to at least two points by weighted least squares."""
    place, value, weight = np.array(x), np.array(y), np.array(errors) ** -2.0
    middle = float(weight @ place / weight.sum())
    intercept, spread = float(weight @ value / weight.sum()), float(weight @ (place - middle) ** 2)
    slope = float(weight @ (value * (place - middle))) / spread
    square = float(weight @ (value - intercept - slope * (place - middle)) ** 2)
    return Line(
        middle,
        Estimate(np.asarray(intercept), np.asarray(weight.sum() ** -0.5)),
        Estimate(np.asarray(slope), np.asarray(spread**-0.5)),
        square,
    )


def exponent_of(found: Sequence[CriticalBarrier]) -> Estimate | None:
    """Return the exponent of ``barrier ~ length^exponent`` and its error; None of fewer than two lengths."""
    if len(found) < 2:
        return None
    x = [float(np.log(one.length)) for one in found]
    y = [float(np.log(one.barrier.mean)) for one in found]
    return fitted_line(x, y, [float(one.barrier.error / one.barrier.mean) for one in found]).slope


def find_critical_barrier(
    gas: Gas,
    threshold: float,
    start: float,
    time: float,
    seed: np.random.SeedSequence,
    replicas: int = 1,
    strength: float = STRENGTH,
    workers: int = 1,
    communicator: MPI.Comm | None = None,
    report: Report | None = None,
) -> CriticalBarrier:
    """Find the barrier at which ``L_ru/L_rr`` of a gas with one open kind is ``threshold`` times the temperature.

    start
        A barrier near it, in the gas's unit.
    strength
        Of the force on energy, in units of ``1/T``.
    time, seed, replicas, workers, communicator, report
        As for `simulate_gas`, for each of about five barriers, twice.

    Raises `NoCriticalBarrierError` if no barrier near enough has the ratio, else as `response`.
    """
    middle = gas.midway
    (opened,), t = gas.open_kinds, gas.mean_temperature
    free = float(middle.mean_densities[opened] * np.sqrt(t / (2 * np.pi * gas.masses[opened])))
    forces = np.array([-threshold, 1.0 / t]) * strength

    points: list[Point] = []

    def measure(barrier: float) -> None:
        part = part_of(report, min(len(points), POINTS), POINTS + 1)
        current = response(
            middle.with_barrier(barrier), forces, time, seed.spawn(1)[0], replicas, workers, communicator, part
        )
        scale = 1.0 / (free * strength)
        points.append(Point(barrier, float(current.mean[0]) * scale, float(current.error[0]) * scale))

    measure(start)
    falls = points[0].excess > 0
    while (points[-1].excess > 0) == falls:
        barrier = points[-1].barrier * (STEP if falls else 1.0 / STEP)
        if not SMALLEST * t < barrier < LARGEST * t:
            raise NoCriticalBarrierError(
                f"from the barrier {start:.4g} to {points[-1].barrier:.4g} the energy that a particle carries does not "
                "pass the threshold"
            )
        measure(barrier)
    line, near, guess = _line(points, points[-1].barrier)
    while near < POINTS:
        # to one side and the other of what is found so far
        measure(guess * STEP ** (0.75 if near % 2 else -0.75))
        line, near, guess = _line(points, guess)
    if not line.slope.mean < -CLEAR * line.slope.error:
        raise NoCriticalBarrierError(
            f"near the barrier {np.exp(line.middle):.4g} the energy that a particle carries passes the threshold only "
            "within the error bars; measure for longer"
        )
    barrier = float(np.exp(line.root.mean))
    root = Estimate(np.asarray(barrier), np.asarray(barrier * line.root.error))
    return CriticalBarrier(gas.length, root, tuple(sorted(points)))


def _line(points: Sequence[Point], guess: float) -> tuple[Line, int, float]:
    """Fit the excess over the logarithm of the barrier to the points near its root; also how many these are, and it.

    A line that hardly falls has its root anywhere: the root is looked for near the points, and these are two at least.
    """
    least, most = min(points).barrier / STEP, max(points).barrier * STEP
    for _ in range(MOST_FITS):
        nearest = sorted(points, key=lambda point: abs(np.log(point.barrier / guess)))
        near = [p for n, p in enumerate(nearest) if n < 2 or 1 / WINDOW <= p.barrier / guess <= WINDOW]
        x = [float(np.log(point.barrier)) for point in near]
        line = fitted_line(x, [point.excess for point in near], [point.error for point in near])
        before, guess = guess, float(np.clip(np.exp(np.clip(line.root.mean, -50, 50)), least, most))
        if abs(guess / before - 1) < 1e-9:
            break
    return line, len(near), guess
