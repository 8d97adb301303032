"""Plane and straight meshes that lie somewhere in space, in coordinates of their own."""

from __future__ import annotations

import numpy as np

FLAT = 1e-6
"""Of the extent: what rounding may leave across a plane."""


def flat_coordinates(points: np.ndarray, dimension: int) -> tuple[np.ndarray, str] | None:
    """Return coordinates ``(nodes, dimension)`` within the plane or line of points ``(nodes, 3)``, and what they are.

    In a plane of two axes they are those of these axes, in their order: (x, z) of a drawing in that plane. In an
    oblique plane the first runs along that axis of space, projected into the plane, which comes first among the two
    that are least steep to it; distances are kept. None if the points do not lie in a plane (or on a line).
    """
    extent = np.ptp(points, axis=0)
    # the first ones win where a mesh is flat in too many
    across = [axis for axis in (2, 1, 0) if extent[axis] <= FLAT * extent.max()][: 3 - dimension]
    if len(across) == 3 - dimension:
        along = [axis for axis in range(3) if axis not in across]
        return np.ascontiguousarray(points[:, along]), ", ".join("xyz"[axis] for axis in along)
    centre = points.mean(axis=0)
    _, sizes, directions = np.linalg.svd(np.cov((points - centre).T))
    if np.sqrt(sizes[dimension]) > FLAT * np.sqrt(sizes[0]):
        return None
    spanning = directions[:dimension]
    along = _least_steep(spanning)
    # QR keeps the first projected axis and makes the second normal to it
    basis, signs = np.linalg.qr((spanning.T @ spanning)[:, along])
    basis *= np.sign(np.diag(signs))
    described = "; ".join("({:.4g}, {:.4g}, {:.4g})".format(*direction) for direction in basis.T)
    return points @ basis, f"lengths along {described}"


def _least_steep(spanning: np.ndarray) -> list[int]:
    """Return the axes of space whose projections span a plane or line best, in their order."""
    if len(spanning) == 1:
        return [int(np.abs(spanning[0]).argmax())]
    steepest = int(np.abs(np.cross(*spanning)).argmax())
    return [axis for axis in range(3) if axis != steepest]
