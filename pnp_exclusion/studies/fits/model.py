"""What a case says of measured points at given parameters, with exact derivatives: solved warm from fit to fit."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mpi4py import MPI

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.case.case import Case, checked_case
from pnp_exclusion.case.domain_tables import GivenMesh
from pnp_exclusion.case.keys import CaseKeyError
from pnp_exclusion.case.smooth_keys import Parameter, Variations, parameters_of
from pnp_exclusion.discretisation.discretisation import State
from pnp_exclusion.errors import CaseError, ConvergenceError, UsageError
from pnp_exclusion.solution.goals import goals_named, require_goals
from pnp_exclusion.solution.gradient import gradient_of
from pnp_exclusion.solution.settings import settings_of
from pnp_exclusion.solution.solution import Solution
from pnp_exclusion.studies.fits.data import REVERSAL, Measurement
from pnp_exclusion.studies.workbench import Workbench

type Real = NDArray[np.float64]


@dataclass
class _Point:
    """A case at which something was measured.

    rows
        Which measurements.
    goals
        Of each of them.
    bench
        Number of the workbench that solves it.
    variations, parameters
        Of its case.
    """

    case: Case
    rows: list[int]
    goals: list[str]
    bench: int
    variations: Variations
    parameters: list[Parameter]
    state: State | None = None
    factors: list[float] = field(default_factory=list)


class Model:
    """The measured values as a case gives them; a context that frees PETSc's objects.

    parameters
        Of the case, where the fit begins.
    values
        ``(measurements,)``: measured, in the units of the table.
    uncertainties
        ``(measurements,)``, likewise; nan where only weights are known.
    """

    def __init__(
        self,
        case: Case,
        data: Sequence[Measurement],
        names: Sequence[str],
        comm: MPI.Comm,
        petsc_options: Sequence[str],
    ) -> None:
        self._names, self._petsc_options = list(names), petsc_options
        self._stack = contextlib.ExitStack()
        self.parameters = parameters_of(case, self._names)
        in_columns = {key for one in data for key, _ in one.settings}
        for parameter in self.parameters:
            if parameter.moves_mesh:
                raise UsageError(f'a fit keeps the mesh, which "{parameter.name}" would move')
            twice = in_columns.intersection(key.strip() for key in parameter.name.split("="))
            if twice:
                raise UsageError(f'"{min(twice)}" is a column of the data, and cannot be fitted too')
        self._data = data
        first = {one.observable: one for one in reversed(data)}
        # of every unit in that of the first measurement of the observable
        self._factors = []
        for one in data:
            try:
                self._factors.append(one.factor_to(first[one.observable].unit))
            except UsageError as error:
                other = f'line {first[one.observable].row} has "{first[one.observable].unit}"'
                raise CaseError(Path("data"), [f"line {one.row}: {error}; {other}"]) from None
        self._benches: list[Workbench] = []
        self._points = list(self._grouped(case, data, comm))
        self.values = np.array([one.value for one in data])
        self.uncertainties = np.array([one.uncertainty for one in data])
        self._weights = np.array([one.weight for one in data])

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Of the meshes."""
        return tuple(dict.fromkeys(sentence for bench in self._benches for sentence in bench.warnings))

    def _grouped(self, case: Case, data: Sequence[Measurement], comm: MPI.Comm) -> Iterator[_Point]:
        """Yield the cases at which something was measured, each once."""
        points: dict[object, _Point] = {}
        mistakes = []
        for row, one in enumerate(data):
            head, _, where = one.observable.partition(".")
            is_reversal = head == REVERSAL
            place = (one.settings, where if is_reversal else "")
            try:
                if not is_reversal:
                    require_goals([one.observable])
                if place not in points:
                    there = _with_settings(case, one)
                    there = _without_current(there, where) if is_reversal else there
                    points[place] = _Point(there, [], [], -1, Variations(there), parameters_of(there, self._names))
            except (CaseError, CaseKeyError, UsageError) as error:
                mistakes.append(f"line {one.row}: {str(error).splitlines()[0]}")
                continue
            points[place].rows.append(row)
            points[place].goals.append(f"found_potential.{where}" if is_reversal else one.observable)
        if mistakes:
            raise CaseError(Path("data"), mistakes)
        for point in points.values():
            point.bench = self._bench_of(point.case, [other.case for other in points.values()], comm)
            yield point

    def _bench_of(self, case: Case, others: Sequence[Case], comm: MPI.Comm) -> int:
        for number, bench in enumerate(self._benches):
            if bench.fits(case):
                return number
        bench = Workbench(case, comm, also=others, petsc_options=self._petsc_options)
        self._benches.append(self._stack.enter_context(bench))
        return len(self._benches) - 1

    def evaluate(self, values: Sequence[float]) -> tuple[Real, Real]:
        """Return what is measured of the case at some values of the parameters, and the derivatives by these.

        ``(measurements,)`` and ``(measurements, parameters)``, in the units of the measurements. Raises
        `ConvergenceError` for a point without a solution.
        """
        found, slopes = np.empty(len(self._data)), np.empty((len(self._data), len(self._names)))
        for point in self._points:
            pairs = list(zip(point.parameters, values, strict=True))
            case = point.variations.checked_at(pairs)
            bench = self._benches[point.bench]
            if not bench.fits(case):
                raise UsageError("a fit keeps the equations, which other values of its parameters would change")
            try:
                solution = bench.solve(case, point.state)
            except ConvergenceError as error:
                row = self._data[point.rows[0]].row
                raise ConvergenceError(f"the point of line {row} of the data: {error}") from None
            point.state = solution.state
            goals = list(dict.fromkeys(point.goals))
            are_known = bool(point.factors)
            if not are_known:
                point.factors = self._factors_of(point, solution)
            gradient = gradient_of(
                solution.steady,
                goals,
                self._names,
                settings_of(case),
                self._petsc_options,
                are_known=are_known,
            )
            for row, goal, factor in zip(point.rows, point.goals, point.factors, strict=True):
                number = goals.index(goal)
                found[row] = gradient.values[number] / factor
                slopes[row] = gradient.derivatives[number] / factor
        return found, slopes

    def _factors_of(self, point: _Point, solution: Solution) -> list[float]:
        """Return the units of the measurements of a point in those of their goals; `CaseError` with their lines."""
        factors, mistakes = [], []
        for row, goal in zip(point.rows, point.goals, strict=True):
            one = self._data[row]
            try:
                (found,) = goals_named(solution.steady, [goal])
                factors.append(one.factor_to(found.unit))
            except UsageError as error:
                mistakes.append(f"line {one.row}: {error}")
        if mistakes:
            raise CaseError(Path("data"), mistakes)
        return factors

    @property
    def has_uncertainties(self) -> bool:
        """Whether the data say how certain they are."""
        return not np.isnan(self.uncertainties).any()

    @property
    def scales(self) -> Real:
        """What residuals are divided by, ``(measurements,)``: uncertainties, or what weights say of them."""
        if self.has_uncertainties:
            return self.uncertainties
        # without uncertainties every observable counts by its own size, whatever the units of its rows
        largest: dict[str, float] = {}
        for one, factor in zip(self._data, self._factors, strict=True):
            largest[one.observable] = max(abs(one.value) * factor, largest.get(one.observable, 0.0))
        sizes = np.array([largest[one.observable] / f for one, f in zip(self._data, self._factors, strict=True)])
        return np.where(sizes > 0.0, sizes, 1.0) / np.sqrt(self._weights)


def _with_settings(case: Case, one: Measurement) -> Case:
    return case.varied(dict(one.settings)) if one.settings else case


def _without_current(case: Case, where: str) -> Case:
    """Return the case in which no current passes a boundary, whose potential is found."""
    tables = copy.deepcopy(case.as_written())
    for boundary in tables["boundaries"]:
        if str(boundary["where"]) == where and "potential" in boundary:
            del boundary["potential"]
            per = ("/m^2", "/m", "")[case.dimension_of_totals - 1]
            boundary["total_current"] = f"0 A{per}" if case.model.si else 0.0
            if isinstance(case.domain, GivenMesh):
                tables["domain"] = case.domain
            return checked_case(tables, case.path, plain=True)
    having = [one.where for one in case.boundaries if one.dirichlet_potential is not None]
    raise UsageError(
        f'no boundary "{where}" with a potential, whose reversal potential could be measured; there is '
        + (", ".join(having) or "none")
    )
