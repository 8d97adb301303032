"""Noise of events at finite rates: exchange, reactions at electrodes and in the volume, charge behind layers."""

from __future__ import annotations

import numpy as np
import pytest
from test_noise import FREQUENCIES, at_left, between, charged, noise
from test_reactions import acid, interval, plating

import pnp_exclusion as pnp
from pnp_exclusion.errors import CaseError

BUTLER_VOLMER = {"butler_volmer": {"k0": 1.0, "alpha": 0.3}}


def exchanging(law: str, contents: tuple[float, float], rates: tuple[float, float]) -> dict:
    """One species without a field between two reservoirs that exchange it."""
    tables = between([contents[0]], [contents[1]], law=law)
    for boundary, rate in zip(tables["boundaries"], rates, strict=True):
        boundary |= {"kind": "exchange", "rate": {"A": rate}}
    return tables


@pytest.mark.parametrize("law", ["pnp", "shdl"])
def test_noise_of_exchange_in_series_with_diffusion_is_that_of_resistances(law: str):
    """The adjoint falls by j/k over an exchange and by j inside, j = 1/(1/k_l + 1 + 1/k_r); events are swaps."""
    (left, right), (k_left, k_right) = (0.4, 0.1), (2.0, 0.7)
    j = 1.0 / (1.0 / k_left + 1.0 + 1.0 / k_right)
    first, last = left - (left - right) * j / k_left, right + (left - right) * j / k_right
    full = 1.0 if law == "shdl" else 0.0

    def events(one: float, other: float) -> float:
        return one * (1.0 - full * other) + other * (1.0 - full * one)

    of_diffusion = (first + last) - 2.0 / 3.0 * full * (first**2 + first * last + last**2)
    exact = j**2 * (events(left, first) / k_left + of_diffusion + events(last, right) / k_right)
    found = noise(exchanging(law, (left, right), (k_left, k_right)))
    assert found.warnings == []
    assert at_left(found)[0, 0] == pytest.approx(exact, rel=1e-9)
    if law == "pnp":
        # independent particles: Poissonian both ways
        assert exact == pytest.approx(j * (left + right), rel=1e-12)


def test_noise_of_particles_that_decay_is_that_of_independent_events():
    """Point particles enter and react one by one: a Fano factor of 1, wherever they do."""
    left = {"where": "left", "kind": "reservoir", "fraction": {"A": 0.3}}
    found = noise(interval("pnp", [{"name": "A"}], [left], [{"equation": "A -> 0", "forward": 9.0}]))
    assert found.fano[0, 0] == pytest.approx(1.0, rel=1e-7)
    assert found.warnings == []


@pytest.mark.parametrize("law", ["pnp", "mpnp", "shdl", "vacancy"])
def test_noise_of_exchange_at_equilibrium_is_thermal(law: str):
    """Johnson and Nyquist: swaps of sites have the noise that their rate asks for."""
    tables = charged(law, 0.1, 0.1, 0.0)
    tables["boundaries"][0] |= {"kind": "exchange", "rate": {"A": 1.3, "B": 0.4 if law == "pnp" else 1.3}}
    np.testing.assert_allclose(noise(tables).thermal, 1.0, rtol=1e-10)


@pytest.mark.parametrize("law", ["pnp", "mpnp", "shdl", "vacancy"])
def test_noise_of_electrodes_that_react_is_thermal_at_equilibrium_and_conserved_without(law: str):
    """Butler-Volmer behind Stern layers: S = 2 Re Y; driven, one spectrum at both ends, J S^-1 J <= sigma/2."""
    np.testing.assert_allclose(noise(plating(law, 0.0, BUTLER_VOLMER)).thermal, 1.0, rtol=1e-10)
    driven = noise(plating(law, 2.0, BUTLER_VOLMER), [0.01, 10.0])
    assert driven.warnings == [] and driven.electric is not None
    np.testing.assert_allclose(driven.electric[:, 0, 0], driven.electric[:, 1, 1], rtol=1e-8)
    assert driven.electric[0, 0, 0].real == pytest.approx(driven.electric_at_zero[0, 0], rel=1e-5)


def test_admittance_of_electrodes_that_react_is_the_slope_of_their_current():
    """Driven, at low frequency, against the difference of two solutions."""
    step = 1e-3
    high, low = (
        -pnp.solve(plating("mpnp", 2.0 + h, BUTLER_VOLMER)).steady.totals.flux["left"]["M+"] for h in (step, -step)
    )
    found = noise(plating("mpnp", 2.0, BUTLER_VOLMER), [1e-4])
    assert found.admittance is not None
    assert found.admittance[0, 0, 0].real == pytest.approx((high - low) / (2.0 * step), rel=1e-6)


def test_noise_of_an_electrode_without_a_layer_is_thermal_at_equilibrium():
    tables = plating("pnp", 0.0, BUTLER_VOLMER)
    for boundary in tables["boundaries"]:
        del boundary["stern"]
    np.testing.assert_allclose(noise(tables).thermal, 1.0, rtol=1e-10)


@pytest.mark.parametrize("law", ["pnp", "shdl"])
def test_noise_with_a_reaction_in_the_volume_is_thermal_at_equilibrium(law: str):
    """A weak acid between equal reservoirs: events forward and backward, S = 2 Re Y."""
    tables = acid(law, 0.02, 0.02)
    for boundary in tables["boundaries"]:
        boundary["potential"] = 0.0
    tables["reactions"][0]["forward"] = 10.0
    np.testing.assert_allclose(noise(tables).thermal, 1.0, rtol=1e-10)


def refusals() -> dict[str, dict]:
    """Cases whose events have no rates of both directions, by what they are told."""
    linear = plating("mpnp", 0.0, {"linear": {"exchange_current": 1.0, "reference": {"M+": 0.1}}})
    unlike, adrift = (charged("mpnp", 0.1, 0.1, 0.0) for _ in range(2))
    unlike["boundaries"][0] |= {"kind": "exchange", "rate": {"A": 1.0, "B": 2.0}}
    adrift["boundaries"][0] |= {"kind": "exchange", "rate": {"A": 1.0, "B": 1.0}}
    del adrift["boundaries"][0]["potential"]
    return {
        "have their difference only": linear,
        "give all species, of one size, the same rate": unlike,
        "holds none: its rates have no equilibrium": adrift,
    }


@pytest.mark.parametrize("told", refusals())
def test_events_without_rates_of_both_directions_are_refused(told: str):
    with pytest.raises(CaseError, match=told):
        pnp.solve(pnp.make_case(refusals()[told])).noise(FREQUENCIES)
