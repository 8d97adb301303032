"""Currents and charges over the potential of one boundary: ``pnp_exclusion.iv`` and ``pnp_exclusion.capacitance``.

A curve is followed warm from state to state on one mesh. Slopes are exact tangents
(`pnp_exclusion.solver.tangents`): conductance and differential capacitance are no differences of neighbouring points.
Steps adapt to what a cubic through the last two points, values and slopes, predicts of the next one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mpi4py import MPI

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.case.case import Case
from pnp_exclusion.case.quantities import Potential, Quantity
from pnp_exclusion.errors import ConvergenceError, UsageError
from pnp_exclusion.solution.solution import Solution
from pnp_exclusion.solution.solve import CaseLike, as_case
from pnp_exclusion.solver.tangents import TangentSolver
from pnp_exclusion.studies.workbench import Workbench

if TYPE_CHECKING:
    import xarray

type Array = NDArray[np.float64]

ACCURACY = 1e-3
"""Of the range of a curve: by so much the cubic between neighbouring points may miss it."""
FIRST_STEP = 1.0 / 64.0
"""Of the range, where steps adapt."""
LEAST_STEP = 1e-5
"""Of the range: below it a curve has a fold, or ends."""
GROWTH = 2.5
"""Of a step from point to point, at most."""


@dataclass(frozen=True)
class Point:
    """One state of a curve, in SI units for an SI case.

    potential
        Of the boundary that is driven.
    currents
        Electric current out of the domain through that boundary, by species: each ion's share.
    charge
        Of that boundary.
    conductances, capacitance
        Exact slopes of the two by the potential; ``conductances`` by species.
    newton_iterations
        That its solve took.
    """

    potential: float
    currents: dict[str, float]
    charge: float
    conductances: dict[str, float]
    capacitance: float
    newton_iterations: int

    @property
    def current(self) -> float:
        """Of all species together."""
        return sum(self.currents.values())

    @property
    def conductance(self) -> float:
        """Slope of `current`."""
        return sum(self.conductances.values())


@dataclass(frozen=True)
class Curve:
    """Points in the order of their potentials, and what they say together.

    boundary
        That is driven.
    units
        Of potentials, currents, charges, conductances and capacitances; empty in a dimensionless case.
    ended
        Why the curve does not reach its end, empty if it does.
    """

    case: Case
    boundary: str
    points: Sequence[Point]
    units: dict[str, str]
    ended: str = ""
    warnings: Sequence[str] = field(default_factory=tuple)

    @property
    def potentials(self) -> Array:
        """``(points,)``."""
        return np.array([point.potential for point in self.points])

    @property
    def rectification(self) -> float | None:
        """``|I(V)/I(-V)|`` at the largest ``V`` that the curve has on both sides of zero; None without such."""
        reach = min(self.potentials[-1], -self.potentials[0])
        if reach <= 0.0:
            return None
        forth, back = (self.at(sign * reach) for sign in (1.0, -1.0))
        return abs(forth / back) if back else None

    @property
    def limiting_current(self) -> float | None:
        """The current at the end whose conductance is below a tenth of the largest of the curve; None if none is."""
        ends = [self.points[0], self.points[-1]]
        largest = max(abs(point.conductance) for point in self.points)
        flat = [point.current for point in ends if abs(point.conductance) < LIMITED * largest]
        return max(flat, key=abs, default=None)

    def at(self, potential: float) -> float:
        """The current at a potential within the curve: by the cubic between its neighbours, values and slopes."""
        from scipy.interpolate import CubicHermiteSpline

        currents, slopes = ([getattr(p, name) for p in self.points] for name in ("current", "conductance"))
        return float(CubicHermiteSpline(self.potentials, currents, slopes)(potential))

    @property
    def peak(self) -> Point:
        """The point of the largest differential capacitance."""
        return max(self.points, key=lambda point: abs(point.capacitance))

    def to_xarray(self) -> xarray.Dataset:
        """Return the curve as a table over ``potential``, with units."""
        import xarray as xr

        names = list(self.case.species_names)
        columns: dict[str, Any] = {
            "current": ("potential", [p.current for p in self.points], self.units["current"]),
            "current_of": (("potential", "species"), [[*p.currents.values()] for p in self.points], self.units["current"]),
            "conductance": ("potential", [p.conductance for p in self.points], self.units["conductance"]),
            "charge": ("potential", [p.charge for p in self.points], self.units["charge"]),
            "capacitance": ("potential", [p.capacitance for p in self.points], self.units["capacitance"]),
        }
        data = {name: (axes, values, {"units": unit}) for name, (axes, values, unit) in columns.items()}
        coordinates = {"potential": ("potential", self.potentials, {"units": self.units["potential"]}), "species": names}
        return xr.Dataset(data, coordinates, {"title": self.case.title, "boundary": self.boundary})


LIMITED = 0.1
"""Of the largest conductance of a curve."""


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

    A state from which no larger step leads on ends the curve (`Curve.ended`). Raises `UsageError` for a boundary
    without a potential, `ConvergenceError` if there is no solution at ``start``.
    """
    return _Follower(as_case(case), boundary, comm, progress, petsc_options).follow(
        start, stop, points, accuracy, lambda point: (point.current, point.conductance)
    )


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
) -> Curve:
    """Return charge and exact differential capacitance over the potential of a boundary; as `iv`, steps following the
    charge."""
    return _Follower(as_case(case), boundary, comm, progress, petsc_options).follow(
        start, stop, points, accuracy, lambda point: (point.charge, point.capacitance)
    )


class _Follower:
    """Follows the states of one case as the potential of a boundary changes."""

    def __init__(
        self,
        case: Case,
        boundary: str,
        comm: MPI.Comm,
        progress: Callable[[str], None],
        petsc_options: Sequence[str],
    ) -> None:
        self.case, self.boundary = case, boundary
        self._comm, self._progress, self._petsc_options = comm, progress, petsc_options
        given = next((one for one in case.boundaries if one.where == boundary), None)
        if given is None or given.dirichlet_potential is None:
            known = ", ".join(f'"{one.where}"' for one in case.boundaries if one.dirichlet_potential is not None)
            what = "the case has no such boundary" if given is None else "it has no potential"
            raise UsageError(f'boundary "{boundary}": {what}; boundaries with a potential: {known or "none"}')

    def follow(
        self,
        start: float | str,
        stop: float | str,
        count: int | None,
        accuracy: float,
        watched: Callable[[Point], tuple[float, float]],
    ) -> Curve:
        """Return the curve; ``watched`` gives the value and the slope to which steps adapt."""
        first, last = self._potential(start), self._potential(stop)
        if first.value == last.value:
            raise UsageError("a curve needs two different potentials")
        if count is not None and count < 2:
            raise UsageError(f"a curve has 2 points or more, not {count}")
        cases = [self._case(potential.value) for potential in (first, last)]
        with Workbench(cases[0], self._comm, also=cases, petsc_options=self._petsc_options) as bench:
            reader = _Reader(self, bench)
            with TangentSolver(bench.discrete) as tangents:
                reader.tangents = tangents
                steps = _Steps(first.value, last.value, count, accuracy, watched)
                ended = reader.run(steps)
        points = sorted(steps.points, key=lambda point: point.potential)
        return Curve(self.case, self.boundary, points, reader.units, ended, tuple(dict.fromkeys(reader.warnings)))

    def _potential(self, given: float | str) -> Quantity:
        if isinstance(given, str):
            dimension = Potential.__metadata__[0]  # type: ignore[attr-defined]
            return Quantity(*dimension.parse(given, self.case.model.units).__dict__.values())
        return Quantity(float(given), "", float(given))

    def _case(self, value: float) -> Case:
        written = f"{value!r} V" if self.case.model.si else value
        return self.case.varied({f"boundaries.{self.boundary}.potential": written})
