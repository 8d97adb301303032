"""The compiled inner loop: attempted exchanges at random bonds.

Uniformisation makes it exact in law. Every bond rings at the same rate, the largest of all swap
rates, and a ring is accepted with probability rate / largest rate. The chain of configurations
after each ring has the stationary law of the process in continuous time, so stationary averages are
taken over a fixed number of rings; at a given time the number of rings is Poisson. Where charges make a field
the rates have no largest value but a bound, which they cannot pass in any configuration.

One 64-bit word of the generator makes an attempt: word times bonds is a 128-bit number whose upper half is the bond
and whose lower half is uniform given the bond, to within bonds / 2^64, and decides acceptance.
"""

from math import ceil
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
LARGEST_EXPONENT = 7.0
"""Of a rate in the field of the charges: with more hardly any attempt would succeed."""


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
    charged: "ChargedTables"


class ChargedTables(NamedTuple):
    """What the loop reads where the charges make a field; empty arrays where they do not.

    ``charges``: of the types; ``compliance``, ``shares``: of the bonds, see `field_energy`; ``acceptance``: probability
    at no drop of the potential, ``(bonds, N + 1, N + 1)``.
    """

    charges: NDArray[np.float64]
    compliance: NDArray[np.float64]
    shares: NDArray[np.float64]
    acceptance: NDArray[np.float64]


NO_CHARGES = ChargedTables(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros((0, 0, 0)))


def build_tables(process: ExchangeProcess) -> Tables:
    """Prepare the tables of a process for `attempt` or `attempt_charged`.

    Raises `ValueError` if the rates in the field of the charges are bounded by a number that is too large to be of use.
    """
    bonds = process.lattice.bonds
    _, class_of_bond = process.field_classes
    columns = (bonds.left, bonds.right, class_of_bond, bonds.reservoir)
    largest_rate, charged = float(process.rates.max()), NO_CHARGES
    field = process.field_of_charges
    if field is not None:
        rates = process.rates[class_of_bond] * field.every_swap(np.zeros(field.scale))
        bound = 0.5 * np.abs(field.moved) * field.largest_drops()[:, None, None]
        if bound.max() > LARGEST_EXPONENT:
            enough = ceil(process.lattice.scale * bound.max() / LARGEST_EXPONENT)
            raise ValueError(
                f"the field of the charges may speed swaps up by exp({bound.max():.3g}) at length = "
                f"{process.lattice.length}: take at least {enough}"
            )
        largest_rate = float((rates * np.exp(bound)).max())
        charged = ChargedTables(field.charges, field.compliance, field.shares, rates / largest_rate)
    return Tables(
        bonds=np.stack(columns, axis=1).astype(np.uint32),
        thresholds=_fixed_point(process.rates / process.rates.max()),
        reservoirs=_fixed_point(np.cumsum(process.reservoirs, axis=1)[:, :-1]),
        largest_rate=largest_rate,
        charged=charged,
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
def attempt_charged(
    state: Any,
    generator: Any,
    attempts: int,
    bonds: Any,
    charged: Any,
    displacement: Any,
    reservoirs: Any,
    crossings: Any,
) -> None:
    """As `attempt`, in the field of the charges; advances ``displacement`` too.

    How a bond and a content are drawn is written out in both: as functions they make `attempt` 7 % slower.

    ``displacement``: ``d`` of the bonds and behind them ``D``, see `field_energy`, ``(bonds + 1,)``.
    """
    s0, s1, s2, s3 = generator[0], generator[1], generator[2], generator[3]
    count = np.uint64(bonds.shape[0])
    step, whole = 1.0 / bonds.shape[0], displacement[bonds.shape[0]]
    for _ in range(attempts):
        word, s0, s1, s2, s3 = next_word(s0, s1, s2, s3)
        low = (word & LOWER) * count
        high = (word >> HALF) * count + (low >> HALF)
        bond = high >> HALF
        fraction = (high << HALF) | (low & LOWER)
        left, right, reservoir = bonds[bond, 0], bonds[bond, 1], bonds[bond, 3]
        if reservoir != 0:
            word, s0, s1, s2, s3 = next_word(s0, s1, s2, s3)
            drawn = np.uint8(0)
            for place in range(reservoirs.shape[1]):
                drawn += np.uint8(word >= reservoirs[reservoir - np.uint32(1), place])
            state[left if reservoir == LEFT_RESERVOIR else right] = drawn
        a, b = state[left], state[right]
        if a == b:
            continue
        moved = charged.charges[b] - charged.charges[a]
        drop = charged.compliance[bond] * (displacement[bond] + whole)
        if np.float64(fraction) * 2.0**-64 < charged.acceptance[bond, a, b] * np.exp(-0.5 * moved * drop):
            state[left], state[right] = b, a
            crossings[bond, a] += 1
            crossings[bond, b] -= 1
            displacement[bond] += moved * step
            whole -= moved * step * charged.shares[bond]
    displacement[bonds.shape[0]] = whole
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
def _weigh(crossings: Any, weights: Any, flows: Any) -> None:
    for current in range(weights.shape[0]):
        total = 0.0
        for species in range(weights.shape[1]):
            for bond in range(weights.shape[2]):
                total += weights[current, species, bond] * crossings[bond, species + 1]
        flows[current] = total


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
    charged: Any,
    displacement: Any,
    flow_weights: Any,
    amplitudes: Any,
    flows: Any,
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
    ``(0, 0)`` when no pair is chosen. ``flows``: crossings so far times ``flow_weights``, ``(currents, N, bonds)``, a
    row as of ``amplitudes``. ``charged`` and ``displacement`` as of `attempt_charged`, empty if there is no field.
    """
    for row in range(amplitudes.shape[0]):
        for sample in range(samples_per_probe):
            if displacement.shape[0] > 0:
                attempt_charged(
                    state, generator, attempts_per_sample, bonds, charged, displacement, reservoirs, crossings
                )
            else:
                attempt(state, generator, attempts_per_sample, bonds, thresholds, reservoirs, crossings)
            _count_occupation(state, occupation)
            _count_pairs(state, bonds, pairs)
            if products.shape[0] > 0 and sample % samples_per_product == 0:
                _count_products(state, species_pair[0], species_pair[1], products)
        _project(state, weights, amplitudes[row])
        _weigh(crossings, flow_weights, flows[row])
