"""Currents and charges at the boundaries, from the residual of the discrete equations.

The residual of the species' equation, summed over the nodes that a boundary holds, is what must flow in there to keep
them; this is exact to the order of the solution in the energy norm squared, and the sum over all boundaries vanishes to
round-off (PHYSICS, section 5). Differentiating the solution at the wall instead is wrong by percents.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import mul
from typing import Any

from mpi4py import MPI

import numpy as np
from dolfinx import fem, la

from pnp_exclusion.compilation import compiled_form
from pnp_exclusion.weakform import WeakForm

NO_CURRENT = 1e-12
"""Of the mean flux: what rounding leaves of a current that is zero."""
DISTINCT = 10.0
"""Times its own imbalance: what a current must be to count as one."""


@dataclass(frozen=True)
class BoundaryTotals:
    """Integrals over every boundary, by its name.

    flux
        Per species, ``int J_a . n``, positive out of the domain.
    charge
        ``int lambda^2 eps dphi/dn``: the charge that sits on the boundary; empty with imposed fields.
    """

    flux: dict[str, dict[str, float]]
    charge: dict[str, float]

    def through(self, species: str, first: str, second: str) -> float:
        """Return the flux of a species from one boundary to the other, averaged over both."""
        return 0.5 * (self.flux[second][species] - self.flux[first][species])

    def net(self, species: str) -> float:
        """Return what flows out of the domain in sum, without its sign: what rounding and the last step leave."""
        return abs(sum(flux[species] for flux in self.flux.values()))

    def gross(self, species: str) -> float:
        """Return what passes the boundaries either way."""
        return sum(abs(flux[species]) for flux in self.flux.values())

    def passes(self, species: str, mean_flux: float) -> bool:
        """Return whether there is a current that can be told from its own imbalance; ``mean_flux``: `mean_fluxes`."""
        return self.gross(species) > max(NO_CURRENT * mean_flux, DISTINCT * self.net(species))


def boundary_totals(weak_form: WeakForm) -> BoundaryTotals:
    """Evaluate fluxes and charges of the solution in the unknown of a weak form; collective."""
    problem = weak_form.problem
    at_nodes = _balance(weak_form)
    flux: dict[str, dict[str, float]] = {}
    charge: dict[str, float] = {}
    for tag, boundary in enumerate(problem.boundaries):
        flux[boundary.where] = {}
        for a, name in enumerate(problem.names):
            outward = _integral(weak_form, tag, f"flux of {name}", partial(weak_form.outward_flux, tag, name))
            flux[boundary.where][name] = outward - _sum_over_claimed(weak_form, at_nodes, tag, a)
        if problem.coupled:
            natural = partial(weak_form.surface_charge, tag, weak_form.state.rho, weak_form.state.potential)
            held = _sum_over_claimed(weak_form, at_nodes, tag, weak_form.components - 1)
            charge[boundary.where] = _integral(weak_form, tag, "charge", natural) + held
    return BoundaryTotals(flux, charge)


def balance(totals: BoundaryTotals, mean_fluxes: dict[str, float]) -> float:
    """Return the largest net flux of a species out of the domain over its gross flux, what passes either way.

    A species of which nothing `passes` is measured against its mean flux; others show 0.1 at most.
    """
    return max(
        totals.net(name) / (totals.gross(name) if totals.passes(name, mean_flux) else mean_flux)
        for name, mean_flux in mean_fluxes.items()
    )


def mean_fluxes(weak_form: WeakForm) -> dict[str, float]:
    """Return ``int D_a rho_a dV / L^2``: the flux of every species if nothing stood in the way of its mean density.

    Rounding in the currents is some 1e-15 of this, whatever the currents are, where cells are large; it grows with the
    potentials over the size of the cells.
    """
    problem = weak_form.problem
    low, high = problem.domain.bounding_box()
    extent = float((high - low).max())
    means = {}
    for name, diffusivity in zip(problem.names, weak_form.diffusivities, strict=True):
        density = partial(mul, diffusivity * problem.diffusivity_factor, weak_form.state.rho[name])
        means[name] = weak_form.integral(f"mean flux of {name}", density) / extent**2
    return means


def _balance(weak_form: WeakForm) -> np.ndarray:
    residual = la.vector(weak_form.space.dofmap.index_map, weak_form.space.dofmap.index_map_bs)
    fem.assemble_vector(residual.array, weak_form.balance_form)
    residual.scatter_reverse(la.InsertMode.add)
    return residual.array


def _sum_over_claimed(weak_form: WeakForm, at_nodes: np.ndarray, tag: int, component: int) -> float:
    dofs = weak_form.claimed.get((tag, component), np.empty(0, dtype=np.int32))
    owned = dofs[dofs < weak_form.space.dofmap.index_map.size_local * weak_form.components]
    return float(weak_form.problem.domain.comm.allreduce(at_nodes[owned].sum(), op=MPI.SUM))


def _integral(weak_form: WeakForm, tag: int, what: str, density: Callable[[], Any | None]) -> float:
    """Integrate over a boundary; zero where there is nothing to integrate."""

    def form() -> fem.Form | None:
        integrand = density()
        return None if integrand is None else compiled_form(integrand * weak_form.ds(tag))

    compiled = weak_form.kept(f"{what} at boundary {tag}", form)
    return 0.0 if compiled is None else weak_form.total(compiled)
