"""The fields of a fieldsplit: their names, their unknowns, and what their preconditioners must be told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from petsc4py import PETSc

from pnp_exclusion.solver.degrees import DegreeLevels
from pnp_exclusion.solver.linear import OptionsLedger, Size, refusals_as_usage_errors
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
    solver: PETSc.KSP, matrix: PETSc.Mat, levels: DegreeLevels, ledger: OptionsLedger, fill: Callable[[], None]
) -> None:
    """Tell a solver which unknowns make up each field, and our multigrids over degrees their levels.

    fill
        Fills the matrix: a fieldsplit needs its places, if not the values, to make the fields that take the levels.
    """
    weak_form, preconditioner = levels.weak_form, solver.getPC()
    if preconditioner.getType() == "fieldsplit":
        _name_fields(preconditioner, matrix, field_names(weak_form))
    elif preconditioner.getType() != "mg" or ledger.gives("pc_type"):
        return
    if weak_form.degree == 1:
        return
    solver.setOperators(matrix)
    if preconditioner.getType() == "mg":
        levels.attach(preconditioner, 0)
        return
    if not matrix.isAssembled():
        fill()
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
