"""Barrier exchange in large cells: its mobility, its steady chains and its continuum against each other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import dblquad

from pnp_exclusion.exact.barrier_exchange import (
    BULLETS,
    ENERGY,
    RODS,
    Mixture,
    Rates,
    covariance,
    exchange_currents,
    forces,
    is_inverse,
    mobility,
    response_of_chain,
    shifted,
    steady_chain,
    steady_continuum,
    with_rods_at_rest,
)

RATES = Rates(barrier=2.0, bullet=0.3, rod=0.9)
MIXTURE = Mixture(0.3, 0.4, 1.2)
HOT, COLD = Mixture(0.6, 0.0, 1.5), Mixture(0.4, 0.0, 0.7)
SLOW_BULLETS = Rates(barrier=3.0, bullet=0.02, rod=1.0)


def test_mobility_is_half_the_mean_square_of_what_swaps_carry():
    """`<w df df^T>/2` by quadrature over the energies of both, two directions a bond."""
    b, r, temperature = MIXTURE
    v = MIXTURE.vacant
    total = np.zeros((3, 3))
    # a particle and a vacancy: its number and energy go over, <e> = T, <e^2> = 2 T^2
    for kind, fraction, rate in ((BULLETS, b, RATES.bullet), (RODS, r, RATES.rod)):
        step = np.zeros((3, 3))
        step[kind, kind], step[kind, ENERGY], step[ENERGY, kind] = 1.0, temperature, temperature
        step[ENERGY, ENERGY] = 2.0 * temperature**2
        total += rate * fraction * v * step

    def over_barrier(power: int) -> float:
        def integrand(rod: float, bullet: float) -> float:
            return (bullet - rod) ** power * np.exp(-(rod + bullet) / temperature) / temperature**2

        return float(dblquad(integrand, 0.0, np.inf, RATES.barrier, np.inf, epsabs=1e-12)[0])

    sign = np.array([1.0, -1.0])
    total[:2, :2] += b * r * over_barrier(0) * np.outer(sign, sign)
    total[:2, ENERGY] += b * r * over_barrier(1) * sign
    total[ENERGY, :2] += b * r * over_barrier(1) * sign
    total[ENERGY, ENERGY] += b * r * over_barrier(2)
    np.testing.assert_allclose(mobility(MIXTURE, RATES), total, rtol=1e-7)


def test_currents_of_a_bond_respond_to_forces_by_the_mobility_and_the_covariance():
    """`dJ = M dF` at small forces; `d(fields) = C d(potentials)` of the product law."""
    step = 1e-6
    response, static = np.zeros((3, 3)), np.zeros((3, 3))
    for column in range(3):
        shift = np.zeros(3)
        shift[column] = 0.5 * step
        left, right = (Mixture.of_potentials(*(MIXTURE.potentials + sign * shift)) for sign in (1.0, -1.0))
        assert forces(left, right)[column] == pytest.approx(step, rel=1e-8)
        response[:, column] = exchange_currents(left, right, RATES) / step
        static[:, column] = (left.fields - right.fields) / step
    np.testing.assert_allclose(response, mobility(MIXTURE, RATES), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(static, covariance(MIXTURE), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("barrier", [0.5, 1.5, 2.0, 3.0, 5.0])
def test_rods_at_rest_push_bullets_to_the_hot_side_where_the_criterion_says(barrier: float):
    """Of energies from rest; the sign goes with the zero of energy, the determinant does not."""
    rates = Rates(barrier, 0.05, 1.0)
    left = with_rods_at_rest(mobility(MIXTURE, rates))
    assert (left[0, 1] < 0.0) == is_inverse(MIXTURE, rates)
    moved = shifted(left, 2.0)
    assert moved[0, 1] / moved[0, 0] == pytest.approx(left[0, 1] / left[0, 0] + 2.0)
    assert np.linalg.det(moved) == pytest.approx(np.linalg.det(left))


def test_the_criterion_is_met_for_some_barriers_only():
    met = [is_inverse(MIXTURE, Rates(barrier, 0.05, 1.0)) for barrier in (0.5, 1.5, 2.0, 3.0, 5.0)]
    assert set(met) == {True, False}


@pytest.mark.parametrize("rods", [None, 0.5])
def test_chains_of_large_cells_tend_to_the_continuum(rods: float | None):
    """Second order in 1/(n + 1), first where closed rods leave contacts of a resistance of their own."""
    left, right = (HOT, COLD) if rods else (Mixture(0.3, 0.4, 1.2), Mixture(0.4, 0.2, 1.0))
    order = 2 if rods is None else 1
    steady = steady_continuum(left, right, SLOW_BULLETS, [0.25, 0.5, 0.75], rods)
    misses = {cells: steady_chain(left, right, SLOW_BULLETS, cells, rods) for cells in (15, 31, 63)}
    apart = [np.abs(chain.currents - steady.currents).max() for chain in misses.values()]
    assert np.log2(apart[0] / apart[1]) == pytest.approx(order, abs=0.15)
    assert np.log2(apart[1] / apart[2]) == pytest.approx(order, abs=0.08)
    halves = misses[63].fields[:, [15, 31, 47]]
    np.testing.assert_allclose(halves, steady.fields, atol=3.0 * 64.0**-order)


def test_bullets_flow_against_both_forces_between_reservoirs_and_entropy_is_produced():
    steady = steady_continuum(HOT, COLD, SLOW_BULLETS, np.linspace(0.0, 1.0, 9), rods=0.5)
    driving = forces(HOT, COLD)
    assert driving[BULLETS] > 0.0 and driving[ENERGY] > 0.0
    assert steady.currents[BULLETS] < 0.0
    assert steady.currents[RODS] == 0.0
    assert steady.currents @ driving > 0.0
    # the rods that are closed in are as many as were asked for, and the ends are in equilibrium with the reservoirs
    x = np.linspace(0.0, 1.0, 401)
    fields = steady_continuum(HOT, COLD, SLOW_BULLETS, x, rods=0.5).fields
    assert np.trapezoid(fields[RODS], x) == pytest.approx(0.5, abs=1e-6)
    for side, end in ((HOT, 0), (COLD, -1)):
        b, r, energy = fields[:, end]
        assert energy / (b + r) == pytest.approx(side.temperature, rel=1e-9)
        assert b / (1.0 - b - r) == pytest.approx(side.bullets / (1.0 - side.bullets), rel=1e-9)


def test_small_forces_drive_the_continuum_and_the_chain_by_their_responses():
    """`L = M` in a uniform state, `M'` where rods cannot leave, bonds in series with contacts in a chain."""
    step = 1e-5
    at_rest = Mixture(0.5, 0.0, 1.0)
    inside = Mixture(0.25, 0.5, 1.0)
    for column, field in enumerate((BULLETS, ENERGY)):
        shift = np.zeros(3)
        shift[field] = 0.5 * step
        ends = []
        for sign in (1.0, -1.0):
            moved = np.array([at_rest.potentials[BULLETS], -np.inf, at_rest.potentials[ENERGY]]) + sign * shift
            ends.append(Mixture.of_potentials(*moved))
        steady = steady_continuum(*ends, SLOW_BULLETS, [0.5], rods=0.5)
        expected = with_rods_at_rest(mobility(inside, SLOW_BULLETS))[:, column]
        np.testing.assert_allclose(steady.currents[[BULLETS, ENERGY]] / step, expected, rtol=1e-4)
        chain = steady_chain(*ends, SLOW_BULLETS, 6, 0.5, contact=2.0)
        expected = response_of_chain(inside, SLOW_BULLETS, 6, 2.0)[:, column]
        np.testing.assert_allclose(chain.currents[[BULLETS, ENERGY]] / step, expected, rtol=1e-4)
