"""Steady states in more dimensions, with shared corners, several ions, unlike media: against what is known of them."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from conftest import EXAMPLES, blocking_electrode, dimensionless_case

import pnp_exclusion as pnp


def solve(tables: dict) -> pnp.Solution:
    return pnp.solve(pnp.make_case(tables))


def rectangle(tables: dict, cells: list[int] | None = None) -> dict:
    """The same case on a unit square instead of an interval."""
    domain = {"shape": "rectangle", "size": [1.0, 1.0]}
    return tables | {"domain": domain | ({"cells": cells} if cells else {})}


def test_reservoirs_that_share_a_corner_conserve_species_and_see_the_exact_force():
    """F_a is the log-ratio of rho_a/rho_0 of the two reservoirs, whatever the mesh at their common corner."""
    tables = rectangle(dimensionless_case(), [10, 10])
    tables["boundaries"][1]["where"] = "top"
    solution = solve(tables)
    assert solution.summary()["balance"] < 1e-12
    expected = {"A": np.log((0.2 / 0.3) / (0.6 / 0.3)), "B": np.log((0.5 / 0.3) / (0.1 / 0.3))}
    assert solution.forces == pytest.approx(expected, abs=1e-12)


def test_electrode_that_holds_one_species_beside_a_reservoir_conserves_both():
    tables = rectangle(blocking_electrode("mpnp", 0.0, 0.3), [8, 8])
    tables["boundaries"][0] |= {"where": "top", "fraction": {"cation": 0.2}}
    tables["boundaries"][1]["where"] = "left"
    solution = solve(tables)
    assert solution.summary()["balance"] < 1e-9
    assert abs(solution.steady.totals.flux["top"]["cation"]) > 1e-3
    assert abs(solution.steady.totals.flux["top"]["anion"]) < 1e-12


@pytest.mark.parametrize("shape", ["rectangle", "box"])
def test_case_that_varies_along_x_only_has_the_currents_of_the_interval(shape: str):
    tables = dimensionless_case(electrostatics="poisson", debye_length=0.2)
    for species, charge in zip(tables["species"], (1, -1), strict=True):
        species["charge"] = charge
    for boundary, potential in zip(tables["boundaries"], (2.0, 0.0), strict=True):
        boundary["potential"] = potential
    interval = solve(tables)
    across = [16, 2, 2][: {"rectangle": 2, "box": 3}[shape]]
    tables["domain"] = {"shape": shape, "size": [1.0, 0.5, 0.25][: len(across)], "cells": across}
    solid = solve(tables)
    area = {"rectangle": 0.5, "box": 0.125}[shape]
    for name, current in interval.steady.currents.items():
        assert solid.steady.currents[name] == pytest.approx(area * current, rel=1e-5)
    assert solid.steady.totals.charge["left"] == pytest.approx(area * interval.steady.totals.charge["left"], rel=1e-3)
    assert solid.regimes == interval.regimes


def test_imposed_field_vector_across_the_flow_carries_what_it_must():
    """Uniform contents in a field (2, 1): J = rho (E - rho E) per species alone, along x through the reservoirs."""
    tables = rectangle(dimensionless_case(), [6, 6])
    tables["species"] = [{"name": "A", "field": [2.0, 0.0]}]
    for boundary in tables["boundaries"]:
        boundary["fraction"] = {"A": 0.3}
    solution = solve(tables)
    assert solution.steady.currents["A"] == pytest.approx(0.3 * 0.7 * 2.0, rel=1e-9)
    assert solution.regimes["A"] == "drift"


def test_prescribed_flux_through_a_side_leaves_through_the_reservoir():
    tables = rectangle(dimensionless_case(law="mpnp"), [8, 8])
    tables["boundaries"][1] = {"where": "top", "kind": "flux", "flux": {"A": -0.1}}
    solution = solve(tables)
    assert solution.steady.totals.flux["top"]["A"] == pytest.approx(-0.1, rel=1e-12)
    assert solution.steady.totals.flux["left"]["A"] == pytest.approx(0.1, rel=1e-9)


def test_closed_ions_in_two_dimensions_keep_their_amount():
    tables = rectangle(blocking_electrode("shdl", 2.0, 0.2), [8, 8])
    tables["boundaries"][1] = {"where": "right", "kind": "electrode", "potential": -2.0}
    for species in tables["species"]:
        species["mean_fraction"] = 0.15
    solution = solve(tables)
    assert solution.steady.mean_fluxes == pytest.approx({"cation": 0.15, "anion": 0.15}, rel=1e-9)
    assert solution.steady.totals.charge["left"] == pytest.approx(-solution.steady.totals.charge["right"], rel=1e-9)


def test_two_dielectrics_in_series_are_two_capacitors():
    """Almost no ions: sigma = lambda^2 V/(l_1/eps_1 + l_2/eps_2)."""
    tables = blocking_electrode("pnp", 3.0, 1.0, bulk=1e-12)
    tables["regions"] = [{"name": "oil", "x": [0.4, 1.0], "permittivity": 0.05}]
    expected = 3.0 / (0.4 + 0.6 / 0.05)
    assert solve(tables).steady.totals.charge["left"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("law", ["mpnp", "vacancy", "pnp"])
def test_unequal_diffusivities_satisfy_the_master_identity(law: str):
    """Exact for diagonal mobilities: J_a = D_a F_a / <1/rho_a>, with 1/(D_a rho_0 rho_a) for vacancy hopping."""
    tables = dimensionless_case(law=law, electrostatics="poisson", debye_length=0.1)
    for species, charge, diffusivity in zip(tables["species"], (1, -1), (1.0, 0.2), strict=True):
        species |= {"charge": charge, "diffusivity": diffusivity}
    for boundary, potential in zip(tables["boundaries"], (4.0, 0.0), strict=True):
        boundary["potential"] = potential
    assert solve(tables).identity_residual < 1e-7


@pytest.mark.parametrize("voltage", [-40.0, -60.0, -100.0])
@pytest.mark.parametrize("law", ["mpnp", "shdl", "vacancy"])
def test_two_like_ions_in_a_saturated_layer_hold_the_closed_form_charge(law: str, voltage: float):
    """Two cations of the same valence are one to electrostatics: the closed form with their sum in the bulk."""
    tables = blocking_electrode(law, voltage, 0.02)
    tables["species"].append({"name": "other", "charge": 1})
    tables["boundaries"][1]["fraction"] = {"cation": 0.02, "other": 0.03, "anion": 0.05}
    solution = solve(tables)
    exact = -0.02 * np.sqrt(2.0 * np.log1p(0.1 * (np.cosh(voltage) - 1.0)))
    assert solution.steady.totals.charge["left"] == pytest.approx(exact, rel=1e-5)
    assert solution.identity_residual < 1e-6
    assert set(solution.regimes.values()) == {"none"}


def test_equal_reservoirs_are_an_equilibrium_with_no_regime_and_a_voltage_makes_them_drift():
    tables = dimensionless_case(electrostatics="poisson", debye_length=0.1)
    for species, charge in zip(tables["species"], (1, -1), strict=True):
        species["charge"] = charge
    tables["regions"] = [{"name": "membrane", "x": [0.3, 0.7], "fixed_charge": 0.3}]
    for boundary in tables["boundaries"]:
        boundary |= {"fraction": {"A": 0.2, "B": 0.2}, "potential": 0.0}
    still = solve(tables)
    assert set(still.regimes.values()) == {"none"}
    assert still.summary()["balance"] < 1e-10
    tables["boundaries"][0]["potential"] = 1.0
    assert set(solve(tables).regimes.values()) == {"drift"}


def test_steric_uphill_needs_no_field_and_is_mpnp_s_alone():
    """docs/theory.md#uphill: mpnp is uphill where rho^R/rho^L of a species lies between 1 and that of the vacancies.

    shdl flows down the gradient, -0.06 exactly, which here is against the species' own force.
    """
    tables = dimensionless_case(law="mpnp")
    for boundary, contents in zip(tables["boundaries"], ((0.3, 0.5), (0.36, 0.1)), strict=True):
        boundary["fraction"] = dict(zip("AB", contents, strict=True))
    assert solve(tables).regimes == {"A": "uphill-steric", "B": "fickian"}
    tables["model"]["law"] = "shdl"
    stirred = solve(tables)
    assert stirred.steady.currents["A"] == pytest.approx(-0.06, rel=1e-7)
    assert stirred.regimes["A"] == "inverse"


def test_slow_membrane_passes_a_small_current_that_is_still_one():
    """Almost all resistance in the region: the current scales with its diffusivity, and is no rounding error."""
    tables = pnp.read_case(EXAMPLES / "membrane.toml").as_written()
    currents = {}
    for factor in (1e-6, 1e-8):
        changed = copy.deepcopy(tables)
        changed["regions"][0]["diffusivity"] = factor
        solution = solve(changed)
        currents[factor] = solution.steady.currents["Cl"]
        assert solution.regimes["Na"] == "inverse"
        assert solution.identity_residual < 1e-6
    assert currents[1e-8] == pytest.approx(1e-2 * currents[1e-6], rel=1e-4)


def test_only_differences_of_potential_matter():
    """A closed cell at 100 V and 100.2 V is the one at 0 V and 0.2 V, seen from elsewhere."""
    tables = pnp.read_case(EXAMPLES / "two_electrodes.toml").as_written()
    found = []
    for low, high in (("0 V", "0.2 V"), ("100 V", "100.2 V")):
        tables["boundaries"][0]["potential"], tables["boundaries"][1]["potential"] = high, low
        found.append(solve(tables))
    assert found[1].steady.totals.charge == pytest.approx(found[0].steady.totals.charge, rel=1e-9)
    _, phi = found[1].discretisation.reported_potentials(found[1].discretisation.unknown.x.array.reshape(-1, 3))
    assert np.ptp(phi) * 0.0256926 == pytest.approx(0.2, rel=1e-5)
    assert phi.min() * 0.0256926 == pytest.approx(100.0, rel=1e-5)
