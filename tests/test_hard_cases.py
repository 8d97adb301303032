"""Cold starts that once failed, and cases without a solution, which are told so with a number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import pnp_exclusion as pnp
from pnp_exclusion.errors import ConvergenceError

pytestmark = pytest.mark.filterwarnings("ignore::pnp_exclusion.errors.SolutionWarning")


def case(law: str, length: float, species: list[dict], left: dict, right: dict, **others: Any) -> dict[str, Any]:
    return {
        "model": {"units": "dimensionless", "law": law, "electrostatics": "poisson", "debye_length": length},
        "species": species,
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [{"where": "left", **left}, {"where": "right", **right}],
        **others,
    }


def test_one_species_held_at_an_electrode_and_the_others_sealed_is_an_equilibrium_found_directly():
    """All mu are constant; that of the held species is log(rho/rho_0) + z phi with what the electrode holds."""
    species = [
        {"name": "a", "charge": 1},
        {"name": "b", "charge": -1, "mean_fraction": 0.2},
        {"name": "c", "charge": 2, "mean_fraction": 0.05},
    ]
    left, right = (
        {"kind": "electrode", "potential": 20.0, "fraction": {"a": 0.1}},
        {"kind": "electrode", "potential": 0},
    )
    for law in ("mpnp", "shdl", "vacancy"):
        solution = pnp.solve(case(law, 0.03, species, left, right))
        assert solution.report.ramp_steps == 0, law
        nodal = solution.steady.nodal
        assert np.ptp(nodal.mu, axis=1) == pytest.approx([0.0] * 3, abs=1e-5), law
        x = solution.discretisation.space.tabulate_dof_coordinates()[:, 0]
        assert nodal.rho[0, x.argmin()] == pytest.approx(0.1, rel=1e-6), law
        means = solution.steady.integrals.mean_densities
        assert [means["b"], means["c"]] == pytest.approx([0.2, 0.05], rel=1e-9), law


def test_jammed_particles_with_a_current_are_found_in_time():
    """Charges that screen each other, nearly full on one side: the currents satisfy the master identity."""
    species = [{"name": "a", "charge": 3}, {"name": "b", "charge": -3}, {"name": "c", "charge": -3}]
    contents = {"a": 0.0462187557181294, "b": 0.03077799451742, "c": 0.0154407612007094}
    left = {"kind": "reservoir", "potential": -54.5619227697044, "fraction": contents}
    contents = {"a": 0.4988371312509832, "b": 0.3467081901145689, "c": 0.152128941136414}
    right = {"kind": "reservoir", "potential": 0.0, "fraction": contents}
    solution = pnp.solve(case("vacancy", 0.0165406757512061, species, left, right))
    assert any(line.startswith("ramp to") for line in solution.report.tried)
    assert solution.identity_residual < 1e-3
    assert solution.summary()["balance"] < 1e-6


def test_a_layer_of_a_held_ion_is_resolved_where_the_other_electrode_takes_the_whole_voltage():
    """The layer of point ions at the right has rho = 0.6 exp(23); before, cells were as for half of the voltage."""
    species = [{"name": "a", "charge": -1, "mean_fraction": 0.009}, {"name": "b", "charge": -1}]
    left = {"kind": "electrode", "potential": -23.0, "fraction": {"b": 0.6}}
    membrane = [{"name": "membrane", "x": [0.3, 0.7], "fixed_charge": 0.26}]
    tables = case("pnp", 0.075, species, left, {"kind": "electrode", "potential": 0.0}, regions=membrane)
    solution = pnp.solve(tables)
    x = solution.discretisation.space.tabulate_dof_coordinates()[:, 0]
    at_right = solution.steady.nodal.rho[1, x.argmax()]
    assert at_right == pytest.approx(0.6 * np.exp(23.0), rel=1e-6)


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        (
            case(
                "shdl",
                1.2e-3,
                [{"name": "a", "charge": 2, "mean_fraction": 0.5}],
                {"kind": "electrode", "potential": 1.8},
                {"kind": "electrode", "potential": 0.0},
            ),
            # Q^2/(8 z lambda^2) with Q = 1
            r"no solution: .* mean charge of 1 e a site, .* makes 4.34e\+04 kT/e",
        ),
        (
            case(
                "shdl",
                0.1,
                [
                    {"name": "a", "charge": 3, "mean_fraction": 0.12},
                    {"name": "b", "charge": 1},
                    {"name": "c", "charge": -3, "mean_fraction": 0.2},
                ],
                {"kind": "electrode", "potential": 9.0, "fraction": {"b": 0.9}},
                {"kind": "electrode", "potential": 0.0},
            ),
            # 0.09941 in the full lattice, by finite volumes and Newton's method with the amounts of all three given
            r'no solution: at "left" there is at most 0.0994 of b, .*; 0.9 is given',
        ),
        (
            case(
                "vacancy",
                0.02,
                [{"name": "a", "charge": -1}, {"name": "b", "charge": 1}],
                {"kind": "flux", "flux": {"a": -0.1}},
                {"kind": "reservoir", "potential": 0.0, "fraction": {"a": 0.499, "b": 0.499}},
            ),
            # all sites are taken where it comes in: vacancies, 0.002 of all at the right, diffuse the other way
            r'the flux of a through "left" can be carried up to -0.0019\d* of the -0.1 given',
        ),
    ],
    ids=["closed charge", "full lattice", "flux"],
)
def test_a_case_without_a_solution_is_told_so_with_the_number_that_shows_it(tables: dict, told: str):
    with pytest.raises(ConvergenceError, match=told):
        pnp.solve(tables)


@pytest.mark.parametrize("strategy", ["auto", "ramp"])
def test_a_case_that_cannot_be_leaves_the_next_one_of_a_workbench_as_it_is_alone(strategy: str):
    """The full lattice of above, and then a content that it has room for."""

    def holding(content: float) -> dict:
        species = [
            {"name": "a", "charge": 3, "mean_fraction": 0.12},
            {"name": "b", "charge": 1},
            {"name": "c", "charge": -3, "mean_fraction": 0.2},
        ]
        left = {"kind": "electrode", "potential": 9.0, "fraction": {"b": content}}
        tables = case("shdl", 0.1, species, left, {"kind": "electrode", "potential": 0.0})
        return tables | {"solver": {"strategy": strategy}}

    with pnp.Workbench(holding(0.05)) as alone:
        right = alone.solve(holding(0.05)).steady.totals.charge
    with pnp.Workbench(holding(0.05)) as workbench:
        with pytest.raises(ConvergenceError):
            workbench.solve(holding(0.9))
        workbench.forget()
        assert workbench.solve(holding(0.05)).steady.totals.charge == pytest.approx(right, rel=1e-9)
