"""Zero lines of smooth functions on the unit square, from far fewer evaluations than a grid needs.

A coarse lattice is refined where a line may hide, after Plantinga and Vegter (Proc. Symp. Geometry Processing, 2004):
a triangle is settled when the function cannot vanish in it, or when its gradient cannot turn by a right angle in it, so
that a line crosses it once at most. Their bounds are those of interval arithmetic; here they are `SAFETY` times the
second derivatives of parabolas through the neighbouring values. Roots are then bracketed on the edges across which the
sign changes, joined to lines, and the triangles along a line refined until the spline through its roots is as accurate
as asked for.

What is guaranteed: at every vertex the function vanishes to the accuracy, with opposite signs at either side. No region
that holds a node of the coarse lattice is missed. Smaller ones are found if the parabolas see them; one narrower than
`finest` that does not bend the values at the nodes around it is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.studies.diagram.curves import Curve, chains, thinned
from pnp_exclusion.studies.diagram.roots import edge_roots
from pnp_exclusion.studies.diagram.samples import Array, Evaluate, Samples, lattice

type Edge = tuple[int, int]

SAFETY = 2.0
"""On the second derivatives."""
COARSENESS = 4
"""Cells of the finest lattice along one of the coarsest."""
DEEPEST = 2.0**-7
"""Of the finest cell: a line that bends more sharply than triangles of this size can follow is left as it is."""
ROOT_SHARE = 0.1
"""Of the accuracy, for the roots."""
CURVE_SHARE = 0.3
"""Of the accuracy, for the spline between the roots, whose error is only estimated; the rest is for its drawing."""


@dataclass(frozen=True, eq=False)
class Line:
    """A zero line of one function.

    vertices (n, 2) are roots, in order; points (k, 2) a polyline through them that follows the line to ``error``, in
    parts of the square's side.
    """

    function: int
    vertices: Array
    points: Array
    closed: bool
    error: float


@dataclass(frozen=True, eq=False)
class Tracing:
    """Zero lines on the unit square and what was evaluated for them.

    points (p, 2) and values (p, m) of all evaluations in their order; samples: those at nodes, with their triangles.
    """

    lines: list[Line]
    samples: Samples
    points: Array
    values: Array
    accuracy: float

    @property
    def evaluations(self) -> int:
        """How often the functions were evaluated."""
        return len(self.points)


def trace(evaluate: Evaluate, *, resolution: int = 25, accuracy: float = 1e-4) -> Tracing:
    """Find the zero lines of the m functions that ``evaluate`` gives at points of the unit square.

    resolution
        Nodes a side of a lattice as fine as triangles become where lines may hide.
    accuracy
        Largest distance between a line and its drawn curve, in parts of the square's side.
    """
    if resolution < 3 or not 0.0 < accuracy < 1.0:
        raise ValueError("resolution must be 3 or more, and accuracy between 0 and 1")
    return _Tracer(evaluate, resolution, accuracy).run()


class _Tracer:
    def __init__(self, evaluate: Evaluate, resolution: int, accuracy: float) -> None:
        self._given = evaluate
        self._log: list[tuple[Array, Array]] = []
        self.accuracy = accuracy
        coarse = max(2, -(-(resolution - 1) // COARSENESS))
        self.finest = 1.0 / (coarse * COARSENESS)
        self.samples = Samples(self._evaluate, lattice(coarse))
        self._roots: dict[tuple[Edge, int], Array] = {}

    def _evaluate(self, points: Array) -> Array:
        values = self._given(points)
        self._log.append((points, values))
        return values

    def run(self) -> Tracing:
        """Refine until every triangle is settled and every line accurate."""
        while True:
            marked = self._doubtful()
            lines: list[Line] = []
            if not marked.any():
                lines, marked = self._lines()
            if not marked.any():
                break
            self.samples.add(self.samples.split(marked))
        points, values = (np.concatenate(parts) for parts in zip(*self._log, strict=True))
        return Tracing(lines, self.samples, points, values, self.accuracy)

    # ---- where lines may hide ----

    def _doubtful(self) -> NDArray[np.bool_]:
        """Triangles that are not settled and larger than the finest."""
        samples = self.samples
        triangles, known = samples.triangles, samples.triangles_known()
        half_known = samples.known[triangles].any(axis=1) & ~known
        size = samples.longest_edges()
        with np.errstate(invalid="ignore"):
            values = samples.values[triangles]
            bend = SAFETY * np.linalg.norm(samples.bends, ord=2, axis=(2, 3))[triangles].max(axis=1)
            one_sign = (np.sign(values) == np.sign(values[:, :1])).all(axis=1)
            dip = bend * size[:, None] ** 2 / 6.0
            free = one_sign & (np.abs(values).min(axis=1) > dip)
            straight = np.linalg.norm(self._gradients(), axis=2) > bend * size[:, None]
            # a line that only dips into the square across a side is seen by no other triangle
            clipped = self._on_side()[:, None] & one_sign & ~free
            settled = (free | (straight & ~clipped)).all(axis=1)
        return ((known & ~settled) | half_known) & (size > 1.5 * self.finest)

    def _gradients(self) -> Array:
        """Of the linear interpolants, (t, m, 2)."""
        corners = self.samples.nodes[self.samples.triangles]
        values = self.samples.values[self.samples.triangles]
        steps = corners[:, 1:] - corners[:, :1]
        rises = values[:, 1:] - values[:, :1]
        return np.moveaxis(np.linalg.solve(steps, rises), 1, 2)

    def _on_side(self) -> NDArray[np.bool_]:
        corners = self.samples.nodes[self.samples.triangles]
        at_side = (corners == 0.0) | (corners == 1.0)
        return (at_side.sum(axis=1) >= 2).any(axis=1)

    # ---- lines ----

    def _lines(self) -> tuple[list[Line], NDArray[np.bool_]]:
        """The lines, and the triangles along those that are not accurate yet."""
        samples = self.samples
        marked = np.zeros(len(samples.triangles), dtype=bool)
        crossings = [self._crossings(function) for function in range(samples.values.shape[1])]
        self._find_roots([(edge, k) for k, crossed in enumerate(crossings) for pair in crossed for edge in pair])
        lines = []
        for function, crossed in enumerate(crossings):
            numbers: dict[Edge, int] = {}
            links = {
                tuple(sorted(numbers.setdefault(edge, len(numbers)) for edge in pair)): t for pair, t in crossed.items()
            }
            edges = list(numbers)
            for chain, closed in chains(links):  # type: ignore[arg-type]
                roots = np.array([self._roots[edges[i], function] for i in chain])
                kept = thinned(roots, closed)
                if len(kept) < 2:
                    continue
                curve = Curve(roots[kept], closed)
                for interval in np.flatnonzero(curve.error > CURVE_SHARE * self.accuracy):
                    begin, end = kept[interval], kept[(interval + 1) % len(kept)]
                    between = range(begin, end if end > begin else end + len(chain))
                    marked[[links[_link(chain, i)] for i in between]] = True
                drawn = np.clip(curve.drawn(0.1 * self.accuracy), 0.0, 1.0)
                lines.append(Line(function, curve.vertices, drawn, closed, float(curve.error.max())))
        marked &= samples.longest_edges() > DEEPEST * self.finest
        return lines, marked

    def _crossings(self, function: int) -> dict[tuple[Edge, Edge], int]:
        """The two edges across which the sign changes, of every triangle that has such."""
        samples = self.samples
        known = np.flatnonzero(samples.triangles_known())
        positive = samples.values[samples.triangles[known], function] >= 0.0
        found = {}
        for t in known[positive.any(axis=1) & ~positive.all(axis=1)]:
            corners = sorted(int(node) for node in samples.triangles[t])
            above = [samples.values[node, function] >= 0.0 for node in corners]
            pairs = [(i, j) for i, j in ((0, 1), (0, 2), (1, 2)) if above[i] != above[j]]
            first, second = ((corners[i], corners[j]) for i, j in pairs)
            found[first, second] = int(t)
        return found

    def _find_roots(self, wanted: list[tuple[Edge, int]]) -> None:
        """Roots on edges that have not been looked at before, all at once."""
        new = list(dict.fromkeys(key for key in wanted if key not in self._roots))
        if not new:
            return
        samples = self.samples
        nodes, function = np.array([edge for edge, _ in new]), np.array([k for _, k in new])
        start, end = samples.nodes[nodes[:, 0]], samples.nodes[nodes[:, 1]]
        along = (end - start) / np.linalg.norm(end - start, axis=1)[:, None]
        bends = samples.bends[nodes, function[:, None]].mean(axis=1)
        slopes = np.linalg.norm(samples.slopes[nodes, function[:, None]], axis=2)
        roots = edge_roots(
            self._evaluate,
            start,
            end,
            samples.values[nodes[:, 0], function],
            samples.values[nodes[:, 1], function],
            function,
            np.einsum("ei,eij,ej->e", along, bends, along),
            slopes.min(axis=1),
            ROOT_SHARE * self.accuracy,
        )
        self._roots.update(zip(new, roots, strict=True))


def _link(chain: list[int], i: int) -> tuple[int, int]:
    first, second = chain[i % len(chain)], chain[(i + 1) % len(chain)]
    return min(first, second), max(first, second)
