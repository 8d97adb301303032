"""Thermodynamic forces between two ends of the domain, and the regime of every species (PHYSICS, sections 3 and 4)."""

from __future__ import annotations

from dataclasses import dataclass

from mpi4py import MPI

import numpy as np

from pnp_exclusion.weakform import WeakForm

NO_CURRENT = 1e-9
"""Of the one-way flux: a current below it is what the solver's tolerance leaves of zero."""
SAME = 1e-12
"""Relative: two reservoirs hold the same density, or the same potential, within this."""


@dataclass(frozen=True)
class End:
    """Averages over the nodes of one boundary: densities, ``mu_a`` minus the work of imposed fields (kT), potential."""

    name: str
    rho: dict[str, float]
    mu: dict[str, float]
    potential: float


def ends_of(weak_form: WeakForm) -> tuple[End, End] | None:
    """Return the two ends between which the species flow, or None if there are not just two.

    In one dimension the left and the right end; otherwise the two boundaries that hold densities, in the case's order.
    """
    problem = weak_form.problem
    if {"left", "right"} == set(problem.domain.boundary_facets):
        names = ["left", "right"]
    else:
        names = [b.where for b in problem.boundaries if b.held_fractions]
    if len(names) != 2:
        return None
    return _end(weak_form, names[0]), _end(weak_form, names[1])


def forces(ends: tuple[End, End]) -> dict[str, float]:
    """Return ``F_a = int E_a dx - [mu_a(second) - mu_a(first)]`` in kT."""
    first, second = ends
    return {name: first.mu[name] - second.mu[name] for name in first.mu}


def regimes(
    ends: tuple[End, End], currents: dict[str, float], one_way: dict[str, float], driven: bool
) -> dict[str, str]:
    """Label every species by the first regime that fits.

    currents
        From the first end to the second.
    one_way
        The scale below `NO_CURRENT` of which a current is none.
    driven
        Whether there is any field or potential drop.
    """
    first, second = ends
    force = forces(ends)
    return {
        name: _regime(current, force[name], first.rho[name], second.rho[name], one_way[name], driven)
        for name, current in currents.items()
    }


def _regime(current: float, force: float, first: float, second: float, one_way: float, driven: bool) -> str:
    rise = second - first
    if abs(current) <= NO_CURRENT * one_way:
        return "none"
    if current * force < 0.0:
        return "inverse"
    if abs(rise) <= SAME * max(first, second):
        return "drift"
    if current * rise < 0.0:
        return "fickian"
    return "uphill-field" if driven else "uphill-steric"


def is_driven(weak_form: WeakForm, ends: tuple[End, End]) -> bool:
    """Return whether an imposed field acts or the ends differ in potential."""
    problem = weak_form.problem
    if problem.coupled:
        return abs(ends[0].potential - ends[1].potential) > SAME
    return any(field.largest > 0.0 for field in problem.fields.values())


def _end(weak_form: WeakForm, where: str) -> End:
    problem = weak_form.problem
    mu, eta, potential, positions = _nodal_values(weak_form, where)
    rho = problem.law.free_energy.densities(list(eta))[1:]
    work = [
        problem.fields[name].work(positions) if name in problem.fields else np.zeros(positions.shape[1])
        for name in problem.names
    ]
    comm = problem.domain.comm
    count = comm.allreduce(positions.shape[1], op=MPI.SUM)

    def mean(values: np.ndarray) -> float:
        return float(comm.allreduce(float(np.sum(values)), op=MPI.SUM)) / count

    by_name = list(enumerate(problem.names))
    return End(
        where,
        {name: mean(rho[a]) for a, name in by_name},
        {name: mean(mu[a] - work[a]) for a, name in by_name},
        mean(potential),
    )


def _nodal_values(weak_form: WeakForm, where: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return ``mu``, ``eta`` (species, nodes), ``phi`` (nodes), positions (3, nodes) of a boundary's owned nodes."""
    nodes = weak_form.boundary_dofs(where, 0) // weak_form.components
    nodes = nodes[nodes < weak_form.space.dofmap.index_map.size_local]
    values = weak_form.unknown.x.array.reshape(-1, weak_form.components)[nodes]
    eta, potential = weak_form.nodal_potentials(values)
    count = len(weak_form.problem.species)
    if potential is None:
        potential = np.zeros(len(nodes))
    return values[:, :count].T, eta, potential, weak_form.space.tabulate_dof_coordinates()[nodes].T
