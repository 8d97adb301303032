"""The loop at any drive: each leg's own steady states, and the potential that floats until no net charge flows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.solution.solution import Solution
from pnp_exclusion.solution.solve import settings_of
from pnp_exclusion.solver.tangents import TangentSolver
from pnp_exclusion.studies.coupled.channel import Channel, Steady, drive_of, greatest, parameter_of
from pnp_exclusion.studies.coupled.directions import SALINITY, VOLTAGE, Drive, in_directions
from pnp_exclusion.studies.coupled.equilibrium import equilibrium
from pnp_exclusion.studies.coupled.response import response
from pnp_exclusion.studies.engine.linear import LinearEngine, LinearLeg

type Array = NDArray[np.float64]

SHARP = 1e-11
"""kT/e, and relative: how sharply the floating potential is found."""
LEAST_VOLTAGE = 1e-9
"""kT/e: legs whose zero-current voltages differ by less than this are alike."""


@dataclass(frozen=True)
class LegPoint:
    """A leg at work: voltage ``V`` (kT/e) and currents ``(N,)`` from first reservoir to second, times its area."""

    voltage: float
    currents: Array
    entropy_production: float


@dataclass(frozen=True)
class EnginePoint:
    """The loop under one load; powers in kT times currents.

    load
        Voltage ``U`` of the load, kT/e: ``V_B - V_A``.
    current
        Electric current through the loop, up leg A's voltage: ``I_A = -I_B``.
    consumption
        Free energy of mixing that the reservoirs lose per time: the currents of particles through both legs times the
        drops of their chemical potentials.
    """

    load: float
    current: float
    consumption: float
    legs: tuple[LegPoint, LegPoint]

    @property
    def power(self) -> float:
        """``P = I U``, delivered to the load."""
        return self.current * self.load

    @property
    def efficiency(self) -> float:
        """``P`` over the consumption."""
        return self.power / self.consumption

    @property
    def entropy_production(self) -> float:
        """Dissipation in both legs, which is what the consumption exceeds the power by."""
        return sum(leg.entropy_production for leg in self.legs)


class Leg:
    """One membrane, its voltage turned, its reservoirs' contents as in its case; a context that frees PETSc's objects.

    area
        By which its currents are multiplied.
    """

    def __init__(self, solution: Solution, area: float, petsc_options: Sequence[str] = ()) -> None:
        self.area = area
        self.drive: Drive = drive_of(solution)
        problem = solution.discretisation.problem
        voltage, salinity = (self.drive.directions[name] for name in (VOLTAGE, SALINITY))
        rest = equilibrium(solution, self.drive)
        with TangentSolver(rest.discretisation, settings_of(rest.setup.case), petsc_options) as tangents:
            onsager = response(tangents).to_contents
        self.linear = LinearLeg(area * in_directions(onsager, (voltage, salinity)))
        parameter, _ = parameter_of(solution, self.drive.species[0])
        guess = -self.linear.voltage_by_salinity * self.drive.salinity
        # nothing in the loop drives a leg beyond what the salinity can
        reach = abs(self.drive.salinity) / np.abs(self.drive.charges[self.drive.charges != 0.0]).min()
        self.channel = Channel(parameter, (-reach, reach), problem.domain.comm, problem.law, petsc_options)
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.channel)
            self.zero_current_voltage = self.channel.root(self.electric_current, guess, "the electric current of a leg")
            stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self.channel.__exit__(*error)

    def electric_current(self, steady: Steady) -> float:
        """``sum z_a J_a`` of a state, times the area."""
        return self.area * float(self.drive.charges @ steady.currents)

    def current_at(self, voltage: float) -> float:
        """Electric current at a voltage, times the area."""
        return self.electric_current(self.channel.at(voltage))

    def point(self, voltage: float) -> LegPoint:
        """Everything at a voltage."""
        steady = self.channel.at(voltage)
        return LegPoint(voltage, self.area * steady.currents, self.area * steady.entropy_production)


@dataclass
class Loop:
    """Two legs between the same two reservoirs."""

    legs: tuple[Leg, Leg]
    _points: dict[float, EnginePoint] = field(default_factory=dict)

    @property
    def linear(self) -> LinearEngine:
        """The engine in linear response about equilibrium."""
        return LinearEngine(self.legs[0].linear, self.legs[1].linear)

    @property
    def salinity(self) -> float:
        """The drop of the chemical potentials that drives, kT."""
        return self.legs[0].drive.salinity

    @property
    def open_circuit_voltage(self) -> float:
        """The load's voltage at which no current flows, kT/e."""
        return self.legs[1].zero_current_voltage - self.legs[0].zero_current_voltage

    def at(self, load: float) -> EnginePoint:
        """Return the loop under a load between zero and the open-circuit voltage; raises `ConvergenceError`."""
        if load not in self._points:
            self._points[load] = self._at(load)
        return self._points[load]

    def _at(self, load: float) -> EnginePoint:
        first, second = self.legs

        def net(voltage: float) -> float:
            return first.current_at(voltage - load) + second.current_at(voltage)

        # at the ends one of the legs is at its own zero-current voltage and the other off it, to opposite sides
        low, high = sorted((first.zero_current_voltage + load, second.zero_current_voltage))
        if high - low < SHARP * (1.0 + abs(low)):
            voltage = 0.5 * (low + high)
        elif net(low) * net(high) > 0.0:
            raise ConvergenceError(
                f"under a load of {load:.4g} kT/e no potential between the reservoirs, from {low:.4g} to {high:.4g}, "
                "stops the net charge: a leg's current does not rise with its voltage"
            )
        else:
            voltage = float(brentq(net, low, high, xtol=SHARP, rtol=SHARP))
        points = first.point(voltage - load), second.point(voltage)
        current = 0.5 * (first.current_at(voltage - load) - second.current_at(voltage))
        lost = first.drive.chemical @ (points[0].currents + points[1].currents)
        return EnginePoint(load, current, float(lost), points)

    def curve(self, points: int) -> list[EnginePoint]:
        """Return the loop under loads from zero (short circuit) to the open-circuit voltage."""
        return [self.at(self.open_circuit_voltage * i / (points - 1)) for i in range(points)]

    def best(self, quantity: Callable[[EnginePoint], float]) -> EnginePoint:
        """Return the loop under the load at which a quantity is greatest."""
        return greatest(self.at, quantity, self.open_circuit_voltage, self._points.values())
