"""Every example runs, and gives a number that is known without it."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES, run_command, summary_of

import pnp_exclusion as pnp
from pnp_exclusion.case.quantities import FARADAY


def run_example(name: str, tmp_path: Path) -> tuple[dict, Path]:
    finished = run_command("run", EXAMPLES / f"{name}.toml", "-o", tmp_path / "out")
    assert finished.returncode == 0, finished.stderr
    return summary_of(tmp_path / "out"), tmp_path / "out"


def test_two_electrodes_have_double_layers_and_not_the_trivial_linear_potential(tmp_path: Path):
    """Gouy-Chapman at each electrode against the mid-cell: sigma = sqrt(8 eps c kT) sinh(V/2), layers far apart."""
    summary, folder = run_example("two_electrodes", tmp_path)
    table = np.genfromtxt(folder / "profile.csv", delimiter=",", names=True, deletechars="")
    middle = np.argmin(np.abs(table["x_[nm]"] - 25.0))
    bulk = table["Na_[mol/L]"][middle] * 1e3
    voltage = (table["phi_[V]"][0] - table["phi_[V]"][middle]) / 0.0256926
    sigma = np.sqrt(8.0 * 8.8541878128e-12 * 78.5 * bulk * 8.314462618 * 298.15) * np.sinh(0.5 * voltage)
    # the layers, 3.2 nm thick, still overlap by e^-8 in the middle
    assert summary["charge"]["left"]["value"] == pytest.approx(sigma, rel=2e-3)
    assert abs(table["phi_[V]"][middle]) < 1e-3
    linear = 0.05 - 0.1 * table["x_[nm]"] / 50.0
    assert np.abs(table["phi_[V]"] - linear).max() > 0.02
    assert set(summary["regime"].values()) == {"none"}


def test_plating_conserves_ligands_and_passes_the_current_that_its_electrodes_react(tmp_path: Path):
    """NH3 + 2 Ag(NH3)2+ keeps its 30 mmol/L; I = F r at both electrodes; K = [AgL]/([Ag][NH3]^2) between the layers."""
    summary, folder = run_example("plating", tmp_path)
    table = np.genfromtxt(folder / "profile.csv", delimiter=",", names=True, deletechars="")
    ligand = table["NH3_[mol/L]"] + 2.0 * table["AgL+_[mol/L]"]
    assert np.trapezoid(ligand, table["x_[nm]"]) / 500.0 == pytest.approx(0.03, rel=1e-4)
    rates = {name: reaction["rate"]["value"] for name, reaction in summary["reactions"].items()}
    assert rates["deposition"] == pytest.approx(-rates["dissolution"], rel=1e-9)
    assert summary["current"]["right"]["value"] == pytest.approx(FARADAY * rates["deposition"], rel=1e-9)
    middle = np.argmin(np.abs(table["x_[nm]"] - 250.0))
    quotient = table["AgL+_[mol/L]"] / table["Ag+_[mol/L]"] / table["NH3_[mol/L]"] ** 2
    assert quotient[middle] == pytest.approx(1.6e7, rel=1e-2)
    assert quotient[0] < 0.999 * quotient[middle]


def test_striped_slit_dissipates_what_its_field_does_and_conducts_less_than_an_even_one(tmp_path: Path):
    """Over a period ``e E L = 0.1 eV`` of every ion; between evenly charged walls all would drift, ``D c E`` each."""
    summary, _ = run_example("striped_slit", tmp_path)
    fluxes = {name: flux["value"] for name, flux in summary["flux_along"]["y"].items()}
    work = 0.1 / 0.025692579 * (fluxes["K"] - fluxes["Cl"])
    assert summary["entropy_production"]["value"] == pytest.approx(work, rel=1e-6)
    assert summary["current_along"]["y"]["value"] == pytest.approx(FARADAY * (fluxes["K"] - fluxes["Cl"]), rel=1e-9)
    even = {"K": 150.0 * 1.96e-9, "Cl": -50.0 * 2.03e-9}
    shares = {name: flux / (even[name] * 5e6 / 0.025692579 * 5e-9) for name, flux in fluxes.items()}
    assert shares == pytest.approx({"K": 0.718, "Cl": 0.896}, abs=2e-3)


def test_imposed_fields_satisfy_the_master_identity(tmp_path: Path):
    summary, _ = run_example("imposed_fields", tmp_path)
    assert summary["identity_residual"] < 1e-7
    assert summary["balance"] < 1e-12


def test_slit_conserves_ions_and_its_walls_let_nothing_through(tmp_path: Path):
    """Forces follow from the reservoirs alone: log-ratio of rho/rho_0 and z times the potential drop, in kT."""
    summary, folder = run_example("slit", tmp_path)
    assert summary["balance"] < 1e-10
    assert summary["identity_residual"] is None
    assert abs(summary["flux"]["top"]["Na"]["value"]) <= 1e-12 * abs(summary["flux"]["left"]["Na"]["value"])
    full = 1.0 / (6.02214076e23 * 0.7e-9**3)
    packing = {side: 2.0 * c / full for side, c in (("left", 2000.0), ("right", 500.0))}
    concentration = np.log((2000.0 / (1 - packing["left"])) / (500.0 / (1 - packing["right"])))
    assert summary["force"]["Na"] == pytest.approx(concentration - 0.04 / 0.0256926, rel=1e-5)
    assert summary["force"]["Cl"] == pytest.approx(concentration + 0.04 / 0.0256926, rel=1e-5)
    assert summary["entropy_production"]["value"] > 0.0
    assert (folder / "slice.png").stat().st_size > 10_000


def test_sphere_conserves_ions_in_three_dimensions(tmp_path: Path):
    summary, _ = run_example("sphere", tmp_path)
    assert summary["balance"] < 1e-10
    flux, force = summary["flux"]["right"], summary["force"]
    dissipated = sum(flux[name]["value"] * force[name] for name in force)
    assert summary["entropy_production"]["value"] == pytest.approx(dissipated, rel=1e-9, abs=0.0)
    assert summary["flux"]["left"]["K"]["unit"] == "mol/s"
    current = FARADAY * (flux["K"]["value"] - flux["Cl"]["value"])
    assert summary["current"]["right"]["value"] == pytest.approx(current, rel=1e-9, abs=0.0)


def test_conical_nanopore_carries_the_current_of_the_whole_pore(tmp_path: Path):
    """Forces are those of the reservoirs, z e V/kT; what dissipates is sum J F; the charged cone prefers cations."""
    summary, folder = run_example("conical_nanopore", tmp_path)
    flux, force = ({n: found[n] for n in ("K", "Cl")} for found in (summary["flux"]["top"], summary["force"]))
    for name, valence in (("K", 1), ("Cl", -1)):
        assert force[name] == pytest.approx(valence * 0.5 / 0.0256926, rel=1e-5)
        assert flux[name]["unit"] == "mol/s"
    assert summary["balance"] < 1e-10
    dissipated = sum(flux[name]["value"] * force[name] for name in force)
    assert summary["entropy_production"]["value"] == pytest.approx(dissipated, rel=1e-6, abs=0.0)
    assert flux["K"]["value"] > 1.5 * -flux["Cl"]["value"] > 0.0
    assert summary["current"]["top"]["unit"] == "A"
    assert (folder / "slice.png").stat().st_size > 10_000


def test_own_law_runs_from_a_script_and_lies_between_vacancy_hopping_and_stirring(tmp_path: Path):
    """Exchange at half the rate is `vacancy` at kappa = 1/2 (docs/theory.md#laws), which a case may name."""
    finished = subprocess.run(
        [sys.executable, EXAMPLES / "own_law.py"], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert finished.stdout.startswith("Na: ")
    import pnp_exclusion as pnp

    own = runpy.run_path(str(EXAMPLES / "own_law.py"))["solution"]
    tables = pnp.read_case(EXAMPLES / "membrane.toml").as_written()
    tables["model"] |= {"law": "vacancy", "kappa": 0.5}
    named = pnp.solve(pnp.make_case(tables))
    assert own.steady.currents == pytest.approx(named.steady.currents, rel=1e-10)


def test_sweep_finds_inverse_currents_in_the_stirring_law_alone():
    """A diagonal mobility has ``sign J_a = sign F_a`` (docs/theory.md#uphill); the membrane itself is inverse."""
    found = pnp.sweep(EXAMPLES / "voltage_and_salt.toml")
    inverse = {law: int((found.regime.sel(law=law) == "inverse").sum()) for law in ("mpnp", "shdl", "vacancy")}
    assert bool(found.converged.all())
    assert inverse["shdl"] > 0
    assert inverse["mpnp"] == inverse["vacancy"] == 0
