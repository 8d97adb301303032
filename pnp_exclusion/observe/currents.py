"""Currents and charges at the boundaries, from the residual of the discrete equations.

The residual of the species' equation, summed over the nodes that a boundary holds, is what must flow in there to keep
them; this is exact to the order of the solution in the energy norm squared, and the sum over all boundaries vanishes to
round-off (docs/numerics.md#currents). Differentiating the solution at the wall instead is wrong by percents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from mpi4py import MPI

import numpy as np

from pnp_exclusion.discretisation.discretisation import Discretisation, NodalValues
from pnp_exclusion.discretisation.totals import boundary_integrals
from pnp_exclusion.mesh.sizes import cells_at, heights
from pnp_exclusion.observe.reactions import NO_PRODUCTION, Production, production_of

DISTINCT = 10.0
"""Times its uncertainty: what a current must be to count as one."""
ROUNDING = 4.0 * np.finfo(float).eps
"""Of the potentials: what is left of their digits in the differences between neighbouring nodes."""


@dataclass(frozen=True)
class BoundaryTotals:
    """Integrals over every boundary, by its name.

    flux
        Per species, and with a temperature for energy, ``int J_a . n``, positive out of the domain.
    charge
        ``int lambda^2 eps dphi/dn``: the charge that sits on the boundary; empty with imposed fields.
    rounding
        What rounding leaves of every flux: a share of what neighbouring nodes exchange there, so that a species which
        is scarce at one boundary and plenty at another has a flux of many digits at the former only.
    production
        Per species, what reactions in the volume make of it; nothing for those that none changes.
    """

    flux: dict[str, dict[str, float]]
    charge: dict[str, float]
    rounding: dict[str, dict[str, float]]
    production: dict[str, Production] = field(default_factory=dict)

    def through(self, species: str, first: str, second: str) -> float:
        """Return the flux of a species from one boundary to the other, averaged by `share_of_second`."""
        share = self.share_of_second(species, first, second)
        return float(share * self.flux[second][species] - (1.0 - share) * self.flux[first][species])

    def share_of_second(self, species: str, first: str, second: str) -> float:
        """Return how much of the flux from one boundary to the other is what leaves by the second.

        If what enters by one leaves by the other but for rounding, the average is weighted by what that leaves of each.
        """
        of_first, of_second = (self.rounding[where][species] ** 2 for where in (first, second))
        total = of_first + of_second
        apart = abs(self.flux[first][species] + self.flux[second][species])
        return of_first / total if total > 0.0 and apart <= DISTINCT * total**0.5 else 0.5

    def net(self, species: str) -> float:
        """Return what flows out of the domain and is not made in it, without its sign: what rounding and the last step
        leave."""
        made = self.production.get(species, NO_PRODUCTION).net
        return abs(sum(flux[species] for flux in self.flux.values()) - made)

    def gross(self, species: str) -> float:
        """Return what passes the boundaries, and is made and taken by reactions, either way."""
        turned_over = self.production.get(species, NO_PRODUCTION).gross
        return sum(abs(flux[species]) for flux in self.flux.values()) + turned_over

    def is_rounding(self, species: str) -> bool:
        """Return whether the imbalance of a species is no more than rounding leaves at some boundary, or of what
        reactions turn over."""
        left = max((rounding[species] for rounding in self.rounding.values()), default=0.0)
        return self.net(species) <= DISTINCT * max(left, self._rounding_of_production(species))

    def _rounding_of_production(self, species: str) -> float:
        return float(ROUNDING * self.production.get(species, NO_PRODUCTION).one_way)

    def uncertainty(self, species: str) -> float:
        """Return how far the current of a species may be off: by the fluxes' imbalance, or if that is rounding at one
        boundary, by what rounding leaves at the one where it leaves least, and of what reactions turn over."""
        if not self.is_rounding(species):
            return self.net(species)
        held = [rounding[species] for rounding in self.rounding.values() if rounding[species] > 0.0]
        return max(min(held, default=0.0), self._rounding_of_production(species))

    def passes(self, species: str) -> bool:
        """Return whether there is a current of a species that can be told from its uncertainty."""
        return self.gross(species) > DISTINCT * self.uncertainty(species)


def boundary_totals(discrete: Discretisation, nodal: NodalValues, stored: np.ndarray | None = None) -> BoundaryTotals:
    """Evaluate fluxes and charges of the solution in the unknown of a discretisation; collective.

    nodal
        Of the same solution.
    stored
        What is stored per time at every owned unknown; None in a steady state.
    """
    problem = discrete.problem
    totals = boundary_integrals(discrete).now(stored)
    wheres = [boundary.where for boundary in problem.boundaries]
    flux = {
        where: dict(zip(problem.quantities, of_boundary.tolist(), strict=True))
        for where, of_boundary in zip(wheres, totals.fluxes, strict=True)
    }
    charge = dict(zip(wheres, totals.charges.tolist(), strict=True)) if problem.coupled else {}
    return BoundaryTotals(flux, charge, _rounding(discrete, nodal), production_of(discrete))


def fluxes_along(discrete: Discretisation, axis: int) -> dict[str, float]:
    """Return the flux of every species, and with a temperature of energy, through a section across an axis, the mean
    over all sections; collective. Along a periodic axis that is what flows round.
    """
    problem, fluxes = discrete.problem, discrete.fields.fluxes
    low, high = problem.domain.bounding_box()
    integrals = discrete.forms.integrals(f"fluxes along {axis}", lambda: [flux[axis] for flux in fluxes.values()])
    return dict(zip(problem.quantities, (integrals / (high - low)[axis]).tolist(), strict=True))


def balance(totals: BoundaryTotals, mean_fluxes: dict[str, float]) -> float:
    """Return the largest net flux of a species out of the domain over its gross flux, what passes either way.

    A species of which nothing `passes`, or whose imbalance is rounding where it is plenty, is measured against its mean
    flux; others show 0.1 at most.
    """
    return max(
        totals.net(name) / (mean_flux if totals.is_rounding(name) or not totals.passes(name) else totals.gross(name))
        for name, mean_flux in mean_fluxes.items()
    )


def _rounding(discrete: Discretisation, nodal: NodalValues) -> dict[str, dict[str, float]]:
    """Return what rounding leaves of the flux of every species, by boundaries; 0 where they do not hold it.

    ``int D_a rho_a |mu| eps / h`` over the boundary, ``h`` being the height of the cells there.
    """
    problem, tags = discrete.problem, range(len(discrete.problem.boundaries))
    conductances, most = (np.zeros((len(tags), len(problem.quantities))) for _ in range(2))
    # a potential of its own size carries rounding, also where mu is nearly zero
    sizes = 1.0 + np.abs(nodal.mu) + np.abs(nodal.eta)
    weighted, warmth = nodal.rho * sizes, discrete.warmth(discrete.values)
    if warmth is not None:
        densities = problem.law.free_energy.densities(list(nodal.eta))
        mobility = problem.law.mobility(densities, [1.0] * len(problem.species), warmth)
        weighted = np.vstack([weighted, mobility[:, -1, -1] * warmth.beta * sizes.max(axis=0)])
    for tag in tags:
        cells, shares = discrete.forms.kept(f"area over height at {tag}", partial(_area_over_height, discrete, tag))
        of_species = problem.diffusivity_factors[:, cells] @ shares
        conductances[tag, : len(of_species)], conductances[tag, len(of_species) :] = of_species, of_species.max()
        own = discrete.constraints.own_nodes(tag, discrete.layout.names[0])
        most[tag] = weighted[:, own].max(axis=1, initial=0.0)
    problem.domain.comm.Allreduce(MPI.IN_PLACE, conductances, op=MPI.SUM)
    problem.domain.comm.Allreduce(MPI.IN_PLACE, most, op=MPI.MAX)
    claimed = discrete.constraints.claimed
    diffusivities = {species.name: species.diffusivity for species in problem.species}
    return {
        boundary.where: {
            name: ROUNDING * float(conductances[tag, a] * most[tag, a]) * diffusivities.get(name, 1.0)
            if (tag, discrete.entropic[a]) in claimed
            else 0.0
            for a, name in enumerate(problem.quantities)
        }
        for tag, boundary in enumerate(problem.boundaries)
    }


def _area_over_height(discrete: Discretisation, tag: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the owned cells at a boundary, and for each the area of its facet there over the height of its nodes."""
    domain = discrete.problem.domain
    facets, cells = cells_at(domain, domain.boundary_facets[discrete.problem.boundaries[tag].where])
    return cells, discrete.degree**2 * discrete.problem.facet_areas(facets) / heights(domain, facets, cells)
