"""Interpolation from grids of every second node, for the multigrid of a field on an interval, rectangle or box.

Only those axes are coarsened along which nodes are closest: what couples most strongly is what a smoother deals with,
so cells as long as they please cost no more steps than cubes (semicoarsening; Mulder, "A new multigrid approach to
convection problems", J. Comput. Phys. 83, 303 (1989)).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np

from pnp_exclusion.solver.rows import values_at

COARSEST = 500
"""Unknowns of a grid that is not coarsened any further."""
EQUALLY_CLOSE = 2.0
"""Nodes along an axis at most this much further from each other than along another are thinned out with those."""


def grid_interpolations(
    comm: MPI.Comm, nodes: Sequence[np.ndarray], own: np.ndarray, held: np.ndarray
) -> list[PETSc.Mat]:
    """Return the interpolation from every coarser grid to the next finer one, the coarsest first; collective.

    nodes
        Along each axis, ascending.
    own
        Number of the node of every unknown that this rank has of the finest grid; the first axis runs fastest.
    held
        Whether it is held: nothing is interpolated to it, and coarser grids have no unknown there.

    Weights are those of functions that are linear along every axis.
    """
    matrices: list[PETSc.Mat] = []
    fine = _Unknowns(comm, nodes, own, ~held)
    while not matrices or fine.count > COARSEST:
        kept = _kept(fine.nodes)
        coarse = None if kept is None else fine.coarsened(kept)
        if kept is None or coarse is None or coarse.count == 0:
            break
        matrices.insert(0, _interpolation(fine, coarse, kept))
        fine = coarse
    return matrices


def _kept(nodes: Sequence[np.ndarray]) -> list[np.ndarray] | None:
    """Return which nodes along each axis a coarser grid has; None if there is none."""
    spacings = [np.median(np.diff(axis)) if len(axis) > 1 else math.inf for axis in nodes]
    least = min(spacings)
    if least == math.inf:
        return None
    return [
        _every_second(len(axis)) if spacing <= EQUALLY_CLOSE * least else np.arange(len(axis))
        for axis, spacing in zip(nodes, spacings, strict=True)
    ]


def _every_second(count: int) -> np.ndarray:
    """Return every second of so many nodes and the last; of two the first, to stand for both."""
    return np.array([0]) if count == 2 else np.union1d(np.arange(0, count, 2), [count - 1])


@dataclass(frozen=True)
class _Unknowns:
    """Unknowns at nodes of a grid, numbered rank after rank; each rank's own ones.

    free
        Whether something is to be interpolated to them.
    """

    comm: MPI.Comm
    nodes: Sequence[np.ndarray]
    own: np.ndarray
    free: np.ndarray

    @property
    def count(self) -> int:
        """Number of unknowns that are free, over all ranks."""
        return int(self.comm.allreduce(np.count_nonzero(self.free)))

    @property
    def first(self) -> int:
        """Number of this rank's first unknown."""
        return sum(self.comm.allgather(len(self.own))[: self.comm.rank])

    @property
    def shape(self) -> list[int]:
        """Number of nodes along each axis."""
        return [len(axis) for axis in self.nodes]

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
        nodes = [axis[some] for axis, some in zip(self.nodes, kept, strict=True)]
        return _Unknowns(self.comm, nodes, own, np.ones(len(own), dtype=bool))

    @property
    def along(self) -> tuple[np.ndarray, ...]:
        """Number of the node of every unknown along each axis."""
        return np.unravel_index(self.own, self.shape, order="F")

    def numbered_at(self, nodes: np.ndarray) -> np.ndarray:
        """Return the numbers of the unknowns at some nodes, negative where there is none; collective."""
        directory = PETSc.Vec().createMPI(math.prod(self.shape), comm=self.comm)
        directory.set(-1.0)
        directory.setValues(self.own.astype(PETSc.IntType), self.first + np.arange(len(self.own), dtype=float))
        directory.assemble()
        found = values_at(directory, nodes.astype(PETSc.IntType))
        directory.destroy()
        return found.astype(PETSc.IntType)


def _interpolation(fine: _Unknowns, coarse: _Unknowns, kept: Sequence[np.ndarray]) -> PETSc.Mat:
    below, shares = [], []
    for axis, index, some in zip(fine.nodes, fine.along, kept, strict=True):
        position = np.interp(axis, axis[some], np.arange(len(some)))
        lower = np.floor(position).astype(np.int64)
        below.append(lower[index][fine.free])
        shares.append((position - lower)[index][fine.free])
    strides = np.cumprod([1, *coarse.shape[:-1]])
    row = fine.first + np.flatnonzero(fine.free)
    rows, corners, weights = [], [], []
    for corner in product((0, 1), repeat=len(below)):
        weight = np.prod([share if up else 1.0 - share for up, share in zip(corner, shares, strict=True)], axis=0)
        some = np.flatnonzero(weight)
        node = sum(stride * (index[some] + up) for stride, index, up in zip(strides, below, corner, strict=True))
        rows.append(row[some])
        corners.append(np.asarray(node))
        weights.append(weight[some])
    # entries in columns with negative numbers are not taken
    column = coarse.numbered_at(np.concatenate(corners))
    matrix = PETSc.Mat().create(comm=fine.comm)
    matrix.setSizes(((len(fine.own), None), (len(coarse.own), None)))
    matrix.setType(PETSc.Mat.Type.AIJ)
    matrix.setPreallocationCOO(np.concatenate(rows).astype(PETSc.IntType), column)
    matrix.setValuesCOO(np.concatenate(weights))
    return matrix
