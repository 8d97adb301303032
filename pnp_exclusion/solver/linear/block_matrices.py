"""The matrices that a multiplicative fieldsplit works with: every field's own, and its couplings to those before it.

PETSc would search all rows of a field for every one of them, and copy these rows whole where only the columns of the
fields before are needed: 13 % of a solve at 4e4 unknowns in 2D, 20 to 35 % in 3D.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np

from pnp_exclusion.runtime.parallel import end_all_ranks
from pnp_exclusion.solver.assembly.rows import RankRows, Rows, matrix_of_rows, rows_of


class FieldMatrices:
    """A matrix for preconditioners only, of which PETSc's fieldsplit takes the parts that it needs.

    matrix
        Of several fields, those of a node next to each other, each coupled to each; filled before a part is taken.
    whole
        Whether a field is coupled to all others, or to those before it only.

    Which fields are coupled is decided when the parts are made.
    """

    def __init__(self, matrix: PETSc.Mat, fields: int, whole: bool) -> None:
        self._matrix, self._fields, self._whole = matrix, fields, whole
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
        expected: list[tuple[int, int | None]] = [(field, field) for field in fields]
        if not self._whole:
            expected += [(1, 0)] if self._fields == 2 else [(field, None) for field in fields]
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
            self._make_parts([key])
            part = self._parts[key]
            if part.filled < self._changes:
                part.fill(rows_of(self._matrix))
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

    def _make_parts(self, wanted: Sequence[tuple[int, int | None]]) -> None:
        """Make the parts that there are not yet."""
        missing = [key for key in wanted if key not in self._parts]
        if missing:
            rows = rows_of(self._matrix)
            pairs = [
                _Pairs.of(rows.own, self._fields),
                _Pairs.of(rows.beside, self._fields, rows.columns_beside[:: self._fields] // self._fields),
            ]
            for key in missing:
                self._parts[key] = self._part(*key, pairs, rows)

    def _part(self, field: int, other: int | None, pairs: Sequence[_Pairs], rows: RankRows) -> _Part:
        if other is not None:
            return _Part(self._matrix, pairs, field, [other], width=1)
        others = [other for other in range(self._fields) if self._whole or other < field]
        coupled = [other for other in others if self._are_coupled(field, other, pairs, rows)]
        return _Part(self._matrix, pairs, field, coupled, width=self._fields)

    def _are_coupled(self, field: int, other: int, pairs: Sequence[_Pairs], rows: RankRows) -> bool:
        """Whether any entry between two fields is not zero; collective."""
        here = any(among.values.take(p.places(field, other)).any() for p, among in zip(pairs, rows.parts, strict=True))
        return bool(self._matrix.comm.tompi4py().allreduce(here, op=MPI.LOR))


@dataclass(frozen=True)
class _Pairs:
    """Pairs of nodes that some rows of a matrix couple, row after row."""

    offsets: np.ndarray
    """The pairs of node ``r`` of this rank begin at ``offsets[r]``."""
    number: np.ndarray
    """Of the second node: on this rank if it is one of its own, over all ranks if it is not."""
    first: np.ndarray
    """Place of the first entry of every pair in the rows."""
    stride: np.ndarray
    """How much further the same entry of the next field's row is."""

    @staticmethod
    def of(rows: Rows, fields: int, numbers: np.ndarray | None = None) -> _Pairs:
        """Find them in rows of several fields.

        numbers
            Of the nodes of the columns over all ranks, if these are not the rank's own.
        """
        offsets = rows.offsets[::fields].astype(np.int64) // fields**2
        counts = np.diff(offsets)
        first = np.repeat(fields * (fields - 1) * offsets[:-1], counts)
        first += np.arange(0, fields * offsets[-1], fields)
        number = rows.columns.take(first) // fields
        return _Pairs(
            offsets, number if numbers is None else numbers.take(number), first, np.repeat(fields * counts, counts)
        )

    def places(self, field: int, other: int) -> np.ndarray:
        """Return where the couplings of one field to another are among the values."""
        places: np.ndarray = field * self.stride
        places += self.first
        places += other
        return places


class _Part:
    """The rows of one field in the columns of some fields.

    width
        1 if the matrix has a column for every node, the number of fields if it has one for every unknown.
    """

    def __init__(
        self, whole: PETSc.Mat, pairs: Sequence[_Pairs], field: int, others: Sequence[int], width: int
    ) -> None:
        self.filled = -1
        self._taken = [_together([part.places(field, other) for other in others]) for part in pairs]
        self._rows: list[Rows] = []
        for part, places in zip(pairs, self._taken, strict=True):
            offsets = (len(others) * part.offsets).astype(PETSc.IntType)
            columns = _together([part.number if width == 1 else width * part.number + other for other in others])
            self._rows.append(Rows(offsets, columns.astype(PETSc.IntType, copy=False), np.zeros(len(places))))
        (own, over_all), fields = whole.getSizes()[0], whole.getBlockSize()
        rows = own // fields, over_all // fields
        self.matrix = matrix_of_rows(whole.comm.tompi4py(), (rows, (width * rows[0], width * rows[1])), *self._rows)

    def fill(self, rows: RankRows) -> None:
        """Copy the values; collective."""
        # the arrays that the matrix works on
        for among, places, copied in zip(rows.parts, self._taken, self._rows, strict=True):
            np.take(among.values, places, out=copied.values, mode="clip")
        self.matrix.assemble()
        # assembling alone does not count as a change
        self.matrix.stateIncrease()


def _together(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return the first entries of all arrays, then the second ones, and so on."""
    if not arrays:
        return np.empty(0, dtype=PETSc.IntType)
    return arrays[0] if len(arrays) == 1 else np.column_stack(arrays).ravel()
