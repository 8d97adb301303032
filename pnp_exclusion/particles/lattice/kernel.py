"""The compiled inner loop: attempted exchanges at random bonds.

Uniformisation makes it exact in law. Every bond rings at the same rate, the largest of all swap
rates, and a ring is accepted with probability rate / largest rate. The chain of configurations
after each ring has the stationary law of the process in continuous time, so stationary averages are
taken over a fixed number of rings; at a given time the number of rings is Poisson.

One 64-bit word of the generator makes an attempt: word times bonds is a 128-bit number whose upper half is the bond
and whose lower half is uniform given the bond, to within bonds / 2^64, and decides acceptance.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from pnp_exclusion.particles.generator import next_word
from pnp_exclusion.particles.lattice.geometry import LEFT_RESERVOIR
from pnp_exclusion.particles.lattice.process import ExchangeProcess

HALF = np.uint64(32)
LOWER = np.uint64(0xFFFFFFFF)
ALWAYS = np.uint64(0xFFFFFFFFFFFFFFFF)


class Tables(NamedTuple):
    """What the inner loop reads.

    ``bonds``: left site, right site, field class and reservoir flag of each bond, ``(bonds, 4)``;
    ``thresholds``: acceptance probability times 2^64, ``(classes, N + 1, N + 1)``; ``reservoirs``:
    cumulative fractions times 2^64, ``(2, N)``; ``largest_rate``: rings per bond and unit of time.
    """

    bonds: NDArray[np.uint32]
    thresholds: NDArray[np.uint64]
    reservoirs: NDArray[np.uint64]
    largest_rate: float


def build_tables(process: ExchangeProcess) -> Tables:
    """Prepare the tables of a process for `attempt`."""
    bonds = process.lattice.bonds
    _, class_of_bond = process.field_classes
    columns = (bonds.left, bonds.right, class_of_bond, bonds.reservoir)
    largest_rate = float(process.rates.max())
    return Tables(
        bonds=np.stack(columns, axis=1).astype(np.uint32),
        thresholds=_fixed_point(process.rates / largest_rate),
        reservoirs=_fixed_point(np.cumsum(process.reservoirs, axis=1)[:, :-1]),
        largest_rate=largest_rate,
    )


def _fixed_point(probabilities: NDArray[np.float64]) -> NDArray[np.uint64]:
    certain = probabilities >= 1
    scaled = np.where(certain, 0.0, probabilities) * 2.0**64
    return np.where(certain, ALWAYS, scaled.astype(np.uint64))


@njit(nogil=True, cache=True)
def attempt(
    state: Any,
    generator: Any,
    attempts: int,
    bonds: Any,
    thresholds: Any,
    reservoirs: Any,
    crossings: Any,
) -> None:
    """Ring ``attempts`` bonds; advances ``state`` and ``generator``, adds to ``crossings``.

    ``state``: type on each site and, at the end, of the last draw of each reservoir,
    ``(sites + 2,)`` of uint8; ``generator``: the four words of xoshiro256++; ``crossings``: net
    crossings of each bond left to right by every type, ``(bonds, N + 1)`` of int64.
    """
    s0, s1, s2, s3 = generator[0], generator[1], generator[2], generator[3]
    count = np.uint64(bonds.shape[0])
    for _ in range(attempts):
        word, s0, s1, s2, s3 = next_word(s0, s1, s2, s3)
        low = (word & LOWER) * count
        high = (word >> HALF) * count + (low >> HALF)
        bond = high >> HALF
        fraction = (high << HALF) | (low & LOWER)
        left, right, field_class = bonds[bond, 0], bonds[bond, 1], bonds[bond, 2]
        reservoir = bonds[bond, 3]
        if reservoir != 0:
            word, s0, s1, s2, s3 = next_word(s0, s1, s2, s3)
            drawn = np.uint8(0)
            for step in range(reservoirs.shape[1]):
                drawn += np.uint8(word >= reservoirs[reservoir - np.uint32(1), step])
            state[left if reservoir == LEFT_RESERVOIR else right] = drawn
        a, b = state[left], state[right]
        accepted = fraction < thresholds[field_class, a, b]
        # Selecting instead of branching: the branch predictor cannot guess the types.
        state[left] = b if accepted else a
        state[right] = a if accepted else b
        crossings[bond, a] += np.int64(accepted)
        crossings[bond, b] -= np.int64(accepted)
    generator[0], generator[1], generator[2], generator[3] = s0, s1, s2, s3


@njit(nogil=True, cache=True)
def _count_occupation(state: Any, occupation: Any) -> None:
    for species in range(occupation.shape[0]):
        wanted = np.uint8(species + 1)
        for site in range(occupation.shape[1]):
            occupation[species, site] += np.int64(state[site] == wanted)


@njit(nogil=True, cache=True)
def _count_pairs(state: Any, bonds: Any, pairs: Any) -> None:
    for bond in range(bonds.shape[0]):
        if bonds[bond, 3] == 0:
            pairs[bond, state[bonds[bond, 0]], state[bonds[bond, 1]]] += 1


@njit(nogil=True, cache=True)
def _count_products(state: Any, first: int, second: int, products: Any) -> None:
    for row in range(products.shape[0]):
        if state[row] == first:
            for column in range(products.shape[1]):
                products[row, column] += np.int64(state[column] == second)


@njit(nogil=True, cache=True)
def _project(state: Any, weights: Any, amplitudes: Any) -> None:
    amplitudes[:] = 0.0
    probes = weights.shape[0]
    for site in range(weights.shape[1]):
        species = np.int64(state[site]) - 1
        if species >= 0:
            for probe in range(probes):
                amplitudes[species * probes + probe] += weights[probe, site]


@njit(nogil=True, cache=True)
def observe(
    state: Any,
    generator: Any,
    bonds: Any,
    thresholds: Any,
    reservoirs: Any,
    attempts_per_sample: int,
    samples_per_probe: int,
    samples_per_product: int,
    weights: Any,
    species_pair: Any,
    amplitudes: Any,
    crossings: Any,
    occupation: Any,
    pairs: Any,
    products: Any,
) -> None:
    """Ring bonds and take samples, one row of ``amplitudes`` after the other.

    ``amplitudes``: projections of each species on ``weights``, ``(probes, N * modes)``, one row
    every ``samples_per_probe`` samples, a sample every ``attempts_per_sample`` attempts. Adds to
    the counts ``crossings`` (as in `attempt`), ``occupation`` ``(N, sites)``, ``pairs``
    ``(bonds, N + 1, N + 1)`` inside the lattice, and, every ``samples_per_product`` samples (of a
    row), ``products`` ``(sites, sites)`` of the two species ``species_pair``; its shape is
    ``(0, 0)`` when no pair is chosen.
    """
    for row in range(amplitudes.shape[0]):
        for sample in range(samples_per_probe):
            attempt(state, generator, attempts_per_sample, bonds, thresholds, reservoirs, crossings)
            _count_occupation(state, occupation)
            _count_pairs(state, bonds, pairs)
            if products.shape[0] > 0 and sample % samples_per_product == 0:
                _count_products(state, species_pair[0], species_pair[1], products)
        _project(state, weights, amplitudes[row])
