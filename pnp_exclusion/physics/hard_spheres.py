"""Hard spheres without a lattice: Carnahan and Starling, and Mansoori's mixture (docs/theory.md#sizes).

With ``e_a = n_a^(1/3)`` and moments ``m_k = sum_a rho_a e_a^k``, of which ``p = m_3`` is the packing,

    f = sum_a rho_a (log rho_a - 1) + (m_2^3/p^2 - m_0) log(1 - p) + 3 m_1 m_2/(1 - p) + m_2^3/(p (1 - p)^2)

(Boublik, J. Chem. Phys. 53, 471 (1970); Mansoori, Carnahan, Starling, Leland, J. Chem. Phys. 54, 1523 (1971)), so that
``eta_a = log rho_a + sum_k f_k e_a^k`` with the derivatives ``f_k`` of the excess by the moments. Where all spheres are
alike it is that of Carnahan and Starling (J. Chem. Phys. 51, 635 (1969)).

The inverse is Newton's method, written out. Spheres that are alike need a scalar root, the packing. A mixture starts
from it: the spheres among those that would have most pressure alone, and then all logarithms of densities at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import override

import numpy as np

from pnp_exclusion.errors import LawError
from pnp_exclusion.physics.expressions import Value, exp, log, maximum
from pnp_exclusion.physics.free_energies import FreeEnergy

PACKING_STEPS = 4
"""Newton steps to the packing of spheres that are alike: 4e-14 for ``|eta|`` to 400."""
MIXTURE_STEPS = ((3.0, 6), (8.0, 8))
"""Up to a ratio of volumes, the steps from there to a mixture: 1e-12 within 100 kT, 1e-7 at worst."""
LARGEST_RATIO = MIXTURE_STEPS[-1][0]
EMPTIEST = -500.0
"""kT: the least potential that is told from others; no density of it counts beside any number."""
DOMINANCE = 4.0
"""Power of the pressures by which the species that determines the packing is chosen."""


@dataclass(frozen=True)
class HardSpheres(FreeEnergy):
    """Spheres of any sizes in empty space, or in a solvent that takes no part.

    sizes
        Volumes ``n_a``, in the order of the species, in sites: what densities count particles in.
    steps
        Newton steps to a mixture, 0 where all are alike; those of the sizes if not given.
    """

    sizes: tuple[Value, ...]
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.steps is None:
            object.__setattr__(self, "steps", _steps(self.sizes))

    @override
    def with_symbols(self, symbol: Callable[[float], Value]) -> FreeEnergy:
        return replace(self, sizes=tuple(symbol(n) for n in self.sizes))

    @property
    @override
    def numbers(self) -> Sequence[Value]:
        return self.sizes

    @override
    def densities(self, eta: Sequence[Value]) -> list[Value]:
        # where regions keep all species out, a ratio of moments would have no value
        eta = [maximum(eta_a, EMPTIEST) for eta_a in eta]
        rho = self._mixture(eta) if self.steps else self._alike(eta)
        return [1.0 - sum(n * rho_a for n, rho_a in zip(self.sizes, rho, strict=True)), *rho]

    @override
    def chemical_potentials(self, rho: Sequence[float]) -> list[float]:
        return [np.log(rho_a) + excess for rho_a, excess in zip(rho, self._excesses(self._moments(rho)), strict=True)]

    @override
    def pressure(self, eta: Sequence[Value]) -> Value:
        m0, m1, m2, p = self._moments(self.densities(eta)[1:])
        q = 1.0 - p
        return m0 / q + 3.0 * m1 * m2 / (q * q) + (3.0 - p) * m2 * m2 * m2 / (q * q * q)

    @override
    def densities_near(self, eta: Sequence[Value], same: Sequence[Value]) -> list[Value]:
        _, *rho = self.densities(same)
        steps = self._logarithmic_changes(rho, [one - other for one, other in zip(eta, same, strict=True)])
        rho = [rho_a * exp(step) for rho_a, step in zip(rho, steps, strict=True)]
        return [1.0 - sum(n * rho_a for n, rho_a in zip(self.sizes, rho, strict=True)), *rho]

    @override
    def changes(self, rho: Sequence[Value], by: Sequence[Value]) -> list[Value] | None:
        return [rho_a * change for rho_a, change in zip(rho, self._logarithmic_changes(rho, by), strict=True)]

    # ---- spheres that are alike ----

    def _alike(self, eta: Sequence[Value]) -> list[Value]:
        largest = reduce(maximum, eta)
        weights = [exp(eta_a - largest) for eta_a in eta]
        total = sum(weights[1:], weights[0])
        y = _logit_of_packing(largest + log(total) + log(self.sizes[0]))
        p = exp(y) / (1.0 + exp(y))
        return [p / self.sizes[0] * weight / total for weight in weights]

    # ---- mixtures ----

    @property
    def _diameters(self) -> list[Value]:
        return [exp(log(n) / 3.0) for n in self.sizes]

    def _moments(self, rho: Sequence[Value]) -> tuple[Value, Value, Value, Value]:
        powers = [(1.0, e, e * e, n) for e, n in zip(self._diameters, self.sizes, strict=True)]
        m0, m1, m2, p = (sum(rho_a * power[k] for rho_a, power in zip(rho, powers, strict=True)) for k in range(4))
        return m0, m1, m2, p

    def _excesses(self, moments: Sequence[Value]) -> list[Value]:
        """Return ``eta_a - log rho_a``."""
        f0, f1, f2, f3 = _derivatives(*moments)
        pairs = zip(self._diameters, self.sizes, strict=True)
        return [f0 + f1 * e + f2 * (e * e) + f3 * n for e, n in pairs]

    def _mixture(self, eta: Sequence[Value]) -> list[Value]:
        logs = self._start(eta)
        for _ in range(self.steps or 0):
            rho = [exp(x) for x in logs]
            excesses = self._excesses(self._moments(rho))
            missing = [eta_a - x - excess for eta_a, x, excess in zip(eta, logs, excesses, strict=True)]
            logs = [x + step for x, step in zip(logs, self._logarithmic_changes(rho, missing), strict=True)]
        return [exp(x) for x in logs]

    def _logarithmic_changes(self, rho: Sequence[Value], by: Sequence[Value]) -> list[Value]:
        """Return by what logarithms of densities change as ``eta`` changes."""
        bends = _second_derivatives(*self._moments(rho))
        powers = [(1.0, e, e * e, n) for e, n in zip(self._diameters, self.sizes, strict=True)]
        rows = [[sum(g * factor for g, factor in zip(row, power, strict=True)) for row in bends] for power in powers]
        matrix = [
            [
                sum(g * factor for g, factor in zip(row, power, strict=True)) * rho_b + (1.0 if a == b else 0.0)
                for b, (power, rho_b) in enumerate(zip(powers, rho, strict=True))
            ]
            for a, row in enumerate(rows)
        ]
        return _solved(matrix, list(by))

    def _start(self, eta: Sequence[Value]) -> list[Value]:
        """Return logarithms of densities in a fluid of the spheres that would have most pressure alone."""
        diameters = self._diameters
        exponents = [eta_a + log(n) for eta_a, n in zip(eta, self.sizes, strict=True)]
        alone = [_start_of_packing(exponent) for exponent in exponents]
        pressures = [
            DOMINANCE * (log(p * (1.0 + p + p * p - p * p * p) / _cube(1.0 - p)) - log(n))
            for p, n in zip(alone, self.sizes, strict=True)
        ]
        shares = _softmax(pressures)
        mean = sum(share * e for share, e in zip(shares, diameters, strict=True))
        relative = [e / mean for e in diameters]
        p = sum(share * own for share, own in zip(shares, alone, strict=True))
        y = log(p / (1.0 - p))
        for _ in range(PACKING_STEPS):
            p, q = exp(y) / (1.0 + exp(y)), 1.0 / (1.0 + exp(y))
            inside = [exponent - _in_pure(p, q, e)[0] for exponent, e in zip(exponents, relative, strict=True)]
            largest = reduce(maximum, inside)
            weights = [exp(value - largest) for value in inside]
            total = sum(weights[1:], weights[0])
            slope = sum(w * _in_pure(p, q, e)[1] for w, e in zip(weights, relative, strict=True)) / total
            y = y + (largest + log(total) - y + log(1.0 + exp(y))) / (q * (1.0 + p * slope))
        p, q = exp(y) / (1.0 + exp(y)), 1.0 / (1.0 + exp(y))
        return [eta_a - _in_pure(p, q, e)[0] for eta_a, e in zip(eta, relative, strict=True)]


def _derivatives(m0: Value, m1: Value, m2: Value, p: Value) -> tuple[Value, Value, Value, Value]:
    """Return ``f_k``, the derivatives of the excess free energy by the moments."""
    q, r = 1.0 - p, m2 / p
    free, r2 = log(q), r * r
    f0 = -free
    f1 = 3.0 * m2 / q
    f2 = 3.0 * r2 * free + 3.0 * m1 / q + 3.0 * r * m2 / (q * q)
    f3 = m0 / q - 2.0 * r2 * r * free - r2 * m2 / q + 3.0 * m1 * m2 / (q * q) + r2 * m2 * (3.0 * p - 1.0) / _cube(q)
    return f0, f1, f2, f3


def _second_derivatives(m0: Value, m1: Value, m2: Value, p: Value) -> list[list[Value]]:
    """Return those of the second order, ``(4, 4)``."""
    q, r = 1.0 - p, m2 / p
    free, r2, q2, q3 = log(q), r * r, q * q, _cube(q)
    r3, odd = r2 * r, 3.0 * p - 1.0
    f03, f12, f13 = 1.0 / q, 3.0 / q, 3.0 * m2 / q2
    f22 = 6.0 * r * (free / p + 1.0 / q2)
    f23 = 3.0 * r2 * (odd / q3 - 2.0 * free / p - 1.0 / q) + 3.0 * m1 / q2
    f33 = 6.0 * r3 * free / p + 4.0 * r3 / q + (m0 - r2 * m2) / q2 + 6.0 * m1 * m2 / q3
    f33 = f33 + (3.0 * r2 * m2 - 2.0 * r3 * odd) / q3 + 3.0 * r2 * m2 * odd / (q3 * q)
    return [[0.0, 0.0, 0.0, f03], [0.0, 0.0, f12, f13], [0.0, f12, f22, f23], [f03, f13, f23, f33]]


def _in_pure(p: Value, q: Value, e: Value) -> tuple[Value, Value]:
    """Return the excess potential of a sphere of relative diameter ``e`` in a fluid of packing ``p``, and its slope."""
    free, q2, q3 = log(q), q * q, _cube(q)
    one = 3.0 * p / q
    two = 3.0 * free + 3.0 * p / q + 3.0 * p / q2
    three = 3.0 * p * p / q2 - 2.0 * free + p * (3.0 * p - 1.0) / q3
    by_one = 3.0 / q2
    by_two = 6.0 / q2 - 3.0 / q + 6.0 * p / q3
    by_three = 2.0 / q + 6.0 * p / q2 + (6.0 * p * p + 6.0 * p - 1.0) / q3 + 3.0 * p * (3.0 * p - 1.0) / (q3 * q)
    value = e * (one + e * (two + e * three)) - free
    return value, e * (by_one + e * (by_two + e * by_three)) + 1.0 / q


def _start_of_packing(level: Value) -> Value:
    """Return the packing of spheres at ``log n sum exp(eta) = level`` to a few per cent."""
    below, above = -maximum(-level, 0.0), maximum(level, 0.0)
    thin = exp(below) / (1.0 + 6.0 * exp(0.75 * below))
    return thin + 6.0 / 7.0 * (1.0 - exp(-log(1.0 + above / 3.5) / 3.0))


def _logit_of_packing(level: Value) -> Value:
    """Return ``log(p/(1 - p))`` where ``log p`` and the excess potential of Carnahan and Starling add up to a level."""
    p = _start_of_packing(level)
    y = log(p / (1.0 - p))
    for _ in range(PACKING_STEPS):
        p, q = exp(y) / (1.0 + exp(y)), 1.0 / (1.0 + exp(y))
        q3 = _cube(q)
        excess = p * (8.0 - 9.0 * p + 3.0 * p * p) / q3
        slope = (8.0 - 2.0 * p) / (q3 * q)
        y = y - (y - log(1.0 + exp(y)) + excess - level) / (q * (1.0 + p * slope))
    return y


def _solved(matrix: list[list[Value]], right: list[Value]) -> list[Value]:
    """Return the solution of a small system, similar to a positive definite one: no pivots are needed."""
    rows, count = [[*row, value] for row, value in zip(matrix, right, strict=True)], len(right)
    for k in range(count):
        for i in range(k + 1, count):
            factor = rows[i][k] / rows[k][k]
            rows[i] = [value - factor * pivot for value, pivot in zip(rows[i], rows[k], strict=True)]
    found: list[Value] = [None] * count
    for k in reversed(range(count)):
        value = rows[k][count]
        for j in range(k + 1, count):
            value = value - rows[k][j] * found[j]
        found[k] = value / rows[k][k]
    return found


def _softmax(values: Sequence[Value]) -> list[Value]:
    largest = reduce(maximum, values)
    weights = [exp(value - largest) for value in values]
    total = sum(weights[1:], weights[0])
    return [weight / total for weight in weights]


def _cube(value: Value) -> Value:
    return value * value * value


def _steps(sizes: Sequence[Value]) -> int:
    values = [float(size) for size in sizes]
    if min(values) <= 0.0:
        raise LawError("the volumes of particles must be positive")
    if max(values) == min(values):
        return 0
    spread = max(values) / min(values)
    if spread > LARGEST_RATIO:
        raise LawError(f"the volumes of the spheres differ by a factor of {spread:.4g}; {LARGEST_RATIO:g} is the most")
    return next(steps for ratio, steps in MIXTURE_STEPS if spread <= ratio)
