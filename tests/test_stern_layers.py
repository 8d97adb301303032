"""Electrodes behind a layer without ions: a capacitor in series with the diffuse layer, and what is refused."""

from __future__ import annotations

import pytest
from conftest import blocking_electrode, change, mistakes
from scipy.optimize import brentq

import pnp_exclusion as pnp
from pnp_exclusion.exact.double_layer import CrowdedLayer, PointIonLayer

LAYERS = {"pnp": PointIonLayer, "mpnp": CrowdedLayer, "vacancy": CrowdedLayer}
BULK, DEBYE_LENGTH = 0.05, 0.02


def behind_a_layer(law: str, voltage: float, stern: dict) -> dict:
    tables = blocking_electrode(law, voltage, DEBYE_LENGTH, BULK)
    tables["boundaries"][0]["stern"] = stern
    return tables


def charge_in_series(law: str, voltage: float, capacitance: float) -> float:
    """The charge at which the diffuse layer of Gouy and Chapman, or Bikerman, takes what the Stern layer leaves."""
    diffuse = LAYERS[law](BULK, DEBYE_LENGTH).surface_charge
    drop = brentq(lambda psi: float(diffuse(psi)) - capacitance * (voltage - psi), 0.0, voltage, xtol=1e-14, rtol=1e-14)
    return float(diffuse(drop))


@pytest.mark.parametrize(
    ("law", "voltage"), [("pnp", 0.1), ("pnp", 10.0), ("pnp", 40.0), ("mpnp", 10.0), ("mpnp", 100.0), ("vacancy", 40.0)]
)
@pytest.mark.parametrize("capacitance", [0.003, 0.3])
def test_charge_is_that_of_two_capacitors_in_series(law: str, voltage: float, capacitance: float):
    """Grahame's Stern model, Chem. Rev. 41, 441 (1947): sigma(psi) = C_S (V - psi), with sigma in closed form."""
    solution = pnp.solve(behind_a_layer(law, voltage, {"capacitance": capacitance}))
    found = solution.summary()["charge"]["left"]["value"]
    assert found == pytest.approx(charge_in_series(law, voltage, capacitance), rel=1e-5)
    assert solution.report.newton_iterations <= 8


def test_thickness_and_permittivity_are_a_plate_capacitor():
    """By hand: eps_0 eps_S / d = 8.8541878128e-12 * 6 / 0.4e-9 F/m^2."""
    tables = {
        "model": {"law": "mpnp", "lattice_spacing": "0.7 nm"},
        "species": [
            {"name": "Na", "charge": 1, "diffusivity": "1.33e-9 m^2/s"},
            {"name": "Cl", "charge": -1, "diffusivity": "2.03e-9 m^2/s"},
        ],
        "domain": {"shape": "interval", "length": "20 nm"},
        "boundaries": [
            {"where": "left", "kind": "electrode", "potential": "0.5 V", "stern": {}},
            {
                "where": "right",
                "kind": "reservoir",
                "potential": "0 V",
                "concentration": {"Na": "0.1 mol/L", "Cl": "0.1 mol/L"},
            },
        ],
    }
    charges = []
    by_hand = 8.8541878128e-12 * 6 / 0.4e-9
    for stern in ({"thickness": "0.4 nm", "permittivity": 6.0}, {"capacitance": f"{by_hand} F/m^2"}):
        tables["boundaries"][0]["stern"] = stern
        charges.append(pnp.solve(tables).summary()["charge"]["left"]["value"])
    assert charges[0] == pytest.approx(charges[1], rel=1e-12)
    assert 0.0 < charges[0] < 0.5 * by_hand


def test_two_electrodes_behind_layers_are_mirror_images():
    """Equal layers and opposite potentials: opposite charges, each less than its layer alone would take."""
    tables = behind_a_layer("mpnp", 10.0, {"capacitance": 0.1})
    tables["boundaries"][1] = {"where": "right", "kind": "electrode", "potential": -10.0, "stern": {"capacitance": 0.1}}
    for species in tables["species"]:
        species["mean_fraction"] = BULK
    charge = pnp.solve(tables).summary()["charge"]
    assert charge["left"]["value"] == pytest.approx(-charge["right"]["value"], rel=1e-9)
    assert 0.0 < charge["left"]["value"] < 0.1 * 10.0


def test_layer_is_a_number_that_a_workbench_changes():
    """Reference: each case on a mesh of its own."""
    cases = [pnp.make_case(behind_a_layer("mpnp", 10.0, {"capacitance": c})) for c in (0.05, 0.2)]
    with pnp.Workbench(cases[0], also=cases[1:]) as workbench:
        for case in cases:
            found, right = (s.summary()["charge"]["left"]["value"] for s in (workbench.solve(case), pnp.solve(case)))
            assert found == pytest.approx(right, rel=1e-7)


@pytest.mark.parametrize(
    ("stern", "told"),
    [
        ({}, "give either capacitance, or thickness and permittivity"),
        ({"capacitance": 1.0, "thickness": 0.1}, "has both a capacitance and what makes one"),
        ({"capacitance": -1.0}, "capacitance must be positive, but it is -1.0"),
        ({"thickness": 0.1}, "give either capacitance, or thickness and permittivity"),
    ],
)
def test_layer_that_makes_no_sense_is_refused(stern: dict, told: str):
    assert any(told in mistake for mistake in mistakes(behind_a_layer("mpnp", 1.0, stern)))


def test_electrode_behind_a_layer_holds_no_species():
    tables = change(behind_a_layer("mpnp", 1.0, {"capacitance": 1.0}), "boundaries", 0, "fraction", to={"cation": 0.1})
    assert any("holds no species" in mistake for mistake in mistakes(tables))
