"""Domains from gmsh files: read on rank 0, shared out among all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mpi4py import MPI

import basix.ufl
import numpy as np
import ufl
from dolfinx import cpp, la
from dolfinx import mesh as dmesh
from dolfinx.graph import adjacencylist
from dolfinx.io.utils import distribute_entity_data

from pnp_exclusion.mesh.domain import Domain, too_many_ranks
from pnp_exclusion.mesh.gmsh_file import MeshFile, read_mesh_file
from pnp_exclusion.mesh.physical_names import MeshFileError
from pnp_exclusion.runtime.parallel import on_rank_zero

_CELLS = {
    1: ("interval", 1),
    2: ("triangle", 1),
    3: ("quadrilateral", 1),
    4: ("tetrahedron", 1),
    5: ("hexahedron", 1),
    8: ("interval", 2),
    9: ("triangle", 2),
    10: ("quadrilateral", 2),
    11: ("tetrahedron", 2),
    12: ("hexahedron", 2),
}
"""Kinds of cells by gmsh's number: DOLFINx' name and the order."""


def gmsh_domain(comm: MPI.Comm, path: Path) -> Domain:
    """Read a ``.msh`` file on rank 0 and share its cells out; `MeshFileError` on every rank if it cannot be used.

    Boundaries and regions are the physical groups of the dimension below the cells' and of the cells' own. Coordinates
    are those of the file. Only rank 0 needs the gmsh library and the file.
    """
    file: MeshFile | None = None

    def read() -> tuple:
        nonlocal file
        file = read_mesh_file(path)
        if excess := too_many_ranks(comm.size, len(file.cells)):
            raise MeshFileError(f"mesh file {path}: {excess}")
        return (
            file.kind,
            file.cells.shape[1],
            {name: (facets.shape[1], len(facets)) for name, facets in file.facets.items()},
            list(file.regions),
            file.stray,
            file.notes,
        )

    kind, width, facet_shapes, region_names, stray, notes = _shared(comm, read)
    mesh = _mesh(comm, path, file, kind, width)
    dimension = mesh.topology.dim
    mesh.topology.create_connectivity(dimension - 1, dimension)
    boundary_facets = {
        name: _entities(mesh, dimension - 1, file.facets[name] if file else np.empty((0, columns)))
        for name, (columns, _) in facet_shapes.items()
    }
    region_cells = {
        name: _entities(mesh, dimension, file.cells[file.regions[name]] if file else np.empty((0, width)))
        for name in region_names
    }
    lost = {
        name: stray[name] + facet_shapes[name][1] - _owned(mesh, facets) for name, facets in boundary_facets.items()
    }
    return Domain(
        mesh,
        boundary_facets,
        region_cells,
        stray_facets={name: count for name, count in lost.items() if count},
        notes=notes,
    )


def _shared(comm: MPI.Comm, read: Callable[[], tuple]) -> tuple:
    """Return what rank 0 reads; a `MeshFileError` there is raised on every rank."""

    def attempt() -> tuple[tuple, str]:
        try:
            return read(), ""
        except MeshFileError as error:
            return (), str(error)

    found, problem = on_rank_zero(comm, attempt)
    if problem:
        raise MeshFileError(problem)
    return found


def _mesh(comm: MPI.Comm, path: Path, file: MeshFile | None, kind: int, width: int) -> dmesh.Mesh:
    shape, order = _CELLS[kind]
    dimension = cpp.mesh.cell_dim(cpp.mesh.to_type(shape))
    element = basix.ufl.element(
        "Lagrange", shape, order, basix.LagrangeVariant.equispaced, shape=(dimension,), dtype=np.float64
    )
    points, cells = np.empty((0, dimension)), np.empty((0, width), dtype=np.int64)
    if file is not None:
        points = file.points
        cells = file.cells[:, cpp.io.perm_gmsh(cpp.mesh.to_type(shape), width)].astype(np.int64)
    try:
        return dmesh.create_mesh(comm, cells, ufl.Mesh(element), points)
    except RuntimeError as error:  # among several ranks perhaps on this one alone, which must end them
        if comm.size > 1:
            raise
        raise MeshFileError(f"mesh file {path} cannot be used: {error}") from None


def _entities(mesh: dmesh.Mesh, dimension: int, nodes: np.ndarray) -> np.ndarray:
    """Return the local entities (owned and ghost) that rank 0 knows by their nodes in the file; collective."""
    values = np.zeros(len(nodes), dtype=np.int32)
    vertices, values = distribute_entity_data(mesh, dimension, nodes.astype(np.int64), values)
    tags = dmesh.meshtags_from_entities(mesh, dimension, adjacencylist(vertices), values)
    flags = la.vector(mesh.topology.index_map(dimension), 1, np.int32)
    flags.array[:] = 0
    flags.array[tags.indices] = 1
    flags.scatter_reverse(la.InsertMode.add)
    flags.scatter_forward()
    return np.flatnonzero(flags.array).astype(np.int32)


def _owned(mesh: dmesh.Mesh, facets: np.ndarray) -> int:
    """Return how many of some local facets there are over all ranks."""
    return int(mesh.comm.allreduce(int((facets < mesh.topology.index_map(mesh.topology.dim - 1).size_local).sum())))
