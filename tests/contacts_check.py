"""Checks that boundaries are found to meet where the cells on either side of a corner belong to different ranks.

Run by ``test_meeting_boundaries.py`` on two ranks.
"""

from __future__ import annotations

from pnp_exclusion.runtime import fenicsx

fenicsx.initialise_petsc()

from mpi4py import MPI

import numpy as np
from dolfinx import mesh as dmesh
from dolfinx.graph import adjacencylist

from pnp_exclusion.mesh.contacts import meeting_boundaries
from pnp_exclusion.mesh.domain import Domain

comm = MPI.COMM_WORLD
SIDES = {"left": (0, 0.0), "right": (0, 1.0), "bottom": (1, 0.0), "top": (1, 1.0)}


def alternately(comm, ranks: int, types, cells):
    """Give every second triangle to every second rank, so that the two of a square are on two ranks."""
    owners = np.arange(len(np.asarray(cells[0])) // 3, dtype=np.int32) % ranks
    return adjacencylist(owners[:, None])._cpp_object


mesh = dmesh.create_rectangle(
    comm, [[0.0, 0.0], [1.0, 1.0]], [2, 2], partitioner=alternately, ghost_mode=dmesh.GhostMode.none
)
mesh.topology.create_connectivity(1, 2)
mesh.topology.create_connectivity(1, 0)
facets = {
    name: dmesh.locate_entities_boundary(mesh, 1, lambda x, axis=axis, at=at: np.isclose(x[axis], at))
    for name, (axis, at) in SIDES.items()
}
corners = [("left", "bottom"), ("left", "top"), ("right", "bottom"), ("right", "top")]
vertices = {name: set(dmesh.compute_incident_entities(mesh.topology, side, 1, 0)) for name, side in facets.items()}
here = [int(bool(vertices[first] & vertices[second])) for first, second in corners]
assert 0 in np.sum(comm.allgather(here), axis=0), "a corner of which no rank has both sides"
assert meeting_boundaries(Domain(mesh, facets, {}), list(SIDES)) == corners
