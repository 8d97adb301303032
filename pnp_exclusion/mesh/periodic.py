"""Domains that go on through opposite sides: a mesh whose cells hang together across them, each where it was.

In DOLFINx vertices, edges and facets belong to the topology of a mesh, and the corners of its cells to its geometry.
Here a vertex on one side and its counterpart on the other are one, while every cell keeps corners of its own. Elements
of any kind on such a mesh are periodic, on any number of ranks, and nothing that is solved on it needs to know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mpi4py import MPI

import numpy as np
import ufl
from dolfinx import cpp, fem, la
from dolfinx import mesh as dmesh

from pnp_exclusion.mesh.parts import original_cells

ON_SIDE = 1e-6
"""Of the extent along an axis: how far from a side its nodes may be, and from each other across the domain."""


def periodic_mesh(mesh: dmesh.Mesh, axes: Sequence[int]) -> dmesh.Mesh:
    """Return a mesh that goes on from its highest to its lowest coordinate along some axes; collective.

    Its cells, owned ones and ghosts, have the numbers that they had, and share their coordinates with the given mesh.

    Raises `ValueError` on every rank if the nodes of two sides do not match, or too few cells are between them.
    """
    topology, dimension = mesh.topology, mesh.topology.dim
    cells = topology.index_map(dimension)
    vertices = topology.connectivity(dimension, 0).array.reshape(cells.size_local + cells.num_ghosts, -1)
    corners = mesh.geometry.x[mesh.geometry.dofmaps[0][:, : vertices.shape[1]], :dimension]
    numbers = topology.index_map(0).local_to_global(vertices.ravel()).reshape(vertices.shape)
    low, high = extent_of(mesh)
    for axis in axes:
        slack = ON_SIDE * (high[axis] - low[axis])
        at_low, at_high = corners[..., axis] < low[axis] + slack, corners[..., axis] > high[axis] - slack
        _require_room(mesh, axis, vertices, at_low, at_high)
        lower, upper = (_gathered(mesh.comm, numbers[there], corners[there]) for there in (at_low, at_high))
        numbers = _replaced(numbers, *_counterparts(axis, lower, upper, ON_SIDE * float((high - low).max())))
    joined = cpp.mesh.create_topology(
        mesh.comm,
        [topology.cell_type],
        [numbers.ravel()],
        [original_cells(mesh)],
        [cells.owners],
        np.unique(numbers[: cells.size_local]),
        1,
    )
    periodic = cpp.mesh.Mesh_float64(mesh.comm, joined, mesh.geometry._cpp_object)
    return dmesh.Mesh(periodic, ufl.Mesh(mesh.ufl_domain().ufl_coordinate_element()))


def facets_left(drawn: dmesh.Mesh, periodic: dmesh.Mesh, boundaries: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the local facets of boundaries in the numbers of a periodic mesh, without those on its sides; collective.

    A boundary that has lost all is not there any more.
    """
    before, after = (_facets_of_cells(mesh) for mesh in (drawn, periodic))
    renumbered = np.zeros(before.max(initial=-1) + 1, dtype=np.int32)
    renumbered[before] = after
    # facets of the sides were on the outside, and are inside now
    ended, ends = _is_outside(drawn), _is_outside(periodic)
    left = {}
    for name, facets in boundaries.items():
        stays = ~ended[facets] | ends[renumbered[facets]]
        if drawn.comm.allreduce(int(stays.sum())) or not drawn.comm.allreduce(len(facets)):
            left[name] = renumbered[facets[stays]]
    return left


def unfolded(space: fem.FunctionSpace, drawn: dmesh.Mesh) -> tuple[fem.FunctionSpace, np.ndarray]:
    """Return the space of the same elements on the mesh from which a periodic one was made, where every node is in one
    place, and for each of its local nodes the number of that in the given space; the same space on any other mesh.
    """
    numbers = np.arange(space.dofmap.index_map.size_local + space.dofmap.index_map.num_ghosts)
    if space.mesh is drawn:
        return space, numbers
    found = fem.functionspace(drawn, space.ufl_element())
    numbers = np.zeros(found.dofmap.index_map.size_local + found.dofmap.index_map.num_ghosts, dtype=np.int32)
    numbers[found.dofmap.list] = space.dofmap.list
    return found, numbers


def extent_of(mesh: dmesh.Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Return the lowest and highest coordinates over all ranks, each ``(dimension,)``."""
    points = mesh.geometry.x[:, : mesh.geometry.dim]
    low = points.min(axis=0, initial=np.inf)
    high = points.max(axis=0, initial=-np.inf)
    mesh.comm.Allreduce(MPI.IN_PLACE, low, op=MPI.MIN)
    mesh.comm.Allreduce(MPI.IN_PLACE, high, op=MPI.MAX)
    return low, high


def _gathered(comm: MPI.Comm, numbers: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers of vertices, each once, and where they are, of all ranks; collective."""
    own, first = np.unique(numbers, return_index=True)
    parts = comm.allgather((own, points[first]))
    every, first = np.unique(np.concatenate([own for own, _ in parts]), return_index=True)
    return every, np.concatenate([points for _, points in parts])[first]


def _counterparts(
    axis: int, lower: tuple[np.ndarray, np.ndarray], upper: tuple[np.ndarray, np.ndarray], slack: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of the vertices on the upper side, ascending, and those of their counterparts."""
    # not for every run: it takes longer to import than a small case to solve
    from scipy.spatial import KDTree

    (numbers, here), (others, there) = ((found, np.delete(points, axis, axis=1)) for found, points in (lower, upper))
    if here.shape[1] == 0:
        return others, numbers
    distances, nearest = KDTree(here).query(there)
    matched = distances <= slack
    alone = len(here) + len(there) - int(matched.sum()) - len(np.unique(nearest[matched]))
    if alone:
        raise ValueError(
            f"the sides across {'xyz'[axis]} cannot be periodic: {alone} of their {len(here) + len(there)} nodes have "
            "no counterpart on the other side; mesh one as a copy of the other (in gmsh: Periodic Curve, Periodic "
            "Surface, or mesh.setPeriodic)"
        )
    return others, numbers[nearest]


def _replaced(numbers: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Return an array in which every one of some ascending numbers is replaced by another."""
    place = np.minimum(np.searchsorted(old, numbers), len(old) - 1)
    return np.where(old[place] == numbers, new[place], numbers)


def _require_room(mesh: dmesh.Mesh, axis: int, vertices: np.ndarray, at_low: np.ndarray, at_high: np.ndarray) -> None:
    """Raise `ValueError` where a vertex is beside both sides: edges to a vertex and to its counterpart would be one."""
    marks = la.vector(mesh.topology.index_map(0), 2)
    beside = marks.array.reshape(-1, 2)
    beside[:] = 0.0
    for side, at in enumerate((at_low, at_high)):
        beside[vertices[at.any(axis=1)], side] = 1.0
    marks.scatter_reverse(la.InsertMode.add)
    if mesh.comm.allreduce(bool((beside > 0.0).all(axis=1).any()), op=MPI.LOR):
        raise ValueError(f"periodic sides need three cells between them, and along {'xyz'[axis]} there are fewer")


def _facets_of_cells(mesh: dmesh.Mesh) -> np.ndarray:
    """Return the local facets of every local cell one after another, and have those know their cells."""
    topology, dimension = mesh.topology, mesh.topology.dim
    topology.create_entities(dimension - 1)
    topology.create_connectivity(dimension, dimension - 1)
    topology.create_connectivity(dimension - 1, dimension)
    facets: np.ndarray = topology.connectivity(dimension, dimension - 1).array
    return facets


def _is_outside(mesh: dmesh.Mesh) -> np.ndarray:
    """Return whether there is one cell only at each local facet, owned or ghost; collective.

    Vertices of an interval that two ranks share are exterior facets to DOLFINx too.
    """
    topology, dimension = mesh.topology, mesh.topology.dim
    of_cells = topology.connectivity(dimension, dimension - 1)
    owned = of_cells.array[: of_cells.offsets[topology.index_map(dimension).size_local]]
    counts = la.vector(topology.index_map(dimension - 1), 1, np.int32)
    counts.array[:] = np.bincount(owned, minlength=len(counts.array))
    counts.scatter_reverse(la.InsertMode.add)
    counts.scatter_forward()
    return counts.array == 1
