"""How densities and amounts fluctuate together: closed forms, Gibbs' law, and the same by two ways."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from conftest import run_command, write_toml
from test_noise import between, charged
from test_shot_noise import BUTLER_VOLMER, plating

import pnp_exclusion as pnp
from pnp_exclusion.errors import CaseError, UsageError
from pnp_exclusion.solution.correlations import Correlations, Covariances

LEFT, RIGHT = np.array([0.5, 0.2]), np.array([0.1, 0.35])
APART = np.outer(RIGHT - LEFT, RIGHT - LEFT)


def correlations(tables: dict) -> Correlations:
    return pnp.solve(pnp.make_case(tables)).correlations()


def covariances(tables: dict, observables: object = None) -> Covariances:
    return pnp.solve(pnp.make_case(tables)).covariances(observables)


def stirred(cells: int = 80) -> dict:
    tables = between(list(LEFT), list(RIGHT), law="shdl")
    tables["domain"]["cells"] = cells
    return tables


def of_stirring(found: Correlations) -> np.ndarray:
    """c_ab = -d_a d_b x (1 - y), x < y, without fields (Spohn, J. Phys. A 16, 4275 (1983))."""
    x = found.points
    return -np.multiply.outer(APART, np.minimum.outer(x, x) * (1.0 - np.maximum.outer(x, x)))


def test_correlations_of_stirred_particles_are_those_of_the_lattice():
    """Values four cells apart, limits at the diagonal, and the variance of amounts, int chi - d_a d_b/12."""
    found = correlations(stirred())
    exact = of_stirring(found)
    told = np.isfinite(found.values[0, 0])
    assert np.abs(found.values - exact)[:, :, told].max() < 3e-7
    apart = np.abs(np.subtract.outer(*[np.arange(161)] * 2)) // 2
    assert np.abs(found.values - exact)[:, :, apart >= 10].max() < 1e-8
    assert np.diag(told).sum() == 0
    for side in range(2):
        beside, diagonal = found.sides[..., side], np.einsum("abii->abi", exact)
        assert np.nanmax(np.abs(beside - diagonal)) < 1e-6
    local = found.local - APART / 12.0
    np.testing.assert_allclose(found.amounts.matrix, local, atol=1e-8)
    np.testing.assert_allclose(found.amounts.means, 0.5 * (LEFT + RIGHT), rtol=1e-9)
    # int int sin(pi x) c sin(pi y) = -d_a d_b/(2 pi^2), by the other way too
    waves = {name: {name: lambda points: np.sin(np.pi * points[0])} for name in "AB"}
    density = np.linspace(LEFT, RIGHT, 2001)
    grid = np.sin(np.pi * np.linspace(0.0, 1.0, 2001)) ** 2
    chi = [[np.mean((grid * density[:, a] * ((a == b) - density[:, b]))[:-1]) for b in range(2)] for a in range(2)]
    np.testing.assert_allclose(covariances(stirred(), waves).matrix, chi - APART / (2.0 * np.pi**2), atol=1e-6)


def test_correlations_by_cubic_elements_are_those_of_the_lattice_at_every_point_that_is_told():
    """The kink at x = y, which quadratic ones feel ten cells away."""
    tables = stirred(40)
    tables["solver"] = {"degree": 3}
    found = correlations(tables)
    exact = of_stirring(found)
    assert np.nanmax(np.abs(found.values - exact)) < 1e-8
    assert np.nanmax(np.abs(found.sides[..., 0] - np.einsum("abii->abi", exact))) < 1e-8


def test_correlations_converge_with_the_fourth_power_of_the_cells():
    """Quadratic elements, away from the diagonal."""

    def error(cells: int) -> float:
        found = correlations(stirred(cells))
        i, j = (int(np.abs(found.points - x).argmin()) for x in (0.25, 0.75))
        return float(np.abs(found.values - of_stirring(found))[:, :, i, j].max())

    assert np.log2(error(8) / error(16)) > 3.5


def test_point_particles_and_flat_states_of_the_stirring_process_are_not_correlated():
    """Independent particles stay independent; equal reservoirs and constant fields have a product measure."""
    independent = correlations(between([0.3, 0.2], [0.1, 0.4], [1.0, -2.0], law="pnp"))
    assert np.nanmax(np.abs(independent.values)) < 1e-5
    np.testing.assert_allclose(independent.amounts.matrix, independent.local, atol=1e-8)
    flat = correlations(between([0.3, 0.2], [0.3, 0.2], [4.0, 1.0], law="shdl"))
    assert np.nanmax(np.abs(flat.values)) < 1e-11


def test_correlations_of_a_salt_at_equilibrium_are_those_of_debye_and_hueckel():
    """c_ab = -z_a z_b rho^2 G, lambda^2 G'' = 2 rho G - delta, G = 0 at the ends; and integrated over both points."""
    rho, debye_length = 0.1, 0.1
    tables = charged("pnp", rho, rho, 0.0)
    del tables["regions"]
    found = correlations(tables)
    x, k = found.points, np.sqrt(2.0 * rho) / debye_length
    below, above = np.minimum.outer(x, x), np.maximum.outer(x, x)
    green = np.sinh(k * below) * np.sinh(k * (1.0 - above)) / (k * debye_length**2 * np.sinh(k))
    signs = np.array([[1.0, -1.0], [-1.0, 1.0]])
    exact = -(rho**2) * np.multiply.outer(signs, green)
    assert np.nanmax(np.abs(found.values - exact)) < 1e-8
    whole = (1.0 - 2.0 * np.tanh(0.5 * k) / k) / (2.0 * rho)
    np.testing.assert_allclose(found.amounts.matrix, rho * np.eye(2) - rho**2 * whole * signs, atol=1e-9)


def test_unlike_particles_that_do_not_change_places_jump_at_the_diagonal():
    """c_12 at x < y and at x > y: as c_21 the other way round; the stirring process has no jump."""
    for law, jumps in (("shdl", False), ("mpnp", True)):
        found = correlations(between([0.4, 0.1], [0.1, 0.5], [3.0, -2.0], law=law))
        middle = (found.points > 0.4) & (found.points < 0.6)
        jump = (found.sides[..., 0] - found.sides[..., 1])[:, :, middle]
        assert np.abs(jump[0, 1] + jump[1, 0]).max() < 5e-4
        assert np.abs(jump[[0, 1], [0, 1]]).max() < 5e-4
        assert (np.abs(jump[0, 1]).min() > 0.1) if jumps else (np.abs(jump[0, 1]).max() < 5e-4)


def closed() -> dict:
    tables = charged("mpnp", 0.1, 0.1, 0.0)
    tables["boundaries"] = [{"where": where, "kind": "electrode", "potential": 0.0} for where in ("left", "right")]
    for species in tables["species"]:
        species["mean_fraction"] = 0.1
    return tables


CASES = {
    "in fields": lambda: between([0.4, 0.1], [0.1, 0.5], [3.0, -2.0], law="mpnp"),
    "with Poisson": lambda: charged("vacancy", 0.25, 0.05, 3.0),
    "closed": closed,
    "reacting": lambda: plating("mpnp", 2.0, BUTLER_VOLMER),
}


@pytest.mark.parametrize("name", CASES)
def test_covariances_of_amounts_by_the_integral_over_frequencies_are_those_of_the_correlations(name: str):
    """Two ways without a step in common: Lyapunov's equation, and a span of adjoints."""
    solution = pnp.solve(pnp.make_case(CASES[name]()))
    found, other = solution.correlations().amounts.matrix, solution.covariances().matrix
    np.testing.assert_allclose(found, other, atol=1e-9)
    if name == "closed":
        assert np.abs(other).max() < 1e-12


def test_covariances_in_two_dimensions_are_those_of_one_times_the_width():
    expected = covariances(stirred())
    tables = stirred()
    tables["domain"] = {"shape": "rectangle", "size": [1.0, 0.5], "cells": [40, 2]}
    np.testing.assert_allclose(covariances(tables).matrix, 0.5 * expected.matrix, rtol=1e-6)


def test_command_writes_correlations_on_any_number_of_ranks(tmp_path: Path):
    case = write_toml(charged("mpnp", 0.25, 0.05, 3.0), tmp_path / "case.toml")
    amounts = []
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        finished = run_command("correlations", case, "-o", folder, "--quiet", ranks=ranks)
        assert finished.returncode == 0, finished.stderr
        amounts.append(json.loads((folder / "correlations.json").read_text())["covariance"])
        with xr.open_dataset(folder / "correlations.nc", engine="scipy") as dataset:
            assert dataset.correlation.sel(species="A", species_2="B").shape == (len(dataset.x),) * 2
        assert {"correlations.png", "structure_factors.csv"} <= {entry.name for entry in folder.iterdir()}
    np.testing.assert_allclose(amounts[0], amounts[1], rtol=1e-8)


def test_correlations_that_there_are_not_are_refused():
    fine, flat = stirred(2000), stirred()
    flat["domain"] = {"shape": "rectangle", "size": [1.0, 0.5], "cells": [40, 2]}
    with pytest.raises(CaseError, match="of 8002 unknowns here and 2500 at most"):
        correlations(fine)
    with pytest.raises(CaseError, match="in one dimension, and this case has 2"):
        correlations(flat)
    with pytest.raises(UsageError, match='"charge" counts "Na", but there is no such species'):
        covariances(stirred(), {"charge": {"Na": 1.0}})
    solution = pnp.solve(pnp.make_case(stirred()))
    for weight in (np.nan, "one", lambda points: points[0][:3]):
        with pytest.raises(UsageError, match='"some" counts "A" by what is no finite number'):
            solution.covariances({"some": {"A": weight}})
