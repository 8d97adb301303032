"""Meshes as arrays on one rank: where a domain that is no grid comes from, and what it can be turned back into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mpi4py import MPI

import basix.ufl
import numpy as np
import ufl
from dolfinx import cpp, la
from dolfinx import mesh as dmesh
from dolfinx.graph import adjacencylist
from dolfinx.io.utils import distribute_entity_data

from pnp_exclusion.mesh.domain import Domain
from pnp_exclusion.mesh.parts import original_cells


@dataclass(frozen=True)
class MeshArrays:
    """A mesh with named boundaries and regions.

    shape, order
        DOLFINx' name of the kind of all cells, and the degree of their geometry.
    points
        ``(nodes, dimension)``; every one is a node of a cell.
    cells
        ``(cells, nodes of a cell)``, in DOLFINx' order of nodes.
    facets
        By the name of a boundary ``(facets, nodes of a facet)``, corners first.
    regions
        By the name of a region, which rows of ``cells`` it holds.
    """

    shape: str
    order: int
    points: np.ndarray
    cells: np.ndarray
    facets: Mapping[str, np.ndarray]
    regions: Mapping[str, np.ndarray]


def domain_of(comm: MPI.Comm, arrays: MeshArrays | None) -> Domain:
    """Share a mesh of rank 0 out among all, where it is None; collective.

    The cells' ``original_cell_index`` is their row in ``cells``.
    """
    heading = None
    if arrays is not None:
        widths = {name: facets.shape[1] for name, facets in arrays.facets.items()}
        heading = (arrays.shape, arrays.order, arrays.cells.shape[1], widths, list(arrays.regions))
    shape, order, width, facet_widths, region_names = comm.bcast(heading, root=0)
    dimension = cpp.mesh.cell_dim(cpp.mesh.to_type(shape))
    element = basix.ufl.element(
        "Lagrange", shape, order, basix.LagrangeVariant.equispaced, shape=(dimension,), dtype=np.float64
    )
    points, cells = np.empty((0, dimension)), np.empty((0, width), dtype=np.int64)
    if arrays is not None:
        points, cells = arrays.points, arrays.cells.astype(np.int64)
    mesh = dmesh.create_mesh(comm, cells, ufl.Mesh(element), points)
    mesh.topology.create_connectivity(dimension - 1, dimension)
    boundary_facets = {
        name: _entities(mesh, dimension - 1, arrays.facets[name] if arrays else np.empty((0, columns)))
        for name, columns in facet_widths.items()
    }
    region_cells = {
        name: _entities(mesh, dimension, arrays.cells[arrays.regions[name]] if arrays else np.empty((0, width)))
        for name in region_names
    }
    return Domain(mesh, boundary_facets, region_cells)


def arrays_of(domain: Domain) -> MeshArrays | None:
    """Gather the mesh of a domain on rank 0, None on the others; collective.

    Rows of ``cells`` are in the order of `cell_order`.
    """
    mesh, comm, dimension = domain.mesh, domain.comm, domain.dimension
    nodes = mesh.geometry.index_map()
    owned_cells = mesh.topology.index_map(dimension).size_local
    cells = nodes.local_to_global(mesh.geometry.dofmaps[0][:owned_cells].ravel()).reshape(owned_cells, -1)
    mesh.topology.create_connectivity(dimension - 1, dimension)
    facets = {}
    for name in domain.boundary_facets:
        corners = dmesh.entities_to_geometry(mesh, dimension - 1, domain.owned_facets(name))
        facets[name] = nodes.local_to_global(corners.astype(np.int32).ravel()).reshape(corners.shape)
    regions = {name: np.isin(np.arange(owned_cells), found) for name, found in domain.region_cells.items()}
    points = mesh.geometry.x[: nodes.size_local, :dimension]
    order = cell_order(domain)
    gathered = comm.gather((points, cells, facets, regions), root=0)
    if gathered is None or order is None:
        return None
    return MeshArrays(
        domain.mesh.topology.cell_name(),
        mesh.geometry.cmaps[0].degree,
        np.concatenate([part[0] for part in gathered]),
        np.concatenate([part[1] for part in gathered])[order],
        {name: np.concatenate([part[2][name] for part in gathered]) for name in facets},
        {name: np.flatnonzero(np.concatenate([part[3][name] for part in gathered])[order]) for name in regions},
    )


def cell_order(domain: Domain) -> np.ndarray | None:
    """Return on rank 0 how cells gathered from all ranks are sorted by where they came from, None on the others.

    That does not depend on the ranks, see `original_cells`. Collective.
    """
    owned = domain.mesh.topology.index_map(domain.dimension).size_local
    gathered = domain.comm.gather(original_cells(domain.mesh)[:owned], root=0)
    return None if gathered is None else np.argsort(np.concatenate(gathered), kind="stable")


def _entities(mesh: dmesh.Mesh, dimension: int, nodes: np.ndarray) -> np.ndarray:
    """Return the local entities (owned and ghost) that rank 0 knows by their nodes in its arrays; collective."""
    values = np.zeros(len(nodes), dtype=np.int32)
    vertices, values = distribute_entity_data(mesh, dimension, nodes.astype(np.int64), values)
    tags = dmesh.meshtags_from_entities(mesh, dimension, adjacencylist(vertices), values)
    flags = la.vector(mesh.topology.index_map(dimension), 1, np.int32)
    flags.array[:] = 0
    flags.array[tags.indices] = 1
    flags.scatter_reverse(la.InsertMode.add)
    flags.scatter_forward()
    return np.flatnonzero(flags.array).astype(np.int32)
