"""Which points a sweep has, and along which path neighbours follow one another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pnp_exclusion.case.axes import Coordinate, Driving, read_axis
from pnp_exclusion.case.plans import Sweep

DEFAULT_SEED = 1


@dataclass(frozen=True)
class Design:
    """The points of a sweep, numbered: a grid with its last axis fastest, rows of a list, or points drawn.

    shares
        Of a drawn design: how far along every axis each point is, ``(points, axes)``.
    """

    drivings: tuple[Driving, ...]
    kind: str
    size: int
    shares: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Of a grid: how many values every axis has."""
        return tuple(len(driving.values) for driving in self.drivings) if self.kind == "grid" else None

    def coordinates(self, point: int) -> tuple[Coordinate, ...]:
        """Return the coordinate of a point along every axis."""
        if self.shares is not None:
            return tuple(d.at(float(share)) for d, share in zip(self.drivings, self.shares[point], strict=True))
        if self.shape is None:
            return tuple(driving.values[point] for driving in self.drivings)
        steps = np.unravel_index(point, self.shape)
        return tuple(driving.values[step] for driving, step in zip(self.drivings, steps, strict=True))

    def along(self, axis: int) -> np.ndarray:
        """Return which of its values along an axis each point has: numbers that are equal where the values are."""
        driving = self.drivings[axis]
        if self.shape is not None:
            return np.unravel_index(np.arange(self.size), self.shape)[axis]
        if self.shares is None:
            numbers: dict[Coordinate, int] = {}
            return np.array([numbers.setdefault(value, len(numbers)) for value in driving.values])
        if math.isnan(driving.low):
            return np.minimum((self.shares[:, axis] * len(driving.values)).astype(int), len(driving.values) - 1)
        return np.unique(self.shares[:, axis], return_inverse=True)[1]

    def describe(self, point: int) -> str:
        """Return the coordinates of a point in words."""
        pairs = zip(self.drivings, self.coordinates(point), strict=True)
        return ", ".join(
            f"{driving.name} = {value if isinstance(value, str) else format(value, '.6g')} {driving.unit}".rstrip()
            for driving, value in pairs
        )

    @cached_property
    def positions(self) -> np.ndarray:
        """How far along every axis each point is, 0 to 1, ``(points, axes)``: the space in which points are near."""
        if self.shares is not None:
            return self.shares
        along = [_spread(driving) for driving in self.drivings]
        if self.kind == "grid":
            return np.stack([axis.ravel() for axis in np.meshgrid(*along, indexing="ij")], axis=1)
        return np.stack(along, axis=1)

    def path(self) -> list[int]:
        """Return the points in an order in which neighbours follow one another: back and forth along the axes."""
        if self.shape is not None:
            return _serpentine(self.shape)
        if self.kind == "list":
            return list(range(self.size))
        return _swept(self.positions, np.arange(self.size))


def design_of(sweep: Sweep, tables: dict[str, Any]) -> Design:
    """Return the design of the sweep of a case, given the nested tables of that case."""
    drivings = tuple(read_axis(axis, tables) for axis in sweep.axes)
    shares = _drawn(sweep, len(drivings)) if sweep.drawn else None
    return Design(drivings, sweep.design, sweep.size, shares)


def _drawn(sweep: Sweep, axes: int) -> np.ndarray:
    """Uniform points; with Latin hypercube one in each of as many equal slices along every axis."""
    generator = np.random.Generator(np.random.PCG64(DEFAULT_SEED if sweep.seed is None else sweep.seed))
    shares = generator.random((sweep.size, axes))
    if sweep.design == "latin-hypercube":
        slices = np.stack([generator.permutation(sweep.size) for _ in range(axes)], axis=1)
        shares = (slices + shares) / sweep.size
    return shares


def _spread(driving: Driving) -> np.ndarray:
    """How far along the axis each of its values is, between the smallest and the largest; words by their position."""
    if driving.words is not None:
        distinct = list(driving.words)
        return np.array([distinct.index(str(value)) / max(1, len(distinct) - 1) for value in driving.values])
    values = np.array(driving.values, dtype=float)
    if driving.log:
        values = np.log(values / driving.low)
    extent = float(np.ptp(values))
    return (values - values.min()) / extent if extent else np.zeros(len(values))


def _serpentine(shape: tuple[int, ...]) -> list[int]:
    """All points of a grid, each a neighbour of the one before."""
    path = [0]
    for count in shape:
        path = [
            point * count + step
            for position, point in enumerate(path)
            for step in (range(count) if position % 2 == 0 else reversed(range(count)))
        ]
    return path


def _swept(positions: np.ndarray, points: np.ndarray) -> list[int]:
    """Points strip by strip along the first axis, each strip back and forth along the others."""
    axes = positions.shape[1]
    ordered = points[np.argsort(positions[points, 0], kind="stable")]
    if axes == 1 or len(points) < 3:
        return [int(point) for point in ordered]
    strips = max(1, round(len(points) ** (1.0 / axes)))
    path: list[int] = []
    for number, strip in enumerate(np.array_split(ordered, strips)):
        within = _swept(positions[:, 1:], strip)
        path += within if number % 2 == 0 else reversed(within)
    return path


def corners(positions: np.ndarray, most: int = 64) -> list[int]:
    """Return the points that lie farthest out: one toward every corner, or toward so many directions.

    Strengths of layers grow outward (they are convex in the numbers of a case), so that a mesh which is fine enough
    for these is fine enough for all.
    """
    axes = positions.shape[1]
    if len(positions) <= most:
        return list(range(len(positions)))
    if 2**axes <= most:
        signs = np.array([[1.0 if corner >> axis & 1 else -1.0 for axis in range(axes)] for corner in range(2**axes)])
    else:
        signs = np.sign(np.random.Generator(np.random.PCG64(DEFAULT_SEED)).normal(size=(most, axes)))
    directions = np.concatenate([signs, np.eye(axes), -np.eye(axes)])
    return sorted({int(np.argmax(positions @ direction)) for direction in directions / math.sqrt(axes)})
