"""Smooth curves through ordered points of the plane, and how far they may be from the line that the points lie on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from scipy.interpolate import CubicSpline

from pnp_exclusion.studies.diagram.samples import Array

FEWEST = 5
"""Vertices of a line, for its error to be estimated."""
AROUND = 6
"""Vertices of the polynomial that a spline is compared with."""
CROWDED = 0.1
"""Vertices nearer than this, relative to the mean distance, are thinned out: they say nothing and shake the spline."""


def chains(links: Iterable[tuple[int, int]]) -> list[tuple[list[int], bool]]:
    """Join links between numbered points, at most two at a point, to chains; the flag says whether one is closed."""
    beside: dict[int, list[int]] = defaultdict(list)
    for first, second in links:
        beside[first].append(second)
        beside[second].append(first)
    found: list[tuple[list[int], bool]] = []
    seen: set[int] = set()
    ends = [point for point, others in beside.items() if len(others) == 1]
    for begin in [*ends, *beside]:
        if begin in seen:
            continue
        chain = [begin]
        seen.add(begin)
        while following := [other for other in beside[chain[-1]] if other not in seen]:
            chain.append(following[0])
            seen.add(following[0])
        found.append((chain, len(chain) > 2 and chain[0] in beside[chain[-1]]))
    return found


def thinned(points: Array, closed: bool) -> list[int]:
    """Which points (n, 2) to keep: not those that crowd upon the one before nor those that are nan, but the ends."""
    good = np.flatnonzero(np.isfinite(points).all(axis=1)).tolist()
    if len(good) < 3:
        return good
    least = CROWDED * np.linalg.norm(np.diff(points[good], axis=0), axis=1).mean()
    kept = good[:1]
    for i in good[1:]:
        if np.linalg.norm(points[i] - points[kept[-1]]) > least:
            kept.append(i)
    if closed and len(kept) > 3 and np.linalg.norm(points[kept[-1]] - points[kept[0]]) <= least:
        kept.pop()
    elif not closed and kept[-1] != good[-1]:
        kept[max(1, len(kept) - 1) :] = good[-1:]
    return kept


class Curve:
    """The cubic spline through vertices (n, 2), over the length of their chords; closed or not.

    ``error`` (n - 1 intervals, or n of a closed one) estimates its distance from a smooth line through the vertices, by
    the distance from the polynomial through the nearest six in the middle of every interval.
    """

    def __init__(self, vertices: Array, closed: bool) -> None:
        self.vertices, self.closed = vertices, closed
        around = np.vstack([vertices, vertices[:1]]) if closed else vertices
        self.length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(around, axis=0), axis=1))])
        self._spline = None
        if len(around) > 3:
            self._spline = CubicSpline(self.length, around, bc_type="periodic" if closed else "not-a-knot")
        self.error = self._errors()

    def at(self, length: Array) -> Array:
        """Points (k, 2) at lengths along the chords."""
        if self._spline is None:
            return np.column_stack([np.interp(length, self.length, self.vertices[:, i]) for i in range(2)])
        points: Array = self._spline(length)
        return points

    def drawn(self, accuracy: float) -> Array:
        """A polyline (k, 2) within ``accuracy`` of the curve that has the vertices among its points."""
        if self._spline is None:
            return self.vertices
        bend = np.linalg.norm(self._spline(self.length, 2), axis=1)
        step = np.diff(self.length)
        pieces = np.ceil(step * np.sqrt(np.maximum(bend[:-1], bend[1:]) / (8.0 * accuracy))).clip(1, 200).astype(int)
        lengths = [
            np.linspace(low, high, count, endpoint=False)
            for low, high, count in zip(self.length, self.length[1:], pieces, strict=False)
        ]
        return self.at(np.concatenate([*lengths, self.length[-1:]]))

    def _errors(self) -> Array:
        intervals = len(self.length) - 1
        if len(self.vertices) < FEWEST:
            return np.full(intervals, np.inf)
        middle = 0.5 * (self.length[1:] + self.length[:-1])
        apart = self.at(middle) - np.array([self._polynomial(place, i) for i, place in enumerate(middle)])
        along = self.at(self.length[1:]) - self.at(self.length[:-1])
        across: Array = apart[:, 0] * along[:, 1] - apart[:, 1] * along[:, 0]
        return np.abs(across) / np.linalg.norm(along, axis=1)

    def _polynomial(self, place: float, interval: int) -> Array:
        """The polynomial through the vertices around an interval, at one place in it."""
        count = len(self.vertices)
        width = min(AROUND, count)
        begin = interval - width // 2 + 1
        if not self.closed:
            begin = min(max(begin, 0), count - width)
        near = np.arange(begin, begin + width)
        at = self.length[near % count] + self.length[-1] * (near // count) if self.closed else self.length[near]
        others = [np.delete(at, k) for k in range(width)]
        weights = np.array([np.prod((place - rest) / (own - rest)) for own, rest in zip(at, others, strict=True)])
        point: Array = weights @ self.vertices[near % count]
        return point
