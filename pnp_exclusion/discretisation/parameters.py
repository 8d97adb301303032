"""The numbers of a problem as constants and functions that compiled forms hold: others compile nothing anew."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from dolfinx import fem

from pnp_exclusion.physics.laws import LEAST_MOBILITY
from pnp_exclusion.physics.problem import Problem

MATERIALS = ("permittivity", "fixed_charge")
EXCLUDED = 1e4
"""kT: stands for an infinite partition energy. Densities are then exactly zero, and no arithmetic is the worse."""


class Parameters:
    """What the forms of a problem depend on beside the unknown.

    load_parameter
        0 to 1: potentials, imposed fields, fixed charge and given fluxes are scaled by it.
    storage_rate
        ``s = 1/dt`` of the storage term; 0 in a steady state.
    reference_share
        By species, and energy, that are stored: what their reference is multiplied by.
    reference_shift
        Of every combination that reactions conserve: what its reference lacks.
    least_mobility
        `laws.LEAST_MOBILITY`, from which a solver may deviate on its way to a solution.
    debye_squared
        ``lambda^2``, likewise.
    wall_charge
        Per area, of a channel.
    charges, diffusivities
        In the order of the species.
    law
        Parameters of the law, by name.
    free_energy
        That of the law, with symbols for its numbers.
    permittivity, fixed_charge
        Functions that are constant on every cell.
    local_diffusivities
        Diffusivities times what every cell multiplies them by, in the order of the species.
    partition
        Partition energies in the order of the species, constant on every cell; None if no species has one.
    reacting_cells
        Of every reaction the function that is 1 where it happens and 0 elsewhere; None for one that happens everywhere.
    fields
        Imposed forces by species, as UFL vectors.
    """

    def __init__(self, problem: Problem) -> None:
        domain = problem.domain
        mesh = domain.mesh
        constant = lambda value: fem.Constant(mesh, float(value))  # noqa: E731
        self._domain = domain
        self.load_parameter = constant(1.0)
        self.storage_rate = constant(0.0)
        self.reference_share = {name: constant(1.0) for name in problem.quantities}
        self.reference_shift = [constant(0.0) for _ in problem.linked]
        self.least_mobility = constant(LEAST_MOBILITY)
        self.debye_squared = constant(0.0)
        self.wall_charge = constant(0.0)
        self.charges = [constant(0.0) for _ in problem.species]
        self.diffusivities = [constant(0.0) for _ in problem.species]
        self.law = {name: constant(value) for name, value in problem.law.parameters.items()}
        self.free_energy = problem.law.free_energy.with_symbols(constant)
        cellwise = lambda name: fem.Function(domain.cellwise_space, name=name)  # noqa: E731
        self.permittivity, self.fixed_charge = (cellwise(name) for name in MATERIALS)
        # one function for all species unless each has its own
        own = problem.diffusivity_factor.ndim > 1
        self._factors = [cellwise("diffusivity_factor") for _ in (problem.species if own else [None])]
        factors = self._factors if own else self._factors * len(problem.species)
        self.local_diffusivities = [d * factor for d, factor in zip(self.diffusivities, factors, strict=True)]
        self._partition = {name: cellwise(f"partition_{name}") for name in problem.partition}
        self.partition = [self._partition.get(name, 0.0) for name in problem.names] if self._partition else None
        self.reacting_cells = [
            None if reaction.cells is None else fem.Function(domain.cellwise_space, name="reacting")
            for reaction in problem.reactions
        ]
        self._coefficients = {name: field.coefficient(domain) for name, field in problem.fields.items()}
        self.fields: Mapping[str, Any] = {
            name: field.vector(self._coefficients[name], domain) for name, field in problem.fields.items()
        }
        self._terms: dict[Hashable, list[fem.Constant]] = {}
        self.take(problem)

    def take(self, problem: Problem) -> None:
        """Take the numbers of a problem that differs in nothing else, but for those of its boundaries."""
        for a, species in enumerate(problem.species):
            self.charges[a].value = species.charge
            self.diffusivities[a].value = species.diffusivity
        for name, value in problem.law.parameters.items():
            self.law[name].value = value
        for symbol, value in zip(self.free_energy.numbers, problem.law.free_energy.numbers, strict=True):
            symbol.value = value
        self.debye_squared.value = (problem.debye_length or 0.0) ** 2
        self.wall_charge.value = problem.wall_charge or 0.0
        for name in MATERIALS:
            getattr(self, name).x.array[:] = getattr(problem, name)
        for factor, values in zip(self._factors, np.atleast_2d(problem.diffusivity_factor), strict=True):
            factor.x.array[:] = values
        for name, energy in self._partition.items():
            energy.x.array[:] = np.minimum(problem.partition[name], EXCLUDED)
        for region, reaction in zip(self.reacting_cells, problem.reactions, strict=True):
            if region is not None:
                region.x.array[:] = reaction.cells
        for name, field in problem.fields.items():
            field.fill(self._coefficients[name], self._domain)

    @property
    def constants(self) -> list[fem.Constant]:
        """All constants that belong to the problem."""
        fields = [one for one in self._coefficients.values() if isinstance(one, fem.Constant)]
        terms = [constant for constants in self._terms.values() for constant in constants]
        own = [self.debye_squared, self.wall_charge, *self.charges, *self.diffusivities, *self.law.values()]
        return [*own, *self.free_energy.numbers, *fields, *terms]

    @property
    def functions(self) -> list[fem.Function]:
        """All functions that belong to the problem, of single cells."""
        fields = [one for one in self._coefficients.values() if isinstance(one, fem.Function)]
        reacting = [one for one in self.reacting_cells if one is not None]
        return [self.permittivity, self.fixed_charge, *self._factors, *self._partition.values(), *reacting, *fields]

    def of_term(self, term: Hashable) -> TermNumbers:
        """Return the numbers of one term of one boundary, from the first on.

        Writing the same term again, for a condition of the same kind with other numbers, gives the same constants their
        new values: every form that holds them follows.
        """
        return TermNumbers(self._domain.mesh, self._terms.setdefault(term, []))

    def has_term(self, term: Hashable) -> bool:
        """Return whether a term has been written, so that its numbers must follow the problem."""
        return term in self._terms


class TermNumbers:
    """The constants of one term, handed out in the order in which it asks for them."""

    def __init__(self, mesh: Any, constants: list[fem.Constant]) -> None:
        self._mesh = mesh
        self._constants = constants
        self._given = 0

    def number(self, value: float) -> fem.Constant:
        """Return the next constant, with this value."""
        if self._given == len(self._constants):
            self._constants.append(fem.Constant(self._mesh, float(value)))
        constant = self._constants[self._given]
        constant.value = np.float64(value)
        self._given += 1
        return constant
