"""Cells of any first-order kind as triangles and tetrahedra that fit each other, whatever lies next to them.

A quadrangle is cut from its corner of the lowest number, and so is every quadrangular face of a pyramid, prism or
hexahedron: two cells that share a face cut it alike. Inside, a cell is the cone from its corner of the lowest number
over the cut faces that do not hold this corner; the faces that do hold it are thereby cut as the rule says
(Dompierre, Labbe, Vallet, Camarero: How to subdivide pyramids, prisms and hexahedra into tetrahedra, 1999).
"""

from __future__ import annotations

import numpy as np

FACES: dict[int, list[list[int]]] = {
    2: [[0, 1], [1, 2], [2, 0]],
    3: [[0, 1], [1, 2], [2, 3], [3, 0]],
    4: [[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]],
    5: [[0, 3, 2, 1], [0, 1, 5, 4], [0, 4, 7, 3], [1, 2, 6, 5], [2, 3, 7, 6], [4, 5, 6, 7]],
    6: [[0, 2, 1], [3, 4, 5], [0, 1, 4, 3], [0, 3, 5, 2], [1, 2, 5, 4]],
    7: [[0, 3, 2, 1], [0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]],
}
"""Corners of the faces of a cell, seen from outside counterclockwise, by gmsh's number of its kind: triangle,
quadrangle, tetrahedron, hexahedron, prism, pyramid."""


def simplices(kind: int, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the triangles or tetrahedra in cells of one kind, and the cell that each lies in.

    Their corners are in the order of the cell's orientation: the volumes of all in a cell that is not bent have one
    sign.

    kind
        gmsh's number, one of `FACES`, or that of a line, which stays.
    cells
        Node numbers in gmsh's order, ``(cells, corners)``.
    """
    if kind not in FACES:
        return cells, np.arange(len(cells))
    lowest = cells.argmin(axis=1)
    parts, origins = [], []
    for corner in range(cells.shape[1]):
        at = np.flatnonzero(lowest == corner)
        for face in FACES[kind]:
            if corner in face:
                continue
            pieces, piece_of = _fan(cells[at][:, face])
            parts.append(np.column_stack([cells[at][piece_of, corner], pieces]))
            origins.append(at[piece_of])
    return np.concatenate(parts), np.concatenate(origins)


def _fan(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return faces of two or three corners as they are, quadrangles as the two triangles from their lowest corner."""
    if faces.shape[1] < 4:
        return faces, np.arange(len(faces))
    turned = np.take_along_axis(faces, (faces.argmin(axis=1)[:, None] + np.arange(4)) % 4, axis=1)
    return np.concatenate([turned[:, [0, 1, 2]], turned[:, [0, 2, 3]]]), np.tile(np.arange(len(faces)), 2)


def bent_cells(points: np.ndarray, parts: np.ndarray, origins: np.ndarray) -> int:
    """Return the number of cells whose parts overlap, or are flat, since the cell is not convex enough to be cut.

    points
        ``(nodes, dimension)``.
    """
    corners = points[parts]
    volumes = np.linalg.det(corners[:, 1:] - corners[:, :1])
    up, down = (np.unique(origins[sign * volumes > 0.0]) for sign in (1.0, -1.0))
    flat = np.unique(origins[volumes == 0.0])
    return len(np.union1d(np.intersect1d(up, down), flat))
