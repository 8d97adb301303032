"""The command ``couple``: what it writes, on one rank and two, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, run_command, write_toml
from test_coupled import charged_membrane, solve

import pnp_exclusion as pnp
from pnp_exclusion.errors import CaseError, UsageError
from pnp_exclusion.studies.coupled.coupling import couple
from pnp_exclusion.studies.threshold import threshold


def coupled(tmp_path: Path, *words: object, ranks: int = 1) -> dict:
    finished = run_command("couple", *words, "-o", tmp_path / f"out{ranks}", ranks=ranks)
    assert finished.returncode == 0, finished.stderr
    return json.loads((tmp_path / f"out{ranks}" / "coupling.json").read_text())


def test_command_writes_numbers_and_pictures_the_same_on_two_ranks(tmp_path: Path):
    one = coupled(tmp_path, EXAMPLES / "membrane.toml", "--points", "5")
    for name in ("power_efficiency.png", "entropy.png"):
        assert (tmp_path / "out1" / name).stat().st_size > 10_000
    table = np.loadtxt(tmp_path / "out1" / "entropy.csv", delimiter=",", skiprows=1)
    # nm to m
    assert np.trapezoid(table[:, 1], 1e-9 * table[:, 0]) == pytest.approx(one["entropy_production"]["value"], rel=1e-3)
    assert one["inverse"] == ["Na"]
    assert one["entropy_production"]["value"] == pytest.approx(
        one["entropy_production"]["sum_of_currents_times_forces"], rel=1e-9
    )
    two = coupled(tmp_path, EXAMPLES / "membrane.toml", "--points", "5", ranks=2)
    np.testing.assert_allclose(two["onsager"]["value"], one["onsager"]["value"], rtol=1e-9)
    for key in ("power", "efficiency"):
        found = [[point[key] for point in each["conversion"]["curve"]] for each in (one, two)]
        np.testing.assert_allclose(found[1], found[0], rtol=1e-8, atol=1e-8 * max(found[0]))


def test_command_about_equilibrium_reports_reciprocity(tmp_path: Path):
    """Cation-selective: more of the current by Na; the junction potential is that of the transport numbers."""
    found = coupled(tmp_path, EXAMPLES / "membrane_at_rest.toml")
    assert found["equilibrium"]
    assert found["onsager"]["asymmetry"] < 1e-9
    numbers = found["electrolyte"]["transport_number"]
    assert numbers["Na"] > 0.9
    volts = found["electrolyte"]["zero_current_voltage"]["value"]
    assert volts == pytest.approx(-0.025692579 * (numbers["Na"] - numbers["Cl"]), rel=1e-6)
    assert found["conversion"]["load"]["name"] == "voltage"
    assert "curve" not in found["conversion"]


def test_coupling_in_a_plane_draws_its_dissipation(tmp_path: Path):
    tables = charged_membrane(0.3, 0.1, 2.0)
    tables["domain"] = {"shape": "rectangle", "size": [1.0, 0.5], "cells": [12, 6]}
    case = write_toml(tables, tmp_path / "plane.toml")
    found = coupled(tmp_path, case, "--load", "voltage", "--driver", "salinity", "--points", "4")
    assert len(found["conversion"]["curve"]) == 4
    assert (tmp_path / "out1" / "entropy.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["membrane.toml", "--load", "K"], 'there is no force "K" in this case; there is Na, Cl, voltage, salinity'),
        (["membrane.toml", "--load", "Na", "--driver", "Na"], "are one force"),
        (["membrane.toml", "--points", "2"], "--points takes 0 or a whole number from 3 on"),
        (["two_electrodes.toml"], "no species can pass"),
    ],
)
def test_words_that_a_case_cannot_follow_are_refused_in_a_sentence(words: list[str], sentence: str, tmp_path: Path):
    finished = run_command("couple", EXAMPLES / words[0], *words[1:], "-o", tmp_path / "out")
    assert finished.returncode == 2
    assert sentence in finished.stderr
    assert "Traceback" not in finished.stderr


def test_ends_that_do_not_hold_what_passes_are_refused():
    tables = charged_membrane(0.1, 0.1, 1.0)
    tables["boundaries"][0] = {"where": "left", "kind": "electrode", "potential": 1.0}
    with pytest.raises(CaseError, match='"left" does not hold A and B'):
        couple(solve(tables))
    tables["boundaries"][0] = {"where": "left", "kind": "electrode", "potential": 1.0, "fraction": {"A": 0.1}}
    with pytest.raises(CaseError, match="does not hold B"):
        couple(solve(tables))
    with pytest.raises(UsageError, match="no force"):
        couple(solve(charged_membrane(0.1, 0.2, 1.0)), driver="left")


def test_threshold_of_a_neutral_or_missing_species_is_refused():
    tables = charged_membrane(0.1, 0.2, 1.0)
    with pytest.raises(CaseError, match='no species "K" passes'):
        threshold(pnp.make_case(tables), "K")
    tables["species"].append({"name": "C", "charge": 0})
    for boundary in tables["boundaries"]:
        boundary["fraction"]["C"] = 0.1
    with pytest.raises(CaseError, match="carries no charge"):
        threshold(pnp.make_case(tables), "C")
