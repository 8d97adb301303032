"""Courses of a number in time, as a case writes them: ``{ step = [0, 1] }``, ``{ sine = 0.1, frequency = "1 kHz" }``.

A course is piecewise linear, with jumps where a time is given twice, once or periodically, or a sine, or a formula of
the time. Before its first time and after its last it stays what it is there; a formula goes on.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, override

import numpy as np

from pnp_exclusion.case.formulas import Formula, FormulaError

KINDS: dict[str, tuple[str, ...]] = {
    "step": ("at",),
    "ramp": ("begin", "duration", "rate"),
    "triangle": ("rate", "cycles", "begin"),
    "sine": ("mean", "frequency", "phase", "begin"),
    "pulses": ("period", "width", "cycles", "begin"),
    "table": (),
    "expression": ("unit", "time_unit"),
}
"""The key that says what kind of course it is, and those that go with it."""
MOST_KINKS = 1_000_000
"""Of a periodic course: more are no use to anybody."""


SAME_TIME = 1e-10
"""Relative: times are computed from other units, and from periods."""
SAMPLES = 2001
"""Times at which a formula is looked at before anything moves."""


class CourseError(ValueError):
    """What is wrong with a course, in words."""


@dataclass(frozen=True, eq=False)
class Course:
    """A number in the course of time, in the units of its case.

    written
        As the case has it.
    times, values
        ``(knots,)``, the times in ascending order; a time given twice is a jump.
    period
        After which the knots repeat, ``cycles`` times; None for a course that does not.
    sine
        Amplitude and angular frequency, added from the first time on with a phase.
    """

    written: dict[str, Any]
    times: np.ndarray
    values: np.ndarray
    period: float | None = None
    cycles: float = 1.0
    sine: tuple[float, float, float] | None = None

    def value(self, time: float, *, before: bool = False) -> float:
        """Return the number at a time; at one of a jump the one after it, or with ``before`` the one before."""
        since, last = self._within(time, before)
        k = int(np.searchsorted(self.times, since, side="left" if before else "right"))
        k = len(self.times) if last else k
        found = float(self.values[min(k, len(self.values) - 1)])
        if 0 < k < len(self.times):
            share = (since - self.times[k - 1]) / (self.times[k] - self.times[k - 1])
            found = float(self.values[k - 1] + share * (self.values[k] - self.values[k - 1]))
        if self.sine is not None:
            amplitude, angular, phase = self.sine
            found += amplitude * math.sin(angular * max(time - self.times[0], 0.0) + phase)
        return found

    def _within(self, time: float, before: bool) -> tuple[float, bool]:
        """Return the time within the period, and whether all is over; a time beside a knot is at the knot."""
        since, over, first = time, False, float(self.times[0])
        if self.period is not None and time > first:
            number = math.floor((time - first) / self.period)
            since = time - number * self.period
            if self._are_one(since - first, self.period):
                number, since = number + 1, since - self.period
            if self._are_one(since, first) and before and number > 0:
                number, since = number - 1, since + self.period
            over = number >= self.cycles
        nearest = float(self.times[np.argmin(np.abs(self.times - since))])
        return (nearest if self._are_one(nearest, since) else since), over

    def _are_one(self, one: float, other: float) -> bool:
        return abs(one - other) <= SAME_TIME * max(abs(one), abs(other), self.period or 0.0)

    def kinks(self, end: float) -> Iterator[float]:
        """Yield the times up to one at which it is not smooth, perhaps more than once."""
        cycles = self.cycles if self.period is not None else 1.0
        k = 0
        while k < cycles and k < MOST_KINKS:
            shift = 0.0 if self.period is None else k * self.period
            if self.times[0] + shift > end:
                return
            yield from (float(t) + shift for t in self.times if t + shift <= end)
            k += 1

    def require_few_periods(self, end: float) -> None:
        """Raise `CourseError` if it goes up and down more often up to a time than steps can follow."""
        period = self.period if self.sine is None else 2.0 * math.pi / self.sine[1]
        if period is None:
            return
        count = min((end - float(self.times[0])) / period, self.cycles if self.sine is None else math.inf)
        if count > MOST_KINKS:
            kind = next(kind for kind in KINDS if kind in self.written)
            raise CourseError(f"{kind} has {count:.0e} periods up to the end, {MOST_KINKS:.0e} at most")

    def jumps_at(self, time: float) -> bool:
        """Return whether it jumps at a time."""
        after, before = self.value(time), self.value(time, before=True)
        return abs(after - before) > 1e-12 * max(abs(after), abs(before), float(np.ptp(self.values)))

    def extremes(self, end: float) -> list[tuple[float, bool]]:
        """Return times up to one between which it takes all its values, and whether it is just before them."""
        self.require_few_periods(end)
        moments = [(t, side) for t in {0.0, end, *self.kinks(min(end, self._whole))} for side in (False, True)]
        if self.sine is not None:
            quarter = 0.5 * math.pi / self.sine[1]
            moments += [(t, False) for k in range(5) if (t := float(self.times[0]) + k * quarter) <= end]
        ordered = sorted(moments, key=lambda moment: self.value(moment[0], before=moment[1]))
        return [ordered[0], ordered[-1]]

    @property
    def _whole(self) -> float:
        """A time by which one cycle is over."""
        return float(self.times[-1]) + (self.period or 0.0)


@dataclass(frozen=True, eq=False)
class Expression(Course):
    """A course by a formula of the time ``t``, which counts as smooth: no step lands on a kink that is in it.

    formula, unit, time_unit
        Its value times ``unit``, ``t`` being the time over ``time_unit``.
    """

    formula: Formula = field(kw_only=True)
    unit: float = 1.0
    time_unit: float = 1.0

    @override
    def value(self, time: float, *, before: bool = False) -> float:
        """Return the number at a time; raises `CourseError` where the formula has none."""
        found = self.unit * float(self.formula(t=time / self.time_unit))
        if not math.isfinite(found):
            raise CourseError(f'expression = "{self.formula.text}" has no value at t = {time / self.time_unit:.4g}')
        return found

    @override
    def kinks(self, end: float) -> Iterator[float]:
        """Yield nothing."""
        yield from ()

    @override
    def jumps_at(self, time: float) -> bool:
        """Return that it does not."""
        return False

    @override
    def extremes(self, end: float) -> list[tuple[float, bool]]:
        """Return the times at which it is the smallest and the largest of many values."""
        moments = np.linspace(0.0, end, SAMPLES).tolist()
        values = [self.value(moment) for moment in moments]
        return [(moments[int(place(values))], False) for place in (np.argmin, np.argmax)]


type Parse = Callable[[Any], float]


def course_of(
    written: Mapping[str, Any], value: Parse, time: Parse, rate: Parse, frequency: Parse, folder: Path
) -> Course:
    """Return the course that a table describes.

    value, time, rate, frequency
        Read one number of a kind.
    folder
        Files are relative to it.

    Raises `CourseError` with a sentence.
    """
    kinds = [kind for kind in KINDS if kind in written]
    if len(kinds) != 1:
        raise CourseError(f"a number in time is one of {', '.join(f'{{ {kind} = .. }}' for kind in KINDS)}")
    kind = kinds[0]
    for key in written:
        if key != kind and key not in KINDS[kind]:
            fitting = ", ".join(KINDS[kind]) or "no other key"
            raise CourseError(f'"{key}" does not go with {kind}, but {fitting} does')
    return _MAKE[kind](dict(written), _Words(written, value, time, rate, frequency, folder))


@dataclass(frozen=True)
class _Words:
    written: Mapping[str, Any]
    value: Parse
    time: Parse
    rate: Parse
    frequency: Parse
    folder: Path

    def several(self, key: str, parse: Parse, least: int) -> np.ndarray:
        given = self.written[key]
        if not isinstance(given, list | tuple) or len(given) < least:
            raise CourseError(f"{key} must be a list of {least} numbers or more")
        return np.array([parse(entry) for entry in given])

    def positive(self, key: str, parse: Parse) -> float:
        if key not in self.written:
            raise CourseError(f"{key} is missing")
        found = parse(self.written[key])
        if not found > 0.0:
            raise CourseError(f"{key} must be positive")
        return found

    @property
    def begin(self) -> float:
        begin = self.time(self.written["begin"]) if "begin" in self.written else 0.0
        if begin < 0.0:
            raise CourseError("begin must be 0 or more")
        return begin

    @property
    def cycles(self) -> float:
        cycles = self.written.get("cycles", 1)
        if isinstance(cycles, bool) or not isinstance(cycles, int) or not 1 <= cycles <= MOST_KINKS:
            raise CourseError("cycles must be a whole number, 1 or more")
        return float(cycles)


def _step(written: dict[str, Any], words: _Words) -> Course:
    values = words.several("step", words.value, 2)
    given = written.get("at", 0.0)
    ats = list(given) if isinstance(given, list | tuple) else [given]
    times = np.array([0.0 if at == 0.0 else words.time(at) for at in ats])
    if len(times) != len(values) - 1:
        raise CourseError(f"step has {len(values)} values, so that at must be {len(values) - 1} times")
    if (np.diff(times) <= 0.0).any() or times[0] < 0.0:
        raise CourseError("at must be times from 0 on in ascending order")
    return Course(written, np.repeat(times, 2), np.concatenate([values[:1], np.repeat(values[1:-1], 2), values[-1:]]))


def _ramp(written: dict[str, Any], words: _Words) -> Course:
    values = words.several("ramp", words.value, 2)
    if len(values) != 2:
        raise CourseError("ramp must be two numbers, from and to")
    if ("duration" in written) == ("rate" in written):
        raise CourseError("ramp goes with either duration, or rate")
    if "duration" in written:
        duration = words.positive("duration", words.time)
    elif values[0] == values[1]:
        raise CourseError("ramp with a rate must be two different numbers")
    else:
        duration = abs(values[1] - values[0]) / words.positive("rate", words.rate)
    return Course(written, words.begin + np.array([0.0, duration]), values)


def _triangle(written: dict[str, Any], words: _Words) -> Course:
    values = words.several("triangle", words.value, 2)
    corners = np.append(values, values[0])
    lengths = np.abs(np.diff(corners)) / words.positive("rate", words.rate)
    if (lengths <= 0.0).any():
        raise CourseError("triangle must be numbers each of which differs from the next")
    times = words.begin + np.concatenate([[0.0], np.cumsum(lengths)])
    return Course(written, times, corners, period=float(lengths.sum()), cycles=words.cycles)


def _sine(written: dict[str, Any], words: _Words) -> Course:
    amplitude = words.value(written["sine"])
    mean = words.value(written["mean"]) if "mean" in written else 0.0
    phase = written.get("phase", 0.0)
    if isinstance(phase, bool) or not isinstance(phase, int | float):
        raise CourseError("phase must be a number, in radians")
    # a hertz is a radian a second to some libraries of units: the factor is written out
    angular = 2.0 * math.pi * words.positive("frequency", words.frequency)
    return Course(written, np.array([words.begin]), np.array([mean]), sine=(amplitude, angular, float(phase)))


def _pulses(written: dict[str, Any], words: _Words) -> Course:
    values = words.several("pulses", words.value, 2)
    period, width, begin = words.positive("period", words.time), words.positive("width", words.time), words.begin
    if len(values) != 2 or width >= period:
        raise CourseError("pulses must be two numbers, at rest and in the pulse, and width less than period")
    times = begin + np.array([0.0, 0.0, width, width, period])
    low, high = values
    cycles = words.cycles if "cycles" in written else math.inf
    return Course(written, times, np.array([low, high, high, low, low]), period=period, cycles=cycles)


def _table(written: dict[str, Any], words: _Words) -> Course:
    """Read a table of two columns, time and number, each with its unit in the header: ``time [ms], potential [mV]``."""
    name = written["table"]
    if not isinstance(name, str):
        raise CourseError("table must be the name of a CSV file")
    try:
        with (words.folder / name).open(newline="", encoding="utf-8") as stream:
            header, *rows = [row for row in csv.reader(stream) if row]
    except FileNotFoundError:
        raise CourseError(f'there is no file "{name}"') from None
    except (OSError, ValueError, csv.Error):
        raise CourseError(f'"{name}" cannot be read as a table') from None
    if len(rows) < 2 or any(len(row) != 2 for row in [header, *rows]):
        raise CourseError(f'"{name}" must have two columns, time and number, a header and two rows or more')
    units = [
        column[column.index("[") + 1 : column.index("]")] if "[" in column and "]" in column else ""
        for column in header
    ]
    try:
        numbers = np.array([[float(cell) for cell in row] for row in rows])
    except ValueError:
        raise CourseError(f'"{name}" has a cell that is not a number') from None
    if not np.isfinite(numbers).all() or (np.diff(numbers[:, 0]) < 0.0).any():
        raise CourseError(f'the times of "{name}" must be finite and ascend')
    if (numbers[2:, 0] == numbers[:-2, 0]).any():
        raise CourseError(f'"{name}" has a time more than twice, where a jump has two values')
    times, values = (
        np.array([parse(f"{x!r} {unit}" if unit else float(x)) for x in column.tolist()])
        for parse, unit, column in zip((words.time, words.value), units, numbers.T, strict=True)
    )
    return Course(written, times, values)


def _expression(written: dict[str, Any], words: _Words) -> Course:
    text = written["expression"]
    if not isinstance(text, str):
        raise CourseError(f"expression must be a formula of t, but it is {text!r}")
    try:
        formula = Formula(text, ("t",))
    except FormulaError as error:
        raise CourseError(f'expression = "{text}" is no function of t: {error}') from None
    for key in ("unit", "time_unit"):
        if not isinstance(written.get(key, ""), str):
            raise CourseError(f"{key} must be the name of a unit")
    time_unit = words.time(f"1 {written['time_unit']}") if "time_unit" in written else 1.0
    if "unit" in written:
        unit = words.value(f"1 {written['unit']}")
    else:
        try:
            unit = words.value(1.0)
        except ValueError:
            raise CourseError(
                'expression gives plain numbers, whose unit is missing; add it, as in unit = "mV"'
            ) from None
    return Expression(written, np.zeros(1), np.zeros(1), formula=formula, unit=unit, time_unit=time_unit)


_MAKE: dict[str, Callable[[dict[str, Any], _Words], Course]] = {
    "step": _step,
    "ramp": _ramp,
    "triangle": _triangle,
    "sine": _sine,
    "pulses": _pulses,
    "table": _table,
    "expression": _expression,
}
