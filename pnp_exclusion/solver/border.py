"""Potentials that are found, as a border of the Jacobian: one unknown and one equation for each (`Problem.floating`).

The bordered system is solved by block elimination, with the factors or the preconditioner of the Jacobian itself: a
Newton step at fixed potentials, and for each of them the tangent of the state by it. How the totals that are given
answer to both then says by how much the potentials change.
"""

from __future__ import annotations

from collections.abc import Callable

from petsc4py import PETSc

import numpy as np

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.found_potentials import excess
from pnp_exclusion.discretisation.totals import Totals, boundary_integrals

FREE_STEP = 10.0
"""kT/e: by more than this potentials change in a step as the logarithm of what is asked for."""


def limited_steps(changes: np.ndarray) -> np.ndarray:
    """Return changes of potentials, those beyond `FREE_STEP` growing with their logarithm."""
    beyond = np.maximum(np.abs(changes) / FREE_STEP, 1.0)
    limited: np.ndarray = np.sign(changes) * (np.minimum(np.abs(changes), FREE_STEP) + np.log(beyond))
    return limited


class Border:
    """Takes Newton steps at fixed potentials to those of the bordered system; all methods are collective."""

    def __init__(self, discrete: Discretisation) -> None:
        self._discrete = discrete
        self._integrals = boundary_integrals(discrete)
        self._owned = discrete.space.dofmap.index_map.size_local * discrete.layout.size
        held = discrete.constraints.dofs
        self._held = held[held < self._owned]
        self._tangents: np.ndarray | None = None
        self._slopes = np.empty((0, 0))

    def renew(self) -> None:
        """Say that the Jacobian is another one, that of the state in the unknown."""
        self._tangents = None

    def correct(self, step: PETSc.Vec, solve: Callable[[np.ndarray], np.ndarray]) -> bool:
        """Correct a Newton step, which is subtracted from the unknown; return whether potentials moved less than asked.

        solve
            With the Jacobian, for a right-hand side at the owned unknowns that is zero where values are held.
        """
        discrete = self._discrete
        if self._tangents is None:
            tangents, slopes = zip(*(self._tangent(tag, solve) for tag in discrete.problem.floating), strict=True)
            self._tangents, self._slopes = np.array(tangents), np.column_stack(slopes)
        fixed = -step.array_r
        left = excess(discrete) + self._along(fixed).of_floating(discrete)
        try:
            changes = np.linalg.solve(self._slopes, -left)
        except np.linalg.LinAlgError:
            changes = np.full(len(left), np.nan)
        limited = limited_steps(changes)
        step.array_w[:] = -(fixed + limited @ self._tangents)
        return not np.array_equal(limited, changes)

    def _tangent(self, tag: int, solve: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return how the owned unknowns answer to the potential of a boundary, and what is given of all."""
        discrete = self._discrete
        moved = np.zeros(self._owned)
        for dofs, amount in discrete.constraints.by_potential(discrete.problem, tag):
            moved[dofs[dofs < self._owned]] = amount
        column, at_boundaries = self._integrals.by_number(tag)
        right = self._integrals.residual_along(moved) + column
        right[self._held] = 0.0
        tangent = moved - solve(right)
        return tangent, (self._along(tangent, column) + at_boundaries).of_floating(discrete)

    def _along(self, direction: np.ndarray, column: np.ndarray | float = 0.0) -> Totals:
        return self._integrals.along(self._integrals.balance_along(direction) + column, direction)
