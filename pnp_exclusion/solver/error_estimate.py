"""How far what is reported of a steady state is from what ever finer cells would give, and which cells are to blame.

With the balance ``R(U)[v]``, a functional ``J`` and its adjoint, ``R'(U)[v, z] = J'(U)[v]`` for all ``v`` that vanish
where values are held, as ``z`` does,

    J(U) - J(U_h)  =  -R(U_h)[z]  +  what is quadratic in U - U_h ,

the dual-weighted residual (Becker and Rannacher, Acta Numerica 10, 1 (2001)). Fluxes and charges are functionals as
they are reported, sums of rows of the balance, so that the estimate is of their own superconvergent error. The adjoint
is solved in elements of one degree more on the same cells, about the state as it is: one transposed linear system for
all functionals together. The same elements give the residual its test functions; what a cell contributes is of the part
of ``z`` that the elements of the state do not have.

The elements of one degree more are integrated by their own rule, so that what the state's rule misses is part of the
estimate: the functional itself changes by it, and the balance by nearly as much on the elements' own functions. What
cells contribute is of the balance by the state's rule, which vanishes there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
import ufl
from dolfinx import fem, la
from dolfinx.fem import petsc as fem_petsc
from numpy.typing import NDArray

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.functionals import Functional, amount_gradients, values
from pnp_exclusion.discretisation.integration import QUADRATURE_PER_DEGREE, positive_degree
from pnp_exclusion.discretisation.layout import unknown_of
from pnp_exclusion.discretisation.totals import Totals, boundary_integrals
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.solver.linear.careful import CarefulSolver
from pnp_exclusion.solver.steady import SolverSettings
from pnp_exclusion.solver.tangents import jacobian_of_balance

PRECISE = 1e-4
"""Of residuals, relative: what the adjoint is solved to."""
CORRECTIONS = 30
"""Of a linear solve by its own residual, at most."""

type Real = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """Errors of functionals of a steady state.

    values, errors
        ``(functionals,)``: what the state gives, and what must be added for that of the continuous equations.
    shares
        ``(functionals, cells)``: what the owned cells contribute, without signs.
    unknowns
        Of the adjoint.
    """

    values: Real
    errors: Real
    shares: Real
    unknowns: int


def estimate(
    discrete: Discretisation,
    functionals: Sequence[Functional],
    settings: SolverSettings | None = None,
    petsc_options: Sequence[str] = (),
) -> Estimate:
    """Return the errors of functionals of the steady state in the unknown of a discretisation; collective.

    Potentials that are found, and amounts of closed species, are kept as they are given.

    Raises `ConvergenceError` if the linear system cannot be solved.
    """
    settings = settings or SolverSettings()
    degree = discrete.degree + 1
    rule = max(discrete.quadrature_degree or 0, QUADRATURE_PER_DEGREE * degree)
    rich = Discretisation(discrete.problem, degree, rule)
    rich.unknown.interpolate(discrete.unknown)
    rich.unknown.x.scatter_forward()
    rich.integration.mark(discrete.integration.is_steep)
    wanted = [*functionals, *_found_totals(rich)]
    given = values(wanted, discrete)
    with _Adjoint(rich, settings, petsc_options) as adjoint:
        adjoints, rows = adjoint.solved(wanted)
    balance = boundary_integrals(rich).balance()
    comm = rich.problem.domain.comm
    errors = values(wanted, rich) - given - comm.allreduce(adjoints @ balance, op=MPI.SUM)
    mixed = _at_given_totals(rich, wanted, adjoints, len(functionals))
    # without the weights of rows at boundaries an adjoint is smooth beside these
    own = _by_rule_of(discrete, rich)
    shares = np.array([_shares(discrete, rich, weights @ (adjoints - rows), own) for weights in mixed])
    dofmap = rich.space.dofmap
    unknowns = dofmap.index_map.size_global * dofmap.index_map_bs
    return Estimate(given[: len(functionals)], mixed @ errors, shares, unknowns)


def _found_totals(discrete: Discretisation) -> list[Functional]:
    """Return what is given of the boundaries whose potentials are found."""
    problem, found = discrete.problem, []
    for tag in problem.floating:
        one, total = Functional.none(discrete), problem.boundaries[tag].given_total
        if total is not None and total.quantity == "current":
            one.fluxes[tag, : len(problem.species)] = problem.charges
        else:
            one.charges[tag] = 1.0
        found.append(one)
    return found


def _at_given_totals(discrete: Discretisation, wanted: Sequence[Functional], adjoints: Real, count: int) -> Real:
    """Return how the first ``count`` functionals are sums of all at fixed potentials, ``(count, all)``, if potentials
    that are found follow so that what is given stays."""
    problem, integrals = discrete.problem, boundary_integrals(discrete)
    if not problem.floating:
        return np.eye(count)
    owned = discrete.space.dofmap.index_map.size_local * discrete.layout.size
    by_potential = []
    for tag in problem.floating:
        moved = np.zeros(owned)
        for dofs, amount in discrete.constraints.by_potential(problem, tag):
            moved[dofs[dofs < owned]] = amount
        column, at_boundaries = integrals.by_number(tag)
        answer = integrals.balance_along(moved) + column
        totals = integrals.along(answer, moved)
        along = np.array([one.of(totals) + one.of(at_boundaries) for one in wanted])
        by_potential.append(along - problem.domain.comm.allreduce(adjoints @ answer, op=MPI.SUM))
    slopes = np.array(by_potential).T
    following = np.linalg.solve(slopes[count:].T, slopes[:count].T).T
    return np.hstack([np.eye(count), -following])


def _by_rule_of(discrete: Discretisation, rich: Discretisation) -> Real:
    """Return the balance of the owned unknowns of a richer discretisation by another one's rule on usual cells."""
    cell = discrete.problem.domain.mesh.basix_cell()
    rules = [
        positive_degree(cell, one.quadrature_degree or QUADRATURE_PER_DEGREE * one.degree) for one in (rich, discrete)
    ]
    integrals = [
        one.reconstruct(metadata={"quadrature_degree": rules[1]})
        if one.metadata()["quadrature_degree"] == rules[0]
        else one
        for one in rich.weak_form.balance.integrals()
    ]
    dofmap = rich.space.dofmap
    vector = la.vector(dofmap.index_map, dofmap.index_map_bs)
    vector.array[:] = 0.0
    rich.integration.form(ufl.Form(integrals)).add_to(vector.array)
    vector.scatter_reverse(la.InsertMode.add)
    return vector.array[: dofmap.index_map.size_local * dofmap.index_map_bs].copy()


def _shares(discrete: Discretisation, rich: Discretisation, adjoint: Real, balance: Real) -> Real:
    """Return what owned cells contribute to ``R[z - I z]``, ``I`` the interpolation by the elements of the state.

    Every node's product is shared out among its cells.
    """
    whole, low = fem.Function(rich.space), fem.Function(discrete.space)
    whole.x.array[: len(adjoint)] = adjoint
    whole.x.scatter_forward()
    low.interpolate(whole)
    low.x.scatter_forward()
    back = fem.Function(rich.space)
    back.interpolate(low)
    beyond = adjoint - back.x.array[: len(adjoint)]
    dofmap = rich.space.dofmap
    cells = dofmap.list[: rich.problem.domain.mesh.topology.index_map(rich.problem.domain.dimension).size_local]
    products, users = la.vector(dofmap.index_map), la.vector(dofmap.index_map)
    users.array[:] = np.bincount(cells.ravel(), minlength=len(users.array))
    users.scatter_reverse(la.InsertMode.add)
    users.scatter_forward()
    beyond[_held(rich)] = 0.0
    products.array[: dofmap.index_map.size_local] = rich.layout.at_nodes(beyond * balance).sum(axis=1)
    products.scatter_forward()
    found: Real = np.abs((products.array / users.array)[cells]).sum(axis=1)
    return found


def _held(discrete: Discretisation) -> NDArray[np.int64]:
    """Return the owned unknowns that boundaries hold, weakly or not, or for which there is no equation."""
    owned = discrete.space.dofmap.index_map.size_local * discrete.layout.size
    constraints = discrete.constraints
    dofs = np.concatenate([np.empty(0, dtype=np.int64), *constraints.claimed.values(), *constraints.absent.values()])
    dofs = np.concatenate([dofs, *(value.dofs for value in constraints.values)])
    found: NDArray[np.int64] = np.unique(dofs[dofs < owned]).astype(np.int64)
    return found


class _Adjoint:
    """Solves for adjoints of a discretisation at the state in its unknown; a context that frees PETSc's objects.

    Vectors are arrays of the owned unknowns.
    """

    def __init__(self, discrete: Discretisation, settings: SolverSettings, petsc_options: Sequence[str]) -> None:
        self._discrete = discrete
        self._comm = discrete.problem.domain.comm
        self._owned = discrete.space.dofmap.index_map.size_local * discrete.layout.size
        form, _ = jacobian_of_balance(discrete)
        self._is_free = np.ones(self._owned, dtype=bool)
        self._is_free[_held(discrete)] = False
        jacobian = fem_petsc.create_matrix(form.now)
        fem_petsc.assemble_matrix(jacobian, form.now)
        jacobian.assemble()
        self._transposed = jacobian.transpose()
        self._pinned = self._pinned_rows()
        self._operator = self._transposed.copy()
        first = discrete.space.dofmap.index_map.local_range[0] * discrete.layout.size
        fixed = np.union1d(np.flatnonzero(~self._is_free), self._pinned)
        self._operator.zeroRowsColumns((first + fixed).astype(PETSc.IntType), diag=1.0)
        self._solution, self._right = self._operator.createVecs()
        self._solver = CarefulSolver(discrete, self._operator, settings.linear, settings.petsc, petsc_options)

    def __enter__(self) -> _Adjoint:
        return self

    def __exit__(self, *_: object) -> None:
        self._solver.close()
        for thing in (self._operator, self._transposed, self._solution, self._right):
            thing.destroy()

    def solved(self, functionals: Sequence[Functional]) -> tuple[Real, Real]:
        """Return the adjoints, zero where values are held, and the weights of rows of the balance in the functionals,
        ``(functionals, owned)`` each."""
        discrete, integrals = self._discrete, boundary_integrals(self._discrete)
        closed = discrete.problem.combinations
        weights = np.array([one.amounts for one in functionals])
        contents = amount_gradients(discrete) if closed or weights.any() else np.zeros((weights.shape[1], self._owned))
        gradients, rows = weights @ contents, np.zeros((len(functionals), self._owned))
        for number, one in enumerate(functionals):
            rows[number], natural = integrals.gradient(Totals(one.fluxes, one.charges))
            gradients[number] += natural + self._times(rows[number])
        if not closed:
            return self._solve(gradients), rows
        # a closed species keeps its amount, and what its amount changes counts for nothing
        names = discrete.problem.quantities
        kept = np.array([sum(f * contents[names.index(a)] for a, f in pairs.items()) for pairs in closed])
        found = self._solve(np.vstack([gradients, kept]))
        missed = self._missed(found, np.vstack([gradients, kept]))
        count = len(functionals)
        shares = np.linalg.solve(missed[count:].T, missed[:count].T).T
        return found[:count] - shares @ found[count:], rows

    def _pinned_rows(self) -> NDArray[np.int64]:
        """Return one free unknown for each closed combination: adjoints are free by a constant of its species."""
        layout, pinned = self._discrete.layout, []
        for combination in self._discrete.problem.combinations:
            own = layout.dofs_at(np.arange(self._owned // layout.size), unknown_of(next(iter(combination))))
            own = own[self._is_free[own]]
            if self._comm.rank == self._comm.allreduce(self._comm.rank if len(own) else self._comm.size, op=MPI.MIN):
                pinned.append(own[0])
        return np.array(pinned, dtype=np.int64)

    def _missed(self, solutions: Real, rights: Real) -> Real:
        gaps = [(self._times(one) - right)[self._pinned] for one, right in zip(solutions, rights, strict=True)]
        return np.concatenate(self._comm.allgather(np.array(gaps)), axis=1)

    def _times(self, vector: Real) -> Real:
        self._solution.array_w[:] = vector
        self._transposed.mult(self._solution, self._right)
        found: Real = self._right.array_r.copy()
        return found

    def _solve(self, rights: Real) -> Real:
        """Solve on the free unknowns, refining by the residuals."""
        moves = self._is_free.copy()
        moves[self._pinned] = False
        rights = np.where(moves, rights, 0.0)
        found, residuals, last = np.zeros_like(rights), rights, np.inf
        sizes = self._sizes(rights)
        for _ in range(CORRECTIONS):
            found += np.where(moves, self._solver.solve_several(residuals), 0.0)
            residuals = np.array(
                [np.where(moves, right - self._times(one), 0.0) for one, right in zip(found, rights, strict=True)]
            )
            left = float(np.max(self._sizes(residuals) / np.where(sizes > 0.0, sizes, 1.0), initial=0.0))
            if left < PRECISE:
                return found
            if not left < 0.5 * last:
                break
            last = left
        raise ConvergenceError('the adjoint of a goal could not be solved; try [solver] linear = "direct"')

    def _sizes(self, vectors: Real) -> Real:
        sizes: Real = np.abs(vectors).max(axis=1, initial=0.0)
        self._comm.Allreduce(MPI.IN_PLACE, sizes, op=MPI.MAX)
        return sizes
