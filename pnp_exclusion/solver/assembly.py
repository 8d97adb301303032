"""Assembly of residual and Jacobian: DOLFINx's own, or over several cells at once where there are many."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from petsc4py import PETSc

import numpy as np
import ufl
from dolfinx import cpp, fem
from dolfinx.fem import petsc as fem_petsc

from pnp_exclusion.compilation import compiled_form
from pnp_exclusion.solver.places import Places, address
from pnp_exclusion.solver.vectorise import NoKernel, cell_kernel
from pnp_exclusion.weakform import WeakForm

LEAST_WORK = 60_000
"""Pairs of nodes of all cells of a rank: fewer are not worth compiling a second kernel for."""
LEAST_REPEATED_WORK = 4_000
"""The same where many solves are to come."""


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
        self._owned = dofmap.index_map.size_local
        self._cells = mesh.topology.index_map(mesh.topology.dim).size_local
        self._corners = np.ascontiguousarray(mesh.geometry.dofmaps[0][: self._cells], dtype=np.int32)
        self._nodes = np.ascontiguousarray(dofmap.list[: self._cells], dtype=np.int32)
        super().__init__(weak_form)

    def _new_matrix(self) -> PETSc.Mat:
        """Make the matrix with all its places, and find those of every cell."""
        self._places = Places(self.weak_form.jacobian_form, self.weak_form.space.dofmap, self._jacobian.kernel)
        self._slots = self._places.slots(self._nodes)
        return self._places.matrix

    def add_residual(self, vector: np.ndarray) -> None:
        """Add the residual of this rank's cells to a local vector of owned and ghost unknowns."""
        part = self._residual
        self._call(part.kernel.add_vector, part, address(vector))
        if part.others is not None:
            fem.assemble_vector(vector, part.others)

    def fill_jacobian(self) -> None:
        """Evaluate the Jacobian at the unknown; rows and columns of held unknowns are those of the unit matrix."""
        part, owned = self._jacobian, ctypes.c_int(self._owned)
        held = np.zeros(len(self.weak_form.unknown.x.array), dtype=bool)
        for condition in self.weak_form.conditions:
            held[condition.dof_indices()[0]] = True
        self.matrix.zeroEntries()
        if part.others is not None:
            part.assemble_others(self.matrix, self.weak_form.conditions)
        places = (address(held), owned, self._places.offsets, address(self._slots))
        self._places.add(lambda values: self._call(part.kernel.add_matrix, part, *places, values), held)

    def _call(self, function: Any, part: _Parts, *others: Any) -> None:
        """Call a kernel for all cells of this rank with the present coefficients and constants."""
        packed = fem.pack_coefficients(part.cells)
        coefficients = np.ascontiguousarray(next(iter(packed.values()), np.empty(0)))
        constants = np.ascontiguousarray(fem.pack_constants(part.cells))
        points = self.weak_form.space.mesh.geometry.x
        arrays = (self._corners, points, coefficients, constants, self._nodes)
        function(ctypes.c_int(self._cells), *map(address, arrays), *others)


class _Parts:
    """A form in two: its integral over cells with the kernel for it, and the others (None if there are none)."""

    def __init__(self, space: fem.FunctionSpace, form: ufl.Form, compiled: fem.Form) -> None:
        over_cells = [integral.integral_type() == "cell" for integral in form.integrals()]
        self.cells = compiled
        self.others: Any = None
        if not all(over_cells):
            chosen = lambda wanted: [i for i, cell in zip(form.integrals(), over_cells, strict=True) if cell is wanted]  # noqa: E731
            self.cells = compiled_form(ufl.Form(chosen(True)))
            self.others = compiled_form(ufl.Form(chosen(False)))
        self.kernel = cell_kernel(self.cells, space)

    def assemble_others(self, matrix: PETSc.Mat, conditions: Sequence[fem.DirichletBC]) -> None:
        """Add the other integrals to a matrix, without the diagonal that DOLFINx would set."""
        constants, coefficients = fem.pack_constants(self.others), fem.pack_coefficients(self.others)
        bcs = [condition._cpp_object for condition in conditions]
        cpp.fem.petsc.assemble_matrix(matrix, self.others._cpp_object, constants, coefficients, bcs)
