"""Channels: a cross-section that depends on x, with a charged wall, in one dimension."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import mistakes, run_command, write_toml

import pnp_exclusion as pnp
from pnp_exclusion.case.formulas import Formula, FormulaError
from pnp_exclusion.case.quantities import FARADAY

NARROW, WIDE = 0.01, 0.1
CONE = {"left": NARROW, "right": WIDE}


def channel(area: object, law: str = "pnp", coupled: bool = False, **domain: object) -> dict:
    """A neutral species, or a salt, between two reservoirs."""
    contents = {"A": 0.6} if not coupled else {"cation": 0.05, "anion": 0.05}
    ions = [{"name": "cation", "charge": 1}, {"name": "anion", "charge": -1}]
    model = {"debye_length": 0.02} if coupled else {"electrostatics": "imposed"}
    potential = {"potential": 0.0} if coupled else {}
    reservoir = {"kind": "reservoir", "fraction": contents}
    fewer = {name: 0.2 * rho for name, rho in contents.items()}
    return {
        "model": {"units": "dimensionless", "law": law, **model},
        "species": ions if coupled else [{"name": "A"}],
        "domain": {"shape": "interval", "length": 1.0, "area": area, **domain},
        "boundaries": [
            {"where": "left", **reservoir, **potential},
            {"where": "right", **reservoir, **potential, "fraction": fewer},
        ],
    }


def flux(tables: dict, species: str = "A") -> float:
    return pnp.solve(tables).summary()["flux"]["right"][species]["value"]


@pytest.mark.parametrize("coupled", [False, True])
def test_resistance_of_a_cone_is_that_of_its_sections_in_series(coupled: bool):
    """int dx/(D A) = L/(pi a b): of a neutral species, and of a salt of alike ions, in which no field arises."""
    tables = channel(CONE, coupled=coupled, cells=200)
    tables["solver"] = {"degree": 4}
    content = tables["boundaries"][0]["fraction"]
    for name, rho in content.items():
        assert flux(tables, name) == pytest.approx(0.8 * rho * np.pi * NARROW * WIDE, rel=1e-10)


@pytest.mark.parametrize(
    ("area", "resistance"),
    [
        (CONE, 1.0 / (np.pi * NARROW * WIDE)),
        ("pi*(0.01 + 0.09*x)^2", 1.0 / (np.pi * NARROW * WIDE)),
        ("exp(-3*x)", (np.exp(3.0) - 1.0) / 3.0),
        ({"x": [0.0, 0.3, 0.3, 1.0], "values": [1.0, 2.0, 3.0, 0.1]}, 0.3 * np.log(2.0) + 0.7 * np.log(30.0) / 2.9),
        (0.5, 2.0),
    ],
)
def test_automatic_meshes_resolve_the_section(area: object, resistance: float):
    """Of one species under shdl, which diffuses with D: dc / int dx/A."""
    solution = pnp.solve(channel(area, "shdl"))
    assert solution.steady.currents["A"] == pytest.approx(0.48 / resistance, rel=1e-6)
    assert solution.identity_residual < 3e-6


@pytest.mark.parametrize("law", ["pnp", "mpnp", "shdl", "vacancy"])
def test_currents_through_a_charged_cone_satisfy_the_master_identity(law: str):
    """The identity has 1/A, and no part of the equations' discretisation."""
    tables = channel(CONE, law, coupled=True, wall_charge=-5e-4)
    tables["boundaries"][0]["potential"] = 4.0
    solution = pnp.solve(tables)
    assert abs(solution.steady.currents["cation"]) > 1.2 * abs(solution.steady.currents["anion"])
    assert solution.identity_residual < 1e-6


def test_wall_of_an_even_channel_is_a_fixed_charge():
    """sigma P/A, and of the whole channel the currents per area times A."""
    area, wall_charge = 0.03, 2e-3
    tables = channel(area, "shdl", coupled=True, wall_charge=wall_charge)
    uniform = channel(None, "shdl", coupled=True)
    del uniform["domain"]["area"]
    uniform["regions"] = [{"name": "all", "fixed_charge": wall_charge * 2.0 * np.sqrt(np.pi / area)}]
    for name in ("cation", "anion"):
        assert flux(tables, name) == pytest.approx(area * flux(uniform, name), rel=1e-6)


def test_walls_of_a_workbench_take_other_charges():
    """Reference: each case on a mesh of its own."""
    cases = [pnp.make_case(channel(CONE, coupled=True, wall_charge=charge)) for charge in (-5e-4, 2e-4)]
    with pnp.Workbench(cases[0], also=cases[1:]) as workbench:
        found = workbench.solve(cases[1]).steady.currents["cation"]
    assert found == pytest.approx(flux(cases[1], "cation"), rel=1e-5)


def test_channel_in_units_carries_amperes_on_any_ranks(tmp_path):
    """Ohm: a dilute salt of uniform content, pi a b F^2 (D_+ + D_-) c V / (R T L); 10 mV, beyond the ends' layers."""
    reservoir = {"kind": "reservoir", "concentration": {"K": "10 mmol/L", "Cl": "10 mmol/L"}}
    tables = {
        "model": {"law": "pnp"},
        "species": [{"name": n, "charge": z, "diffusivity": "2e-9 m^2/s"} for n, z in (("K", 1), ("Cl", -1))],
        "domain": {"shape": "interval", "length": "1 um", "area": "pi*(0.01 + 0.09*x)^2"},
        "boundaries": [{"where": "left", **reservoir, "potential": "10 mV"}, {"where": "right", **reservoir}],
    }
    tables["boundaries"][1]["potential"] = "0 V"
    currents = []
    for ranks in (1, 2):
        folder = tmp_path / f"out{ranks}"
        run_command("run", write_toml(tables, tmp_path / "case.toml"), "-o", folder, ranks=ranks)
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["current"]["right"]["unit"] == "A"
        assert summary["flux"]["right"]["K"]["unit"] == "mol/s"
        currents.append(summary["current"]["right"]["value"])
    conductance = np.pi * 10e-9 * 100e-9 / 1e-6 * FARADAY**2 * 4e-9 * 10.0 / (8.314462618 * 298.15)
    assert currents[0] == pytest.approx(conductance * 0.01, rel=1e-6)
    assert currents[1] == pytest.approx(currents[0], rel=1e-9)


@pytest.mark.parametrize(
    ("domain", "told"),
    [
        ({"area": 0.0}, "area vanishes at 0 of the length"),
        ({"area": "0.5 - x"}, "area is negative at 1 of the length"),
        ({"area": "(x - 0.5)^2"}, "area vanishes at 0.5 of the length"),
        ({"area": "log(x)"}, "area has no value at 0 of the length"),
        ({"area": {"left": 0.0, "right": 1.0}}, "area vanishes at 0 of the length"),
        ({"area": {"left": -1.0, "right": 1.0}}, "area has a negative radius"),
        ({"area": {"x": [0.0, 0.5], "values": [1.0, 1.0]}}, "area.x runs from 0.0 to 0.5; it must cover the domain"),
        ({"area": {"x": [0.0, 1.0], "values": [1.0, 1.0, 1.0]}}, "2 positions x but 3 values"),
        ({"area": {"x": [0.0, 0.3, 0.3, 1.0], "values": [1, 1, 0, 1]}}, "area vanishes at 0.3 of the length"),
        ({"area": "x.real"}, '"x.real" is not arithmetic'),
        ({"area": "__import__('os').system('x')"}, "is not arithmetic"),
        ({"area": "exp(1, x)"}, "exp takes 1 value, not 2"),
        ({"area": "gamma(x)"}, 'it has no function "gamma"'),
        ({"area": "x + t"}, 'it has no variable "t"; there is x, pi'),
        ({"area": "1 +* x"}, "it is not arithmetic"),
        ({"area": "pi"}, "must be a plain number"),
        ({"area": [1.0]}, "must be a plain number"),
        ({"wall_charge": 0.1}, "wall_charge is that of a channel's wall"),
        ({"area": 1.0, "wall_charge": 0.1}, "wall_charge has no effect"),
    ],
)
def test_section_that_makes_no_sense_is_refused(domain: dict, told: str):
    tables = channel(None)
    tables["domain"] = {"shape": "interval", "length": 1.0, **domain}
    assert any(told in mistake for mistake in mistakes(tables)), mistakes(tables)


def test_formulas_compute_what_they_write_and_nothing_else():
    x = np.array([0.5, 2.0])
    assert np.allclose(Formula("-x^2 + 2*max(x, 1)/sqrt(4)**-1", ("x",))(x=x), -(x**2) + 4.0 * np.maximum(x, 1.0))
    assert np.isinf(Formula("9^9^9^9", ())())  # floats: no integer of endless digits
    for text in ("x if x else 1", "[x]", "lambda: x", "x[0]", "'a'", "True", "1j", "f'{x}'", "(" * 400, "min(x, *x)"):
        with pytest.raises(FormulaError):
            Formula(text, ("x",))


def test_sweep_reaches_the_radii_of_a_cone_and_the_charge_of_its_wall():
    """A cone of twice the radii has four times the current; the wall is neutral."""
    tables = channel(CONE, coupled=True, wall_charge=0.1)
    axes = {"area.left": [NARROW, 2 * NARROW], "area.right": [WIDE, 2 * WIDE], "wall_charge": [0.0]}
    tables["sweep"] = {"axes": [{"key": f"domain.{key}", "values": values} for key, values in axes.items()]}
    flux = pnp.sweep(tables).flux.sel(species="cation", boundary="right").values.ravel()
    assert flux[3] == pytest.approx(4.0 * flux[0], rel=1e-6)
