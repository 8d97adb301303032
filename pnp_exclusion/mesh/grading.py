"""Graded partitions of an interval: fine cells where layers are expected, growing geometrically away from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Layer:
    """A place where the solution is expected to be steep, and the size of the first cell beside it."""

    position: float
    first_cell: float


@dataclass(frozen=True)
class Resolution:
    """How fine a graded mesh is.

    cells_per_layer
        The first cell is the thickness of a layer divided by this.
    growth
        Increase of the cell size per distance from the layer.
    largest
        Largest cell, as a share of the interval.
    """

    cells_per_layer: float
    growth: float
    largest: float


RESOLUTION = {
    (1, 1): Resolution(60.0, 0.03, 1 / 160),
    (1, 2): Resolution(30.0, 0.06, 1 / 80),
    (1, 3): Resolution(12.0, 0.15, 1 / 32),
    (1, 4): Resolution(6.0, 0.3, 1 / 16),
    (2, 1): Resolution(8.0, 0.25, 1 / 24),
    (2, 2): Resolution(5.0, 0.35, 1 / 16),
    (2, 3): Resolution(3.0, 0.6, 1 / 9),
    (2, 4): Resolution(2.0, 0.8, 1 / 8),
    (3, 1): Resolution(4.0, 0.6, 1 / 12),
    (3, 2): Resolution(2.5, 0.8, 1 / 8),
    (3, 3): Resolution(1.5, 1.2, 1 / 6),
    (3, 4): Resolution(1.0, 1.5, 1 / 5),
}
"""By dimension and degree. In 1D an error below 1e-6 in the currents (degree 1: 5e-5); above it, what a workstation
holds."""


def graded_nodes(
    length: float, breakpoints: Sequence[float], layers: Sequence[Layer], resolution: Resolution
) -> np.ndarray:
    """Return ascending nodes of ``[0, length]`` that include the breakpoints and resolve the layers.

    Cells are the equal parts of ``int dx / h``, with ``h(x)`` the smallest of ``first_cell + growth |x - position|``
    over the layers and of the largest cell, so neighbouring cells differ by the factor ``1 + growth`` at most.
    """
    edges = _edges(length, breakpoints)
    samples = _samples(length, edges, layers)
    size = np.full_like(samples, resolution.largest * length)
    for layer in layers:
        size = np.minimum(size, layer.first_cell + resolution.growth * np.abs(samples - layer.position))
    # size is piecewise linear between samples, where int dx/h is exactly the logarithmic mean's inverse
    left, right = size[:-1], size[1:]
    ratio = right / left
    nearly_equal = np.abs(ratio - 1.0) < 1e-6
    logarithmic = np.where(
        nearly_equal, 0.5 * (left + right), (right - left) / np.log(np.where(nearly_equal, 2.0, ratio))
    )
    cells = np.concatenate([[0.0], np.cumsum(np.diff(samples) / logarithmic)])
    pieces = []
    for start, end in pairwise(edges):
        first, last = np.interp([start, end], samples, cells)
        count = max(2, int(np.ceil(last - first)))
        nodes = np.interp(np.linspace(first, last, count + 1), cells, samples)
        nodes[[0, -1]] = start, end
        pieces.append(nodes[:-1])
    return np.append(np.concatenate(pieces), length)


def uniform_nodes(length: float, breakpoints: Sequence[float], cells: int) -> np.ndarray:
    """Return ``cells`` cells of ``[0, length]``, equal within each part between breakpoints, at least one in each."""
    edges = _edges(length, breakpoints)
    ideal = np.diff(edges) / length * cells
    counts = np.maximum(1, np.floor(ideal + 1e-9).astype(int))
    for part in np.argsort(counts - ideal)[: max(0, cells - counts.sum())]:
        counts[part] += 1
    pieces = [
        np.linspace(start, end, count + 1)[:-1] for start, end, count in zip(edges, edges[1:], counts, strict=False)
    ]
    return np.append(np.concatenate(pieces), length)


def _edges(length: float, breakpoints: Sequence[float]) -> np.ndarray:
    inner = [x for x in breakpoints if 1e-9 * length < x < length * (1 - 1e-9)]
    edges = np.unique([0.0, *inner, length])
    return edges[np.concatenate([[True], np.diff(edges) > 1e-9 * length])]


def _samples(length: float, edges: np.ndarray, layers: Sequence[Layer]) -> np.ndarray:
    """Points that resolve the kinks of the size function: geometric around each layer, and a uniform set."""
    points = [edges, np.linspace(0.0, length, 401)]
    for layer in layers:
        span = np.geomspace(1e-2 * layer.first_cell, length, 400)
        points += [layer.position + span, layer.position - span, np.array([layer.position])]
    samples = np.unique(np.concatenate(points))
    return samples[(samples >= 0.0) & (samples <= length)]
