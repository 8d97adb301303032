"""Currents and charges over the potential of one boundary: ``pnp_exclusion.iv`` and ``pnp_exclusion.capacitance``.

A curve is followed warm from state to state on one mesh. Slopes are exact tangents
(`pnp_exclusion.solver.tangents`): conductance and differential capacitance are no differences of neighbouring points.
Steps adapt to what a cubic through the last two points, values and slopes, predicts of the next one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from mpi4py import MPI

import numpy as np
from pydantic_core import PydanticCustomError

from pnp_exclusion.case.case import Case
from pnp_exclusion.case.quantities import ELECTRIC_POTENTIAL, Quantity
from pnp_exclusion.discretisation.discretisation import State
from pnp_exclusion.errors import ConvergenceError, UsageError
from pnp_exclusion.solution.checks import beyond_limits
from pnp_exclusion.solution.settings import settings_of
from pnp_exclusion.solution.solution import Solution
from pnp_exclusion.solution.solve import CaseLike, as_case
from pnp_exclusion.solver.tangents import TangentSolver
from pnp_exclusion.studies.curve import Array, Curve, Direction, Point, require_potential
from pnp_exclusion.studies.kept_points import KeptPoints
from pnp_exclusion.studies.neighbours import Neighbours
from pnp_exclusion.studies.workbench import Workbench

ACCURACY = 1e-3
"""Of the range of a curve: by so much the cubic between neighbouring points may miss it."""
FIRST_STEP = 1.0 / 64.0
"""Of the range, where steps adapt."""
LEAST_STEP = 1e-5
"""Of the range: below it a curve has a fold, or ends."""
ON_PLACE = 1e-6
"""Of the distance between equally spaced points."""
GROWTH = 2.5
"""Of a step from point to point, at most."""
AGAIN = 1e-6
"""Of the largest value of a curve: a point of an earlier run that is solved again is the same if it is this near."""


def iv(
    case: CaseLike,
    boundary: str,
    start: float | str,
    stop: float | str,
    *,
    points: int | None = None,
    accuracy: float = ACCURACY,
    comm: MPI.Comm = MPI.COMM_WORLD,
    progress: Callable[[str], None] = lambda line: None,
    petsc_options: Sequence[str] = (),
    resume: Path | None = None,
) -> Curve:
    """Return currents over the potential of a boundary, with each ion's share and the exact conductance; collective.

    boundary
        One of the case with a potential.
    start, stop
        Potentials: texts with a unit, or numbers in V (kT/e in a dimensionless case).
    points
        So many, equally spaced; if absent, steps adapt until a cubic between neighbours is within ``accuracy``.
    accuracy
        Of the range of the current.

    resume
        A file that takes every point as it is found; a run that was stopped goes on from what is in it. It stays.

    A state from which no larger step leads on ends the curve (`Curve.ended`), which is then followed from ``stop`` back
    as well. Raises `UsageError` for a boundary without a potential and for a file of another curve, `DiskError` where
    that cannot be written, `ConvergenceError` if there is no solution at ``start``.
    """
    steps = _Steps(points, accuracy, ("current", "conductance"))
    return _follow(as_case(case), boundary, (start, stop), steps, comm, progress, petsc_options, resume)


def capacitance(
    case: CaseLike,
    boundary: str,
    start: float | str,
    stop: float | str,
    *,
    points: int | None = None,
    accuracy: float = ACCURACY,
    comm: MPI.Comm = MPI.COMM_WORLD,
    progress: Callable[[str], None] = lambda line: None,
    petsc_options: Sequence[str] = (),
    resume: Path | None = None,
) -> Curve:
    """Return charge and exact differential capacitance over the potential of a boundary; as `iv`, steps following the
    charge."""
    steps = _Steps(points, accuracy, ("charge", "capacitance"))
    return _follow(as_case(case), boundary, (start, stop), steps, comm, progress, petsc_options, resume)


@dataclass
class _Steps:
    """Where the next point of a curve is, as a share of its range, and whether one is near enough to those before it.

    count
        So many points, equally spaced; None for steps that adapt.
    accuracy
        Of the range of what is watched.
    names
        Of the value of a point that is watched, and of its slope.
    """

    count: int | None
    accuracy: float
    names: tuple[str, str]

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 2:
            raise UsageError(f"a curve has 2 points or more, not {self.count}")
        if not 0.0 < self.accuracy < 1.0:
            raise UsageError(f"the accuracy of a curve must lie between 0 and 1, but it is {self.accuracy:g}")

    @property
    def written(self) -> dict[str, object]:
        """All of it, for a file."""
        return {"count": self.count, "accuracy": self.accuracy, "of": self.names[0]}

    def watched(self, point: Point) -> tuple[float, float]:
        """Return value and slope of a point."""
        value, slope = (getattr(point, name) for name in self.names)
        return value, slope

    @property
    def first(self) -> float:
        """Length of the first step."""
        return FIRST_STEP if self.count is None else 1.0 / (self.count - 1)

    @property
    def least(self) -> float:
        """Length of the shortest."""
        return LEAST_STEP * min(1.0, self.first / FIRST_STEP)

    def target(self, at: float, step: float) -> float:
        """Return where a step leads: to the next place that must be met if no more than a sliver is left before it."""
        spacing = 1.0 if self.count is None else self.first
        must = min(1.0, (np.floor(at / spacing + ON_PLACE) + 1.0) * spacing)
        return float(must if at + 1.01 * step >= must else at + step)

    def is_point(self, at: float) -> bool:
        """Return whether a state belongs to the curve, or only leads to the next one that does."""
        return self.count is None or abs(at / self.first - round(at / self.first)) < ON_PLACE

    def after(self, points: Sequence[Point], step: float) -> tuple[bool, float]:
        """Return whether the last point may stay, and the length of the step from it, or of another one to it."""
        if self.count is not None:
            return True, self.first
        if len(points) < 3:
            return True, step
        values, slopes = np.array([self.watched(point) for point in points]).T
        potentials = np.array([point.potential for point in points])
        error = abs(values[-1] - _cubic(potentials[-3:-1], values[-3:-1], slopes[-3:-1], potentials[-1]))
        span = max(np.ptp(values), abs(slopes[-1] * (potentials[-1] - potentials[-2])))
        # continued by a step as long as the one before, a cubic misses by 16 times of what it does between points
        share = error / (16.0 * self.accuracy * span) if span > 0.0 else 0.0
        factor = min(GROWTH, 0.9 * share**-0.25) if share > 0.0 else GROWTH
        return share <= 1.0, step * factor


def _cubic(x: Array, values: Array, slopes: Array, at: float) -> float:
    """Continue the cubic that has two values and slopes."""
    from scipy.interpolate import CubicHermiteSpline

    return float(CubicHermiteSpline(*_ascending(x, values, slopes), extrapolate=True)(at))


def _ascending(x: Array, *others: Array) -> Sequence[Array]:
    order = np.argsort(x)
    return [x[order], *(one[order] for one in others)]


def _follow(
    case: Case,
    boundary: str,
    ends: tuple[float | str, float | str],
    steps: _Steps,
    comm: MPI.Comm,
    progress: Callable[[str], None],
    petsc_options: Sequence[str],
    resume: Path | None,
) -> Curve:
    """Follow the states of a case as the potential of a boundary goes from end to end, and back if it gets stuck."""
    first, last = (_potential(case, end) for end in ends)
    require_potential(case, boundary)
    if first == last:
        raise UsageError("a curve goes between two different potentials")
    of = {"case": case.as_written(), "boundary": boundary, "ends": [first, last], "steps": steps.written}
    kept = KeptPoints(resume, comm, of | {"petsc_options": list(petsc_options)})
    cases = [_with_potential(case, boundary, end) for end in (first, last)]
    with contextlib.ExitStack() as stack:
        bench = stack.enter_context(Workbench(cases[0], comm, also=cases, petsc_options=petsc_options))
        states = _States(bench, case, boundary, stack, petsc_options)
        forward = _branch("forward", (first, last), states, steps, kept, progress)
        branches = [forward]
        if forward.ended:
            progress(f"  {forward.ended}; back from {last:.6g}")
            try:
                branches.append(_branch("backward", (last, first), states, steps, kept, progress))
            except ConvergenceError as error:
                reason = f"has no state to be found at {last:.6g}: {_why(error)}"
                branches.append(_Branch(ended=reason))
        units = _units(states.units_of)
    points = [point for one in branches for point in sorted(one.points, key=lambda point: point.potential)]
    warnings = dict.fromkeys([*bench.warnings, *(warning for one in branches for warning in one.warnings)])
    ended = [one.ended for one in branches]
    return Curve(case, boundary, points, units, ended[0], tuple(warnings), *ended[1:])


class _States:
    """Solves the states of a curve and reads them; slopes need a first state."""

    def __init__(
        self,
        bench: Workbench,
        case: Case,
        boundary: str,
        stack: contextlib.ExitStack,
        petsc_options: Sequence[str],
    ) -> None:
        self._bench, self._case, self._boundary = bench, case, boundary
        self._stack, self._petsc_options = stack, petsc_options
        self._tangents: TangentSolver | None = None
        self.units_of: Solution

    def at(self, potential: float, start: State | None = None) -> Solution:
        """Return the state at a potential; `ConvergenceError` if there is none to be found."""
        return self._bench.solve(_with_potential(self._case, self._boundary, potential), start)

    def read(self, solution: Solution, potential: float, direction: Direction) -> Point:
        """Return the point of the state that was solved last."""
        if self._tangents is None:
            solver = TangentSolver(self._bench.discrete, settings_of(self._case), self._petsc_options)
            self._tangents, self.units_of = self._stack.enter_context(solver), solution
        return _point(solution, self._boundary, potential, self._tangents, direction)


@dataclass
class _Branch:
    """What was found of a curve in one direction, in the order in which it was."""

    points: list[Point] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    ended: str = ""


def _branch(
    direction: Direction,
    ends: tuple[float, float],
    states: _States,
    steps: _Steps,
    kept: KeptPoints,
    progress: Callable[[str], None],
) -> _Branch:
    """Follow a curve from one end towards the other, from where an earlier run has left it.

    Raises `ConvergenceError` if there is no solution at its first end.
    """
    first, last = ends

    def potential_at(share: float) -> float:
        return (1.0 - share) * first + share * last

    earlier = [record for record in kept.found if record["direction"] == direction]
    branch, near = _Branch(), Neighbours()
    for record in earlier:
        branch.points += [Point(**record["point"])] if "point" in record else []
        branch.warnings += record["warnings"]
        branch.ended = record.get("ended", "")
    at, step = 0.0, steps.first
    told: list[str] = []

    def take(solution: Solution, point: Point) -> None:
        near.add([at], solution.state)
        # what a case is told without solving it is told of the ends, which span what lies between
        told.extend(solution.warnings if at in (0.0, 1.0) else beyond_limits(solution.steady))
        if steps.is_point(at):
            branch.points.append(point)
            branch.warnings += told
            # a later run goes on from here
            written = {"at": at, "step": step, "point": asdict(point), "warnings": list(told)}
            kept.append({"direction": direction, **written})
            told.clear()
            progress(f"  {point.potential:.6g}: {point.newton_iterations} Newton steps")

    if earlier:
        at, step = next((one["at"], one["step"]) for one in reversed(earlier) if "at" in one)
        progress(f"  {direction}: {len(branch.points)} points of an earlier run")
        _return_to(branch.points, [one["at"] for one in earlier if "at" in one], states, steps, near)
    else:
        solution = states.at(first)
        take(solution, states.read(solution, first, direction))
    while at < 1.0 and not branch.ended:
        reason = "shorter steps would be needed for the accuracy that is asked for"
        while step > steps.least:
            target = steps.target(at, step)
            try:
                solution = states.at(potential_at(target), near.start([target]))
                point = states.read(solution, potential_at(target), direction)
                break
            except ConvergenceError as error:
                step, reason = 0.25 * step, _why(error)
        else:
            branch.ended = f"ends beyond {potential_at(at):.6g}: {reason}"
            kept.append({"direction": direction, "ended": branch.ended, "warnings": []})
            break
        accepted, step = True, steps.first
        if steps.is_point(target):
            accepted, step = steps.after([*branch.points, point], target - at)
        if accepted:
            at = target
            take(solution, point)
    return branch


def _why(error: ConvergenceError) -> str:
    """Return the first sentences of an error, without the list that follows them."""
    return str(error).splitlines()[0].removesuffix(" Tried:").removesuffix(".")


def _return_to(
    points: Sequence[Point], places: Sequence[float], states: _States, steps: _Steps, near: Neighbours
) -> None:
    """Solve the last point of an earlier run again: directly, or along all of them if that leads elsewhere."""
    point = points[-1]
    try:
        solution = states.at(point.potential)
        again = states.read(solution, point.potential, point.direction)
        largest = max(abs(steps.watched(one)[0]) for one in points)
        if abs(steps.watched(again)[0] - steps.watched(point)[0]) <= AGAIN * largest:
            near.add([places[-1]], solution.state)
            return
    except ConvergenceError:
        # along the others it was found, and is again
        pass
    for place, one in zip(places, points, strict=True):
        solution = states.at(one.potential, near.start([place]))
        states.read(solution, one.potential, one.direction)
        near.add([place], solution.state)


def _potential(case: Case, given: float | str) -> float:
    """Return a potential in V, or in kT/e in a dimensionless case."""
    try:
        return ELECTRIC_POTENTIAL.parse(given, case.model.units, plain=True).value
    except PydanticCustomError as error:
        raise UsageError(f"{case.path}: {error.message()}") from None


def _with_potential(case: Case, boundary: str, value: float) -> Case:
    written = Quantity(value, f"{value!r} V", value, "V") if case.model.si else Quantity(value, repr(value), value)
    changed = [
        one.model_copy(update={"potential": written}) if one.where == boundary else one for one in case.boundaries
    ]
    return case.model_copy(update={"boundaries": changed})


def _point(solution: Solution, boundary: str, potential: float, tangents: TangentSolver, direction: Direction) -> Point:
    """Read a state and its slopes; collective."""
    steady, scales = solution.steady, solution.setup.scales
    problem = steady.discretisation.problem
    tag = next(tag for tag, one in enumerate(problem.boundaries) if one.where == boundary)
    tangents.renew()
    fluxes, charges = tangents.by_potential(tag)
    current, charge = scales.current * steady.extent, scales.surface_charge * steady.extent
    charges_of = dict(zip(problem.names, problem.charges.tolist(), strict=True))
    slopes = dict(zip(problem.names, problem.charges * fluxes[tag], strict=True))
    return Point(
        potential,
        # what is only rounding is none
        {
            name: -z * steady.totals.flux[boundary][name] * current if steady.totals.passes(name) else 0.0
            for name, z in charges_of.items()
        },
        # without Poisson none is known
        steady.totals.charge.get(boundary, 0.0) * charge,
        {name: float(-slope * current / scales.potential) for name, slope in slopes.items()},
        float(charges[tag] * charge / scales.potential),
        solution.report.newton_iterations,
        direction,
    )


def _units(solution: Solution) -> dict[str, str]:
    quantities = {"potential": "V", "current": "A", "charge": "C", "conductance": "S", "capacitance": "F"}
    if not solution.setup.scales.si:
        return dict.fromkeys(quantities, "")
    per = solution.steady.per_extent
    return {name: unit + (per if name != "potential" else "") for name, unit in quantities.items()}
