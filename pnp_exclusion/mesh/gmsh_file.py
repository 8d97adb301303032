"""Domains from gmsh files with named physical groups."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mpi4py import MPI

import numpy as np

from pnp_exclusion.mesh.domain import Domain, too_many_ranks
from pnp_exclusion.mesh.make import gmsh_library
from pnp_exclusion.mesh.physical_names import MeshFileError

CELL_KINDS = (1, 2, 3, 4, 5, 8, 9, 10, 11, 12)
"""gmsh's numbers of lines, triangles, quadrangles, tetrahedra and hexahedra of order 1, then of order 2."""
_NO_ELEMENTS = np.empty(0, dtype=np.uint64)


def gmsh_domain(comm: MPI.Comm, path: Path, dimension: int) -> Domain:
    """Read a ``.msh`` file on rank 0 and share its cells out; `MeshFileError` on every rank if it cannot be used.

    Boundaries and regions are the physical groups of dimension ``dimension - 1`` and ``dimension``. Coordinates are
    those of the file. Only rank 0 needs the gmsh library.
    """
    from dolfinx.io.gmsh import model_to_mesh

    loaded: list[Any] = []

    def load() -> None:
        gmsh = gmsh_library()
        gmsh.initialize(["-noenv", "-nopopup"], interruptible=False)
        loaded.append(gmsh)
        _open(gmsh, path, dimension)
        cells = sum(len(tags) for tags in gmsh.model.mesh.getElements(dimension)[1])
        if excess := too_many_ranks(comm.size, cells):
            raise MeshFileError(f"mesh file {path}: {excess}")

    try:
        _on_rank_zero(comm, path, load)
        data = model_to_mesh(loaded[0].model if loaded else None, comm, 0, gdim=dimension)
    except RuntimeError as error:  # of DOLFINx; among several ranks perhaps on this one alone, which must end them
        if comm.size > 1:
            raise
        raise MeshFileError(f"mesh file {path} cannot be used: {error}") from None
    finally:
        for gmsh in loaded:
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


def _on_rank_zero(comm: MPI.Comm, path: Path, work: Callable[[], None]) -> None:
    """Do what only rank 0 does; whatever goes wrong becomes a sentence, and a `MeshFileError` on every rank."""
    problem = None
    if comm.rank == 0:
        try:
            work()
        except MeshFileError as error:
            problem = str(error)
        except Exception as error:  # noqa: BLE001 - gmsh raises bare Exception, and the other ranks wait
            problem = f"mesh file {path} is broken: {str(error).strip() or 'gmsh cannot read it'}"
    problem = comm.bcast(problem, root=0)
    if problem:
        raise MeshFileError(problem)


def _open(gmsh: Any, path: Path, dimension: int) -> None:
    """Load the file into gmsh's model and make sure that `model_to_mesh` can use it."""
    gmsh.option.setNumber("General.Terminal", 0)
    gmsh.open(str(path))
    found = gmsh.model.getDimension()
    if found != dimension:
        raise MeshFileError(
            f"mesh file {path} has cells of dimension {found}, but the case is of dimension {dimension}"
        )
    kinds, tags, _ = gmsh.model.mesh.getElements(dimension)
    if not len(kinds):
        raise MeshFileError(f"mesh file {path} has no cells of dimension {dimension}")
    if len(kinds) > 1 or kinds[0] not in CELL_KINDS:
        names = ", ".join(gmsh.model.mesh.getElementProperties(kind)[0] for kind in kinds)
        raise MeshFileError(
            f"mesh file {path} has cells of the kind {names}; make them all lines, triangles, quadrangles, tetrahedra "
            "or hexahedra, straight or of order 2"
        )
    for _, group in gmsh.model.getPhysicalGroups(dimension - 1):
        if not len(_in_group(gmsh, dimension - 1, group)):
            name = gmsh.model.getPhysicalName(dimension - 1, group)
            raise MeshFileError(f'mesh file {path} has nothing in its group "{name}"; mesh that boundary too')
    groups = [_in_group(gmsh, dimension, group) for _, group in gmsh.model.getPhysicalGroups(dimension)]
    in_groups = np.concatenate([_NO_ELEMENTS, *groups])
    if len(in_groups) != len(tags[0]) or len(np.unique(in_groups)) != len(in_groups):
        raise MeshFileError(
            f"mesh file {path} has {len(tags[0])} cells, but its physical groups of dimension {dimension} hold "
            f"{len(in_groups)}; put every cell in exactly one named group"
        )
    low, high = (np.array(gmsh.model.getBoundingBox(-1, -1)[i : i + 3]) for i in (0, 3))
    flat = np.abs(np.concatenate([low, high]).reshape(2, 3)[:, dimension:])
    if flat.size and flat.max() > 1e-6 * np.abs(high - low).max():
        raise MeshFileError(
            f"mesh file {path} is not flat: a {dimension}D mesh must lie in the first {dimension} coordinate(s)"
        )
    gmsh.model.mesh.renumberNodes()


def _in_group(gmsh: Any, dimension: int, group: int) -> np.ndarray:
    """The elements of a physical group."""
    entities = gmsh.model.getEntitiesForPhysicalGroup(dimension, group)
    tags = [tags for entity in entities for tags in gmsh.model.mesh.getElements(dimension, entity)[1]]
    return np.concatenate([_NO_ELEMENTS, *tags])
