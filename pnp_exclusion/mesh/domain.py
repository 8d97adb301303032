"""A mesh with named boundaries and regions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

from mpi4py import MPI

import numpy as np
from dolfinx import fem
from dolfinx import mesh as dmesh
from dolfinx.graph import adjacencylist

from pnp_exclusion.mesh.locate import cells_of_points, points_beyond
from pnp_exclusion.mesh.parts import Parts, connected_parts
from pnp_exclusion.mesh.periodic import extent_of, facets_left, periodic_mesh
from pnp_exclusion.mesh.physical_names import SIDES

BEYOND = 1e-3
"""Of a cell: where another cell is sought on the other side of a facet that has only one."""


@dataclass(frozen=True)
class Grid:
    """The nodes along each axis of an interval, rectangle or box (ascending), and those that must stay nodes.

    periodic
        The axes along which the last node is the first one again, which alone is numbered.
    """

    nodes: Sequence[np.ndarray]
    breakpoints: Sequence[Sequence[float]]
    periodic: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Number of nodes."""
        return int(np.prod([len(axis) for axis in self.nodes]))

    @property
    def cells(self) -> int:
        """Number of intervals, triangles or tetrahedra."""
        return int(np.prod([len(axis) - 1 for axis in self.nodes])) * math.factorial(len(self.nodes))

    @property
    def strides(self) -> np.ndarray:
        """How much the number of a node grows along each axis; the first axis runs fastest."""
        return np.cumprod([1, *(len(axis) for axis in self.nodes[:-1])])

    def numbers(self, points: np.ndarray) -> np.ndarray:
        """Return the numbers of the nodes next to points ``(points, 3)``."""
        along = [
            np.searchsorted(0.5 * (axis[:-1] + axis[1:]), x) for axis, x in zip(self.nodes, points.T, strict=False)
        ]
        return self.numbered(along)

    def numbered(self, along: Sequence[np.ndarray]) -> np.ndarray:
        """Return the numbers of nodes that are given by their numbers along each axis."""
        once = [
            index % max(1, len(self.nodes[axis]) - 1) if axis in self.periodic else index
            for axis, index in enumerate(along)
        ]
        return np.asarray(sum(stride * index for stride, index in zip(self.strides, once, strict=True)))

    def halved(self) -> Grid:
        """Return the grid that has also the midpoints between nodes."""
        nodes = [np.sort(np.concatenate([axis, 0.5 * (axis[1:] + axis[:-1])])) for axis in self.nodes]
        return replace(self, nodes=nodes)

    def coarsened(self) -> Grid | None:
        """Return the grid of every second node between breakpoints; None if that leaves (nearly) all of them."""
        along = zip(self.nodes, self.breakpoints, strict=True)
        coarse = [nodes[every_second(nodes, breakpoints)] for nodes, breakpoints in along]
        # between sides that are one there must be three cells
        coarse = [self.nodes[axis] if axis in self.periodic and len(x) < 4 else x for axis, x in enumerate(coarse)]
        grid = replace(self, nodes=coarse)
        return grid if 2 * grid.size <= self.size else None


def too_many_ranks(ranks: int, cells: int) -> str:
    """Return a sentence if some ranks would have no cell, else nothing."""
    if ranks <= cells:
        return ""
    return f"{ranks} ranks cannot share {cells} cell{'s' * (cells > 1)}: start at most {cells}, or refine the mesh"


def every_second(nodes: np.ndarray, breakpoints: Sequence[float]) -> np.ndarray:
    """Return which nodes are the ends, next to breakpoints, or every second one between those."""
    kept = {0, len(nodes) - 1, *(int(np.abs(nodes - x).argmin()) for x in breakpoints)}
    ends = sorted(kept)
    chosen = [index for start, end in pairwise(ends) for index in range(start, end, 2)]
    return np.array([*chosen, ends[-1]])


@dataclass(frozen=True)
class Seams:
    """Owned facets of a domain that have a cell on both sides but belong to one only.

    own, beyond
        By facet, the position in `Domain.region_cells` of the region on its own side and on the other; their number
        where there is none.
    """

    facets: np.ndarray
    own: np.ndarray
    beyond: np.ndarray


@dataclass(frozen=True)
class Domain:
    """A mesh in units of the domain length, with names.

    boundary_facets
        Local facets (owned and ghost) of every named boundary; a facet may be on several, or inside the domain.
    region_cells
        Local cells (owned and ghost) of every region named in the mesh.
    grid
        Its nodes along each axis, for an interval, rectangle or box of ours.
    stray_facets
        How many elements of a boundary in the mesh file are not facets of its cells, if any.
    notes
        What was done to the mesh of a file, one sentence each.
    periodic
        The axes along which it goes on at its other end (`pnp_exclusion.mesh.periodic`).
    drawn_mesh
        Of a periodic domain: the same cells, which end at its sides.
    """

    mesh: dmesh.Mesh
    boundary_facets: Mapping[str, np.ndarray]
    region_cells: Mapping[str, np.ndarray]
    grid: Grid | None = None
    stray_facets: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    periodic: tuple[int, ...] = ()
    drawn_mesh: dmesh.Mesh | None = None

    @property
    def drawn(self) -> dmesh.Mesh:
        """The mesh, on which a node is in one place only: where it is periodic, that of before, with the same cells."""
        return self.drawn_mesh or self.mesh

    @property
    def dimension(self) -> int:
        """Dimension of the cells."""
        return self.mesh.topology.dim

    @property
    def comm(self) -> MPI.Comm:
        """Ranks that share the mesh."""
        return self.mesh.comm

    @property
    def cells(self) -> int:
        """Number of cells over all ranks."""
        return self.mesh.topology.index_map(self.dimension).size_global

    @property
    def local_cells(self) -> int:
        """Number of cells of this rank, owned and ghost."""
        cells = self.mesh.topology.index_map(self.dimension)
        return int(cells.size_local + cells.num_ghosts)

    @cached_property
    def cellwise_space(self) -> fem.FunctionSpace:
        """Of functions that are constant on every cell."""
        return fem.functionspace(self.mesh, ("Discontinuous Lagrange", 0))

    @cached_property
    def parts(self) -> Parts:
        """Its connected parts; collective."""
        return Parts(1, np.zeros(len(self.cell_midpoints()), dtype=int)) if self.grid else connected_parts(self.mesh)

    @cached_property
    def exterior_facets(self) -> np.ndarray:
        """The owned facets that have one cell only; collective."""
        self.mesh.topology.create_connectivity(self.dimension - 1, self.dimension)
        return dmesh.exterior_facet_indices(self.mesh.topology)

    def owned_facets(self, name: str) -> np.ndarray:
        """The owned facets of a boundary."""
        facets = self.boundary_facets[name]
        return facets[facets < self.mesh.topology.index_map(self.dimension - 1).size_local]

    @cached_property
    def seams(self) -> Seams:
        """Where cells touch without sharing a facet; collective."""
        facets = self.exterior_facets
        here, cells = points_beyond(self.mesh, facets, BEYOND)
        # the other side may be on any rank, so all look for the points of all
        gathered = self.comm.allgather(here)
        points, start = np.concatenate(gathered), sum(map(len, gathered[: self.comm.rank]))
        found = cells_of_points(self.mesh, points)
        regions = self._region_numbers()
        beyond = np.where(found >= 0, regions[found], -1)
        self.comm.Allreduce(MPI.IN_PLACE, beyond, op=MPI.MAX)
        beyond = beyond[start : start + len(here)]
        at = beyond >= 0
        return Seams(facets[at], regions[cells[at]], beyond[at])

    def _region_numbers(self) -> np.ndarray:
        """The position of the first region in `region_cells` that has each local cell, their number if none has."""
        numbers = np.full(len(self.cell_midpoints()), len(self.region_cells))
        for number, cells in reversed(list(enumerate(self.region_cells.values()))):
            numbers[cells] = number
        return numbers

    def bounding_box(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest coordinates over all ranks, each ``(dimension,)``."""
        return extent_of(self.mesh)

    def periodic_along(self, axes: Sequence[int]) -> Domain:
        """Return the same domain, but that it goes on from its highest to its lowest coordinate along some axes.

        Collective. Raises `ValueError` on every rank where that cannot be, see `pnp_exclusion.mesh.periodic`.
        """
        if not axes:
            return self
        joined = periodic_mesh(self.mesh, axes)
        facets = facets_left(self.mesh, joined, self.boundary_facets)
        grid = replace(self.grid, periodic=tuple(axes)) if self.grid else None
        return replace(self, mesh=joined, boundary_facets=facets, grid=grid, periodic=tuple(axes), drawn_mesh=self.mesh)

    def nearest_images(self, points: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Return points beside cells ``(cells, points, dimension)``, moved by periods to where these are; collective.

        cells
            Corners, or nodes, of every cell, likewise.
        """
        if not self.periodic:
            return points
        low, high = self.bounding_box()
        periods = np.where(np.isin(np.arange(self.dimension), self.periodic), high - low, np.inf)
        finite = np.where(np.isinf(periods), 0.0, periods)
        moved: np.ndarray = points + finite * np.round((cells.mean(axis=1, keepdims=True) - points) / periods)
        return moved

    def largest_cell(self) -> float:
        """Largest cell diameter over all ranks."""
        cells = np.arange(self.mesh.topology.index_map(self.dimension).size_local, dtype=np.int32)
        diameters = self.mesh.h(self.dimension, cells)
        return float(self.comm.allreduce(diameters.max(initial=0.0), op=MPI.MAX))

    def cell_midpoints(self) -> np.ndarray:
        """Midpoints of the local cells (owned and ghost), ``(cells, 3)``."""
        cells = np.arange(self.local_cells, dtype=np.int32)
        return dmesh.compute_midpoints(self.mesh, self.dimension, cells)

    def cells_in_box(self, ranges: Sequence[tuple[float, float] | None]) -> np.ndarray:
        """Local cells whose midpoint lies in a box; None stands for the whole axis."""
        midpoints = self.cell_midpoints()
        inside = np.ones(len(midpoints), dtype=bool)
        for axis, limits in enumerate(ranges):
            if limits is not None:
                inside &= (midpoints[:, axis] > limits[0]) & (midpoints[:, axis] < limits[1])
        return np.flatnonzero(inside).astype(np.int32)


def tensor_domain(
    comm: MPI.Comm,
    nodes: Sequence[np.ndarray],
    breakpoints: Sequence[Sequence[float]] | None = None,
    periodic: Sequence[int] = (),
) -> Domain:
    """Return the interval, rectangle or box with the given nodes along each axis (ascending, from 0).

    ``breakpoints`` are the nodes that a coarser mesh must have too, ``periodic`` the axes whose two sides are one.
    """
    counts = [len(axis) - 1 for axis in nodes]
    # the mesh is made on integer coordinates and then moved, so that every rank places its own nodes
    far = [float(n) for n in counts]
    shared: dict[str, Any] = {"ghost_mode": dmesh.GhostMode.none, "partitioner": _partitioner(counts)}
    match counts:
        case [n]:
            mesh = dmesh.create_interval(comm, n, [0.0, *far], **shared)
        case [_, _]:
            mesh = dmesh.create_rectangle(comm, [[0.0] * 2, far], counts, **shared)
        case _:
            mesh = dmesh.create_box(comm, [[0.0] * 3, far], counts, **shared)
    facets: dict[str, np.ndarray] = {}
    mesh.topology.create_connectivity(mesh.topology.dim - 1, mesh.topology.dim)
    for axis, n in enumerate(counts):
        for side, position in zip(SIDES[2 * axis : 2 * axis + 2], (0.0, float(n)), strict=True):
            facets[side] = dmesh.locate_entities_boundary(mesh, mesh.topology.dim - 1, _on_plane(axis, position))
    for axis, positions in enumerate(nodes):
        integer = mesh.geometry.x[:, axis]
        mesh.geometry.x[:, axis] = np.interp(integer, np.arange(len(positions)), positions)
    domain = Domain(mesh, facets, {}, Grid(nodes, breakpoints or [[] for _ in nodes]))
    return domain.periodic_along(periodic)


def _partitioner(counts: Sequence[int]) -> Callable[..., Any]:
    """Cut a grid into boxes of equal size for the ranks: no graph to build, and the least surface there is."""

    def partition(_: MPI.Comm, ranks: int, __: Any, cells: Sequence[np.ndarray]) -> Any:
        corners = np.asarray(cells[0]).reshape(-1, len(counts) + 1)
        boxes = []
        for n in counts:
            boxes.append((corners % (n + 1)).min(axis=1))
            corners = corners // (n + 1)
        owners = np.zeros(len(corners), dtype=np.int32)
        _bisect(owners, np.arange(len(corners)), boxes, [(0, n) for n in counts], (0, ranks))
        return adjacencylist(owners[:, None])._cpp_object

    return partition


def _bisect(
    owners: np.ndarray,
    chosen: np.ndarray,
    boxes: Sequence[np.ndarray],
    extent: Sequence[tuple[int, int]],
    ranks: tuple[int, int],
) -> None:
    """Write the ranks of the ``chosen`` cells: halve ranks and extent across the longest axis until one is left.

    boxes
        Position of every cell along each axis.
    """
    first, end = ranks
    if end - first == 1:
        owners[chosen] = first
        return
    axis = max(range(len(extent)), key=lambda axis: extent[axis][1] - extent[axis][0])
    low, high = extent[axis]
    middle_rank = (first + end) // 2
    middle = low + round((high - low) * (middle_rank - first) / (end - first))
    below = boxes[axis][chosen] < middle
    sides = (below, (low, middle), (first, middle_rank)), (~below, (middle, high), (middle_rank, end))
    for side, part, share in sides:
        _bisect(owners, chosen[side], boxes, [*extent[:axis], part, *extent[axis + 1 :]], share)


def _on_plane(axis: int, position: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda x: np.abs(x[axis] - position) < 1e-6
