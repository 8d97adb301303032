"""Lattices whose particles carry energy: simulated against what is exact of them. Seeds are fixed."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from pnp_exclusion.exact import kinetic_exclusion
from pnp_exclusion.exact.barrier_exchange import Mixture, Rates
from pnp_exclusion.exact.kinetic_exclusion import Contents
from pnp_exclusion.particles.energy import BarrierExchange, EnergyResult, KineticExclusion, simulate_energy
from pnp_exclusion.particles.energy.stationary import noise_of
from pnp_exclusion.particles.lattice import Progress, chi_square
from pnp_exclusion.particles.lattice.comparison import coarse

LEAST_PROBABLE = 1e-3


def probabilities(result: EnergyResult) -> tuple[float, float]:
    """Of a larger chi-square of currents and of profiles, if the simulation agrees with theory."""
    reference = result.process.reference()
    currents, fields = (one.reshape(-1, *one.shape[2:]) for one in (result.batches.currents, result.batches.fields))
    profiles, expected = (coarse(one, 1, 4) for one in (fields, reference.fields))
    found = chi_square(currents, reference.currents)
    return found.probability, chi_square(profiles.reshape(len(profiles), -1), expected.ravel()).probability


@pytest.mark.parametrize("sites", [8, 16, 32, 64])
def test_kinetic_exclusion_has_straight_profiles_and_their_currents_at_every_size(sites: int):
    process = KineticExclusion(sites, Contents(0.8, 1.0), Contents(0.2, 3.0))
    result = simulate_energy(process, time=25.0, seed=sites, replicas=4)
    assert result.settled
    # -rho' = 0.6, -u' = 0.8 - 0.6
    np.testing.assert_allclose(process.reference().currents, [0.6, 0.2])
    assert np.all(result.currents.error < [0.03, 0.09])
    assert min(probabilities(result)) > LEAST_PROBABLE


def test_equilibrium_noise_of_kinetic_exclusion_is_twice_its_mobility_at_every_size():
    """`L = M = chi`, exact with 4 sites as in the limit; 8192 batches know a variance to 1.6 %."""
    contents = Contents(0.4, 1.5)
    process = KineticExclusion(4, contents, contents)
    result = simulate_energy(process, time=2500.0, seed=2, replicas=4, batches=4096)
    rho, u = contents.fields
    expected = np.array([[rho * (1.0 - rho), u * (1.0 - rho)], [u * (1.0 - rho), 2.0 * u**2 / rho - u**2]])
    assert result.responses is not None
    np.testing.assert_allclose(kinetic_exclusion.mobility(rho, u), expected)
    assert np.all(np.abs(result.responses.mean - expected) < 4.0 * result.responses.error)
    assert np.all(result.responses.error < 0.03 * expected)
    assert np.all(np.linalg.eigvalsh(expected) > 0.0)


def test_driven_noise_of_few_sites_is_that_of_stirred_particles_and_not_of_the_limit():
    """With two sites 5/9 stands for the 2/3 of the limit, in all entries but that of energy with itself."""
    left, right = Contents(0.9, 5.0), Contents(0.1, 1.0)
    result = simulate_energy(KineticExclusion(2, left, right), time=4000.0, seed=3, replicas=4, batches=4096)
    exact, limit = (kinetic_exclusion.current_noise(left, right, sites) for sites in (2, None))
    # particles: 0.9 + 0.1 - 2 0.09 - (5/9) 0.64
    assert exact[0, 0] == pytest.approx(1.0 - 0.18 - 5.0 / 9.0 * 0.64)
    for entry in ((0, 0), (0, 1)):
        measured, error = result.noise.mean[entry], result.noise.error[entry]
        assert abs(measured - exact[entry]) < 4.0 * error
        assert abs(measured - limit[entry]) > 5.0 * error


def test_a_full_lattice_is_the_process_of_kipnis_marchioro_and_presutti():
    """Particles never move; `J_u = T_l - T_r`, `M_uu = T^2`. The mode of the particles is a constant."""
    full = KineticExclusion(8, Contents(1.0, 2.0), Contents(1.0, 1.0))
    driven = simulate_energy(full, time=200.0, seed=4, replicas=4)
    assert driven.currents.mean[0] == 0.0
    assert abs(driven.currents.mean[1] - 1.0) < 4.0 * driven.currents.error[1] < 0.1
    assert full.forces == pytest.approx([np.log(0.5), 0.5])
    equal = KineticExclusion(8, Contents(1.0, 2.0), Contents(1.0, 2.0))
    rest = simulate_energy(equal, time=400.0, seed=5, replicas=4, batches=1024)
    assert rest.responses is not None
    assert abs(rest.responses.mean[1, 1] - 4.0) < 4.0 * rest.responses.error[1, 1] < 1.0
    # the particles never flow, so their response to heat is not a multiple of that to their own force
    assert rest.ratio is None


def test_forces_at_a_reservoir_that_alone_is_full_or_empty_are_infinite():
    assert KineticExclusion(4, Contents(1.0, 1.0), Contents(0.5, 2.0)).forces == pytest.approx([np.inf, -0.5])
    assert KineticExclusion(4, Contents(0.0, 1.0), Contents(0.5, 1.0)).forces == pytest.approx([-np.inf, 0.0])


def test_a_cell_with_closed_rods_is_measured_though_their_number_never_changes():
    process = BarrierExchange(1, 8, Rates(3.0, 0.3, 1.0), Mixture(0.5, 0.0, 1.0), Mixture(0.4, 0.0, 1.0), rods=0.5)
    result = simulate_energy(process, time=300.0, seed=6, replicas=4)
    assert np.all(result.fields.mean[1] == 0.5)
    # one cell alone follows the product law at every size
    assert probabilities(result)[0] > LEAST_PROBABLE


def test_responses_of_barrier_exchange_come_to_their_explicit_values_as_cells_grow():
    """Closed rods: cells of 2 sites respond less than the limit, which such of 32 meet within 3 % and error bars."""
    same, rates = Mixture(0.5, 0.0, 1.0), Rates(3.0, 0.02, 1.0)
    found = {}
    for sites, time in ((2, 6_000.0), (32, 1_400.0)):
        process = BarrierExchange(4, sites, rates, same, same, rods=0.5, contact=4.0)
        found[sites] = simulate_energy(process, time, seed=7, replicas=4)
    limit = process.response_of_limit
    small, large = found[2].responses, found[32].responses
    assert small is not None
    assert large is not None
    assert limit[0, 1] < 0.0
    assert np.all(np.abs(large.mean - limit) < 4.0 * large.error + 0.03 * np.abs(limit))
    ratio = found[32].ratio
    assert ratio is not None
    assert abs(ratio.mean - limit[0, 1] / limit[0, 0]) < 4.0 * ratio.error < 0.8
    for entry in ((0, 0), (1, 1)):
        assert small.mean[entry] < limit[entry] - 8.0 * small.error[entry]


@pytest.mark.parametrize("rods", [None, 0.5])
def test_large_cells_between_reservoirs_carry_the_currents_of_theory(rods: float | None):
    left, right = (
        (Mixture(0.6, 0.0, 1.5), Mixture(0.4, 0.0, 0.7)) if rods else (Mixture(0.3, 0.4, 1.2), Mixture(0.4, 0.2, 1.0))
    )
    process = BarrierExchange(4, 256, Rates(3.0, 0.1, 1.0), left, right, rods)
    result = simulate_energy(process, time=100.0, seed=8, replicas=4)
    assert np.all(result.currents.error < 4e-3)
    assert min(probabilities(result)) > LEAST_PROBABLE
    if rods:
        assert result.fields.mean[1].mean() == pytest.approx(0.5, abs=1e-12)


def test_the_noise_of_a_single_batch_is_not_known():
    """As an interruption may leave it: neither zero, nor an error."""
    process = KineticExclusion(4, Contents(0.5, 1.0), Contents(0.5, 1.0))
    one = noise_of(process, np.array([[[0.1, 0.2]]]), time=1.0)
    assert np.isnan(one.mean).all()
    assert np.isnan(one.error).all()
    assert np.isfinite(noise_of(process, np.array([[[0.1, 0.2], [0.2, 0.1]]]), time=1.0).mean).all()


def test_an_interrupted_run_keeps_whole_batches():
    """SIGINT at a report early in a run of seconds: what was measured until then is told."""
    process = KineticExclusion(32, Contents(0.5, 1.0), Contents(0.5, 1.0))
    sent: list[float] = []

    def interrupt(progress: Progress) -> None:
        if progress.fraction > 0.02 and not sent:
            sent.append(progress.fraction)
            os.kill(os.getpid(), signal.SIGINT)

    result = simulate_energy(process, time=2000.0, seed=10, batches=256, report=interrupt)
    assert sent
    assert result.interrupted
    assert 0 < result.batches.currents.shape[1] < 256
    assert result.rings < 2000.0 * 33**2 * process.rings_per_time


BAD_BARRIERS = {
    "fractions nan and 0": {"left": Mixture(np.nan, 0.0, 1.0)},
    "fractions 0.5 and 0.5": {"left": Mixture(0.5, 0.5, 1.0), "rods": None},
    "left: a reservoir that rods pass to must hold some": {"rods": None},
    "right: holds rods, which cannot leave the channel": {"right": Mixture(0.5, 0.1, 1.0)},
    "temperature = -1 must be finite": {"right": Mixture(0.5, 0.0, -1.0)},
    "barrier = inf must be finite": {"rates": Rates(np.inf, 1.0, 1.0)},
    "rod rate = 0 must be finite and greater than 0": {"rates": Rates(1.0, 1.0, 0.0)},
    "contact = 0 must be": {"contact": 0.0},
    "rods = 0.01 of 32 sites are none, or all": {"rods": 0.01},
    "cells = 0 must be at least 1": {"cells": 0},
}


@pytest.mark.parametrize("sentence", BAD_BARRIERS)
def test_a_barrier_exchange_that_cannot_be_is_refused_in_a_sentence(sentence: str):
    good = {
        "cells": 4,
        "sites_per_cell": 8,
        "rates": Rates(1.0, 1.0, 1.0),
        "left": Mixture(0.5, 0.0, 1.0),
        "right": Mixture(0.4, 0.0, 1.0),
        "rods": 0.5,
        "contact": 1.0,
    }
    BarrierExchange(**good)
    with pytest.raises(ValueError, match=sentence.replace("(", r"\(")):
        BarrierExchange(**good | BAD_BARRIERS[sentence])
