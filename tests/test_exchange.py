"""Boundaries that exchange particles with a reservoir at a finite rate: none holds anything, and yet all is fixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, override

from mpi4py import MPI

import numpy as np
import pytest

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.mesh.domain import tensor_domain
from pnp_exclusion.observe.currents import boundary_totals
from pnp_exclusion.physics import laws
from pnp_exclusion.physics.boundaries import BoundaryCondition, BoundaryState
from pnp_exclusion.physics.problem import Species, simple_problem
from pnp_exclusion.solver.linear.presets import OptionsDatabase
from pnp_exclusion.solver.steady import SteadySolver


@dataclass(frozen=True)
class Exchange(BoundaryCondition):
    """``J . n = rate (rho - rho_reservoir)`` for one species; what a condition of one's own looks like."""

    species: str
    rate: float
    reservoir: float

    @override
    def supplies(self, species: str) -> bool:
        return species == self.species

    @override
    def outward_flux(self, species: str, state: BoundaryState) -> Any | None:
        if species != self.species:
            return None
        return state.number(self.rate) * (state.rho[species] - state.number(self.reservoir))


@pytest.mark.parametrize("dimension", [1, 2])
@pytest.mark.parametrize(("left", "right"), [(1.0, 1.0), (0.1, 30.0)])
def test_current_between_two_exchanges_is_that_of_resistances_in_series(dimension: int, left: float, right: float):
    """J = (c_1 - c_2) / (1/k_1 + 1 + 1/k_2) over a unit length with D = 1: exact for point particles."""
    domain = tensor_domain(MPI.COMM_SELF, [np.linspace(0.0, 1.0, 17)] * dimension)
    boundaries = [Exchange("left", "a", left, 0.4), Exchange("right", "a", right, 0.1)]
    problem = simple_problem(domain, laws.pnp(), [Species("a")], boundaries)
    assert problem.conserved == []
    discrete = Discretisation(problem, 2)
    with OptionsDatabase() as database, SteadySolver(discrete, database) as solver:
        solver.solve()
    current = (0.4 - 0.1) / (1.0 / left + 1.0 + 1.0 / right)
    totals = boundary_totals(discrete, discrete.nodal_values())
    assert totals.flux["right"]["a"] == pytest.approx(current, rel=1e-7)
    assert totals.flux["left"]["a"] == pytest.approx(-current, rel=1e-7)
