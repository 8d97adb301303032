"""Uphill transport of the particles together, and from point to point (docs/theory.md#uphill)."""

from __future__ import annotations

import ufl
from dolfinx import fem

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


def uphill_shares(discrete: Discretisation) -> dict[str, float]:
    """Return the share of the domain in which every species flows towards more of itself, ``J_a . grad rho_a > 0``."""

    def share(name: str) -> float:
        def indicator() -> ufl.core.expr.Expr:
            flux, gradient = discrete.fields.fluxes[name], ufl.grad(discrete.fields.rho[name])
            least = ALIGNED * ufl.sqrt(ufl.inner(flux, flux) * ufl.inner(gradient, gradient))
            return ufl.conditional(ufl.gt(ufl.inner(flux, gradient), least), 1.0, 0.0)

        return discrete.forms.integral(f"uphill share of {name}", indicator)

    volume = discrete.forms.integral("volume", lambda: fem.Constant(discrete.problem.domain.mesh, 1.0))
    return {name: share(name) / volume for name in discrete.problem.names}
