#!/bin/sh
# pyEQL's osmotic coefficient of two salts together lies below that of either alone: membranes get too little pressure.
#
# Versions: pyEQL 1.7.0.
#
# Problem: 1 mol of chloride in 1 kg of water at 25 degC, with sodium, with potassium, or with half of each.
# Expected: the mixture lies between the salts. Pitzer's equations for mixtures in PHREEQC (pitzer.dat, which pyEQL can
# call) give 0.936, 0.899, and 0.914 between them.
# Seen: 0.938 and 0.900, and 0.870 for the mixture, 3 % below the lower of the two and 5 % below their mean: an osmotic
# pressure of 43.0 bar, where the pure salts have 46.3 and 44.5. Each salt's Debye-Hueckel term is given the ionic
# strength of the whole solution, its virial terms only the salt's own molality, so that in a mixture they are halved.
# A trace of the second salt changes nothing; the error grows to its full size with the fraction.
# Why it matters here: brines and sea water are mixtures, and pressures across membranes and the free energy of mixing
# come from such coefficients. The error looks like a specific interaction of the two salts, and has the size of one.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --no-compile pyEQL==1.7.0
"$folder/venv/bin/python" - <<'PY'
import logging
import sys

from pyEQL import Solution
from pyEQL.engines import Phreeqc2026EOS

logging.disable(logging.CRITICAL)


def osmotic_coefficient(potassium, **options):
    amounts = {"Na+": 1 - potassium, "K+": potassium, "Cl-": 1}
    solution = Solution({ion: f"{amount} mol/kg" for ion, amount in amounts.items() if amount}, **options)
    return float(solution.get_osmotic_coefficient().magnitude)


fractions = (0.0, 1e-4, 0.5, 1.0)
own = [osmotic_coefficient(potassium) for potassium in fractions]
pitzer = [osmotic_coefficient(potassium, engine=Phreeqc2026EOS(phreeqc_db="pitzer.dat")) for potassium in fractions]
for potassium, *values in zip(fractions, own, pitzer, strict=True):
    print("K+ {:g}: pyEQL {:.4f}, PHREEQC with pitzer.dat {:.4f}".format(potassium, *values))
as_described = all(abs(one - other) < 3e-3 for one, other in zip(own[::3], pitzer[::3], strict=True))
as_described &= abs(own[1] - own[0]) < 1e-4 and abs(own[2] - 0.8705) < 1e-3
as_described &= pitzer[3] < pitzer[2] < pitzer[0] and own[2] < own[3] - 0.025
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
