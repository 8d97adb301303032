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

import numpy as np
import ufl
from dolfinx import fem, la
from numpy.typing import NDArray

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.functionals import Functional, gradients, values
from pnp_exclusion.discretisation.integration import QUADRATURE_PER_DEGREE, positive_degree
from pnp_exclusion.discretisation.totals import boundary_integrals
from pnp_exclusion.solver.adjoint import adjoints_of
from pnp_exclusion.solver.steady import SolverSettings

PRECISE = 1e-4
"""Relative: what the adjoint is solved to."""

type Real = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """Errors of functionals of a steady state.

    values, errors
        ``(functionals,)``: what the state gives, and what must be added for that of the continuous equations.
    shares
        ``(functionals, cells)``: what the owned cells contribute, without signs.
    """

    values: Real
    errors: Real
    shares: Real


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
    # nothing is stored in a steady state, but forms read this too, and with a temperature zeros give them no number
    rich.reference.x.array[:] = rich.values
    rich.integration.mark(discrete.integration.is_steep)
    wanted = [*functionals, *_found_totals(rich)]
    given = values(wanted, discrete)
    rows, slopes = gradients(wanted, rich)
    adjoints, _ = adjoints_of(rich, rows, slopes, settings, petsc_options, PRECISE)
    balance = boundary_integrals(rich).balance()
    comm = rich.problem.domain.comm
    errors = values(wanted, rich) - given - comm.allreduce(adjoints @ balance, op=MPI.SUM)
    mixed = _at_given_totals(rich, wanted, rows - adjoints, slopes, len(functionals))
    # without the weights of rows at boundaries an adjoint is smooth beside these
    own = _by_rule_of(discrete, rich)
    shares = np.array([_shares(discrete, rich, weights @ (adjoints - rows), own) for weights in mixed])
    return Estimate(given[: len(functionals)], mixed @ errors, shares)


def _found_totals(discrete: Discretisation) -> list[Functional]:
    """Return what is given of the boundaries whose potentials are found."""
    problem, found = discrete.problem, []
    for tag in problem.floating:
        total = problem.boundaries[tag].given_total
        if total is not None and total.quantity == "current":
            fluxes = np.zeros((len(problem.boundaries), len(problem.quantities)))
            fluxes[tag, : len(problem.species)] = problem.charges
            found.append(Functional(fluxes=fluxes))
        else:
            found.append(Functional(charges=np.eye(len(problem.boundaries))[tag]))
    return found


def _at_given_totals(
    discrete: Discretisation, wanted: Sequence[Functional], by_balance: Real, slopes: Real, count: int
) -> Real:
    """Return how the first ``count`` functionals are sums of all at fixed potentials, ``(count, all)``, if potentials
    that are found follow so that what is given stays.

    by_balance, slopes
        How functionals of the steady state change with the balance, and those of any state with the held unknowns.
    """
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
        changes = problem.domain.comm.allreduce(by_balance @ answer + slopes @ moved, op=MPI.SUM)
        by_potential.append(changes + [one.of(at_boundaries) for one in wanted])
    answers = np.array(by_potential).T
    following = np.linalg.solve(answers[count:].T, answers[:count].T).T
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
