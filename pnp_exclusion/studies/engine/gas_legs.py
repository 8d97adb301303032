"""Gases as legs of an engine in linear response: exact, in the kinetic limit, or measured.

What is held: the temperatures of both reservoirs, the left the hotter, and the mean of ``mu/T``. What floats: ``F``,
the difference of ``mu/T`` between them, until no net current of particles flows. What a load is: biases at the right
end, ``U_A = U/2`` and ``U_B = -U/2``: a particle that goes round, through A from left to right and back through B, does
the work ``U``. The force on the particles of leg ``X`` is ``F - U_X/T_right``, which makes ``U/T_right`` the load of
`pnp_exclusion.studies.engine.linear`, heat the driver's current and ``F_u`` its force.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pnp_exclusion.errors import UsageError
from pnp_exclusion.particles.gas.coefficients import Coefficients, coefficients_of, free_matrix
from pnp_exclusion.particles.gas.kinetic_limit import KineticLimit
from pnp_exclusion.particles.gas.model import Gas
from pnp_exclusion.particles.gas.onsager import Onsager
from pnp_exclusion.particles.measure import Estimate
from pnp_exclusion.studies.engine.linear import LinearEngine, LinearLeg
from pnp_exclusion.studies.engine.loop import LegPoint, Loop


@dataclass(frozen=True)
class LinearGas:
    """A leg whose currents are those of linear response at every force.

    driver
        ``F_u``.
    """

    linear: LinearLeg
    driver: float

    @property
    def zero_current_force(self) -> float:
        """The force on particles at which none flow."""
        return -self.linear.ratio * self.driver

    def current_at(self, force: float) -> float:
        """Return the current of particles under a force on them."""
        return self.linear.conductance * (force - self.zero_current_force)

    def point(self, force: float) -> LegPoint:
        """Return the currents of particles and energy there."""
        currents = self.linear.matrix @ [force, self.driver]
        return LegPoint(force, currents, float(currents[1] * self.driver), float(currents @ [force, self.driver]))


@dataclass(frozen=True, eq=False)
class LinearLegs:
    """Both legs by their coefficients with errors, and how many copies of each there are."""

    coefficients: tuple[Coefficients, Coefficients]
    copies: tuple[int, int]

    @property
    def engine(self) -> LinearEngine:
        """The engine that they make."""
        return self._engine(*(one.onsager for one in self.coefficients))

    def loop(self, driver: float) -> Loop:
        """Return the loop under ``F_u``."""
        engine = self.engine
        return Loop((LinearGas(engine.first, driver), LinearGas(engine.second, driver)))

    def of(self, function: Callable[[LinearEngine], float]) -> Estimate:
        """Return a function of the engine, with the error that those of both legs give it."""
        first, second = self.coefficients
        by_leg = (
            first.of(lambda onsager: function(self._engine(onsager, second.onsager))),
            second.of(lambda onsager: function(self._engine(first.onsager, onsager))),
        )
        return Estimate(by_leg[0].mean, np.hypot(by_leg[0].error, by_leg[1].error))

    def _engine(self, *legs: Onsager) -> LinearEngine:
        first, second = (LinearLeg(n * leg.matrix) for n, leg in zip(self.copies, legs, strict=True))
        return LinearEngine(first, second)


def is_free(gas: Gas) -> bool:
    """Whether unlike kinds pass each other without a barrier or a loss, so that everything is known."""
    return not gas.loses_energy and not np.any(gas.barriers[~np.eye(len(gas.kinds), dtype=bool)])


def exact_leg(gas: Gas) -> Coefficients:
    """Return the coefficients of a gas in which nothing is in the way."""
    matrix = free_matrix(gas)
    return coefficients_of(gas, Estimate(matrix, np.zeros_like(matrix)))


def kinetic_leg(gas: Gas) -> Coefficients:
    """Return the coefficients of a gas in the kinetic limit of small barriers; their errors are those of its grids.

    Raises `UsageError` for a gas that has none.
    """
    if is_free(gas):
        return exact_leg(gas)
    limit = KineticLimit.of(gas)
    height = float(gas.barriers[0, 1])
    if not np.isfinite(height):
        raise UsageError("the kinetic limit is that of small barriers, but there is one that nothing passes")
    found = limit.at(height**2 * gas.length, lambda onsager: onsager.matrix)
    return coefficients_of(gas, Estimate(np.asarray(found.value) * gas.length, np.asarray(found.error) * gas.length))
