"""Chi-square, distance and order on data whose law is known."""

import numpy as np
import pytest
from scipy.stats import chi2, kstest

from pnp_exclusion.particles.lattice import (
    ExchangeProcess,
    Lattice,
    affordable_cells,
    batches_needed,
    chi_square,
    compare,
    distance,
    exact_law,
    fitted_order,
    hydrodynamic_limit,
    simulate_stationary,
    whitened_residuals,
)

MIXING = np.array([[1.0, 0.0, 0.0], [0.9, 0.3, 0.0], [0.2, -0.5, 0.1]])


def test_probabilities_of_correlated_data_are_uniform_when_the_reference_is_true():
    """Hotelling's law is exact for normal batches; Kolmogorov-Smirnov at 1e-7, fixed seed."""
    generator = np.random.default_rng(1)
    found = [chi_square(generator.standard_normal((20, 3)) @ MIXING.T + 5.0, np.full(3, 5.0)) for _ in range(2000)]
    assert kstest([one.probability for one in found], "uniform").pvalue > 1e-7
    # The F law of 3 and 17 degrees has the mean 17/15 and the spread 1.1; seven errors of 2000.
    assert np.mean([one.per_degree for one in found]) == pytest.approx(17 / 15, abs=0.17)


def test_probability_of_many_batches_is_that_of_chi_square():
    """Hotelling's law goes over into chi-square as the covariance becomes known; departures are of order 1/batches."""
    generator = np.random.default_rng(2)
    found = chi_square(generator.standard_normal((20_000, 3)) @ MIXING.T, np.full(3, 0.01))
    assert found.degrees == 3
    assert found.probability == pytest.approx(chi2.sf(found.per_degree * 3, 3), rel=1e-3)
    assert f"{found}".endswith(f"(3 degrees of freedom, probability {found.probability:.2g})")


def test_a_deviation_of_many_errors_is_found_in_any_direction():
    generator = np.random.default_rng(2)
    batches = generator.standard_normal((400, 3)) @ MIXING.T
    thinnest = np.linalg.svd(MIXING)[0][:, -1]
    assert chi_square(batches, 0.05 * thinnest).probability < 1e-7
    assert chi_square(batches, np.zeros(3)).probability > 1e-7


def test_directions_without_noise_count_for_nothing_unless_they_miss():
    generator = np.random.default_rng(3)
    free = generator.standard_normal((50, 2))
    batches = np.column_stack([free, 1.0 - free.sum(axis=1), np.full(50, 0.25)])
    truth = np.array([0.0, 0.0, 1.0, 0.25])
    assert chi_square(batches, truth).degrees == 2
    assert np.isfinite(whitened_residuals(batches, truth)).all()
    assert chi_square(batches, truth + np.array([0, 0, 0, 0.01])).per_degree == np.inf
    assert chi_square(batches, truth + np.array([0, 0, 0.01, 0])).per_degree == np.inf


def test_too_few_batches_are_refused():
    with pytest.raises(ValueError, match=r"9 batches are too few .* 4 numbers.* at least 10"):
        chi_square(np.ones((9, 4)), np.ones(4))


def test_the_distance_is_freed_from_the_noise_that_would_raise_it():
    """Signal 0.02 under noise 0.05 a site and batch: 1000 batches of 200 sites. Within 6 errors."""
    generator = np.random.default_rng(4)
    signal = 0.02 * np.where(np.arange(200) % 2, 1.0, -1.0)
    batches = signal + 0.05 * generator.standard_normal((10, 100, 200))
    found = distance(batches, np.zeros(200))
    assert found.value == pytest.approx(0.02, abs=6 * found.error)
    assert found.error < 4e-4
    nothing = distance(batches, batches.mean(axis=(0, 1)))
    assert nothing.value == 0.0
    assert nothing.error > 0


def test_the_order_of_a_power_law_is_recovered_with_its_error():
    """500 noisy copies of 0.7/n: scores have mean square 1 within six times its spread."""
    generator = np.random.default_rng(5)
    lengths = np.array([32, 64, 128, 256])
    errors = np.array([4e-4, 3e-4, 3e-4, 6e-4])
    scores = []
    for _ in range(500):
        distances = 0.7 / lengths + errors * generator.standard_normal(4)
        order = fitted_order(lengths, distances, errors)
        scores.append((order.order - 1) / order.error)
    assert np.mean(np.square(scores)) == pytest.approx(1.0, abs=6 * np.sqrt(2 / 500))
    exact = fitted_order(lengths, 0.7 * lengths**-1.5, errors)
    assert exact.order == pytest.approx(1.5, abs=1e-6)
    assert exact.amplitude == pytest.approx(0.7, rel=1e-5)


def test_an_order_lost_in_noise_is_no_number():
    assert np.isnan(fitted_order([32, 64], [1e-5, 0.0], [1e-3, 1e-3]).order)
    # one clear distance has no order, nor have two that leave it as large as its error
    assert np.isnan(fitted_order([32, 64, 128], [1e-2, 1e-4, 0.0], [1e-3, 1e-3, 1e-3]).order)
    assert np.isnan(fitted_order([32, 40], [1e-2, 0.9e-2], [4e-3, 4e-3]).order)
    assert np.isnan(fitted_order([32, 64], [1e-2, 4e-2], [1e-3, 1e-3]).order)
    assert fitted_order([32, 64], [1e-2, 0.5e-2], [1e-3, 1e-3]).order == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(ValueError, match="two different lengths"):
        fitted_order([32, 32], [0.1, 0.1], [0.01, 0.01])
    with pytest.raises(ValueError, match="errors must be greater than 0"):
        fitted_order([32, 64], [0.1, 0.1], [0.01, 0.0])


def test_the_limit_of_many_sites_is_recovered_with_its_error():
    """500 noisy copies of 0.5 - 0.2/n + 3/n^2 and of 0.3/n^2: scores of mean square 1, degree 2."""
    generator = np.random.default_rng(6)
    lengths = np.array([16, 32, 64, 128])
    errors = np.full((4, 2), [1e-3, 3e-4])
    smooth = np.column_stack([0.5 - 0.2 / lengths + 3 / lengths**2, 0.3 / lengths**2])
    scores, fits = [], []
    for _ in range(500):
        values = smooth + errors * generator.standard_normal((4, 2))
        fit = hydrodynamic_limit(lengths, values, errors, degree=2)
        scores.append((fit.limit.mean - [0.5, 0.0]) / fit.limit.error)
        fits.append(fit.per_degree)
    assert np.mean(np.square(scores)) == pytest.approx(1.0, abs=6 * np.sqrt(2 / 1000))
    assert np.mean(fits) == pytest.approx(1.0, abs=6 * np.sqrt(2 / 1000))
    # A straight line cannot follow 3/n^2, and says so.
    assert hydrodynamic_limit(lengths, smooth, errors / 100).per_degree > 100
    with pytest.raises(ValueError, match="degree = 2 needs at least 3 different lengths"):
        hydrodynamic_limit([8, 8, 16], np.ones((3, 1)), np.ones((3, 1)), degree=2)


@pytest.fixture(scope="module")
def measured():
    process = ExchangeProcess(Lattice("reservoirs", 5), (3.0, -3.0), (0.2, 0.5), (0.6, 0.1))
    return exact_law(process), simulate_stationary(process, 4000.0, 9, replicas=4)


def test_a_simulation_agrees_with_its_own_exact_law(measured):
    law, result = measured
    comparison = compare(result, law.densities, law.channel_currents)
    assert comparison.agrees
    assert comparison.densities.degrees == 10
    assert comparison.currents.degrees == 2
    deviations = comparison.current_deviations
    assert np.abs(deviations.mean / deviations.error).max() < 6


def test_a_simulation_does_not_agree_with_a_profile_one_per_cent_off(measured):
    law, result = measured
    shifted = compare(result, law.densities + 0.01, law.channel_currents)
    assert not shifted.agrees
    assert shifted.density_distance.value == pytest.approx(0.01, rel=0.2)
    assert not compare(result, law.densities, law.channel_currents * 1.03).agrees


def test_a_lattice_without_fields_is_compared_by_its_counted_currents():
    process = ExchangeProcess(Lattice("reservoirs", 6), (0.0, 0.0), (0.2, 0.5), (0.6, 0.1))
    result = simulate_stationary(process, 1500.0, 2, replicas=4)
    linear = np.array([[0.2], [0.5]]) + np.outer([0.4, -0.4], process.lattice.positions)
    comparison = compare(result, linear, [-0.4, 0.4])
    assert comparison.agrees
    assert comparison.currents.degrees == 2
    with pytest.raises(ValueError, match=r"currents has shape \(3,\)"):
        compare(result, linear, [1.0, 2.0, 3.0])


@pytest.mark.parametrize("right", [(0.6, 0.1), (0.2, 0.5)])
def test_currents_without_fields_are_exact_and_without_error(right):
    """The expected crossings telescope to the difference of the reservoirs, nothing at all between equal ones."""
    process = ExchangeProcess(Lattice("reservoirs", 40), (0.0, 0.0), (0.2, 0.5), right)
    currents = simulate_stationary(process, 20.0, 3, replicas=2).channel_currents
    assert currents.mean == pytest.approx(np.subtract((0.2, 0.5), right), abs=1e-15)
    assert np.array_equal(currents.error, [0.0, 0.0])


@pytest.mark.parametrize(("batches", "species", "cells"), [(64, 2, 8), (34, 2, 8), (33, 2, 7), (64, 5, 6), (5, 2, 0)])
def test_as_many_cells_as_the_batches_allow(batches, species, cells):
    assert affordable_cells(batches, species) == cells
    entries = max(1, cells) * species
    assert (batches >= batches_needed(entries)) == (cells > 0)
