"""Parameters of a case that fit measured currents and potentials best, and what the data do not know of them.

Least squares on exact derivatives (`pnp_exclusion.solution.gradient`), positive parameters by their logarithms. In
these coordinates, in which 1 is a factor of e or the natural unit of a charge or potential, the singular values of the
Jacobian say which combinations the data determine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mpi4py import MPI

import numpy as np
from numpy.typing import NDArray

from pnp_exclusion.case.case import Case
from pnp_exclusion.case.smooth_keys import Parameter
from pnp_exclusion.errors import CaseError, ConvergenceError, UsageError
from pnp_exclusion.solution.solve import CaseLike, as_case
from pnp_exclusion.studies.fits.data import Measurement, measurements, read_table
from pnp_exclusion.studies.fits.model import Model

type Real = NDArray[np.float64]
type Bounds = Mapping[str, tuple[float, float]]

UNKNOWN = 1.0
"""Standard deviation of a combination of parameters that the data do not determine: a factor of e, or more."""
PART = 0.2
"""Of a combination: parameters with a smaller share are not named."""
LOST = 1e-6
"""Of a combination of which nothing is known: a parameter with such a share is not known either."""
LARGEST = 300.0
"""Of what a coordinate may be off by: what is uncertain by more is not determined at all."""
UNLIKELY = 1e-3
"""Probability of a sum of squares as large, below which the case does not describe the data."""
CONFIDENCE = 0.95
SETTLED = 1e-8
"""Relative: of steps and of the sum of squares at which a fit ends."""
MOST_STEPS = 60


@dataclass(frozen=True)
class Fit:
    """Parameters with what is known of them.

    parameters, units
        Names of the parameters, and the units of their values.
    begin, values
        ``(parameters,)``: where the fit began, and the best.
    errors
        ``(parameters,)``: standard deviations, infinite for those that the data do not determine, and nan for the
        others if nothing says how large the noise is.
    intervals
        ``(parameters, 2)``: of 95 %, by the curvature at the best.
    covariance, correlation
        ``(parameters, parameters)``, of the values; of what is not determined the variance is infinite, all else nan.
    measurements, model
        The data, and what the case gives for them, in the units of the data.
    residuals
        ``(measurements,)``: model less data, over the uncertainty.
    chi_squared, degrees_of_freedom
        Sum of their squares, and measurements less parameters.
    unidentified
        A sentence for every combination of parameters that the data do not determine.
    warnings
        Sentences about the meshes, the search, and how well the best describes the data.
    """

    parameters: tuple[str, ...]
    units: tuple[str, ...]
    begin: Real
    values: Real
    errors: Real
    intervals: Real
    covariance: Real
    correlation: Real
    measurements: tuple[Measurement, ...]
    model: Real
    residuals: Real
    chi_squared: float
    degrees_of_freedom: int
    unidentified: tuple[str, ...]
    warnings: tuple[str, ...]
    steps: int
    has_uncertainties: bool
    _search: _Search = field(repr=False)

    def __getitem__(self, parameter: str) -> float:
        """Return the value of a parameter."""
        return float(self.values[self.parameters.index(parameter)])

    @property
    def knows_noise(self) -> bool:
        """Whether uncertainties, or residuals, say how large the noise is."""
        return self.has_uncertainties or self.degrees_of_freedom > 0

    def covers(self, truth: Mapping[str, float]) -> bool:
        """Return whether all of some values lie within the intervals of 95 %."""
        inside = [low <= truth[name] <= high for name, (low, high) in zip(self.parameters, self.intervals, strict=True)]
        return all(inside)

    def profile(self, parameter: str, points: int = 7, reach: float = 3.0) -> Profile:
        """Return the profile likelihood of a parameter: the least sum of squares with it held around the best.

        points
            How many values, on either side together.
        reach
            How far from the best, in standard deviations.
        """
        return self._search.profile(self, self.parameters.index(parameter), points, reach)


@dataclass(frozen=True)
class Profile:
    """``-2 log L`` above its least, over values of one parameter, all others being fitted.

    limit
        Below it is the interval of 95 %.
    """

    parameter: str
    values: Real
    excess: Real
    limit: float

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Where it is below the limit, by straight lines between the points; infinite where it does not reach that."""
        best = int(np.argmin(self.excess))
        ends = []
        for side, missing in ((slice(best, None, -1), -math.inf), (slice(best, None), math.inf)):
            values, excess = self.values[side], self.excess[side]
            above = np.flatnonzero(excess > self.limit)
            if not len(above):
                ends.append(missing)
                continue
            k = int(above[0])
            share = (self.limit - excess[k - 1]) / (excess[k] - excess[k - 1])
            ends.append(float(values[k - 1] + share * (values[k] - values[k - 1])))
        return ends[0], ends[1]


def fit(
    case: CaseLike,
    data: str | Path | Sequence[Mapping[str, Any]],
    parameters: Sequence[str] | str,
    *,
    bounds: Bounds | None = None,
    comm: MPI.Comm = MPI.COMM_WORLD,
    progress: Callable[[str], None] = lambda line: None,
    petsc_options: Sequence[str] = (),
) -> Fit:
    """Return the parameters of a case that fit measured values best; collective.

    Parameters
    ----------
    case : CaseLike
        With values from which to begin.
    data : str, Path or sequence of mappings
        A CSV, or its rows (docs/fits.md).
    parameters : str or sequence of str
        Keys of the case, as for `Solution.gradient`.
    bounds : mapping, optional
        By parameter the least and the largest value, in SI units.
    comm, progress, petsc_options
        As for `pnp_exclusion.iv`.

    Raises
    ------
    CaseError
        The table has mistakes.
    UsageError
        There are fewer data than parameters, or no such parameter or observable.
    ConvergenceError
        A point has no solution where the fit begins.
    """
    case = as_case(case)
    rows = read_table(Path(data), case) if isinstance(data, str | Path) else measurements(data, case)
    names = [parameters] if isinstance(parameters, str) else list(parameters)
    if not names:
        raise UsageError("a fit needs one parameter or more")
    if len(rows) < len(names):
        raise UsageError(f"{len(rows)} measured values cannot determine {len(names)} parameters")
    return _Search(case, rows, names, dict(bounds or {}), comm, progress, petsc_options).best()


class _Search:
    """The least squares in coordinates of the parameters: logarithms, or multiples of a natural unit."""

    def __init__(
        self,
        case: Case,
        rows: Sequence[Measurement],
        names: Sequence[str],
        bounds: dict[str, tuple[float, float]],
        comm: MPI.Comm,
        progress: Callable[[str], None],
        petsc_options: Sequence[str],
    ) -> None:
        self._case, self._rows, self._names, self._bounds = case, rows, names, bounds
        self._comm, self._progress, self._petsc_options = comm, progress, petsc_options
        for name in bounds:
            if name not in names:
                raise UsageError(f'there are bounds of "{name}", which is not fitted')

    def best(self) -> Fit:
        """Fit all parameters."""
        with self._model() as model:
            begin = np.array([one.value for one in model.parameters])
            self._steps = 0
            found = self._minimum(model, [self._coordinate(one, one.value) for one in model.parameters], [])
            return self._told(model, found, begin)

    def profile(self, best: Fit, number: int, points: int, reach: float) -> Profile:
        """Fit all other parameters with one of them held."""
        if points < 3:
            raise UsageError(f"a profile has 3 points or more, not {points}")
        if not best.knows_noise:
            raise UsageError("a profile needs uncertainties, or more measured values than parameters")
        from scipy.special import gammaincinv

        with self._model() as model:
            one = model.parameters[number]
            at_best = [self._coordinate(p, v) for p, v in zip(model.parameters, best.values.tolist(), strict=True)]
            slope = self._value_slope(one, at_best[number])
            width = min(float(best.errors[number]) / abs(slope), UNKNOWN)
            low, high = self._limits(one)
            held = np.clip(at_best[number] + reach * width * np.linspace(-1.0, 1.0, points), low, high)
            squares = []
            for value in held:
                start = list(at_best)
                start[number] = float(value)
                try:
                    squares.append(2.0 * self._minimum(model, start, [number]).cost)
                except CaseError:
                    # what is no case has no likelihood
                    squares.append(math.inf)
            values = np.array([self._value(one, float(value)) for value in held])
        variance = 1.0 if best.has_uncertainties else best.chi_squared / max(best.degrees_of_freedom, 1)
        # of chi squared for one degree of freedom, or of F where the variance is estimated too
        known = best.has_uncertainties
        limit = float(2.0 * gammaincinv(0.5, CONFIDENCE) if known else _student(best.degrees_of_freedom) ** 2)
        return Profile(best.parameters[number], values, (np.array(squares) - best.chi_squared) / variance, limit)

    def _model(self) -> Model:
        return Model(self._case, self._rows, self._names, self._comm, self._petsc_options)

    # ---- coordinates ----

    def _is_log(self, one: Parameter) -> bool:
        return not one.signed

    def _coordinate(self, one: Parameter, value: float) -> float:
        if not self._is_log(one):
            return value / one.scale
        # a bound of 0 or less does not bind what is positive
        return math.log(value) if value > 0.0 else -math.inf

    def _value(self, one: Parameter, coordinate: float) -> float:
        return _exponential(coordinate) if self._is_log(one) else coordinate * one.scale

    def _value_slope(self, one: Parameter, coordinate: float) -> float:
        return _exponential(coordinate) if self._is_log(one) else one.scale

    def _limits(self, one: Parameter) -> tuple[float, float]:
        if one.name not in self._bounds:
            return -math.inf, math.inf
        low, high = self._bounds[one.name]
        if not low < high:
            raise UsageError(f'bounds of "{one.name}" must rise, but are {low:g} and {high:g}')
        if not low <= one.value <= high:
            raise UsageError(f'"{one.name}" begins at {one.value:g}, which is not within its bounds')
        return self._coordinate(one, low), self._coordinate(one, high)

    # ---- least squares ----

    def _minimum(self, model: Model, start: list[float], held: list[int]) -> Any:
        """Return what scipy finds, with the coordinates of all parameters as ``x`` and the whole Jacobian."""
        from scipy.optimize import OptimizeResult, least_squares

        free = [n for n in range(len(start)) if n not in held]
        known: dict[bytes, tuple[Real, Real]] = {}

        def at(x: Real) -> tuple[Real, Real]:
            if x.tobytes() not in known:
                whole = np.array(start)
                whole[free] += x
                pairs = list(zip(model.parameters, whole.tolist(), strict=True))
                values, slopes = model.evaluate([self._value(one, c) for one, c in pairs])
                residuals = (values - model.values) / model.scales
                jacobian = slopes * [self._value_slope(one, c) for one, c in pairs] / model.scales[:, None]
                known.clear()
                known[x.tobytes()] = residuals, jacobian
                self._steps += 1
                self._progress(f"  fit {self._steps:3d}   sum of squares {float(residuals @ residuals):.6g}")
            return known[x.tobytes()]

        if not free:
            residuals, jacobian = at(np.empty(0))
            return OptimizeResult(x=np.array(start), fun=residuals, jac=jacobian, cost=0.5 * residuals @ residuals)
        begin = np.array(start)[free]
        limits = np.array([self._limits(model.parameters[n]) for n in free]).T - begin
        at(np.zeros(len(free)))

        def tried(x: Real) -> Real:
            """Return the residuals, infinite where there is no case or no solution, so that the step is shortened."""
            try:
                return at(x)[0]
            except (CaseError, ConvergenceError, UsageError) as error:
                self._progress(f"  a step is shortened: {str(error).splitlines()[0]}")
                return np.full(len(self._rows), np.inf)

        # counted from where it begins, which must be solved, the first step is 1 at most, a factor of e
        found = least_squares(
            tried,
            np.zeros(len(free)),
            lambda x: at(x)[1][:, free],
            bounds=(limits[0], limits[1]),
            xtol=SETTLED,
            ftol=SETTLED,
            gtol=SETTLED,
            max_nfev=MOST_STEPS,
        )
        whole = np.array(start)
        whole[free] += found.x
        residuals, jacobian = at(found.x)
        cost = 0.5 * float(residuals @ residuals)
        return OptimizeResult(x=whole, fun=residuals, jac=jacobian, cost=cost, status=found.status)

    # ---- what is known ----

    def _told(self, model: Model, found: Any, begin: Real) -> Fit:
        from scipy.special import ndtri

        freedom = len(found.fun) - len(found.x)
        squares = float(found.fun @ found.fun)
        if model.has_uncertainties:
            variance, quantile = 1.0, float(ndtri(0.5 + 0.5 * CONFIDENCE))
        else:
            # as many parameters as values leave nothing that tells the noise
            variance = squares / freedom if freedom else math.nan
            quantile = _student(freedom)
        _, sizes, directions = np.linalg.svd(found.jac, full_matrices=False)
        is_known = sizes > np.finfo(float).eps * max(found.jac.shape) * sizes[0]
        deviations = np.full(len(sizes), np.inf)
        deviations[is_known] = math.sqrt(variance) / sizes[is_known]
        # of a variance of 1, from which the correlation follows whatever the noise is
        per_variance = (directions[is_known].T / sizes[is_known] ** 2) @ directions[is_known]
        # whatever has a part in a direction of which nothing is known is not known
        lost = (np.abs(directions[~is_known]) > LOST).any(axis=0)
        per_variance[lost] = per_variance[:, lost] = np.nan
        size = np.sqrt(np.diag(per_variance))
        sigma = np.where(lost, np.inf, math.sqrt(variance) * size)
        values, slopes, intervals = [], [], []
        for one, x, s in zip(model.parameters, found.x.tolist(), sigma.tolist(), strict=True):
            values.append(self._value(one, x))
            slopes.append(self._value_slope(one, x))
            reach = math.inf if s > LARGEST else quantile * s
            intervals.append([self._value(one, x - reach), self._value(one, x + reach)])
        covariance = variance * per_variance * np.outer(slopes, slopes)
        covariance[lost, lost] = np.inf
        return Fit(
            tuple(self._names),
            tuple(one.unit for one in model.parameters),
            begin,
            np.array(values),
            sigma * np.abs(slopes),
            np.array(intervals),
            covariance,
            per_variance / np.outer(size, size),
            tuple(self._rows),
            model.values + found.fun * model.scales,
            found.fun,
            squares,
            freedom,
            tuple(dict.fromkeys(self._unidentified(model.parameters, directions, deviations))),
            (*model.warnings, *self._warnings(found, squares, freedom, model.has_uncertainties)),
            self._steps,
            model.has_uncertainties,
            self,
        )

    def _warnings(self, found: Any, squares: float, freedom: int, has_uncertainties: bool) -> Iterator[str]:
        from scipy.special import chdtrc

        if found.status == 0:
            yield f"the fit has not settled after {MOST_STEPS} evaluations, and its best may not be the best of all"
        if not has_uncertainties:
            if not freedom:
                yield (
                    "there are no more measured values than parameters, and no uncertainties: nothing tells how large "
                    "the noise is, and so how well the parameters are determined"
                )
            return
        chance = float(chdtrc(freedom, squares)) if freedom else 1.0
        if chance < UNLIKELY:
            yield (
                f"the fitted case does not describe the data within their uncertainties: the sum of squares is "
                f"{squares:.4g} for {freedom} degrees of freedom, as large by chance with a probability of {chance:.1g}"
            )

    def _unidentified(self, parameters: Sequence[Parameter], directions: Real, deviations: Real) -> list[str]:
        """Return a sentence for every direction in which the parameters may go far without the data objecting."""
        found = []
        for direction, deviation in zip(directions, deviations.tolist(), strict=True):
            # nan if nothing is known of the noise
            if not deviation >= UNKNOWN:
                continue
            parts = [n for n in np.argsort(-np.abs(direction)) if abs(direction[n]) >= PART * np.abs(direction).max()]
            how = f"uncertain by a factor of {math.exp(min(deviation, LARGEST)):.3g}"
            if not all(self._is_log(parameters[n]) for n in parts):
                how = f"uncertain by {deviation:.3g} times its natural unit"
            if deviation > LARGEST:
                how = "not determined at all"
            if len(parts) == 1:
                found.append(f"the data do not determine {parameters[parts[0]].name}: it is {how}")
                continue
            first = direction[parts[0]]
            terms = [
                (f"{direction[n] / first:+.2g} " if n != parts[0] else "") + self._in_words(parameters[n])
                for n in parts
            ]
            names = [parameters[n].name for n in parts]
            listed = ", ".join(names[:-1]) + f" and {names[-1]}"
            found.append(f"the data do not tell {listed} apart: the combination {' '.join(terms)} is {how}")
        return found

    def _in_words(self, one: Parameter) -> str:
        if self._is_log(one):
            return f"log {one.name}"
        return f"{one.name}/({one.scale:.3g} {one.unit})".replace(" )", ")")


def _exponential(coordinate: float) -> float:
    """Return it, 0 and infinity where there is no such number: neither makes a case."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.exp(coordinate))


def _student(freedom: int) -> float:
    """Return by how many estimated standard deviations an interval of 95 % reaches to either side."""
    from scipy.special import stdtrit

    return float(stdtrit(max(freedom, 1), 0.5 + 0.5 * CONFIDENCE))
