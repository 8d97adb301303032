"""The equations linearised about a steady state, transposed: how a current answers to what happens anywhere.

With the total derivative ``A = dR/dU`` of the balance, the storage ``B`` of ``d/dt int rho_a v``, and for every
terminal and unknown ``e`` that is 1 at the nodes where the terminal holds the unknown, the rows of the balance there
are what flows in. Their answer to a disturbance at angular frequency ``omega`` is given by one adjoint

    w = e on held rows,    (A + i omega B)^T w = 0 on free columns ,

for particles and for the charge of the terminal alike. What flows at held unknowns is then ``w^T`` times the
disturbance of the equations, at any node (docs/theory.md#noise).

Adjoints are solved at real frequencies ``s = i omega``: their answers span those at the imaginary ones
(`pnp_exclusion.solver.noise`), and need no complex numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
import ufl
from dolfinx.fem import petsc as fem_petsc

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.integration import CellwiseForm
from pnp_exclusion.discretisation.layout import POTENTIAL, unknown_of
from pnp_exclusion.discretisation.totals import boundary_integrals, reacting_at
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.runtime.parallel import leaves_together
from pnp_exclusion.solver.linear.careful import CarefulSolver
from pnp_exclusion.solver.steady import SolverSettings

REFINEMENTS = 30
"""Corrections of a linear solve by its own residual, at most; a direct solver needs one or two."""
SETTLED = 1e-13
"""Relative: a correction below it ends the refinement."""
ACCEPTABLE = 1e-6
"""Relative: corrections that stop shrinking above this are a failure."""

ELECTRONS = "electrons"
"""In place of the name of an unknown: what reactions at a boundary take out of its metal."""

type Terminal = tuple[int, str]
"""Number of a boundary and name of an unknown that it holds."""


@dataclass(frozen=True)
class _Metal:
    """The potential of a metal that no node of the mesh holds, as one more unknown.

    row
        ``(owned,)``: how what flows into the metal depends on the unknowns.
    column
        ``(owned,)``: how the balance depends on its potential.
    own
        How what flows into it depends on its potential itself.
    """

    row: np.ndarray
    column: np.ndarray
    own: float


class LinearisedEquations:
    """Matrices of the steady state in the unknown of a discretisation, and adjoints at real frequencies.

    A context that frees PETSc's objects. All methods are collective; vectors are arrays of the owned unknowns, and on
    the first rank of the potentials of metals behind them.

    with_metals
        Whether metals behind Stern layers are terminals too (the unknown is the potential), and those at which
        something reacts (`ELECTRONS`).

    terminals
        Boundaries and the unknowns that they hold, in the order of every array over them.
    weights
        ``(terminals, owned)``: ``e``.
    """

    def __init__(
        self,
        discrete: Discretisation,
        settings: SolverSettings | None = None,
        petsc_options: Sequence[str] = (),
        *,
        with_metals: bool = False,
    ) -> None:
        self.discrete = discrete
        settings = settings or SolverSettings()
        self._comm = discrete.problem.domain.comm
        self._owned = discrete.space.dofmap.index_map.size_local * discrete.layout.size
        self.terminals: list[Terminal] = list(discrete.constraints.claimed)
        metals = dict(_metals(discrete)) if with_metals else {}
        self._metals = list(metals.values())
        self._beside = len(metals) if self._comm.rank == 0 else 0
        held = len(self.terminals)
        self.terminals += metals
        self.weights = np.zeros((len(self.terminals), self._owned + self._beside))
        for row, dofs in zip(self.weights, discrete.constraints.claimed.values(), strict=False):
            row[dofs[dofs < self._owned]] = 1.0
        self.weights[held:, self._owned :] = np.eye(len(metals), self._beside)
        self.is_free = ~self.weights.any(axis=0)
        for dofs in discrete.constraints.absent.values():
            self.is_free[dofs[dofs < self._owned]] = False
        self._first = discrete.space.dofmap.index_map.local_range[0] * discrete.layout.size
        answer, storage, mobility = discrete.forms.kept("linearised equations", lambda: _forms(discrete))
        self._answer, self._storage = _transposed(answer), _transposed(storage)
        self._mobility = _assembled(mobility)
        self._diagonals = self._answer.getDiagonal().array_r.copy(), self._storage.getDiagonal().array_r.copy()
        self._operator = self._answer.copy()
        self._solution, self._right = self._operator.createVecRight(), self._operator.createVecLeft()
        self._fill(1.0)
        self._solver = CarefulSolver(discrete, self._operator, settings.linear, settings.petsc, petsc_options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if leaves_together(kind, self._comm):
            self.close()

    def close(self) -> None:
        """Free PETSc's objects."""
        matrices = (self._operator, self._answer, self._storage, self._mobility)
        self._solver.close()
        for thing in (*matrices, self._solution, self._right):
            thing.destroy()

    @property
    def is_potential(self) -> np.ndarray:
        """Which of the owned unknowns are electric potentials."""
        layout = self.discrete.layout
        found = np.zeros(self._owned + self._beside, dtype=bool)
        if POTENTIAL in layout:
            found[layout.index(POTENTIAL) : self._owned : layout.size] = True
        if self._beside:
            found[self._owned :] = [unknown == POTENTIAL for _, unknown in self.terminals[-self._beside :]]
        return found

    def answered(self, vectors: np.ndarray) -> np.ndarray:
        """Return ``A^T v`` for the rows of an array."""
        return np.array([self._answered(vector) for vector in vectors])

    def _answered(self, vector: np.ndarray) -> np.ndarray:
        found = self._times(self._answer, vector)
        if self._metals:
            potentials = self._comm.bcast(vector[self._owned :], root=0)
            answers = []
            for potential, metal in zip(potentials, self._metals, strict=True):
                found[: self._owned] += potential * metal.row
                answers.append(self.sum(metal.column @ vector[: self._owned]) + metal.own * potential)
            found[self._owned :] = answers[: self._beside]
        return found

    def stored(self, vectors: np.ndarray) -> np.ndarray:
        """Return ``B^T v`` for the rows of an array."""
        return np.array([self._times(self._storage, vector) for vector in vectors])

    def moved(self, vectors: np.ndarray) -> np.ndarray:
        """Return ``K v`` for the rows of an array: ``int M grad v`` against all test functions, potentials left out."""
        return np.array([self._times(self._mobility, vector) for vector in vectors])

    @property
    def mobility_diagonal(self) -> np.ndarray:
        """Return the diagonal of ``K``."""
        return np.append(self._mobility.getDiagonal().array_r, np.zeros(self._beside))

    def products(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return the scalar products of the rows of two arrays over all ranks."""
        return np.asarray(self._comm.allreduce(one @ other.T, op=MPI.SUM))

    def sum(self, numbers: np.ndarray) -> np.ndarray:
        """Return the sums of arrays over all ranks."""
        return np.asarray(self._comm.allreduce(numbers, op=MPI.SUM))

    def size_at(self, frequency: float) -> np.ndarray:
        """Return the size of the diagonal of the pencil, Poisson's rows times the frequency; 0 where it is held."""
        flow, store = (np.append(diagonal, np.zeros(self._beside)) for diagonal in self._diagonals)
        potential = self.is_potential
        size = np.abs(np.where(potential, 0.0, flow)) + frequency * np.abs(np.where(potential, flow, store))
        return np.where(self.is_free, size, 0.0)

    def adjoints(self, frequency: float) -> np.ndarray:
        """Return the adjoint of every terminal, ``(terminals, owned)``, at a real frequency ``s = i omega``.

        At zero closed species keep their amounts. Raises `ConvergenceError` if the linear system cannot be solved.
        """
        closed = self.discrete.problem.conserved if frequency == 0.0 else []
        pinned = self._pinned(closed)
        self._fill(frequency, pinned)
        self._solver.renew()
        columns = -self._at(frequency, self.weights)
        columns[:, ~self.is_free] = 0.0
        found = np.array([self._solve(frequency, column, pinned) for column in columns])
        found = found.reshape(len(self.terminals), self._owned + self._beside)
        if closed:
            found -= self._amounts_kept(frequency, closed, pinned, columns, found)
        return found + self.weights

    # ---- closed species ----

    def _pinned(self, closed: Sequence[str]) -> np.ndarray:
        """Return one unknown for each closed species, by its number on the rank that owns it.

        The adjoint of a closed species is free by a constant, which nothing depends on.
        """
        layout, pinned = self.discrete.layout, []
        for name in closed:
            own = layout.index(unknown_of(name)) + layout.size * np.arange(self._owned // layout.size)
            own = own[self.is_free[own]]
            owner = self._comm.allreduce(self._comm.rank if len(own) else self._comm.size, op=MPI.MIN)
            if self._comm.rank == owner:
                pinned.append(own[0])
        return np.array(pinned, dtype=np.int64)

    def _amounts_kept(
        self, frequency: float, closed: Sequence[str], pinned: np.ndarray, columns: np.ndarray, found: np.ndarray
    ) -> np.ndarray:
        """Return what must be taken from adjoints so that their currents do not count what changes the amounts.

        A disturbance never does, so that ``B^T`` of the closed species' constants may be added to the equations: by
        as much as makes those hold that were left out for the pinned unknowns.
        """
        constants = np.zeros((len(closed), self._owned + self._beside))
        for row, name in zip(constants, closed, strict=True):
            row[self.discrete.layout.index(unknown_of(name)) : self._owned : self.discrete.layout.size] = 1.0
        amounts = self.stored(constants)
        amounts[:, ~self.is_free] = 0.0
        answers = np.array([self._solve(frequency, amount, pinned) for amount in amounts])

        def missed(solutions: np.ndarray, rights: np.ndarray) -> np.ndarray:
            gaps = (self._at(frequency, solutions) - rights)[:, pinned]
            return np.concatenate(self._comm.allgather(gaps), axis=1)

        shares = np.linalg.solve(missed(answers, amounts).T, missed(found, columns).T).T
        return np.asarray(shares @ answers)

    # ---- one linear solve ----

    def _at(self, frequency: float, vectors: np.ndarray) -> np.ndarray:
        return self.answered(vectors) + (frequency * self.stored(vectors) if frequency else 0.0)

    def _fill(self, frequency: float, pinned: Sequence[int] | np.ndarray = ()) -> None:
        """Let the operator be ``(A + s B)^T`` on the free unknowns, some of them pinned."""
        fixed = np.union1d(np.flatnonzero(~self.is_free[: self._owned]), np.asarray(pinned, dtype=np.int64))
        held = (self._first + fixed).astype(PETSc.IntType)
        self._answer.copy(self._operator, structure=PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        if frequency:
            self._operator.axpy(frequency, self._storage, structure=PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        self._operator.zeroRowsColumns(held, diag=1.0)

    def _solve(self, frequency: float, right: np.ndarray, pinned: np.ndarray) -> np.ndarray:
        """Solve on the free unknowns, refining by the residual."""
        solution, last = np.zeros(self._owned + self._beside), np.inf
        fixed = ~self.is_free
        fixed[pinned] = True
        for _ in range(REFINEMENTS):
            residual = right - self._at(frequency, solution[None])[0]
            residual[fixed] = 0.0
            self._right.array_w[:] = residual[: self._owned]
            self._solver.solve(self._right, self._solution)
            correction = np.append(self._solution.array_r, np.zeros(self._beside))
            correction[fixed] = 0.0
            solution += correction
            size = self._largest(correction) / max(self._largest(solution), 1e-300)
            if not np.isfinite(size):
                break
            if size < SETTLED or (size < ACCEPTABLE and size > 0.3 * last):
                return solution
            last = size
        raise ConvergenceError('a linear system of the noise could not be solved; try [solver] linear = "direct"')

    def _largest(self, vector: np.ndarray) -> float:
        return float(self._comm.allreduce(np.abs(vector).max(initial=0.0), op=MPI.MAX))

    def _times(self, matrix: PETSc.Mat, vector: np.ndarray) -> np.ndarray:
        self._solution.array_w[:] = vector[: self._owned]
        matrix.mult(self._solution, self._right)
        return np.append(self._right.array_r, np.zeros(self._beside))


def _metals(discrete: Discretisation) -> Iterator[tuple[Terminal, _Metal]]:
    """Yield what no node of the mesh holds of metals; collective."""
    problem, integrals = discrete.problem, boundary_integrals(discrete)
    species = discrete.layout.indices(discrete.mu)
    for tag, boundary in enumerate(problem.boundaries):
        is_behind_layer = boundary.dirichlet_potential is None and boundary.applied_potential is not None
        reacts = bool(reacting_at(problem, tag))
        if not (is_behind_layer or reacts):
            continue
        column, totals = integrals.by_number(tag)
        of_fluxes, of_charge = integrals.gradients(tag)
        of_particles = np.zeros_like(column)
        discrete.layout.at_nodes(of_particles)[:, species] = discrete.layout.at_nodes(column)[:, species]
        if is_behind_layer:
            yield (tag, POTENTIAL), _Metal(of_charge, column - of_particles, float(totals.charges[tag]))
        if reacts:
            count = len(problem.species)
            own = -float(totals.fluxes[tag, :count] @ problem.charges)
            yield (tag, ELECTRONS), _Metal(-problem.charges @ of_fluxes[:count], of_particles, own)


def _forms(discrete: Discretisation) -> tuple[CellwiseForm, CellwiseForm, CellwiseForm]:
    """Return the forms of ``A``, ``B`` and ``K``."""
    problem, parameters, fields, layout = discrete.problem, discrete.parameters, discrete.fields, discrete.layout
    test, trial = (layout.parts(argument(discrete.space)) for argument in (ufl.TestFunction, ufl.TrialFunction))
    dx = discrete.integration.dx
    stored = sum((fields.contents[name] * test[unknown_of(name)] * dx for name in problem.quantities), ufl.Form([]))
    fluxes = problem.law.fluxes(
        [fields.vacancy, *fields.rho.values()],
        [ufl.grad(trial[unknown]) for unknown in discrete.entropic],
        parameters.local_diffusivities,
        parameters.law,
        parameters.least_mobility,
        fields.warmth,
    )
    moved = ufl.Form([])
    for unknown, flux in zip(discrete.entropic, fluxes, strict=True):
        moved += -ufl.inner(flux, ufl.grad(test[unknown])) * dx
    of: Callable[[Any], CellwiseForm] = discrete.integration.form
    by_unknown = (ufl.derivative(form, discrete.unknown) for form in (discrete.weak_form.balance, stored))
    answer, storage = map(of, by_unknown)
    return answer, storage, of(moved)


def _assembled(form: CellwiseForm) -> PETSc.Mat:
    matrix = fem_petsc.create_matrix(form.now)
    fem_petsc.assemble_matrix(matrix, form.now)
    matrix.assemble()
    return matrix


def _transposed(form: CellwiseForm) -> PETSc.Mat:
    matrix = _assembled(form)
    found = matrix.transpose(PETSc.Mat())
    matrix.destroy()
    return found
