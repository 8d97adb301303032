"""How the fluxes of a computed steady state answer to small changes of what drives it: exact tangents.

The discrete equations ``R(U, p) = 0`` hold at the solution for every value of a parameter ``p``, so that

    (dR/dU) dU/dp = -dR/dp ,

one linear solve with the Jacobian for each parameter; no difference of two solutions is taken. For a value held at a
boundary ``dU/dp`` is 1 at its nodes, and the right-hand side follows from the Jacobian's columns there. For an imposed
field ``dR/dp`` is assembled: the flux is linear in the forces, so its derivative is the flux law itself at the force
``-dE/dp``. Fluxes are differentiated as they are evaluated, from the same sums of the residual over the nodes that a
boundary holds (`pnp_exclusion.observe.currents`), and so are as exact.

Closed species, which no boundary holds, keep their amounts in every tangent. Beside them the ends of a crowded law hold
the densities of the others and not their potentials, which then follow from the state; a tangent holds the potentials
themselves all the same, because it is forces that it answers to, whatever exerts them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
import ufl
from dolfinx import fem, la
from dolfinx.fem import petsc as fem_petsc

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.integration import CellwiseForm
from pnp_exclusion.discretisation.layout import POTENTIAL, electrochemical_potential
from pnp_exclusion.discretisation.totals import Totals, boundary_integrals
from pnp_exclusion.discretisation.weak_form import weakly_imposed
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.runtime.parallel import leaves_together
from pnp_exclusion.solver.linear.careful import CarefulSolver
from pnp_exclusion.solver.steady import CONSERVED_STORAGE_RATE, SolverSettings

REFINEMENTS = 30
"""Corrections of a linear solve by its own residual, at most; a direct solver needs one or two."""
SETTLED = 1e-13
"""Relative to the tangent: a correction below it ends the refinement."""
ACCEPTABLE = 1e-6
"""Relative: corrections that stop shrinking above this are a failure. They do at 1e-7 where a membrane excludes an ion
by ten orders of magnitude, whose potential in it is worth no more."""


class TangentSolver:
    """Tangents of the steady state in the unknown of a discretisation; a context that frees PETSc's objects.

    Built once, it serves every state that the discretisation takes on, after `renew`. All methods are collective.
    Derivatives are arrays ``(boundaries, N)`` of the fluxes out of the domain, for every species that a boundary
    holds or exchanges, and with a temperature of energy behind them; 0 for the others, whose fluxes are given. They
    raise `ConvergenceError` if the linear system cannot be solved.

    settings
        As the steady solver's: preset of linear solver and PETSc options.
    """

    def __init__(
        self, discrete: Discretisation, settings: SolverSettings | None = None, petsc_options: Sequence[str] = ()
    ) -> None:
        self.discrete = discrete
        settings = settings or SolverSettings()
        self._comm = discrete.problem.domain.comm
        self._owned = discrete.space.dofmap.index_map.size_local * discrete.layout.size
        # nothing is held between two electrodes behind layers, with all species closed
        constraints = discrete.constraints
        dofs = [*constraints.claimed.values(), *constraints.absent.values()]
        held = np.unique(np.concatenate([np.empty(0, dtype=np.int32), *dofs]))
        self._held = held[held < self._owned]
        self._jacobian_form, self._conditions = jacobian_of_balance(discrete)
        replaced = [condition.dof_indices()[0] for condition in self._conditions]
        self._replaced = np.unique(np.concatenate([np.empty(0, dtype=np.int32), *replaced]))
        self._replaced = self._replaced[self._replaced < self._owned].astype(PETSc.IntType)
        # the Jacobian with all its rows, for residuals, and with those of held values replaced, for solving
        self._jacobian = fem_petsc.create_matrix(discrete.forms.jacobian.now)
        self._assemble()
        self._operator = self._jacobian.duplicate()
        self._tangent, self._correction = self._operator.createVecRight(), self._operator.createVecRight()
        self._residual = self._operator.createVecLeft()
        self._integrals = boundary_integrals(discrete)
        self._fill()
        self._solver = CarefulSolver(discrete, self._operator, settings.linear, settings.petsc, petsc_options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if leaves_together(kind, self._comm):
            self.close()

    def close(self) -> None:
        """Free PETSc's objects."""
        self._solver.close()
        for thing in (
            self._operator,
            self._jacobian,
            self._tangent,
            self._correction,
            self._residual,
        ):
            thing.destroy()

    def renew(self) -> None:
        """Take the tangents at the state that is in the unknown now."""
        self._assemble()
        self._fill()
        self._solver.renew()

    def _assemble(self) -> None:
        """Take the Jacobian at the state that is in the unknown now."""
        self._by_found: list[Totals] | None = None
        self.discrete.parameters.storage_rate.value = 0.0
        _assemble_into(self._jacobian, self._jacobian_form, [])

    def _fill(self) -> None:
        """Make the operator of the Jacobian."""
        if not self.discrete.problem.combinations:
            # the same numbers: to assemble them once more would cost as much as the factors
            self._jacobian.copy(self._operator, PETSc.Mat.Structure.SAME_NONZERO_PATTERN)
            self._operator.zeroRowsColumnsLocal(self._replaced)
            return
        rate = self.discrete.parameters.storage_rate
        try:
            rate.value = CONSERVED_STORAGE_RATE
            _assemble_into(self._operator, self._jacobian_form, self._conditions)
        finally:
            rate.value = 0.0

    def by_held(self, tag: int, unknown: str) -> np.ndarray:
        """Return the derivatives by the value at which a boundary holds an unknown."""
        start = np.zeros(self._owned)
        dofs = self.discrete.constraints.claimed[tag, unknown]
        start[dofs[dofs < self._owned]] = 1.0
        return self._with_found_potentials(self._solve(start, np.zeros(self._owned))).fluxes

    def by_field(self, species: str, direction: np.ndarray) -> np.ndarray:
        """Return the derivatives by the strength of a uniform force ``direction`` ``(dimension,)`` on a species."""
        column = self.discrete.forms.kept("residual by field", lambda: _FieldColumn(self.discrete))
        values = column.assemble(self.discrete, species, direction)
        return self._with_found_potentials(self._solve(np.zeros(self._owned), values[: self._owned])).fluxes

    def by_potential(self, tag: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the derivatives by the potential given at a boundary, densities held there staying as they are.

        Of the fluxes, and of the charges of the boundaries ``(boundaries,)``.
        """
        changes = self._with_found_potentials(self._by_potential_alone(tag))
        return changes.fluxes, changes.charges

    def _by_potential_alone(self, tag: int) -> Totals:
        """Return the derivatives by the potential of a boundary, all others staying as they are."""
        discrete, owned = self.discrete, self._owned
        start = np.zeros(owned)
        problem = discrete.problem
        # under a law with a temperature the unknown is mu/T; without Poisson it only drives what reacts there
        charges = problem.charges * problem.coupled / (problem.boundaries[tag].temperature or 1.0)
        moved = {POTENTIAL: 1.0, **dict(zip(discrete.mu, charges.tolist(), strict=True))}
        for name, amount in moved.items():
            dofs = discrete.constraints.claimed.get((tag, name), np.empty(0, dtype=np.int32))
            start[dofs[dofs < owned]] = amount
        column, at_boundaries = self._integrals.by_number(tag)
        return self._solve(start, column) + at_boundaries

    def _with_found_potentials(self, changes: Totals) -> Totals:
        """Add what follows from the potentials that are found, which keep the totals given for their boundaries."""
        found = self.discrete.problem.floating
        if not found:
            return changes
        if self._by_found is None:
            self._by_found = [self._by_potential_alone(tag) for tag in found]
        matrix = np.column_stack([by_one.of_floating(self.discrete) for by_one in self._by_found])
        answers = np.linalg.solve(matrix, -changes.of_floating(self.discrete))
        for answer, by_one in zip(answers, self._by_found, strict=True):
            changes = Totals(changes.fluxes + answer * by_one.fluxes, changes.charges + answer * by_one.charges)
        return changes

    # ---- one tangent ----

    def _solve(self, start: np.ndarray, column: np.ndarray) -> Totals:
        """Solve ``(dR/dU) dU = -column`` from ``start``, which has the held values, and read the totals off it.

        Refining by the residual also takes out what the operator has too much: the storage term of closed species,
        without which it would be singular. Exact corrections would keep their amounts; what is solved in finite digits,
        or iteratively, does not.
        """
        tangent, residual, correction = self._tangent, self._residual, self._correction
        keep_amounts = self._keeping_amounts()
        tangent.array_w[:] = keep_amounts(start)
        last = np.inf
        for _ in range(REFINEMENTS):
            self._jacobian.mult(tangent, residual)
            residual.array_w[:] = -(residual.array_r + column)
            residual.array_w[self._held] = 0.0
            self._correct()
            correction.array_w[:] = keep_amounts(correction.array_r.copy())
            tangent.axpy(1.0, correction)
            size = correction.norm(PETSc.NormType.INFINITY) / max(tangent.norm(PETSc.NormType.INFINITY), 1e-300)
            if not np.isfinite(size):
                break
            if size < SETTLED or (size < ACCEPTABLE and size > 0.3 * last):
                return self._totals(column)
            last = size
        if self._solver.eliminates:
            why = "densities of some species may be too small beside others"
        else:
            why = 'try [solver] linear = "direct"'
        raise ConvergenceError(f"the linear system of a tangent could not be solved; {why}")

    def _keeping_amounts(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return what takes out of a change of the owned unknowns, collectively, what it changes the amounts of closed
        species by.

        It takes out the steady states' own answer to other amounts, to which the operator hardly objects: most of the
        error of a solve is that.
        """
        closed = [next(iter(pairs)) for pairs in self.discrete.problem.combinations]
        if not closed:
            return lambda change: change
        slopes = np.array([slope[: self._owned] for slope in amount_changes(self.discrete)])
        answers = np.array([self._answer_to_amount(name) for name in closed])
        by_answer = self._comm.allreduce(slopes @ answers.T, op=MPI.SUM)

        def keep(change: np.ndarray) -> np.ndarray:
            amounts = self._comm.allreduce(slopes @ change, op=MPI.SUM)
            kept: np.ndarray = change - np.linalg.solve(by_answer, amounts) @ answers
            return kept

        return keep

    def _answer_to_amount(self, species: str) -> np.ndarray:
        """Return how the owned unknowns answer to more of a closed species, of any size: that of which ``dR`` is 0."""
        answer, residual, correction = self._tangent, self._residual, self._correction
        answer.set(0.0)
        self.discrete.layout.split(answer.array_w)[electrochemical_potential(species)][:] = 1.0
        for _ in range(2):
            self._jacobian.mult(answer, residual)
            residual.array_w[:] = -residual.array_r
            residual.array_w[self._held] = 0.0
            self._correct()
            answer.axpy(1.0, correction)
        return answer.array_r.copy()

    def _correct(self) -> None:
        self._solver.solve(self._residual, self._correction)

    def _totals(self, column: np.ndarray) -> Totals:
        """Differentiate what passes the boundaries and sits on them."""
        self._jacobian.mult(self._tangent, self._residual)
        return self._integrals.along(self._residual.array_r + column, self._tangent.array_r.copy())


class _FieldColumn:
    """The form of ``dR/dE_b``, compiled once; its numbers are those of the discretisation."""

    def __init__(self, discrete: Discretisation) -> None:
        problem, parameters, fields = discrete.problem, discrete.parameters, discrete.fields
        self.forces = [fem.Constant(problem.domain.mesh, np.zeros(problem.domain.dimension)) for _ in problem.species]
        fluxes = problem.law.fluxes(
            [fields.vacancy, *fields.rho.values()],
            [-force for force in self.forces],
            parameters.local_diffusivities,
            parameters.law,
        )
        test = discrete.layout.parts(ufl.TestFunction(discrete.space))
        form = ufl.Form([])
        for flux, mu in zip(fluxes, discrete.mu, strict=True):
            form -= ufl.inner(flux, ufl.grad(test[mu])) * discrete.integration.dx
        self.form = discrete.integration.form(form)

    def assemble(self, discrete: Discretisation, species: str, direction: np.ndarray) -> np.ndarray:
        """Return the column of a field along ``direction`` on one species, ghosts included."""
        for name, force in zip(discrete.problem.names, self.forces, strict=True):
            force.value[:] = direction if name == species else 0.0
        column = la.vector(discrete.space.dofmap.index_map, discrete.space.dofmap.index_map_bs)
        self.form.add_to(column.array)
        column.scatter_reverse(la.InsertMode.add)
        return column.array


def jacobian_of_balance(discrete: Discretisation) -> tuple[CellwiseForm, list[fem.DirichletBC]]:
    """Return the derivative of the balance, and the conditions that hold the unknowns wherever a boundary holds
    anything; the discretisation's own but where it holds densities weakly."""
    if not weakly_imposed(discrete.problem):
        return discrete.forms.jacobian, discrete.constraints.conditions

    def conditions() -> list[fem.DirichletBC]:
        zero = fem.Constant(discrete.problem.domain.mesh, 0.0)
        return [
            fem.dirichletbc(zero, dofs.astype(np.int32), discrete.space.sub(discrete.layout.index(unknown)))
            for (_, unknown), dofs in discrete.constraints.claimed.items()
        ] + discrete.constraints.absences

    def form() -> CellwiseForm:
        return discrete.integration.form(ufl.derivative(discrete.weak_form.balance, discrete.unknown))

    jacobian = discrete.forms.kept("jacobian of the balance", form)
    return jacobian, discrete.forms.kept("conditions on all claimed", conditions)


def amount_changes(discrete: Discretisation) -> list[np.ndarray]:
    """Return the derivatives by the unknown of amounts that are conserved, ghosts included; collective."""

    def forms() -> list[CellwiseForm]:
        rho = discrete.fields.rho
        amounts = (
            sum(factor * rho[name] for name, factor in pairs.items()) * discrete.integration.dx
            for pairs in discrete.problem.combinations
        )
        return [discrete.integration.form(ufl.derivative(one, discrete.unknown)) for one in amounts]

    changes = []
    for form in discrete.forms.kept("changes of the amounts", forms):
        change = la.vector(discrete.space.dofmap.index_map, discrete.space.dofmap.index_map_bs)
        form.add_to(change.array)
        change.scatter_reverse(la.InsertMode.add)
        changes.append(change.array)
    return changes


def _assemble_into(matrix: PETSc.Mat, form: CellwiseForm, conditions: list[fem.DirichletBC]) -> None:
    matrix.zeroEntries()
    fem_petsc.assemble_matrix(matrix, form.now, bcs=conditions)
    matrix.assemble()
