"""Poisson's equation for the potential at given electrochemical potentials, and amounts that are given beside."""

from __future__ import annotations

from typing import Any

import numpy as np
import ufl
from dolfinx import fem, la
from dolfinx.fem import petsc as fem_petsc

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.found_potentials import follow_potentials
from pnp_exclusion.discretisation.layout import INVERSE_TEMPERATURE, POTENTIAL
from pnp_exclusion.runtime.parallel import largest_over_ranks
from pnp_exclusion.solver.linear.presets import refusals_as_usage_errors
from pnp_exclusion.solver.linear.scalar import scalar_solver
from pnp_exclusion.solver.newton import damped
from pnp_exclusion.solver.poisson_border import PoissonBorder

POISSON_STEPS = 60
"""The damped iteration on a monotone problem: 5 steps as a rule, 11 at most when it was tried."""
POISSON_TOLERANCE = 0.03
"""kT/e, of the full step: what is left is corrected by Newton's method, which follows."""
LONGEST_STEP, LONGEST_SHARE = 3.0, 0.5
"""kT, and of the largest potential: of a step with scalars beside the potential."""
FARTHEST = 500.0
"""kT/e, beyond potentials that are given: where closed charges make more, no state can be computed with."""
SHORT_STEP = 0.1
"""kT: no such step overshoots."""
OVERSHOT = 0.5
"""Of the slope at the beginning of a step: what may be left of it at its end, with the other sign."""


class NonlinearPoisson:
    """``R_phi = 0`` for the potential at given ``mu``: a monotone scalar problem."""

    def __init__(self, discrete: Discretisation, space: fem.FunctionSpace) -> None:
        self.discrete = discrete
        self.frozen = fem.Function(discrete.space, name="frozen")
        self.potential = fem.Function(space, name="phi")
        self.step = fem.Function(space, name="step")
        law, parameters = discrete.problem.law, discrete.parameters

        def eta_of(frozen: fem.Function, potential: fem.Function) -> list[Any]:
            parts = discrete.layout.parts(frozen)
            mu, beta = [parts[name] for name in discrete.mu], parts.get(INVERSE_TEMPERATURE)
            return law.eta(mu, parameters.charges, potential, beta, parameters.law, parameters.partition)

        # the same values, for derivatives to pass by
        same = eta_of(fem.Function(discrete.space, self.frozen.x), fem.Function(space, self.potential.x))
        rho = parameters.free_energy.densities_near(eta_of(self.frozen, self.potential), same)[1:]
        residual = discrete.weak_form.poisson_equation(self.potential, rho, ufl.TestFunction(space))
        self.border = PoissonBorder(discrete, self.frozen, self.potential, rho, residual)
        self.residual_form = discrete.integration.form(residual)
        self.jacobian_form = discrete.integration.form(ufl.derivative(residual, self.potential))
        self.conditions = _scalar_conditions(discrete, space, POTENTIAL)
        self.matrix = fem_petsc.create_matrix(self.jacobian_form.now)
        self.right = self.matrix.createVecLeft()
        self.increment = self.matrix.createVecRight()
        self.residual = la.vector(space.dofmap.index_map, 1)
        self.solver = scalar_solver(self.matrix, "poisson_")
        charged = discrete.problem.charges != 0.0
        self.is_ion_free = discrete.is_absent[:, charged].all(axis=1) & charged.any()

    def _damped(self, step: np.ndarray) -> np.ndarray:
        """Limit a step: it raises the densities of one sign of charge and lowers those of the other."""
        largest = max((abs(species.charge) for species in self.discrete.problem.species), default=0.0) or 1.0
        return np.sign(step) * damped(np.abs(largest * step)) / largest

    def forget(self) -> None:
        """Start with a new factorisation."""
        self.solver.destroy()
        self.solver = scalar_solver(self.matrix, "poisson_")

    def close(self) -> None:
        """Free PETSc's objects."""
        for thing in (self.solver, self.matrix, self.right, self.increment):
            thing.destroy()

    def solve(self, with_amounts: bool = False, tolerance: float = POISSON_TOLERANCE) -> bool:
        """Write the potential into the unknown if the iteration converges; otherwise leave it as it was.

        with_amounts
            Shift ``mu`` of closed species too, so that their amounts are right.
        """
        discrete, potential = self.discrete, self.potential
        of_unknown = discrete.layout.split(discrete.values)[POTENTIAL]
        self.frozen.x.array[:] = discrete.values
        potential.x.array[:] = of_unknown
        for condition in self.conditions:
            condition.set(potential.x.array)
        # particles that exclude each other bound the charge, and full steps settle. Where a large ion would take the
        # place of a small one they may go too far: then the next one is larger
        given = max((abs(boundary.applied_potential or 0.0) for boundary in discrete.problem.boundaries), default=0.0)
        is_bounded, earlier = discrete.problem.law.crowded, np.inf
        for _ in range(POISSON_STEPS):
            residual = self._assembled()
            step, of_scalars = self._newton_step(residual, with_amounts)
            largest = largest_over_ranks(discrete.problem.domain.comm, np.abs(np.append(step, of_scalars)))
            if not np.isfinite(largest) or (len(of_scalars) and self._spread() > FARTHEST + given):
                largest = np.inf
                break
            is_bounded = is_bounded and largest < earlier
            if len(of_scalars):
                self._climb(residual, step, of_scalars, largest)
            else:
                # where there are no ions the equation is linear
                potential.x.array[:] += step if is_bounded else np.where(self.is_ion_free, step, self._damped(step))
            earlier = largest
            if largest < tolerance:
                discrete.values[:] = self.frozen.x.array
                of_unknown[:] = potential.x.array
                break
        follow_potentials(discrete)
        return largest < tolerance

    def _climb(self, residual: np.ndarray, step: np.ndarray, of_scalars: np.ndarray, largest: float) -> None:
        """Go along a step as far as leads up the concave functional whose maximum is the solution.

        It is that of the potential and all scalars together, with their equations as its slopes.
        """
        present = self.potential.x.array
        share, taken = min(1.0, (LONGEST_STEP + LONGEST_SHARE * self._spread()) / largest), 0.0
        first = self._slope(residual, step, of_scalars)
        while True:
            present += (share - taken) * step
            self.border.move((share - taken) * of_scalars)
            taken = share
            if share * largest < SHORT_STEP:
                return
            if self._slope(self._assembled(), step, of_scalars) > -OVERSHOT * first:
                return
            share *= 0.5

    def _spread(self) -> float:
        return largest_over_ranks(self.discrete.problem.domain.comm, np.abs(self.potential.x.array))

    def _slope(self, residual: np.ndarray, step: np.ndarray, of_scalars: np.ndarray) -> float:
        """Return the slope of the functional along a step, where the residual is that."""
        owned = len(residual)
        at_nodes = residual.copy()
        for condition in self.conditions:
            nodes = condition.dof_indices()[0]
            at_nodes[nodes[nodes < owned]] = 0.0
        along_nodes = self.discrete.problem.domain.comm.allreduce(float(at_nodes @ step[:owned]))
        return -(along_nodes + float(self.border.excess(residual, len(of_scalars)) @ of_scalars))

    def _assembled(self) -> np.ndarray:
        """Return the residual at the owned nodes, held ones too."""
        self.residual.array[:] = 0.0
        self.residual_form.add_to(self.residual.array)
        self.residual.scatter_reverse(la.InsertMode.add)
        return self.residual.array[: self.right.getLocalSize()].copy()

    def _newton_step(self, residual: np.ndarray, with_amounts: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return the Newton step at every node, owned and ghost, and that of scalars; NaN where a solver failed."""
        self.matrix.zeroEntries()
        fem_petsc.assemble_matrix(self.matrix, self.jacobian_form.now, bcs=self.conditions)
        self.matrix.assemble()
        fixed = -self._solved(residual)
        self.step.x.array[: len(residual)], of_scalars = self.border.correct(
            fixed, self._assembled, self._solved, with_amounts
        )
        self.step.x.scatter_forward()
        return self.step.x.array, of_scalars

    def _solved(self, right: np.ndarray) -> np.ndarray:
        """Solve with the matrix for a right-hand side at the owned nodes, taken as 0 where the potential is held."""
        owned = self.right.getLocalSize()
        self.right.array_w[:] = right
        for condition in self.conditions:
            nodes = condition.dof_indices()[0]
            self.right.array_w[nodes[nodes < owned]] = 0.0
        with refusals_as_usage_errors():
            self.solver.solve(self.right, self.increment)
        failed = self.solver.getConvergedReason() < 0
        return np.full(owned, np.nan) if failed else self.increment.array_r.copy()


def _scalar_conditions(discrete: Discretisation, space: fem.FunctionSpace, unknown: str) -> list[fem.DirichletBC]:
    """The held values of one unknown as conditions on a scalar space, on the same nodes."""
    held = discrete.constraints.values_of(unknown)
    return [fem.dirichletbc(h.constant, discrete.layout.nodes_of(h.dofs), space) for h in held]
