"""Zeros of functions along many edges at once, bracketed, with as few evaluations as smooth functions allow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.studies.diagram.samples import Array, Evaluate

MOST_STEPS = 60
PATIENCE = 4
"""Steps of interpolation before every other step halves the bracket."""


def edge_roots(
    evaluate: Evaluate,
    start: Array,
    end: Array,
    at_start: Array,
    at_end: Array,
    function: NDArray[np.intp],
    bend: Array,
    slope: Array,
    tolerance: float,
) -> Array:
    """The points (e, 2) on the edges at which one function each is zero; nan where an evaluation failed.

    start, end (e, 2) and the values there (e,) of unlike sign; function (e,): which column of ``evaluate``.
    bend (e,): estimated second derivative along the edge, for the first guess; slope (e,): estimated size of the
    gradient. A root is accepted when the next step of interpolation would move it by less than ``tolerance``, or when
    the value over ``slope`` is less: the distance from the line where that runs along the edge.

    Inverse quadratic interpolation within a bracket (Brent, "Algorithms for Minimization without Derivatives", 1973),
    for all edges side by side so that the evaluations of one step can be shared out.
    """
    length = np.linalg.norm(end - start, axis=1)
    low, high = np.zeros(len(start)), np.ones(len(start))
    f_low, f_high = at_start.copy(), at_end.copy()
    place = _of_parabola(at_start, at_end, bend * length**2)
    open_ = np.ones(len(start), dtype=bool)
    for step in range(MOST_STEPS):
        at = np.flatnonzero(open_)
        if len(at) == 0:
            break
        values = evaluate(start[at] + place[at, None] * (end - start)[at])[np.arange(len(at)), function[at]]
        failed = ~np.isfinite(values)
        place[at[failed]] = np.nan
        open_[at[failed]] = False
        at, values = at[~failed], values[~failed]
        following = _interpolated(low[at], f_low[at], place[at], values, high[at], f_high[at])
        below = np.sign(values) == np.sign(f_low[at])
        new_low, new_high = np.where(below, place[at], low[at]), np.where(below, high[at], place[at])
        f_low[at], f_high[at] = np.where(below, values, f_low[at]), np.where(below, f_high[at], values)
        low[at], high[at] = new_low, new_high
        outside = ~((following > new_low) & (following < new_high))
        if step >= PATIENCE and step % 2 == 0:
            outside[:] = True
        following = np.where(outside, 0.5 * (new_low + new_high), following)
        near = np.abs(following - place[at]) * length[at] < tolerance
        on_it = np.abs(values) <= 0.1 * tolerance * slope[at]
        place[at] = np.where(on_it, place[at], following)
        open_[at[near | on_it]] = False
    return start + place[:, None] * (end - start)


def _of_parabola(f0: Array, f1: Array, bend: Array) -> Array:
    """The zero in (0, 1) of the parabola with values f0 and f1 of unlike sign at its ends and a second derivative."""
    straight = f0 / (f0 - f1)
    at = straight
    for _ in range(3):
        at = np.clip((f0 - 0.5 * bend * at * (1.0 - at)) / (f0 - f1), 0.0, 1.0)
    value = f0 + (f1 - f0) * at - 0.5 * bend * at * (1.0 - at)
    settled = np.abs(value) < 0.05 * np.abs(f1 - f0)
    return np.clip(np.where(settled, at, straight), 1e-6, 1.0 - 1e-6)


def _interpolated(a: Array, fa: Array, b: Array, fb: Array, c: Array, fc: Array) -> Array:
    """Inverse quadratic interpolation to zero through three points; by the secant across it where values are equal."""
    with np.errstate(divide="ignore", invalid="ignore"):
        quadratic = (
            a * fb * fc / ((fa - fb) * (fa - fc))
            + b * fa * fc / ((fb - fa) * (fb - fc))
            + c * fa * fb / ((fc - fa) * (fc - fb))
        )
        same = np.sign(fa) == np.sign(fb)
        other, f_other = np.where(same, c, a), np.where(same, fc, fa)
        secant = b - fb * (b - other) / (fb - f_other)
    return np.where(np.isfinite(quadratic), quadratic, np.where(np.isfinite(secant), secant, b))
