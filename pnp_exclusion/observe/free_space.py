"""How much of the space is free where least is: what drives particles against the limit of a lattice leaves none."""

from __future__ import annotations

import numpy as np

from pnp_exclusion.discretisation.discretisation import Discretisation


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
