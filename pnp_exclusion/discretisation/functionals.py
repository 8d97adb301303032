"""What is reported, as functionals of the state: sums of fluxes and charges of boundaries, and integrals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import ufl
from dolfinx import la
from numpy.typing import NDArray

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.integration import CellwiseForm
from pnp_exclusion.discretisation.totals import Totals, boundary_integrals

type Real = NDArray[np.float64]


@dataclass(frozen=True)
class Integral:
    """An integral over a state.

    name
        Under which a discretisation keeps it.
    form
        Of a discretisation: a UFL form without arguments.
    """

    name: str
    form: Callable[[Discretisation], ufl.Form] = field(repr=False)

    def of(self, discrete: Discretisation) -> float:
        """Return its value for the state in the unknown of a discretisation; collective."""
        return discrete.forms.total(self._compiled(discrete, is_slope=False))

    def slope(self, discrete: Discretisation) -> Real:
        """Return its derivative by the owned unknowns; collective."""
        dofmap = discrete.space.dofmap
        vector = la.vector(dofmap.index_map, dofmap.index_map_bs)
        self._compiled(discrete, is_slope=True).add_to(vector.array)
        vector.scatter_reverse(la.InsertMode.add)
        return np.array(vector.array[: dofmap.index_map.size_local * dofmap.index_map_bs])

    def _compiled(self, discrete: Discretisation, is_slope: bool) -> CellwiseForm:
        def make() -> CellwiseForm:
            form = self.form(discrete)
            return discrete.integration.form(ufl.derivative(form, discrete.unknown) if is_slope else form)

        kept: CellwiseForm = discrete.forms.kept(f"{'slope of ' if is_slope else ''}integral {self.name}", make)
        return kept


@dataclass(frozen=True)
class Functional:
    """A weighted sum of `Totals` and of an integral.

    fluxes, charges
        Weights of what these have; None for none.
    integral, factor
        None, or an integral and its weight.
    """

    fluxes: Real | None = None
    charges: Real | None = None
    integral: Integral | None = None
    factor: float = 0.0

    def of(self, totals: Totals) -> float:
        """Return its value but for the integral, or its derivative, of totals or of their derivatives."""
        found = 0.0 if self.fluxes is None else float((self.fluxes * totals.fluxes).sum())
        return found if self.charges is None else found + float(self.charges @ totals.charges)

    def value(self, totals: Totals, discrete: Discretisation) -> float:
        """Return its value for totals of the state in the unknown; collective if it has an integral."""
        found = self.of(totals)
        return found + self.factor * self.integral.of(discrete) if self.integral and self.factor else found


def values(functionals: Sequence[Functional], discrete: Discretisation) -> Real:
    """Return functionals of the state in the unknown of a discretisation, ``(functionals,)``; collective."""
    totals = boundary_integrals(discrete).now()
    return np.array([one.value(totals, discrete) for one in functionals])


def gradients(functionals: Sequence[Functional], discrete: Discretisation) -> tuple[Real, Real]:
    """Return of functionals which rows of the balance they add up, and their derivatives by the unknown but for those.

    ``(functionals, owned)`` both; collective.
    """
    integrals, problem = boundary_integrals(discrete), discrete.problem
    shape = len(problem.boundaries), len(problem.quantities)
    rows, slopes = [], []
    for one in functionals:
        fluxes = np.zeros(shape) if one.fluxes is None else one.fluxes
        charges = np.zeros(shape[0]) if one.charges is None else one.charges
        own, slope = integrals.slopes(fluxes, charges)
        rows.append(own)
        slopes.append(slope + one.factor * one.integral.slope(discrete) if one.integral and one.factor else slope)
    return np.array(rows), np.array(slopes)
