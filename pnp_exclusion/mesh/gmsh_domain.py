"""Domains from gmsh files: read on rank 0, shared out among all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mpi4py import MPI

import numpy as np
from dolfinx import cpp
from dolfinx import mesh as dmesh

from pnp_exclusion.mesh.arrays import MeshArrays, domain_of
from pnp_exclusion.mesh.domain import Domain, too_many_ranks
from pnp_exclusion.mesh.gmsh_file import read_mesh_file
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


def gmsh_domain(comm: MPI.Comm, path: Path, in_simplices: bool = False) -> Domain:
    """Read a ``.msh`` file on rank 0 and share its cells out; `MeshFileError` on every rank if it cannot be used.

    Boundaries and regions are the physical groups of the dimension below the cells' and of the cells' own. Coordinates
    are those of the file. Only rank 0 needs the gmsh library and the file.

    in_simplices
        As for `read_mesh_file`.
    """
    arrays: MeshArrays | None = None

    def read() -> tuple:
        nonlocal arrays
        file = read_mesh_file(path, in_simplices)
        if excess := too_many_ranks(comm.size, len(file.cells)):
            raise MeshFileError(f"mesh file {path}: {excess}")
        shape, order = _CELLS[file.kind]
        permutation = cpp.io.perm_gmsh(cpp.mesh.to_type(shape), file.cells.shape[1])
        arrays = MeshArrays(shape, order, file.points, file.cells[:, permutation], file.facets, file.regions)
        return {name: file.stray[name] + len(facets) for name, facets in file.facets.items()}, file.notes

    listed, notes = _shared(comm, read)
    try:
        domain = domain_of(comm, arrays)
    except RuntimeError as error:  # among several ranks perhaps on this one alone, which must end them
        if comm.size > 1:
            raise
        raise MeshFileError(f"mesh file {path} cannot be used: {error}") from None
    lost = {name: listed[name] - _owned(domain.mesh, facets) for name, facets in domain.boundary_facets.items()}
    return replace(domain, stray_facets={name: count for name, count in lost.items() if count}, notes=notes)


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


def _owned(mesh: dmesh.Mesh, facets: np.ndarray) -> int:
    """Return how many of some local facets there are over all ranks."""
    return int(mesh.comm.allreduce(int((facets < mesh.topology.index_map(mesh.topology.dim - 1).size_local).sum())))
