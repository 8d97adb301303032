"""Newton's method on PETSc SNES, with the limits on a step and the test of a solution (docs/numerics.md#newton)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mpi4py import MPI
from petsc4py import PETSc

import numpy as np
from dolfinx import la

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.found_potentials import follow_potentials
from pnp_exclusion.discretisation.layout import INVERSE_TEMPERATURE, POTENTIAL
from pnp_exclusion.runtime.log import LOGGER
from pnp_exclusion.runtime.parallel import largest_over_ranks
from pnp_exclusion.solver.assembly.assembly import assembly_of
from pnp_exclusion.solver.border import Border
from pnp_exclusion.solver.callbacks import Callbacks
from pnp_exclusion.solver.linear.fields import Preconditioning
from pnp_exclusion.solver.linear.levels import Levels
from pnp_exclusion.solver.linear.presets import OptionsDatabase, petsc_message, refusals_as_usage_errors
from pnp_exclusion.solver.watch import Level

Limiter = Literal["damp", "clip", "line search"]

LARGEST_JUMP = 50.0
"""kT that ``mu`` may change within one cell, beyond an imposed field's work and what the boundaries' contents ask for:
more means that a cell has emptied in a false solution."""
SCARCE = 1e3
"""Times less of one species than of another, by their largest contents: the equations are then scaled."""
CLIPPED_STEP = 2.0
"""kT."""
UNDISTURBED_STEP = 0.5
"""kT: no limiter shortens such steps of ``eta``."""
LARGEST_COOLING, LARGEST_HEATING = 0.5, 0.3
"""Of the inverse temperature: by what it may rise, or fall, in a step."""
SETTLED_STEP = 0.3
"""kT: after a smaller step no other cells become steep, so that what is solved stays the same."""
SMALL_STEP = 0.05
"""kT: after a smaller step densities have changed so little that an elimination serves again."""
LEAST_CONTRACTION = 0.1
"""A step with the elimination of an earlier one must be smaller than the one before it by this factor."""
REMAINDER = 1.5
"""Power of the tolerance that such steps may leave: a last step with its own Jacobian leaves about the square."""
PATIENCE = {"damp": 8, "clip": 16}
"""Steps without one that is `PROGRESS` times the smallest before: the iteration wanders, and finds nothing. Clipped
ones are short, and many may be needed."""
PROGRESS = 0.7
KEPT_STEPS = 20
"""Contraction brings a step from `SMALL_STEP` to rounding in fewer steps."""
KRYLOV_GROWTH = 1.6
"""A preconditioner is rebuilt when it takes so many times more Krylov steps than when it was new."""


def damped(step: np.ndarray) -> np.ndarray:
    """Shorten steps of ``eta`` (kT) logarithmically: densities may rise by e^0.5 or fall by e^-3 undisturbed."""
    free = UNDISTURBED_STEP
    rise, fall = np.maximum(step, free), np.minimum(step, -3.0)
    return np.where(
        step > free, free + np.log((1.0 + rise) / (1.0 + free)), np.where(step < -3.0, -3.0 - np.log(-fall / 3.0), step)
    )


def clipped(step: np.ndarray) -> np.ndarray:
    """Shorten steps of ``eta`` to 2 kT."""
    return np.clip(step, -CLIPPED_STEP, CLIPPED_STEP)


@dataclass(frozen=True)
class NewtonReport:
    """How one attempt went: ``reason`` is a phrase for people, empty if it converged."""

    converged: bool
    iterations: int
    linear_iterations: int
    reason: str = ""
    linear_failure: bool = False
    """Whether it was the linear solver that failed."""
    jacobians: int = 0
    """Steps with a Jacobian of their own."""


Progress = Callable[[str], None]


class NewtonSolver:
    """Solves the weak form from the unknown's current values, which it replaces; restores them if it fails.

    A solution counts when the full, unshortened Newton step has been taken, is below ``tolerance`` relative to
    1 + |unknowns|, and leaves no cell with an unresolved jump: false solutions reach a small residual too. A step with
    the Jacobian of an earlier one must also promise to leave no more than a Newton step would (`REMAINDER`). PETSc's
    objects live until `close`; callbacks tie them into a cycle that Python alone does not end.
    """

    def __init__(
        self,
        discrete: Discretisation,
        database: OptionsDatabase,
        tolerance: float,
        max_steps: int,
        progress: Progress,
        repeated: bool = False,
        level: Level | None = None,
    ) -> None:
        self.discrete = discrete
        self.database = database
        self.tolerance = tolerance
        self.max_steps = max_steps
        self.progress = progress
        self._comm = discrete.problem.domain.comm
        self._callbacks = Callbacks(self._comm)
        self._tell = self._callbacks.words(progress)
        self._level = level
        self._assembly = assembly_of(discrete, progress, repeated)
        self._matrix = self._assembly.matrix
        self._levels = Levels(discrete)
        self._border = Border(discrete) if discrete.problem.floating else None
        self._residual = la.vector(discrete.space.dofmap.index_map, discrete.space.dofmap.index_map_bs)
        self._held_dofs = self._owned_held_dofs()
        self._owned = discrete.space.dofmap.index_map.size_local * discrete.layout.size
        self._is_absent = discrete.is_absent[: self._owned // discrete.layout.size]
        self._solution = self._matrix.createVecRight()
        self._function = self._matrix.createVecLeft()
        self._solution_beside, self._function_beside = self._solution.duplicate(), self._function.duplicate()
        self._largest_cell = discrete.problem.domain.largest_cell()
        self._line_search_is_users = database.gives("snes_linesearch_type")
        self._snes: PETSc.SNES | None = None
        self._preconditioning: Preconditioning | None = None
        self._fresh_krylov_steps: int | None = None
        self._first_krylov_steps: int | None = None
        self._begin()

    def _begin(self) -> None:
        """Forget the steps of an earlier attempt."""
        self._full_step = self._largest_change = self._full_step_norm = np.inf
        self._shortened = self._reused = self._is_outgrown = False
        self._is_settled = False
        self._smallest_step, self._steps_without_progress = np.inf, 0
        self._row_weights = self._weights_of_rows()
        self._contraction, self._jacobians = 0.0, 0

    def _weights_of_rows(self) -> np.ndarray | None:
        """Return what the equations are multiplied by, so that those of scarce species count in a norm of all.

        None if there are no scarce species.
        """
        problem = self.discrete.problem
        contents = [
            max(
                [
                    species.mean_fraction or 0.0,
                    *(b.dirichlet_fractions.get(species.name, 0.0) for b in problem.boundaries),
                ]
            )
            for species in problem.species
        ]
        given = [content for content in contents if content > 0.0]
        if not given or max(given) < SCARCE * min(given):
            return None
        layout = self.discrete.layout
        weights = np.ones(layout.size)
        weights[layout.indices(self.discrete.mu)] = [
            max(given) / content if content > 0.0 else 1.0 for content in contents
        ]
        return np.tile(weights, self._owned // layout.size)

    def _owned_held_dofs(self) -> np.ndarray:
        owned = self.discrete.space.dofmap.index_map.size_local * self.discrete.layout.size
        dofs = self.discrete.constraints.dofs
        return dofs[dofs < owned]

    def solve(self, limiter: Limiter) -> NewtonReport:
        """Run Newton with one way of limiting the step; held values must be in the unknown already."""
        is_fresh = self._snes is None
        report = self._attempt(limiter)
        if report.linear_failure and not is_fresh:
            self.progress("  the linear solver failed with what it kept from earlier states; anew without it")
            report = self._attempt(limiter)
        return report

    def _attempt(self, limiter: Limiter) -> NewtonReport:
        unknown = self.discrete.values
        before = unknown.copy()
        self._limiter = limiter
        self._charges = np.array([species.charge for species in self.discrete.problem.species])
        self._begin()
        snes = self._solver()
        if not self._line_search_is_users:
            snes.getLineSearch().setType("bt" if limiter == "line search" else "basic")
        self._solution.array_w[:] = unknown[: self._owned]
        failure, linear_failure = "", False
        try:
            with self._callbacks.at_work(), refusals_as_usage_errors():
                snes.solve(None, self._solution)
        except PETSc.Error as error:
            failure, linear_failure = f"PETSc stopped: {petsc_message(error)}", True
        iterations = snes.getIterationNumber()
        if not failure and snes.getConvergedReason() < 0:
            failure = self._reason(snes)
            linear_failure = snes.getConvergedReason() == PETSc.SNES.ConvergedReason.DIVERGED_LINEAR_SOLVE
        if not failure:
            self._write_unknown(self._solution)
            failure = self._unresolved_jump()
        linear_iterations = snes.getLinearSolveIterations()
        report = NewtonReport(
            not failure, iterations, linear_iterations, failure, linear_failure, jacobians=self._jacobians
        )
        if failure:
            unknown[:] = before
        follow_potentials(self.discrete)
        if failure or self._is_outgrown:
            # a factorisation that met a NaN is not to be reused, nor levels that suit the states no more
            self.forget()
        return report

    def imbalances(self) -> np.ndarray:
        """Return ``sum |residual|`` over all nodes for every species at the unknown, how far it is from a solution."""
        self.discrete.mark_steep_cells()
        residual = self.discrete.layout.at_nodes(self._evaluate_residual())
        mu = self.discrete.layout.indices(self.discrete.mu)
        return self._comm.allreduce(np.abs(residual[:, mu]).sum(axis=0), op=MPI.SUM)

    def _solver(self) -> PETSc.SNES:
        if self._snes is None:
            snes = PETSc.SNES().create(self._comm)
            run, reasons = self._callbacks.run, PETSc.SNES.ConvergedReason
            snes.setFunction(self._callbacks.residual(self._assemble_residual), self._function)
            failed = reasons.DIVERGED_FUNCTION_NANORINF
            snes.setConvergenceTest(lambda *arguments: run(self._test, *arguments, otherwise=failed))
            snes.setTolerances(max_it=self.max_steps)
            with refusals_as_usage_errors():
                snes.setFromOptions()
                snes.getLineSearch().setFromOptions()
                snes.getKSP().setFromOptions()
            if self._level is not None:
                count = self._callbacks.words(self._level.krylov)
                snes.getKSP().setMonitor(lambda solver, steps, norm: count(steps))
            self.max_steps = snes.getTolerances()[3]
            # steps with a kept Jacobian, of which there are few to each of its own, do not count
            snes.setTolerances(max_it=min(KEPT_STEPS * self.max_steps, np.iinfo(PETSc.IntType).max))
            snes.setLineSearchPreCheck(lambda *arguments: run(self._limit_step, *arguments, otherwise=False))
            self._preconditioning = Preconditioning(snes.getKSP(), self._matrix, self._levels, self.database)
            jacobian = self._callbacks.jacobian(self._assemble_jacobian)
            snes.setJacobian(jacobian, self._matrix, self._preconditioning.matrix)
            # on an interval an elimination costs no more than the steps that keeping it adds
            dear = self.discrete.problem.domain.dimension > 1 and snes.getKSP().getPC().getType() == "lu"
            self._may_reuse = dear and not self.database.gives("snes_lag_jacobian")
            self._snes = snes
        return self._snes

    def forget(self) -> None:
        """Drop the linear solver with its factorisation, whose ordering depends on the first matrix that it met."""
        if self._snes is not None:
            self._snes.destroy()
            self._snes = None
            self._first_krylov_steps = None
        if self._preconditioning is not None:
            self._preconditioning.close()
            self._preconditioning = None

    def close(self) -> None:
        """Free PETSc's objects."""
        self.forget()
        self._assembly.close()
        self._levels.close()
        for thing in (self._solution, self._function, self._solution_beside, self._function_beside):
            thing.destroy()

    # ---- callbacks of SNES ----

    def _write_unknown(self, x: PETSc.Vec) -> None:
        self.discrete.values[: self._owned] = x.array_r
        self.discrete.unknown.x.scatter_forward()

    def _assemble_residual(self, snes: PETSc.SNES, x: PETSc.Vec, f: PETSc.Vec) -> None:
        self._write_unknown(x)
        follow_potentials(self.discrete, in_terms_only=True)
        if not self._is_settled:
            self.discrete.mark_steep_cells()
        f.array_w[:] = self._evaluate_residual()
        if self._row_weights is not None:
            f.array_w[:] *= self._row_weights

    def _evaluate_residual(self) -> np.ndarray:
        """Return the residual of the owned unknowns, 0 where values are held."""
        residual = self._residual
        residual.array[:] = 0.0
        self._assembly.add_residual(residual.array)
        residual.scatter_reverse(la.InsertMode.add)
        # held values are exact already, so their rows are satisfied and no lifting is needed
        residual.array[self._held_dofs] = 0.0
        return residual.array[: self._owned]

    def _assemble_jacobian(self, snes: PETSc.SNES, x: PETSc.Vec, jacobian: PETSc.Mat, _: PETSc.Mat) -> None:
        self._reused = snes.getIterationNumber() > 0 and self._elimination_serves()
        if not self._reused:
            self._jacobians += 1
            if self._border is not None:
                self._border.renew()
            self._write_unknown(x)
            self._assembly.fill_jacobian()
            if self._row_weights is not None:
                scaled = self._function.duplicate()
                scaled.array_w[:] = self._row_weights
                self._matrix.diagonalScale(scaled)
                scaled.destroy()
            if self._preconditioning is not None and not self._preconditioner_serves(snes):
                self._preconditioning.renew()

    def _elimination_serves(self) -> bool:
        """Whether the last Jacobian will do, an elimination costing ten times what a step with it costs.

        The convergence is then linear, with a factor of about the last step in kT.
        """
        if not self._may_reuse or self._shortened or self._largest_change > SMALL_STEP:
            return False
        return not self._reused or self._contraction < LEAST_CONTRACTION

    def _preconditioner_serves(self, snes: PETSc.SNES) -> bool:
        """Whether the preconditioner of an earlier step of this solve will do; a new one costs 15 Krylov steps.

        With an option for that PETSc decides, and takes or leaves what is offered to it.
        """
        steps = snes.getKSP().getIterationNumber()
        if snes.getIterationNumber() == 0 or self.database.gives("snes_lag_preconditioner"):
            self._fresh_krylov_steps = None
        elif self._fresh_krylov_steps is None:
            self._fresh_krylov_steps = steps
            self._first_krylov_steps = self._first_krylov_steps or steps
            # levels are those of the first state that this solver met
            self._is_outgrown |= steps > KRYLOV_GROWTH * self._first_krylov_steps
        elif steps > KRYLOV_GROWTH * self._fresh_krylov_steps:
            self._fresh_krylov_steps = None
        return self._fresh_krylov_steps is not None

    def _limit_step(self, x: PETSc.Vec, y: PETSc.Vec) -> bool:
        """Measure the full step and shorten it; SNES subtracts ``y`` from ``x``."""
        layout = self.discrete.layout
        restrained = self._border is not None and self._border.correct(y, self._snes_solve)
        full = -layout.at_nodes(y.array_r)
        change = self.largest(full)
        self._contraction = change / self._largest_change if self._largest_change > 0.0 else 0.0
        self._largest_change = change
        self._full_step = change / (1.0 + self.largest(x.array_r))
        self._full_step_norm = y.norm()
        self._is_settled = change < SETTLED_STEP
        if change < PROGRESS * self._smallest_step:
            self._smallest_step, self._steps_without_progress = change, 0
        else:
            self._steps_without_progress += 1
        self._shortened = self._limit_temperature(x, y) or restrained
        is_small = change * (1.0 + np.abs(self._charges).max()) <= UNDISTURBED_STEP
        if self._limiter == "line search" or is_small or not np.isfinite(change):
            return self._shortened
        limit = damped if self._limiter == "damp" else clipped
        electric = full[:, [layout.index(POTENTIAL)]] * self._charges if POTENTIAL in layout else 0.0
        mu = layout.indices(self.discrete.mu)
        # where there are no particles there is no density to be spared
        step = np.where(self._is_absent, 0.0, full[:, mu] - electric)
        limited = limit(step)
        is_limited = self._any(not np.array_equal(step, limited))
        if is_limited:
            layout.at_nodes(y.array_w)[:, mu] = np.where(self._is_absent, 0.0, -(limited + electric))
        self._shortened |= is_limited
        return self._shortened

    def _snes_solve(self, right: np.ndarray) -> np.ndarray:
        """Solve with the Jacobian of this step for another right-hand side of the owned unknowns."""
        assert self._snes is not None
        self._function_beside.array_w[:] = right if self._row_weights is None else right * self._row_weights
        self._snes.getKSP().solve(self._function_beside, self._solution_beside)
        failed = self._snes.getKSP().getConvergedReason() < 0
        return np.full(self._owned, np.nan) if failed else self._solution_beside.array_r.copy()

    def _limit_temperature(self, x: PETSc.Vec, y: PETSc.Vec) -> bool:
        """Shorten steps of the inverse temperature, which must stay positive; return whether any is."""
        layout = self.discrete.layout
        if INVERSE_TEMPERATURE not in layout:
            return False
        position = layout.index(INVERSE_TEMPERATURE)
        now, step = layout.at_nodes(x.array_r)[:, position], layout.at_nodes(y.array_w)[:, position]
        limited = np.clip(step, -LARGEST_COOLING * now, LARGEST_HEATING * now)
        if not self._any(not np.array_equal(step, limited)):
            return False
        step[:] = limited
        return True

    def _test(self, snes: PETSc.SNES, iteration: int, norms: tuple[float, float, float]) -> int | None:
        _, step_norm, residual_norm = norms
        if not np.isfinite(residual_norm):
            return PETSc.SNES.ConvergedReason.DIVERGED_FUNCTION_NANORINF
        if iteration == 0:
            return None
        taken_whole = not self._shortened and step_norm >= 0.999999 * self._full_step_norm
        whole = ("" if taken_whole else "   (shortened)") + ("   (Jacobian kept)" if self._reused else "")
        self._tell(f"  Newton {iteration:3d}   step {self._full_step:9.2e}   residual {residual_norm:9.2e}{whole}")
        LOGGER.debug("  Krylov steps: %d", snes.getKSP().getIterationNumber())
        if self._level is not None:
            self._callbacks.words(self._level.newton)(self._full_step)
        precise = not self._reused or self._contraction * self._full_step < self.tolerance**REMAINDER
        if taken_whole and self._full_step < self.tolerance and precise:
            return PETSc.SNES.ConvergedReason.CONVERGED_SNORM_RELATIVE
        spent = self._jacobians >= self.max_steps and not self._elimination_serves()
        if spent or self._steps_without_progress >= PATIENCE.get(self._limiter, self.max_steps):
            return PETSc.SNES.ConvergedReason.DIVERGED_MAX_IT
        return None

    # ---- judging ----

    def _unresolved_jump(self) -> str:
        """Return a phrase if ``mu`` jumps within a cell by more than field and mesh can explain, else nothing."""
        discrete, problem = self.discrete, self.discrete.problem
        # those of `mu` come first
        for name, changes in zip(problem.names, discrete.changes_within_cells(), strict=False):
            worst = self.largest(changes)
            if worst <= LARGEST_JUMP:
                continue
            contents = [boundary.dirichlet_fractions.get(name) for boundary in problem.boundaries]
            given = [content for content in contents if content is not None]
            imposed = max((field.largest for field in problem.fields.values()), default=0.0)
            allowed = LARGEST_JUMP + float(discrete.parameters.load_parameter.value) * imposed * self._largest_cell
            if not worst <= allowed + (np.log(max(given) / min(given)) if given else 0.0):
                return (
                    f"the electrochemical potential of {name} jumps by {worst:.0f} kT within one cell (false or "
                    "unresolved solution)"
                )
        return ""

    def _reason(self, snes: PETSc.SNES) -> str:
        reasons = PETSc.SNES.ConvergedReason
        match snes.getConvergedReason():
            case reasons.DIVERGED_MAX_IT:
                return f"no convergence in {snes.getIterationNumber()} steps"
            case reasons.DIVERGED_LINEAR_SOLVE:
                return "the linear solver failed"
            case reasons.DIVERGED_FUNCTION_NANORINF | reasons.DIVERGED_FUNCTION_DOMAIN:
                return "the residual overflowed"
            case reasons.DIVERGED_LINE_SEARCH:
                return "no step along Newton's direction lowers the residual"
            case other:
                return f"SNES reason {other}"

    def largest(self, values: np.ndarray) -> float:
        """Return the largest absolute value over all ranks."""
        return largest_over_ranks(self._comm, np.abs(values))

    def _any(self, flag: bool) -> bool:
        return bool(self._comm.allreduce(flag, op=MPI.LOR))
