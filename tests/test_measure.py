"""Error bars and their checks on series whose statistics are known."""

import numpy as np
import pytest

from pnp_exclusion.particles.measure import (
    batch_estimate,
    connected_estimate,
    drift_scores,
    integrated_time,
    merge_batches,
)

MEMORY = 0.9
STEPS = 1 << 15


def autoregressive(generator, replicas, steps, columns=1):
    """x' = 0.9 x + noise, stationary, unit variance: tau = 1/2 + 0.9/(1 - 0.9) = 9.5 steps."""
    series = np.empty((replicas, steps, columns))
    value = generator.standard_normal((replicas, columns))
    for step in range(steps):
        noise = generator.standard_normal((replicas, columns))
        value = MEMORY * value + np.sqrt(1 - MEMORY**2) * noise
        series[:, step] = value
    return series


def test_the_integrated_time_of_an_autoregressive_series_is_found():
    """Relative error sqrt(2 (2 W + 1) / steps), W = 5 tau (Sokal): 1.2 %; the bound is 6 of it."""
    times = integrated_time(autoregressive(np.random.default_rng(1), 8, STEPS // 2))
    assert times[0] == pytest.approx(9.5, rel=0.08)


def test_independent_and_constant_series_have_half_a_step():
    series = np.random.default_rng(2).standard_normal((4, 4096, 2))
    series[..., 1] = 3.0
    times = integrated_time(series)
    assert times[0] == pytest.approx(0.5, rel=0.1)
    assert times[1] == 0.5


def test_a_constant_that_no_sum_hits_exactly_neither_correlates_nor_drifts():
    """Its mean over 160,000 numbers is off in the last bits, which looks like a deviation that never fades."""
    series = np.random.default_rng(2).standard_normal((4, 40_000, 2))
    series[..., 1] = 0.1 * np.sqrt(3.0)
    assert series[..., 1].mean() != series[0, 0, 1]
    assert integrated_time(series)[1] == 0.5
    assert drift_scores(series)[1] == 0.0


@pytest.mark.parametrize("length", [32, 128])
def test_error_bars_cover_the_true_error_though_samples_are_correlated(length):
    """400 means of independent copies, true mean 0: their mean square over the error is chi-square.

    Its spread is 0.071, and the error bars are themselves of 1024 batches or more: six spreads
    allow 0.43, false alarm below 1e-8. Without the lag-one correction batches of 32 steps, 3.4 tau,
    would give 1.4.
    """
    series = autoregressive(np.random.default_rng(3), 4, STEPS // 4, columns=400)
    batches = merge_batches(series, length)
    scores = []
    for column in range(400):
        estimate = batch_estimate(batches[..., column : column + 1])
        scores.append((estimate.mean / estimate.error)[0])
    assert np.mean(np.square(scores)) == pytest.approx(1.0, abs=0.43)


def test_the_correction_for_neighbouring_batches_matters():
    """Variance of a mean of b steps: the plain estimate misses the share 2 tau_lag / b."""
    series = autoregressive(np.random.default_rng(4), 4, STEPS // 4, columns=200)
    batches = merge_batches(series, 32)
    steps = series.shape[0] * series.shape[1]
    true_error = np.sqrt(2 * 9.5 / steps)
    corrected = np.sqrt(np.mean(batch_estimate(batches).error ** 2))
    plain = np.sqrt(np.mean(batches.var(axis=(0, 1))) / batches[..., 0].size)
    assert corrected == pytest.approx(true_error, rel=0.03)
    assert plain < 0.9 * true_error


def test_connected_correlations_are_unbiased_with_a_true_error():
    """Two normals of covariance 0.3 in 64 batches; 4000 repeats bound the bias to 6 errors."""
    generator = np.random.default_rng(5)
    first = generator.standard_normal((4, 16, 4000))
    second = 0.3 * first + np.sqrt(1 - 0.09) * generator.standard_normal(first.shape)
    estimate = connected_estimate(first * second, first, second)
    spread = estimate.mean.std()
    assert estimate.mean.mean() == pytest.approx(0.3, abs=6 * spread / np.sqrt(4000))
    # The spread of 4000 columns is known to 1.1 %, and 64 batches bias the variance by 1/32.
    assert np.sqrt(np.mean(estimate.error**2)) == pytest.approx(spread, rel=0.08)


def test_a_drift_is_seen_and_none_is_invented():
    series = autoregressive(np.random.default_rng(6), 2, 4096, columns=300)
    scores = drift_scores(series)
    assert np.mean(scores**2) == pytest.approx(1.0, abs=0.6)
    settling = series + 5.0 * np.exp(-np.arange(4096) / 400)[:, None]
    assert np.abs(drift_scores(settling)).min() > 4


def test_what_varies_by_rounding_alone_has_no_error():
    """A constant beside noise, whose sums in another order differ in the last bits."""
    generator = np.random.default_rng(7)
    batches = generator.standard_normal((4, 16, 3))
    batches[..., 1] = 0.4 * (1 + 2e-16 * generator.standard_normal((4, 16)))
    estimate = batch_estimate(batches)
    assert estimate.error[1] == 0.0
    assert estimate.mean[1] == pytest.approx(0.4, rel=1e-15)
    assert (estimate.error[[0, 2]] > 0.1).all()


def test_one_batch_has_no_error_bar():
    estimate = batch_estimate(np.ones((1, 1, 3)))
    assert np.isnan(estimate.error).all()
    assert np.array_equal(estimate.mean, np.ones(3))
