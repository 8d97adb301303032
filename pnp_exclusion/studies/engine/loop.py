"""The loop at any drive: the force that floats until no net current flows, whatever the legs are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.studies.coupled.conversion import greatest
from pnp_exclusion.studies.engine.linear import LinearEngine, LinearLeg

type Array = NDArray[np.float64]

SHARP = 1e-11
"""Of forces, and relative: how sharply the floating force is found."""
LEAST_LOAD = 1e-9
"""Legs that stop at forces which differ by less than this are alike."""


@dataclass(frozen=True)
class LegPoint:
    """A leg at work; currents from first reservoir to second, times its area.

    force
        On what circulates: voltage ``V``, or ``F_rho``.
    currents
        Of every species, ``(N,)``, or of particles and energy.
    consumption
        The driver's current times its force.
    """

    force: float
    currents: Array
    consumption: float
    entropy_production: float


class Leg(Protocol):
    """What goes into a loop."""

    @property
    def linear(self) -> LinearLeg:
        """Its matrix about equilibrium."""
        ...

    @property
    def zero_current_force(self) -> float:
        """The force on what circulates at which none does under the driver."""
        ...

    def current_at(self, force: float) -> float:
        """Return the current of what circulates under a force on it."""
        ...

    def point(self, force: float) -> LegPoint:
        """Return everything there."""
        ...


@dataclass(frozen=True)
class EnginePoint:
    """The loop under one load; powers in kT times currents, or in forces times currents.

    load
        ``U``: ``V_B - V_A``.
    current
        Round the loop, through leg A from the first reservoir to the second: ``I_A = -I_B``.
    consumption
        What the reservoirs lose per time: the driver's currents through both legs times its force.
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
        """``P`` over the consumption: the efficiency over Carnot's."""
        return self.power / self.consumption

    @property
    def entropy_production(self) -> float:
        """Dissipation in both legs, which is what the consumption exceeds the power by."""
        return sum(leg.entropy_production for leg in self.legs)


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
    def stopping_load(self) -> float:
        """The load at which no current flows."""
        return self.legs[1].zero_current_force - self.legs[0].zero_current_force

    def at(self, load: float) -> EnginePoint:
        """Return the loop under a load between zero and the stopping one; raises `ConvergenceError`."""
        if load not in self._points:
            self._points[load] = self._at(load)
        return self._points[load]

    def _at(self, load: float) -> EnginePoint:
        first, second = self.legs

        def net(force: float) -> float:
            return first.current_at(force - load) + second.current_at(force)

        # at the ends one of the legs is at its own zero-current force and the other off it, to opposite sides
        low, high = sorted((first.zero_current_force + load, second.zero_current_force))
        if high - low < SHARP * (1.0 + abs(low)):
            force = 0.5 * (low + high)
        elif net(low) * net(high) > 0.0:
            raise ConvergenceError(
                f"under a load of {load:.4g} kT no potential between the reservoirs, from {low:.4g} to {high:.4g}, "
                "stops the net current: a leg's current does not rise with the force on it"
            )
        else:
            force = float(brentq(net, low, high, xtol=SHARP, rtol=SHARP))
        points = first.point(force - load), second.point(force)
        current = 0.5 * (first.current_at(force - load) - second.current_at(force))
        return EnginePoint(load, current, sum(point.consumption for point in points), points)

    def curve(self, points: int) -> list[EnginePoint]:
        """Return the loop under loads from zero (short circuit) to the stopping one (open circuit)."""
        return [self.at(self.stopping_load * i / (points - 1)) for i in range(points)]

    def best(self, quantity: Callable[[EnginePoint], float]) -> EnginePoint:
        """Return the loop under the load at which a quantity is greatest."""
        return greatest(self.at, quantity, self.stopping_load, self._points.values())
