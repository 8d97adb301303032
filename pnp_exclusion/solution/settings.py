"""What the tables of a case say to the solver."""

from __future__ import annotations

from pnp_exclusion.case.case import Case
from pnp_exclusion.solver.steady import SolverSettings


def settings_of(case: Case) -> SolverSettings:
    """Return the solver's settings from ``[solver]`` of a case."""
    solver = case.solver
    return SolverSettings(
        tolerance=solver.tolerance,
        max_newton_steps=solver.max_newton_steps,
        always_ramp=solver.strategy == "ramp",
        linear=solver.linear,
        petsc=solver.petsc,
    )
