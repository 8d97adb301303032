"""A problem in dimensionless form: everything that the weak form needs, and nothing about case files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from dolfinx import fem

from pnp_exclusion.mesh.domain import Domain
from pnp_exclusion.physics.boundaries import BoundaryCondition
from pnp_exclusion.physics.laws import Law


@dataclass(frozen=True)
class Species:
    """A kind of particle, in the units of docs/theory.md#scales.

    mean_fraction
        Mean density over the domain of a species that no boundary holds; conserved. None for the others.
    """

    name: str
    charge: float = 0.0
    diffusivity: float = 1.0
    mean_fraction: float | None = None


@dataclass(frozen=True)
class ImposedField:
    """A given force ``E_a`` on every particle of a species.

    vector
        UFL vector, kT per length.
    work
        The work it does from a fixed point (kT) at points ``(3, n)``: a potential of which it is the gradient.
    largest
        An upper bound of its size.
    coefficient
        The constant or function in ``vector`` that holds its numbers.
    """

    vector: Any
    work: Callable[[np.ndarray], np.ndarray]
    largest: float
    coefficient: fem.Constant | fem.Function

    def with_numbers(self, other: ImposedField) -> ImposedField:
        """Give the own coefficient the numbers of another field of the same kind, and return the field that is then."""
        match self.coefficient, other.coefficient:
            case fem.Constant() as own, fem.Constant() as theirs:
                own.value[...] = theirs.value
            case fem.Function() as own, fem.Function() as theirs:
                own.x.array[:] = theirs.x.array
            case _:
                raise TypeError("a uniform field and one that depends on position are not of the same kind")
        return replace(other, vector=self.vector, coefficient=self.coefficient)


@dataclass(frozen=True)
class Problem:
    """Mesh, law, species, materials and boundary conditions of one steady state.

    fields
        By species, with imposed electrostatics; a species without one feels no force.
    debye_length
        lambda of Poisson's equation (docs/theory.md#poisson); None with imposed fields.
    permittivity, diffusivity_factor, fixed_charge
        Cell-wise constant material; relative, relative, and elementary charges a site.
    potential_reference
        Added to potentials when they are reported. Held ones are given relative to it, because guesses and ramps start
        from zero and only differences matter.
    sources
        Production ``R_a`` of a species by its name, and of charge under the name "potential": UFL expressions.
    """

    domain: Domain
    law: Law
    species: Sequence[Species]
    boundaries: Sequence[BoundaryCondition]
    debye_length: float | None
    permittivity: fem.Function
    diffusivity_factor: fem.Function
    fixed_charge: fem.Function
    potential_reference: float = 0.0
    fields: Mapping[str, ImposedField] = field(default_factory=dict)
    sources: Mapping[str, Any] = field(default_factory=dict)

    @property
    def coupled(self) -> bool:
        """Whether the potential is solved for."""
        return self.debye_length is not None

    @property
    def potential_span(self) -> float:
        """Largest difference between the potentials held at the boundaries (kT/e)."""
        held = [b.held_potential for b in self.boundaries if b.held_potential is not None]
        return max(held) - min(held) if held else 0.0

    @property
    def names(self) -> list[str]:
        """Names of the species, in the order of every array over them."""
        return [species.name for species in self.species]


def cellwise_constant(domain: Domain, value: float, name: str) -> fem.Function:
    """Return a function that is constant on every cell, ``value`` to begin with."""
    function = fem.Function(domain.cellwise_space, name=name)
    function.x.array[:] = value
    return function


def simple_problem(
    domain: Domain, law: Law, species: Sequence[Species], boundaries: Sequence[BoundaryCondition], **others: Any
) -> Problem:
    """Return a `Problem` in a homogeneous medium without fixed charge, but for what ``others`` says."""
    materials = {
        "debye_length": None,
        "permittivity": cellwise_constant(domain, 1.0, "permittivity"),
        "diffusivity_factor": cellwise_constant(domain, 1.0, "diffusivity_factor"),
        "fixed_charge": cellwise_constant(domain, 0.0, "fixed_charge"),
    }
    return Problem(domain, law, species, boundaries, **(materials | others))
