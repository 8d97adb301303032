#!/bin/sh
# impedance.py: the standard errors of a global fit are rounding noise: megaohms for a resistor known to 0.2 ohms.
#
# Versions: impedance 1.7.1, numpy 2.5.5, scipy 1.18.1, pandas 3.1.1.
#
# Problem: spectra of 40 frequencies with 1 % noise, of a resistor of 100 ohms and of it in series with 1 mF, each fitted
# with its circuit by fit(global_opt=False) and fit(global_opt=True).
# Expected: the same standard errors from both, as they find the same values; about 0.2 ohms for the resistor.
# Seen: the values agree to six digits. The errors (conf_) of the local fits are right; those of the global ones are above
# 1e5 ohms for the resistor alone, and larger still or NaN for the pair, with a word of the solver about a bad matrix.
# They are taken from the gradient of the root mean square at its minimum, in the place of the Jacobian of the residuals.
# That gradient is zero but for rounding, and squared it is a matrix of rank 1, without an inverse for two parameters.
# Why it matters here: a global fit is what one takes when a computed spectrum has several arcs, and its errors tell
# whether an arc is there. Fit once more locally from the values of the global fit, and take the errors of that.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet impedance==1.7.1 numpy==2.5.5 scipy==1.18.1 pandas==3.1.1
"$folder/venv/bin/python" -W ignore - <<'PY'
import sys

import numpy as np
from impedance.models.circuits import CustomCircuit

frequency = np.logspace(5, -1, 40)
noise = np.random.default_rng(0).normal(size=(2, 40))
noise = 1 + 0.01 * (noise[0] + 1j * noise[1])
cases = {
    "R0": (100 + 0j * frequency, [80.0]),
    "R0-C1": (100 + 1 / (2j * np.pi * frequency * 1e-3), [80.0, 2e-3]),
}
errors = {}
same = True
for circuit, (impedance, guess) in cases.items():
    values = []
    for everywhere, options in ((False, {}), (True, {"niter": 3})):
        fit = CustomCircuit(circuit, initial_guess=guess)
        fit.fit(frequency, impedance * noise, global_opt=everywhere, **options)
        values.append(fit.parameters_)
        errors[circuit, everywhere] = fit.conf_
        print(f"{circuit}, global {everywhere}: {fit.parameters_} +- {fit.conf_}")
    same &= np.allclose(*values, rtol=1e-4)
as_described = same and 0.05 < errors["R0", False][0] < 0.5 and errors["R0-C1", False][0] < 2
as_described &= errors["R0", True][0] > 1e3 and not (errors["R0-C1", True] < 1e3).any()
print("as described" if as_described else "NOT as described any more")
sys.exit(0 if as_described else 1)
PY
