"""The equations linearised about a steady state, transposed: how a current answers to what happens anywhere.

With the total derivative ``A = dR/dU`` of the balance, the storage ``B`` of ``d/dt int rho_a v``, and for every
terminal and unknown ``e`` that is 1 at the nodes where the terminal holds the unknown, the rows of the balance there
are what flows in. Their answer to a disturbance at angular frequency ``omega`` is given by one adjoint

    w = e on held rows,    (A + i omega B)^T w = 0 on free columns ,

for particles and for the charge of the terminal alike. What flows at held unknowns is then ``w^T`` times the
disturbance of the equations, at any node (docs/theory.md#noise).

Where a terminal does not hold an unknown but exchanges particles at finite rates, or has charge behind a layer, it does
so beyond its nodes: there ``e`` stands on the far side, and the terms of the boundary see ``w - e``. A potential is
raised there together with all that is held, which leaves rates and charges as they were.

Adjoints are solved at real frequencies ``s = i omega``: their answers span those at the imaginary ones
(`pnp_exclusion.solver.noise`), and need no complex numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, Self

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
import ufl
from dolfinx import la
from numpy.typing import NDArray
from scipy import sparse

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.layout import POTENTIAL, unknown_of
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.runtime.parallel import leaves_together
from pnp_exclusion.solver.linear.careful import CarefulSolver
from pnp_exclusion.solver.linear.fields import size_of
from pnp_exclusion.solver.linear.presets import resolved
from pnp_exclusion.solver.linear.several import sizes_of, times
from pnp_exclusion.solver.linearised_forms import (
    LinearisedForms,
    assembled,
    terminals_of,
    terms_at_boundaries,
    transposed,
)
from pnp_exclusion.solver.steady import SolverSettings

REFINEMENTS = 30
"""Corrections of a linear solve by its own residual, at most; a direct solver needs one."""
SETTLED = 1e-13
"""Relative: when the correction that would follow is below it, none does."""
ROUGH = 1e-6
"""Of residuals, relative: enough for what only spans a space."""
ACCEPTABLE = 1e-6
"""Relative: corrections that stop shrinking above this are a failure."""

NOT_SOLVED = 'a linear system of the noise could not be solved; try [solver] linear = "direct"'

type Real = NDArray[np.float64]
_NO_NODES = np.empty(0, dtype=np.int32)


@dataclass(frozen=True)
class Vectors:
    """Functions as adjoints are: what they are at the nodes, and beyond the terminals.

    nodes
        ``(vectors, owned)``.
    beyond
        ``(vectors, terminals)``: on the far side of every terminal, in its unknown.
    """

    nodes: Real
    beyond: Real

    def __add__(self, nodes: Real) -> Vectors:
        """Return them with something added at the nodes."""
        return Vectors(self.nodes + nodes, self.beyond)

    def above(self, others: Vectors) -> Vectors:
        """Return these, and others behind them."""
        return Vectors(np.vstack([self.nodes, others.nodes]), np.vstack([self.beyond, others.beyond]))


@dataclass(frozen=True)
class Dense:
    """The linearised equations in one dimension, as matrices of all unknowns in their global order.

    points, eta
        ``(nodes,)`` and ``(N, nodes)``: where nodes are, and the state there.
    is_free, constants
        ``(unknowns,)`` and ``(combinations, unknowns)``, see `LinearisedEquations`.
    answer, storage, noise
        ``A``, ``B`` and ``2 K``.
    """

    points: Real
    eta: Real
    is_free: NDArray[np.bool_]
    constants: Real
    answer: Real
    storage: Real
    noise: Real


@dataclass(frozen=True)
class _FiniteRates:
    """A boundary with terms of its own: ``A^T`` and ``K`` of these, and where they have its terminals' far side."""

    answer: PETSc.Mat
    events: PETSc.Mat | None
    beyond: Real
    """``(terminals, owned)``."""


class LinearisedEquations:
    """Matrices of the steady state in the unknown of a discretisation, and adjoints at real frequencies.

    A context that frees PETSc's objects. All methods are collective; vectors are arrays of the owned unknowns.

    terminals
        Boundaries and the unknowns whose currents pass them, in the order of every array over them.
    weights
        ``e`` of every terminal.
    is_free
        Which of the owned unknowns are not held.
    """

    def __init__(
        self, discrete: Discretisation, settings: SolverSettings | None = None, petsc_options: Sequence[str] = ()
    ) -> None:
        self.discrete = discrete
        settings = settings or SolverSettings()
        self._comm = discrete.problem.domain.comm
        self._owned = discrete.space.dofmap.index_map.size_local * discrete.layout.size
        claimed, natural = discrete.constraints.claimed, terms_at_boundaries(discrete)
        self.terminals = terminals_of(discrete)
        count = len(self.terminals)
        self.weights = Vectors(np.zeros((count, self._owned)), np.eye(count))
        self.is_free = np.ones(self._owned, dtype=bool)
        for position, terminal in enumerate(self.terminals):
            self.weights.nodes[position, self._own(claimed.get(terminal, _NO_NODES))] = 1.0
        for dofs in [*claimed.values(), *discrete.constraints.absent.values()]:
            self.is_free[self._own(dofs)] = False
        self._first = discrete.space.dofmap.index_map.local_range[0] * discrete.layout.size
        forms = discrete.forms.kept("linearised equations", lambda: LinearisedForms.of(discrete))
        self._answer, self._mobility = transposed(forms.answer), assembled(forms.mobility)
        self._storage_form = forms.storage
        # one boundary after the other: functions of neighbouring ones reach into each other's facets
        self._finite = [self._at_finite_rates(forms, tag) for tag in sorted({tag for tag, _ in natural})]
        self._operator = self._answer.copy()
        self._solution, self._right = self._operator.createVecRight(), self._operator.createVecLeft()
        self._solver: CarefulSolver | None = None
        self._frequency = 0.0
        linear = settings.linear
        if linear == "auto":
            # many right-hand sides share an elimination: it pays on a grid where it does not for one
            linear = resolved(linear, replace(size_of(discrete), on_grid=False))
        self._made_solver = partial(CarefulSolver, discrete, self._operator, linear, settings.petsc, petsc_options)

    @cached_property
    def _storage(self) -> PETSc.Mat:
        """``B^T``, which at frequency zero only closed species need."""
        return transposed(self._storage_form)

    @cached_property
    def _diagonals(self) -> tuple[Real, Real]:
        """Of ``A`` and of ``B``."""
        return self._answer.getDiagonal().array_r.copy(), self._storage.getDiagonal().array_r.copy()

    def _own(self, dofs: np.ndarray) -> np.ndarray:
        return dofs[dofs < self._owned]

    def _at_finite_rates(self, forms: LinearisedForms, tag: int) -> _FiniteRates:
        discrete, beyond = self.discrete, np.zeros((len(self.terminals), self._owned))
        nodes = discrete.constraints.nodes_on(discrete.problem.boundaries[tag].where)
        for row, (own, unknown) in zip(beyond, self.terminals, strict=True):
            if own == tag:
                row[self._own(discrete.layout.dofs_at(nodes, unknown))] = 1.0
        return _FiniteRates(*forms.assembled_at(tag), beyond)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if leaves_together(kind, self._comm):
            self.close()

    def close(self) -> None:
        """Free PETSc's objects."""
        natural = [matrix for one in self._finite for matrix in (one.answer, one.events) if matrix is not None]
        stored = [self._storage] if "_storage" in self.__dict__ else []
        matrices = (self._operator, self._answer, self._mobility, *stored, *natural)
        if self._solver is not None:
            self._solver.close()
        for thing in (*matrices, self._solution, self._right):
            thing.destroy()

    @property
    def is_potential(self) -> np.ndarray:
        """Which of the owned unknowns are electric potentials."""
        layout = self.discrete.layout
        found = np.zeros(self._owned, dtype=bool)
        if POTENTIAL in layout:
            found[layout.index(POTENTIAL) :: layout.size] = True
        return found

    def of_particles(self, vectors: Vectors) -> Vectors:
        """Return vectors without their electric potentials."""
        return Vectors(np.where(self.is_potential, 0.0, vectors.nodes), np.where(self._is_charge, 0.0, vectors.beyond))

    def of_charge(self, vectors: Vectors) -> Vectors:
        """Return the electric potentials of vectors alone."""
        return Vectors(np.where(self.is_potential, vectors.nodes, 0.0), np.where(self._is_charge, vectors.beyond, 0.0))

    def inside(self, nodes: Real) -> Vectors:
        """Return vectors that are zero beyond all terminals."""
        return Vectors(nodes, np.zeros((len(nodes), len(self.terminals))))

    def answered(self, vectors: Vectors) -> Real:
        """Return ``A^T v`` at the nodes."""
        found = self._times(self._answer, vectors.nodes)
        for one in self._finite:
            found -= self._times(one.answer, vectors.beyond @ one.beyond)
        return found

    def stored(self, vectors: Vectors) -> Real:
        """Return ``B^T v`` at the nodes."""
        return self._times(self._storage, vectors.nodes)

    def pencil_flow(self, vectors: Vectors) -> Real:
        """Return ``A^T v`` of the pencil in which rows of the potential are of rates: of particles alone."""
        return self.answered(self.of_particles(vectors))

    def pencil_store(self, vectors: Vectors) -> Real:
        """Return ``B^T v`` of that pencil: what particles store, and what the potential answers."""
        return self.stored(self.of_particles(vectors)) + self.answered(self.of_charge(vectors))

    def answers(self, others: Vectors, vectors: Vectors, answered: Real | None = None) -> Real:
        """Return ``A^T v`` against other vectors, ``(others, vectors)``, with what is beyond terminals.

        answered
            Of the vectors, where it is known.
        """
        found = self.products(others.nodes, self.answered(vectors) if answered is None else answered)
        for one in self._finite:
            jumps = vectors.nodes - vectors.beyond @ one.beyond
            found -= self.products(others.beyond @ one.beyond, self._times(one.answer, jumps))
        return found

    def noise(self, vectors: Vectors) -> Real:
        """Return ``2 v^T K v'``, the covariance of the noise that vectors weigh, ``(vectors, vectors)``.

        ``K`` is ``int M grad v . grad v'`` and half the sum over all events at finite rates, forward and backward, of
        what one of them changes.
        """
        found = self.products(vectors.nodes, self._times(self._mobility, vectors.nodes))
        for one in self._finite:
            if one.events is not None:
                jumps = vectors.nodes - vectors.beyond @ one.beyond
                found += self.products(jumps, self._times(one.events, jumps))
        return 2.0 * found

    def noise_of_nodes(self, vectors: Vectors) -> Real:
        """Return what `noise` would be without what neighbours have in common, ``(vectors, vectors)``: terms that
        cancel in it."""
        own = vectors.nodes * self._mobility.getDiagonal().array_r @ vectors.nodes.T
        for one in self._finite:
            if one.events is not None:
                jumps = vectors.nodes - vectors.beyond @ one.beyond
                own += jumps * one.events.getDiagonal().array_r @ jumps.T
        return 2.0 * self.sum(own)

    @property
    def _is_charge(self) -> NDArray[np.bool_]:
        return np.array([unknown == POTENTIAL for _, unknown in self.terminals], dtype=bool)

    def products(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return the scalar products of the rows of two arrays over all ranks."""
        return np.asarray(self._comm.allreduce(one @ other.T, op=MPI.SUM))

    def means(self, functions: Real) -> Real:
        """Return ``int sum_a g_a rho_a`` of functions at the owned unknowns of the species, ``(functions,)``."""
        discrete = self.discrete
        form = discrete.forms.kept(
            "concentrations at nodes",
            lambda: discrete.integration.form(
                discrete.weak_form.contents_against(discrete.layout.parts(ufl.TestFunction(discrete.space)))
            ),
        )
        vector = la.vector(discrete.space.dofmap.index_map, discrete.space.dofmap.index_map_bs)
        vector.array[:] = 0.0
        form.add_to(vector.array)
        vector.scatter_reverse(la.InsertMode.add)
        return self.sum(functions @ vector.array[: self._owned])

    def sum(self, numbers: np.ndarray) -> np.ndarray:
        """Return the sums of arrays over all ranks."""
        return np.asarray(self._comm.allreduce(numbers, op=MPI.SUM))

    @property
    def fastest(self) -> float:
        """Return the highest rate at which anything free is stored, D/L^2: that of particles in the finest cells."""
        flow, store = (np.abs(diagonal[self.is_free & ~self.is_potential]) for diagonal in self._diagonals)
        rate = float(np.max(flow[store > 0.0] / store[store > 0.0], initial=0.0))
        return float(self._comm.allreduce(rate, op=MPI.MAX))

    def size_at(self, frequency: float) -> np.ndarray:
        """Return the size of the diagonal of the pencil, Poisson's rows times the frequency; 0 where it is held."""
        flow, store = self._diagonals
        potential = self.is_potential
        size = np.abs(np.where(potential, 0.0, flow)) + frequency * np.abs(np.where(potential, flow, store))
        return np.where(self.is_free, size, 0.0)

    def adjoints(self) -> Vectors:
        """Return the adjoint of every terminal at frequency zero, where charges do not count.

        Closed species keep their amounts. Raises `ConvergenceError` if the linear system cannot be solved.
        """
        weights, of_particles = self.of_particles(self.weights), ~self._is_charge
        found = np.zeros_like(weights.nodes)
        if of_particles.any():
            found[of_particles], _ = self.solved(0.0, -self.answered(weights)[of_particles])
        return weights + found

    def solved(self, frequency: float, columns: Real) -> tuple[Real, Real]:
        """Return ``w`` with ``(A + s B)^T w`` equal to columns, ``(columns, owned)``, on all that is free.

        At zero closed species keep their amounts: ``B^T`` of their constants is then taken from every column as often
        as makes it solvable, the second array, ``(columns, combinations)``.
        """
        closed = self.discrete.problem.combinations if frequency == 0.0 else []
        pinned = self._pinned(closed)
        self._fill(frequency, pinned)
        columns = np.where(self.is_free, columns, 0.0)
        found = self._solve(frequency, columns, pinned)
        if not closed:
            return found, np.zeros((len(columns), 0))
        change, shares = self._amounts_kept(closed, pinned, columns, found)
        return found - change, shares

    def set_frequency(self, frequency: float) -> None:
        """Prepare `solved_roughly` for a real frequency above zero."""
        self._fill(frequency)
        self._frequency = frequency

    def solved_roughly(self, columns: Real) -> Real:
        """Return ``w`` as `solved` does at the frequency set, to residuals of `ROUGH` or what rounding leaves."""
        assert self._solver is not None
        columns = np.where(self.is_free, columns, 0.0)
        sizes = sizes_of(self._comm, columns)
        found, residuals, last = np.zeros_like(columns), columns, np.inf
        for _ in range(REFINEMENTS):
            found += np.where(self.is_free, self._solver.solve_several(residuals), 0.0)
            residuals = np.where(self.is_free, columns - self._at(self._frequency, self.inside(found)), 0.0)
            left = float(np.max(sizes_of(self._comm, residuals) / np.where(sizes > 0.0, sizes, 1.0), initial=0.0))
            if not np.isfinite(left):
                break
            if left < ROUGH or left > 0.3 * last:
                return found
            last = left
        raise ConvergenceError(NOT_SOLVED)

    def at_fixed_densities(self, columns: Real) -> Real:
        """Return ``w`` of electric potentials alone, with ``A^T w`` equal to columns in the free potentials."""
        frozen = np.flatnonzero(self.is_free & ~self.is_potential)
        self._fill(0.0, frozen)
        columns = np.where(self.is_free & self.is_potential, columns, 0.0)
        return self._solve(0.0, columns, frozen)

    def dense(self) -> Dense:
        """Return the matrices of all unknowns, on every rank."""

        def whole(matrix: PETSc.Mat) -> Real:
            pointers, columns, entries = matrix.getValuesCSR()
            own = sparse.csr_array((entries, columns, pointers), shape=(len(pointers) - 1, matrix.getSize()[1]))
            return gathered(own.toarray())

        def gathered(own: Any, axis: int = 0) -> Any:
            return np.concatenate(self._comm.allgather(own), axis=axis)

        events = [one.events for one in self._finite if one.events is not None]
        discrete, size = self.discrete, self.discrete.layout.size
        partition = discrete.partition_at_nodes()
        _, eta, _ = discrete.potentials(discrete.values)
        owned = self._owned // size
        return Dense(
            points=gathered(discrete.space.tabulate_dof_coordinates()[:owned, 0]),
            eta=gathered((eta if partition is None else eta - partition)[:, :owned], axis=1),
            is_free=gathered(self.is_free),
            constants=gathered(self.constants(), axis=1),
            answer=whole(self._answer).T,
            storage=whole(self._storage).T,
            noise=2.0 * sum((whole(matrix) for matrix in events), start=whole(self._mobility)),
        )

    # ---- closed species ----

    def constants(self) -> Real:
        """Return of every conserved combination of closed species what its adjoint is free by."""
        closed, layout = self.discrete.problem.combinations, self.discrete.layout
        found = np.zeros((len(closed), self._owned))
        for row, combination in zip(found, closed, strict=True):
            for name, factor in combination.items():
                row[layout.index(unknown_of(name)) :: layout.size] = factor
        found[:, ~self.is_free] = 0.0
        return found

    def _pinned(self, closed: Sequence[Mapping[str, float]]) -> np.ndarray:
        """Return one unknown for each closed combination, by its number on the rank that owns it.

        The adjoint of a closed species is free by a constant, which nothing depends on. It is pinned where most of the
        species is: beside a depleted place everything else would hang on to it by next to no conductance.
        """
        layout, pinned = self.discrete.layout, []
        if not closed:
            return np.empty(0, dtype=np.int64)
        # assembled by all ranks together, of which some may have none of the species
        stored = self._diagonals[1]
        for combination in closed:
            first = unknown_of(next(iter(combination)))
            own = layout.dofs_at(np.arange(self._owned // layout.size), first)
            own = own[self.is_free[own]]
            most = own[np.argmax(stored[own])] if len(own) else -1
            amount = float(stored[most]) if len(own) else -1.0
            _, owner = self._comm.allreduce((amount, self._comm.rank), op=MPI.MAXLOC)
            if self._comm.rank == owner:
                pinned.append(most)
        return np.array(pinned, dtype=np.int64)

    def _amounts_kept(
        self, closed: Sequence[Mapping[str, float]], pinned: np.ndarray, columns: Real, found: Real
    ) -> tuple[Real, Real]:
        """Return what must be taken from adjoints so that their currents do not count what changes the amounts.

        A disturbance never does, so that ``B^T`` of the closed species' constants may be added to the equations: by
        as much as makes those hold that were left out for the pinned unknowns.
        """
        amounts = np.where(self.is_free, self.stored(self.inside(self.constants())), 0.0)
        answers = self._solve(0.0, amounts, pinned)

        def missed(solutions: Real, rights: Real) -> Real:
            gaps = (self._at(0.0, self.inside(solutions)) - rights)[:, pinned]
            return np.concatenate(self._comm.allgather(gaps), axis=1)

        shares: Real = np.linalg.solve(missed(answers, amounts).T, missed(found, columns).T).T
        return shares @ answers, shares

    # ---- one linear solve ----

    def _at(self, frequency: float, vectors: Vectors) -> Real:
        return self.answered(vectors) + (frequency * self.stored(vectors) if frequency else 0.0)

    def _fill(self, frequency: float, pinned: Sequence[int] | np.ndarray = ()) -> None:
        """Let the operator be ``(A + s B)^T`` on the free unknowns, some of them pinned, and the solver take it."""
        fixed = np.union1d(np.flatnonzero(~self.is_free), np.asarray(pinned, dtype=np.int64))
        held = (self._first + fixed).astype(PETSc.IntType)
        self._answer.copy(self._operator, structure=PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        if frequency:
            self._operator.axpy(frequency, self._storage, structure=PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
        self._operator.zeroRowsColumns(held, diag=1.0)
        if self._solver is None:
            # which takes the first matrix as it is made
            self._solver = self._made_solver()
        else:
            self._solver.renew()

    def _solve(self, frequency: float, columns: Real, pinned: np.ndarray) -> Real:
        """Solve on the free unknowns, refining by the residuals."""
        assert self._solver is not None
        moves = self.is_free.copy()
        moves[pinned] = False
        solutions, residuals, last = np.zeros_like(columns), np.where(moves, columns, 0.0), 1.0
        for _ in range(REFINEMENTS):
            corrections = np.where(moves, self._solver.solve_several(residuals), 0.0)
            solutions += corrections
            sizes = sizes_of(self._comm, solutions)
            change = float(np.max(sizes_of(self._comm, corrections) / np.where(sizes > 0.0, sizes, 1.0), initial=0.0))
            if not np.isfinite(change):
                break
            # corrections shrink by the same factor each time
            if change * change / last < SETTLED or (change < ACCEPTABLE and change > 0.3 * last):
                return solutions
            residuals, last = np.where(moves, columns - self._at(frequency, self.inside(solutions)), 0.0), change
        raise ConvergenceError(NOT_SOLVED)

    def _times(self, matrix: PETSc.Mat, vectors: Real) -> Real:
        return times(matrix, vectors, self._solution, self._right)
