"""Dirichlet values of boundaries: at which nodes, of which unknown, and what they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from dolfinx import fem

from pnp_exclusion.discretisation.around_nodes import surrounded
from pnp_exclusion.discretisation.layout import (
    INVERSE_TEMPERATURE,
    POTENTIAL,
    Layout,
    electrochemical_potential,
)
from pnp_exclusion.discretisation.weak_form import weakly_imposed
from pnp_exclusion.physics.boundaries import BoundaryCondition
from pnp_exclusion.physics.problem import Problem

NOWHERE = -1
"""In place of the number of a boundary: at a single node, where the potential of a problem that is adrift is zero."""


@dataclass(frozen=True)
class DirichletValue:
    """Nodes of a boundary at which one unknown is given, and the constant that gives it."""

    tag: int
    """Number of the boundary in the problem, or `NOWHERE`."""
    name: str
    """Of the unknown."""
    dofs: np.ndarray
    condition: fem.DirichletBC
    constant: fem.Constant


class Constraints:
    """The essential conditions of a problem on a blocked space.

    claimed
        By number of the boundary and name of the unknown: which it holds there, weakly or not, as numbers of unknowns,
        owned and ghost. One shared by two boundaries belongs to the first, so that nothing is counted twice.
    values
        Those that constants give.
    absent
        By unknown ``mu_a`` of every species that is excluded anywhere: those at nodes around which there can be none of
        it. They stand in no equation, and are held at 0.
    absences
        The conditions that hold them.
    """

    def __init__(self, problem: Problem, layout: Layout, space: fem.FunctionSpace) -> None:
        self._domain = problem.domain
        self._layout = layout
        self._space = space
        self._wheres = [boundary.where for boundary in problem.boundaries]
        self._nodes: dict[str, np.ndarray] = {}
        self._own: dict[tuple[int, str], np.ndarray] = {}
        self.absent = self._absent(problem)
        self.claimed = self._claim(problem)
        self.values = list(self._values(problem))
        zero = fem.Constant(problem.domain.mesh, 0.0)
        self.absences = [fem.dirichletbc(zero, dofs, self._part(name)) for name, dofs in self.absent.items()]

    @property
    def conditions(self) -> list[fem.DirichletBC]:
        """The essential conditions, for assembly."""
        return [*(value.condition for value in self.values), *self.absences]

    @property
    def dofs(self) -> np.ndarray:
        """The unknowns that they hold, owned and ghost."""
        held = [*(value.dofs for value in self.values), *self.absent.values(), np.empty(0, dtype=np.int32)]
        return np.unique(np.concatenate(held)).astype(np.int32)

    def values_of(self, name: str) -> list[DirichletValue]:
        """Return those of one unknown."""
        return [value for value in self.values if value.name == name]

    def write(self, problem: Problem, load_parameter: float) -> None:
        """Give the constants the values of a problem at a load parameter."""
        given = [_given(problem, boundary, load_parameter) for boundary in problem.boundaries]
        for value in self.values:
            if value.tag != NOWHERE:
                value.constant.value = given[value.tag][value.name]

    def by_potential(self, problem: Problem, tag: int) -> list[tuple[np.ndarray, float]]:
        """Return the held unknowns that follow the potential of a boundary, and by how much each."""
        boundary = replace(problem.boundaries[tag], given_total=None)
        raised = replace(boundary, potential=(boundary.dirichlet_potential or 0.0) + 1.0)  # type: ignore[call-arg]
        low, high = (_given(problem, one, 1.0) for one in (boundary, raised))
        return [(value.dofs, high[value.name] - low[value.name]) for value in self.values if value.tag == tag]

    def impose(self, values: np.ndarray) -> None:
        """Write the Dirichlet values into the array of a function of the space."""
        for value in self.values:
            values[value.dofs] = value.constant.value
        for dofs in self.absent.values():
            values[dofs] = 0.0

    def nodes_on(self, where: str) -> np.ndarray:
        """Return the local nodes (owned and ghost) on a boundary; collective the first time."""
        if where not in self._nodes:
            facets = self._domain.boundary_facets[where]
            self._nodes[where] = fem.locate_dofs_topological(self._space, self._domain.dimension - 1, facets)
        return self._nodes[where]

    def own_nodes(self, tag: int, name: str) -> np.ndarray:
        """Return the owned nodes of a boundary at which no other boundary holds an unknown (as node numbers)."""
        if (tag, name) not in self._own:
            nodes = self.nodes_on(self._wheres[tag])
            for (other, held), dofs in self.claimed.items():
                if other != tag and held == name:
                    nodes = np.setdiff1d(nodes, self._layout.nodes_of(dofs))
            self._own[tag, name] = nodes[nodes < self._space.dofmap.index_map.size_local]
        return self._own[tag, name]

    def _absent(self, problem: Problem) -> dict[str, np.ndarray]:
        if not problem.partition:
            return {}
        scalar = fem.functionspace(self._domain.mesh, ("Lagrange", self._space.element.basix_element.degree))
        absent = {}
        for species in problem.partition:
            name = electrochemical_potential(species)
            absent[name] = self._layout.dofs_at(surrounded(problem.excludes(species), scalar), name).astype(np.int32)
        return absent

    def _part(self, name: str) -> fem.FunctionSpace:
        """Return the space of one unknown in the blocked space."""
        return self._space.sub(self._layout.index(name)) if self._layout.size > 1 else self._space

    def _claim(self, problem: Problem) -> dict[tuple[int, str], np.ndarray]:
        nothing = np.empty(0, dtype=np.int32)
        taken = {name: self.absent.get(name, nothing) for name in self._layout.names}
        claimed = {}
        for tag, boundary in enumerate(problem.boundaries):
            held = [electrochemical_potential(species) for species in boundary.dirichlet_fractions]
            if boundary.dirichlet_potential is not None and POTENTIAL in self._layout:
                held.append(POTENTIAL)
            if boundary.temperature is not None and INVERSE_TEMPERATURE in self._layout:
                held.append(INVERSE_TEMPERATURE)
            for name in held:
                dofs = np.setdiff1d(self._layout.dofs_at(self.nodes_on(boundary.where), name), taken[name])
                taken[name] = np.union1d(taken[name], dofs)
                claimed[tag, name] = dofs
        return claimed

    def _values(self, problem: Problem) -> Iterator[DirichletValue]:
        weak = {(tag, electrochemical_potential(species)) for tag, species, _ in weakly_imposed(problem)}
        for (tag, name), dofs in self.claimed.items():
            if (tag, name) in weak:
                continue
            value = fem.Constant(self._domain.mesh, 0.0)
            condition = fem.dirichletbc(value, dofs.astype(np.int32), self._part(name))
            yield DirichletValue(tag, name, dofs, condition, value)
        if problem.is_adrift:
            # the sum of all rows of Poisson's equation is the net charge, so that one of them says nothing new
            nodes = self._space.dofmap.index_map
            first = np.flatnonzero(nodes.local_to_global(np.arange(nodes.size_local + nodes.num_ghosts)) == 0)
            dofs = self._layout.dofs_at(first, POTENTIAL).astype(np.int32)
            space, value = self._space.sub(self._layout.index(POTENTIAL)), fem.Constant(self._domain.mesh, 0.0)
            yield DirichletValue(NOWHERE, POTENTIAL, dofs, fem.dirichletbc(value, dofs, space), value)


def _given(problem: Problem, boundary: BoundaryCondition, load_parameter: float) -> dict[str, float]:
    """Return what a boundary holds unknowns at, by their names."""
    potential = boundary.dirichlet_potential or 0.0
    if boundary.given_total is None:
        potential *= load_parameter
    given = {POTENTIAL: potential}
    beta = None if boundary.temperature is None else 1.0 / boundary.temperature
    if beta is not None:
        given[INVERSE_TEMPERATURE] = beta
    held, law = boundary.dirichlet_fractions, problem.law
    names = [name for name in problem.names if name in held]
    if not names or (law.crowded and len(names) < len(problem.species) and not boundary.holds_potentials):
        # what constants cannot hold is held weakly
        return given
    of_all = problem.names if law.crowded else names
    # a species that the boundary lacks has a potential of minus infinity there
    with np.errstate(divide="ignore"):
        eta = dict(zip(of_all, law.free_energy.chemical_potentials([held.get(a, 0.0) for a in of_all]), strict=True))
    at_zero = dict(
        zip(problem.names, law.eta([0.0] * len(problem.names), problem.charges, potential, beta), strict=True)
    )
    return given | {electrochemical_potential(name): float(eta[name] - at_zero[name]) for name in names}
