"""The fields of a fieldsplit: their names, their unknowns, and what their preconditioners must be told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from petsc4py import PETSc

from pnp_exclusion.solver.degrees import DegreeLevels
from pnp_exclusion.solver.linear import Size, refusals_as_usage_errors
from pnp_exclusion.weakform import WeakForm


def field_names(weak_form: WeakForm) -> list[str]:
    """Names of the components, as in the prefixes of fieldsplit options: ``mu_<species>`` and ``phi``."""
    names = [f"mu_{name}" for name in weak_form.problem.names]
    return [*names, "phi"] if weak_form.problem.coupled else names


def size_of(weak_form: WeakForm) -> Size:
    """Return what the choice of a linear solver depends on."""
    dofmap, domain = weak_form.space.dofmap, weak_form.problem.domain
    unknowns = dofmap.index_map.size_global * dofmap.index_map_bs
    return Size(domain.dimension, unknowns, weak_form.degree, domain.comm.size)


def define_fields(
    solver: PETSc.KSP, matrix: PETSc.Mat, weak_form: WeakForm, assemble: Callable[[], None] | None = None
) -> None:
    """Tell a solver which unknowns of its matrix make up each field, and multigrids over degrees their levels.

    assemble
        Fills the matrix, called if the levels need it; None if it is filled.
    """
    names, preconditioner = field_names(weak_form), solver.getPC()
    if preconditioner.getType() == "fieldsplit":
        _name_fields(preconditioner, matrix, names)
    if weak_form.degree == 1 or preconditioner.getType() not in ("fieldsplit", "mg"):
        return
    if assemble is not None:
        assemble()
    solver.setOperators(matrix)
    levels = DegreeLevels(weak_form)
    if preconditioner.getType() == "mg":
        levels.attach(preconditioner, 0)
        return
    with refusals_as_usage_errors():
        preconditioner.setUp()
    for component, field in enumerate(preconditioner.getFieldSplitSubKSP()):
        if field.getPC().getType() == "mg":
            levels.attach(field.getPC(), component)


def _name_fields(preconditioner: PETSc.PC, matrix: PETSc.Mat, names: Sequence[str]) -> None:
    first, end = matrix.getOwnershipRange()
    for component, name in enumerate(names):
        rows = PETSc.IS().createStride((end - first) // len(names), first + component, len(names), comm=matrix.comm)
        preconditioner.setFieldSplitIS((name, rows))
        rows.destroy()
