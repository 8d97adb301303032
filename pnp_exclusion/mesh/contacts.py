"""Which boundaries meet: share a corner in the plane, an edge in space."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from mpi4py import MPI

import numpy as np
from dolfinx import la
from dolfinx import mesh as dmesh

from pnp_exclusion.mesh.domain import Domain


def meeting_boundaries(domain: Domain, names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of the named boundaries that meet, in the order of the names; collective.

    The facets on either side of a corner or edge may belong to different ranks. Surfaces in space that touch in single
    points do not meet: what flows from one to the other there is bounded.
    """
    if domain.dimension == 1:
        return []
    topology, shared = domain.mesh.topology, domain.dimension - 2
    topology.create_entities(shared)
    topology.create_connectivity(domain.dimension - 1, shared)
    held = la.vector(topology.index_map(shared), len(names))
    marks = held.array.reshape(-1, len(names))
    marks[:] = 0.0
    for column, name in enumerate(names):
        facets = domain.boundary_facets[name].astype(np.int32)
        marks[dmesh.compute_incident_entities(topology, facets, domain.dimension - 1, shared), column] = 1.0
    held.scatter_reverse(la.InsertMode.add)
    owned = marks[: topology.index_map(shared).size_local] > 0.0
    together = domain.comm.allreduce(owned.T.astype(int) @ owned.astype(int), op=MPI.SUM)
    return [(names[i], names[j]) for i, j in combinations(range(len(names)), 2) if together[i, j]]
