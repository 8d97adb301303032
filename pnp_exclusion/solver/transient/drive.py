"""What a problem's numbers are in the course of time, as the transient solver asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pnp_exclusion.physics.problem import Problem


class Drive(Protocol):
    """What a problem's numbers are in the course of time."""

    @property
    def moves(self) -> bool:
        """Whether any changes at all."""
        ...

    def problem_at(self, time: float, *, before: bool = False) -> Problem:
        """Return the problem at a time; at one of a jump, the one after it, or with ``before`` the one before."""
        ...

    def kinks(self, begin: float, end: float) -> Sequence[float]:
        """Return the times between two at which some number is not smooth, in ascending order."""
        ...

    def jumps_at(self, time: float) -> bool:
        """Return whether some number jumps at a time."""
        ...


@dataclass(frozen=True)
class Constant:
    """The drive of a problem whose numbers stay."""

    problem: Problem
    moves: bool = False

    def problem_at(self, time: float, *, before: bool = False) -> Problem:
        """Return the problem."""
        return self.problem

    def kinks(self, begin: float, end: float) -> Sequence[float]:
        """Return nothing."""
        return ()

    def jumps_at(self, time: float) -> bool:
        """Return that nothing does."""
        return False
