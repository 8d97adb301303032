"""The matrices that a fieldsplit works with: every field's own, and its couplings to the others.

On the grid of a rectangle or box the linear elements also couple nodes across the diagonals of its cells, weakly or not
at all. In a field's own matrix such couplings are added to the diagonal: half of all entries, whose products and
multigrid then cost half, for as many Krylov steps. A coupling counts as weak beside those along the axes only, which
bridge it: whatever is coupled stays coupled, on stretched cells and where mobilities jump, so the spectrum hardly
changes (as of a graph without an edge beside which there is a much better detour; Boman and Hendrickson, "Support
theory for preconditioning", SIAM J. Matrix Anal. Appl. 25, 694 (2003)).

And PETSc would copy the whole rows of every field, of which a multiplicative split needs the columns of the fields
before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np

from pnp_exclusion.mesh.domain import Grid
from pnp_exclusion.runtime.parallel import end_all_ranks
from pnp_exclusion.solver.assembly.rows import Rows, columns_beside, matrix_of_rows, rows_of, values_at

WEAK = 0.02
"""A coupling across a diagonal smaller than this times the least one along an axis, of both nodes, is weak."""
SLICE = 100_000
"""Entries that are looked at together."""


class FieldMatrices:
    """A matrix for preconditioners only, of which PETSc's fieldsplit takes the parts that it needs.

    matrix
        Of several fields, those of a node next to each other, each coupled to each; filled before a part is taken.
    whole
        Whether a field is coupled to all others, or to those before it only.
    grid
        And the numbers of this rank's own nodes in it; None if couplings across diagonals are to stay.

    Which couplings are weak, or zero between whole fields, is decided when the parts are made.
    """

    def __init__(self, matrix: PETSc.Mat, fields: int, whole: bool, grid: tuple[Grid, np.ndarray] | None) -> None:
        self._matrix, self._fields, self._whole, self._grid = matrix, fields, whole, grid
        self._parts: dict[tuple[int, int | None], _Part] = {}
        self._changes = 0
        self.operator = PETSc.Mat().createPython(matrix.getSizes(), self, comm=matrix.comm)

    def changed(self) -> None:
        """Say that the matrix has changed, so that what is set up from now on takes it as it is; collective.

        The parts are made here, where an error may be raised: one that passed through PETSc's set-up would leave a
        preconditioner half made, which ends the process with SIGSEGV when it is freed.
        """
        self._changes += 1
        fields = range(self._fields)
        expected: set[tuple[int, int | None]] = {(field, field) for field in fields}
        if not self._whole:
            expected |= {(1, 0)} if self._fields == 2 else {(field, None) for field in fields}
        self._make_parts(expected)
        self.operator.stateIncrease()

    def close(self) -> None:
        """Free PETSc's objects."""
        for part in self._parts.values():
            part.matrix.destroy()
        self._parts.clear()
        self.operator.destroy()

    # ---- called by PETSc, collective ----

    def createSubMatrix(self, _: PETSc.Mat, rows: PETSc.IS, columns: PETSc.IS, __: PETSc.Mat | None) -> PETSc.Mat:
        """Return a field's own matrix, or its couplings to another field or to all."""
        try:
            field = self._field(rows)
            assert field is not None
            key = field, self._field(columns)
            # of a kind of split that the user has chosen
            self._make_parts({key})
            part = self._parts[key]
            if part.filled < self._changes:
                with rows_of(self._matrix) as source:
                    part.fill(source)
                part.filled = self._changes
            return part.matrix
        except BaseException as error:
            end_all_ranks(self._matrix.comm.tompi4py(), error)
            raise

    def mult(self, _: PETSc.Mat, x: PETSc.Vec, y: PETSc.Vec) -> None:
        """Multiply with the whole matrix."""
        self._matrix.mult(x, y)

    def getDiagonal(self, _: PETSc.Mat, diagonal: PETSc.Vec) -> None:
        """Write the diagonal of the whole matrix."""
        self._matrix.getDiagonal(diagonal)

    # ----

    def _field(self, unknowns: PETSc.IS) -> int | None:
        """Return the number of a field; None for all of them."""
        _, first, step = unknowns.getStride()
        return first - self._matrix.getOwnershipRange()[0] if step == self._fields else None

    def _make_parts(self, wanted: set[tuple[int, int | None]]) -> None:
        """Make the parts that there are not yet."""
        missing = wanted - self._parts.keys()
        if missing:
            with rows_of(self._matrix) as source:
                pairs = _pairs(self._matrix, self._fields, source, self._grid)
                for key in sorted(missing, key=str):
                    self._parts[key] = self._part(*key, pairs, source)

    def _part(self, field: int, other: int | None, pairs: Sequence[_Pairs], source: Sequence[Rows]) -> _Part:
        if other is None:
            others = range(self._fields if self._whole else field)
            coupled = [other for other in others if self._are_coupled(field, other, pairs, source)]
            return _Part(self._matrix, pairs, field, coupled, width=self._fields)
        if other != field or self._grid is None:
            return _Part(self._matrix, pairs, field, [other])
        return _Part(self._matrix, pairs, field, [field], _weak(self._matrix, field, pairs, source))

    def _are_coupled(self, field: int, other: int, pairs: Sequence[_Pairs], source: Sequence[Rows]) -> bool:
        """Whether any entry between two fields is not zero; collective."""
        here = any(part.any_entry(field, other, rows.values) for part, rows in zip(pairs, source, strict=True))
        return bool(self._matrix.comm.tompi4py().allreduce(here, op=MPI.LOR))


@dataclass(frozen=True)
class _Pairs:
    """Pairs of nodes that some rows of a matrix couple, row after row."""

    offsets: np.ndarray
    """The pairs of node ``r`` of this rank begin at ``offsets[r]``."""
    row: np.ndarray
    """Number of the first node."""
    column: np.ndarray
    """Of the second, among those of these columns."""
    number: np.ndarray
    """Of the second, as PETSc counts them: on this rank if it is one of its own, over all ranks if it is not."""
    ones: np.ndarray
    """Which pairs are a node with itself."""
    first: np.ndarray
    """Place of the first entry of every pair in the rows."""
    stride: np.ndarray
    """How much further the same entry of the next field's row is."""
    along: np.ndarray | None
    """Whether the nodes are neighbours along an axis of a grid."""

    def places(self, field: int, other: int) -> np.ndarray:
        """Return where the couplings of one field to another are among the values."""
        places: np.ndarray = field * self.stride
        places += self.first
        places += other
        return places

    def any_entry(self, field: int, other: int, values: np.ndarray) -> bool:
        """Whether an entry between two fields is not zero."""
        places = self.places(field, other)
        return any(np.any(values[places[start : start + SLICE]]) for start in range(0, len(places), SLICE))


def _pairs(
    matrix: PETSc.Mat, fields: int, source: Sequence[Rows], grid: tuple[Grid, np.ndarray] | None
) -> list[_Pairs]:
    """Return the pairs of nodes of a rank's own columns and of others; collective."""
    beside = columns_beside(matrix)[::fields] // fields
    in_grid = None if grid is None else (grid[1], _of_others(matrix, beside, grid[1]))
    found = []
    for part, rows in enumerate(source):
        offsets = rows.offsets[::fields].astype(np.int64) // fields**2
        counts = np.diff(offsets)
        row = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        first = np.repeat(fields * (fields - 1) * offsets[:-1], counts)
        first += np.arange(0, fields * offsets[-1], fields)
        column = rows.columns.take(first)
        column //= fields
        number = beside.take(column) if part else column
        ones = np.empty(0, dtype=np.int64) if part else np.flatnonzero(column == row)
        along = None
        if grid is not None and in_grid is not None:
            apart = np.abs(in_grid[part].take(column) - np.repeat(in_grid[0], counts))
            along = np.logical_or.reduce([apart == stride for stride in grid[0].strides])
        stride = np.repeat(fields * counts, counts)
        found.append(_Pairs(offsets, row, column, number, ones, first, stride, along))
    return found


def _weak(matrix: PETSc.Mat, field: int, pairs: Sequence[_Pairs], source: Sequence[Rows]) -> list[np.ndarray]:
    """Return which pairs a field couples weakly; collective."""
    sizes = [np.abs(rows.values.take(part.places(field, field))) for part, rows in zip(pairs, source, strict=True)]
    least = np.full(len(pairs[0].offsets) - 1, np.inf)
    for part, size in zip(pairs, sizes, strict=True):
        assert part.along is not None
        # what is held couples to nothing
        bridges = np.where(part.along & (size > 0.0), size, np.inf)
        some = np.flatnonzero(np.diff(part.offsets))
        if len(some):
            least[some] = np.minimum(least[some], np.minimum.reduceat(bridges, part.offsets[some]))
    least[np.isinf(least)] = 0.0
    beside = columns_beside(matrix)[:: matrix.getBlockSize()] // matrix.getBlockSize()
    found = []
    for part, size, of_column in zip(pairs, sizes, (least, _of_others(matrix, beside, least)), strict=True):
        assert part.along is not None
        weak = size <= WEAK * np.minimum(least.take(part.row), of_column.take(part.column))
        weak &= ~part.along
        weak[part.ones] = False
        found.append(weak)
    return found


class _Part:
    """The rows of one field in the columns of some fields.

    weak
        Which pairs in own columns and in others not to take but to add to the diagonal; none if not given.
    width
        1 if the matrix has a column for every node, the number of fields if it has one for every unknown.
    """

    def __init__(
        self,
        whole: PETSc.Mat,
        pairs: Sequence[_Pairs],
        field: int,
        others: Sequence[int],
        weak: Sequence[np.ndarray] | None = None,
        width: int = 1,
    ) -> None:
        self.filled = -1
        self._taken: list[np.ndarray] = []
        self._dropped: list[tuple[np.ndarray, np.ndarray]] = []
        self._rows: list[Rows] = []
        for part, without in zip(pairs, weak or (None, None), strict=True):
            places = _together([part.places(field, other) for other in others])
            numbers = _together([part.number if width == 1 else width * part.number + other for other in others])
            counted = len(others) * np.diff(part.offsets)
            if without is not None:
                row = part.row[without]
                self._dropped.append((row, places[without]))
                kept = ~without
                places, numbers = places[kept], numbers[kept]
                counted -= np.bincount(row, minlength=len(counted))
            self._taken.append(places)
            offsets = np.concatenate([[0], np.cumsum(counted)]).astype(PETSc.IntType)
            # a copy in any case: PETSc numbers the columns in place, and other parts have the same ones
            self._rows.append(Rows(offsets, numbers.astype(PETSc.IntType), np.zeros(len(places))))
        self._diagonal = pairs[0].ones
        if weak:
            self._diagonal = self._diagonal - np.searchsorted(np.flatnonzero(weak[0]), self._diagonal)
        (own, over_all), fields = whole.getSizes()[0], whole.getBlockSize()
        rows = own // fields, over_all // fields
        self.matrix = matrix_of_rows(whole.comm.tompi4py(), (rows, (width * rows[0], width * rows[1])), *self._rows)

    def fill(self, source: Sequence[Rows]) -> None:
        """Copy the values; collective."""
        # the arrays that the matrix works on
        for rows, places, copied in zip(source, self._taken, self._rows, strict=True):
            np.take(rows.values, places, out=copied.values, mode="clip")
        for rows, (row, places) in zip(source, self._dropped, strict=False):
            added = np.bincount(row, rows.values.take(places), minlength=len(self._diagonal))
            self._rows[0].values[self._diagonal] += added
        self.matrix.assemble()
        # assembling alone does not count as a change
        self.matrix.stateIncrease()


def _together(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return the first entries of all arrays, then the second ones, and so on."""
    if not arrays:
        return np.empty(0, dtype=PETSc.IntType)
    return arrays[0] if len(arrays) == 1 else np.column_stack(arrays).ravel()


def _of_others(matrix: PETSc.Mat, numbers: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the values of nodes of other ranks, of which every rank gives those of its own; collective."""
    own = PETSc.Vec().createMPI((len(values), matrix.getSize()[0] // matrix.getBlockSize()), comm=matrix.comm)
    own.array_w[:] = values
    found = values_at(own, numbers).astype(values.dtype)
    own.destroy()
    return found
