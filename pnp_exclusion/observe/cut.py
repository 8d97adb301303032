"""Fields of a solution on triangles in a plane: those of a two-dimensional mesh, or of a cut through tetrahedra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.mesh.periodic import unfolded
from pnp_exclusion.mesh.pieces import simplices
from pnp_exclusion.observe.nodes import NodalFields, nodal_fields

MOST_TRIANGLES = 200_000
"""Of a picture: where there would be more, cells are drawn by their corners alone."""


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

    axes
        The two axes that span the plane: across and up.
    offset
        Where it cuts the third axis; None for the plane of a two-dimensional mesh.
    """
    problem = discrete.problem
    drawn, numbers = unfolded(discrete.space, problem.domain.drawn)
    element, owned = drawn.element.basix_element, len(discrete.integration.is_steep)
    pieces = simplices(element.cell_type, element.points)
    if offset is None and problem.domain.comm.allreduce(owned) * len(pieces) > MOST_TRIANGLES:
        on_corners = element.points[: len(element.entity_dofs[0])]
        pieces = simplices(element.cell_type, on_corners)
    nodes = drawn.dofmap.list[:owned][:, pieces].reshape(-1, pieces.shape[1])
    cells = np.repeat(np.arange(owned), len(pieces))
    points, unknowns = drawn.tabulate_dof_coordinates(), discrete.layout.at_nodes(discrete.values)[numbers]
    if offset is None:
        first, second, share = nodes, nodes, np.zeros(nodes.shape)
    else:
        which, first, second, share = _edges_cut(points[:, 3 - sum(axes)][nodes] - offset, nodes)
        cells = cells[which]
    between = [
        (1.0 - share.ravel()[:, None]) * values[first.ravel()] + share.ravel()[:, None] * values[second.ravel()]
        for values in (points[:, list(axes)], unknowns)
    ]
    energies = discrete.partition_of_cells
    more = [] if energies is None else [np.repeat(energies[:, cells], 3, axis=1).T]
    gathered = problem.domain.comm.gather([*between, *more], root=0)
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
