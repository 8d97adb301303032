"""Which boundaries meet: share a corner in the plane, an edge in space."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from mpi4py import MPI

import numpy as np
from dolfinx import la
from dolfinx import mesh as dmesh

from pnp_exclusion.mesh.domain import Domain


def meeting_boundaries(domain: Domain, names: Sequence[str], cells: np.ndarray | None = None) -> list[tuple[str, str]]:
    """Return the pairs of the named boundaries that meet, in the order of the names; collective.

    cells
        Whether every cell of this rank counts, ``(cells,)``: boundaries must meet at one of these. All do if absent.

    The facets on either side of a corner or edge may belong to different ranks. Surfaces in space that touch in single
    points do not meet: what flows from one to the other there is bounded.
    """
    if domain.dimension == 1 or len(names) < 2:
        return []
    pairs = _sharing(domain, names, 0, cells)
    if domain.dimension == 3 and pairs:
        # edges are numbered only where they are needed: there are many
        touching = {name for pair in pairs for name in pair}
        pairs = _sharing(domain, [name for name in names if name in touching], 1, cells)
    return pairs


def _sharing(domain: Domain, names: Sequence[str], dimension: int, cells: np.ndarray | None) -> list[tuple[str, str]]:
    """Return the pairs of boundaries that share vertices (dimension 0) or edges (1) of the mesh; collective."""
    topology, facets = domain.mesh.topology, domain.dimension - 1
    topology.create_entities(dimension)
    topology.create_connectivity(facets, dimension)
    held = la.vector(topology.index_map(dimension), len(names) + 1)
    marks = held.array.reshape(-1, len(names) + 1)
    marks[:] = 0.0
    for column, name in enumerate(names):
        of_boundary = domain.boundary_facets[name].astype(np.int32)
        marks[dmesh.compute_incident_entities(topology, of_boundary, facets, dimension), column] = 1.0
    if cells is None:
        marks[:, -1] = 1.0
    else:
        topology.create_connectivity(domain.dimension, dimension)
        counting = np.flatnonzero(cells).astype(np.int32)
        marks[dmesh.compute_incident_entities(topology, counting, domain.dimension, dimension), -1] = 1.0
    held.scatter_reverse(la.InsertMode.add)
    found = marks[: topology.index_map(dimension).size_local] > 0.0
    owned = (found[:, :-1] & found[:, -1:]).astype(int)
    together = domain.comm.allreduce(owned.T @ owned, op=MPI.SUM)
    return [(names[i], names[j]) for i, j in combinations(range(len(names)), 2) if together[i, j]]
