"""Quantities that are reported, as functionals of the state: fluxes and charges of boundaries, and amounts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import ufl
from dolfinx import la

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.integration import CellwiseForm
from pnp_exclusion.discretisation.totals import Totals, boundary_integrals


@dataclass(frozen=True)
class Functional:
    """A weighted sum of what `pnp_exclusion.discretisation.totals` and integrals over densities give.

    fluxes
        ``(boundaries, quantities)``: weights of the fluxes out of the domain.
    charges
        ``(boundaries,)``: those of the charges.
    amounts
        ``(quantities,)``: those of ``int rho_a``, with a temperature of the energy behind them.
    """

    fluxes: np.ndarray
    charges: np.ndarray
    amounts: np.ndarray

    @staticmethod
    def none(discrete: Discretisation) -> Functional:
        """Return that of no weights."""
        boundaries, quantities = len(discrete.problem.boundaries), len(discrete.problem.quantities)
        return Functional(np.zeros((boundaries, quantities)), np.zeros(boundaries), np.zeros(quantities))

    def of(self, totals: Totals) -> float:
        """Return its value, but for amounts, or its derivative, of totals or of their derivatives."""
        return float((self.fluxes * totals.fluxes).sum() + self.charges @ totals.charges)


def values(functionals: list[Functional], discrete: Discretisation) -> np.ndarray:
    """Return functionals of the state in the unknown, ``(functionals,)``; collective."""
    totals = boundary_integrals(discrete).now()
    found = np.array([one.of(totals) for one in functionals])
    weights = np.array([one.amounts for one in functionals])
    return found + weights @ amounts(discrete) if weights.any() else found


def amounts(discrete: Discretisation) -> np.ndarray:
    """Return ``int rho_a`` of all that is conserved; collective."""
    return discrete.forms.integrals("amounts of all", lambda: list(discrete.fields.contents.values()))


def amount_gradients(discrete: Discretisation) -> np.ndarray:
    """Return the derivatives of `amounts` by the owned unknowns, ``(quantities, owned)``; collective."""

    def forms() -> list[CellwiseForm]:
        contents = discrete.fields.contents.values()
        integrals = (content * discrete.integration.dx for content in contents)
        return [discrete.integration.form(ufl.derivative(one, discrete.unknown)) for one in integrals]

    dofmap = discrete.space.dofmap
    vector, found = la.vector(dofmap.index_map, dofmap.index_map_bs), []
    for form in discrete.forms.kept("derivatives of amounts", forms):
        vector.array[:] = 0.0
        form.add_to(vector.array)
        vector.scatter_reverse(la.InsertMode.add)
        found.append(vector.array[: dofmap.index_map.size_local * dofmap.index_map_bs].copy())
    return np.array(found)
