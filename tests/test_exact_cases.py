"""Computed numbers against exact ones, from case files by the command line or by `solve`."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
from conftest import blocking_electrode, dimensionless_case, run_command, summary_of, write_toml

import pnp_exclusion as pnp

# docs/numerics.md#reference-table: currents of shdl between (0.2, 0.5) and (0.6, 0.1), by multiple shooting on
# the matrix exponential, printed there to ten decimals.
EXACT_CURRENTS = {
    (1.0, -1.0): (-0.0766157931, 0.1134176388),
    (10.0, -10.0): (2.2503761689, -1.4399607128),
    (100.0, -100.0): (22.6188245066, -14.4104867827),
    (500.0, -500.0): (113.0941225332, -72.0524339135),
    (1.0, 0.5): (-0.2279568869, 0.3936528666),
    (10.0, 5.0): (1.1113637666, 0.5506625849),
    (100.0, 50.0): (11.3830858146, 4.9112806869),
    (500.0, 250.0): (56.9154257953, 24.5563828031),
}


def imposed(fields: tuple[float, float]) -> dict:
    tables = dimensionless_case()
    for species, field in zip(tables["species"], fields, strict=True):
        species["field"] = field
    return tables


@pytest.mark.parametrize("fields", EXACT_CURRENTS)
def test_currents_in_imposed_fields_are_exact_to_1e_6_on_at_most_400_cells(fields: tuple[float, float], tmp_path: Path):
    case = write_toml(imposed(fields), tmp_path / "case.toml")
    finished = run_command("run", case, "-o", tmp_path / "out")
    assert finished.returncode == 0, finished.stderr
    summary = summary_of(tmp_path / "out")
    assert summary["cells"] <= 400
    for name, exact in zip("AB", EXACT_CURRENTS[fields], strict=True):
        assert summary["flux"]["right"][name]["value"] == pytest.approx(exact, rel=1e-6)
        assert summary["flux"]["left"][name]["value"] == pytest.approx(-exact, rel=1e-6)


def test_piecewise_constant_field_given_as_a_table_with_a_jump_satisfies_the_master_identity():
    """F_a is the integral of the field minus the rise of log(rho_a/rho_0): 1.5 + log of the reservoirs' ratio here."""
    tables = imposed((0.0, 0.0))
    tables["species"][0]["field"] = {"x": [0.0, 0.5, 0.5, 1.0], "values": [1.0, 1.0, 2.0, 2.0]}
    solution = pnp.solve(pnp.make_case(tables))
    assert solution.forces["A"] == pytest.approx(1.5 - np.log((0.6 / 0.3) / (0.2 / 0.3)), abs=1e-12)
    assert solution.identity_residual < 1e-8


def test_field_table_that_is_constant_gives_the_currents_of_the_constant_field():
    tables = imposed((10.0, -10.0))
    tables["species"][0]["field"] = {"x": [0.0, 0.3, 1.0], "values": [10.0, 10.0, 10.0]}
    solution = pnp.solve(pnp.make_case(tables))
    np.testing.assert_allclose(list(solution.steady.currents.values()), EXACT_CURRENTS[10.0, -10.0], rtol=1e-6)


def test_without_fields_shdl_is_fickian_diffusion_with_linear_profiles():
    """Exact: J = rho_L - rho_R (docs/theory.md#exact-profile)."""
    solution = pnp.solve(pnp.make_case(dimensionless_case()))
    np.testing.assert_allclose(list(solution.steady.currents.values()), [-0.4, 0.4], rtol=1e-8)
    assert set(solution.regimes.values()) == {"fickian"}


def test_diffusivity_factor_of_a_region_adds_resistances_in_series():
    """Without fields the current of shdl through D = 1 and D = 1/4 in equal halves is (rho_L - rho_R)/(1/2 + 2)."""
    tables = dimensionless_case()
    tables["regions"] = [{"name": "slow", "x": [0.5, 1.0], "diffusivity": 0.25}]
    solution = pnp.solve(pnp.make_case(tables))
    np.testing.assert_allclose(list(solution.steady.currents.values()), [-0.4 / 2.5, 0.4 / 2.5], rtol=1e-7)


@pytest.mark.parametrize("debye_length", [1e-2, 1e-3])
@pytest.mark.parametrize("voltage", [1.0, 10.0, 40.0, 100.0])
def test_blocking_electrode_holds_the_closed_form_charge_from_a_cold_start(voltage: float, debye_length: float):
    """sigma = lambda sqrt(2 log(1 + 2 rho_b (cosh V - 1))) for every crowded law (docs/theory.md#equilibrium)."""
    bulk = 0.05
    exact = debye_length * np.sqrt(2.0 * np.log1p(2.0 * bulk * (np.cosh(voltage) - 1.0)))
    for law in ("mpnp", "shdl", "vacancy"):
        solution = pnp.solve(pnp.make_case(blocking_electrode(law, voltage, debye_length, bulk)))
        assert solution.steady.totals.charge["left"] == pytest.approx(exact, rel=1e-5)
        assert abs(solution.steady.totals.flux["left"]["cation"]) < 1e-12
        print(f"{law} V={voltage:g} lambda={debye_length:g}: {solution.report.newton_iterations} Newton steps")


@pytest.mark.parametrize("law", ["mpnp", "shdl"])
@pytest.mark.parametrize(("charge", "voltage", "debye_length"), [(1, 40.0, 1e-3), (1, -100.0, 2e-3), (3, 33.3, 1e-4)])
def test_what_rounding_leaves_of_a_blocked_current_is_no_current(
    law: str, charge: int, voltage: float, debye_length: float
):
    """Nothing passes a blocking electrode, whose layer makes rounding 1e-8 of what diffusion could carry."""
    tables = blocking_electrode(law, voltage, debye_length, 0.3)
    tables["species"] = [{"name": "cation", "charge": charge}, {"name": "anion", "charge": -charge}]
    tables["regions"] = [{"name": "membrane", "x": [0.3, 0.7], "fixed_charge": -0.4}]
    solution = pnp.solve(pnp.make_case(tables))
    assert solution.summary()["balance"] < 1e-6
    assert set(solution.regimes.values()) == {"none"}


@pytest.mark.parametrize("voltage", [1.0, 10.0, 20.0])
def test_point_ions_hold_the_charge_of_gouy_and_chapman(voltage: float):
    """sigma = 2 lambda sqrt(2 rho_b) sinh(V/2); V while coordinates resolve the layer."""
    bulk, debye_length = 0.05, 1e-2
    solution = pnp.solve(pnp.make_case(blocking_electrode("pnp", voltage, debye_length, bulk)))
    exact = 2.0 * debye_length * np.sqrt(2.0 * bulk) * np.sinh(0.5 * voltage)
    assert solution.steady.totals.charge["left"] == pytest.approx(exact, rel=1e-5)


def test_first_degree_elements_give_the_same_charge_to_their_accuracy():
    tables = blocking_electrode("mpnp", 10.0, 1e-2) | {"solver": {"degree": 1}}
    exact = 1e-2 * np.sqrt(2.0 * np.log1p(0.1 * (np.cosh(10.0) - 1.0)))
    assert pnp.solve(pnp.make_case(tables)).steady.totals.charge["left"] == pytest.approx(exact, rel=2e-4)


def test_closed_cell_keeps_its_ions_and_charges_are_opposite():
    """Amounts are conserved, and by Gauss the charges on both electrodes add up to zero."""
    from conftest import EXAMPLES

    for applied in ("50 mV", "500 mV"):
        tables = copy.deepcopy(pnp.read_case(EXAMPLES / "two_electrodes.toml").as_written())
        tables["boundaries"][0]["potential"] = applied
        solution = pnp.solve(pnp.make_case(tables))
        means = list(solution.discretisation.problem.species)
        for species, contents in zip(means, solution.steady.mean_fluxes.values(), strict=True):
            assert contents / species.diffusivity == pytest.approx(species.mean_fraction, rel=1e-9)
        left, right = solution.steady.totals.charge["left"], solution.steady.totals.charge["right"]
        assert left == pytest.approx(-right, rel=1e-9)
        assert left > 0.0


@pytest.mark.parametrize("law", ["mpnp", "shdl", "vacancy", "pnp"])
def test_prescribed_flux_comes_out_as_the_same_flux_and_reproduces_the_reservoir(law: str):
    """Replacing a reservoir by the fluxes that pass it must give the same state back."""
    tables = dimensionless_case(law=law)
    tables["species"][0]["field"] = 1.0
    reference = pnp.solve(pnp.make_case(tables))
    fluxes = reference.steady.totals.flux["right"]
    tables["boundaries"][1] = {"where": "right", "kind": "flux", "flux": fluxes}
    solution = pnp.solve(pnp.make_case(tables))
    assert solution.steady.ends[1].rho["A"] == pytest.approx(0.6, rel=1e-6)
    assert solution.steady.ends[1].rho["B"] == pytest.approx(0.1, rel=1e-6)
    for name, flux in fluxes.items():
        assert solution.steady.totals.flux["right"][name] == pytest.approx(flux, rel=1e-12)
        assert solution.steady.totals.flux["left"][name] == pytest.approx(-flux, rel=1e-9)


@pytest.mark.parametrize("law", ["pnp", "mpnp", "shdl", "vacancy"])
def test_electrode_can_hold_one_species_and_block_the_other(law: str):
    """The held one passes, the blocked one does not, and the density at the electrode is the one given."""
    tables = blocking_electrode(law, 2.0, 0.05)
    tables["boundaries"][0]["fraction"] = {"cation": 0.2}
    solution = pnp.solve(pnp.make_case(tables))
    assert solution.steady.ends[0].rho["cation"] == pytest.approx(0.2, rel=1e-8)
    flux = solution.steady.totals.flux
    assert abs(flux["left"]["cation"]) > 1e-3
    assert flux["left"]["cation"] == pytest.approx(-flux["right"]["cation"], rel=1e-8)
    assert abs(flux["left"]["anion"]) < 1e-10
    assert solution.identity_residual < 1e-6


def test_ramp_reaches_the_state_of_the_direct_solve():
    tables = blocking_electrode("shdl", 40.0, 1e-2)
    direct = pnp.solve(pnp.make_case(tables))
    ramped = pnp.solve(pnp.make_case(tables | {"solver": {"strategy": "ramp"}}))
    assert ramped.report.ramp_steps > 1
    assert ramped.steady.totals.charge["left"] == pytest.approx(direct.steady.totals.charge["left"], rel=1e-10)


def test_empty_reservoir_is_a_sink():
    """One species without field into a sink: mpnp has the exact current -log(1 - rho_L) (J = -rho'/(1 - rho))."""
    tables = {
        "model": {"units": "dimensionless", "law": "mpnp", "electrostatics": "imposed"},
        "species": [{"name": "A"}],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [
            {"where": "left", "kind": "reservoir", "fraction": {"A": 0.5}},
            {"where": "right", "kind": "reservoir", "fraction": {"A": 0.0}},
        ],
    }
    assert pnp.solve(pnp.make_case(tables)).steady.currents["A"] == pytest.approx(-np.log(0.5), rel=1e-4)
