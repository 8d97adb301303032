"""Exchange with a reservoir at a finite rate: resistances in series, its two limits, and the lattice's three phases."""

from __future__ import annotations

import copy

import pytest
from conftest import dimensionless_case, mistakes

import pnp_exclusion as pnp


def between_exchanges(law: str, a: float, b: float, rate: float, field: float = 0.0) -> dict:
    """One species between two reservoirs of contents ``a`` and ``b`` with which it is exchanged at the same rate."""
    return {
        "model": {"units": "dimensionless", "law": law, "electrostatics": "imposed"},
        "species": [{"name": "A", "charge": 0, "field": field}],
        "domain": {"shape": "interval", "length": 1.0},
        "boundaries": [
            {"where": "left", "kind": "exchange", "rate": {"A": rate}, "fraction": {"A": a}},
            {"where": "right", "kind": "exchange", "rate": {"A": rate}, "fraction": {"A": b}},
        ],
    }


def current(tables: dict) -> float:
    return pnp.solve(tables).summary()["flux"]["right"]["A"]["value"]


@pytest.mark.parametrize("rate", [1e-3, 0.5, 20.0, 1e6])
def test_rates_are_resistances_in_series(rate: float):
    """One species without a field diffuses as if alone: J = (a - b) / (1 + 2/k), to a wall and to reservoirs."""
    assert current(between_exchanges("shdl", 0.7, 0.2, rate)) == pytest.approx(0.5 / (1.0 + 2.0 / rate), rel=1e-8)


@pytest.mark.parametrize(
    ("a", "b", "plateau"), [(0.2, 0.4, 0.2 * 0.8), (0.7, 0.9, 0.9 * 0.1), (0.8, 0.2, 0.25)], ids=["low", "high", "most"]
)
def test_strong_field_finds_the_three_phases_of_the_lattice(a: float, b: float, plateau: float):
    """Krug, Phys. Rev. Lett. 67, 1882 (1991), with k so large that reservoirs are met: a(1-a), b(1-b) or 1/4."""
    field = 200.0
    found = current(between_exchanges("shdl", a, b, 1e4 * field, field)) / field
    assert found == pytest.approx(plateau, rel=2e-3)


def test_slow_entrance_sets_the_density_that_it_lets_in():
    """TIME_AND_SIZES: k (a - a') = E a'(1 - a') at the entrance, J = E a'(1 - a') where that is the low phase."""
    rate, field, a = 300.0, 200.0, 0.2
    inside = ((rate + field) - ((rate + field) ** 2 - 4.0 * rate * field * a) ** 0.5) / (2.0 * field)
    assert current(between_exchanges("shdl", a, 0.1, rate, field)) == pytest.approx(
        field * inside * (1 - inside), rel=1e-4
    )


def test_exchange_beside_a_potential_is_a_reservoir_for_large_rates():
    """Two species with charges and Poisson; the reference holds what the other exchanges."""
    held = dimensionless_case(law="mpnp", electrostatics="poisson", debye_length=0.1)
    for species, charge in zip(held["species"], (1, -1), strict=True):
        species["charge"] = charge
    for boundary, potential in zip(held["boundaries"], (2.0, 0.0), strict=True):
        boundary["potential"] = potential
    exchanged = copy.deepcopy(held)
    for boundary in exchanged["boundaries"]:
        boundary |= {"kind": "exchange", "rate": dict.fromkeys(boundary["fraction"], 1e8)}
    right, found = (pnp.solve(tables).currents for tables in (held, exchanged))
    assert found == pytest.approx(right, rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rate": {"A": -1.0}}, "the rate of A must be positive, but it is -1.0"),
        ({"rate": {"B": 1.0}}, 'rate names "B", but its concentration or fraction in the reservoir is missing'),
        ({"rate": {}}, 'the concentration of "A" has no effect without a rate'),
    ],
)
def test_rate_that_makes_no_sense_is_refused(changes: dict, told: str):
    tables = between_exchanges("shdl", 0.7, 0.2, 1.0)
    tables["boundaries"][0] |= changes
    assert any(told in mistake for mistake in mistakes(tables)), mistakes(tables)
