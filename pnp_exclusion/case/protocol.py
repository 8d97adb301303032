"""A case under a protocol: what is given piece by piece, of its terminal as a rule, and where in a step one ends."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, override

import numpy as np

from pnp_exclusion.case.build import Setup
from pnp_exclusion.case.courses import Course
from pnp_exclusion.case.drive import CaseDrive
from pnp_exclusion.case.quantities import Quantity
from pnp_exclusion.case.time_tables import Piece, Until
from pnp_exclusion.physics.boundaries import GivenTotal
from pnp_exclusion.physics.problem import Problem
from pnp_exclusion.solver.transient.schemes import lagrange
from pnp_exclusion.solver.transient.step import LOCATED, Step

BEYOND = 1.05
"""Of a step: so far its polynomials are continued to see what happens right behind it."""
LOOKED_AT = 65
"""Places in a step at which its polynomials are looked at."""
STILL = 1e-9
"""Of ``1 + |unknown|``: what changes by less over a step of `LONG` is steady."""
LONG = 0.2
"""Of the time since the last change of the numbers."""
SAME_TIME = 1e-12
"""Of a time: two that are no further apart are one."""


def is_still_since(step: Step, quiet_from: float) -> bool:
    """Return whether nothing moves any more since a time."""
    return step.time > quiet_from and step.length >= LONG * (step.time - quiet_from) and step.change < STILL


@dataclass(frozen=True)
class Passed:
    """A piece that is over, dimensionless.

    piece, cycle
        Their numbers, from 1 on.
    began, ended
        Times.
    charge
        That has passed the terminal, out of the domain.
    potential
        Of the terminal at its end, kT/e, from the potential reference of the problem; 0 in imposed fields.
    by
        What ended it.
    amounts
        In imposed fields: that have passed the terminal, out of the domain, of the species that some piece watches.
    """

    piece: int
    cycle: int
    began: float
    ended: float
    charge: float
    potential: float
    by: str
    amounts: dict[str, float] = field(default_factory=dict)


@dataclass
class ProtocolState:
    """Where a motion is in its protocol: with the state of the motion all that is needed to go on.

    number
        Of the piece that is on, counted through all cycles from 0.
    began
        When it did, dimensionless.
    charge
        What has passed the terminal since, out of the domain.
    potential, now, current
        Of the terminal: the potential from which the piece began, that now, and the whole current out of the domain;
        None before the first step.
    amounts, fluxes
        In imposed fields: what has passed the terminal since the piece began, and passes now, out of the domain.
    passed
        The pieces before.
    failed
        Why the protocol cannot go on; empty if it can.
    """

    number: int = 0
    began: float = 0.0
    charge: float = 0.0
    potential: float | None = None
    now: float | None = None
    current: float | None = None
    amounts: dict[str, float] = field(default_factory=dict)
    fluxes: dict[str, float] = field(default_factory=dict)
    passed: list[Passed] = field(default_factory=list)
    failed: str = ""

    @classmethod
    def of(cls, written: dict[str, Any]) -> ProtocolState:
        """Return what `dataclasses.asdict` has made plain values of."""
        return cls(**{**written, "passed": [Passed(**piece) for piece in written["passed"]]})


class PieceDrive(ABC):
    """The numbers of a case that are others in every piece of its protocol, and its events, for
    `pnp_exclusion.solver.transient.solver.TransientSolver`; times are dimensionless.

    state
        Which is followed, and written.
    """

    moves = True

    def __init__(self, setup: Setup, state: ProtocolState | None = None) -> None:
        time = setup.case.time
        assert time is not None
        self.state = state or ProtocolState()
        self._setup = setup
        self._case = CaseDrive(setup)
        self._pieces = list(time.protocol) * time.cycles
        self._in_cycle = len(time.protocol)

    @property
    def is_over(self) -> bool:
        """Whether the last piece is over, or one cannot end."""
        return bool(self.state.failed) or self.state.number == len(self._pieces)

    @property
    def piece(self) -> Piece:
        """The one that is on; the last one if all are over."""
        return self._pieces[min(self.state.number, len(self._pieces) - 1)]

    @property
    def end_of_piece(self) -> float:
        """When it ends at the latest."""
        return self.state.began + self.piece.duration.value / self._setup.scales.time

    # ---- numbers ----

    def at_rest(self) -> Problem:
        """Return the problem before the protocol, as the case gives it."""
        return self._case.problem_at(0.0, before=True)

    def problem_at(self, time: float, *, before: bool = False) -> Problem:
        """Return the problem at a time of the piece that is on; at one of a jump the one after it, or before."""
        return self._driven(self._case.problem_at(time, before=before), time, before)

    @abstractmethod
    def _driven(self, problem: Problem, time: float, before: bool) -> Problem:
        """Return a problem with what the piece gives at a time."""

    def _own(self, time: float) -> float:
        """Return a time since the piece began, in the units of the case."""
        return max(time - self.state.began, 0.0) * self._setup.scales.time

    @property
    @abstractmethod
    def _courses(self) -> list[Course]:
        """What the piece gives in time."""

    def kinks(self, begin: float, end: float) -> Sequence[float]:
        """Return the times between two at which some number is not smooth, with the latest end of the piece."""
        found, unit = {*self._case.kinks(begin, end), self.end_of_piece}, self._setup.scales.time
        for course in self._courses:
            # one without an end has more than will ever be met
            found |= {self.state.began + kink / unit for kink in course.kinks(self._own(min(end, self.end_of_piece)))}
        last = self.end_of_piece * (1.0 + SAME_TIME)
        return sorted(time for time in found if begin < time < end and time <= last)

    def jumps_at(self, time: float) -> bool:
        """Return whether some number jumps at a time."""
        return self._case.jumps_at(time) or any(course.jumps_at(self._own(time)) for course in self._courses)

    # ---- events ----

    def share(self, step: Step) -> float:
        """Return after which share of a step the piece ends, `BEYOND` at most; infinity if it does not."""
        until = self.piece.until
        if until is None:
            return math.inf
        at = np.linspace(0.0, BEYOND, LOOKED_AT)
        found = [self._first(at, missing) for missing in self._missing(until, step, at)]
        if until.steady and is_still_since(step, self._quiet(step)):
            found.append(1.0)
        first = min(found, default=math.inf)
        # what is so from the beginning of a step on has the step for itself
        return first if first > 0.0 else 1.0

    def accept(self, step: Step) -> None:
        """Take note of a step that is over, and go on to the next piece if one has ended with it."""
        state, share = self.state, self.share(step)
        self._note(step)
        by = "until" if share <= 1.0 + LOCATED else ""
        if not by and step.time >= self.end_of_piece * (1.0 - SAME_TIME):
            by = "duration"
        if not by:
            return
        cycle, piece = divmod(state.number, self._in_cycle)
        if by == "duration" and self.piece.until is not None:
            state.failed = self._why(piece + 1, self.piece.until)
        potential, amounts = state.now or 0.0, dict(state.amounts)
        state.passed.append(Passed(piece + 1, cycle + 1, state.began, step.time, state.charge, potential, by, amounts))
        state.number, state.began, state.charge, state.potential = state.number + 1, step.time, 0.0, state.now
        state.amounts = {}

    def changes_at(self, time: float) -> bool:
        """Return whether a piece begins at a time."""
        return self.state.number > 0 and time == self.state.began

    @abstractmethod
    def _missing(self, until: Until, step: Step, at: np.ndarray) -> list[np.ndarray]:
        """Return what is missing of every condition at places in a step; 0 or less where it is met."""

    @abstractmethod
    def _note(self, step: Step) -> None:
        """Add what has passed in a step that is over to the state."""

    @abstractmethod
    def _reached(self, until: Until) -> list[str]:
        """Return in words what was reached of every condition."""

    @staticmethod
    def _first(at: np.ndarray, missing: np.ndarray) -> float:
        """Return the first place where nothing is missing, by a line between two that were looked at."""
        met = np.flatnonzero(missing <= 0.0)
        if not len(met):
            return math.inf
        k = int(met[0])
        if k == 0:
            return 0.0
        return float(at[k - 1] + (at[k] - at[k - 1]) * missing[k - 1] / (missing[k - 1] - missing[k]))

    def _quiet(self, step: Step) -> float:
        """Return since when all numbers stay."""
        return max([self.state.began, *(kink for kink in self.kinks(0.0, step.time))])

    def _why(self, piece: int, until: Until) -> str:
        parts = [*self._reached(until), *(["something still moves"] if until.steady else [])]
        named = f' "{self.piece.name}"' if self.piece.name else ""
        return f"piece {piece}{named} of the protocol did not end within {self.piece.duration.text}: {', '.join(parts)}"


class ProtocolDrive(PieceDrive):
    """The numbers of a case whose terminal a protocol drives: its potential is given, or the current through it."""

    def __init__(self, setup: Setup, state: ProtocolState | None = None) -> None:
        super().__init__(setup, state)
        time = setup.case.time
        assert time is not None
        names = [boundary.where for boundary in setup.problem.boundaries]
        self._tag = names.index(time.terminal or "")
        total = setup.scales.length ** (setup.case.dimension_of_totals - 1)
        self._unit = {
            "potential": setup.scales.potential,
            "current": setup.scales.current * total,
            "charge": setup.scales.surface_charge * total,
        }
        self._column = self._driven(setup.problem, 0.0, False).floating.index(self._tag)

    @override
    def _driven(self, problem: Problem, time: float, before: bool) -> Problem:
        piece, own = self.piece, self._own(time)
        if piece.potential is not None:
            given = piece.potential.at(own, before=before).value / self._unit["potential"]
            total = GivenTotal("potential", given - problem.potential_reference)
        else:
            assert piece.total_current is not None
            total = GivenTotal("current", piece.total_current.at(own, before=before).value / self._unit["current"])
        boundaries = list(problem.boundaries)
        boundaries[self._tag] = replace(boundaries[self._tag], given_total=total)
        return replace(problem, boundaries=boundaries)

    @property
    @override
    def _courses(self) -> list[Course]:
        given: Quantity | None = self.piece.potential or self.piece.total_current
        return [] if given is None or given.course is None else [given.course]

    @override
    def _missing(self, until: Until, step: Step, at: np.ndarray) -> list[np.ndarray]:
        state, column, missing = self.state, self._column, []
        nodes = np.append(0.0, step.scheme.nodes)
        if until.potential is not None:
            wanted = until.potential.value / self._unit["potential"] - self._setup.problem.potential_reference
            potentials = lagrange(nodes, at) @ step.potentials[:, column]
            begin = float(step.potentials[0, column]) if state.potential is None else state.potential
            # a piece before may have ended there, which is known to rounding and to the place in its last step
            is_there = abs(wanted - begin) <= LOCATED * (1.0 + abs(wanted))
            missing.append(np.sign(wanted - begin) * (wanted - potentials) * (not is_there))
        currents = step.passed[:, column] / step.length
        if until.current is not None:
            goes_on = state.current is not None and not step.is_first
            values = (
                lagrange(nodes, at) @ [state.current, *currents]
                if goes_on
                else (lagrange(step.scheme.nodes, at) @ currents)
            )
            missing.append(np.abs(values) - until.current.value / self._unit["current"])
        if until.charge is not None:
            passed = step.length * integrals_over(step.scheme.nodes, currents, at)
            missing.append(
                until.charge.value / self._unit["charge"] - np.abs(state.charge + step.jumped[column] + passed)
            )
        return missing

    @override
    def _note(self, step: Step) -> None:
        state, column = self.state, self._column
        state.charge += float(step.scheme.weights @ step.passed[:, column] + step.jumped[column])
        if state.potential is None:
            state.potential = float(step.potentials[0, column])
        state.now = float(step.potentials[-1, column])
        state.current = float(step.passed[-1, column]) / step.length

    @override
    def _reached(self, until: Until) -> list[str]:
        si, per = self._setup.scales.si, ("/m^2", "/m", "")[self._setup.case.dimension_of_totals - 1]
        potential = (self.state.now or 0.0) + self._setup.problem.potential_reference
        reached = {
            "potential": (potential, "V"),
            "current": (abs(self.state.current or 0.0), f"A{per}"),
            "charge": (abs(self.state.charge), f"C{per}"),
        }
        return [
            f"the {key} reached {value * self._unit[key]:.4g}{f' {unit}' if si else ''} and not {given.text}"
            for key, (value, unit) in reached.items()
            if (given := getattr(until, key)) is not None
        ]


def integrals_over(nodes: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the integrals from 0 to places of the polynomial that has values at nodes."""
    primitive = [np.polynomial.Polynomial(row).integ() for row in _monomials(nodes)]
    found: np.ndarray = sum(value * one(at) for value, one in zip(values, primitive, strict=True))
    return found


def _monomials(nodes: np.ndarray) -> np.ndarray:
    """Return the coefficients of Lagrange's polynomials, a row each, ascending."""
    rows: np.ndarray = np.linalg.inv(nodes[:, None] ** np.arange(len(nodes))).T
    return rows
