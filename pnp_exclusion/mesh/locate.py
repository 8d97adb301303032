"""Which cell holds a point, however small the cell: decided in the coordinates of its reference cell."""

from __future__ import annotations

from mpi4py import MPI

import basix
import numpy as np
from dolfinx import fem, geometry
from dolfinx import mesh as dmesh

WITHIN = 1e-9
"""Of a cell: a point so far outside still counts."""
ROUNDING = 1e-14
"""Of the extent of a mesh: what rounding leaves of a coordinate."""
NEWTON_STEPS = 20
FAR = 1e3
"""In the coordinates of a reference cell: where the search for a point ends."""
PAIRS = 100_000
"""Points with a cell each that are dealt with together."""


def cells_of_points(mesh: dmesh.Mesh, points: np.ndarray) -> np.ndarray:
    """Return the local cell (owned or ghost) that each of the points ``(n, 3)`` lies in, -1 where there is none.

    Of several the one in which the point lies deepest.
    """
    extent = float(np.ptp(mesh.geometry.x, axis=0).max(initial=0.0))
    cells = mesh.topology.index_map(mesh.topology.dim)
    if not len(points) or not cells.size_local + cells.num_ghosts:
        return np.full(len(points), -1, dtype=np.int32)
    tree = geometry.bb_tree(mesh, mesh.topology.dim, padding=ROUNDING * extent)
    candidates = geometry.compute_collisions_points(tree, points)
    point_of = np.repeat(np.arange(len(points)), np.diff(candidates.offsets))
    outside = np.concatenate(
        [
            _outside(mesh, points[point_of[start : start + PAIRS]], candidates.array[start : start + PAIRS], extent)
            for start in range(0, len(point_of), PAIRS)
        ]
        or [np.empty(0)]
    )
    chosen = np.flatnonzero(outside < WITHIN)
    order = chosen[np.lexsort((outside[chosen], point_of[chosen]))]
    found, first = np.unique(point_of[order], return_index=True)
    result = np.full(len(points), -1, dtype=np.int32)
    result[found] = candidates.array[order[first]]
    return result


def are_inside(mesh: dmesh.Mesh, points: np.ndarray) -> np.ndarray:
    """Return which of the points ``(n, 3)`` lie in some cell of a mesh, on whichever rank; collective."""
    found = cells_of_points(mesh, points) >= 0
    mesh.comm.Allreduce(MPI.IN_PLACE, found, op=MPI.LOR)
    return found


def _outside(mesh: dmesh.Mesh, points: np.ndarray, cells: np.ndarray, extent: float) -> np.ndarray:
    """Return how far each point is outside its cell beyond rounding, in the coordinates of the reference cell.

    Negative inside.
    """
    dimension = mesh.topology.dim
    nodes = mesh.geometry.x[mesh.geometry.dofmaps[0][cells]][:, :, :dimension]
    element = coordinate_element(mesh)
    reference = np.tile(basix.geometry(element.cell_type).mean(axis=0), (len(points), 1))
    affine = element.dim == dimension + 1
    for _ in range(1 if affine else NEWTON_STEPS):
        table = element.tabulate(1, reference)[..., 0]
        misfit = points[:, :dimension] - np.einsum("pn,pnd->pd", table[0], nodes)
        jacobian = np.einsum("kpn,pnd->pdk", table[1:], nodes)
        with np.errstate(all="ignore"):
            inverse = _inverse(jacobian)
            step = np.einsum("pkd,pd->pk", inverse, misfit)
            reference = reference + step
        # a point far from its cell may have no counterpart there
        reference[~(np.abs(reference) < FAR).all(axis=1)] = FAR
    settled = affine | (np.abs(step) < WITHIN).all(axis=1)
    blur = ROUNDING * extent * np.abs(inverse).sum(axis=2).max(axis=1)
    is_simplex = element.cell_type in (basix.CellType.triangle, basix.CellType.tetrahedron)
    above = reference.sum(axis=1) - 1.0 if is_simplex else reference.max(axis=1) - 1.0
    outside = np.maximum(above, -reference.min(axis=1)) - blur
    return np.where(settled & np.isfinite(outside), outside, np.inf)


def _inverse(matrices: np.ndarray) -> np.ndarray:
    """Return the inverses of matrices ``(n, d, d)``; not finite where there is none."""
    singular = np.linalg.det(matrices) == 0.0
    safe = np.where(singular[:, None, None], np.eye(matrices.shape[1]), matrices)
    return np.where(singular[:, None, None], np.nan, np.linalg.inv(safe))


def coordinate_element(mesh: dmesh.Mesh) -> basix.finite_element.FiniteElement:
    """Return the scalar element that maps the reference cell to the cells of a mesh."""
    return mesh.ufl_domain().ufl_coordinate_element().sub_elements[0].basix_element


def points_beyond(mesh: dmesh.Mesh, facets: np.ndarray, distance: float) -> tuple[np.ndarray, np.ndarray]:
    """Return points just outside the domain, one beyond the middle of each exterior facet, and the cells there.

    distance
        From the facet, over that of the cell's centre from it.
    """
    element, dimension = coordinate_element(mesh), mesh.topology.dim
    cell_type = element.cell_type
    corners, sides = basix.geometry(cell_type), basix.topology(cell_type)[dimension - 1]
    middles = np.array([corners[side].mean(axis=0) for side in sides])
    outward = middles + distance * (middles - corners.mean(axis=0))
    weights = element.tabulate(0, outward)[0, ..., 0]
    pairs = fem.compute_integration_domains(fem.IntegralType.exterior_facet, mesh.topology, facets).reshape(-1, 2)
    nodes = mesh.geometry.x[mesh.geometry.dofmaps[0][pairs[:, 0]]]
    return np.einsum("pn,pnd->pd", weights[pairs[:, 1]], nodes), pairs[:, 0]
