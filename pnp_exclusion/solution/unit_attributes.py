"""Units of labelled arrays, as programs read them that make quantities of such arrays."""

from __future__ import annotations

import re


def unit_attributes(unit: str) -> dict[str, str]:
    """Return the attributes that tell the unit of an array; empty is without one.

    Libraries of units know symbols of ours as others: to them "kT" is kilotesla, and "D/L" debye per litre. So numbers
    in such scales have the unit 1, and another attribute says what they are multiples of.
    """
    symbols = set(re.findall(r"[A-Za-z]+", unit))
    # "mol/L" has litres
    if symbols & {"kT", "D"} or symbols == {"L"}:
        return {"units": "1", "in_units_of": unit}
    return {"units": unit or "1"}
