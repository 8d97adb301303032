"""Walls whose groups exchange protons: the charge at which Gouy and Chapman's layer and the groups agree."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import mistakes
from scipy.optimize import brentq

import pnp_exclusion as pnp
from pnp_exclusion.exact.double_layer import PointIonLayer

DEBYE_LENGTH, BULK = 0.02, 0.05


def regulated(protons: float, regulation: dict) -> dict:
    """A salt with a few protons between a regulated wall and its bulk; anions balance both cations."""
    contents = {"H": protons, "Na": BULK - protons, "Cl": BULK}
    return {
        "model": {"units": "dimensionless", "law": "pnp", "debye_length": DEBYE_LENGTH},
        "species": [{"name": "H", "charge": 1}, {"name": "Na", "charge": 1}, {"name": "Cl", "charge": -1}],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [
            {"where": "left", "kind": "wall", "regulation": {"protons": "H", **regulation}},
            {"where": "right", "kind": "reservoir", "potential": 0.0, "fraction": contents},
        ],
    }


def share(h: float, pk: float | list[float], group: str) -> float:
    """Charge of a group, by the law of mass action."""
    if isinstance(pk, list):
        first, second = (10.0**-k for k in pk)
        return (h**2 - first * second) / (h**2 + first * h + first * second)
    constant = 10.0**-pk
    return h / (constant + h) if group == "base" else -constant / (constant + h)


@pytest.mark.parametrize(
    ("pk", "group"), [(5.0, "acid"), (7.0, "acid"), (9.0, "acid"), (6.0, "base"), ([4.0, 8.0], "acid")]
)
@pytest.mark.parametrize("protons", [1e-9, 1e-6, 1e-3])
def test_charge_is_that_of_the_groups_in_the_layer_that_it_makes(pk: float | list[float], group: str, protons: float):
    """Ninham and Parsegian 1971: sigma = Gamma share(h exp(-psi)) with sigma(psi) of Gouy and Chapman."""
    sites = 0.05
    diffuse = PointIonLayer(BULK, DEBYE_LENGTH).surface_charge
    excess = lambda psi: float(diffuse(psi)) - sites * share(protons * np.exp(-psi), pk, group)  # noqa: E731
    right = float(diffuse(brentq(excess, -60.0, 60.0, xtol=1e-14)))
    solution = pnp.solve(regulated(protons, {"sites": sites, "pK": pk, "group": group}))
    assert solution.summary()["charge"]["left"]["value"] == pytest.approx(right, rel=1e-5, abs=1e-12)
    assert solution.report.newton_iterations <= 12


@pytest.mark.parametrize(("pk", "group"), [(7.0, "acid"), (6.0, "base"), ([4.0, 8.0], "acid"), ([6.0, 6.5], "acid")])
@pytest.mark.parametrize(
    ("protons", "sites", "capacitance"), [(1e-8, 0.05, 5e-3), (1e-3, 0.05, 0.02), (1e-5, 1.0, 2e-3)]
)
def test_groups_behind_a_stern_layer_have_the_protons_that_its_voltage_leaves_them(
    pk: float | list[float], group: str, protons: float, sites: float, capacitance: float
):
    """sigma = Gamma share(h exp(-psi - sigma/C)), sigma(psi) of Gouy and Chapman: the basic Stern model, Westall and
    Hohl, Adv. Colloid Interface Sci. 12, 265 (1980); the layer takes up to 500 kT/e if every group were charged."""
    diffuse = PointIonLayer(BULK, DEBYE_LENGTH).surface_charge

    def excess(psi: float) -> float:
        at_groups = protons * np.exp(np.clip(-psi - float(diffuse(psi)) / capacitance, -300.0, 300.0))
        return float(diffuse(psi)) - sites * share(at_groups, pk, group)

    right = float(diffuse(brentq(excess, -20.0, 20.0, xtol=1e-14)))
    tables = regulated(protons, {"sites": sites, "pK": pk, "group": group})
    tables["boundaries"][0]["stern"] = {"capacitance": capacitance}
    assert pnp.solve(tables).summary()["charge"]["left"]["value"] == pytest.approx(right, rel=1e-5, abs=1e-12)


def test_stern_layer_on_a_given_charge_is_refused_with_what_it_would_do():
    tables = regulated(1e-6, {"sites": 1.0, "pK": 7.0})
    tables["boundaries"][0] = {"where": "left", "kind": "wall", "surface_charge": 0.1, "stern": {"capacitance": 1.0}}
    assert any("only the potential of the wall itself differs" in mistake for mistake in mistakes(tables))


def test_silica_in_si_units_has_the_charge_of_its_sites():
    """In an acid far below the pK nothing is dissociated but 10^(pH - pK); far above it everything is."""
    tables = {
        "model": {"law": "pnp"},
        "species": [
            {"name": "H", "charge": 1, "diffusivity": "9.3e-9 m^2/s"},
            {"name": "Cl", "charge": -1, "diffusivity": "2.03e-9 m^2/s"},
        ],
        "domain": {"shape": "interval", "length": "100 nm"},
        "boundaries": [
            {"where": "left", "kind": "wall", "regulation": {"protons": "H", "sites": "1e14 1/m^2", "pK": 7.5}},
            {
                "where": "right",
                "kind": "reservoir",
                "potential": "0 V",
                "concentration": {"H": "1 mmol/L", "Cl": "1 mmol/L"},
            },
        ],
    }
    charge = pnp.solve(tables).summary()["charge"]["left"]
    assert charge["unit"] == "C/m^2"
    # the potential that it makes is 1e-7 V: no correction
    assert charge["value"] == pytest.approx(-1e14 * 1.602176634e-19 * 10**-4.5, rel=1e-4)


@pytest.mark.parametrize(
    ("regulation", "told"),
    [
        ({"protons": "K", "sites": 1.0, "pK": 7.0}, 'regulation.protons names an unknown species "K"'),
        ({"sites": -1.0, "pK": 7.0}, "sites must be positive"),
        ({"sites": 1.0, "pK": [7.0, 4.0], "group": "base"}, "group goes with a single pK"),
        ({"sites": 1.0}, 'the key "regulation.pK" is missing'),
        ({"sites": 1.0, "pK": "7"}, 'regulation.pK, entry 1: must be a number, but it is "7"'),
        ({"sites": 1.0, "pK": [1.0, 2.0, 3.0]}, "regulation.pK"),
        ({"sites": 1.0, "pK": -400.0}, "regulation.pK"),
    ],
)
def test_regulation_that_makes_no_sense_is_refused(regulation: dict, told: str):
    found = mistakes(regulated(1e-6, regulation))
    assert any(told in mistake for mistake in found), found


@pytest.mark.parametrize("other", [{"group": "base"}, {"protons": "Na"}, {"pK": [4.0, 8.0]}])
def test_other_groups_are_no_numbers_that_a_workbench_changes(other: dict):
    first = pnp.make_case(regulated(1e-6, {"sites": 0.05, "pK": 7.0, "group": "acid"}))
    with pnp.Workbench(first) as workbench:
        assert workbench.fits(pnp.make_case(regulated(1e-6, {"sites": 0.02, "pK": 6.0, "group": "acid"})))
        changed = {"sites": 0.05, "pK": 7.0} | ({} if "pK" in other else {"group": "acid"}) | other
        assert not workbench.fits(pnp.make_case(regulated(1e-6, changed)))
