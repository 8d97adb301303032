"""The linear solver of a handful of solves: digits count here, not the time of one elimination."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from petsc4py import PETSc

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.runtime.signals import held_back
from pnp_exclusion.solver.linear.fields import Preconditioning, size_of
from pnp_exclusion.solver.linear.levels import Levels
from pnp_exclusion.solver.linear.presets import (
    OptionsDatabase,
    preset,
    refusals_as_usage_errors,
    with_pivots,
)


class CarefulSolver:
    """Solves with a matrix of a discretisation by the preset of a case, but for "banded" with pivots; collective.

    operator
        The matrix, filled; it may be filled anew, then `renew`.
    linear, petsc
        Preset and PETSc options of the case.
    petsc_options
        Those that PETSc was started with.
    """

    def __init__(
        self,
        discrete: Discretisation,
        operator: PETSc.Mat,
        linear: str,
        petsc: Mapping[str, Any],
        petsc_options: Sequence[str],
    ) -> None:
        self._levels = Levels(discrete)
        with OptionsDatabase(petsc_options) as database:
            database.merge(
                preset(with_pivots(linear, size_of(discrete)), size_of(discrete), discrete.layout.names), petsc
            )
            self._solver = PETSc.KSP().create(operator.comm)
            with refusals_as_usage_errors():
                self._solver.setFromOptions()
            self._preconditioning = Preconditioning(self._solver, operator, self._levels, database)
            # set up while the options are in the database, which a fieldsplit reads late
            self.renew()
            with held_back(), refusals_as_usage_errors():
                self._solver.setUp()
                self._solver.getPC().setUpOnBlocks()

    @property
    def eliminates(self) -> bool:
        """Whether it does without iterations."""
        return bool(self._solver.getType() == PETSc.KSP.Type.PREONLY)

    def renew(self) -> None:
        """Take the matrix as it is now."""
        self._preconditioning.renew()

    def solve(self, right: PETSc.Vec, solution: PETSc.Vec) -> None:
        """Solve for a right-hand side, which need not be exact: refine by the residual."""
        with held_back(), refusals_as_usage_errors():
            self._solver.solve(right, solution)

    def solve_several(self, rights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return solutions for right-hand sides at once, ``(sides, owned)``: one elimination's take hardly longer than
        one of them. Refine as with `solve`."""
        count, owned = rights.shape
        comm, size = self._solver.comm, ((owned, None), (None, count))
        right, solution = (PETSc.Mat().createDense(size, comm=comm) for _ in range(2))
        for matrix in (right, solution):
            matrix.setUp()
        right.getDenseArray()[:] = rights.T
        for matrix in (right, solution):
            matrix.assemble()
        with held_back(), refusals_as_usage_errors():
            self._solver.matSolve(right, solution)
        found: NDArray[np.float64] = solution.getDenseArray(readonly=True).T.copy()
        for matrix in (right, solution):
            matrix.destroy()
        return found

    def close(self) -> None:
        """Free PETSc's objects."""
        self._solver.destroy()
        self._preconditioning.close()
        self._levels.close()
