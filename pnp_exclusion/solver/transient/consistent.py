"""The potential that belongs to given densities: one linear equation, solved before the first step and after a jump.

Held values may have changed at once. Densities stay as they are but where they are held, the potential follows, and
``mu = eta + z phi``: a density that changed inside a step would enter the estimate of its error, and no step would ever
be accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import ufl
from dolfinx import fem, la
from dolfinx.fem import petsc as fem_petsc

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.layout import INVERSE_TEMPERATURE, POTENTIAL
from pnp_exclusion.discretisation.totals import boundary_integrals
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.physics.problem import Problem
from pnp_exclusion.runtime.parallel import largest_over_ranks
from pnp_exclusion.runtime.signals import held_back
from pnp_exclusion.solver.linear.presets import refusals_as_usage_errors
from pnp_exclusion.solver.linear.scalar import scalar_solver

PASSES = 20
"""Corrections by the residual: one for an elimination, some for an iterative solver."""
SETTLED = 1e-12
"""Of the potential."""


class ConsistentPotential:
    """Poisson's equation at held densities; owns PETSc's objects until `close`."""

    def __init__(self, discrete: Discretisation) -> None:
        self._discrete = discrete
        self._is_linear = POTENTIAL in discrete.layout
        if not self._is_linear:
            return
        space = fem.functionspace(discrete.problem.domain.mesh, ("Lagrange", discrete.degree))
        self._frozen = fem.Function(discrete.space, name="frozen")
        self._potential = fem.Function(space, name="phi")
        self._step = fem.Function(space, name="step")
        self._residual = la.vector(space.dofmap.index_map, 1)
        rho = list(discrete.weak_form.fields_of(self._frozen).rho.values())
        residual = discrete.weak_form.poisson_equation(self._potential, rho, ufl.TestFunction(space))
        self._residual_form = discrete.integration.form(residual)
        self._jacobian_form = discrete.integration.form(ufl.derivative(residual, self._potential))
        held = discrete.constraints.values_of(POTENTIAL)
        self._conditions = [fem.dirichletbc(h.constant, discrete.layout.nodes_of(h.dofs), space) for h in held]
        self._matrix = fem_petsc.create_matrix(self._jacobian_form.now)
        self._right, self._correction = self._matrix.createVecLeft(), self._matrix.createVecRight()
        self._solver = scalar_solver(self._matrix, "poisson_")

    def close(self) -> None:
        """Free PETSc's objects."""
        if self._is_linear:
            for thing in (self._solver, self._matrix, self._right, self._correction):
                thing.destroy()

    def restore(self) -> None:
        """Write held values, the potential of the densities in the unknown, and ``mu`` of both; collective."""
        discrete = self._discrete
        mu, charges = discrete.layout.indices(discrete.mu), discrete.problem.charges
        nodes = discrete.layout.at_nodes(discrete.values)
        if not self._is_linear:
            discrete.impose_dirichlet_values()
            return
        position = discrete.layout.index(POTENTIAL)
        eta = nodes[:, mu] - self._electric(nodes)
        # at held nodes the new densities, by the new potential there if it is held too
        discrete.impose_dirichlet_values()
        imposed = nodes[:, mu] - self._electric(nodes)
        for a, name in enumerate(discrete.mu):
            for value in discrete.constraints.values_of(name):
                held = discrete.layout.nodes_of(value.dofs)
                eta[held, a] = imposed[held, a]
        frozen = discrete.layout.at_nodes(self._frozen.x.array)
        frozen[:] = nodes
        frozen[:, mu], frozen[:, position] = eta, 0.0
        self._potential.x.array[:] = nodes[:, position]
        self._solve()
        nodes[:, position] = self._potential.x.array
        electric = self._electric(nodes)
        nodes[:, mu] = eta + electric
        assert charges.shape == (len(mu),)
        discrete.impose_dirichlet_values()

    def answers(self, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
        """Return how the potential at the nodes, ``(boundaries, nodes)``, and the charges on boundaries, ``(boundaries,
        boundaries)``, answer to the potential of every boundary at densities that stay; 0 where a boundary has none.

        They are the same, to the bit, whatever the state in the unknown is, which stays. Collective.
        """
        discrete, layout = self._discrete, self._discrete.layout
        before, values, is_steep = discrete.problem, discrete.values.copy(), discrete.integration.is_steep
        discrete.integration.mark(np.zeros_like(is_steep))

        def at(potentials: Mapping[int, float]) -> tuple[np.ndarray, np.ndarray]:
            boundaries = list(problem.boundaries)
            for tag, potential in potentials.items():
                boundaries[tag] = replace(boundaries[tag], potential=potential)  # type: ignore[call-arg]
            discrete.take(replace(problem, boundaries=boundaries))
            nodes = layout.at_nodes(discrete.values)
            nodes[:] = 0.0
            if INVERSE_TEMPERATURE in layout:
                nodes[:, layout.index(INVERSE_TEMPERATURE)] = 1.0
            self.restore()
            return nodes[:, layout.index(POTENTIAL)].copy(), boundary_integrals(discrete).now().charges

        count = len(problem.boundaries)
        grounded = {tag: 0.0 for tag, one in enumerate(problem.boundaries) if one.applied_potential is not None}
        potential_at_first, charges_at_first = at(grounded)
        potentials, charges = np.zeros((count, len(potential_at_first))), np.zeros((count, count))
        for tag in grounded:
            potential, charge = at(grounded | {tag: 1.0})
            potentials[tag], charges[:, tag] = potential - potential_at_first, charge - charges_at_first
        discrete.integration.mark(is_steep)
        discrete.take(before)
        discrete.values[:] = values
        return potentials, charges

    def _electric(self, nodes: np.ndarray) -> np.ndarray:
        layout = self._discrete.layout
        electric = nodes[:, [layout.index(POTENTIAL)]] * self._discrete.problem.charges
        return electric * nodes[:, [layout.index(INVERSE_TEMPERATURE)]] if INVERSE_TEMPERATURE in layout else electric

    def _solve(self) -> None:
        comm, owned = self._discrete.problem.domain.comm, self._right.getLocalSize()
        for condition in self._conditions:
            condition.set(self._potential.x.array)
        self._matrix.zeroEntries()
        fem_petsc.assemble_matrix(self._matrix, self._jacobian_form.now, bcs=self._conditions)
        self._matrix.assemble()
        for _ in range(PASSES):
            self._residual.array[:] = 0.0
            self._residual_form.add_to(self._residual.array)
            self._residual.scatter_reverse(la.InsertMode.add)
            for condition in self._conditions:
                self._residual.array[condition.dof_indices()[0]] = 0.0
            self._right.array_w[:] = -self._residual.array[:owned]
            with held_back(), refusals_as_usage_errors():
                self._solver.solve(self._right, self._correction)
            self._step.x.array[:owned] = self._correction.array_r
            self._step.x.scatter_forward()
            self._potential.x.array[:] += self._step.x.array
            size = largest_over_ranks(comm, np.abs(self._step.x.array))
            if not np.isfinite(size):
                break
            if size <= SETTLED * (1.0 + largest_over_ranks(comm, np.abs(self._potential.x.array))):
                return
        raise ConvergenceError("the potential of the densities at the beginning of a step could not be found")
