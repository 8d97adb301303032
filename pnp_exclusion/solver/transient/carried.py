"""What a motion carries from one step to the next, as data: with it a run goes on as if it had never stopped."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

OF_NODES = {"of": "nodes"}
"""Of a field of a dataclass: it holds unknowns of this rank, ``(.., owned)``, or with ghosts behind, as it is read."""
OF_CELLS = {"of": "cells"}
"""It holds one value for every owned cell of this rank."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Carried:
    """What `TransientSolver` carries on at the end of a step; numbers and texts, and arrays over nodes and cells.

    A checkpoint writes and reads every field by what it is, so that whatever else a motion must remember is one more.

    time
        Of the end of the step.
    length, least
        Of the next step, if nothing lands before; below which the solver gives up.
    scheme
        The name of that with which the next step is tried first: a more robust one where another has failed.
    largest_potential, largest_charge, mean_at_first
        So far, and of everything that is conserved: against which errors are measured.
    steps, rejected, failed, effort
        What it took.
    values
        The state.
    stored, flowing
        ``S`` as it was carried on by what has flowed, and ``F`` beside ``P``.
    past_scheme, past_length, past_states
        The step before, for prediction; None after a jump.
    jacobian_scheme, jacobian_time, jacobian_length, jacobian_points, jacobian_is_steep
        The step at whose points the kept Jacobian was taken, with the cells of the high rule there; None for none.
    preconditioned_length
        For steps of which length it preconditions.
    is_steep
        The cells of the high rule.
    potentials, charges
        Of the boundaries whose potentials are found.
    past_potentials, jacobian_potentials
        Those potentials in the step before, by stages, and where the Jacobian was taken, by points.
    """

    time: float
    length: float
    least: float
    scheme: str
    largest_potential: float
    largest_charge: float
    mean_at_first: list[float]
    steps: int
    rejected: int
    failed: int
    effort: dict[str, int]
    values: np.ndarray = field(metadata=OF_NODES)
    stored: np.ndarray = field(metadata=OF_NODES)
    flowing: np.ndarray = field(metadata=OF_NODES)
    past_scheme: str | None = None
    past_length: float = 0.0
    past_states: np.ndarray | None = field(default=None, metadata=OF_NODES)
    jacobian_scheme: str | None = None
    jacobian_time: float = 0.0
    jacobian_length: float = 0.0
    preconditioned_length: float = 0.0
    jacobian_points: np.ndarray | None = field(default=None, metadata=OF_NODES)
    jacobian_is_steep: np.ndarray | None = field(default=None, metadata=OF_CELLS)
    is_steep: np.ndarray = field(metadata=OF_CELLS)
    potentials: list[float] = field(default_factory=list)
    charges: list[float] = field(default_factory=list)
    past_potentials: list[list[float]] = field(default_factory=list)
    jacobian_potentials: list[list[float]] = field(default_factory=list)
