"""What is simulated is the process whose law is solved exactly, and the error bars are true."""

import numpy as np
import pytest
from scipy.stats import chi2

from pnp_exclusion.particles.lattice import (
    ExchangeProcess,
    Lattice,
    chi_square,
    exact_law,
    simulate_stationary,
)

TIME, REPLICAS = 1500.0, 4
RUNS_PER_LATTICE = 5


def random_fractions(generator, species):
    shares = generator.dirichlet(np.ones(species + 1))
    return tuple(0.02 / (species + 1) + 0.98 * shares[:species])


def random_channel(generator):
    """A channel of one to three species with any field, form, and rate of unlike swaps."""
    species = int(generator.integers(1, 4))
    length = int(generator.integers(2, {1: 7, 2: 6, 3: 4}[species] + 1))
    varying = generator.uniform(-4, 4, size=(species, length + 1))
    return ExchangeProcess(
        Lattice("reservoirs", length),
        varying if generator.random() < 0.5 else varying[:, 0],
        random_fractions(generator, species),
        random_fractions(generator, species),
        kappa=float(generator.choice([0.3, 1.0, 2.0])),
        form="exponential" if generator.random() < 0.5 or length < 4 else "linear",
    )


def residuals(process, law, seed):
    """Mean minus exact in units of the error bars, made independent.

    Sites and species fluctuate together. The standardised residuals of all densities and of the
    counted currents, averaged over the bonds, are therefore multiplied by the inverse root of the
    correlation matrix of their batches: were the error bars wrong by a factor, so would these be.
    """
    result = simulate_stationary(process, TIME, seed, replicas=REPLICAS)
    counted = result.batches.currents.mean(axis=-1)
    densities = result.batches.densities
    rows = np.concatenate([densities.reshape(*densities.shape[:2], -1), counted], axis=-1)
    correlation = np.corrcoef(rows.reshape(-1, rows.shape[-1]).T)
    mean = np.concatenate([result.densities.mean.ravel(), result.counted_currents.mean])
    error = np.concatenate([result.densities.error.ravel(), result.counted_currents.error])
    exact = np.concatenate([law.densities.ravel(), law.channel_currents])
    values, vectors = np.linalg.eigh(correlation)
    return vectors.T @ ((mean - exact) / error) / np.sqrt(values)


def test_simulated_densities_and_currents_agree_with_the_exact_law_on_20_random_lattices():
    """Mean square of the standardised residuals between 0.7 and 1.3.

    With M independent residuals of unit variance M times the mean square is chi-square of M
    degrees, M about 900 here. The error bars come from 256 batches: by Student's law and the noise
    of their lag-one correction the expected mean square is 1.01 to 1.02. The test itself computes
    the chance of leaving the bounds, with an expected 1.02, and demands it below 1e-6.
    """
    generator = np.random.default_rng(20260205)
    found = []
    for lattice in range(20):
        process = random_channel(generator)
        law = exact_law(process)
        for run in range(RUNS_PER_LATTICE):
            found.append(residuals(process, law, seed=100 * lattice + run))
    scores = np.concatenate(found)
    count, expected = scores.size, 1.02
    below, above = chi2.cdf(0.7 / expected * count, count), chi2.sf(1.3 / expected * count, count)
    assert below + above < 1e-6
    assert 0.7 < np.mean(scores**2) < 1.3


# The tests below share one bound: a chi-square probability under 1e-7 is a failure, so that all
# of them together raise a false alarm less than once in a million runs.
CHANCE = 1e-7


def agreement(batches, exact):
    return chi_square(batches.reshape(batches.shape[0] * batches.shape[1], -1), exact.ravel())


CHANNEL = {"left": (0.2, 0.5), "right": (0.6, 0.1)}
CASES = {
    "vacancy hopping": ExchangeProcess(Lattice("reservoirs", 4), (3.0, -3.0), kappa=0.0, **CHANNEL),
    "two dimensions, periodic across": ExchangeProcess(
        Lattice("reservoirs", 2, width=3), (3.0, -2.0), fields_across=(1.0, 2.0), **CHANNEL
    ),
    "two dimensions, closed across": ExchangeProcess(
        Lattice("reservoirs", 3, width=2, across="closed"),
        (3.0, -2.0),
        fields_across=(4.0, -4.0),
        kappa=0.5,
        form="exponential",
        **CHANNEL,
    ),
    "closed channel": ExchangeProcess(Lattice("closed", 6), (4.0, -3.0), content=(2, 2)),
    "ring": ExchangeProcess(Lattice("ring", 6), np.linspace(-3, 5, 12).reshape(2, 6), content=(2, 1), kappa=0.5),
}


@pytest.mark.parametrize("name", CASES)
def test_every_geometry_is_simulated_as_its_exact_law_says(name):
    process = CASES[name]
    law = exact_law(process)
    result = simulate_stationary(process, 3000.0, 11, replicas=4, correlate=(1, 2))
    flow = np.concatenate([law.currents.reshape(2, -1), law.currents_across.reshape(2, -1)], axis=1)
    bonds = result.batches.currents
    # Bonds in a row carry the same current but for what the sites between them hold at the ends
    # of a batch; each is compared alone, and the least likely one is held against its number.
    chances = [
        agreement(bonds[:, :, species, bond], flow[species, bond]).probability
        for species in range(2)
        for bond in range(bonds.shape[-1])
    ]
    assert min(chances) * len(chances) > CHANCE
    assert agreement(result.batches.densities, law.densities).probability > CHANCE
    channel = agreement(result.batches.channel_currents, law.channel_currents)
    assert channel.probability > CHANCE
    matrix = result.correlations
    scores = (matrix.mean - law.correlations[0, 1]) / matrix.error
    # Six errors, at most 36 entries: below 1e-7 by the normal law.
    assert np.abs(scores).max() < 6
    assert np.isfinite(matrix.error).all()
    assert result.settled


def test_neighbour_correlations_agree_with_the_exact_law():
    process = ExchangeProcess(Lattice("reservoirs", 5), (3.0, -3.0), **CHANNEL)
    law = exact_law(process)
    result = simulate_stationary(process, 4000.0, 5, replicas=4)
    exact = np.stack([law.correlations[:, :, left, left + 1] for left in range(4)], axis=-1)
    estimate = result.neighbour_correlations
    assert estimate.mean.shape == exact.shape
    # Normal tails at six errors, 16 entries: 3e-8.
    assert np.abs((estimate.mean - exact) / estimate.error).max() < 6
    assert np.abs(exact / estimate.error).max() > 10


def test_the_simulated_profile_without_fields_is_linear():
    process = ExchangeProcess(Lattice("reservoirs", 24), (0.0, 0.0), **CHANNEL)
    result = simulate_stationary(process, 60.0, 8, replicas=4)
    left, right = process.reservoirs[:, 1:]
    linear = left[:, None] + np.outer(right - left, process.lattice.positions)
    cells = result.batches.densities.reshape(4, -1, 2, 8, 3).mean(axis=-1)
    found = agreement(cells, linear.reshape(2, 8, 3).mean(axis=-1))
    assert found.probability > CHANCE
    assert result.densities.error.max() < 0.01
    # The expected crossing rates telescope to the reservoirs: no noise is left.
    assert result.channel_currents.mean == pytest.approx(left - right, abs=1e-12)
    # Two counted currents: seven errors are 5e-12 by the normal law, 1e-9 by Student's of 63.
    deviation = (result.counted_currents.mean - (left - right)) / result.counted_currents.error
    assert np.abs(deviation).max() < 7


def test_long_range_correlations_are_those_of_the_symmetric_exclusion_process():
    """``-d^2 i (n+1-j)/(n (n+1)^2)`` for i < j: Derrida, J. Stat. Mech. P07023 (2007).

    120 pairs of sites, all within six errors: 3e-7 by the normal law.
    """
    length = 16
    process = ExchangeProcess(Lattice("reservoirs", length), (0.0,), (0.95,), (0.05,))
    result = simulate_stationary(process, 600.0, 21, replicas=8, correlate=(1, 1))
    site = np.arange(1, length + 1)
    exact = -(0.9**2) * np.outer(site, length + 1 - site) / (length * (length + 1) ** 2)
    upper = np.triu_indices(length, k=1)
    scores = (result.correlations.mean - exact)[upper] / result.correlations.error[upper]
    assert np.abs(scores).max() < 6
    assert np.abs(exact[upper] / result.correlations.error[upper]).max() > 6
