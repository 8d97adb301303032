"""Numbers with units, as they are written in a case file. pint lives here and in nothing that computes.

It takes half of a short run to begin, so the units that nearly every case is written in are known without it.
"""

from __future__ import annotations

import math
import re
import reprlib
import tokenize
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import PydanticCustomError, core_schema

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
            if info.context is None and not isinstance(raw, str):
                # an object of Python that belongs to no case yet: what the number means is for the case to say
                return self._parse_pure_number(as_python(raw))
            context = info.context or {"units": "si"}
            return self.parse(raw, context["units"], context.get("plain", False))

        return core_schema.with_info_plain_validator_function(
            validate, serialization=core_schema.plain_serializer_function_ser_schema(_as_written)
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {
            "anyOf": [{"type": "string", "examples": [self.example]}, {"type": "number"}],
            "description": f'{self.name}: a text with its unit, "{self.example}"; a number in a dimensionless case',
        }


def is_compatible(unit: str, other: str) -> bool:
    """Return whether two units, of which the first has been read before, are of one kind."""
    return unit == other or unit_registry().Unit(unit).is_compatible_with(other)


def _as_written(quantity: Quantity) -> str | float:
    return quantity.text if quantity.unit else quantity.value


Length = Annotated[Quantity, Dimension("a length", ("m",), "5 nm")]
FREQUENCY = Dimension("a frequency", ("Hz",), "1 kHz")
Area = Annotated[Quantity, Dimension("an area", ("m^2",), "80 nm^2")]
ELECTRIC_POTENTIAL = Dimension("a potential", ("V",), "-40 mV")
Potential = Annotated[Quantity, ELECTRIC_POTENTIAL]
Temperature = Annotated[Quantity, Dimension("a temperature", ("K",), "298.15 K")]
Diffusivity = Annotated[Quantity, Dimension("a diffusivity", ("m^2/s",), "1.6e-9 m^2/s")]
Concentration = Annotated[
    Quantity,
    Dimension("a concentration", ("mol/m^3", "1/m^3"), "0.5 mol/L", (1.0, 1.0 / AVOGADRO)),
]
FixedCharge = Annotated[
    Quantity,
    Dimension("a fixed charge density", ("mol/m^3", "C/m^3", "1/m^3"), "1.45 mol/L", (1.0, 1 / FARADAY, 1 / AVOGADRO)),
]
Force = Annotated[Quantity, Dimension("a force on a particle", ("N",), "1e7 eV/m")]
MolarFlux = Annotated[
    Quantity,
    Dimension("a flux", ("mol/m^2/s", "1/m^2/s"), "0.1 mol/m^2/s", (1.0, 1.0 / AVOGADRO)),
]
Mass = Annotated[Quantity, Dimension("a mass", ("kg",), "6.6e-27 kg")]
Energy = Annotated[Quantity, Dimension("an energy", ("J", "J/mol"), "0.05 eV", (1.0, 1.0 / AVOGADRO))]
PartitionEnergy = Annotated[
    Quantity, Dimension("an energy", (THERMAL_ENERGY, "J", "J/mol"), "2 kT", (1.0, 1.0, 1.0 / AVOGADRO))
]
"""In kT if that is its unit, else in J."""
Time = Annotated[Quantity, Dimension("a time", ("s",), "1 ns")]
LinearDensity = Annotated[Quantity, Dimension("a density on a line", ("1/m",), "0.5 1/nm")]
