#!/bin/sh
# phreeqpython: a solution times a factor is the same solution, still whole when asked, and the next sum takes the factor.
#
# Versions: phreeqpython 1.6.2.
#
# Problem: 1 kg of water with 100 mmol/kg NaCl, and 1 kg of pure water. The brine is halved (brine * 0.5), halved twice,
# added to water, and added to itself.
# Expected: the half has 0.5 kg; two halvings are a quarter; brine + water is 50 mmol/kg although a half of the brine was
# made before; brine + brine has 2 kg. Or an error where these are not meant.
# Seen: the half is the brine itself (`is`) and has 1 kg; two halvings count as one, 33.3 mmol/kg in a sum with water
# where a quarter gives 20; brine + water after a half was made is 33.3 mmol/kg, and the same sum once more 50; brine +
# brine has 1 kg. No message. A sum written at once (brine * 0.5 + water * 0.5) is right, so that the first tries are.
# Why it matters here: dilution series and reservoirs that mix (the two sides of a membrane engine) are made with these
# signs, and their concentrations and conductivities are boundary data of a case. Mix with mix_solutions, which is told
# the parts, and copy() before a solution is used twice.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet phreeqpython==1.6.2
"$folder/venv/bin/python" - <<'PY'
import math
import sys

from phreeqpython import PhreeqPython

phreeqc = PhreeqPython()


def solutions():
    return phreeqc.add_solution_simple({"NaCl": 100.0}), phreeqc.add_solution_simple({})


def sodium(solution):
    return solution.total("Na") / solution.mass


brine, water = solutions()
half = brine * 0.5
found = {"the half is the brine": half is brine, "kg of the half": half.mass}
found["sum after a half was made"] = sodium(brine + water)
found["the same sum again"] = sodium(brine + water)
brine, water = solutions()
found["halved twice, and water"] = sodium(brine * 0.5 * 0.5 + water)
found["kg of brine + brine"] = (brine + brine).mass
found["half and half"] = sodium(brine * 0.5 + water * 0.5)
found["by mix_solutions, a quarter and water"] = sodium(phreeqc.mix_solutions({brine: 0.25, water: 1.0}))
for name, value in found.items():
    print(f"{name}: {value:.4g}" if isinstance(value, float) else f"{name}: {value}")
wanted = [True, 1.0, 100 / 3, 50.0, 100 / 3, 1.0, 50.0, 20.0]
as_described = all(math.isclose(seen, value, rel_tol=1e-4) for seen, value in zip(found.values(), wanted, strict=True))
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
