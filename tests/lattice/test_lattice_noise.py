"""Noise of simulated lattices against the exact law of small ones, and its leading order against the continuum.

Seeds are fixed. A chi-square fails a true simulation once in 1e5.
"""

import numpy as np
import pytest

from pnp_exclusion.particles.lattice import (
    ExchangeProcess,
    FieldEnergy,
    Lattice,
    chi_square,
    counting_statistics,
    exact_law,
    linear_noise,
    measured_noise,
    recording_of,
    simulate_stationary,
)
from pnp_exclusion.particles.lattice.noise import cell_averages

LEFT, RIGHT = (0.2, 0.5), (0.6, 0.1)
CHANCE = 1e-5


def channel(length, fields=(0.0, 0.0), left=LEFT, right=RIGHT, **options):
    return ExchangeProcess(Lattice("reservoirs", length), fields, left, right, **options)


def charged(length, debye_length=0.6):
    """A salt between unlike reservoirs, across a fixed charge, with a voltage."""
    energy = FieldEnergy((1.0, -1.0), debye_length, (2.0, 0.0), 0.15)
    return channel(length, left=(0.2, 0.1), right=(0.4, 0.3), form="exponential", energy=energy)


def measured(process, time, bonds=(0,), frequencies=(), seed=5):
    recording, theory = recording_of(process, bonds)
    result = simulate_stationary(process, time, seed, replicas=4, recording=recording)
    return result, measured_noise(result, theory, bonds, frequencies)


@pytest.mark.parametrize("process", [channel(5, (3.0, -2.0)), charged(5)])
def test_the_noise_of_counted_currents_is_that_of_the_exact_law(process):
    """By all bonds and through the first alone, in an imposed field and in that of the charges; currents, densities
    and two-point functions with it."""
    result, noise = measured(process, 1500.0)
    statistics = counting_statistics(process)
    exact = statistics.covariance
    assert noise.compared(exact).probability > CHANCE
    assert noise.at_zero.error.max() < 0.01 * exact.max()
    through = noise.through_bonds.mean[0, :, 0]
    assert np.abs(through - exact).max() < 4.5 * noise.through_bonds.error.max()
    counted = result.batches.currents.mean(axis=-1).reshape(-1, 2)
    assert chi_square(counted, statistics.law.channel_currents).probability > CHANCE
    densities = result.batches.densities.reshape(len(counted), -1)
    assert chi_square(densities, statistics.law.densities.ravel()).probability > CHANCE
    # every site is a cell here
    pairs = cell_averages(statistics.law.correlations * 6, 5)
    scores = (noise.pairs.mean - pairs) / noise.pairs.error
    assert np.nanmean(scores**2) < 1.6
    assert np.nanmean((pairs / noise.pairs.error) ** 2) > 4.0


def test_two_point_functions_without_fields_are_exact_at_every_size():
    """-d_a d_b i (n + 1 - j)/((n + 1)^2 n), i < j, averaged over cells (FLUCTUATIONS and Derrida 2007)."""
    length = 24
    _, noise = measured(channel(length), 400.0)
    i = np.arange(1, length + 1)
    shape = np.minimum.outer(i, i) * (length + 1 - np.maximum.outer(i, i)) / ((length + 1) * length)
    apart = np.subtract(RIGHT, LEFT)
    exact = cell_averages(-np.multiply.outer(np.outer(apart, apart), shape), 8)
    scores = (noise.pairs.mean - exact) / noise.pairs.error
    assert np.nanmean(scores**2) < 2.0
    assert np.nanmean((exact / noise.pairs.error) ** 2) > 4.0
    assert noise.edges[[0, -1]] == pytest.approx([0.5 / 25, 24.5 / 25])


def test_spectra_without_fields_are_white_and_those_of_the_theory():
    """The drift of the mean of all bonds is the difference of the reservoirs: what is left has no memory."""
    _, noise = measured(channel(16), 600.0, frequencies=(3.0, 10.0, 30.0))
    exact = counting_statistics(channel(4)).covariance
    size = 16
    apart = np.subtract(RIGHT, LEFT)
    exact += ((2 * 4 + 1) / (3 * 5) - (2 * size + 1) / (3 * (size + 1))) * np.outer(apart, apart)
    assert noise.compared_spectra(np.tile(exact, (3, 1, 1))).probability > CHANCE


@pytest.mark.parametrize("make", [lambda n: channel(n, (3.0, -2.0)), lambda n: charged(n, 0.4)])
def test_leading_order_noise_converges_with_the_square_of_the_spacing_and_keeps_its_theorems(make):
    """A finite-volume scheme of fluctuating hydrodynamics: order 2; weights without memory give the same S(0)."""
    found = [linear_noise(make(n)) for n in (15, 31, 63)]
    values = [one.covariance for one in found]
    order = np.log2(np.abs(values[0] - values[1]) / np.abs(values[1] - values[2]))
    assert order == pytest.approx(2.0, abs=0.2)
    one = found[0]
    assert one.spectrum(0.0, one.weights).real == pytest.approx(one.covariance, rel=1e-9)
    first = np.zeros((2, 2, 16))
    first[:, :, 0] = np.eye(2)
    assert one.spectrum(0.0, first).real == pytest.approx(one.covariance, rel=1e-9)
    assert one.spectrum(40.0, one.weights).real == pytest.approx(one.covariance, rel=1e-9)
    assert np.ptp(one.currents, axis=1).max() < 1e-10


def test_leading_order_correlations_are_those_of_the_exact_law_but_for_the_next_order():
    process = channel(6)
    exact = exact_law(process).correlations * 7
    apart = ~np.eye(6, dtype=bool)
    relative = np.abs((linear_noise(process).correlations - exact)[..., apart]).max() / np.abs(exact[..., apart]).max()
    assert relative < 1.2 / 6


def test_what_cannot_be_recorded_or_evaluated_is_told():
    process = channel(8)
    with pytest.raises(ValueError, match="bond 9 is none of a lattice of 8 sites: 0 to 8"):
        recording_of(process, (9,))
    recording, theory = recording_of(process, ())
    result = simulate_stationary(process, 40.0, 1, replicas=4, recording=recording)
    with pytest.raises(ValueError, match="too high: currents are recorded in steps"):
        measured_noise(result, theory, (), (5.0, 1e4))
    with pytest.raises(ValueError, match=r"segments of .*: too short for its noise"):
        measured_noise(result, theory, (), (0.1,))
    with pytest.raises(ValueError, match="nothing"):
        measured_noise(simulate_stationary(process, 40.0, 1), theory, (), ())
    with pytest.raises(ValueError, match="recorded flows"):
        simulate_stationary(channel(9), 40.0, 1, recording=recording)
    with pytest.raises(ValueError, match="too many: 1600 at most together"):
        linear_noise(channel(1000))
    with pytest.raises(ValueError, match=r"may speed swaps up by exp\(.*take at least"):
        simulate_stationary(charged(8, 0.05), 10.0, 1)
