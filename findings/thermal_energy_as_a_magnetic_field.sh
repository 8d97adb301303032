#!/bin/sh
# Energies in kT, as statistical physics writes them, are magnetic fields in pint-xarray, unyt and udunits alike.
#
# Versions: pint 0.24.4, pint-xarray 0.6.1, xarray 2026.9.0, unyt 3.2.0, cf-units 3.3.1, numpy 2.4.6.
#
# Problem: electrochemical potentials of 1 and 2 kT and a potential in kT/e, in a dataset whose units are the texts "kT"
# and "kT/e"; made into quantities by pint-xarray, and read by unyt and by cf-units, which has udunits.
# Expected: an error, for no such unit of energy is known to them without a temperature.
# Seen: all three take it for kilotesla without a word: a potential of 2 kT is 2000 tesla, "kT/e" has the unit of a
# flux density per charge. Only a conversion to volts at the end is refused, for a reason far from the cause; a ratio, a
# logarithmic slope or a plot with units on its axes is not.
# Why it matters here: potentials over kT and fluxes of free energy are what a solver of this field writes. In a file
# for other programs the unit must be 1, with "kT" in the name, or joules per mole.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet pint==0.24.4 pint-xarray==0.6.1 xarray==2026.9.0 unyt==3.2.0 \
    cf-units==3.3.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PY'
import sys

import cf_units
import pint_xarray  # registers the accessor
import unyt
import xarray

potentials = xarray.Dataset({"mu": ("x", [1.0, 2.0], {"units": "kT"}), "phi": ("x", [0.0, 4.0], {"units": "kT/e"})})
quantities = potentials.pint.quantify()
in_tesla = quantities["mu"].pint.to("tesla").pint.dequantify().values.tolist()
print("pint-xarray:", in_tesla, "tesla; phi in", quantities["phi"].pint.units)
by_unyt = unyt.unyt_quantity(2, "kT").to("T")
by_udunits = cf_units.Unit("kT").convert(2.0, "tesla")
print("unyt:", by_unyt, "- udunits:", by_udunits, "tesla")
as_described = in_tesla == [1000.0, 2000.0]
as_described &= float(by_unyt) == by_udunits == 2000.0
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
