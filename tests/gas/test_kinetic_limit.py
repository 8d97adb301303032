"""The kinetic limit of small barriers: against the equations of both kinds, closed forms and its own refinement."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import splu

from pnp_exclusion.errors import UsageError
from pnp_exclusion.particles.gas.kinetic_limit import KineticLimit
from pnp_exclusion.particles.gas.model import Gas, Kind, Reservoir, bullets_and_rods, pair_tables

TWO_TO_ONE = KineticLimit((2.0, 1.0), (1.0, 1.0))


def both_kinds(masses, densities, h2l, cells, fastest=6.5):
    """The Landau equations of both kinds as they stand, in one sparse solve at temperature 1.

    Box scheme in ``x``, finite volumes in ``v``; the rods come back from either wall with a constant of their own, such
    that none pass the left wall and their number stays. Returns the Onsager matrix over the length, and ``m_b f_b +
    m_r f_r`` by place, velocity and force.
    """
    x = 0.5 * (1 - np.cos(np.linspace(0, np.pi, cells + 1)))  # finer at the ends, where layers are
    faces = np.linspace(-fastest, fastest, 2 * cells + 1)
    width, v = faces[1] - faces[0], 0.5 * (faces[1:] + faces[:-1])

    def maxwell(kind, v):
        return densities[kind] * np.sqrt(masses[kind] / (2 * np.pi)) * np.exp(-masses[kind] * v**2 / 2)

    inner = faces[1:-1]
    gradient = sparse.diags_array([-1.0, 1.0], offsets=[0, 1], shape=(len(inner), len(v))) / width
    spread = gradient.T @ sparse.diags_array(4 * h2l * maxwell(0, inner) * maxwell(1, inner)) @ gradient
    signs = np.array([1 / masses[0], -1 / masses[1]])
    collisions = -sparse.kron(sparse.csr_array(np.outer(signs, signs)), spread)

    content = np.concatenate([maxwell(0, v), maxwell(1, v)])
    stream, energy = content * np.tile(v, 2), np.concatenate([masses[0] * v**2 / 2, masses[1] * v**2 / 2])
    rod = np.repeat([0.0, 1.0], len(v))
    place, velocity = sparse.eye_array(len(x), format="csr"), sparse.eye_array(len(rod), format="csr")
    rightwards = np.tile(v > 0, 2)
    steps = np.diff(x)
    step, middle = place[1:] - place[:-1], 0.5 * (place[1:] + place[:-1])
    shares = sparse.csr_array([0.5 * (np.append(steps, 0.0) + np.append(0.0, steps))])
    balance = sparse.kron(step, sparse.diags_array(stream)) - sparse.kron(steps[:, None] * middle, collisions)
    wall = -sparse.csr_array(rod[rightwards][:, None])
    none = sparse.csr_array((1, 1))
    system = sparse.block_array(
        [
            [balance, None, None],
            [sparse.kron(place[:1], velocity[rightwards]), wall, None],
            [sparse.kron(place[-1:], velocity[~rightwards]), None, wall],
            [sparse.kron(place[:1], sparse.csr_array([rod * stream])), none, None],
            [sparse.kron(shares, sparse.csr_array([rod * content])), None, none],
        ]
    ).tocsc()
    right = np.zeros((system.shape[0], 2))
    for force, sent in enumerate((1 - rod, energy)):
        right[balance.shape[0] : -2, force] = np.concatenate([sent[rightwards], -sent[~rightwards]]) / 2
    phi = splu(system).solve(right)[:-2].reshape(len(x), -1, 2)
    currents = np.array([(1 - rod) * stream, energy * stream]) * width @ phi[0]
    momentum = np.repeat(masses, len(v)) * content
    return currents, (phi * momentum[:, None]).reshape(len(x), 2, len(v), 2).sum(axis=1)


@pytest.mark.parametrize(("masses", "densities"), [((2.0, 1.0), (1.0, 1.0)), ((1.0, 3.0), (0.4, 0.8))])
def test_one_number_and_the_equations_of_both_kinds_are_the_same_to_second_order(masses, densities):
    """The other scheme knows nothing of the reduction: it treats two kinds, wall constants and every force."""
    expected = KineticLimit(masses, densities).onsager(8.0).matrix
    found = [both_kinds(masses, densities, 8.0, cells)[0] for cells in (15, 30, 60)]
    errors = [np.abs(matrix - expected).max() / expected.max() for matrix in found]
    assert errors[-1] < 1e-3
    assert np.log2(errors[1] / errors[2]) == pytest.approx(2.0, abs=0.1)
    extrapolated = found[-1] + (found[-1] - found[-2]) / 3
    assert extrapolated == pytest.approx(expected, rel=2e-4)
    assert found[0] == pytest.approx(found[0].T, rel=1e-12)  # Onsager


def test_momentum_of_both_kinds_streams_freely_so_that_heat_is_ballistic():
    """The premise of the reduction, at every place and velocity; and what remains of the current of energy."""
    _, momentum = both_kinds((2.0, 1.0), (1.0, 0.5), 30.0, 12)
    assert momentum == pytest.approx(np.broadcast_to(momentum[:1], momentum.shape), abs=1e-11)
    limit = KineticLimit((2.0, 1.0), (1.0, 0.5))
    # rods hold the heat back by half a flow of theirs at most; the rest passes through any barrier
    assert limit.onsager(np.inf).matrix[1, 1] < limit.onsager(1.0).matrix[1, 1] < 2 * sum(limit.effusion)


def test_without_barriers_bullets_and_the_heat_of_rods_effuse():
    """Exact: L_ru = T L_rr, L_uu = 2 T^2 L_rr + T^2 rho_r sqrt(T/(2 pi m_r))."""
    limit = KineticLimit((3.0, 2.0), (0.7, 1.9), temperature=1.6)
    particles = 0.7 * np.sqrt(1.6 / (2 * np.pi * 3.0))
    rods = 1.9 * np.sqrt(1.6 / (2 * np.pi * 2.0))
    exact = np.array([[1.0, 1.6], [1.6, 2 * 1.6**2]]) * particles + np.diag([0.0, 1.6**2 * rods])
    assert limit.onsager(0.0).matrix == pytest.approx(exact, rel=1e-9)
    # first departures are those of particles so slow, v < (h^2 L)^(1/3), that they stop: a flow of (h^2 L)^(2/3)
    departures = [np.abs(limit.onsager(h2l).matrix / exact - 1).max() for h2l in (1e-3, 1e-4, 1e-5)]
    assert departures[-1] < 1e-3
    assert np.log10(np.array(departures[:-1]) / departures[1:]) == pytest.approx(2 / 3, abs=5e-3)


def test_endless_barriers_give_a_closed_form():
    """Where collisions are many, g vanishes and K with it: x = K_0/(m_b m_r), an elementary integral for masses 2:1."""
    steep = 4 * np.sqrt(2)
    exchange = (1 - np.log1p(steep) / steep) / 2  # in units of the effusion of rods, which is 1 in what follows
    bullets, rods = np.sqrt(0.5), 1.0
    particles = bullets - exchange / 2 - exchange**2 / (rods - 2 * exchange)
    cross = bullets - exchange * rods / (rods - 2 * exchange)
    assert TWO_TO_ONE.onsager(np.inf).ratio == pytest.approx(cross / particles, rel=1e-6)
    assert TWO_TO_ONE.onsager(1e7).ratio == pytest.approx(cross / particles, rel=1e-3)


def test_refinement_in_velocity_is_of_second_order_and_the_error_told_is_larger_than_the_true_one():
    reference = KineticLimit((2.0, 1.0), (1.0, 1.0), cells=256).critical(0.0)
    errors = []
    for cells in (32, 64, 128):
        found = KineticLimit((2.0, 1.0), (1.0, 1.0), cells=cells).critical(0.0)
        assert 0.0 < abs(found.value - reference.value) < found.error
        errors.append(found.error)
    assert np.log2(np.array(errors[:-1]) / errors[1:]) == pytest.approx(2.0, abs=0.1)


def test_ratio_vanishes_at_a_barrier_that_depends_on_h2l_alone():
    """Masses 2:1, one bullet and one rod per length: 9.874, where the other scheme has L_ru = 0 as well."""
    critical = TWO_TO_ONE.critical(0.0)
    assert critical.value == pytest.approx(9.8742, abs=1e-3)
    assert critical.error < 1e-3
    assert TWO_TO_ONE.at(critical.value, lambda onsager: onsager.ratio).value == pytest.approx(0.0, abs=1e-6)
    coarse, fine = (both_kinds((2.0, 1.0), (1.0, 1.0), critical.value, cells)[0] for cells in (30, 60))
    assert fine[0, 1] + (fine[0, 1] - coarse[0, 1]) / 3 == pytest.approx(0.0, abs=2e-5)
    # h^2 L rho/T^2 is all that matters, and no unit of mass
    other = KineticLimit((5.0, 2.5), (0.3, 0.3), temperature=2.0).critical(0.0)
    assert other.value * 0.3 / 4.0 == pytest.approx(critical.value, rel=1e-9)


def test_thresholds_beyond_the_limit_are_refused_and_equal_masses_never_invert():
    heavy = KineticLimit((4.0, 1.0), (1.0, 1.0))
    assert not heavy.reaches(0.0) and heavy.reaches(0.2)
    with pytest.raises(UsageError, match=r"from 1 at h = 0 to 0\.168.* and does not pass 0: no barrier"):
        heavy.critical(0.0)
    equal = KineticLimit((1.0, 1.0), (1.0, 2.0))
    assert [equal.onsager(h2l).ratio for h2l in (0.1, 10.0, 1e3)] == pytest.approx([1.0] * 3, rel=1e-9)
    assert not equal.reaches(1.0) and not equal.reaches(0.0)
    assert KineticLimit((1.0, 2.0), (1.0, 1.0)).onsager(10.0).ratio > 1.0  # light bullets: the other way


def test_inverse_currents_begin_where_the_matrix_says():
    """Between their beginning and the axis one current runs against two forces of one sign, and entropy is made."""
    onsager = TWO_TO_ONE.onsager(100.0)
    particles, energy = onsager.inverse_particles, onsager.inverse_energy
    assert 0.0 < energy < particles < np.inf
    for ratio, signs in ((particles * 1.01, [-1, 1]), (particles * 0.99, [1, 1]), (energy * 0.99, [1, -1])):
        currents = onsager.matrix @ [1.0, ratio]
        assert np.sign(currents).tolist() == signs
        assert currents @ [1.0, ratio] > 0.0
    weak = TWO_TO_ONE.onsager(1.0)
    assert weak.inverse_particles == np.inf and weak.inverse_energy == 0.0


def test_limit_of_a_gas_takes_its_kinds_and_its_state_midway():
    gas = bullets_and_rods(20.0, 0.1, mass_ratio=2.0, density=1.0, rods=1.0)
    assert KineticLimit.of(gas).critical(0.0).value == pytest.approx(TWO_TO_ONE.critical(0.0).value, rel=1e-9)
    swapped = KineticLimit.of(Gas(20.0, gas.kinds[::-1], gas.left, gas.right, gas.barriers, gas.losses))
    assert swapped.masses == (2.0, 1.0)
    with pytest.raises(UsageError, match="one open and one closed kind that lose no energy"):
        KineticLimit.of(bullets_and_rods(20.0, 0.1, loss=0.01))
    end = Reservoir(1.0, (0.0, 0.0))
    kinds = Kind("a", 1.0), Kind("b", 2.0)
    with pytest.raises(UsageError, match="one open and one closed kind"):
        KineticLimit.of(Gas(20.0, kinds, end, end, *pair_tables(2, [])))
    with pytest.raises(UsageError, match="densities = "):
        KineticLimit((2.0, 1.0), (1.0, 0.0))
    with pytest.raises(UsageError, match="cells is an even number"):
        KineticLimit((2.0, 1.0), (1.0, 1.0), cells=9)
    with pytest.raises(UsageError, match="must be 0 or greater"):
        TWO_TO_ONE.onsager(-1.0)
