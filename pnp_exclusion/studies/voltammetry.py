"""Cyclic voltammograms: ``pnp_exclusion.cv``, the current through a boundary whose potential goes up and down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Unpack

from mpi4py import MPI

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.case.case import Case, checked_case
from pnp_exclusion.case.courses import Course
from pnp_exclusion.case.domain_tables import GivenMesh
from pnp_exclusion.errors import UsageError
from pnp_exclusion.solution.solve import CaseLike, as_case
from pnp_exclusion.solution.transient import Running, TransientSolution, run
from pnp_exclusion.solution.unit_attributes import unit_attributes
from pnp_exclusion.studies.curve import require_potential

if TYPE_CHECKING:
    import xarray

type Array = NDArray[np.float64]
type Direction = Literal["up", "down"]

POINTS = 400
"""Of a cycle at least, if it is not said."""
BEGINNING = 0.01
"""Of the first cycle: what the potential's jump to its first value leaves is not looked at for scales."""
PROMINENT = 0.01
"""Of the range of the current in a cycle: a peak stands out by more."""
AT_CORNER = 1e-9
"""Of a cycle: a point that is no further beyond a corner is at it."""


@dataclass(frozen=True)
class Peak:
    """An extreme of the current within a sweep: the largest one going up, the least one going down.

    cycle
        From 1 on.
    direction
        Of the potential.
    potential, current
        In the units of the case, by a parabola through three points.
    """

    cycle: int
    direction: Direction
    potential: float
    current: float


@dataclass(frozen=True)
class Voltammogram:
    """Current over potential, cycle by cycle, in the units of the case; arrays are ``(points,)`` in the order of time.

    boundary
        That is driven.
    time, potential
        Of the points.
    current
        The whole one into the domain through the boundary: positive where something is oxidised there, or where its
        charge grows.
    faradaic, capacitive
        Its parts: what ions carry through the boundary, and what changes its charge, a displacement current.
    cycle
        Number of the cycle, from 1 on.
    is_rising
        Whether the potential goes up.
    units
        Of time, potential and current; empty in a dimensionless case.
    solution
        The motion itself, at its end.
    """

    case: Case
    boundary: str
    time: Array
    potential: Array
    current: Array
    faradaic: Array
    capacitive: Array
    cycle: NDArray[np.int64]
    is_rising: NDArray[np.bool_]
    units: dict[str, str]
    solution: TransientSolution

    @property
    def cycles(self) -> int:
        """How many there are."""
        return int(self.cycle.max(initial=0))

    @property
    def has_begun(self) -> NDArray[np.bool_]:
        """Where the beginning is over, in which what is not at equilibrium at the first potential may flow at once."""
        found: NDArray[np.bool_] = self.time > BEGINNING * self.time[-1] / self.cycles
        return found

    @cached_property
    def peaks(self) -> list[Peak]:
        """One of each cycle and direction, where there is one; ends of sweeps are none."""
        found = [self._peak(cycle, rising) for cycle in range(1, self.cycles + 1) for rising in (True, False)]
        return [peak for peak in found if peak is not None]

    def peak(self, cycle: int, direction: Direction) -> Peak | None:
        """Return the peak of a cycle in a direction, or None."""
        return next((one for one in self.peaks if (one.cycle, one.direction) == (cycle, direction)), None)

    def separation(self, cycle: int) -> float | None:
        """Return by how much the peak going up is above that going down; None without both."""
        up, down = self.peak(cycle, "up"), self.peak(cycle, "down")
        return None if up is None or down is None else up.potential - down.potential

    def midpoint(self, cycle: int) -> float | None:
        """Return the potential in the middle of both peaks, near the formal one of a fast reaction; None likewise."""
        up, down = self.peak(cycle, "up"), self.peak(cycle, "down")
        return None if up is None or down is None else 0.5 * (up.potential + down.potential)

    def _peak(self, cycle: int, rising: bool) -> Peak | None:
        from scipy.signal import find_peaks

        of_cycle = self.cycle == cycle
        least = PROMINENT * float(np.ptp(self.current[of_cycle & self.has_begun]))
        sign = 1.0 if rising else -1.0
        best: Peak | None = None
        for leg in _runs(np.flatnonzero(of_cycle & (self.is_rising == rising))):
            heights = sign * self.current[leg]
            for k in find_peaks(heights, prominence=max(least, np.finfo(float).tiny))[0]:
                x, y = self.potential[leg[k - 1 : k + 2]], heights[k - 1 : k + 2]
                a, b, c = np.polyfit(x - x[1], y, 2)
                at = -0.5 * b / a
                if best is None or c - 0.25 * b * b / a > sign * best.current:
                    height = sign * (c - 0.25 * b * b / a)
                    best = Peak(cycle, "up" if rising else "down", float(x[1] + at), float(height))
        return best

    def to_xarray(self) -> xarray.Dataset:
        """Return the points as a table along ``time``, with units."""
        import xarray as xr

        unit = {"units": self.units["current"] or "1"}
        names = ("current", "faradaic", "capacitive")
        return xr.Dataset(
            {name: ("time", getattr(self, name), unit) for name in names},
            {
                "time": ("time", self.time, unit_attributes(self.units["time"] or "L^2/D")),
                "potential": ("time", self.potential, unit_attributes(self.units["potential"] or "kT/e")),
                "cycle": ("time", self.cycle),
                "is_rising": ("time", self.is_rising),
            },
            {"title": self.case.title, "boundary": self.boundary},
        )


def _runs(indices: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the stretches of neighbours in ascending numbers."""
    return [run for run in np.split(indices, np.flatnonzero(np.diff(indices) > 1) + 1) if len(run) > 2]


def cv(
    case: CaseLike,
    boundary: str,
    start: float | str,
    stop: float | str,
    rate: float | str,
    *,
    turn: float | str | None = None,
    cycles: int = 1,
    points: int = POINTS,
    comm: MPI.Comm = MPI.COMM_WORLD,
    petsc_options: Sequence[str] = (),
    **running: Unpack[Running],
) -> Voltammogram:
    """Return the current as the potential of a boundary goes from ``start`` to ``stop`` and back; collective.

    Parameters
    ----------
    case : CaseLike
        Its ``[initial]`` says from what state; of its ``[time]`` tolerance, scheme, first step, fields and checkpoints
        are kept.
    boundary : str
        One with a potential.
    start, stop, turn : float or str
        Texts with a unit, or numbers in V (kT/e in a dimensionless case); with ``turn`` from ``stop`` to there, and
        back to ``start`` then.
    rate : float or str
        Of the potential, positive: ``"50 mV/s"``, or in V/s; dimensionless in kT/e over ``L^2/D``.
    cycles : int
        How many.
    points : int
        Of a cycle at least; steps are shorter where the tolerance asks for it.
    running
        ``progress``, ``on_row``, ``checkpoints``, ``restart``, ``walltime``, ``started`` and ``warn``, as of
        `pnp_exclusion.run`: what goes on is the same voltammogram.

    Returns
    -------
    Voltammogram
        In the units of the case.

    Raises
    ------
    UsageError
        The boundary has no potential.
    CaseError
        A potential, the rate or the cycles are none, or the case cannot move.
    ConvergenceError, StoppedError, DiskError
        As of `pnp_exclusion.run`.
    """
    case = as_case(case)
    require_potential(case, boundary)
    if points < 10:
        raise UsageError(f"a cycle has 10 points or more, not {points}")
    corners = [start, stop] if turn is None else [start, stop, turn]
    cycled = _cycled(case, boundary, {"triangle": corners, "rate": rate, "cycles": cycles}, points)
    solution = run(cycled, comm=comm, petsc_options=petsc_options, **running)
    return _read(solution, boundary)


def _cycled(case: Case, boundary: str, triangle: dict[str, Any], points: int) -> Case:
    """Return the case with a potential that goes up and down, for as long as that takes."""
    tables = {key: value for key, value in case.as_written().items() if key not in ("time", "sweep", "diagram")}
    if isinstance(case.domain, GivenMesh):
        tables["domain"] = case.domain
    for table in tables["boundaries"]:
        if table["where"] == boundary:
            table["potential"] = triangle
    kept = {} if case.time is None else case.time.model_dump(mode="json", exclude_none=True, exclude_unset=True)
    kept = {key: kept[key] for key in ("tolerance", "scheme", "first_step", "fields", "checkpoint") if key in kept}

    def moving(time: dict[str, Any]) -> Case:
        return checked_case({**tables, "time": {**kept, **time}}, case.path, plain=True)

    # how long a cycle is, in s or L^2/D, says the course once it is read
    period = _course_of(moving({"end": 1.0}), boundary).period
    assert period is not None
    return moving({"end": period * triangle["cycles"], "largest_step": period / points})


def _course_of(case: Case, boundary: str) -> Course:
    potential = next(one.dirichlet_potential for one in case.boundaries if one.where == boundary)
    assert potential is not None
    assert potential.course is not None
    return potential.course


def _read(solution: TransientSolution, boundary: str) -> Voltammogram:
    course, rows = _course_of(solution.case, boundary), solution.rows
    time, potential = (np.array([row[name][0] for row in rows]) for name in ("time", f"potential_{boundary}"))
    conducted = np.array([row[f"current_{boundary}"][0] for row in rows])
    displaced = np.array([row.get(f"displacement_{boundary}", (0.0, ""))[0] for row in rows])
    assert course.period is not None
    cycle = np.maximum(np.floor(time / course.period - AT_CORNER), 0.0).astype(np.int64)
    within = time - cycle * course.period
    leg = np.searchsorted(course.times, within - AT_CORNER * course.period, side="right") - 1
    rises = np.diff(course.values) > 0.0
    names = {"time": "time", "potential": f"potential_{boundary}", "current": f"current_{boundary}"}
    return Voltammogram(
        case=solution.case,
        boundary=boundary,
        time=time,
        potential=potential,
        # series have what leaves the domain
        current=-(conducted + displaced),
        faradaic=-conducted,
        capacitive=-displaced,
        cycle=cycle + 1,
        is_rising=rises[np.clip(leg, 0, len(rises) - 1)],
        units={name: rows[0][column][1] for name, column in names.items()},
        solution=solution,
    )
