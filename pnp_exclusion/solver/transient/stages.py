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
from pnp_exclusion.solver.transient.broyden import BroydenUpdates
from pnp_exclusion.solver.transient.elimination import Elimination
from pnp_exclusion.solver.transient.equations import Equations, Slopes
from pnp_exclusion.solver.transient.iteration import Iteration
from pnp_exclusion.solver.transient.schemes import Scheme
from pnp_exclusion.solver.transient.terminals import Bordered, StageBorder, TerminalEquations, Terminals

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
DILUTE, LEAST_SHARE = 0.05, 1e-2
"""Of a site: a species whose content is less, and falls; and what is left of it after one iteration, at least."""
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
    potentials
        ``(stages, n)``: those that are found, or given in their place, at the nodes.
    terminals
        What was read at these boundaries; None where there is none.
    """

    states: np.ndarray
    points: np.ndarray
    stored: np.ndarray
    flowing: np.ndarray
    potentials: np.ndarray
    terminals: Terminals | None


@dataclass(frozen=True, eq=False)
class Linearised:
    """Where the kept Jacobian was taken.

    scheme, time, length
        Of the step.
    points
        Its states at the points of the scheme, ``(points, unknowns)`` with ghosts.
    potentials
        Those that are found there, ``(points, n)``.
    is_steep
        The cells of the high rule.
    """

    scheme: Scheme
    time: float
    length: float
    points: np.ndarray
    potentials: np.ndarray
    is_steep: np.ndarray


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
        Gives the discretisation the numbers of a time, with the potentials that are found.
    """

    def __init__(
        self,
        equations: Equations,
        database: OptionsDatabase,
        settings: SolverSettings,
        numbers_at: Callable[[float, np.ndarray], None],
    ) -> None:
        self.equations = equations
        self.effort = Effort()
        self._numbers_at = numbers_at
        discrete = equations.discrete
        self._linear = _linear_solver(equations, database, settings)
        self._slopes: list[Slopes] = []
        self._of: tuple[Scheme, float] | None = None
        self._linearised: Linearised | None = None
        self._serves = SERVES[discrete.problem.domain.dimension]
        self.terminals = TerminalEquations(discrete)
        self._border = StageBorder(discrete, self.terminals)

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

    @property
    def kept(self) -> tuple[Linearised, float] | None:
        """Where the Jacobian was taken that the next step begins with, and for which length it preconditions; None if
        it takes its own."""
        return None if self._of is None or self._linearised is None else (self._linearised, self._of[1])

    def recall(self, linearised: Linearised, length: float) -> None:
        """Take the Jacobian there again, for steps of a length; the cells of the high rule stay those."""
        self.equations.discrete.integration.mark(linearised.is_steep)
        self._take_slopes(linearised)
        self._prepare(linearised.scheme, length)

    # ---- one step ----

    def solve(
        self,
        scheme: Scheme,
        time: float,
        step: float,
        begin: np.ndarray,
        charges: np.ndarray,
        states: np.ndarray,
        potentials: np.ndarray,
        tolerance: float,
    ) -> Solved | None:
        """Return the stages of a step, or None if none were found.

        begin, charges
            ``S_n``, owned, and at the same time the charges of the boundaries whose potentials are found.
        states, potentials
            ``(stages, unknowns)`` with ghosts, and ``(stages, n)``: where to start from, held values in place.
        tolerance
            Of the change of ``eta`` that is left, relative to what the step changes.
        """
        states, potentials = states.copy(), potentials.copy()
        start, last, smallest, wandering = self._eta_and_others(states), np.inf, np.inf, 0
        jacobians, kept = 0, self._keeps_jacobian(scheme, step)
        # its tangents are not carried on: a run that goes on from a checkpoint has the same ones
        self._border.renew()
        settled, has_failed = False, False
        solved, updates = None, BroydenUpdates(self.equations)
        for _ in range(ITERATIONS):
            if solved is None:
                solved = self._evaluate(scheme, time, step, states, potentials, mark=not settled)
                self.effort.iterations += 1
            if not kept:
                if jacobians == JACOBIANS:
                    break
                jacobians += 1
                updates.forget()
                if not self._renew(scheme, time, step, solved):
                    break
            krylov_tolerance = KRYLOV_TOLERANCE if last > NEAR else LAST_KRYLOV_TOLERANCE
            change = self._newton_step(scheme, step, solved, begin, krylov_tolerance)
            if change is not None and not self.terminals.unknown:
                change = updates.applied_to(change)
            moved_potentials, shortened = np.zeros_like(potentials), False
            if change is not None and self.terminals.unknown:
                bordered = self._bordered(scheme, time, step, solved, begin, charges, change)
                change = None if bordered is None else bordered.states
                if bordered is not None:
                    moved_potentials, shortened = bordered.potentials, bordered.shortened
            if change is None:
                if not kept:
                    break
                kept, last, has_failed = False, np.inf, True
                continue
            shortened |= self._shorten(states, change)
            now, by = self._eta_and_others(states), self._eta_and_others(change)
            size = max(self._relative(now, by), _largest_relative(potentials, moved_potentials))
            if not np.isfinite(size):
                break
            is_first = not np.isfinite(last)
            contraction = 1.0 if is_first else size / last
            # with a Jacobian of this step: what is left is rounding, of which another one makes no less
            is_stalled = jacobians > 0 and not is_first and size < STALLED and contraction > 0.5
            if kept and not shortened and not is_first and not is_stalled and contraction > self._serves:
                # the step is not taken: one with a Jacobian of its own is better
                kept, last, has_failed = False, np.inf, True
                continue
            states += change
            potentials += moved_potentials
            solved = None
            if shortened:
                updates.forget()
            elif not self.terminals.unknown:
                updates.take(change)
            settled = self.equations.largest(change) < SETTLED_STEP
            rate = min(contraction, 0.9)
            left = size * rate / (1.0 - rate)
            if not shortened and (left < tolerance or is_stalled):
                moved = min(1.0, self._relative(now + by, now + by - start))
                # what is left of the last steps to a steady state would show in the free energy
                if left < max(tolerance * moved * max(moved, LEAST_MOVED), ROUNDING) or is_stalled:
                    if has_failed:
                        # states move too far for a Jacobian of an earlier step to serve in the next one
                        self.forget()
                    return self._evaluate(scheme, time, step, states, potentials, mark=False)
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

    def _evaluate(
        self, scheme: Scheme, time: float, step: float, states: np.ndarray, potentials: np.ndarray, *, mark: bool
    ) -> Solved:
        equations = self.equations
        points = scheme.interpolation @ states
        if mark:
            self._mark_steep_cells(points)
        stored, flowing, read = [], [], []
        for at, values, own in zip(scheme.points, points, scheme.interpolation @ potentials, strict=True):
            self._show(time + at * step, values, own)
            stored.append(equations.stored())
            flowing.append(equations.flowing())
            if len(own):
                read.append(self.terminals.read(flowing[-1]))
        terminals = Terminals(*(np.array(parts) for parts in zip(*read, strict=True))) if read else None
        return Solved(states.copy(), points, np.array(stored), np.array(flowing), potentials.copy(), terminals)

    def _show(self, time: float, values: np.ndarray, potentials: np.ndarray) -> None:
        """Write a state into the unknown, with the numbers of its time and the potentials that are found."""
        self._numbers_at(time, potentials)
        self.equations.show(values)

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
        return self._solve(scheme, step, -self.residual(scheme, step, solved, begin), tolerance)

    def _solve(self, scheme: Scheme, step: float, right: np.ndarray, tolerance: float) -> np.ndarray | None:
        """Solve with the kept Jacobian, held unknowns staying where they are; with ghosts, None if it fails."""
        equations, right = self.equations, right.copy()
        right[:, equations.held] = 0.0
        change, iterations = self._linear.solve(right, tolerance)
        self.effort.linear_iterations += iterations
        return None if change is None else np.array([equations.with_ghosts(row) for row in change])

    def _bordered(
        self,
        scheme: Scheme,
        time: float,
        step: float,
        solved: Solved,
        begin: np.ndarray,
        charges: np.ndarray,
        fixed: np.ndarray,
    ) -> Bordered | None:
        """Return the Newton step with the potentials that are found, from one at fixed potentials."""

        def parts(one: Solved) -> tuple[np.ndarray, np.ndarray]:
            assert one.terminals is not None
            excess = self.terminals.excess(scheme, step, begin, one.stored, one.terminals, charges)
            return self.residual(scheme, step, one, begin), excess

        def evaluate(states: np.ndarray, potentials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return parts(self._evaluate(scheme, time, step, states, potentials, mark=False))

        def solve(right: np.ndarray) -> np.ndarray | None:
            return self._solve(scheme, step, right, LAST_KRYLOV_TOLERANCE)

        return self._border.correct(solved.states, solved.potentials, fixed, parts(solved), evaluate, solve)

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
        self.effort.jacobians += 1
        self._border.renew()
        is_steep = self.equations.discrete.integration.is_steep
        self._take_slopes(
            Linearised(scheme, time, step, solved.points, scheme.interpolation @ solved.potentials, is_steep)
        )
        return self._prepare(scheme, step)

    def _take_slopes(self, linearised: Linearised) -> None:
        equations, scheme = self.equations, linearised.scheme
        self._linearised = linearised
        while len(self._slopes) < len(scheme.points):
            self._slopes.append(equations.new_slopes())
        at_points = zip(scheme.points, linearised.points, linearised.potentials, self._slopes, strict=False)
        for at, values, own, slopes in at_points:
            self._show(linearised.time + at * linearised.length, values, own)
            equations.fill_slopes(slopes)

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
                # a dilute species has linear equations for its density: the step of that is taken as it is
                falls = (eta < 0.0) & (discrete.contents(state)[: len(mu)].T < DILUTE)
                shortened |= bool(np.where(falls, 1.0 + eta < LEAST_SHARE, limited != eta).any())
                limited = np.where(falls, np.log(np.maximum(1.0 + eta, LEAST_SHARE)), limited)
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


def _largest_relative(values: np.ndarray, change: np.ndarray) -> float:
    return float(np.max(np.abs(change) / (1.0 + np.abs(values)), initial=0.0))
