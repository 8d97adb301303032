"""Events of the gas one by one: what the tournament finds, what is conserved, and the laws of equilibrium."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2, norm, poisson

from pnp_exclusion.particles.gas.copy import ClottedError, GasCopy
from pnp_exclusion.particles.gas.kernel import build_tables
from pnp_exclusion.particles.gas.model import Gas, Kind, Reservoir, bullets_and_rods, pair_tables, potential_of
from pnp_exclusion.particles.replicas import Monitor

FREELY = Monitor(stopped=lambda: False, say=lambda fraction: None)
CHANCE = 1e-6
"""Below which a chi-square fails a true simulation."""


def three_kinds() -> Gas:
    """Two open kinds and a closed one, driven, with barriers and a loss."""
    kinds = Kind("a", 2.0, bias=0.3), Kind("b", 0.7), Kind("c", 1.0, number=8)
    barriers, losses = pair_tables(3, [(0, 1, 0.2, 0.0), (0, 2, 0.8, 0.05), (1, 2, np.inf, 0.0)])
    return Gas(12.0, kinds, Reservoir(1.4, (-1.2, -1.0)), Reservoir(0.8, (-1.5, -0.4)), barriers, losses)


def test_a_tournament_over_neighbours_makes_the_same_trajectory_as_a_full_scan():
    """Bit by bit: positions, velocities, kinds and everything that is counted."""
    seeds = [np.random.SeedSequence(4) for _ in range(2)]
    copies = [GasCopy(three_kinds(), 7, seed, full_scan) for seed, full_scan in zip(seeds, (False, True), strict=True)]
    modes = [copy.observe(40, 10, FREELY) for copy in copies]
    assert copies[0].counts.events[0] > 5000
    assert np.array_equal(*modes)
    for ours, theirs in zip(copies[0].particles, copies[1].particles, strict=True):
        assert np.array_equal(ours, theirs)
    for ours, theirs in zip(copies[0].counts, copies[1].counts, strict=True):
        assert np.array_equal(ours, theirs)


def test_particles_and_energy_are_what_came_in_went_out_and_was_lost():
    """To rounding, with kinds that are open and closed and a pair that loses energy."""
    copy = GasCopy(three_kinds(), 1, np.random.SeedSequence(7))
    numbers, energy = np.bincount(copy.particles[2], minlength=3), copy.energy
    copy.observe(10, 100, FREELY)
    counts = copy.counts
    assert np.array_equal(
        np.bincount(copy.particles[2], minlength=3) - numbers, counts.entered.sum(axis=0) - counts.left.sum(axis=0)
    )
    through = counts.energy_in.sum() + counts.energy_out.sum()
    assert counts.lost.sum() > 0.01 * through
    gained = counts.energy_in.sum() - counts.energy_out.sum() - counts.lost.sum()
    assert copy.energy - energy == pytest.approx(gained, abs=1e-12 * through)
    assert counts.passings[1, 2] == counts.passings[2, 1] == 0 < counts.meetings[1, 2]  # an endless barrier
    assert np.all(np.diff(copy.particles[0]) >= 0)


@pytest.mark.parametrize("barrier", [0.0, 0.5, np.inf])
def test_equilibrium_keeps_its_laws_for_every_barrier(barrier: float):
    """Poisson numbers, uniform positions, Maxwell's velocities: chi-square over copies that have forgotten their start.

    They begin as if the left reservoir were twice as hot, at 4/3 of the temperature, and last eight times what a bullet
    takes to cross the gas.
    """
    gas, copies = bullets_and_rods(8.0, barrier, rods=0.75), 300
    hotter = Reservoir(2.0, (potential_of(1.0, gas.masses[0], 2.0),))
    tables = build_tables(gas)
    numbers, places, speeds = [], [], []
    for seed in np.random.SeedSequence(int(10 * min(barrier, 9.0)) + 1).spawn(copies):
        copy = GasCopy(replace(gas, left=hotter), 1, seed)
        copy.tables = tables
        copy.observe(1, 160, FREELY)
        x, v, kind = copy.particles
        numbers.append(int(np.sum(kind == 0)))
        places.append(x / gas.length)
        speeds.append(norm.cdf(v * np.sqrt(gas.masses[kind])))
    low, high = 4, 12
    counted = np.bincount(np.clip(numbers, low, high), minlength=high + 1)[low:]
    law = poisson.pmf(np.arange(low, high + 1), 8.0)
    law[0], law[-1] = poisson.cdf(low, 8.0), poisson.sf(high - 1, 8.0)
    assert chi_square(counted, copies * law) > CHANCE
    for shares in (np.concatenate(places), np.concatenate(speeds)):
        counted = np.bincount((10 * shares).astype(int), minlength=10)
        assert chi_square(counted, np.full(10, len(shares) / 10)) > CHANCE


def chi_square(counted: np.ndarray, expected: np.ndarray) -> float:
    """Probability of a larger one."""
    return float(chi2.sf(np.sum((counted - expected) ** 2 / expected), len(counted) - 1))


def test_particles_that_stick_together_are_told_of_instead_of_met_without_end():
    """Pairs that lose nearly all of their relative energy collapse: infinitely many meetings in a finite time."""
    kinds = (Kind("a", 1.0, number=60),)
    end = Reservoir(1.0, ())
    gas = Gas(6.0, kinds, end, end, *pair_tables(1, [(0, 0, 0.0, 0.9)]))
    with pytest.raises(ClottedError, match="more and more often"):
        GasCopy(gas, 1, np.random.SeedSequence(3)).observe(10, 100, FREELY)


def test_a_gas_that_makes_no_sense_is_refused():
    gas = bullets_and_rods(10.0, 0.5)
    with pytest.raises(ValueError, match=r"length = -1.0 must be finite and greater than 0"):
        replace(gas, length=-1.0)
    with pytest.raises(ValueError, match=r'mass of "bullet" = 0.0 must be'):
        replace(gas, kinds=(Kind("bullet", 0.0), gas.kinds[1]))
    with pytest.raises(ValueError, match=r"temperature of the left reservoir = -2.0 must be"):
        replace(gas, left=Reservoir(-2.0, (0.0,)))
    with pytest.raises(ValueError, match="has 0 potentials for 1 open kinds"):
        replace(gas, right=Reservoir(1.0, ()))
    with pytest.raises(ValueError, match="losses must be at least 0 and less than 1"):
        replace(gas, losses=np.ones((2, 2)))
    with pytest.raises(ValueError, match="barriers must be 0 or greater"):
        replace(gas, barriers=-gas.barriers)
    with pytest.raises(ValueError, match=r"force of energy 2\.5 must be less than"):
        gas.under([0.0, 2.5])
