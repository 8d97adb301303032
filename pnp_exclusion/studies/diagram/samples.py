"""Functions sampled at nodes of the unit square: their triangulation, and how they slope and bend at every node."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay, cKDTree

type Array = NDArray[np.float64]
type Evaluate = Callable[[Array], Array]
"""Values (n, m) of m functions at points (n, 2) of the unit square; a row of nan where there is none."""

NEIGHBOURS = 12
"""Of a node, for the parabola through it; five would do."""
SAME_POINT = 1e-9
"""Of the side: two points nearer than this are one."""


def lattice(cells: int) -> Array:
    """The nodes of a square lattice of so many cells a side, row by row to and fro, (n, 2)."""
    side = np.linspace(0.0, 1.0, cells + 1)
    rows = [np.column_stack([side[:: 1 - 2 * (j % 2)], np.full(cells + 1, y)]) for j, y in enumerate(side)]
    return np.concatenate(rows)


class Samples:
    """Nodes of the unit square with the values there; a node can be added, none is ever removed.

    nodes (n, 2), values (n, m). Not every value is finite; what follows from the others leaves those nodes out.
    """

    def __init__(self, evaluate: Evaluate, nodes: Array) -> None:
        self._evaluate = evaluate
        self.nodes = nodes
        self.values = evaluate(nodes)
        self._refresh()

    def add(self, points: Array) -> None:
        """Evaluate at new nodes; those that are there already are left out."""
        keys = np.round(points / SAME_POINT).astype(np.int64)
        points = points[np.sort(np.unique(keys, axis=0, return_index=True)[1])]
        points = points[self._tree.query(points)[0] > SAME_POINT]
        if len(points) == 0:
            return
        self.nodes = np.concatenate([self.nodes, points])
        self.values = np.concatenate([self.values, self._evaluate(points)])
        self._refresh()

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where the values are finite, (n,)."""
        return np.isfinite(self.values).all(axis=1)

    def triangles_known(self) -> NDArray[np.bool_]:
        """Triangles with values at all three corners."""
        return self.known[self.triangles].all(axis=1)

    def longest_edges(self) -> Array:
        """Length of the longest edge of every triangle."""
        corners = self.nodes[self.triangles]
        return np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)

    def split(self, marked: NDArray[np.bool_]) -> Array:
        """The midpoints of all edges of the marked triangles, for `add`."""
        corners = self.nodes[self.triangles[marked]]
        return (0.5 * (corners + np.roll(corners, 1, axis=1))).reshape(-1, 2)

    def _refresh(self) -> None:
        self._tree = cKDTree(self.nodes)
        self.triangles = _triangulated(self.nodes)
        self.slopes, self.bends = parabolas(self.nodes, self.values)


def parabolas(nodes: Array, values: Array) -> tuple[Array, Array]:
    """Gradients (n, m, 2) and Hessians (n, m, 2, 2) of the parabolas through every node and nearest its neighbours.

    Least squares, weighted by the inverse square of the distance; zero where there are too few neighbours, and at nodes
    whose values (n, m) are not all finite.
    """
    count, functions = values.shape
    slopes, bends = np.zeros((count, functions, 2)), np.zeros((count, functions, 2, 2))
    good = np.flatnonzero(np.isfinite(values).all(axis=1))
    neighbours = min(NEIGHBOURS, len(good) - 1)
    if neighbours < 5:
        return slopes, bends
    distance, nearest = cKDTree(nodes[good]).query(nodes[good], k=neighbours + 1)
    step = nodes[good][nearest[:, 1:]] - nodes[good][:, None]
    rise = values[good][nearest[:, 1:]] - values[good][:, None]
    unit = distance[:, -1]
    u, v = np.moveaxis(step / unit[:, None, None], -1, 0)
    weight = (unit[:, None] / distance[:, 1:]) ** 2
    matrix = np.stack([u, v, 0.5 * u * u, u * v, 0.5 * v * v], axis=-1) * weight[..., None]
    terms = np.linalg.pinv(matrix, rcond=1e-8) @ (rise * weight[..., None])
    slopes[good] = np.moveaxis(terms[:, :2], 1, 2) / unit[:, None, None]
    bends[good] = np.moveaxis(terms[:, [[2, 3], [3, 4]]], -1, 1) / unit[:, None, None, None] ** 2
    return slopes, bends


def _triangulated(nodes: Array) -> NDArray[np.intp]:
    """Delaunay triangles (t, 3) that are not flat."""
    triangles = Delaunay(nodes).simplices.astype(np.intp)
    a, b, c = np.moveaxis(nodes[triangles], 1, 0)
    across = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    return triangles[np.abs(across) > SAME_POINT * np.linalg.norm(b - a, axis=1) ** 2]
