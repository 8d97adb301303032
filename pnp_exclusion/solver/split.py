"""The matrices that a fieldsplit works with: every field's own, and its couplings to the others.

In a field's own matrix couplings of two nodes that are weak beside both diagonal entries are added to the diagonal, as
Vanek, Mandel and Brezina do for aggregation (Computing 56, 179 (1996), section 4): on a box of tetrahedra that is half
of all entries, whose products and multigrid then cost half, for as many Krylov steps. And PETSc would copy the whole
rows of every field, of which a multiplicative split needs the columns of the fields before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np

from pnp_exclusion.solver.rows import Rows, columns_beside, rows_of, sort_rows

WEAK = 0.003
"""A coupling of linear elements smaller than this times the geometric mean of both diagonal entries is weak."""
SLICE = 100_000
"""Entries that are looked at together."""


class FieldMatrices:
    """A matrix for preconditioners only, of which PETSc's fieldsplit takes the parts that it needs.

    matrix
        Of all fields, those of a node next to each other, each coupled to each; filled before a part is taken.
    whole
        Whether a field is coupled to all others, or to those before it only.
    weak
        Up to which size couplings within a field go to the diagonal, see `WEAK`; 0: none.

    Which couplings are weak, or zero between whole fields, is decided when a part is first taken.
    """

    def __init__(self, matrix: PETSc.Mat, fields: int, whole: bool, weak: float) -> None:
        self._matrix, self._fields, self._whole, self._weak = matrix, fields, whole, weak
        self._pairs: list[_Pairs] = []
        self._parts: dict[tuple[int | None, int | None], _Part] = {}
        self.operator = PETSc.Mat().createPython(matrix.getSizes(), self, comm=matrix.comm)

    def update(self) -> None:
        """Take the values of the matrix as they are now; collective."""
        # the first set-up of a preconditioner takes all parts
        self._pairs.clear()
        with rows_of(self._matrix) as source:
            for part in self._parts.values():
                part.fill(source)
        self.operator.stateIncrease()

    def close(self) -> None:
        """Free PETSc's objects."""
        for part in self._parts.values():
            part.matrix.destroy()
        self._parts.clear()
        self.operator.destroy()

    def createSubMatrix(self, _: PETSc.Mat, rows: PETSc.IS, columns: PETSc.IS, __: PETSc.Mat | None) -> PETSc.Mat:
        """Return a field's own matrix, or its couplings to another field or to all; called by PETSc, collective."""
        key = self._field(rows), self._field(columns)
        if key not in self._parts:
            with rows_of(self._matrix) as source:
                self._parts[key] = self._part(*key, source)
                self._parts[key].fill(source)
        return self._parts[key].matrix

    def _field(self, unknowns: PETSc.IS) -> int | None:
        """Return the number of a field; None for all of them."""
        _, first, step = unknowns.getStride()
        return first - self._matrix.getOwnershipRange()[0] if step == self._fields else None

    def _part(self, field: int | None, other: int | None, source: Sequence[Rows]) -> _Part:
        assert field is not None
        pairs = self._pairs = self._pairs or _pairs(self._matrix, self._fields, source, self._weak)
        if other is None:
            others = range(self._fields if self._whole else field)
            coupled = [other for other in others if self._are_coupled(field, other, source)]
            return _Part(self._matrix, pairs, field, coupled, width=self._fields)
        if other != field or self._weak == 0.0:
            return _Part(self._matrix, pairs, field, [other])
        weak = [part.weak(field, rows.values) for part, rows in zip(pairs, source, strict=True)]
        return _Part(self._matrix, pairs, field, [field], weak)

    def _are_coupled(self, field: int, other: int, source: Sequence[Rows]) -> bool:
        """Whether any entry between two fields is not zero; collective."""
        here = any(part.any_entry(field, other, rows.values) for part, rows in zip(self._pairs, source, strict=True))
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
    """Of the second, over all ranks."""
    ones: np.ndarray
    """Which pairs are a node with itself."""
    first: np.ndarray
    """Place of the first entry of every pair in the rows."""
    stride: np.ndarray
    """How much further the same entry of the next field's row is."""
    limits: tuple[np.ndarray, np.ndarray]
    """Up to where couplings are weak, ``(nodes, fields)``: factors for the first and the second node."""

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

    def weak(self, field: int, values: np.ndarray) -> np.ndarray:
        """Return whether a field couples a pair weakly to itself."""
        of_row, of_column = self.limits
        limits = of_row[:, field].take(self.row)
        limits *= of_column[:, field].take(self.column)
        weak: np.ndarray = np.abs(values.take(self.places(field, field))) <= limits
        weak[self.ones] = False
        return weak


def _pairs(matrix: PETSc.Mat, fields: int, source: Sequence[Rows], weak: float) -> list[_Pairs]:
    """Return the pairs of nodes of a rank's own columns and of others; collective."""
    beside, begin = columns_beside(matrix), matrix.getOwnershipRange()[0] // fields
    limits = [np.sqrt(weak * np.abs(d)).reshape(-1, fields) for d in _diagonal(matrix, beside)]
    numbers = np.arange(begin, begin + len(limits[0])), beside[::fields] // fields
    found = []
    for rows, limit, number_of in zip(source, limits, numbers, strict=True):
        offsets = rows.offsets[::fields].astype(np.int64) // fields**2
        counts = np.diff(offsets)
        row = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        first = np.repeat(fields * (fields - 1) * offsets[:-1], counts)
        first += np.arange(0, fields * offsets[-1], fields)
        column = rows.columns.take(first)
        column //= fields
        number = number_of.take(column)
        ones = np.flatnonzero(number - begin == row)
        stride = np.repeat(fields * counts, counts)
        found.append(_Pairs(offsets, row, column, number, ones, first, stride, (limits[0], limit)))
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
        self._taken: list[np.ndarray] = []
        self._dropped: list[tuple[np.ndarray, np.ndarray]] = []
        counts, columns = [], []
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
            columns.append(numbers)
            counts.append(counted)
        self._diagonal = pairs[0].ones
        if weak:
            self._diagonal = self._diagonal - np.searchsorted(np.flatnonzero(weak[0]), self._diagonal)
        self.matrix = _matrix_of_zeros(whole, width, counts, columns)

    def fill(self, source: Sequence[Rows]) -> None:
        """Copy the values; collective."""
        with rows_of(self.matrix) as target:
            for rows, places, copied in zip(source, self._taken, target, strict=True):
                np.take(rows.values, places, out=copied.values, mode="clip")
            for rows, (row, places) in zip(source, self._dropped, strict=False):
                added = np.bincount(row, rows.values.take(places), minlength=len(self._diagonal))
                target[0].values[self._diagonal] += added
        self.matrix.assemble()


def _together(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return the first entries of all arrays, then the second ones, and so on."""
    if not arrays:
        return np.empty(0, dtype=PETSc.IntType)
    return arrays[0] if len(arrays) == 1 else np.column_stack(arrays).ravel()


def _matrix_of_zeros(like: PETSc.Mat, width: int, counts: list[np.ndarray], columns: list[np.ndarray]) -> PETSc.Mat:
    """Return a matrix with so many places in each row, at columns over all ranks, those of this one first."""
    offsets = np.concatenate([[0], np.cumsum(counts[0] + counts[1])])
    column = columns[0].astype(PETSc.IntType, copy=False)
    if len(columns[1]):
        column = np.empty(offsets[-1], dtype=PETSc.IntType)
        for start, count, some in zip((offsets[:-1], offsets[:-1] + counts[0]), counts, columns, strict=True):
            column[np.repeat(start - np.cumsum(count) + count, count) + np.arange(len(some))] = some
        sort_rows(column, offsets, counts[1] > 0)
    (own, over_all), fields = like.getSizes()[0], like.getBlockSize()
    rows = own // fields, over_all // fields
    sizes = rows, (width * rows[0], width * rows[1])
    csr = offsets.astype(PETSc.IntType), column, np.zeros(len(column))
    return PETSc.Mat().createAIJWithArrays(sizes, csr, comm=like.comm)


def _diagonal(matrix: PETSc.Mat, beside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the diagonal entries of a rank's rows, and those in columns of others; collective."""
    own, others = matrix.getDiagonal(), PETSc.Vec().createSeq(len(beside))
    chosen = PETSc.IS().createGeneral(beside, comm=PETSc.COMM_SELF)
    scatter = PETSc.Scatter().create(own, chosen, others, None)
    scatter.scatter(own, others)
    found = own.array_r.copy(), others.array_r.copy()
    for thing in (own, others, chosen, scatter):
        thing.destroy()
    return found
