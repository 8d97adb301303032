"""Sizes of cells at boundaries, at interfaces between materials and at planes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from dolfinx import cpp, la
from dolfinx import mesh as dmesh

from pnp_exclusion.mesh.domain import Domain


def facets_of_cells(domain: Domain) -> np.ndarray:
    """Return the local facets of every local cell, ``(cells, facets)``."""
    topology, dimension = domain.mesh.topology, domain.dimension
    topology.create_connectivity(dimension, dimension - 1)
    count = cpp.mesh.cell_num_entities(topology.cell_type, dimension - 1)
    return topology.connectivity(dimension, dimension - 1).array.reshape(-1, count)


def cells_at(domain: Domain, facets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the owned cells at some facets: for each its facet, and the cell."""
    wanted = np.zeros(int(facets_of_cells(domain).max(initial=-1)) + 1, dtype=bool)
    wanted[facets] = True
    return _pairs(domain, wanted)


def interfaces(domain: Domain, materials: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the owned cells at facets between which a cell-wise constant jumps: for each its facet, and the cell.

    materials
        ``(cells,)`` of this rank.

    Collective: sums over the cells at a facet go to all ranks that share it, since its other side may be elsewhere.
    """
    owned = domain.mesh.topology.index_map(domain.dimension).size_local
    facets = facets_of_cells(domain)[:owned]
    columns = 1 + 2 * len(materials)
    shared = la.vector(domain.mesh.topology.index_map(domain.dimension - 1), columns)
    sums = shared.array.reshape(-1, columns)
    sums[:] = 0.0
    for side in facets.T:
        np.add.at(sums[:, 0], side, 1.0)
        for material, values in enumerate(values[:owned] for values in materials):
            np.add.at(sums[:, 1 + 2 * material], side, values)
            np.add.at(sums[:, 2 + 2 * material], side, values**2)
    shared.scatter_reverse(la.InsertMode.add)
    shared.scatter_forward()
    # of two values a, b: 2 (a^2 + b^2) - (a + b)^2 = (a - b)^2
    spread = 2.0 * sums[:, 2::2] - sums[:, 1::2] ** 2 > 1e-12 * sums[:, 2::2]
    return _pairs(domain, (sums[:, 0] == 2.0) & spread.any(axis=1))


def border_of(domain: Domain, cells: np.ndarray) -> np.ndarray:
    """Return the owned ones of some cells at their border with other cells, each with the number of its facet there.

    ``(n, 2)``; a cell with several such facets comes as often. Collective.

    cells
        Of this rank, owned and ghost.
    """
    inside = np.zeros(domain.local_cells)
    inside[cells] = 1.0
    facets, beside = interfaces(domain, [inside])
    facets, beside = (found[inside[beside] > 0.0] for found in (facets, beside))
    _, sides = np.nonzero(facets_of_cells(domain)[beside] == facets[:, None])
    return np.column_stack([beside, sides])


def one_side_of(domain: Domain, name: str) -> np.ndarray:
    """Return a cell and the number of its facet, ``(n, 2)``, at every facet of a boundary that has cells on both sides.

    Whichever cell is on the rank that owns the facet: the ranks together have each facet once.
    """
    facets = np.setdiff1d(domain.owned_facets(name), domain.exterior_facets)
    of_facets = domain.mesh.topology.connectivity(domain.dimension - 1, domain.dimension)
    cells = np.array([of_facets.links(facet)[0] for facet in facets], dtype=np.int32)
    _, sides = np.nonzero(facets_of_cells(domain)[cells] == facets[:, None])
    return np.column_stack([cells, sides]).astype(np.int32)


def _pairs(domain: Domain, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    facets = facets_of_cells(domain)[: domain.mesh.topology.index_map(domain.dimension).size_local]
    cells, sides = np.nonzero(wanted[facets])
    return facets[cells, sides], cells.astype(np.int32)


def heights(domain: Domain, facets: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return the height of every cell over its facet, both straight: cells may be long along it."""
    mesh, dimension = domain.mesh, domain.dimension
    points = mesh.geometry.x[dmesh.entities_to_geometry(mesh, dimension - 1, facets)[:, : max(1, dimension)]]
    corners = mesh.geometry.x[mesh.geometry.dofmaps[0][cells]]
    if dimension == 1:
        normal = np.tile([1.0, 0.0, 0.0], (len(cells), 1))
    else:
        along = points[:, 1] - points[:, 0]
        across = points[:, 2] - points[:, 0] if dimension == 3 else np.array([0.0, 0.0, 1.0])
        normal = np.cross(along, across)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    distances = np.einsum("cpk,ck->cp", corners - points[:, :1], normal)
    return np.ptp(distances, axis=1)


def extents_across(domain: Domain, position: float) -> np.ndarray:
    """Return the extent along x of the owned cells that touch the plane x = position."""
    mesh = domain.mesh
    owned = mesh.topology.index_map(domain.dimension).size_local
    x = mesh.geometry.x[mesh.geometry.dofmaps[0][:owned], 0]
    low, high = x.min(axis=1), x.max(axis=1)
    return (high - low)[(low <= position + 1e-9) & (high >= position - 1e-9)]


def areas(domain: Domain, facets: np.ndarray) -> np.ndarray:
    """Return the area of every facet, straight: of a triangle or quadrangle, the length of an edge, 1 of a point."""
    mesh, dimension = domain.mesh, domain.dimension
    if dimension == 1:
        return np.ones(len(facets))
    points = mesh.geometry.x[dmesh.entities_to_geometry(mesh, dimension - 1, facets.astype(np.int32))]
    along = points[:, 1] - points[:, 0]
    if dimension == 2:
        return np.linalg.norm(along, axis=1)
    triangle = 0.5 * np.linalg.norm(np.cross(along, points[:, 2] - points[:, 0]), axis=1)
    if cpp.mesh.cell_num_entities(mesh.topology.entity_types[2][0], 0) == 3:
        return triangle
    # the corners of a quadrangle are numbered like those of a grid
    return triangle + 0.5 * np.linalg.norm(np.cross(points[:, 1] - points[:, 3], points[:, 2] - points[:, 3]), axis=1)
