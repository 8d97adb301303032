"""What particles carry under a law with a temperature (docs/theory.md#temperature).

A temperature is one more entropic variable. Beside ``mu_a``, which is a chemical potential over kT, the unknown
``beta = 1/T`` is conjugate to one more conserved quantity, the energy; its force is ``G_energy = -grad beta``. Energies
and temperatures are in one unit, Boltzmann's constant being 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
        ``carried(a, b, beta)``: mean and variance of the energy that moves with a particle of ``a`` when it changes
        places with one of ``b`` (0: the vacancy), a potential energy left aside; both weighted with the rates.
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
