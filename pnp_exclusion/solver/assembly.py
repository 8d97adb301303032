"""Assembly of residual and Jacobian: DOLFINx's own, or over several cells at once where there are many."""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
import ufl
from dolfinx import cpp, fem, la
from dolfinx.fem import petsc as fem_petsc

from pnp_exclusion.solver.vectorise import NoKernel, cell_kernel
from pnp_exclusion.weakform import JIT_OPTIONS, WeakForm

LEAST_WORK = 60_000
"""Pairs of nodes of all cells of a rank: fewer are not worth compiling a second kernel for."""
LEAST_REPEATED_WORK = 4_000
"""The same where many solves are to come."""
LARGEST_SLOT = int(np.iinfo(np.uint16).max)


class Assembly:
    """The Jacobian's matrix, and DOLFINx's way of filling it and of evaluating the residual."""

    def __init__(self, weak_form: WeakForm) -> None:
        self.weak_form = weak_form
        self.matrix = self._new_matrix()

    def _new_matrix(self) -> PETSc.Mat:
        return fem_petsc.create_matrix(self.weak_form.jacobian_form)

    def add_residual(self, vector: np.ndarray) -> None:
        """Add the residual of this rank's cells to a local vector of owned and ghost unknowns."""
        fem.assemble_vector(vector, self.weak_form.residual_form)

    def fill_jacobian(self) -> None:
        """Evaluate the Jacobian at the unknown; rows and columns of held unknowns are those of the unit matrix."""
        self.matrix.zeroEntries()
        fem_petsc.assemble_matrix(self.matrix, self.weak_form.jacobian_form, bcs=self.weak_form.conditions)
        self.matrix.assemble()

    def close(self) -> None:
        """Free PETSc's objects."""
        self.matrix.destroy()


def assembly_of(
    weak_form: WeakForm, say: Callable[[str], None] = lambda line: None, repeated: bool = False
) -> Assembly:
    """Return the faster way for a weak form; collective.

    repeated
        Whether many solves are to come.
    """
    domain, nodes = weak_form.problem.domain, weak_form.space.dofmap.list.shape[1]
    least = LEAST_REPEATED_WORK if repeated else LEAST_WORK
    if domain.dimension == 1 or domain.cells * nodes**2 < least * domain.comm.size:
        return Assembly(weak_form)
    try:
        return BatchedAssembly(weak_form)
    except NoKernel as reason:
        say(f"  assembly cell by cell: {reason}")
        return Assembly(weak_form)


class BatchedAssembly(Assembly):
    """Integrals over cells by vectorised kernels, straight into the matrix's values; those over facets by DOLFINx.

    Raises `NoKernel` where the kernels cannot be had.
    """

    def __init__(self, weak_form: WeakForm) -> None:
        self._residual = _Parts(weak_form.space, weak_form.residual, weak_form.residual_form)
        jacobian = ufl.derivative(weak_form.residual, weak_form.unknown)
        self._jacobian = _Parts(weak_form.space, jacobian, weak_form.jacobian_form)
        space = weak_form.space
        mesh, dofmap = space.mesh, space.dofmap
        self._block = dofmap.index_map_bs
        self._owned = dofmap.index_map.size_local
        self._cells = mesh.topology.index_map(mesh.topology.dim).size_local
        self._corners = np.ascontiguousarray(mesh.geometry.dofmaps[0][: self._cells], dtype=np.int32)
        self._nodes = np.ascontiguousarray(dofmap.list[: self._cells], dtype=np.int32)
        super().__init__(weak_form)

    def _new_matrix(self) -> PETSc.Mat:
        """Make the matrix with all its places, and find those of every cell."""
        offsets, columns = _pattern(self.weak_form.jacobian_form)
        first = self.weak_form.space.dofmap.index_map.local_range[0]
        own = (columns >= first) & (columns < first + self._owned)
        own_columns, own_rows = (columns[own] - first).astype(np.int32), _rows(offsets)[own]
        counts = np.bincount(own_rows, minlength=self._owned)
        if self.weak_form.problem.domain.comm.allreduce(int(counts.max(initial=0)), op=MPI.MAX) > LARGEST_SLOT:
            raise NoKernel(f"a node has more than {LARGEST_SLOT} neighbours")
        self._offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._slots = np.zeros((self._cells, *[self._nodes.shape[1]] * 2), dtype=np.uint16)
        self._jacobian.kernel.find_slots(
            ctypes.c_int(self._cells),
            _address(self._nodes),
            ctypes.c_int(self._owned),
            _address(self._offsets),
            _address(own_columns),
            _address(self._slots),
        )
        self._diagonal = self._diagonal_places(np.flatnonzero(own_columns == own_rows))
        return _blocked_matrix(self.weak_form.space.dofmap, offsets, columns)

    def _diagonal_places(self, blocks: np.ndarray) -> np.ndarray:
        """Where the diagonal entry of every owned unknown is among the values of the owned rows and columns.

        blocks
            Numbers of the diagonal blocks among all blocks of these rows and columns.
        """
        block, p = self._block, np.arange(self._block)
        starts, lengths = self._offsets[:-1], block * np.diff(self._offsets)
        first = block * block * starts + block * (blocks - starts)
        return (first[:, None] + p * lengths[:, None] + p).ravel()

    def add_residual(self, vector: np.ndarray) -> None:
        """Add the residual of this rank's cells to a local vector of owned and ghost unknowns."""
        part = self._residual
        self._call(part.kernel.add_vector, part, _address(vector))
        if part.others is not None:
            fem.assemble_vector(vector, part.others)

    def fill_jacobian(self) -> None:
        """Evaluate the Jacobian at the unknown; rows and columns of held unknowns are those of the unit matrix."""
        matrix, part = self.matrix, self._jacobian
        held = np.zeros(len(self.weak_form.unknown.x.array), dtype=np.uint8)
        for condition in self.weak_form.conditions:
            held[condition.dof_indices()[0]] = 1
        matrix.zeroEntries()
        if part.others is not None:
            part.assemble_others(matrix, self.weak_form.conditions)
        with _own_values(matrix) as values:
            error = self._call(
                part.kernel.add_matrix,
                part,
                _address(held),
                ctypes.c_int(self._owned),
                _address(self._offsets),
                _address(self._slots),
                values,
                ctypes.c_void_p(matrix.handle),
                _petsc().MatSetValuesBlockedLocal,
                ctypes.c_int(int(PETSc.InsertMode.ADD_VALUES)),
            )
            if error:
                raise PETSc.Error(error)
            for place in self._diagonal[held[: len(self._diagonal)] == 1].tolist():
                values[place] = 1.0
        matrix.assemble()

    def _call(self, function: Any, part: _Parts, *others: Any) -> int:
        """Call a kernel for all cells of this rank with the present coefficients and constants."""
        packed = fem.pack_coefficients(part.cells)
        coefficients = np.ascontiguousarray(next(iter(packed.values()), np.empty(0)))
        constants = np.ascontiguousarray(fem.pack_constants(part.cells))
        points = self.weak_form.space.mesh.geometry.x
        arrays = (self._corners, points, coefficients, constants, self._nodes)
        return function(ctypes.c_int(self._cells), *map(_address, arrays), *others)


class _Parts:
    """A form in two: its integral over cells with the kernel for it, and the others (None if there are none)."""

    def __init__(self, space: fem.FunctionSpace, form: ufl.Form, compiled: fem.Form) -> None:
        over_cells = [integral.integral_type() == "cell" for integral in form.integrals()]
        self.cells = compiled
        self.others: Any = None
        if not all(over_cells):
            chosen = lambda wanted: [i for i, cell in zip(form.integrals(), over_cells, strict=True) if cell is wanted]  # noqa: E731
            self.cells = fem.form(ufl.Form(chosen(True)), jit_options=JIT_OPTIONS)
            self.others = fem.form(ufl.Form(chosen(False)), jit_options=JIT_OPTIONS)
        self.kernel = cell_kernel(self.cells, space)

    def assemble_others(self, matrix: PETSc.Mat, conditions: Sequence[fem.DirichletBC]) -> None:
        """Add the other integrals to a matrix, without the diagonal that DOLFINx would set."""
        constants, coefficients = fem.pack_constants(self.others), fem.pack_coefficients(self.others)
        bcs = [condition._cpp_object for condition in conditions]
        cpp.fem.petsc.assemble_matrix(matrix, self.others._cpp_object, constants, coefficients, bcs)


def _pattern(form: fem.Form) -> tuple[np.ndarray, np.ndarray]:
    """Return the blocks of the owned rows as offsets and global columns, ascending in each row."""
    pattern = fem.create_sparsity_pattern(form)
    pattern.finalize()
    # only a matrix tells the columns of other ranks; its values are not used
    blocks = la.matrix_csr(pattern, dtype=np.float32)
    offsets = np.array(blocks.indptr[: blocks.index_map(0).size_local + 1], dtype=np.int64)
    columns = blocks.index_map(1).local_to_global(np.array(blocks.indices[: offsets[-1]]))
    if blocks.index_map(0).comm.size > 1:
        columns = columns[np.lexsort((columns, _rows(offsets)))]
    return offsets, columns


def _rows(offsets: np.ndarray) -> np.ndarray:
    """Return the row of every entry."""
    return np.repeat(np.arange(len(offsets) - 1, dtype=np.int32), np.diff(offsets))


def _blocked_matrix(dofmap: fem.DofMap, offsets: np.ndarray, columns: np.ndarray) -> PETSc.Mat:
    """Return a matrix of zeros with these blocks, whose places never change."""
    index_map, block = dofmap.index_map, dofmap.index_map_bs
    lengths = np.repeat(block * np.diff(offsets), block)
    row_starts = np.concatenate([[0], np.cumsum(lengths)])
    # all rows of a block have the same columns
    entries = (block * columns[:, None] + np.arange(block)).astype(PETSc.IntType).ravel()
    shifts = np.repeat(block * offsets[:-1], block) - row_starts[:-1]
    row_columns = entries[np.repeat(shifts, lengths) + np.arange(row_starts[-1])]
    size = (block * index_map.size_local, block * index_map.size_global)
    csr = (row_starts.astype(PETSc.IntType), row_columns)
    matrix = PETSc.Mat().createAIJ((size, size), bsize=block, csr=csr, comm=index_map.comm)
    nodes = index_map.local_to_global(np.arange(index_map.size_local + index_map.num_ghosts, dtype=np.int32))
    to_global = PETSc.LGMap().create(nodes.astype(PETSc.IntType), bsize=block, comm=index_map.comm)
    matrix.setLGMap(to_global, to_global)
    matrix.setOption(PETSc.Mat.Option.NEW_NONZERO_LOCATION_ERR, True)
    # ranks send each other entries of the same places every time
    matrix.setOption(PETSc.Mat.Option.SUBSET_OFF_PROC_ENTRIES, True)
    to_global.destroy()
    return matrix


@contextlib.contextmanager
def _own_values(matrix: PETSc.Mat) -> Iterator[Any]:
    """Give the values of the owned rows and columns of a matrix, row by row, as a pointer."""
    own, values = ctypes.c_void_p(matrix.getDiagonalBlock().handle), ctypes.POINTER(ctypes.c_double)()
    _petsc().MatSeqAIJGetArray(own, ctypes.byref(values))
    try:
        yield values
    finally:
        _petsc().MatSeqAIJRestoreArray(own, ctypes.byref(values))


@functools.cache
def _petsc() -> ctypes.CDLL:
    """PETSc's library itself, for what petsc4py does not offer."""
    return ctypes.CDLL(str(fem_petsc.get_petsc_lib()))


def _address(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
