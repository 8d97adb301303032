"""Boundaries whose potentials are found in time: what is given of each, and the Newton step that fulfils it.

A charge is given at the moments of the stages. An electric current is the whole one, conduction and displacement, and
given as the fluxes of species are: what it brings over the step changes the charge of the boundary, less what ions
carry on. Potentials are polynomials over the step as all unknowns are, one more unknown a stage.

The bordered system is solved by block elimination (`pnp_exclusion.solver.border`): a step at fixed potentials, and for
each of them the tangent of all stages by it. How what is given answers along a direction is a difference of two
evaluations, so that reactions, layers without ions and what is held need no derivatives of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pnp_exclusion.discretisation.discretisation import Discretisation
from pnp_exclusion.discretisation.totals import boundary_integrals
from pnp_exclusion.discretisation.weak_form import weakly_imposed
from pnp_exclusion.physics.boundaries import GivenTotal
from pnp_exclusion.solver.border import limited_steps
from pnp_exclusion.solver.transient.schemes import Scheme

DIFFERENCE = 1e-6
"""kT or kT/e: over which a direction is followed to see how what is given answers."""


@dataclass(frozen=True, eq=False)
class Terminals:
    """What was read at the points of a step of the boundaries whose potentials are found; arrays are ``(points, n)``.

    charges, currents
        On them, and what terms of the boundary let out of the domain.
    rows
        ``(points, owned)``: the equations, without what holds densities weakly.
    given
        What is given of each at the moments.
    """

    charges: np.ndarray
    currents: np.ndarray
    rows: np.ndarray
    given: np.ndarray


class TerminalEquations:
    """The equations of what is given; all methods are collective."""

    def __init__(self, discrete: Discretisation) -> None:
        self._discrete = discrete
        self._integrals = boundary_integrals(discrete)
        self._is_weak = bool(weakly_imposed(discrete.problem))

    @property
    def tags(self) -> list[int]:
        """Numbers of the boundaries."""
        return self._discrete.problem.floating

    @property
    def totals(self) -> list[GivenTotal]:
        """What is given of each at the numbers in force."""
        boundaries = self._discrete.problem.boundaries
        return [total for tag in self.tags if (total := boundaries[tag].given_total) is not None]

    @property
    def unknown(self) -> list[int]:
        """Which of them are at potentials that are to be found, by their positions."""
        return [k for k, total in enumerate(self.totals) if total.quantity != "potential"]

    def known_potentials(self, potentials: np.ndarray) -> np.ndarray:
        """Return potentials with those in place that are given at the numbers in force."""
        totals = self.totals
        return np.array(
            [t.total if t.quantity == "potential" else v for t, v in zip(totals, potentials, strict=True)], dtype=float
        )

    def charges(self) -> np.ndarray:
        """Return those of the state in the unknown, ``(n,)``."""
        found: np.ndarray = self._integrals.now().charges[self.tags]
        return found

    def read(self, flowing: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the parts of `Terminals` at the state in the unknown.

        flowing
            Its equations, owned.
        """
        problem = self._discrete.problem
        rows = self._integrals.balance() if self._is_weak else flowing
        let_through, held = self._integrals.natural(), self._integrals.held(rows)
        currents = let_through.fluxes[self.tags, : len(problem.species)] @ problem.charges
        given = np.array([total.total for total in self.totals])
        return (let_through + held).charges[self.tags], currents, rows, given

    def passed(
        self, scheme: Scheme, step: float, begin: np.ndarray, stored: np.ndarray, read: Terminals, before: np.ndarray
    ) -> np.ndarray:
        """Return the charge that leaves the domain over the step, with ions and as a displacement; ``(stages, n)``.

        begin, stored
            What was stored at the beginning, owned, and is at the points.
        before
            Charges at the beginning, ``(n,)``.
        """
        problem = self._discrete.problem
        rows = scheme.stored @ stored + step * (scheme.flowing @ read.rows) - scheme.start[:, None] * begin
        held = [self._integrals.held(row).fluxes[self.tags, : len(problem.species)] @ problem.charges for row in rows]
        conducted = step * (scheme.flowing @ read.currents) + np.array(held)
        charged: np.ndarray = scheme.stored @ read.charges - scheme.start[:, None] * before
        return conducted - charged

    def excess(
        self, scheme: Scheme, step: float, begin: np.ndarray, stored: np.ndarray, read: Terminals, before: np.ndarray
    ) -> np.ndarray:
        """Return by how much every stage exceeds what is given, ``(stages, unknown)``; arguments as of `passed`."""
        passed = self.passed(scheme, step, begin, stored, read, before) - step * (scheme.flowing @ read.given)
        charged = scheme.poisson @ (read.charges - read.given)
        totals, unknown = self.totals, self.unknown
        columns = [(passed if totals[k].quantity == "current" else charged)[:, k] for k in unknown]
        return np.array(columns).T.reshape(scheme.stages, len(unknown))


@dataclass(frozen=True, eq=False)
class Bordered:
    """A change of the states of the stages, and of the potentials that are found, ``(stages, n)``."""

    states: np.ndarray
    potentials: np.ndarray
    shortened: bool


type Evaluate = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From states and potentials of the stages to the residual ``(stages, owned)`` and the excess."""


class StageBorder:
    """Takes Newton steps of the stages at fixed potentials to those of the bordered system; collective."""

    def __init__(self, discrete: Discretisation, terminals: TerminalEquations) -> None:
        self._discrete = discrete
        self._terminals = terminals
        self._tangents: list[tuple[np.ndarray, np.ndarray]] = []
        self._slopes = np.empty((0, 0))

    def renew(self) -> None:
        """Say that the Jacobian is another one, or the step of another length."""
        self._tangents = []

    def correct(
        self,
        states: np.ndarray,
        potentials: np.ndarray,
        fixed: np.ndarray,
        now: tuple[np.ndarray, np.ndarray],
        evaluate: Evaluate,
        solve: Callable[[np.ndarray], np.ndarray | None],
    ) -> Bordered | None:
        """Return the change of all unknowns; None where the linear system is not solved.

        states, potentials
            Of the stages.
        fixed
            The Newton step at fixed potentials, with ghosts.
        now
            What ``evaluate`` returns at the states.
        solve
            With the Jacobian of the stages, for a right-hand side ``(stages, owned)``; with ghosts.
        """
        if not self._tangents:
            for stage in range(len(states)):
                for position in self._terminals.unknown:
                    found = self._tangent(stage, position, states, potentials, now, evaluate, solve)
                    if found is None:
                        self._tangents = []
                        return None
                    self._tangents.append(found)
            answers = [self._along(states, potentials, one, now, evaluate) for one in self._tangents]
            self._slopes = np.array(answers).T
        left = now[1].ravel() + self._along(states, potentials, (fixed, np.zeros_like(potentials)), now, evaluate)
        try:
            changes = np.linalg.solve(self._slopes, -left)
        except np.linalg.LinAlgError:
            return None
        limited = limited_steps(changes)
        moved, shift = fixed.copy(), np.zeros_like(potentials)
        for amount, (tangent, own) in zip(limited, self._tangents, strict=True):
            moved += amount * tangent
            shift += amount * own
        return Bordered(moved, shift, not np.array_equal(limited, changes))

    def _along(
        self,
        states: np.ndarray,
        potentials: np.ndarray,
        direction: tuple[np.ndarray, np.ndarray],
        now: tuple[np.ndarray, np.ndarray],
        evaluate: Evaluate,
    ) -> np.ndarray:
        """Return the derivative of the excess along a direction of states and potentials, flat."""
        comm = self._discrete.problem.domain.comm
        largest = max(comm.allgather(float(np.abs(direction[0]).max(initial=0.0))))
        largest = max(largest, float(np.abs(direction[1]).max(initial=0.0)))
        if largest == 0.0:
            return np.zeros(now[1].size)
        share = min(1.0, DIFFERENCE / largest)
        _, there = evaluate(states + share * direction[0], potentials + share * direction[1])
        return ((there - now[1]) / share).ravel()

    def _tangent(
        self,
        stage: int,
        position: int,
        states: np.ndarray,
        potentials: np.ndarray,
        now: tuple[np.ndarray, np.ndarray],
        evaluate: Evaluate,
        solve: Callable[[np.ndarray], np.ndarray | None],
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Return how all stages answer to a potential at one of them."""
        discrete = self._discrete
        moved, own = np.zeros_like(states), np.zeros_like(potentials)
        own[stage, position] = 1.0
        for dofs, amount in discrete.constraints.by_potential(discrete.problem, self._terminals.tags[position]):
            moved[stage, dofs] = amount
        there, _ = evaluate(states + DIFFERENCE * moved, potentials + DIFFERENCE * own)
        solved = solve((now[0] - there) / DIFFERENCE)
        return None if solved is None else (moved + solved, own)
