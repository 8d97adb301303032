"""Adjoints of a steady state: how functionals of it answer to whatever disturbs its equations.

For the residual ``R`` with the Jacobian ``A = dR/dU`` and a functional with the slopes ``g = dG/dU``, the adjoint is

    A^T w + sum_k s_k a_k = g    on all free unknowns ,    w = 0 on held ones,

with ``a_k = dN_k/dU`` of every amount that is conserved, without which the equations would be singular. A disturbance
that changes the residual by ``dR`` and the amounts, at a state that stays, by ``dN``, then changes the functional of
the steady state by ``-w . dR - s . dN``, beside what it changes of the functional itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
from dolfinx.fem import petsc as fem_petsc
from numpy.typing import NDArray

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.layout import unknown_of
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.runtime.parallel import leaves_together
from pnp_exclusion.solver.assembly.assembly import assembly_of
from pnp_exclusion.solver.linear.careful import CarefulSolver
from pnp_exclusion.solver.steady import CONSERVED_STORAGE_RATE, SolverSettings
from pnp_exclusion.solver.tangents import amount_changes, jacobian_of_balance

REFINEMENTS = 30
"""Corrections of a linear solve by its own residual, at most; a direct solver needs one or two."""
SETTLED = 1e-11
"""Relative to the adjoint: a correction below it ends the refinement."""
ACCEPTABLE = 1e-6
"""Relative: corrections that stop shrinking above this are a failure."""
LEAST = 1e-6
"""Of how a functional answers to the amounts of closed species: smaller adjoints are rounding."""

type Real = NDArray[np.float64]


class AdjointSolver:
    """Adjoints at the state in the unknown of a discretisation; a context that frees PETSc's objects.

    All methods are collective. Functionals are rows of arrays ``(functionals, owned unknowns)``.

    settings
        As the steady solver's: preset of linear solver and PETSc options.
    """

    def __init__(
        self, discrete: Discretisation, settings: SolverSettings | None = None, petsc_options: Sequence[str] = ()
    ) -> None:
        self.discrete = discrete
        settings = settings or SolverSettings()
        self._comm = discrete.problem.domain.comm
        dofmap = discrete.space.dofmap
        self._owned = dofmap.index_map.size_local * discrete.layout.size
        held = discrete.constraints.dofs
        held = held[held < self._owned]
        self._is_free = np.ones(self._owned, dtype=bool)
        self._is_free[held] = False
        first = dofmap.index_map.local_range[0] * discrete.layout.size
        rate = discrete.parameters.storage_rate
        rate.value = 0.0
        closed = bool(discrete.problem.combinations)
        self._amounts = np.array([slope[: self._owned] for slope in amount_changes(discrete)] if closed else [])
        self._amounts = np.where(self._is_free, self._amounts.reshape(-1, self._owned), 0.0)
        self._constants = self._constants_of_closed()
        assembly = assembly_of(discrete)
        try:
            assembly.fill_jacobian(whole=True)
            self._answer = assembly.matrix.transpose(PETSc.Mat())
            if closed:
                # a steady state of any other amounts is one too, unless something is stored
                rate.value = CONSERVED_STORAGE_RATE
                assembly.fill_jacobian(whole=True)
            self._operator = assembly.matrix.transpose(PETSc.Mat())
        finally:
            rate.value = 0.0
            assembly.close()
        self._operator.zeroRowsColumns((first + held).astype(PETSc.IntType), diag=1.0)
        self._vector, self._product = self._answer.createVecRight(), self._answer.createVecLeft()
        self._solver = CarefulSolver(discrete, self._operator, settings.linear, settings.petsc, petsc_options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if leaves_together(kind, self._comm):
            self.close()

    def close(self) -> None:
        """Free PETSc's objects."""
        self._solver.close()
        for thing in (self._operator, self._answer, self._vector, self._product):
            thing.destroy()

    def slopes_of_rows(self, weights: Real) -> Real:
        """Return the derivatives of sums over rows of the balance by the unknown."""
        discrete = self.discrete
        if discrete.forms.residual is discrete.forms.balance:
            return self._times(self._answer, weights)
        form = jacobian_of_balance(discrete)
        matrix = fem_petsc.create_matrix(form.now)
        form.add_to_matrix(matrix, [])
        matrix.assemble()
        transposed = matrix.transpose(PETSc.Mat())
        found = self._times(transposed, weights)
        matrix.destroy()
        transposed.destroy()
        return found

    def solve(self, slopes: Real) -> tuple[Real, Real]:
        """Return the adjoints ``w`` of functionals, ``(functionals, owned)``, and ``s``, ``(functionals, amounts)``.

        slopes
            Of the functionals by the owned unknowns.

        Raises `ConvergenceError` if the linear system cannot be solved.
        """
        right = np.where(self._is_free, slopes, 0.0)
        found, shares = np.zeros_like(right), np.zeros((len(right), len(self._amounts)))
        residual, last = right.copy(), np.inf
        for _ in range(REFINEMENTS):
            residual, change = self._without(residual, self._amounts)
            shares += change
            correction = np.where(self._is_free, self._solver.solve_several(residual), 0.0)
            # nothing depends on the constants of closed species, and they would only cost digits
            correction, _ = self._without(correction, self._constants)
            found += correction
            # an amount that is kept has an adjoint of zero, but for rounding
            sizes = np.maximum(self._sizes(found), LEAST * np.abs(shares).max(axis=1, initial=0.0))
            size = float(np.max(self._sizes(correction) / np.where(sizes > 0.0, sizes, 1.0), initial=0.0))
            if not np.isfinite(size):
                break
            if size < SETTLED or (size < ACCEPTABLE and size > 0.3 * last):
                return found, shares
            last = size
            residual = np.where(self._is_free, right - self._times(self._answer, found) - shares @ self._amounts, 0.0)
        why = "densities of some species may be too small beside others" if self._solver.eliminates else _DIRECT
        raise ConvergenceError(f"the linear system of an adjoint could not be solved; {why}")

    def _constants_of_closed(self) -> Real:
        """Return what the adjoint is free by: one row for each combination that is conserved."""
        layout, combinations = self.discrete.layout, self.discrete.problem.combinations
        found = np.zeros((len(combinations), self._owned))
        for row, combination in zip(found, combinations, strict=True):
            for name, factor in combination.items():
                row[layout.index(unknown_of(name)) :: layout.size] = factor
        return np.where(self._is_free, found, 0.0)

    def _without(self, vectors: Real, others: Real) -> tuple[Real, Real]:
        """Return vectors without what they share with others, and how much of each that is."""
        if not len(others):
            return vectors, np.zeros((len(vectors), 0))
        products = self._comm.allreduce(vectors @ others.T, op=MPI.SUM)
        shares: Real = np.linalg.solve(self._comm.allreduce(others @ others.T, op=MPI.SUM), products.T).T
        return vectors - shares @ others, shares

    def _sizes(self, vectors: Real) -> Real:
        sizes: Real = np.abs(vectors).max(axis=1, initial=0.0)
        self._comm.Allreduce(MPI.IN_PLACE, sizes, op=MPI.MAX)
        return sizes

    def _times(self, matrix: PETSc.Mat, vectors: Real) -> Real:
        found = np.empty_like(vectors)
        for row, vector in zip(found, vectors, strict=True):
            self._vector.array_w[:] = vector
            matrix.mult(self._vector, self._product)
            row[:] = self._product.array_r
        return found


_DIRECT = 'try [solver] linear = "direct"'
