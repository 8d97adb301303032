"""The Jacobian's matrix with all its places, and where among them the blocks of every cell are.

A block is what belongs to a pair of nodes. A rank fills three parts: its own rows' own columns, its own rows' other
columns, and rows of other ranks, which are sent there. See ``cells.c``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
from dolfinx import fem, la

from pnp_exclusion.solver.assembly.rows import Rows, matrix_of_rows, rows_of
from pnp_exclusion.solver.assembly.vectorise import NoKernel

LARGEST_SLOT = int(np.iinfo(np.uint16).max)


@dataclass(frozen=True)
class Blocks:
    """One part: the blocks of row ``r`` have the columns ``columns[offsets[r] : offsets[r + 1]]``, ascending."""

    offsets: np.ndarray
    columns: np.ndarray

    @staticmethod
    def chosen(rows: int, of_row: np.ndarray, columns: np.ndarray) -> Blocks:
        """Make one of the rows and columns of all its blocks."""
        counts = np.bincount(of_row, minlength=rows)
        return Blocks(np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), columns.astype(np.int32))


class Places:
    """The matrix of a form over nodes with several unknowns each; its places never change. Made collectively.

    Raises `NoKernel` on every rank where a node has too many neighbours.
    """

    def __init__(self, form: fem.Form, dofmap: fem.DofMap, kernel: ctypes.CDLL) -> None:
        self._block, self._kernel = dofmap.index_map_bs, kernel
        self._owned = dofmap.index_map.size_local
        offsets, columns, self._sent = _pattern(form)
        comm, first = dofmap.index_map.comm, dofmap.index_map.local_range[0]
        if comm.allreduce(int(np.diff(offsets).max(initial=0)), op=MPI.MAX) > LARGEST_SLOT:
            raise NoKernel(f"a node has more than {LARGEST_SLOT} neighbours")
        rows, own = _rows(offsets), (columns >= first) & (columns < first + self._owned)
        self._own = Blocks.chosen(self._owned, rows[own], columns[own] - first)
        others, numbers = np.unique(columns[~own], return_inverse=True)
        self._beside = Blocks.chosen(self._owned, rows[~own], numbers)
        self._number_beside = np.searchsorted(others, dofmap.index_map.ghosts).astype(np.int32)
        self._diagonal = self._diagonal_places(np.flatnonzero(self._own.columns == rows[own]))
        self._entries_sent = self._entries(self._sent.offsets, self._sent.columns)
        self._rows_sent = np.arange(len(self._entries_sent[0]) - 1, dtype=PETSc.IntType) + self._block * self._owned
        self.matrix = self._new_matrix(dofmap.index_map, others)

    @property
    def offsets(self) -> Any:
        """Of the rows of the three parts, as C takes them."""
        return _pointers([part.offsets for part in self._parts])

    @property
    def _parts(self) -> tuple[Blocks, Blocks, Blocks]:
        return self._own, self._beside, self._sent

    def slots(self, nodes: np.ndarray) -> np.ndarray:
        """Return the number of every block of every cell in its row, ``(cells, nodes, nodes)``.

        nodes
            ``(cells, nodes)``, the numbers of nodes on this rank.
        """
        slots = np.zeros((*nodes.shape, nodes.shape[1]), dtype=np.uint16)
        self._kernel.find_slots(
            ctypes.c_int(len(nodes)),
            address(nodes),
            ctypes.c_int(self._owned),
            self.offsets,
            _pointers([part.columns for part in self._parts]),
            address(self._number_beside),
            address(slots),
        )
        return slots

    def add(self, add: Callable[[Any], None], held: np.ndarray) -> None:
        """Let a function add to the values, and assemble the matrix; collective.

        add
            Called with the addresses of the values of the three parts.
        held
            Whether an unknown of this rank, own or not, is held: own ones get a diagonal entry of 1.
        """
        matrix, sent = self.matrix, np.zeros(self._block**2 * len(self._sent.columns))
        own, beside, _ = rows_of(matrix)
        add(_pointers([own.values, beside.values, sent]))
        own.values[self._diagonal[held[: len(self._diagonal)]]] = 1.0
        matrix.setValuesLocalIJV(*self._entries_sent, sent, PETSc.InsertMode.ADD_VALUES, self._rows_sent)
        matrix.assemble()

    def _diagonal_places(self, blocks: np.ndarray) -> np.ndarray:
        """Where the diagonal entry of every owned unknown is among the values of the owned rows and columns.

        blocks
            Numbers of the diagonal blocks among all blocks of these rows and columns.
        """
        block, p = self._block, np.arange(self._block)
        starts, lengths = self._own.offsets[:-1], block * np.diff(self._own.offsets)
        first = block * block * starts + block * (blocks - starts)
        return (first[:, None] + p * lengths[:, None] + p).ravel()

    def _entries(self, offsets: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return offsets and columns of single rows, those of blocks given."""
        block, columns = self._block, np.ascontiguousarray(columns, dtype=np.int64)
        starts = np.zeros(block * (len(offsets) - 1) + 1, dtype=PETSc.IntType)
        np.cumsum(np.repeat(block * np.diff(offsets), block), out=starts[1:])
        entries = np.empty(starts[-1], dtype=PETSc.IntType)
        rows = ctypes.c_int(len(offsets) - 1)
        self._kernel.write_entries(rows, address(offsets), address(columns), address(entries))
        return starts, entries

    def _new_matrix(self, index_map: Any, others: np.ndarray) -> PETSc.Mat:
        """Make a matrix of zeros with the places in the owned rows.

        others
            Nodes of other ranks that have columns, numbered over all ranks.
        """
        block = self._block
        size = (block * index_map.size_local, block * index_map.size_global)
        parts = []
        for part, columns in ((self._own, self._own.columns), (self._beside, others[self._beside.columns])):
            starts, entries = self._entries(part.offsets, columns)
            parts.append(Rows(starts, entries, np.zeros(len(entries))))
        matrix = matrix_of_rows(index_map.comm, (size, size), *parts)
        matrix.setBlockSize(block)
        nodes = index_map.local_to_global(np.arange(self._owned + index_map.num_ghosts, dtype=np.int32))
        to_global = PETSc.LGMap().create(nodes.astype(PETSc.IntType), bsize=block, comm=index_map.comm)
        matrix.setLGMap(to_global, to_global)
        to_global.destroy()
        matrix.setOption(PETSc.Mat.Option.NEW_NONZERO_LOCATION_ERR, True)
        # ranks send each other entries of the same places every time
        matrix.setOption(PETSc.Mat.Option.SUBSET_OFF_PROC_ENTRIES, True)
        return matrix


def _pattern(form: fem.Form) -> tuple[np.ndarray, np.ndarray, Blocks]:
    """Return the blocks of the owned rows, as offsets and columns over all ranks, and those of other ranks' rows.

    The former ascend in each row; the columns of the latter are numbers of this rank.
    """
    pattern = fem.create_sparsity_pattern(form)
    pattern.finalize()
    # only a matrix tells the columns of other ranks; its values are not used
    blocks = la.matrix_csr(pattern, dtype=np.float32)
    owned = blocks.index_map(0).size_local
    offsets, columns = np.array(blocks.indptr, dtype=np.int64), np.array(blocks.indices)
    end = offsets[owned]
    sent = Blocks(offsets[owned:] - end, columns[end:])
    offsets, columns = offsets[: owned + 1], columns[:end]
    numbers = blocks.index_map(1).local_to_global(columns)
    # columns of other ranks come last in their rows, and in no order
    _sort_rows(numbers, offsets, np.bincount(_rows(offsets)[columns >= owned], minlength=owned) > 0)
    return offsets, numbers, sent


def _sort_rows(columns: np.ndarray, offsets: np.ndarray, chosen: np.ndarray) -> None:
    """Let the columns of some rows ascend.

    chosen
        Whether to treat a row.
    """
    counts = np.diff(offsets)
    entries = np.flatnonzero(np.repeat(chosen, counts))
    row = np.repeat(np.flatnonzero(chosen), counts[chosen])
    columns[entries] = columns[entries][np.lexsort((columns[entries], row))]


def _rows(offsets: np.ndarray) -> np.ndarray:
    """Return the row of every entry."""
    return np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))


def address(array: np.ndarray) -> ctypes.c_void_p:
    """Return where the values of an array begin."""
    return ctypes.c_void_p(array.ctypes.data)


def _pointers(arrays: Sequence[np.ndarray]) -> Any:
    """Return the addresses of arrays as an array for C; the arrays must outlive its use."""
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
