"""Boundaries whose potential is found: floating electrodes of a given charge, and given electric currents."""

from __future__ import annotations

import copy
from pathlib import Path

from mpi4py import MPI

import numpy as np
import pytest
from conftest import change, mistakes, run_command, summary_of, write_toml
from dolfinx import mesh as dmesh
from scipy.constants import physical_constants

import pnp_exclusion as pnp

pytestmark = pytest.mark.filterwarnings("ignore::pnp_exclusion.SolutionWarning")
FARADAY = physical_constants["Faraday constant"][0]


def between(right: dict, law: str = "mpnp", **more) -> dict:
    """A symmetric salt between a reservoir and another boundary."""
    left = {"where": "left", "kind": "reservoir", "fraction": {"A": 0.1, "B": 0.1}, "potential": 3.0}
    return {
        "model": {"units": "dimensionless", "law": law, "electrostatics": "poisson", "debye_length": 0.05},
        "species": [{"name": "A", "charge": 1}, {"name": "B", "charge": -1}],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [left, {"where": "right", **right}],
        **more,
    }


def membrane(right: dict, law: str, shape: str) -> dict:
    """The same with a charged membrane and unlike reservoirs."""
    tables = between({"kind": "reservoir", "fraction": {"A": 0.2, "B": 0.2}, **right}, law)
    tables["regions"] = [{"name": "membrane", "x": [0.3, 0.7], "fixed_charge": 0.05}]
    if shape == "rectangle":
        tables["domain"] = {"shape": "rectangle", "size": [1.0, 0.5], "cells": [24, 6]}
    return tables


def found(solution: pnp.Solution, where: str = "right") -> float:
    return solution.summary()["found_potential"][where]["value"]


@pytest.mark.parametrize("law", ["pnp", "mpnp", "shdl", "vacancy"])
@pytest.mark.parametrize("charge", [0.0, 0.02, -0.3])
def test_floating_electrode_of_a_charge_is_a_wall_of_it_and_a_stern_layer_adds_its_drop(law: str, charge: float):
    """In one dimension there is no difference; a plate capacitor in series takes sigma / C_S."""
    wall = pnp.solve(between({"kind": "wall", "surface_charge": charge}, law))
    at_wall = float(wall.to_xarray()["potential"].values[-1])
    floating = pnp.solve(between({"kind": "floating", "total_charge": charge}, law))
    assert found(floating) == pytest.approx(at_wall, rel=1e-9)
    assert floating.summary()["charge"]["right"]["value"] == pytest.approx(charge, rel=1e-12, abs=1e-15)
    stern = {"kind": "floating", "total_charge": charge, "stern": {"capacitance": 0.1}}
    behind = pnp.solve(between(stern, law))
    assert found(behind) == pytest.approx(at_wall + charge / 0.1, rel=1e-9)
    assert floating.report.newton_iterations <= 8
    assert behind.report.newton_iterations <= 8


def sheet(kind: dict | None, species: list[dict], law: str = "mpnp") -> pnp.Case:
    """Two plates, and perhaps a sheet of metal between them that particles pass."""
    square = dmesh.create_rectangle(MPI.COMM_SELF, [[0.0, 0.0], [1.0, 0.5]], [20, 4])
    facets = dmesh.locate_entities(square, 1, lambda x: np.isclose(x[0], 0.6))
    ends = {"left": lambda x: np.isclose(x[0], 0.0), "right": lambda x: np.isclose(x[0], 1.0)}
    contents = {one["name"]: 0.1 for one in species}
    held = [
        {"where": where, "kind": "reservoir", "fraction": contents, "potential": potential}
        for where, potential in (("left", 1.0), ("right", -1.0))
    ]
    return pnp.Case(
        model={"units": "dimensionless", "law": law, "electrostatics": "poisson", "debye_length": 0.3},
        species=species,
        domain=pnp.Mesh(mesh=square, boundaries={**ends, "sheet": facets}),
        boundaries=[*held, *([{"where": "sheet", **kind}] if kind else [])],
    )


def test_uncharged_conductor_takes_the_potential_that_is_there_without_it():
    """What enters an infinitely thin sheet leaves it again: it changes nothing."""
    salt = [{"name": "A", "charge": 1}, {"name": "B", "charge": -1}]
    without = pnp.solve(sheet(None, salt), comm=MPI.COMM_SELF).to_xarray()
    there = without["potential"].values[np.isclose(without["x"], 0.6)]
    floating = pnp.solve(sheet({"kind": "floating", "total_charge": 0.0}, salt), comm=MPI.COMM_SELF)
    np.testing.assert_allclose(there, found(floating, "sheet"), atol=1e-9)


def test_charge_of_a_conductor_between_plates_raises_its_potential_as_a_capacitor():
    """Without ions: both gaps in parallel, lambda^2 h (1/0.6 + 1/0.4); the plates alone would leave -0.2 there."""
    neutral = [{"name": "A"}]
    floating = pnp.solve(sheet({"kind": "floating", "total_charge": 0.02}, neutral), comm=MPI.COMM_SELF)
    capacitance = 0.3**2 * 0.5 * (1 / 0.6 + 1 / 0.4)
    assert found(floating, "sheet") == pytest.approx(-0.2 + 0.02 / capacitance, rel=1e-12)


@pytest.mark.parametrize(
    ("law", "shape", "potential"),
    [
        ("pnp", "interval", 0.5),
        ("pnp", "interval", 43.0),
        ("mpnp", "interval", -37.0),
        ("shdl", "interval", 13.0),
        ("vacancy", "interval", -7.0),
        ("pnp", "rectangle", -12.0),
        ("shdl", "rectangle", 5.0),
    ],
)
def test_given_current_finds_the_potential_that_drives_it(law: str, shape: str, potential: float):
    held = pnp.solve(membrane({"potential": potential}, law, shape)).summary()
    current = held["current"]["right"]["value"]
    solution = pnp.solve(membrane({"total_current": current}, law, shape))
    assert found(solution) == pytest.approx(potential, rel=1e-8)
    assert solution.summary()["current"]["right"]["value"] == pytest.approx(current, rel=1e-9)
    assert solution.report.newton_iterations <= 9
    assert solution.report.ramp_steps == 0


@pytest.mark.parametrize("potential", [-4.0, 1.5])
def test_given_current_of_a_reaction_finds_the_potential_behind_it(potential: float):
    """A metal is plated and dissolved by Butler and Volmer's law; the electrode holds nothing."""
    tables = between({"kind": "electrode", "potential": potential}, "mpnp")
    kinetics = {"name": "plating", "where": "right", "equation": "A + e- <-> 0", "butler_volmer": {"k0": 0.5}}
    tables["reactions"] = [kinetics]
    current = pnp.solve(tables).summary()["current"]["right"]["value"]
    tables["boundaries"][1] = {"where": "right", "kind": "electrode", "total_current": current}
    assert found(pnp.solve(tables)) == pytest.approx(potential, rel=1e-8)


def test_found_potentials_are_the_same_on_two_ranks(tmp_path: Path):
    """A current, and a charge behind a Stern layer; by an elimination on one rank, by multigrid on two."""
    tables = membrane({"total_current": 0.3}, "shdl", "rectangle")
    floating = {"where": "top", "kind": "floating", "total_charge": 0.01, "stern": {"capacitance": 0.05}}
    tables["boundaries"].append(floating)
    one = pnp.solve(change(tables, "solver", to={"linear": "direct"}))
    tables["solver"] = {"linear": "fieldsplit"}
    case = write_toml(tables, tmp_path / "case.toml")
    assert run_command("run", case, "-o", tmp_path / "two", ranks=2).returncode == 0
    two = summary_of(tmp_path / "two")
    for where in ("right", "top"):
        assert two["found_potential"][where]["value"] == pytest.approx(found(one, where), rel=1e-8)
    assert two["charge"]["top"]["value"] == pytest.approx(0.01, rel=1e-10)
    assert two["current"]["right"]["value"] == pytest.approx(0.3, rel=1e-10)


def plating(share: float) -> dict:
    """Copper from a reservoir onto an electrode; the current in that at which the salt is used up there, 2 F 2 D c/L"""
    limit = 2.0 * FARADAY * 2.0 * 7.2e-10 * 10.0 / 8e-6
    left = {"where": "left", "kind": "reservoir", "potential": "0 V"}
    left["concentration"] = {"Cu": "10 mmol/L", "SO4": "10 mmol/L"}
    right = {"where": "right", "kind": "floating", "total_current": f"{share * limit!r} A/m^2"}
    right["concentration"] = {"Cu": "10 mmol/L"}
    return {
        "model": {"law": "pnp", "permittivity": 78.5},
        "species": [
            {"name": "Cu", "charge": 2, "diffusivity": "7.2e-10 m^2/s"},
            {"name": "SO4", "charge": -2, "diffusivity": "1.065e-9 m^2/s"},
        ],
        "domain": {"shape": "interval", "length": "8 um"},
        "boundaries": [left, right],
    }


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5])
def test_current_below_the_limit_takes_the_potential_of_ambipolar_diffusion(share: float):
    """Electroneutral solution: c falls by this share of it, so that the diffusion potential, which holds SO4 back, is
    (kT/2e) log(1 - share); so is that of the layer in which Cu goes back up to the 10 mmol/L of the electrode."""
    solution = pnp.solve(plating(share))
    thermal = 1.380649e-23 * 298.15 / 1.602176634e-19
    assert found(solution) == pytest.approx(thermal * np.log(1.0 - share), rel=1e-3, abs=1e-9)


def test_current_above_what_can_be_carried_is_told_with_the_bracket_and_exit_code_3(tmp_path: Path):
    case = write_toml(plating(2.5), tmp_path / "case.toml")
    finished = run_command("run", case, "-o", tmp_path / "out")
    assert finished.returncode == 3
    assert 'the electric current through "right" can be carried up to' in finished.stderr
    assert "no steady state was found" in finished.stderr


@pytest.mark.parametrize("stern", [None, {"capacitance": 0.05}])
def test_slopes_of_curves_let_potentials_float(stern: dict | None):
    """Against differences of solutions; the slopes beside a held electrode differ by a tenth or more."""
    tables = membrane({"potential": 1.0}, "mpnp", "rectangle")
    floating = {"where": "top", "kind": "floating", "total_charge": 0.01} | ({"stern": stern} if stern else {})
    tables["boundaries"].append(floating)
    step = 1e-3
    low, high = (
        pnp.solve(change(tables, "boundaries", 1, "potential", to=1.0 + shift)).summary() for shift in (-step, step)
    )
    point = pnp.iv(tables, "right", 0.0, 1.0, points=2).points[-1]

    def slope(quantity: str) -> float:
        return (high[quantity]["right"]["value"] - low[quantity]["right"]["value"]) / (2.0 * step)

    assert point.conductance == pytest.approx(-slope("current"), rel=1e-6)
    assert point.capacitance == pytest.approx(slope("charge"), rel=1e-6)


def test_capacitance_beside_a_given_current_keeps_the_current():
    tables = membrane({"total_current": 0.3}, "mpnp", "rectangle")
    tables["boundaries"].append({"where": "top", "kind": "electrode", "potential": 1.0})
    step = 1e-3
    charges = [
        pnp.solve(change(tables, "boundaries", 2, "potential", to=1.0 + shift)).summary()["charge"]["top"]["value"]
        for shift in (-step, step)
    ]
    point = pnp.capacitance(tables, "top", 0.0, 1.0, points=2).points[-1]
    assert point.capacitance == pytest.approx((charges[1] - charges[0]) / (2.0 * step), rel=1e-6)


def test_currents_and_charges_are_swept_warm_and_without_compiling(tmp_path: Path):
    tables = membrane({"total_current": 0.0}, "shdl", "interval")
    tables["sweep"] = {"axes": [{"key": "boundaries.right.total_current", "from": -0.4, "to": 0.4, "count": 5}]}
    results = pnp.sweep(tables, tmp_path / "sweep")
    potentials = results["found_potential"].sel(boundary="right").values
    assert (np.diff(potentials) < 0.0).all()
    single = pnp.solve(membrane({"total_current": 0.4}, "shdl", "interval"))
    assert potentials[-1] == pytest.approx(found(single), rel=1e-8)


def test_found_potential_is_saved_and_loaded(tmp_path: Path):
    tables = between({"kind": "floating", "total_charge": 0.02, "stern": {"capacitance": 0.1}})
    solution = pnp.solve(tables)
    solution.save(tmp_path / "solution.npz")
    assert found(pnp.load(tmp_path / "solution.npz")) == pytest.approx(found(solution), rel=1e-12)


def test_totals_of_a_body_around_an_axis_are_of_the_whole_body():
    """A cylinder's current is its section's times pi R^2: the state is that of one dimension."""
    flat = pnp.solve(membrane({"total_current": 0.3}, "mpnp", "interval"))
    tables = membrane({"total_current": 0.3 * np.pi * 0.25}, "mpnp", "interval")
    tables["domain"] = {"shape": "rectangle", "size": [1.0, 0.5], "cells": [32, 2]}
    tables["domain"] |= {"coordinates": "axisymmetric", "axis": "x"}
    assert found(pnp.solve(tables)) == pytest.approx(found(flat), rel=1e-5)


REFUSED = {
    "both": ({"kind": "floating", "total_charge": 0.1, "total_current": 0.1}, "give either total_charge, or"),
    "neither": ({"kind": "floating"}, "give either total_charge, or"),
    "potential": ({"kind": "floating", "total_charge": 0.1, "potential": 1.0}, "is found; remove it"),
    "contents beside a charge": (
        {"kind": "floating", "total_charge": 0.1, "fraction": {"A": 0.1}},
        "an electrode of given charge blocks every species",
    ),
    "current through a layer": (
        {"kind": "floating", "total_current": 0.1, "stern": {"capacitance": 1.0}, "fraction": {}},
        "at which none reacts, passes no current",
    ),
    "current through a blocking electrode": (
        {"kind": "electrode", "total_current": 0.1},
        "at which none reacts, passes no current",
    ),
    "current and potential": (
        {"kind": "reservoir", "fraction": {"A": 0.1, "B": 0.1}, "potential": 0.0, "total_current": 0.1},
        "has both a potential and a total_current",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_boundary_that_is_determined_twice_or_not_at_all_is_refused(name: str):
    boundary, sentence = REFUSED[name]
    told = mistakes(between(boundary))
    assert any(sentence in mistake and '"right"' in mistake for mistake in told), told


def test_floating_electrodes_beside_nothing_that_fixes_a_potential_are_refused():
    tables = between({"kind": "floating", "total_charge": 0.1})
    tables["boundaries"][0] = {"where": "left", "kind": "floating", "total_charge": -0.1}
    tables["species"] = [{**species, "mean_fraction": 0.1} for species in tables["species"]]
    (told,) = mistakes(tables)
    assert '"left" and "right" float beside nothing that fixes a potential' in told


def test_current_that_is_given_wherever_charge_passes_is_refused():
    """The potential is fixed by an electrode that nothing passes: what enters must leave by one boundary alone."""
    tables = between({"kind": "electrode", "potential": 0.0})
    del tables["boundaries"][0]["potential"]
    tables["boundaries"][0]["total_current"] = 0.2
    (told,) = mistakes(tables)
    assert "what enters must leave" in told


def test_total_in_the_unit_of_another_dimension_is_refused():
    """An interval has currents per area."""
    tables = plating(0.5)
    tables["boundaries"][1]["total_current"] = "1 mA"
    (told,) = mistakes(tables)
    assert 'total_current = "1 mA" is no total of this domain, whose totals are in A/m^2' in told


def test_current_without_carriers_is_refused():
    tables = between({"kind": "electrode", "total_current": 0.1, "fraction": {"C": 0.1}})
    tables["species"].append({"name": "C"})
    tables["boundaries"][0]["fraction"]["C"] = 0.1
    assert any("total_current has no carrier" in told for told in mistakes(tables))


def test_total_has_no_effect_with_imposed_fields():
    tables = between({"kind": "reservoir", "fraction": {"A": 0.1, "B": 0.1}, "total_current": 0.1})
    del tables["model"]["debye_length"], tables["boundaries"][0]["potential"]
    tables["model"]["electrostatics"] = "imposed"
    (told,) = mistakes(copy.deepcopy(tables))
    assert "total_current has no effect" in told


def test_coupled_transport_wants_forces_and_not_a_current():
    with pytest.raises(pnp.CaseError, match="let it give a potential"):
        pnp.couple(membrane({"total_current": 0.1}, "shdl", "interval"))
