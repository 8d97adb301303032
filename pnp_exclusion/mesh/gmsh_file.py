"""Domains from gmsh files with named physical groups."""

from __future__ import annotations

from pathlib import Path

from mpi4py import MPI

import numpy as np

from pnp_exclusion.mesh.domain import Domain
from pnp_exclusion.mesh.physical_names import MeshFileError


def gmsh_domain(comm: MPI.Comm, path: Path, dimension: int) -> Domain:
    """Read a ``.msh`` file on rank 0 and share its cells out; `MeshFileError` on every rank if it cannot be used.

    Boundaries and regions are the physical groups of dimension ``dimension - 1`` and ``dimension``. Coordinates are
    those of the file.
    """
    try:
        import gmsh
    except (ImportError, OSError) as error:
        raise MeshFileError(
            f"reading {path} needs the gmsh library, which does not load here ({error}); "
            "on Debian its system libraries come with: apt-get install libglu1-mesa libxcursor1 libxft2 libxinerama1"
        ) from None
    from dolfinx.io.gmsh import model_to_mesh

    gmsh.initialize(["-noenv", "-nopopup"], interruptible=False)
    try:
        problem = _open(gmsh, path, dimension) if comm.rank == 0 else None
        problem = comm.bcast(problem, root=0)
        if problem:
            raise MeshFileError(problem)
        data = model_to_mesh(gmsh.model, comm, 0, gdim=dimension)
    finally:
        gmsh.finalize()
    mesh = data.mesh
    mesh.topology.create_connectivity(dimension - 1, dimension)
    facets, cells = {}, {}
    for name, group in data.physical_groups.items():
        if group.dim == dimension and data.cell_tags is not None:
            cells[name] = data.cell_tags.find(group.tag).astype(np.int32)
        elif group.dim == dimension - 1 and data.facet_tags is not None:
            facets[name] = data.facet_tags.find(group.tag).astype(np.int32)
    return Domain(mesh, facets, cells)


def _open(gmsh, path: Path, dimension: int) -> str | None:
    """Load the file into gmsh's model; return a sentence if it cannot be used."""
    gmsh.option.setNumber("General.Terminal", 0)
    try:
        gmsh.open(str(path))
    except Exception as error:  # noqa: BLE001 - gmsh raises bare Exception; the message is passed on
        return f"mesh file {path} is broken: {error}"
    found = gmsh.model.getDimension()
    if found != dimension:
        return f"mesh file {path} has cells of dimension {found}, but the case is of dimension {dimension}"
    if not gmsh.model.mesh.getElements(dimension)[1]:
        return f"mesh file {path} has no cells of dimension {dimension}"
    low, high = (np.array(gmsh.model.getBoundingBox(-1, -1)[i : i + 3]) for i in (0, 3))
    flat = np.abs(np.concatenate([low, high]).reshape(2, 3)[:, dimension:])
    if flat.size and flat.max() > 1e-6 * np.abs(high - low).max():
        return f"mesh file {path} is not flat: a {dimension}D mesh must lie in the first {dimension} coordinate(s)"
    return None
