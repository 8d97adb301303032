"""A problem in dimensionless form: everything that the weak form needs, and nothing about case files.

Plain numbers and arrays: `pnp_exclusion.discretisation` makes constants and functions of them, so that many problems
which differ in numbers only share one discrete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from mpi4py import MPI

import numpy as np
from dolfinx import mesh as dmesh

from pnp_exclusion.mesh.domain import Domain
from pnp_exclusion.mesh.sizes import areas
from pnp_exclusion.physics.boundaries import BoundaryCondition
from pnp_exclusion.physics.cross_sections import CrossSection
from pnp_exclusion.physics.energy import ENERGY
from pnp_exclusion.physics.imposed_fields import ImposedField
from pnp_exclusion.physics.laws import Law
from pnp_exclusion.physics.reactions import Reaction
from pnp_exclusion.physics.stoichiometry import conserved_combinations


@dataclass(frozen=True)
class Species:
    """A kind of particle, dimensionless (docs/theory.md#scales).

    charge
        Valence.
    diffusivity
        In the largest one.
    mean_fraction
        Mean density over the domain of a species that no boundary supplies; conserved. None for the others.
    volume
        How many sites a particle fills: ``rho`` counts particles, ``volume * rho`` is the fraction that they occupy.
    """

    name: str
    charge: float = 0.0
    diffusivity: float = 1.0
    mean_fraction: float | None = None
    volume: float = 1.0


@dataclass(frozen=True)
class ChargedSheet:
    """A charge on a surface inside the domain.

    sides
        ``(n, 2)``: cells of this rank on one side of it, and the number of the facet that is on it in each.
    charge
        Per area, ``-lambda^2 [eps dphi/dn]``.
    """

    sides: np.ndarray
    charge: float


@dataclass(frozen=True)
class Problem:
    """Mesh, law, species, materials and boundary conditions of one steady state.

    fields
        By species, with imposed electrostatics; a species without one feels no force.
    debye_length
        ``lambda``, with ``lambda^2 = eps kT v / (e^2 L^2)``; None with imposed fields.
    permittivity, diffusivity_factor, fixed_charge
        ``(cells,)`` of this rank, ghosts included: relative, relative, and elementary charges a site. The factor may
        also be ``(N, cells)``, one for each species.
    partition
        By species, ``(cells,)``: its partition energy in kT, above that in the medium in which potentials are given;
        infinite where there can be none of it. A species without one feels none.
    potential_reference
        Added to potentials when they are reported. Held ones are given relative to it, because guesses and ramps start
        from zero and only differences matter.
    sources
        Production ``R_a`` of a species by its name, and of charge under the name "potential": UFL expressions.
    sheets
        Charged surfaces inside the domain.
    reactions
        In the volume and at boundaries.
    cross_section
        What stands on every point of the domain, the weight of every integral over cells and boundaries; None for 1.
    wall_charge
        Per area, on the wall that a cross-section has; None for none.
    """

    domain: Domain
    law: Law
    species: Sequence[Species]
    boundaries: Sequence[BoundaryCondition]
    debye_length: float | None
    permittivity: np.ndarray
    diffusivity_factor: np.ndarray
    fixed_charge: np.ndarray
    potential_reference: float = 0.0
    fields: Mapping[str, ImposedField] = field(default_factory=dict)
    sources: Mapping[str, Any] = field(default_factory=dict)
    sheets: Sequence[ChargedSheet] = ()
    reactions: Sequence[Reaction] = ()
    cross_section: CrossSection | None = None
    wall_charge: float | None = None
    partition: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def boundary_dimension(self) -> int:
        """Dimension of what totals over a boundary are integrals over: the power of L that is in them."""
        own = 0 if self.cross_section is None else self.cross_section.dimension
        return self.domain.dimension - 1 + own

    @property
    def immobile_charge(self) -> np.ndarray:
        """``(cells,)``: the fixed charge, and with it that of a channel's wall over its section."""
        if self.cross_section is None or not self.wall_charge:
            return self.fixed_charge
        return self.fixed_charge + self.wall_charge * self.cross_section.wall_at(self.domain.cell_midpoints())

    @property
    def coupled(self) -> bool:
        """Whether the potential is solved for."""
        return self.debye_length is not None

    @property
    def names(self) -> list[str]:
        """Names of the species, in the order of every array over them."""
        return [species.name for species in self.species]

    @property
    def quantities(self) -> list[str]:
        """Names of what is conserved and flows: the species, and with a temperature energy behind them."""
        return [*self.names, ENERGY] if self.law.thermal else self.names

    def excludes(self, species: str) -> np.ndarray:
        """Return in which cells ``(cells,)`` there can be none of a species."""
        if species not in self.partition:
            return np.zeros(self.domain.local_cells, dtype=bool)
        return np.isposinf(self.partition[species])

    @property
    def is_ion_free(self) -> np.ndarray:
        """In which cells ``(cells,)`` there is nothing charged that moves, all of it being excluded."""
        kept_out = [self.excludes(species.name) for species in self.species if species.charge != 0.0]
        return np.logical_and.reduce(kept_out) if kept_out else np.zeros(self.domain.local_cells, dtype=bool)

    @cached_property
    def excludes_any(self) -> bool:
        """Whether there is a cell, on any rank, where there can be none of some species; collective."""
        return bool(
            self.domain.comm.allreduce(any(self.excludes(name).any() for name in self.partition), op=MPI.LOR)
            if self.partition
            else False
        )

    @property
    def diffusivity_factors(self) -> np.ndarray:
        """That of every species, ``(N, cells)``."""
        return np.broadcast_to(self.diffusivity_factor, (len(self.species), self.domain.local_cells))

    @property
    def charges(self) -> np.ndarray:
        """Valences ``(N,)``."""
        return np.array([species.charge for species in self.species])

    def densest_charge(self, sign: float) -> float:
        """Return the largest charge of one sign of a site that is full of one species, without its sign; 0 if none has
        it."""
        return max([0.0, *(sign * species.charge / species.volume for species in self.species)])

    def packing(self, rho: Sequence[Any] | np.ndarray) -> Any:
        """Return the fraction of space that densities in the order of the species occupy."""
        return sum((species.volume * density for species, density in zip(self.species, rho, strict=True)), start=0.0)

    @property
    def conserved(self) -> list[str]:
        """Species that no boundary holds or exchanges, and no reaction changes, whose amounts are conserved."""
        return [name for name in self._closed if not any(reaction.change(name) for reaction in self.reactions)]

    @property
    def linked(self) -> list[Mapping[str, float]]:
        """Combinations of species whose amounts are conserved together, because reactions turn them into each other.

        By the coefficients of their species; the first one of each is in no other.
        """
        return conserved_combinations(self._closed, [reaction.change for reaction in self.reactions])

    @property
    def combinations(self) -> list[Mapping[str, float]]:
        """All combinations whose amounts are conserved: single species, and linked ones."""
        return [*({name: 1.0} for name in self.conserved), *self.linked]

    @property
    def _closed(self) -> list[str]:
        return [name for name in self.names if not any(b.supplies(name) for b in self.boundaries)]

    @property
    def is_adrift(self) -> bool:
        """Whether nothing ties the potential to a value, so that it is determined up to a constant only."""
        return self.coupled and all(boundary.applied_potential is None for boundary in self.boundaries)

    @property
    def floating(self) -> list[int]:
        """Numbers of the boundaries whose potentials are found."""
        return [tag for tag, boundary in enumerate(self.boundaries) if boundary.given_total is not None]

    def at_potentials(self, potentials: Sequence[float]) -> Problem:
        """Return the problem with the boundaries of `floating` at other potentials (kT/e)."""
        changed = list(self.boundaries)
        for tag, potential in zip(self.floating, potentials, strict=True):
            changed[tag] = replace(changed[tag], potential=float(potential))  # type: ignore[call-arg]
        return replace(self, boundaries=changed)

    def mean_of(self, combination: Mapping[str, float]) -> float:
        """Return the mean of a combination over the domain that is conserved."""
        means = {species.name: species.mean_fraction or 0.0 for species in self.species}
        return sum(factor * means[name] for name, factor in combination.items())

    def facet_areas(self, facets: np.ndarray) -> np.ndarray:
        """Return the area of facets, times what stands on their middles."""
        own = areas(self.domain, facets)
        if self.cross_section is None:
            return own
        middles = dmesh.compute_midpoints(self.domain.mesh, self.domain.dimension - 1, facets.astype(np.int32))
        return own * self.cross_section.at(middles)

    def charge_density(self, rho: Sequence[Any], fixed_charge: Any) -> Any:
        """Return ``sum_a z_a rho_a + q`` for densities in the order of the species."""
        pairs = zip(self.species, rho, strict=True)
        return sum((species.charge * density for species, density in pairs), start=fixed_charge)


def simple_problem(
    domain: Domain, law: Law, species: Sequence[Species], boundaries: Sequence[BoundaryCondition], **others: Any
) -> Problem:
    """Return a `Problem` in a homogeneous medium without fixed charge, but for what ``others`` says."""
    cells = domain.local_cells
    materials = {
        "debye_length": None,
        "permittivity": np.ones(cells),
        "diffusivity_factor": np.ones(cells),
        "fixed_charge": np.zeros(cells),
    }
    return Problem(domain, law, species, boundaries, **(materials | others))
