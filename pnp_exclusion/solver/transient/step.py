"""A step of the transient solver, and what may happen in its course."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pnp_exclusion.solver.transient.schemes import Scheme
from pnp_exclusion.solver.transient.stages import Solved

LOCATED = 1e-6
"""Of a step: how closely it ends where something happens."""


@dataclass(frozen=True, eq=False)
class Step:
    """One accepted step.

    time, length
        Of its end, and how long it is.
    scheme, solved
        With what it was taken, and what was found.
    begin, end
        What was stored at its beginning and is at its end, owned; carried on from step to step by what has flowed.
    error
        In units of the tolerance.
    change
        The largest of any unknown, relative to ``1 + |unknown|``.
    is_first
        Whether it is the first one of all, or after a jump of the numbers.
    potentials, passed, jumped
        Of the boundaries of `Problem.floating`: at the beginning and at the nodes, ``(1 + stages, n)``; the charge
        that leaves the domain over the step, by stages, ``(stages, n)``, which the weights of the scheme sum up; and
        what has left at once, as a potential jumped right before it, ``(n,)``.
    show, show_begin, take_numbers
        Write the state at one of the points, or at the beginning, with the numbers of its time, into the
        discretisation; give it the numbers of a time, from 0 at the beginning to 1 at the end.
    """

    time: float
    length: float
    scheme: Scheme
    solved: Solved
    begin: np.ndarray
    end: np.ndarray
    error: float
    change: float
    is_first: bool
    potentials: np.ndarray
    passed: np.ndarray
    jumped: np.ndarray
    show: Callable[[int], None]
    show_begin: Callable[[], None]
    take_numbers: Callable[[float], None]


class Events(Protocol):
    """What changes the numbers at moments that only the motion knows."""

    def share(self, step: Step) -> float:
        """Return after which share of a step something happens, a little more than 1 right behind it; infinity if
        nothing does."""
        ...

    def changes_at(self, time: float) -> bool:
        """Return whether the numbers are others from a time on at which a step has ended."""
        ...
