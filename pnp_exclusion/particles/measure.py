"""Means, error bars and their checks from correlated samples.

Batch means with a lag-one correction, the integrated autocorrelation time with Sokal's window
(Sokal, Monte Carlo Methods in Statistical Mechanics, 1996) and Geweke's comparison of the early
with the late part of a series (Geweke, in Bayesian Statistics 4, 1992).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ROUNDING = 1e-14
"""Relative deviations of this size mean a quantity that does not fluctuate."""
WINDOW = 5.0
EARLY, LATE = 0.2, 0.5


class Estimate(NamedTuple):
    """A mean and its standard error, of the same shape; the error is nan below two batches."""

    mean: Array
    error: Array


def merge_batches(batches: Array, factor: int) -> Array:
    """Average every ``factor`` consecutive batches, axis 1 of ``(replicas, batches, ...)``.

    Batches left over at the end are dropped.
    """
    replicas, count = batches.shape[0], batches.shape[1] // factor
    grouped = batches[:, : count * factor].reshape(replicas, count, factor, *batches.shape[2:])
    return np.asarray(grouped.mean(axis=2))


def batch_estimate(batches: Array) -> Estimate:
    """Mean and error of ``(replicas, batches, ...)`` over replicas and batches.

    With batches much longer than the correlation time only neighbours are correlated, so the
    variance of the mean is that of independent batches times ``1 + 2 r``, ``r`` the correlation of
    neighbouring batches. ``r`` is a few per cent, less than its own noise at one site, and is
    therefore pooled over all entries. An entry that varies by rounding only has no error.
    """
    replicas, count = batches.shape[:2]
    mean = batches.mean(axis=(0, 1))
    if replicas * count < 2:
        return Estimate(mean, np.full_like(mean, np.nan))
    deviation = batches.std(axis=(0, 1), ddof=1)
    constant = deviation <= ROUNDING * np.abs(batches).max(axis=(0, 1))
    mean, deviation = np.where(constant, batches[0, 0], mean), np.where(constant, 0.0, deviation)
    inflation = 1 + 2 * neighbour_correlation(batches) * (1 - 1 / count)
    return Estimate(mean, deviation * np.sqrt(max(inflation, 0.0) / (replicas * count)))


def neighbour_correlation(batches: Array) -> float:
    """Correlation of neighbouring batches of a replica, pooled over all entries; 0 if constant."""
    deviation = batches - batches.mean(axis=(0, 1))
    spread = float(np.mean(deviation**2))
    constant = spread <= (ROUNDING * float(np.abs(batches).max(initial=0.0))) ** 2
    if batches.shape[1] < 2 or constant:
        return 0.0
    # Independent batches seem to repel each other, because their common mean is taken out.
    repulsion: float = 1.0 / (batches.shape[0] * batches.shape[1] - 1)
    neighbours = float(np.mean(deviation[:, 1:] * deviation[:, :-1]))
    return neighbours / spread + repulsion


def connected_estimate(products: Array, first: Array, second: Array) -> Estimate:
    """Estimate ``<A B> - <A><B>`` from batch means of ``A B``, ``A`` and ``B``.

    All three have the shape ``(replicas, batches, ...)`` up to broadcasting. The error is that of
    the linearised statistic, and the bias ``-cov(mean A, mean B)`` of the product of two means is
    taken out: the jackknife to leading order.
    """
    mean_first, mean_second = first.mean(axis=(0, 1)), second.mean(axis=(0, 1))
    linear = batch_estimate(products - first * mean_second - mean_first * second)
    count = products.shape[0] * products.shape[1]
    if count < 2:
        return Estimate(linear.mean + mean_first * mean_second, linear.error)
    covariance = np.mean((first - mean_first) * (second - mean_second), axis=(0, 1)) / (count - 1)
    return Estimate(linear.mean + mean_first * mean_second + covariance, linear.error)


def ratio_estimate(numerators: Array, denominators: Array) -> Estimate:
    """Estimate the ratio of two means from batches ``(replicas, batches, ...)``; nan where the lower one is zero.

    The error is that of the linearised statistic.
    """
    below = denominators.mean(axis=(0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = numerators.mean(axis=(0, 1)) / below
        linear = batch_estimate(np.nan_to_num((numerators - ratio * denominators) / below))
    return Estimate(ratio, np.where(np.isnan(ratio), np.nan, linear.error))


def integrated_time(series: Array) -> Array:
    """Integrated autocorrelation time ``1/2 + sum_t rho(t)`` of each column, in steps.

    ``series`` has the shape ``(replicas, steps, columns)``; replicas share one mean. The sum stops
    at the first ``t`` beyond ``5`` times its own value. Independent steps give 1/2, and ``steps``
    of them are worth ``steps / (2 tau)`` independent ones. A column that never changes gives 1/2.
    """
    steps = series.shape[1]
    deviation = series - series.mean(axis=(0, 1))
    transform = np.fft.rfft(deviation, n=2 * steps, axis=1)
    products = np.fft.irfft(np.abs(transform) ** 2, axis=1)[:, :steps].mean(axis=0)
    covariance = products / np.arange(steps, 0, -1)[:, None]
    variance = covariance[0]
    moving = (variance > 0) & _changes(series)
    correlation = covariance[:, moving] / variance[moving]
    running = np.cumsum(correlation, axis=0) - 0.5
    closed = np.arange(steps)[:, None] >= WINDOW * running
    stop = np.where(closed.any(axis=0), closed.argmax(axis=0), steps - 1)
    times = np.full(series.shape[2], 0.5)
    times[moving] = np.maximum(0.5, np.take_along_axis(running, stop[None], axis=0)[0])
    return np.asarray(times)


def drift_scores(series: Array) -> Array:
    """Standardised difference of the first fifth and the last half of each column.

    ``series`` as in `integrated_time`; about standard normal for a stationary series much longer
    than its autocorrelation time. Variance and autocorrelation time are those of the last half, so
    that a drift at the start cannot hide itself by raising them. Zero for a column that never
    changes.
    """
    replicas, steps = series.shape[:2]
    early, late = max(1, int(EARLY * steps)), max(1, int(LATE * steps))
    difference = series[:, :early].mean(axis=(0, 1)) - series[:, -late:].mean(axis=(0, 1))
    settled = series[:, -late:]
    variance = settled.var(axis=(0, 1)) * 2 * integrated_time(settled) / replicas
    error = np.sqrt(variance * (1 / early + 1 / late))
    scores: Array = np.divide(difference, error, out=np.zeros_like(difference), where=_changes(series) & (error > 0))
    return scores


def _changes(series: Array) -> Array:
    """Whether a column does, by more than rounding; the rounding of its mean makes no change of a constant."""
    range_of = series.max(axis=(0, 1)) - series.min(axis=(0, 1))
    return np.asarray(range_of > ROUNDING * np.abs(series).max(axis=(0, 1)))
