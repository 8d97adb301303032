"""Matrices that work on arrays of ours, without copies; and the rows that a rank owns of any matrix, as arrays."""

from __future__ import annotations

from typing import NamedTuple

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np

ARRAYS = "arrays"
"""Attribute under which a matrix of ours keeps its `RankRows`."""


class Rows(NamedTuple):
    """The entries of row ``r`` begin at ``offsets[r]``; their columns ascend."""

    offsets: np.ndarray
    columns: np.ndarray
    values: np.ndarray


class RankRows(NamedTuple):
    """The rows of a rank in its own columns, numbered from 0 on, and in others, numbered by ``columns_beside``."""

    own: Rows
    beside: Rows
    columns_beside: np.ndarray
    """Of other ranks, those with entries here, ascending, counted over all ranks."""

    @property
    def parts(self) -> tuple[Rows, Rows]:
        """In own columns and in those of others."""
        return self.own, self.beside

    @staticmethod
    def counted(own: Rows, beside: Rows) -> RankRows:
        """Number the columns beside, which are counted over all ranks."""
        columns, numbers = np.unique(beside.columns, return_inverse=True)
        return RankRows(own, beside._replace(columns=numbers.astype(PETSc.IntType)), columns)


def matrix_of_rows(
    comm: MPI.Comm, sizes: tuple[tuple[int, int], tuple[int, int]], own: Rows, beside: Rows
) -> PETSc.Mat:
    """Return a matrix that works on these arrays as if they were its own; collective.

    sizes
        Of this rank and over all, of the rows and of the columns.
    own, beside
        The rows in own columns, numbered from 0 on, and in those of other ranks, counted over all ranks.

    Where the values change, the matrix must be assembled. `RuntimeError` if PETSc has copied the values.
    """
    for part in (own, beside):
        assert part.offsets.dtype == part.columns.dtype == PETSc.IntType, "PETSc takes them as they are"
        assert part.values.dtype == PETSc.ScalarType
    rows = RankRows.counted(own, beside)
    # PETSc numbers the columns beside in place
    several = tuple(own), tuple(beside._replace(columns=beside.columns.copy()))
    matrix = PETSc.Mat().createAIJWithArrays(sizes, several if comm.size > 1 else tuple(own), comm=comm)
    matrix.setAttr(ARRAYS, rows)
    _require_shared(matrix, own)
    return matrix


def rows_of(matrix: PETSc.Mat) -> RankRows:
    """Return a rank's rows: the arrays themselves of a matrix of `matrix_of_rows`, copies of any other."""
    shared: RankRows | None = matrix.getAttr(ARRAYS)
    if shared is not None:
        return shared
    offsets, columns, values = matrix.getValuesCSR()
    if matrix.comm.size == 1:
        nothing = Rows(np.zeros_like(offsets), columns[:0], values[:0])
        return RankRows.counted(Rows(offsets, columns, values), nothing)
    first, end = matrix.getOwnershipRangeColumn()
    is_own = (columns >= first) & (columns < end)
    own, beside = (
        Rows(np.concatenate([[0], np.cumsum(chosen)])[offsets], columns[chosen], values[chosen])
        for chosen in (is_own, ~is_own)
    )
    return RankRows.counted(own._replace(columns=own.columns - first), beside)


def values_at(vector: PETSc.Vec, rows: np.ndarray) -> np.ndarray:
    """Return the values of some rows, counted over all ranks; collective."""
    found = PETSc.Vec().createSeq(len(rows))
    chosen = PETSc.IS().createGeneral(rows, comm=PETSc.COMM_SELF)
    scatter = PETSc.Scatter().create(vector, chosen, found, None)
    scatter.scatter(vector, found)
    values: np.ndarray = found.array_r.copy()
    for thing in (found, chosen, scatter):
        thing.destroy()
    return values


def _require_shared(matrix: PETSc.Mat, own: Rows) -> None:
    """Look through PETSc at a value that is changed in the array: petsc4py promises not to copy."""
    if len(own.values) == 0:
        return
    row = np.searchsorted(own.offsets, 0, side="right") - 1
    before = own.values[0]
    own.values[0] = before + 1.0
    seen = matrix.getValue(matrix.getOwnershipRange()[0] + row, matrix.getOwnershipRangeColumn()[0] + own.columns[0])
    own.values[0] = before
    if seen == before:
        version = ".".join(map(str, PETSc.Sys.getVersion()))
        raise RuntimeError(f"PETSc {version} copies the arrays of a matrix (Mat.createAIJWithArrays)")
