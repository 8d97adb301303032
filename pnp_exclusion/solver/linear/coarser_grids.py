"""Interpolation from grids of every second node, for the multigrid of a field on an interval, rectangle or box.

Only those axes are coarsened along which nodes are closest: what couples most strongly is what a smoother deals with,
so cells as long as they please cost no more steps than cubes (semicoarsening; Mulder, "A new multigrid approach to
convection problems", J. Comput. Phys. 83, 303 (1989)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np

from pnp_exclusion.mesh.domain import Grid, every_second
from pnp_exclusion.solver.assembly.rows import values_at

COARSEST = 500
"""Unknowns of a grid that is not coarsened any further."""
COARSEST_WITH_JUMPS = 5000
"""Unknowns of a grid that is not coarsened across jumps of the mobilities: fast for an elimination."""
EQUALLY_CLOSE = 2.0
"""Nodes along an axis at most this much further from each other than along another are thinned out with those."""
MOST_KEPT = 0.75
"""Part of the nodes along an axis that a coarser grid keeps at most."""


def grid_interpolations(comm: MPI.Comm, grid: Grid, own: np.ndarray, held: np.ndarray) -> list[PETSc.Mat]:
    """Return the interpolation from every coarser grid to the next finer one, the coarsest first; collective.

    own
        Number of the node of every unknown that this rank has of the finest grid; the first axis runs fastest.
    held
        Whether it is held: nothing is interpolated to it, and coarser grids have no unknown there.

    Weights are those of functions that are linear along every axis.
    """
    matrices: list[PETSc.Mat] = []
    fine = _Unknowns(comm, grid, own, ~held)
    while (count := fine.count_free()) > COARSEST or not matrices:
        coarser = _coarser(fine, keeps_jumps=bool(matrices) and count <= COARSEST_WITH_JUMPS)
        if coarser is None:
            break
        coarse, kept = coarser
        matrices.insert(0, _interpolation(fine, coarse, kept))
        fine = coarse
    return matrices


def _coarser(fine: _Unknowns, *, keeps_jumps: bool) -> tuple[_Unknowns, list[np.ndarray]] | None:
    """Return the next coarser grid's unknowns and which nodes along each axis it has; None if there is none.

    An axis along which this would leave only what is held, between two electrodes, is left as it is; with
    ``keeps_jumps`` also one of which hardly more than breakpoints are left, where mobilities jump.
    """
    axes = fine.grid.nodes
    # of a graded axis most nodes count: a few cells in a layer are not worth a level
    spacings = np.array([np.median(np.diff(axis)) if len(axis) > 1 else math.inf for axis in axes])
    while np.isfinite(spacings).any():
        thinned = spacings <= EQUALLY_CLOSE * spacings.min()
        kept = [
            _thinned(axis, breakpoints, keeps_jumps) if chosen else np.arange(len(axis))
            for axis, breakpoints, chosen in zip(axes, fine.grid.breakpoints, thinned, strict=True)
        ]
        coarse = fine.coarsened(kept)
        if coarse.shape != fine.shape and coarse.count_free() > 0:
            return coarse, kept
        spacings[thinned] = math.inf
    return None


def _thinned(axis: np.ndarray, breakpoints: Sequence[float], keeps_jumps: bool) -> np.ndarray:
    """Return every second node between breakpoints, if that leaves out enough; else of all, or none with keeps_jumps.

    Of two nodes the first stands for both.
    """
    if len(axis) == 2:
        return np.array([0])
    kept = every_second(axis, breakpoints)
    if len(kept) <= MOST_KEPT * len(axis):
        return kept
    return np.arange(len(axis)) if keeps_jumps else every_second(axis, ())


@dataclass(frozen=True)
class _Unknowns:
    """Unknowns at nodes of a grid, numbered rank after rank; each rank's own ones.

    free
        Whether something is to be interpolated to them.
    """

    comm: MPI.Comm
    grid: Grid
    own: np.ndarray
    free: np.ndarray

    def count_free(self) -> int:
        """Return the number of unknowns that are free, over all ranks; collective."""
        return int(self.comm.allreduce(np.count_nonzero(self.free)))

    def find_first(self) -> int:
        """Return the number of this rank's first unknown; collective."""
        return sum(self.comm.allgather(len(self.own))[: self.comm.rank])

    @property
    def shape(self) -> list[int]:
        """Number of nodes along each axis."""
        return [len(axis) for axis in self.grid.nodes]

    def coarsened(self, kept: Sequence[np.ndarray]) -> _Unknowns:
        """Return those of the free unknowns that are at kept nodes of a coarser grid."""
        coarse = []
        chosen = self.free.copy()
        for axis, (index, some) in enumerate(zip(self.along, kept, strict=True)):
            number = np.full(self.shape[axis], -1)
            number[some] = np.arange(len(some))
            coarse.append(number[index])
            chosen &= coarse[-1] >= 0
        shape = [len(some) for some in kept]
        own = np.ravel_multi_index([index[chosen] for index in coarse], shape, order="F")
        nodes = [axis[some] for axis, some in zip(self.grid.nodes, kept, strict=True)]
        return _Unknowns(self.comm, replace(self.grid, nodes=nodes), own, np.ones(len(own), dtype=bool))

    @cached_property
    def along(self) -> tuple[np.ndarray, ...]:
        """Number of the node of every unknown along each axis."""
        return np.unravel_index(self.own, self.shape, order="F")

    def numbered_at(self, nodes: np.ndarray) -> np.ndarray:
        """Return the numbers of the unknowns at some nodes, negative where there is none; collective."""
        directory = PETSc.Vec().createMPI(self.grid.size, comm=self.comm)
        directory.set(-1.0)
        directory.setValues(self.own.astype(PETSc.IntType), self.find_first() + np.arange(len(self.own), dtype=float))
        directory.assemble()
        found = values_at(directory, nodes.astype(PETSc.IntType))
        directory.destroy()
        return found.astype(PETSc.IntType)


def _interpolation(fine: _Unknowns, coarse: _Unknowns, kept: Sequence[np.ndarray]) -> PETSc.Mat:
    below, shares = [], []
    for axis, index, some in zip(fine.grid.nodes, fine.along, kept, strict=True):
        position = np.interp(axis, axis[some], np.arange(len(some)))
        lower = np.floor(position).astype(np.int64)
        below.append(lower[index][fine.free])
        shares.append((position - lower)[index][fine.free])
    row = fine.find_first() + np.flatnonzero(fine.free)
    rows, corners, weights = [], [], []
    # along an axis that is as fine as before a node has itself
    for corner in product(*((0, 1) if share.any() else (0,) for share in shares)):
        weight = np.prod([share if up else 1.0 - share for up, share in zip(corner, shares, strict=True)], axis=0)
        some = np.flatnonzero(weight)
        node = [index[some] + up for index, up in zip(below, corner, strict=True)]
        rows.append(row[some])
        corners.append(coarse.grid.numbered(node))
        weights.append(weight[some])
    # entries in columns with negative numbers are not taken
    column = coarse.numbered_at(np.concatenate(corners))
    matrix = PETSc.Mat().create(comm=fine.comm)
    matrix.setSizes(((len(fine.own), None), (len(coarse.own), None)))
    matrix.setType(PETSc.Mat.Type.AIJ)
    matrix.setPreallocationCOO(np.concatenate(rows).astype(PETSc.IntType), column)
    matrix.setValuesCOO(np.concatenate(weights))
    return matrix
