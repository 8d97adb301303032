"""Cells between electrodes or walls in which the amounts of all species are given."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from conftest import mistakes
from scipy.integrate import quad
from scipy.optimize import brentq

import pnp_exclusion as pnp

pytestmark = [
    pytest.mark.filterwarnings("ignore::pnp_exclusion.SolutionWarning"),
    # far from its root the search leaves no digits
    pytest.mark.filterwarnings("ignore::scipy.integrate.IntegrationWarning"),
]
DEBYE_LENGTH = 0.05


def cell(law: str, boundaries: list[dict], amounts: tuple[float, float] = (0.1, 0.1), **more) -> dict:
    """Two ions in a closed cell."""
    return {
        "model": {"units": "dimensionless", "law": law, "electrostatics": "poisson", "debye_length": DEBYE_LENGTH},
        "species": [
            {"name": "A", "charge": 1, "amount": amounts[0]},
            {"name": "B", "charge": -1, "amount": amounts[1]},
        ],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": boundaries,
        **more,
    }


def plates(left: float, right: float) -> list[dict]:
    return [
        {"where": "left", "kind": "electrode", "potential": left},
        {"where": "right", "kind": "electrode", "potential": right},
    ]


def walls(charge: float) -> list[dict]:
    return [
        {"where": "left", "kind": "wall", "surface_charge": charge},
        {"where": "right", "kind": "wall", "surface_charge": -charge},
    ]


def charge_by_quadrature(crowded: bool, voltage: float, amount: float) -> float:
    """The charge of plates at +V and -V, from the first integral of Poisson's equation.

    With one constant ``mu`` of both ions ``lambda^2 phi'^2/2 = Pi(phi) - Pi(0) + lambda^2 E^2/2``, with ``w = e^mu``
    ``Pi = 2 w cosh phi`` or ``log(1 + 2 w cosh phi)``. The gap's width gives the field E in its middle, the amount w.
    """

    def slope(phi: float, w: float, field: float) -> float:
        rise = 4.0 * w * np.sinh(phi / 2.0) ** 2
        pressure = np.log1p(rise / (1.0 + 2.0 * w)) if crowded else rise
        return float(np.sqrt(2.0 * pressure / DEBYE_LENGTH**2 + field**2))

    def integral(of, w: float, field: float) -> float:
        knots = np.unique(np.concatenate([[0.0], np.geomspace(1e-8, voltage, 60)]))
        parts = pairwise(knots)
        return sum(
            quad(lambda phi: of(phi) / slope(phi, w, field), *part, epsabs=1e-13, epsrel=1e-9)[0] for part in parts
        )

    def field_of(w: float) -> float:
        half = lambda log: integral(lambda phi: 1.0, w, np.exp(log)) - 0.5  # noqa: E731
        return float(np.exp(brentq(half, -60.0, np.log(4.0 * voltage), xtol=1e-13)))

    def density(phi: float, w: float) -> float:
        return w * np.cosh(phi) / (1.0 + 2.0 * w * np.cosh(phi) if crowded else 1.0)

    def excess(log: float) -> float:
        w = np.exp(log)
        return 2.0 * integral(lambda phi: density(phi, w), w, field_of(w)) - amount

    w = np.exp(brentq(excess, -voltage - 6.0, 0.0, xtol=1e-11))
    return DEBYE_LENGTH**2 * slope(voltage, w, field_of(w))


@pytest.mark.parametrize("voltage", [1.0, 10.0, 40.0])
def test_charge_of_a_closed_cell_between_electrodes_is_that_of_the_quadrature(voltage: float):
    expected = {crowded: charge_by_quadrature(crowded, voltage, 0.1) for crowded in (False, True)}
    for law in ("pnp", "mpnp", "shdl", "vacancy"):
        solution = pnp.solve(cell(law, plates(voltage, -voltage), solver={"unresolved": "warn"}))
        charges = solution.summary()["charge"]
        for where, sign in (("left", 1.0), ("right", -1.0)):
            assert charges[where]["value"] == pytest.approx(sign * expected[law != "pnp"], rel=1e-5)
        for mean in solution.steady.integrals.mean_densities.values():
            assert mean == pytest.approx(0.1, rel=1e-12)
        assert solution.report.newton_iterations <= 8
        assert solution.report.ramp_steps == 0


def test_plates_at_one_potential_answer_the_net_charge_of_the_ions():
    """Gauss: half of it, with the other sign, on either."""
    charges = pnp.solve(cell("mpnp", plates(2.0, 2.0), (0.1, 0.05))).summary()["charge"]
    assert [one["value"] for one in charges.values()] == pytest.approx([-0.025, -0.025], rel=1e-9)


@pytest.mark.parametrize("law", ["pnp", "mpnp"])
def test_neutral_cell_of_charged_walls_is_that_of_electrodes_at_its_drop(law: str):
    """Nothing fixes the potential itself, and nothing needs to."""
    profile = pnp.solve(cell(law, walls(0.05))).to_xarray()["potential"].values
    drop = float(profile[0] - profile[-1])
    charges = pnp.solve(cell(law, plates(0.5 * drop, -0.5 * drop))).summary()["charge"]
    assert charges["left"]["value"] == pytest.approx(0.05, rel=1e-6)


def test_neutral_cell_above_one_dimension_keeps_its_amounts():
    """A rectangle of the same walls, by multigrid too: amounts are mean densities times its area."""
    along = float(np.ptp(pnp.solve(cell("mpnp", walls(0.05))).to_xarray()["potential"].values))
    for linear in ("direct", "fieldsplit"):
        tables = cell("mpnp", walls(0.05), (0.05, 0.05), solver={"linear": linear})
        tables["domain"] = {"shape": "rectangle", "size": [1.0, 0.5], "cells": [32, 4]}
        solution = pnp.solve(tables)
        assert np.ptp(solution.to_xarray()["potential"].values) == pytest.approx(along, rel=1e-3)
        for mean in solution.steady.integrals.mean_densities.values():
            assert mean == pytest.approx(0.1, rel=1e-12)


def test_closed_cell_that_is_charged_is_refused_with_its_charge():
    """0.1 - 0.07 of the ions, 0.02 of a region, 0.05 - 0.05 of the walls."""
    region = {"name": "membrane", "x": [0.2, 0.4], "fixed_charge": 0.1}
    with pytest.raises(pnp.CaseError, match=r"net charge of 0\.05 \(0\.03 of the ions, 0\.02 of fixed charge\)"):
        pnp.solve(cell("mpnp", walls(0.05), (0.1, 0.07), regions=[region]))


def test_closed_cell_in_si_units_is_refused_in_them():
    tables = {
        "model": {"law": "pnp"},
        "species": [
            {"name": "Na", "charge": 1, "diffusivity": "1.3e-9 m^2/s", "amount": "2e-9 mol/m^2"},
            {"name": "Cl", "charge": -1, "diffusivity": "2.0e-9 m^2/s", "amount": "1e-9 mol/m^2"},
        ],
        "domain": {"shape": "interval", "length": "20 nm"},
        "boundaries": [{"where": "left", "kind": "wall"}],
    }
    # 1e-9 mol/m^2 times Faraday's constant
    with pytest.raises(pnp.CaseError, match=r"net charge of 9\.649e-05 C/m\^2"):
        pnp.solve(tables)


def test_amount_is_a_mean_times_the_body():
    """A cylinder: pi R^2 H."""
    tables = cell("shdl", [{"where": "top", "kind": "electrode", "potential": 3.0}], (0.03, 0.02))
    tables["domain"] = {"shape": "rectangle", "size": [0.5, 1.0], "cells": [4, 20], "coordinates": "axisymmetric"}
    solution = pnp.solve(tables)
    means = solution.steady.integrals.mean_densities
    assert list(means.values()) == pytest.approx([0.03 / (np.pi * 0.25), 0.02 / (np.pi * 0.25)], rel=1e-12)


def test_floating_electrode_in_a_closed_cell_takes_the_rest_of_the_charge():
    """Gauss again; and the potential found is one that gives the same charges when it is held."""
    floating = [plates(1.0, 0.0)[0], {"where": "right", "kind": "floating", "total_charge": 0.02}]
    summary = pnp.solve(cell("vacancy", floating, (0.1, 0.05))).summary()
    assert summary["charge"]["left"]["value"] == pytest.approx(-0.07, rel=1e-9)
    held = plates(1.0, summary["found_potential"]["right"]["value"])
    charges = pnp.solve(cell("vacancy", held, (0.1, 0.05))).summary()["charge"]
    assert charges["right"]["value"] == pytest.approx(0.02, rel=1e-7)


def test_amounts_are_swept(tmp_path):
    tables = cell("mpnp", plates(1.0, -1.0))
    tables["sweep"] = {"axes": [{"key": "species.A.amount", "values": [0.05, 0.1, 0.2]}]}
    charges = pnp.sweep(tables, tmp_path / "sweep")["charge"].sum("boundary").values
    np.testing.assert_allclose(charges, 0.1 - np.array([0.05, 0.1, 0.2]), atol=1e-10)


def test_amount_is_refused_where_it_cannot_be():
    """Beside a mean, in a full domain, of a species that a boundary supplies, in a unit of another dimension."""
    tables = cell("mpnp", plates(1.0, -1.0))
    tables["species"][0] |= {"mean_fraction": 0.1}
    assert any("has both mean_fraction and amount" in told for told in mistakes(tables))
    assert any("fill 1.1 of the space" in told for told in mistakes(cell("mpnp", plates(1.0, -1.0), (0.6, 0.5))))
    reservoir = {"where": "left", "kind": "reservoir", "fraction": {"A": 0.1, "B": 0.1}, "potential": 0.0}
    assert any("amount is for a species that no boundary supplies" in t for t in mistakes(cell("mpnp", [reservoir])))
    si = cell("mpnp", [])
    si["model"] = {"law": "mpnp", "lattice_spacing": "0.7 nm"}
    si["domain"]["length"] = "10 nm"
    si["species"] = [{"name": "A", "charge": 1, "diffusivity": "1e-9 m^2/s", "amount": "1 nmol"}]
    si["boundaries"] = [{"where": "left", "kind": "electrode", "potential": "10 mV"}]
    (told,) = mistakes(si)
    assert 'amount = "1 nmol" is no total of this domain, whose totals are in mol/m^2' in told
