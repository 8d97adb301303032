#!/bin/sh
# lmfit's R^2 of a fit to an impedance is a complex number: above 1 for one circuit, minus 10^22 for a good fit of another.
#
# Versions: lmfit 1.3.4, numpy 2.5.5, scipy 1.18.1.
#
# Problem: two spectra with noise, each fitted by lmfit.Model with the circuit that it comes from: a resistance and a
# capacitor side by side, R1/(1 + i w R1 C), behind R0; and a blocking electrode, R0 + 1/(i w C).
# Expected: 1 - sum |residual|^2 / sum |data - mean|^2, a real number: 0.987 and 0.9998.
# Seen: 1.0063 + 0.0004 i and -8.6e21 + 1.4e20 i, which the report prints as R-squared. Both sums are taken of squares of
# complex numbers, not of their moduli; for a capacitor the second has a negative real part, and in its place stands the
# smallest number that it may be divided by. The fitted values, chi-square and standard errors are right.
# Why it matters here: circuits for computed spectra are chosen by such numbers, in scripts by the real part. A spectrum
# that is mostly real hides the fault in a number just above 1; that of a blocking electrode, the commonest one of this
# field, makes a sound fit look absurd.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet lmfit==1.3.4 numpy==2.5.5 scipy==1.18.1
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
from lmfit import Model


def parallel(w, R0, R1, C):
    return R0 + R1 / (1 + 1j * w * R1 * C)


def blocking(w, R0, C):
    return R0 + 1 / (1j * w * C)


w = 2 * np.pi * np.logspace(0, 5, 40)
noise = np.random.default_rng(0).normal(size=(2, len(w)))
noise = noise[0] + 1j * noise[1]
spectra = {
    "parallel": (Model(parallel), parallel(w, 100.0, 500.0, 1e-6) + 20 * noise, {"R0": 80.0, "R1": 300.0, "C": 2e-6}),
    "blocking": (Model(blocking), blocking(w, 100.0, 1e-6) * (1 + 0.01 * noise), {"R0": 80.0, "C": 2e-6}),
}
found, true = {}, {}
for name, (model, impedance, start) in spectra.items():
    fit = model.fit(impedance, w=w, **start)
    assert abs(fit.best_values["C"] / 1e-6 - 1) < 0.1
    found[name] = fit.rsquared
    true[name] = 1 - fit.chisqr / (np.abs(impedance - impedance.mean()) ** 2).sum()
    print(f"{name}: lmfit {found[name]:.4g}, by moduli {true[name]:.4f}")
as_described = all(np.iscomplexobj(value) for value in found.values())
as_described &= 1 < found["parallel"].real < 1.01 and found["blocking"].real < -1e20
as_described &= 0.98 < true["parallel"] < 1 and 0.999 < true["blocking"] < 1
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
