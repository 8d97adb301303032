"""The rows of PETSc's matrices that a rank owns, as arrays, without copies; and values of other ranks' rows."""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
from dolfinx.fem import petsc as fem_petsc

_Integer = np.ctypeslib.as_ctypes_type(PETSc.IntType)


class Rows(NamedTuple):
    """The entries of row ``r`` begin at ``offsets[r]``; views of PETSc's memory."""

    offsets: np.ndarray
    columns: np.ndarray
    values: np.ndarray


@contextlib.contextmanager
def rows_of(matrix: PETSc.Mat) -> Iterator[tuple[Rows, Rows]]:
    """Give a rank's rows in its own columns, numbered from 0 on, and in others, numbered by `columns_beside`.

    Values may be changed in place; the matrix must then be assembled.
    """
    with contextlib.ExitStack() as opened:
        own = opened.enter_context(_rows_of_part(ctypes.c_void_p(matrix.getDiagonalBlock().handle)))
        if matrix.comm.size > 1:
            yield own, opened.enter_context(_rows_of_part(_part_beside(matrix)[0]))
        else:
            yield own, Rows(np.zeros_like(own.offsets), np.empty(0, PETSc.IntType), np.empty(0))


def sort_rows(columns: np.ndarray, offsets: np.ndarray, chosen: np.ndarray) -> None:
    """Let the columns of some rows ascend.

    chosen
        Whether to treat a row.
    """
    counts = np.diff(offsets)
    entries = np.flatnonzero(np.repeat(chosen, counts))
    row = np.repeat(np.flatnonzero(chosen), counts[chosen])
    columns[entries] = columns[entries][np.lexsort((columns[entries], row))]


def matrix_of_rows(
    comm: MPI.Comm, sizes: tuple[tuple[int, int], tuple[int, int]], own: Rows, beside: Rows
) -> PETSc.Mat:
    """Return a matrix that works on these arrays as if they were its own; collective.

    sizes
        Of this rank and over all, of the rows and of the columns.
    own, beside
        The rows in own columns, numbered from 0 on, and in those of other ranks, counted over all ranks; ascending.

    Where the values change, the matrix must be assembled. Columns beside are numbered anew, by `columns_beside`.
    """
    for part in (own, beside):
        assert part.offsets.dtype == part.columns.dtype == PETSc.IntType, "PETSc takes them as they are"
        assert part.values.dtype == PETSc.ScalarType
    if comm.size == 1:
        return PETSc.Mat().createAIJWithArrays(sizes, tuple(own), comm=comm)
    (rows, all_rows), (columns, all_columns) = sizes
    handle = ctypes.c_void_p()
    arrays = [array.ctypes for array in (*own, *beside)]
    counts = map(_Integer, (rows, columns, all_rows, all_columns))
    of_c = (ctypes.c_int if MPI._sizeof(comm) == ctypes.sizeof(ctypes.c_int) else ctypes.c_void_p).from_address(
        MPI._addressof(comm)
    )
    _call("MatCreateMPIAIJWithSplitArrays", of_c, *counts, *arrays, ctypes.byref(handle))
    matrix = _wrapper_of_matrices()(handle)
    _call("MatDestroy", ctypes.byref(handle))
    # as long as PETSc has use for it
    matrix.setAttr("arrays", (own, beside))
    return matrix


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


def columns_beside(matrix: PETSc.Mat) -> np.ndarray:
    """Return which columns of other ranks have entries in the rows of this one, ascending, counted over all ranks."""
    if matrix.comm.size == 1:
        return np.empty(0, PETSc.IntType)
    part, columns = _part_beside(matrix)
    rows, count = _Integer(), _Integer()
    _call("MatGetSize", part, ctypes.byref(rows), ctypes.byref(count))
    return _view(columns, count.value).copy()


def _part_beside(matrix: PETSc.Mat) -> tuple[ctypes.c_void_p, Any]:
    """Return the part of a matrix in the columns of other ranks, and where the list of these columns is."""
    part, columns = ctypes.c_void_p(), ctypes.POINTER(_Integer)()
    _call("MatMPIAIJGetSeqAIJ", ctypes.c_void_p(matrix.handle), None, ctypes.byref(part), ctypes.byref(columns))
    return part, columns


@contextlib.contextmanager
def _rows_of_part(part: ctypes.c_void_p) -> Iterator[Rows]:
    rows, done = _Integer(), ctypes.c_int()
    offsets, columns = ctypes.POINTER(_Integer)(), ctypes.POINTER(_Integer)()
    values = ctypes.POINTER(ctypes.c_double)()
    places = (part, _Integer(0), ctypes.c_int(0), ctypes.c_int(0))
    found = [ctypes.byref(thing) for thing in (rows, offsets, columns, done)]
    _call("MatGetRowIJ", *places, *found)
    _call("MatSeqAIJGetArray", part, ctypes.byref(values))
    try:
        starts = _view(offsets, rows.value + 1)
        yield Rows(starts, _view(columns, starts[-1]), _view(values, starts[-1]))
    finally:
        _call("MatSeqAIJRestoreArray", part, ctypes.byref(values))
        _call("MatRestoreRowIJ", *places, *found)


def _view(pointer: Any, length: int) -> np.ndarray:
    # the pointer to nothing at all may be null
    return np.ctypeslib.as_array(pointer, (length,)) if length else np.empty(0, pointer._type_)


def _call(name: str, *arguments: Any) -> None:
    error = getattr(_petsc(), name)(*arguments)
    if error:
        raise PETSc.Error(error)


@functools.cache
def _wrapper_of_matrices() -> Any:
    """Return what makes a `PETSc.Mat`, with a reference of its own, of PETSc's handle: petsc4py's interface for C."""
    capsule = ctypes.py_object(PETSc.__dict__["__pyx_capi__"]["PyPetscMat_New"])
    name_of, pointer_of = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name_of.restype, pointer_of.restype = ctypes.c_char_p, ctypes.c_void_p
    return ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p)(pointer_of(capsule, ctypes.c_char_p(name_of(capsule))))


@functools.cache
def _petsc() -> ctypes.CDLL:
    """PETSc itself, for what petsc4py does not offer."""
    return ctypes.CDLL(str(fem_petsc.get_petsc_lib()))
