"""Iterations over all stages of a step together, by any preset of a linear solver.

GMRES is preconditioned by block Gauss-Seidel over the stages with *one* matrix of the kind of implicit Euler,
``dS + g dt dF`` beside ``dP`` (Rana, Howle, Long, Meek, Milestone, SIAM J. Sci. Comput. 43, S475 (2021)): 4 to 10
iterations.
"""

from __future__ import annotations

from petsc4py import PETSc

import numpy as np

from pnp_exclusion.runtime.signals import held_back
from pnp_exclusion.solver.linear.fields import Preconditioning
from pnp_exclusion.solver.linear.levels import Levels
from pnp_exclusion.solver.linear.presets import OptionsDatabase, refusals_as_usage_errors
from pnp_exclusion.solver.transient.equations import Equations, Slopes
from pnp_exclusion.solver.transient.krylov import gmres
from pnp_exclusion.solver.transient.schemes import Scheme

ITERATIONS = 60
"""At most."""


class Iteration:
    """Solves with the Jacobian of the stages, and with the matrix of implicit Euler; owns matrices until `close`.

    All methods are collective; until `close` the options must be in the database.
    """

    serves_beside = 0.3
    """The step has changed by so much of itself: the preconditioner of an earlier one is made anew."""

    def __init__(self, equations: Equations, database: OptionsDatabase) -> None:
        self._equations = equations
        self._database = database
        self._levels = Levels(equations.discrete)
        self._matrix = equations.matrix.duplicate()
        self._matrix.setBlockSize(equations.discrete.layout.size)
        self._x, self._y = self._matrix.createVecRight(), self._matrix.createVecLeft()
        self._solver: PETSc.KSP | None = None
        self._preconditioning: Preconditioning | None = None
        self._of: tuple[Scheme, float, list[Slopes]] | None = None

    def close(self) -> None:
        """Free PETSc's objects."""
        if self._solver is not None:
            self._solver.destroy()
        if self._preconditioning is not None:
            self._preconditioning.close()
        for thing in (self._matrix, self._x, self._y):
            thing.destroy()
        self._levels.close()

    def renew(self, scheme: Scheme, step: float, slopes: list[Slopes]) -> bool:
        """Take the derivatives at the points of a step, and make what preconditions them at its end."""
        equations = self._equations
        self._of = scheme, step, slopes[: len(scheme.points)]
        last, length = self._of[2][-1], scheme.implicitness * step
        rows = np.full(equations.owned, length)
        rows[equations.is_potential] = 1.0
        rows[equations.held] = 1.0
        self._x.array_w[:] = rows
        last.flowing.copy(self._matrix, PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        self._matrix.diagonalScale(self._x)
        self._matrix.axpy(1.0, last.stored, PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        with held_back(), refusals_as_usage_errors():
            if self._solver is None:
                self._solver = PETSc.KSP().create(equations.comm)
                self._solver.setFromOptions()
                self._preconditioning = Preconditioning(self._solver, self._matrix, self._levels, self._database)
            assert self._preconditioning is not None
            self._preconditioning.renew()
            self._solver.setUp()
            self._solver.getPC().setUpOnBlocks()
        return True

    def moved_to(self, step: float) -> None:
        """Say that the next system is of a step of another length, close to that of the preconditioner."""
        assert self._of is not None
        self._of = self._of[0], step, self._of[2]

    def solve(self, right: np.ndarray, tolerance: float) -> tuple[np.ndarray | None, int]:
        """Return the solution for ``(stages, owned)``, or None, and the iterations that it took.

        tolerance
            Of the preconditioned residual, a change of the unknowns, relative.
        """
        change, iterations, converged = gmres(
            self._equations.comm, self._multiply, self._gauss_seidel, right.ravel(), tolerance, ITERATIONS
        )
        return (change.reshape(right.shape) if converged else None), iterations

    def solve_euler(self, right: np.ndarray) -> np.ndarray:
        """Return what the matrix of implicit Euler makes of a right-hand side, owned."""
        assert self._solver is not None
        self._x.array_w[:] = right
        with held_back():
            self._solver.getPC().apply(self._x, self._y)
        return self._y.array_r.copy()

    def _gauss_seidel(self, right: np.ndarray) -> np.ndarray:
        assert self._of is not None
        scheme, _, slopes = self._of
        rows = right.reshape(scheme.stages, -1)
        found = np.zeros_like(rows)
        factor = np.where(self._equations.is_potential, 1.0, scheme.implicitness)
        for i in range(scheme.stages):
            row = rows[i]
            for j in range(i):
                row = row - scheme.nodal[i, j] * self._times(slopes[-1].stored, found[j])
            found[i] = self.solve_euler(factor * row)
        return found.ravel()

    def _multiply(self, x: np.ndarray) -> np.ndarray:
        assert self._of is not None
        scheme, step, slopes = self._of
        at_points = scheme.interpolation @ x.reshape(scheme.stages, -1)
        pairs = list(zip(at_points, slopes, strict=True))
        stored = np.array([self._times(one.stored, values) for values, one in pairs])
        flowing = np.array([self._times(one.flowing, values) for values, one in pairs])
        rows = scheme.stored @ stored + np.where(
            self._equations.is_potential, scheme.poisson @ flowing, step * (scheme.flowing @ flowing)
        )
        rows[:, self._equations.held] = 0.0
        return rows.ravel()

    def _times(self, matrix: PETSc.Mat, values: np.ndarray) -> np.ndarray:
        self._x.array_w[:] = values
        matrix.mult(self._x, self._y)
        return self._y.array_r.copy()
