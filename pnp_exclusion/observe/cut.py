"""Fields of a solution on triangles in a plane: those of a two-dimensional mesh, or of a cut through tetrahedra."""

from __future__ import annotations

from dataclasses import dataclass

import basix
import numpy as np
from dolfinx import fem

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.mesh.periodic import unfolded
from pnp_exclusion.mesh.pieces import simplices
from pnp_exclusion.observe.nodes import NodalFields, nodal_fields

MOST_TRIANGLES = 200_000
"""Of a picture: where there would be more, cells are drawn by their corners alone."""


@dataclass(frozen=True)
class Triangles:
    """Triangles of this rank in a plane, whose corners lie on edges between nodes of a space.

    cells
        ``(triangles,)``: of which local cell each is a part.
    first, second, share
        ``(3 triangles,)``: the ends of the edge of every corner, three to a triangle, and how far it is from the first.
    """

    cells: np.ndarray
    first: np.ndarray
    second: np.ndarray
    share: np.ndarray

    def at_corners(self, values: np.ndarray) -> np.ndarray:
        """Return at every corner what ``(nodes, components)`` are at the nodes, linear between them."""
        weight = self.share[:, None]
        corners: np.ndarray = (1.0 - weight) * values[self.first] + weight * values[self.second]
        return corners


def triangles_in_plane(
    space: fem.FunctionSpace, owned: int, axes: tuple[int, int], offset: float | None
) -> tuple[Triangles, np.ndarray]:
    """Return the triangles of a plane, and their corners ``(3 triangles, 2)`` across and up; collective.

    space
        Of scalar or blocked elements on the mesh as drawn.
    owned
        How many cells are this rank's.
    axes
        The two axes that span the plane: across and up.
    offset
        Where it cuts the third axis; None for the plane of a two-dimensional mesh.
    """
    element, points = space.element.basix_element, space.tabulate_dof_coordinates()
    pieces = simplices(element.cell_type, element.points)
    if offset is None and space.mesh.comm.allreduce(owned) * len(pieces) > MOST_TRIANGLES:
        apart = np.abs(element.points[:, None] - basix.geometry(element.cell_type)).sum(axis=2)
        corners = apart.argmin(axis=0)
        pieces = corners[simplices(element.cell_type, element.points[corners])]
    cells, heights = np.arange(owned), points[:, 2]
    if offset is not None:
        heights = points[:, 3 - sum(axes)] - offset
        of_cells = heights[space.dofmap.list[:owned]]
        cells = np.flatnonzero((of_cells.min(axis=1) <= 0.0) & (of_cells.max(axis=1) >= 0.0))
    nodes = space.dofmap.list[cells][:, pieces].reshape(-1, pieces.shape[1])
    cells = np.repeat(cells, len(pieces))
    if offset is None:
        triangles = Triangles(cells, nodes.ravel(), nodes.ravel(), np.zeros(nodes.size))
    else:
        which, *ends = _edges_cut(heights[nodes], nodes)
        triangles = Triangles(cells[which], *(one.ravel() for one in ends))
    return triangles, triangles.at_corners(points[:, list(axes)])


@dataclass(frozen=True)
class Cut:
    """Fields, without units, at the corners of triangles, three points each.

    points
        ``(3 triangles, 2)``: across and up.
    """

    points: np.ndarray
    fields: NodalFields


def cut_in_plane(discrete: Discretisation, axes: tuple[int, int], offset: float | None) -> Cut | None:
    """Return the fields on the triangles of a plane on rank 0, None on the others; collective.

    axes, offset
        As of `triangles_in_plane`.
    """
    problem = discrete.problem
    drawn, numbers = unfolded(discrete.space, problem.domain.drawn)
    triangles, points = triangles_in_plane(drawn, len(discrete.integration.is_steep), axes, offset)
    unknowns = triangles.at_corners(discrete.layout.at_nodes(discrete.values)[numbers])
    energies = discrete.partition_of_cells
    more = [] if energies is None else [np.repeat(energies[:, triangles.cells], 3, axis=1).T]
    gathered = problem.domain.comm.gather([points, unknowns, *more], root=0)
    if gathered is None:
        return None
    places, found, *partition = (np.concatenate(part) for part in zip(*gathered, strict=True))
    fluxes = np.zeros((len(places), 2 * len(problem.quantities)))
    return Cut(places, nodal_fields(discrete, places, found, fluxes, partition[0].T if partition else None))


def _edges_cut(heights: np.ndarray, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the triangles in which a plane cuts tetrahedra: which tetrahedron each is of, and its three corners as the
    two ends of an edge and how far each is from the first of them to the second.

    heights
        ``(tetrahedra, 4)`` above the plane; a face that lies in the plane belongs to the tetrahedron below it.
    """
    above = heights >= 0.0
    order = np.argsort(~above, axis=1, kind="stable")
    nodes, heights = np.take_along_axis(nodes, order, axis=1), np.take_along_axis(heights, order, axis=1)
    found = []
    for count, triangles in {
        1: [[(0, 1), (0, 2), (0, 3)]],
        2: [[(0, 2), (0, 3), (1, 3)], [(0, 2), (1, 3), (1, 2)]],
        3: [[(0, 3), (1, 3), (2, 3)]],
    }.items():
        which = np.flatnonzero(above.sum(axis=1) == count)
        for edges in np.array(triangles):
            ends, at = nodes[which][:, edges], heights[which][:, edges]
            found.append((which, ends[..., 0], ends[..., 1], at[..., 0] / (at[..., 0] - at[..., 1])))
    which, first, second, share = (np.concatenate(part) for part in zip(*found, strict=True))
    return which, first, second, share
