"""Relaxation in time against the heat equation and against the exact generator."""

import os
import signal

import numpy as np
import pytest
from scipy.linalg import expm

from pnp_exclusion.particles import replicas as spreading
from pnp_exclusion.particles.lattice import (
    ExchangeProcess,
    Lattice,
    compare_relaxation,
    heat_profile,
    lattice_heat_profile,
    simulate_relaxation,
)
from pnp_exclusion.particles.lattice.small import enumerate_jumps, enumerate_states, generator_of

LEFT, RIGHT = (0.2, 0.5), (0.6, 0.1)
EDGES, STEPS = (0.0, 0.5, 1.0), np.array([[0.9, 0.1], [0.05, 0.6]])
# Every chi-square below fails a true simulation with a chance under 1e-7.
CHANCE = 1e-7


def stepped(lattice):
    piece = (lattice.positions >= 0.5).astype(int)
    profile = STEPS[:, piece]
    return profile if lattice.width == 1 else np.repeat(profile[:, :, None], lattice.width, axis=2)


def test_the_discrete_heat_profile_converges_to_the_continuum_in_the_square_of_the_spacing():
    """From a sine, so that no jump spoils the order: both decays are known in closed form."""
    for length in (9, 19):
        lattice = Lattice("reservoirs", length)
        process = ExchangeProcess(lattice, (0.0,), (0.5,), (0.5,))
        start = 0.5 + 0.4 * np.sin(np.pi * lattice.positions)
        found = lattice_heat_profile(process, start[None], [0.05])[0, 0]
        decay = 2 * (1 - np.cos(np.pi / (length + 1))) * (length + 1) ** 2
        assert found == pytest.approx(0.5 + (start - 0.5) * np.exp(-decay * 0.05), abs=1e-13)


def test_the_fourier_series_is_the_limit_of_the_discrete_profile():
    """The step sits midway between two sites for even length, so the error is of order 1/n^2."""
    times = [0.002, 0.02, 0.3]
    errors = []
    for length in (60, 120):
        lattice = Lattice("reservoirs", length)
        process = ExchangeProcess(lattice, (0.0, 0.0), LEFT, RIGHT)
        found = lattice_heat_profile(process, stepped(lattice), times)
        limit = [heat_profile(lattice.positions, time, EDGES, STEPS, LEFT, RIGHT) for time in times]
        errors.append(np.abs(found - limit).max())
    assert errors[1] < 2e-3
    assert errors[1] < errors[0] / 3.5


def test_the_fourier_series_starts_from_the_steps_and_ends_linear():
    x = np.array([0.1, 0.3, 0.6, 0.9])
    start = heat_profile(x, 0.0, EDGES, STEPS, LEFT, RIGHT)
    assert np.array_equal(start, STEPS[:, [0, 0, 1, 1]])
    assert heat_profile(x, 1e-7, EDGES, STEPS, LEFT, RIGHT) == pytest.approx(start, abs=1e-12)
    final = np.multiply.outer(LEFT, 1 - x) + np.multiply.outer(RIGHT, x)
    assert heat_profile(x, 5.0, EDGES, STEPS, LEFT, RIGHT) == pytest.approx(final, abs=1e-12)


def test_simulated_relaxation_without_fields_follows_the_heat_equation_of_its_size():
    process = ExchangeProcess(Lattice("reservoirs", 32), (0.0, 0.0), LEFT, RIGHT)
    start, times = stepped(process.lattice), [0.0, 0.005, 0.03, 0.2]
    result = simulate_relaxation(process, start, times, 4, replicas=1024)
    exact = lattice_heat_profile(process, start, times)
    assert all(one.probability > CHANCE for one in compare_relaxation(result, exact))
    # The start itself would be refused at the last time, so the comparison can fail.
    assert compare_relaxation(result, np.repeat(exact[:1], 4, axis=0))[-1].probability < CHANCE


@pytest.mark.parametrize("lattice", [Lattice("closed", 9, width=3), Lattice("ring", 10)], ids=["closed 2D", "ring"])
def test_simulated_relaxation_without_reservoirs_follows_the_heat_equation(lattice):
    process = ExchangeProcess(lattice, (0.0, 0.0))
    start, times = stepped(lattice), [0.01, 0.05]
    result = simulate_relaxation(process, start, times, 5, replicas=1024)
    exact = lattice_heat_profile(process, start, times)
    assert exact.sum(axis=tuple(range(2, exact.ndim))) == pytest.approx(
        np.tile(start.reshape(2, -1).sum(axis=1), (2, 1)), abs=1e-10
    )
    assert all(one.probability > CHANCE for one in compare_relaxation(result, exact))


def test_simulated_relaxation_in_a_field_follows_the_exact_generator():
    """Law at time t = product law times expm(generator t), where no closed form is known."""
    process = ExchangeProcess(Lattice("reservoirs", 4), (4.0, -3.0), LEFT, RIGHT, kappa=0.4, form="exponential")
    start, times = stepped(process.lattice), [0.02, 0.1]
    states = enumerate_states(process)
    full = np.concatenate([1 - start.sum(axis=0, keepdims=True), start])
    law = np.prod(full[states, np.arange(4)], axis=1)
    generator = generator_of(enumerate_jumps(process, states), len(states)).toarray()
    occupied = states[:, None, :] == np.array([1, 2])[:, None]
    exact = np.stack([np.tensordot(law @ expm(generator * 25 * time), occupied, axes=1) for time in times])
    result = simulate_relaxation(process, start, times, 6, replicas=20_000)
    assert all(one.probability > CHANCE for one in compare_relaxation(result, exact))
    # 16 densities, six errors: 3e-8 by the normal law.
    deviation = (result.densities.mean - exact) / result.densities.error
    assert np.abs(deviation).max() < 6


def test_an_interrupted_relaxation_makes_its_groups_of_the_finished_replicas(monkeypatch):
    """Stopped after 40 of 256 shares of four replicas: as many groups, which agree with the heat equation."""
    process = ExchangeProcess(Lattice("reservoirs", 16), (0.0, 0.0), LEFT, RIGHT)
    start = stepped(process.lattice)

    # every word of a replica is passed on, so that the interruption comes when it should
    monkeypatch.setattr(spreading, "POLL_SECONDS", 0.0)

    def stop(progress):
        if progress.fraction == 40 / 256:
            os.kill(os.getpid(), signal.SIGINT)

    result = simulate_relaxation(process, start, [0.01], 7, replicas=1024, report=stop)
    assert result.interrupted
    assert result.replicas == 160
    assert len(result.groups) == 40
    whole = simulate_relaxation(process, start, [0.01], 7, replicas=1024)
    assert len(whole.groups) == 64
    assert not whole.interrupted
    # the same seeds: four shares make a group of the whole run
    assert result.groups[:40].reshape(10, 4, -1).mean(axis=1) == pytest.approx(whole.groups[:10].reshape(10, -1))
    exact = lattice_heat_profile(process, start, [0.01])
    assert compare_relaxation(result, exact)[0].probability > CHANCE


def test_relaxation_refuses_bad_input():
    process = ExchangeProcess(Lattice("reservoirs", 4), (1.0,), LEFT[:1], RIGHT[:1])
    start = np.full((1, 4), 0.5)
    with pytest.raises(ValueError, match="initial is overfull"):
        simulate_relaxation(process, 3 * start, [0.1], 1, replicas=8)
    with pytest.raises(ValueError, match="times must be finite, begin at 0 or later and not fall"):
        simulate_relaxation(process, start, [0.2, 0.1], 1, replicas=8)
    with pytest.raises(ValueError, match="replicas = 1 must be at least 2"):
        simulate_relaxation(process, start, [0.1], 1, replicas=1)
    with pytest.raises(ValueError, match="only without fields"):
        lattice_heat_profile(process, start, [0.1])
    with pytest.raises(ValueError, match="edges must rise from 0 to 1"):
        heat_profile(0.5, 0.1, (0.0, 0.9), [[0.1]], (0.1,), (0.2,))
