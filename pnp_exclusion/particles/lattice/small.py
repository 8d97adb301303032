"""The exact law of small lattices: the generator over all configurations, solved.

Nothing here is sampled: densities, currents and correlations are sums over configurations, and
currents come from the stationary law alone, not from counts of jumps.
"""

from dataclasses import dataclass
from math import factorial, prod

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import eigs, splu

from pnp_exclusion.particles.lattice.process import (
    ExchangeProcess,
    net_crossing_rates,
    with_reservoir_pairs,
)

Array = NDArray[np.float64]

MOST_STATES = 10_000
DENSE_STATES = 600
REFINEMENTS = 2
GAP_SHIFT = 1e-3


@dataclass(frozen=True, eq=False)
class ExactLaw:
    """The stationary law of a small lattice; shapes, signs and units as in `StationaryResult`.

    ``states``: type on each site in each configuration, ``(states, sites)``; ``probabilities``:
    ``(states,)``; ``generator``: rate from row to column per lattice unit of time, rows add up to
    zero. ``correlations[a, b, i, j]``: ``<a_i b_j> - <a_i><b_j>``, ``(N, N, sites, sites)``.
    """

    process: ExchangeProcess
    states: NDArray[np.uint8]
    generator: sparse.csr_array
    probabilities: Array
    densities: Array
    currents: Array
    currents_across: Array
    channel_currents: Array
    correlations: Array

    def relaxation_gap(self) -> float:
        """Smallest decay rate ``-Re(lambda)`` of the generator, per macroscopic unit of time.

        0 for a lattice with a single configuration is refused with `ValueError`.
        """
        count = self.generator.shape[0]
        if count < 2:
            raise ValueError("a lattice with one configuration has no relaxation gap")
        if count <= DENSE_STATES:
            values = np.linalg.eigvals(self.generator.toarray())
        else:
            matrix = sparse.csc_array(self.generator)
            # The start vector is fixed, so that the same lattice always gives the same digits.
            start = np.random.default_rng(0).standard_normal(count)
            values = eigs(matrix, k=6, sigma=GAP_SHIFT, v0=start, return_eigenvectors=False)
        decay = np.sort(-values.real)
        return float(decay[1]) * self.process.lattice.scale**2


def exact_law(process: ExchangeProcess) -> ExactLaw:
    """Solve for the stationary law; a closed channel or ring needs the ``content`` of the process.

    Raises `ValueError` when there are more than `MOST_STATES` configurations, when the content is
    missing, or when the configurations fall apart so that there is no one stationary law.
    """
    states = enumerate_states(process)
    generator = build_generator(process, states)
    probabilities = stationary_law(generator)
    types = np.arange(process.types)
    indicators = (states[:, None, :] == types[:, None]).astype(np.float64)
    occupation = np.einsum("s,sai->ai", probabilities, indicators)
    rates = _crossing_rates(process, probabilities, indicators, occupation)
    currents = rates * process.lattice.scale
    along = process.lattice.along_bonds
    lattice, species = process.lattice, process.species
    return ExactLaw(
        process=process,
        states=states,
        generator=generator,
        probabilities=probabilities,
        densities=occupation[1:].reshape(species, *lattice.site_shape),
        currents=currents[:, :along].reshape(species, *lattice.along_shape),
        currents_across=currents[:, along:].reshape(species, *lattice.across_shape),
        channel_currents=currents[:, :along].mean(axis=1),
        correlations=_correlations(probabilities, indicators[:, 1:], occupation[1:]),
    )


def count_states(process: ExchangeProcess) -> int:
    """Configurations: all between reservoirs, those of the given content elsewhere."""
    sites = process.lattice.sites
    if process.lattice.ends == "reservoirs":
        return int(process.types**sites)
    if process.content is None:
        raise ValueError(
            "content must give the number of particles of each species: without "
            "reservoirs it is conserved and selects the stationary law"
        )
    counts = [int(count) for count in process.content]
    vacancies = sites - sum(counts)
    return factorial(sites) // prod(factorial(count) for count in [vacancies, *counts])


def enumerate_states(process: ExchangeProcess) -> NDArray[np.uint8]:
    """All configurations, ``(states, sites)``, in lexicographic order; see `exact_law`."""
    count = count_states(process)
    if count > MOST_STATES:
        raise ValueError(
            f"{process.lattice.sites} sites and {process.species} species have {count} "
            f"configurations: the exact law takes at most {MOST_STATES}"
        )
    states: NDArray[np.uint8] = np.zeros((1, 0), dtype=np.uint8)
    for _ in range(process.lattice.sites):
        states = _extended(process, states)
    return states


def _extended(process: ExchangeProcess, states: NDArray[np.uint8]) -> NDArray[np.uint8]:
    types = np.arange(process.types, dtype=np.uint8)
    longer = np.concatenate([np.repeat(states, process.types, axis=0), np.tile(types, len(states))[:, None]], axis=1)
    if process.lattice.ends == "reservoirs" or process.content is None:
        return longer
    particles = [int(count) for count in process.content]
    allowed = np.array([process.lattice.sites - sum(particles), *particles])
    used = (longer[:, :, None] == types).sum(axis=1)
    return np.asarray(longer[(used <= allowed).all(axis=1)])


def build_generator(process: ExchangeProcess, states: NDArray[np.uint8]) -> sparse.csr_array:
    """Rates between configurations, row to column, the diagonal making rows add up to zero."""
    # A configuration is a number written in base N + 1, so that a swap adds a difference to it.
    places = process.types ** np.arange(process.lattice.sites - 1, -1, -1)
    codes = states @ places
    moves = [
        move for bond in range(process.lattice.bonds.left.size) for move in _moves(process, bond, states, codes, places)
    ]
    rows = np.concatenate([row for row, _, _ in moves])
    columns = np.searchsorted(codes, np.concatenate([code for _, code, _ in moves]))
    rates = np.concatenate([rate for _, _, rate in moves])
    kept = rates > 0
    size = (len(states), len(states))
    jumps = sparse.csr_array((rates[kept], (rows[kept], columns[kept])), shape=size)
    every = np.arange(len(states))
    exits = np.bincount(rows, weights=rates, minlength=len(states))
    return sparse.csr_array(jumps - sparse.csr_array((exits, (every, every)), shape=size))


Move = tuple[NDArray[np.int64], NDArray[np.int64], Array]


def _moves(
    process: ExchangeProcess,
    bond: int,
    states: NDArray[np.uint8],
    codes: NDArray[np.int64],
    places: NDArray[np.int64],
) -> list[Move]:
    """Configurations that one bond changes: their index, the code they go to, and the rate."""
    bonds, (_, class_of_bond) = process.lattice.bonds, process.field_classes
    left, right, reservoir = bonds.left[bond], bonds.right[bond], bonds.reservoir[bond]
    rates = process.rates[class_of_bond[bond]]
    index = np.arange(len(states))
    if reservoir == 0:
        a, b = states[:, left].astype(np.int64), states[:, right].astype(np.int64)
        differ = a != b
        target = codes + (b - a) * (places[left] - places[right])
        return [(index[differ], target[differ], rates[a, b][differ])]
    site = right if reservoir == 1 else left
    present = states[:, site].astype(np.int64)
    moves = []
    for drawn, fraction in enumerate(process.reservoirs[reservoir - 1]):
        differ = present != drawn
        swap = rates[drawn, present] if reservoir == 1 else rates[present, drawn]
        target = codes + (drawn - present) * places[site]
        moves.append((index[differ], target[differ], fraction * swap[differ]))
    return moves


def stationary_law(generator: sparse.csr_array) -> Array:
    """Stationary probabilities of a generator, by sparse LU refined to rounding.

    Raises `ValueError` when the law is not unique: several closed classes of configurations.
    """
    count, closed = generator.shape[0], _closed_classes(generator)
    if len(closed) != 1:
        raise ValueError(
            f"the configurations fall into {len(closed)} classes that never reach "
            "each other, so there is no one stationary law: take kappa > 0"
        )
    if count == 1:
        return np.ones(1)
    # Balance at one configuration follows from all others; normalisation takes its place. The
    # configuration must be recurrent, else its own balance is needed to make it empty.
    recurrent = int(closed[0][0])
    balance = sparse.coo_array(generator.T)
    kept = balance.row != recurrent
    every = np.arange(count)
    values = np.concatenate([balance.data[kept], np.ones(count)])
    rows = np.concatenate([balance.row[kept], np.full(count, recurrent)])
    columns = np.concatenate([balance.col[kept], every])
    system = sparse.csc_array((values, (rows, columns)), shape=(count, count))
    wanted = np.zeros(count)
    wanted[recurrent] = 1.0
    factors = splu(system)
    law = factors.solve(wanted)
    for _ in range(REFINEMENTS):
        law += factors.solve(wanted - system @ law)
    law = np.maximum(law, 0.0)
    return np.asarray(law / law.sum())


def _closed_classes(generator: sparse.csr_array) -> list[NDArray[np.int64]]:
    jumps = sparse.coo_array(generator)
    off_diagonal = (jumps.row != jumps.col) & (jumps.data > 0)
    graph = sparse.csr_array(
        (jumps.data[off_diagonal], (jumps.row[off_diagonal], jumps.col[off_diagonal])),
        shape=jumps.shape,
    )
    count, label = connected_components(graph, directed=True, connection="strong")
    crossing = label[jumps.row[off_diagonal]] != label[jumps.col[off_diagonal]]
    leaky = np.zeros(count, dtype=bool)
    leaky[label[jumps.row[off_diagonal]][crossing]] = True
    return [np.flatnonzero(label == number) for number in np.flatnonzero(~leaky)]


def _crossing_rates(process: ExchangeProcess, probabilities: Array, indicators: Array, occupation: Array) -> Array:
    bonds = process.lattice.bonds
    inside = np.flatnonzero(bonds.reservoir == 0)
    pairs = np.zeros((bonds.left.size, process.types, process.types))
    for bond in inside:
        left, right = indicators[:, :, bonds.left[bond]], indicators[:, :, bonds.right[bond]]
        pairs[bond] = (left * probabilities[:, None]).T @ right
    return net_crossing_rates(process, with_reservoir_pairs(process, pairs, occupation))


def _correlations(probabilities: Array, indicators: Array, occupation: Array) -> Array:
    states, species, sites = indicators.shape
    flat = (indicators - occupation).reshape(states, species * sites)
    covariance = flat.T @ (probabilities[:, None] * flat)
    return np.asarray(covariance.reshape(species, sites, species, sites).transpose(0, 2, 1, 3))
