"""The exact law of small lattices: the generator over all configurations, solved.

Nothing here is sampled: densities, currents and correlations are sums over configurations, and
currents come from the stationary law alone, not from counts of jumps.
"""

from dataclasses import dataclass
from math import factorial, prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import LinearOperator, eigs, gmres, spilu

from pnp_exclusion.particles.lattice.process import ExchangeProcess

Array = NDArray[np.float64]

MOST_STATES = 100_000
MOST_ELIMINATED = 10_000
"""Configurations whose eigenvalues are computed, by a whole elimination."""
DENSE_STATES = 600
LEFT_OUT, MOST_FILL = 0.1, 10.0
"""Of an incomplete elimination: what is smaller, relative, and times the entries that there are."""
REFINEMENTS, ROUNDING, ACCEPTED = 10, 1e-16, 1e-13
"""By the residual, at most; of the terms that cancel in it, what is left of them, and what may be at worst."""
ROUGH, KRYLOV_STEPS, RESTARTS = 1e-8, 60, 20
"""Of one of them."""
GAP_SHIFT = 1e-3


class Jumps(NamedTuple):
    """Every jump there is, ``(jumps,)`` each.

    ``origin``, ``target``: numbers of the configurations; ``rate``: per lattice unit of time; ``bond``: across which;
    ``forth``, ``back``: the types that cross it from left to right and from right to left.
    """

    origin: NDArray[np.int64]
    target: NDArray[np.int64]
    rate: Array
    bond: NDArray[np.int64]
    forth: NDArray[np.int64]
    back: NDArray[np.int64]

    def crossings(self, species: int) -> NDArray[np.int64]:
        """Net crossings from left to right of a species, from 1, in every jump, ``(jumps,)``."""
        return (self.forth == species).astype(np.int64) - (self.back == species)

    def exits(self, count: int) -> sparse.dia_array:
        """Rate at which each of so many configurations is left, on the diagonal."""
        rates = np.bincount(self.origin, weights=self.rate, minlength=count)
        return sparse.dia_array((rates[None], [0]), shape=(count, count))


@dataclass(frozen=True, eq=False)
class ExactLaw:
    """The stationary law of a small lattice; shapes, signs and units as in `StationaryResult`.

    ``states``: type on each site in each configuration, ``(states, sites)``; ``probabilities``:
    ``(states,)``; ``generator``: rate from row to column per lattice unit of time, rows add up to
    zero; ``jumps``: what it is made of; ``balance``: its factors. ``correlations[a, b, i, j]``:
    ``<a_i b_j> - <a_i><b_j>``, ``(N, N, sites, sites)``.
    """

    process: ExchangeProcess
    states: NDArray[np.uint8]
    jumps: Jumps
    generator: sparse.csr_array
    balance: "Balance"
    probabilities: Array
    densities: Array
    currents: Array
    currents_across: Array
    channel_currents: Array
    correlations: Array

    def relaxation_gap(self) -> float:
        """Smallest decay rate ``-Re(lambda)`` of the generator, per macroscopic unit of time.

        `ValueError` for a lattice with a single configuration, or with more than `MOST_ELIMINATED`.
        """
        count = self.generator.shape[0]
        require_eliminable(count)
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
    jumps = enumerate_jumps(process, states)
    generator = generator_of(jumps, len(states))
    balance = Balance(generator)
    probabilities = balance.stationary_law()
    types = np.arange(process.types)
    indicators = (states[:, None, :] == types[:, None]).astype(np.float64)
    occupation = np.einsum("s,sai->ai", probabilities, indicators)
    currents = _crossing_rates(process, probabilities, jumps) * process.lattice.scale
    along = process.lattice.along_bonds
    lattice, species = process.lattice, process.species
    return ExactLaw(
        process=process,
        states=states,
        jumps=jumps,
        generator=generator,
        balance=balance,
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


def require_eliminable(count: int) -> None:
    """Raise `ValueError` for more configurations than a whole elimination has the memory for."""
    if count > MOST_ELIMINATED:
        raise ValueError(f"eigenvalues of {count} configurations are not computed, but of {MOST_ELIMINATED} at most")


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


def generator_of(jumps: Jumps, count: int) -> sparse.csr_array:
    """Return the rates between so many configurations, row to column, the diagonal making rows add up to zero."""
    moved = sparse.csr_array((jumps.rate, (jumps.origin, jumps.target)), shape=(count, count))
    return sparse.csr_array(moved - jumps.exits(count))


def enumerate_jumps(process: ExchangeProcess, states: NDArray[np.uint8]) -> Jumps:
    """Return all jumps between configurations of a positive rate."""
    # A configuration is a number written in base N + 1, so that a swap adds a difference to it.
    places = process.types ** np.arange(process.lattice.sites - 1, -1, -1)
    codes = states @ places
    field = process.field_of_charges
    drops = None if field is None else field.drops(field.charge_of(states))
    found = [
        jumps
        for bond in range(process.lattice.bonds.left.size)
        for jumps in _jumps(process, bond, states, codes, places, None if drops is None else drops[:, bond])
    ]
    whole = Jumps._make(np.concatenate(parts) for parts in zip(*found, strict=True))
    kept = Jumps._make(part[whole.rate > 0] for part in whole)
    return kept._replace(target=np.searchsorted(codes, kept.target))


def _jumps(
    process: ExchangeProcess,
    bond: int,
    states: NDArray[np.uint8],
    codes: NDArray[np.int64],
    places: NDArray[np.int64],
    drop: Array | None,
) -> list[Jumps]:
    """Jumps across one bond; targets are still codes. ``drop``: of the potential over it, by configuration."""
    bonds = process.lattice.bonds
    left, right, reservoir = bonds.left[bond], bonds.right[bond], bonds.reservoir[bond]
    index = np.arange(len(states))
    if reservoir == 0:
        forth, back = states[:, left].astype(np.int64), states[:, right].astype(np.int64)
        target = codes + (back - forth) * (places[left] - places[right])
        return [_across(process, bond, index, target, forth, back, drop)]
    site = right if reservoir == 1 else left
    present = states[:, site].astype(np.int64)
    jumps = []
    for drawn, fraction in enumerate(process.reservoirs[reservoir - 1]):
        fresh = np.full_like(present, drawn)
        ends = (fresh, present) if reservoir == 1 else (present, fresh)
        one = _across(process, bond, index, codes + (drawn - present) * places[site], *ends, drop)
        jumps.append(one._replace(rate=fraction * one.rate))
    return jumps


def _across(
    process: ExchangeProcess,
    bond: int,
    index: NDArray[np.int64],
    target: NDArray[np.int64],
    forth: NDArray[np.int64],
    back: NDArray[np.int64],
    drop: Array | None,
) -> Jumps:
    _, class_of_bond = process.field_classes
    rate = process.rates[class_of_bond[bond]][forth, back]
    field = process.field_of_charges
    if field is not None and drop is not None:
        rate = rate * field.swap_factors(bond, forth, back, drop)
    return Jumps(index, target, rate, np.full(len(index), bond), forth, back)


class Balance:
    """Solves ``L p = b`` for a generator ``L`` in columns and a given sum of ``p``, refined to rounding.

    One recurrent configuration is left out, whose balance follows from those of the others. What is left is an
    M-matrix, for which an incomplete elimination is stable (Meijerink and van der Vorst, Math. Comp. 31, 148 (1977));
    a whole one would fill it.

    Raises `ValueError` when the stationary law is not unique: several closed classes of configurations.
    """

    def __init__(self, generator: sparse.csr_array) -> None:
        closed = _closed_classes(generator)
        if len(closed) != 1:
            raise ValueError(
                f"the configurations fall into {len(closed)} classes that never reach "
                "each other, so there is no one stationary law: take kappa > 0"
            )
        every = np.arange(generator.shape[0])
        self._kept = every[every != closed[0][0]]
        columns = sparse.csc_array(generator.T)
        self._system = sparse.csr_array(columns[self._kept][:, self._kept])
        self._law = np.ones(len(every))
        if len(self._kept):
            factors = spilu(sparse.csc_array(self._system), drop_tol=LEFT_OUT, fill_factor=MOST_FILL)
            self._preconditioner = LinearOperator(self._system.shape, factors.solve)
            self._law[self._kept] = self._solve(-columns[self._kept][:, closed[0][:1]].toarray().ravel())
        self._law = np.maximum(self._law, 0.0)
        self._law /= self._law.sum()

    def solve(self, right: Array, total: float) -> Array:
        """Return ``p`` with ``L p = right``, whose entries add up to zero, and those of ``p`` to ``total``."""
        found = np.zeros(len(right))
        found[self._kept] = self._solve(right[self._kept])
        return np.asarray(found + (total - found.sum()) * self._law)

    def stationary_law(self) -> Array:
        """Return the stationary probabilities."""
        return self._law

    def _solve(self, right: Array) -> Array:
        found, residual, last = np.zeros_like(right), right, np.inf
        for _ in range(REFINEMENTS):
            step, _ = gmres(
                self._system, residual, M=self._preconditioner, rtol=ROUGH, restart=KRYLOV_STEPS, maxiter=RESTARTS
            )
            found = found + step
            residual = right - self._system @ found
            # where the configuration left out is an unlikely one, all others are large
            terms = np.abs(self._system) @ np.abs(found)
            left = float(np.abs(residual).max(initial=0.0) / max(terms.max(initial=0.0), np.finfo(float).tiny))
            if left <= ROUNDING or left > 0.5 * last:
                break
            last = left
        if not left <= ACCEPTED:
            raise ValueError("the balance of the configurations could not be solved")
        return np.asarray(found)


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


def _crossing_rates(process: ExchangeProcess, probabilities: Array, jumps: Jumps) -> Array:
    """Expected net crossings of every bond per lattice unit of time, ``(N, bonds)``."""
    flow, bonds = probabilities[jumps.origin] * jumps.rate, process.lattice.bonds.left.size
    return np.stack(
        [
            np.bincount(jumps.bond, weights=flow * jumps.crossings(species), minlength=bonds)
            for species in range(1, process.types)
        ]
    )


def _correlations(probabilities: Array, indicators: Array, occupation: Array) -> Array:
    states, species, sites = indicators.shape
    flat = (indicators - occupation).reshape(states, species * sites)
    covariance = flat.T @ (probabilities[:, None] * flat)
    return np.asarray(covariance.reshape(species, sites, species, sites).transpose(0, 2, 1, 3))
