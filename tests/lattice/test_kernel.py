"""The compiled loop: its generator, its attempts, what it conserves."""

import numpy as np
import pytest

from pnp_exclusion.particles import generator
from pnp_exclusion.particles.lattice import ExchangeProcess, Lattice
from pnp_exclusion.particles.lattice.engine import Apparatus, Engine, draw_start

PUBLISHED = [
    41943041,
    58720359,
    3588806011781223,
    3591011842654386,
    9228616714210784205,
    9973669472204895162,
    14011001112246962877,
    12406186145184390807,
]


def test_the_generator_is_xoshiro256plusplus():
    """First words from the state (1, 2, 3, 4), as in the tests of the Rust crate rand_xoshiro."""
    state = (1, 2, 3, 4)
    words = []
    for _ in PUBLISHED:
        word, *state = next_word(state)
        words.append(word)
    assert words == PUBLISHED


def next_word(state):
    """The generator's own step, back in the unsigned words that it takes."""
    return generator.next_word(*(np.uint64(word) for word in state))


def engine_of(process, seed=3):
    start = draw_start(process, np.random.default_rng(seed))
    return Engine(Apparatus(process), start, np.random.SeedSequence(seed))


def slow_copy(process, engine, attempts):
    """The same walk in plain Python, whole numbers and no tricks; returns types and crossings."""
    tables = engine.apparatus.tables
    words = tuple(engine.generator.copy())
    state = engine.state.astype(int).tolist()
    bonds, types = len(tables.bonds), process.types
    crossings = np.zeros((bonds, types), dtype=int)
    for _ in range(attempts):
        word, *words = next_word(words)
        bond, fraction = divmod(int(word) * bonds, 2**64)
        left, right, field_class, reservoir = (int(entry) for entry in tables.bonds[bond])
        if reservoir:
            word, *words = next_word(words)
            cumulative = tables.reservoirs[reservoir - 1]
            state[left if reservoir == 1 else right] = sum(int(word) >= int(c) for c in cumulative)
        a, b = state[left], state[right]
        if a != b and fraction < int(tables.thresholds[field_class, a, b]):
            state[left], state[right] = b, a
            crossings[bond, a] += 1
            crossings[bond, b] -= 1
    return state, crossings


@pytest.mark.parametrize("kappa", [0.0, 0.3, 1.0])
def test_the_loop_walks_as_plain_python_does(kappa):
    process = ExchangeProcess(Lattice("reservoirs", 5, width=3), (3.0, -2.0), (0.2, 0.5), (0.6, 0.1), kappa=kappa)
    engine = engine_of(process)
    state, crossings = slow_copy(process, engine, 3000)
    engine.advance(3000)
    assert engine.state.tolist() == state
    assert np.array_equal(engine.counters.crossings, crossings)
    assert np.abs(crossings).sum() > 200


@pytest.mark.parametrize("ends", ["closed", "ring"])
@pytest.mark.parametrize("width", [1, 4])
def test_without_reservoirs_every_particle_is_conserved(ends, width):
    process = ExchangeProcess(Lattice(ends, 12, width=width), (5.0, -5.0), content=(4, 3))
    engine = engine_of(process)
    before = engine.state.copy()
    engine.advance(100_000)
    assert np.bincount(engine.state[:-2], minlength=3)[1:].tolist() == [4, 3]
    assert not np.array_equal(before, engine.state)


def test_crossings_account_for_every_change_of_every_site():
    """Continuity, exactly: what a site gained is what crossed into it less what crossed out."""
    process = ExchangeProcess(Lattice("reservoirs", 6, width=3), (2.0, -1.0), (0.2, 0.5), (0.6, 0.1))
    engine = engine_of(process)
    before = engine.state.copy()
    engine.advance(50_001)
    bonds = process.lattice.bonds
    for species in (1, 2):
        gain = np.zeros(process.lattice.sites + 2, dtype=int)
        np.add.at(gain, bonds.right, engine.counters.crossings[:, species])
        np.add.at(gain, bonds.left, -engine.counters.crossings[:, species])
        change = (engine.state == species).astype(int) - (before == species)
        assert np.array_equal(gain[:-2], change[:-2])
