"""One attempt at a step: a first guess of its stages, the schemes that are tried one after the other, and its error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pnp_exclusion.solver.transient.equations import Equations
from pnp_exclusion.solver.transient.error_norm import ErrorNorm
from pnp_exclusion.solver.transient.schemes import EULER, GALERKIN, ROBUST, Scheme
from pnp_exclusion.solver.transient.stages import Solved, StageSolver

LEFT, LEAST_LEFT = 1e-4, 1e-7
"""Of the tolerance, and at least; of what a step changes: what Newton's method may leave. Charges are differences of
potentials over thin cells, and currents are differences of charges over short steps."""
SHORT_STEP = 1e-5
"""L^2/D: from here on a step that is given, and too long for Newton's method, is lengthened."""
LENGTHENING, LEAST_LENGTHENING, QUICK = 10.0, 1.02, 6
"""By which factor at first, and at least; after so few Jacobians it may be three times as much."""
AFTER_FAILURE = 0.25
"""Of the length of a step that has no solution: the next attempt."""


@dataclass(frozen=True, eq=False)
class Moment:
    """Where a motion is as a step begins.

    values, stored, flowing
        The state with its ghosts, ``S`` as it was carried on by what has flowed, and ``F`` beside ``P``, owned.
    potentials, charges
        Of the boundaries whose potentials are found.
    """

    time: float
    values: np.ndarray
    stored: np.ndarray
    flowing: np.ndarray
    potentials: np.ndarray
    charges: np.ndarray


@dataclass(frozen=True, eq=False)
class Past:
    """The step before, for prediction: its stages, with the potentials that are found, and its length."""

    scheme: Scheme
    states: np.ndarray
    potentials: np.ndarray
    length: float


@dataclass(frozen=True, eq=False)
class Attempt:
    """A step that was found, and its error in units of the tolerance."""

    scheme: Scheme
    solved: Solved
    error: float


class Attempts:
    """Makes them; all methods are collective.

    fixed
        Whether the lengths of steps are given: what is too long for Newton's method is then reached by shorter ones.
    scheme
        With which the next one begins; what fails is tried with the next more robust ones.
    past
        None at first and after a jump.
    """

    def __init__(
        self,
        equations: Equations,
        stages: StageSolver,
        norm: ErrorNorm,
        numbers_at: Callable[[float], None],
        scheme: Scheme,
        *,
        fixed: bool,
    ) -> None:
        self.scheme = scheme
        self.past: Past | None = None
        self._equations, self._stages, self._norm = equations, stages, norm
        self._discrete = equations.discrete
        self._numbers_at = numbers_at
        self._fixed = fixed
        self._left = max(LEFT * norm.tolerance, LEAST_LEFT)

    def close(self) -> None:
        """Let go of the solver that holds this: the circle would keep meshes until Python looks for it."""
        del self._numbers_at

    def at_step(self, here: Moment, length: float) -> Attempt | None:
        """Return a step with the first scheme that finds any; None if none does."""
        schemes = self._schemes()
        for scheme in schemes:
            start = self._predict(scheme, here, length)
            solved = self._stages.solve(scheme, here.time, length, here.stored, here.charges, *start, self._left)
            if solved is None and scheme in ROBUST and self._fixed:
                solved = self._lengthen(scheme, here, length)
            if solved is None:
                continue
            if scheme is GALERKIN:
                # where the other has failed once it fails again
                self.scheme = GALERKIN
            error = self._error(scheme, here, length, solved)
            if not error <= 1.0 and scheme is EULER and scheme is not schemes[-1]:
                continue
            return Attempt(scheme, solved, error)
        return None

    def accept(self, attempt: Attempt, length: float) -> None:
        """Predict the next step from one of a length."""
        self.past = Past(attempt.scheme, attempt.solved.states, attempt.solved.potentials, length)

    def _schemes(self) -> list[Scheme]:
        behind = ROBUST[ROBUST.index(self.scheme) + 1 :] if self.scheme in ROBUST else ROBUST
        left = [self.scheme, *behind]
        # where co-ions are swept out in long steps the others fail again and again
        was_euler = self.past is not None and self.past.scheme is EULER and not self._fixed
        return left[::-1] if was_euler and len(left) == 2 else left

    def _lengthen(self, scheme: Scheme, here: Moment, length: float) -> Solved | None:
        """Return the stages of a step that is too long for Newton's method, or None.

        They are followed as the step grows, from the same beginning.
        """
        at, ratio, followed = min(SHORT_STEP, length), LENGTHENING, 0.0
        states, potentials = (np.tile(one, (scheme.stages, 1)) for one in (here.values, here.potentials))
        while ratio > LEAST_LENGTHENING:
            effort = self._stages.effort.jacobians
            self._impose(scheme, here.time, at, states, potentials)
            found = self._stages.solve(scheme, here.time, at, here.stored, here.charges, states, potentials, self._left)
            if found is not None:
                if at == length:
                    return found
                followed, states, potentials = at, found.states, found.potentials
                if self._stages.effort.jacobians - effort <= QUICK:
                    ratio *= 3.0
            elif followed:
                # of what was tried, which the length may have cut
                ratio = (at / followed) ** 0.4
            else:
                at, ratio = at * AFTER_FAILURE, ratio**0.9
                continue
            at = min(length, followed * ratio)
        return None

    # ---- the first guess ----

    def _predict(self, scheme: Scheme, here: Moment, length: float) -> tuple[np.ndarray, np.ndarray]:
        """Return where the stages may be, with the potentials that are found: the polynomial of the step before
        continued, or where it ended."""
        past = self.past
        if past is None or past.scheme.stages == 1:
            states, potentials = (np.tile(one, (scheme.stages, 1)) for one in (here.values, here.potentials))
        else:
            weights = past.scheme.extrapolation(1.0 + scheme.nodes * length / past.length)
            states, potentials = weights @ past.states, weights @ past.potentials
        self._impose(scheme, here.time, length, states, potentials)
        return states, potentials

    def _impose(self, scheme: Scheme, time: float, length: float, states: np.ndarray, potentials: np.ndarray) -> None:
        """Write what is held, and potentials that are given, into those of the stages of a step."""
        for node, state, own in zip(scheme.nodes, states, potentials, strict=True):
            self._numbers_at(time + node * length)
            if len(own):
                own[:] = self._stages.terminals.known_potentials(own)
                self._discrete.set_potentials(own.tolist())
            self._discrete.constraints.impose(state)

    # ---- the error ----

    def _error(self, scheme: Scheme, here: Moment, length: float, solved: Solved) -> float:
        """Return the error of a step in units of the tolerance."""
        equations, end = self._equations, solved.states[-1]
        if scheme.embedded is not None:
            # the embedded method, through the matrix: right after a jump the fluxes at the wall are huge
            right = scheme.implicitness * length * (here.flowing + scheme.embedded @ solved.flowing)
            right[equations.is_potential] = 0.0
            right[equations.held] = 0.0
            change = equations.with_ghosts(self._stages.solve_euler(right))
            return self._norm.of_change(end, change, solved.flowing[-1])
        if scheme is GALERKIN:
            begin = (scheme.extrapolation(np.zeros(1)) @ solved.states)[0]
            return self._norm.between(here.values, begin)
        past = self.past
        if past is None or past.scheme.stages == 1:
            return 0.5 * self._norm.between(here.values, end)
        extrapolated = (past.scheme.extrapolation(np.array([1.0 + length / past.length])) @ past.states)[0]
        return length / (2.0 * length + past.length) * self._norm.between(extrapolated, end)
