"""Gases in a loop between finite reservoirs: against what effuses exactly, and conservation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pnp_exclusion.particles.gas.loop import GasLoop, LoopCopy
from pnp_exclusion.particles.gas.loop_stationary import simulate_loop
from pnp_exclusion.particles.gas.model import Gas, Kind, Reservoir
from pnp_exclusion.particles.replicas import Monitor

HOT, COLD = 1.3, 0.8
FREELY = Monitor(lambda: False, lambda fraction: None)


def free(bias: float = 0.0, length: float = 4.0, difference: float = 0.0) -> Gas:
    """Bullets alone between a hot and a cold reservoir."""
    ends = Reservoir(HOT, (difference / 2,)), Reservoir(COLD, (-difference / 2,))
    return Gas(length, (Kind("bullet", 1.0, bias=bias),), *ends, np.zeros((1, 1)), np.zeros((1, 1)))


def test_potentials_float_until_no_net_current_flows_and_heat_effuses():
    """Exact: particles enter at rates k, with the energy T on average. No current through free gases: k_L = k_R."""
    found = simulate_loop(GasLoop((free(length=4.0), free(length=6.0)), (1, 2), 600), 3000.0, 3, replicas=2)
    assert not found.complaint
    assert abs(found.force.mean - np.log(COLD / HOT)) < 4 * found.force.error < 0.1
    assert abs(found.net.mean) < 4 * found.net.error
    assert abs(found.round.mean) < 4 * found.round.error
    # of both reservoirs together k/sqrt(T) is what it was at the start: a reservoir holds k sqrt(2 pi m/T) by length
    rate = (np.sqrt(HOT) + np.sqrt(COLD)) / (HOT**-0.5 + COLD**-0.5)
    assert abs(found.heat.mean - 3 * rate * (HOT - COLD)) < 4 * found.heat.error < 0.2 * found.heat.mean
    assert found.power.mean == 0.0


def test_biases_do_work_as_particles_that_effuse_say():
    """Exact: against a bias U at the cold end a gas takes up k_R e^(U/T) there; no net current: 2 k_L = k_R (1 + e^u).

    Power over heat knows no density: U (k_L - k_R e^u)/[2 k_L T_L - k_R (1 + e^u) T_R].
    """
    bias = 0.7 * COLD
    found = simulate_loop(GasLoop((free(bias), free()), (1, 1), 600), 4000.0, 5, replicas=2)
    up = np.exp(bias / COLD)
    exact = bias * (0.5 * (1 + up) - up) / ((1 + up) * (HOT - COLD))
    assert abs(found.efficiency.mean - exact) < 4 * found.efficiency.error < 0.1
    assert abs(found.net.mean) < 4 * found.net.error
    assert found.power.mean == pytest.approx(bias * found.currents.mean[0, 0], rel=1e-12)


def test_particles_are_in_gases_or_reservoirs_and_every_copy_counts():
    loop = GasLoop((free(), free()), (1, 3), 200)
    copy = LoopCopy(loop, np.random.SeedSequence(7))

    def inside():
        return sum(len(one.particles[0]) for one in copy._copies)

    before = inside()
    assert copy.observe(5, 40, FREELY).shape == (5, 1 + 4 * 5)
    left, right = copy.flows[:, 0, 0].sum(), copy.flows[:, 1, 0].sum()
    assert inside() - before == left - right
    assert copy._contents == pytest.approx(loop.contents + np.array([-left, right]))
    assert np.sum(copy._contents) + inside() == np.sum(loop.contents) + before
    assert abs(copy.flows[1, 0, 1]) > abs(copy.flows[0, 0, 1])  # three copies carry more heat than one


def test_loop_refuses_gases_that_do_not_fit_and_reservoirs_that_run_empty():
    with pytest.raises(ValueError, match="the right ones differ"):
        GasLoop((free(), replace(free(), right=Reservoir(0.9, (0.0,)))), (1, 1), 100)
    with pytest.raises(ValueError, match="must have one mass"):
        GasLoop((free(), replace(free(), kinds=(Kind("bullet", 2.0),))), (1, 1), 100)
    nothing = Reservoir(1.0, ())
    closed = replace(free(), kinds=(Kind("rod", 2.0, number=3),), left=nothing, right=nothing)
    with pytest.raises(ValueError, match="has one open kind"):
        GasLoop((closed,), (1,), 100)
    with pytest.raises(ValueError, match="one or more of each"):
        GasLoop((free(), free()), (1, 0), 100)
    with pytest.raises(ValueError, match="2 particles in both are too few"):
        simulate_loop(GasLoop((free(), free()), (1, 1), 2), 1000.0, 1)
