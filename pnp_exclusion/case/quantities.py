"""Numbers with units, as they are written in a case file. pint lives here and in nothing that computes.

It takes half of a short run to begin, so the units that nearly every case is written in are known without it.
"""

from __future__ import annotations

import math
import re
import reprlib
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import (
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationInfo,
    WrapValidator,
)
from pydantic_core import PydanticCustomError, core_schema

from pnp_exclusion.case.courses import Course, CourseError, course_of
from pnp_exclusion.runtime.imports import without

if TYPE_CHECKING:
    import pint

ELEMENTARY_CHARGE = 1.602176634e-19
"""C, exact (SI 2019)."""
BOLTZMANN = 1.380649e-23
"""J/K, exact (SI 2019)."""
AVOGADRO = 6.02214076e23
"""1/mol, exact (SI 2019)."""
VACUUM_PERMITTIVITY = 8.8541878128e-12
"""F/m (CODATA 2018)."""
THERMAL_ENERGY = "kT"
"""A unit of energy, at the temperature of the case."""
FARADAY = ELEMENTARY_CHARGE * AVOGADRO
"""C/mol."""

_PER_LITRE = 0.1**-3
"""1/m^3, rounded as pint does."""
_COMMON_UNITS: dict[str, tuple[float, str]] = {
    "m": (1.0, "m"),
    "cm": (1e-2, "m"),
    "mm": (1e-3, "m"),
    "um": (1e-6, "m"),
    "nm": (1e-9, "m"),
    "V": (1.0, "V"),
    "mV": (1e-3, "V"),
    "s": (1.0, "s"),
    "min": (60.0, "s"),
    "h": (3600.0, "s"),
    "K": (1.0, "K"),
    "m^2/s": (1.0, "m^2/s"),
    "cm^2/s": (1e-4, "m^2/s"),
    "mol/m^3": (1.0, "mol/m^3"),
    "mol/L": (_PER_LITRE, "mol/m^3"),
    "mmol/L": (1e-3 * _PER_LITRE, "mol/m^3"),
    "C/m^3": (1.0, "C/m^3"),
    "N": (1.0, "N"),
    "kT": (1.0, "kT"),
    "eV/m": (ELEMENTARY_CHARGE, "N"),
    "mol/m^2/s": (1.0, "mol/m^2/s"),
}
"""Their values in SI units: those that pint gives."""

_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*")
_UNIT = re.compile(
    r"(1\s*/)?(\s|[*/·()]|[A-Za-zµμΩÅ°%][\w°]*+|(\^|\*\*)\s*-?\d(?!\s*(\d|\^|\*\*)))+",
)
"""Names, products, quotients and one-digit powers; nothing else is handed to pint, which would compute it."""
_LONGEST_TEXT = 100
_UNREADABLE = (ValueError, TypeError, SyntaxError, ArithmeticError, AttributeError, KeyError, AssertionError)
"""What pint raises, beside errors of its own, on texts that are no units."""


@cache
def unit_registry() -> pint.UnitRegistry:
    """Return what knows all units; made at the first call, which takes a third of a second."""
    # it imports dask where it is found, for arrays that we have none of
    with without("dask"):
        import pint

    return pint.UnitRegistry()


def shown(value: Any) -> str:
    """A value as a message shows it: short, texts in double quotation marks."""
    try:
        text = reprlib.repr(value)
    except ValueError:
        return "a very long number"
    return f'"{text[1:-1]}"' if isinstance(value, str) and '"' not in value else text


def as_python(raw: Any) -> Any:
    """Return a single number of numpy as one of Python, anything else as it is."""
    return raw.item() if isinstance(raw, np.generic | np.ndarray) and raw.ndim == 0 else raw


@dataclass(frozen=True)
class Quantity:
    """A checked number of a case file.

    value
        In SI units (or dimensionless).
    text
        As the user wrote it.
    number, unit
        The parts of the text; the unit is empty in a dimensionless case.
    """

    value: float
    text: str
    number: float
    unit: str = ""
    course: Course | None = None
    """Of a number in time, which is then what it is at first."""

    def at(self, time: float, *, before: bool = False) -> Quantity:
        """Return what it is at a time, or just before it, in the units of the case."""
        if self.course is None:
            return self
        return replace(self, value=self.course.value(time, before=before), course=None)

    def __float__(self) -> float:
        return self.value


def _refusal(message: str) -> PydanticCustomError:
    return PydanticCustomError("quantity", "{message}", {"message": message})


@dataclass(frozen=True)
class Dimension:
    """What kind of quantity a key holds: annotate a field with it to have its unit checked and converted.

    name
        In the words of a message: "a length".
    units
        One SI unit for every way the quantity may be stated; a value in the n-th is multiplied by ``factors[n]``.
    example
        A text that would be right.
    """

    name: str
    units: tuple[str, ...]
    example: str
    factors: tuple[float, ...] = (1.0,)
    in_time: bool = False
    """Whether it may be given as a course in time."""

    def course(self, raw: Mapping[str, Any], context: Mapping[str, Any]) -> Quantity:
        """Return the quantity that a course in time describes, as it is at first."""
        units, plain = context["units"], context.get("plain", False)
        stated: set[str] = set()

        def parser(dimension: Dimension) -> Any:
            return lambda one: dimension.parse(one, units, plain).value

        def value_of(one: Any) -> float:
            quantity = self.parse(one, units, plain)
            stated.add(self.way_of(quantity.unit))
            return quantity.value

        rate = replace(
            self,
            name=f"{self.name} per time",
            units=tuple(f"{unit}/s" for unit in self.units),
            example=f"{self.example}/s",
            in_time=False,
        )
        folder = Path(context.get("folder", "."))
        try:
            course = course_of(raw, value_of, parser(TIME), parser(rate), parser(FREQUENCY), folder)
            value = course.value(0.0, before=True)
        except CourseError as error:
            raise _refusal(str(error)) from None
        if len(stated) > 1:
            raise _refusal(f"{self.name} in time is given in units of several kinds, {' and '.join(sorted(stated))}")
        # in that in which it is stated, where there are several ways and no factor between them
        unit = (stated.pop() if len(set(self.factors)) == 1 else self.units[0]) if units == "si" else ""
        return Quantity(value, f"{value:g} {unit}".strip(), value, unit, course)

    def way_of(self, unit: str) -> str:
        """Return which of the units a quantity is stated in."""
        if len(self.units) < 2 or not unit:
            return self.units[0] if self.units else ""
        return next(target for target in self.units if is_compatible(unit, target))

    def parse(self, raw: Any, units: str, plain: bool = False) -> Quantity:
        """Return the checked quantity.

        units
            That of ``[model]``, "" if nobody knows what the case meant.
        plain
            Whether a number without a unit is one in SI units, as from Python.
        """
        raw = as_python(raw)
        if plain and units == "si" and isinstance(raw, int | float) and not isinstance(raw, bool):
            pure = self._parse_pure_number(raw)
            return Quantity(pure.value, f"{pure.text} {self.units[0]}", pure.number, self.units[0])
        if units == "dimensionless" or (not units and not isinstance(raw, str)):
            return self._parse_pure_number(raw)
        if isinstance(raw, int | float) and not isinstance(raw, bool):
            raise self._error(f"{shown(raw)} has no unit; {self.name} is written with one")
        if not isinstance(raw, str):
            raise self._error(f"{shown(raw)} is not {self.name}")
        found = _NUMBER.fullmatch(raw)
        if not found or len(raw) > _LONGEST_TEXT:
            raise self._error(f"{shown(raw)} is not {self.name}")
        number, unit = float(found[1]), found[2]
        value = self._convert(number, unit, raw)
        if not math.isfinite(value):
            raise self._error(f'"{raw}" is not a finite number')
        return Quantity(value, raw.strip(), number, unit)

    def _parse_pure_number(self, raw: Any) -> Quantity:
        if isinstance(raw, bool) or not isinstance(raw, int | float):
            raise _refusal(f"{shown(raw)} must be a plain number in a dimensionless case, e.g. 0.5")
        try:
            value = float(raw)
        except OverflowError:
            raise _refusal("a number with so many digits is too large") from None
        if not math.isfinite(value):
            raise _refusal(f"{raw} is not a finite number")
        return Quantity(value, repr(raw), value)

    def _convert(self, number: float, unit: str, raw: str) -> float:
        if not unit:
            raise self._error(f'"{raw}" has no unit; {self.name} is written with one')
        if not _UNIT.fullmatch(unit):
            raise self._error(f'"{unit}" is not a unit')
        factor, target = _COMMON_UNITS.get(unit, (math.nan, ""))
        if target in self.units:
            return number * factor * self.factors[self.units.index(target)]
        return self._convert_by_pint(number, unit, raw)

    def _convert_by_pint(self, number: float, unit: str, raw: str) -> float:
        registry = unit_registry()
        import pint

        try:
            quantity = registry.Quantity(number, registry.Unit(unit))
            for target, factor in zip(self.units, self.factors, strict=True):
                # what pint takes kT for is a thousand tesla
                if target != THERMAL_ENERGY and quantity.is_compatible_with(target):
                    return float(quantity.to(target).magnitude) * factor
        except pint.errors.UndefinedUnitError:
            raise self._error(f'"{unit}" in "{raw}" is not a known unit') from None
        except (pint.errors.PintError, tokenize.TokenError, *_UNREADABLE):
            raise self._error(f'"{unit}" in "{raw}" cannot be read as a unit') from None
        raise self._error(f'"{raw}" is not {self.name}: its unit "{unit}" is of another kind')

    def _error(self, what: str) -> PydanticCustomError:
        return _refusal(f'{what}; right would be "{self.example}"')

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        def validate(raw: Any, info: ValidationInfo) -> Quantity:
            if isinstance(raw, Quantity):
                return raw
            if self.in_time and isinstance(raw, Mapping):
                if info.context is None:
                    # as below: what it means is for the case to say
                    unread = Course(dict(raw), np.zeros(1), np.full(1, math.nan))
                    return Quantity(math.nan, "in time", math.nan, course=unread)
                return self.course(raw, info.context)
            if info.context is None and not isinstance(raw, str):
                # an object of Python that belongs to no case yet: what the number means is for the case to say
                return self._parse_pure_number(as_python(raw))
            context = info.context or {"units": "si"}
            return self.parse(raw, context["units"], context.get("plain", False))

        return core_schema.with_info_plain_validator_function(
            validate, serialization=core_schema.plain_serializer_function_ser_schema(_as_written)
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        course: list[dict[str, Any]] = [{"type": "object", "description": "in the course of time"}] * self.in_time
        return {
            "anyOf": [
                {"type": "string", "examples": [self.example], "description": f"{self.name} with its unit"},
                {"type": "number"},
                *course,
            ],
            "description": f'{self.name}: a text with its unit, "{self.example}"; a number in a dimensionless case',
        }


def is_compatible(unit: str, other: str) -> bool:
    """Return whether two units, of which the first has been read before, are of one kind."""
    return unit == other or unit_registry().Unit(unit).is_compatible_with(other)


def _as_written(quantity: Quantity) -> str | float | dict[str, Any]:
    if quantity.course is not None:
        return quantity.course.written
    return quantity.text if quantity.unit else quantity.value


LENGTH = Dimension("a length", ("m",), "5 nm")
Length = Annotated[Quantity, LENGTH]
FREQUENCY = Dimension("a frequency", ("Hz",), "1 kHz")
Area = Annotated[Quantity, Dimension("an area", ("m^2",), "80 nm^2")]
ELECTRIC_POTENTIAL = Dimension("a potential", ("V",), "-40 mV", in_time=True)
Potential = Annotated[Quantity, ELECTRIC_POTENTIAL]
ConstantPotential = Annotated[Quantity, replace(ELECTRIC_POTENTIAL, in_time=False)]
Volume = Annotated[Quantity, Dimension("a volume", ("m^3", "m^3/mol"), "0.03 nm^3", (1.0, 1.0 / AVOGADRO))]
Temperature = Annotated[Quantity, Dimension("a temperature", ("K",), "298.15 K")]
Diffusivity = Annotated[Quantity, Dimension("a diffusivity", ("m^2/s",), "1.6e-9 m^2/s")]
CONCENTRATION = Dimension("a concentration", ("mol/m^3", "1/m^3"), "0.5 mol/L", (1.0, 1.0 / AVOGADRO))
Concentration = Annotated[Quantity, CONCENTRATION]
ConcentrationInTime = Annotated[Quantity, replace(CONCENTRATION, in_time=True)]
FixedCharge = Annotated[
    Quantity,
    Dimension(
        "a fixed charge density",
        ("mol/m^3", "C/m^3", "1/m^3"),
        "1.45 mol/L",
        (1.0, 1 / FARADAY, 1 / AVOGADRO),
        in_time=True,
    ),
]
TOTAL_AMOUNT = Dimension("an amount", ("mol", "mol/m", "mol/m^2"), "2e-9 mol/m^2", (1.0, 1.0, 1.0))
TOTAL_FLUX = Dimension("a flux", ("mol/s", "mol/m/s", "mol/m^2/s"), "0.1 mol/m^2/s", (1.0, 1.0, 1.0))
FORCE = Dimension("a force on a particle", ("N",), "1e7 eV/m")
Force = Annotated[Quantity, FORCE]
ForceInTime = Annotated[Quantity, replace(FORCE, in_time=True)]
MolarFlux = Annotated[
    Quantity,
    Dimension("a flux", ("mol/m^2/s", "1/m^2/s"), "0.1 mol/m^2/s", (1.0, 1.0 / AVOGADRO), in_time=True),
]
Mass = Annotated[Quantity, Dimension("a mass", ("kg",), "6.6e-27 kg")]
Energy = Annotated[Quantity, Dimension("an energy", ("J", "J/mol"), "0.05 eV", (1.0, 1.0 / AVOGADRO))]
PartitionEnergy = Annotated[
    Quantity, Dimension("an energy", (THERMAL_ENERGY, "J", "J/mol"), "2 kT", (1.0, 1.0, 1.0 / AVOGADRO))
]
"""In kT if that is its unit, else in J."""
TIME = Dimension("a time", ("s",), "1 ns")
Time = Annotated[Quantity, TIME]


class _OfTheClock(Dimension):
    """A time that passes while a case is computed: with its unit, or in seconds, whatever the units of the case."""

    def parse(self, raw: Any, units: str, plain: bool = False) -> Quantity:
        return super().parse(raw, "si", plain=True)


CLOCK_TIME = _OfTheClock("a time", ("s",), "10 min")
ClockTime = Annotated[Quantity, CLOCK_TIME]
LinearDensity = Annotated[Quantity, Dimension("a density on a line", ("1/m",), "0.5 1/nm")]


class MovingNumber(float):
    """A pure number in time, which is what it is at first."""

    course: Course

    def __new__(cls, course: Course) -> MovingNumber:
        """Make it of its course."""
        made = super().__new__(cls, course.value(0.0, before=True))
        made.course = course
        return made

    def __getnewargs__(self) -> tuple[Course]:  # type: ignore[override]
        return (self.course,)


def _number_or_course(raw: Any, handler: Any, info: ValidationInfo) -> float:
    if isinstance(raw, MovingNumber):
        return raw
    if not isinstance(raw, Mapping):
        return float(handler(raw))
    context = info.context or {"units": "dimensionless"}
    quantity = Dimension("a number", (), "0.1").course(raw, {**context, "units": "dimensionless"})
    assert quantity.course is not None
    return MovingNumber(quantity.course)


NumberInTime = Annotated[
    float,
    Field(allow_inf_nan=False, strict=True),
    WrapValidator(_number_or_course),
    PlainSerializer(lambda number: number.course.written if isinstance(number, MovingNumber) else number),
]
"""A pure number, or its course in time."""
