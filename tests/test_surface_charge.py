"""Walls with a given charge per area: the potential at the wall, the units, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import change, mistakes

import pnp_exclusion as pnp
from pnp_exclusion.case.case import make_case
from pnp_exclusion.case.quantities import BOLTZMANN, ELEMENTARY_CHARGE, VACUUM_PERMITTIVITY

AVOGADRO, TEMPERATURE, PERMITTIVITY = 6.02214076e23, 298.15, 78.5
THERMAL_VOLTAGE = BOLTZMANN * TEMPERATURE / ELEMENTARY_CHARGE


def charged_wall(charge: str, concentration: float, law: str = "pnp") -> dict:
    """A salt between a charged wall on the left and its bulk, 20 Debye lengths away and more."""
    return {
        "model": {"law": law, "lattice_spacing": "0.3 nm"},
        "species": [
            {"name": "Na", "charge": 1, "diffusivity": "1.33e-9 m^2/s"},
            {"name": "Cl", "charge": -1, "diffusivity": "2.03e-9 m^2/s"},
        ],
        "domain": {"shape": "interval", "length": "40 nm"},
        "boundaries": [
            {"where": "left", "kind": "wall", "surface_charge": charge},
            {
                "where": "right",
                "kind": "reservoir",
                "concentration": dict.fromkeys(("Na", "Cl"), f"{concentration} mol/L"),
                "potential": "0 V",
            },
        ],
    }


def potential_at_the_wall(solution: pnp.Solution) -> float:
    """In V; nothing flows, and the wall is the first end."""
    return solution.steady.ends[0].potential * THERMAL_VOLTAGE - solution.steady.ends[1].potential * THERMAL_VOLTAGE


@pytest.mark.parametrize("charge", [-0.001, -0.05, 0.1, 0.4])
@pytest.mark.parametrize("concentration", [0.025, 0.1])
def test_potential_at_a_charged_wall_is_grahames(charge: float, concentration: float):
    """Grahame, Chem. Rev. 41, 441 (1947): sigma = sqrt(8 eps kT c) sinh(e phi / 2 kT), point ions."""
    density = 1000.0 * AVOGADRO * concentration
    scale = np.sqrt(8.0 * VACUUM_PERMITTIVITY * PERMITTIVITY * BOLTZMANN * TEMPERATURE * density)
    right = 2.0 * THERMAL_VOLTAGE * np.arcsinh(charge / scale)
    solution = pnp.solve(charged_wall(f"{charge} C/m^2", concentration))
    assert potential_at_the_wall(solution) == pytest.approx(right, rel=1e-6)
    assert solution.summary()["charge"]["left"]["value"] == pytest.approx(charge, rel=1e-9)
    assert solution.warnings == []


@pytest.mark.parametrize("charge", [0.05, 0.4])
def test_potential_at_a_charged_wall_is_that_of_bikermans_ions(charge: float):
    """Kilic, Bazant, Ajdari, Phys. Rev. E 75, 021502 (2007), eq. (24), solved for the potential."""
    concentration = 0.1
    density, volume = 1000.0 * AVOGADRO * concentration, 0.3e-9**3
    bulk = 2.0 * density * volume
    field_squared = charge**2 * volume / (2.0 * VACUUM_PERMITTIVITY * PERMITTIVITY * BOLTZMANN * TEMPERATURE)
    right = THERMAL_VOLTAGE * np.arccosh(1.0 + np.expm1(field_squared) / bulk)
    solution = pnp.solve(charged_wall(f"{charge} C/m^2", concentration, "mpnp"))
    assert potential_at_the_wall(solution) == pytest.approx(right, rel=1e-6)


def test_charge_of_a_wall_is_a_number_that_a_workbench_changes():
    """Reference: each case on a mesh of its own."""
    cases = [make_case(charged_wall(charge, 0.1)) for charge in ("-0.05 C/m^2", "0.02 C/m^2")]
    with pnp.Workbench(cases[0], also=cases[1:]) as workbench:
        for case in cases:
            found = potential_at_the_wall(workbench.solve(case))
            assert found == pytest.approx(potential_at_the_wall(pnp.solve(case)), rel=1e-6)


def test_charge_of_a_wall_has_a_unit_and_needs_poisson(membrane: dict):
    tables = charged_wall("-0.05 C/m", 0.1)
    assert "-0.05 C/m^2" in mistakes(tables)[0]
    imposed = change(charged_wall("-0.05 C/m^2", 0.1), "model", to={"law": "pnp", "electrostatics": "imposed"})
    del imposed["boundaries"][1]["potential"]
    assert any("surface_charge has no effect" in mistake for mistake in mistakes(imposed))
