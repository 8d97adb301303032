#!/bin/sh
# pint drops commas from numbers: "0,7 nm" are 7 nm, and "0,15 mol/L" are 15 mol/L.
#
# Versions: pint 0.26.2, astropy 8.0.2, numpy 2.5.5.
#
# Problem: quantities as German, French or Italian tables and instruments write them, with a comma before the decimals,
# given to pint's Quantity and to astropy's.
# Expected: 0.7 nm, or an error, as from Python's float and from astropy.
# Seen: astropy raises an error for each of them. pint takes every comma for one between thousands, wherever it stands,
# and returns a number that is wrong by a power of ten of the decimals: 7 nm, 15 mol/L, -5 C/m^2, and 123 nm for
# "1,2,3 nm". No warning.
# Why it matters here: sizes, concentrations and surface charges come from such tables, and all these wrong values are
# possible ones: a crowded 15 mol/L is just what steric models are for. Quantities of a case are split into a number,
# which Python reads, and a unit, and only the unit is handed to pint.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet pint==0.26.2 astropy==8.0.2 numpy==2.5.5
"$folder/venv/bin/python" - <<'PY'
import sys

import pint
from astropy import units

registry = pint.UnitRegistry()
wanted = {
    "0.7 nm": (0.7, True),
    "0,7 nm": (7, False),
    "0,15 mol/L": (15, False),
    "-0,05 C/m^2": (-5, False),
    "1,2,3 nm": (123, False),
}
as_described = True
for text, (number, readable) in wanted.items():
    try:
        other = str(units.Quantity(text.replace("^", "")))
    except (TypeError, ValueError):
        other = "an error"
    seen = registry.Quantity(text)
    print(f'"{text}": pint {seen}, astropy {other}')
    as_described &= seen.magnitude == number and readable == (other != "an error")
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
