"""Currents and charges at the boundaries, from the residual of the discrete equations.

The residual of the species' equation, summed over the nodes that a boundary holds, is what must flow in there to keep
them; this is exact to the order of the solution in the energy norm squared, and the sum over all boundaries vanishes to
round-off (docs/numerics.md#currents). Differentiating the solution at the wall instead is wrong by percents.
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

from pnp_exclusion.discretisation.integration import CellwiseForm
from pnp_exclusion.discretisation.weak_form import WeakForm
from pnp_exclusion.mesh.sizes import areas, cells_at, heights

DISTINCT = 10.0
"""Times its uncertainty: what a current must be to count as one."""
ROUNDING = 4.0 * np.finfo(float).eps
"""Of the potentials: what is left of their digits in the differences between neighbouring nodes."""


@dataclass(frozen=True)
class BoundaryTotals:
    """Integrals over every boundary, by its name.

    flux
        Per species, ``int J_a . n``, positive out of the domain.
    charge
        ``int lambda^2 eps dphi/dn``: the charge that sits on the boundary; empty with imposed fields.
    rounding
        What rounding leaves of every flux: a share of what neighbouring nodes exchange there, so that a species which
        is scarce at one boundary and plenty at another has a flux of many digits at the former only.
    """

    flux: dict[str, dict[str, float]]
    charge: dict[str, float]
    rounding: dict[str, dict[str, float]]

    def through(self, species: str, first: str, second: str) -> float:
        """Return the flux of a species from one boundary to the other, averaged.

        If what enters by one leaves by the other but for rounding, the average is weighted by what that leaves of each.
        """
        of_first, of_second = (self.rounding[where][species] ** 2 for where in (first, second))
        total = of_first + of_second
        apart = abs(self.flux[first][species] + self.flux[second][species])
        share = of_first / total if total > 0.0 and apart <= DISTINCT * total**0.5 else 0.5
        return float(share * self.flux[second][species] - (1.0 - share) * self.flux[first][species])

    def net(self, species: str) -> float:
        """Return what flows out of the domain in sum, without its sign: what rounding and the last step leave."""
        return abs(sum(flux[species] for flux in self.flux.values()))

    def gross(self, species: str) -> float:
        """Return what passes the boundaries either way."""
        return sum(abs(flux[species]) for flux in self.flux.values())

    def is_rounding(self, species: str) -> bool:
        """Return whether the imbalance of a species is no more than rounding leaves at some boundary."""
        return self.net(species) <= DISTINCT * max(rounding[species] for rounding in self.rounding.values())

    def uncertainty(self, species: str) -> float:
        """Return how far the current of a species may be off: by the fluxes' imbalance, or if that is rounding at one
        boundary, by what rounding leaves at the one where it leaves least."""
        if not self.is_rounding(species):
            return self.net(species)
        held = [rounding[species] for rounding in self.rounding.values() if rounding[species] > 0.0]
        return min(held, default=0.0)

    def passes(self, species: str) -> bool:
        """Return whether there is a current of a species that can be told from its uncertainty."""
        return self.gross(species) > DISTINCT * self.uncertainty(species)


def boundary_totals(weak_form: WeakForm) -> BoundaryTotals:
    """Evaluate fluxes and charges of the solution in the unknown of a weak form; collective."""
    problem = weak_form.problem
    at_nodes = _balance(weak_form)
    flux: dict[str, dict[str, float]] = {}
    charge: dict[str, float] = {}
    rounding = {boundary.where: _rounding(weak_form, tag) for tag, boundary in enumerate(problem.boundaries)}
    for tag, boundary in enumerate(problem.boundaries):
        flux[boundary.where] = {}
        for a, name in enumerate(problem.names):
            outward = _integral(weak_form, tag, f"flux of {name}", partial(weak_form.outward_flux, tag, name))
            flux[boundary.where][name] = outward - _sum_over_claimed(weak_form, at_nodes, tag, a)
        if problem.coupled:
            natural = partial(weak_form.surface_charge, tag, weak_form.state.rho, weak_form.state.potential)
            held = _sum_over_claimed(weak_form, at_nodes, tag, weak_form.components - 1)
            charge[boundary.where] = _integral(weak_form, tag, "charge", natural) + held
    return BoundaryTotals(flux, charge, rounding)


def balance(totals: BoundaryTotals, mean_fluxes: dict[str, float]) -> float:
    """Return the largest net flux of a species out of the domain over its gross flux, what passes either way.

    A species of which nothing `passes`, or whose imbalance is rounding where it is plenty, is measured against its mean
    flux; others show 0.1 at most.
    """
    return max(
        totals.net(name) / (mean_flux if totals.is_rounding(name) or not totals.passes(name) else totals.gross(name))
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


def mean_densities(weak_form: WeakForm) -> dict[str, float]:
    """Return the mean of every density over the domain."""
    volume = weak_form.integral("volume", lambda: fem.Constant(weak_form.problem.domain.mesh, 1.0))
    return {
        name: weak_form.integral(f"mean density of {name}", partial(mul, 1.0, rho)) / volume
        for name, rho in weak_form.state.rho.items()
    }


def _rounding(weak_form: WeakForm, tag: int) -> dict[str, float]:
    """Return what rounding leaves of the flux of every species that a boundary holds; 0 for the others.

    ``int D_a rho_a |mu| eps / h`` over the boundary, ``h`` being the height of the cells there.
    """
    problem, components = weak_form.problem, weak_form.components
    nodes = weak_form.kept(f"own nodes of {tag}", lambda: weak_form.own_nodes(tag, 0))
    cells, shares = weak_form.kept(f"area over height at {tag}", lambda: _area_over_height(weak_form, tag))
    own = float(shares @ problem.diffusivity_factor.x.array[cells])
    conductance = float(problem.domain.comm.allreduce(own, op=MPI.SUM))
    values = weak_form.unknown.x.array.reshape(-1, components)[nodes]
    eta, _ = weak_form.nodal_potentials(values.ravel())
    densities = problem.law.free_energy.densities(list(eta))[1:]
    # a potential of its own size carries rounding, also where mu is nearly zero
    sizes = [1.0 + np.abs(values[:, a]) + np.abs(eta[a]) for a in range(len(problem.species))]
    most = np.array([(rho * size).max(initial=0.0) for rho, size in zip(densities, sizes, strict=True)])
    problem.domain.comm.Allreduce(MPI.IN_PLACE, most, op=MPI.MAX)
    return {
        species.name: ROUNDING * conductance * species.diffusivity * float(most[a])
        if (tag, a) in weak_form.claimed
        else 0.0
        for a, species in enumerate(problem.species)
    }


def _area_over_height(weak_form: WeakForm, tag: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the owned cells at a boundary, and for each the area of its facet there over the height of its nodes."""
    domain = weak_form.problem.domain
    facets, cells = cells_at(domain, domain.boundary_facets[weak_form.problem.boundaries[tag].where])
    return cells, weak_form.degree**2 * areas(domain, facets) / heights(domain, facets, cells)


def _balance(weak_form: WeakForm) -> np.ndarray:
    residual = la.vector(weak_form.space.dofmap.index_map, weak_form.space.dofmap.index_map_bs)
    fem.assemble_vector(residual.array, weak_form.balance_form.now)
    residual.scatter_reverse(la.InsertMode.add)
    return residual.array


def _sum_over_claimed(weak_form: WeakForm, at_nodes: np.ndarray, tag: int, component: int) -> float:
    dofs = weak_form.claimed.get((tag, component), np.empty(0, dtype=np.int32))
    owned = dofs[dofs < weak_form.space.dofmap.index_map.size_local * weak_form.components]
    return float(weak_form.problem.domain.comm.allreduce(at_nodes[owned].sum(), op=MPI.SUM))


def _integral(weak_form: WeakForm, tag: int, what: str, density: Callable[[], Any | None]) -> float:
    """Integrate over a boundary; zero where there is nothing to integrate."""

    def form() -> CellwiseForm | None:
        integrand = density()
        return None if integrand is None else weak_form.integration.form(integrand * weak_form.ds(tag))

    compiled = weak_form.kept(f"{what} at boundary {tag}", form)
    return 0.0 if compiled is None else weak_form.total(compiled)
