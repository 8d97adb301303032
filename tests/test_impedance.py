"""Impedance against closed forms, against a small sine in time, and as the command writes it."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from conftest import dimensionless_case, run_command, write_toml
from scipy.optimize import nnls
from test_noise import charged

import pnp_exclusion as pnp
from pnp_exclusion.errors import CaseError, UsageError
from pnp_exclusion.solver.linearised import LinearisedEquations
from pnp_exclusion.solver.noise import total_current_of

BULK = 0.1


def cell(law: str, debye_length: float = 0.05, left: object = 0.0) -> dict:
    """A symmetric salt between two blocking electrodes."""
    return {
        "model": {"units": "dimensionless", "law": law, "electrostatics": "poisson", "debye_length": debye_length},
        "species": [
            {"name": "cation", "charge": 1, "mean_fraction": BULK},
            {"name": "anion", "charge": -1, "mean_fraction": BULK},
        ],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [
            {"where": "left", "kind": "electrode", "potential": left},
            {"where": "right", "kind": "electrode", "potential": 0.0},
        ],
    }


def exact(frequencies: np.ndarray, debye_length: float, diffusivity: float) -> np.ndarray:
    """Two blocking electrodes in linear response (Bazant, Thornton, Ajdari, Phys. Rev. E 70, 021506 (2004)):
    Z = [1 + (2 D/lambda_D^2) tanh(k/2)/(i omega k)]/(lambda^2 D k^2), k^2 = 1/lambda_D^2 + i omega/D."""
    omega, screening = 2.0 * np.pi * frequencies, debye_length**2 / (2.0 * BULK)
    k = np.sqrt(1.0 / screening + 1j * omega / diffusivity)
    return (1.0 + 2.0 * diffusivity / screening * np.tanh(k / 2.0) / (1j * omega * k)) / (
        debye_length**2 * diffusivity * k**2
    )


@pytest.mark.parametrize(("law", "diffusivity"), [("mpnp", 1.0), ("shdl", 1.0), ("vacancy", 1.0 - 2.0 * BULK)])
def test_two_blocking_electrodes_have_the_closed_form(law, diffusivity):
    """Over nine decades; both limits, a capacitor of two layers and that of the gap, are in it."""
    frequencies = np.geomspace(1e-4, 1e5, 50)
    found = pnp.solve(cell(law)).impedance(frequencies)
    assert np.abs(found.values / exact(frequencies, 0.05, diffusivity) - 1.0).max() < 1e-5
    # at the lowest frequency the real part, the resistance, is 3e-5 of the whole
    assert np.abs(found.values.real / exact(frequencies, 0.05, diffusivity).real - 1.0)[frequencies < 1e3].max() < 1e-6
    assert (found.values.imag < 0.0).all()
    assert found.ends()["high"]["capacitance"] == pytest.approx(0.05**2, rel=1e-2)


@pytest.mark.parametrize("layer", [{}, {"stern": {"capacitance": 0.5}}], ids=["bare", "behind a layer"])
def test_slow_impedance_of_reacting_electrodes_is_the_slope_of_their_current(layer):
    """Of two steady states beside the one: what reacts is a current too."""

    def reacting(potential: float) -> dict:
        tables = cell("mpnp", 0.1, potential)
        del tables["species"][0]["mean_fraction"]
        tables["boundaries"] = [boundary | layer for boundary in tables["boundaries"]]
        tables["reactions"] = [
            {"name": where, "where": where, "equation": "cation + e- <-> 0", "butler_volmer": {"k0": 1.0}}
            for where in ("left", "right")
        ]
        return tables

    beside = [pnp.solve(reacting(0.8 + change)).summary()["current"]["left"]["value"] for change in (-1e-3, 1e-3)]
    found = pnp.solve(reacting(0.8)).impedance([1e-6])
    assert found.values[0].real == pytest.approx(-2e-3 / (beside[1] - beside[0]), rel=1e-6)
    assert abs(found.values[0].imag) < 1e-5 * found.values[0].real


def test_spectrum_satisfies_kramers_and_kronig():
    """Boukamp, J. Electrochem. Soc. 142, 1885 (1995): what is linear, causal and stable is a sum of relaxations, here
    of positive ones beside a capacitor. Imaginary parts are fitted, real ones follow."""
    frequencies = np.geomspace(1e-3, 1e4, 71)
    tables = cell("mpnp", 0.05, 4.0)
    values = pnp.solve(tables).impedance(frequencies).values
    omega = 2.0 * np.pi * frequencies
    capacitance = -1.0 / (omega[0] * values[0].imag)
    rest = values - 1.0 / (1j * omega * capacitance)
    times = np.geomspace(0.1 / omega[-1], 10.0 / omega[0], 80)
    relaxing = 1.0 / (1.0 + 1j * omega[:, None] * times)
    weights, _ = nnls(relaxing.imag, rest.imag)
    predicted = relaxing.real @ weights
    assert np.abs(predicted - rest.real).max() < 1e-3 * np.abs(rest).max()


def test_driven_impedance_is_that_of_the_complex_linear_systems():
    """Far from equilibrium, where the pencil is not symmetric: (A + i omega B)^T w = 0, Y = w^T (A + i omega B) e."""
    frequencies = np.geomspace(0.01, 100.0, 5)
    solution = pnp.solve(charged("mpnp", 0.25, 0.05, 3.0))
    with LinearisedEquations(solution.discretisation) as equations:
        dense, charge = equations.dense(), equations.is_potential
        raised = total_current_of(equations, 0) @ equations.weights.nodes
    found, free = solution.impedance(frequencies).values, dense.is_free
    for frequency, value in zip(frequencies, found, strict=True):
        omega = 2.0 * np.pi * frequency
        matrix = dense.answer + 1j * omega * dense.storage
        adjoint = np.where(charge, 1j * omega, 1.0) * raised
        adjoint[free] = np.linalg.solve(matrix[np.ix_(free, free)].T, -(adjoint @ matrix)[free])
        assert 1.0 / (adjoint @ matrix @ raised) == pytest.approx(value, rel=1e-6)


def test_a_small_sine_in_time_shows_the_same():
    """The transient solver knows nothing of the linearised equations; third harmonics are 1e-6 at this amplitude, and
    a derivative at the end of a step is of order 2."""
    frequency, amplitude = 2.0, 0.01
    tables = cell("mpnp", 0.2, {"sine": amplitude, "frequency": frequency})
    still = pnp.solve(cell("mpnp", 0.2)).impedance([frequency]).values[0]
    tables["time"] = {"end": 1.5, "tolerance": 1e-4, "largest_step": 0.006}
    series = pnp.run(tables).series
    late = series.time.values > 1.0
    phase = 2.0 * np.pi * frequency * series.time.values[late]
    basis = np.column_stack([np.sin(phase), np.cos(phase)])
    # what flows in at the terminal is less what leaves there
    inward = -(series.current_left + series.displacement_left).values[late]
    ahead, quarter = np.linalg.lstsq(basis, inward, rcond=None)[0]
    assert amplitude / (ahead + 1j * quarter) == pytest.approx(still, rel=1e-3)


def test_command_writes_what_the_solution_has_and_refuses_what_it_has_not(tmp_path):
    """The contract: frequency, re, im."""
    case = write_toml(cell("mpnp"), tmp_path / "case.toml")
    finished = run_command(
        "impedance", case, "--from", "0.01", "--to", "100", "--count", "5", "-o", tmp_path / "out", "--boundary", "left"
    )
    assert finished.returncode == 0, finished.stderr
    with (tmp_path / "out" / "impedance.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["frequency", "re", "im"]
    values = np.array([complex(float(row["re"]), float(row["im"])) for row in rows])
    frequencies = np.array([float(row["frequency"]) for row in rows])
    assert np.abs(values / exact(frequencies, 0.05, 1.0) - 1.0).max() < 1e-5
    # as impedance.py 1.7.1 reads it, which takes a header for a row of NaN
    numbers = np.genfromtxt(tmp_path / "out" / "impedance_numbers.csv", delimiter=",")
    np.testing.assert_array_equal(numbers, np.column_stack([frequencies, values.real, values.imag]))
    assert {"nyquist.png", "bode.png", "impedance.json"} <= {entry.name for entry in (tmp_path / "out").iterdir()}
    solution = pnp.solve(cell("mpnp"))
    with pytest.raises(UsageError, match='no boundary "top" holds the potential'):
        solution.impedance(terminal="top")
    with pytest.raises(CaseError, match="needs a potential"):
        pnp.solve(dimensionless_case()).impedance()
    tables = cell("mpnp")
    tables["boundaries"][0] = {"where": "left", "kind": "floating", "total_charge": 0.0}
    with pytest.raises(CaseError, match="give the one found here"):
        pnp.solve(tables).impedance()


def test_stern_layer_is_a_capacitor_in_series():
    """Z = Z_cell + 1/(i omega C_S)."""
    frequencies = np.geomspace(1e-3, 1e3, 5)
    tables = cell("mpnp")
    tables["boundaries"][0]["stern"] = {"capacitance": 0.02}
    expected = exact(frequencies, 0.05, 1.0) + 1.0 / (2j * np.pi * frequencies * 0.02)
    assert np.abs(pnp.solve(tables).impedance(frequencies).values / expected - 1.0).max() < 1e-5
