"""Two membranes between reservoirs that are finite: the engine runs down until hardly any salinity is left.

The reservoirs are well mixed and slow beside the membranes, which are in the steady state of what the reservoirs hold
at the time. What both legs carry of a species, ``J^A + J^B``, leaves the first reservoir and arrives in the second; no
net charge does. The loop works against a resistance ``R``, so that the voltage of the load ``U = R I`` dies with the
current.

What can be had at most is the free energy of mixing: that of both reservoirs less that of their mixture.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic_core import PydanticCustomError
from scipy.integrate import solve_ivp
from scipy.optimize import brentq, root_scalar

from pnp_exclusion.case.case import Case
from pnp_exclusion.case.quantities import Dimension
from pnp_exclusion.discretisation.discretisation import State
from pnp_exclusion.errors import ConvergenceError, UsageError
from pnp_exclusion.physics.free_energies import FreeEnergy
from pnp_exclusion.solution.solution import Solution
from pnp_exclusion.studies.coupled.channel import drive_of, steady_of
from pnp_exclusion.studies.coupled.driving_parameters import voltage_parameter, with_contents
from pnp_exclusion.studies.coupled.units import Units
from pnp_exclusion.studies.engine.engine import Engine
from pnp_exclusion.studies.workbench import Workbench

type Array = NDArray[np.float64]

SHARP = 1e-8
"""kT, and relative: the last step to the floating voltage; secants then are sharper than this by orders."""
SECANTS, SHARPEST = 12, 1e-11
"""So many secants are tried; a bracket is then bisected to this."""
ACCURACY = 1e-6
"""Relative, of what is integrated over time."""
FIRST_TIME, LONGEST = 1e-2, 1e3
"""The first step and the longest time, by that in which the first consumption would use up the free energy of mixing;
discharges take some ten."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)


@dataclass(frozen=True, eq=False)
class Discharge:
    """An engine that runs down, dimensionless in the units of leg A and for its area; ``T`` times, ``N`` species.

    volumes
        Of the first and the second reservoir.
    resistance
        Of the load.
    times
        ``(T,)``
    contents
        Fractions in both reservoirs, ``(T, 2, N)``.
    current, energy, dissipation
        Round the loop, ``(T,)``; delivered to the load and dissipated in the legs until then, kT.
    available
        Free energy of mixing that was there, kT.
    left
        That is still there at the end.
    """

    engine: Engine
    volumes: tuple[float, float]
    resistance: float
    species: tuple[str, ...]
    times: Array
    contents: Array
    current: Array
    energy: Array
    dissipation: Array
    available: float
    left: float

    @property
    def voltage(self) -> Array:
        """Of the load, ``(T,)``."""
        return self.resistance * self.current

    @property
    def power(self) -> Array:
        """Delivered, ``(T,)``."""
        return self.voltage * self.current

    @property
    def amounts(self) -> Array:
        """What both reservoirs hold of every species, ``(T, 2, N)``: volumes times fractions."""
        return self.contents * np.array(self.volumes)[:, None]

    @property
    def efficiency(self) -> float:
        """Of the whole discharge: what was delivered over what was available."""
        return float(self.energy[-1]) / self.available


def discharge(
    engine: Engine,
    volumes: tuple[float | str, float | str],
    resistance: float | str | None = None,
    until: float = 0.01,
    petsc_options: Sequence[str] = (),
) -> Discharge:
    """Run an engine down; collective.

    volumes
        Of the first and the second reservoir over the area of leg A (over what its currents are over): texts with
        units, or numbers in SI units or of a dimensionless case.
    resistance
        Of the load, likewise: voltage over leg A's density of current. That of greatest power at first if None.
    until
        The share of the first salinity at which the discharge ends.

    Raises `UsageError` for what is no such quantity or out of range, `ConvergenceError` if a state is not found or the
    salinity does not die.
    """
    first, second = engine.solutions
    sizes = volume_of(first, volumes[0]), volume_of(first, volumes[1])
    if resistance is None:
        load = engine.best_power.load / engine.best_power.current
    else:
        load = resistance_of(first, resistance)
    if not 0.0 < until < 1.0:
        raise UsageError(f"until is a share of the first salinity between 0 and 1, but it is {until:g}")
    with contextlib.ExitStack() as stack:
        legs = (
            stack.enter_context(_Leg(first, 1.0, first, petsc_options)),
            stack.enter_context(_Leg(second, engine.area_ratio, first, petsc_options)),
        )
        return _run_down(engine, _Circuit(legs, load, engine), sizes, until)


def volume_of(solution: Solution, given: float | str) -> float:
    """Return the volume of a reservoir in units of a leg; raises `UsageError`."""
    units = _units(solution)
    volume = _quantity(solution, given, "the volume of a reservoir", "a volume over the area of a leg", units.volume)
    if volume <= 0.0:
        raise UsageError(f"the volume of a reservoir must be greater than 0, but it is {given}")
    return volume


def resistance_of(solution: Solution, given: float | str) -> float:
    """Return the resistance of a load in units of a leg; raises `UsageError`."""
    unit = _units(solution).resistance
    load = _quantity(solution, given, "the resistance of a load", "a resistance times the area of a leg", unit)
    if load < 0.0:
        raise UsageError(f"the resistance of a load must be 0 or greater, but it is {given}")
    return load


def _units(solution: Solution) -> Units:
    return Units(solution.setup.scales, solution.discretisation.problem.boundary_dimension)


def _quantity(solution: Solution, given: float | str, name: str, kind: str, unit: tuple[float, str]) -> float:
    units = solution.setup.case.model.units
    if units == "dimensionless" and isinstance(given, str):
        with contextlib.suppress(ValueError):
            given = float(given)
    try:
        read = Dimension(kind, (unit[1],), f"1e-3 {unit[1]}").parse(given, units, plain=True)
    except PydanticCustomError as error:
        raise UsageError(f"{name}: {error.message()}") from None
    return read.value / unit[0]


def free_energy_of_mixing(energy: FreeEnergy, amounts: Array, volumes: Array) -> float:
    """Return by what mixing lowers the free energy of reservoirs that hold amounts ``(2, N)``, kT.

    Integrals of the chemical potentials along the straight line from the mixture to each reservoir, which are analytic.
    """
    mixture = amounts.sum(axis=0) / volumes.sum()
    total = 0.0
    for held, volume in zip(amounts, volumes, strict=True):
        apart = held / volume - mixture
        path = [energy.chemical_potentials((mixture + 0.5 * (1.0 + node) * apart).tolist()) for node in NODES]
        total += volume * 0.5 * float(WEIGHTS @ np.array(path) @ apart)
    return total


class _Leg:
    """A membrane between any contents at any voltage; what it carries counts in units of the first leg."""

    def __init__(self, solution: Solution, area: float, of_units: Solution, petsc_options: Sequence[str]) -> None:
        assert solution.steady.ends is not None
        problem, scales, drive = solution.discretisation.problem, solution.setup.scales, drive_of(solution)
        extent = (scales.length / of_units.setup.scales.length) ** problem.boundary_dimension
        self._factor = area * extent * scales.flux / of_units.setup.scales.flux
        self._dilution = of_units.setup.scales.concentration / scales.concentration
        self._solution, self._species = solution, drive.species
        self._ends = solution.steady.ends[0].name, solution.steady.ends[1].name
        self._start: State | None = None
        held = np.array([[end.rho[name] for name in self._species] for end in solution.steady.ends])
        self.reach = abs(drive.salinity) / np.abs(drive.charges[drive.charges != 0.0]).min()
        low, high = (self._case(held, voltage) for voltage in (-self.reach, self.reach))
        self._workbench = Workbench(low, problem.domain.comm, also=[high], law=problem.law, petsc_options=petsc_options)

    def __enter__(self) -> Self:
        self._workbench.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._workbench.__exit__(*error)

    def _case(self, contents: Array, voltage: float) -> Case:
        held = [dict(zip(self._species, row.tolist(), strict=True)) for row in contents]
        scales = self._solution.setup.scales
        case = with_contents(self._solution.setup.case, scales, dict(zip(self._ends, held, strict=True)))
        return voltage_parameter(case, scales, self._ends)(voltage)

    def at(self, contents: Array, voltage: float) -> tuple[Array, float]:
        """Return the currents ``(N,)`` and the dissipation."""
        solution = self._workbench.solve(self._case(contents * self._dilution, voltage), self._start)
        self._start = solution.state
        steady = steady_of(solution)
        return self._factor * steady.currents, self._factor * steady.entropy_production


class _Circuit:
    """Both legs and the load between given contents."""

    def __init__(self, legs: tuple[_Leg, _Leg], resistance: float, engine: Engine) -> None:
        self._legs, self.resistance = legs, resistance
        # nothing in the loop drives a leg beyond what the salinity can; guesses on the way may be anywhere
        self._reach = 2.0 * max(leg.reach for leg in legs)
        linear, first, second = engine.linear, engine.linear.first, engine.linear.second
        current = linear.conductance * linear.ratio / (1.0 + resistance * linear.conductance)
        direction = float(np.sign(engine.salinity))
        self._voltage_by_salinity = direction * (current / first.conductance - first.ratio)
        self._slope = first.conductance + second.conductance * (1.0 + resistance * first.conductance)

    def at(self, contents: Array, salinity: float, charges: Array) -> tuple[Array, float, float]:
        """Return what both legs carry ``(N,)``, the current round the loop, the dissipation; by secants."""
        known: dict[float, tuple[Array, float, float]] = {}

        def net(voltage: float) -> float:
            if voltage not in known:
                first, lost = self._legs[0].at(contents, voltage)
                current = float(charges @ first)
                voltage_b = float(np.clip(voltage + self.resistance * current, -self._reach, self._reach))
                second, more = self._legs[1].at(contents, voltage_b)
                known[voltage] = first + second, current, lost + more
            return float(charges @ known[voltage][0])

        guess = self._voltage_by_salinity * salinity
        other = guess - net(guess) / self._slope
        if abs(other - guess) > SHARP:
            other = self._root(net, guess, other)
            self._slope = (net(guess) - net(other)) / (guess - other)
            self._voltage_by_salinity = other / salinity
        net(other)
        return known[other]

    def _root(self, net: Callable[[float], float], guess: float, other: float) -> float:
        def within(voltage: float) -> float:
            return net(float(np.clip(voltage, -self._reach, self._reach)))

        found = root_scalar(within, method="secant", x0=guess, x1=other, xtol=SHARP, rtol=SHARP, maxiter=SECANTS)
        if found.converged and abs(found.root) < self._reach:
            return float(found.root)
        if net(-self._reach) * net(self._reach) > 0.0:
            raise ConvergenceError("no potential between the reservoirs was found that stops the net current")
        return float(brentq(net, -self._reach, self._reach, xtol=SHARPEST, rtol=SHARPEST))


def _run_down(engine: Engine, circuit: _Circuit, volumes: tuple[float, float], until: float) -> Discharge:
    solution = engine.solutions[0]
    ends, drive, law = solution.steady.ends, drive_of(solution), solution.discretisation.problem.law
    assert ends is not None
    names, charges, sizes = drive.species, drive.charges, np.array(volumes)
    full = np.array([[end.rho[name] for name in names] for end in ends])

    def contents(moved: Array) -> Array:
        return full + np.multiply.outer([-1.0, 1.0] / sizes, moved)

    def salinity(moved: Array) -> float:
        # of what passes: beside closed species the chemical potentials of a leg's law do not depend on one another
        first, second = (np.array(law.free_energy.chemical_potentials(held.tolist())) for held in contents(moved))
        return float(np.abs(first - second).max())

    known: dict[bytes, tuple[Array, float, float]] = {}

    def at(moved: Array) -> tuple[Array, float, float]:
        if (key := moved.tobytes()) not in known:
            known[key] = circuit.at(contents(moved), salinity(moved), charges)
        return known[key]

    def rates(_: float, state: Array) -> Array:
        flow, current, lost = at(state[:-2])
        # reservoirs stay neutral to rounding, though the net charge vanishes as sharply as the voltage is found
        neutral = flow - charges * (charges @ flow) / (charges @ charges)
        return np.array([*neutral, circuit.resistance * current**2, lost])

    def end(_: float, state: Array) -> float:
        return salinity(state[:-2]) - until * start

    end.terminal = True  # type: ignore[attr-defined]
    start = salinity(np.zeros(len(names)))
    available = free_energy_of_mixing(law.free_energy, full * sizes[:, None], sizes)
    nothing = np.zeros(len(names) + 2)
    _, current, lost = at(nothing[:-2])
    unit = available / (circuit.resistance * current**2 + lost)
    scale = [*np.full(len(names), np.abs(full[0] - full[1]).max() * sizes.min()), available, available]
    found = solve_ivp(
        rates,
        (0.0, LONGEST * unit),
        nothing,
        first_step=FIRST_TIME * unit,
        events=end,
        rtol=ACCURACY,
        atol=ACCURACY * np.array(scale),
    )
    if found.status != 1:
        raise ConvergenceError(f"the reservoirs did not run down to {until:g} of their salinity: {found.message}")
    held = np.array([contents(moved) for moved in found.y[:-2].T])
    return Discharge(
        engine,
        volumes,
        circuit.resistance,
        names,
        found.t,
        held,
        np.array([at(moved)[1] for moved in np.ascontiguousarray(found.y[:-2].T)]),
        found.y[-2],
        found.y[-1],
        available,
        free_energy_of_mixing(law.free_energy, held[-1] * sizes[:, None], sizes),
    )
