"""Species that are scarce beside others: contents are taken as given, currents and forces have their digits.

Between equal reservoirs of a salt the potential is linear, and a dilute species drifts and diffuses in it as its own:
``J = V (c_0 exp(z V) - c_1)/(exp(z V) - 1)`` with ``z = 1`` (Goldman), times the share of vacancies for ``vacancy``.
"""

from __future__ import annotations

import math

import pytest

import pnp_exclusion as pnp

SALT = 0.1


def minority(law: str, share: float, voltage: float) -> dict:
    def reservoir(where: str, content: float, potential: float) -> dict:
        fractions = {"P": SALT, "M": SALT, "few": content}
        return {"where": where, "kind": "reservoir", "fraction": fractions, "potential": potential}

    return {
        "model": {"units": "dimensionless", "law": law, "debye_length": 0.05},
        "species": [{"name": "P", "charge": 1}, {"name": "M", "charge": -1}, {"name": "few", "charge": 1}],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [
            reservoir("left", SALT * share, voltage),
            reservoir("right", 3.0 * SALT * share, 0.0),
        ],
    }


@pytest.mark.parametrize("voltage", [0.0, 2.0, -30.0])
@pytest.mark.parametrize("law", ["pnp", "mpnp", "shdl", "vacancy"])
def test_scarce_species_has_the_current_and_force_of_a_dilute_one(law: str, voltage: float):
    for share in (1e-8, 1e-15, 1e-22, 1e-30):
        solution = pnp.solve(minority(law, share, voltage))
        first, second = SALT * share, 3.0 * SALT * share
        goldman = voltage * (first * math.exp(voltage) - second) / math.expm1(voltage) if voltage else first - second
        if law == "vacancy":
            goldman *= 1.0 - 2.0 * SALT
        assert solution.steady.currents["few"] == pytest.approx(goldman, rel=1e-6), share
        assert solution.forces["few"] == pytest.approx(voltage - math.log(3.0), rel=1e-6)
        assert solution.regimes["few"] != "none"
        assert solution.report.newton_iterations <= 12


@pytest.mark.parametrize("shape", ["rectangle", "box"])
def test_iterative_solvers_see_scarce_species_too(shape: str):
    # on the cross-section of any slab the current is that of one dimension
    tables = minority("mpnp", 1e-20, 2.0)
    tables["domain"] = {"shape": shape, "size": [1.0] * (2 if shape == "rectangle" else 3), "cells": 8}
    tables["solver"] = {"linear": "fieldsplit"}
    solution = pnp.solve(tables)
    first, second = SALT * 1e-20, 3.0 * SALT * 1e-20
    goldman = 2.0 * (first * math.exp(2.0) - second) / math.expm1(2.0)
    assert solution.steady.currents["few"] == pytest.approx(goldman, rel=1e-4)
    assert solution.report.newton_iterations <= 8
    assert solution.report.tried == []
    assert solution.regimes["few"] == "uphill-field"


def test_current_between_two_ends_is_their_mean_where_a_third_boundary_feeds_it():
    tables = {
        "model": {"units": "dimensionless", "law": "pnp", "electrostatics": "imposed"},
        "species": [{"name": "A"}],
        "domain": {"shape": "rectangle", "size": [1.0, 1.0], "cells": 8},
        "boundaries": [
            {"where": "left", "kind": "reservoir", "fraction": {"A": 1.0}},
            {"where": "right", "kind": "reservoir", "fraction": {"A": 0.1}},
            {"where": "top", "kind": "flux", "flux": {"A": 0.5}},
        ],
    }
    # diffusion is linear: 0.9 pass, and what the top takes is missing at both sides alike
    solution = pnp.solve(tables)
    assert solution.steady.currents["A"] == pytest.approx(0.9, rel=1e-6)
    assert solution.steady.totals.flux["right"]["A"] == pytest.approx(0.9 - 0.25, rel=1e-4)


def test_species_that_is_absent_has_no_current():
    tables = minority("mpnp", 1e-10, 0.0)
    for boundary in tables["boundaries"]:
        boundary["fraction"]["few"] = 0.0
    assert pnp.solve(tables).regimes["few"] == "none"


def test_hydroxide_of_an_acid_diffuses():
    # 2e-13 against 6e-13 mol/L over 1 um, no field: D dc/L, and log(1/3) of kT
    tables = {
        "model": {"law": "pnp"},
        "species": [
            {"name": "H", "charge": 1, "diffusivity": "9.31e-9 m^2/s"},
            {"name": "ClO4", "charge": -1, "diffusivity": "1.79e-9 m^2/s"},
            {"name": "OH", "charge": -1, "diffusivity": "5.27e-9 m^2/s"},
        ],
        "domain": {"shape": "interval", "length": "1 um"},
        "boundaries": [
            {
                "where": where,
                "kind": "reservoir",
                "concentration": {"H": "0.05 mol/L", "ClO4": "0.05 mol/L", "OH": content},
                "potential": "0 V",
            }
            for where, content in (("left", "2e-13 mol/L"), ("right", "6e-13 mol/L"))
        ],
    }
    summary = pnp.solve(tables).summary()
    assert summary["flux"]["right"]["OH"]["value"] == pytest.approx(-5.27e-9 * 4e-10 / 1e-6, rel=1e-6)
    assert summary["force"]["OH"] == pytest.approx(-math.log(3.0), rel=1e-9)
    assert summary["regime"]["OH"] == "fickian"


def test_space_charge_of_a_few_defects_is_that_of_the_double_layer():
    # charge of a blocking electrode, lambda sqrt(2 log(1 + 2 rho (cosh V - 1))), at 4.4e-17 defects a site
    temperature, permittivity, spacing, voltage = 300.0, 9.0, 2.556e-10, 0.6
    content = 2.65e12
    tables = {
        "model": {
            "law": "mpnp",
            "temperature": f"{temperature} K",
            "permittivity": permittivity,
            "lattice_spacing": f"{spacing} m",
        },
        "species": [
            {"name": "Li_i", "charge": 1, "diffusivity": "1e-12 m^2/s"},
            {"name": "V_Li", "charge": -1, "diffusivity": "1e-12 m^2/s"},
        ],
        "domain": {"shape": "interval", "length": "12 mm"},
        "boundaries": [
            {"where": "left", "kind": "electrode", "potential": f"{-voltage} V"},
            {
                "where": "right",
                "kind": "reservoir",
                "concentration": dict.fromkeys(["Li_i", "V_Li"], f"{content} m^-3"),
                "potential": "0 V",
            },
        ],
    }
    charge, boltzmann, vacuum = 1.602176634e-19, 1.380649e-23, 8.8541878128e-12
    thermal, volume = boltzmann * temperature, spacing**3
    debye_length = math.sqrt(vacuum * permittivity * thermal * volume) / charge
    folded = 1.0 + 2.0 * content * volume * (math.cosh(charge * voltage / thermal) - 1.0)
    expected = -charge / volume * debye_length * math.sqrt(2.0 * math.log(folded))
    assert pnp.solve(tables).summary()["charge"]["left"]["value"] == pytest.approx(expected, rel=1e-5)


def test_minorities_of_a_reverse_biased_junction_have_the_currents_that_the_profile_asks_for():
    # holes and electrons are plenty at one end, where rounding is a hundred times their current, and few at the other;
    # the master identity J = <M^-1>^-1 F has no differences of large numbers
    doping, intrinsic, bias = 1e16, 1e10, 1.0
    minority_content = intrinsic**2 / doping
    built_in = 0.0256926 * math.log(doping / minority_content)
    ends = (("left", doping, minority_content, -bias), ("right", minority_content, doping, built_in))
    tables = {
        "model": {"law": "pnp", "permittivity": 11.7},
        "species": [
            {"name": "hole", "charge": 1, "diffusivity": "12 cm^2/s"},
            {"name": "electron", "charge": -1, "diffusivity": "36 cm^2/s"},
        ],
        "domain": {"shape": "interval", "length": "4 um"},
        "regions": [
            {"name": "p", "x": ["0 um", "2 um"], "fixed_charge": f"{-doping} cm^-3"},
            {"name": "n", "x": ["2 um", "4 um"], "fixed_charge": f"{doping} cm^-3"},
        ],
        "boundaries": [
            {
                "where": where,
                "kind": "reservoir",
                "concentration": {"hole": f"{holes} cm^-3", "electron": f"{electrons} cm^-3"},
                "potential": f"{potential} V",
            }
            for where, holes, electrons, potential in ends
        ],
    }
    solution = pnp.solve(tables)
    for name, current in solution.steady.currents.items():
        assert current == pytest.approx(solution.steady.currents_of_profile[name], rel=1e-5)
        assert solution.steady.totals.uncertainty(name) < 1e-6 * abs(current)
    # the smallest current by the saturation current of a short diode, D n_i^2/(N W), W somewhat less than 2 um
    hole = -solution.summary()["flux"]["right"]["hole"]["value"]
    least = 12e-4 * minority_content * 1e6 / 6.02214e23 / 2e-6
    assert least < hole < 2.0 * least


def test_current_below_rounding_is_told():
    # a barrier of 80 kT/e in the middle: both ends are rich, and what passes is e^-80 of what neighbours exchange there
    tables = {
        "model": {"units": "dimensionless", "law": "pnp", "electrostatics": "imposed"},
        "species": [{"name": "a", "field": {"x": [0.0, 0.5, 0.5, 1.0], "values": [-160.0, -160.0, 160.0, 160.0]}}],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [
            {"where": "left", "kind": "reservoir", "fraction": {"a": 0.2}},
            {"where": "right", "kind": "reservoir", "fraction": {"a": 0.1}},
        ],
    }
    solution = pnp.solve(tables)
    # J int exp(psi) = 0.2 - 0.1 with psi rising by 160 a length to the middle: int = 2 (e^80 - 1)/160
    expected = 0.1 * 80.0 / math.expm1(80.0)
    assert solution.steady.currents_of_profile["a"] == pytest.approx(expected, rel=1e-3)
    assert solution.regimes["a"] == "none"
    assert any("below what rounding leaves" in sentence for sentence in solution.warnings)
