"""Free energies of particles of unlike size in a solvent (docs/theory.md#sizes).

A site is the volume of a solvent molecule. A particle of ``a`` takes ``n_a`` of them, ``rho_a`` counts particles a site
and ``rho_0 = 1 - sum n_a rho_a`` is the solvent, or the vacancies. Two free energies are in use, which agree where all
``n_a = 1``; their potentials tend to ``log rho_a`` in dilution, and both are `LatticeGas` for particles of one site.

The inverse is a scalar root, ``s = log rho_0`` or the logarithm of the solvent's mole fraction ``y_0``:

    g(s) = log( e^s + sum_a w_a e^(eta_a + n_a s) ) = 0 ,

``g`` being convex and increasing. Newton's method from ``s_0 = min(0, -max_a (eta_a + log w_a)/n_a)``, where ``g`` lies
between 0 and ``log(N + 1)`` for every ``eta`` and no exponent is positive, falls to it; as many steps as make it exact
are written out, in the weak form as in numpy. The weights are normalised in the end, so that no step is needed for
densities to be positive and to leave some solvent.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import override

import numpy as np

from pnp_exclusion.errors import LawError
from pnp_exclusion.physics.expressions import Value, exp, log, maximum
from pnp_exclusion.physics.free_energies import LEAST_VACANCY, FreeEnergy

NEWTON_STEPS = ((1.0, 1), (3.0, 5), (12.0, 6), (30.0, 7), (100.0, 8))
"""Up to a ratio of sizes, the steps that leave 1e-12 of a density, for ``|eta|`` to 400."""
LARGEST_RATIO = NEWTON_STEPS[-1][0]


@dataclass(frozen=True)
class UnequalSizes(FreeEnergy):
    """What the two have in common.

    sizes
        ``n_a``, in the order of the species.
    steps
        Newton steps to the solvent; those of the sizes if not given.
    """

    sizes: tuple[Value, ...]
    steps: int = 0

    def __post_init__(self) -> None:
        if not self.steps:
            object.__setattr__(self, "steps", _steps(self.sizes))

    @override
    def with_symbols(self, symbol: Callable[[float], Value]) -> FreeEnergy:
        return replace(self, sizes=tuple(symbol(n) for n in self.sizes))

    @property
    @override
    def numbers(self) -> Sequence[Value]:
        return self.sizes

    @override
    def chemical_potentials_beside(self, rho: Mapping[int, Value], eta: Mapping[int, Value]) -> dict[int, Value]:
        packing = sum(self.sizes[a] * rho_a for a, rho_a in rho.items())
        shrunk = np.minimum(1.0, (1.0 - LEAST_VACANCY) / packing)
        return super().chemical_potentials_beside({a: rho_a * shrunk for a, rho_a in rho.items()}, eta)

    def _shares(self, eta: Sequence[Value]) -> tuple[Value, list[Value]]:
        """Return shares of what adds up to one, the solvent's first, and its logarithm, which is never lost."""
        weighted = [eta_a + self._log_weight(n) for eta_a, n in zip(eta, self.sizes, strict=True)]
        s = -reduce(maximum, [exponent / n for exponent, n in zip(weighted, self.sizes, strict=True)], 0.0)
        weights = self._weights(s, weighted)
        for _ in range(self.steps):
            total = sum(weights[1:], weights[0])
            slope = sum((n * w for n, w in zip(self.sizes, weights[1:], strict=True)), weights[0])
            s = s - log(total) * total / slope
            weights = self._weights(s, weighted)
        total = sum(weights[1:], weights[0])
        return s - log(total), [weight / total for weight in weights]

    def _weights(self, s: Value, weighted: Sequence[Value]) -> list[Value]:
        return [exp(s), *(exp(exponent + n * s) for exponent, n in zip(weighted, self.sizes, strict=True))]

    @abstractmethod
    def _log_weight(self, size: Value) -> Value:
        """Return ``log w_a``."""


@dataclass(frozen=True)
class VolumeFractions(UnequalSizes):
    """``f = sum_a rho_a (log rho_a - 1) + rho_0 (log rho_0 - 1)``, so ``eta_a = log rho_a - n_a log rho_0``.

    Borukhov, Andelman, Orland 1997; Li, Nonlinearity 22, 811 (2009); Lu, Zhou, Biophys. J. 100, 2475 (2011).
    """

    @override
    def _log_weight(self, size: Value) -> Value:
        return log(size)

    @override
    def densities(self, eta: Sequence[Value]) -> list[Value]:
        _, (solvent, *fractions) = self._shares(eta)
        return [solvent, *(fraction / n for fraction, n in zip(fractions, self.sizes, strict=True))]

    @override
    def chemical_potentials(self, rho: Sequence[float]) -> list[float]:
        solvent = 1.0 - sum(n * rho_a for n, rho_a in zip(self.sizes, rho, strict=True))
        return [np.log(rho_a) - n * np.log(solvent) for n, rho_a in zip(self.sizes, rho, strict=True)]

    @override
    def pressure(self, eta: Sequence[Value]) -> Value:
        log_solvent, (_, *fractions) = self._shares(eta)
        # rho_0 - 1 = -sum n_a rho_a
        missing = sum(fraction * (1.0 / n - 1.0) for fraction, n in zip(fractions, self.sizes, strict=True))
        return missing - log_solvent


@dataclass(frozen=True)
class MoleFractions(UnequalSizes):
    """``f = sum_a rho_a log y_a + rho_0 log y_0``, ``y`` being mole fractions, so ``eta_a = log y_a - n_a log y_0``.

    Dreyer, Guhlke, Mueller, Phys. Chem. Chem. Phys. 15, 7075 (2013); 16, 22966 (2014).
    """

    @override
    def _log_weight(self, size: Value) -> Value:
        return 0.0 * size

    @override
    def densities(self, eta: Sequence[Value]) -> list[Value]:
        _, moles = self._shares(eta)
        volume = sum((n * y for n, y in zip(self.sizes, moles[1:], strict=True)), moles[0])
        return [y / volume for y in moles]

    @override
    def chemical_potentials(self, rho: Sequence[float]) -> list[float]:
        solvent = 1.0 - sum(n * rho_a for n, rho_a in zip(self.sizes, rho, strict=True))
        total = sum(rho, solvent)
        return [np.log(rho_a / total) - n * np.log(solvent / total) for n, rho_a in zip(self.sizes, rho, strict=True)]

    @override
    def pressure(self, eta: Sequence[Value]) -> Value:
        return -self._shares(eta)[0]


def _steps(sizes: Sequence[Value]) -> int:
    values = [1.0, *(float(size) for size in sizes)]
    if min(values) <= 0.0:
        raise LawError("the volumes of particles must be positive")
    spread = max(values) / min(values)
    if spread > LARGEST_RATIO:
        raise LawError(
            f"the volumes of species and solvent differ by a factor of {spread:.4g}; {LARGEST_RATIO:g} is the most"
        )
    return next(steps for ratio, steps in NEWTON_STEPS if spread <= ratio)
