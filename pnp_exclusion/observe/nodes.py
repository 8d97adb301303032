"""Fields of a solution at all of its nodes, gathered on rank 0; how they follow from the unknowns at any points."""

from __future__ import annotations

from dataclasses import dataclass

import basix.ufl
import numpy as np
from dolfinx import fem

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.mesh.periodic import unfolded
from pnp_exclusion.observe.flux_parts import flux_fields

SAME = 1e-12
"""Of the extent of a domain: by how much coordinates differ by rounding, which is not the same on other ranks."""


@dataclass(frozen=True)
class NodalFields:
    """Fields at the nodes of the elements, or at other points, without units.

    Nodes ascend in ``x``, those of one ``x`` in ``y``, and so on, on any number of ranks. Nodes on two sides that are
    one are there twice.

    points
        ``(nodes, dimension)``.
    rho, mu
        ``(N, nodes)``: fractions, and electrochemical potentials in kT (with imposed fields: chemical potentials).
        Between cells of unlike partition energy the fraction is that in the cell of the least.
    potential
        ``(nodes,)``, from the user's zero; None with imposed fields.
    flux
        ``(N, dimension, nodes)``: flux densities, averaged at the vertices and linear between them; that of energy, if
        there is one, is the last.
    energy, temperature
        ``(nodes,)``: of a site; None under a law without.
    order
        ``(nodes,)``: the global number of every node in the solution, where it is periodic on the mesh as drawn; of
        other points their own.
    """

    points: np.ndarray
    rho: np.ndarray
    mu: np.ndarray
    potential: np.ndarray | None
    flux: np.ndarray
    energy: np.ndarray | None
    temperature: np.ndarray | None
    order: np.ndarray


def fields_at_nodes(discrete: Discretisation) -> NodalFields | None:
    """Return the fields on rank 0, None on the others; collective."""
    problem, layout, space = discrete.problem, discrete.layout, discrete.space
    dimension, count = problem.domain.dimension, len(problem.quantities)
    averaged = flux_fields(discrete)
    element = basix.ufl.element(
        "Lagrange", problem.domain.mesh.basix_cell(), discrete.degree, shape=(count * dimension,)
    )
    flux = fem.Function(fem.functionspace(problem.domain.mesh, element))
    flux.interpolate(averaged)
    drawn, numbers = unfolded(space, problem.domain.drawn)
    owned, energies = drawn.dofmap.index_map.size_local, discrete.partition_at_nodes()
    here = numbers[:owned]
    parts = (
        drawn.tabulate_dof_coordinates()[:owned, :dimension],
        layout.at_nodes(discrete.values)[here],
        flux.x.array.reshape(-1, count * dimension)[here],
        *([] if energies is None else [energies.T[here]]),
    )
    gathered = problem.domain.comm.gather(parts, root=0)
    if gathered is None:
        return None
    points, values, fluxes, *more = (np.concatenate(part) for part in zip(*gathered, strict=True))
    order = _by_coordinates(points)
    points, values, fluxes = points[order], values[order], fluxes[order]
    partition = more[0][order].T if more else None
    return nodal_fields(discrete, points, values, fluxes, partition, order)


def _by_coordinates(points: np.ndarray) -> np.ndarray:
    """Return the order ``(n,)`` of points ``(n, dimension)`` by their first coordinates, then by the next ones.

    Coordinates that rounding sets apart are one. They are told by the gaps between those that follow each other:
    rounded to a number of digits, two that are nearly the same may come out as different ones.
    """
    least = SAME * np.ptp(points, axis=0).max(initial=0.0)
    places = []
    for along in points.T:
        ascending = np.argsort(along)
        place = np.empty(len(along), dtype=np.int64)
        place[ascending] = np.cumsum(np.diff(along[ascending], prepend=-np.inf) > least)
        places.append(place)
    return np.lexsort(places[::-1])


def nodal_fields(
    discrete: Discretisation,
    points: np.ndarray,
    unknowns: np.ndarray,
    fluxes: np.ndarray,
    partition: np.ndarray | None,
    order: np.ndarray | None = None,
) -> NodalFields:
    """Return the fields at points from the unknowns, flux densities and partition energies there.

    points, unknowns, fluxes
        ``(n, dimension)``, ``(n, size)``, ``(n, quantities * dimension)``.
    partition
        As of `Discretisation.contents`.
    """
    species, dimension = len(discrete.problem.species), points.shape[1]
    mu, potential = discrete.reported_potentials(unknowns, partition)
    contents, beta = discrete.contents(unknowns, partition), discrete.inverse_temperature(unknowns)
    return NodalFields(
        points,
        contents[:species],
        mu,
        potential,
        fluxes.T.reshape(-1, dimension, len(points)),
        None if beta is None else contents[-1],
        None if beta is None else 1.0 / beta,
        np.arange(len(points)) if order is None else order,
    )
