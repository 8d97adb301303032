"""Arrays over nodes and cells on rank 0, in an order that any other number of ranks can find its way in.

Cells are in an order that does not depend on ranks (DOLFINx' ``original_cell_index``). Nodes go by the cells that they
are nodes of, and within a cell by where they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mpi4py import MPI

import numpy as np

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.mesh.arrays import cell_order
from pnp_exclusion.mesh.periodic import unfolded
from pnp_exclusion.runtime.parallel import largest_over_ranks

NODES, CELL_NODES = "nodes", "cell_nodes"
"""Names of the arrays by which places are found: coordinates, and which nodes every cell has."""


def gathered(
    discrete: Discretisation, nodal: Mapping[str, np.ndarray], cellwise: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return arrays of all ranks together on rank 0, with those that say where their nodes are; nothing on the others.

    nodal
        Unknowns of this rank, ``(.., owned)`` or with ghosts behind; they come back as ``(.., nodes, unknowns)``.
    cellwise
        One value for each owned cell of this rank.

    Collective.
    """
    space, nodes = discrete.space, discrete.space.dofmap.index_map
    cells = space.dofmap.list[: len(discrete.integration.is_steep)]
    size = discrete.layout.size
    unknowns = {
        name: array[..., : nodes.size_local * size].reshape(*array.shape[:-1], nodes.size_local, size)
        for name, array in nodal.items()
    }
    coordinates = space.tabulate_dof_coordinates()[: nodes.size_local, : discrete.problem.domain.dimension]
    numbers = nodes.local_to_global(cells.ravel()).reshape(cells.shape)
    order = cell_order(discrete.problem.domain)
    parts = discrete.problem.domain.comm.gather((unknowns, coordinates, numbers, dict(cellwise)), root=0)
    if parts is None or order is None:
        return {}
    found = {name: np.concatenate([part[0][name] for part in parts], axis=-2) for name in unknowns}
    found |= {name: np.concatenate([part[3][name] for part in parts])[order] for name in cellwise}
    return found | {
        NODES: np.concatenate([part[1] for part in parts]),
        CELL_NODES: np.concatenate([part[2] for part in parts])[order],
    }


@dataclass(frozen=True, eq=False)
class Places:
    """Where the nodes and cells of every rank are in arrays that rank 0 holds.

    nodes, cells
        By rank the rows of its nodes, owned and ghost, and of its owned cells; None on other ranks than 0.
    apart
        How far a node is at most from where the arrays have it, relative to its cell.
    """

    comm: MPI.Comm
    nodes: list[np.ndarray] | None
    cells: list[np.ndarray] | None
    apart: float

    def nodal(self, array: np.ndarray | None) -> np.ndarray:
        """Return what of an array ``(.., nodes, unknowns)`` on rank 0 is this rank's, ``(.., unknowns of all nodes)``,
        ghosts behind; collective."""
        parts = None
        if self.nodes is not None and array is not None:
            parts = [array[..., rows, :].reshape(*array.shape[:-2], -1) for rows in self.nodes]
        found: np.ndarray = self.comm.scatter(parts, root=0)
        return found

    def cellwise(self, array: np.ndarray | None) -> np.ndarray:
        """Return what of an array ``(cells,)`` on rank 0 is this rank's; collective."""
        parts = None
        if self.cells is not None and array is not None:
            parts = [array[rows] for rows in self.cells]
        found: np.ndarray = self.comm.scatter(parts, root=0)
        return found


def places_in(discrete: Discretisation, arrays: Mapping[str, np.ndarray]) -> Places:
    """Find the nodes and cells of a discretisation in arrays that rank 0 holds, as `gathered` made them; collective.

    The mesh must have as many cells, with as many nodes each; `Places.apart` tells whether it is the same one.
    """
    domain, space = discrete.problem.domain, discrete.space
    comm = domain.comm
    wanted = comm.gather(domain.mesh.topology.original_cell_index, root=0)
    parts = None
    if wanted is not None:
        of_cells = [arrays[CELL_NODES][cells] for cells in wanted]
        parts = [(numbers, arrays[NODES][numbers]) for numbers in of_cells]
    numbers, points = comm.scatter(parts, root=0)
    cells, (drawn, _) = space.dofmap.list, unfolded(space, domain.drawn)
    here = drawn.tabulate_dof_coordinates()[drawn.dofmap.list][:, :, : domain.dimension]
    points = domain.nearest_images(points, here)
    found = np.empty(space.dofmap.index_map.size_local + space.dofmap.index_map.num_ghosts, dtype=np.int64)
    rows, size = np.arange(len(cells)), np.ptp(points, axis=1).max(axis=1)
    farthest = 0.0
    for k in range(cells.shape[1]):
        apart = np.linalg.norm(points - here[:, k, None, :], axis=2)
        nearest = apart.argmin(axis=1)
        found[cells[:, k]] = numbers[rows, nearest]
        farthest = max(farthest, float((apart[rows, nearest] / size).max(initial=0.0)))
    owned = comm.gather(len(discrete.integration.is_steep), root=0)
    own_cells = None
    if wanted is not None and owned is not None:
        own_cells = [cells[:count] for cells, count in zip(wanted, owned, strict=True)]
    return Places(comm, comm.gather(found, root=0), own_cells, largest_over_ranks(comm, np.array([farthest])))
