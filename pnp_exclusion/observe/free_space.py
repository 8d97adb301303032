"""How much of the space is free where least is: what drives particles against the limit of a lattice leaves none."""

from __future__ import annotations

import numpy as np

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.physics.problem import Problem


def is_driven_in(problem: Problem) -> bool:
    """Return whether a flux or a current is given, whatever room there is for it."""
    totals = [total for boundary in problem.boundaries if (total := boundary.given_total) is not None]
    fluxes = [flux for boundary in problem.boundaries for flux in getattr(boundary, "fluxes", {}).values()]
    return any(total.quantity != "potential" for total in totals) or any(fluxes)


def least_free_space(discrete: Discretisation) -> tuple[float, list[float]]:
    """Return the least share of the space that no species fills at any node of the unknown, and where; collective.

    The place has a coordinate for every axis, in units of L.
    """
    problem = discrete.problem
    eta, partition = discrete.potentials(discrete.values)[1], discrete.partition_at_nodes()
    free = problem.law.free_energy.densities(list(eta if partition is None else eta - partition))[0]
    places = discrete.space.tabulate_dof_coordinates()[:, : problem.domain.dimension]
    least = int(np.argmin(free))
    found: tuple[float, list[float]] = min(problem.domain.comm.allgather((float(free[least]), places[least].tolist())))
    return found
