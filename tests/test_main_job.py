"""The main job, as `make demo` runs it: the membrane under four laws."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, run_command, summary_of

LAWS = ("pnp", "mpnp", "shdl", "vacancy")


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "out"
    finished = run_command("compare", EXAMPLES / "membrane.toml", "--laws", ",".join(LAWS), "-o", folder)
    assert finished.returncode == 0, finished.stderr
    # a line for every law and species below the head, and one for every regime that is among them
    lines = finished.stdout.splitlines()
    assert sum(line.startswith(LAWS) for line in lines) == 2 * len(LAWS)
    assert [line.partition(":")[0] for line in lines[1 + 2 * len(LAWS) :]] == ["inverse", "fickian", "uphill-field"]
    return folder


def test_cation_flows_against_its_own_force_in_shdl_and_in_no_other_law(comparison: Path):
    """With a diagonal mobility sign J_a = sign F_a (docs/theory.md#inverse), so `inverse` can appear for shdl alone."""
    laws = summary_of(comparison)["laws"]
    assert {law: laws[law]["regime"]["Na"] == "inverse" for law in LAWS} == {law: law == "shdl" for law in LAWS}
    for law in LAWS:
        current, force = laws[law]["flux"]["right"]["Na"]["value"], laws[law]["force"]["Na"]
        assert (current * force < 0) == (law == "shdl")


def test_master_identity_and_balance_hold_for_every_law(comparison: Path):
    for summary in summary_of(comparison)["laws"].values():
        assert summary["identity_residual"] < 1e-6
        assert summary["balance"] < 1e-10


def test_entropy_production_is_the_sum_of_currents_times_forces_and_positive(comparison: Path):
    """S = sum J_a F_a (docs/theory.md#entropy), exact in the discrete equations: mu_a is one of the test functions."""
    for summary in summary_of(comparison)["laws"].values():
        flux, force = summary["flux"]["right"], summary["force"]
        expected = sum(flux[name]["value"] * force[name] for name in force)
        assert summary["entropy_production"]["value"] == pytest.approx(expected, rel=1e-10)
        assert expected > 0.0
        assert summary["entropy_production"]["unit"] == "kT mol/m^2/s"


def test_crowded_laws_see_the_same_forces_and_current_is_faraday_times_charge_flux(comparison: Path):
    laws = summary_of(comparison)["laws"]
    for law in ("mpnp", "shdl", "vacancy"):
        assert laws[law]["force"] == pytest.approx(laws["mpnp"]["force"], abs=1e-9)
        flux = laws[law]["flux"]["left"]
        expected = 96485.33212 * (flux["Na"]["value"] - flux["Cl"]["value"])
        assert laws[law]["current"]["left"]["value"] == pytest.approx(expected, rel=1e-9)


def test_charges_at_the_boundaries_balance_the_charge_inside(comparison: Path):
    """Gauss: charge on both boundaries + int (sum z c + q) dx = 0, the profile integrated by Simpson's rule."""
    for law in LAWS:
        summary = summary_of(comparison / law)
        table = np.genfromtxt(comparison / law / "profile.csv", delimiter=",", names=True, deletechars="")
        x, cation, anion = (
            table[name] * factor for name, factor in (("x_[nm]", 1e-9), ("Na_[mol/L]", 1e3), ("Cl_[mol/L]", 1e3))
        )
        inside = _simpson(x, cation - anion) + 1.45e3 * 2.5e-9
        boundary = sum(charge["value"] for charge in summary["charge"].values())
        assert boundary == pytest.approx(-96485.33212 * inside, abs=1e-6 * abs(boundary) + 1e-9)


def _simpson(x: np.ndarray, values: np.ndarray) -> float:
    """Integrate over quadratic cells: every other point is a cell's middle."""
    return float(((x[2::2] - x[:-2:2]) / 6.0 * (values[:-2:2] + 4.0 * values[1::2] + values[2::2])).sum())


def test_every_file_of_the_contract_is_there(comparison: Path):
    assert {entry.name for entry in comparison.iterdir()} == {
        *LAWS,
        "summary.json",
        "manifest.json",
        "comparison.png",
        "log.txt",
    }
    for law in LAWS:
        found = {entry.name for entry in (comparison / law).iterdir()}
        fields = {"fields.bp", "fields.vtkhdf"}
        assert found == {"summary.json", "manifest.json", "profile.csv", "profiles.png", "fluxes.png", *fields}
        manifest = json.loads((comparison / law / "manifest.json").read_text())
        assert manifest["case"]["model"]["law"] == law
        assert manifest["case"]["solver"]["degree"] == 2
        assert manifest["linear"] == "banded"
        assert manifest["petsc_options"]["pc_factor_mat_solver_type"] == "petsc"
        assert len(manifest["case_sha256"]) == 64
