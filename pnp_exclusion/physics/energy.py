"""What particles carry under a law with a temperature (docs/theory.md#temperature).

A temperature is one more entropic variable. Beside ``mu_a``, which is a chemical potential over kT, the unknown
``beta = 1/T`` is conjugate to one more conserved quantity, the energy; its force is ``G_energy = -grad beta``. Energies
and temperatures are in one unit, Boltzmann's constant being 1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pnp_exclusion.errors import LawError
from pnp_exclusion.physics.expressions import Value

ENERGY = "energy"
"""Name of the conserved quantity, beside those of the species."""


@dataclass(frozen=True)
class Energy:
    """The thermal part of a law. All functions take the parameters of the law by name.

    log_weight
        ``log z_a(beta)``, ``z_a`` the partition function of a particle within its site over that of an empty site:
        ``eta_a = mu_a + log z_a``. For an energy that is exponentially distributed ``z = 1/beta``.
    mean
        ``e_a(beta)``, the mean energy of a particle; must be ``-d log z_a/d beta`` (Maxwell).
    carried
        ``carried(a, b, beta)`` for ``a > b``: mean and variance of the energy that moves with a particle of ``a`` when
        it changes places with one of ``b`` (0: the vacancy), potential energy aside; both weighted with the rates.
    conduction
        ``conduction(rho, beta, diffusivity)``, 0 or more: what energy flows per ``grad beta`` without any particle;
        None for none.
    """

    log_weight: Callable[..., Value]
    mean: Callable[..., Value]
    carried: Callable[..., tuple[Value, Value]]
    conduction: Callable[..., Value] | None = None

    def density(self, rho: Sequence[Value], beta: Value, **parameters: Value) -> Value:
        """Return the energy a site, ``rho`` with the vacancy first."""
        return sum(rho_a * self.mean(a, beta, **parameters) for a, rho_a in enumerate(rho[1:], start=1))


@dataclass(frozen=True)
class Warmth:
    """What a flux law with a temperature must know beside densities and forces.

    beta
        Inverse temperature.
    works
        Potential energy of a particle of each species, ``z_a phi``, which moves with it; None for none.
    """

    beta: Value
    works: Sequence[Value] | None = None


STATES_OF_BETA = (0.3, 1.0, 2.5)
"""Inverse temperatures at which a law is checked."""


def require_mean_energies(name: str, energy: Energy, count: int, parameters: Mapping[str, float]) -> None:
    """Check ``e_a = -d log z_a/d beta``, and that no exchange carries energy of negative variance."""
    step = 1e-5
    for beta, a in itertools.product(STATES_OF_BETA, range(1, count + 1)):
        mean = float(energy.mean(a, beta, **parameters))
        low, high = (energy.log_weight(a, beta + shift, **parameters) for shift in (-step, step))
        if not math.isclose(mean, (low - high) / (2 * step), rel_tol=1e-6, abs_tol=1e-6):
            raise LawError(
                f'law "{name}": the mean energy of species {a} is {mean:.6g} at beta = {beta:g}, but its weights make '
                f"it {(low - high) / (2 * step):.6g} (-d log z/d beta)"
            )
        for b in range(a):
            if energy.carried(a, b, beta, **parameters)[1] < 0.0:
                raise LawError(
                    f'law "{name}": the energy that species {a} and {b} (0: the vacancies) exchange has a negative '
                    f"variance at beta = {beta:g}"
                )
