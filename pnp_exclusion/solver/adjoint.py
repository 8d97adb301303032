"""Adjoints of a steady state: how functionals of it answer to whatever disturbs its equations.

For the residual ``R`` with the Jacobian ``A = dR/dU`` and a functional with the slopes ``g = dG/dU``, the adjoint is

    A^T w + sum_k s_k a_k = g    on all free unknowns ,    w = 0 on held ones,

with ``a_k = dN_k/dU`` of every amount that is conserved, without which the equations would be singular. A disturbance
that changes the residual by ``dR`` and the amounts, at a state that stays, by ``dN``, then changes the functional of
the steady state by ``-w . dR - s . dN``, beside what it changes of the functional itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
from dolfinx.fem import petsc as fem_petsc
from numpy.typing import NDArray
from scipy import sparse

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.layout import unknown_of
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.runtime.parallel import leaves_together
from pnp_exclusion.solver.assembly.assembly import assembly_of
from pnp_exclusion.solver.assembly.rows import Rows, matrix_of_rows, rows_of
from pnp_exclusion.solver.linear.careful import CarefulSolver
from pnp_exclusion.solver.linear.several import sizes_of, times
from pnp_exclusion.solver.steady import CONSERVED_STORAGE_RATE, SolverSettings
from pnp_exclusion.solver.tangents import amount_changes, jacobian_of_balance

REFINEMENTS = 30
"""Corrections of a linear solve by its own residual, at most; a direct solver needs one or two."""
SETTLED = 1e-9
"""Relative to the adjoint: when the correction that would follow is below it, none does."""
ACCEPTABLE = 1e-6
"""Relative: corrections that stop shrinking above this are a failure."""
LEAST = 1e-6
"""Of how a functional answers to the amounts of closed species: smaller adjoints are rounding."""

type Real = NDArray[np.float64]


def adjoints_of(
    discrete: Discretisation,
    rows: Real,
    slopes: Real,
    settings: SolverSettings | None = None,
    petsc_options: Sequence[str] = (),
    tolerance: float = SETTLED,
) -> tuple[Real, Real]:
    """Return the adjoints of functionals of the state in the unknown of a discretisation; collective.

    rows, slopes
        Of every functional: which rows of the balance it adds up, and its derivatives by the owned unknowns but for
        those, ``(functionals, owned)`` both.
    settings
        As the steady solver's: preset of linear solver and PETSc options.
    tolerance
        Of the adjoints, relative to their largest value.

    Returns ``w``, ``(functionals, owned)``, and ``s``, ``(functionals, amounts)``. Raises `ConvergenceError` if the
    linear system cannot be solved.
    """
    with _Equations(discrete, settings or SolverSettings(), petsc_options) as equations:
        return equations.solve(rows, slopes, tolerance)


class _Equations:
    """The transposed Jacobian at the state in the unknown; a context that frees PETSc's objects."""

    def __init__(self, discrete: Discretisation, settings: SolverSettings, petsc_options: Sequence[str]) -> None:
        self._discrete, self._settings, self._petsc_options = discrete, settings, petsc_options
        self._comm = discrete.problem.domain.comm
        dofmap, combinations = discrete.space.dofmap, discrete.problem.combinations
        self._owned = dofmap.index_map.size_local * discrete.layout.size
        held = discrete.constraints.dofs
        held = held[held < self._owned]
        self._is_free = np.ones(self._owned, dtype=bool)
        self._is_free[held] = False
        self._held = (dofmap.index_map.local_range[0] * discrete.layout.size + held).astype(PETSc.IntType)
        amounts = [slope[: self._owned] for slope in amount_changes(discrete)] if combinations else []
        self._amounts = np.where(self._is_free, np.reshape(amounts, (len(amounts), self._owned)), 0.0)
        self._constants = self._constants_of_closed()
        self._stack = ExitStack()
        rate, assembly = discrete.parameters.storage_rate, assembly_of(discrete)
        try:
            rate.value = 0.0
            assembly.fill_jacobian(whole=True)
            self._answer = self._operator = self._kept(_transposed(assembly.matrix))
            if combinations:
                # a steady state of any other amounts is one too, unless something is stored
                rate.value = CONSERVED_STORAGE_RATE
                assembly.fill_jacobian(whole=True)
                self._operator = self._kept(_transposed(assembly.matrix))
        finally:
            rate.value = 0.0
            assembly.close()
        self._vector, self._product = (self._kept(make()) for make in (self._answer.createVecRight,) * 2)

    def __enter__(self) -> _Equations:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if leaves_together(kind, self._comm):
            self._stack.close()

    def _kept[Thing: (PETSc.Mat, PETSc.Vec)](self, thing: Thing) -> Thing:
        self._stack.callback(thing.destroy)
        return thing

    def solve(self, rows: Real, slopes: Real, tolerance: float) -> tuple[Real, Real]:
        """Return ``w`` and ``s``; once, as the held rows are lost with it."""
        right = np.where(self._is_free, slopes + self._slopes_of_rows(rows), 0.0)
        self._operator.zeroRowsColumns(self._held, diag=1.0)
        settings = self._settings
        solver = CarefulSolver(self._discrete, self._operator, settings.linear, settings.petsc, self._petsc_options)
        self._stack.callback(solver.close)
        found, shares = np.zeros_like(right), np.zeros((len(right), len(self._amounts)))
        residual, last = right.copy(), 1.0
        for _ in range(REFINEMENTS):
            residual, change = self._without(residual, self._amounts)
            shares += change
            correction = np.where(self._is_free, solver.solve_several(residual), 0.0)
            # nothing depends on the constants of closed species, and they would only cost digits
            correction, _ = self._without(correction, self._constants)
            found += correction
            # an amount that is kept has an adjoint of zero, but for rounding
            sizes = np.maximum(sizes_of(self._comm, found), LEAST * np.abs(shares).max(axis=1, initial=0.0))
            size = float(np.max(sizes_of(self._comm, correction) / np.where(sizes > 0.0, sizes, 1.0), initial=0.0))
            if not np.isfinite(size):
                break
            residual = np.where(self._is_free, right - self._times(self._answer, found) - shares @ self._amounts, 0.0)
            # corrections shrink by the same factor each time
            if size * size / last < tolerance or (size < ACCEPTABLE and size > 0.3 * last):
                return found, shares + self._without(residual, self._amounts)[1]
            last = size
        why = "densities of some species may be too small beside others" if solver.eliminates else _DIRECT
        raise ConvergenceError(f"the linear system of an adjoint could not be solved; {why}")

    def _slopes_of_rows(self, weights: Real) -> Real:
        """Return the derivatives of sums over rows of the balance by the unknown."""
        discrete = self._discrete
        if discrete.forms.residual is discrete.forms.balance:
            return self._times(self._answer, weights)
        form, _ = jacobian_of_balance(discrete)
        matrix = self._kept(fem_petsc.create_matrix(form.now))
        form.add_to_matrix(matrix, [])
        matrix.assemble()
        return self._times(self._kept(_transposed(matrix)), weights)

    def _constants_of_closed(self) -> Real:
        """Return what the adjoint is free by: one row for each combination that is conserved."""
        layout, combinations = self._discrete.layout, self._discrete.problem.combinations
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

    def _times(self, matrix: PETSc.Mat, vectors: Real) -> Real:
        return times(matrix, vectors, self._vector, self._product)


_DIRECT = 'try [solver] linear = "direct"'


def _transposed(matrix: PETSc.Mat) -> PETSc.Mat:
    """Return the transposed matrix; collective. On one rank it works on arrays, which a fieldsplit takes parts of."""
    if matrix.comm.size > 1:
        return matrix.transpose(PETSc.Mat())
    rows, size = rows_of(matrix).own, matrix.getSizes()
    turned = sparse.csr_array((rows.values, rows.columns, rows.offsets), shape=(size[0][1], size[1][1])).T.tocsr()
    own = Rows(turned.indptr.astype(PETSc.IntType), turned.indices.astype(PETSc.IntType), turned.data)
    none = Rows(np.zeros_like(own.offsets), np.empty(0, dtype=PETSc.IntType), np.empty(0, dtype=PETSc.ScalarType))
    found = matrix_of_rows(matrix.comm.tompi4py(), size, own, none)
    found.setBlockSize(matrix.getBlockSize())
    return found
