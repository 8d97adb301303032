"""A case under a protocol: what is given of its terminal, piece by piece, and where in a step a piece ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

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
        Of the terminal at its end, kT/e, from the potential reference of the problem.
    by
        What ended it.
    """

    piece: int
    cycle: int
    began: float
    ended: float
    charge: float
    potential: float
    by: str


@dataclass
class ProtocolState:
    """Where a motion is in its protocol: with the state of the motion all that is needed to go on.

    number
        Of the piece that is on, counted through all cycles from 0.
    began
        When it did, dimensionless.
    charge
        What has passed the terminal since, out of the domain.
    potential, current
        Of the terminal now: that from which the piece began and the whole current out of the domain, None before the
        first step.
    passed
        The pieces before.
    failed
        Why the protocol cannot go on; empty if it can.
    """

    number: int = 0
    began: float = 0.0
    charge: float = 0.0
    potential: float | None = None
    current: float | None = None
    passed: list[Passed] = field(default_factory=list)
    failed: str = ""

    @classmethod
    def of(cls, written: dict[str, Any]) -> ProtocolState:
        """Return what `dataclasses.asdict` has made plain values of."""
        return cls(**{**written, "passed": [Passed(**piece) for piece in written["passed"]]})


class ProtocolDrive:
    """The numbers of a case under a protocol, and its events, for
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
        names = [boundary.where for boundary in setup.problem.boundaries]
        self._tag = names.index(time.terminal or "")
        total = setup.scales.length ** (setup.case.dimension_of_totals - 1)
        self._unit = {
            "potential": setup.scales.potential,
            "current": setup.scales.current * total,
            "charge": setup.scales.surface_charge * total,
        }
        self._column = self._driven(setup.problem, 0.0, False).floating.index(self._tag)

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
        """Return the problem before the protocol, the terminal at the potential that the case gives."""
        return self._case.problem_at(0.0, before=True)

    def problem_at(self, time: float, *, before: bool = False) -> Problem:
        """Return the problem at a time of the piece that is on; at one of a jump the one after it, or before."""
        return self._driven(self._case.problem_at(time, before=before), time, before)

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

    def _own(self, time: float) -> float:
        """Return a time since the piece began, in the units of the case."""
        return max(time - self.state.began, 0.0) * self._setup.scales.time

    @property
    def _course(self) -> Course | None:
        given: Quantity | None = self.piece.potential or self.piece.total_current
        return None if given is None else given.course

    def kinks(self, begin: float, end: float) -> Sequence[float]:
        """Return the times between two at which some number is not smooth, with the latest end of the piece."""
        found = {*self._case.kinks(begin, end), self.end_of_piece}
        if self._course is not None:
            unit = self._setup.scales.time
            # a course without an end has more than will ever be met
            found |= {
                self.state.began + kink / unit for kink in self._course.kinks(self._own(min(end, self.end_of_piece)))
            }
        last = self.end_of_piece * (1.0 + SAME_TIME)
        return sorted(time for time in found if begin < time < end and time <= last)

    def jumps_at(self, time: float) -> bool:
        """Return whether some number jumps at a time."""
        return self._case.jumps_at(time) or (self._course is not None and self._course.jumps_at(self._own(time)))

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
        state, column = self.state, self._column
        share = self.share(step)
        state.charge += float(step.scheme.weights @ step.passed[:, column] + step.jumped[column])
        potential = float(step.potentials[-1, column])
        if state.potential is None:
            state.potential = float(step.potentials[0, column])
        state.current = float(step.passed[-1, column]) / step.length
        by = "until" if share <= 1.0 + LOCATED else ""
        if not by and step.time >= self.end_of_piece * (1.0 - SAME_TIME):
            by = "duration"
        if not by:
            return
        cycle, piece = divmod(state.number, self._in_cycle)
        if by == "duration" and self.piece.until is not None:
            state.failed = self._why(piece + 1, potential)
        state.passed.append(Passed(piece + 1, cycle + 1, state.began, step.time, state.charge, potential, by))
        state.number, state.began, state.charge, state.potential = state.number + 1, step.time, 0.0, potential

    def changes_at(self, time: float) -> bool:
        """Return whether a piece begins at a time."""
        return self.state.number > 0 and time == self.state.began

    def _missing(self, until: Until, step: Step, at: np.ndarray) -> list[np.ndarray]:
        """Return what is missing of every condition at places in a step; 0 or less where it is met."""
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
            # the integral of the polynomial through the stages
            primitive = [np.polynomial.Polynomial(row).integ() for row in _monomials(step.scheme.nodes)]
            passed = step.length * sum(c * p(at) for c, p in zip(currents, primitive, strict=True))
            missing.append(
                until.charge.value / self._unit["charge"] - np.abs(state.charge + step.jumped[column] + passed)
            )
        return missing

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

    def _why(self, piece: int, potential: float) -> str:
        until = self.piece.until
        assert until is not None
        si, per = self._setup.scales.si, ("/m^2", "/m", "")[self._setup.case.dimension_of_totals - 1]
        reached = {
            "potential": (potential + self._setup.problem.potential_reference, "V"),
            "current": (abs(self.state.current or 0.0), f"A{per}"),
            "charge": (abs(self.state.charge), f"C{per}"),
        }
        parts = [
            f"the {key} reached {value * self._unit[key]:.4g}{f' {unit}' if si else ''} and not {given.text}"
            for key, (value, unit) in reached.items()
            if (given := getattr(until, key)) is not None
        ]
        parts += ["something still moves"] if until.steady else []
        named = f' "{self.piece.name}"' if self.piece.name else ""
        return f"piece {piece}{named} of the protocol did not end within {self.piece.duration.text}: {', '.join(parts)}"


def _monomials(nodes: np.ndarray) -> np.ndarray:
    """Return the coefficients of Lagrange's polynomials, a row each, ascending."""
    rows: np.ndarray = np.linalg.inv(nodes[:, None] ** np.arange(len(nodes))).T
    return rows
