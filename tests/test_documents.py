"""The documents run as they are, as scripts and cell by cell, and their numbers are those of exact formulas."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import EXAMPLES

DOCUMENTS = sorted((EXAMPLES / "documents").glob("*.py"))
FULL = 1e-3 / (6.02214076e23 * 0.7e-9**3)
"""mol/L of a lattice of 0.7 nm without a vacancy."""
THERMAL_VOLTAGE = 1.380649e-23 * 298.15 / 1.602176634e-19 * 1e3
"""mV."""


def run(name: str, folder: Path) -> str:
    """What a document prints, run as a script in an empty folder; its own assertions hold."""
    environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    finished = subprocess.run(
        [sys.executable, EXAMPLES / "documents" / f"{name}.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr
    assert not list(folder.iterdir())
    return finished.stdout


def number_after(words: str, text: str) -> float:
    return float(re.search(rf"{re.escape(words)}\s*([-+0-9.e]+)", text)[1])


def test_uphill_in_ten_minutes(tmp_path: Path):
    """The force on A vanishes at log[rho_A^R rho_0^L/(rho_A^L rho_0^R)], where that of mpnp stands still."""
    printed = run("uphill_in_ten_minutes", tmp_path)
    balance = np.log(0.25 * 0.6 / (0.3 * 0.15))
    assert number_after("mpnp, E_B = 6: A stands still at E_A =", printed) == pytest.approx(balance, abs=5e-3)
    assert number_after("equilibrium at [", printed) == pytest.approx(balance, abs=2e-3)
    assert "uphill-steric" in printed
    assert "inverse" in printed


def test_when_crowding_matters(tmp_path: Path):
    """Gouy-Chapman: sigma = lambda sqrt(8 rho_b) sinh(V/2); mpnp's excess of a salt from c to c/2."""
    rows = [line.split() for line in run("when_crowding_matters", tmp_path).splitlines()]
    numbers = {float(row[0]): [float(word) for word in row[1:]] for row in rows if re.match(r"[0-9.]+$", row[0])}
    assert numbers[16.0][0] == pytest.approx(0.02 * np.sqrt(8.0 * 0.05) * np.sinh(8.0), rel=1e-3)
    fraction = 0.1 / FULL
    expected = np.log((1.0 - fraction) / (1.0 - 2.0 * fraction)) / fraction
    assert numbers[0.1][1] == pytest.approx(expected, abs=1e-5)


def test_membrane_that_runs_backwards(tmp_path: Path):
    """F_Na = log-ratio of rho/rho_0 between the reservoirs less 40 mV; the case was specified with its current."""
    printed = run("membrane_that_runs_backwards", tmp_path)
    drop = np.log(4.0 * (1.0 - 1.0 / FULL) / (1.0 - 4.0 / FULL))
    assert number_after("the force on sodium vanishes at", printed) == pytest.approx(-THERMAL_VOLTAGE * drop, abs=1e-3)
    assert number_after("force on Na", printed) == pytest.approx(drop - 40.0 / THERMAL_VOLTAGE, abs=1e-3)
    assert number_after("shdl     Na:", printed) == pytest.approx(-95.3, abs=0.1)


def test_sweep_on_a_cluster(tmp_path: Path):
    """The same threshold, interpolated in a sweep, and the parts of an array job that add up to it."""
    printed = run("sweep_on_a_cluster", tmp_path)
    drop = np.log(4.0 * (1.0 - 1.0 / FULL) / (1.0 - 4.0 / FULL))
    assert number_after("no current at", printed) == pytest.approx(-THERMAL_VOLTAGE * drop, abs=0.1)
    assert "42 points, 42 with a solution" in printed


def test_currents_that_run_backwards(tmp_path: Path):
    """Barrier exchange with rods at rest: ``L_bu/L_bb`` by its explicit mobility; stirring: ``-rho_B/(1 - rho_A)``;
    free bullets of mass 2 about ``T = 1`` and a density of 1: effusion, ``T e^(mu/T)`` by Planck's constant.
    """
    printed = run("currents_that_run_backwards", tmp_path)
    w_b, k, b, r, v = 0.02, np.exp(-3.0), 0.25, 0.5, 0.25
    pull, rods = b * r * k, r * (v + b * k)
    ratio = (b * v * w_b - 3 * pull + pull * (r * v + 3 * pull) / rods) / (b * v * w_b + pull - pull**2 / rods)
    assert number_after("lattice  L_12/L_11 =", printed) == pytest.approx(ratio, abs=1e-3)
    assert number_after("membrane L_12/L_11 =", printed) == pytest.approx(-0.5 / 0.7, abs=1e-3)
    hot, cold = 1.0 / 0.8, 1.0 / 1.2
    effused = (hot * np.exp(0.005) - cold * np.exp(-0.005)) / np.sqrt(4.0 * np.pi)
    assert number_after("gas, no barrier: exact", printed) == pytest.approx(effused, abs=1e-4)


def test_engine_that_runs_in_a_circle(tmp_path: Path):
    """``Z = (D_+ - D_-)^2/(4 D_+ D_-)``, twice the liquid junction potential; docs/coupled.md has the bound on YT."""
    printed = run("engine_that_runs_in_a_circle", tmp_path)
    assert number_after("Z", printed) == pytest.approx(9.0 / 16.0, abs=1e-6)
    assert number_after("open circuit", printed) == pytest.approx(1.2 * np.log(2.0), rel=1e-3)
    assert number_after("bound of long gases:", printed) == pytest.approx(11.1, abs=0.05)


def test_noise_of_a_nanopore(tmp_path: Path):
    """Johnson and Nyquist at rest, the conductance being measured with a millivolt; independent ions have a Fano factor
    of 1."""
    printed = run("noise_of_a_nanopore", tmp_path)
    assert number_after("noise over thermal noise, at most:", printed) == pytest.approx(1.0, abs=1e-9)
    assert number_after("noise at frequency zero over 4 kT G:", printed) == pytest.approx(1.0, abs=1e-5)
    assert number_after("Fano factor:", printed) == pytest.approx(0.88, abs=0.02)
    assert number_after("correlation of K and Cl:", printed) < -0.5


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_documents_are_notebooks_of_prose_and_cells(path: Path):
    """jupytext's percent format: every cell begins with a mark, prose is commented out, code compiles cell by cell."""
    text = path.read_text()
    assert text.startswith("# ---\n# jupyter:\n")
    kinds = []
    for cell in re.split(r"^# %%", text, flags=re.MULTILINE)[1:]:
        mark, _, body = cell.partition("\n")
        kinds.append(mark.strip())
        if mark.strip() == "[markdown]":
            assert all(line.startswith("#") or not line for line in body.splitlines())
        else:
            compile(body, path.name, "exec")
    assert kinds.count("[markdown]") >= 4
    assert kinds[0] == "[markdown]"
