"""Finer cells where they are wanted: an interval's are halved, triangles and tetrahedra bisected at their edges.

Bisection (Plaza and Carey, Appl. Numer. Math. 32, 195 (2000), by DOLFINx) never makes a facet that a neighbour does not
share: cells beside those chosen are cut too. Every cell lies in one of before, its parent, so that boundaries and
regions are kept, and what a parent's polynomials say of its children is exact. Nodes of bent cells are put where the
bent parent has them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mpi4py import MPI

import basix
import basix.ufl
import numpy as np
import ufl
from dolfinx import cpp, fem, la
from dolfinx import mesh as dmesh

from pnp_exclusion.mesh.arrays import arrays_of, domain_of
from pnp_exclusion.mesh.domain import Domain, tensor_domain

ON_CORNER = 1e-6
"""In barycentric coordinates: rounding leaves less."""
UNEVEN = 1.2
"""Of the cells that a rank would have if all had as many: with more on any, they are shared out anew."""


@dataclass(frozen=True)
class Children:
    """The owned cells of a mesh that was made of another one, on the ranks of their parents.

    mesh
        Of which they are cells.
    parents
        ``(cells,)``, local numbers.
    corners
        ``(cells, corners, dimension)``: of every cell in the reference coordinates of its parent.
    """

    mesh: dmesh.Mesh
    parents: np.ndarray
    corners: np.ndarray

    def in_parents(self, reference: np.ndarray) -> np.ndarray:
        """Return points of the reference cell ``(points, dimension)`` in every cell, as its parent sees them:
        ``(cells, points, dimension)``."""
        weights = np.column_stack([1.0 - reference.sum(axis=1), reference])
        found: np.ndarray = np.einsum("pv,cvx->cpx", weights, self.corners)
        return found

    def weights_at(self, chosen: np.ndarray) -> np.ndarray:
        """Return the sum of the barycentric coordinates of every corner at chosen corners of its parent,
        ``(cells, corners)`` both."""
        weights = np.concatenate([1.0 - self.corners.sum(axis=2, keepdims=True), self.corners], axis=2)
        found: np.ndarray = np.einsum("cpv,cv->cp", weights, chosen)
        return found

    def of_grandparents(self, parents: Children) -> Children:
        """Return the same cells as children of the parents of their parents."""
        above = parents.corners[self.parents]
        weights = np.concatenate([1.0 - self.corners.sum(axis=2, keepdims=True), self.corners], axis=2)
        return Children(self.mesh, parents.parents[self.parents], np.einsum("cpv,cvx->cpx", weights, above))


def refined(domain: Domain, rounds: np.ndarray, peaks: np.ndarray | None = None) -> tuple[Domain, Children]:
    """Return a domain with finer cells, and what these were before they were shared out anew, if they are; collective.

    rounds
        ``(cells,)`` of this rank, triangles or tetrahedra, or intervals of a file: how often all edges of every owned
        cell are halved.
    peaks
        ``(cells, corners)``: where a cell has some, only those of its children are halved again that lie at them, or on
        edges between them.
    """
    children: Children | None = None
    for left in reversed(range(domain.comm.allreduce(int(rounds.max(initial=0)), op=MPI.MAX))):
        chosen = rounds > left
        domain, found = _bisected(domain, np.flatnonzero(chosen))
        rounds = np.minimum(rounds[found.parents], left)
        if peaks is not None:
            of_parents = peaks[found.parents]
            peaks = found.weights_at(of_parents) > 1.0 - ON_CORNER
            rounds[chosen[found.parents] & of_parents.any(axis=1) & ~peaks.any(axis=1)] = 0
        children = found if children is None else found.of_grandparents(children)
    if children is None:
        raise ValueError("there is no cell to refine")
    return _evenly_shared(domain), children


def refined_interval(domain: Domain, parts: np.ndarray) -> Domain:
    """Return an interval of ours with every owned cell cut into so many equal parts, ``(cells,)``; collective."""
    assert domain.grid is not None
    here = domain.cell_midpoints()[: len(parts), 0]
    middles, found = (np.concatenate(ranks) for ranks in zip(*domain.comm.allgather((here, parts)), strict=True))
    coarse = np.asarray(domain.grid.nodes[0])
    ends = zip(coarse[:-1], coarse[1:], found[np.argsort(middles)], strict=True)
    nodes = np.concatenate([*(np.linspace(low, high, n, endpoint=False) for low, high, n in ends), coarse[-1:]])
    return tensor_domain(domain.comm, [nodes], domain.grid.breakpoints, domain.periodic)


def _bisected(domain: Domain, chosen: np.ndarray) -> tuple[Domain, Children]:
    """Return a domain in which all edges of chosen cells are halved, which stay on the ranks of these; collective."""
    mesh, dimension = domain.mesh, domain.dimension
    straight = _straight(mesh)
    topology = straight.topology
    topology.create_entities(1)
    topology.create_connectivity(1, dimension)
    topology.create_connectivity(dimension, 1)
    topology.create_connectivity(dimension - 1, dimension)
    edges = dmesh.compute_incident_entities(topology, chosen.astype(np.int32), dimension, 1)
    option = dmesh.RefinementOption
    wanted = option.parent_cell if dimension == 1 else option.parent_cell_and_facet
    fine, parents, parent_facets = dmesh.refine(straight, _of_all_ranks(straight, edges), option=wanted)
    # what DOLFINx says of parents is in the order in which it made cells, not in that in which it then put them
    cells = fine.topology.index_map(dimension)
    order = fine.topology.original_cell_index[: cells.size_local] - cells.local_range[0]
    parents = np.asarray(parents)[order]
    children = Children(fine, parents, _corners_in_parents(straight, fine, parents))
    if mesh.geometry.cmaps[0].degree > 1:
        children = replace(children, mesh=_bent(mesh, children))
    facets = _kept_facets(domain, children, None if parent_facets is None else np.asarray(parent_facets), order)
    regions = {name: _kept_cells(children, found) for name, found in domain.region_cells.items()}
    found = Domain(children.mesh, facets, regions, notes=domain.notes)
    return found, children


def _of_all_ranks(mesh: dmesh.Mesh, edges: np.ndarray) -> np.ndarray:
    """Return the local edges that any rank has chosen; collective."""
    marks = la.vector(mesh.topology.index_map(1), 1, np.int32)
    marks.array[:] = 0
    marks.array[edges] = 1
    marks.scatter_reverse(la.InsertMode.add)
    marks.scatter_forward()
    return np.flatnonzero(marks.array).astype(np.int32)


def _straight(mesh: dmesh.Mesh) -> dmesh.Mesh:
    """Return the same cells with straight edges: DOLFINx bisects no others."""
    if mesh.geometry.cmaps[0].degree == 1:
        return mesh
    topology, dimension = mesh.topology, mesh.topology.dim
    corners = topology.connectivity(dimension, 0).array.reshape(-1, dimension + 1)
    vertices = topology.index_map(0)
    points = np.zeros((vertices.size_local + vertices.num_ghosts, mesh.geometry.dim))
    points[corners] = mesh.geometry.x[mesh.geometry.dofmaps[0][:, : dimension + 1], : mesh.geometry.dim]
    numbers = vertices.local_to_global(np.arange(len(points), dtype=np.int32))
    return _with_geometry(mesh, 1, vertices, corners, points, numbers)


def _with_geometry(
    mesh: dmesh.Mesh, degree: int, nodes: object, cells: np.ndarray, points: np.ndarray, numbers: np.ndarray
) -> dmesh.Mesh:
    """Return a mesh of the same topology whose cells have other nodes."""
    name, dimension = mesh.topology.cell_name(), mesh.geometry.dim
    element = basix.ufl.element(
        "Lagrange", name, degree, basix.LagrangeVariant.equispaced, shape=(dimension,), dtype=np.float64
    )
    kind = cpp.fem.CoordinateElement_float64(mesh.topology.cell_type, degree, basix.LagrangeVariant.equispaced)
    cmap = fem.CoordinateElement(kind) if hasattr(fem, "CoordinateElement") else kind
    geometry = dmesh.create_geometry(nodes, cells.astype(np.int32), cmap, points, numbers)
    own = cpp.mesh.Mesh_float64(mesh.comm, mesh.topology._cpp_object, geometry._cpp_object)
    return dmesh.Mesh(own, ufl.Mesh(element))


def _corners_in_parents(coarse: dmesh.Mesh, fine: dmesh.Mesh, parents: np.ndarray) -> np.ndarray:
    """Return the corners of owned cells in the reference coordinates of their straight parents."""
    dimension = coarse.geometry.dim
    of_parents = coarse.geometry.x[coarse.geometry.dofmaps[0][parents], :dimension]
    corners = fine.geometry.x[fine.geometry.dofmaps[0][: len(parents)], :dimension]
    origin = of_parents[:, :1]
    # of a curve in the plane, or a surface in space, there is the least-squares inverse alone
    inverse = np.linalg.pinv(of_parents[:, 1:] - origin)
    return (corners - origin) @ inverse


def _bent(coarse: dmesh.Mesh, children: Children) -> dmesh.Mesh:
    """Return the children with nodes where their bent parents have them."""
    degree, dimension = coarse.geometry.cmaps[0].degree, coarse.geometry.dim
    fine, name = children.mesh, coarse.topology.cell_name()
    element = basix.create_element(
        basix.ElementFamily.P, basix.CellType[name], degree, basix.LagrangeVariant.equispaced
    )
    space = fem.functionspace(
        fine, basix.ufl.element("Lagrange", name, degree, basix.LagrangeVariant.equispaced, dtype=np.float64)
    )
    inside = children.in_parents(element.points)
    shapes = element.tabulate(0, inside.reshape(-1, inside.shape[-1]))[0, :, :, 0].reshape(*inside.shape[:2], -1)
    nodes_of_parents = coarse.geometry.x[coarse.geometry.dofmaps[0][children.parents], :dimension]
    placed = np.einsum("cpn,cnx->cpx", shapes, nodes_of_parents)
    found = la.vector(space.dofmap.index_map, dimension)
    points = found.array.reshape(-1, dimension)
    points[space.dofmap.list[: len(placed)]] = placed
    found.scatter_forward()
    numbers = space.dofmap.index_map.local_to_global(np.arange(len(points), dtype=np.int32))
    return _with_geometry(fine, degree, space.dofmap.index_map, space.dofmap.list, points, numbers)


def _kept_cells(children: Children, chosen: np.ndarray) -> np.ndarray:
    """Return the local cells, owned and ghost, whose parents are chosen ones; collective."""
    cells = children.mesh.topology.index_map(children.mesh.topology.dim)
    marks = la.vector(cells, 1, np.int32)
    marks.array[:] = 0
    marks.array[: cells.size_local] = np.isin(children.parents, chosen)
    marks.scatter_forward()
    return np.flatnonzero(marks.array).astype(np.int32)


def _kept_facets(
    domain: Domain, children: Children, parent_facets: np.ndarray | None, order: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the local facets of every boundary on the finer mesh, owned and ghost; collective."""
    mesh, dimension = children.mesh, domain.dimension
    mesh.topology.create_entities(dimension - 1)
    mesh.topology.create_connectivity(dimension, dimension - 1)
    mesh.topology.create_connectivity(dimension - 1, dimension)
    count = dimension + 1
    own = mesh.topology.connectivity(dimension, dimension - 1).array.reshape(-1, count)[: len(children.parents)]
    domain.mesh.topology.create_connectivity(dimension, dimension - 1)
    of_parents = domain.mesh.topology.connectivity(dimension, dimension - 1).array.reshape(-1, count)[children.parents]
    if parent_facets is None:
        # ends of an interval: a facet is opposite to a corner, and one of a parent has that corner's coordinate 0 or 1
        at = np.round(children.corners[:, :, 0], 12)
        sides = np.where(at == 0.0, 0, np.where(at == 1.0, 1, -1))
    else:
        sides = parent_facets.reshape(-1, count)[order]
    facets = np.where(sides >= 0, np.take_along_axis(of_parents, np.maximum(sides, 0), axis=1), -1)
    found = {}
    for name, chosen in domain.boundary_facets.items():
        marks = la.vector(mesh.topology.index_map(dimension - 1), 1, np.int32)
        marks.array[:] = 0
        marks.array[own[np.isin(facets, chosen)]] = 1
        marks.scatter_reverse(la.InsertMode.add)
        marks.scatter_forward()
        found[name] = np.flatnonzero(marks.array).astype(np.int32)
    return found


def _evenly_shared(domain: Domain) -> Domain:
    """Return the same domain with as many cells on every rank, or as it is where they nearly are; collective."""
    comm = domain.comm
    most = comm.allreduce(domain.mesh.topology.index_map(domain.dimension).size_local, op=MPI.MAX)
    if most * comm.size <= UNEVEN * domain.cells:
        return domain
    shared = domain_of(comm, arrays_of(domain))
    return replace(domain, mesh=shared.mesh, boundary_facets=shared.boundary_facets, region_cells=shared.region_cells)
