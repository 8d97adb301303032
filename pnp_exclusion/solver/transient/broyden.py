"""Broyden's updates of a Jacobian that is kept: what earlier steps with it have shown of the true one."""

from __future__ import annotations

from mpi4py import MPI

import numpy as np

from pnp_exclusion.solver.transient.equations import Equations

LEAST_DENOMINATOR = 0.3
"""Below it the last two steps are too much alike for an update: the denominator is that of Sherman and Morrison."""


class BroydenUpdates:
    """The rank-one updates since the Jacobian was taken, kept as the steps they came from (Kelley, Iterative Methods
    for Linear and Nonlinear Equations, SIAM (1995), section 7.3): each step costs one scalar product more."""

    def __init__(self, equations: Equations) -> None:
        self._equations = equations
        self._steps: list[np.ndarray] = []
        self._squares: list[float] = []

    def forget(self) -> None:
        """Begin with a Jacobian as it is."""
        self._steps.clear()
        self._squares.clear()

    def take(self, step: np.ndarray) -> None:
        """Learn from a step ``(stages, unknowns)`` that was made of the whole of what `applied_to` returned."""
        self._steps.append(step)
        self._squares.append(self._product(step, step))

    def applied_to(self, step: np.ndarray) -> np.ndarray:
        """Return the step of the updated Jacobian, from that of the kept one."""
        if not self._steps or 0.0 in self._squares:
            return step
        for before, after, square in zip(self._steps, self._steps[1:], self._squares, strict=False):
            step = step + after * (self._product(before, step) / square)
        denominator = 1.0 - self._product(self._steps[-1], step) / self._squares[-1]
        return step / max(denominator, LEAST_DENOMINATOR)

    def _product(self, one: np.ndarray, other: np.ndarray) -> float:
        owned = self._equations.owned
        return float(self._equations.comm.allreduce(float(np.vdot(one[:, :owned], other[:, :owned])), op=MPI.SUM))
