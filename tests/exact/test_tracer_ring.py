"""The response of a tracer with two drives on a ring, against all configurations without symmetry, and simulated."""

from __future__ import annotations

import time
from itertools import combinations

import numpy as np
import pytest

from pnp_exclusion.exact.tracer_ring import MOST_STATES, tracer_response
from pnp_exclusion.particles.lattice import lattice_heat_profile, simulate_stationary
from pnp_exclusion.particles.lattice.tracer import TracerRing, tracer_velocity


def velocity(sites: int, others: int, exchange: float, drives: tuple[float, float]) -> float:
    """Steady velocity at finite drives, of every place of the tracer and the others by itself."""
    states = [
        (tracer, frozenset(where))
        for tracer in range(sites)
        for where in combinations([site for site in range(sites) if site != tracer], others)
    ]
    index = {state: number for number, state in enumerate(states)}
    generator, moved = np.zeros((len(states), len(states))), np.zeros(len(states))
    for (tracer, occupied), origin in index.items():
        for site in range(sites):
            pair = {site, (site + 1) % sites}
            if tracer in pair:
                (target,) = pair - {tracer}
                direction = 1.0 if site == tracer else -1.0
                rate = exchange if target in occupied else 1.0
                rate *= 1.0 + direction * drives[target in occupied]
                left_behind = {tracer} if target in occupied else set()
                arrived = index[target, occupied - {target} | left_behind]
                moved[origin] += direction * rate
            elif len(pair & occupied) == 1:
                rate, arrived = 1.0, index[tracer, occupied ^ pair]
            else:
                continue
            generator[arrived, origin] += rate
            generator[origin, origin] -= rate
    generator[0] = 1.0
    law = np.linalg.solve(generator, np.eye(len(states))[0])
    return float(moved @ law)


@pytest.mark.parametrize(("sites", "others", "exchange"), [(3, 1, 0.2), (6, 2, 0.2), (6, 3, 3.0), (5, 3, 1.0)])
def test_responses_are_those_of_the_whole_master_equation(sites: int, others: int, exchange: float):
    """Central differences of the velocity at drives of 1e-3, off by their third order; at k = 1: 2 (1 - x), 2 x."""
    found = tracer_response(sites, others, exchange)
    step = 1e-3
    for drive, response in (((step, 0.0), found.vacancies), ((0.0, step), found.exchanges)):
        back = (-drive[0], -drive[1])
        slope = (velocity(sites, others, exchange, drive) - velocity(sites, others, exchange, back)) / (2.0 * step)
        assert response == pytest.approx(slope, rel=1e-5)
    assert found.total == pytest.approx(2.0, abs=1e-12)
    if exchange == 1.0:
        assert found.vacancies == pytest.approx(2.0 * (1.0 - others / (sites - 1)), abs=1e-12)


@pytest.mark.parametrize("exchange", [0.0, 0.05, 0.3, 1.0, 4.0])
@pytest.mark.parametrize(("sites", "others"), [(8, 4), (12, 3), (15, 9)])
def test_both_responses_are_positive_and_bounded_by_the_onsager_matrix(sites: int, others: int, exchange: float):
    """With `R_v = 2 [(1 - x) - (1 - k) g]`: 0 <= g <= 1 - x and x/k."""
    found = tracer_response(sites, others, exchange)
    x = others / (sites - 1)
    if exchange != 1.0:
        g = ((1.0 - x) - 0.5 * found.vacancies) / (1.0 - exchange)
        assert 0.0 <= g <= min(1.0 - x, x / exchange if exchange else np.inf) + 1e-12
    assert found.exchanges_per_rate == pytest.approx(2.0 - found.vacancies, abs=1e-11)


def test_the_largest_rings_are_solved_in_seconds():
    """92,378 configurations, whose factors would fill the memory; the response hardly differs from that of 16 sites."""
    begun = time.process_time()
    large, small = tracer_response(20, 10, 0.3), tracer_response(16, 8, 0.3)
    assert time.process_time() - begun < 10.0
    assert large.vacancies == pytest.approx(small.vacancies, rel=5e-3)
    assert large.vacancies != small.vacancies


def test_the_sum_rule_holds_in_simulation_beyond_the_master_equation_and_linear_response():
    """24 sites, 12 others: 1.4 million configurations. Drives `e` and `e/k` together move the tracer alike whatever is
    beside it, which leaves the uniform law: its velocity is `2 e`, `R_v + R_x/k = 2` at any strength."""
    sites, others, exchange, drive = 24, 12, 0.3, 0.2
    with pytest.raises(ValueError, match=f"at most {MOST_STATES}"):
        tracer_response(sites, others, exchange)
    ring = TracerRing.of(sites, others, exchange, (drive, drive / exchange))
    both = tracer_velocity(simulate_stationary(ring, time=600.0, seed=5, replicas=4))
    assert both.error < 0.002
    assert both.mean == pytest.approx(2.0 * drive, abs=4.0 * float(both.error))
    # one drive alone piles others up before the tracer: less than mean field, 2 (1 - x) e
    alone = TracerRing.of(sites, others, exchange, (drive, 0.0))
    slowed = tracer_velocity(simulate_stationary(alone, time=600.0, seed=6, replicas=4))
    assert slowed.mean + 10.0 * slowed.error < 2.0 * (1.0 - others / (sites - 1)) * drive


def test_a_driven_tracer_does_not_relax_by_the_heat_equation():
    """At k = 1 the undriven ring does."""
    start = np.zeros((2, 6))
    start[0, :2], start[1, 3] = 1.0, 1.0
    lattice_heat_profile(TracerRing.of(6, 2, 1.0), start, [0.1])
    with pytest.raises(ValueError, match="field"):
        lattice_heat_profile(TracerRing.of(6, 2, 1.0, (0.5, 0.0)), start, [0.1])
