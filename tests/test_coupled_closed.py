"""Coupled transport beside species that cannot pass: their amounts are kept, and nothing else is different."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import run_command, write_toml
from test_coupled import LAWS, between, model, solve

from pnp_exclusion.errors import CaseError
from pnp_exclusion.solver.tangents import TangentSolver
from pnp_exclusion.studies.coupled.coupling import couple
from pnp_exclusion.studies.coupled.finite_drive import conductances
from pnp_exclusion.studies.coupled.response import Response, response
from pnp_exclusion.studies.engine.engine import run_engine

CROWDED = [(law, kappa) for law, kappa in LAWS if law != "pnp"]


def beside_closed(
    law: str, kappa: float, left: list[float], right: list[float], voltage: float, mirrored: bool = False
) -> dict:
    """A salt through a charged membrane beside closed anions of mean fraction 0.15."""
    tables = between(left, right, **model(law, kappa), electrostatics="poisson", debye_length=0.1)
    tables["domain"]["cells"] = 40
    for species, charge in zip(tables["species"], (1, -1), strict=True):
        species["charge"] = charge
    tables["species"].append({"name": "C", "charge": -1, "mean_fraction": 0.15})
    for boundary, potential in zip(tables["boundaries"], (voltage, 0.0), strict=True):
        boundary |= {"kind": "electrode", "potential": potential}
    x = [0.2, 0.6]
    if mirrored:
        one, other = tables["boundaries"]
        one["where"], other["where"], x = "right", "left", [0.4, 0.8]
    tables["regions"] = [{"name": "membrane", "x": x, "fixed_charge": 0.15}]
    return tables


def response_of(tables: dict) -> Response:
    with TangentSolver(solve(tables).discretisation) as solver:
        return response(solver)


@pytest.mark.parametrize(("law", "kappa"), LAWS)
def test_onsager_matrix_beside_closed_ions_is_symmetric_and_that_of_the_profile(law: str, kappa: float):
    """About equilibrium J = K F with K = <M^-1>^-1, rows and columns of what passes (master identity with J_C = 0).

    A potential alone drives nothing there, however the closed ions move under it.
    """
    coupling = couple(solve(beside_closed(law, kappa, [0.2, 0.2], [0.2, 0.2], 0.0)))
    assert coupling.at_equilibrium
    assert coupling.drive.species == ("A", "B")
    assert coupling.asymmetry < 1e-9
    by_profile = conductances(coupling.steady.resistance)
    np.testing.assert_allclose(coupling.onsager, by_profile, rtol=1e-7, atol=1e-9 * by_profile.max())
    assert np.abs(coupling.response.to_potential).max() < 1e-12
    numbers = coupling.electrolyte.transport_numbers
    assert coupling.electrolyte.zero_current_voltage == pytest.approx(numbers["B"] - numbers["A"], rel=1e-9)


@pytest.mark.parametrize(("law", "kappa"), CROWDED)
def test_tangents_beside_closed_ions_are_what_differences_of_whole_solutions_say(law: str, kappa: float):
    """Ends of a crowded law hold contents; the potentials that these make move at both ends, the closed ions between.

    dJ = (dJ/dmu first) dmu first + (dJ/dmu second) dmu second; the second from the mirrored case, whose currents run
    the other way.
    """
    contents = [0.3, 0.25], [0.1, 0.1]
    first = response_of(beside_closed(law, kappa, *contents, 1.5)).to_contents
    second = -response_of(beside_closed(law, kappa, *contents, 1.5, mirrored=True)).to_contents
    changed = []
    for sign in (1.0, -1.0):
        found = solve(beside_closed(law, kappa, [0.3 + sign * 1e-3, 0.25], contents[1], 1.5))
        mu = [np.array([end.mu[name] for name in "AB"]) for end in found.steady.ends]
        changed.append((np.array([found.steady.currents[name] for name in "AB"]), *mu))
    current, at_first, at_second = (a - b for a, b in zip(*changed, strict=True))
    assert np.abs(at_second).max() > 1e-3 * np.abs(at_first).max()  # what no boundary says
    np.testing.assert_allclose(first @ at_first + second @ at_second, current, rtol=1e-4)


def test_potential_of_an_end_moves_closed_ions_and_leaves_their_amount():
    """Point ions, central differences of whole solutions: the potential up at fixed mu, so that contents follow."""

    def with_potential(step: float) -> dict:
        left = [0.3 * np.exp(-step), 0.25 * np.exp(step)]
        tables = beside_closed("pnp", 0.0, [float(c) for c in left], [0.1, 0.1], 1.5 + step)
        # coarse, so that the cell at the end holds much of the closed ions
        tables["domain"]["cells"] = 8
        return tables

    expected = response_of(with_potential(0.0)).to_potential
    up, down = ([solve(with_potential(step)).steady.currents[name] for name in "AB"] for step in (0.01, -0.01))
    np.testing.assert_allclose((np.array(up) - np.array(down)) / 0.02, expected, rtol=1e-3)


@pytest.mark.parametrize(("law", "kappa"), CROWDED)
def test_drive_beside_closed_ions_is_dissipated_and_has_an_equilibrium(law: str, kappa: float):
    """Balance of the volume against the boundaries; linear theory goes over into the state's own identity."""
    merits = []
    for drive in (1.0, 0.1):
        spread = 0.1 * drive
        tables = beside_closed(law, kappa, [0.2 + spread, 0.2 + spread], [0.2 - spread, 0.2 - spread], drive)
        coupling = couple(solve(tables))
        assert coupling.dissipation_by_forces == pytest.approx(coupling.steady.entropy_production, rel=1e-9)
        assert coupling.conversion.curve == ()
        merits.append(coupling.conversion.here.figure_of_merit / coupling.conversion.reference.figure_of_merit - 1.0)
    assert abs(merits[1]) < 0.2 * abs(merits[0]) or abs(merits[1]) < 1e-3


def test_fields_that_balance_beside_closed_particles_are_found():
    """Imposed fields: where the closed ones go decides what balances the others. Then Onsager holds."""
    tables = between([0.2, 0.3], [0.3, 0.1])
    for species, field in zip(tables["species"], (2.0, -1.0), strict=True):
        species["field"] = field
    tables["species"].append({"name": "C", "mean_fraction": 0.2, "field": 3.0})
    for boundary in tables["boundaries"]:
        boundary["kind"] = "electrode"
    coupling = couple(solve(tables))
    assert not coupling.at_equilibrium
    linear = coupling.conversion.reference
    assert linear.matrix[0, 1] == pytest.approx(linear.matrix[1, 0], rel=1e-8)
    assert coupling.asymmetry > 1e-3  # of the driven state, which is free


def test_plane_beside_closed_ions_is_the_same_on_two_ranks(tmp_path: Path):
    tables = beside_closed("shdl", 0.0, [0.2, 0.2], [0.2, 0.2], 0.0)
    tables["domain"] = {"shape": "rectangle", "size": [1.0, 0.6], "cells": [10, 6]}
    tables["regions"][0]["y"] = [0.2, 0.6]
    case = write_toml(tables, tmp_path / "plane.toml")
    found = []
    for ranks in (1, 2):
        finished = run_command("couple", case, "-o", tmp_path / f"out{ranks}", "--quiet", ranks=ranks)
        assert finished.returncode == 0, finished.stderr
        found.append(json.loads((tmp_path / f"out{ranks}" / "coupling.json").read_text())["onsager"])
    assert found[0]["species"] == ["A", "B"]
    assert found[0]["asymmetry"] < 1e-9
    np.testing.assert_allclose(found[1]["value"], found[0]["value"], rtol=1e-9)


def test_engine_refuses_closed_ions_of_a_crowded_law():
    """Its reservoirs must fix the chemical potentials."""
    leg = solve(beside_closed("mpnp", 0.0, [0.3, 0.3], [0.1, 0.1], 0.0))
    with pytest.raises(CaseError, match="C cannot pass: beside closed species reservoirs do not fix"):
        run_engine(leg, leg)
