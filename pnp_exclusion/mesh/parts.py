"""The connected parts of a mesh: cells hang together where they share facets."""

from __future__ import annotations

from dataclasses import dataclass

from mpi4py import MPI

import numpy as np
from dolfinx import la
from dolfinx import mesh as dmesh


@dataclass(frozen=True)
class Parts:
    """The connected parts of a mesh over all ranks.

    count
        How many there are.
    of_cells
        The number of the part of every local cell (owned and ghost); negative for cells that are in none.
    """

    count: int
    of_cells: np.ndarray


def original_cells(mesh: dmesh.Mesh) -> np.ndarray:
    """Return where the local cells (owned and ghost) were in what the mesh was made from, on any number of ranks alike.

    A mesh that was made from another one (`dolfinx.mesh.create_submesh`) does not know, and goes by its own numbers.
    """
    try:
        found: np.ndarray = mesh.topology.original_cell_index
    except RuntimeError:
        cells = mesh.topology.index_map(mesh.topology.dim)
        found = cells.local_to_global(np.arange(cells.size_local + cells.num_ghosts, dtype=np.int32))
    return found


def connected_parts(mesh: dmesh.Mesh, chosen: np.ndarray | None = None) -> Parts:
    """Return the parts of a mesh; collective. What travels is one number for every facet between ranks.

    chosen
        Whether a local cell (owned and ghost) is in any; all are if not given.
    """
    # not for every run: it takes longer to import than a case in one dimension to solve, and only mesh files come here,
    # and regions that some species do not enter
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    topology, dimension, comm = mesh.topology, mesh.topology.dim, mesh.comm
    topology.create_connectivity(dimension, dimension - 1)
    facets_of_cells = topology.connectivity(dimension, dimension - 1)
    inside = np.ones(facets_of_cells.num_nodes, dtype=bool) if chosen is None else chosen
    cells = np.repeat(np.arange(facets_of_cells.num_nodes), np.diff(facets_of_cells.offsets))
    joins = inside[cells]
    facet_map = topology.index_map(dimension - 1)
    facets = facet_map.size_local + facet_map.num_ghosts
    size = facets_of_cells.num_nodes + facets
    links = coo_array(
        (
            np.ones(joins.sum(), dtype=np.int8),
            (cells[joins], facets_of_cells.num_nodes + facets_of_cells.array[joins]),
        ),
        shape=(size, size),
    )
    count, labels = connected_components(links, directed=False)
    # numbers that differ on every rank, then those that a facet has on two ranks are one
    counts = comm.allgather(count)
    labels = labels.astype(np.int64) + sum(counts[: comm.rank])
    of_facets = la.vector(facet_map, 1, np.int64)
    of_facets.array[:] = labels[facets_of_cells.num_nodes :]
    of_facets.scatter_forward()
    here = np.column_stack([labels[facets_of_cells.num_nodes :], of_facets.array])
    same = np.concatenate(comm.allgather(np.unique(here[here[:, 0] != here[:, 1]], axis=0)))
    ones = np.ones(len(same), dtype=np.int8)
    joined = coo_array((ones, (same[:, 0], same[:, 1])), shape=(sum(counts), sum(counts)))
    number, renumbered = connected_components(joined, directed=False)
    parts = renumbered[labels[: facets_of_cells.num_nodes]]
    # in the order of their first cells in the file, on any number of ranks; facets of no such cell are parts of nothing
    never = np.iinfo(np.int64).max
    first = np.full(number, never)
    np.minimum.at(first, parts[inside], original_cells(mesh)[inside])
    comm.Allreduce(MPI.IN_PLACE, first, op=MPI.MIN)
    return Parts(int((first < never).sum()), np.where(inside, first.argsort().argsort()[parts], -1))
