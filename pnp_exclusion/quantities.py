"""Numbers with units, as they are written in a case file. pint lives here and in nothing that computes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import PydanticCustomError, core_schema

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
FARADAY = ELEMENTARY_CHARGE * AVOGADRO
"""C/mol."""

_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*?)\s*")


@cache
def _registry() -> pint.UnitRegistry:
    import pint

    return pint.UnitRegistry()


@dataclass(frozen=True)
class Quantity:
    """A checked number of a case file: its value in SI units (or dimensionless) and the text it was written as."""

    value: float
    text: str

    def __float__(self) -> float:
        return self.value

    @property
    def unit(self) -> str:
        """The unit as the user wrote it (empty for a dimensionless number)."""
        found = _NUMBER.fullmatch(self.text)
        return found[2] if found else ""


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

    def parse(self, raw: Any, units: str) -> Quantity:
        """Return the checked quantity; ``units`` is "si" or "dimensionless", as in ``[model]`` of the case."""
        if units == "dimensionless":
            return self._parse_pure_number(raw)
        if not isinstance(raw, str):
            raise self._error(f"{raw!r} has no unit; {self.name} is written with one")
        found = _NUMBER.fullmatch(raw)
        if not found:
            raise self._error(f'"{raw}" is not {self.name}')
        return Quantity(self._convert(float(found[1]), found[2], raw), raw)

    def _parse_pure_number(self, raw: Any) -> Quantity:
        if isinstance(raw, bool) or not isinstance(raw, int | float):
            shown = f'"{raw}"' if isinstance(raw, str) else repr(raw)
            raise PydanticCustomError(
                "quantity",
                "{message}",
                {"message": f"{shown} must be a plain number in a dimensionless case, e.g. 0.5"},
            )
        if not abs(raw) < float("inf"):
            raise PydanticCustomError("quantity", "{message}", {"message": f"{raw} is not a finite number"})
        return Quantity(float(raw), repr(raw))

    def _convert(self, number: float, unit: str, raw: str) -> float:
        import pint

        if not unit:
            raise self._error(f'"{raw}" has no unit; {self.name} is written with one')
        if not re.fullmatch(r"[\w\s*/^().µμ°Å%-]+", unit) or len(unit) > 60:
            raise self._error(f'"{unit}" is not a unit')
        registry = _registry()
        try:
            quantity = registry.Quantity(number, registry.Unit(unit))
            for target, factor in zip(self.units, self.factors, strict=True):
                if quantity.is_compatible_with(target):
                    return float(quantity.to(target).magnitude) * factor
        except pint.errors.UndefinedUnitError:
            raise self._error(f'"{unit}" in "{raw}" is not a known unit') from None
        except (pint.errors.PintError, ValueError, TypeError, SyntaxError, ArithmeticError, AttributeError):
            raise self._error(f'"{unit}" in "{raw}" cannot be read as a unit') from None
        raise self._error(f'"{raw}" is not {self.name}: its unit "{unit}" is of another kind')

    def _error(self, what: str) -> PydanticCustomError:
        return PydanticCustomError("quantity", "{message}", {"message": f'{what}; right would be "{self.example}"'})

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        def validate(raw: Any, info: ValidationInfo) -> Quantity:
            return self.parse(raw, (info.context or {}).get("units", "si"))

        return core_schema.with_info_plain_validator_function(
            validate, serialization=core_schema.plain_serializer_function_ser_schema(_as_written)
        )

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {
            "anyOf": [{"type": "string", "examples": [self.example]}, {"type": "number"}],
            "description": f'{self.name}: a text with its unit, "{self.example}"; a number in a dimensionless case',
        }


def _as_written(quantity: Quantity) -> str | float:
    return quantity.text if quantity.unit else quantity.value


Length = Annotated[Quantity, Dimension("a length", ("m",), "5 nm")]
Potential = Annotated[Quantity, Dimension("a potential", ("V",), "-40 mV")]
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
