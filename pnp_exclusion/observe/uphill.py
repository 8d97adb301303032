"""Uphill transport of the particles together, and from point to point (docs/theory.md#uphill)."""

from __future__ import annotations

import ufl

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.observe.forces import SAME, End
from pnp_exclusion.physics.energy import ENERGY

ALIGNED = 1e-6
"""Cosine of the angle between flux and gradient of a density: less is rounding."""


def is_globally_uphill(ends: tuple[End, End], currents: dict[str, float], none: float) -> bool | None:
    """Return whether the total current runs from the end with fewer particles to that with more.

    currents
        From the first end to the second.
    none
        Up to which the total current counts as none; then, and where the ends hold as many, there is nothing to say.
    """
    first, second = (sum(rho for name, rho in end.rho.items() if name != ENERGY) for end in ends)
    total = sum(current for name, current in currents.items() if name != ENERGY)
    if abs(total) <= none or abs(second - first) <= SAME * max(first, second):
        return None
    return total * (second - first) > 0.0


def uphill_indicators(discrete: Discretisation) -> list[ufl.core.expr.Expr]:
    """Return for every species 1 where it flows towards more of itself, ``J_a . grad rho_a > 0``, and 0 elsewhere, as
    UFL expressions."""
    found = []
    for name, gradient in discrete.fields.gradients.items():
        flux = discrete.fields.fluxes[name]
        least = ALIGNED * ufl.sqrt(ufl.inner(flux, flux) * ufl.inner(gradient, gradient))
        found.append(ufl.conditional(ufl.gt(ufl.inner(flux, gradient), least), 1.0, 0.0))
    return found
