"""The fields of a fieldsplit: their names, their unknowns, and what their preconditioners must be told."""

from __future__ import annotations

from collections.abc import Sequence

from petsc4py import PETSc

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.runtime.signals import held_back
from pnp_exclusion.solver.linear.block_matrices import FieldMatrices
from pnp_exclusion.solver.linear.levels import Levels
from pnp_exclusion.solver.linear.presets import OptionsDatabase, Size, refusals_as_usage_errors


def size_of(discrete: Discretisation) -> Size:
    """Return what the choice of a linear solver depends on."""
    dofmap, domain = discrete.space.dofmap, discrete.problem.domain
    unknowns = dofmap.index_map.size_global * dofmap.index_map_bs
    return Size(domain.dimension, unknowns, discrete.degree, domain.comm.size, domain.grid is not None)


class Preconditioning:
    """What a linear solver's preconditioner is made from: the matrix, or those of the fields of a fieldsplit.

    Tells the solver which unknowns make up each field, and our multigrids their levels.
    """

    def __init__(self, solver: PETSc.KSP, matrix: PETSc.Mat, levels: Levels, database: OptionsDatabase) -> None:
        self._solver, self._matrix, self._levels = solver, matrix, levels
        self._parts: FieldMatrices | None = None
        discrete, preconditioner = levels.discrete, solver.getPC()
        names, is_split = discrete.layout.names, preconditioner.getType() == "fieldsplit"
        if is_split:
            _name_fields(preconditioner, matrix, names)
            if len(names) > 1:
                kind = PETSc.Options().getString("pc_fieldsplit_type", "multiplicative")
                whole = kind.lower() != "multiplicative"
                self._parts = FieldMatrices(matrix, len(names), whole)
        elif preconditioner.getType() == "mg" and not database.gives("pc_type") and levels.any:
            levels.attach(preconditioner, names[0])
        self._wants_levels = is_split and levels.any

    @property
    def matrix(self) -> PETSc.Mat:
        """What the preconditioner is to be told to be made from."""
        return self._parts.operator if self._parts else self._matrix

    def renew(self) -> None:
        """Let the preconditioner be made anew from the matrix as it is now; collective."""
        if self._parts is not None:
            self._parts.changed()
        # else the set-up would wait for the first application of the preconditioner, past the solver's look at failures
        self._solver.setOperators(self._matrix, self.matrix)
        if self._wants_levels:
            self._wants_levels = False
            preconditioner = self._solver.getPC()
            with held_back(), refusals_as_usage_errors():
                preconditioner.setUp()
            names = self._levels.discrete.layout.names
            # beside a single field PETSc puts one without unknowns
            for name, field in zip(names, preconditioner.getFieldSplitSubKSP(), strict=False):
                if field.getPC().getType() == "mg":
                    self._levels.attach(field.getPC(), name)

    def close(self) -> None:
        """Free PETSc's objects."""
        if self._parts:
            self._parts.close()


def _name_fields(preconditioner: PETSc.PC, matrix: PETSc.Mat, names: Sequence[str]) -> None:
    first, end = matrix.getOwnershipRange()
    for component, name in enumerate(names):
        rows = PETSc.IS().createStride((end - first) // len(names), first + component, len(names), comm=matrix.comm)
        preconditioner.setFieldSplitIS((name, rows))
        rows.destroy()
