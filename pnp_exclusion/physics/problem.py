"""A problem in dimensionless form: everything that the weak form needs, and nothing about case files.

Plain numbers and arrays: `pnp_exclusion.discretisation` makes constants and functions of them, so that many problems
which differ in numbers only share one discrete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from dolfinx import mesh as dmesh

from pnp_exclusion.mesh.domain import Domain
from pnp_exclusion.mesh.sizes import areas
from pnp_exclusion.physics.boundaries import BoundaryCondition
from pnp_exclusion.physics.cross_sections import CrossSection
from pnp_exclusion.physics.energy import ENERGY
from pnp_exclusion.physics.imposed_fields import ImposedField
from pnp_exclusion.physics.laws import Law


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
        ``(cells,)`` of this rank, ghosts included: relative, relative, and elementary charges a site.
    potential_reference
        Added to potentials when they are reported. Held ones are given relative to it, because guesses and ramps start
        from zero and only differences matter.
    sources
        Production ``R_a`` of a species by its name, and of charge under the name "potential": UFL expressions.
    sheets
        Charged surfaces inside the domain.
    cross_section
        What stands on every point of the domain, the weight of every integral over cells and boundaries; None for 1.
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
    cross_section: CrossSection | None = None

    @property
    def boundary_dimension(self) -> int:
        """Dimension of what totals over a boundary are integrals over: the power of L that is in them."""
        own = 0 if self.cross_section is None else self.cross_section.dimension
        return self.domain.dimension - 1 + own

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

    @property
    def charges(self) -> np.ndarray:
        """Valences ``(N,)``."""
        return np.array([species.charge for species in self.species])

    @property
    def largest_charge(self) -> float:
        """Largest charge of a site that is full of one species; 0 without charges."""
        return max((abs(species.charge) / species.volume for species in self.species), default=0.0)

    def packing(self, rho: Sequence[Any] | np.ndarray) -> Any:
        """Return the fraction of space that densities in the order of the species occupy."""
        return sum((species.volume * density for species, density in zip(self.species, rho, strict=True)), start=0.0)

    @property
    def conserved(self) -> list[str]:
        """Species that no boundary holds or exchanges, whose amounts are conserved."""
        return [name for name in self.names if not any(b.supplies(name) for b in self.boundaries)]

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
