"""Lines that divide a part of the plane into faces: where two of them cross, and the faces with their areas."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from pnp_exclusion.studies.diagram.samples import Array, Evaluate, Samples

type Area = Any
"""A polygon, or several, of shapely."""

OVERHANG = 1e-7
"""By which the ends of open lines stick out of the square, so that rounding leaves no gap at its sides."""
NEWTON_STEPS = 8


def unit_square() -> Area:
    """The whole square."""
    return shapely.box(0.0, 0.0, 1.0, 1.0)


def united(areas: list[Area]) -> Area:
    """The areas as one."""
    return shapely.union_all(areas)


def known_part(*sampled: Samples) -> Area:
    """The part of the square where every one of some samples has triangles with values at all corners."""
    part = unit_square()
    for samples in sampled:
        known = samples.triangles_known()
        if not known.all():
            triangles = shapely.polygons(samples.nodes[samples.triangles[known]])
            part = shapely.intersection(part, shapely.union_all(triangles))
    return part


def faces(part: Area, lines: list[Array]) -> list[Area]:
    """The faces into which polylines (k, 2) divide a part of the plane; a closed one ends where it begins."""
    edges = [shapely.boundary(part), *(shapely.linestrings(_overhanging(line)) for line in lines)]
    found = shapely.get_parts(shapely.polygonize([shapely.union_all(edges)]))
    inside = shapely.contains(shapely.buffer(part, OVERHANG), shapely.point_on_surface(found))
    return list(found[inside])


def _overhanging(line: Array) -> Array:
    if np.array_equal(line[0], line[-1]):
        return line
    first, last = line[0] - line[1], line[-1] - line[-2]
    begin = line[0] + OVERHANG * first / np.linalg.norm(first)
    end = line[-1] + OVERHANG * last / np.linalg.norm(last)
    return np.vstack([begin, line, end])


def crossings(first: Array, second: Array) -> Array:
    """The points (c, 2) at which two polylines cross."""
    common = shapely.intersection(shapely.linestrings(first), shapely.linestrings(second))
    points = [part for part in shapely.get_parts(common) if part.geom_type == "Point"]
    return shapely.get_coordinates(points).reshape(-1, 2)


def distance(points: Array, lines: list[Array]) -> Array:
    """Distance (n,) of points (n, 2) from the nearest of some polylines; infinite if there is none."""
    if not lines:
        return np.full(len(points), np.inf)
    together = shapely.union_all([shapely.linestrings(line) for line in lines])
    found: Array = shapely.distance(shapely.points(points), together)
    return found


def inside(face: Area, points: Array, margin: float) -> NDArray[np.bool_]:
    """Which points (n, 2) are in a face, farther than ``margin`` from its boundary."""
    core = shapely.buffer(face, -margin)
    shapely.prepare(core)
    found: NDArray[np.bool_] = shapely.contains_xy(core, points[:, 0], points[:, 1])
    return found


def inner_point(face: Area, margin: float) -> Array | None:
    """A point (2,) of a face that is farther than ``margin`` from its boundary; None if the face is too thin."""
    core = shapely.buffer(face, -margin)
    return None if core.is_empty else shapely.get_coordinates(shapely.point_on_surface(core))[0]


def with_point(line: Array, point: Array) -> Array:
    """The polyline led through one more point (2,), which lies beside it."""
    step = np.diff(line, axis=0)
    share = np.clip(((point - line[:-1]) * step).sum(axis=1) / np.maximum((step**2).sum(axis=1), 1e-300), 0.0, 1.0)
    nearest = int(np.argmin(np.linalg.norm(line[:-1] + share[:, None] * step - point, axis=1)))
    return np.insert(line, nearest + 1, point, axis=0)


def polished(evaluate: Evaluate, functions: list[int], start: Array, slopes: Array, accuracy: float) -> Array | None:
    """The common zero of two functions near ``start`` (2,), by Newton's method with Broyden's updates; None if lost.

    functions: columns of ``evaluate``; slopes (2, 2): their gradients near there, by rows. Ends when a step is below
    ``accuracy``; the start is as good as the lines that cross there, so that this takes two evaluations as a rule.
    """
    point, jacobian = start, slopes.copy()
    value = evaluate(point[None])[0, functions]
    for _ in range(NEWTON_STEPS):
        try:
            step = -np.linalg.solve(jacobian, value)
        except np.linalg.LinAlgError:
            return None
        following = np.clip(point + step, 0.0, 1.0)
        if not np.isfinite(following).all():
            return None
        if np.linalg.norm(following - point) < accuracy:
            return following
        moved, point = following - point, following
        new = evaluate(point[None])[0, functions]
        jacobian += np.outer(new - value - jacobian @ moved, moved) / (moved @ moved)
        value = new
    return None


def rings(area: Area) -> list[Array]:
    """The outlines (k, 2) of the polygons of an area and of their holes, these the other way round."""
    polygons = [part for part in shapely.get_parts(shapely.normalize(area)) if part.geom_type == "Polygon"]
    return [shapely.get_coordinates(ring) for polygon in polygons for ring in (polygon.exterior, *polygon.interiors)]
