"""The two ends of a channel: whether a state has them, and how far apart they are."""

from __future__ import annotations

from mpi4py import MPI

import numpy as np

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.observe.forces import end_tags
from pnp_exclusion.physics.energy import ENERGY


def passing(discrete: Discretisation) -> tuple[str, ...]:
    """Names of what passes from end to end: all species but the closed ones, which no boundary holds, and energy."""
    return tuple(name for name in discrete.problem.quantities if name not in discrete.problem.conserved)


def from_end_to_end(discrete: Discretisation) -> np.ndarray:
    """Vector ``(dimension,)`` from the first end to the second, between the means of their nodes; collective.

    A uniform field ``E`` adds ``E`` times this vector to the force, which averages over the same nodes.
    """
    tags = end_tags(discrete)
    assert tags is not None
    first, second = (_centre(discrete, tag) for tag in tags)
    return second - first


def _centre(discrete: Discretisation, tag: int) -> np.ndarray:
    problem = discrete.problem
    nodes = discrete.constraints.own_nodes(tag, discrete.layout.names[0])
    points = discrete.space.tabulate_dof_coordinates()[nodes, : problem.domain.dimension]
    comm = problem.domain.comm
    return comm.allreduce(points.sum(axis=0), op=MPI.SUM) / comm.allreduce(len(points), op=MPI.SUM)


def why_not(discrete: Discretisation) -> str:
    """Return a sentence that says why the currents of a state do not run between two reservoirs; empty if they do."""
    problem = discrete.problem
    if problem.reactions:
        return (
            "coupled transport is that of what passes from end to end, and the case has reactions that make and take it"
        )
    tags = end_tags(discrete)
    if tags is None:
        return "coupled transport is that between two boundaries that hold densities, and there are not just two"
    for boundary in (problem.boundaries[tag] for tag in tags):
        if boundary.given_total is not None:
            return (
                f'[[boundaries]] "{boundary.where}" gives an electric current; for coupled transport forces are given: '
                "let it give a potential"
            )
    open_species = passing(discrete)
    if not set(open_species) - {ENERGY}:
        return "no species can pass: no boundary holds any of them"
    for boundary in (problem.boundaries[tag] for tag in tags):
        missing = [name for name in open_species if not boundary.supplies(name)]
        if missing:
            return (
                f'[[boundaries]] "{boundary.where}" does not hold {" and ".join(missing)}: for coupled transport both '
                'ends must hold every species that passes; make it a kind = "reservoir"'
            )
    for tag, boundary in enumerate(problem.boundaries):
        if boundary.temperature is not None and tag not in tags:
            return f'[[boundaries]] "{boundary.where}" gives or takes heat; for coupled transport only reservoirs may'
        for name in problem.quantities:
            if discrete.weak_form.outward_flux(tag, name) is not None:
                return (
                    f'[[boundaries]] "{boundary.where}" lets {name} through at a given rate; for coupled transport '
                    'species pass at the two reservoirs only: make it a kind = "wall"'
                )
    return ""
