"""Domains from meshes that Python has made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import ufl
from dolfinx import cpp
from dolfinx import mesh as dmesh

from pnp_exclusion.mesh.domain import Domain

CELLS = frozenset({"interval", "triangle", "quadrilateral", "tetrahedron", "hexahedron"})


def given_domain(mesh: dmesh.Mesh, boundaries: Mapping[str, Any], regions: Mapping[str, Any]) -> Domain:
    """Return the domain of a dolfinx mesh, with a copy of its coordinates; collective.

    boundaries, regions
        By name: local numbers of facets or of cells, a pair of MeshTags and a value, or a function that says of
        coordinates ``(3, n)`` which are there.

    Raises `ValueError` on every rank for a mesh that cannot be used, and for a name that marks nothing on any rank, or
    what is not there.
    """
    dimension, kinds = mesh.topology.dim, {kind.name for kind in mesh.topology.entity_types[-1]}
    if not kinds <= CELLS:
        raise ValueError(
            f"the mesh has {', '.join(sorted(kinds - CELLS))} cells; there may be {', '.join(sorted(CELLS))}"
        )
    if mesh.geometry.x.dtype != np.float64:
        raise ValueError(f"the coordinates of the mesh are {mesh.geometry.x.dtype} and must be float64")
    mesh.topology.create_connectivity(dimension - 1, dimension)
    facets = {name: _marked(mesh, dimension - 1, name, mark, _on_the_outside) for name, mark in boundaries.items()}
    cells = {name: _marked(mesh, dimension, name, mark, dmesh.locate_entities) for name, mark in regions.items()}
    return Domain(with_own_coordinates(mesh), facets, cells)


def with_own_coordinates(mesh: dmesh.Mesh, factor: float = 1.0) -> dmesh.Mesh:
    """Return the same mesh, entities numbered alike, with coordinates of its own: those given times a factor."""
    given = mesh.geometry
    points = factor * given.x[:, : given.dim]
    geometry = dmesh.create_geometry(
        given.index_map(), given.dofmaps[0], given.cmaps[0], points, given.input_global_indices
    )
    own = cpp.mesh.Mesh_float64(mesh.comm, mesh.topology._cpp_object, geometry._cpp_object)
    return dmesh.Mesh(own, ufl.Mesh(mesh.ufl_domain().ufl_coordinate_element()))


def _on_the_outside(mesh: dmesh.Mesh, dimension: int, marker: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return dmesh.locate_entities_boundary(mesh, dimension, marker)


def _marked(mesh: dmesh.Mesh, dimension: int, name: str, mark: Any, locate: Callable[..., np.ndarray]) -> np.ndarray:
    found, wrong = np.empty(0, dtype=np.int32), ""
    match mark:
        case dmesh.MeshTags() as tags, (int() | np.integer()) as value:
            if tags.dim == dimension:
                found = tags.find(int(value))
            else:
                wrong = f"its MeshTags are of entities of dimension {tags.dim}, not {dimension}"
        case _ if callable(mark):
            found = locate(mesh, dimension, mark)
        case _:
            found, wrong = _numbers(mark)
    count = mesh.topology.index_map(dimension)
    if len(found) and not 0 <= found.min() <= found.max() < count.size_local + count.num_ghosts:
        wrong = f"the mesh has {count.size_local + count.num_ghosts} entities of dimension {dimension} here, from 0"
    # what is wrong on one rank must be known to all
    if told := next(filter(None, mesh.comm.allgather(wrong)), ""):
        raise ValueError(f'"{name}": {told}')
    if mesh.comm.allreduce(len(found)) == 0:
        raise ValueError(f'"{name}" marks nothing in the mesh')
    return np.unique(found).astype(np.int32)


def _numbers(mark: Any) -> tuple[np.ndarray, str]:
    """Return local numbers of entities, and what is wrong if they are none."""
    found = np.asarray(mark)
    if found.ndim == 1 and (found.dtype.kind in "iu" or not found.size):
        return found.astype(np.int64), ""
    return np.empty(0, dtype=np.int64), (
        f"marks are numbers in a list, MeshTags with a value, or a function of coordinates, not {type(mark).__name__}"
    )
