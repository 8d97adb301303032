"""Linear solvers of scalar symmetric positive definite problems, such as those of the first guess."""

from __future__ import annotations

from petsc4py import PETSc

from pnp_exclusion.solver.linear.presets import refusals_as_usage_errors


def scalar_solver(matrix: PETSc.Mat, prefix: str) -> PETSc.KSP:
    """Return a solver for a scalar symmetric positive definite matrix, configured under a prefix of options."""
    solver = PETSc.KSP().create(matrix.comm)
    solver.setOptionsPrefix(prefix)
    solver.setOperators(matrix)
    with refusals_as_usage_errors():
        solver.setFromOptions()
    return solver
