"""The equations of the stages of a step, solved by Newton's method with a Jacobian that is kept as long as it serves.

All stages are solved together: by elimination along an interval (`elimination`), else by iterations (`iteration`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pnp_exclusion.discretisation.layout import INVERSE_TEMPERATURE, POTENTIAL
from pnp_exclusion.solver.linear.fields import size_of
from pnp_exclusion.solver.linear.presets import PACKAGE, OptionsDatabase, preset, resolved
from pnp_exclusion.solver.newton import LARGEST_COOLING, LARGEST_HEATING, SETTLED_STEP, UNDISTURBED_STEP, damped
from pnp_exclusion.solver.steady import SolverSettings
from pnp_exclusion.solver.transient.elimination import Elimination
from pnp_exclusion.solver.transient.equations import Equations, Slopes
from pnp_exclusion.solver.transient.iteration import Iteration
from pnp_exclusion.solver.transient.schemes import Scheme

SERVES = {1: 0.1, 2: 0.4, 3: 0.4}
"""By dimension: a Jacobian of an earlier iteration or step is kept while it makes every iteration smaller by this
factor. On an interval a new one costs no more than an iteration."""
JACOBIANS, ITERATIONS = 14, 40
"""Of one attempt, at most."""
KRYLOV_TOLERANCE, LAST_KRYLOV_TOLERANCE = 1e-3, 1e-5
"""The second after a step of less than `NEAR`: currents are differences of charges over a step, which show it."""
NEAR = 1e-4
ROUNDING, STALLED = 1e-14, 1e-9
"""Relative to ``1 + |eta|``: a step below the first is none; nor is one below the second that does not get smaller."""
LEAST_MOVED = 1e-2
"""A step that changes less asks for no more digits."""
WANDERING = 6
"""Iterations without one that is 0.7 times the smallest before."""


@dataclass
class Effort:
    """What was done, over many steps."""

    jacobians: int = 0
    iterations: int = 0
    linear_iterations: int = 0
    failures: int = 0


@dataclass(frozen=True, eq=False)
class Solved:
    """The stages of one step.

    states
        ``(stages, unknowns)`` with ghosts, at the nodes of the scheme.
    points
        ``(points, unknowns)`` with ghosts, at its points.
    stored, flowing
        ``(points, owned)``: ``S``, and ``F`` beside ``P``, at the points.
    """

    states: np.ndarray
    points: np.ndarray
    stored: np.ndarray
    flowing: np.ndarray


class StageLinearSolver(Protocol):
    """What solves with the Jacobian of the stages, and with the matrix of implicit Euler."""

    @property
    def serves_beside(self) -> float:
        """By how much of itself a step may change until `renew` is due."""
        ...

    def renew(self, scheme: Scheme, step: float, slopes: list[Slopes]) -> bool:
        """Take the derivatives at the points of a step; return whether they can be solved with."""
        ...

    def moved_to(self, step: float) -> None:
        """Say that the next system is of a step that has changed by less."""
        ...

    def solve(self, right: np.ndarray, tolerance: float) -> tuple[np.ndarray | None, int]:
        """Return the solution for ``(stages, owned)``, or None, and the iterations that it took."""
        ...

    def solve_euler(self, right: np.ndarray) -> np.ndarray:
        """Return what the matrix of implicit Euler makes of a right-hand side, owned."""
        ...

    def close(self) -> None:
        """Free what is of PETSc."""
        ...


def _linear_solver(equations: Equations, database: OptionsDatabase, settings: SolverSettings) -> StageLinearSolver:
    discrete = equations.discrete
    size = size_of(discrete)
    database.merge(preset(settings.linear, size, discrete.layout.names), settings.petsc)
    is_banded = size.dimension == 1 and resolved(settings.linear, size) == "banded"
    if is_banded and not any(database.gives(option) for option in ("ksp_type", "pc_type", PACKAGE)):
        return Elimination(equations)
    return Iteration(equations, database)


class StageSolver:
    """Solves the stages of one step after the other; owns matrices until `close`, and until then ``database`` must be
    entered.

    numbers_at
        Gives the discretisation the numbers of a time, and writes no unknowns.
    """

    def __init__(
        self,
        equations: Equations,
        database: OptionsDatabase,
        settings: SolverSettings,
        numbers_at: Callable[[float], None],
    ) -> None:
        self.equations = equations
        self.effort = Effort()
        self._numbers_at = numbers_at
        discrete = equations.discrete
        self._linear = _linear_solver(equations, database, settings)
        self._slopes: list[Slopes] = []
        self._of: tuple[Scheme, float] | None = None
        self._serves = SERVES[discrete.problem.domain.dimension]

    def close(self) -> None:
        """Free PETSc's objects."""
        for slopes in self._slopes:
            slopes.destroy()
        self._linear.close()
        # a method of the solver that holds this: the circle would keep meshes until Python looks for it
        del self._numbers_at

    def forget(self) -> None:
        """Begin the next step with a Jacobian of its own."""
        self._of = None

    # ---- one step ----

    def solve(
        self, scheme: Scheme, time: float, step: float, begin: np.ndarray, states: np.ndarray, tolerance: float
    ) -> Solved | None:
        """Return the stages of a step, or None if none were found.

        begin
            ``S_n``, owned.
        states
            ``(stages, unknowns)`` with ghosts: where to start from, held values in place.
        tolerance
            Of the change of ``eta`` that is left, relative to what the step changes.
        """
        states = states.copy()
        start, last, smallest, wandering = self._eta_and_others(states), np.inf, np.inf, 0
        jacobians, kept = 0, self._keeps_jacobian(scheme, step)
        settled = False
        for _ in range(ITERATIONS):
            solved = self._evaluate(scheme, time, step, states, mark=not settled)
            self.effort.iterations += 1
            if not kept:
                if jacobians == JACOBIANS:
                    break
                jacobians += 1
                if not self._renew(scheme, time, step, solved):
                    break
            krylov_tolerance = KRYLOV_TOLERANCE if last > NEAR else LAST_KRYLOV_TOLERANCE
            change = self._newton_step(scheme, step, solved, begin, krylov_tolerance)
            if change is None:
                if not kept:
                    break
                kept, last = False, np.inf
                continue
            shortened = self._shorten(states, change)
            now, by = self._eta_and_others(states), self._eta_and_others(change)
            size = self._relative(now, by)
            if not np.isfinite(size):
                break
            is_first = not np.isfinite(last)
            contraction = 1.0 if is_first else size / last
            if kept and not shortened and not is_first and contraction > self._serves:
                # the step is not taken: one with a Jacobian of its own is better
                kept, last = False, np.inf
                continue
            states += change
            settled = self.equations.largest(change) < SETTLED_STEP
            rate = min(contraction, 0.9)
            left = size * rate / (1.0 - rate)
            if not shortened and left < tolerance:
                moved = min(1.0, self._relative(now + by, now + by - start))
                # charges of a short step differ by little: their differences, the currents, need more digits
                enough = max(tolerance * moved * max(moved, LEAST_MOVED), ROUNDING)
                is_stalled = not is_first and size < STALLED and contraction > 0.5
                if left < enough or is_stalled:
                    return self._evaluate(scheme, time, step, states, mark=False)
            if size > 0.7 * smallest:
                wandering += 1
            else:
                smallest, wandering = size, 0
            if wandering == WANDERING:
                break
            kept = not shortened and (is_first or contraction < self._serves)
            last = size
        self.effort.failures += 1
        self.forget()
        return None

    def _evaluate(self, scheme: Scheme, time: float, step: float, states: np.ndarray, *, mark: bool) -> Solved:
        equations = self.equations
        points = scheme.interpolation @ states
        if mark:
            self._mark_steep_cells(points)
        stored, flowing = [], []
        for at, values in zip(scheme.points, points, strict=True):
            self._numbers_at(time + at * step)
            equations.show(values)
            stored.append(equations.stored())
            flowing.append(equations.flowing())
        return Solved(states.copy(), points, np.array(stored), np.array(flowing))

    def _mark_steep_cells(self, points: np.ndarray) -> None:
        """Integrate by the high rule where a potential is steep within a cell at any point of the step."""
        discrete = self.equations.discrete
        steep = np.zeros_like(discrete.integration.is_steep)
        for values in points:
            self.equations.show(values)
            steep |= discrete.changes_within_cells().max(axis=0) > discrete.steep
        discrete.integration.mark(steep)

    def residual(self, scheme: Scheme, step: float, solved: Solved, begin: np.ndarray) -> np.ndarray:
        """Return the equations of the stages, ``(stages, owned)``, also where unknowns are held."""
        flowing = np.where(
            self.equations.is_potential, scheme.poisson @ solved.flowing, step * (scheme.flowing @ solved.flowing)
        )
        return scheme.stored @ solved.stored + flowing - scheme.start[:, None] * begin

    def _newton_step(
        self, scheme: Scheme, step: float, solved: Solved, begin: np.ndarray, tolerance: float
    ) -> np.ndarray | None:
        equations = self.equations
        right = -self.residual(scheme, step, solved, begin)
        right[:, equations.held] = 0.0
        change, iterations = self._linear.solve(right, tolerance)
        self.effort.linear_iterations += iterations
        return None if change is None else np.array([equations.with_ghosts(row) for row in change])

    # ---- linear algebra ----

    def _keeps_jacobian(self, scheme: Scheme, step: float) -> bool:
        """Return whether there is a Jacobian of an earlier step; what solves with it follows the length of the step.

        The derivatives are kept, not their sum, so that the Jacobian itself is right for a step of any length.
        """
        if self._of is None or self._of[0] is not scheme:
            return False
        if abs(step - self._of[1]) > self._linear.serves_beside * self._of[1]:
            return self._prepare(scheme, step)
        self._linear.moved_to(step)
        return True

    def _renew(self, scheme: Scheme, time: float, step: float, solved: Solved) -> bool:
        """Take the Jacobian at the stages; return whether it can be solved with."""
        equations = self.equations
        self.effort.jacobians += 1
        while len(self._slopes) < len(scheme.points):
            self._slopes.append(equations.new_slopes())
        for at, values, slopes in zip(scheme.points, solved.points, self._slopes, strict=False):
            self._numbers_at(time + at * step)
            equations.show(values)
            equations.fill_slopes(slopes)
        return self._prepare(scheme, step)

    def _prepare(self, scheme: Scheme, step: float) -> bool:
        self._of = scheme, step
        return self._linear.renew(scheme, step, self._slopes)

    def solve_euler(self, right: np.ndarray) -> np.ndarray:
        """Return what the kept matrix of implicit Euler makes of a right-hand side, owned."""
        return self._linear.solve_euler(right)

    # ---- steps ----

    def _shorten(self, states: np.ndarray, change: np.ndarray) -> bool:
        """Shorten a step of the unknowns where it is long; return whether it was, on any rank."""
        discrete, shortened = self.equations.discrete, False
        layout = discrete.layout
        charge = np.abs(discrete.problem.charges).max(initial=0.0)
        if INVERSE_TEMPERATURE not in layout and self.equations.largest(change) * (1.0 + charge) <= UNDISTURBED_STEP:
            return False
        mu, charges = layout.indices(discrete.mu), discrete.problem.charges
        for state, step in zip(states, change, strict=True):
            nodes = layout.at_nodes(step)
            if INVERSE_TEMPERATURE in layout:
                position = layout.index(INVERSE_TEMPERATURE)
                now = layout.at_nodes(state)[:, position]
                limited = np.clip(nodes[:, position], -LARGEST_COOLING * now, LARGEST_HEATING * now)
                shortened |= not np.array_equal(limited, nodes[:, position])
                nodes[:, position] = limited
            electric = nodes[:, [layout.index(POTENTIAL)]] * charges if POTENTIAL in layout else 0.0
            eta = np.where(discrete.is_absent, 0.0, nodes[:, mu] - electric)
            if np.abs(eta).max(initial=0.0) > UNDISTURBED_STEP:
                limited = damped(eta)
                shortened |= not np.array_equal(limited, eta)
                nodes[:, mu] = np.where(discrete.is_absent, 0.0, limited + electric)
        return self.equations.any(shortened)

    def _eta_and_others(self, values: np.ndarray) -> np.ndarray:
        """Return ``eta_a``, without what a temperature adds, and other unknowns of stages, ``(stages, nodes, ..)``."""
        discrete = self.equations.discrete
        layout = discrete.layout
        nodes = values.reshape(len(values), -1, layout.size).copy()
        if POTENTIAL in layout:
            # the species come first
            species = nodes[..., : len(discrete.mu)]
            species -= nodes[..., [layout.index(POTENTIAL)]] * discrete.problem.charges
        return nodes

    def _relative(self, now: np.ndarray, change: np.ndarray) -> float:
        """Return the largest change of any ``eta`` and of the potential relative to 1 and what they are."""
        return self.equations.largest(change / (1.0 + np.abs(now)))
