"""What carries a flux, where it runs uphill, and how far laws are apart: as numbers of the summary."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from conftest import EXAMPLES, dimensionless_case, run_command, summary_of

import pnp_exclusion as pnp


def with_field(strength: float) -> dict:
    """One species between fractions 0.2 and 0.6, pushed along x."""
    tables = copy.deepcopy(dimensionless_case(law="mpnp"))
    tables["model"]["law"] = "pnp"
    tables["species"] = [{"name": "A", "field": strength}]
    for boundary, fraction in zip(tables["boundaries"], (0.2, 0.6), strict=True):
        boundary["fraction"] = {"A": fraction}
    return tables


def test_parts_of_a_flux_are_those_of_the_closed_profile():
    """Point particles in a field E from 0.2 to 0.6: rho = J/E + C exp(E x); diffusion is what the ends differ by."""
    strength, left, right = 3.0, 0.2, 0.6
    current = strength * (left * np.exp(strength) - right) / np.expm1(strength)
    summary = pnp.solve(with_field(strength)).summary()
    parts = {part: content["value"] for part, content in summary["flux_parts"]["A"].items()}
    assert parts["diffusion"] == pytest.approx(left - right, rel=1e-8)
    assert parts["drift"] == pytest.approx(current - (left - right), rel=1e-8)
    assert abs(parts["crowding"]) < 1e-10


@pytest.mark.parametrize(("strength", "is_uphill", "share"), [(0.0, False, 0.0), (3.0, True, 1.0), (-3.0, False, 0.0)])
def test_one_species_runs_uphill_everywhere_or_nowhere(strength: float, is_uphill: bool, share: float):
    """Its density rises all along; with a field of 3 the current is positive (see above), without one it is -0.4."""
    uphill = pnp.solve(with_field(strength)).summary()["uphill"]
    assert uphill["global"] is is_uphill
    assert uphill["local"]["A"] == pytest.approx(share, abs=1e-12)


def test_share_of_the_domain_is_that_in_which_a_density_rises():
    """Field 5 up to x = 1/2 and 0 beyond, from 0.5 to 0.5: the density piles up to the middle, where the current runs
    towards more, and falls from there on."""
    tables = with_field(5.0)
    tables["species"][0]["field"] = {"x": [0.0, 0.5, 0.5, 1.0], "values": [5.0, 5.0, 0.0, 0.0]}
    for boundary in tables["boundaries"]:
        boundary["fraction"] = {"A": 0.5}
    uphill = pnp.solve(tables).summary()["uphill"]
    assert uphill["global"] is None
    assert uphill["local"]["A"] == pytest.approx(0.5, abs=1e-9)


def test_comparison_says_how_far_laws_are_apart(tmp_path):
    """Reference: the two summaries, and the two profiles that the command writes."""
    out = tmp_path / "out"
    finished = run_command("compare", EXAMPLES / "membrane.toml", "--laws", "mpnp,shdl", "-o", out)
    assert finished.returncode == 0, finished.stderr
    summary = summary_of(out)
    (apart,) = summary["distances"]
    assert apart["laws"] == ["mpnp", "shdl"]
    profiles = {}
    for law in apart["laws"]:
        table = np.genfromtxt(out / law / "profile.csv", delimiter=",", names=True, deletechars="")
        profiles[law] = table
    for name in ("Na", "Cl"):
        fluxes = [summary["laws"][law]["flux"]["right"][name]["value"] for law in apart["laws"]]
        scale = max(map(abs, fluxes))
        assert apart["current"][name]["value"] == pytest.approx(fluxes[1] - fluxes[0], abs=1e-6 * scale)
        column = next(key for key in profiles["mpnp"].dtype.names if key.startswith(name))
        x = np.linspace(profiles["mpnp"].item(0)[0], profiles["mpnp"].item(-1)[0], 20_001)
        values = [np.interp(x, table[table.dtype.names[0]], table[column]) for table in profiles.values()]
        right = np.sqrt(np.mean((values[1] - values[0]) ** 2))
        assert apart["profile"][name]["value"] == pytest.approx(right, rel=1e-2)
