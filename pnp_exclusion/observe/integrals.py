"""Integrals of a solution over its domain or groups of cells, all in one assembly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mpi4py import MPI

import numpy as np
import ufl
from dolfinx import fem

from pnp_exclusion.discretisation.discretisation import Discretisation


@dataclass(frozen=True)
class Integrals:
    """What most readings are measured against, by species where there is one of each.

    volume
        Of the domain.
    mean_densities
        ``int rho_a dV / V``.
    mean_fluxes
        ``int D_a rho_a dV / L^2``: the flux of every species if nothing stood in the way of its mean density. Rounding
        in the currents is some 1e-15 of this, whatever the currents are, where cells are large; it grows with the
        potentials over the size of the cells. For energy it is ``int M_ee / T dV / L^2``, what flows if the temperature
        falls by its own size over the domain.
    entropy_production
        ``-int sum_a J_a . G_a``: free energy dissipated per time, never negative; equals ``sum J_a F_a``.
    """

    volume: float
    mean_densities: dict[str, float]
    mean_fluxes: dict[str, float]
    entropy_production: float


def integrals_of(discrete: Discretisation) -> Integrals:
    """Integrate over the solution in the unknown of a discretisation; collective."""
    domain = discrete.problem.domain
    totals = _over_cells(discrete).sum(axis=0)
    domain.comm.Allreduce(MPI.IN_PLACE, totals, op=MPI.SUM)
    low, high = domain.bounding_box()
    return _integrals(discrete, totals, float((high - low).max()))


def integrals_over(discrete: Discretisation, groups: Mapping[str, np.ndarray]) -> dict[str, Integrals]:
    """Integrate over groups of local cells, each by its name, as `integrals_of` does; collective."""
    domain, of_cells = discrete.problem.domain, _over_cells(discrete)
    low, high = domain.bounding_box()
    found = {}
    for name, cells in groups.items():
        totals = of_cells[cells[cells < len(of_cells)]].sum(axis=0)
        domain.comm.Allreduce(MPI.IN_PLACE, totals, op=MPI.SUM)
        found[name] = _integrals(discrete, totals, float((high - low).max()))
    return found


def _over_cells(discrete: Discretisation) -> np.ndarray:
    """Return the integrals over every cell of this rank: volume, dissipation, contents, what they could carry."""
    problem, fields = discrete.problem, discrete.fields

    def integrands() -> list[Any]:
        parameters = discrete.parameters
        mobile = [
            diffusivity * rho
            for diffusivity, rho in zip(parameters.local_diffusivities, fields.rho.values(), strict=True)
        ]
        if fields.warmth is not None:
            mobile.append(discrete.weak_form.energy_mobility() * fields.warmth.beta)
        one = fem.Constant(problem.domain.mesh, 1.0)
        return [one, entropy_production_density(discrete), *fields.contents.values(), *mobile]

    return discrete.forms.integrals_over_cells("readings", integrands)


def _integrals(discrete: Discretisation, totals: np.ndarray, length: float) -> Integrals:
    volume, entropy, *of_quantities = totals.tolist()
    amounts, mobile = np.array(of_quantities).reshape(2, -1)
    by_name = lambda values: dict(zip(discrete.problem.quantities, values.tolist(), strict=True))  # noqa: E731
    return Integrals(volume, by_name(amounts / volume), by_name(mobile / length**2), entropy)


def entropy_production_density(discrete: Discretisation) -> ufl.core.expr.Expr:
    """Return ``-sum_a J_a . G_a`` at a point, as a UFL expression."""
    fields = discrete.fields
    return sum(-ufl.inner(fields.fluxes[name], fields.forces[name]) for name in fields.fluxes)
