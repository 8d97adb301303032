"""The plan of a sweep: its points, checked, grouped by what is built once for all of them, and cut into chunks.

The unit of work is a chunk, a few neighbouring points: the first is solved from nothing, each later one from those of
the chunk that are solved. What is found depends on the plan alone, not on who did which chunk when.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pnp_exclusion.case.axes import Coordinate
from pnp_exclusion.case.case import Case
from pnp_exclusion.case.keys import path_of_key
from pnp_exclusion.case.varied import VariedCases
from pnp_exclusion.errors import CaseError
from pnp_exclusion.studies.sweeps.design import Design, corners, design_of

POINTS_IN_CHUNK = {1: 25, 2: 4, 3: 1}
"""By dimension: enough to gain by warm starts, few enough to share out and to lose in an interruption."""
MISTAKES_SHOWN = 10
SAMPLES = 1000
"""Points that are looked at of a plan whose parts look at their own."""
PLANS = ("sweep", "diagram")
OF_NO_MATTER = ("title", "output")
"""Tables that change no result."""


@dataclass(frozen=True)
class Point:
    """One case of a sweep: its number, its coordinates, its place in the space in which points are near."""

    index: int
    coordinates: tuple[Coordinate, ...]
    position: tuple[float, ...]


@dataclass(frozen=True)
class Group:
    """Points whose cases differ in numbers only, and those of them that its mesh is made for."""

    number: int
    mesh: tuple[tuple[Coordinate, ...], ...]


@dataclass(frozen=True)
class Chunk:
    """What is done in one go."""

    number: int
    group: Group
    points: tuple[Point, ...]


@dataclass(frozen=True)
class CouplingChoice:
    """How coupled transport is analysed at every point: load, driver and points as of `pnp_exclusion.couple`."""

    load: str | None = None
    driver: str | None = None
    points: int = 0


@dataclass(frozen=True)
class Work:
    """What whoever solves chunks must know of the whole; travels to other processes."""

    cases: VariedCases
    petsc_options: tuple[str, ...]
    fingerprint: str
    coupling: CouplingChoice | None = None
    noise: bool = False


@dataclass(frozen=True)
class Plan:
    """A checked sweep.

    case
        With its ``[sweep]``.
    groups
        The number of the group of every point.
    fingerprint
        The same for two sweeps that have the same results.
    coupling
        None where coupled transport is not asked for.
    """

    case: Case
    design: Design
    cases: VariedCases
    groups: np.ndarray
    petsc_options: tuple[str, ...]
    fingerprint: str
    coupling: CouplingChoice | None = None

    @property
    def work(self) -> Work:
        """What those who solve the chunks must know."""
        assert self.case.sweep is not None
        return Work(self.cases, self.petsc_options, self.fingerprint, self.coupling, bool(self.case.sweep.noise))

    @property
    def size(self) -> int:
        """How many points there are."""
        return self.design.size

    @property
    def chunk_size(self) -> int:
        """How many points a chunk has, but for the last of a group."""
        assert self.case.sweep is not None
        return self.case.sweep.chunk or POINTS_IN_CHUNK[self.case.dimension]

    @cached_property
    def pieces(self) -> list[np.ndarray]:
        """The points of every chunk."""
        path = np.array(self.design.path())
        groups = self.groups[path]
        sorted_path, seams = path[np.argsort(groups, kind="stable")], np.cumsum(np.bincount(groups))[:-1]
        size = self.chunk_size
        parts = np.split(sorted_path, seams)
        return [along[begin : begin + size] for along in parts for begin in range(0, len(along), size)]

    def require_cases(self, points: Sequence[int] | np.ndarray) -> None:
        """Raise `CaseError` that lists those of some points that make no case."""
        _require_cases(self.design, self.cases, self.case.path, points)

    def samples(self) -> np.ndarray:
        """Return points from all over the design, and those that lie farthest out; all if there are not many."""
        evenly = np.linspace(0, self.size - 1, min(self.size, SAMPLES)).astype(int)
        return np.union1d(evenly, corners(self.design.positions))

    def part(self, number: int, of: int) -> np.ndarray:
        """Return the points of one of so many parts."""
        return np.concatenate([np.empty(0, dtype=int), *self.pieces[number::of]])

    def chunks(self, wanted: np.ndarray, part: int = 0, parts: int = 1) -> Iterator[Chunk]:
        """Yield the chunks that have a wanted point (by the number of the point), of one part of all of them."""
        meshes: dict[int, Group] = {}
        for number in range(part, len(self.pieces), parts):
            piece = self.pieces[number]
            if not wanted[piece].any():
                continue
            group = int(self.groups[piece[0]])
            if group not in meshes:
                meshes[group] = Group(group, self._mesh_points(group))
            yield Chunk(number, meshes[group], tuple(self._point(int(index)) for index in piece))

    def _point(self, index: int) -> Point:
        return Point(index, self.design.coordinates(index), tuple(self.design.positions[index].tolist()))

    def _mesh_points(self, group: int) -> tuple[tuple[Coordinate, ...], ...]:
        points = np.flatnonzero(self.groups == group)
        return tuple(self.design.coordinates(int(points[i])) for i in corners(self.design.positions[points]))


def plan_of(
    case: Case, petsc_options: Sequence[str] = (), coupling: CouplingChoice | None = None, check: bool = True
) -> Plan:
    """Return the plan of a case's ``[sweep]``; `CaseError` lists the points that make no case, before anything runs.

    check
        Whether to look at every point; if not, `Plan.require_cases` is to look at those that matter.
    """
    if case.sweep is None:
        raise CaseError(case.path, ["[sweep]: this table is missing; it says what is varied, e.g. in [[sweep.axes]]"])
    tables = {key: table for key, table in case.as_written().items() if key not in PLANS}
    design = design_of(case.sweep, tables)
    # travelling light, and to workers in other folders
    cases = VariedCases(case.path.absolute(), tables, tuple(replace(d, values=()) for d in design.drivings))
    if check:
        _require_cases(design, cases, case.path, range(design.size))
    options = tuple(petsc_options)
    groups = _groups(design, cases, case.path)
    fingerprint = _fingerprint(case, design, tables, options, coupling)
    return Plan(case, design, cases, groups, options, fingerprint, coupling)


def _require_cases(design: Design, cases: VariedCases, path: Path, points: Sequence[int] | np.ndarray) -> None:
    wrong = 0
    told: list[str] = []
    for point in points:
        try:
            cases.case(design.coordinates(int(point)))
        except CaseError as error:
            wrong += 1
            if len(told) < MISTAKES_SHOWN:
                told += [f"at {design.describe(int(point))}: {mistake}" for mistake in error.mistakes]
    if wrong:
        rest = wrong - min(wrong, MISTAKES_SHOWN)
        more = [f"and {rest} more of the {len(points)} points make no case either"] if len(told) < wrong else []
        raise CaseError(path, told[:MISTAKES_SHOWN] + more)


def _groups(design: Design, cases: VariedCases, path: Path) -> np.ndarray:
    """Return the number of the group that each point belongs to, by the axes that vary more than numbers of a case."""
    from pnp_exclusion.studies.workbench import is_number, structure_of

    structural = [
        axis
        for axis, driving in enumerate(design.drivings)
        if driving.words is not None or not all(is_number(path_of_key(cases.tables, key)) for key in driving.keys)
    ]
    if not structural:
        return np.zeros(design.size, dtype=np.int32)
    steps = np.stack([design.along(axis) for axis in structural], axis=1)
    _, first, combination = np.unique(steps, axis=0, return_index=True, return_inverse=True)
    _require_cases(design, cases, path, first)
    numbers: dict[str, int] = {}
    of_combination = np.empty(len(first), dtype=np.int32)
    for one in np.argsort(first):
        structure = structure_of(cases.case(design.coordinates(int(first[one]))))
        of_combination[one] = numbers.setdefault(structure, len(numbers))
    return of_combination[combination.ravel()]


def _fingerprint(
    case: Case,
    design: Design,
    tables: dict[str, Any],
    petsc_options: tuple[str, ...],
    coupling: CouplingChoice | None,
) -> str:
    assert case.sweep is not None
    content = {
        "case": {key: table for key, table in tables.items() if key not in OF_NO_MATTER},
        "sweep": case.sweep.model_dump(mode="json", exclude_none=True),
        "petsc_options": petsc_options,
    }
    if coupling is not None:
        content["coupling"] = asdict(coupling)
    digest = hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode())
    if design.shares is not None:
        # the same seed may draw other points with another version of numpy
        digest.update(design.shares.tobytes())
    if case.domain.shape == "gmsh":
        digest.update(case.mesh_path.read_bytes())
    return digest.hexdigest()
