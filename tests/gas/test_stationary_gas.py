"""Currents and coefficients of the gas: exact limits, Onsager's symmetry, inverse currents, what is not steady.

Seeds are fixed; bounds are in standard errors, 4.5 of them unless stated: the right code would miss one in 1e5.
"""

from __future__ import annotations

import numpy as np
import pytest

from pnp_exclusion.particles.gas.coefficients import (
    coefficients_of,
    free_matrix,
    loop_figure_of_merit,
    matrix_by_covariance,
    matrix_by_response,
)
from pnp_exclusion.particles.gas.critical import (
    NoCriticalBarrierError,
    exponent_of,
    find_critical_barrier,
    fitted_line,
)
from pnp_exclusion.particles.gas.kinetic_limit import KineticLimit
from pnp_exclusion.particles.gas.model import bullets_and_rods
from pnp_exclusion.particles.gas.onsager import Onsager
from pnp_exclusion.particles.gas.stationary import simulate_gas
from pnp_exclusion.particles.measure import Estimate
from pnp_exclusion.particles.stationary import TooShortError

ERRORS = 4.5


def near(found: Estimate, exact: object) -> bool:
    return bool(np.all(np.abs(found.mean - exact) < ERRORS * found.error))


def test_without_barriers_every_current_is_that_of_effusion_however_strong_the_forces():
    """``J = k_left - k_right``, ``k`` the rates at which bullets enter; energy ``kT`` each, and what rods carry alone.

    A rod needs ``sqrt(pi m/2T) length`` from a wall of temperature ``T`` to the other on average, and carries ``T``.
    """
    gas = bullets_and_rods(10.0, 0.0).under([0.5, 0.6])
    result = simulate_gas(gas, 20_000.0, 1, replicas=2)
    rates, temperatures = gas.injection_rates[:, 0], gas.temperatures
    rods = 10 * np.ptp(temperatures) / (10.0 * np.sqrt(np.pi / 2) * np.sum(temperatures**-0.5))
    exact = np.array([rates[0] - rates[1], rates @ (temperatures * [1, -1]) + rods])
    assert near(result.currents, exact)
    assert np.all(result.currents.error < 0.02 * exact)
    assert result.steady and result.imbalance < 1e-13
    assert result.pass_fractions.mean[0, 1] == 1.0
    assert near(result.entropy_production, exact @ gas.forces)


def test_an_endless_barrier_lets_no_bullet_pass_and_heat_alone():
    result = simulate_gas(bullets_and_rods(8.0, np.inf).under([0.5, 0.4]), 4_000.0, 2)
    assert result.pass_fractions.mean[0, 1] == 0.0
    # what came in at one end and left at the other is at most what was inside
    through = np.abs(result.end_currents.mean[:, 0]) * result.time
    assert through.max() < 40
    assert result.currents.mean[1] > 10 * result.currents.error[1]


def test_matrix_is_symmetric_and_the_same_by_response_and_by_covariance_where_it_is_inverse():
    """Masses 2:1, far above the critical barrier: ``L_ru`` is negative, while without a barrier it is positive."""
    gas = bullets_and_rods(8.0, 2.0)
    response = matrix_by_response(gas, 30_000.0, 3)
    still = matrix_by_covariance(simulate_gas(gas, 60_000.0, 4, bins=1, batches=1024))
    assert abs(coefficients_of(gas, response).asymmetry) < ERRORS
    assert np.array_equal(still.mean, still.mean.T)
    difference = Estimate(response.mean - still.mean, np.hypot(response.error, still.error))
    assert near(difference, 0.0)
    assert response.mean[0, 1] < -5 * response.error[0, 1]
    free = free_matrix(gas)
    assert free[0, 1] > 0 and response.mean[0, 0] < 0.5 * free[0, 0]


def test_inverse_currents_of_particles_with_masses_2_to_1_and_4_to_1_and_never_with_equal_ones():
    """Beyond linear response: both forces point to the right, and bullets of the heavier kind run to the left."""
    found = {}
    for ratio in (1.0, 2.0, 4.0):
        gas = bullets_and_rods(20.0, 1.5, mass_ratio=ratio).under([0.01, 0.5])
        found[ratio] = simulate_gas(gas, 40_000.0, 5)
        assert found[ratio].currents.mean[1] > 10 * found[ratio].currents.error[1]
        assert found[ratio].entropy_production.mean > 0
        # rods are pushed to the cold end, whatever bullets do
        assert found[ratio].separation.mean[1, 0] > 5 * found[ratio].separation.error[1, 0]
    for ratio, result in found.items():
        clear = result.currents.mean[0] / result.currents.error[0]
        assert clear > 4 if ratio == 1.0 else clear < -4


def test_energy_that_passings_lose_is_missing_at_the_other_end_and_a_gas_that_drifts_is_not_called_steady():
    """A slight loss is borne; at a large one without a barrier the gas cools, grows and is never at rest."""
    slight = simulate_gas(bullets_and_rods(10.0, 0.5, loss=0.002).under([0.0, 0.4]), 20_000.0, 6)
    missing = slight.end_currents.mean[0, 1] - slight.end_currents.mean[1, 1]
    assert slight.steady
    assert slight.loss.mean > 10 * slight.loss.error
    # in the long run the gas keeps what it holds
    assert missing == pytest.approx(float(slight.loss.mean), rel=0.01)
    strong = simulate_gas(bullets_and_rods(20.0, 0.0, loss=0.1), 2_000.0, 7)
    assert not strong.steady
    assert strong.complaint.startswith("with the energy that passings lose")


def test_a_time_without_decorrelated_samples_is_refused_with_what_would_do():
    with pytest.raises(TooShortError, match=r"time = 100 is too short: .* need a time of at least"):
        simulate_gas(bullets_and_rods(20.0, 0.5), 100.0, 1)


def test_coefficients_are_those_of_the_matrix():
    """Without barriers: r = T, no heat but that of the spread of speeds and of the rods; zT by its definition."""
    gas = bullets_and_rods(10.0, 0.0, density=0.5)
    matrix = free_matrix(gas)
    found = coefficients_of(gas, Estimate(matrix, 0.01 * matrix))
    own, potential = matrix[0, 0], float(gas.contacts[0, 0])
    assert float(found.energy_per_particle.mean) == pytest.approx(1.0)
    assert float(found.energy_per_particle.error) == pytest.approx(0.01 * np.sqrt(1 + 1 / 2) * 1, rel=0.2)
    assert float(found.seebeck.mean) == pytest.approx(1.0 - potential)
    assert float(found.conductivity.mean) == pytest.approx(matrix[1, 1] - own)
    zt = (1 - potential) ** 2 * own / (matrix[1, 1] - own)
    assert float(found.figure_of_merit.mean) == pytest.approx(zt)
    # legs of G = 1 and K = 1 that carry 2 and 0 in series: (1/2) 2^2/(1 + 1)
    legs = Onsager(np.array([[1.0, 2.0], [2.0, 5.0]])), Onsager(np.eye(2))
    assert loop_figure_of_merit(*legs) == pytest.approx(1.0)


def test_critical_barrier_is_near_that_of_the_kinetic_limit():
    """Masses 2:1, one rod a bullet, threshold 0: ``h^2 L = 9.87`` (kinetic limit), at a length of 16 within errors."""
    gas = bullets_and_rods(16.0, 1.0)
    kinetic = float(KineticLimit.of(gas).critical(0.0).value)
    found = find_critical_barrier(gas, 0.0, np.sqrt(kinetic / 16), 30_000.0, np.random.SeedSequence(2), strength=0.3)
    assert float(found.barrier.error) < 0.1 * float(found.barrier.mean)
    assert near(found.barrier, np.sqrt(kinetic / 16))
    with pytest.raises(NoCriticalBarrierError, match="does not pass the threshold"):
        find_critical_barrier(bullets_and_rods(5.0, 1.0), 1.5, 1.1e-4, 10_000.0, np.random.SeedSequence(3))


def test_exponents_and_roots_are_those_of_a_line_with_their_errors():
    """By hand: the line through (0, 1) and (2, -1), errors 0.1, falls by one and is zero at 1."""
    line = fitted_line([0.0, 2.0], [1.0, -1.0], [0.1, 0.1])
    assert float(line.slope.mean) == pytest.approx(-1.0) and float(line.slope.error) == pytest.approx(0.1 / np.sqrt(2))
    assert float(line.root.mean) == pytest.approx(1.0) and float(line.root.error) == pytest.approx(0.1 / np.sqrt(2))
    assert exponent_of([]) is None
