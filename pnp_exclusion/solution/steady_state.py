"""A steady state, or one of a motion, and what can be read off it, without units."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from mpi4py import MPI

import numpy as np

from pnp_exclusion.case.build import EMPTY_SHARE, Setup
from pnp_exclusion.case.region_cells import RegionCells
from pnp_exclusion.discretisation.discretisation import Discretisation, NodalValues
from pnp_exclusion.observe import currents, forces, identity, reactions, uphill
from pnp_exclusion.observe.currents import BoundaryTotals
from pnp_exclusion.observe.flux_parts import FluxParts, flux_part_densities
from pnp_exclusion.observe.integrals import Integrals, integrals_of, integrals_over
from pnp_exclusion.solver.steady import SteadyReport


@dataclass(eq=False)
class SteadyState:
    """A steady state and what can be read off it.

    After a solve that failed it is the last good state, which belongs to ``report.load_parameter`` of the driving
    forces (0: no state at all was found, and what is read off it means nothing). All values are dimensionless. Reading
    is collective over the ranks of the problem.
    """

    setup: Setup
    shared: Discretisation
    """Which other solutions may share; `discretisation` is it at this state."""
    report: SteadyReport
    stored: np.ndarray | None = None
    """What is stored per time at every owned unknown, in a state that moves; None in a steady one."""

    @property
    def has_state(self) -> bool:
        """Whether there is a state to read: the solution, or the last good state before a failure."""
        return self.report.load_parameter > 0.0

    def __post_init__(self) -> None:
        self.state = self.shared.state()
        """What the unknown held when this was made."""

    @property
    def discretisation(self) -> Discretisation:
        """The discretisation, holding the state of this solution."""
        self.shared.show(self.state)
        return self.shared

    @cached_property
    def nodal(self) -> NodalValues:
        """Potentials and densities at the nodes of this rank."""
        return self.discretisation.nodal_values()

    @cached_property
    def totals(self) -> BoundaryTotals:
        """Fluxes and charges at the boundaries."""
        return currents.boundary_totals(self.discretisation, self.nodal, self.stored)

    @property
    def found_potentials(self) -> dict[int, float]:
        """Potentials of the boundaries of which a charge or a current is given, by their numbers, from the user's zero;
        V in an SI case."""
        problem, unit = self.state.problem, self.setup.scales.potential
        found = {tag: problem.boundaries[tag].applied_potential or 0.0 for tag in problem.floating}
        return {tag: (potential + problem.potential_reference) * unit for tag, potential in found.items()}

    @cached_property
    def integrals(self) -> Integrals:
        """Integrals over the domain."""
        return integrals_of(self.discretisation)

    @cached_property
    def integrals_over_regions(self) -> dict[str, Integrals]:
        """Integrals over every region of the case."""
        case, scales, domain = self.setup.case, self.setup.scales, self.discretisation.problem.domain
        cells = RegionCells(case, scales, domain).cells
        names = (region.name for region in case.regions)
        return integrals_over(self.discretisation, dict(zip(names, cells, strict=True)))

    @property
    def mean_fluxes(self) -> dict[str, float]:
        """The flux of every species if nothing opposed its mean density."""
        return self.integrals.mean_fluxes

    @cached_property
    def resistance(self) -> np.ndarray | None:
        """``int M^-1 dx``, shape ``(N, N)``; None above one dimension, and where a species is excluded from some cell,
        through which it has no way."""
        if self.discretisation.problem.domain.dimension > 1 or self.currents is None:
            return None
        if self.discretisation.problem.excludes_any:
            return None
        return identity.mean_resistance(self.discretisation, self.nodal, list(self.currents.values()))

    @cached_property
    def one_way(self) -> dict[str, float]:
        """The flux that one kT drives of every species: through its resistances in series; above one dimension the mean
        flux, or less if it is scarcer at the ends than within."""
        if self.resistance is not None:
            return identity.one_way_fluxes(self.resistance, self.mean_fluxes)
        if self.ends is None:
            return self.mean_fluxes
        contents = {name: max(end.rho[name] for end in self.ends) for name in self.mean_fluxes}
        means = self.integrals.mean_densities
        return {
            name: mean * min(1.0, contents[name] / max(means[name], np.finfo(float).tiny))
            for name, mean in self.mean_fluxes.items()
        }

    @cached_property
    def ends(self) -> tuple[forces.End, forces.End] | None:
        """The two ends between which the species flow."""
        return forces.ends_of(self.discretisation, self.nodal)

    @cached_property
    def currents(self) -> dict[str, float] | None:
        """Flux of every species, and with a temperature of energy, from the first end to the second; None without two
        ends."""
        if self.ends is None:
            return None
        first, second = (end.name for end in self.ends)
        return {name: self.totals.through(name, first, second) for name in self.discretisation.problem.quantities}

    @cached_property
    def fluxes_along(self) -> dict[int, dict[str, float]]:
        """What flows round along every periodic axis, see `pnp_exclusion.observe.currents.fluxes_along`."""
        periodic = self.discretisation.problem.domain.periodic
        return {axis: currents.fluxes_along(self.discretisation, axis) for axis in periodic}

    @cached_property
    def forces(self) -> dict[str, float] | None:
        """``F_a`` in kT from the first end to the second, that on energy in ``1/T``; None without two ends."""
        return None if self.ends is None else forces.forces(self.ends)

    @cached_property
    def powers(self) -> dict[str, float]:
        """What every flux brings of free energy into the domain: ``J_a F_a``, or by the fluxes at either end where
        reactions make them differ; nothing without two ends."""
        if self.ends is None or self.currents is None or self.forces is None:
            return {}
        first, second = self.ends
        powers = {name: current * self.forces[name] for name, current in self.currents.items()}
        for name in self.totals.production:
            flux = self.totals.flux
            powers[name] = -flux[first.name][name] * first.mu[name] - flux[second.name][name] * second.mu[name]
        return powers

    @cached_property
    def released_free_energy(self) -> float:
        """What reactions in the volume take of it, see `pnp_exclusion.observe.reactions`."""
        return reactions.released_free_energy(self.discretisation)

    @cached_property
    def turnovers(self) -> dict[str, reactions.Turnover]:
        """What every reaction turns over."""
        return reactions.turnovers(self.discretisation)

    @property
    def has_moving_currents(self) -> bool:
        """Whether fluxes change from place to place, by reactions or by what is stored."""
        return self.stored is not None or self.reacts_in_volume

    @property
    def reacts_in_volume(self) -> bool:
        """Whether fluxes change from place to place."""
        return any(one.boundary is None for one in self.discretisation.problem.reactions)

    @cached_property
    def regimes(self) -> dict[str, str | None]:
        """Label of every species; None without two ends."""
        if self.ends is None or self.currents is None:
            return dict.fromkeys(self.discretisation.problem.quantities)
        driven = forces.driven_uphill(self.discretisation, self.ends)
        none = {
            name: max(forces.NO_CURRENT * self.one_way[name], self._left_by_absence(name))
            if self.totals.passes(name)
            else math.inf
            for name in self.mean_fluxes
        }
        return dict(forces.regimes(self.ends, self.currents, none, driven))

    @property
    def axes(self) -> int:
        """Dimension of the domain."""
        return self.discretisation.problem.domain.dimension

    @property
    def extent(self) -> float:
        """SI value of the unit of what totals over a boundary are integrals over: 1, L or L^2."""
        return self.setup.scales.length**self.discretisation.problem.boundary_dimension

    @property
    def per_extent(self) -> str:
        """That unit as totals over a boundary lack it: ``/m^2`` in one dimension."""
        return ("/m^2", "/m", "")[self.discretisation.problem.boundary_dimension]

    @property
    def has_steep_cells(self) -> bool:
        """Whether a potential is steep within some cell, on any rank; collective."""
        return bool(
            self.discretisation.problem.domain.comm.allreduce(
                bool(self.discretisation.integration.is_steep.any()), op=MPI.LOR
            )
        )

    def _left_by_absence(self, name: str) -> float:
        """Return the current of a species that is only there because unknowns cannot hold a content of exactly 0."""
        holding = self.setup.case.boundaries
        amounts = [boundary.amounts[name] for boundary in holding if name in boundary.amounts]
        if 0.0 not in amounts or self.forces is None:
            return 0.0
        if not any(amounts):
            return math.inf
        position = self.discretisation.problem.names.index(name)
        species = self.discretisation.problem.species[position]
        largest = max(amounts) / self.setup.scales.contents[position]
        return EMPTY_SHARE * largest * species.diffusivity * (1.0 + abs(self.forces[name]))

    @cached_property
    def currents_of_profile(self) -> dict[str, float] | None:
        """The currents that the master identity asks of the computed profile; None where there is no `resistance`, or
        where reactions, or a motion, make currents differ from place to place."""
        if self.resistance is None or self.forces is None or self.has_moving_currents:
            return None
        predicted = identity.predicted_currents(self.resistance, list(self.forces.values()))
        return dict(zip(self.forces, predicted.tolist(), strict=True))

    @cached_property
    def identity_residual(self) -> float | None:
        """How far the currents are from the master identity, relative; None above one dimension, with reactions in the
        volume, and in motion."""
        if self.resistance is None or self.currents is None or self.forces is None or self.has_moving_currents:
            return None
        return identity.identity_residual(self.resistance, self.currents, self.forces, self.one_way)

    @property
    def entropy_production(self) -> float:
        """Free energy dissipated per time, in kT."""
        return self.integrals.entropy_production

    @cached_property
    def flux_parts(self) -> dict[str, FluxParts]:
        """Mean flux density along the axis from end to end, split; see `pnp_exclusion.observe.flux_parts`.

        Nothing under a law with a temperature, which drives particles beside all of these.
        """
        problem = self.discretisation.problem
        if problem.law.thermal:
            return {}
        parts = self._mechanisms[:-1].T.tolist()
        return {
            name: FluxParts(diffusion, drift, total - diffusion - drift)
            for name, (diffusion, drift, total) in zip(problem.names, parts, strict=True)
        }

    @cached_property
    def _mechanisms(self) -> np.ndarray:
        """Means over the domain, ``(4, N)``: diffusion, drift and flux along the axis, and share that is uphill."""
        discrete, axis = self.discretisation, self.axis
        integrals = discrete.forms.integrals(
            f"mechanisms along {axis}",
            lambda: [*flux_part_densities(discrete, axis), *uphill.uphill_indicators(discrete)],
        )
        species = len(discrete.problem.species)
        means = integrals / self.integrals.volume
        return np.vstack([means[: 3 * species].reshape(species, 3).T, means[3 * species :]])

    @cached_property
    def is_globally_uphill(self) -> bool | None:
        """Whether all particles together run uphill, see `pnp_exclusion.observe.uphill`; None if that means nothing."""
        if self.ends is None or self.currents is None:
            return None
        none = forces.NO_CURRENT * sum(self.one_way[name] for name in self.discretisation.problem.names)
        return uphill.is_globally_uphill(self.ends, self.currents, none)

    @cached_property
    def uphill_shares(self) -> dict[str, float]:
        """Share of the domain in which every species runs uphill; see `pnp_exclusion.observe.uphill`."""
        return dict(zip(self.discretisation.problem.names, self._mechanisms[-1].tolist(), strict=True))

    @cached_property
    def axis(self) -> int:
        """The axis along which the two ends lie farthest apart; without two ends a periodic one, or 0."""
        if self.ends is None:
            return next(iter(self.discretisation.problem.domain.periodic), 0)
        names = [boundary.where for boundary in self.discretisation.problem.boundaries]
        centres = [self._centre(names.index(end.name)) for end in self.ends]
        return int(np.argmax(np.abs(centres[1] - centres[0])))

    def _centre(self, tag: int) -> np.ndarray:
        discrete = self.discretisation
        nodes = discrete.constraints.own_nodes(tag, discrete.layout.names[0])
        comm, points = discrete.problem.domain.comm, discrete.space.tabulate_dof_coordinates()[nodes]
        return comm.allreduce(points.sum(axis=0), op=MPI.SUM) / comm.allreduce(len(points), op=MPI.SUM)
