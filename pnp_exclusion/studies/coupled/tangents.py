"""How the currents of a computed steady state answer to small changes of what drives it: exact tangents.

The discrete equations ``R(U, p) = 0`` hold at the solution for every value of a parameter ``p``, so that

    (dR/dU) dU/dp = -dR/dp ,

one linear solve with the Jacobian for each parameter; no difference of two solutions is taken. For a value held at a
boundary ``dU/dp`` is 1 at its nodes, and the right-hand side follows from the Jacobian's columns there. For an imposed
field ``dR/dp`` is assembled: the flux is linear in the forces, so its derivative is the flux law itself at the force
``-dE/dp``. Currents are differentiated as they are evaluated, from the same sums of the residual over the nodes that a
boundary holds (`pnp_exclusion.observe.currents`), and so are as exact.

Closed species, which no boundary holds, keep their amounts in every tangent. Beside them the ends of a crowded law hold
the densities of the others and not their potentials, which then follow from the state; a tangent holds the potentials
themselves all the same, because it is forces that it answers to, whatever exerts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
import ufl
from dolfinx import fem, la
from dolfinx.fem import petsc as fem_petsc

from pnp_exclusion.discretisation.integration import CellwiseForm
from pnp_exclusion.discretisation.weak_form import WeakForm
from pnp_exclusion.errors import ConvergenceError
from pnp_exclusion.runtime.parallel import leaves_together
from pnp_exclusion.runtime.signals import held_back
from pnp_exclusion.solver.linear.fields import Preconditioning, field_names, size_of
from pnp_exclusion.solver.linear.levels import Levels
from pnp_exclusion.solver.linear.presets import OptionsLedger, preset, refusals_as_usage_errors, with_pivots
from pnp_exclusion.solver.steady import CLOSED_STORAGE_RATE, SolverSettings
from pnp_exclusion.studies.coupled.ends import end_tags, from_end_to_end, passing, why_not

REFINEMENTS = 30
"""Corrections of a linear solve by its own residual, at most; a direct solver needs one or two."""
SETTLED = 1e-13
"""Relative to the tangent: a correction below it ends the refinement."""
ACCEPTABLE = 1e-6
"""Relative: corrections that stop shrinking above this are a failure. They do at 1e-7 where a membrane excludes an ion
by ten orders of magnitude, whose potential in it is worth no more."""


@dataclass(frozen=True)
class Response:
    """Derivatives of the currents ``J_a`` from the first end to the second, dimensionless (D/L per kT).

    species
        Names of the ``N`` species that can pass, in the order of the arrays; closed ones cannot.
    to_contents
        ``(N, N)``: ``dJ_a / dmu_b``, ``mu_b`` the electrochemical potential of ``b`` at the first end with the
        electric potential there as it is. One kT of it is one kT of the force ``F_b``.
    to_potential
        ``(N,)``: ``dJ_a / dphi`` at the first end, with all ``mu_b`` there as they are; zero at equilibrium, where
        forces alone drive currents. None with imposed fields.
    to_fields
        ``(N, N)``: ``dJ_a / dF_b`` where the force is exerted by a uniform field on ``b`` along the line between the
        ends, instead of at the end. None with Poisson.
    """

    species: tuple[str, ...]
    to_contents: np.ndarray
    to_potential: np.ndarray | None
    to_fields: np.ndarray | None


class TangentSolver:
    """Tangents of the steady state in the unknown of a weak form; a context that frees PETSc's objects.

    Built once, it serves every state that the weak form takes on. All methods are collective.

    settings
        As the steady solver's: preset of linear solver and PETSc options.

    Raises `ValueError` for a problem without two reservoirs, see `pnp_exclusion.studies.coupled.ends.why_not`.
    """

    def __init__(
        self, weak_form: WeakForm, settings: SolverSettings | None = None, petsc_options: Sequence[str] = ()
    ) -> None:
        reason = why_not(weak_form)
        if reason:
            raise ValueError(reason)
        self.weak_form = weak_form
        self.species = passing(weak_form)
        settings = settings or SolverSettings()
        self._comm = weak_form.problem.domain.comm
        self._owned = weak_form.space.dofmap.index_map.size_local * weak_form.components
        held = np.unique(np.concatenate(list(weak_form.claimed.values())))
        self._held = held[held < self._owned]
        self._jacobian_form, self._conditions = _of_balance(weak_form)
        # the Jacobian with all its rows, for residuals, and with those of held values replaced, for solving
        self._jacobian = fem_petsc.create_matrix(weak_form.jacobian_form.now)
        self._operator = fem_petsc.create_matrix(weak_form.jacobian_form.now)
        self._tangent, self._correction = self._operator.createVecRight(), self._operator.createVecRight()
        self._residual = self._operator.createVecLeft()
        self._levels = Levels(weak_form)
        with OptionsLedger(petsc_options) as ledger:
            # one elimination serves a handful of solves: digits count here, not its time
            linear = with_pivots(settings.linear, size_of(weak_form))
            ledger.merge(preset(linear, size_of(weak_form), field_names(weak_form)), settings.petsc)
            self._solver = PETSc.KSP().create(self._comm)
            with refusals_as_usage_errors():
                self._solver.setFromOptions()
            self._preconditioning = Preconditioning(self._solver, self._operator, self._levels, ledger)
            # set up while the options are in the database, which a fieldsplit reads late
            self._assemble()
            with held_back(), refusals_as_usage_errors():
                self._solver.setUp()
                self._solver.getPC().setUpOnBlocks()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if leaves_together(kind, self._comm):
            self.close()

    def close(self) -> None:
        """Free PETSc's objects."""
        for thing in (
            self._solver,
            self._operator,
            self._jacobian,
            self._tangent,
            self._correction,
            self._residual,
        ):
            thing.destroy()
        self._preconditioning.close()
        self._levels.close()

    def response(self) -> Response:
        """Return the derivatives at the state that is in the unknown; one linear solve for each.

        Raises `ConvergenceError` if the linear systems cannot be solved.
        """
        weak_form, problem = self.weak_form, self.weak_form.problem
        self._assemble()
        tags = end_tags(weak_form)
        components = [problem.names.index(name) for name in self.species]
        by_contents = [self._from_held(tags, component) for component in components]
        to_potential = self._from_held(tags, weak_form.components - 1) if problem.coupled else None
        to_fields = None
        if not problem.coupled:
            apart = from_end_to_end(weak_form)
            direction = apart / float(apart @ apart)  # a uniform field that exerts one kT between the ends
            to_fields = np.column_stack([self._from_field(tags, component, direction) for component in components])
        return Response(self.species, np.column_stack(by_contents), to_potential, to_fields)

    # ---- one tangent ----

    def _from_held(self, tags: tuple[int, int], component: int) -> np.ndarray:
        """Currents ``(N,)`` that follow a unit change of one component held at the first end."""
        start = np.zeros(self._owned)
        dofs = self.weak_form.claimed[tags[0], component]
        start[dofs[dofs < self._owned]] = 1.0
        return self._solve(tags, start, np.zeros(self._owned))

    def _from_field(self, tags: tuple[int, int], component: int, direction: np.ndarray) -> np.ndarray:
        return self._solve(tags, np.zeros(self._owned), self._field_column(component, direction))

    def _solve(self, tags: tuple[int, int], start: np.ndarray, column: np.ndarray) -> np.ndarray:
        """Solve ``(dR/dU) dU = -column`` from ``start``, which has the held values, and read the currents off it.

        Refining by the residual also takes out what the operator has too much: the storage term of closed species,
        without which it would be singular; every correction keeps their amounts, and so must the start.
        """
        tangent, residual, correction = self._tangent, self._residual, self._correction
        tangent.array_w[:] = self._with_amounts_kept(start)
        last = np.inf
        for _ in range(REFINEMENTS):
            self._jacobian.mult(tangent, residual)
            residual.array_w[:] = -(residual.array_r + column)
            residual.array_w[self._held] = 0.0
            with held_back(), refusals_as_usage_errors():
                self._solver.solve(residual, correction)
            tangent.axpy(1.0, correction)
            size = correction.norm(PETSc.NormType.INFINITY) / max(tangent.norm(PETSc.NormType.INFINITY), 1e-300)
            if not np.isfinite(size):
                break
            if size < SETTLED or (size < ACCEPTABLE and size > 0.3 * last):
                return self._currents(tags, column)
            last = size
        if self._solver.getType() == PETSc.KSP.Type.PREONLY:
            why = "densities of some species may be too small beside others"
        else:
            why = 'try [solver] linear = "direct"'
        raise ConvergenceError(f"the linear system of a tangent could not be solved; {why}")

    def _with_amounts_kept(self, start: np.ndarray) -> np.ndarray:
        """Return a start with the potential of every closed species shifted by a constant that keeps all amounts."""
        closed = [self.weak_form.problem.names.index(name) for name in self.weak_form.closed]
        if not closed:
            return start
        changes = _amount_changes(self.weak_form)
        shifts = np.zeros((len(closed), self._owned))
        for row, component in enumerate(closed):
            shifts[row, component :: self.weak_form.components] = 1.0
        products = np.array([[change[: self._owned] @ v for v in (*shifts, start)] for change in changes])
        products = self._comm.allreduce(products, op=MPI.SUM)
        kept: np.ndarray = start - np.linalg.solve(products[:, :-1], products[:, -1]) @ shifts
        return kept

    def _currents(self, tags: tuple[int, int], column: np.ndarray) -> np.ndarray:
        """Differentiate the fluxes from the first end to the second, as `BoundaryTotals.through` takes them."""
        self._jacobian.mult(self._tangent, self._residual)
        change = self._residual.array_r + column
        found = []
        for name in self.species:
            component = self.weak_form.problem.names.index(name)
            dofs = [self.weak_form.claimed[tag, component] for tag in tags]
            first, second = (float(change[d[d < self._owned]].sum()) for d in dofs)
            found.append(0.5 * (first - second))
        return np.asarray(self._comm.allreduce(np.array(found), op=MPI.SUM))

    # ---- assembly ----

    def _assemble(self) -> None:
        weak_form = self.weak_form
        rate = float(weak_form.storage_rate.value)
        try:
            weak_form.storage_rate.value = 0.0
            _assemble_into(self._jacobian, self._jacobian_form, [])
            weak_form.storage_rate.value = CLOSED_STORAGE_RATE if weak_form.closed else 0.0
            _assemble_into(self._operator, self._jacobian_form, self._conditions)
            self._preconditioning.renew()
        finally:
            weak_form.storage_rate.value = rate

    def _field_column(self, component: int, direction: np.ndarray) -> np.ndarray:
        """Return ``dR/dE_b . direction`` (owned)."""
        column = self.weak_form.kept("residual by field", lambda: _FieldColumn(self.weak_form))
        return column.assemble(self.weak_form, component, direction)[: self._owned]


class _FieldColumn:
    """The form of ``dR/dE_b``, compiled once; its numbers are taken from the weak form at every assembly."""

    def __init__(self, weak_form: WeakForm) -> None:
        problem, mesh = weak_form.problem, weak_form.problem.domain.mesh
        self.fields = [fem.Constant(mesh, np.zeros(problem.domain.dimension)) for _ in problem.species]
        self.parameters = {name: fem.Constant(mesh, value) for name, value in problem.law.parameters.items()}
        state = weak_form.state
        fluxes = problem.law.fluxes(
            [state.vacancy, *state.rho.values()],
            [-field for field in self.fields],
            [d * problem.diffusivity_factor for d in weak_form.diffusivities],
            self.parameters,
        )
        test = ufl.TestFunction(weak_form.space)
        tests = [test[a] for a in range(len(fluxes))] if weak_form.components > 1 else [test]
        form = sum(-ufl.inner(flux, ufl.grad(v)) * weak_form.dx for flux, v in zip(fluxes, tests, strict=True))
        self.form = weak_form.integration.form(form)

    def assemble(self, weak_form: WeakForm, component: int, direction: np.ndarray) -> np.ndarray:
        """Return the column of a field along ``direction`` on one species, ghosts included."""
        for name, value in weak_form.problem.law.parameters.items():
            self.parameters[name].value = value
        for a, field in enumerate(self.fields):
            field.value[:] = direction if a == component else 0.0
        column = la.vector(weak_form.space.dofmap.index_map, weak_form.space.dofmap.index_map_bs)
        fem.assemble_vector(column.array, self.form.now)
        column.scatter_reverse(la.InsertMode.add)
        return column.array


def _of_balance(weak_form: WeakForm) -> tuple[CellwiseForm, list[fem.DirichletBC]]:
    """Return the derivative of the balance, and the conditions that hold the unknowns wherever a boundary holds
    anything; the weak form's own but where it holds densities weakly."""
    if not weak_form.weakly_held:
        return weak_form.jacobian_form, weak_form.conditions

    def conditions() -> list[fem.DirichletBC]:
        zero = fem.Constant(weak_form.problem.domain.mesh, 0.0)
        return [
            fem.dirichletbc(zero, dofs.astype(np.int32), weak_form.space.sub(component))
            for (_, component), dofs in weak_form.claimed.items()
        ]

    def form() -> CellwiseForm:
        return weak_form.integration.form(ufl.derivative(weak_form.balance, weak_form.unknown))

    return weak_form.kept("jacobian of the balance", form), weak_form.kept("conditions on all claimed", conditions)


def _amount_changes(weak_form: WeakForm) -> list[np.ndarray]:
    """Return the derivative of the amount of every closed species by the unknown, ghosts included; collective."""

    def forms() -> list[CellwiseForm]:
        amounts = (weak_form.state.rho[name] * weak_form.dx for name in weak_form.closed)
        return [weak_form.integration.form(ufl.derivative(one, weak_form.unknown)) for one in amounts]

    changes = []
    for form in weak_form.kept("changes of the amounts", forms):
        change = la.vector(weak_form.space.dofmap.index_map, weak_form.space.dofmap.index_map_bs)
        fem.assemble_vector(change.array, form.now)
        change.scatter_reverse(la.InsertMode.add)
        changes.append(change.array)
    return changes


def _assemble_into(matrix: PETSc.Mat, form: CellwiseForm, conditions: list[fem.DirichletBC]) -> None:
    matrix.zeroEntries()
    fem_petsc.assemble_matrix(matrix, form.now, bcs=conditions)
    matrix.assemble()
