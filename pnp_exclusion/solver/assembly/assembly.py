"""Assembly of residual and Jacobian: DOLFINx's own, or over several cells at once where there are many."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from petsc4py import PETSc

import numpy as np
import ufl
from dolfinx import cpp, fem
from dolfinx.fem import petsc as fem_petsc

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.integration import USUAL_CELLS
from pnp_exclusion.solver.assembly.places import Places, address
from pnp_exclusion.solver.assembly.vectorise import NoKernel, cell_kernel

LEAST_WORK = 60_000
"""Pairs of nodes of all cells of a rank: fewer are not worth compiling a second kernel for."""
LEAST_REPEATED_WORK = 4_000
"""The same where many solves are to come."""


class Assembly:
    """The Jacobian's matrix, and DOLFINx's way of filling it and of evaluating the residual."""

    def __init__(self, discrete: Discretisation) -> None:
        self.discrete = discrete
        self.matrix = self._new_matrix()

    def _new_matrix(self) -> PETSc.Mat:
        return fem_petsc.create_matrix(self.discrete.forms.jacobian.now)

    def add_residual(self, vector: np.ndarray) -> None:
        """Add the residual of this rank's cells to a local vector of owned and ghost unknowns."""
        self.discrete.forms.residual.add_to(vector)

    def fill_jacobian(self, whole: bool = False) -> None:
        """Evaluate the Jacobian at the unknown; rows and columns of held unknowns are those of the unit matrix.

        whole
            Leave them as they are.
        """
        self.matrix.zeroEntries()
        conditions = [] if whole else self.discrete.constraints.conditions
        self.discrete.forms.jacobian.add_to_matrix(self.matrix, conditions)
        self.matrix.assemble(PETSc.Mat.AssemblyType.FLUSH)
        held = [condition._cpp_object for condition in conditions]
        cpp.fem.petsc.insert_diagonal(self.matrix, self.discrete.space._cpp_object, held, 1.0)
        self.matrix.assemble()

    def close(self) -> None:
        """Free PETSc's objects."""
        self.matrix.destroy()


def assembly_of(
    discrete: Discretisation, say: Callable[[str], None] = lambda line: None, repeated: bool = False
) -> Assembly:
    """Return the faster way for a weak form; collective.

    repeated
        Whether many solves are to come.
    """
    domain, nodes = discrete.problem.domain, discrete.space.dofmap.list.shape[1]
    least = LEAST_REPEATED_WORK if repeated else LEAST_WORK
    if domain.dimension == 1 or domain.cells * nodes**2 < least * domain.comm.size:
        return Assembly(discrete)
    try:
        return BatchedAssembly(discrete)
    except NoKernel as reason:
        say(f"  assembly cell by cell: {reason}")
        return Assembly(discrete)


class BatchedAssembly(Assembly):
    """Integrals over usual cells by vectorised kernels, straight into the matrix's values; the others by DOLFINx.

    Raises `NoKernel` where the kernels cannot be had.
    """

    def __init__(self, discrete: Discretisation) -> None:
        residual, unknown = discrete.weak_form.residual, discrete.unknown
        self._residual = discrete.forms.kept("parts of the residual", lambda: _Parts(discrete, residual))
        self._jacobian = discrete.forms.kept(
            "parts of the Jacobian", lambda: _Parts(discrete, ufl.derivative(residual, unknown))
        )
        self._owned = discrete.space.dofmap.index_map.size_local
        super().__init__(discrete)
        self._version = -1

    def _new_matrix(self) -> PETSc.Mat:
        """Make the matrix with all its places, and find those of every cell."""
        space, cells = self.discrete.space, len(self.discrete.integration.is_steep)
        self._all_corners = np.ascontiguousarray(space.mesh.geometry.dofmaps[0][:cells], dtype=np.int32)
        self._all_nodes = np.ascontiguousarray(space.dofmap.list[:cells], dtype=np.int32)
        self._places = Places(self.discrete.forms.jacobian.now, space.dofmap, self._jacobian.kernel)
        self._all_slots = self._places.slots(self._all_nodes)
        return self._places.matrix

    def _follow_marks(self) -> None:
        """Take the usual cells as they are marked now."""
        integration = self.discrete.integration
        if self._version != integration.version:
            self._version = integration.version
            every = slice(None) if not integration.is_steep.any() else integration.usual_cells
            self._corners, self._nodes = self._all_corners[every], self._all_nodes[every]
            self._slots = self._all_slots[every]

    def add_residual(self, vector: np.ndarray) -> None:
        """Add the residual of this rank's cells to a local vector of owned and ghost unknowns."""
        part = self._residual
        self._follow_marks()
        self._call(part.kernel.add_vector, part, address(vector))
        part.others.add_to(vector)

    def fill_jacobian(self, whole: bool = False) -> None:
        """Evaluate the Jacobian at the unknown; rows and columns of held unknowns are those of the unit matrix.

        whole
            Leave them as they are.
        """
        conditions = [] if whole else self.discrete.constraints.conditions
        part, owned = self._jacobian, ctypes.c_int(self._owned)
        self._follow_marks()
        held = np.zeros(len(self.discrete.values), dtype=bool)
        for condition in conditions:
            held[condition.dof_indices()[0]] = True
        self.matrix.zeroEntries()
        part.others.add_to_matrix(self.matrix, conditions)
        places = (address(held), owned, self._places.offsets, address(self._slots))
        self._places.add(lambda values: self._call(part.kernel.add_matrix, part, *places, values), held)

    def _call(self, function: Any, part: _Parts, *others: Any) -> None:
        """Call a kernel for all cells of this rank with the present coefficients and constants."""
        form = part.usual.now
        packed = fem.pack_coefficients(form)
        coefficients = np.ascontiguousarray(next(iter(packed.values()), np.empty(0)))
        constants = np.ascontiguousarray(fem.pack_constants(form))
        points = self.discrete.space.mesh.geometry.x
        arrays = (self._corners, points, coefficients, constants, self._nodes)
        function(ctypes.c_int(len(self._nodes)), *map(address, arrays), *others)


class _Parts:
    """A form in two: its integral over usual cells with the kernel for it, and those over steep cells and facets."""

    def __init__(self, discrete: Discretisation, form: ufl.Form) -> None:
        usual: list[ufl.Integral] = []
        others: list[ufl.Integral] = []
        for integral in form.integrals():
            is_usual = integral.integral_type() == "cell" and integral.subdomain_id() == USUAL_CELLS
            (usual if is_usual else others).append(integral)
        self.usual = discrete.integration.form(ufl.Form(usual))
        self.others = discrete.integration.form(ufl.Form(others))
        self.kernel = cell_kernel(self.usual, discrete.space)
