"""From two cases of gases to an engine: run as a loop between finite reservoirs, and linear theory beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from pnp_exclusion.case.gas_case import GasCase
from pnp_exclusion.errors import CaseError, ConvergenceError, UsageError
from pnp_exclusion.particles.gas.coefficients import (
    Coefficients,
    StoppedError,
    coefficients_of,
    matrix_by_response,
    part_of,
)
from pnp_exclusion.particles.gas.copy import ClottedError
from pnp_exclusion.particles.gas.loop import GasLoop
from pnp_exclusion.particles.gas.loop_stationary import LoopResult, simulate_loop
from pnp_exclusion.particles.gas.model import Gas
from pnp_exclusion.particles.measure import Estimate
from pnp_exclusion.particles.replicas import root_seed
from pnp_exclusion.particles.stationary import NothingMeasuredError
from pnp_exclusion.studies.engine.gas_legs import LinearLegs, exact_leg, is_free, kinetic_leg
from pnp_exclusion.studies.engine.loop import LEAST_LOAD, EnginePoint
from pnp_exclusion.studies.gas.run import Settings, refusals
from pnp_exclusion.studies.gas.setup import gas_of, time_of

SAME_RESERVOIRS = 1e-9
"""Relative, by which the temperatures of two legs' reservoirs may differ; of ``mu/T``, absolute."""
CROSSINGS = 3.0
"""Of the slower gas: the shortest time in which reservoirs of the size chosen relax."""
KINETIC, MEASURED = "kinetic limit", "measured"
"""Ways to the legs' coefficients."""


@dataclass(frozen=True, eq=False)
class GasPoint:
    """The loop under one load, in the gases' units.

    load
        ``U = U_A - U_B``: work of a particle that goes round.
    force
        ``F`` between the reservoirs, which has floated.
    currents
        Of particles and energy through both legs, ``(2, 2)``.
    current
        Of particles round the loop: from left to right through A.
    net
        Of particles from reservoir to reservoir.
    heat
        Energy that leaves the hot reservoir per time.
    """

    load: float
    force: Estimate
    currents: Estimate
    current: Estimate
    net: Estimate
    power: Estimate
    heat: Estimate
    efficiency: Estimate
    events: int = 0
    complaint: str = ""


@dataclass(frozen=True, eq=False)
class GasEngine:
    """Two gases at work between a hot and a cold reservoir.

    gases
        Driven by the temperatures and without a bias.
    copies
        Of each, side by side; everything is for all of them.
    linear
        By way: "kinetic limit" where there is one, and "measured".
    points
        Loads from zero to the one that stops the linear engine: in the kinetic limit, or as measured.
    number
        Particles that both reservoirs hold; 0 without simulation.
    """

    cases: tuple[GasCase, GasCase]
    gases: tuple[Gas, Gas]
    copies: tuple[int, int]
    linear: dict[str, LinearLegs]
    points: tuple[GasPoint, ...]
    number: int
    interrupted: bool

    @property
    def driver(self) -> float:
        """``F_u``."""
        return float(self.gases[0].forces[-1])

    @property
    def temperature(self) -> float:
        """Of the cold reservoir, at the biases: loads over it are those of linear theory."""
        return self.gases[0].right.temperature

    @property
    def carnot(self) -> float:
        """Carnot's efficiency."""
        return self.temperature * self.driver

    @property
    def simulated(self) -> bool:
        """Whether the points are measured."""
        return MEASURED in self.linear

    @property
    def line(self) -> tuple[Estimate, Estimate] | None:
        """Stopping load and greatest power of the straight line through the measured currents over the loads."""
        if len(self.points) < 2 or not self.simulated:
            return None
        loads = np.array([point.load for point in self.points])
        currents = np.array([float(point.current.mean) for point in self.points])
        errors = np.array([float(point.current.error) for point in self.points])
        design = np.stack([np.ones_like(loads), loads], axis=1) / errors[:, None]
        covariance = np.linalg.inv(design.T @ design)
        start, slope = covariance @ design.T @ (currents / errors)
        stop, power = -start / slope, -(start**2) / (4 * slope)
        gradients = np.array([[-1 / slope, -stop / slope], [-start / (2 * slope), power / -slope]])
        stop_error, power_error = np.sqrt(np.einsum("na,ab,nb->n", gradients, covariance, gradients))
        return Estimate(np.array(stop), np.array(stop_error)), Estimate(np.array(power), np.array(power_error))


def run_gas_engine(
    case: GasCase,
    other: GasCase,
    area_ratio: float = 1.0,
    points: int = 5,
    settings: Settings | None = None,
    number: int | None = None,
) -> GasEngine:
    """Put two gases into a loop and load it; collective if the settings have a communicator.

    area_ratio
        Copies of B by copies of A: a whole number or one over a whole number.
    points
        Loads, 3 or more.
    settings
        How gases are run; without them they are in their kinetic limit and nothing is simulated.
    number
        Particles that both reservoirs hold together; enough to be slow beside the gases if None.

    The biases and the difference of ``mu`` in the cases do not matter: they float. Raises `CaseError` for a gas that is
    no leg, `UsageError` for two that do not fit together, drive nothing or have no kinetic limit, or numbers out of
    range, `ConvergenceError` for a gas that does not become steady, `KeyboardInterrupt` if interrupted before anything
    is measured.
    """
    copies = _copies(area_ratio)
    if points < 3:
        raise UsageError(f"points is a whole number from 3 on, but it is {points}")
    gases = _legs(case, other)
    engine = GasEngine((case, other), gases, copies, {}, (), 0, False)
    try:
        engine = replace(engine, linear={KINETIC: LinearLegs((kinetic_leg(gases[0]), kinetic_leg(gases[1])), copies)})
    except UsageError:
        if settings is None:
            raise
    if settings is None:
        return replace(engine, points=tuple(_computed(engine, point) for point in _curve(engine, KINETIC, points)))
    try:
        for grown in _grown(engine, points, settings, number):
            engine = grown
    except (StoppedError, NothingMeasuredError):
        if not engine.simulated:
            raise KeyboardInterrupt from None
        return replace(engine, interrupted=True)
    except ClottedError as clot:
        raise ConvergenceError(f"{case.path}: {clot}") from None
    return engine


def _curve(engine: GasEngine, way: str, points: int) -> list[EnginePoint]:
    """The linear engine from no load to the one that stops it."""
    loop = engine.linear[way].loop(engine.driver)
    if abs(loop.stopping_load) < LEAST_LOAD:
        case, other = engine.cases
        raise UsageError(
            f"{other.path}: what a particle carries is the same in this gas and in that of {case.path}, so that the "
            "loop drives no current"
        )
    return loop.curve(points)


def _computed(engine: GasEngine, point: EnginePoint) -> GasPoint:
    """A point without an error, in the gases' units."""

    def exactly(value: ArrayLike) -> Estimate:
        mean = np.asarray(value, dtype=float)
        return Estimate(mean, np.zeros_like(mean))

    power, heat = point.power * engine.temperature, point.consumption / engine.driver
    return GasPoint(
        load=point.load * engine.temperature,
        force=exactly(_force(point)),
        currents=exactly([leg.currents for leg in point.legs]),
        current=exactly(point.current),
        net=exactly(sum(leg.currents[0] for leg in point.legs)),
        power=exactly(power),
        heat=exactly(heat),
        efficiency=exactly(power / heat),
    )


def _force(point: EnginePoint) -> float:
    """``F`` between the reservoirs: the biases are half the load each."""
    return 0.5 * (point.legs[0].force + point.legs[1].force)


def _grown(engine: GasEngine, points: int, settings: Settings, number: int | None) -> Iterator[GasEngine]:
    """The engine after each part that is measured: the coefficients of both legs, then load after load."""
    case, gases, parts = engine.cases[0], engine.gases, points + 2
    seeds = root_seed(settings.seed).spawn(parts)
    time = max(time_of(leg, gas, settings.time) for leg, gas in zip(engine.cases, gases, strict=True))

    def coefficients(leg: int) -> Coefficients:
        gas = gases[leg]
        if is_free(gas):
            return exact_leg(gas)
        with refusals(engine.cases[leg]):
            matrix = matrix_by_response(
                gas,
                time,
                seeds[leg],
                settings.replicas,
                workers=settings.workers,
                communicator=settings.communicator,
                report=part_of(settings.report, leg, parts),
            )
        return coefficients_of(gas, matrix)

    legs = LinearLegs((coefficients(0), coefficients(1)), engine.copies)
    engine = replace(engine, linear=engine.linear | {MEASURED: legs})
    yield engine
    for part, guess in enumerate(_curve(engine, MEASURED, points), start=2):
        load = guess.load * engine.temperature
        biased = _under(gases, _force(guess), load)
        loop = GasLoop(biased, engine.copies, number or _enough(biased, engine.copies))
        try:
            result = simulate_loop(
                loop,
                time,
                seeds[part],
                settings.replicas,
                settings.burn_in,
                workers=settings.workers,
                communicator=settings.communicator,
                report=part_of(settings.report, part, parts),
            )
        except ValueError as error:
            raise UsageError(f"{case.path}: {error}") from None
        measured = (*engine.points, _measured(load, result))
        engine = replace(engine, points=measured, number=loop.number, interrupted=result.interrupted)
        yield engine
        if result.interrupted:
            return


def _measured(load: float, result: LoopResult) -> GasPoint:
    return GasPoint(
        load,
        result.force,
        result.currents,
        result.round,
        result.net,
        result.power,
        result.heat,
        result.efficiency,
        result.events,
        result.complaint,
    )


def _copies(area_ratio: float) -> tuple[int, int]:
    for copies in ((1, round(area_ratio)), (round(1 / area_ratio) if area_ratio > 0 else 0, 1)):
        if min(copies) > 0 and np.isclose(copies[1] / copies[0], area_ratio, rtol=1e-9):
            return copies
    raise UsageError(
        f"the area ratio of legs of gas is a whole number, or one over a whole number, but it is {area_ratio:g}"
    )


def _legs(case: GasCase, other: GasCase) -> tuple[Gas, Gas]:
    """Both gases between the reservoirs of the first case, without biases."""
    if case.gas.units != other.gas.units:
        raise UsageError(f"{other.path}: its units are {other.gas.units}, but those of {case.path} are not")
    found = []
    for one in (case, other):
        gas = gas_of(one)
        if len(gas.open_kinds) != 1:
            raise CaseError(
                one.path,
                [f"[[gas.kinds]]: a leg has one open kind, which goes round, and there are {len(gas.open_kinds)}"],
            )
        # without its biases the contacts are the reservoirs
        found.append(replace(gas, kinds=tuple(replace(kind, bias=0.0) for kind in gas.kinds)))
    first, second = found
    hot, cold = first.temperatures
    if not hot > cold:
        raise CaseError(
            case.path, ["[[gas.reservoirs]]: the left one must be the hotter: its heat is what drives an engine"]
        )
    particles = [(gas.masses[gas.open_kinds[0]], gas.planck) for gas in found]
    same = np.allclose(first.temperatures, second.temperatures, rtol=SAME_RESERVOIRS, atol=0.0)
    if not same or np.abs(first.contacts - second.contacts).max() > SAME_RESERVOIRS or particles[0] != particles[1]:
        raise UsageError(
            f"{other.path}: its reservoirs do not hold what those of {case.path} hold; the legs of an engine join the "
            "same two reservoirs, with the same particles"
        )
    return first, replace(second, left=first.left, right=first.right)


def _under(gases: tuple[Gas, Gas], force: float, load: float) -> tuple[Gas, ...]:
    """Return the gases under a force between the reservoirs and biases of half the load each."""
    biased = []
    for sign, gas in zip((0.5, -0.5), gases, strict=True):
        driven = gas.under([force, gas.forces[-1]])
        kinds = tuple(replace(kind, bias=sign * load) if kind.is_open else kind for kind in gas.kinds)
        biased.append(replace(driven, kinds=kinds))
    return tuple(biased)


def _enough(gases: tuple[Gas, ...], copies: tuple[int, ...]) -> int:
    """Particles with which the reservoirs take long to relax beside the gases."""
    many = 1_000_000
    slow = CROSSINGS * max(gas.crossing_time for gas in gases)
    return max(100, round(many * slow / GasLoop(gases, copies, many).relaxation_time))
