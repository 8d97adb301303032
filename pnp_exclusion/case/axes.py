"""Axes of sweeps and diagrams, read against their case: what is set to what, and in which unit it is told.

An axis has one coordinate: a number in the unit in which its first value is written, or a word, such as a law.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic_core import PydanticCustomError

from pnp_exclusion.case.keys import CaseKeyError, dimension_of_key, key_in_words
from pnp_exclusion.case.plans import Axis, SweepAxis, name_of_key
from pnp_exclusion.case.quantities import THERMAL_ENERGY, Dimension, Quantity, shown

Coordinate = float | str
"""A number in the unit of its axis, or a word."""


@dataclass(frozen=True)
class Driving:
    """An axis of a plan, with its values as coordinates.

    name, unit
        Of the coordinate; the unit is empty for pure numbers and words.
    keys, factors
        What the axis sets, each to the coordinate times its factor.
    values
        The coordinates listed in the case, or spaced between its limits; empty where only limits are given.
    low, high
        The limits, for numbers.
    log
        Whether the values between them are spaced evenly in their logarithm.
    words
        What the words stand for in the case; empty for numbers.
    """

    name: str
    unit: str
    keys: tuple[str, ...]
    factors: tuple[float, ...]
    values: tuple[Coordinate, ...]
    low: float = math.nan
    high: float = math.nan
    log: bool = False
    words: Mapping[str, Any] | None = None

    @property
    def in_words(self) -> str:
        """What it is called in pictures: its own name, or what its first key is in words."""
        return key_in_words(self.keys[0]) if self.name == name_of_key(self.keys[0]) else self.name.replace("_", " ")

    def at(self, share: float) -> Coordinate:
        """Return the coordinate at a share, 0 to 1, of the way along the axis; of listed values, the one there."""
        if math.isnan(self.low):
            return self.values[min(int(share * len(self.values)), len(self.values) - 1)]
        if share in (0.0, 1.0):
            return self.high if share else self.low
        if self.log:
            return _tidy(self.low * (self.high / self.low) ** share)
        return _tidy(self.low + (self.high - self.low) * share)

    def share_of(self, coordinate: Coordinate) -> float:
        """Return how far along the axis a coordinate is, 0 to 1: of listed values, by position."""
        if math.isnan(self.low):
            return self.values.index(coordinate) / max(1, len(self.values) - 1)
        value = float(coordinate)
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def settings(self, coordinate: Coordinate) -> dict[str, Any]:
        """Return what every key of the axis is set to, as it is written in a case file."""
        if self.words is not None:
            return dict.fromkeys(self.keys, self.words[str(coordinate)])
        written = {}
        for key, factor in zip(self.keys, self.factors, strict=True):
            value = float(coordinate) * factor
            number: float | int = int(value) if self._whole(coordinate, factor) else value
            written[key] = f"{number!r} {self.unit}" if self.unit else number
        return written

    def _whole(self, coordinate: Coordinate, factor: float) -> bool:
        """Whether a coordinate stands for a whole number, such as a degree, which a case wants written as one."""
        return isinstance(coordinate, int) and float(factor).is_integer()


def read_axis(axis: Axis, tables: dict[str, Any]) -> Driving:
    """Read an axis against the nested tables of its case (as of `Case.as_written`); `CaseKeyError` if it does not fit.

    Values are checked to be of the right kind; whether the cases they make are right is for `make_case` to say.
    """
    kinds = [dimension_of_key(tables, key) for key in axis.all_keys]
    if any(kind != kinds[0] for kind in kinds):
        raise CaseKeyError(f'the keys of axis "{axis.title}" hold unlike quantities; give each kind an axis of its own')
    units = tables["gas" if "gas" in tables else "model"].get("units", "si")
    listed = axis.values if isinstance(axis, SweepAxis) and axis.values is not None else None
    given = listed if listed is not None else [axis.from_, axis.to]
    names = (axis.title, tuple(axis.all_keys), tuple(map(float, axis.all_factors)))
    if kinds[0] is None and not all(_is_number(value) for value in given):
        return _words(names, given, listed is not None, axis.factors is not None)
    coordinates, unit = _numbers(given, kinds[0], units, axis.title)
    if listed is not None:
        return Driving(names[0], unit, names[1], names[2], tuple(coordinates))
    return _between(names, unit, coordinates, axis)


def axis_values(axis: Axis, tables: dict[str, Any]) -> tuple[tuple[Coordinate, ...], str]:
    """Return the coordinates of an axis and their unit, see `Driving`; `CaseKeyError` as for `read_axis`."""
    driving = read_axis(axis, tables)
    return driving.values, driving.unit


def with_unit[AnyAxis: Axis](axis: AnyAxis, tables: dict[str, Any]) -> AnyAxis:
    """Return the axis of an SI case with the SI unit behind its plain numbers; as it is if its key holds none."""
    try:
        kind = dimension_of_key(tables, axis.all_keys[0])
    except CaseKeyError:
        # told by `read_axis`
        return axis
    if kind is None or tables["model"].get("units", "si") != "si":
        return axis

    def written(value: Any) -> Any:
        return f"{value!r} {kind.units[0]}" if _is_number(value) else value

    changes: dict[str, Any] = {}
    if axis.from_ is not None:
        changes |= {"from_": written(axis.from_), "to": written(axis.to)}
    if isinstance(axis, SweepAxis) and axis.values is not None:
        changes["values"] = [written(value) for value in axis.values]
    return axis.model_copy(update=changes)


Names = tuple[str, tuple[str, ...], tuple[float, ...]]


def _words(names: Names, given: list[Any], listed: bool, factors: bool) -> Driving:
    name, keys, _ = names
    if not listed:
        raise CaseKeyError(f'axis "{name}": between {shown(given[0])} and {shown(given[1])} there are no numbers')
    if factors:
        raise CaseKeyError(f'axis "{name}": factors go with numbers, but its values are not all numbers')
    labels = [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in given]
    return Driving(name, "", keys, (1.0,) * len(keys), tuple(labels), words=dict(zip(labels, given, strict=True)))


def _numbers(given: list[Any], kind: Dimension | None, units: str, name: str) -> tuple[list[float], str]:
    """The coordinates and their unit, that of the first."""
    if kind is None:
        if not all(math.isfinite(value) for value in given):
            raise CaseKeyError(f'axis "{name}": every value must be a finite number')
        return list(given), ""
    quantities = [_quantity(value, kind, units, name) for value in given]
    unit = quantities[0].unit
    if all(quantity.unit == unit for quantity in quantities):
        return [quantity.number for quantity in quantities], unit
    if any(quantity.unit == THERMAL_ENERGY for quantity in quantities):
        raise CaseKeyError(f'axis "{name}": how much kT is depends on the case; give all values in kT, or none of them')
    # by two points, because degrees Celsius have a zero of their own
    zero, one = (_quantity(f"{number} {unit}", kind, units, name).value for number in (0, 1))
    return [_tidy((quantity.value - zero) / (one - zero)) for quantity in quantities], unit


def _quantity(value: Any, kind: Dimension, units: str, name: str) -> Quantity:
    try:
        return kind.parse(value, units)
    except PydanticCustomError as error:
        raise CaseKeyError(f'axis "{name}": {error.message()}') from None


def _between(names: Names, unit: str, limits: list[float], axis: Axis) -> Driving:
    name, keys, factors = names
    low, high = limits
    if low == high:
        raise CaseKeyError(f'axis "{name}": from and to must differ')
    log = isinstance(axis, SweepAxis) and axis.spacing == "log"
    if log and (low == 0.0 or high / low <= 0.0):
        raise CaseKeyError(f'axis "{name}": spacing = "log" needs from and to of the same sign, and not 0')
    bare = Driving(name, unit, keys, factors, (), float(low), float(high), log)
    count = axis.count if isinstance(axis, SweepAxis) else None
    if count is None:
        return bare
    if count < 2:
        raise CaseKeyError(f'axis "{name}": count = 1 leaves no room for both from and to; give values = [...] instead')
    values = [bare.at(share) for share in np.linspace(0.0, 1.0, count).tolist()]
    if all(isinstance(limit, int) and not unit for limit in limits) and all(float(v).is_integer() for v in values):
        values = [int(value) for value in values]
    return Driving(name, unit, keys, factors, tuple(values), float(low), float(high), log)


def _tidy(value: float) -> float:
    """Without the last digit, which is rounding: 0.3 and not 0.30000000000000004."""
    return float(f"{value:.15g}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
