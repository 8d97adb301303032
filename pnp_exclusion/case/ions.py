"""Common ions in water: charge, diffusivity at 25 °C and infinite dilution, hydrated diameter, each with its source.

Diffusivities and the molar conductivities per charge that they follow from (``D = R T lambda/(F^2 |z|)``) are those of
the CRC Handbook, hydrated diameters twice the radii of Nightingale, which are Stokes' radii corrected by those of large
ions that carry no water.
"""

from __future__ import annotations

import csv
import difflib
from dataclasses import dataclass
from functools import cache
from math import pi
from pathlib import Path
from typing import Any

from pnp_exclusion.case.quantities import shown
from pnp_exclusion.case.sentences import NEAR, listed
from pnp_exclusion.errors import UsageError

SOURCES = {
    "CRC": 'P. Vanysek, "Ionic conductivity and diffusion at infinite dilution", CRC Handbook of Chemistry and Physics',
    "Nightingale": "E. R. Nightingale, J. Phys. Chem. 63, 1381 (1959), doi:10.1021/j150579a011",
}
REFERENCE_TEMPERATURE = 298.15
"""K, of all diffusivities."""
LIQUID = (273.15, 373.15)
"""K, in which water's viscosity is known at 0.1 MPa."""
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻₀₁₂₃₄₅₆₇₈₉−", "0123456789+-0123456789-")


@dataclass(frozen=True)
class Ion:
    """An ion in water.

    symbol, name
        ``"SO4^2-"``, ``"sulfate"``.
    charge
        In elementary charges.
    conductivity
        Molar conductivity per charge at infinite dilution and 25 °C, S m^2/mol.
    diffusivity
        At infinite dilution and 25 °C, m^2/s.
    hydrated_diameter
        In m; None where it is not known.
    sources
        Of the diffusivity and the diameter.
    """

    symbol: str
    name: str
    charge: int
    conductivity: float
    diffusivity: float
    hydrated_diameter: float | None
    sources: tuple[str, ...]

    @property
    def species_name(self) -> str:
        """What a species of it is called unless it is given a name: the symbol without ``^`` and brackets."""
        return self.symbol.translate(str.maketrans("", "", "^()"))

    @property
    def hydrated_volume(self) -> float | None:
        """Volume of the sphere of its hydrated diameter, in m^3; None where that is not known."""
        return None if self.hydrated_diameter is None else pi / 6.0 * self.hydrated_diameter**3

    def diffusivity_at(self, temperature: float) -> float:
        """Return the diffusivity in m^2/s at a temperature in K, by Stokes and Einstein: as ``T`` over the viscosity of
        water. `ValueError` where water is not liquid."""
        viscosity = water_viscosity(REFERENCE_TEMPERATURE) / water_viscosity(temperature)
        return self.diffusivity * temperature / REFERENCE_TEMPERATURE * viscosity


def water_viscosity(temperature: float) -> float:
    """Return the viscosity of liquid water at 0.1 MPa in Pa s, at a temperature in K from 273.15 to 373.15.

    J. Patek et al., J. Phys. Chem. Ref. Data 38, 21 (2009), to 1 %.
    """
    if not LIQUID[0] <= temperature <= LIQUID[1]:
        raise ValueError(f"water is liquid from {LIQUID[0]} to {LIQUID[1]} K, not at {temperature:g} K")
    terms = ((280.68, -1.9), (511.45, -7.7), (61.131, -19.6), (0.45903, -40.0))
    return 1e-6 * sum(factor * (temperature / 300.0) ** power for factor, power in terms)


@cache
def ions() -> dict[str, Ion]:
    """Return all ions by their symbols."""
    text = Path(__file__).with_name("ions.csv").read_text(encoding="utf-8")
    found = {}
    for row in csv.reader(text.splitlines()[1:]):
        symbol, name, charge, conductivity, diffusivity, _, diameter, _ = row
        size = float(diameter) * 1e-9 if diameter else None
        sources = tuple(source for source in (row[5], row[7]) if source)
        found[symbol] = Ion(
            symbol, name, int(charge), float(conductivity) * 1e-4, float(diffusivity) * 1e-9, size, sources
        )
    return found


def ion(symbol: str) -> Ion:
    """Return an ion by its symbol, however its charge is written (``"Ca2+"``, ``"Ca+2"``, ``"Ca++"``), or its name.

    Raises `UsageError` with the nearest for one that is not there.
    """
    found = _spellings().get(symbol.translate(_SUPERSCRIPTS).replace(" ", "")) if isinstance(symbol, str) else None
    if found is None:
        raise UsageError(f"there is no ion {shown(symbol)} among those whose data are known; {_nearest(symbol)}")
    return found


def _nearest(symbol: Any) -> str:
    """A phrase that names the ions whose symbols or names are nearest, in capital letters or small ones."""
    listing = '"pnp-exclusion ions" lists them'
    if not isinstance(symbol, str):
        return listing
    known = {name.casefold(): name for one in ions().values() for name in (one.symbol, one.name)}
    close = difflib.get_close_matches(symbol.casefold(), known, n=1, cutoff=NEAR)
    if close:
        return f'did you mean "{known[close[0]]}"?'
    found = [known[name] for name in difflib.get_close_matches(symbol.casefold(), known, n=3, cutoff=0.0)]
    return f"the nearest are {listed(found)}; {listing}"


def name_of_ion(written: Any) -> str | None:
    """Return what a species of an ion is called unless it is given a name; None if there is no such ion."""
    try:
        return ion(written).species_name
    except UsageError:
        return None


@cache
def _spellings() -> dict[str, Ion]:
    found: dict[str, Ion] = {}
    for symbol, one in ions().items():
        sign, count = "+-"[one.charge < 0], abs(one.charge)
        formula = symbol.removesuffix(sign).removesuffix(str(count) if count > 1 else "").removesuffix("^")
        ways = {f"{count}{sign}", f"{sign}{count}", sign * count} | ({sign} if count == 1 else set())
        for way in ways:
            found |= {f"{formula}{way}": one, f"{formula}^{way}": one}
        found |= {symbol: one, one.species_name: one, one.name.replace(" ", ""): one}
    return found
