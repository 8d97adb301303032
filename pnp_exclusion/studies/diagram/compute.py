"""The phase diagram of a case over two drivings: borders, common points, regions and their shares of the plane.

The lines are zeros of smooth functions of the drivings, for every species a (docs/theory.md#uphill):

    current    J_a = 0           begins uphill transport; found by the solver
    force      F_a = 0           between it and the current's line the current is inverse; known exactly
    contents   rho_a equal       in the two reservoirs: what was uphill is downhill beyond; known exactly

All lines of currents and forces meet at global equilibrium.

With ``noise = true`` in ``[diagram]`` also where the currents of two species are not correlated (docs/noise.md).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.spatial import cKDTree

from pnp_exclusion.case.case import Case, read_case
from pnp_exclusion.errors import CaseError
from pnp_exclusion.runtime.fenicsx import initialise_petsc
from pnp_exclusion.runtime.pool import executor_for
from pnp_exclusion.studies.diagram import arrangement
from pnp_exclusion.studies.diagram.ends import ends_of, flowing
from pnp_exclusion.studies.diagram.exact import exact_lines
from pnp_exclusion.studies.diagram.plane import Plane, planes_of
from pnp_exclusion.studies.diagram.readings import Reading, reader_of
from pnp_exclusion.studies.diagram.samples import Array, parabolas
from pnp_exclusion.studies.diagram.trace import Line, Tracing, trace

type Kind = Literal["current", "force", "contents", "correlation"]
type Label = tuple[tuple[str, ...], tuple[bool, ...]]
"""Regimes of the species, and whether each runs uphill."""

ONE_LINE = 3.0
"""Times the accuracy: two lines that are nowhere farther apart are one."""
MARGIN = 3.0
"""Times the accuracy: what is nearer to a border than this is not asked for its regime."""
NO_CORRELATION = 1e-9
"""Correlation coefficients below this are rounding, as those of independent particles."""
NO_FORCE = 1e-9
"""kT: forces below this vanish."""


@dataclass(frozen=True, eq=False)
class Border:
    """A line on which the current, the force or the difference of contents of a species vanishes.

    points (k, 2): in parts of the axes' ranges; ``error``: its estimated distance from the true line, in the same
    measure; vertices: how many of the points were solved for, 0 for lines known without solving. from_exact: largest
    distance of the points from the exact line, where there is one.
    """

    species: int
    kind: Kind
    points: Array
    closed: bool
    error: float
    vertices: int = 0
    from_exact: float | None = None


@dataclass(frozen=True, eq=False)
class CommonPoint:
    """Where the currents of all species vanish; ``point`` (2,) in parts of the axes' ranges.

    equilibrium: the forces vanish there too. from_exact: distance from the point at which they do exactly.
    """

    point: Array
    species: tuple[int, ...]
    equilibrium: bool
    from_exact: float | None = None


@dataclass(frozen=True, eq=False)
class Region:
    """Where every species is in one regime. uphill: whether it runs to the reservoir that holds more of it."""

    regimes: tuple[str, ...]
    uphill: tuple[bool, ...]
    area: arrangement.Area = field(repr=False)

    @property
    def share(self) -> float:
        """Of the plane."""
        return float(self.area.area)


@dataclass(frozen=True, eq=False)
class Diagram:
    """A phase diagram. points (p, 2): of all solves, in their order, with the reading of each.

    exact: lines of the currents that are known exactly: from `pnp_exclusion.exact` for shdl in constant fields, those
    of the forces for laws of diagonal mobility, in any potential.
    uncorrelated: lines on which a correlation vanishes, their ``species`` being the number of the pair; none if noise
    is not asked for.
    unresolved: share of the plane in faces thinner than the accuracy; unknown: share around failed solves.
    contradictions: solved points farther from every border than the accuracy whose regime is not their region's.
    """

    plane: Plane
    borders: list[Border]
    common_points: list[CommonPoint]
    regions: list[Region]
    points: Array
    readings: list[Reading]
    exact: list[Border]
    uncorrelated: list[Border]
    unresolved: float
    unknown: float
    contradictions: int
    grid_of_labels: int
    grid_of_currents: int

    @property
    def solves(self) -> int:
        """How many steady states were asked for, those that failed included."""
        return len(self.points)

    @property
    def species(self) -> list[str]:
        """Names of the species that pass, and with a temperature energy, in the order of every array over them."""
        return flowing(self.plane.case)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Pairs of species whose currents are correlated; none if noise is not asked for."""
        return list(itertools.combinations(self.species, 2)) if self.plane.noise else []


def diagrams_of(
    case: Case | str | Path,
    workers: int = 1,
    resolution: int | None = None,
    accuracy: float | None = None,
    executor: Executor | None = None,
) -> list[Diagram]:
    """The diagrams of a case with a ``[diagram]`` table, one for each of its variants.

    case
        A case or the path of its file.
    workers
        Processes that solve; more than one only from under ``if __name__ == "__main__":``, as they import the script.
    resolution, accuracy
        Instead of those of the table.
    executor
        Instead of ``workers`` a `concurrent.futures.Executor`, as for `pnp_exclusion.sweep`; it is left open.

    Raises `CaseError` if there is no such diagram, and `WorkerDiedError` if processes die again and again.
    """
    case = case if isinstance(case, Case) else read_case(case)
    with executor_for(workers, executor, initialise_petsc) as chosen:
        return [make_diagram(plane, reader_of(plane, chosen)) for plane in planes_of(case, resolution, accuracy)]


def make_diagram(plane: Plane, read: Callable[[Array], list[Reading]]) -> Diagram:
    """Find the diagram of a plane; ``read`` solves points (n, 2) of the unit square, see `readings.reader_of`."""
    return _Maker(plane, read).make()


class _Maker:
    def __init__(self, plane: Plane, read: Callable[[Array], list[Reading]]) -> None:
        self.plane = plane
        self.count = len(flowing(plane.case))
        self.pairs = self.count * (self.count - 1) // 2 if plane.noise else 0
        self._read = read
        self.points: list[Array] = []
        self.readings: list[Reading] = []

    def evaluate(self, points: Array) -> Array:
        """The excess forces (n, N), of which the lines of the currents are the zeros, and the correlations of pairs."""
        readings = self._read(points)
        self.points += list(points)
        self.readings += readings
        return np.array([(*reading.excess, *self._correlations(reading)) for reading in readings])

    def _correlations(self, reading: Reading) -> list[float]:
        if reading.failure:
            return [np.nan] * self.pairs
        # neither rounding nor what does not fluctuate has a line on which it vanishes
        return [value if abs(value) > NO_CORRELATION else NO_CORRELATION for value in reading.correlation]

    def make(self) -> Diagram:
        """Trace, polish, divide, label."""
        plane = self.plane
        tracing = trace(self.evaluate, resolution=plane.resolution, accuracy=plane.accuracy)
        known = trace(self._ends, resolution=plane.resolution, accuracy=plane.accuracy)
        traced = [line for line in tracing.lines if line.function < self.count]
        borders = [_border(line, line.function, "current", len(line.vertices)) for line in traced]
        uncorrelated = [
            _border(line, line.function - self.count, "correlation", len(line.vertices))
            for line in tracing.lines
            if line.function >= self.count
        ]
        for line in known.lines:
            kind: Kind = "force" if line.function < self.count else "contents"
            borders.append(_border(line, line.function % self.count, kind))
        exact = self._exact(borders)
        borders = [_measured(border, exact) for border in borders]
        common, borders = self._common_points(tracing, borders)
        part = arrangement.known_part(tracing.samples, known.samples)
        regions, unresolved, contradictions = self._regions(part, borders)
        return Diagram(
            plane=plane,
            borders=borders,
            common_points=common,
            regions=regions,
            points=np.array(self.points),
            readings=self.readings,
            exact=exact,
            uncorrelated=uncorrelated,
            unresolved=unresolved,
            unknown=max(0.0, 1.0 - float(part.area)),
            contradictions=contradictions,
            grid_of_labels=(round(1.0 / plane.accuracy) + 1) ** 2,
            grid_of_currents=self._grid_of_currents(tracing),
        )

    def _ends(self, points: Array) -> Array:
        """What is known of the points without solving: forces and the logarithms of the contents' ratios, (n, 2 N)."""
        rows = np.full((len(points), 2 * self.count), np.nan)
        for row, point in zip(rows, points, strict=True):
            try:
                ends = ends_of(self.plane.case_at(point))
            except CaseError:
                continue
            row[:] = np.concatenate([ends.force, ends.rise])
        return rows

    def _exact(self, borders: list[Border]) -> list[Border]:
        if self.plane.changed.model.flux_law.diagonal_mobility:
            return [replace(border, kind="current") for border in borders if border.kind == "force"]
        return [_border(line, line.function, "current") for line in exact_lines(self.plane)]

    def _grid_of_currents(self, tracing: Tracing) -> int:
        """Points of a grid on which linear interpolation of the currents would locate their lines to the accuracy.

        Bilinear interpolation on cells of size h is off by ``h^2 (|J_xx| + |J_yy|)/8`` at most, and its zero by that
        over ``|grad J|``; the derivatives are those of parabolas at the nodes nearest to the lines.
        """
        nodes = tracing.samples.nodes
        readings = [self.readings[i] for i in cKDTree(np.array(self.points)).query(nodes)[1]]
        currents = np.array([reading.current or reading.excess for reading in readings])
        slopes, bends = parabolas(nodes, currents)
        worst = 0.0
        for line in tracing.lines:
            if line.function >= self.count:
                continue
            near = np.unique(cKDTree(nodes).query(line.vertices)[1])
            bend = np.abs(np.einsum("nii->ni", bends[near, line.function])).sum(axis=1)
            steep = np.linalg.norm(slopes[near, line.function], axis=1)
            worst = max(worst, float((bend / (8.0 * np.maximum(steep, 1e-300))).max()))
        return (int(np.ceil(np.sqrt(worst / self.plane.accuracy))) + 1) ** 2

    # ---- common points ----

    def _common_points(self, tracing: Tracing, borders: list[Border]) -> tuple[list[CommonPoint], list[Border]]:
        """Where the currents of two species vanish, and all borders led through these points."""
        found: list[CommonPoint] = []
        currents = [border for border in borders if border.kind == "current"]
        for first, second in itertools.combinations(currents, 2):
            if first.species == second.species:
                continue
            pair = [first.species, second.species]
            for start in arrangement.crossings(first.points, second.points):
                node = int(np.argmin(np.linalg.norm(tracing.samples.nodes - start, axis=1)))
                slopes = tracing.samples.slopes[node, pair]
                point = arrangement.polished(self.evaluate, pair, start, slopes, self._near / ONE_LINE)
                point = start if point is None or np.linalg.norm(point - start) > self._near else point
                if all(np.linalg.norm(point - other.point) > self._near for other in found):
                    found.append(self._common_point(point, pair))
        for common in found:
            borders = [
                replace(border, points=arrangement.with_point(border.points, common.point))
                if arrangement.distance(common.point[None], [border.points])[0] < self._near
                else border
                for border in borders
            ]
        return found, borders

    def _common_point(self, point: Array, pair: list[int]) -> CommonPoint:
        """Compare a common point with the place where the forces vanish, which is known exactly."""
        step = 1e-4 * (1.0 if (point < 0.5).all() else -1.0)
        around = self._ends(point + step * np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))[:, pair]
        slopes = (around[1:] - around[:1]).T / step
        exact = arrangement.polished(self._ends, pair, point, slopes, 1e-12)
        if exact is None:
            return CommonPoint(point, tuple(pair), equilibrium=False)
        distance = float(np.linalg.norm(exact - point))
        still = np.abs(self._ends(exact[None])[0, : self.count]).max() < NO_FORCE
        species = tuple(range(self.count)) if still else tuple(pair)
        return CommonPoint(point, species, bool(still and distance < self._near), distance)

    # ---- regions ----

    def _regions(self, part: arrangement.Area, borders: list[Border]) -> tuple[list[Region], float, int]:
        """The faces between the borders by what is solved in them; what is too thin; how many points contradict."""
        lines = [border.points for border in borders if border.kind != "force" or not self._is_current(border, borders)]
        labels = self._labels(np.array(self.points), self.readings)
        points = np.array(self.points)
        grouped: dict[Label, list[arrangement.Area]] = {}
        unresolved, contradictions = 0.0, 0
        for face in arrangement.faces(part, lines):
            within = np.flatnonzero(arrangement.inside(face, points, MARGIN * self.plane.accuracy))
            there = [label for label in (labels[i] for i in within) if label is not None]
            if not there:
                there = self._label_inside(face)
            if not there:
                unresolved += float(face.area)
                continue
            chosen = Counter(there).most_common(1)[0][0]
            contradictions += sum(_signs(label) != _signs(chosen) for label in there)
            grouped.setdefault(chosen, []).append(face)
        regions = [Region(*label, arrangement.united(parts)) for label, parts in grouped.items()]
        return sorted(regions, key=lambda region: -region.share), unresolved, contradictions

    def _label_inside(self, face: arrangement.Area) -> list[Label]:
        """The label of a face in which nothing was solved yet, by one more solve; none if it is thin or that fails."""
        point = arrangement.inner_point(face, MARGIN * self.plane.accuracy)
        if point is None:
            return []
        self.evaluate(point[None])
        return [label for label in self._labels(point[None], self.readings[-1:]) if label is not None]

    def _labels(self, points: Array, readings: list[Reading]) -> list[Label | None]:
        """Regimes, and whether uphill, of every species at solved points; None where the solve failed."""
        rises = self._ends(points)[:, self.count :]
        return [
            None if reading.failure else (reading.regime, tuple((np.array(reading.current) * rise > 0.0).tolist()))
            for reading, rise in zip(readings, rises, strict=True)
        ]

    def _is_current(self, force: Border, borders: list[Border]) -> bool:
        """Whether a line of a force is that of the species' current too, to the accuracy, so that none is inverse."""
        own = [b.points for b in borders if b.kind == "current" and b.species == force.species]
        return bool(arrangement.distance(force.points, own).max() < self._near)

    @property
    def _near(self) -> float:
        return ONE_LINE * self.plane.accuracy


def _border(line: Line, species: int, kind: Kind, vertices: int = 0) -> Border:
    return Border(species, kind, line.points, line.closed, line.error, vertices)


def _measured(border: Border, references: list[Border]) -> Border:
    """The border of a current with its distance from the exact one, where that is known."""
    own = [reference.points for reference in references if reference.species == border.species]
    if border.kind != "current" or not own:
        return border
    return replace(border, from_exact=float(arrangement.distance(border.points, own).max()))


def _signs(label: Label) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
    """What of a label changes across borders only: fields that vanish at a single point make a regime steric there."""
    regimes, uphill = label
    return tuple(regime == "inverse" for regime in regimes), uphill
