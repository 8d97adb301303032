"""Full counting statistics of small lattices: all that the generator over all configurations says of the currents.

``Q_a`` particles of species ``a`` cross the channel in a long time ``t``, with ``<exp(sum s_a Q_a)>`` growing as
``exp(mu(s) t)``. ``mu`` is the largest eigenvalue of the generator whose jumps are weighted with ``exp(sum s_a q_a)``,
``q_a`` what a jump adds to ``Q_a``; its derivatives at zero are the cumulants of ``Q`` over ``t`` and its Legendre
transform is the rate function of the currents (Touchette, Phys. Rep. 478, 1 (2009)). The derivatives are those of a
simple eigenvalue whose left vector is known: linear systems with the generator, and no differences of numbers.

Everything here is per lattice unit of time, times the ``n + 1`` spacings of the channel: currents ``J`` in ``D/L`` and
two-sided spectra ``S(0)`` over the volume of a site, as the continuum has them.

Without fields and with stirring the permutations of the types commute with the exchanges inside, so that ``mu`` of any
number of species depends on contents and counting fields through one number only,

    1 + w = (sum_a l_a exp(s_a)) (sum_b r_b exp(-s_b)) ,

the sums over all types, the vacancy with ``s_0 = 0``: ``mu = F_n(w)`` of one species (Derrida, Doucot and Roche,
J. Stat. Phys. 115, 717 (2004), where ``F_n`` tends to ``arcsinh(sqrt w)^2/(n + 1)``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import factorial

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.optimize import minimize
from scipy.sparse.linalg import splu

from pnp_exclusion.particles.lattice.process import ExchangeProcess
from pnp_exclusion.particles.lattice.small import ExactLaw, exact_law, require_eliminable

Array = NDArray[np.float64]

MOST_ORDER = 4
ROUNDING = 1e-14
"""Of the fastest rate: an eigenvalue that is known to so much."""
FLAT = 1e-9
"""A slope: where it is as small as this, a Legendre transform has its maximum."""
ACCEPTED = 1e-6
"""The same, where rounding ends the search before."""
STRONGEST = 30.0
"""Counting field: stronger ones hardly change what is typical, and soon overflow."""


@dataclass(frozen=True, eq=False)
class CountingStatistics:
    """The statistics of the currents through a small channel between reservoirs, per ``n + 1``, see above.

    ``law``: the stationary law. ``weights``: by how much a crossing of each bond counts, ``(bonds,)``, adding up to 1;
    in the long run all choices say the same.
    """

    law: ExactLaw
    weights: Array

    @property
    def species(self) -> int:
        """Number of species."""
        return self.law.process.species

    def generating_function(self, fields: ArrayLike) -> float:
        """Return ``mu(s)`` for counting fields ``(N,)``; `ValueError` for more than 10,000 configurations."""
        return self._largest(np.asarray(fields, dtype=np.float64))[0]

    def cumulants(self, direction: ArrayLike | None = None, order: int = MOST_ORDER) -> Array:
        """Return the cumulants of ``sum v_a Q_a`` over ``t``, the first ``order`` ones.

        ``direction``: ``v``, ``(N,)``; one species needs none. The first is the current, the second ``S(0)``.
        """
        along = np.ones(self.species) if direction is None else np.asarray(direction, dtype=np.float64)
        amount, count = self._amounts @ along, len(self.law.probabilities)
        operators = [self._operator(amount**k / factorial(k)) for k in range(1, order + 1)]
        laws, found = [self.law.probabilities], []
        for k in range(1, order + 1):
            moved = sum((operators[j - 1] @ laws[k - j] for j in range(1, k + 1)), np.zeros(count))
            found.append(float(moved.sum()))
            known = sum((found[j - 1] * laws[k - j] for j in range(1, k + 1)), np.zeros(count))
            laws.append(self.law.balance.solve(known - moved, 0.0))
        return np.array([factorial(k) * value for k, value in enumerate(found, 1)]) * self.law.process.lattice.scale

    @cached_property
    def covariance(self) -> Array:
        """``S_ab(0)`` of the currents, ``(N, N)``."""
        amounts, law = self._amounts.T, self.law
        first = [self._operator(amount) for amount in amounts]
        moved = [operator @ law.probabilities for operator in first]
        answers = [law.balance.solve(one.sum() * law.probabilities - one, 0.0) for one in moved]
        found = np.empty((self.species, self.species))
        for a, b in product(range(self.species), repeat=2):
            own = (self._operator(amounts[a] * amounts[b]) @ law.probabilities).sum()
            found[a, b] = own + (first[a] @ answers[b]).sum() + (first[b] @ answers[a]).sum()
        return found * law.process.lattice.scale

    def rate_function(self, currents: ArrayLike) -> tuple[float, Array]:
        """Return ``I(J) = max_s [s.J - mu(s)]`` of currents ``(N,)`` and the fields ``s`` that make them typical.

        Probabilities of currents ``J`` over a long lattice time ``t`` fall as ``exp(-I t/(n + 1))``. Raises
        `ValueError` for currents that no fields, of 30 at most, make typical.
        """
        wanted = np.asarray(currents, dtype=np.float64)
        untypical = ValueError(f"no counting fields make the currents {wanted.tolist()} typical")

        def lost(fields: Array) -> tuple[float, Array]:
            if np.abs(fields).max() > STRONGEST:
                raise untypical
            value, slope = self._largest(fields)
            return value - float(fields @ wanted), slope - wanted

        start = np.linalg.solve(self.covariance, wanted - self.law.channel_currents)
        reached = minimize(lost, np.clip(start, -2.0, 2.0), jac=True, method="BFGS", options={"gtol": FLAT})
        if not np.abs(reached.jac).max() < ACCEPTED:
            raise untypical
        return -float(reached.fun), np.asarray(reached.x)

    @cached_property
    def _amounts(self) -> Array:
        """What each jump adds to the counts, ``(jumps, N)``."""
        jumps = self.law.jumps
        crossings = np.stack([jumps.crossings(species) for species in range(1, self.species + 1)], axis=1)
        return np.asarray(crossings * self.weights[jumps.bond, None])

    def _operator(self, factors: Array) -> sparse.csr_array:
        """The jumps times factors, from column to row."""
        jumps, count = self.law.jumps, len(self.law.probabilities)
        return sparse.csr_array((jumps.rate * factors, (jumps.target, jumps.origin)), shape=(count, count))

    def _largest(self, fields: Array) -> tuple[float, Array]:
        """Return the largest eigenvalue of the weighted generator, and its gradient, ``(N,)``."""
        jumps, law = self.law.jumps, self.law
        factors = np.exp(self._amounts @ fields)
        count = len(law.probabilities)
        require_eliminable(count)
        tilted = self._operator(factors) - jumps.exits(count)
        value, left, right = _perron(tilted, law.probabilities)
        flow = left[jumps.target] * jumps.rate * factors * right[jumps.origin]
        slope = flow @ self._amounts / (left @ right)
        scale = law.process.lattice.scale
        return value * scale, slope * scale


def counting_statistics(process: ExchangeProcess, bond: int | None = None) -> CountingStatistics:
    """Return the statistics of a channel, counted at one bond from 0 at the left, or as the mean over all.

    Raises `ValueError` for a lattice without reservoirs, one that is too large for enumeration (see `exact_law`), and
    a bond that is none.
    """
    lattice = process.lattice
    if lattice.ends != "reservoirs" or lattice.width > 1:
        raise ValueError("currents are counted through a lattice of width 1 between reservoirs")
    bonds = lattice.along_bonds
    if bond is not None and not 0 <= bond < bonds:
        raise ValueError(f"bond = {bond} must be from 0 to {bonds - 1}")
    weights = np.full(bonds, 1.0 / bonds) if bond is None else np.eye(bonds)[bond]
    return CountingStatistics(exact_law(process), weights)


def _perron(matrix: sparse.csr_array, start: Array) -> tuple[float, Array, Array]:
    """Return the largest eigenvalue of a matrix without negative entries off the diagonal, with both its vectors.

    Noda's iteration (Numer. Math. 17, 382 (1971)): inverse iteration with a shift that falls to the eigenvalue,
    quadratically, and never below it, so that the vectors stay positive.
    """
    count = len(start)
    right, shift, unit = start + 1.0 / count, np.inf, sparse.eye_array(count, format="csc")
    while True:
        ratios = (matrix @ right) / right
        bound = float(ratios.max())
        if not bound < shift - ROUNDING * abs(matrix.diagonal()).max():
            break
        shift = bound
        factors = splu(sparse.csc_array(shift * unit - matrix))
        right = np.abs(factors.solve(right))
        right /= right.sum()
    left = np.ones(count)
    for _ in range(3):
        left = np.abs(factors.solve(left, trans="T"))
        left /= left.max()
    return float(left @ (matrix @ right) / (left @ right)), left, right


# ---- stirring without fields ----


def reservoir_number(process: ExchangeProcess, fields: ArrayLike) -> float:
    """Return ``w`` of counting fields ``(N,)``; `ValueError` with fields or without stirring, where there is none."""
    if not process.has_linear_averages or process.lattice.ends != "reservoirs":
        raise ValueError("the statistics depend on one number only under stirring between reservoirs without fields")
    every = np.concatenate([[0.0], np.asarray(fields, dtype=np.float64)])
    left, right = process.reservoirs
    return float((left @ np.exp(every)) * (right @ np.exp(-every)) - 1.0)


def cumulants_of_one_number(process: ExchangeProcess, direction: ArrayLike, single: Sequence[float]) -> Array:
    """Return the cumulants of ``sum v_a Q_a`` of stirred species without fields from those of one species.

    ``single``: cumulants of one species between a full and an empty reservoir, where ``w = exp(s) - 1``, at the same
    size; as many as there are, four at most.
    """
    reservoir_number(process, np.zeros(process.species))
    order = len(single)
    every = np.concatenate([[0.0], np.asarray(direction, dtype=np.float64)])
    left, right = process.reservoirs
    powers = np.arange(order + 1)
    factorials = np.array([float(factorial(k)) for k in powers])
    forth = (every[:, None] ** powers * left[:, None]).sum(axis=0) / factorials
    back = ((-every[:, None]) ** powers * right[:, None]).sum(axis=0) / factorials
    number = np.convolve(forth, back)[: order + 1]
    number[0] = 0.0
    # in one species s = log(1 + w)
    logarithm = np.zeros(order + 1)
    power = np.eye(order + 1)[0]
    for k in range(1, order + 1):
        power = np.convolve(power, number)[: order + 1]
        logarithm += (-1.0) ** (k + 1) / k * power
    found = np.zeros(order + 1)
    power = np.eye(order + 1)[0]
    for k, cumulant in enumerate(single, 1):
        power = np.convolve(power, logarithm)[: order + 1]
        found += cumulant / factorial(k) * power
    return np.asarray((found * factorials)[1:])
