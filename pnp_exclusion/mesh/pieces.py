"""Cells of any degree cut at their nodes into straight ones."""

from __future__ import annotations

import math
from itertools import permutations, product

import basix
import numpy as np

SIMPLICES = (basix.CellType.interval, basix.CellType.triangle, basix.CellType.tetrahedron)
_AROUND = [(0, 0), (1, 0), (1, 1), (0, 1)]
_CORNERS = {2: _AROUND, 3: [(*place, z) for z in (0, 1) for place in _AROUND]}
"""Of a square and a cube, in VTK's order."""


def straight_pieces(cell: basix.CellType, nodes: np.ndarray) -> np.ndarray:
    """Return the straight cells of the same kind, ``(k^d, corners)`` in VTK's order, into which a cell is cut.

    nodes
        ``(nodes, d)`` in the reference cell, spaced about evenly; corners are their numbers.
    """
    if cell in SIMPLICES:
        return simplices(cell, nodes)
    numbers, degree = _numbers(cell, nodes)
    dimension = nodes.shape[1]
    bases = product(range(degree), repeat=dimension)
    pieces = [[numbers[tuple(corner)] for corner in (np.array(base) + _CORNERS[dimension]).tolist()] for base in bases]
    return np.array(pieces)


def simplices(cell: basix.CellType, nodes: np.ndarray) -> np.ndarray:
    """Return lines, triangles or tetrahedra ``(pieces, d + 1)`` into which a cell of any kind is cut, as
    `straight_pieces`; d! times as many of a quadrilateral or hexahedron."""
    numbers, degree = _numbers(cell, nodes)
    dimension = nodes.shape[1]
    steps = np.eye(dimension, dtype=int)
    found = []
    for base in product(range(degree), repeat=dimension):
        for order in permutations(range(dimension)):
            path = np.cumsum([base, *steps[list(order)]], axis=0).tolist()
            found.append([numbers.get(tuple(corner), -1) for corner in path])
    return np.array([piece for piece in found if min(piece) >= 0])


def _numbers(cell: basix.CellType, nodes: np.ndarray) -> tuple[dict[tuple[int, ...], int], int]:
    """Return the number of the node at every place of a lattice of cubes, and how many of these are along an edge.

    Nodes of a simplex are at chains ``k >= a_1 >= a_2 .. >= 0`` of the lattice.
    """
    count, dimension = nodes.shape
    is_simplex = cell in SIMPLICES
    sizes = [math.comb(k + dimension, dimension) if is_simplex else (k + 1) ** dimension for k in range(10)]
    degree = sizes.index(count)
    if is_simplex:
        nodes = np.cumsum(nodes[:, ::-1], axis=1)[:, ::-1]
    # those of a solution of higher degree are not evenly spaced, but nearest to the same places
    places = np.round(nodes * degree).astype(int)
    return {tuple(place): number for number, place in enumerate(places.tolist())}, degree
